//! `/health`: the verdict on the application and on the sidecar, in three formats. It only reads
//! what was published. sidelight writes every reason itself; the text of a log line never appears
//! here. The status is 503 only if something is unhealthy: a warning is a 200.

use crate::clock::UnixNanos;
use crate::health::verdict::{Check, Status};
use crate::serve::negotiate::Report;
use crate::serve::respond::{Answer, TEXT, answer};
use crate::serve::state::AdminState;
use crate::sync::lock;
use hyper::StatusCode;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::time::Duration;

/// Maximum age of a verdict. An older one has missed ten evaluations: the evaluation hangs.
const VERDICT_AGE_MAX: Duration = Duration::from_secs(10);

/// The checks, and whether the application's checks could be evaluated at all.
struct Findings {
    checks: Vec<Check>,
    /// The application's checks could not be evaluated: their names are unknown.
    stale: bool,
    at: UnixNanos,
}

/// Answers `/health`; `name` selects one check.
pub(crate) fn report(shape: Report, name: Option<&str>, state: &AdminState) -> Answer {
    let mut findings = find(state);
    if let Some(name) = name {
        findings.checks.retain(|check| check.name == name);
        if findings.checks.is_empty() {
            return answer(StatusCode::NOT_FOUND, TEXT, format!("no check {name:?}\n"));
        }
    }
    let worst = findings.checks.iter().map(|check| check.status).max().unwrap_or(Status::Pass);
    let code = match worst {
        Status::Pass | Status::Warn => StatusCode::OK,
        Status::Fail => StatusCode::SERVICE_UNAVAILABLE,
    };
    match shape {
        Report::Json => answer(code, "application/json", plain(&findings, worst).to_string()),
        Report::Indented => {
            answer(code, "application/json", format!("{:#}\n", plain(&findings, worst)))
        }
        Report::Ietf => answer(code, "application/health+json", ietf(&findings, worst).to_string()),
        Report::Text => answer(code, TEXT, text(&findings, worst)),
    }
}

fn find(state: &AdminState) -> Findings {
    let verdict = state.verdict.get();
    let now = state.clock.now();
    // at the epoch there was no evaluation yet, which is normal in the first second
    let stale = verdict.at != UnixNanos(0) && now.since(verdict.at) > VERDICT_AGE_MAX;
    let mut checks = sidecar(state);
    if !(state.enabled)() {
        // no line is evaluated: the last verdict says nothing about the present
        let reason = "switched off by its configuration: lines are counted and refused";
        checks.push(Check::new("disabled", Status::Warn, reason));
    } else if stale {
        checks.push(Check::new("application", Status::Warn, "the verdict is not renewed"));
    } else {
        checks.extend(verdict.checks.iter().cloned());
    }
    Findings { checks, stale, at: verdict.at }
}

/// Returns the checks of the sidecar. A problem that does not affect the application is a warning.
fn sidecar(state: &AdminState) -> Vec<Check> {
    let (sockets, why) = state.sockets();
    let warnings = lock(&state.warnings).join("; ");
    let (exporter, degraded) = state.outputs();
    let (overload, full) = state.overload();
    let warn = |bad: bool| if bad { Status::Warn } else { Status::Pass };
    vec![
        Check::new("sockets", sockets, why),
        Check::new("config", warn(!warnings.is_empty()), warnings),
        Check::new("exporter", exporter, degraded),
        Check::new("overload", overload, full),
    ]
}

/// Renders `{"status": "healthy|unhealthy", "checks": {name: {"status": ..., "message": ...}}}`. A
/// check is `healthy`, `degraded` (with a warning), `unhealthy` (with an error) or `error` if it
/// could not be evaluated. Status and text always agree. Only `unhealthy` makes the whole report
/// unhealthy.
fn plain(findings: &Findings, worst: Status) -> Value {
    let mut checks = Map::new();
    for check in &findings.checks {
        let unknown = findings.stale && check.name == "application";
        let mut one = Map::new();
        let (status, key) = match check.status {
            _ if unknown => ("error", "error"),
            Status::Pass => ("healthy", "message"),
            Status::Warn => ("degraded", "warning"),
            Status::Fail => ("unhealthy", "error"),
        };
        one.insert("status".to_owned(), status.into());
        if !check.reason.is_empty() {
            one.insert(key.to_owned(), check.reason.as_str().into());
        }
        if let Some(time) = check.time {
            one.insert("time".to_owned(), format!("{time:.0}").into());
        }
        checks.insert(check.name.to_owned(), one.into());
    }
    let status = if worst == Status::Fail { "unhealthy" } else { "healthy" };
    json!({"status": status, "checks": checks})
}

fn ietf(findings: &Findings, worst: Status) -> Value {
    let mut checks = Map::new();
    for check in &findings.checks {
        let mut one = Map::new();
        one.insert("status".to_owned(), word(check.status).into());
        one.insert("componentType".to_owned(), "component".into());
        if let Some((value, unit)) = check.observed {
            one.insert("observedValue".to_owned(), value.into());
            one.insert("observedUnit".to_owned(), unit.into());
        }
        if let Some(time) = check.time {
            one.insert("time".to_owned(), format!("{time:.0}").into());
        }
        if !check.reason.is_empty() {
            one.insert("output".to_owned(), check.reason.as_str().into());
        }
        checks.insert(check.name.to_owned(), json!([one]));
    }
    json!({
        "status": word(worst),
        "version": env!("CARGO_PKG_VERSION"),
        "description": "sidelight and the application beside it",
        "checks": checks,
    })
}

fn text(findings: &Findings, worst: Status) -> String {
    let mut out = String::new();
    for check in &findings.checks {
        let (name, reason) = (check.name, check.reason.as_str());
        // writing to a string cannot fail
        let _ = match check.status {
            Status::Pass if reason.is_empty() => writeln!(out, "[+]{name} ok"),
            Status::Pass => writeln!(out, "[+]{name} ok: {reason}"),
            Status::Warn => writeln!(out, "[!]{name} warning: {reason}"),
            Status::Fail => writeln!(out, "[-]{name} failed: {reason}"),
        };
    }
    let passed = if worst == Status::Fail { "unhealthy" } else { "healthy" };
    let _ = match findings.at {
        UnixNanos(0) => writeln!(out, "{passed}"),
        at => writeln!(out, "{passed} as of {at:.0}"),
    };
    out
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pass => "pass",
        Status::Warn => "warn",
        Status::Fail => "fail",
    }
}
