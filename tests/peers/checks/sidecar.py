"""A sidelight that runs, and what it exposes. Loopback and a temporary folder only."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from report import Failure, expect

ROOT = Path(__file__).resolve().parents[3]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
BINARY = Path(os.environ.get("SIDELIGHT") or TARGET / "release/sidelight")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sidelight"
BIN = CACHE / "bin"
VENV_PYTHON = CACHE / "venv/bin/python"

LEDGER = re.compile(
    r"ledger received=(\d+) decoded=(\d+) refused=(\d+) offered=(\d+)"
    r" sent=(\d+) dropped=(\d+) held=(\d+) lost=(\d+)"
)
TERMS = "received decoded refused offered sent dropped held lost".split()
SAMPLE = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def free_port():
    """A port on loopback that nobody listens on now."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def until(what, condition, seconds=10):
    """Waits until `condition()` is true or raises nothing more; returns what it gave."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            found = condition()
            if found:
                return found
        except (OSError, KeyError, IndexError, ValueError) as error:
            last = error
        time.sleep(0.05)
    raise Failure(f"not within {seconds} s: {what}" + (f" ({last})" if last else ""))


def get(url, headers=None):
    """Status, headers and body of a GET."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers, answer.read()


class Metrics:
    """The samples of one exposition."""

    def __init__(self, text):
        self.samples = []
        for line in text.splitlines():
            found = SAMPLE.match(line)
            if found and not line.startswith("#"):
                name, labels, value = found.groups()
                self.samples.append((name, dict(LABEL.findall(labels or "")), float(value)))

    def total(self, name, **labels):
        """The sum of all samples of this name that have these labels."""
        fits = [
            value
            for found, having, value in self.samples
            if found == name and labels.items() <= having.items()
        ]
        return sum(fits)

    def expect(self, name, expected, **labels):
        """Fails unless that sum is as expected, to nine digits."""
        found = self.total(name, **labels)
        if abs(found - expected) > 1e-9 * max(1.0, abs(expected)):
            wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
            alike = [f"{n}{having} {value}" for n, having, value in self.samples if n == name]
            there = "\n".join(alike) or "there is no such family"
            raise Failure(f"{name}{{{wanted}}}: expected {expected}, found {found}\n{there}")


class Sidecar:
    """`sidelight run` with sockets in a temporary folder. To be used with `with`."""

    def __init__(self, stdin=False, arguments=(), sockets=None, **environment):
        self.folder = tempfile.TemporaryDirectory(prefix="sidelight-peers-")
        own = [os.path.join(self.folder.name, name) for name in ("lines.sock", "datagrams.sock")]
        self.socket, self.datagram_socket = sockets or own
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.stderr = open(os.path.join(self.folder.name, "stderr"), "w+", encoding="utf-8")
        self.stdout = open(os.path.join(self.folder.name, "stdout"), "w+", encoding="utf-8")
        command = [BINARY, "run", "--socket", self.socket]
        command += ["--datagram-socket", self.datagram_socket, "--listen", f"127.0.0.1:{self.port}"]
        command += [*arguments, *(["--stdin"] if stdin else [])]
        ours = ("SIDELIGHT_", "OTEL_", "METRICS_", "LOG_")
        clean = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=self.stdout,
            stderr=self.stderr,
            env={**clean, **environment},
        )

    def __enter__(self):
        try:
            until("started", lambda: get(self.url + "/startupz")[0] == 200, 5)
        except Failure as failure:
            self.__exit__()
            raise Failure(f"{failure}\n{self.said()}") from None
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdin:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        self.stderr.close()
        self.stdout.close()
        self.folder.cleanup()

    def said(self):
        """Its own log."""
        self.stderr.flush()
        with open(self.stderr.name, encoding="utf-8") as said:
            return said.read()

    def printed(self):
        """What it wrote to standard output."""
        with open(self.stdout.name, encoding="utf-8") as printed:
            return printed.read()

    def metrics(self, created=False, accept="text/plain"):
        """The exposition as text."""
        path = "/metrics?created=1" if created else "/metrics"
        status, _, body = get(self.url + path, {"Accept": accept})
        expect("/metrics", status, 200)
        return body.decode()

    def received(self, lines):
        """Waits until so many frames were received and read; the metrics then."""

        def all_there():
            metrics = Metrics(self.metrics())
            done = sum(
                metrics.total(f"sidelight_frames_{end}_total") for end in ("decoded", "refused")
            )
            # a scrape may fall between the updates of the two counters, so wait for both
            came = metrics.total("sidelight_frames_received_total")
            return metrics if min(done, came) >= lines else None

        metrics = until(f"{lines} frames received", all_there)
        metrics.expect("sidelight_frames_received_total", lines)
        return metrics

    def write(self, lines):
        """Writes to the stream socket on a new connection."""
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(self.socket)
            stream.sendall(lines)

    def health(self):
        """Status and document of /health."""
        status, _, body = get(self.url + "/health")
        return status, json.loads(body)

    def stop(self):
        """Ends it as a kubelet does, or as the end of its input does; the ledger that it closes with."""
        if self.process.stdin:
            self.process.stdin.close()
        else:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=10)
        said = self.said().strip().splitlines()
        found = LEDGER.fullmatch(said[-1]) if said else None
        if not found:
            raise Failure(f"the last line is no ledger: {said[-3:]}")
        ledger = dict(zip(TERMS, map(int, found.groups())))
        expect("lost", ledger["lost"], 0)
        expect("exit code", code, 0)
        return ledger
