//! stub
use crate::clock::UnixNanos;
/// z
#[derive(Debug, Clone, Default)]
pub struct Zone;
/// z
#[derive(Debug, Clone, Default)]
pub struct MinuteCache;
/// z
pub fn parse(
    text: &str,
    zone: &Zone,
    observed: UnixNanos,
    cache: &mut MinuteCache,
) -> Option<UnixNanos> {
    let _ = (text, zone, observed, cache);
    None
}
