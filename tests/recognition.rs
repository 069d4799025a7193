//! Tests what the real binary says about lines that it does not understand: `/health`, a metric and
//! its log. Tests wait for conditions, never for a fixed time.

use crate::process::{AMPLE, Setup, Sidecar};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// Scenario: one source writes lines without a level or a time, another one lines with both.
/// Guarantees: the check `levels` is healthy and has a message, the metric counts both, the log
/// names the shape of the first source once and the command to look into it, and no text of a line
/// appears anywhere.
#[test]
fn lines_without_a_level_are_reported_once_per_source() {
    let mut sidecar = Sidecar::start(Setup::default());
    let mut strange = UnixStream::connect(&sidecar.stream).expect("the stream socket");
    let mut usual = UnixStream::connect(&sidecar.stream).expect("the stream socket");
    strange.write_all("~~ canary <7> placed canaryorder=9\n".repeat(700).as_bytes()).expect("open");
    usual.write_all("2026-01-02 03:04:05 INFO canary\n".repeat(100).as_bytes()).expect("open");
    sidecar.wait_metric("sidelight_records_incomplete_total{missing=\"level\"} 700");
    sidecar.wait_metric("sidelight_records_incomplete_total{missing=\"time\"} 700");
    let said = sidecar.wait_said("most lines of a source");
    for part in
        ["WARN", "shape=\"? word <number> word key=number\"", "explain -f -", "input=stream"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    let until = Instant::now() + AMPLE;
    let health = loop {
        let (status, health) = sidecar.get("/health/levels", "text/plain");
        assert_eq!(status, 200);
        if health.contains("700 have no level") || Instant::now() > until {
            break health;
        }
    };
    assert!(
        health.contains("[+]levels ok: of the last 800 records, 700 have no level"),
        "{health}"
    );
    assert!(!health.contains("canary"), "{health}");
    // a second report would have come with these
    strange
        .write_all("~~ canary <7> placed canaryorder=9\n".repeat(3_000).as_bytes())
        .expect("open");
    sidecar.wait_metric("sidelight_records_incomplete_total{missing=\"level\"} 3700");
    // an evaluation logs after its verdict is published: the second follows the log of the first
    sidecar.wait_evaluation();
    sidecar.wait_evaluation();
    drop((strange, usual));
    let ending = sidecar.stop();
    let reports = ending.said.iter().filter(|line| line.contains("most lines of a source"));
    assert_eq!(reports.count(), 1, "{:#?}", ending.said);
    assert!(!ending.said.iter().any(|line| line.contains("canary")), "{:#?}", ending.said);
}
