"""The slides' JSONFormatter: extras merged at the top level."""

import json
import logging
import sys
from datetime import datetime


class JSONFormatter(logging.Formatter):
    """One JSON object a record."""

    def format(self, record):
        log_entry = {
            "timestamp": datetime.utcnow().isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "module": record.module,
            "function": record.funcName,
            "line": record.lineno,
            "message": record.getMessage(),
        }
        if hasattr(record, "extra_data"):
            log_entry.update(record.extra_data)
        if record.exc_info:
            log_entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(log_entry)


handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(JSONFormatter())
logger = logging.getLogger("json_logger")
logger.addHandler(handler)
logger.setLevel(logging.INFO)

for user in range(20):
    logger.info("User action", extra={"extra_data": {"user_id": user, "action": "login", "ip": "::1"}})
for number in range(8):
    data = {"method": "GET", "path": f"/orders/{number}", "status_code": 200, "duration_ms": 12.5}
    logger.info("request", extra={"extra_data": data})
logger.warning('a "quoted" caf\u00e9 \U0001f680 | with - separators')
try:
    int("seven")
except ValueError:
    logger.exception("Could not read the number")
