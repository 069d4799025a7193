"""basicConfig with nothing but a level: LEVEL:logger:message."""

import logging
import sys

logging.basicConfig(level=logging.INFO, stream=sys.stdout)
logger = logging.getLogger(__name__)

logger.debug("below the level")
for user in range(5):
    logger.info("User %d logged in", user)
for percent in (81, 90, 99):
    logger.warning("Disk usage at %d%%", percent)
for _ in range(2):
    logger.error("Could not reach the mail server")
logger.critical("Out of disk space, canary-in-a-message")
try:
    1 / 0
except ZeroDivisionError:
    logger.exception("Division failed")
