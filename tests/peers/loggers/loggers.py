"""Writes the same four records with one of the usual loggers of Python: loggers.py NAME."""

import datetime
import json
import logging
import sys
import traceback


def fail():
    """An error with a stack."""
    raise ValueError("no stock")


def four(info, warn, error):
    """The four records that every logger writes."""
    info("order placed")
    warn("stock is low")
    try:
        fail()
    except ValueError:
        error("order failed")
    info("level ERROR is a word of this message")


def stdlib(formatter):
    """Python's logging with a formatter."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logger = logging.getLogger("shop.orders")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    four(logger.info, logger.warning, logger.exception)


def python_json_logger():
    """python-json-logger with the fields that its documentation names."""
    from pythonjsonlogger.json import JsonFormatter

    stdlib(JsonFormatter("%(asctime)s %(name)s %(levelname)s %(message)s"))


def python_json_logger_renamed():
    """python-json-logger with renamed fields and its own time."""
    from pythonjsonlogger.json import JsonFormatter

    renamed = {"levelname": "level", "name": "logger"}
    stdlib(JsonFormatter("%(name)s %(levelname)s %(message)s", rename_fields=renamed, timestamp=True))


class Handwritten(logging.Formatter):
    """A formatter as many applications write it themselves."""

    def format(self, record):
        said = {
            "timestamp": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(said)


def handwritten():
    """A JSON formatter of an application."""
    stdlib(Handwritten())


def basic():
    """logging.BASIC_FORMAT."""
    stdlib(logging.Formatter(logging.BASIC_FORMAT))


def documented():
    """The layout of Python's logging documentation."""
    stdlib(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))


def structlog_json():
    """structlog as its documentation sets it up for production."""
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ]
    )
    logger = structlog.get_logger().bind(logger="shop.orders")
    four(logger.info, logger.warning, logger.exception)


def structlog_logfmt():
    """structlog's logfmt."""
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(),
        ]
    )
    logger = structlog.get_logger().bind(logger="shop.orders")
    four(logger.info, logger.warning, logger.exception)


def structlog_console():
    """structlog's console, with colours."""
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=True, exception_formatter=structlog.dev.plain_traceback),
        ]
    )
    logger = structlog.get_logger()
    four(logger.info, logger.warning, logger.exception)


def loguru_serialize():
    """loguru, serialize=True."""
    from loguru import logger

    logger.remove()
    logger.add(sys.stdout, serialize=True)
    four(logger.info, logger.warning, logger.exception)


def loguru_default():
    """loguru's own layout, with colours and its rendering of a traceback."""
    from loguru import logger

    logger.remove()
    logger.add(sys.stdout, colorize=True)
    four(logger.info, logger.warning, logger.exception)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
