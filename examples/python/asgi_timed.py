"""FastAPI with a duration for each request: uvicorn asgi_timed:app --no-access-log"""

import sidelight_handler
from asgi_access import AccessLog
from asgi_app import app

sidelight_handler.install()
app.add_middleware(AccessLog)
