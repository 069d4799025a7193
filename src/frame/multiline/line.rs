//! What a line is to a traceback, by its own bytes alone. Unit: one line.

/// The kinds of lines that the grammar of a record tells apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Line {
    /// Nothing but its end.
    Empty,
    /// Starts with a space or a tab.
    Indented,
    /// `Traceback (most recent call last):`.
    Header,
    /// `  + Exception Group Traceback (most recent call last):`.
    GroupHeader,
    /// `Stack (most recent call last):`, of `stack_info=True`.
    StackHeader,
    /// The sentence between two chained exceptions.
    Chain,
    /// `NoneType: None`: `exc_info=True` outside of a handler.
    NoException,
    /// `future: <Task ...>` and its like, which asyncio writes between message and traceback.
    AsyncioContext,
    /// `pkg.Type: message`.
    TypeAndMessage,
    /// `pkg.Type` alone; may be the name of a field as well.
    Type,
    /// A field's path such as `items.0.name`, or `a[0]`.
    Field,
    /// A line that only continues a message.
    MessageMore,
    /// Any other.
    Other,
}

/// How lines begin that continue an exception's message and that no logger begins a record with.
const MESSAGE_MORE: [&[u8]; 20] = [
    b"DETAIL: ",
    b"HINT: ",
    b"CONTEXT: ",
    b"QUERY: ",
    b"LINE 1:",
    b"[SQL: ",
    b"[parameters: ",
    b"[raw parameters: ",
    b"(Background on this error at: ",
    b"FROM ",
    b"WHERE ",
    b"ORDER BY ",
    b"GROUP BY ",
    b"HAVING ",
    b"LIMIT ",
    b"VALUES ",
    b"SET ",
    b"RETURNING ",
    b"LEFT OUTER JOIN ",
    b"JOIN ",
];

/// The keys of asyncio's exception context whose values are objects.
const ASYNCIO: [&[u8]; 5] =
    [b"future: <", b"task: <", b"handle: <", b"protocol: <", b"transport: <"];

/// Names that stand before a colon and are levels, not exceptions.
const LEVELS: [&[u8]; 10] = [
    b"DEBUG",
    b"INFO",
    b"WARNING",
    b"WARN",
    b"ERROR",
    b"CRITICAL",
    b"FATAL",
    b"TRACE",
    b"NOTICE",
    b"LOG",
];

/// The longest name of an exception or of a field that is looked at.
const NAME_BYTES_MAX: usize = 200;

impl Line {
    /// What the line is; its end may be there or not.
    pub(super) fn of(line: &[u8]) -> Line {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(first) = line.first() else { return Line::Empty };
        match first {
            b' ' if line == b"  + Exception Group Traceback (most recent call last):" => {
                Line::GroupHeader
            }
            b' ' | b'\t' => Line::Indented,
            b'T' if line == b"Traceback (most recent call last):" => Line::Header,
            b'T' if is_chain(line) => Line::Chain,
            b'D' if is_chain(line) => Line::Chain,
            b'S' if line == b"Stack (most recent call last):" => Line::StackHeader,
            b'N' if line == b"NoneType: None" => Line::NoException,
            b'0'..=b'9' | b'{' => Line::Other,
            b'f' | b't' | b'h' | b'p' if ASYNCIO.iter().any(|key| line.starts_with(key)) => {
                Line::AsyncioContext
            }
            b'A'..=b'Z' | b'[' | b'(' if MESSAGE_MORE.iter().any(|key| line.starts_with(key)) => {
                Line::MessageMore
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => named(line),
            _ => Line::Other,
        }
    }
}

fn is_chain(line: &[u8]) -> bool {
    line == b"During handling of the above exception, another exception occurred:"
        || line == b"The above exception was the direct cause of the following exception:"
}

/// A line that starts with a letter.
fn named(line: &[u8]) -> Line {
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'<' | b'>');
    let length = line.iter().take(NAME_BYTES_MAX).take_while(|byte| is_name(byte)).count();
    if LEVELS.contains(&&line[..length]) {
        return Line::Other;
    }
    match &line[length..] {
        [] => Line::Type,
        [b':'] | [b':', b' ', ..] => Line::TypeAndMessage,
        rest if rest.len() < NAME_BYTES_MAX
            && rest.iter().all(|b| is_name(b) || matches!(b, b'[' | b']' | b'-')) =>
        {
            Line::Field
        }
        _ => Line::Other,
    }
}

/// Whether a line's first bytes say that it is JSON, logfmt or an access line: nothing is ever joined to
/// such a line, so that it settles at once.
pub(super) fn is_never_joined_to(line: &[u8]) -> bool {
    match line {
        [b'{', ..] => true,
        [b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'@', ..] if is_logfmt(line) => true,
        [b'0'..=b'9' | b'a'..=b'z' | b':' | b'-' | b'[', ..] => is_access(line),
        _ => false,
    }
}

/// `key=` within the first 40 bytes.
fn is_logfmt(line: &[u8]) -> bool {
    let is_key = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'@');
    let length = line.iter().take(40).take_while(|byte| is_key(byte)).count();
    line.get(length) == Some(&b'=')
}

/// `address word word [dd/`, within the first 160 bytes.
fn is_access(line: &[u8]) -> bool {
    let mut at = 0;
    for _ in 0..3 {
        let rest = &line[at..line.len().min(160)];
        let Some(space) = rest.iter().position(|byte| *byte == b' ') else { return false };
        if space == 0 {
            return false;
        }
        at += space + 1;
    }
    matches!(line[at..], [b'[', b'0'..=b'9', b'0'..=b'9', b'/', ..])
}
