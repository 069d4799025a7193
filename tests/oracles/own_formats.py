"""Writes own_formats.jsonl: lines as CPython's logging and loguru produce them for format strings,
and what pygrok captures from lines, as an oracle of the user's formats.

Usage: pip install loguru pygrok; python3 own_formats.py > own_formats.jsonl
"""

import io
import json
import logging
import random
import sys
import time

random.seed(17)
time.tzset()

LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
PYTHON = [
    ("%", "%(asctime)s - %(name)s - %(levelname)s - %(message)s", None),
    ("%", "%(asctime)s [%(levelname)-8s] %(name)s:%(lineno)d: %(message)s", "%d/%m/%Y %H:%M:%S"),
    ("%", "%(levelname)s:%(name)s:%(message)s", None),
    ("%", "[%(asctime)s.%(msecs)03d] %(levelname)8s %(threadName)s %(funcName)s() %(message)s", "%Y-%m-%d %H:%M:%S"),
    ("%", "%(levelname).1s %(asctime)s %(process)d %(filename)s:%(lineno)d] %(message)s", "%m%d %H:%M:%S"),
    ("%", "%(asctime)s %(request_id)s %(levelname)s %(name)s %(message)s (%(module)s)", "%b %d %H:%M:%S"),
    ("%", "%(created)f|%(levelno)s|%(name)15s|%(message)s", None),
    ("%", "100%% %(levelname)s %(message)s", None),
    ("{", "{asctime} | {levelname:<8} | {name:>12} | {message}", None),
    ("{", "{levelname:.3} {lineno:04d} {{{request_id}}} {message}", None),
    ("{", "{asctime},{msecs:03.0f} {levelname} {message}", "%H:%M:%S"),
    ("$", "$asctime ${levelname} [$name] $message", "%c"),
]
MESSAGES = [
    "order 17 placed",
    "a - b - c",
    "took 12.5 ms: [done] (all) | x",
    "",
    "stra\u00dfe \u2713 | INFO - no level",
    "100% of {x} and $y",
]
NAMES = ["shop", "shop.cart", "app.very.long.name.of.a.logger", "a-b"]


def record(number):
    level = random.choice(LEVELS)
    one = logging.LogRecord(
        random.choice(NAMES), getattr(logging, level), "/app/shop/cart.py",
        random.choice([7, 12345]), random.choice(MESSAGES), None, None, func="checkout")
    one.created = 1767323045 + number * 86_461 + random.random()
    one.msecs = int((one.created - int(one.created)) * 1000) + 0.0
    one.request_id = random.choice(["-", "r-17", "4f2a"])
    return one


def python():
    for number, (style, pattern, datefmt) in enumerate(PYTHON):
        formatter = logging.Formatter(pattern, datefmt, style)
        formatter.converter = time.gmtime
        for each in range(12):
            one = record(number * 12 + each)
            line = formatter.format(one)
            yield {
                "notation": "python", "pattern": pattern, "style": style, "datefmt": datefmt,
                "line": line, "level": one.levelname, "logger": one.name,
                "message": one.getMessage(), "seconds": int(one.created),
                "request_id": one.request_id,
            }


def of_loguru():
    from loguru import logger
    for pattern in [
        "{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <8} | {name}:{function}:{line} - {message}",
        "<green>{time:DD/MM/YYYY HH:mm:ss!UTC}</green> <level>{level}</level> [{extra[request_id]}] {message}",
        "{level.name:>10} {time:X} {file}:{line} {message}",
    ]:
        out = io.StringIO()
        logger.remove()
        logger.add(out, format=pattern, colorize=False, level=0)
        for level in ["TRACE", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL"]:
            message = random.choice(MESSAGES[:3])
            out.seek(0)
            out.truncate()
            at = int(time.time())
            logger.bind(request_id="r-17").log(level, message)
            yield {
                "notation": "loguru", "pattern": pattern, "line": out.getvalue().rstrip("\n"),
                "level": level, "message": message, "seconds": at, "tolerance": 2,
            }


def of_grok():
    from pygrok import Grok
    for pattern, line in [
        ("%{COMMONAPACHELOG}", '192.0.2.7 - ann [02/Jan/2026:03:04:05 +0000] "GET /a?b=c HTTP/1.1" 200 12'),
        ("%{COMBINEDAPACHELOG}", '::1 - - [02/Jan/2026:03:04:05 +0000] "POST /x HTTP/1.0" 503 - "http://a/b" "Mozilla/5.0 (X11; rv:1)"'),
        ("%{TIMESTAMP_ISO8601:timestamp} %{LOGLEVEL:level} %{GREEDYDATA:message}", "2026-01-02T03:04:05.678Z WARN a b c"),
        ("%{SYSLOGTIMESTAMP:timestamp} %{HOSTNAME:host} %{WORD:program}: %{GREEDYDATA:message}", "Jan  2 03:04:05 web-1 cron: x y"),
        ("%{IP:client} %{WORD:method} %{URIPATHPARAM:path} %{NUMBER:bytes} %{NUMBER:duration_ms}", "55.3.244.1 GET /index.html?a=1 15824 0.043"),
        ("\\[%{HTTPDATE:timestamp}\\] %{QS:message}", '[02/Jan/2026:03:04:05 +0100] "a \\" b"'),
        ("%{UUID:trace_id} %{EMAILADDRESS:user} %{MAC:mac} %{URI:url}", "123e4567-e89b-12d3-a456-426614174000 a.b@c.de 00:1b:44:11:3a:b7 https://a.de:80/x?y=z"),
        ("%{DATESTAMP:timestamp} %{JAVACLASS:logger} %{DATA:thread} - %{GREEDYDATA:message}", "01/02/2026 03:04:05 org.shop.Cart main 1 - done"),
        ("%{INT:status} %{BASE10NUM:x} %{HOSTPORT:address} %{UNIXPATH:file} %{WORD:level}", "404 -1.5 web:80 /var/log/x.log INFO"),
    ]:
        yield {"notation": "grok", "pattern": pattern, "line": line, "captures": Grok(pattern).match(line)}


for row in [*python(), *of_loguru(), *of_grok()]:
    json.dump(row, sys.stdout)
    sys.stdout.write("\n")
