//! Measures the cost of metrics: adding and observing on a data thread, and encoding at a scrape,
//! compared with the `prometheus` crate on the same data. The figures are CPU time of this thread,
//! the best of several rounds, to reduce the influence of other processes. Run: `cargo bench
//! --bench scrape`.

use prometheus::{Encoder as _, TextEncoder};
use rustix::time::{ClockId, clock_gettime};
use sidelight::clock::UnixNanos;
use sidelight::metrics::expose::{Encoding, Options, encode};
use sidelight::metrics::{
    FamilyKind, FamilySpec, LabelSpec, Limits, Registry, SeriesId, ShardWriter,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);
const LABELS: [&str; 3] = ["method", "endpoint", "status_code"];
const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Number of rounds; the best one counts.
const ROUNDS: u32 = 7;

/// Forwards to the system's allocator, and counts the calls and the allocated bytes.
struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);
static HELD: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        HELD.fetch_add(layout.size() as u64, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    hot_path();
    for series in [2_000, 10_000, 100_000] {
        counters(series);
    }
    for series in [1_000, 10_000] {
        histograms(series);
    }
}

/// Measures the CPU nanoseconds of one call, the best of the rounds.
fn best(calls: u64, mut round: impl FnMut(u64)) -> f64 {
    let spent = |at: rustix::time::Timespec| at.tv_sec as u64 * 1_000_000_000 + at.tv_nsec as u64;
    let mut best = u64::MAX;
    for _ in 0..ROUNDS {
        let start = spent(clock_gettime(ClockId::ThreadCPUTime));
        round(calls);
        best = best.min(spent(clock_gettime(ClockId::ThreadCPUTime)) - start);
    }
    best as f64 / calls as f64
}

fn hold<T>(value: T) {
    black_box(value);
}

fn values(n: usize) -> [String; 3] {
    let method = ["GET", "PUT", "POST", "DELETE"][n % 4];
    let status = ["200", "201", "404", "500"][n / 4 % 4];
    [method.to_owned(), format!("/api/v1/things/{:05}/{{id}}", n / 16), status.to_owned()]
}

fn derived(kind: FamilyKind, count: usize) -> (Arc<Registry>, ShardWriter, Vec<SeriesId>) {
    let limits = Limits { series_max: 1 << 20, label_sets_max: 1 << 20, ..Limits::default() };
    let registry = Registry::new(limits);
    let labels = LABELS.iter().map(|name| LabelSpec {
        name: (*name).into(),
        closed: false,
        values_max: None,
    });
    let spec = FamilySpec {
        name: "http_requests_total".into(),
        help: "Requests.".into(),
        unit: String::new(),
        kind,
        labels: labels.collect(),
        siblings: Vec::new(),
    };
    let family = registry.declare(spec).expect("valid");
    let mut writer = registry.writer();
    let series = (0..count).map(|n| {
        let values = values(n);
        writer.series(family, &values.each_ref().map(String::as_str), NOW)
    });
    let series = series.collect();
    (registry, writer, series)
}

fn hot_path() {
    const CALLS: u64 = 20_000_000;
    println!("hot path, 1,000 series, ns a call (CPU)");
    let (_registry, mut writer, series) = derived(FamilyKind::Counter, 1000);
    let at = |n: u64| (n * 7 % 1000) as usize;
    let all: Vec<[String; 3]> = (0..1000).map(values).collect();
    let allocations = self::CALLS.load(Ordering::Relaxed);
    let empty = best(CALLS, |calls| (0..calls).for_each(|n| hold(series[at(n)])));
    let add = best(CALLS, |calls| (0..calls).for_each(|n| writer.add(series[at(n)], 1)));
    let exemplar = best(CALLS, |calls| {
        (0..calls).for_each(|n| hold(writer.wants_exemplar(series[at(n)], 1.0)));
    });
    let family = series[0].family;
    let lookup = best(CALLS / 10, |calls| {
        for n in 0..calls {
            let values = all[at(n)].each_ref().map(String::as_str);
            black_box(writer.series(family, &values, NOW));
        }
    });
    let allocated = self::CALLS.load(Ordering::Relaxed) - allocations;
    assert_eq!(allocated, 0, "met series are looked up and added to without an allocation");
    let took = durations();
    let observe = [8, 1024].map(|count: u64| {
        let (_registry, mut writer, series) =
            derived(FamilyKind::Histogram(BOUNDS.to_vec()), count as usize);
        let allocations = self::CALLS.load(Ordering::Relaxed);
        let observe = best(CALLS, |calls| {
            for n in 0..calls {
                writer.observe(series[((n * 7) & (count - 1)) as usize], took[n as usize & 0xffff]);
            }
        });
        assert_eq!(self::CALLS.load(Ordering::Relaxed), allocations);
        observe
    });
    println!("  loop alone {empty:.2}, add {add:.2}");
    println!("  observe, 11 buckets: 8 series {:.2}, 1,024 series {:.2}", observe[0], observe[1]);
    println!("  wants_exemplar {exemplar:.2}, series (3 labels, met before) {lookup:.1}");
    their_hot_path(&all, &took);
}

/// Returns 65,536 durations like those of a web application: most of a few ms, a long tail, and no
/// period that the branch predictor could learn.
fn durations() -> Vec<f64> {
    let mut state = 12345u64;
    let uniform = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    });
    uniform.take(65_536).map(|u| 0.002 * (1.0 / (1.0 - u)).powf(1.5)).collect()
}

fn their_hot_path(all: &[[String; 3]], took: &[f64]) {
    const CALLS: u64 = 5_000_000;
    let counters = their_counters(all);
    let handles: Vec<_> = all.iter().map(|v| counters.with_label_values(v)).collect();
    let add = best(CALLS, |calls| (0..calls).for_each(|n| handles[(n * 7 % 1000) as usize].inc()));
    let lookup = best(CALLS / 4, |calls| {
        for n in 0..calls {
            counters.with_label_values(&all[(n * 7 % 1000) as usize]).inc();
        }
    });
    let histograms = their_histograms(all);
    let handles: Vec<_> = all.iter().map(|v| histograms.with_label_values(v)).collect();
    let observe = best(CALLS, |calls| {
        for n in 0..calls {
            handles[(n * 7 % 1000) as usize].observe(took[n as usize & 0xffff]);
        }
    });
    println!("  prometheus crate: add {add:.2}, observe {observe:.2}, lookup and add {lookup:.1}");
}

fn their_counters(all: &[[String; 3]]) -> prometheus::IntCounterVec {
    let opts = prometheus::Opts::new("http_requests_total", "Requests.");
    let counters = prometheus::IntCounterVec::new(opts, &LABELS).expect("valid");
    for values in all {
        counters.with_label_values(values).inc_by(12_345);
    }
    counters
}

fn their_histograms(all: &[[String; 3]]) -> prometheus::HistogramVec {
    let opts = prometheus::HistogramOpts::new("http_requests_total", "Requests.");
    let opts = opts.buckets(BOUNDS.to_vec());
    let histograms = prometheus::HistogramVec::new(opts, &LABELS).expect("valid");
    for values in all {
        histograms.with_label_values(values).observe(0.03);
    }
    histograms
}

fn theirs(registry: &prometheus::Registry) -> f64 {
    let mut out = Vec::new();
    best(1, |_| {
        out.clear();
        TextEncoder::new().encode(&registry.gather(), &mut out).expect("valid");
    })
}

fn ours(registry: &Registry, encoding: Encoding) -> (f64, usize) {
    let mut out = Vec::new();
    let once = best(1, |_| {
        out.clear();
        encode(registry, &[], encoding, Options::default(), &mut out);
    });
    (once, out.len())
}

fn report(what: &str, series: usize, registry: &Registry, theirs: f64) {
    let (classic, bytes) = ours(registry, Encoding::Classic);
    let (open, _) = ours(registry, Encoding::OpenMetrics);
    println!(
        "{series} {what}, {} KiB: classic {:.3} ms ({:.1} ns a series), OpenMetrics {:.3} ms, \
         prometheus crate {:.2} ms ({:.0} ns)",
        bytes >> 10,
        classic / 1e6,
        classic / series as f64,
        open / 1e6,
        theirs / 1e6,
        theirs / series as f64,
    );
}

fn counters(count: usize) {
    let held = HELD.load(Ordering::Relaxed);
    let (registry, mut writer, series) = derived(FamilyKind::Counter, count);
    for series in &series {
        writer.add(*series, 12_345);
    }
    let met = HELD.load(Ordering::Relaxed) - held - (count * size_of::<SeriesId>()) as u64;
    ours(&registry, Encoding::Classic);
    let shown = HELD.load(Ordering::Relaxed) - held - (count * size_of::<SeriesId>()) as u64;
    let (met, shown) = (met as f64 / count as f64, shown as f64 / count as f64);
    println!("{count} counters hold {met:.0} bytes a series when met, {shown:.0} after a scrape");
    let all: Vec<[String; 3]> = (0..count).map(values).collect();
    let oracle = prometheus::Registry::new();
    oracle.register(Box::new(their_counters(&all))).expect("distinct");
    report("counters", count, &registry, theirs(&oracle));
}

fn histograms(count: usize) {
    let (registry, mut writer, series) = derived(FamilyKind::Histogram(BOUNDS.to_vec()), count);
    for series in &series {
        writer.observe(*series, 0.03);
    }
    let all: Vec<[String; 3]> = (0..count).map(values).collect();
    let oracle = prometheus::Registry::new();
    oracle.register(Box::new(their_histograms(&all))).expect("distinct");
    report("histograms of 11 buckets", count, &registry, theirs(&oracle));
}
