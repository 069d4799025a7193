//! Splits a condition's text into words, numbers, strings and signs, each with its offset. Knows no
//! fields and no rules.

use crate::record::number;
use crate::rules::syntax::SyntaxError;

/// A comparison operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Returns the same relation with swapped sides: `3 < x` is `x > 3`.
    pub(super) fn flipped(self) -> Comparison {
        match self {
            Comparison::Equal => Comparison::Equal,
            Comparison::Unequal => Comparison::Unequal,
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        }
    }
}

/// One token of a condition.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token<'text> {
    /// A dotted path, a function's or an operator's name.
    Word(&'text str),
    /// A field's name in backquotes, for names that are not words.
    Field(&'text str),
    /// A string with its escapes resolved.
    Text(String),
    /// A number.
    Number(f64),
    /// A number with a unit of time, in seconds.
    Seconds(f64),
    Comparison(Comparison),
    And,
    Or,
    Not,
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
    End,
}

/// Splits the text; the last token is `End`.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token<'_>)>, SyntaxError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.as_bytes().get(at) {
        if byte.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let (token, end) = token(text, at, byte)?;
        // A raw string begins at its quote, so that offsets inside it count from there.
        let raw = byte == b'r' && matches!(token, Token::Text(_));
        found.push((at + usize::from(raw), token));
        at = end;
    }
    found.push((text.len(), Token::End));
    Ok(found)
}

fn token(text: &str, at: usize, byte: u8) -> Result<(Token<'_>, usize), SyntaxError> {
    let two = text.as_bytes().get(at + 1).copied().unwrap_or(0);
    let sign = |token, length: usize| Ok((token, at + length));
    match (byte, two) {
        (b'&', b'&') => sign(Token::And, 2),
        (b'|', b'|') => sign(Token::Or, 2),
        (b'=', b'=') => sign(Token::Comparison(Comparison::Equal), 2),
        (b'!', b'=') => sign(Token::Comparison(Comparison::Unequal), 2),
        (b'<', b'=') => sign(Token::Comparison(Comparison::LessOrEqual), 2),
        (b'>', b'=') => sign(Token::Comparison(Comparison::GreaterOrEqual), 2),
        (b'<', _) => sign(Token::Comparison(Comparison::Less), 1),
        (b'>', _) => sign(Token::Comparison(Comparison::Greater), 1),
        (b'=' | b'!', b'~') => {
            Err(unknown_operator(at, &text[at..at + 2], "matches, as in `field.matches(\"...\")`"))
        }
        (b'!', _) => sign(Token::Not, 1),
        (b'(', _) => sign(Token::Open, 1),
        (b')', _) => sign(Token::Close, 1),
        (b'[', _) => sign(Token::OpenList, 1),
        (b']', _) => sign(Token::CloseList, 1),
        (b',', _) => sign(Token::Comma, 1),
        (b'r', b'"' | b'\'') => string(text, at + 1, two, Escapes::Kept),
        (b'"' | b'\'', _) => string(text, at, byte, Escapes::Undone),
        (b'`', _) => quoted_field(text, at),
        (b'0'..=b'9', _) | (b'-' | b'.', b'0'..=b'9') => quantity(text, at),
        _ if begins_word(byte) => Ok(word(text, at)),
        (b'=', _) => Err(unknown_operator(at, "=", "`==`")),
        (b'&', _) => Err(unknown_operator(at, "&", "`&&`")),
        (b'|', _) => Err(unknown_operator(at, "|", "`||`")),
        _ => Err(unexpected(text, at)),
    }
}

#[cold]
fn unknown_operator(at: usize, sign: &str, meant: &str) -> SyntaxError {
    SyntaxError::new(at, format!("unknown operator `{sign}`")).hint(format!("use {meant}"))
}

#[cold]
fn unexpected(text: &str, at: usize) -> SyntaxError {
    let character = text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or('?');
    let error = SyntaxError::new(at, format!("unexpected `{}`", character.escape_debug()));
    if character.is_ascii() {
        return error;
    }
    error.hint("put a field's name that is no plain word in backquotes, text in quotes")
}

fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b'@'
}

/// Reads a word: letters, digits, `_ @ $`; a dot or a hyphen only between them, so that `a.b` and
/// `user-agent` are single words.
fn word(text: &str, start: usize) -> (Token<'_>, usize) {
    let bytes = text.as_bytes();
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'@' | b'$');
    let mut end = start;
    while let Some(&byte) = bytes.get(end) {
        let joins = matches!(byte, b'.' | b'-') && bytes.get(end + 1).is_some_and(|b| inner(*b));
        if !inner(byte) && !joins {
            break;
        }
        end += 1;
    }
    (Token::Word(&text[start..end]), end)
}

fn quoted_field(text: &str, start: usize) -> Result<(Token<'_>, usize), SyntaxError> {
    let Some(length) = text[start + 1..].find('`') else {
        return Err(SyntaxError::new(start, "a backquote is not closed"));
    };
    if length == 0 {
        return Err(SyntaxError::new(start, "a field's name is empty"));
    }
    let end = start + 1 + length;
    Ok((Token::Field(&text[start + 1..end]), end + 1))
}

/// Reads a number, or a number followed by units of time: `250ms`, `1m30s`.
fn quantity(text: &str, start: usize) -> Result<(Token<'_>, usize), SyntaxError> {
    let bytes = text.as_bytes();
    let mut end = start + 1;
    while let Some(&byte) = bytes.get(end) {
        let exponent = matches!(byte, b'+' | b'-') && matches!(bytes[end - 1], b'e' | b'E');
        if !byte.is_ascii_alphanumeric() && byte != b'.' && !exponent {
            break;
        }
        end += 1;
    }
    let written = &text[start..end];
    if let Some(number) = number::decimal(written) {
        return Ok((Token::Number(number), end));
    }
    if let Some(seconds) = number::with_unit(written) {
        return Ok((Token::Seconds(seconds), end));
    }
    Err(SyntaxError::new(start, format!("`{written}` is neither a number nor a duration"))
        .hint("durations end in ns, us, ms, s, m or h; text stands in quotes"))
}

/// Whether backslashes in a string are escapes: not in `r"..."`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Undone,
    Kept,
}

fn string(
    text: &str,
    open: usize,
    quote: u8,
    escapes: Escapes,
) -> Result<(Token<'_>, usize), SyntaxError> {
    let mut value = String::new();
    let mut rest = text[open + 1..].char_indices();
    while let Some((index, character)) = rest.next() {
        let at = open + 1 + index;
        if character == quote as char {
            return Ok((Token::Text(value), at + 1));
        }
        if character != '\\' || escapes == Escapes::Kept {
            value.push(character);
            continue;
        }
        match rest.next().map(|(_, escaped)| escaped) {
            Some('n') => value.push('\n'),
            Some('t') => value.push('\t'),
            Some('r') => value.push('\r'),
            Some(same @ ('\\' | '"' | '\'' | '/' | '`')) => value.push(same),
            Some('x') => value.push(code(&mut rest, at, 2)?),
            Some('u') => value.push(code(&mut rest, at, 4)?),
            Some(other) => {
                return Err(SyntaxError::new(at, format!("unknown escape `\\{other}`")).hint(
                    format!("write `\\\\{other}`, or r\"...\" where a backslash is itself"),
                ));
            }
            None => break,
        }
    }
    Err(SyntaxError::new(open, "a string is not closed")
        .hint(format!("close it with `{}`", quote as char)))
}

fn code(rest: &mut std::str::CharIndices<'_>, at: usize, digits: u32) -> Result<char, SyntaxError> {
    let mut value = 0;
    for _ in 0..digits {
        let digit = rest.next().and_then(|(_, character)| character.to_digit(16));
        let Some(digit) = digit else {
            return Err(SyntaxError::new(at, format!("an escape wants {digits} hex digits")));
        };
        value = value * 16 + digit;
    }
    char::from_u32(value).ok_or_else(|| SyntaxError::new(at, "an escape names no character"))
}
