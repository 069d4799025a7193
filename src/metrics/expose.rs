//! From cells to text: one encoder for the derived families and for sidelight's own. No data thread
//! ever waits for it: what is read are atomics, and the admission is held only while handles are
//! copied.
//!
//! Decision: a family without series is not written at all, as the `prometheus` crate and
//! client_golang do; a type line without samples tells a reader nothing.

mod derived;
mod number;
mod own;
mod page;

use super::registry::Registry;
use page::Page;

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

/// Writes everything: the registry's families, then `own` (sidelight's, as the `prometheus` crate
/// gathers them). OpenMetrics shows the newest exemplar of each cell.
pub fn encode(
    registry: &Registry,
    own: &[prometheus::proto::MetricFamily],
    encoding: Encoding,
    options: Options,
    out: &mut Vec<u8>,
) {
    let (rendered, cells) = registry.scrape();
    let open = encoding == Encoding::OpenMetrics;
    let exemplars = open.then(|| registry.exemplars());
    let exemplars = exemplars.as_ref().map_or(&[][..], |exemplars| exemplars);
    let mut page = Page { out, open };
    for family in &rendered.families {
        derived::write(&mut page, family, &cells, exemplars, open && options.created);
    }
    drop(rendered);
    for family in own {
        own::write(&mut page, family);
    }
    if open {
        page.put("# EOF\n");
    }
}

#[cfg(test)]
mod tests;
