"""What leaves the pod: Prometheus finds it and counts right, a collector gets spans that say where
they are from."""

import http.server
import json
import threading

import api
import observability
import pods
import stdout
from place import NODE_ADDRESS, STATE
from pods import job, namespace, pod, speaker, start, until
from report import Failure, expect, expect_within

IDENTITY = {"app.kubernetes.io/name": "checkout"}


def prometheus():
    """Prometheus discovers the sidecar's port and holds the right counts, in a pod with a port of its
    own."""
    with namespace("sl-prometheus") as where:
        app = speaker(LINES=500, RATE=250, LINGER=1, SERVICE="cart")
        app["ports"] = [{"name": "http", "containerPort": 8080}]
        running = start(pod("cart", app, terminationGracePeriodSeconds=5), where).ready()
        running.received(500)
        of = f'namespace="{where}",pod="cart"'
        until(
            "scraped", lambda: observability.value(f"sum(sidelight_frames_received_total{{{of}}})") == 500
        )
        expect(
            "requests",
            observability.value(f'http_requests_total{{{of},endpoint="/cart",status_code="200"}}'),
            500,
        )
        expect(
            "observed",
            observability.value(f'http_request_duration_seconds_count{{{of},endpoint="/cart"}}'),
            500,
        )
        expect("targets", len(observability.query(f"up{{{of}}}")), 1)


def collector():
    """A collector addressed by the name of its Service gets every span, with service, namespace and pod."""
    with namespace("sl-spans") as where:
        wanted = pod(
            "checkout-1",
            speaker(LINES=200, RATE=200, LINGER=1, SERVICE="pay"),
            labels=IDENTITY,
            terminationGracePeriodSeconds=5,
        )
        running = start(wanted, where).ready()
        running.received(200)
        found = observability.expect_spans(200, k8s__namespace__name=where, k8s__pod__name="checkout-1")
        expect(
            "trace ids",
            {span["traceId"] for span in found},
            {f"{number + 1:032x}" for number in range(200)},
        )
        expect("services", {span["of"].get("service.name") for span in found}, {"checkout"})
        expect("uids", {span["of"].get("k8s.pod.uid") for span in found}, {running.uid})


class Collector(http.server.BaseHTTPRequestHandler):
    """Accepts everything and remembers the header of authorization."""

    seen = set()

    def do_POST(self):
        """Answers as a collector that took all spans."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.seen.add(self.headers.get("authorization"))
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Says nothing."""


def headers_from_secret():
    """Spans carry the headers of a Secret of the pod's namespace, and the token is nowhere in the pod. Without the
    Secret the pod starts all the same."""
    server = http.server.ThreadingHTTPServer((NODE_ADDRESS, 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    configuration = STATE / "headers.yaml"
    configuration.write_text(
        f"otlp:\n  endpoint: http://{NODE_ADDRESS}:{server.server_port}\n"
        "  headers_secret: {name: otlp, key: headers}\n",
        encoding="utf-8",
    )
    for name, expected in (("with", "Bearer t0psecret"), ("without", None)):
        with namespace(f"sl-secret-{name}") as where:
            if expected:
                data = {"headers": f"authorization={expected}"}
                secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "otlp"}, "stringData": data}
                api.create({**secret, "metadata": {"name": "otlp", "namespace": where}})
            app = speaker(LINES=50, RATE=100, LINGER=1, SERVICE="secret")
            made = stdout.injected(pod(name, app, terminationGracePeriodSeconds=5), "--config", configuration)
            running = start(made, where).ready()
            running.received(50)
            until("spans with the header", lambda: expected in Collector.seen)
            if "t0psecret" in json.dumps(running.now()):
                raise Failure("the token is in the pod")
    server.shutdown()


def job_completes():
    """A Job of ten seconds completes, and increase() over it is what it did: the sidecar waits for a
    last scrape."""
    with namespace("sl-job") as where:
        lines = 1000
        work = job("batch", speaker(LINES=lines, RATE=100, SERVICE="work"))
        work["metadata"]["namespace"] = where
        pods.api.create(work)
        running = pods.adopt(where, **{"batch.kubernetes.io/job-name": "batch"})
        until(
            "the Job completes", lambda: pods.condition(pods.api.get("Job", where, "batch"), "Complete")
        )
        ledger = running.ledger()
        expect("received", ledger["received"], lines)
        of = f'namespace="{where}",pod="{running.name}",endpoint="/work",status_code="200"'
        expect(
            "the last sample",
            observability.value(f"max_over_time(http_requests_total{{{of}}}[5m])"),
            lines,
        )
        increase = observability.value(f"increase(http_requests_total{{{of}}}[5m])")
        # Prometheus extrapolates beyond the last sample by half of the average distance between
        # samples
        samples = observability.value(f"count_over_time(http_requests_total{{{of}}}[5m])")
        expect_within("increase()", increase, lines, lines * (1 + 0.5 / (samples - 1)) * 1.01)
        zero = observability.value(f"min_over_time(http_requests_total{{{of}}}[5m])")
        expect("the sample before the first", zero, 0)
        expect("exit code", running.statuses()["sidelight"]["state"]["terminated"]["exitCode"], 0)
