//! Resolves a plain scalar as kubectl does: YAML 1.1 as go-yaml v2 reads it, with underscores and
//! octal numbers. `tests/manifest/kubectl.py` compares it with kubectl itself. Unit: one scalar.

use serde_json::{Number, Value};

/// Returns the value of a plain scalar. `None` if JSON has no such number: infinities and
/// not-a-number.
pub fn resolve(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Some(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Some(Value::Bool(false));
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => return None,
        _ => {}
    }
    Some(number(text).unwrap_or_else(|| Value::String(text.to_owned())))
}

fn number(text: &str) -> Option<Value> {
    match text.as_bytes().first()? {
        b'.' => {
            let apart = text.as_bytes().windows(3).filter(|window| window[1] == b'_');
            let between = |window: &[u8]| window[0].is_ascii_digit() && window[2].is_ascii_digit();
            let all = text.bytes().filter(|byte| *byte == b'_').count();
            if apart.filter(|window| between(window)).count() < all {
                return None;
            }
            float(&text.replace('_', ""))
        }
        b'0'..=b'9' | b'+' | b'-' => {
            let text = text.replace('_', "");
            integer(&text).map(Value::Number).or_else(|| float(&text))
        }
        _ => None,
    }
}

/// Parses an integer as Go does, with a prefix for its base.
fn integer(text: &str) -> Option<Number> {
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'-' => (true, true, &text[1..]),
        b'+' => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let size = u64::from_str_radix(digits, base).ok()?;
    match i64::try_from(size) {
        Ok(size) if negative => Some((-size).into()),
        Ok(size) => Some(size.into()),
        Err(_) if negative && size == i64::MIN.unsigned_abs() => Some(i64::MIN.into()),
        Err(_) if !signed => Some(size.into()),
        Err(_) => None,
    }
}

/// Parses `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, unless it is infinite.
fn float(text: &str) -> Option<Value> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = digits(unsigned);
    let mut rest = &unsigned[whole..];
    if let Some(behind) = rest.strip_prefix('.') {
        let fraction = digits(behind);
        if whole + fraction == 0 {
            return None;
        }
        rest = &behind[fraction..];
    } else if whole == 0 {
        return None;
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if exponent.is_empty() || digits(exponent) != exponent.len() {
            return None;
        }
    } else if !rest.is_empty() {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    Number::from_f64(value).map(whole_if_so)
}

/// Converts a float without a fraction to an integer, as JSON has it.
fn whole_if_so(number: Number) -> Value {
    /// Below this limit every integer has an exact float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(value) if value.fract() == 0.0 && value.abs() < EXACT => Value::from(value as i64),
        _ => Value::Number(number),
    }
}

/// Returns whether a text can be written without quotes, because every reader reads it as that
/// text: YAML 1.1 with base 60 and times, YAML 1.2, kubectl. Returns false in doubt.
pub fn plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    let opens = match first {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'/' | b'$' | b'(' | b'.' | b'+' => true,
        b'-' => bytes.get(1).is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'-'),
        _ => false,
    };
    let printable = bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
    if !opens || !printable || matches!(last, b' ' | b':') {
        return false;
    }
    if text.contains(": ") || text.contains(" #") || text.starts_with("---") && !longer_flag(text) {
        return false;
    }
    // in any mixture of cases, because readers differ in the words that they know
    let word = text.to_ascii_lowercase();
    if matches!(word.as_str(), "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null")
        || word.trim_start_matches(['+', '-']) == ".inf"
        || word == ".nan"
    {
        return false;
    }
    !like_a_number(text)
}

fn longer_flag(text: &str) -> bool {
    text.as_bytes().get(3).is_some_and(u8::is_ascii_alphanumeric)
}

/// Returns whether a text has only digits and the characters of numbers in any base, times and
/// dates.
fn like_a_number(text: &str) -> bool {
    let among = |byte: u8| byte.is_ascii_hexdigit() || b"_xXoO:.+-tTzZ ".contains(&byte);
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    numeric && text.bytes().any(|byte| byte.is_ascii_digit()) && text.bytes().all(among)
}
