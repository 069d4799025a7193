"""What `sidelight inject` writes means to kubectl what it read: kubectl itself reads it, and PyYAML beside it, which
reads YAML 1.1 with everything that kubectl leaves out of it (base 60, times)."""

import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from report import Failure, Skip, expect
from sidecar import BIN, BINARY, CACHE

# strings that YAML writes without quotes
SCALARS = """
yes Yes YES yEs no off On on oN y n Y N true True tRUE ~ null Null nULL 0660 0o17 0O7 0889 0o8 08 00 0 -0 +0 +5 -5
1_000 1__0 _1 1_ 0x1F 0X1f -0x1f 0xG 0b11 0B1 0b2 -0b11 1.0 1.50 1. .5 .5_0 ._5 . - + ++1 1e3 1E3 1e+3 1e-3 1e21 1e22
1e400 .1e400 -1e400 12345678901234567890123 18446744073709551615 18446744073709551616 9223372036854775807
9223372036854775808 -9223372036854775808 -9223372036854775809 1:30 190:20:30 190:20:30.15 2001-01-01 2001-1-1
2001-01-01T00:00:00Z 2001-12-14t21:59:43.10-05:00 10m 64Mi 1e3Mi 0.1 0.10 1.23015e+3 685.230_15 = << <<< a:b a#b a,b
http://$(HOST_IP):4318 $(A) --flag=1 -c --- - ... /a a@b 1.2.3 1.2.3.4 1e 0x 0b 0o .e1 1.e1 infinity nan NaN Inf inf 0_7
07_7 0o1_7 0b1_1 0x_1 1e1_0 +.5 -.5 +1e3
""".split() + ["!!str 12", "! 12", '!!int "3"', '!!bool "yes"', "!!float 3", "!!str yes"]

TEXTS = [
    "", " ", "\n", "\n\n", "a\n", "a\n\n", "\na", " a", "a ", "a\nb", "a \nb", "\ta", "a\n\tb\n", "a\n  b\n c", "#", "# a",
    "a #b", "a: b", "a:", ":", "- a", "? a", "'", '"', "\\", "it's", '{"a": "b"}', '{"a": "it\'s"}', "{a}", "[a]", "*a",
    "&a", "!a", "|", ">", "%a", "@a", "`a`", "\u00e9", "\u20ac\n\u20ac", "\U0001f600", "\u0085", "a\u0085b", "\u2028",
    "\ufeff", "\x7f", "\x01", "a\r\nb", "a\rb", "\t", "a\tb", "x" * 3000, "x " * 400, "0" * 30, "---", "--- a", "a\n---\nb",
    "...", "a\n...\n", "\u00a0", "y", "=", "<<", "~", "0o7", "1_0", "1e3", "012", "12:30:45", "2001-01-01", "0x1", ".5",
    "#!/bin/sh\nset -e\n\techo \"$A\" # x\n", "key: |\n  a\n",
]


def kubectl():
    """The real one."""
    for path in (BIN / "kubectl", shutil.which("kubectl")):
        if path and Path(path).exists():
            return str(path)
    raise Skip("no kubectl: tests/cluster/build")


def read(path):
    """What kubectl makes of a file."""
    command = [kubectl(), "patch", "--local", "-f", str(path), "--type", "merge", "-p", "{}", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise Failure(f"kubectl refuses {path}: {done.stderr.strip()}\n{path.read_text()[:2000]}")
    return json.loads(done.stdout)


def passed(path, form):
    """The file as `inject` gives it back: nothing in it is a pod."""
    command = [str(BINARY), "inject", "-f", str(path), "-o", form]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    expect(f"exit code of {form}, {done.stderr.strip()}", done.returncode, 0)
    return done.stdout


def pyyaml():
    """PyYAML: of this Python, or of the one that tests/peers/build keeps."""
    for place in (CACHE / "venv/lib").glob("python3*/site-packages"):
        sys.path.append(str(place))
    try:
        import yaml
    except ImportError as error:
        raise Skip("no PyYAML; tests/peers/build") from error
    return yaml


def same(what, original, folder):
    """Whatever reads it, it is what kubectl read."""
    yaml = pyyaml()
    source = folder / "source"
    source.write_text(original, encoding="utf-8", newline="")
    expected = read(source)
    for form in ("yaml", "json"):
        written = folder / f"written.{form}"
        written.write_text(passed(source, form), encoding="utf-8", newline="")
        compare(f"{what}: kubectl reads our {form}", read(written), expected)
    ours = (folder / "written.yaml").read_text(encoding="utf-8")
    compare(f"{what}: PyYAML reads our yaml", yaml.safe_load(ours), expected)


def compare(what, found, expected):
    """Fails with the first entry that differs."""
    for key, value in expected["data"].items():
        other = (found.get("data") or {}).get(key, "nothing")
        if other != value or type(other) is not type(value):
            # kubectl prints numbers beyond 63 bits as floats
            if not (type(value) is int and abs(value) >= 2**63 and float(other) == float(value)):
                raise Failure(f"{what}: {key}: expected {value!r}, found {other!r}")
    expect(f"{what}: keys", sorted(found["data"]), sorted(expected["data"]))
    expect(f"{what}: metadata", found["metadata"], expected["metadata"])


def document(lines):
    """A ConfigMap of these lines."""
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\ndata:\n"
    return head + "".join(f"  {line}\n" for line in lines)


def scalars():
    """Plain scalars as values and as keys."""
    with tempfile.TemporaryDirectory() as folder:
        values = [f"k{index}: {scalar}" for index, scalar in enumerate(SCALARS) if scalar not in ("-", "---")]
        same("values", document(values), Path(folder))
        # if two keys are equal for kubectl, the last one counts, so this tests one at a time;
        # fractions and null are refused
        for key in ("yes", "off", "0660", "0x1F", "1_000", "-0", "2001-01-01", "1:30", "10m", "!!str 12", '"on"', "a b"):
            same(f"key {key}", document([f"{key}: 1"]), Path(folder))


def texts():
    """Texts that come as JSON, odd ones and random ones."""
    chance = random.Random(7)
    letters = "ab01_-+.:#'\"\\ \n\t,[]{}&*!|>%@`~=?eExXoyYnN\u00e9\u0085\u2028\r"
    made = ["".join(chance.choices(letters, k=chance.randrange(12))) for _ in range(4000)]
    data = {f"k{index}": text for index, text in enumerate(TEXTS + made)}
    data.update({text: "key" for text in made[:1000]})
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data}
    with tempfile.TemporaryDirectory() as folder:
        same("texts", json.dumps(config_map), Path(folder))


def structure():
    """Anchors, merges, blocks, flow, documents and comments."""
    original = """# a comment
apiVersion: v1
kind: ConfigMap
metadata: {name: x, labels: &l {a: "1", b: 'it''s'}}
data: # another
  folded: >-
    one
    two

    three
  literal: |+
    #!/bin/sh

      echo "a"

  plain: one
    two
  again: *l
  merged: {a: 7, <<: *l}
  first: {<<: *l, a: 7}
  several: {<<: [{a: 3}, *l], c: 4}
  deep: [[1, [2, {x: [], y: {}}]], {z: }]
  "quoted \\x41\\u00e9": "a\\
    b\\tc"
"""
    with tempfile.TemporaryDirectory() as folder:
        same("structure", original, Path(folder))


def check(report):
    """All of them."""
    report.check("plain scalars mean to kubectl what they meant", scalars)
    report.check("texts mean to kubectl what they meant", texts)
    report.check("anchors, merges and blocks mean to kubectl what they meant", structure)
