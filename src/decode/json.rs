//! stub
use crate::record::{Decoded, field::FieldTable};
/// stub
#[derive(Debug, Default)]
pub struct LineGraph;
/// x
pub fn walk(
    text: &str,
    at: usize,
    t: &FieldTable,
    g: &mut LineGraph,
    d: &mut Decoded,
) -> Option<usize> {
    let _ = (text, at, t, g, d);
    None
}
