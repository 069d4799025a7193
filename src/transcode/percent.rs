//! Formats `message % args` as Python does
//! (<https://docs.python.org/3/library/stdtypes.html#printf-style-string-formatting>). Where Python
//! would raise an error, the message stays as it is and the arguments follow it, so that nothing is
//! lost. Unit: one message.

use super::json;
use super::pickle::value::{Pickle, Shape, Value};
use super::show::{self, Shown};

/// The widest field and the highest precision that are obeyed.
const WIDTH_MAX: usize = 1024;

/// Writes a formatted message as a JSON string.
pub(super) fn json(message: Value, arguments: Value, pickle: &Pickle<'_>, out: &mut Shown<'_>) {
    let template = out.apart(|out| show::str(message, pickle, out));
    let mut values = Arguments::of(arguments, pickle);
    let text = out.apart(|out| {
        if format(&template, &mut values, pickle, out).is_none() {
            out.line().clear();
            out.raw(&template);
            out.raw(b" ");
            show::repr(arguments, pickle, out);
        }
    });
    json::string(out.line(), &text);
}

/// The arguments of a message.
struct Arguments<'a> {
    /// The values, in order.
    items: &'a [Value],
    /// The keys and values of a single dictionary.
    pairs: &'a [Value],
    used: usize,
    single: [Value; 1],
}

impl<'a> Arguments<'a> {
    fn of(arguments: Value, pickle: &Pickle<'a>) -> Arguments<'a> {
        let mut all = Arguments { items: &[], pairs: &[], used: 0, single: [arguments] };
        if let Value::Container(number) = arguments {
            match pickle.values.container(number) {
                (Shape::Tuple | Shape::List, items) => {
                    all.items = items;
                    // logging takes a single dictionary for the mapping itself
                    if let [Value::Container(number)] = items
                        && let (Shape::Dict, pairs) = pickle.values.container(*number)
                    {
                        all.pairs = pairs;
                    }
                }
                (Shape::Dict, pairs) => all.pairs = pairs,
                _ => {}
            }
        }
        all
    }

    fn next(&mut self) -> Option<Value> {
        let items = if self.items.is_empty() { &self.single[..] } else { self.items };
        let value = items.get(self.used).copied();
        self.used += 1;
        value
    }

    fn named(&self, name: &[u8], pickle: &Pickle<'_>) -> Option<Value> {
        let mut pairs = self.pairs.chunks_exact(2);
        pairs.find(|pair| pickle.text(pair[0]) == Some(name)).map(|pair| pair[1])
    }

    /// Returns whether Python would accept that no further argument is used.
    fn are_used(&self) -> bool {
        !self.pairs.is_empty() || self.used >= self.items.len().max(1)
    }
}

/// One conversion: `%-8.3f`.
#[derive(Default)]
struct Conversion {
    alternate: bool,
    zero: bool,
    left: bool,
    space: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
}

fn format(
    template: &[u8],
    arguments: &mut Arguments<'_>,
    pickle: &Pickle<'_>,
    out: &mut Shown<'_>,
) -> Option<()> {
    let mut rest = template;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.raw(&rest[..at]);
        rest = &rest[at + 1..];
        if let [b'%', tail @ ..] = rest {
            out.raw(b"%");
            rest = tail;
            continue;
        }
        let mut named = None;
        if let [b'(', tail @ ..] = rest {
            let end = memchr::memchr(b')', tail)?;
            named = Some(arguments.named(&tail[..end], pickle)?);
            rest = &tail[end + 1..];
        }
        let (conversion, kind, tail) = conversion(rest, arguments)?;
        rest = tail;
        if kind == b'%' {
            out.raw(b"%");
            continue;
        }
        let value = match named {
            Some(value) => value,
            None => arguments.next()?,
        };
        let text = converted(&conversion, kind, value, pickle, out)?;
        padded(&conversion, kind, &text, out);
    }
    out.raw(rest);
    arguments.are_used().then_some(())
}

/// Reads flags, width, precision and type; returns what follows.
fn conversion<'t>(
    text: &'t [u8],
    arguments: &mut Arguments<'_>,
) -> Option<(Conversion, u8, &'t [u8])> {
    let mut read = Conversion::default();
    let mut rest = text;
    while let [flag, tail @ ..] = rest {
        match flag {
            b'#' => read.alternate = true,
            b'0' => read.zero = true,
            b'-' => read.left = true,
            b' ' => read.space = true,
            b'+' => read.plus = true,
            _ => break,
        }
        rest = tail;
    }
    let width = number(&mut rest, arguments)?;
    read.left |= width < 0;
    read.width = width.unsigned_abs() as usize;
    if let [b'.', tail @ ..] = rest {
        rest = tail;
        read.precision = Some(number(&mut rest, arguments)?.max(0) as usize);
    }
    while let [b'h' | b'l' | b'L', tail @ ..] = rest {
        rest = tail;
    }
    let (kind, rest) = rest.split_first()?;
    let is_small = read.width <= WIDTH_MAX && read.precision.unwrap_or(0) <= WIDTH_MAX;
    is_small.then_some((read, *kind, rest))
}

/// Reads a number or `*`, which takes it from the arguments; no digits are 0.
fn number(rest: &mut &[u8], arguments: &mut Arguments<'_>) -> Option<i64> {
    if let [b'*', tail @ ..] = *rest {
        *rest = tail;
        let Some(Value::Integer(number)) = arguments.next() else { return None };
        return Some(number);
    }
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, tail) = rest.split_at(digits);
    *rest = tail;
    if number.is_empty() {
        return Some(0);
    }
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// Converts a value; `None` where Python raises an error.
fn converted(
    conversion: &Conversion,
    kind: u8,
    value: Value,
    pickle: &Pickle<'_>,
    out: &mut Shown<'_>,
) -> Option<Vec<u8>> {
    let text = match kind {
        b's' => cut(out.apart(|out| show::str(value, pickle, out)), conversion.precision),
        b'r' | b'a' => cut(out.apart(|out| show::repr(value, pickle, out)), conversion.precision),
        b'c' => match value {
            Value::Integer(code) => {
                char::from_u32(u32::try_from(code).ok()?)?.to_string().into_bytes()
            }
            Value::Text(span) => {
                let text = std::str::from_utf8(span.of(pickle.bytes)).ok()?;
                (text.chars().count() == 1).then(|| text.as_bytes().to_vec())?
            }
            _ => return None,
        },
        b'd' | b'i' | b'u' => integer(conversion, whole(value, true)?, 10, b""),
        b'x' => integer(conversion, whole(value, false)?, 16, b"0x"),
        b'X' => integer(conversion, whole(value, false)?, 16, b"0X").to_ascii_uppercase(),
        b'o' => integer(conversion, whole(value, false)?, 8, b"0o"),
        b'f' | b'F' | b'e' | b'E' | b'g' | b'G' => floating(conversion, kind, real(value)?),
        _ => return None,
    };
    Some(text)
}

/// Returns the first `precision` characters.
fn cut(mut text: Vec<u8>, precision: Option<usize>) -> Vec<u8> {
    if let Some(precision) = precision
        && let Ok(whole) = std::str::from_utf8(&text)
        && let Some((end, _)) = whole.char_indices().nth(precision)
    {
        text.truncate(end);
    }
    text
}

/// Returns an integer; `%d` also takes floating point numbers.
fn whole(value: Value, takes_floats: bool) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(number),
        Value::Bool(truth) => Some(i64::from(truth)),
        Value::Float(number) if takes_floats && number.abs() < 9e18 => Some(number as i64),
        _ => None,
    }
}

fn real(value: Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(number),
        value => whole(value, false).map(|number| number as f64),
    }
}

fn signed(conversion: &Conversion, is_negative: bool, text: &str) -> Vec<u8> {
    let sign = match (is_negative, conversion.plus, conversion.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    };
    [sign.as_bytes(), text.as_bytes()].concat()
}

fn integer(conversion: &Conversion, number: i64, radix: u32, prefix: &[u8]) -> Vec<u8> {
    let magnitude = number.unsigned_abs();
    let digits = match radix {
        16 => format!("{magnitude:x}"),
        8 => format!("{magnitude:o}"),
        _ => magnitude.to_string(),
    };
    let digits = format!("{digits:0>width$}", width = conversion.precision.unwrap_or(0));
    let prefix = if conversion.alternate { std::str::from_utf8(prefix).unwrap_or("") } else { "" };
    signed(conversion, number < 0, &format!("{prefix}{digits}"))
}

fn floating(conversion: &Conversion, kind: u8, number: f64) -> Vec<u8> {
    let precision = conversion.precision.unwrap_or(6);
    let magnitude = number.abs();
    let text = if number.is_nan() {
        "nan".to_owned()
    } else if number.is_infinite() {
        "inf".to_owned()
    } else {
        match kind.to_ascii_lowercase() {
            b'f' => format!("{magnitude:.precision$}"),
            b'e' => exponential(magnitude, precision),
            _ => general(magnitude, precision.max(1), conversion.alternate),
        }
    };
    let text = if kind.is_ascii_uppercase() { text.to_ascii_uppercase() } else { text };
    signed(conversion, number.is_sign_negative() && !number.is_nan(), &text)
}

/// Formats with an exponent of at least two digits.
fn exponential(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

/// Formats with `precision` significant digits, without zeros at the end.
fn general(number: f64, precision: usize, keeps_zeros: bool) -> String {
    let text = format!("{number:.digits$e}", digits = precision - 1);
    let exponent: i32 = text.split_once('e').map_or(0, |(_, text)| text.parse().unwrap_or(0));
    let trimmed = |text: String| {
        if keeps_zeros || !text.contains('.') {
            return text;
        }
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if exponent < -4 || exponent >= precision as i32 {
        let text = exponential(number, precision - 1);
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{exponent}", trimmed(digits.to_owned()));
    }
    let decimals = usize::try_from(precision as i32 - 1 - exponent).unwrap_or(0);
    trimmed(format!("{number:.decimals$}"))
}

/// Writes a converted value with its width.
fn padded(conversion: &Conversion, kind: u8, text: &[u8], out: &mut Shown<'_>) {
    let length = std::str::from_utf8(text).map_or(text.len(), |text| text.chars().count());
    let missing = conversion.width.saturating_sub(length);
    let is_number = !matches!(kind, b's' | b'r' | b'a' | b'c');
    if conversion.left {
        out.raw(text);
        out.raw(&b" ".repeat(missing));
    } else if conversion.zero && is_number {
        let sign = usize::from(matches!(text.first(), Some(b'-' | b'+' | b' ')));
        let prefix = match &text[sign..] {
            [b'0', b'x' | b'X' | b'o', ..] if conversion.alternate => sign + 2,
            _ => sign,
        };
        out.raw(&text[..prefix]);
        out.raw(&b"0".repeat(missing));
        out.raw(&text[prefix..]);
    } else {
        out.raw(&b" ".repeat(missing));
        out.raw(text);
    }
}

#[cfg(test)]
mod tests;
