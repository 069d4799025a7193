//! What is wrong with a configuration: where, what, and what to do; with the line and a caret when it
//! is shown. Unit: one fault.

use std::fmt;

/// Whether a configuration with this fault can be used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// It can not.
    Error,
    /// It can, but probably means something else.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// How bad it is.
    pub level: Level,
    /// The way to the value: `rules[0].counter.name`, or the name of a variable.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Where in a file it stands.
    pub located: Option<Located>,
}

/// A place in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Located {
    /// The file's name.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// How many characters are meant; at least 1.
    pub width: usize,
    /// The text of the line.
    pub snippet: String,
}

/// Characters of a line that are shown; a longer one is cut around the caret.
const SNIPPET_CHARS_MAX: usize = 120;

impl Located {
    /// The place of some bytes in a text.
    pub(super) fn find(file: &str, text: &str, start: usize, end: usize) -> Located {
        let start = floor(text, start);
        let end = floor(text, end.max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = text[..start].bytes().filter(|byte| *byte == b'\n').count() + 1;
        let snippet = text[line_start..line_end].trim_end_matches('\r');
        let width = text[start..end.min(line_end)].trim_end().chars().count().max(1);
        Located {
            file: file.to_owned(),
            line,
            column: text[line_start..start].chars().count() + 1,
            width,
            snippet: snippet.to_owned(),
        }
    }
}

/// The last character boundary not behind `at`.
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
        let (snippet, before) = shown(located);
        let carets = "^".repeat(located.width.min(SNIPPET_CHARS_MAX));
        writeln!(f, "\n{margin} |\n{line} | {snippet}\n{margin} | {before}{carets}")?;
        match &self.hint {
            Some(hint) => writeln!(f, "{margin} = hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The line, and what stands below it before the caret: a tab stays a tab, so that the caret stays in
/// its column.
fn shown(located: &Located) -> (String, String) {
    let column = located.column - 1;
    let skip = if located.snippet.chars().count() > SNIPPET_CHARS_MAX {
        column.saturating_sub(SNIPPET_CHARS_MAX / 2)
    } else {
        0
    };
    let clean = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
    let snippet: String =
        located.snippet.chars().map(clean).skip(skip).take(SNIPPET_CHARS_MAX).collect();
    let before = snippet.chars().take(column - skip).map(|c| if c == '\t' { c } else { ' ' });
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

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("{}here{}", "x".repeat(5_000), "y".repeat(5_000));
        let located = Located::find("f", &text, 5_000, 5_004);
        let (snippet, before) = shown(&located);
        assert_eq!(snippet.chars().count(), SNIPPET_CHARS_MAX);
        assert!(snippet[before.len()..].starts_with("here"));
    }
}
