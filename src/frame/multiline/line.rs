//! Classifies a line by its bytes alone, for the grammar of stack traces. Unit: one line.

use super::beginnings::{ASYNCIO, ELIXIR_MORE, MESSAGE_MORE, STACK_MORE};
use super::header;
use crate::frame::cri;

/// The kinds of lines that the grammar of a record distinguishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LineKind {
    /// Nothing but a line end.
    Empty,
    /// Begins a record whatever precedes it: a time, a level, JSON, `key=`.
    Start,
    /// `SEVERE: text`, the second line of a java.util.logging record; elsewhere as [`LineKind::Start`].
    LevelAndMessage,
    /// Starts with a space and is none of the kinds below.
    Indented,
    /// Starts with a tab and is none of the kinds below.
    Tabbed,
    /// Indented, then a digit or a bracket: perhaps a padded time or number.
    IndentedDigit,
    /// Indented, then a level: perhaps a padded level.
    IndentedLevel,
    /// Indented, and occurs only in a stack trace, such as a frame: `at f (x:1:2)`, `... 2 more`.
    Frame,
    /// `Traceback (most recent call last):`.
    Header,
    /// `  + Exception Group Traceback (most recent call last):`.
    GroupHeader,
    /// `Stack (most recent call last):`, written for `stack_info=True`.
    StackHeader,
    /// The top of the box that rich draws around a traceback.
    BoxTop,
    /// A line inside such a box, or its bottom.
    Box,
    /// loguru's `> File "...", line 6, in f`.
    MarkedFrame,
    /// The sentence between two chained exceptions.
    Chain,
    /// `NoneType: None`, written for `exc_info=True` outside of a handler.
    NoException,
    /// `future: <Task ...>` and similar lines that asyncio writes between message and traceback.
    AsyncioContext,
    /// `pkg.Error: message`; the name is that of an exception.
    Thrown,
    /// `pkg.Error` without a message.
    BareThrown,
    /// `name: message`.
    TypeAndMessage,
    /// `name` alone, which may also be the name of a field.
    Type,
    /// A field's path such as `items.0.name`, or `a[0]`.
    Field,
    /// A line that only continues a message.
    MessageMore,
    /// `Exception in thread "main" pkg.Error: message`, `Unhandled exception. Pkg.Error: message`.
    Uncaught,
    /// `Caused by: pkg.Error: message`, `Wrapped by: `, or `Caused by:` alone.
    Cause,
    /// Another unindented line that only continues a stack trace.
    StackMore,
    /// The date line of java.util.logging.
    JavaDate,
    /// `panic: `, `fatal error: ` of Go.
    GoPanic,
    /// `goroutine 1 [running]:`.
    Goroutine,
    /// `main.f(...)`, `created by main.f`.
    GoCall,
    /// `/app/x.js:3`, where Node reports an uncaught exception.
    NodePlace,
    /// `x.rb:3:in 'f'`.
    RubyFrame,
    /// `x.rb:3:in 'f': message (Error)`.
    RubyThrown,
    /// `thread 'main' panicked at src/main.rs:3:5:`, followed by a line with the message.
    RustPanic,
    /// `thread 'main' panicked at 'message', src/main.rs:3:5`.
    RustPanicOld,
    /// `stack backtrace:`, `Stack trace:`, `[stacktrace]`, `#0 /x.php(3): f()`, `** (Error) text`.
    StackTitle,
    /// `Last message: `, `State: ` and other parts of an Elixir report after its stack.
    ElixirMore,
    /// `=ERROR REPORT==== 29-Nov-2026::18:14:45.479123 ===`.
    ErlangReport,
    /// `** Reason for termination ==` inside such a report.
    ErlangMore,
    /// An Erlang tuple, `{badarith,[...`.
    ErlangTerm,
    /// Any other line.
    Other,
}

/// The longest name of an exception or of a field that is examined.
const NAME_BYTES_MAX: usize = 200;

/// How much of a line with colour codes is classified.
const PLAIN_BYTES_MAX: usize = 512;

/// The characters that rich uses for the corners and sides of a box.
const BOX_TOP: &[u8] = b"\xe2\x95\xad\xe2\x94\x80";
const BOX_SIDE: &[u8] = b"\xe2\x94\x82";
const BOX_BOTTOM: &[u8] = b"\xe2\x95\xb0\xe2\x94\x80";

impl LineKind {
    /// Classifies a line, with or without its end. Ignores colour codes if it begins with one.
    pub(crate) fn of(line: &[u8]) -> LineKind {
        let line = without_end(line);
        if line.first() == Some(&0x1b) {
            let mut plain = [0; PLAIN_BYTES_MAX];
            let length = header::without_colours(line, &mut plain);
            return LineKind::of_plain(&plain[..length]);
        }
        LineKind::of_plain(line)
    }

    /// Classifies a line that does not begin with a colour code.
    fn of_plain(line: &[u8]) -> LineKind {
        let Some(first) = line.first() else { return LineKind::Empty };
        match first {
            b' ' | b'\t' => indented(line),
            b'T' if line == b"Traceback (most recent call last):" => LineKind::Header,
            b'T' | b'D' if is_chain(line) => LineKind::Chain,
            b'S' if line == b"Stack (most recent call last):" => LineKind::StackHeader,
            b'S' | b's' | b'P' if is_stack_title(line) => LineKind::StackTitle,
            b'N' if line == b"NoneType: None" => LineKind::NoException,
            b'>' if line.starts_with(b"> File \"") => LineKind::MarkedFrame,
            b'{' if is_erlang_term(line) => LineKind::ErlangTerm,
            b'0'..=b'9' => match cri::prefix(line) {
                0 => LineKind::Start,
                // not stripped twice: a line of prefixes only would recurse as deep as it is long
                length if line.get(length).is_some_and(u8::is_ascii_digit) => LineKind::Start,
                length => LineKind::of(&line[length..]),
            },
            b'{' => LineKind::Start,
            b'=' => erlang_report(line),
            b'*' if line.starts_with(b"** (") => LineKind::StackTitle,
            b'*' if line.starts_with(b"** ") => LineKind::ErlangMore,
            b'#' if is_php_frame(line) => LineKind::StackTitle,
            b'[' if line == b"[stacktrace]" => LineKind::StackTitle,
            b'}' | b']' if line.len() <= 2 => LineKind::StackMore,
            b'/' => place(line),
            0xe2 => boxed(line),
            b'+' | b'|' => ascii_box(line),
            _ => unindented(line),
        }
    }

    /// Returns whether the line begins with white space.
    pub(super) fn is_indented(self) -> bool {
        matches!(
            self,
            LineKind::Indented
                | LineKind::Tabbed
                | LineKind::IndentedDigit
                | LineKind::IndentedLevel
                | LineKind::Frame
                | LineKind::GroupHeader
        )
    }

    /// Returns whether a stack trace begins with this line if it follows a text line.
    pub(crate) fn opens_stack(self) -> bool {
        matches!(
            self,
            LineKind::Frame
                | LineKind::Header
                | LineKind::GroupHeader
                | LineKind::BoxTop
                | LineKind::Cause
                | LineKind::Goroutine
                | LineKind::RubyFrame
                | LineKind::StackTitle
        )
    }
}

/// Returns the line without its newline and carriage return.
pub(super) fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn unindented(line: &[u8]) -> LineKind {
    if STACK_MORE.iter().any(|key| line.starts_with(key)) {
        return LineKind::StackMore;
    }
    if MESSAGE_MORE.iter().any(|key| line.starts_with(key)) {
        return LineKind::MessageMore;
    }
    if ASYNCIO.iter().any(|key| line.starts_with(key)) {
        return LineKind::AsyncioContext;
    }
    if ELIXIR_MORE.iter().any(|key| line.starts_with(key)) {
        return LineKind::ElixirMore;
    }
    match opener(line) {
        LineKind::Other => {}
        found => return found,
    }
    if header::is_java_level(line) {
        return LineKind::LevelAndMessage;
    }
    if header::begins_record(line) {
        return LineKind::Start;
    }
    if is_go_call(line) {
        return LineKind::GoCall;
    }
    match ruby(line) {
        LineKind::Other => named(line),
        found => found,
    }
}

/// Classifies lines with which a runtime begins the report of an uncaught exception.
fn opener(line: &[u8]) -> LineKind {
    let starts = |all: &[&[u8]]| all.iter().any(|start| line.starts_with(start));
    match line[0] {
        b'E' if starts(&[b"Exception in thread \""]) => LineKind::Uncaught,
        b'U' if starts(&[b"Unhandled exception. ", b"Unhandled Exception: "]) => LineKind::Uncaught,
        b'C' if starts(&[b"Caused by:"]) => LineKind::Cause,
        b'W' if starts(&[b"Wrapped by: "]) => LineKind::Cause,
        b'p' if starts(&[b"panic: "]) => LineKind::GoPanic,
        b'f' if starts(&[b"fatal error: "]) => LineKind::GoPanic,
        b'f' if starts(&[b"file:///"]) => place(line),
        b'n' if starts(&[b"node:internal/"]) => place(line),
        b'g' if starts(&[b"goroutine "]) && line.ends_with(b"]:") => LineKind::Goroutine,
        b't' if starts(&[b"thread '"]) && has(line, b"' panicked at ") => {
            if line.ends_with(b":") {
                LineKind::RustPanic
            } else {
                LineKind::RustPanicOld
            }
        }
        b't' if starts(&[b"thread '"]) && has(line, b") panicked at ") => LineKind::RustPanic,
        b'J' | b'F' | b'M' | b'A' | b'S' | b'O' | b'N' | b'D' if header::is_java_date(line) => {
            LineKind::JavaDate
        }
        _ => LineKind::Other,
    }
}

fn indented(line: &[u8]) -> LineKind {
    if line == b"  + Exception Group Traceback (most recent call last):" {
        return LineKind::GroupHeader;
    }
    let blanks = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let rest = &line[blanks..];
    if is_frame(rest) || line[0] == b'\t' && is_go_place(rest) {
        return LineKind::Frame;
    }
    if rest.starts_with(BOX_TOP) && has(rest, b" Traceback (most recent call last) ") {
        return LineKind::BoxTop;
    }
    if header::level_at(rest) {
        return LineKind::IndentedLevel;
    }
    match rest.first() {
        _ if line[0] == b'\t' => LineKind::Tabbed,
        Some(b'0'..=b'9' | b'<') => LineKind::IndentedDigit,
        Some(b'[') if matches!(rest.get(1), Some(b'0'..=b'9')) => LineKind::IndentedDigit,
        Some(_) if header::has_level(rest) => LineKind::IndentedDigit,
        _ => LineKind::Indented,
    }
}

/// Returns whether `rest`, the line without indentation, is a frame.
fn is_frame(rest: &[u8]) -> bool {
    match rest.first() {
        Some(b'a') => rest.starts_with(b"at ") && is_place(&rest[3..]),
        Some(b'.') => rest.starts_with(b"... ") && rest.get(4).is_some_and(u8::is_ascii_digit),
        Some(b'F') => rest.starts_with(b"File \""),
        Some(b'f') => rest.starts_with(b"from ") && has(rest, b":in "),
        Some(b'-') => rest.starts_with(b"---> ") || rest.starts_with(b"--- End of "),
        Some(b'C') => rest.starts_with(b"Caused by: "),
        Some(b'S') => rest.starts_with(b"Suppressed: "),
        Some(b'*') => rest.starts_with(b"** ("),
        Some(b't') => rest.starts_with(b"thrown in "),
        Some(b'#') => is_php_frame(rest),
        Some(b'/') => has(rest, b".go:"),
        Some(b'(' | b'a'..=b'z') => {
            [&b".ex:"[..], b".exs:", b".erl:"].iter().any(|end| has(rest, end)) && has(rest, b": ")
        }
        _ => false,
    }
}

/// Matches `module/file.go:12`, as binaries write it that were built with `-trimpath`, and the
/// offset that a panic adds: `module/file.go:12 +0x1d`.
fn is_go_place(rest: &[u8]) -> bool {
    let Some(at) = rest.windows(4).position(|part| part == b".go:") else { return false };
    let digits = rest[at + 4..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let behind = &rest[at + 4 + digits..];
    digits > 0 && (behind.is_empty() || behind.starts_with(b" +0x")) && !rest[..at].contains(&b' ')
}

/// Returns whether `at ` precedes a call with parentheses or a location, as in no sentence.
fn is_place(rest: &[u8]) -> bool {
    if rest.ends_with(b")") || has(rest, b":line ") || rest.starts_with(b"async ") {
        return true;
    }
    if has(rest, b".rs:") {
        return false;
    }
    let number = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    // Node: `at file:1:2`, ` {` before properties; Kotlin and log4j: `(F.kt:1) [a.jar:?]`
    number > 0 && rest.get(rest.len() - number - 1) == Some(&b':')
        || rest.ends_with(b" {")
        || rest.ends_with(b"]") && has(rest, b"(")
}

fn has(line: &[u8], text: &[u8]) -> bool {
    memchr::memmem::find(line, text).is_some()
}

fn is_chain(line: &[u8]) -> bool {
    line == b"During handling of the above exception, another exception occurred:"
        || line == b"The above exception was the direct cause of the following exception:"
}

fn is_stack_title(line: &[u8]) -> bool {
    let titles: [&[u8]; 5] =
        [b"Stack trace:", b"stack backtrace:", b"Stack backtrace:", b"PHP Stack trace:", b"Stack:"];
    titles.contains(&line) || line.starts_with(b"PHP   ")
}

/// Matches `#0 /app/x.php(3): f()`, `#1 [internal function]: g()`, `#2 {main}`.
fn is_php_frame(line: &[u8]) -> bool {
    let digits = line[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = &line[1 + digits..];
    digits > 0 && rest.starts_with(b" ") && (rest.ends_with(b"}") || has(rest, b": "))
}

fn is_erlang_term(line: &[u8]) -> bool {
    matches!(line, [b'{', b'a'..=b'z' | b'{' | b'\'', ..]) && has(line, b",")
}

fn erlang_report(line: &[u8]) -> LineKind {
    let is_report = line[1..].first().is_some_and(u8::is_ascii_uppercase)
        && (has(line, b" REPORT==== ") || has(line, b" REPORT===="));
    if is_report { LineKind::ErlangReport } else { LineKind::Other }
}

/// Matches `/app/x.js:3`, `node:internal/x:3`; `/app/x.rb:3:in 'f'`; gin's `/x.go:3 (0x1)`.
fn place(line: &[u8]) -> LineKind {
    if has(line, b".go:") && line.ends_with(b")") {
        return LineKind::StackTitle;
    }
    match ruby(line) {
        LineKind::Other => {}
        found => return found,
    }
    let digits = line.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let path = &line[..line.len() - digits];
    let is_script = [&b".js:"[..], b".cjs:", b".mjs:", b".ts:", b".jsx:", b".tsx:"]
        .iter()
        .any(|end| path.ends_with(end))
        || path.starts_with(b"node:") && path.ends_with(b":");
    if digits > 0 && is_script && !path.contains(&b' ') {
        LineKind::NodePlace
    } else {
        LineKind::Other
    }
}

/// Matches `x.rb:3:in 'f'`, with or without an exception.
fn ruby(line: &[u8]) -> LineKind {
    let near = &line[..line.len().min(2 * NAME_BYTES_MAX)];
    let Some(at) = memchr::memmem::find(near, b":in ") else { return LineKind::Other };
    let path = &line[..at];
    let digits = path.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let is_numbered = digits > 0 && path[..path.len() - digits].ends_with(b":");
    if !is_numbered || path.contains(&b' ') {
        return LineKind::Other;
    }
    let is_quote = |byte: &u8| matches!(byte, b'\'' | b'`');
    if !line.get(at + 4).is_some_and(is_quote) {
        return LineKind::Other;
    }
    if line.ends_with(b"'") { LineKind::RubyFrame } else { LineKind::RubyThrown }
}

fn boxed(line: &[u8]) -> LineKind {
    if line.starts_with(BOX_TOP) {
        let is_traceback = has(line, b" Traceback (most recent call last) ");
        return if is_traceback { LineKind::BoxTop } else { LineKind::Box };
    }
    let is_box = line.starts_with(BOX_SIDE) || line.starts_with(BOX_BOTTOM);
    if is_box { LineKind::Box } else { LineKind::Other }
}

/// Matches the same box drawn in ASCII.
fn ascii_box(line: &[u8]) -> LineKind {
    if line.starts_with(b"+---") && has(line, b" Traceback (most recent call last) ") {
        return LineKind::BoxTop;
    }
    let is_box = line.starts_with(b"|") && line.ends_with(b"|") && line.len() > 1
        || line.starts_with(b"+---") && line.ends_with(b"---+");
    if is_box { LineKind::Box } else { LineKind::Other }
}

/// Matches `main.f(...)`, `(*conn).serve(0x1, ...)`, `created by x`; zap's without arguments.
fn is_go_call(line: &[u8]) -> bool {
    if line.starts_with(b"created by ") {
        return true;
    }
    let is_path = |b: &u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/' | b'*' | b'[' | b']')
    };
    let mut rest = line;
    let mut dots = 0;
    while let Some(byte) = rest.first() {
        match byte {
            b'(' if rest.starts_with(b"(*") => {}
            b')' => {}
            b'(' => return dots > 0 && line.ends_with(b")"),
            byte if is_path(byte) => dots += usize::from(*byte == b'.'),
            _ => return false,
        }
        rest = &rest[1..];
    }
    dots > 0 && !line.ends_with(b".")
}

/// Classifies a line that starts with a name.
fn named(line: &[u8]) -> LineKind {
    let is_name =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'<' | b'>' | b'$' | b'\\');
    if !matches!(line[0], b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'\\') {
        return LineKind::Other;
    }
    let length = line.iter().take(NAME_BYTES_MAX).take_while(|byte| is_name(byte)).count();
    let name = &line[..length];
    match &line[length..] {
        [] if is_exception(name) => LineKind::BareThrown,
        [b':'] | [b':', b' ', ..] if is_exception(name) => LineKind::Thrown,
        // Node: `Error [ERR_X]: text`; Rails: `Error (text):`
        [b' ', b'[' | b'(', rest @ ..] if is_exception(name) && has(rest, b":") => LineKind::Thrown,
        [] => LineKind::Type,
        [b':'] | [b':', b' ', ..] => LineKind::TypeAndMessage,
        rest if rest.len() < NAME_BYTES_MAX
            && rest.iter().all(|b| is_name(b) || matches!(b, b'[' | b']' | b'-')) =>
        {
            LineKind::Field
        }
        _ => LineKind::Other,
    }
}

/// Returns whether a name is an exception's: by its suffix, or as a class in a package or class.
pub(crate) fn is_exception(name: &[u8]) -> bool {
    let ends: [&[u8]; 9] = [
        b"Error",
        b"Exception",
        b"Warning",
        b"Interrupt",
        b"Exit",
        b"Throwable",
        b"Failure",
        b"Err",
        b"Rejection",
    ];
    let last = name.rsplit(|b| matches!(b, b'.' | b'$' | b'\\' | b':')).next().unwrap_or(name);
    let is_class = last.first().is_some_and(u8::is_ascii_uppercase);
    is_class && (ends.iter().any(|end| last.ends_with(end)) || is_inner(name, last))
}

/// Matches `java.util.concurrent.Timeout`, `App$Bad`: the prefix makes it a class.
fn is_inner(name: &[u8], last: &[u8]) -> bool {
    let before = name.len() - last.len();
    let is_word = last.iter().any(u8::is_ascii_lowercase);
    before > 1 && is_word && (name[before - 1] == b'$' || name[..before].contains(&b'.'))
}
