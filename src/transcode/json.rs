//! Writes JSON. Unit: one value.

use crate::decode::scan::string_stop;
use std::io::Write;

/// Writes a string with its quotes. Bytes that are not UTF-8 are written as they are: the pipeline
/// replaces and counts them.
#[inline]
pub(crate) fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut at = 0;
    loop {
        let stop = string_stop(text, at);
        out.extend_from_slice(&text[at..stop]);
        let Some(byte) = text.get(stop) else { break };
        escaped(out, *byte);
        at = stop + 1;
    }
    out.push(b'"');
}

#[cold]
fn escaped(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        byte => display(out, format_args!("\\u{byte:04x}")),
    }
}

/// Writes a number.
pub(crate) fn integer(out: &mut Vec<u8>, number: i64) {
    display(out, format_args!("{number}"));
}

/// Writes a finite number; what is not finite becomes a string, because JSON has no such numbers.
pub(crate) fn float(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        display(out, format_args!("{number}"));
    } else {
        display(out, format_args!("\"{number}\""));
    }
}

/// Writes text as it is.
pub(crate) fn display(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // writing to a vector cannot fail
    let _ = out.write_fmt(text);
}
