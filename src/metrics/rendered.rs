//! The text of each series, rendered once and kept between scrapes. Only scrapes use it.

use super::declare::Family;
use super::family::{FamilyId, FamilyKind};
use crate::clock::UnixNanos;
use std::sync::Arc;

/// A new series, as the admission reports it.
#[derive(Debug)]
pub(super) struct NewSeries {
    pub(super) family: FamilyId,
    pub(super) cell: u32,
    pub(super) created: UnixNanos,
    pub(super) labels: Box<str>,
}

/// All families in the order of their declaration, with their series in the order of creation.
#[derive(Default, Debug)]
pub(super) struct Rendered {
    pub(super) families: Vec<RenderedFamily>,
}

/// The texts of one family, end to end in one buffer.
#[derive(Debug)]
pub(super) struct RenderedFamily {
    pub(super) family: Arc<Family>,
    pub(super) help: Arc<str>,
    /// The texts of its series, one after the other: `name{labels} ` for a counter or gauge,
    /// `name_bucket{labels,` for a histogram, where the bucket's `le` follows.
    text: Vec<u8>,
    series: Vec<RenderedSeries>,
}

/// The end of a series' text, and the first of its cells.
#[derive(Debug)]
struct RenderedSeries {
    end: usize,
    cell: u32,
    created: UnixNanos,
}

impl Rendered {
    /// Adds a family or updates its help.
    pub(super) fn learn(&mut self, family: &Arc<Family>, help: &Arc<str>) {
        match self.families.get_mut(family.id.0 as usize) {
            Some(known) if Arc::ptr_eq(&known.help, help) => {}
            Some(known) => known.help = Arc::clone(help),
            None => self.families.push(RenderedFamily {
                family: Arc::clone(family),
                help: Arc::clone(help),
                text: Vec::new(),
                series: Vec::new(),
            }),
        }
    }

    /// Renders new series; their families must have been added before.
    pub(super) fn register(&mut self, new_series: &[NewSeries]) {
        for new in new_series {
            self.families[new.family.0 as usize].register(new);
        }
    }
}

impl RenderedFamily {
    fn register(&mut self, new: &NewSeries) {
        let text = &mut self.text;
        text.extend_from_slice(self.family.spec.name.as_bytes());
        let labels = new.labels.as_bytes();
        if let FamilyKind::Histogram(_) = self.family.spec.kind {
            text.extend_from_slice(b"_bucket{");
            text.extend_from_slice(labels);
            if !labels.is_empty() {
                text.push(b',');
            }
        } else {
            if !labels.is_empty() {
                text.push(b'{');
                text.extend_from_slice(labels);
                text.push(b'}');
            }
            text.push(b' ');
        }
        self.series.push(RenderedSeries { end: text.len(), cell: new.cell, created: new.created });
    }

    /// Returns the number of series.
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// Returns the number of bytes of all texts.
    pub(super) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Returns (text, first cell, creation time) of each series, in the order of creation.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], u32, UnixNanos)> {
        let mut start = 0;
        self.series.iter().map(move |series| {
            let text = &self.text[start..series.end];
            start = series.end;
            (text, series.cell, series.created)
        })
    }
}

/// Renders `a="b",c="d"`, with values escaped as both text formats require.
pub(super) fn label_text<'a>(
    names: impl Iterator<Item = &'a str>,
    values: impl Iterator<Item = &'a str>,
) -> Box<str> {
    let mut text = String::new();
    for (name, value) in names.zip(values) {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push('"');
    }
    text.into_boxed_str()
}
