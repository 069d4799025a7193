"""A real Prometheus scrapes a running sidecar; its queries give what was sent."""

import json
import os
import subprocess
import tempfile
import time
import urllib.parse

from report import Failure, Skip, expect, expect_within
from sidecar import BIN, Sidecar, free_port, get, until

CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: sidelight
  params: {{created: ['1']}}
  static_configs: [{{targets: ['127.0.0.1:{target}']}}]
"""

# requests per second, and the duration
RATE = 50
SECONDS = 14


def request(path, milliseconds):
    """A line about one request."""
    fields = {"level": "info", "message": "request", "method": "GET", "path": path, "status": 200}
    return json.dumps({**fields, "duration_ms": milliseconds}).encode() + b"\n"


class Prometheus:
    """The server, its data in a temporary folder."""

    def __init__(self, target):
        binary = BIN / "prometheus"
        if not binary.exists():
            raise Skip(f"no {binary}; tests/peers/build")
        self.folder = tempfile.TemporaryDirectory(prefix="sidelight-prometheus-")
        configuration = os.path.join(self.folder.name, "prometheus.yaml")
        with open(configuration, "w", encoding="utf-8") as written:
            written.write(CONFIGURATION.format(target=target))
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = open(os.path.join(self.folder.name, "log"), "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [
                binary,
                f"--config.file={configuration}",
                f"--storage.tsdb.path={self.folder.name}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--enable-feature=created-timestamp-zero-ingestion,exemplar-storage",
            ],
            stdout=self.log,
            stderr=self.log,
        )

    def __enter__(self):
        until("Prometheus is ready", lambda: get(self.url + "/-/ready")[0] == 200, 30)
        until("a first scrape", lambda: self.query("up")[0][1] == 1.0, 30)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def query(self, expression):
        """Labels and value of each series of an instant query."""
        query = urllib.parse.urlencode({"query": expression})
        status, _, body = get(f"{self.url}/api/v1/query?{query}")
        if status != 200:
            raise Failure(f"{expression}: {body.decode()}")
        result = json.loads(body)["data"]["result"]
        return [(one["metric"], float(one["value"][1])) for one in result]

    def value(self, expression):
        """The value of the only series."""
        found = self.query(expression)
        if len(found) != 1:
            raise Failure(f"{expression}: {len(found)} series, not one")
        return found[0][1]

    def targets(self):
        """The targets as Prometheus sees them."""
        return json.loads(get(self.url + "/api/v1/targets")[2])["data"]["activeTargets"]


def scraped(prometheus):
    """No scrape failed."""
    target = prometheus.targets()[0]
    expect("health of the target", (target["health"], target["lastError"]), ("up", ""))
    expect("scrapes that failed", prometheus.value("min_over_time(up[30s])"), 1.0)


def rate(prometheus):
    """As many a second as were sent."""
    found = prometheus.value('sum(rate(http_requests_total{endpoint="/steady"}[10s]))')
    expect_within("rate()", found, RATE * 0.95, RATE * 1.05)


def quantiles(prometheus):
    """Nine of ten in the bucket to 0.05, one of ten in the bucket to 1: interpolated as documented."""
    buckets = 'sum by (le) (rate(http_request_duration_seconds_bucket{endpoint="/steady"}[10s]))'
    for quantile, expected in ((0.5, 0.025 + 0.025 * 5 / 9), (0.99, 0.95)):
        found = prometheus.value(f"histogram_quantile({quantile}, {buckets})")
        expect_within(f"quantile {quantile}", found, expected * 0.97, expected * 1.03)


def begins_at_five(prometheus):
    """A series with a first sample of 5 increased by 5: its created timestamp is a sample of 0."""
    found = prometheus.value('increase(http_requests_total{endpoint="/begun",status_code="200"}[1m])')
    expect_within("increase()", found, 4.9, 5.9)
    zero = prometheus.value('min_over_time(http_requests_total{endpoint="/begun",status_code="200"}[1m])')
    expect("the sample before the first", zero, 0.0)


def check(report):
    """One sidecar, one Prometheus, a steady stream of requests."""
    with Sidecar() as sidecar, Prometheus(sidecar.port) as prometheus:
        begin = time.monotonic()
        for beat in range(SECONDS * 10):
            lines = [request("/steady", 30)] * (RATE // 10)
            if beat % 2:
                lines[0] = request("/steady", 700)
            sidecar.write(b"".join(lines))
            if beat == 30:
                sidecar.write(request("/begun", 30) * 5)
            time.sleep(max(0.0, begin + (beat + 1) / 10 - time.monotonic()))
        report.check("prometheus scrapes", scraped, prometheus)
        report.check("prometheus rate()", rate, prometheus)
        report.check("prometheus histogram_quantile()", quantiles, prometheus)
        report.check("prometheus increase() of a series that begins at 5", begins_at_five, prometheus)
