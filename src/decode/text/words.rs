//! Reads parts of a header without brackets: separators, times, levels, names, numbers, locations.
//! Unit: one part.

use super::state::{Header, PART_BYTES_MAX};
use super::{forms, ids, level, servers, stamp};
use crate::record::field::LOGGER;

/// Words of a sentence that may precede the name of a level: `no ERROR was seen`. Any other single
/// word between a time and a level in capitals is the logger's name, as in Python's layouts.
#[rustfmt::skip]
const BEFORE_LEVELS: [&[u8]; 28] = [
    b"a", b"an", b"the", b"no", b"not", b"any", b"one", b"this", b"that", b"last", b"first", b"new", b"got",
    b"with", b"was", b"is", b"has", b"had", b"in", b"on", b"to", b"at", b"as", b"of", b"and", b"or",
    b"for", b"from",
];

impl Header<'_> {
    /// Reads ` - `, ` | `, `|`, ` : `, ` --- `, ` -- name: ` (Ruby), and the comma after a time.
    pub(super) fn separator(&mut self, at: usize) -> Option<usize> {
        let byte = self.bytes[at];
        let run = self.bytes[at..].iter().take(4).take_while(|b| **b == byte).count();
        let is_behind_certain = self.waiting == 0 && self.body == Some(at);
        let is_level = |at| level::at(self.bytes, at).is_some();
        let is_closed = match byte {
            b'|' => run == 1,
            b':' if is_behind_certain && run == 1 => self.ends(at + 1) || is_level(at + 1),
            _ => self.ends(at + run),
        };
        if run > 3 || !is_closed {
            return None;
        }
        let next = self.blanks(at + run);
        match (byte, run) {
            (b'-', 2) => return forms::ruby_name(self, next),
            (b'-', 3) => return Some(self.wait(next)),
            (b',', 1) if is_behind_certain => {}
            (b',', _) | (_, 2..) => return None,
            _ => {}
        }
        self.separator = byte;
        Some(if is_behind_certain { self.commit(next) } else { self.wait(next) })
    }

    /// Reads a time, a level, a name, a number or a location.
    pub(super) fn word(&mut self, at: usize) -> Option<usize> {
        if !self.has_time && self.waiting < 5 {
            let length = self.time_length(at);
            // a time of day without its date, which precedes it at a distance, is no time
            let is_cut = length < 16 && at > 0 && servers::is_dated(self.bytes);
            if length > 0 && !is_cut {
                return Some(self.time(at, at + length, at + length));
            }
            if self.waiting == 0
                && let Some((from, to)) = self.time_behind_name(at)
            {
                return Some(self.time(from, to, to));
            }
        }
        if self.level.is_some() {
            return self.behind_level(at);
        }
        if let Some(word) = level::at(self.bytes, at)
            && let Some(next) = self.level_word(at, word)
        {
            return Some(next);
        }
        forms::behind_time(self, at).or_else(|| self.before_level(at))
    }

    fn time_length(&self, at: usize) -> usize {
        match self.bytes[at..] {
            [b'0'..=b'9', ..] | [b'A'..=b'Z', b'a'..=b'z', b'a'..=b'z', b' ' | b',', ..] => {
                stamp::extent(&self.bytes[at..])
            }
            _ => 0,
        }
    }

    /// Finds the time in `Service:2026-01-02 03:04:05`. A time of day does not follow a name so.
    fn time_behind_name(&self, at: usize) -> Option<(usize, usize)> {
        let near = &self.bytes[at..self.bytes.len().min(at + PART_BYTES_MAX)];
        let name = near.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let from = at + name + 1;
        match near.get(name..)? {
            [b':', b'0'..=b'9', _, _, _, b'-', ..] if name > 0 => {}
            _ => return None,
        }
        let length = stamp::extent(&self.bytes[from..]);
        (length > 10).then_some((from, from + length))
    }

    /// Reads a level without brackets, if its form and the text around it make it certain.
    fn level_word(&mut self, at: usize, word: level::Level) -> Option<usize> {
        let end = at + word.length;
        let next = self.blanks(end);
        let is_first = self.waiting == 0 && (self.has_time || self.body.is_none());
        // one ordinary word may name a logger after a time
        let is_placed = self.plain_words == 0 || (self.plain_words == 1 && self.has_time);
        // `logrotate: ALERT exited abnormally`: without a time, this word begins a sentence
        let is_alert = self.bytes[at] == b'A' && !self.has_time;
        let is_free = word.is_upper && !word.is_weak && is_placed && !is_alert;
        let next = match self.byte(end) {
            b':' if word.is_upper && !word.is_weak && !self.ends(end + 1) => {
                return self.basic(at, end);
            }
            b':' if word.is_weak => self.is_weak_label(at, end).then_some(end + 1),
            b':' if self.ends(end + 1) => {
                let is_label = word.is_upper || self.has_time || self.separator != 0 || is_first;
                is_label.then_some(end + 1)
            }
            b'|' => Some(end),
            b'[' | b'(' if is_free => Some(end),
            b'/' if self.has_time && self.waiting == 0 => return self.facility(at, end),
            b'\t' if self.has_time => Some(next),
            b' ' | b'\t' if is_free => Some(next),
            b' ' => self.is_apart(end, is_first, word).then_some(next),
            _ if end >= self.bytes.len() && is_free => Some(end),
            _ => None,
        }?;
        self.separator = 0;
        Some(self.level(at, end, next))
    }

    /// Reads Icinga's `information/Notification: `.
    fn facility(&mut self, at: usize, end: usize) -> Option<usize> {
        let near = &self.bytes[end + 1..self.bytes.len().min(end + PART_BYTES_MAX)];
        let name = near.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let to = end + 1 + name;
        if name == 0 || self.byte(to) != b':' || !self.ends(to + 1) {
            return None;
        }
        self.level(at, end, to + 1);
        self.is_done = true;
        Some(self.logger(end + 1, to, to + 1))
    }

    /// Returns whether the word is `LOG:  ` of PostgreSQL or `fail: Category[0]` of .NET.
    fn is_weak_label(&self, at: usize, end: usize) -> bool {
        let behind = &self.bytes[end + 1..self.bytes.len().min(end + PART_BYTES_MAX)];
        match &self.bytes[at..end] {
            b"fail" => {
                let word = behind.iter().skip(1).position(|byte| *byte == b' ');
                let word = &behind[..word.map_or(behind.len(), |length| length + 1)];
                word.ends_with(b"]") && word.contains(&b'[')
            }
            name => name[0].is_ascii_uppercase() && self.has_time && self.ends(end + 1),
        }
    }

    /// Returns whether the text around a level in lower case, or around a level that is also an
    /// ordinary word, separates it from a sentence.
    fn is_apart(&self, end: usize, is_first: bool, word: level::Level) -> bool {
        let next = self.blanks(end);
        let separator = self.byte(next);
        if matches!(separator, b'-' | b'|') && self.ends(next + 1) {
            let is_between = self.separator == separator && (self.has_time || word.is_upper);
            return is_between || (is_first && separator == b'-' && !word.is_weak);
        }
        if word.is_weak {
            // NestJS: `LOG [Module] `
            return word.is_upper && self.has_time && separator == b'[';
        }
        let is_padded = next - end > 2 || (next - end > 1 && self.separator == b',');
        self.has_time
            && self.waiting == 0
            && (is_padded || self.is_process(next) || self.is_located(next))
    }

    /// Returns whether `name [file.go:7] ` is at `at`: a location is a part of a header, so what
    /// precedes it is one too.
    fn is_located(&self, at: usize) -> bool {
        let near = &self.bytes[at..self.bytes.len().min(at + PART_BYTES_MAX)];
        let name = near.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count();
        let Some([b' ', b'[', inside @ ..]) = near.get(name..) else { return false };
        let Some(length) = memchr::memchr(b']', inside) else { return false };
        let open = at + name + 2;
        let mut fields = [(LOGGER, 0, 0); 3];
        let place = &inside[..length];
        let is_file = place.contains(&b'.');
        name > 0 && is_file && ids::place(self.bytes, open, open + length, &mut fields) > 0
    }

    /// Returns whether `hostd[7] ` is at `at`: only a process can follow a level in lower case like
    /// this.
    fn is_process(&self, at: usize) -> bool {
        let rest = &self.bytes[at..self.bytes.len().min(at + PART_BYTES_MAX)];
        let length = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        let word = &rest[..length];
        word.ends_with(b"]") && memchr::memchr_iter(b'[', word).count() == 1
    }

    /// Reads `logging.BASIC_FORMAT`: `LEVEL:logger:message`; `LEVEL:message`.
    fn basic(&mut self, at: usize, end: usize) -> Option<usize> {
        let from = end + 1;
        let rest = &self.bytes[from..self.bytes.len().min(from + PART_BYTES_MAX)];
        let length = rest.iter().position(|byte| matches!(byte, b':' | b' ')).unwrap_or(0);
        self.level(at, end, from);
        if length > 0 && rest[length] == b':' {
            self.put(LOGGER, from, from + length);
            self.has_logger = true;
            self.commit(from + length + 1);
            self.body = Some(from + length + 1);
        } else {
            self.body = Some(from);
        }
        self.is_done = true;
        self.body
    }

    /// Reads what may precede a level: process ids, hosts, names, locations.
    fn before_level(&mut self, at: usize) -> Option<usize> {
        let end = self.word_end(at);
        let word = &self.bytes[at..end];
        if end >= self.bytes.len() || word.is_empty() || self.waiting > 8 {
            return None;
        }
        let behind = self.blanks(end);
        let separator = self.byte(behind);
        let is_separated =
            separator == b'|' || (matches!(separator, b'-' | b':') && self.ends(behind + 1));
        if is_separated || (self.separator != 0 && self.has_level_ahead(behind)) {
            if self.place(at, end) {
                self.has_place = true;
            } else if !ids::is_thread(word) && self.logger_name.is_none() {
                self.logger_name = Some((at, end));
            }
            return Some(self.wait(end));
        }
        if self.separator == b'|' && self.has_bar(at) {
            let bar = memchr::memchr(b'|', &self.bytes[at..]).map_or(end, |length| at + length);
            return Some(self.wait(bar));
        }
        if ids::is_pair(word) {
            if let Some((field, from, to)) = ids::pair(word, at) {
                self.put(field, from, to);
            }
            return Some(self.wait(end));
        }
        let has_colon = word.ends_with(b":");
        let name = &word[..word.len() - usize::from(has_colon)];
        if name.iter().all(u8::is_ascii_alphabetic) && !ids::is_camel(name) {
            // `named: info: `, `lifecycle: 7: `
            let is_label = has_colon
                && self.has_time
                && (self.has_delimited_level(behind) || self.has_number_label(behind));
            let is_name = self.has_time
                && !has_colon
                && self.has_level_ahead(behind)
                && !BEFORE_LEVELS.contains(&name);
            self.plain_words += usize::from(is_name);
            if self.plain_words > 1 || !(is_label || is_name) {
                return None;
            }
        } else if !word.iter().copied().all(ids::is_word_byte) {
            return None;
        }
        let starts_like_name = name.first().is_some_and(u8::is_ascii_alphabetic);
        if starts_like_name && !name.contains(&b'@') && !ids::is_thread(name) {
            self.logger_name = Some((at, at + ids::without_process(name)));
        }
        Some(self.wait(end))
    }

    /// Returns whether a level is at `at`: in capitals without brackets, or in brackets.
    fn has_level_ahead(&self, at: usize) -> bool {
        let inside = at + usize::from(self.byte(at) == b'[');
        level::at(self.bytes, inside).is_some_and(|word| {
            let closing = self.byte(inside + word.length);
            if inside > at { matches!(closing, b']' | b' ') } else { word.is_upper }
        })
    }

    /// Returns whether a number with a colon is at `at`: `1000212917: `.
    fn has_number_label(&self, at: usize) -> bool {
        let digits = self.bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        digits > 0 && self.byte(at + digits) == b':' && self.ends(at + digits + 1)
    }

    fn has_delimited_level(&self, at: usize) -> bool {
        level::at(self.bytes, at).is_some_and(|word| self.byte(at + word.length) == b':')
    }

    /// Returns the end of the word at `at`: a blank, a bar, or a bracket around a level.
    fn word_end(&self, at: usize) -> usize {
        let rest = &self.bytes[at..self.bytes.len().min(at + PART_BYTES_MAX)];
        let length = rest.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'|'));
        let end = at + length.unwrap_or(rest.len());
        match self.bytes[at..end].iter().position(|byte| *byte == b'[') {
            Some(bracket) if bracket > 0 && self.has_level_ahead(at + bracket) => at + bracket,
            _ => end,
        }
    }

    /// Reads what may separate a level from the message: a process id before dashes, `in module:`,
    /// a location, a logger's dotted name.
    fn behind_level(&mut self, at: usize) -> Option<usize> {
        let end = self.word_end(at);
        let word = &self.bytes[at..end];
        let behind = self.blanks(end);
        if word == b"in" {
            return self.flask(at);
        }
        let has_colon = word.ends_with(b":");
        let name = &word[..word.len() - usize::from(has_colon)];
        let is_tab = self.byte(end) == b'\t';
        let separator = self.byte(behind);
        let is_separated =
            separator == b'|' || (matches!(separator, b'-' | b':') && self.ends(behind + 1));
        let is_dashes = self.bytes[behind..].starts_with(b"--- ");
        if is_dashes && word.iter().all(u8::is_ascii_digit) {
            return Some(self.wait(end));
        }
        if self.separator == b'|' && !is_separated && self.has_bar(at) {
            let bar = memchr::memchr(b'|', &self.bytes[at..]).map_or(end, |length| at + length);
            return Some(self.wait(bar));
        }
        if self.has_logger && self.has_place {
            return None;
        }
        // `INFO   |name       | time `
        if separator == b'|' && !self.has_time && self.time_length(self.blanks(behind + 1)) > 0 {
            if word.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
                self.put(LOGGER, at, end);
            }
            return Some(self.wait(behind + 1));
        }
        if let Some(next) = self.category(at, end) {
            return Some(next);
        }
        let name_end = at + name.len();
        if !self.has_time && self.time_length(behind) > 0 && self.place(at, end) {
            self.has_place = true;
            return Some(self.wait(behind));
        }
        if !(has_colon || is_separated || is_tab) {
            // OpenStack: `nova.compute.manager [req-...] `
            let is_name = self.separator == 0 && separator == b'[' && ids::is_dotted(name);
            if is_name && !self.has_logger && self.waiting == 0 {
                self.put(LOGGER, at, name_end);
                return Some(self.wait(end));
            }
            return None;
        }
        if !self.has_place && self.place(at, name_end) {
            self.has_place = true;
        } else if !self.has_logger
            && (ids::is_dotted(name)
                || matches!(name, b"root" | b"__main__")
                // Spring Boot: `--- [thread] name : `
                || (self.waiting > 0 && separator == b':' && name[0].is_ascii_alphabetic()))
        {
            self.put(LOGGER, at, name_end);
            self.has_logger = true;
        } else {
            return None;
        }
        self.is_done = has_colon || (is_separated && separator != self.separator);
        let next = if is_separated { behind + 1 } else { end };
        Some(self.commit(next))
    }

    /// Reads .NET's `Shop.Orders[7] `: the logger and the number of the event.
    fn category(&mut self, at: usize, end: usize) -> Option<usize> {
        let word = &self.bytes[at..end];
        let open = memchr::memchr(b'[', word).filter(|_| !self.has_logger && self.waiting == 0)?;
        let [b'[', event @ .., b']'] = &word[open..] else { return None };
        let is_event = !event.is_empty() && event.iter().all(u8::is_ascii_digit);
        if !is_event || !ids::is_dotted(&word[..open]) {
            return None;
        }
        self.is_done = true;
        Some(self.logger(at, at + open, end))
    }

    /// Returns whether two words and a bar are at `at`: `jvm 1    | `.
    fn has_bar(&self, at: usize) -> bool {
        let near = &self.bytes[at..self.bytes.len().min(at + 32)];
        let Some(bar) = memchr::memchr(b'|', near) else { return false };
        near[..bar].split(|byte| *byte == b' ').filter(|word| !word.is_empty()).count() == 2
    }

    /// Reads Flask's `LEVEL in module: `.
    fn flask(&mut self, at: usize) -> Option<usize> {
        let near = self.bytes.get(at + 3..self.bytes.len().min(at + PART_BYTES_MAX))?;
        let colon = near.iter().position(|byte| matches!(byte, b':' | b' '))?;
        if near[colon] != b':' || self.has_logger {
            return None;
        }
        self.is_done = true;
        Some(self.logger(at + 3, at + 3 + colon, at + 4 + colon))
    }
}
