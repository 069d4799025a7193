"""Lines that were damaged at random, through the real binary: it lives, counts each, and stays readable."""

import random
from pathlib import Path

from exposition import promtool
from sidecar import Sidecar

GOLDEN = Path(__file__).resolve().parents[2] / "golden"

ROUNDS = 100
LINES_A_ROUND = 500
PIECES = (b"\xff\xfe", b"\xc3\xa9", b"\\ud800", b"9" * 40, b"1e999", b"\x00", b"\x1b[31m", b"\n", b"\r\n")


def damaged(line, lines, dice):
    """A line with up to four changes."""
    line = bytearray(line)
    for _ in range(dice.randint(0, 4)):
        at = dice.randrange(len(line) + 1)
        change = dice.randrange(6)
        if change == 0:
            line[at : at + 1] = bytes([dice.randrange(256)])
        elif change == 1:
            del line[at : at + dice.randint(1, 9)]
        elif change == 2:
            line[at:at] = bytes([dice.choice(b'{}[]",:\\ \t0123456789.-+eE=|')])
        elif change == 3:
            other = dice.choice(lines)
            start = dice.randrange(len(other))
            line[at:at] = other[start : start + dice.randint(1, 40)]
        elif change == 4:
            line[at:at] = dice.choice(PIECES)
        else:
            del line[at:]
    return bytes(line)


def flood(sidecar):
    """Every frame is received and decoded, by a count that knows only newlines; promtool reads the page."""
    dice = random.Random(20261121)
    logs = sorted(GOLDEN.glob("*/input.log"))
    lines = [line for log in logs for line in log.read_bytes().split(b"\n") if line]
    stream = b""
    for _ in range(ROUNDS):
        block = b"\n".join(damaged(dice.choice(lines), lines, dice) for _ in range(LINES_A_ROUND))
        stream += block + b"\n"
    sidecar.write(stream)
    frames = sum(1 for line in stream.split(b"\n") if line.strip(b"\r"))
    sidecar.received(frames)
    promtool(sidecar)
    sidecar.stop()


def check(report):
    """One sidecar for all of it."""
    with Sidecar() as sidecar:
        report.check("damaged lines", flood, sidecar)
