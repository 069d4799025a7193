//! Measures decoding: nanoseconds of thread CPU time per line, as medians of interleaved rounds.
//! `cargo bench --bench decode [-- FILTER]`. For comparison between machines, it also measures
//! serde_json into a borrowed struct, and counting newlines only.

use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use sidelight::config::environment::Environment;
use sidelight::config::{Flags, parse};
use sidelight::decode::graph::LineGraph;
use sidelight::decode::{Memory, decode, json, logfmt, walk};
use sidelight::record::Decoded;
use sidelight::record::field::FieldTable;
use sidelight::rules::compile::dry_run;
use sidelight::rules::set::RuleSet;
use std::fmt::Write as _;
use std::hint::black_box;

const LINES: usize = 1_000;
const ROUNDS: usize = 15;
const REPEATS: usize = 20;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit(self.roll(16) as u32, 16).unwrap_or('0')).collect()
    }
}

const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const LEVELS: [&str; 4] = ["INFO", "INFO", "WARNING", "ERROR"];
const ROUTES: [&str; 5] =
    ["/api/users", "/api/orders", "/api/products/search", "/login", "/api/v2/carts/items"];
const SERVICES: [&str; 3] = ["checkout", "catalogue", "identity-provider"];

fn members(dice: &mut Dice, number: usize) -> Vec<(&'static str, String)> {
    let text = |text: String| format!("\"{text}\"");
    vec![
        (
            "timestamp",
            text(format!(
                "2026-11-21T09:{:02}:{:02}.{:06}Z",
                number / 60 % 60,
                number % 60,
                dice.roll(1_000_000)
            )),
        ),
        ("level", text(LEVELS[dice.roll(4)].into())),
        ("logger", text(format!("app.{}", ["views", "middleware", "db"][dice.roll(3)]))),
        ("message", text(format!("request {} completed", dice.roll(1_000_000)))),
        ("service", text(SERVICES[dice.roll(3)].into())),
        ("method", text(METHODS[dice.roll(4)].into())),
        ("path", text(ROUTES[dice.roll(5)].into())),
        ("status_code", format!("{}", [200, 201, 404, 500][dice.roll(4)])),
        ("duration_ms", format!("{}.{:02}", dice.roll(2000), dice.roll(100))),
        ("request_id", text(format!("req-{}", dice.hex(8)))),
        ("trace_id", text(dice.hex(32))),
        ("span_id", text(dice.hex(16))),
    ]
}

fn object(members: &[(&'static str, String)]) -> String {
    let all: Vec<_> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}\n", all.join(","))
}

fn corpus(mut line: impl FnMut(&mut Dice, usize) -> String) -> String {
    let mut dice = Dice(0x1234_5678_9abc_def1);
    (0..LINES).map(|number| line(&mut dice, number)).collect()
}

fn flat() -> String {
    corpus(|dice, number| object(&members(dice, number)))
}

fn nested() -> String {
    corpus(|dice, number| {
        format!(
            "{{\"@timestamp\":\"2026-11-21T09:{:02}:{:02}.{:03}Z\",\"log\":{{\"level\":\"{}\",\"logger\":\"org.shop.{}\",\"origin\":{{\"file\":{{\"name\":\"handler.py\",\"line\":{}}}}}}},\"message\":\"handled {} with \\\"care\\\" in {} ms\",\"ecs\":{{\"version\":\"8.11.0\"}},\"service\":{{\"name\":\"{}\",\"version\":\"1.{}.0\",\"environment\":\"production\"}},\"http\":{{\"request\":{{\"method\":\"{}\",\"id\":\"{}\",\"body\":{{\"bytes\":{}}}}},\"response\":{{\"status_code\":{},\"body\":{{\"bytes\":{}}}}}}},\"url\":{{\"path\":\"{}/{}\",\"domain\":\"shop.example.com\"}},\"event\":{{\"duration\":{},\"outcome\":\"success\",\"tags\":[\"web\",\"prod\"]}},\"trace\":{{\"id\":\"{}\"}},\"span\":{{\"id\":\"{}\"}},\"user\":{{\"id\":{},\"roles\":[\"a\",\"b\"]}}}}\n",
            number / 60 % 60,
            number % 60,
            dice.roll(1000),
            LEVELS[dice.roll(4)],
            ["Views", "Db"][dice.roll(2)],
            dice.roll(900),
            dice.roll(100000),
            dice.roll(2000),
            SERVICES[dice.roll(3)],
            dice.roll(20),
            METHODS[dice.roll(4)],
            dice.hex(12),
            dice.roll(5000),
            [200, 404, 500][dice.roll(3)],
            dice.roll(90000),
            ROUTES[dice.roll(5)],
            dice.roll(1_000_000),
            dice.roll(100_000_000),
            dice.hex(32),
            dice.hex(16),
            dice.roll(100_000),
        )
    })
}

fn optional() -> String {
    corpus(|dice, number| {
        let mut all = members(dice, number);
        for (key, value) in [
            ("user_id", "12345"),
            ("region", "\"eu-west-1\""),
            ("retry", "false"),
            ("cache", "\"hit\""),
        ] {
            if dice.roll(2) == 0 {
                let at = 3 + all.len() - 12;
                all.insert(at + dice.roll(1), (key, value.to_owned()));
            }
        }
        object(&all)
    })
}

fn shuffled() -> String {
    corpus(|dice, number| {
        let mut all = members(dice, number);
        for at in (1..all.len()).rev() {
            all.swap(at, dice.roll(at + 1));
        }
        object(&all)
    })
}

fn strange() -> String {
    corpus(|dice, number| {
        let mut line = String::from("{");
        for (key, value) in members(dice, number) {
            let _ = write!(line, "\"{key}_{}\":{value},", dice.hex(6));
        }
        line + "\"level\":\"INFO\"}\n"
    })
}

fn pairs() -> String {
    corpus(|dice, number| {
        format!(
            "time=2026-11-21T09:{:02}:{:02}.{:03}Z level={} logger=app.{} msg=\"request {} completed\" service={} method={} path={} status={} duration={}ms request_id=req-{} trace_id={}\n",
            number / 60 % 60,
            number % 60,
            dice.roll(1000),
            ["info", "warn", "error"][dice.roll(3)],
            ["views", "db"][dice.roll(2)],
            dice.roll(1_000_000),
            SERVICES[dice.roll(3)],
            METHODS[dice.roll(4)],
            ROUTES[dice.roll(5)],
            [200, 404, 500][dice.roll(3)],
            dice.roll(2000),
            dice.hex(8),
            dice.hex(32),
        )
    })
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "read by serde")]
struct Borrowed<'a> {
    timestamp: &'a str,
    level: &'a str,
    logger: &'a str,
    message: std::borrow::Cow<'a, str>,
    service: &'a str,
    method: &'a str,
    path: std::borrow::Cow<'a, str>,
    status_code: u16,
    duration_ms: f64,
    request_id: &'a str,
    trace_id: &'a str,
    span_id: &'a str,
}

type Walk = fn(&str, usize, &FieldTable, &mut LineGraph, &mut Decoded) -> Option<usize>;

fn walked(
    block: &str,
    walk: Walk,
    wanted: &FieldTable,
    memory: &mut Memory,
    into: &mut Decoded,
) -> u64 {
    let (mut at, mut sum) = (0, 0);
    while at < block.len() {
        at = walk(block, at, wanted, &mut memory.graph, into).expect("the shape is known");
        sum += into.slots.present;
    }
    sum
}

/// Lines in the layout that Python's `logging` and most tutorials have.
fn python() -> String {
    corpus(|dice, number| {
        format!(
            "2026-11-21 09:{:02}:{:02},{:03} - app.{} - {} - request {} completed in {} steps\n",
            number / 60 % 60,
            number % 60,
            dice.roll(1000),
            ["views", "middleware", "db"][dice.roll(3)],
            LEVELS[dice.roll(4)],
            dice.roll(1_000_000),
            dice.roll(90),
        )
    })
}

fn nginx() -> String {
    corpus(|dice, number| {
        format!(
            "10.0.{}.{} - - [21/Nov/2026:09:{:02}:{:02} +0000] \"{} {} HTTP/1.1\" {} {} \"-\" \"curl/8.5.0\" 0.{:03}\n",
            dice.roll(256),
            dice.roll(256),
            number / 60 % 60,
            number % 60,
            METHODS[dice.roll(4)],
            ROUTES[dice.roll(5)],
            [200, 201, 404, 500][dice.roll(4)],
            dice.roll(9000),
            dice.roll(1000),
        )
    })
}

/// The same layouts as formats of a user.
const FORMATS: [(&str, &str); 2] = [
    ("python", "formats: [{python: '%(asctime)s - %(name)s - %(levelname)s - %(message)s'}]"),
    (
        "nginx",
        "formats: [{nginx: '$remote_addr - $remote_user [$time_local] \"$request\" $status \
         $body_bytes_sent \"$http_referer\" \"$http_user_agent\" $request_time'}]",
    ),
];

fn compiled(config: &str) -> RuleSet {
    let loaded = parse("bench", config, &Flags::default(), &Environment::new());
    assert!(loaded.is_valid(), "{:?}", loaded.faults);
    dry_run(&loaded.config.rules, loaded.config.limits).expect("formats that compile")
}

/// Walks a block as a data thread does.
fn walked_any(block: &str, rules: &RuleSet, memory: &mut Memory, into: &mut Decoded) -> u64 {
    let (mut at, mut sum) = (0, 0);
    while at < block.len() {
        at = walk(block, at, &rules.fields, memory, into).expect("a reader that walks");
        sum += into.slots.present;
    }
    sum
}

fn decoded(block: &str, wanted: &FieldTable, memory: &mut Memory, into: &mut Decoded) -> u64 {
    let (mut at, mut sum) = (0, 0);
    for end in memchr::memchr_iter(b'\n', block.as_bytes()) {
        decode(&block[at..end], wanted, memory, into);
        at = end + 1;
        sum += into.slots.present;
    }
    sum
}

fn cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

type Job<'a> = (String, usize, Box<dyn FnMut() -> u64 + 'a>, Vec<f64>);

fn main() {
    // rustix finds the clock in the vdso, which valgrind hides, so `--once` measures no time
    let once = std::env::args().any(|arg| arg == "--once");
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let wanted = FieldTable::standard();
    let corpora = [
        ("json flat", flat(), json::walk as Walk),
        ("json nested", nested(), json::walk),
        ("json 4 optional keys", optional(), json::walk),
        ("json shuffled keys", shuffled(), json::walk),
        ("json strange keys", strange(), json::walk),
        ("logfmt", pairs(), logfmt::walk),
    ];
    let blocks = [python(), nginx()];
    let sets = FORMATS.map(|(_, config)| compiled(config));
    let built_in = compiled("{}");
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for (name, block, walk) in &corpora {
        let (mut memory, mut into) = (Memory::default(), Decoded::new());
        let bytes = block.len() / LINES;
        let run = Box::new(move || {
            memchr::memchr_iter(b'\n', black_box(block).as_bytes()).count() as u64
        });
        jobs.push((format!("{name}: newlines counted"), bytes, run, Vec::new()));
        let table = &wanted;
        let run = Box::new(move || walked(black_box(block), *walk, table, &mut memory, &mut into));
        jobs.push((format!("{name}: walk"), bytes, run, Vec::new()));
        let (mut memory, mut into) = (Memory::default(), Decoded::new());
        let run = Box::new(move || decoded(black_box(block), table, &mut memory, &mut into));
        jobs.push((format!("{name}: newline and decode"), bytes, run, Vec::new()));
    }
    for ((block, (name, _)), own) in blocks.iter().zip(FORMATS).zip(&sets) {
        for (kind, rules) in [("built-in", &built_in), ("own format", own)] {
            let (mut memory, mut into) = (Memory::new(&rules.formats), Decoded::new());
            let run = Box::new(move || walked_any(black_box(block), rules, &mut memory, &mut into));
            jobs.push((format!("{name}: {kind}"), block.len() / LINES, run, Vec::new()));
        }
    }
    let run = Box::new(|| {
        let lines = black_box(&corpora[0].1).lines();
        lines.filter(|line| serde_json::from_str::<Borrowed<'_>>(black_box(line)).is_ok()).count()
            as u64
    });
    jobs.push(("json flat: serde_json, borrowed struct".into(), 0, run, Vec::new()));
    jobs.retain(|job| job.0.contains(&filter));
    if once {
        for (_, _, run, _) in &mut jobs {
            black_box((0..REPEATS).map(|_| run()).sum::<u64>());
        }
        return;
    }
    for round in 0..=ROUNDS {
        for (_, _, run, figures) in &mut jobs {
            let start = cpu_ns();
            for _ in 0..REPEATS {
                black_box(run());
            }
            let spent = (cpu_ns() - start) as f64 / (LINES * REPEATS) as f64;
            if round > 0 {
                figures.push(spent);
            }
        }
    }
    for (name, bytes, _, figures) in &mut jobs {
        figures.sort_by(f64::total_cmp);
        println!(
            "{name:45} {bytes:4} B  {:7.1} ns/line  (best {:.1})",
            figures[ROUNDS / 2],
            figures[0]
        );
    }
}
