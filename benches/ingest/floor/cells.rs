//! Hand-written series: a counter is one cell, a histogram is eleven cells and a sum. There is one
//! writer, which loads and stores, so that another thread could scrape. A series is created on its
//! first use and then found through the memo.

use crate::corpus::BOUNDS;
use hashbrown::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bounds, padded with infinity to whole vectors.
const PADDED: [f64; 12] = {
    let mut padded = [f64::INFINITY; 12];
    let mut i = 0;
    while i < BOUNDS.len() {
        padded[i] = BOUNDS[i];
        i += 1;
    }
    padded
};

/// The counts of each bucket, not cumulative; the last is +Inf.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum: AtomicU64,
}

/// All series. The first cell of each kind counts lines that have no series.
#[derive(Debug)]
pub(crate) struct Cells {
    counters: Vec<AtomicU64>,
    counter_names: Vec<String>,
    histograms: Vec<Histogram>,
    histogram_names: Vec<(&'static str, String)>,
    by_name: HashMap<String, u32, foldhash::fast::RandomState>,
}

impl Default for Cells {
    fn default() -> Cells {
        Cells {
            counters: vec![AtomicU64::new(0)],
            counter_names: vec![String::new()],
            histograms: vec![Histogram::default()],
            histogram_names: vec![("", String::new())],
            by_name: HashMap::default(),
        }
    }
}

#[inline(always)]
fn add(cell: &AtomicU64, by: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(by), Relaxed);
}

impl Cells {
    /// Returns the counter with this name, which includes the labels.
    pub(crate) fn counter(&mut self, name: String) -> u32 {
        if let Some(known) = self.by_name.get(&name) {
            return *known;
        }
        let index = self.counters.len() as u32;
        self.counters.push(AtomicU64::new(0));
        self.counter_names.push(name.clone());
        self.by_name.insert(name, index);
        index
    }

    /// Returns the histogram of this family with these labels.
    pub(crate) fn histogram(&mut self, family: &'static str, labels: String) -> u32 {
        let name = format!("{family}{{{labels}}}");
        if let Some(known) = self.by_name.get(&name) {
            return *known;
        }
        let index = self.histograms.len() as u32;
        self.histograms.push(Histogram::default());
        self.histogram_names.push((family, labels));
        self.by_name.insert(name, index);
        index
    }

    #[inline(always)]
    pub(crate) fn count(&mut self, index: u32) {
        add(&self.counters[index as usize], 1);
    }

    #[inline(always)]
    pub(crate) fn observe(&mut self, index: u32, seconds: f64) {
        let bucket: usize = PADDED.iter().map(|bound| usize::from(seconds > *bound)).sum();
        let histogram = &self.histograms[index as usize];
        add(&histogram.buckets[bucket.min(BOUNDS.len())], 1);
        let sum = f64::from_bits(histogram.sum.load(Relaxed)) + seconds;
        histogram.sum.store(sum.to_bits(), Relaxed);
    }

    /// Renders everything in text format 0.0.4.
    pub(crate) fn render(&self) -> String {
        let mut out = String::new();
        for (name, cell) in self.counter_names.iter().zip(&self.counters).skip(1) {
            let _ = writeln!(out, "{name} {}", cell.load(Relaxed));
        }
        for ((family, labels), cells) in self.histogram_names.iter().zip(&self.histograms).skip(1) {
            let mut below = 0;
            for (bound, cell) in PADDED.iter().zip(&cells.buckets) {
                below += cell.load(Relaxed);
                let le = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
                let _ = writeln!(out, "{family}_bucket{{{labels},le=\"{le}\"}} {below}");
            }
            let _ = writeln!(out, "{family}_count{{{labels}}} {below}");
            let sum = f64::from_bits(cells.sum.load(Relaxed));
            let _ = writeln!(out, "{family}_sum{{{labels}}} {sum}");
        }
        out
    }
}
