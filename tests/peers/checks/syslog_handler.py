"""CPython's SysLogHandler: one datagram a record, `<PRI>` before and a NUL behind, newlines within."""

import subprocess
import sys

from programs import PROGRAMS, levels
from report import expect
from sidecar import Sidecar

RECORDS = 11


def handler():
    """The handler's records arrive whole, their level from the priority."""
    with Sidecar() as sidecar:
        command = [sys.executable, str(PROGRAMS / "syslog_handler.py"), sidecar.datagram_socket]
        subprocess.run(command, check=True)
        metrics = sidecar.received(RECORDS)
        metrics.expect("sidelight_frames_received_total", RECORDS, input="datagram")
        levels(metrics, INFO=6, WARN=2, ERROR=3)
        metrics.expect("log_errors_total", 2, kind="expected")
        metrics.expect("log_errors_total", 1, kind="unexpected", error_type="IndexError")
        ledger = sidecar.stop()
        expect("received", ledger["received"], RECORDS)


def check(report):
    """The one there is."""
    report.check("SysLogHandler on the datagram socket", handler)
