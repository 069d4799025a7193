"""Writes what CPython pickles and how it formats, for the tests of src/transcode.

    python3 tests/oracles/pickles.py

src/transcode/python/records.txt: one case a line, separated by tabs: a name, the protocol, the
pickle of a LogRecord's attributes in hexadecimal, and the line of JSON that it must become.
src/transcode/percent/messages.txt: a pickle of (message, args), and what `message % args` gives.
"""

import collections
import datetime
import decimal
import json
import logging
import pathlib
import pickle
import uuid

WRITTEN = (
    "levelname levelno name pathname lineno funcName thread threadName process processName".split()
)
LEFT_OUT = set(
    "filename module msecs relativeCreated exc_info exc_text asctime message args msg created".split()
)


class Order:
    def __init__(self):
        self.number = 7


Order.__module__ = "shop"
Order.__qualname__ = "Order"


def attributes(**extra):
    """The attributes of a record as SocketHandler.makePickle prepares them."""
    record = logging.LogRecord("shop.orders", logging.ERROR, "/srv/shop/orders.py", 42, "no stock", (), None, "buy")
    values = dict(record.__dict__)
    values.update(
        created=1767323044.25, msecs=250.0, relativeCreated=12.5, thread=140000000000000,
        process=7, threadName="MainThread", processName="MainProcess", args=None, exc_info=None,
    )
    values.pop("taskName", None)
    values.update(extra)
    return values


def shown(value):
    """The JSON value that stands for a value."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value).replace("nan", "NaN")
    if isinstance(value, dict):
        return {str(key): shown(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, collections.deque)):
        return [shown(item) for item in value]
    return str(value)


def expected(values):
    line = {"created": values["created"]}
    line.update((name, values[name]) for name in WRITTEN if values.get(name) is not None)
    args = values["args"]
    line["message"] = values["msg"] % args if args else str(values["msg"])
    if values["exc_text"] and values["exc_text"] != "NoneType: None":
        line["exc_info"] = values["exc_text"]
    for name, value in values.items():
        if name not in LEFT_OUT and name not in WRITTEN and value is not None:
            line[name] = shown(value)
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False)


TRACE = 'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\nValueError: no stock'

CASES = {
    "plain": {},
    "unicode": {"msg": 'caf\u00e9 \U0001f600 "quoted" \\ tab\t bell\x07'},
    "exception": {"exc_text": TRACE},
    "no_exception": {"exc_text": "NoneType: None"},
    "arguments": {"msg": "order %d of %s: %.2f%%", "args": (7, "shop", 12.5)},
    "mapping": {"msg": "order %(id)05d of %(shop)r", "args": {"id": 7, "shop": "s"}},
    "long_message": {"msg": "x" * 300},
    "numbers": {
        "small": 1, "negative": -7, "two": 70000, "long": 2**40, "huge": -(2**100), "pi": 3.25,
        "tiny": 1e-7, "yes": True, "no": False,
    },
    "containers": {
        "list": [1, "a", None, 2.5, [True]], "set": {"a"}, "frozen": frozenset([7]), "no_items": set(), "tuple": (1, "a"), "map": {"a": 1, "b": {"c": [1]}}, "empty": [],
        "none": {}, "number_keys": {1: "a", 2: "b"},
    },
    "objects": {
        "price": decimal.Decimal("12.30"),
        "request_id": uuid.UUID("8f507cfc-1e2f-4a3b-9c4d-5e6f70819203"),
        "at": datetime.datetime(2026, 1, 2, 3, 4, 5, 250000),
        "day": datetime.date(2026, 1, 2),
        "hour": datetime.time(3, 4, 5),
        "file": pathlib.PurePosixPath("/srv/shop/a.py"),
    },
    "trace_context": {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"},
}

MESSAGES = [
    ("%s %s", (1, "a")), ("%r", ("it's",)), ("%r", ('say "it\'s"',)), ("%a", ("a",)), ("%d%%", (50,)),
    ("%5d|%-5d|%05d|%+d|% d", (1, 2, 3, 4, 5)), ("%x %X %#x %o %#o", (255, 255, 255, 8, 8)),
    ("%f %.1f %10.3f %-10.3f| %010.3f", (1.5, 1.25, 3.14159, 2.5, -2.5)), ("%e %.2E", (12345.678, 0.00012)),
    ("%g %g %g %g %.3g %#g", (100000.0, 1000000.0, 0.0001, 0.00001, 1234.5, 1.5)), ("%c%c", (65, "b")),
    ("%s", (None,)), ("%s", (True,)), ("%s", ([1, "a", None],)), ("%s", (("a",),)), ("%s", ({"a": [1.5]},)),
    ("%.3s|%5s|%-5s|", ("abcdef", "ab", "ab")), ("%*d|%-*d|%.*f", (5, 1, 5, 2, 2, 1.239)), ("%d", (3.9,)),
    ("%i %u", (-3, 4)), ("%s", (b"a\x00'\n",)), ("%s", (1e16,)), ("%s %s %s", (1e-5, 0.1, 123456789.0)),
    ("%s", (float("inf"),)), ("%s", (float("nan"),)), ("%(a)s-%(b)d", {"a": "x", "b": 2}), ("%s", ({1, },)),
    ("%s", (2**70,)), ("%s", (-(2**70),)), ("%s", (decimal.Decimal("1.50"),)), ("%r", (decimal.Decimal("1.50"),)),
    ("100%", ()), ("%s", (uuid.UUID(int=7),)), ("%ld %hd", (1, 2)), ("%s %%s", (1,)), ("%5.1f%%", (99.44,)),
    ("%s", (datetime.date(2026, 1, 2),)), ("%g", (0.0,)), ("%e", (0.0,)),
    ("%s", (-0.0,)), ("%d", (True,)), ("%s", ((),)), ("%s", (set(),)), ("caf\u00e9 %s", ("\U0001f600",)),
]


def main():
    root = pathlib.Path(__file__).resolve().parents[2] / "src/transcode"
    with open(root / "python/records.txt", "w", encoding="utf-8") as out:
        for name, extra in CASES.items():
            values = attributes(**extra)
            for protocol in range(6):
                data = pickle.dumps(values, protocol)
                print(name, protocol, data.hex(), expected(values), sep="\t", file=out)
    with open(root / "percent/messages.txt", "w", encoding="utf-8") as out:
        for message, args in MESSAGES:
            text = message % args if args else message
            for protocol in (1, 4):
                data = pickle.dumps((message, args), protocol)
                print(data.hex(), json.dumps(text, ensure_ascii=False), sep="\t", file=out)


main()
