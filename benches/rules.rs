//! Measures the cost of rules that a line cannot match: 10 and 1,000 of them, excluded by an absent
//! field or by a constant. `cargo bench --bench rules [-- ROUNDS]`. Unit: one round of 20,000 JSON
//! lines, decoding included.

#[path = "../tests/support/corpus.rs"]
#[allow(dead_code)] // `ingest` uses the other corpora and the truth
mod corpus;
#[path = "../tests/support/pipeline.rs"]
#[allow(dead_code)] // this program renders no metrics
mod process_status;

use rustix::time::{ClockId, clock_gettime};
use sidelight::clock::UnixNanos;
use sidelight::pipeline::input::{FrameSink, Input, Source};
use sidelight::rules::settings::{
    MetricKind, MetricSettings, RuleSettings, RulesSettings, ValueSettings,
};

const LINES: usize = 20_000;
const BLOCK_BYTES: usize = 64 * 1024;

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let rounds = words.next_back().and_then(|text| text.parse().ok()).unwrap_or(31);
    let lines = corpus::corpus(corpus::Shape::Json, LINES, 1).bytes;
    println!("CPU ns a line, medians of {rounds} rounds in turn\n");
    println!(
        "| excluded by | no own rule | 10 rules | 1,000 rules | 1,000 / 10 |\n|---|---|---|---|---|"
    );
    let kinds: [(&str, When); 3] = [
        ("an absent field", |n| format!("has(absent.field{n})")),
        ("an absent field compared", |n| format!("absent.field{n} > 5 && status >= 500")),
        ("a constant", |n| format!("service == \"no-service-{n}\"")),
    ];
    for (name, when) in kinds {
        let mut contenders = [0, 10, 1_000].map(|count| contender(count, when));
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            for (contender, times) in contenders.iter_mut().zip(&mut times) {
                let before = cpu_ns();
                contender(&lines);
                times.push((cpu_ns() - before) as f64 / LINES as f64);
            }
        }
        let [none, ten, thousand] = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        });
        println!("| {name} | {none:.0} | {ten:.0} | {thousand:.0} | {:.2} |", thousand / ten);
    }
}

/// Returns the condition of the rule with this number.
type When = fn(usize) -> String;

/// Builds a pipeline with this number of additional rules.
fn contender(count: usize, when: When) -> impl FnMut(&[u8]) {
    let own = (0..count).map(|number| rule(number, when(number))).collect();
    let settings = RulesSettings { own, ..RulesSettings::default() };
    let (mut pipeline, _) = process_status::pipeline_with(&settings);
    let mut source = Source::with_id(1, Input::Stream);
    let observed = UnixNanos(1_795_219_200_000_000_000);
    move |lines| {
        let mut rest = lines;
        while !rest.is_empty() {
            let near = rest.len().min(BLOCK_BYTES);
            let end = memchr::memrchr(b'\n', &rest[..near]).map_or(rest.len(), |at| at + 1);
            pipeline.lines(&mut source, &rest[..end], observed);
            pipeline.flush(observed);
            rest = &rest[end..];
        }
    }
}

fn rule(number: usize, when: String) -> RuleSettings {
    RuleSettings {
        name: format!("rule{number}"),
        when: Some(when),
        metrics: vec![MetricSettings {
            kind: MetricKind::Counter { by: None },
            name: format!("own{number}_total"),
            help: "Lines that the rule met.".to_owned(),
            unit: String::new(),
            labels: vec![("service".to_owned(), ValueSettings::Field("service".to_owned()))],
        }],
        ..RuleSettings::default()
    }
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
