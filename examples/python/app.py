"""A shop that logs as it always did, to standard output, and to sidelight beside it."""

import json
import logging
import sys
import time
from datetime import datetime, timezone

from sidelight_handler import SidelightHandler


class JSONFormatter(logging.Formatter):
    """One JSON object a record, what belongs to it under `data`."""

    def format(self, record):
        entry = {
            "timestamp": datetime.now(timezone.utc).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "service": "shop",
        }
        if hasattr(record, "data"):
            entry["data"] = record.data
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
for handler in (logging.StreamHandler(sys.stdout), SidelightHandler()):
    handler.setFormatter(JSONFormatter())
    logger.addHandler(handler)


def request(method, path, status_code, duration_ms):
    """Logs a finished request."""
    data = {
        "method": method,
        "path": path,
        "status_code": status_code,
        "duration_ms": duration_ms,
    }
    logger.info("HTTP Request", extra={"data": data})


for number in range(20):
    request("GET", f"/users/{number}", 200, 12.5)
    if number % 4 == 0:
        request("POST", "/orders", 201, 48.0)
        logger.info("order placed", extra={"data": {"shop": "north", "amount": 10 + number}})
    time.sleep(0.01)
try:
    {}["missing"]
except KeyError:
    logger.exception("could not read the cart")
