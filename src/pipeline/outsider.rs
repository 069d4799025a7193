//! What a stranger can make up takes no place among the values of a label: a path that only ever
//! answered 404, 405, 400, 301 or 401, a table that is named only in queries that failed. It counts
//! as `_unmatched` until the same value is met in a request or a query that succeeds; from then on
//! it has its name, whatever it answers. A scanner therefore never drives the routes of the
//! application into `_other`. Unit: one label of one record.

use super::label::status_code;
use crate::metrics::{ShardWriter, UNMATCHED};
use crate::record::severity::Severity;
use crate::record::{Record, field};
use crate::rules::action::{Label, Measure};

/// Answers that say nothing of whether the path is one of the application's.
fn is_refusal(status: u16) -> bool {
    matches!(status, 400 | 401 | 404 | 405 | 301)
}

/// Replaces values that only outsiders have named so far. True where one was replaced.
pub(super) fn hold_back(
    writer: &mut ShardWriter,
    measure: &Measure,
    record: &Record<'_>,
    values: &mut [String],
) -> bool {
    let mut is_held = false;
    for (number, (label, value)) in measure.labels.iter().zip(values).enumerate() {
        if may_be_invented(label, record) && !writer.has_value(measure.family, number, value) {
            value.clear();
            value.push_str(UNMATCHED);
            is_held = true;
        }
    }
    is_held
}

/// Whether somebody outside may have made this value up: it comes from what was asked for, and what
/// was asked for was refused.
fn may_be_invented(label: &Label, record: &Record<'_>) -> bool {
    match label {
        Label::Endpoint => is_refused(record) && !has_own_route(record),
        Label::DbTable => record.severity() >= Severity::ERROR,
        Label::Field(field) => {
            matches!(*field, field::URL_PATH | field::USER_AGENT | field::CLIENT_ADDRESS)
                && is_refused(record)
        }
        Label::Constant(_)
        | Label::Capture(_)
        | Label::Method
        | Label::StatusCode
        | Label::Service
        | Label::Level
        | Label::DbOperation
        | Label::ErrorType
        | Label::ErrorKind
        | Label::Function => false,
    }
}

fn is_refused(record: &Record<'_>) -> bool {
    status_code(record).is_some_and(is_refusal)
}

/// The application names the route by a pattern: its router matched the path.
fn has_own_route(record: &Record<'_>) -> bool {
    record.text(field::HTTP_ROUTE).is_some_and(|route| route.contains(['{', '<', ':', '*']))
}
