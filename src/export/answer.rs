//! What a collector's answer means, whatever the transport. Unit: one answer.

use crate::otlp::{self, Value};
use std::error::Error;
use std::fmt::{self, Write as _};
use std::time::Duration;

/// Maximum number of bytes of a collector's text that our log repeats.
const ANSWER_TEXT_BYTES_MAX: usize = 256;

/// The meaning of an answer, or of a missing answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// The collector accepted the request, except for `rejected` spans.
    Accepted {
        /// Spans that the collector rejected for good.
        rejected: u64,
        /// The collector's text about the rejected spans; empty if it sent none.
        text: AnswerText,
    },
    /// The collector did not accept the request now; the same request may be sent again.
    Retry {
        /// The wait before the next attempt that the collector advises.
        after: Option<Duration>,
        /// The reason.
        why: Reason,
    },
    /// No answer arrived, or it could not be read to its end; the same request may be sent again.
    Lost {
        /// The reason.
        why: Reason,
    },
    /// The collector rejected the request for good.
    Rejected {
        /// The reason.
        why: Reason,
    },
}

/// Why a request was not accepted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Reason {
    /// Our own description, for the log and for `/health`.
    pub what: String,
    /// The collector's text, for the log only.
    pub text: AnswerText,
}

/// The beginning of a text that a collector wrote.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct AnswerText(String);

impl AnswerText {
    /// Keeps the beginning of `bytes` and replaces what is not UTF-8.
    pub(crate) fn new(bytes: &[u8]) -> AnswerText {
        let start = &bytes[..bytes.len().min(ANSWER_TEXT_BYTES_MAX)];
        let text = String::from_utf8_lossy(start);
        let cut = if bytes.len() > ANSWER_TEXT_BYTES_MAX { "..." } else { "" };
        AnswerText(format!("{}{cut}", text.trim()))
    }

    /// Reads the message (2) of a `google.rpc.Status`, the form in which a collector reports an
    /// error. Treats any other body as text.
    pub(crate) fn in_body(body: &[u8], is_protobuf: bool) -> AnswerText {
        let mut message = None;
        let mut fields = otlp::fields(body);
        for (field, value) in &mut fields {
            if let (2, Value::Bytes(bytes)) = (field, value) {
                message = Some(bytes);
            }
        }
        match message {
            Some(message) if is_protobuf && fields.is_sound() => AnswerText::new(message),
            _ if is_protobuf && !body.is_empty() && fields.is_sound() => AnswerText::default(),
            _ => AnswerText::new(body),
        }
    }

    /// Returns whether the text is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for AnswerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Reason {
    /// Creates a reason with our own description.
    pub(crate) fn new(what: impl Into<String>) -> Reason {
        Reason { what: what.into(), text: AnswerText::default() }
    }

    /// Describes an error with all its causes, because hyper's own text says only that something
    /// went wrong.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Reason {
        let mut what = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            // writing to a string cannot fail
            let _ = write!(what, ": {error}");
            cause = error.source();
        }
        Reason::new(what)
    }
}

impl Answer {
    /// Creates the answer for an exchange that ended too late or without an answer.
    pub(crate) fn lost(why: impl Into<String>) -> Answer {
        Answer::Lost { why: Reason::new(why) }
    }
}

/// Reads an `ExportTraceServiceResponse`: `partial_success` (1) with `rejected_spans` (1) and
/// `error_message` (2). Returns None if the body is not legal protobuf and so not this message.
pub(crate) fn response(body: &[u8]) -> Option<(u64, AnswerText)> {
    let (mut rejected, mut text) = (0, AnswerText::default());
    let mut fields = otlp::fields(body);
    for (field, value) in &mut fields {
        let (1, Value::Bytes(partial)) = (field, value) else { continue };
        let mut partial = otlp::fields(partial);
        for (field, value) in &mut partial {
            match (field, value) {
                // an int64: a negative count is invalid
                (1, Value::Number(number)) => {
                    rejected = u64::try_from(number as i64).unwrap_or(0);
                }
                (2, Value::Bytes(bytes)) => text = AnswerText::new(bytes),
                _ => {}
            }
        }
        if !partial.is_sound() {
            return None;
        }
    }
    fields.is_sound().then_some((rejected, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceResponse,
    };
    use prost::Message;

    #[test]
    fn partial_success() {
        for rejected in [0, 1, 300, -1] {
            let answer = ExportTraceServiceResponse {
                partial_success: Some(ExportTracePartialSuccess {
                    rejected_spans: rejected,
                    error_message: "too old".into(),
                }),
            };
            let expected = u64::try_from(rejected).unwrap_or(0);
            let body = answer.encode_to_vec();
            assert_eq!(response(&body), Some((expected, AnswerText::new(b"too old"))));
            if rejected > 0 {
                assert_eq!(response(&body[..body.len() - 1]), None, "cut short");
            }
        }
        assert_eq!(response(b""), Some((0, AnswerText::default())));
        for wrong in [&b"<html>"[..], b"{}", b"OK", b"\x0a\xff"] {
            assert_eq!(response(wrong), None, "{wrong:?}");
        }
    }

    /// Guarantees: the text of a status is found, other bodies are used as text, and every text is
    /// cut.
    #[test]
    fn what_a_collector_says() {
        let mut status = Vec::new();
        otlp::uint(&mut status, 1, 3);
        otlp::bytes(&mut status, 2, b"span too old");
        for (body, is_protobuf, expected) in [
            (&status[..], true, "span too old"),
            (b"unauthorized\n", false, "unauthorized"),
            (b"unauthorized", true, "unauthorized"),
            (b"", true, ""),
            (b"\x08\x03", true, ""),
        ] {
            assert_eq!(AnswerText::in_body(body, is_protobuf).to_string(), expected, "{body:?}");
        }
        assert_eq!(
            AnswerText::new(&[b'x'; 1000]).to_string(),
            "x".repeat(ANSWER_TEXT_BYTES_MAX) + "..."
        );
    }
}
