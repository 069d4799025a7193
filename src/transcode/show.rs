//! Shows the values of a pickle as Python's `str` and `repr` do, or as JSON. Bounded in length and
//! depth, because a pickle can mention a value any number of times. Unit: one value.

use super::json;
use super::pickle::value::{Pickle, Shape, Span, Value};
use std::borrow::Cow;

/// The deepest nesting that is shown.
const DEPTH_MAX: u32 = 16;

/// The longest integer that is shown in decimal.
const LONG_BYTES_MAX: usize = 16;

/// What stands for values beyond the bounds.
const LEFT_OUT: &[u8] = b"...";

/// A line that is written, with its bound.
pub(super) struct Shown<'a> {
    line: &'a mut Vec<u8>,
    bytes_max: usize,
    depth: u32,
}

impl<'a> Shown<'a> {
    pub(super) fn new(line: &'a mut Vec<u8>, bytes_max: usize) -> Shown<'a> {
        Shown { line, bytes_max, depth: 0 }
    }

    /// Returns the line, to append to it.
    pub(super) fn line(&mut self) -> &mut Vec<u8> {
        self.line
    }

    /// Returns whether no further value may be shown.
    pub(super) fn is_full(&self) -> bool {
        self.line.len() >= self.bytes_max || self.depth >= DEPTH_MAX
    }

    pub(super) fn raw(&mut self, text: &[u8]) {
        self.line.extend_from_slice(text);
    }

    /// Writes the name of a further member of a JSON object.
    pub(super) fn key(&mut self, name: &[u8]) {
        self.raw(b",\"");
        self.raw(name);
        self.raw(b"\":");
    }

    /// Calls `write` with a line of its own, and returns that line.
    pub(super) fn apart(&mut self, write: impl FnOnce(&mut Shown<'_>)) -> Vec<u8> {
        let mut line = Vec::new();
        let bytes_max = self.bytes_max.saturating_sub(self.line.len());
        write(&mut Shown { line: &mut line, bytes_max, depth: self.depth });
        line
    }
}

/// Writes a value as JSON.
pub(super) fn json(value: Value, pickle: &Pickle<'_>, out: &mut Shown<'_>) {
    match value {
        Value::None => out.raw(b"null"),
        Value::Bool(truth) => out.raw(if truth { b"true" } else { b"false" }),
        Value::Integer(number) => json::integer(out.line(), number),
        Value::Digits(span) => out.raw(span.of(pickle.bytes)),
        Value::Float(number) => json::float(out.line(), number),
        Value::Text(span) => json::string(out.line(), span.of(pickle.bytes)),
        Value::Container(number) => json_container(value, number, pickle, out),
        Value::Long(span) if span.of(pickle.bytes).len() <= LONG_BYTES_MAX => {
            long(span.of(pickle.bytes), out);
        }
        Value::Long(_) | Value::EscapedText(_) | Value::QuotedBytes(_) | Value::Bytes(_) => {
            json_text(value, pickle, out);
        }
    }
}

/// Writes a value as a JSON string, with the text that `str` gives.
pub(super) fn json_text(value: Value, pickle: &Pickle<'_>, out: &mut Shown<'_>) {
    if let Some(text) = pickle.text(value) {
        return json::string(out.line(), text);
    }
    let text = out.apart(|out| str(value, pickle, out));
    json::string(out.line(), &text);
}

fn json_container(value: Value, number: u32, pickle: &Pickle<'_>, out: &mut Shown<'_>) {
    let (shape, items) = pickle.values.container(number);
    if out.is_full() {
        return json::string(out.line(), LEFT_OUT);
    }
    let items = match shape {
        Shape::ObjectWithPairs | Shape::ObjectWithItems => items.get(1..).unwrap_or_default(),
        _ => items,
    };
    out.depth += 1;
    match shape {
        Shape::Dict | Shape::ObjectWithPairs => {
            out.raw(b"{");
            for (number, pair) in items.chunks_exact(2).enumerate() {
                if number > 0 {
                    out.raw(b",");
                }
                json_text(pair[0], pickle, out);
                out.raw(b":");
                json(pair[1], pickle, out);
            }
            out.raw(b"}");
        }
        Shape::List | Shape::Tuple | Shape::Set | Shape::ObjectWithItems => {
            out.raw(b"[");
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    out.raw(b",");
                }
                json(*item, pickle, out);
            }
            out.raw(b"]");
        }
        Shape::Object if is_set(items, pickle) => match items[1] {
            Value::Container(number) => match pickle.values.container(number).1 {
                [list, ..] => json(*list, pickle, out),
                [] => out.raw(b"[]"),
            },
            _ => out.raw(b"[]"),
        },
        Shape::Global | Shape::Object => json_text(value, pickle, out),
    }
    out.depth -= 1;
}

/// Writes a value as Python's `str` does.
pub(super) fn str(value: Value, pickle: &Pickle<'_>, out: &mut Shown<'_>) {
    match value {
        Value::Text(span) | Value::QuotedBytes(span) => out.raw(span.of(pickle.bytes)),
        Value::EscapedText(span) => out.raw(&unescaped(span.of(pickle.bytes))),
        Value::Container(number) => container(number, false, pickle, out),
        value => repr(value, pickle, out),
    }
}

/// Writes a value as Python's `repr` does.
pub(super) fn repr(value: Value, pickle: &Pickle<'_>, out: &mut Shown<'_>) {
    match value {
        Value::None => out.raw(b"None"),
        Value::Bool(truth) => out.raw(if truth { b"True" } else { b"False" }),
        Value::Integer(number) => json::integer(out.line(), number),
        Value::Digits(span) => out.raw(span.of(pickle.bytes)),
        Value::Long(span) => long(span.of(pickle.bytes), out),
        Value::Float(number) => float(number, out),
        Value::Text(span) => quoted(span.of(pickle.bytes), out),
        Value::EscapedText(span) => quoted(&unescaped(span.of(pickle.bytes)), out),
        Value::QuotedBytes(span) => quoted(span.of(pickle.bytes), out),
        Value::Bytes(span) => bytes(span.of(pickle.bytes), out),
        Value::Container(number) => container(number, true, pickle, out),
    }
}

fn container(number: u32, is_repr: bool, pickle: &Pickle<'_>, out: &mut Shown<'_>) {
    if out.is_full() {
        return out.raw(LEFT_OUT);
    }
    out.depth += 1;
    let (shape, items) = pickle.values.container(number);
    match shape {
        Shape::List => list(b"[", items, b"]", pickle, out),
        Shape::Tuple if items.len() == 1 => list(b"(", items, b",)", pickle, out),
        Shape::Tuple => list(b"(", items, b")", pickle, out),
        Shape::Set if items.is_empty() => out.raw(b"set()"),
        Shape::Set => list(b"{", items, b"}", pickle, out),
        Shape::Dict => pairs(items, pickle, out),
        Shape::Global => {
            out.raw(b"<class '");
            out.raw(class_name(Value::Container(number), pickle).as_ref());
            out.raw(b"'>");
        }
        Shape::Object => object(items, is_repr, pickle, out),
        Shape::ObjectWithPairs | Shape::ObjectWithItems => {
            let (first, rest) = items.split_first().unwrap_or((&Value::None, &[]));
            let class = match *first {
                Value::Container(number) => pickle.values.container(number).1.first().copied(),
                _ => None,
            };
            let name = class_name(class.unwrap_or(Value::None), pickle);
            out.raw(name.rsplit(|byte| *byte == b'.').next().unwrap_or_default());
            out.raw(b"(");
            if shape == Shape::ObjectWithPairs {
                pairs(rest, pickle, out);
            } else {
                list(b"[", rest, b"]", pickle, out);
            }
            out.raw(b")");
        }
    }
    out.depth -= 1;
}

fn list(open: &[u8], items: &[Value], close: &[u8], pickle: &Pickle<'_>, out: &mut Shown<'_>) {
    out.raw(open);
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            out.raw(b", ");
        }
        if out.is_full() {
            out.raw(LEFT_OUT);
            break;
        }
        repr(*item, pickle, out);
    }
    out.raw(close);
}

fn pairs(items: &[Value], pickle: &Pickle<'_>, out: &mut Shown<'_>) {
    out.raw(b"{");
    for (number, pair) in items.chunks_exact(2).enumerate() {
        if number > 0 {
            out.raw(b", ");
        }
        if out.is_full() {
            out.raw(LEFT_OUT);
            break;
        }
        repr(pair[0], pickle, out);
        out.raw(b": ");
        repr(pair[1], pickle, out);
    }
    out.raw(b"}");
}

/// Shows an object: numbers, ids, times and paths of the standard library by their value, any other
/// by its class.
fn object(items: &[Value], is_repr: bool, pickle: &Pickle<'_>, out: &mut Shown<'_>) {
    let (class, arguments) = class_and_arguments(items, pickle);
    let name = class_name(class, pickle);
    let state = items.get(2).copied();
    let first = arguments.first().copied();
    let value = match (name.as_ref(), first) {
        (b"decimal.Decimal" | b"fractions.Fraction", Some(value)) => {
            pickle.text(value).map(<[u8]>::to_vec)
        }
        (b"uuid.UUID", _) => state.and_then(|state| uuid(state, pickle)),
        (b"datetime.datetime" | b"datetime.date" | b"datetime.time", Some(value)) => {
            raw_bytes(value, pickle).and_then(|bytes| time(&bytes))
        }
        (b"pathlib.PosixPath" | b"pathlib.PurePosixPath" | b"pathlib._local.PosixPath", _) => {
            Some(path(arguments, pickle))
        }
        (b"_codecs.encode", _) => {
            return match raw_bytes_of(items, pickle) {
                Some(text) => bytes(&text, out),
                None => out.raw(b"b''"),
            };
        }
        (_, Some(value)) if is_set(items, pickle) => {
            return match value {
                Value::Container(number) if !pickle.values.container(number).1.is_empty() => {
                    list(b"{", pickle.values.container(number).1, b"}", pickle, out);
                }
                _ => out.raw(b"set()"),
            };
        }
        _ => None,
    };
    match value {
        Some(value) if is_repr => {
            out.raw(name.rsplit(|byte| *byte == b'.').next().unwrap_or_default());
            out.raw(b"('");
            out.raw(&value);
            out.raw(b"')");
        }
        Some(value) => out.raw(&value),
        None => {
            out.raw(b"<");
            out.raw(&name);
            out.raw(b" object>");
        }
    }
}

/// Returns whether an object is a set, which the protocols below 4 construct from a list.
fn is_set(items: &[Value], pickle: &Pickle<'_>) -> bool {
    let class = items.first().map(|class| class_name(*class, pickle));
    let names: [&[u8]; 4] =
        [b"builtins.set", b"__builtin__.set", b"builtins.frozenset", b"__builtin__.frozenset"];
    items.len() > 1 && class.is_some_and(|class| names.contains(&class.as_ref()))
}

/// Returns the class of an object and the arguments of its constructor. Protocols 0 and 1 construct
/// by `copyreg._reconstructor(class, base, state)`.
fn class_and_arguments<'a>(items: &[Value], pickle: &Pickle<'a>) -> (Value, &'a [Value]) {
    let class = items.first().copied().unwrap_or(Value::None);
    let arguments = match items.get(1) {
        Some(Value::Container(number)) => pickle.values.container(*number).1,
        _ => &[],
    };
    match (class_name(class, pickle).as_ref(), arguments.split_first()) {
        (b"copy_reg._reconstructor" | b"copyreg._reconstructor", Some((class, rest))) => {
            (*class, rest)
        }
        _ => (class, arguments),
    }
}

/// Returns `module.name` of a class.
fn class_name<'a>(class: Value, pickle: &Pickle<'a>) -> Cow<'a, [u8]> {
    let Value::Container(number) = class else { return Cow::Borrowed(b"object") };
    match pickle.values.container(number) {
        (Shape::Global, [module, name, ..]) => {
            let parts = [*module, *name].map(|part| pickle.text(part).unwrap_or_default());
            Cow::Owned(parts.join(&b'.'))
        }
        _ => Cow::Borrowed(b"object"),
    }
}

/// Returns the bytes of a value: protocols below 3 write `_codecs.encode(text, 'latin1')`.
fn raw_bytes(value: Value, pickle: &Pickle<'_>) -> Option<Vec<u8>> {
    match value {
        Value::Bytes(span) => Some(span.of(pickle.bytes).to_vec()),
        Value::Container(number) => match pickle.values.container(number) {
            (Shape::Object, items) => raw_bytes_of(items, pickle),
            _ => None,
        },
        _ => None,
    }
}

fn raw_bytes_of(items: &[Value], pickle: &Pickle<'_>) -> Option<Vec<u8>> {
    let (class, arguments) = class_and_arguments(items, pickle);
    if class_name(class, pickle).as_ref() != b"_codecs.encode" {
        return None;
    }
    let text = match *arguments.first()? {
        Value::EscapedText(span) => Cow::Owned(unescaped(span.of(pickle.bytes))),
        value => Cow::Borrowed(pickle.text(value)?),
    };
    let text = std::str::from_utf8(&text).ok()?;
    text.chars().map(|character| u8::try_from(character as u32).ok()).collect()
}

/// Returns the text of a UUID from the state of the object.
fn uuid(state: Value, pickle: &Pickle<'_>) -> Option<Vec<u8>> {
    let Value::Container(number) = state else { return None };
    let items = pickle.values.container(number).1;
    let pair = items.chunks_exact(2).find(|pair| pickle.text(pair[0]) == Some(b"int"))?;
    let number = match pair[1] {
        Value::Integer(number) => u128::try_from(number).ok()?,
        Value::Long(span) => {
            let bytes: &[u8] = Span::of(span, pickle.bytes);
            let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
            if bytes.len() > 16 {
                return None;
            }
            bytes.iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte))
        }
        Value::Digits(span) => std::str::from_utf8(span.of(pickle.bytes)).ok()?.parse().ok()?,
        _ => return None,
    };
    let hex = format!("{number:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Some(parts.join("-").into_bytes())
}

/// Returns the text of a date, a time or both from the bytes that `datetime` pickles.
fn time(bytes: &[u8]) -> Option<Vec<u8>> {
    let clock = |bytes: &[u8]| {
        let [hour, minute, second, a, b, c] = *bytes else { return None };
        let hour = hour & 0x7f;
        let micros = u32::from_be_bytes([0, a, b, c]);
        let fraction = if micros > 0 { format!(".{micros:06}") } else { String::new() };
        Some(format!("{hour:02}:{minute:02}:{second:02}{fraction}"))
    };
    let date = |bytes: &[u8]| {
        let [high, low, month, day] = *bytes else { return None };
        let year = u16::from_be_bytes([high, low]);
        Some(format!("{year:04}-{:02}-{day:02}", month & 0x7f))
    };
    let text = match bytes.len() {
        4 => date(bytes)?,
        6 => clock(bytes)?,
        10 => format!("{} {}", date(&bytes[..4])?, clock(&bytes[4..])?),
        _ => return None,
    };
    Some(text.into_bytes())
}

fn path(parts: &[Value], pickle: &Pickle<'_>) -> Vec<u8> {
    let parts: Vec<&[u8]> = parts.iter().filter_map(|part| pickle.text(*part)).collect();
    let joined = parts.join(&b'/');
    joined.strip_prefix(b"/").filter(|rest| rest.starts_with(b"/")).unwrap_or(&joined).to_vec()
}

/// Writes a string with the quotes and escapes of `repr`.
fn quoted(text: &[u8], out: &mut Shown<'_>) {
    let quote = quote_for(text);
    out.raw(&[quote]);
    for byte in text {
        match byte {
            b'\n' => out.raw(b"\\n"),
            b'\r' => out.raw(b"\\r"),
            b'\t' => out.raw(b"\\t"),
            b'\\' => out.raw(b"\\\\"),
            byte if *byte == quote => out.raw(&[b'\\', quote]),
            0..0x20 | 0x7f => json::display(out.line(), format_args!("\\x{byte:02x}")),
            byte => out.raw(&[*byte]),
        }
    }
    out.raw(&[quote]);
}

fn bytes(text: &[u8], out: &mut Shown<'_>) {
    let quote = quote_for(text);
    out.raw(&[b'b', quote]);
    for byte in text {
        match byte {
            b'\n' => out.raw(b"\\n"),
            b'\r' => out.raw(b"\\r"),
            b'\t' => out.raw(b"\\t"),
            b'\\' => out.raw(b"\\\\"),
            byte if *byte == quote => out.raw(&[b'\\', quote]),
            b' '..=b'~' => out.raw(&[*byte]),
            byte => json::display(out.line(), format_args!("\\x{byte:02x}")),
        }
    }
    out.raw(&[quote]);
}

/// Returns the quote that `repr` takes.
fn quote_for(text: &[u8]) -> u8 {
    if text.contains(&b'\'') && !text.contains(&b'"') { b'"' } else { b'\'' }
}

/// Writes an integer of up to 16 bytes in decimal, a longer one by its size.
fn long(bytes: &[u8], out: &mut Shown<'_>) {
    if bytes.len() > LONG_BYTES_MAX {
        return json::display(out.line(), format_args!("<int of {} bytes>", bytes.len()));
    }
    let is_negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
    let start = if is_negative { -1_i128 } else { 0 };
    let number = bytes.iter().rev().fold(start, |number, byte| number << 8 | i128::from(*byte));
    json::display(out.line(), format_args!("{number}"));
}

/// Writes a floating point number as `repr` does: the shortest digits that give the same number, an
/// exponent below 1e-4 and from 1e16 on.
pub(super) fn float(number: f64, out: &mut Shown<'_>) {
    let magnitude = number.abs();
    if number.is_nan() {
        out.raw(b"nan");
    } else if number.is_infinite() {
        out.raw(if number > 0.0 { b"inf" } else { b"-inf" });
    } else if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        json::display(out.line(), format_args!("{digits}e{sign}{exponent:0>2}"));
    } else {
        json::display(out.line(), format_args!("{number:?}"));
    }
}

/// Undoes the escapes `\u` and `\U` of protocol 0, whose other bytes are Latin-1.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        let width = match rest {
            [b'\\', b'u', ..] => 4,
            [b'\\', b'U', ..] => 8,
            _ => 0,
        };
        let code = tail.get(1..=width).filter(|_| width > 0);
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
        match code {
            Some(code) => {
                plain.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                rest = &tail[1 + width..];
            }
            None => {
                plain.push(char::from(*byte));
                rest = tail;
            }
        }
    }
    plain.into_bytes()
}
