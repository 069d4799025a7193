"""`epoch | level | message | service | trace_id`, as the collector of the slides writes it."""

import logging
import sys
import time


class PipeFormatter(logging.Formatter):
    """Fields between bars; the message may hold a bar itself."""

    def format(self, record):
        message = record.getMessage()
        return f"{time.time()} | {record.levelname} | {message} | {record.name} | {record.trace}"


root = logging.getLogger()
root.setLevel(logging.INFO)
handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(PipeFormatter())
root.addHandler(handler)

for number in range(12):
    trace = {"trace": f"trace-{number % 3}"}
    logging.getLogger("user-service").info("Request processed", extra=trace)
    if number % 3 == 0:
        logging.getLogger("auth-service").warning("Token | nearly over", extra=trace)
    if number % 4 == 0:
        logging.getLogger("pay-service").error("Card refused", extra=trace)
