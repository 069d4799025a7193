"""Writes what fluent-logger and msgpack send, for the tests of src/transcode and src/receive.

    pip install fluent-logger==0.11.1 msgpack==1.1.0; python3 tests/oracles/forward.py

src/transcode/forward/entries.txt: an entry in hexadecimal, and the line of JSON that it must become, separated by a tab.
src/receive/intake/forward/messages.txt: a mode, a message in hexadecimal, its number of entries, the chunk to acknowledge.
"""

import gzip
import json
import pathlib

import msgpack
from fluent import sender

TAG = "shop.orders"


def event_time(seconds, nanos):
    return msgpack.ExtType(0, seconds.to_bytes(4, "big") + nanos.to_bytes(4, "big"))


RECORDS = [
    {"level": "error", "message": "no stock"},
    {"message": 'caf\u00e9 "\U0001f600"\n', "n": -1, "big": 2**64 - 1, "f": 1.5, "yes": True, "none": None},
    {"small": -5, "i8": -100, "i16": -30000, "i32": -2**31, "i64": -2**40, "u8": 200, "u16": 60000, "u32": 2**32 - 1},
    {"nested": {"a": [1, {"b": 2}, []], "c": {}}, "bytes": b"raw"},
    {"list": list(range(20)), "map": {str(i): i for i in range(20)}, "text": "x" * 300},
    {1: "one"},
]

TIMES = [
    (1767323044, "1767323044.000000000"),
    (event_time(1767323044, 250000000), "1767323044.250000000"),
    (1767323044.25, "1767323044.250000000"),
    ([event_time(1767323044, 250000000), {"meta": 1}], "1767323044.250000000"),
]


def expected(record, time):
    line = json.dumps(record, default=lambda raw: raw.decode(), ensure_ascii=False, separators=(",", ":"))
    return f'{line[:-1]},"fluent.time":{time},"fluent.tag":"{TAG}"}}'


def main():
    root = pathlib.Path(__file__).resolve().parents[2] / "src"
    with open(root / "transcode/forward/entries.txt", "w", encoding="utf-8") as out:
        for record in RECORDS:
            for time, shown in TIMES:
                entry = msgpack.packb([time, record])
                print(entry.hex(), expected(record, shown), sep="\t", file=out)
    entries = [[1767323044 + n, {"level": "error", "message": f"number {n}"}] for n in range(5)]
    packed = b"".join(map(msgpack.packb, entries))
    options = {"chunk": "p8n9gmxTQVC8/nh2wlKKeQ==", "size": 5}
    # what the client's own code sends
    fluent = sender.FluentSender("shop")
    own = [fluent._make_packet("orders", 1767323044, {"message": "a"})]
    fluent = sender.FluentSender("shop", nanosecond_precision=True)
    own.append(fluent._make_packet("orders", 1767323044.25, {"message": "b"}))
    messages = [
        ("message", own[0], 1, ""),
        ("message", own[1], 1, ""),
        ("message", msgpack.packb([TAG, 1767323044, {"message": "a"}, options]), 1, options["chunk"]),
        ("forward", msgpack.packb([TAG, entries]), 5, ""),
        ("forward", msgpack.packb([TAG, entries, options]), 5, options["chunk"]),
        ("forward", msgpack.packb([TAG, [], options]), 0, options["chunk"]),
        ("packed", msgpack.packb([TAG, packed]), 5, ""),
        ("packed", msgpack.packb([TAG, packed, options]), 5, options["chunk"]),
        ("packed", msgpack.packb([TAG, packed, {}]), 5, ""),
        ("compressed", msgpack.packb([TAG, gzip.compress(packed, mtime=0), {**options, "compressed": "gzip"}]), 5,
         options["chunk"]),
    ]
    with open(root / "receive/intake/forward/messages.txt", "w", encoding="utf-8") as out:
        for mode, message, count, chunk in messages:
            print(mode, message.hex(), count, chunk, sep="\t", file=out)


main()
