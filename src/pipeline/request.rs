//! Joins the two lines of one request: its start has the method and the path, its end the status.
//! Completes the record of the end, so that it counts like a request in one line. Pure. Unit: one
//! request.

use super::label;
use crate::record::{Decoded, Record, field};

/// Longest path that is kept until the end of a request, in bytes of its template. The default of
/// `metrics.limits.label_value_bytes` cuts a longer one as well.
const PATH_BYTES_MAX: usize = 128;

const _: () = assert!(PATH_BYTES_MAX <= u8::MAX as usize, "the length is stored in a byte");

/// The fields that the end of a request has: a status, and the id of the request.
const END: u64 = field::HTTP_STATUS.bit();

/// The fields that name the path.
const PATH: u64 = field::HTTP_ROUTE.bit() | field::URL_PATH.bit();

/// The method and the path of a request that has started.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLine {
    method: &'static str,
    path: [u8; PATH_BYTES_MAX],
    /// Zero if the start names no path.
    path_bytes: u8,
}

impl Default for RequestLine {
    fn default() -> Self {
        RequestLine { method: "", path: [0; PATH_BYTES_MAX], path_bytes: 0 }
    }
}

impl RequestLine {
    /// Reads the line of a start; `template` is scratch memory.
    pub(super) fn of(record: &Record<'_>, template: &mut String) -> RequestLine {
        let mut line = RequestLine { method: label::method(record), ..RequestLine::default() };
        template.clear();
        if label::endpoint(record, template) {
            let kept = template.floor_char_boundary(PATH_BYTES_MAX);
            line.path[..kept].copy_from_slice(&template.as_bytes()[..kept]);
            line.path_bytes = kept as u8;
        }
        line
    }

    fn path(&self) -> &str {
        // only whole characters were copied
        std::str::from_utf8(&self.path[..usize::from(self.path_bytes)]).unwrap_or_default()
    }

    /// Adds the method and the path to the record of the end, where it has none.
    pub(super) fn complete(&self, end: &mut Decoded) {
        if end.slots.present & field::HTTP_METHOD.bit() == 0 {
            end.add_text(field::HTTP_METHOD, self.method);
        }
        if end.slots.present & PATH == 0 && self.path_bytes != 0 {
            end.add_text(field::URL_PATH, self.path());
        }
    }
}

/// Returns whether a record of this shape may be the end of a request that does not say which: it
/// has a status, and lacks the method or the path.
#[inline]
pub(super) fn may_be_end(present: u64) -> bool {
    present & END != 0 && (present & field::HTTP_METHOD.bit() == 0 || present & PATH == 0)
}
