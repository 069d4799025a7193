//! From cells to text: one encoder for the derived families and for sidelight's own.

use super::Registry;

/// An exposition format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// Prometheus text format 0.0.4.
    Classic,
    /// OpenMetrics text 1.0.0.
    OpenMetrics,
}

/// What a scrape asked for beside the format.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Options {
    /// OpenMetrics: write `_created` samples.
    pub created: bool,
}

/// Writes everything: the registry's families, then `own` (sidelight's, as the `prometheus` crate gathers them).
pub fn encode(
    registry: &Registry,
    own: &[prometheus::proto::MetricFamily],
    encoding: Encoding,
    options: Options,
    out: &mut Vec<u8>,
) {
    let _ = (registry, own, encoding, options, out);
    todo!()
}
