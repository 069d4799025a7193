"""An application that logs. It counts what it has said and says the count last.

Environment: LINES how many (0: until SIGTERM), RATE a second, TO `socket`, `datagrams` or `stdout`,
SERVICE the first element of the paths, LINGER whether it stays after its last line, TERM_IS `leave` or
`ignore`, STATUS of the requests, SERIES over how many paths the requests are spread.
"""

import json
import os
import signal
import socket
import sys
import time

LINES = int(os.environ.get("LINES", "0"))
RATE = float(os.environ.get("RATE", "100"))
TO = os.environ.get("TO", "socket")
SERVICE = os.environ.get("SERVICE", "shop")
LINGER = os.environ.get("LINGER", "") == "1"
IGNORES = os.environ.get("TERM_IS", "leave") == "ignore"
STATUS = int(os.environ.get("STATUS", "200"))
SERIES = int(os.environ.get("SERIES", "1"))
SOCKET = os.environ.get("SIDELIGHT_SOCKET", "/run/sidelight/log.sock")

leaving = False


def leave(*_):
    """Notes that it is time to go."""
    global leaving
    print("SIGTERM", flush=True)
    leaving = not IGNORES


class Speaker:
    """A connection that is made again when it breaks, and what became of the lines."""

    def __init__(self):
        self.stream = None
        self.sent = 0
        self.unsent = 0
        self.connections = 0

    def connect(self):
        """Connects; whether it worked."""
        try:
            stream = socket.socket(socket.AF_UNIX)
            stream.connect(SOCKET)
        except OSError:
            return False
        self.stream = stream
        self.connections += 1
        return True

    def say(self, lines):
        """Sends lines, whole or not at all as far as we know."""
        text = b"".join(lines)
        if TO == "stdout":
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
            self.sent += len(lines)
            return
        if TO == "datagrams":
            datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            for line in lines:
                datagrams.sendto(line, os.environ["SIDELIGHT_DATAGRAM_SOCKET"])
            self.sent += len(lines)
            return
        if self.stream is None and not self.connect():
            self.unsent += len(lines)
            return
        try:
            self.stream.sendall(text)
            self.sent += len(lines)
        except OSError:
            self.stream.close()
            self.stream = None
            self.unsent += len(lines)


def line(number):
    """A request of a web shop."""
    path = (
        f"/{SERVICE}" if SERIES == 1 else f"/{SERVICE}/{chr(97 + number % 26)}x{number % SERIES // 26:x}z"
    )
    fields = {"level": "info", "message": "request", "method": "GET", "path": path, "status": STATUS}
    trace = f"{number + 1:032x}"
    return json.dumps({**fields, "duration_ms": 12, "trace_id": trace, "number": number}).encode() + b"\n"


def main():
    """Speaks in ten beats a second."""
    signal.signal(signal.SIGTERM, leave)
    print(f"first line at {time.time():.3f}", flush=True)
    speaker = Speaker()
    begin = time.monotonic()
    number = beat = 0
    while not leaving and (LINES == 0 or number < LINES):
        beat += 1
        until = int(beat * RATE / 10)
        until = min(until, LINES) if LINES else until
        for first in range(number, until, 100):
            speaker.say([line(one) for one in range(first, min(first + 100, until))])
        number = max(number, until)
        time.sleep(max(0.0, begin + beat / 10 - time.monotonic()))
    what = f"sent {speaker.sent} unsent {speaker.unsent} connections {speaker.connections}"
    print(what, file=sys.stderr, flush=True)
    while LINGER and not leaving:
        time.sleep(0.1)


main()
