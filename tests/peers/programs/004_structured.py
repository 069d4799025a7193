"""The production patterns: extras under `data`, and what logs requests, queries and errors."""

import json
import logging
import sys
from datetime import datetime, timezone


class StructuredFormatter(logging.Formatter):
    """One JSON object a record, extras under `data`."""

    def format(self, record):
        log_data = {
            "timestamp": datetime.now(timezone.utc).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "module": record.module,
            "function": record.funcName,
            "line": record.lineno,
        }
        if hasattr(record, "data"):
            log_data["data"] = record.data
        if record.exc_info:
            log_data["exception"] = self.formatException(record.exc_info)
        return json.dumps(log_data)


class ApplicationLogger:
    """What the application calls."""

    def __init__(self, name):
        self.logger = logging.getLogger(name)
        self.logger.setLevel(logging.DEBUG)
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(StructuredFormatter())
        self.logger.addHandler(handler)

    def log_request(self, method, path, status_code, duration_ms, request_id):
        """A request that ended."""
        data = {
            "method": method,
            "path": path,
            "status_code": status_code,
            "duration_ms": duration_ms,
            "request_id": request_id,
        }
        self.logger.info("HTTP Request", extra={"data": data})

    def log_database_query(self, query, duration_ms, rows_affected):
        """A query that ended; its text is cut."""
        data = {"query": query[:200], "duration_ms": duration_ms, "rows_affected": rows_affected}
        self.logger.debug("Database Query", extra={"data": data})

    def log_error(self, error, context=None):
        """An error with its traceback."""
        data = {"error_type": type(error).__name__, "context": context or {}}
        self.logger.error(f"Error: {str(error)}", exc_info=error, extra={"data": data})


app = ApplicationLogger("shop")
for number in range(30):
    app.log_request("GET", f"/users/{1000 + number}", 200, 20 + number, f"req-{number}")
for number in range(5):
    app.log_request("POST", "/orders", 201, 120.5, f"req-post-{number}")
for number in range(2):
    app.log_request("GET", f"/users/{2000 + number}", 500, 700, f"req-bad-{number}")
for number in range(12):
    app.log_database_query(f"SELECT * FROM users WHERE id = {number}", 4, 1)
columns = ", ".join(f"column_{at} = 'a long value {at}'" for at in range(40))
for number in range(3):
    app.log_database_query(f"UPDATE orders SET {columns} WHERE id = {number}", 30, 1)
for amount in (0, 1):
    try:
        raise TimeoutError(f"payment {amount} timed out")
    except TimeoutError as error:
        app.log_error(error, {"amount": amount})
