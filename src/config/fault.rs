//! Describes the faults of a configuration: where, what, and what to do. Displays them with the
//! line and a caret. Unit: one fault.

use crate::order;
use std::fmt;

/// The severity of a fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// The value cannot be used.
    Error,
    /// The value can be used, but is probably a mistake.
    Warning,
}

/// A fault of a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The severity.
    pub level: Level,
    /// The path of the value, as in `rules[0].counter.name`, or the name of a variable.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The position in a file.
    pub located: Option<Located>,
}

/// Maximum number of listed faults; the others are counted. People read the first ten, and each
/// costs memory next to an application.
pub const FAULTS_MAX: usize = 100;
/// Maximum number of bytes of a message, a hint and a path, which quote the file.
const TEXT_BYTES_MAX: usize = 400;

/// The first [`FAULTS_MAX`] faults and the number of further ones.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Faults {
    /// At most [`FAULTS_MAX`] faults.
    listed: Vec<Fault>,
    errors_more: usize,
    warnings_more: usize,
}

impl Faults {
    /// Adds a fault. Does not call `make` if the list is full, because finding a position and a
    /// suggestion takes time.
    pub fn add(&mut self, level: Level, make: impl FnOnce() -> Fault) {
        if self.listed.len() < FAULTS_MAX {
            self.listed.push(make().bounded());
        } else {
            self.count(level, 1);
        }
    }

    /// Adds a fault.
    pub fn push(&mut self, fault: Fault) {
        self.add(fault.level, || fault);
    }

    /// Adds all faults of another list.
    pub fn append(&mut self, other: Faults) {
        other.listed.into_iter().for_each(|fault| self.push(fault));
        self.count(Level::Error, other.errors_more);
        self.count(Level::Warning, other.warnings_more);
    }

    fn count(&mut self, level: Level, more: usize) {
        match level {
            Level::Error => self.errors_more += more,
            Level::Warning => self.warnings_more += more,
        }
    }

    /// Returns the number of faults, including those that are only counted.
    pub fn len(&self) -> usize {
        self.listed.len() + self.errors_more + self.warnings_more
    }

    /// Returns whether there are no faults.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether there is an error.
    pub fn has_errors(&self) -> bool {
        self.errors_more > 0 || self.listed.iter().any(|fault| fault.level == Level::Error)
    }

    /// Returns the listed faults.
    pub fn listed_mut(&mut self) -> &mut Vec<Fault> {
        &mut self.listed
    }

    /// Sorts the faults by position in the file.
    pub fn sort(&mut self) {
        let place = |fault: &Fault| fault.located.as_ref().map_or((0, 0), |l| (l.line, l.column));
        order::sort_by_key(&mut self.listed, place);
    }

    /// Returns the list; its last entry counts the faults that are not in it.
    pub fn into_list(self) -> Vec<Fault> {
        let Faults { mut listed, errors_more, warnings_more } = self;
        let message = match (errors_more, warnings_more) {
            (0, 0) => return listed,
            (errors, 0) => format!("{errors} more errors are not listed"),
            (0, warnings) => format!("{warnings} more warnings are not listed"),
            (errors, warnings) => {
                format!("{errors} more errors and {warnings} more warnings are not listed")
            }
        };
        let level = if errors_more > 0 { Level::Error } else { Level::Warning };
        let hint = Some("they may be caused by those above: fix these first".to_owned());
        listed.push(Fault { level, path: String::new(), message, hint, located: None });
        listed
    }
}

impl From<Vec<Fault>> for Faults {
    fn from(faults: Vec<Fault>) -> Faults {
        let mut bounded = Faults::default();
        for fault in faults {
            bounded.push(fault);
        }
        bounded
    }
}

impl Fault {
    fn bounded(mut self) -> Fault {
        cut(&mut self.path);
        cut(&mut self.message);
        if let Some(hint) = &mut self.hint {
            cut(hint);
        }
        self
    }
}

/// Shortens a text that quotes a large part of a file.
fn cut(text: &mut String) {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push_str("...");
        text.shrink_to_fit();
    }
}

/// A position in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Located {
    /// The name of the file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The number of characters to underline, from 1 to 120.
    pub width: usize,
    /// The text of the line; of a long line, the part around the position.
    pub snippet: String,
    /// The number of characters of the snippet before the position.
    pub before: usize,
}

/// Maximum number of characters shown of a line; a longer one is cut around the caret.
const SNIPPET_CHARS_MAX: usize = 120;

impl Located {
    /// Finds the position of a range of bytes in a text.
    pub(super) fn find(file: &str, text: &str, start: usize, end: usize) -> Located {
        let start = floor(text, start);
        let end = floor(text, end.max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = memchr::memchr_iter(b'\n', &text.as_bytes()[..start]).count() + 1;
        let whole = text[line_start..line_end].trim_end_matches('\r');
        let width = text[start..end.min(line_end)].trim_end().chars().count().max(1);
        let column = text[line_start..start].chars().count();
        let is_long = whole.chars().nth(SNIPPET_CHARS_MAX).is_some();
        let skip = if is_long { column.saturating_sub(SNIPPET_CHARS_MAX / 2) } else { 0 };
        Located {
            file: file.to_owned(),
            line,
            column: column + 1,
            width: width.min(SNIPPET_CHARS_MAX),
            snippet: whole.chars().skip(skip).take(SNIPPET_CHARS_MAX).collect(),
            before: column - skip,
        }
    }
}

/// Returns the last character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        writeln!(f, "{level}: {}", self.message)?;
        let Some(located) = &self.located else {
            if !self.path.is_empty() {
                writeln!(f, " --> {}", self.path)?;
            }
            return match &self.hint {
                Some(hint) => writeln!(f, "  = hint: {hint}"),
                None => Ok(()),
            };
        };
        let Located { file, line, column, .. } = located;
        let margin = " ".repeat(line.to_string().len());
        write!(f, "{margin}--> {file}:{line}:{column}")?;
        if !self.path.is_empty() {
            write!(f, " ({})", self.path)?;
        }
        if may_hold_credential(&self.path, &located.snippet) {
            writeln!(f, "\n{margin} |\n{line} | (not shown, because it may hold a credential)")?;
        } else {
            let (snippet, before) = shown(located);
            let carets = "^".repeat(located.width);
            writeln!(f, "\n{margin} |\n{line} | {snippet}\n{margin} | {before}{carets}")?;
        }
        match &self.hint {
            Some(hint) => writeln!(f, "{margin} = hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Keys with values that must not get into a log.
const CREDENTIAL_KEYS: [&str; 8] =
    ["headers", "authorization", "token", "password", "secret", "api-key", "api_key", "apikey"];

/// Returns whether a line of a configuration may hold a credential: the value of a header, a key
/// that names one, or a URL with a user name or a password.
fn may_hold_credential(path: &str, line: &str) -> bool {
    let line = line.to_lowercase();
    let is_key = |(at, key): (usize, &str)| {
        line[at + key.len()..].trim_start_matches(['"', '\'', ' ']).starts_with(':')
    };
    let has_userinfo = line
        .split("://")
        .skip(1)
        .any(|rest| rest.split(['/', '"', '\'', ' ']).next().is_some_and(|one| one.contains('@')));
    path.contains("headers.")
        || has_userinfo
        || CREDENTIAL_KEYS.iter().any(|key| line.match_indices(key).any(is_key))
}

/// Returns the line, and the text below it before the caret. A tab stays a tab, so that the caret
/// is in the right column.
fn shown(located: &Located) -> (String, String) {
    let clean = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
    let snippet: String = located.snippet.chars().map(clean).collect();
    let before = snippet.chars().take(located.before).map(|c| if c == '\t' { c } else { ' ' });
    let before = before.collect();
    (snippet, before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let text = "a: 1\r\ngr\u{fc}n: xyz\n";
        let at = text.find("xyz").expect("there");
        let located = Located::find("f", text, at, at + 3);
        assert_eq!((located.line, located.column, located.width), (2, 7, 3));
        assert_eq!(located.snippet, "gr\u{fc}n: xyz");
        let end = Located::find("f", text, text.len(), text.len());
        assert_eq!((end.line, end.column, end.width), (3, 1, 1));
        let cut = Located::find("f", text, 9, 10);
        assert_eq!(cut.column, 3, "inside a character: its beginning");
        assert_eq!(Located::find("f", text, 0, 999).width, 4, "never beyond the line");
        assert_eq!(Located::find("f", text, 999, 0).line, 3);
    }

    #[test]
    fn the_caret_stands_below_what_is_meant() {
        let located = Located::find("f.yaml", "\tkey: valeu\n", 6, 11);
        let fault = Fault {
            level: Level::Error,
            path: "key".to_owned(),
            message: "no such value".to_owned(),
            hint: Some("did you mean `value`?".to_owned()),
            located: Some(located),
        };
        let expected = [
            "error: no such value",
            " --> f.yaml:1:7 (key)",
            "  |",
            "1 | \tkey: valeu",
            "  | \t     ^^^^^",
            "  = hint: did you mean `value`?\n",
        ];
        assert_eq!(fault.to_string(), expected.join("\n"));
    }

    /// Guarantees: a credential in the line of a fault does not get into the log, whichever value of
    /// the line is wrong; a line without one is shown.
    #[test]
    fn a_line_with_a_credential_is_not_shown() {
        for (path, line, is_shown) in [
            ("export.endpoint", "export: {endpoint: 'http://user:hunter2@c:4318'}", false),
            ("export.headers.x-key", "    x-key: \"hunter2\u{1}\"", false),
            ("export.endpiont", "export: {endpiont: x, headers: {a: hunter2}}", false),
            ("", "  Authorization : \"Bearer hunter2", false),
            ("", "  \"x-api-key\": 'hunter2", false),
            ("export.endpoint", "export: {endpoint: 'http://c:99999'}", true),
            ("rules[0].when", "  - when: message.contains(\"token\") &&", true),
            ("rules[0].when", "  - when: host == \"http://a/b@c\" &&", true),
        ] {
            let located = Some(Located::find("f.yaml", line, 0, 3));
            let (message, hint) = ("no".to_owned(), None);
            let fault =
                Fault { level: Level::Error, path: path.to_owned(), message, hint, located };
            assert_eq!(fault.to_string().contains(line.trim_end()), is_shown, "{fault}");
            assert!(!fault.to_string().contains("hunter2"), "{fault}");
        }
    }

    /// Guarantees: faults use a bounded number of bytes, whatever they quote, and none is lost
    /// without being counted.
    #[test]
    fn faults_are_bounded_and_counted() {
        let text = "x".repeat(1_000_000);
        let fault = |level| Fault {
            level,
            path: text.clone(),
            message: text.clone(),
            hint: Some(text.clone()),
            located: Some(Located::find("f", &text, 500_000, 1_000_000)),
        };
        let mut faults = Faults::default();
        for _ in 0..FAULTS_MAX {
            faults.push(fault(Level::Warning));
        }
        assert!(!faults.has_errors());
        faults.add(Level::Error, || panic!("the list is full"));
        let mut both = Faults::default();
        both.append(faults.clone());
        both.append(faults);
        assert!(both.has_errors());
        assert_eq!(both.len(), 2 * FAULTS_MAX + 2);
        let list = both.into_list();
        assert_eq!(list.len(), FAULTS_MAX + 1);
        let last = list.last().expect("the count");
        assert_eq!(last.message, "2 more errors and 100 more warnings are not listed");
        assert_eq!(last.level, Level::Error);
        let bytes: usize = list.iter().map(|fault| format!("{fault:?}").len()).sum();
        assert!(bytes < 200_000, "{bytes} bytes");
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("{}here{}", "x".repeat(5_000), "y".repeat(5_000));
        let located = Located::find("f", &text, 5_000, 5_004);
        let (snippet, before) = shown(&located);
        assert_eq!(snippet.chars().count(), SNIPPET_CHARS_MAX);
        assert!(snippet[before.len()..].starts_with("here"));
    }
}
