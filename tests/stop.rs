//! Tests how the real binary ends: what it still reads, what it waits for, what it reports.

use crate::life::INFO;
use crate::process::{AMPLE, Setup, Sidecar};
use rustix::process::Signal;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn setup(arguments: &[&str]) -> Setup {
    let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
    Setup { arguments, ..Setup::default() }
}

/// Guarantees: everything written before SIGTERM is counted, including a last line without a
/// newline.
#[test]
fn what_was_written_is_read_before_it_leaves() {
    let sidecar = Sidecar::start(Setup::default());
    sidecar.write("{\"level\":\"info\"}\n".repeat(5_000).as_bytes());
    sidecar.write(b"INFO:shop:the last, without a newline");
    let ending = sidecar.stop();
    let ledger = ending.ledger();
    assert_eq!((ledger["received"], ledger["lost"], ending.code), (5_001, 0, Some(0)));
}

/// Scenario: in classic mode the sidecar waits for the application, which stays connected and keeps
/// writing. Meanwhile it receives SIGTERM and SIGINT again.
/// Guarantees: the drain continues, the log says so, and every line of the application is counted.
#[test]
fn a_repeated_stop_changes_nothing() {
    let mut sidecar = Sidecar::start(setup(&["--mode", "classic"]));
    let mut stays = std::os::unix::net::UnixStream::connect(&sidecar.stream).expect("it listens");
    sidecar.wait_metric(r#"sidelight_connections_open{input="stream"} 1"#);
    sidecar.signal(Signal::TERM);
    // the process has handled the first signal: it reports that it is no longer ready
    let until = Instant::now() + AMPLE;
    while sidecar.get("/readyz", "*/*").0 == 200 && Instant::now() < until {
        std::thread::yield_now();
    }
    for signal in [Signal::TERM, Signal::INT] {
        sidecar.signal(signal);
        sidecar.wait_said("already leaving");
        sidecar.said.clear();
        std::io::Write::write_all(&mut stays, &b"{\"level\":\"info\"}\n".repeat(10))
            .expect("it reads on");
    }
    drop(stays);
    let ending = sidecar.end();
    let ledger = ending.ledger();
    assert_eq!((ledger["received"], ledger["lost"], ending.code), (20, 0, Some(0)));
}

/// Guarantees: SIGQUIT ends the process at once, whatever the drain waits for, and the exit code
/// reports the incomplete drain.
#[test]
fn a_quit_signal_ends_at_once() {
    let sidecar = Sidecar::start(setup(&["--mode", "classic"]));
    let _stays = std::os::unix::net::UnixStream::connect(&sidecar.stream).expect("it listens");
    sidecar.wait_metric(r#"sidelight_connections_open{input="stream"} 1"#);
    sidecar.signal(Signal::TERM);
    sidecar.signal(Signal::QUIT);
    assert_eq!(sidecar.end().code, Some(3), "it did not close its ledger");
}

/// Scenario: `app | sidelight run --stdin` and Ctrl-C, which both processes receive. The
/// application writes its last lines after pauses of a second or more before it exits.
/// Guarantees: the sidecar reads until the application closes the pipe, and counts every line.
#[test]
fn standard_input_is_read_until_its_writer_closes() {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let mut sidecar = Sidecar::spawn(setup(&["--stdin"]), reader.into());
    sidecar.wait_said("admin port");
    std::io::Write::write_all(&mut writer, b"{\"level\":\"info\"}\n").expect("it reads");
    sidecar.wait_metric(r#"sidelight_frames_received_total{input="stdin"} 1"#);
    sidecar.signal(Signal::INT);
    let until = Instant::now() + AMPLE;
    while sidecar.get("/readyz", "*/*").0 == 200 && Instant::now() < until {
        std::thread::yield_now();
    }
    assert!(Instant::now() < until, "it is ready after a stop");
    for received in [2, 3] {
        // at least a second of silence, after which a reader that does not wait for the end leaves
        sidecar.wait_evaluation();
        sidecar.wait_evaluation();
        std::io::Write::write_all(&mut writer, b"{\"level\":\"warn\"}\n").expect("it reads on");
        let received = format!("sidelight_frames_received_total{{input=\"stdin\"}} {received}");
        sidecar.wait_metric(&received);
    }
    drop(writer);
    let ending = sidecar.end();
    let ledger = ending.ledger();
    assert_eq!((ledger["received"], ledger["lost"], ending.code), (3, 0, Some(0)));
}

/// Guarantees: the end of standard input drains and ends the process.
#[test]
fn the_end_of_standard_input_is_the_end() {
    let mut sidecar = Sidecar::spawn(setup(&["--stdin"]), Stdio::piped());
    sidecar.wait_said("admin port");
    sidecar.feed(b"INFO:shop:a\nERROR:shop:b\nINFO:shop:no newline");
    let ending = sidecar.end();
    let ledger = ending.ledger();
    assert_eq!((ledger["received"], ledger["decoded"], ending.code), (3, 3, Some(0)));
}

/// Scenario: a classic sidecar in a Job's pod. A probe connects and leaves; the application
/// connects, writes, and leaves.
/// Guarantees: only the end of the application ends the sidecar, without a signal and with exit
/// code 0.
#[test]
fn in_a_job_it_leaves_when_the_application_has() {
    let environment = [("SIDELIGHT_EXIT_WITH_APP", "1".to_owned())];
    let environment = environment.into();
    let mut sidecar = Sidecar::start(Setup {
        environment,
        ..setup(&["--mode", "classic", "--log-level", "info"])
    });
    drop(std::os::unix::net::UnixStream::connect(&sidecar.stream).expect("it listens"));
    let mut application =
        std::os::unix::net::UnixStream::connect(&sidecar.stream).expect("it listens");
    std::io::Write::write_all(&mut application, b"{\"level\":\"info\",\"service\":\"shop\"}\n")
        .expect("it reads");
    sidecar.wait_metric(INFO);
    assert_eq!(sidecar.get("/readyz", "*/*").0, 200);
    drop(application);
    sidecar.wait_said("the application has left");
    let ending = sidecar.end();
    assert_eq!((ending.ledger()["received"], ending.code), (1, Some(0)));
}

/// Scenario: the final values are held for two scrapers.
/// Guarantees: the ledger closes first. Neither a person's request nor one that only claims to be
/// Prometheus ends the wait; the second scraper does, long before the wait's deadline (which is
/// later than the deadline of `end`). `/livez` succeeds all the time.
#[test]
fn the_final_values_are_held_for_the_last_scrape() {
    let environment = [
        ("SIDELIGHT_FINAL_SCRAPE_WAIT", "600s".to_owned()),
        ("SIDELIGHT_SCRAPERS", "2".to_owned()),
        ("SIDELIGHT_GRACE_SECONDS", "3600".to_owned()),
    ];
    let mut sidecar = Sidecar::start(Setup { environment: environment.into(), ..Setup::default() });
    let openmetrics = "application/openmetrics-text;version=1.0.0,*/*;q=0.1";
    sidecar.get("/metrics", openmetrics);
    let ask = |admin, version: &str| {
        let mut stream = std::net::TcpStream::connect(admin).expect("it serves");
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: x\r\nUser-Agent: Prometheus/{version}\r\n\
             Connection: close\r\n\r\n"
        );
        std::io::Write::write_all(&mut stream, request.as_bytes()).expect("it reads");
        stream
    };
    let read = |mut stream: std::net::TcpStream| {
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).expect("the whole answer");
        answer
    };
    read(ask(sidecar.admin(), "3.15.0"));
    sidecar.write(b"{\"level\":\"info\",\"service\":\"shop\"}\n");
    sidecar.signal(Signal::TERM);
    sidecar.wait_said("ledger received=1");
    assert_eq!(sidecar.get("/livez", "*/*").0, 200);
    // a person's request; an unknown client with Prometheus' headers; the two scrapers seen before
    assert!(sidecar.metrics().contains(INFO));
    assert!(read(ask(sidecar.admin(), "3.16.0")).contains(INFO));
    assert!(sidecar.get("/metrics", openmetrics).1.contains(INFO));
    let last = ask(sidecar.admin(), "3.15.0");
    let ending = sidecar.end();
    let last = read(last);
    assert!(last.contains(INFO), "{last}");
    assert_eq!((ending.ledger()["lost"], ending.code), (0, Some(0)));
}

/// Guarantees: the grace period ends the wait for a scraper that never comes.
#[test]
fn the_last_scrape_is_waited_for_within_the_grace_period() {
    let environment = [
        ("SIDELIGHT_FINAL_SCRAPE_WAIT", "600s".to_owned()),
        ("SIDELIGHT_GRACE_SECONDS", "1".to_owned()),
    ];
    let sidecar = Sidecar::start(Setup { environment: environment.into(), ..Setup::default() });
    let begin = Instant::now();
    let ending = sidecar.stop();
    let took = begin.elapsed();
    assert!(took > Duration::from_millis(700), "{took:?}");
    assert_eq!((ending.ledger()["lost"], ending.code), (0, Some(0)));
}
