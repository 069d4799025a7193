//! Joins the two lines of one request: its start has the method and the path, its end the status.
//! Completes the record of the end, so that it counts like a request in one line. Pure. Unit: one
//! request.

use super::{label, plan};
use crate::record::method::known_method;
use crate::record::{Decoded, Record, field};
use crate::rules::routes::Routes;
use crate::rules::template;
use std::time::Duration;

/// Longest path that is kept until the end of a request, in bytes of its template. The default of
/// `metrics.limits.label_value_bytes` cuts a longer one as well.
const PATH_BYTES_MAX: usize = 128;

const _: () = assert!(PATH_BYTES_MAX <= u8::MAX as usize, "the length is stored in a byte");

/// How many words of a message are searched for what it is about.
const WORDS_MAX: usize = 16;

/// The ids that join the lines of a request.
const IDS: u64 = field::REQUEST_ID.bit() | field::TRACE_ID.bit();

/// The fields that name the path.
const PATH: u64 = field::HTTP_ROUTE.bit() | field::URL_PATH.bit();

/// The method and the path of a request that has started.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLine {
    method: &'static str,
    path: [u8; PATH_BYTES_MAX],
    /// Zero if the start names no path.
    path_bytes: u8,
    /// The path is the route that the application's router matched.
    is_route: bool,
}

impl Default for RequestLine {
    fn default() -> Self {
        RequestLine { method: "", path: [0; PATH_BYTES_MAX], path_bytes: 0, is_route: false }
    }
}

impl RequestLine {
    /// Reads the line of a start; `template` is scratch memory.
    pub(super) fn of(record: &Record<'_>, routes: &Routes, template: &mut String) -> RequestLine {
        let mut line = RequestLine { method: label::method(record), ..RequestLine::default() };
        template.clear();
        if label::endpoint(record, routes, template) {
            let kept = kept(template);
            line.path[..kept.len()].copy_from_slice(kept.as_bytes());
            line.path_bytes = kept.len() as u8;
            line.is_route = record.present() & field::HTTP_ROUTE.bit() != 0;
        }
        line
    }

    fn path(&self) -> &str {
        // only whole characters were copied
        std::str::from_utf8(&self.path[..usize::from(self.path_bytes)]).unwrap_or_default()
    }

    /// Returns whether a record with the id of the request ends it; `template` is scratch memory.
    /// Other lines with the id may have a status too: that of a call to another service, or of the
    /// request in which an error occurred. So the message has to say that it is the end, or the
    /// record repeats the method and the path.
    pub(super) fn is_ended_by(
        &self,
        record: &Record<'_>,
        routes: &Routes,
        template: &mut String,
    ) -> bool {
        let present = record.present();
        let has_method = present & field::HTTP_METHOD.bit() != 0;
        if label::status_code(record).is_none()
            || (has_method && label::method(record) != self.method)
        {
            return false;
        }
        let repeats = has_method && present & PATH != 0 && !plan::is_error_line(present);
        says_end(record) || (repeats && self.has_path_of(record, routes, template))
    }

    /// Returns whether the start names the path or the route of the record.
    fn has_path_of(&self, record: &Record<'_>, routes: &Routes, template: &mut String) -> bool {
        template.clear();
        let of_end = [field::URL_PATH, field::HTTP_ROUTE].map(|name| record.text(name));
        of_end.into_iter().zip([false, true]).any(|(text, is_route)| {
            let Some(text) = text else { return false };
            template.clear();
            template::template(text, routes, template);
            match (self.is_route, is_route) {
                (true, false) => is_route_of(self.path(), kept(template)),
                (false, true) => is_route_of(kept(template), self.path()),
                (true, true) | (false, false) => kept(template) == self.path(),
            }
        })
    }
}

/// Returns whether a route matches a path: each segment is the same or a parameter (`{id}`, `:id`,
/// `<id>`, `[id]`, `*`). A route that is relative to the prefix of a router does not match.
fn is_route_of(route: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    route.split('/').all(|expected| {
        segments.next().is_some_and(|segment| {
            expected == segment || expected.starts_with(['{', ':', '<', '[', '*'])
        })
    }) && segments.next().is_none()
}

/// A request that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndedRequest {
    pub(super) line: RequestLine,
    /// The time between its two lines.
    pub(super) took: Duration,
}

impl EndedRequest {
    /// Adds to the record of the end what it lacks: the method, the path or the route, and the
    /// duration unless it has one.
    pub(super) fn complete(&self, has_duration: bool, end: &mut Decoded) {
        let present = end.slots.present;
        if present & field::HTTP_METHOD.bit() == 0 {
            end.add_text(field::HTTP_METHOD, self.line.method);
        }
        let (named_by, to) = if self.line.is_route {
            (field::HTTP_ROUTE.bit(), field::HTTP_ROUTE)
        } else {
            (PATH, field::URL_PATH)
        };
        if present & named_by == 0 && self.line.path_bytes != 0 {
            end.add_text(to, self.line.path());
        }
        if !has_duration {
            end.add_duration(self.took);
        }
    }
}

/// Returns whether a record of this shape may be the end of a request.
#[inline]
pub(super) fn may_be_end(present: u64) -> bool {
    present & (field::HTTP_STATUS.bit() | field::CLIENT_CALL.bit()) == field::HTTP_STATUS.bit()
        && present & IDS != 0
}

/// Returns the part of a template that is kept.
fn kept(template: &str) -> &str {
    &template[..template.floor_char_boundary(PATH_BYTES_MAX)]
}

/// Returns whether a message reports the end of a request: `request completed`, `request.end`,
/// `Completed 200 OK in 12ms`, `Finished GET /`, `done`. A record without a message has only its
/// status to report, unless it describes an exception.
fn says_end(record: &Record<'_>) -> bool {
    const ENDS: [&str; 13] = [
        "completed",
        "complete",
        "finished",
        "finish",
        "ended",
        "end",
        "done",
        "handled",
        "processed",
        "served",
        "failed",
        "errored",
        "aborted",
    ];
    let Some(body) = record.text(field::BODY) else {
        return !plan::is_error_line(record.present());
    };
    let mut words = body.split([' ', '.', '_', ':', ',']).filter(|word| !word.is_empty());
    let is_any = |word: &str, of: &[&str]| of.iter().any(|known| word.eq_ignore_ascii_case(known));
    let about = words.clone().take(WORDS_MAX).any(|word| {
        is_any(word, &["request", "response", "http"])
            || known_method(word).is_some()
            || record.text(field::HTTP_STATUS) == Some(word)
    });
    let (first, last) = (words.next().unwrap_or_default(), words.next_back());
    is_any(first, &ENDS) && (about || last.is_none())
        || last.is_some_and(|word| is_any(word, &ENDS) && about)
}

#[cfg(test)]
mod tests;
