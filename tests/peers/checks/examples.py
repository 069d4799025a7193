"""The examples, run as their README says, against a real sidelight."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from report import Skip, expect, expect_within
from sidecar import BINARY, ROOT, Sidecar

EXAMPLES = ROOT / "examples"


def program(name):
    """Where a program is."""
    found = shutil.which(name)
    if not found:
        raise Skip(f"no {name}")
    return found


def run(folder, command, lines, expected, *arguments):
    """Runs an example; its output is as it was, and the metrics are as `expected` says."""
    with Sidecar(arguments=arguments) as sidecar:
        environment = {**os.environ, "SIDELIGHT_SOCKET": sidecar.socket}
        done = subprocess.run(
            command, cwd=EXAMPLES / folder, env=environment, stdout=subprocess.PIPE, check=True
        )
        expect("lines on standard output", done.stdout.count(b"\n"), lines)
        expected(sidecar.received(lines))
        expect("received", sidecar.stop()["received"], lines)


def python():
    """The handler, and own rules."""

    def expected(metrics):
        users = {"method": "GET", "endpoint": "/users/{id}", "status_code": "200"}
        metrics.expect("http_requests_total", 20, **users)
        metrics.expect("log_records_total", 30, service="shop", level="INFO")
        metrics.expect("log_errors_total", 1, error_type="KeyError", kind="unexpected")
        metrics.expect("orders_total", 5, shop="north")
        metrics.expect("order_amount_euros_sum", 5 * 10 + 40)

    configuration = EXAMPLES / "python/sidelight.yaml"
    subprocess.run([BINARY, "check", configuration], check=True, stdout=subprocess.DEVNULL)
    run("python", [sys.executable, "app.py"], 31, expected, "--config", str(configuration))


def python_alone():
    """Without a sidelight the application runs as ever."""
    environment = {**os.environ, "SIDELIGHT_SOCKET": "/nowhere/log.sock"}
    command = [sys.executable, "app.py"]
    done = subprocess.run(
        command, cwd=EXAMPLES / "python", env=environment, capture_output=True, check=True
    )
    expect("lines on standard output", done.stdout.count(b"\n"), 31)
    expect("warnings", done.stderr.count(b"sidelight does not listen at"), 1)
    expect("lines on standard error", done.stderr.count(b"\n"), 1)


def node():
    """JSON lines over the stream socket."""

    def expected(metrics):
        carts = {"method": "GET", "endpoint": "/carts/{id}"}
        metrics.expect("http_requests_total", 18, status_code="200", **carts)
        metrics.expect("http_requests_total", 2, status_code="500", **carts)
        metrics.expect("http_request_duration_seconds_sum", 0.17, **carts)
        metrics.expect("log_errors_total", 1, error_type="RangeError")

    run("node", [program("node"), "app.js"], 21, expected)


def node_dropped():
    """A sidelight that hangs and ends: `dropped` and what reached the socket are all lines, and no line is cut."""
    script = (
        "const { SidelightStream } = require('./sidelight');"
        "const copy = new SidelightStream();"
        "for (let piece = 0; piece < 9; piece += 1) copy.write('x'.repeat(40000));"  # a line above the limit
        "copy.write('end\\n');"
        "for (let line = 0; line < 1999; line += 1) copy.write('y'.repeat(499) + '\\n');"
        "process.stdin.on('end', () => console.log(copy.dropped)).resume();"
    )
    with tempfile.TemporaryDirectory(prefix="sidelight-node-") as folder, socket.socket(socket.AF_UNIX) as listener:
        path = os.path.join(folder, "log.sock")
        listener.bind(path)
        listener.listen()
        application = subprocess.Popen(
            [program("node"), "-e", script], cwd=EXAMPLES / "node", env={**os.environ, "SIDELIGHT_SOCKET": path},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        connection, _ = listener.accept()
        time.sleep(0.5)  # the socket fills
        connection.shutdown(socket.SHUT_RD)
        with connection, connection.makefile("rb") as stream:
            lines = stream.read().split(b"\n")[:-1]  # the last one may be cut
        time.sleep(0.5)  # the application sees the end
        dropped = int(application.communicate(timeout=20)[0])
    expect("lines that are no whole line", [line[:20] for line in lines if line != b"y" * 499], [])
    expect_within("lines in the socket", len(lines), 1, 1998)
    expect_within("lines in the socket and dropped", len(lines) + dropped, 2000, 2000 + len(lines))


def go():
    """The test of the Go client: no write waits for a sidelight that hangs."""
    done = subprocess.run(
        [program("go"), "test", "-count=1", "./..."], cwd=EXAMPLES / "go", stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
    )
    expect(f"exit code of go test\n{done.stdout[-2000:]}", done.returncode, 0)


def check(report):
    """The examples that are scripts; `clients.py` runs the servers."""
    report.check("example python", python)
    report.check("example python, without sidelight", python_alone)
    report.check("example node", node)
    report.check("example node, a sidelight that hangs", node_dropped)
    report.check("example go, a sidelight that hangs", go)
