//! Keeps label values that a client can invent out of the limited set of label values: a path that
//! was only ever answered with 404, 405, 400, 301 or 401, or a table that only failed queries name.
//! Such a value counts as `_unmatched` until the same value occurs in a request or a query that
//! succeeds; from then on it is exposed under its name, whatever the status. So a scanner never
//! pushes the routes of the application into `_other`. Unit: one label of one record.

use super::label::status_code;
use crate::metrics::{ShardWriter, UNMATCHED};
use crate::record::severity::Severity;
use crate::record::{Record, field};
use crate::rules::action::{Label, Measure};

/// Returns true for status codes that do not show whether the path belongs to the application.
fn is_refusal(status: u16) -> bool {
    matches!(status, 400 | 401 | 404 | 405 | 301)
}

/// Replaces values that no successful request or query has confirmed so far. Returns true if it
/// replaced one.
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

/// Returns true if a client may have invented this value: it comes from the request, and the
/// request was refused.
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

/// Returns true if the application names the route by a pattern, which means that its router
/// matched the path.
fn has_own_route(record: &Record<'_>) -> bool {
    record.text(field::HTTP_ROUTE).is_some_and(|route| route.contains(['{', '<', ':', '*']))
}
