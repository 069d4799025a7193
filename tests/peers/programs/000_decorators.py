"""The decorators of the first post: requests, execution times, exceptions."""

import functools
import logging
import sys
import time

logging.basicConfig(
    level=logging.INFO,
    stream=sys.stdout,
    format="%(asctime)s - %(name)s - %(levelname)s - %(message)s",
)
logger = logging.getLogger("api")


def log_api_request(func):
    """Logs start, end with duration, or failure."""

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        start_time = time.time()
        logger.info(f"API Request: {func.__name__} started")
        try:
            result = func(*args, **kwargs)
            duration = time.time() - start_time
            logger.info(f"API Request: {func.__name__} completed in {duration:.2f}s")
            return result
        except Exception as e:
            logger.error(f"API Request: {func.__name__} failed - {str(e)}")
            raise

    return wrapper


def log_execution_time(func):
    """Logs how long a call took."""

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        start_time = time.time()
        result = func(*args, **kwargs)
        execution_time = time.time() - start_time
        logger.info(f"{func.__name__} executed in {execution_time:.3f}s")
        return result

    return wrapper


def log_exceptions(func):
    """Logs an exception with its traceback and lets it go on."""

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        try:
            return func(*args, **kwargs)
        except Exception as e:
            logger.exception(f"Exception in {func.__name__}: {str(e)}")
            raise

    return wrapper


@log_api_request
def fetch_user(user):
    """Fails for every fifth user."""
    time.sleep(0.02)
    if user % 5 == 4:
        raise ValueError("no such user")


@log_execution_time
def build_report():
    """Takes its time."""
    time.sleep(0.03)


@log_exceptions
def read_setting(name):
    """Never finds it."""
    return {}[name]


for number in range(10):
    try:
        fetch_user(number)
    except ValueError:
        pass
for _ in range(6):
    build_report()
for _ in range(3):
    try:
        read_setting("colour")
    except KeyError:
        pass
