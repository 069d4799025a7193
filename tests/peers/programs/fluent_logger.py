"""fluent-logger for Python, as its README shows it. The socket's path is the first argument."""

import logging
import sys

from fluent import handler, sender

address = "unix://" + sys.argv[1]
logger = sender.FluentSender("shop", host=address, nanosecond_precision=True)
refused = 0
for record in (
    {"level": "info", "message": "started"},
    {"level": "error", "message": "no stock"},
    {"level": "info", "msg": "request", "method": "GET", "path": "/orders/17", "status": 200, "duration_ms": 12.5},
):
    refused += not logger.emit("orders", record)
logger.close()

log = logging.getLogger("shop")
log.setLevel(logging.INFO)
own = handler.FluentHandler("shop.log", host=address)
own.setFormatter(
    handler.FluentRecordFormatter({"level": "%(levelname)s", "logger": "%(name)s", "where": "%(module)s"})
)
log.addHandler(own)
log.warning("queue is long")
log.error({"message": "payment failed", "order": 17})
own.close()
print(f"{refused} refused")
