//! `/livez`, `/readyz` and `/startupz`, with the conventions of the kube-apiserver: `?verbose`,
//! `?exclude=`, a path for each check, and failures always reported in full. The status is 503
//! instead of 500, because not being ready is not a fault of the server. `/livez` fails only if a
//! data thread hangs. It never fails because of a backend, a full queue or a drain: a restart would
//! lose the data that the process is still saving.

use crate::health::verdict::Status;
use crate::serve::query;
use crate::serve::respond::{Answer, TEXT, answer};
use crate::serve::state::AdminState;
use crate::telemetry::process_status::Condition;
use hyper::StatusCode;
use std::fmt::Write;

/// A probe of the kubelet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Probe {
    /// Is the process alive?
    Live,
    /// Does the process take lines?
    Ready,
    /// Has the process started?
    Started,
}

/// One check of a probe, with the reason of a failure, which is empty if there is none.
struct Check {
    name: &'static str,
    failed: Option<String>,
}

impl Probe {
    /// Returns the last segment of the probe's path, which is also its name in a report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Probe::Live => "livez",
            Probe::Ready => "readyz",
            Probe::Started => "startupz",
        }
    }

    fn checks(self, state: &AdminState) -> Vec<Check> {
        let ping = Check { name: "ping", failed: None };
        match self {
            Probe::Live => vec![ping, of("data_threads", state.data_threads())],
            Probe::Started => vec![ping, of("sockets", state.started())],
            Probe::Ready => {
                let readiness = state.process_status.readiness(state.clock.monotonic());
                let conditions = readiness.map(|Condition { name, failed }| Check { name, failed });
                std::iter::once(ping).chain(conditions).collect()
            }
        }
    }
}

/// Answers a probe; `name` is the check that the path names after the probe.
pub(crate) fn probe(
    probe: Probe,
    name: Option<&str>,
    query_string: Option<&str>,
    state: &AdminState,
) -> Answer {
    let mut checks = probe.checks(state);
    if let Some(name) = name {
        checks.retain(|check| check.name == name);
        if checks.is_empty() {
            return answer(StatusCode::NOT_FOUND, TEXT, format!("no check {name:?}\n"));
        }
    }
    let mut excluded: Vec<String> = query::pairs(query_string)
        .filter(|(key, value)| key == "exclude" && !value.is_empty())
        .map(|(_, value)| value)
        .collect();
    let mut report = String::new();
    let mut failed = false;
    for check in &checks {
        let before = excluded.len();
        excluded.retain(|name| name != check.name);
        let name = check.name;
        // writing to a string cannot fail
        let _ = match &check.failed {
            _ if excluded.len() < before => writeln!(report, "[+]{name} excluded: ok"),
            None => writeln!(report, "[+]{name} ok"),
            Some(reason) => {
                failed = true;
                writeln!(report, "[-]{name} failed: {reason}")
            }
        };
    }
    if !excluded.is_empty() {
        let quoted: Vec<String> = excluded.iter().map(|name| format!("{name:?}")).collect();
        let quoted = quoted.join(", ");
        let _ = writeln!(
            report,
            "warn: some health checks cannot be excluded: no matches for {quoted}"
        );
    }
    let called = probe.name();
    if failed {
        let _ = writeln!(report, "{called} check failed");
        return answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, report);
    }
    if query::switch(query_string, "verbose") {
        let _ = writeln!(report, "{called} check passed");
        return answer(StatusCode::OK, TEXT, report);
    }
    answer(StatusCode::OK, TEXT, "ok")
}

fn of(name: &'static str, (status, reason): (Status, String)) -> Check {
    Check { name, failed: (status == Status::Fail).then_some(reason) }
}
