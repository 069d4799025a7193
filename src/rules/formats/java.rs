//! Parses the layout patterns of logback and log4j 2. Colours are removed from every line before it
//! is read, so that their conversions add nothing; neither does the stack trace, which follows the
//! line. Unit: one format.

use super::builder::padding;
use super::dates;
use super::notation::{Choice, Context, Cursor, Draft, Piece};
use super::words::{Conversion, Conversion as C, LOG4J2, LOGBACK, Word};
use crate::decode::formats::program::Shape;
use crate::record::field::{
    BODY, CODE_FILE, CODE_LINE, FUNCTION, LOGGER, SEVERITY, THREAD, TRACE_ID, Unit,
};
use crate::rules::settings::Notation;
use crate::rules::syntax::{SyntaxError, nearest};
use jiff::tz::TimeZone;

/// How deep groups may be nested.
const DEPTH_MAX: usize = 16;

/// Parses a pattern.
///
/// # Errors
/// Returns the first thing that is no pattern.
pub(super) fn parse(context: &Context<'_>) -> Result<Vec<Piece>, SyntaxError> {
    let is_log4j2 = context.settings.notation == Notation::Log4j2;
    let parser = Parser { is_log4j2, words: if is_log4j2 { LOG4J2 } else { LOGBACK } };
    let mut cursor = Cursor::new(&context.settings.pattern);
    parser.pieces(&mut cursor, None, 0)
}

struct Parser {
    is_log4j2: bool,
    words: &'static [Word],
}

/// The width, cut and alignment of a conversion.
#[derive(Clone, Copy, Default)]
struct Modifier {
    width: Option<u16>,
    most: Option<u16>,
    is_left_aligned: bool,
}

impl Parser {
    /// Parses until `close`, or to the end of the pattern.
    fn pieces(
        &self,
        cursor: &mut Cursor<'_>,
        close: Option<char>,
        depth: usize,
    ) -> Result<Vec<Piece>, SyntaxError> {
        let from = cursor.at;
        if depth > DEPTH_MAX {
            return Err(SyntaxError::new(from, format!("groups nested deeper than {DEPTH_MAX}")));
        }
        let mut pieces = Vec::new();
        while let Some(character) = cursor.peek() {
            let at = cursor.at;
            match character {
                _ if Some(character) == close => return Ok(pieces),
                '\n' | '\r' => {
                    cursor.next();
                    pieces.push(Piece::LineEnd(at));
                }
                '\\' => {
                    cursor.next();
                    match cursor.next() {
                        Some('n') => pieces.push(Piece::LineEnd(at)),
                        Some('t') => pieces.push(Piece::literal("\t")),
                        Some('_') => {}
                        Some(other) => pieces.push(Piece::literal(other.encode_utf8(&mut [0; 4]))),
                        None => pieces.push(Piece::literal("\\")),
                    }
                }
                '%' => {
                    cursor.next();
                    self.conversion(cursor, at, depth, &mut pieces)?;
                }
                '$' if cursor.rest().starts_with("${") => {
                    let inside = Parser::braces(cursor, "$")?.unwrap_or_default();
                    let name = inside.split(":-").next().unwrap_or_default();
                    let key = name.rsplit(':').next().unwrap_or_default();
                    let draft = Draft::text(key, cursor.since(at), at).shaped(Shape::Token);
                    pieces.push(draft.piece());
                }
                _ => {
                    cursor.next();
                    pieces.push(Piece::literal(cursor.since(at)));
                }
            }
        }
        match close {
            None => Ok(pieces),
            Some(close) => {
                let message = format!("the group is not closed by `{close}`");
                Err(SyntaxError::new(from.saturating_sub(1), message))
            }
        }
    }

    /// Parses what follows a percent sign.
    fn conversion(
        &self,
        cursor: &mut Cursor<'_>,
        at: usize,
        depth: usize,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), SyntaxError> {
        if self.is_log4j2 && cursor.take("%") {
            pieces.push(Piece::literal("%"));
            return Ok(());
        }
        let modifier = modifier(cursor)?;
        if !self.is_log4j2 && cursor.take("(") {
            let group = self.group(cursor, depth)?;
            padded(group, modifier, pieces);
            return Ok(());
        }
        let (word, conversion) = self.word(cursor, at)?;
        if !self.is_log4j2
            && cursor.take("(")
            && matches!(conversion, C::Group | C::Replaced | C::Bracketed)
        {
            let mut group = self.group(cursor, depth)?;
            let option = Parser::braces(cursor, "")?;
            while Parser::braces(cursor, "")?.is_some() {}
            let written = cursor.since(at);
            // Spring Boot's `%esb(){APPLICATION_NAME}` names a property for an empty pattern
            if let (C::Bracketed, true, Some(name)) = (conversion, group.is_empty(), option) {
                group.push(Draft::text(name, written, at).piece());
            }
            wrapped(conversion, group, modifier, (written, at), pieces);
            return Ok(());
        }
        let option_at = cursor.at + 1;
        let option = Parser::braces(cursor, "")?;
        let has_group = matches!(conversion, C::Group | C::Replaced | C::Optional | C::Bracketed);
        if self.is_log4j2 && has_group {
            let mut inside = Cursor {
                text: &cursor.text[..option_at + option.unwrap_or("").len()],
                at: option_at,
            };
            let group = match option {
                Some(_) => self.pieces(&mut inside, None, depth + 1)?,
                None => return Err(missing_group(word, at, "{...}")),
            };
            while Parser::braces(cursor, "")?.is_some() {}
            wrapped(conversion, group, modifier, (cursor.since(at), at), pieces);
            return Ok(());
        }
        if matches!(conversion, C::Group | C::Replaced) {
            return Err(missing_group(word, at, "(...)"));
        }
        let second = Parser::braces(cursor, "")?;
        while Parser::braces(cursor, "")?.is_some() {}
        let options = Options { first: option, first_at: option_at, second };
        let written = cursor.since(at);
        self.simple((word, conversion), &options, modifier, (written, at), pieces)
    }

    /// Parses the group behind an open parenthesis.
    fn group(&self, cursor: &mut Cursor<'_>, depth: usize) -> Result<Vec<Piece>, SyntaxError> {
        let group = self.pieces(cursor, Some(')'), depth + 1)?;
        cursor.take(")");
        Ok(group)
    }

    /// Parses a conversion word.
    fn word(
        &self,
        cursor: &mut Cursor<'_>,
        at: usize,
    ) -> Result<(&'static str, Conversion), SyntaxError> {
        let name_at = cursor.at;
        let name = cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        let of = |name: &str| self.words.iter().find(|(word, _)| *word == name).copied();
        let known = match of(name) {
            Some(known) => Some(known),
            // log4j 2 takes the longest word that the text begins with
            None if self.is_log4j2 => {
                let starts = (1..name.len()).rev().filter_map(|end| of(name.get(..end)?));
                starts.inspect(|(word, _)| cursor.at = name_at + word.len()).next()
            }
            None => None,
        };
        known.ok_or_else(|| {
            if name.is_empty() {
                let error = SyntaxError::new(at, "`%` without a conversion word");
                let percent = if self.is_log4j2 { "%%" } else { "\\%" };
                return error.hint(format!("a percent sign is written {percent}"));
            }
            let error = SyntaxError::new(name_at, format!("`%{name}` is no conversion word"));
            match nearest(name, self.words.iter().map(|(word, _)| *word)) {
                Some(meant) => error.hint(format!("did you mean `%{meant}`?")),
                None => error.hint("as in %d{HH:mm:ss.SSS} [%thread] %-5level %logger - %msg%n"),
            }
        })
    }

    /// Takes what is between braces, which may be nested.
    fn braces<'a>(cursor: &mut Cursor<'a>, before: &str) -> Result<Option<&'a str>, SyntaxError> {
        let open = cursor.at;
        if !cursor.rest().starts_with(&format!("{before}{{")) {
            return Ok(None);
        }
        cursor.at += before.len() + 1;
        let from = cursor.at;
        let mut depth = 1;
        while let Some(character) = cursor.next() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(Some(&cursor.text[from..cursor.at - 1]));
            }
        }
        Err(SyntaxError::new(open, "`{` is not closed by `}`"))
    }

    /// Adds a conversion that has no group.
    fn simple(
        &self,
        (word, conversion): Word,
        options: &Options<'_>,
        modifier: Modifier,
        (written, at): (&str, usize),
        pieces: &mut Vec<Piece>,
    ) -> Result<(), SyntaxError> {
        let option = options.first.unwrap_or_default();
        let draft = Draft {
            padding: padding(modifier.width, modifier.is_left_aligned),
            most: modifier.most,
            ..Draft::text(word, written, at)
        };
        let draft = match conversion {
            C::LineEnd => {
                pieces.push(Piece::LineEnd(at));
                return Ok(());
            }
            C::Stack | C::Nothing | C::Group | C::Replaced | C::Optional => return Ok(()),
            C::Bracketed => {
                let name = options.first.unwrap_or(word);
                let value = vec![Draft::text(name, written, at).piece()];
                pieces.push(bracketed(value, written, at));
                return Ok(());
            }
            C::Correlation => {
                pieces.push(correlation(options.first, written, at));
                return Ok(());
            }
            C::Date => self.date(options, draft)?,
            C::Level => level(option, draft),
            C::Logger => draft.of(LOGGER).shaped(Shape::Token),
            C::Message => draft.of(BODY).shaped(Shape::Message),
            C::Thread => draft.of(THREAD),
            C::Line => draft.of(CODE_LINE).shaped(Shape::Token),
            C::File => draft.of(CODE_FILE).shaped(Shape::Token),
            C::Method => draft.of(FUNCTION).shaped(Shape::Token),
            C::Number => Draft { key: String::new(), ..draft.shaped(Shape::Number) },
            // the time since the start of the application is the duration of nothing
            C::Relative => Draft { unit: Unit::Milliseconds, ..draft.shaped(Shape::Number) },
            C::Text => draft,
            C::Context => {
                let key = option.split(":-").next().unwrap_or_default();
                let is_single = !key.contains(',');
                let to = (key == "X-B3-TraceId").then_some(TRACE_ID);
                let key = if is_single { key.trim().to_owned() } else { String::new() };
                Draft { key, to, ..draft }
            }
        };
        pieces.push(draft.piece());
        Ok(())
    }

    /// Returns the time of a record.
    fn date(&self, options: &Options<'_>, draft: Draft) -> Result<Draft, SyntaxError> {
        let at = options.first_at;
        let text = options.first.unwrap_or_default();
        let (form, mut zone) =
            if self.is_log4j2 { (text, options.second) } else { logback_date(text, at)? };
        let form_at = at + text.find(form).unwrap_or(0);
        let named = dates::java_named(form, self.is_log4j2);
        let parts = match (named, form) {
            (Some(letters), _) => dates::java(letters, at)?,
            (None, "UNIX") if self.is_log4j2 => dates::strftime("%s")?,
            (None, "UNIX_MILLIS") if self.is_log4j2 => dates::loguru("x", at)?.0,
            (None, letters) => dates::java(letters, if form.is_empty() { at } else { form_at })?,
        };
        zone = zone.map(str::trim).filter(|zone| !zone.is_empty());
        let zone = match zone {
            None => None,
            Some("UTC" | "GMT" | "Z") => Some(TimeZone::UTC),
            Some(name) => {
                let found = fixed_zone(name).or_else(|| TimeZone::get(name).ok());
                Some(found.ok_or_else(|| {
                    let error = SyntaxError::new(at, format!("`{name}` is no time zone"));
                    error.hint("a comma in the form of a date is written inside of quotes")
                })?)
            }
        };
        Ok(Draft { zone, ..draft.timed(parts) })
    }
}

/// What is in the braces behind a word.
struct Options<'a> {
    first: Option<&'a str>,
    /// The position of the first.
    first_at: usize,
    second: Option<&'a str>,
}

/// Splits `"HH:mm:ss,SSS", UTC` into the form of the date and the zone.
fn logback_date(text: &str, at: usize) -> Result<(&str, Option<&str>), SyntaxError> {
    let trimmed = text.trim();
    if let Some(quote) = trimmed.chars().next().filter(|c| matches!(c, '"' | '\''))
        && let Some((form, rest)) = trimmed[1..].split_once(quote)
        && (rest.is_empty() || rest.trim_start().starts_with(','))
    {
        let zone = rest.trim_start().strip_prefix(',');
        return Ok((form, zone.and_then(|zone| zone.split(',').next())));
    }
    let Some((form, rest)) = trimmed.split_once(',') else { return Ok((trimmed, None)) };
    let zone = rest.split(',').next().unwrap_or_default().trim().trim_matches(['"', '\'']);
    if zone.starts_with('S') && zone.bytes().all(|byte| byte == b'S') {
        let message = "logback takes what is behind the comma for a time zone";
        let hint = format!("put the form of the date in quotes: %d{{\"{trimmed}\"}}");
        return Err(SyntaxError::new(at + form.len(), message).hint(hint));
    }
    Ok((form, Some(zone)))
}

/// Returns the zone of Java's `GMT+1`, `GMT-03:30`, `+0200`.
fn fixed_zone(name: &str) -> Option<TimeZone> {
    let offset = name.trim_start_matches("GMT").trim_start_matches("UTC");
    let digits = offset.strip_prefix(['+', '-'])?.replace(':', "");
    let number = digits.parse::<i32>().ok().filter(|_| digits.len() <= 4)?;
    let (hours, minutes) =
        if digits.len() > 2 { (number / 100, number % 100) } else { (number, 0) };
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let seconds = sign * (hours * 60 + minutes) * 60;
    jiff::tz::Offset::from_seconds(seconds).ok().map(TimeZone::fixed)
}

/// Reads `-5`, `20.30`, `.-1`.
fn modifier(cursor: &mut Cursor<'_>) -> Result<Modifier, SyntaxError> {
    let is_left_aligned = cursor.take("-");
    let width = cursor.number()?;
    let most = if cursor.take(".") {
        cursor.take("-");
        cursor.number()?
    } else {
        None
    };
    Ok(Modifier { width, most, is_left_aligned })
}

/// Returns a level; log4j 2 can replace, cut and lower its name.
fn level(option: &str, draft: Draft) -> Draft {
    let mut draft = draft.of(SEVERITY).shaped(Shape::Level);
    for pair in option.split(',') {
        let Some((name, word)) = pair.split_once('=') else { continue };
        let (name, word) = (name.trim(), word.trim());
        if name == "length" {
            draft.most = word.parse().ok();
        } else if let Some(level) =
            super::resolve::LEVELS.iter().find(|level| level.eq_ignore_ascii_case(name))
        {
            draft.levels.push((word.to_owned(), level));
        }
    }
    draft
}

/// Adds a group that something is done with.
fn wrapped(
    conversion: Conversion,
    group: Vec<Piece>,
    modifier: Modifier,
    (written, at): (&str, usize),
    pieces: &mut Vec<Piece>,
) {
    match conversion {
        C::Optional => padded(vec![optional(group, written, at)], modifier, pieces),
        C::Bracketed => padded(vec![bracketed(group, written, at)], modifier, pieces),
        C::Replaced => {
            let mut fields = group.into_iter().filter_map(|piece| match piece {
                Piece::Field(draft) => Some(draft),
                // what is left of a part that may be missing is not known
                Piece::Choice(_) => Some(Box::new(Draft::text("", written, at))),
                Piece::Literal(_) | Piece::Blank | Piece::LineEnd(_) => None,
            });
            let draft = match (fields.next(), fields.next()) {
                // what replaces parts of one value is still that value
                (Some(one), None) if one.time.is_none() => Draft {
                    shape: if one.shape == Shape::Message { one.shape } else { Shape::Text },
                    written: written.to_owned(),
                    offset: at,
                    ..*one
                },
                _ => Draft::text("", written, at),
            };
            padded(vec![draft.piece()], modifier, pieces);
        }
        _ => padded(group, modifier, pieces),
    }
}

/// Adds a group, with spaces around it if it has a width.
fn padded(mut group: Vec<Piece>, modifier: Modifier, pieces: &mut Vec<Piece>) {
    if modifier.width.is_some()
        && let [Piece::Field(one)] = group.as_mut_slice()
        && one.padding.width() == 0
    {
        one.padding = padding(modifier.width, modifier.is_left_aligned);
        one.most = one.most.or(modifier.most);
        pieces.append(&mut group);
        return;
    }
    let has_width = modifier.width.is_some();
    if has_width && !modifier.is_left_aligned {
        pieces.push(Piece::Blank);
    }
    pieces.append(&mut group);
    if has_width && modifier.is_left_aligned {
        pieces.push(Piece::Blank);
    }
}

fn missing_group(word: &str, at: usize, form: &str) -> SyntaxError {
    SyntaxError::new(at, format!("`%{word}` has no pattern")).hint(format!("as in %{word}{form}"))
}

/// Returns a part that a line has or lacks.
fn optional(part: Vec<Piece>, written: &str, at: usize) -> Piece {
    let written = written.to_owned();
    Piece::Choice(Box::new(Choice { first: part, second: Vec::new(), written, offset: at }))
}

/// Returns what Spring Boot writes in square brackets, or not at all.
fn bracketed(mut part: Vec<Piece>, written: &str, at: usize) -> Piece {
    part.insert(0, Piece::literal("["));
    part.push(Piece::literal("] "));
    optional(part, written, at)
}

/// Returns Spring Boot's `[TRACE-SPAN] `, with spaces in place of both where there is no span. The
/// option names other entries of the thread's context, as in `traceId(32),spanId(16)`.
fn correlation(option: Option<&str>, written: &str, at: usize) -> Piece {
    let names = option.filter(|names| !names.trim().is_empty()).unwrap_or("traceId,spanId");
    let mut first = vec![Piece::literal("[")];
    for (number, name) in names.split(',').enumerate() {
        if number > 0 {
            first.push(Piece::literal("-"));
        }
        let name = name.split('(').next().unwrap_or_default().trim();
        first.push(Draft::text(name, written, at + number).shaped(Shape::Token).piece());
    }
    first.push(Piece::literal("] "));
    let second = vec![Piece::literal("["), Piece::Blank, Piece::literal("] ")];
    Piece::Choice(Box::new(Choice { first, second, written: written.to_owned(), offset: at }))
}
