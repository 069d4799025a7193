//! Parses the formats of Python's `logging` in its three styles, and those of loguru. Unit: one
//! format.

use super::builder::padding;
use super::dates;
use super::notation::{Context, Cursor, Draft, Piece};
use crate::decode::formats::program::{Padding, Shape};
use crate::record::field::{
    BODY, CLIENT_ADDRESS, CODE_FILE, CODE_LINE, FUNCTION, HTTP_STATUS, LOGGER, PYTHON_LEVEL,
    REQUEST_LINE, SEVERITY, THREAD, TIMESTAMP,
};
use crate::rules::settings::Notation;
use crate::rules::syntax::{SyntaxError, nearest};

/// The attributes of a LogRecord; a format may name others, which the application adds.
const ATTRIBUTES: &[&str] = &[
    "asctime",
    "created",
    "filename",
    "funcName",
    "levelname",
    "levelno",
    "lineno",
    "message",
    "module",
    "msecs",
    "name",
    "pathname",
    "process",
    "processName",
    "relativeCreated",
    "taskName",
    "thread",
    "threadName",
];

/// Parses a format of `logging`.
///
/// # Errors
/// Returns the first thing that is no format.
pub(super) fn parse(context: &Context<'_>) -> Result<Vec<Piece>, SyntaxError> {
    let text = context.settings.pattern.as_str();
    let style = context.settings.style.unwrap_or_else(|| {
        let has = |start| text.contains(start);
        if has("%(") {
            '%'
        } else if has("{") && !has("${") {
            '{'
        } else if has("$") {
            '$'
        } else {
            '%'
        }
    });
    match style {
        '{' => braces(text, context, attribute),
        '$' => dollars(text, context),
        _ => percents(text, context),
    }
}

/// Parses a format of loguru; the tags of its colours are removed.
///
/// # Errors
/// Returns the first thing that is no format.
pub(super) fn parse_loguru(context: &Context<'_>) -> Result<Vec<Piece>, SyntaxError> {
    braces(&context.settings.pattern, context, loguru_attribute)
}

/// What a field is written with.
#[derive(Clone, Copy, Debug, Default)]
struct Spec {
    width: Option<u16>,
    most: Option<u16>,
    is_left_aligned: bool,
    /// The type of the conversion, `s` if there is none.
    kind: char,
}

/// Parses `%(name)-8s`.
fn percents(text: &str, context: &Context<'_>) -> Result<Vec<Piece>, SyntaxError> {
    let mut cursor = Cursor::new(text);
    let mut pieces = Vec::new();
    while let Some(character) = cursor.peek() {
        let from = cursor.at;
        if character == '\n' || character == '\r' {
            cursor.next();
            pieces.push(Piece::LineEnd(from));
            continue;
        }
        if character != '%' {
            pieces.push(Piece::literal(cursor.take_while(|c| !matches!(c, '%' | '\n' | '\r'))));
            continue;
        }
        cursor.next();
        if cursor.take("%") {
            pieces.push(Piece::literal("%"));
            continue;
        }
        if !cursor.take("(") {
            let error = SyntaxError::new(from, "`%` without a name behind it");
            return Err(error.hint("as in %(message)s; a percent sign is %%"));
        }
        let name_at = cursor.at;
        let name = cursor.take_while(|c| c != ')');
        if !cursor.take(")") {
            return Err(SyntaxError::new(from, "`%(` is not closed by `)`"));
        }
        let flags = cursor.take_while(|c| "#0- +".contains(c));
        let width = cursor.number()?;
        let most = if cursor.take(".") { cursor.number()? } else { None };
        let kind_at = cursor.at;
        let kind = cursor.next().filter(|kind| "diouxXeEfFgGcrsa".contains(*kind));
        let Some(kind) = kind else {
            let message = format!("the conversion of `%({name})` is missing or unknown");
            let hint = format!("as in %({name})s");
            return Err(SyntaxError::new(kind_at, message).hint(hint));
        };
        let most = most.filter(|_| "sra".contains(kind));
        let spec = Spec { width, most, is_left_aligned: flags.contains('-'), kind };
        attribute(name, name_at, spec, cursor.since(from), context, &mut pieces)?;
    }
    Ok(pieces)
}

type Attribute =
    fn(&str, usize, Spec, &str, &Context<'_>, &mut Vec<Piece>) -> Result<(), SyntaxError>;

/// Parses `{name:<8}`.
fn braces(
    text: &str,
    context: &Context<'_>,
    attribute: Attribute,
) -> Result<Vec<Piece>, SyntaxError> {
    let is_loguru = context.settings.notation == Notation::Loguru;
    let mut cursor = Cursor::new(text);
    let mut pieces = Vec::new();
    while let Some(character) = cursor.peek() {
        let from = cursor.at;
        match character {
            '\n' | '\r' => {
                cursor.next();
                pieces.push(Piece::LineEnd(from));
            }
            '{' => {
                cursor.next();
                if cursor.take("{") {
                    pieces.push(Piece::literal("{"));
                    continue;
                }
                let inside = cursor.take_while(|c| c != '}' && c != '{');
                if !cursor.take("}") {
                    let error = SyntaxError::new(from, "`{` is not closed by `}`");
                    return Err(error.hint("a brace that is no field is written twice"));
                }
                braced(inside, from, cursor.since(from), context, attribute, &mut pieces)?;
            }
            '}' => {
                cursor.next();
                if !cursor.take("}") {
                    let error = SyntaxError::new(from, "`}` closes nothing");
                    return Err(error.hint("a brace that is no field is written twice"));
                }
                pieces.push(Piece::literal("}"));
            }
            '\\' if is_loguru && cursor.rest().starts_with("\\<") => {
                cursor.at += 2;
                pieces.push(Piece::literal("<"));
            }
            '<' if is_loguru && tag(cursor.rest()) > 0 => cursor.at += tag(cursor.rest()),
            _ => {
                cursor.next();
                cursor.take_while(|c| !matches!(c, '{' | '}' | '<' | '\\' | '\n' | '\r'));
                pieces.push(Piece::literal(cursor.since(from)));
            }
        }
    }
    Ok(pieces)
}

/// Returns the length of a tag of colours, `<green>`, `</level>`, `</>`; 0 for other text.
fn tag(rest: &str) -> usize {
    let inside = rest[1..].split('>').next().unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | ' ' | '#' | ',' | '-');
    let is_tag = rest.len() > inside.len() + 1 && !inside.is_empty() && inside.chars().all(is_name);
    if is_tag { inside.len() + 2 } else { 0 }
}

/// Parses what is between braces: `name!r:<8.8s`.
fn braced(
    inside: &str,
    from: usize,
    written: &str,
    context: &Context<'_>,
    attribute: Attribute,
    pieces: &mut Vec<Piece>,
) -> Result<(), SyntaxError> {
    let (name, spec_text) = inside.split_once(':').unwrap_or((inside, ""));
    let name = name.split('!').next().unwrap_or_default();
    let is_loguru = context.settings.notation == Notation::Loguru;
    let spec_at = from + 1 + inside.len() - spec_text.len();
    if is_loguru && name == "time" {
        let (parts, zone) = dates::loguru(spec_text, spec_at)?;
        let draft = Draft { zone, ..Draft::text("time", written, from).timed(parts) };
        pieces.push(draft.piece());
        return Ok(());
    }
    let spec = format_spec(spec_text, spec_at, is_number(name))?;
    attribute(name, from + 1, spec, written, context, pieces)
}

/// Parses Python's format specification: `<8`, `>4d`, `03.0f`, `.1`.
fn format_spec(text: &str, at: usize, is_number: bool) -> Result<Spec, SyntaxError> {
    let mut cursor = Cursor::new(text);
    let mut align = None;
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(fill), Some(sign @ ('<' | '>' | '^' | '='))) => {
            if fill != ' ' && fill != '0' {
                let message = format!("a value that is filled up with `{fill}` cannot be read");
                return Err(SyntaxError::new(at, message).hint("fill it up with spaces"));
            }
            cursor.at = fill.len_utf8() + 1;
            align = Some(sign);
        }
        (Some(sign @ ('<' | '>' | '^' | '=')), _) => {
            cursor.at = 1;
            align = Some(sign);
        }
        _ => {}
    }
    if align == Some('^') {
        let error = SyntaxError::new(at, "a centred value cannot be read");
        return Err(error.hint("align it to the left or to the right"));
    }
    cursor.take_while(|c| "+- #".contains(c));
    let has_zeros = cursor.rest().starts_with('0');
    let width = cursor.number()?.filter(|_| !has_zeros);
    let most = if cursor.take(".") { cursor.number()? } else { None };
    cursor.take_while(|c| c == ',' || c == '_');
    let kind = cursor.next();
    if cursor.peek().is_some() || kind.is_some_and(|kind| !"bcdeEfFgGnosxX%".contains(kind)) {
        let message = format!("`{text}` is no specification of a format");
        return Err(SyntaxError::new(at, message).hint("as in {levelname:<8}"));
    }
    let kind = kind.unwrap_or('s');
    let is_left_aligned = align.map_or(!is_number, |align| align == '<');
    let most = most.filter(|_| kind == 's' && !is_number);
    Ok(Spec { width, most, is_left_aligned, kind })
}

/// Parses `$name` and `${name}`.
fn dollars(text: &str, context: &Context<'_>) -> Result<Vec<Piece>, SyntaxError> {
    let mut cursor = Cursor::new(text);
    let mut pieces = Vec::new();
    while let Some(character) = cursor.peek() {
        let from = cursor.at;
        match character {
            '\n' | '\r' => {
                cursor.next();
                pieces.push(Piece::LineEnd(from));
            }
            '$' => {
                cursor.next();
                if cursor.take("$") {
                    pieces.push(Piece::literal("$"));
                    continue;
                }
                let is_braced = cursor.take("{");
                let name_at = cursor.at;
                let name = cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
                if is_braced && !cursor.take("}") {
                    return Err(SyntaxError::new(from, "`${` is not closed by `}`"));
                }
                if name.is_empty() {
                    let error = SyntaxError::new(from, "`$` without a name behind it");
                    return Err(error.hint("as in ${message}; a dollar sign is $$"));
                }
                let spec = Spec { kind: 's', ..Spec::default() };
                attribute(name, name_at, spec, cursor.since(from), context, &mut pieces)?;
            }
            _ => {
                let text = cursor.take_while(|c| !matches!(c, '$' | '\n' | '\r'));
                pieces.push(Piece::literal(text));
            }
        }
    }
    Ok(pieces)
}

/// Returns whether the attribute is a number, whatever its conversion.
fn is_number(name: &str) -> bool {
    let numbers = ["levelno", "lineno", "process", "thread", "msecs", "relativeCreated", "created"];
    numbers.contains(&name) || matches!(name, "line" | "process.id" | "thread.id" | "level.no")
}

/// Adds an attribute of a LogRecord.
fn attribute(
    name: &str,
    at: usize,
    spec: Spec,
    written: &str,
    context: &Context<'_>,
    pieces: &mut Vec<Piece>,
) -> Result<(), SyntaxError> {
    let draft = draft(name, at, spec, written);
    let draft = match name {
        "" => return Err(SyntaxError::new(at, "the name of a field is missing")),
        "asctime" => {
            let parts = context.datefmt.clone().unwrap_or_else(dates::python_default);
            draft.timed(parts)
        }
        "created" => Draft { rank: 2, ..draft.of(TIMESTAMP).shaped(Shape::Number) },
        "msecs" => Draft { is_milliseconds: spec.kind == 'd', ..draft.shaped(Shape::Number) },
        "levelname" => draft.of(SEVERITY).shaped(Shape::Level),
        "levelno" => draft.of(PYTHON_LEVEL).shaped(Shape::Number),
        "message" => draft.of(BODY).shaped(Shape::Message),
        "name" => draft.of(LOGGER),
        "funcName" => draft.of(FUNCTION),
        "threadName" => draft.of(THREAD),
        "lineno" => draft.of(CODE_LINE).shaped(Shape::Number),
        "filename" | "pathname" => draft.of(CODE_FILE),
        "process" | "relativeCreated" => draft.shaped(Shape::Number),
        // the number of a thread is not its name
        "thread" => Draft { key: String::new(), ..draft.shaped(Shape::Number) },
        // uvicorn's formatters
        "levelprefix" => {
            pieces.push(draft.of(SEVERITY).shaped(Shape::Level).piece());
            pieces.push(Piece::literal(":"));
            pieces.push(Piece::Blank);
            return Ok(());
        }
        "client_addr" => draft.of(CLIENT_ADDRESS),
        "request_line" => draft.of(REQUEST_LINE),
        "status_code" => draft.of(HTTP_STATUS),
        _ => {
            misspelt(name, at, ATTRIBUTES, context)?;
            let is_number = "diouxX".contains(spec.kind);
            if is_number { draft.shaped(Shape::Number) } else { draft }
        }
    };
    pieces.push(draft.piece());
    Ok(())
}

/// Adds an attribute of a record of loguru.
fn loguru_attribute(
    name: &str,
    at: usize,
    spec: Spec,
    written: &str,
    context: &Context<'_>,
    pieces: &mut Vec<Piece>,
) -> Result<(), SyntaxError> {
    const KNOWN: &[&str] = &[
        "elapsed",
        "exception",
        "extra",
        "file",
        "function",
        "level",
        "line",
        "message",
        "module",
        "name",
        "process",
        "thread",
        "time",
    ];
    let draft = draft(name, at, spec, written);
    let draft = match name {
        "exception" => return Ok(()),
        "level" | "level.name" => draft.of(SEVERITY).shaped(Shape::Level),
        "level.no" => draft.of(PYTHON_LEVEL).shaped(Shape::Number),
        "message" => draft.of(BODY).shaped(Shape::Message),
        "name" => draft.of(LOGGER),
        "function" => draft.of(FUNCTION),
        "line" => draft.of(CODE_LINE).shaped(Shape::Number),
        "file" | "file.name" | "file.path" => draft.of(CODE_FILE),
        "thread.name" => draft.of(THREAD),
        "thread" | "thread.id" => Draft { key: String::new(), ..draft.shaped(Shape::Number) },
        "process" | "process.id" => draft.shaped(Shape::Number),
        _ => match name.strip_prefix("extra[").and_then(|rest| rest.strip_suffix(']')) {
            Some(key) => Draft { key: key.trim_matches(['\'', '"']).to_owned(), ..draft },
            None => {
                let root = name.split(['.', '[']).next().unwrap_or_default();
                if !KNOWN.contains(&root) && !context.names(name) {
                    let message = format!("a record of loguru has no `{root}`");
                    let hint = match nearest(root, KNOWN.iter().copied()) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => "your own fields are written {extra[NAME]}".to_owned(),
                    };
                    return Err(SyntaxError::new(at, message).hint(hint));
                }
                draft
            }
        },
    };
    pieces.push(draft.piece());
    Ok(())
}

fn draft(name: &str, at: usize, spec: Spec, written: &str) -> Draft {
    let padding = if spec.most == Some(0) {
        Padding::None
    } else {
        padding(spec.width, spec.is_left_aligned)
    };
    Draft { padding, most: spec.most, ..Draft::text(name, written, at) }
}

/// Refuses a name that differs from a known one by one letter, unless the settings name it.
pub(super) fn misspelt(
    name: &str,
    at: usize,
    known: &[&str],
    context: &Context<'_>,
) -> Result<(), SyntaxError> {
    const LETTERS_MIN: usize = 5;
    let near = known.iter().find(|known| {
        let (a, b) = (name.as_bytes(), known.as_bytes());
        let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let behind = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        let rest = a.len().max(b.len()) - (same + behind).min(a.len().min(b.len()));
        let swapped = a.len() == b.len()
            && rest == 2
            && a.get(same) == b.get(same + 1)
            && a.get(same + 1) == b.get(same);
        name.len() >= LETTERS_MIN && (rest <= 1 || swapped) && a != b
    });
    match near {
        Some(meant) if !context.names(name) && !name.ends_with(|c: char| c.is_ascii_digit()) => {
            let message = format!("`{name}` is unknown: did you mean `{meant}`?");
            let hint = format!("if the name is right, say what it is: fields: {{{name}: body}}");
            Err(SyntaxError::new(at, message).hint(hint))
        }
        _ => Ok(()),
    }
}
