"""CPython's handlers that need a server: pickled records on both sockets, and syslog on the stream socket."""

import json
import subprocess
import sys

from programs import PROGRAMS, levels
from report import expect
from sidecar import Sidecar

RECORDS = 9


def send(kind, address):
    """Runs the application; it must neither fail nor write to its own console."""
    command = [sys.executable, str(PROGRAMS / "python_handlers.py"), kind, address]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    expect("the application's own console", done.stdout + done.stderr, "")


def pickled(kind):
    """Level, message, exception and the attributes of `extra`."""
    with Sidecar() as sidecar:
        send(kind, sidecar.datagram_socket if kind == "datagram" else sidecar.socket)
        metrics = sidecar.received(RECORDS)
        frames = "sidelight_frames_decoded_total"
        metrics.expect(frames, RECORDS, format="pickle")
        levels(metrics, DEBUG=1, INFO=3, WARN=1, ERROR=3, FATAL=1)
        metrics.expect("log_errors_total", 3, kind="expected")
        metrics.expect("log_errors_total", 1, kind="unexpected", error_type="IndexError")
        labels = {"method": "GET", "endpoint": "/orders/{id}"}
        metrics.expect("http_requests_total", 1, status_code="200", **labels)
        metrics.expect("http_request_duration_seconds_sum", 0.0125, **labels)
        metrics.expect("sidelight_records_incomplete_total", 0, missing="time")
        expect("received", sidecar.stop()["received"], RECORDS)


def copied():
    """The copy of a pickled record on standard output is a line of JSON with everything that the record had."""
    with Sidecar(SIDELIGHT_PASSTHROUGH="stdout") as sidecar:
        send("socket", sidecar.socket)
        sidecar.received(RECORDS)
        sidecar.stop()
        lines = [json.loads(line) for line in sidecar.printed().splitlines()]
    expect("lines", len(lines), RECORDS)
    expect("message", lines[1]["message"], "order 17 of 'shop' is worth 12.50")
    expect("message", lines[2]["message"], "caf\u00e9 \U0001f600\nsecond line\n  third line")
    extra = lines[3]
    found = [extra[name] for name in ("price", "order_id", "at", "tags", "nested")]
    wanted = ["12.30", "00000000-0000-0000-0000-000000000007", "2026-01-02 03:04:05", ["a"]]
    expect("extra", found, [*wanted, {"a": [1, 2.5, None, True]}])
    expect("no exception", "exc_info" in lines[6], False)
    expect("exception", lines[7]["exc_info"].splitlines()[-1], "IndexError: list index out of range")


def syslog():
    """Records with newlines in them, each ended by NUL."""
    with Sidecar() as sidecar:
        send("syslog", sidecar.socket)
        metrics = sidecar.received(RECORDS)
        # OpenTelemetry maps syslog's crit to ERROR2
        levels(metrics, DEBUG=1, INFO=3, WARN=1, ERROR=4)
        metrics.expect("log_errors_total", 1, kind="unexpected", error_type="IndexError")
        expect("received", sidecar.stop()["received"], RECORDS)


def forked():
    """Processes that share the connection of their parent."""
    with Sidecar() as sidecar:
        send("fork", sidecar.socket)
        metrics = sidecar.received(401)
        metrics.expect("sidelight_frames_decoded_total", 401, format="pickle")
        metrics.expect("sidelight_frames_torn_total", 0)
        expect("received", sidecar.stop()["received"], 401)


def check(report):
    """Every handler, and every socket."""
    report.check("SocketHandler", pickled, "socket")
    report.check("DatagramHandler", pickled, "datagram")
    report.check("SocketHandler, copied to standard output", copied)
    report.check("SysLogHandler on the stream socket", syslog)
    report.check("SocketHandler, shared after a fork", forked)
