"""Records that the usual loggers of Python, Node and Go write: four each, read with the right level, time and exception."""

import datetime
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

from report import Skip, expect
from sidecar import BIN, BINARY, CACHE

PROGRAMS = Path(__file__).resolve().parents[1] / "loggers"
PYTHON = CACHE / "loggers/bin/python"
NODE_MODULES = CACHE / "node/node_modules"
GO = BIN / "loggers"

# what a logger writes about the error: the type of the exception, or "unknown" where it writes only its text
LOGGERS = {
    "python": {
        "basic": "ValueError",
        "documented": "ValueError",
        "handwritten": "ValueError",
        "python_json_logger": "ValueError",
        "python_json_logger_renamed": "ValueError",
        "structlog_json": "ValueError",
        "structlog_logfmt": "ValueError",
        "structlog_console": "ValueError",
        "loguru_serialize": "ValueError",
        "loguru_default": "ValueError",
    },
    "node": {
        "pino": "TypeError",
        "pino_labels": "TypeError",
        "winston": "TypeError",
        "bunyan": "TypeError",
        "log4js": "TypeError",
    },
    "go": {
        "zap": "unknown",
        "zap_console": "unknown",
        "slog_json": "unknown",
        "slog_text": "unknown",
        "logrus_json": "unknown",
        "logrus_text": "unknown",
        "zerolog": "unknown",
        "zerolog_console": "unknown",
        "klog": "unknown",
    },
}

# loggers that write no time, and those that write the minute only
WITHOUT_TIME = {"basic"}
TO_THE_MINUTE = {"zerolog_console"}
# loggers that write the logger's name
NAMED = {
    "basic", "documented", "handwritten", "python_json_logger", "python_json_logger_renamed", "structlog_json",
    "structlog_logfmt", "pino", "bunyan", "log4js", "zap", "zap_console",
}  # fmt: skip


def written(language, name):
    """What the program writes."""
    command = {
        "python": [PYTHON, PROGRAMS / "loggers.py", name],
        "node": ["node", PROGRAMS / "loggers.js", name],
        "go": [GO, name],
    }[language]
    environment = {**os.environ, "NODE_PATH": str(NODE_MODULES), "TZ": "UTC"}
    return subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60).stdout


def replayed(path):
    """The counters of a replay that are not zero."""
    out = subprocess.run([BINARY, "replay", "--metrics", path], check=True, capture_output=True, text=True, timeout=60).stdout
    found = re.findall(r'^(log_\w+_total)\{(?:service="[^"]*",)?(.*)\} (\d+)$', out, re.M)
    return {(name, labels): int(count) for name, labels, count in found if count != "0"}


def explained(text):
    """What `explain` prints for each record."""
    run = subprocess.run([BINARY, "explain"], input=text, check=True, capture_output=True, timeout=60)
    return run.stdout.decode().split("\n\n")[:-1]


def reads(language, name, error_type):
    """Runs one logger and checks the four records."""
    before = time.time()
    text = written(language, name)
    after = time.time()
    with tempfile.NamedTemporaryFile() as file:
        file.write(text)
        file.flush()
        found = replayed(file.name)
    levels = {labels: count for (metric, labels), count in found.items() if metric == "log_records_total"}
    expect("levels", levels, {'level="INFO"': 2, 'level="WARN"': 1, 'level="ERROR"': 1})
    errors = [labels for (metric, labels) in found if metric == "log_errors_total"]
    types = {re.search(r'error_type="([^"]*)"', labels)[1] for labels in errors}
    expect("types of errors", types, {error_type})
    records = explained(text)
    expect("records", len(records), 4)
    for record in records:
        at = re.search(r"^time +(\S+) from", record, re.M)
        expect("a time", at is not None, name not in WITHOUT_TIME)
        if at:
            slack = 61 if name in TO_THE_MINUTE else 1
            seconds = datetime.datetime.fromisoformat(at[1].replace("Z", "+00:00")).timestamp()
            within = before - slack <= seconds <= after + slack
            expect(f"{at[1]} lies in the run", within, True)
        if name in NAMED:
            logger = re.search(r'logger\.name = "([^"]*)"', record)
            expect("the logger", logger and logger[1], "shop.orders")
    body = re.search(r"body = (\".*\")(?: \(key `\w+`\))?$", records[0], re.M)
    expect("the message", body and json.loads(body[1]).rstrip(), "order placed")


def check(report):
    """Each logger."""
    missing = [str(path) for path in (PYTHON, NODE_MODULES, GO) if not path.exists()]
    if missing:
        raise Skip(f"no {', '.join(missing)}; tests/peers/build")
    for language, names in LOGGERS.items():
        for name, error_type in names.items():
            report.check(f"{language}: {name}", reads, language, name, error_type)
