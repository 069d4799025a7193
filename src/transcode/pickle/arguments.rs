//! Reads the arguments of a pickle's opcodes. Unit: one argument.

use super::value::{Problem, Span, Value};
use memchr::memchr;

/// The bytes of a pickle, read from front to back.
pub(super) struct Arguments<'a> {
    pickle: &'a [u8],
    /// The position of the next byte.
    pub(super) at: usize,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(pickle: &'a [u8]) -> Arguments<'a> {
        Arguments { pickle, at: 0 }
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Problem> {
        let byte = *self.pickle.get(self.at).ok_or(Problem::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    /// Reads a number of `width` bytes, the least significant first.
    #[inline]
    pub(super) fn number(&mut self, width: usize) -> Result<u64, Problem> {
        let bytes = self.pickle.get(self.at..self.at + width).ok_or(Problem::Truncated)?;
        self.at += width;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Reads bytes that have their length in front, in `width` bytes.
    #[inline]
    pub(super) fn sized(&mut self, width: usize) -> Result<Span, Problem> {
        let length = self.number(width)?;
        let left = self.pickle.len() - self.at;
        if length > left as u64 {
            return Err(Problem::Truncated);
        }
        Ok(self.span(length as usize))
    }

    /// Reads up to a newline.
    pub(super) fn line(&mut self) -> Result<Span, Problem> {
        let length = memchr(b'\n', &self.pickle[self.at..]).ok_or(Problem::Truncated)?;
        let span = self.span(length);
        self.at += 1;
        Ok(span)
    }

    /// Reads a quoted string up to a newline; returns it without its quotes.
    pub(super) fn quoted(&mut self) -> Result<Span, Problem> {
        let Span { start, length } = self.line()?;
        let length = length.saturating_sub(2);
        Ok(Span { start: start + 1, length })
    }

    /// Reads a decimal integer up to a newline; protocol 0 and 1 write booleans as `00` and `01`,
    /// and long integers with an `L`.
    pub(super) fn decimal(&mut self, at: usize) -> Result<Value, Problem> {
        let mut span = self.line()?;
        let text = span.of(self.pickle);
        if matches!(text, b"00" | b"01") {
            return Ok(Value::Bool(text == b"01"));
        }
        let digits = text.strip_suffix(b"L").unwrap_or(text);
        span.length = digits.len() as u32;
        let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
        if unsigned.is_empty() || !unsigned.iter().all(u8::is_ascii_digit) {
            return Err(Problem::Argument { at });
        }
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        Ok(number.map_or(Value::Digits(span), Value::Integer))
    }

    /// Reads a floating point number up to a newline.
    pub(super) fn float(&mut self, at: usize) -> Result<f64, Problem> {
        let text = self.line()?.of(self.pickle);
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        number.ok_or(Problem::Argument { at })
    }

    /// Reads a number of the memo up to a newline.
    pub(super) fn line_number(&mut self, at: usize) -> Result<u64, Problem> {
        let text = self.line()?.of(self.pickle);
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        number.ok_or(Problem::Argument { at })
    }

    #[inline]
    fn span(&mut self, length: usize) -> Span {
        let start = self.at as u32;
        self.at += length;
        Span { start, length: length as u32 }
    }
}
