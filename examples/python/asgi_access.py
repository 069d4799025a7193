"""Middleware for ASGI: one line a request, with its duration, which uvicorn's own access log lacks.

    app.add_middleware(AccessLog)        # and uvicorn --no-access-log
"""

import logging
import sys
import time

logger = logging.getLogger("access")
logger.setLevel(logging.INFO)
if not logger.handlers:
    logger.addHandler(logging.StreamHandler(sys.stdout))


class AccessLog:
    """Logs the end of every HTTP request."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = time.perf_counter()
        status = 500

        async def watch(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            seconds = time.perf_counter() - started
            extra = {"method": scope["method"], "path": scope["path"], "status": status, "duration_seconds": seconds}
            logger.info("%s %s %d", scope["method"], scope["path"], status, extra=extra)
