"""A trace id in every line and no level at all."""

import logging
import sys
import uuid


class TraceContext(logging.Filter):
    """Adds `trace_id`, a UUID while a trace is open."""

    trace_id = None

    def filter(self, record):
        record.trace_id = self.trace_id or "no_trace"
        return True


context = TraceContext()
handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(logging.Formatter("%(asctime)s - %(name)s - [%(trace_id)s] - %(message)s"))
handler.addFilter(context)
logger = logging.getLogger("order-service")
logger.addHandler(handler)
logger.setLevel(logging.INFO)

logger.info("Service started")
for _ in range(9):
    context.trace_id = str(uuid.uuid4())
    logger.info("Order received")
    logger.info("Order done")
context.trace_id = None
logger.info("Service stopped")
