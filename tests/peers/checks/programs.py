"""Programs written with CPython's own logging, their standard output piped in unchanged."""

import subprocess
import sys
from pathlib import Path

from report import expect, expect_within
from sidecar import Sidecar, until

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"


def levels(metrics, **counts):
    """The records by level; a level that is not named has none."""
    for level in ("UNSPECIFIED", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"):
        metrics.expect("log_records_total", counts.get(level, 0), level=level)


def basic_config(metrics, sidecar):
    """LEVEL:logger:message, a traceback, and a verdict that holds no text of a line."""
    levels(metrics, INFO=5, WARN=3, ERROR=3, FATAL=1)
    metrics.expect("log_errors_total", 3, kind="expected")
    metrics.expect("log_errors_total", 1, kind="unexpected", error_type="ZeroDivisionError")
    status, health = until("the verdict", lambda: (seen := sidecar.health())[0] == 503 and seen)
    expect("/health", (status, health["status"]), (503, "unhealthy"))
    expect("fatal", health["checks"]["fatal"]["status"], "unhealthy")
    expect("the text of a line in /health", "canary" in str(health), False)


def formatters(metrics, _):
    """Three layouts and ANSI colours, separators inside of messages."""
    levels(metrics, DEBUG=4, INFO=4, WARN=4, ERROR=4, FATAL=4)


def decorators(metrics, _):
    """Requests, execution times, failures, exceptions."""
    levels(metrics, INFO=10 + 8 + 6, ERROR=2 + 3)
    for name, count, least in (("fetch_user", 8, 0.02), ("build_report", 6, 0.03)):
        metrics.expect("function_duration_seconds_count", count, function=name)
        spent = metrics.total("function_duration_seconds_sum", function=name)
        expect_within(f"seconds of {name}", spent / count, least * 0.99, least * 5)
    metrics.expect("function_failures_total", 2, function="fetch_user")
    metrics.expect("log_errors_total", 2, kind="expected")
    metrics.expect("log_errors_total", 3, kind="unexpected", error_type="KeyError")


def json_formatter(metrics, _):
    """Extras at the top level."""
    levels(metrics, INFO=28, WARN=1, ERROR=1)
    labels = {"method": "GET", "endpoint": "/orders/{id}"}
    metrics.expect("http_requests_total", 8, status_code="200", **labels)
    metrics.expect("http_request_duration_seconds_count", 8, **labels)
    metrics.expect("http_request_duration_seconds_sum", 0.1, **labels)
    metrics.expect("log_errors_total", 1, kind="unexpected", error_type="ValueError")


def request_id(metrics, _):
    """A request's id in brackets."""
    levels(metrics, INFO=8, WARN=7, ERROR=1)


def trace_context(metrics, _):
    """A trace id and no level."""
    levels(metrics, UNSPECIFIED=20)


def epoch_pipe(metrics, _):
    """Service and level between bars."""
    metrics.expect("log_records_total", 12, service="user-service", level="INFO")
    metrics.expect("log_records_total", 4, service="auth-service", level="WARN")
    metrics.expect("log_records_total", 3, service="pay-service", level="ERROR")
    metrics.expect("log_records_total", 19)
    metrics.expect("log_records_total", 0, service="user-service", level="FATAL")


def structured(metrics, _):
    """Requests, queries and errors under `data`: the names, units and buckets of document 004."""
    levels(metrics, INFO=37, DEBUG=15, ERROR=2)
    users = {"method": "GET", "endpoint": "/users/{id}"}
    metrics.expect("http_requests_total", 30, status_code="200", **users)
    metrics.expect("http_requests_total", 2, status_code="500", **users)
    orders = {"method": "POST", "endpoint": "/orders"}
    metrics.expect("http_requests_total", 5, status_code="201", **orders)
    metrics.expect("http_requests_total", 37)
    duration = "http_request_duration_seconds"
    metrics.expect(duration + "_count", 32, **users)
    metrics.expect(duration + "_sum", sum(range(20, 50)) / 1000 + 1.4, **users)
    metrics.expect(duration + "_bucket", 6, le="0.025", **users)
    metrics.expect(duration + "_bucket", 30, le="0.05", **users)
    metrics.expect(duration + "_bucket", 32, le="1", **users)
    metrics.expect(duration + "_sum", 5 * 0.1205, **orders)
    metrics.expect("database_queries_total", 12, operation="SELECT", table="users")
    metrics.expect("database_queries_total", 3, operation="UPDATE", table="orders")
    metrics.expect("database_query_duration_seconds_count", 15)
    metrics.expect("database_query_duration_seconds_sum", 0.138)
    metrics.expect("log_errors_total", 2, kind="unexpected", error_type="TimeoutError")


EXPECTED = {
    "000_basic_config.py": basic_config,
    "000_formatters.py": formatters,
    "000_decorators.py": decorators,
    "002_json_formatter.py": json_formatter,
    "002_request_id.py": request_id,
    "002_trace_context.py": trace_context,
    "002_epoch_pipe.py": epoch_pipe,
    "004_structured.py": structured,
}


def play(name, expected):
    """Runs one program into one sidecar and compares."""
    command = [sys.executable, "-W", "ignore", str(PROGRAMS / name)]
    lines = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    frames = sum(1 for line in lines.splitlines() if line)
    with Sidecar(stdin=True) as sidecar:
        sidecar.process.stdin.write(lines)
        sidecar.process.stdin.flush()
        metrics = sidecar.received(frames)
        expected(metrics, sidecar)
        ledger = sidecar.stop()
        expect("received", ledger["received"], frames)


def check(report):
    """All programs."""
    for name, expected in EXPECTED.items():
        report.check(f"python {name}", play, name, expected)
