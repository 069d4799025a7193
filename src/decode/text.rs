//! stub
use std::ops::Range;
/// x
pub fn exception_of(traceback: &str) -> Option<(Range<usize>, Range<usize>)> {
    let _ = traceback;
    None
}
/// x
pub fn read(_: &str, _: &mut crate::record::Decoded) -> bool {
    false
}
