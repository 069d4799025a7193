//! Checks that no line allocates once its series exist. A counting global allocator measures this,
//! so this test is a separate binary. Unit: one block of lines.

// only the allocator needs unsafe code; sidelight itself forbids it
#[path = "support/corpus.rs"]
#[allow(dead_code)] // the names on the command line are the bench's
mod corpus;
#[path = "support/pipeline.rs"]
#[allow(dead_code)] // the bench renders
mod pipeline;

use corpus::{Shape, corpus};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Forwards to the system's allocator, and counts the requests of this thread.
struct Counting;

thread_local! {
    // it has no destructor and is initialised at compile time: reading it never allocates
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // a thread that is ending has no counter any more, and no test measures it
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to `System` unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts the allocations that `work` makes on this thread.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

/// Scenario: work that allocates, work that reallocates, and work that does neither.
/// Guarantees: the counter counts them, and counts this thread only.
#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(7_u64)))), 1);
    let grown = allocations(|| {
        let mut bytes = Vec::with_capacity(1);
        bytes.extend_from_slice(std::hint::black_box(&[1_u8, 2, 3]));
        std::hint::black_box(&bytes);
    });
    assert_eq!(grown, 2);
    let idle = allocations(|| {
        std::hint::black_box(7_u64 * 6);
    });
    assert_eq!(idle, 0);
    let elsewhere = allocations(|| {
        // creating the thread allocates here; the new thread's allocations are not counted here
        std::thread::scope(|scope| {
            let inner = scope.spawn(|| allocations(|| drop(vec![0_u8; 4_096])));
            assert_eq!(inner.join().expect("it does not panic"), 1);
        });
    });
    let idle = allocations(|| {
        std::thread::scope(|scope| {
            let inner = scope.spawn(|| allocations(|| ()));
            assert_eq!(inner.join().expect("it does not panic"), 0);
        });
    });
    assert_eq!(elsewhere, idle);
}

/// Enough lines to create every series of a corpus, including the rare ones.
const LINES_WARM: usize = 40_000;
const LINES_MEASURED: usize = 5_000;
/// The size of the blocks that a reader delivers: the bytes of one read.
const BLOCK_BYTES: usize = 64 * 1024;

/// Calls `with` on blocks of whole lines.
fn blocks(bytes: &[u8], mut with: impl FnMut(&[u8])) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let near = rest.len().min(BLOCK_BYTES);
        let end = memchr::memrchr(b'\n', &rest[..near]).map_or(rest.len(), |at| at + 1);
        with(&rest[..end]);
        rest = &rest[end..];
    }
}

fn met(warm: &[corpus::Corpus], sample: &String) -> bool {
    warm.iter().any(|known| known.truth.0.contains_key(sample))
}

/// Scenario: lines of every shape, for which all series already exist, with new ids, times and
/// durations.
/// Guarantees: there is no allocation, neither for a line nor at the end of a batch.
#[test]
fn no_line_allocates_once_its_series_are_met() {
    use sidelight::clock::UnixNanos;
    use sidelight::pipeline::input::{FrameSink, Input, Source};
    for shape in Shape::ALL {
        let (mut pipeline, _registry) = pipeline::standard_pipeline();
        let mut source = Source::with_id(1, Input::Stream);
        let observed = UnixNanos(1_795_219_200_000_000_000);
        let fresh = corpus(shape, LINES_MEASURED, 1_000);
        let mut warm = Vec::new();
        while !fresh.truth.0.keys().all(|sample| met(&warm, sample)) {
            assert!(warm.len() < 20, "{}: a series too rare to be met", shape.name());
            warm.push(corpus(shape, LINES_WARM, warm.len() as u64));
        }
        for known in &warm {
            blocks(&known.bytes, |block| {
                pipeline.lines(&mut source, block, observed);
                pipeline.flush(observed);
            });
        }
        let count = allocations(|| {
            blocks(&fresh.bytes, |block| {
                pipeline.lines(&mut source, block, observed);
                pipeline.flush(observed);
            });
        });
        assert_eq!(count, 0, "{}: allocations in {LINES_MEASURED} lines", shape.name());
    }
}

/// Scenario: spans of all kinds and id formats, in batches that an exporter takes in between.
/// Guarantees: there is no allocation, neither for a span nor at the end of a batch, once the
/// chunks have grown.
#[test]
fn no_span_allocates_once_chunks_have_grown() {
    use sidelight::clock::UnixNanos;
    use sidelight::outbox::{BatchSize, Capacity, Chunk, Outbox};
    use sidelight::record::slots::SlotValue;
    use sidelight::record::{Decoded, Envelope, Record, field};
    use sidelight::resource::Resource;
    use sidelight::spans::{EndedWork, Operation, Settings, SpanMaker};
    use sidelight::telemetry::Telemetry;
    use std::time::Duration;
    let telemetry = Telemetry::new();
    let outbox = Outbox::new(Capacity::SPANS);
    let settings = Settings { exception_text: true, ..Settings::default() };
    let resource = Resource::default();
    let mut maker = SpanMaker::new(settings, &resource, std::sync::Arc::clone(&outbox), &telemetry);
    let line = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736 REQ-7 cart ValueError";
    let mut decoded = Decoded::new();
    let mut batch = |id: SlotValue, count: u64| {
        decoded.clear();
        decoded.slots.put(field::REQUEST_ID, id);
        decoded.slots.put(field::SERVICE, SlotValue::text(43, 47));
        decoded.slots.put(field::EXCEPTION_TYPE, SlotValue::text(48, 58));
        let record = Record::new(line, &decoded, UnixNanos(1), Envelope::default());
        for number in 0..count {
            for operation in [Operation::Request, Operation::Query, Operation::Internal] {
                let work = EndedWork {
                    operation,
                    seconds: 0.1,
                    end: UnixNanos(1_700_000_000_000_000_000 + number),
                    subject: "orders",
                    verb: "GET",
                    status_code: 503,
                    failed: true,
                    is_requested: false,
                };
                assert!(maker.finished(&record, 1, &work).is_some());
            }
        }
        maker.flush();
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let most = BatchSize { items_max: 512, bytes_max: 1 << 20 };
    let mut taken = Chunk::default();
    for round in 0..8 {
        let count = allocations(|| {
            for count in [1, 10, 150] {
                batch(SlotValue::text(0, 36), count);
                batch(SlotValue::text(37, 42), count);
            }
        });
        assert!(round < 4 || count == 0, "round {round}: {count} allocations");
        while outbox.held() > 0 {
            assert!(runtime.block_on(outbox.take(&mut taken, most, Duration::ZERO)));
            outbox.settle(taken.len() as u64);
        }
    }
}

/// Scenario: lines in the user's formats of every kind: with a time that is rewritten, a zone with
/// daylight saving time, escaped values, a level that has another word, and lines that match none.
/// Guarantees: there is no allocation once they have been used on this thread.
#[test]
fn formats_of_ones_own_allocate_nothing() {
    use sidelight::config::environment::Environment;
    use sidelight::config::{Flags, parse};
    use sidelight::decode::{Memory, decode, walk};
    use sidelight::record::{Decoded, Format};
    use sidelight::rules::compile::dry_run;
    let text = "formats:\n\
        - {python: '%(asctime)s - %(name)s - %(levelname)s - %(message)s', datefmt: '%d/%m/%Y %H:%M:%S', time_zone: Europe/Berlin, levels: {AUDIT: notice}}\n\
        - {nginx: '$remote_addr [$time_local] \"$request\" $status \"$http_user_agent\" $request_time'}\n\
        - {logback: '%d [%thread] %-5level %logger{36} - %msg%n'}\n\
        - {regex: '^job=(?<job>[a-z]+) level=(?<level>[a-z]+)$'}\n\
        - {grok: '^%{IP:client} %{WORD:verb} %{URIPATHPARAM:request} %{INT:response}$'}\n";
    let loaded = parse("formats", text, &Flags::default(), &Environment::new());
    assert!(loaded.is_valid(), "{:?}", loaded.faults);
    let rules = dry_run(&loaded.config.rules, loaded.config.limits).expect("formats");
    let (mut memory, mut into) = (Memory::new(&rules.formats), Decoded::new());
    let own = [
        "01/02/2026 03:04:05 - shop - AUDIT - a - b",
        "192.0.2.7 [02/Jan/2026:03:04:05 +0000] \"GET /a HTTP/1.1\" 200 \"a \\x22b\\x22\" 0.250",
        "2026-01-02 03:04:05,678 [main] WARN  shop.Cart - x",
        "job=report level=info",
        "192.0.2.7 GET /a?b=c 200",
    ];
    let others = ["2026-01-02 03:04:05 INFO shop none of them", "x"];
    for round in 0..3 {
        let mut read = 0;
        let counted = allocations(|| {
            for line in own.iter().chain(&others) {
                decode(line, &rules.fields, &mut memory, &mut into);
                read += u32::from(into.format == Format::Own);
                let _ = walk(line, 0, &rules.fields, &mut memory, &mut into);
            }
        });
        assert_eq!(read, own.len() as u32);
        assert!(round == 0 || counted == 0, "{counted} allocations in round {round}");
    }
}

/// Scenario: a condition with every kind of test, a capture, a level and a template, on fields that
/// match and on fields that do not.
/// Guarantees: there is no allocation once they have been used on this thread.
#[test]
fn rules_of_ones_own_allocate_nothing() {
    use sidelight::clock::UnixNanos;
    use sidelight::record::field::FieldTable;
    use sidelight::record::slots::SlotValue;
    use sidelight::record::{Decoded, Envelope, Record};
    use sidelight::rules::extract::Extract;
    use sidelight::rules::routes::Routes;
    use sidelight::rules::select::Condition;
    use sidelight::rules::template::template;
    let mut fields = FieldTable::standard();
    let text = "(shop.matches(\"^b[a-z]+n$\") || shop == \"x\") && status >= 500 && !shop.contains(\"q\") \
                && shop.startsWith(\"b\") && shop.endsWith(\"n\") && level >= WARN && duration < 1s \
                && has(shop) && shop in [\"bonn\", \"berlin\"] && shop != \"y\"";
    let condition = Condition::parse(text, &mut fields).expect("a condition");
    let extract = Extract::compile("(?<start>b[a-z]) *(?<end>[a-z]+)").expect("a pattern");
    let mut captures = extract.captures();
    let mut route = String::with_capacity(256);
    let lines = ["berlin 503 error 250ms", "bremen 200 info 2s", "nowhere - - -"].map(|line| {
        let mut decoded = Decoded::new();
        let mut start = 0;
        for (name, word) in ["shop", "status", "level", "duration"].iter().zip(line.split(' ')) {
            let standard = fields.binding(name).map(|binding| binding.field);
            for field in standard.into_iter().chain([fields.intern(name)]) {
                decoded.slots.put(field, SlotValue::text(start, start + word.len()));
            }
            start += word.len() + 1;
        }
        (line, decoded)
    });
    for round in 0..3 {
        let mut held = 0;
        let count = allocations(|| {
            for (line, decoded) in &lines {
                let record = Record::new(line, decoded, UnixNanos(0), Envelope::default());
                held += u32::from(condition.holds(&record));
                if extract.read(line, &mut captures) {
                    std::hint::black_box(extract.group(0, line, &captures));
                }
                route.clear();
                template("/a/b/17/c?d", &Routes::default(), &mut route);
            }
        });
        assert_eq!(held, 1, "the first line alone");
        // in the first round the regex crate creates this thread's cache
        assert!(round == 0 || count == 0, "{count} allocations in round {round}");
    }
}
