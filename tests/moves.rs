//! Checks that code changes each of sidelight's metrics, with each value of each label with a closed
//! set of values. Applications, collectors, scrapers and configurations do it from outside, as they
//! do in a pod; where a condition takes minutes, the parts of the process are built in the test.

use crate::collector::{FakeCollector, Reply};
use crate::pages::root;
use crate::process::{AMPLE, Setup, Sidecar};
use crate::protocols::{forwarded, pickled};
use crate::stand::Stand;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit, setrlimit};
use sidelight::clock::{Clock, UnixNanos};
use sidelight::config::settings::Config;
use sidelight::export::endpoint::Protocol;
use sidelight::export::retry::Waits;
use sidelight::export::{self, ExporterSetup, Settings};
use sidelight::outbox::{BatchSize, Capacity, Outbox};
use sidelight::pipeline::input::{FrameSink, Input, Source};
use sidelight::resource::Resource as Service;
use sidelight::spans::assemble::STARTS_MAX;
use sidelight::telemetry::log::{Log, Sink};
use sidelight::telemetry::outputs::OutputStatus;
use sidelight::telemetry::table::{Metric, Values};
use sidelight::telemetry::{TABLE, Telemetry};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Values that a test of a module moves, because it takes half a minute outside of it: the value, the
/// file of the test, and the test.
const ELSEWHERE: [(&str, &str, &str); 1] = [(
    "sidelight_connections_refused_total{reason=admin_idle}",
    "src/serve/tests/connections.rs",
    "an_answer_that_is_read_too_slowly_is_let_go",
)];

/// The metrics and values that have been other than 0, as `name` and `name{label=value}`, and
/// violations of the table.
#[derive(Default)]
struct Seen {
    moved: BTreeSet<String>,
    wrong: Vec<String>,
}

/// Returns what must move: every row of the table, and every value of its closed labels.
fn expected() -> BTreeSet<String> {
    let mut expected = BTreeSet::new();
    for row in TABLE {
        expected.insert(row.name.to_owned());
        for label in row.labels {
            let Values::Closed(values) = label.values else { continue };
            let named =
                values.iter().map(|value| format!("{}{{{}={value}}}", row.name, label.name));
            expected.extend(named);
        }
    }
    expected
}

impl Seen {
    fn take(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let Some(row) = Metric::find(TABLE, name) else { return };
        if !row.allows(labels) {
            self.wrong.push(format!("{name} {labels:?}"));
        }
        if value != 0.0 {
            self.moved.insert(name.to_owned());
            let named = labels.iter().map(|(label, value)| format!("{name}{{{label}={value}}}"));
            self.moved.extend(named);
        }
    }

    fn scrape(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.trim_end_matches('}').split("\",").filter_map(|pair| {
                let (name, value) = pair.split_once("=\"")?;
                Some((name, value.trim_end_matches('"')))
            });
            let labels: Vec<(&str, &str)> = labels.collect();
            self.take(name, &labels, value.parse().unwrap_or(0.0));
        }
    }

    fn gather(&mut self, telemetry: &Telemetry) {
        for family in telemetry.gather() {
            for metric in family.get_metric() {
                let labels = metric.get_label().iter().map(|label| (label.name(), label.value()));
                let labels: Vec<(&str, &str)> = labels.collect();
                let value = metric.get_counter().get_value() + metric.get_gauge().get_value();
                self.take(family.name(), &labels, value);
            }
        }
    }

    /// Repeats `act` and scrapes the sidecar until all of these have moved. A short name without
    /// the prefix is enough.
    fn watch(&mut self, sidecar: &Sidecar, names: &[&str], mut act: impl FnMut()) {
        let begin = Instant::now();
        let names: Vec<String> = names.iter().map(|name| format!("sidelight_{name}")).collect();
        while !names.iter().all(|name| self.moved.contains(name)) {
            act();
            self.scrape(&sidecar.metrics());
            let missing = || names.iter().filter(|name| !self.moved.contains(*name));
            assert!(begin.elapsed() < AMPLE, "{:?}", missing().collect::<Vec<_>>());
            std::thread::yield_now();
        }
    }
}

/// Lines that increase each of the counters about lines.
fn lines() -> Vec<u8> {
    let mut lines = Vec::new();
    let mut say = |line: &str| lines.extend_from_slice(format!("{line}\n").as_bytes());
    let request = |more: &str| {
        format!(
            r#"{{"level":"info","method":"GET","path":"/a","status":200,"duration_ms":5{more}}}"#
        )
    };
    say(&request(r#","time":"2026-01-02T03:04:05Z","request_id":"request-1""#));
    say(&request(""));
    say(&request(r#","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331""#));
    say(&request(r#","trace_id":"0af7651916cd43dd8448eb211c80319c","trace_flags":"00""#));
    say(&request(r#","request_id":"request-3""#).replace(":5,", ":9e12,"));
    say(&request("").replace("/a", "/bell\\u0007"));
    say("{\"level\":\"error\",\"message\":\"cut");
    say("Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nValueError: no");
    say(&"x".repeat(70_000));
    say("level=info method=GET path=/a status=200 duration=5ms");
    say("192.0.2.1 - - [02/Jan/2026:03:04:05 +0000] \"GET /a HTTP/1.1\" 200 5");
    say("2026-01-02 03:04:05,123 INFO app: hello");
    say("1767323044.123 | INFO | hello | shop | 6f1e2d3c-4b5a-4697-8877-665544332211");
    say("own INFO hello");
    for first in 'a'..='j' {
        for second in 'a'..='j' {
            say(&format!(r#"{{"method":"GET","path":"/{first}{second}","status":200}}"#));
        }
    }
    // one more start than may wait for their ends
    for number in 0..=STARTS_MAX {
        say(&format!(
            r#"{{"message":"request started","method":"GET","request_id":"request-{number}"}}"#
        ));
    }
    lines.extend_from_slice(b"caf\xe9\n");
    lines
}

/// Sends a request to the admin port over a connection that stays open.
fn ask(sidecar: &Sidecar, request: &str, times: usize) -> TcpStream {
    let mut connection = TcpStream::connect(sidecar.admin()).expect("it listens");
    // the answers of a client that reads nothing fill the buffers, and then it must not wait
    connection.set_write_timeout(Some(Duration::from_secs(1))).expect("a time");
    let _ = connection.write_all(request.repeat(times).as_bytes());
    connection
}

/// Lines, datagrams, a collector, scrapers and reloads of one sidecar.
fn one_sidecar(seen: &mut Seen) {
    // answers to the first span, the second twice, and all others
    let script = [Reply::Status(400, None), Reply::Status(503, None), Reply::Partial(1)];
    let collector = FakeCollector::start(Protocol::Http, &script);
    let environment = BTreeMap::from([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.replace("/v1/traces", "")),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1".to_owned()),
    ]);
    let config = Some(
        "log_level: info\n\
         formats: [{regex: '^own (?<level>[A-Z]+) (?<message>.*)$'}]\n\
         metrics: {groups: {database: false}}\n\
         rules: [{name: n, counter: {name: database_queries_total, help: h, labels: {l: level}}}]\n",
    );
    let sidecar = Sidecar::start(Setup { environment, config, ..Setup::default() });
    let mut open = UnixStream::connect(&sidecar.stream).expect("it listens");
    open.write_all(&lines()).expect("it reads");
    let names = [
        "build_info",
        "config_info",
        "records_incomplete_total{missing=time}",
        "records_incomplete_total{missing=level}",
        "frames_oversized_total",
        "frames_joined_total",
        "frames_invalid_utf8_total",
        "frames_decoded_total{format=own}",
        "frames_decoded_total{format=epoch}",
        "starts_dropped_total{reason=evicted}",
        "spans_skipped_total{reason=bad_duration}",
        "label_values_replaced_total",
        "label_overflow_total",
    ];
    seen.watch(&sidecar, &names, || {});
    let names = [
        "data_thread_seconds_total{thread=datagram}",
        "data_thread_seconds_total{state=sleep}",
        "frames_received_total{input=datagram}",
        "received_bytes_total{input=datagram}",
    ];
    seen.watch(&sidecar, &names, || sidecar.send(b"level=info msg=hello"));
    other_protocols(seen, &sidecar);
    let names = [
        "export_requests_total{result=rejected}",
        "export_requests_total{result=retry}",
        "export_requests_total{result=partial}",
        "export_requests_total{result=ok}",
        "items_dropped_total{reason=rejected}",
        "items_dropped_total{reason=partial}",
        "items_sent_total{output=spans}",
        "output_healthy{output=spans}",
    ];
    let span =
        r#"{"method":"GET","path":"/a","status":200,"duration_ms":5,"request_id":"request-2"}"#;
    seen.watch(&sidecar, &names, || writeln!(open, "{span}").expect("it reads"));
    for (config, outcome) in [
        // the built-in family has other labels than the rule of the same name had
        ("log_level: info\n", "refused"),
        ("rules: [\n", "partial"),
        ("metrics: {groups: {database: false}}\n", "loaded"),
    ] {
        std::fs::write(&sidecar.config, config).expect("a writable directory");
        sidecar.signal(Signal::HUP);
        seen.watch(&sidecar, &[&format!("config_reloads_total{{outcome={outcome}}}")], || {});
    }
    refused_connections(seen, &sidecar);
    drop(open);
    assert_eq!(sidecar.stop().code, Some(0));
}

/// Clients that do not write text, one of them with a damaged frame.
fn other_protocols(seen: &mut Seen, sidecar: &Sidecar) {
    for datagram in [&pickled("plain")[..], b"MESSAGE=no stock\n", &[0x1f, 0x8b, 8, 0, 1]] {
        sidecar.send(datagram);
    }
    sidecar.write(&forwarded());
    let names = [
        "frames_decoded_total{format=pickle}",
        "frames_decoded_total{format=journal}",
        "frames_decoded_total{format=forward}",
        "frames_refused_total{reason=undecodable}",
    ];
    seen.watch(sidecar, &names, || {});
}

/// Clients of the admin port that are silent or read nothing, more writers than one user may have,
/// and a process without descriptors.
fn refused_connections(seen: &mut Seen, sidecar: &Sidecar) {
    let unread = ask(sidecar, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n", 2_000);
    seen.watch(sidecar, &["connections_refused_total{reason=admin_unread}"], || {});
    drop(unread);
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum.unwrap_or(4_096).min(4_096);
    setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..limit }).expect("within it");
    let mut silent = Vec::new();
    let evicted = ["connections_refused_total{reason=admin_evicted}"];
    seen.watch(sidecar, &evicted, || silent.push(ask(sidecar, "GET / HTTP/1.1\r\n", 1)));
    drop(silent);
    let mut writers = Vec::new();
    let connect = || UnixStream::connect(&sidecar.stream).expect("it listens");
    for _ in 0..1_024 {
        writers.push(connect());
    }
    seen.watch(sidecar, &["connections_refused_total{reason=uid_limit}"], || {
        writers.push(connect());
    });
    drop(writers);
}

/// A sidecar without descriptors, and one that is disabled and stops in the middle of a line.
fn limited(seen: &mut Seen) {
    let sidecar = Sidecar::start(Setup::default());
    let _open = UnixStream::connect(&sidecar.stream).expect("it listens");
    seen.watch(&sidecar, &["connections_open{input=stream}"], || {});
    let files = std::fs::read_dir(format!("/proc/{}/fd", sidecar.pid())).expect("it runs");
    // enough for the scrapes
    let most = Some(files.count() as u64 + 6);
    let pid = Pid::from_raw(sidecar.pid() as i32);
    let limit = Rlimit { current: most, maximum: most };
    prlimit(pid, Resource::Nofile, limit).expect("it is our child");
    let mut writers: Vec<UnixStream> =
        (0..60).map(|_| UnixStream::connect(&sidecar.stream).expect("a backlog")).collect();
    let last = writers.last_mut().expect("there are sixty");
    last.set_read_timeout(Some(AMPLE)).expect("a time");
    assert_eq!(last.read(&mut [0; 1]).expect("an end"), 0);
    drop(writers);
    seen.watch(&sidecar, &["connections_refused_total{reason=descriptors}"], || {});
    drop(sidecar);

    let config = Some("enabled: false\nsocket: {connections_max: 1}\nfinal_scrape: {wait: 20s}\n");
    let sidecar = Sidecar::start(Setup { config, ..Setup::default() });
    let mut open = UnixStream::connect(&sidecar.stream).expect("it listens");
    open.write_all(b"a\nhalf").expect("it reads");
    seen.watch(&sidecar, &["frames_refused_total{reason=disabled}"], || {});
    let _refused = UnixStream::connect(&sidecar.stream).expect("it listens");
    seen.watch(&sidecar, &["connections_refused_total{reason=limit}"], || {});
    sidecar.signal(Signal::TERM);
    seen.watch(&sidecar, &["frames_torn_total"], || {});
}

/// Lines on standard input, and their copies on standard output.
fn standard_streams(seen: &mut Seen) {
    let (reader, mut writer) = std::io::pipe().expect("descriptors");
    let config = Some("passthrough: stdout\n");
    let arguments = vec!["--stdin".to_owned()];
    let setup = Setup { arguments, config, ..Setup::default() };
    let mut sidecar = Sidecar::spawn(setup, Stdio::from(reader));
    sidecar.wait_said("admin port");
    writer.write_all(format!("{}\n", "x".repeat(70_000)).as_bytes()).expect("it reads");
    let names = [
        "frames_received_total{input=stdin}",
        "received_bytes_total{input=stdin}",
        "data_thread_seconds_total{thread=stdin}",
        "items_offered_total{output=stdout}",
        "items_sent_total{output=stdout}",
        "items_dropped_total{output=stdout}",
        "items_dropped_total{reason=oversized}",
        "output_healthy{output=stdout}",
    ];
    seen.watch(&sidecar, &names, || writeln!(writer, "hello").expect("it reads"));
    drop(writer);
    assert_eq!(sidecar.end().code, Some(0));
}

/// An outbox that is full and one that is closed, and a start whose end never arrives.
fn pipeline(seen: &mut Seen) {
    let begin = UnixNanos(1_800_000_000_000_000_000);
    let later = UnixNanos(begin.0 + 660_000_000_000);
    let capacity = Capacity { items_max: 1, bytes_max: 1 << 20 };
    let mut stand = Stand::holding(&Config::default(), capacity);
    let mut source = Source::with_id(1, Input::Stream);
    let span = "{\"method\":\"GET\",\"path\":\"/a\",\"status\":200,\"duration_ms\":5,\"request_id\":\"r-17\"}\n";
    stand.pipeline.lines(&mut source, span.repeat(3).as_bytes(), begin);
    stand.pipeline.flush(begin);
    stand.outbox.close();
    let start = "{\"message\":\"request started\",\"method\":\"GET\",\"request_id\":\"r-18\"}\n";
    stand.pipeline.lines(&mut source, format!("{span}{start}").as_bytes(), begin);
    stand.pipeline.flush(begin);
    stand.pipeline.tick(later);
    stand.pipeline.flush(later);
    seen.gather(&stand.telemetry);
}

/// A collector that refuses one batch for too long, and one that hangs at the end.
fn exporter(seen: &mut Seen) {
    for (reply, within) in
        [(Reply::Status(503, None), AMPLE), (Reply::Hang, Duration::from_millis(100))]
    {
        let collector = FakeCollector::start(Protocol::Http, &[reply]);
        let waits = Waits { batch_max: Duration::ZERO, ..Waits::default() };
        let endpoint = collector.endpoint.clone();
        let batch = BatchSize { items_max: 1, bytes_max: 1 << 20 };
        let settings = Settings { endpoint, waits, batch, ..Settings::default() };
        let mut stand = Stand::new(&Config::default());
        let telemetry = Telemetry::new();
        let status = OutputStatus::new("spans", &telemetry.output_healthy, Box::new(|| 0.0));
        let setup = ExporterSetup {
            status,
            resource: Service::default(),
            outbox: Arc::<Outbox>::clone(&stand.outbox),
            telemetry: &telemetry,
            clock: Clock::system(),
            seed: 7,
        };
        let exporter = export::spawn(settings, setup).expect("an exporter");
        let mut source = Source::with_id(1, Input::Stream);
        let span = b"{\"method\":\"GET\",\"path\":\"/a\",\"status\":200,\"duration_ms\":5,\"request_id\":\"r-17\"}\n";
        stand.pipeline.lines(&mut source, span, UnixNanos(1_800_000_000_000_000_000));
        stand.pipeline.flush(UnixNanos(1_800_000_000_000_000_000));
        exporter.finish(within);
        seen.gather(&telemetry);
    }
}

fn own_log(seen: &mut Seen) {
    let telemetry = Telemetry::new();
    let sink = Sink::Memory(Arc::new(Mutex::new(Vec::new())));
    let clock = Clock::wound(UnixNanos(1)).0;
    let log = Log::new(tracing::Level::INFO, clock, telemetry.log_suppressed.clone(), sink);
    tracing::subscriber::with_default(log, || {
        for _ in 0..10 {
            tracing::warn!("again");
        }
    });
    seen.gather(&telemetry);
}

/// Guarantees: every row of the table is used, with every value of its closed labels: something
/// that happens to a process changes it. No label has a value that is not in the table.
#[test]
fn every_own_metric_moves_with_every_value() {
    let mut seen = Seen::default();
    pipeline(&mut seen);
    exporter(&mut seen);
    own_log(&mut seen);
    standard_streams(&mut seen);
    limited(&mut seen);
    one_sidecar(&mut seen);
    assert!(seen.wrong.is_empty(), "{:?}", seen.wrong);
    for (value, file, test) in ELSEWHERE {
        assert!(!seen.moved.contains(value), "{value} moves here");
        let text = std::fs::read_to_string(root().join(file)).expect("a file of tests");
        assert!(text.contains(&format!("async fn {test}()")), "no {test} in {file}");
        seen.moved.insert(value.to_owned());
    }
    let expected = expected();
    let missing: Vec<&String> = expected.difference(&seen.moved).collect();
    assert!(missing.is_empty(), "nothing moves {missing:#?}");
}
