//! Encodes cells as text, with one encoder for the derived families and for sidelight's own. No
//! data thread ever waits for it: the encoder reads atomics, and holds the admission's lock only
//! while it copies handles.
//!
//! Decision: a family without series is not written at all, as in the `prometheus` crate and
//! client_golang; a type line without samples says nothing to a reader.

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

/// Options of a scrape besides the format.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Options {
    /// Whether OpenMetrics includes `_created` samples.
    pub created: bool,
}

/// Writes the registry's families, then `own` (sidelight's families, as the `prometheus` crate
/// gathers them). OpenMetrics includes the newest exemplar of each cell.
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
