"""A logging handler that sends sidelight a copy of every record. Nothing but the standard library."""

import logging
import os
import socket
import time

PATH = "/run/sidelight/log.sock"

# minimum time between a refused connection and the next attempt
RETRY_SECONDS = 1.0


class SidelightHandler(logging.Handler):
    """Never waits and never raises: what sidelight does not take at once is dropped and counted."""

    def __init__(self, path=None):
        super().__init__()
        self.path = path or os.environ.get("SIDELIGHT_SOCKET", PATH)
        self.dropped = 0
        self._socket = None
        self._retry_at = 0.0

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
        if self._socket is None and not self._connect():
            return False
        try:
            sent = self._socket.send(line, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False  # the socket is full: this record is dropped, the connection stays
        except OSError:
            self._disconnect()
            return False
        if sent < len(line):
            self._disconnect()  # the rest of this line must not become the head of the next
            return False
        return True

    def _connect(self):
        if time.monotonic() < self._retry_at:
            return False
        self._retry_at = time.monotonic() + RETRY_SECONDS
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.setblocking(False)
        try:
            stream.connect(self.path)
        except OSError:
            stream.close()
            return False
        self._socket = stream
        return True

    def _disconnect(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None
