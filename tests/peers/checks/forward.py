"""Fluent Forward, by the client library that fluentd's users have, and as Fluent Bit and Fluentd send it with acknowledgements."""

import gzip
import socket
import subprocess

from loggers import PYTHON
from programs import PROGRAMS, levels
from report import expect
from sidecar import CACHE, Sidecar

ENTRY = b"\x92\xce\x69\x57\x35\xa4\x82\xa5level\xa5error\xa7message\xa8no stock"


def package():
    """Where the client library is installed, or would be."""
    found = (CACHE / "loggers/lib").glob("python*/site-packages/fluent")
    return next(found, CACHE / "loggers/lib/fluent")


def client():
    """fluent-logger for Python on the stream socket: levels, request and time."""
    with Sidecar() as sidecar:
        command = [str(PYTHON), str(PROGRAMS / "fluent_logger.py"), sidecar.socket]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        expect("what it reports", done.stdout.strip(), "0 refused")
        metrics = sidecar.received(5)
        metrics.expect("sidelight_frames_decoded_total", 5, format="forward")
        levels(metrics, INFO=2, WARN=1, ERROR=2)
        labels = {"method": "GET", "endpoint": "/orders/{id}", "status_code": "200"}
        metrics.expect("http_requests_total", 1, **labels)
        metrics.expect("sidelight_records_incomplete_total", 0, missing="time")
        expect("received", sidecar.stop()["received"], 5)


def acknowledged(compressed):
    """A packed chunk is acknowledged, and only after its entries have been counted."""
    packed = ENTRY * 50
    if compressed:
        packed = gzip.compress(packed)
    payload = b"\xc5" + len(packed).to_bytes(2, "big") + packed
    message = b"\x93\xabshop.orders" + payload + b"\x81\xa5chunk\xb0" + b"0123456789abcdef"
    with Sidecar() as sidecar, socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(10)
        stream.connect(sidecar.socket)
        for number in range(1, 4):
            stream.sendall(message)
            answer = b""
            while len(answer) < 23:
                answer += stream.recv(64)
            expect("the answer", answer, b"\x81\xa3ack\xd9\x10" + b"0123456789abcdef")
            sidecar.received(50 * number).expect("log_records_total", 50 * number, level="ERROR")
        expect("received", sidecar.stop()["received"], 150)


def check(report):
    """A client library, and chunks."""
    report.check("fluent-logger for Python", client)
    report.check("a packed chunk with acknowledgement", acknowledged, False)
    report.check("a compressed chunk with acknowledgement", acknowledged, True)
