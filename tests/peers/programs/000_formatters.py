"""The format strings of the first post, each on its own handler, and coloured levels."""

import logging
import sys

FORMATS = [
    ("%(asctime)s - %(name)s - %(levelname)s - %(message)s", None),
    ("%(asctime)s - %(levelname)s - %(message)s", None),
    (
        "%(asctime)s | %(name)s | %(levelname)s | %(filename)s:%(lineno)d | %(message)s",
        "%Y-%m-%d %H:%M:%S",
    ),
]


class ColoredFormatter(logging.Formatter):
    """Wraps the level in ANSI colours."""

    COLORS = {
        "DEBUG": "\033[36m",
        "INFO": "\033[32m",
        "WARNING": "\033[33m",
        "ERROR": "\033[31m",
        "CRITICAL": "\033[35m",
    }
    RESET = "\033[0m"

    def format(self, record):
        record.levelname = f"{self.COLORS[record.levelname]}{record.levelname}{self.RESET}"
        return super().format(record)


def speak(name, formatter):
    """Five records with separators in their messages."""
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    logger.propagate = False
    logger.debug("cache - miss | key=7")
    logger.info("order 7 - ERROR is only a word here")
    logger.warning("retry | attempt 2 - of 3")
    logger.error("payment - refused")
    logger.critical("cannot write | giving up")


for at, (style, dates) in enumerate(FORMATS):
    speak(f"shop.part{at}", logging.Formatter(style, dates))
speak("shop.colored", ColoredFormatter(FORMATS[0][0]))
