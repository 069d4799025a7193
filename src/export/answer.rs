//! What a collector's answer means, whatever the transport. Unit: one answer.

use crate::otlp::{self, Value};
use std::time::Duration;

/// The meaning of an answer, or of its absence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Taken, but for so many spans.
    Accepted {
        /// Spans that the collector did not take and will not take.
        rejected: u64,
    },
    /// Not taken now; the same request may be sent again.
    Retry {
        /// How long to wait first, as the collector advises.
        after: Option<Duration>,
        /// Why, for our own log.
        why: String,
    },
    /// Not taken, and never will be.
    Rejected {
        /// Why, for our own log.
        why: String,
    },
}

/// An answer, and what became of the connection that it came over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exchange {
    /// What it means.
    pub answer: Answer,
    /// It was read to its end.
    pub reusable: bool,
}

impl Answer {
    /// An answer that came too late or not at all.
    pub fn lost(why: impl Into<String>) -> Answer {
        Answer::Retry { after: None, why: why.into() }
    }
}

/// Reads an `ExportTraceServiceResponse`: `partial_success` (1) with `rejected_spans` (1). A body
/// that is no protobuf is read up to the damage: the status already said that the request was
/// taken.
pub fn rejected_spans(body: &[u8]) -> u64 {
    let mut rejected = 0;
    for (field, value) in otlp::fields(body) {
        let (1, Value::Bytes(partial)) = (field, value) else { continue };
        for (field, value) in otlp::fields(partial) {
            if let (1, Value::Number(number)) = (field, value) {
                // an int64: a negative count is nonsense
                rejected = u64::try_from(number as i64).unwrap_or(0);
            }
        }
    }
    rejected
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
            let response = ExportTraceServiceResponse {
                partial_success: Some(ExportTracePartialSuccess {
                    rejected_spans: rejected,
                    error_message: "too old".into(),
                }),
            };
            let expected = u64::try_from(rejected).unwrap_or(0);
            assert_eq!(rejected_spans(&response.encode_to_vec()), expected);
        }
        assert_eq!(rejected_spans(b""), 0);
        assert_eq!(rejected_spans(b"<html>"), 0);
    }
}
