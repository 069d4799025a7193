//! Tests of verdicts, second by second.

use super::*;
use crate::health::window::Totals;

fn seconds(at: u64) -> Moment {
    Moment { wall: UnixNanos(at * 1_000_000_000), monotonic: Duration::from_secs(at) }
}

fn records(records: u64, errors: u64) -> Snapshot {
    Snapshot { totals: Totals { records, errors, ..Totals::default() }, ..Snapshot::default() }
}

fn find<'v>(verdict: &'v Verdict, name: &str) -> &'v Check {
    verdict.checks.iter().find(|check| check.name == name).expect("a check of that name")
}

/// Scenario: totals in one window. Guarantees: thresholds and minimum follow the settings.
#[test]
fn the_share_of_errors_is_judged() {
    for (records_seen, errors, expected) in [
        (0, 0, Status::Pass),
        (19, 19, Status::Pass), // too few to judge
        (20, 0, Status::Pass),
        (100, 4, Status::Pass),
        (100, 5, Status::Warn),
        (100, 49, Status::Warn),
        (100, 50, Status::Fail),
        (20, 10, Status::Fail),
    ] {
        let mut evaluator = Evaluator::new(Settings::default());
        let verdict = evaluator.evaluate(&records(records_seen, errors), seconds(10));
        let found = find(&verdict, "errors").status;
        assert_eq!(found, expected, "{errors} of {records_seen}");
        assert_eq!(verdict.status(), expected);
    }
}

#[test]
fn failed_requests_are_judged_apart_from_errors() {
    let mut evaluator = Evaluator::new(Settings::default());
    let totals = Totals { records: 1000, requests: 40, failed_requests: 30, ..Totals::default() };
    let seen = Snapshot { totals, ..Snapshot::default() };
    let verdict = evaluator.evaluate(&seen, seconds(1));
    assert_eq!(find(&verdict, "errors").status, Status::Pass);
    assert_eq!(find(&verdict, "http_errors").status, Status::Fail);
    assert_eq!(find(&verdict, "http_errors").reason, "30 of 40 in 60 s");
}

/// Scenario: half of all records are errors, then none. Guarantees: unhealthy at once, and healthy
/// only after the share has been below half of the threshold for 30 s; a relapse restarts the 30 s.
#[test]
fn a_verdict_recovers_late() {
    let settings = Settings { window: Duration::from_secs(10), ..Settings::default() };
    let mut evaluator = Evaluator::new(settings);
    let mut status = |at, records_seen, errors| {
        find(&evaluator.evaluate(&records(records_seen, errors), seconds(at)), "errors").status
    };
    assert_eq!(status(1, 100, 60), Status::Fail);
    assert_eq!(status(2, 160, 60), Status::Fail, "0.375 is above half of 0.5");
    assert_eq!(status(11, 1_000, 60), Status::Fail, "below now, but only since now");
    assert_eq!(status(40, 2_000, 60), Status::Fail, "29 s");
    assert_eq!(status(41, 2_100, 60), Status::Pass, "30 s");
    assert_eq!(status(60, 3_000, 1_000), Status::Fail);
    assert_eq!(status(80, 4_000, 1_000), Status::Fail);
    assert_eq!(status(100, 5_000, 1_300), Status::Fail, "0.3: not below half");
    assert_eq!(status(120, 6_000, 1_300), Status::Fail);
    assert_eq!(status(149, 7_000, 1_300), Status::Fail, "the relapse counts");
    assert_eq!(status(150, 7_100, 1_300), Status::Pass);
}

/// Guarantees: an application that becomes silent after its errors recovers too.
#[test]
fn silence_recovers() {
    let mut evaluator = Evaluator::new(Settings::default());
    let seen = records(100, 100);
    let status: Vec<Status> =
        (1..=100).map(|at| evaluator.evaluate(&seen, seconds(at)).status()).collect();
    assert_eq!(status[0], Status::Fail);
    assert_eq!(status[88], Status::Fail);
    assert_eq!(status[91], Status::Pass);
}

#[test]
fn a_fatal_holds_for_five_minutes_and_says_only_its_type() {
    let mut evaluator = Evaluator::new(Settings::default());
    let none = evaluator.evaluate(&Snapshot::default(), seconds(1));
    assert_eq!(find(&none, "fatal").status, Status::Pass);
    let seen = Snapshot {
        fatals: 1,
        last_fatal: UnixNanos(1_700_000_000_000_000_000),
        fatal_kind: ExceptionType::new("MemoryError"),
        ..Snapshot::default()
    };
    let first = evaluator.evaluate(&seen, seconds(10));
    assert_eq!(find(&first, "fatal").reason, "a FATAL record 0 s ago (MemoryError)");
    assert_eq!(first.status(), Status::Fail);
    assert_eq!(evaluator.evaluate(&seen, seconds(309)).status(), Status::Fail);
    assert_eq!(evaluator.evaluate(&seen, seconds(310)).status(), Status::Pass);
}

#[test]
fn a_heartbeat_is_expected_only_when_declared() {
    let beat = Heartbeat { every: Duration::from_secs(30), grace: Duration::from_secs(15) };
    let settings = Settings { heartbeat: Some(beat), ..Settings::default() };
    let mut evaluator = Evaluator::new(settings);
    let mut status = |at, heartbeats| {
        let seen = Snapshot { heartbeats, ..Snapshot::default() };
        evaluator.evaluate(&seen, seconds(at)).status()
    };
    assert_eq!(status(100, 0), Status::Pass, "the first may take as long as any other");
    assert_eq!(status(145, 0), Status::Pass);
    assert_eq!(status(146, 0), Status::Fail);
    assert_eq!(status(147, 1), Status::Pass);
    assert_eq!(status(192, 1), Status::Pass);
    assert_eq!(status(193, 1), Status::Fail);

    let verdict =
        Evaluator::new(Settings::default()).evaluate(&Snapshot::default(), seconds(10_000));
    assert!(verdict.checks.iter().all(|check| check.name != "heartbeat"));
    assert_eq!(verdict.status(), Status::Pass, "a quiet application is not a sick one");
}

/// Guarantees: the wall clock is only displayed; a step of it changes no age.
#[test]
fn a_step_of_the_wall_clock_changes_nothing() {
    let mut evaluator = Evaluator::new(Settings::default());
    let seen = Snapshot { fatals: 1, ..records(100, 50) };
    let at = |wall, monotonic| Moment {
        wall: UnixNanos(wall),
        monotonic: Duration::from_secs(monotonic),
    };
    let before = evaluator.evaluate(&seen, at(5_000_000_000_000, 5));
    let after = evaluator.evaluate(&seen, at(0, 6));
    assert_eq!(before.status(), after.status());
    assert_eq!(find(&after, "fatal").reason, "a FATAL record 1 s ago (no exception type)");
}

/// Scenario: thresholds and window change while the application fails. Guarantees: the new ones
/// apply at once, and neither records older than the window nor an old FATAL count as new.
#[test]
fn other_settings_hold_at_once_and_forget_nothing() {
    let mut evaluator = Evaluator::new(Settings::default());
    let seen = Snapshot { fatals: 1, ..records(100, 60) };
    assert_eq!(evaluator.evaluate(&seen, seconds(10)).status(), Status::Fail);
    let lenient = Ratio { warn: 0.8, fail: 0.9, events_min: 20 };
    let settings = Settings { errors: lenient, ..Settings::default() };
    evaluator.adopt(settings.clone());
    assert_eq!(evaluator.settings(), &settings);
    let verdict = evaluator.evaluate(&seen, seconds(11));
    assert_eq!(find(&verdict, "errors").status, Status::Pass);
    assert!(find(&verdict, "fatal").reason.contains("1 s ago"), "{verdict:?}");
    for now in 12..=400 {
        evaluator.evaluate(&seen, seconds(now));
    }
    evaluator.adopt(Settings { window: Duration::from_secs(5), ..Settings::default() });
    let verdict = evaluator.evaluate(&seen, seconds(401));
    assert_eq!(verdict.status(), Status::Pass, "{verdict:?}");
    let more = Snapshot { fatals: 1, ..records(140, 100) };
    assert_eq!(find(&evaluator.evaluate(&more, seconds(402)), "errors").status, Status::Fail);
    let verdict = evaluator.evaluate(&more, seconds(408));
    assert_eq!(find(&verdict, "errors").observed, Some((0.0, "ratio")), "5 s back, and no further");
}

/// Scenario: evaluation is switched off for longer than a heartbeat may be late. Guarantees: after
/// it is switched on, the next heartbeat is due one period later.
#[test]
fn a_heartbeat_is_not_owed_while_nothing_is_looked_at() {
    let beat = Heartbeat { every: Duration::from_secs(10), grace: Duration::from_secs(5) };
    let settings = Settings { heartbeat: Some(beat), ..Settings::default() };
    let mut evaluator = Evaluator::new(settings);
    let seen = Snapshot { heartbeats: 1, ..Snapshot::default() };
    evaluator.evaluate(&seen, seconds(1));
    (2..100).for_each(|now| evaluator.rest(&seen, seconds(now)));
    let status = |evaluator: &mut Evaluator, now| {
        find(&evaluator.evaluate(&seen, seconds(now)), "heartbeat").status
    };
    assert_eq!(status(&mut evaluator, 100), Status::Pass);
    assert_eq!(status(&mut evaluator, 120), Status::Fail);
}

/// Scenario: records without a level or without a time.
/// Guarantees: the check `levels` stays healthy, has a message exactly if most of the last records
/// lack something, and forgets older records.
#[test]
fn levels_are_reported_and_never_unhealthy() {
    for (records, without_level, without_time, expected) in [
        (0, 0, 0, ""),
        (49, 49, 49, ""), // too few to say anything
        (50, 25, 25, ""),
        (50, 26, 0, "of the last 50 records, 26 have no level: "),
        (100, 0, 51, "of the last 100 records, 51 have no time (their arrival counts): "),
        (
            90,
            80,
            70,
            "80 have no level and 70 have no time (their arrival counts): `sidelight explain -f",
        ),
    ] {
        let mut evaluator = Evaluator::new(Settings::default());
        let totals = Totals { records, without_level, without_time, ..Totals::default() };
        let verdict = evaluator.evaluate(&Snapshot { totals, ..Snapshot::default() }, seconds(1));
        let check = find(&verdict, "levels");
        assert_eq!((check.status, verdict.status()), (Status::Pass, Status::Pass));
        assert_eq!(check.reason.is_empty(), expected.is_empty(), "{}", check.reason);
        assert!(check.reason.contains(expected), "{}", check.reason);
    }
    let mut evaluator = Evaluator::new(Settings::default());
    let mut reason = |records, without_level| {
        let totals = Totals { records, without_level, ..Totals::default() };
        let verdict =
            evaluator.evaluate(&Snapshot { totals, ..Snapshot::default() }, seconds(records));
        find(&verdict, "levels").reason.clone()
    };
    assert!(reason(2_000, 2_000).contains("2000 have no level"), "all that came at once");
    assert!(reason(2_600, 2_000).contains("of the last 2600"), "whole batches are covered");
    assert!(reason(3_000, 2_000).is_empty(), "the last 1,000 have one");
}
