"""A real OpenTelemetry collector receives the spans, over HTTP and over gRPC."""

import json
import os
import subprocess
import tempfile

from report import Failure, Skip, expect
from sidecar import BIN, Sidecar, free_port, until

CONFIGURATION = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: '127.0.0.1:{grpc}'}}
      http: {{endpoint: '127.0.0.1:{http}'}}
exporters:
  file: {{path: '{out}', flush_interval: 100ms}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file]}}
"""

REQUESTS = 100
SERVER, CLIENT = 2, 3
ERROR = 2


def lines():
    """Requests and queries of 100 traces; every tenth request fails."""
    out = []
    for number in range(REQUESTS):
        trace = {"trace_id": f"{number + 1:032x}", "level": "info", "service": "shop"}
        status = 500 if number % 10 == 0 else 200
        path = {"method": "GET", "path": f"/users/{number}", "status": status, "duration_ms": 25}
        out.append({**trace, "message": "request", **path})
        query = {"query": "SELECT * FROM users WHERE id = 7", "duration_ms": 5}
        out.append({**trace, "message": "query", **query})
    return b"".join(json.dumps(line).encode() + b"\n" for line in out)


class Collector:
    """The collector, writing to a file."""

    def __init__(self):
        binary = BIN / "otelcol"
        if not binary.exists():
            raise Skip(f"no {binary}; tests/peers/build")
        self.folder = tempfile.TemporaryDirectory(prefix="sidelight-otelcol-")
        self.out = os.path.join(self.folder.name, "out.jsonl")
        self.grpc, self.http = free_port(), free_port()
        configuration = os.path.join(self.folder.name, "otelcol.yaml")
        with open(configuration, "w", encoding="utf-8") as written:
            written.write(CONFIGURATION.format(grpc=self.grpc, http=self.http, out=self.out))
        self.log = open(os.path.join(self.folder.name, "log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [binary, "--config", configuration], stdout=self.log, stderr=self.log
        )

    def __enter__(self):
        until("the collector is ready", self.is_ready, 30)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def is_ready(self):
        """It says so in its log."""
        with open(self.log.name, encoding="utf-8") as log:
            return "Everything is ready" in log.read()

    def spans(self):
        """All spans received, each with the attributes of its resource."""
        found = []
        with open(self.out, encoding="utf-8") as out:
            for line in out:
                for resource in json.loads(line)["resourceSpans"]:
                    of = attributes(resource["resource"])
                    for scope in resource["scopeSpans"]:
                        found += [{**span, "of": of} for span in scope["spans"]]
        return found


def attributes(having):
    """Attributes as a dictionary; integers come as text."""
    return {one["key"]: next(iter(one["value"].values())) for one in having.get("attributes", [])}


def export(protocol):
    """Every request and query is one span, whole, with its trace id."""
    with Collector() as collector:
        port = collector.grpc if protocol == "grpc" else collector.http
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        }
        with Sidecar(**environment) as sidecar:
            sidecar.write(lines())
            sidecar.received(2 * REQUESTS)
            ledger = sidecar.stop()
        expect("offered", ledger["offered"], 2 * REQUESTS)
        expect("sent", ledger["sent"], 2 * REQUESTS)
        spans = until(
            "all spans", lambda: len(found := collector.spans()) >= 2 * REQUESTS and found
        )
        verify(spans)


def verify(spans):
    """Counts, ids, kinds, durations, status."""
    expect("spans", len(spans), 2 * REQUESTS)
    expect("trace ids", {span["traceId"] for span in spans}, {
        f"{number + 1:032x}" for number in range(REQUESTS)
    })
    expect("distinct span ids", len({span["spanId"] for span in spans}), 2 * REQUESTS)
    servers = [span for span in spans if span["kind"] == SERVER]
    clients = [span for span in spans if span["kind"] == CLIENT]
    expect("SERVER and CLIENT", (len(servers), len(clients)), (REQUESTS, REQUESTS))
    expect("names of servers", {span["name"] for span in servers}, {"GET /users/{id}"})
    failed = [span for span in servers if span.get("status", {}).get("code") == ERROR]
    expect("failed", len(failed), REQUESTS // 10)
    for kind, milliseconds in ((servers, 25), (clients, 5)):
        for span in kind:
            took = int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])
            expect(f"duration of {span['name']}", took, milliseconds * 1_000_000)
    for span in servers:
        having = attributes(span)
        expect("method", having.get("http.request.method"), "GET")
        expect("route", having.get("http.route"), "/users/{id}")
    services = {span["of"].get("service.name") for span in spans}
    expect("services", services, {"shop"})
    if any("SELECT * FROM users WHERE id = 7" in json.dumps(span) for span in clients):
        raise Failure("a statement with its values left the pod")


def check(report):
    """Both transports."""
    report.check("otelcol over http/protobuf", export, "http/protobuf")
    report.check("otelcol over grpc", export, "grpc")
