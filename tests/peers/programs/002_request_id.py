"""A filter that adds the request's id, in brackets before the level."""

import logging
import sys


class RequestIDFilter(logging.Filter):
    """Adds `request_id`, or `NO_REQUEST` if there is none."""

    request_id = None

    def filter(self, record):
        record.request_id = self.request_id or "NO_REQUEST"
        return True


context = RequestIDFilter()
handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(
    logging.Formatter("%(asctime)s - [%(request_id)s] - %(levelname)s - %(message)s")
)
handler.addFilter(context)
logger = logging.getLogger("app")
logger.addHandler(handler)
logger.setLevel(logging.INFO)

logger.info("Starting up")
for request in range(7):
    context.request_id = f"REQ-{request:04d}"
    logger.info("Processing request")
    logger.warning("Slow - very slow")
context.request_id = None
logger.error("Shutting down late")
