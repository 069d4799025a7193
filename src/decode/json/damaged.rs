//! Reads a damaged JSON line: cut off, a trailing comma, an invalid escape, single quotes, a quote
//! inside a string. It reads the undamaged parts before and after the damage; the line counts as
//! malformed. It never recurses, and does not allocate once its buffer is warm. Unit: one line.

use super::exact::Work;
use crate::decode::escape;
use crate::decode::graph::DEPTH_MAX;
use crate::decode::graph::node::Bound;
use crate::record::field::FieldTable;
use crate::record::slots::{ValueBuffer, ValueKind};
use crate::record::{Decoded, Format};

/// An open container.
#[derive(Clone, Copy)]
struct Level {
    is_object: bool,
    /// Length of its path in the buffer.
    path: usize,
}

/// Reads the readable parts of a line that is not valid JSON. Returns `false` if it contains no
/// wanted field.
#[cold]
pub(in crate::decode) fn read(
    line: &str,
    wanted: &FieldTable,
    work: &mut Work,
    into: &mut Decoded,
) -> bool {
    into.clear();
    let levels = [Level { is_object: true, path: 0 }; DEPTH_MAX];
    let path = work.path();
    path.clear();
    let mut reading =
        Reading { line, bytes: line.as_bytes(), at: 0, wanted, path, levels, depth: 0, key: None };
    while reading.at < reading.bytes.len() {
        reading.step(into);
        if reading.depth == 0 {
            break;
        }
    }
    into.format = Format::Json;
    into.malformed = true;
    if into.slots.present == 0 && into.slots.extended().is_empty() {
        return into.decline::<()>(line.len(), "a key that sidelight knows").is_some();
    }
    true
}

struct Reading<'a> {
    line: &'a str,
    bytes: &'a [u8],
    at: usize,
    wanted: &'a FieldTable,
    /// The paths of the open containers and of the key before the next value.
    path: &'a mut String,
    levels: [Level; DEPTH_MAX],
    depth: usize,
    /// Start of the last key in `path`, until its value was read.
    key: Option<usize>,
}

impl Reading<'_> {
    /// Reads one token.
    fn step(&mut self, into: &mut Decoded) {
        match self.bytes[self.at] {
            open @ (b'{' | b'[') => self.open(open == b'{'),
            b'}' | b']' => self.close(),
            quote @ (b'"' | b'\'') => self.quoted(quote, into),
            b',' => {
                self.forget_key();
                self.at += 1;
            }
            b' ' | b'\t' | b'\r' | b'\n' | b':' => self.at += 1,
            _ => self.word(into),
        }
    }

    fn open(&mut self, is_object: bool) {
        self.at += 1;
        // too deep for any wanted value: nothing below is read
        if self.depth + 1 >= DEPTH_MAX {
            self.at = self.bytes.len();
            return;
        }
        self.key = None;
        self.depth += 1;
        self.levels[self.depth] = Level { is_object, path: self.path.len() };
    }

    fn close(&mut self) {
        self.at += 1;
        self.depth = self.depth.saturating_sub(1);
        let path = if self.depth == 0 { 0 } else { self.levels[self.depth].path };
        self.path.truncate(path);
        self.key = None;
    }

    fn forget_key(&mut self) {
        if let Some(length) = self.key.take() {
            self.path.truncate(length);
        }
    }

    /// Reads a string: a key if a colon follows, else the value of the last key.
    fn quoted(&mut self, quote: u8, into: &mut Decoded) {
        let start = self.at + 1;
        let Some(end) = self.end_of_string(start, quote) else {
            // cut off: the rest is not a complete value
            self.at = self.bytes.len();
            return;
        };
        self.at = end + 1;
        if self.key.is_some() {
            return self.put(ValueKind::Text, (start, end), into);
        }
        if self.next_byte() == b':' {
            return self.begin_key(start, end);
        }
        // an extra quote precedes it: `"," ` is the text between two strings
        if self.bytes.get(start) == Some(&b',') || self.bytes.get(start) == Some(&b':') {
            self.at = end;
        }
    }

    fn end_of_string(&self, start: usize, quote: u8) -> Option<usize> {
        let mut at = start;
        loop {
            match self.bytes.get(at)? {
                b'\\' => at += 2,
                byte if *byte == quote => return Some(at),
                _ => at += 1,
            }
        }
    }

    fn next_byte(&self) -> u8 {
        let rest = self.bytes[self.at..].iter();
        rest.copied().find(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(0)
    }

    fn begin_key(&mut self, start: usize, end: usize) {
        if !self.levels[self.depth].is_object {
            return;
        }
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        let Some(key) = self.line.get(start..end) else { return };
        escape::undo(key, self.path);
        self.key = Some(length);
    }

    /// Reads a word without quotes: a number, `true`, a key of JavaScript, or part of the damage.
    fn word(&mut self, into: &mut Decoded) {
        let start = self.at;
        let ends = |byte: &u8| {
            matches!(
                byte,
                b',' | b'}'
                    | b']'
                    | b'{'
                    | b'['
                    | b':'
                    | b'"'
                    | b'\''
                    | b' '
                    | b'\t'
                    | b'\r'
                    | b'\n'
            )
        };
        let length = self.bytes[start..].iter().position(ends);
        self.at = length.map_or(self.bytes.len(), |length| start + length);
        if self.key.is_none() {
            if self.next_byte() == b':' {
                self.begin_key(start, self.at);
            }
            return;
        }
        // a word at the end of the line may have been cut off
        let word = self.line.get(start..self.at).filter(|_| length.is_some()).unwrap_or_default();
        let kind = match word {
            "true" => Some(ValueKind::True),
            "false" => Some(ValueKind::False),
            _ if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                Some(ValueKind::Number)
            }
            _ => None,
        };
        match kind {
            Some(kind) => self.put(kind, (start, self.at), into),
            None => self.forget_key(),
        }
    }

    fn put(&mut self, kind: ValueKind, span: (usize, usize), into: &mut Decoded) {
        let bound = Bound::new(self.wanted.binding(self.path), self.depth > 1);
        self.forget_key();
        if !bound.wanted() {
            return;
        }
        let Some(raw) = self.line.get(span.0..span.1) else { return };
        if kind != ValueKind::Text || !raw.contains('\\') {
            return bound.put(into, kind, ValueBuffer::Line, span);
        }
        let from = into.scratch.len();
        escape::undo(raw, &mut into.scratch);
        bound.put(into, kind, ValueBuffer::Scratch, (from, into.scratch.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::text::fixture::all_of;

    fn read_all(line: &str) -> std::collections::BTreeMap<String, String> {
        let mut into = Decoded::new();
        read(line, &FieldTable::standard(), &mut Work::default(), &mut into);
        assert!(into.malformed);
        all_of(line, &into)
    }

    /// Scenario: the line of a request, damaged in one place. Guarantees: level, method and status
    /// are read, and nothing wrong is read from the damaged value.
    #[test]
    fn damage_costs_one_value_at_most() {
        for line in [
            r#"{"level":"error","method":"GET","path":"/a","status":500,}"#,
            r#"{"level":"error","x":"\x22quoted\x22","method":"GET","path":"/a","status":500}"#,
            r"{'level':'error','method':'GET','path':'/a','status':500}",
            r#"{level:"error",method:"GET",path:"/a",status:500}"#,
            r#"{"level":"error","x":"say "yes" now","method":"GET","path":"/a","status":500}"#,
            r#"{"level":"error","x":"5" disk","method":"GET","path":"/a","status":500}"#,
            r#"{"level":"error","x":,"method":"GET","path":"/a","status":500}"#,
            r#"{"level":"error","x":None,"method":"GET","path":"/a","status":500}"#,
            r#"{"level":"error","x":{"y":[1,2,],},"method":"GET","path":"/a","status":500}"#,
            r#"{"level":"error" "method":"GET" "path":"/a" "status":500}"#,
            r#"{"level":"error","method":"GET","path":"/a","status":500,"msg":"cut o"#,
            r#"{"level":"error","method":"GET","path":"/a","status":500,"duration_ms":12"#,
            r#"{"level":"error","method":"GET","path":"/a","status":500"#,
            "{\"level\":\"error\",\"x\":\"a\tb\",\"method\":\"GET\",\"path\":\"/a\",\"status\":500}",
        ] {
            let fields = read_all(line);
            let of = |name: &str| fields.get(name).map(String::as_str);
            assert_eq!(of("severity_text"), Some("error"), "{line}");
            assert_eq!(of("http.request.method"), Some("GET"), "{line}");
            assert_eq!(of("url.path"), Some("/a"), "{line}");
            let status = of("http.response.status_code");
            // at the end of a line that was cut off, the number may have had more digits
            assert!(status == Some("500") || status.is_none() && line.ends_with("500"), "{line}");
            assert_eq!(of("duration"), None, "{line}");
        }
    }

    #[test]
    fn nested_values_keep_their_paths() {
        let fields =
            read_all(r#"{"request":{"method":"GET","uri":"/a",},"response":{"status":200},}"#);
        let of = |name: &str| fields.get(name).map(String::as_str);
        assert_eq!(of("http.request.method"), Some("GET"));
        assert_eq!(of("url.path"), Some("/a"));
        assert_eq!(of("http.response.status_code"), Some("200"));
        assert!(read_all("{not JSON}").is_empty());
        assert!(read_all(&"{\"a\":".repeat(200)).is_empty());
        // what follows the object is another record
        assert!(read_all("{\"a\":1,}\n{\"level\":\"error\"}").is_empty());
    }

    proptest::proptest! {
        /// No line causes a panic, and every value lies within its line.
        #[test]
        fn property_any_line(line in "\\{([\"'{}\\[\\],:\\\\ ]|level|status|200|true|\u{e9}){0,40}") {
            read_all(&line);
        }
    }
}
