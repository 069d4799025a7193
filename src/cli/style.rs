//! Colours of the commands: only on a terminal, and never if `NO_COLOR` is set (no-color.org) or
//! the terminal is `dumb`. Unit: one text.

use crate::config::environment::Environment;
use crate::console;
use rustix::fd::AsFd;
use rustix::termios::{isatty, tcgetwinsize};

/// The width that is used if the terminal does not say its width.
const COLUMNS: usize = 80;

/// What a piece of text is; each has one look everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// A title, or the head of a table.
    Title,
    /// Something that helps to find one's way and is not the result.
    Aside,
    /// A success.
    Good,
    /// A warning.
    Warn,
    /// An error.
    Bad,
}

impl Look {
    fn code(self) -> &'static str {
        match self {
            Look::Title => "1",
            Look::Aside => "2",
            Look::Good => "32",
            Look::Warn => "33",
            Look::Bad => "31",
        }
    }
}

/// Whether and how a command may format its text for a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
    /// Colours are allowed.
    pub colour: bool,
    /// The width of the terminal in columns; `None` if the text goes somewhere else.
    pub columns: Option<usize>,
}

impl Style {
    /// The style of text that no person looks at: a pipe, a file.
    pub const PLAIN: Style = Style { colour: false, columns: None };

    /// Returns the style of what is written to this descriptor.
    pub fn of(descriptor: impl AsFd, environment: &Environment) -> Style {
        if !isatty(&descriptor) {
            return Style::PLAIN;
        }
        let columns = tcgetwinsize(&descriptor).map_or(0, |size| usize::from(size.ws_col));
        let columns = if columns == 0 { COLUMNS } else { columns };
        Style { colour: allows_colour(environment), columns: Some(columns) }
    }

    /// Formats a text by its look.
    pub fn paint(self, look: Look, text: &str) -> String {
        self.code(look.code(), text)
    }

    /// Formats a text by the parameters of an SGR sequence (ECMA-48).
    pub fn code(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Writes the text of an error or a warning to standard error, in colour on a terminal.
pub fn diagnose(text: &str, environment: &Environment) {
    console::diagnostic(&painted(text, Style::of(rustix::stdio::stderr(), environment)));
}

/// Writes the error that ends a command to standard error.
pub fn fail(error: impl std::fmt::Display, environment: &Environment) {
    diagnose(&format!("error: {error}\n"), environment);
}

/// Formats diagnostics that are the result of a command and go to standard output.
pub fn for_stdout(text: &str, environment: &Environment) -> String {
    painted(text, Style::of(rustix::stdio::stdout(), environment))
}

/// Paints the words that begin the lines of a diagnostic, and the caret below a line.
fn painted(text: &str, style: Style) -> String {
    if !style.colour {
        return text.to_owned();
    }
    text.split_inclusive('\n').map(|line| painted_line(line, style)).collect()
}

fn painted_line(line: &str, style: Style) -> String {
    let words = [
        ("error", Look::Bad),
        ("warning", Look::Warn),
        ("  = hint", Look::Good),
        ("  = to do", Look::Good),
        ("  tip", Look::Good),
    ];
    for (word, look) in words {
        if let Some(rest) = line.trim_start_matches(' ').strip_prefix(word.trim_start())
            && rest.starts_with(':')
        {
            let before = &line[..line.len() - rest.len()];
            return format!("{}{rest}", style.paint(look, before));
        }
    }
    for (word, look) in [(": error", Look::Bad), (": warning", Look::Warn)] {
        // behind a place, as in `web.yaml:3: deployment/web: warning: ...`
        if !is_excerpt(line)
            && let Some((place, rest)) = line.split_once(word)
            && rest.starts_with(": ")
        {
            return format!("{place}: {}{rest}", style.paint(look, &word[2..]));
        }
    }
    match line.split_once("| ") {
        Some((before, carets))
            if !carets.trim().is_empty() && carets.trim().bytes().all(|b| b == b'^') =>
        {
            format!("{before}| {}\n", style.paint(Look::Bad, carets.trim_end()))
        }
        _ => line.to_owned(),
    }
}

/// Returns whether a line shows a part of a file, behind its number.
fn is_excerpt(line: &str) -> bool {
    line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|')
}

/// Returns whether the environment allows colours.
fn allows_colour(environment: &Environment) -> bool {
    let is_refused = environment.get("NO_COLOR").is_some_and(|value| !value.is_empty());
    !is_refused && environment.get("TERM").is_none_or(|term| term != "dumb")
}

/// Replaces the characters that would control a terminal; keeps line ends.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\n' {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

/// Shortens a text to a number of columns; dots at its end say that more follows.
pub(crate) fn shortened(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let kept: String = text.chars().take(columns.saturating_sub(3)).collect();
    format!("{kept}...")
}

/// The narrowest terminal for which text is wrapped.
const WRAP_COLUMNS_MIN: usize = 40;

/// Wraps a text that begins in column `indent` for a terminal of this width: after a space or a
/// comma, or anywhere within a longer word. Further lines are indented by two more columns. The
/// sequences of colours have no width.
pub(crate) fn wrapped(text: &str, indent: usize, columns: usize) -> String {
    let columns = columns.max(WRAP_COLUMNS_MIN).max(indent + 10);
    let further = format!("\n{:1$}", "", indent + 2);
    let (mut out, mut column) = (String::with_capacity(text.len() + 32), indent);
    for word in text.split_inclusive([' ', ',']) {
        // a space at the end of a line may be cut off
        let width = width(word.trim_end_matches(' '));
        if column + width > columns && column > indent + 2 {
            out.truncate(out.trim_end_matches(' ').len());
            out.push_str(&further);
            column = indent + 2;
        }
        let mut is_code = false;
        for character in word.chars() {
            is_code |= character == '\x1b';
            if !is_code && column == columns && character != ' ' {
                out.push_str(&further);
                column = indent + 2;
            }
            out.push(character);
            column += usize::from(!is_code);
            is_code &= character != 'm';
        }
    }
    out
}

/// Returns the number of columns of a text, without the sequences of colours.
fn width(text: &str) -> usize {
    let mut is_code = false;
    let shown = text.chars().filter(|character| {
        is_code |= *character == '\x1b';
        let is_shown = !is_code;
        is_code &= *character != 'm';
        is_shown
    });
    shown.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: `NO_COLOR` counts if it is not empty, and a dumb terminal has no colours.
    #[test]
    fn the_environment_decides_on_colours() {
        for (variables, expected) in [
            (vec![], true),
            (vec![("NO_COLOR", "")], true),
            (vec![("NO_COLOR", "1")], false),
            (vec![("TERM", "dumb")], false),
            (vec![("TERM", "xterm")], true),
        ] {
            let environment: Environment =
                variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            assert_eq!(allows_colour(&environment), expected, "{variables:?}");
        }
    }

    /// Guarantees: the words and the caret are painted, and the text stays the same without colours.
    #[test]
    fn diagnostics_are_painted() {
        let text = "error: no\n --> a:1:1\n  |\n1 | x: error: y\n  | ^^\n  = hint: yes\n";
        let colour = painted(text, Style { colour: true, columns: None });
        assert_eq!(
            colour,
            "\x1b[31merror\x1b[0m: no\n --> a:1:1\n  |\n1 | x: error: y\n  | \x1b[31m^^\x1b[0m\n\
             \x1b[32m  = hint\x1b[0m: yes\n"
        );
        assert_eq!(painted(text, Style::PLAIN), text);
        let text = "a.yaml:3: pod/a: warning: b\n12 | c: warning: d\n  = to do: e\n";
        assert_eq!(
            painted(text, Style { colour: true, columns: None }),
            "a.yaml:3: pod/a: \x1b[33mwarning\x1b[0m: b\n12 | c: warning: d\n\
             \x1b[32m  = to do\x1b[0m: e\n"
        );
        assert_eq!(painted("", Style { colour: true, columns: None }), "");
    }

    /// Guarantees: no line is wider than the terminal, nothing but spaces at the ends of lines is
    /// lost, and sequences of colours stay whole.
    #[test]
    fn text_is_wrapped() {
        let terminal = Style { colour: true, columns: Some(40) };
        let text = format!(
            "duration = 12 (key `duration`){} a{{b=\"c\",d=\"e\",f=\"ggggggggggggggggggg\"}} {} end",
            terminal.paint(Look::Bad, "; not used: the unit is missing"),
            "x".repeat(70)
        );
        for columns in [40, 41, 60, 80, 300] {
            let shown = wrapped(&text, 9, columns);
            for (number, line) in shown.lines().enumerate() {
                let indent = if number == 0 { 9 } else { 0 };
                assert!(indent + width(line) <= columns, "{columns}: {line:?}");
                assert!(number == 0 || line.starts_with("           "), "{line:?}");
            }
            let joined: String = shown.lines().map(str::trim_start).collect();
            assert_eq!(joined.replace(' ', ""), text.replace(' ', ""));
        }
        assert_eq!(wrapped("a b", 9, 80), "a b");
        let expected = "the quick brown fox jumps over\n           the lazy dog";
        assert_eq!(wrapped("the quick brown fox jumps over the lazy dog", 9, 40), expected);
    }

    /// Guarantees: text is shortened by characters, and nothing in it controls a terminal.
    #[test]
    fn texts_fit_and_control_nothing() {
        assert_eq!(shortened("12345", 5), "12345");
        assert_eq!(shortened("\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}", 5), "\u{e4}\u{e4}...");
        assert_eq!(printable("a\x1b[2Jb\nc\td"), "a\\u{1b}[2Jb\nc\\td");
        let style = Style { colour: true, columns: Some(80) };
        assert_eq!(style.paint(Look::Bad, "no"), "\x1b[31mno\x1b[0m");
        assert_eq!(style.paint(Look::Bad, ""), "");
        assert_eq!(Style::PLAIN.paint(Look::Bad, "no"), "no");
    }
}
