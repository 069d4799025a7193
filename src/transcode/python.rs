//! Finds Python's `LogRecord` in a pickle and writes it as a line of JSON, with the names of the
//! record's attributes (<https://docs.python.org/3/library/logging.html#logrecord-attributes>), as
//! Python's JSON formatters write them. Attributes that were passed as `extra` follow. Unit: one
//! record.

use super::json;
use super::percent;
use super::pickle::Machine;
use super::pickle::value::{Pickle, Problem, Shape, Value};
use super::show::{self, Shown};
use crate::frame::encoding::Frame;
use std::fmt;

/// The longest line that a pickle can become, as a multiple of its length; a value that a pickle
/// mentions often is shown only as often as fits.
const GROWTH_MAX: usize = 4;

/// The longest line of a short pickle, in bytes.
const LINE_BYTES_ALWAYS: usize = 64 * 1024;

/// The space for so many attributes of the application is kept from one record to the next.
const FURTHER_KEPT: usize = 64;

/// Attributes that are written, before the message and the attributes of the application.
const WRITTEN: [&[u8]; 10] = [
    b"levelname",
    b"levelno",
    b"name",
    b"pathname",
    b"lineno",
    b"funcName",
    b"thread",
    b"threadName",
    b"process",
    b"processName",
];

/// Attributes that are not written: they repeat others, or are the parts of the message.
const LEFT_OUT: [&[u8]; 9] = [
    b"filename",
    b"module",
    b"msecs",
    b"relativeCreated",
    b"exc_info",
    b"asctime",
    b"message",
    b"args",
    b"msg",
];

/// Why a pickle did not become a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// It is not a valid pickle.
    Pickle(Problem),
    /// It is not a dictionary with a `msg`.
    NoRecord,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoRecord => f.write_str("it is no dictionary with the attribute `msg`"),
            Refusal::Pickle(Problem::Truncated) => f.write_str("it ends before the opcode STOP"),
            Refusal::Pickle(Problem::Opcode { at, opcode }) => {
                write!(f, "byte {at} is {opcode:#04x}, which is no opcode of a pickle")
            }
            Refusal::Pickle(Problem::Missing { at }) => {
                write!(f, "the opcode at byte {at} needs values that are not there")
            }
            Refusal::Pickle(Problem::Argument { at }) => {
                write!(f, "the argument of the opcode at byte {at} is not valid")
            }
        }
    }
}

/// Writes pickled records as lines. Keeps its memory from one to the next.
#[derive(Debug, Default)]
pub(super) struct RecordWriter {
    machine: Machine,
    record: LogRecord,
    line: Vec<u8>,
}

impl RecordWriter {
    /// Writes a record as one line of JSON, without a newline.
    ///
    /// # Errors
    /// The frame is not a pickled record.
    pub(super) fn write(&mut self, frame: &Frame<'_>) -> Result<&[u8], Refusal> {
        let read = self.machine.read(frame.bytes);
        let record = &mut self.record;
        record.clear();
        let pickle = Pickle { bytes: frame.bytes, values: &self.machine.values };
        match read {
            Ok(Value::Container(number)) => {
                let (shape, items) = pickle.values.container(number);
                if shape == Shape::Dict {
                    let pairs = items.chunks_exact(2).map(|pair| (pair[0], pair[1]));
                    record.read(pairs, &pickle);
                }
            }
            Err(Problem::Truncated) if frame.is_cut() => {
                record.read(self.machine.begun(), &pickle);
            }
            Ok(_) => {}
            Err(problem) => return Err(Refusal::Pickle(problem)),
        }
        let Some(message) = record.message else { return Err(Refusal::NoRecord) };
        self.line.clear();
        self.line.shrink_to(LINE_BYTES_ALWAYS);
        let most = LINE_BYTES_ALWAYS.max(frame.bytes.len() * GROWTH_MAX);
        record.write(message, &pickle, &mut Shown::new(&mut self.line, most));
        Ok(&self.line)
    }
}

/// The attributes of a record.
#[derive(Debug, Default)]
struct LogRecord {
    created: Option<Value>,
    message: Option<Value>,
    arguments: Option<Value>,
    exception: Option<Value>,
    written: [Option<Value>; WRITTEN.len()],
    further: Vec<(Value, Value)>,
}

impl LogRecord {
    fn clear(&mut self) {
        let mut further = std::mem::take(&mut self.further);
        further.clear();
        further.shrink_to(FURTHER_KEPT);
        *self = LogRecord { further, ..LogRecord::default() };
    }

    fn read(&mut self, pairs: impl Iterator<Item = (Value, Value)>, pickle: &Pickle<'_>) {
        for (key, value) in pairs {
            match pickle.text(key) {
                Some(b"created") => self.created = Some(value),
                Some(b"msg") => self.message = Some(value),
                Some(b"args") => self.arguments = Some(value),
                Some(b"exc_text") => self.exception = Some(value),
                Some(name) if LEFT_OUT.contains(&name) => {}
                Some(name) => match WRITTEN.iter().position(|written| *written == name) {
                    Some(at) => self.written[at] = Some(value),
                    None if value == Value::None => {}
                    None => self.further.push((key, value)),
                },
                None => self.further.push((key, value)),
            }
        }
    }

    fn write(&self, message: Value, pickle: &Pickle<'_>, out: &mut Shown<'_>) {
        out.raw(b"{\"created\":");
        match self.created {
            Some(created) => show::json(created, pickle, out),
            None => out.raw(b"null"),
        }
        for (name, value) in WRITTEN.iter().zip(&self.written) {
            if let Some(value) = value.filter(|value| *value != Value::None) {
                out.key(name);
                show::json(value, pickle, out);
            }
        }
        out.key(b"message");
        let arguments = self.arguments.filter(|arguments| has_items(*arguments, pickle));
        match (arguments, pickle.text(message)) {
            (None, Some(text)) => json::string(out.line(), text),
            (None, None) => show::json_text(message, pickle, out),
            (Some(arguments), _) => percent::json(message, arguments, pickle, out),
        }
        if let Some(exception) = self.exception
            && exception != Value::None
            // what `exc_info=True` leaves behind where there is no exception
            && pickle.text(exception) != Some(b"NoneType: None")
        {
            out.key(b"exc_info");
            show::json_text(exception, pickle, out);
        }
        for (key, value) in &self.further {
            if out.is_full() {
                break;
            }
            out.raw(b",");
            show::json_text(*key, pickle, out);
            out.raw(b":");
            show::json(*value, pickle, out);
        }
        out.raw(b"}");
    }
}

/// Returns whether a record has arguments for its message: `None`, `()` and `{}` are none.
fn has_items(arguments: Value, pickle: &Pickle<'_>) -> bool {
    match arguments {
        Value::None => false,
        Value::Container(number) => !pickle.values.container(number).1.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
