"""CPython's SysLogHandler on a Unix datagram socket. The socket's path is the first argument."""

import logging
import sys
from logging.handlers import SysLogHandler

handler = SysLogHandler(address=sys.argv[1])
logger = logging.getLogger("worker")
logger.addHandler(handler)
logger.setLevel(logging.INFO)

for number in range(6):
    logger.info("job %d done", number)
for _ in range(2):
    logger.warning("queue is long")
for _ in range(2):
    logger.error("job refused")
try:
    [][3]
except IndexError:
    logger.exception("job crashed")
