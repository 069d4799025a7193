//! Writes the families that rules declare. The line of a counter costs a copy and an integer, the
//! line of a bucket two copies and an integer.

use super::number;
use super::page::{Header, Page, copy};
use crate::clock::UnixNanos;
use crate::metrics::cells::View;
use crate::metrics::exemplar::Exemplar;
use crate::metrics::family::FamilyKind;
use crate::metrics::rendered::RenderedFamily;

/// Exemplars by cell, ascending.
type Exemplars = [(u32, Exemplar)];

/// Estimated bytes of a line besides the series' text: a value, a newline, sometimes a bound.
const LINE_BYTES: usize = 24;

/// Writes a family and its samples, if it has any.
pub(super) fn write(
    page: &mut Page<'_>,
    family: &RenderedFamily,
    cells: &View,
    exemplars: &Exemplars,
    created: bool,
) {
    let spec = &family.family.spec;
    if family.len() == 0 {
        return;
    }
    let lines = if let FamilyKind::Histogram(bounds) = &spec.kind { bounds.len() + 3 } else { 1 };
    page.out.reserve((family.text_bytes() + family.len() * LINE_BYTES) * lines);
    let (name, help, unit, kind) = (&spec.name, &family.help, &spec.unit, spec.kind.word());
    page.header(Header { name, help, unit, kind });
    match &spec.kind {
        FamilyKind::Counter => {
            for (text, cell, created_at) in family.iter() {
                copy(page.out, text);
                number::integer(page.out, cells.count(cell));
                end_of_counter(page, name, text, cell, exemplars, created.then_some(created_at));
            }
        }
        FamilyKind::FloatCounter => {
            for (text, cell, created_at) in family.iter() {
                copy(page.out, text);
                number::double(page.out, cells.sum(cell));
                end_of_counter(page, name, text, cell, exemplars, created.then_some(created_at));
            }
        }
        FamilyKind::AddGauge => gauges(page, family, |cell| cells.sum(cell)),
        FamilyKind::SetGauge => gauges(page, family, |cell| cells.newest(cell)),
        FamilyKind::Histogram(bounds) => {
            let tails = Tails::new(bounds, page.open);
            for (text, cell, created_at) in family.iter() {
                let histogram = Series { name, text, cell, created: created.then_some(created_at) };
                histogram.write(page, &tails, cells, exemplars);
            }
        }
    }
}

fn gauges(page: &mut Page<'_>, family: &RenderedFamily, value: impl Fn(u32) -> f64) {
    for (text, cell, _) in family.iter() {
        copy(page.out, text);
        number::double(page.out, value(cell));
        page.out.push(b'\n');
    }
}

/// Writes the exemplar, the end of the line, and the `_created` line.
#[inline]
fn end_of_counter(
    page: &mut Page<'_>,
    name: &str,
    text: &[u8],
    cell: u32,
    exemplars: &Exemplars,
    created: Option<UnixNanos>,
) {
    exemplar_at(page, exemplars, cell);
    page.out.push(b'\n');
    if let Some(created) = created {
        page.put(name.strip_suffix("_total").unwrap_or(name));
        page.put("_created");
        copy(page.out, &text[name.len()..]);
        number::seconds(page.out, created);
        page.out.push(b'\n');
    }
}

/// The text `le="0.005"} ` for every bucket of a family, end to end.
struct Tails {
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Whether a bound is negative: OpenMetrics then forbids a sum, which would not be a counter.
    negative: bool,
}

impl Tails {
    fn new(bounds: &[f64], open: bool) -> Tails {
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        for bound in bounds.iter().chain(&[f64::INFINITY]) {
            text.extend_from_slice(b"le=\"");
            number::bound(&mut text, *bound, open);
            text.extend_from_slice(b"\"} ");
            ends.push(text.len());
        }
        Tails { text, ends, negative: bounds.first().is_some_and(|first| *first < 0.0) }
    }
}

/// One histogram series.
struct Series<'a> {
    name: &'a str,
    text: &'a [u8],
    cell: u32,
    created: Option<UnixNanos>,
}

impl Series<'_> {
    fn write(&self, page: &mut Page<'_>, tails: &Tails, cells: &View, exemplars: &Exemplars) {
        let (mut count, mut start) = (0, 0);
        for (cell, end) in (self.cell..).zip(&tails.ends) {
            count += cells.count(cell);
            copy(page.out, self.text);
            copy(page.out, &tails.text[start..*end]);
            start = *end;
            number::integer(page.out, count);
            exemplar_at(page, exemplars, cell);
            page.out.push(b'\n');
        }
        let sum = cells.sum(self.cell + tails.ends.len() as u32);
        // in OpenMetrics a sum is a counter; if it cannot be one, it is omitted together with the
        // count
        if !page.open || !tails.negative && sum >= 0.0 {
            self.line(page, "_sum");
            number::double(page.out, sum);
            page.out.push(b'\n');
            self.line(page, "_count");
            number::integer(page.out, count);
            page.out.push(b'\n');
        }
        if let Some(created) = self.created {
            self.line(page, "_created");
            number::seconds(page.out, created);
            page.out.push(b'\n');
        }
    }

    /// Writes `name_suffix{labels} `, derived from `name_bucket{labels,`.
    fn line(&self, page: &mut Page<'_>, suffix: &str) {
        page.put(self.name);
        page.put(suffix);
        let labels = &self.text[self.name.len() + "_bucket".len()..];
        if let [b'{', labels @ .., b','] = labels {
            page.out.push(b'{');
            copy(page.out, labels);
            page.out.push(b'}');
        }
        page.out.push(b' ');
    }
}

#[inline]
fn exemplar_at(page: &mut Page<'_>, exemplars: &Exemplars, cell: u32) {
    if exemplars.is_empty() {
        return;
    }
    if let Ok(at) = exemplars.binary_search_by_key(&cell, |(cell, _)| *cell) {
        exemplar(page, &exemplars[at].1);
    }
}

fn exemplar(page: &mut Page<'_>, exemplar: &Exemplar) {
    page.put(" # {trace_id=\"");
    number::hexadecimal(page.out, &exemplar.trace_id);
    if exemplar.span_id != [0; 8] {
        page.put("\",span_id=\"");
        number::hexadecimal(page.out, &exemplar.span_id);
    }
    page.put("\"} ");
    number::double(page.out, exemplar.value);
    page.out.push(b' ');
    number::seconds(page.out, exemplar.at);
}
