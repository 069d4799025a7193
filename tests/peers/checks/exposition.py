"""Every exposition is read by promtool and by prometheus_client's parsers, and both formats agree."""

import json
import subprocess

from report import Failure, Skip, expect
from sidecar import BIN, VENV_PYTHON, Sidecar, get

LINES = b"""{"level":"info","message":"request","method":"GET","path":"/a/1","status":200,"duration_ms":12}
{"level":"error","message":"it \\"broke\\"\\n","error_type":"ValueError","service":"caf\\u00e9 \\\\ bar"}
{"level":"info","message":"q","query":"SELECT 1 FROM t","duration_ms":3}
2026-11-21 10:00:00,123 - api - INFO - f executed in 0.125s
"""

CLASSIC = "text/plain;version=0.0.4"
OPEN = "application/openmetrics-text;version=1.0.0"

# prints the samples that both formats contain, sorted, as JSON
READER = """
import json, sys
from prometheus_client.parser import text_string_to_metric_families as classic
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
read = openmetrics if sys.argv[1] == "openmetrics" else classic
samples = []
for family in read(sys.stdin.read()):
    for sample in family.samples:
        labels = dict(sample.labels)
        if "le" in labels:
            labels["le"] = str(float(labels["le"]))  # 1 in one format, 1.0 in the other
        if not sample.name.endswith("_created"):
            samples.append([sample.name, sorted(labels.items()), sample.value])
print(json.dumps(sorted(samples)))
"""


def promtool(sidecar):
    """`promtool check metrics` has nothing to say."""
    tool = BIN / "promtool"
    if not tool.exists():
        raise Skip(f"no {tool}; tests/peers/build")
    text = sidecar.metrics(accept=CLASSIC)
    done = subprocess.run(
        [tool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    if done.returncode != 0 or done.stderr.strip():
        raise Failure(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")


def read(text, form):
    """The samples as prometheus_client reads them."""
    if not VENV_PYTHON.exists():
        raise Skip(f"no {VENV_PYTHON}; tests/peers/build")
    command = [VENV_PYTHON, "-c", READER, form]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(done.stderr)
    return json.loads(done.stdout)


def parsers(sidecar, created):
    """Both parsers read the same samples; those of sidelight itself change from scrape to scrape."""
    ours = ("sidelight_", "process_")

    def derived(samples):
        return [sample for sample in samples if not sample[0].startswith(ours)]

    classic = derived(read(sidecar.metrics(accept=CLASSIC), "classic"))
    openmetrics = derived(read(sidecar.metrics(created=created, accept=OPEN), "openmetrics"))
    differing = [sample for sample in openmetrics if sample not in classic]
    differing += [sample for sample in classic if sample not in openmetrics]
    expect("samples that differ", differing, [])
    if len(classic) < 40:
        raise Failure(f"only {len(classic)} samples")


def content_types(sidecar):
    """What Prometheus 3 insists on."""
    for accept, expected in (
        (CLASSIC, "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        (OPEN, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"),
    ):
        _, headers, _ = get(sidecar.url + "/metrics", {"Accept": accept})
        expect(f"Content-Type for {accept}", headers["Content-Type"], expected)


def check(report):
    """One sidecar with a little of everything."""
    with Sidecar() as sidecar:
        sidecar.write(LINES)
        sidecar.received(LINES.count(b"\n"))
        report.check("promtool check metrics", promtool, sidecar)
        report.check("prometheus_client reads both formats", parsers, sidecar, False)
        report.check("prometheus_client reads created timestamps", parsers, sidecar, True)
        report.check("content types", content_types, sidecar)
