"""Sends sidelight a copy of every log record. One file to copy; only the standard library.

    import sidelight_handler
    sidelight_handler.install()      # every record of every logger, as JSON; adds no handler

or, where a handler is wanted, `SidelightHandler()` with a formatter of your choice. Neither waits and neither raises:
what sidelight does not take at once is dropped and counted in `dropped`.
"""

import json
import logging
import os
import socket
import sys
import threading
import time

# minimum time between a refused connection and the next attempt
RETRY_SECONDS = 1.0

# attributes that every record has; the others came with `extra`
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def paths():
    """Where sidelight listens: SIDELIGHT_SOCKET, or else its default and the two directories it falls back to."""
    named = os.environ.get("SIDELIGHT_SOCKET")
    if named:
        return [named]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    found = ["/run/sidelight/log.sock"]
    if runtime:
        found.append(os.path.join(runtime, "log.sock"))
    return [*found, f"/tmp/sidelight-{os.geteuid()}/log.sock"]


class JSONFormatter(logging.Formatter):
    """One JSON object a record; what came with `extra` is at the top level."""

    def format(self, record):
        entry = {
            key: value
            for key, value in vars(record).items()
            if key not in STANDARD and isinstance(value, (str, int, float, dict, list, tuple))
        }
        entry["timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry["timestamp"] += f".{int(record.msecs):03d}Z"
        entry["level"] = record.levelname
        entry["logger"] = record.name
        entry["message"] = record.getMessage()
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


class SidelightHandler(logging.Handler):
    """Writes records to the stream socket. Reconnects by itself; warns once if nothing listens."""

    def __init__(self, path=None, formatter=None):
        super().__init__()
        self.paths = [path] if path else paths()
        self.dropped = 0
        self._socket = None
        self._process = None
        self._retry_at = 0.0
        self._has_warned = False
        self.setFormatter(formatter or JSONFormatter())

    def emit(self, record):
        """Sends one record, lines of a traceback included."""
        try:
            line = (self.format(record) + "\n").encode(errors="replace")
            if not self._send(line):
                self.dropped += 1
        except Exception:  # whatever it is, the application goes on
            self.dropped += 1

    def close(self):
        """Ends the connection."""
        self._disconnect()
        super().close()

    def _send(self, line):
        if self._process != os.getpid():
            # after a fork the connection is the parent's: two writers would mix their lines
            self._disconnect()
            self._process, self._retry_at = os.getpid(), 0.0
        # a second attempt, on a new connection, if sidelight was restarted in between
        for _ in range(2):
            if self._socket is None and not self._connect():
                return False
            try:
                sent = self._socket.send(line, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False  # the socket is full: this record is dropped, the connection stays
            except OSError:
                self._disconnect()
                continue
            if sent < len(line):
                self._disconnect()  # the rest of this line must not become the head of the next
                return False
            return True
        return False

    def _connect(self):
        if time.monotonic() < self._retry_at:
            return False
        self._retry_at = time.monotonic() + RETRY_SECONDS
        for path in self.paths:
            stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            stream.setblocking(False)
            try:
                stream.connect(path)
            except OSError:
                stream.close()
                continue
            self._socket = stream
            return True
        self._warn()
        return False

    def _warn(self):
        if self._has_warned or sys.stderr is None:
            return
        self._has_warned = True
        sys.stderr.write(f"sidelight does not listen at {' or '.join(self.paths)}: no log line is copied until it does\n")

    def _disconnect(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def install(handler=None):
    """Copies the records of all loggers, whatever handlers they have or get later.

    No handler is added. A logger's own handlers, the console that Flask and Werkzeug give to a logger without a
    handler, and the last resort of the root logger work as without sidelight. Call it anywhere; a second call changes
    nothing.
    """
    call_handlers = logging.Logger.callHandlers
    installed = getattr(call_handlers, "sidelight_handler", None)
    if installed:
        return installed
    handler = handler or SidelightHandler()
    busy = threading.local()

    def call_handlers_and_copy(logger, record):
        call_handlers(logger, record)
        if not getattr(busy, "is_set", False):
            busy.is_set = True  # what the handler itself might log is not copied
            try:
                handler.handle(record)
            except Exception:  # the application goes on
                pass
            finally:
                busy.is_set = False

    call_handlers_and_copy.sidelight_handler = handler
    logging.Logger.callHandlers = call_handlers_and_copy
    return handler
