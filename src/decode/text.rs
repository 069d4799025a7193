//! stub
use std::ops::Range;
/// x
pub fn exception_of(traceback: &str) -> Option<(Range<usize>, Range<usize>)> {
    let _ = traceback;
    None
}
