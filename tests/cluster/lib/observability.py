"""A real Prometheus that discovers pods, and a real collector behind a Service, both as pods."""

import json
import re
import urllib.parse

import api
import images
import pods
from place import ROOT, STATE
from pods import container, pod, until
from report import Failure, expect

WHERE = "observability"
COLLECTED = STATE / "collected"

SCRAPE_SECONDS = 2

# the configuration that the operator generates from the chart's PodMonitor, shortened: pods by
# label, the port by its name
PROMETHEUS = """
global: {scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 2s}
rule_files: [/etc/prometheus/rules*.yaml]
scrape_configs:
- job_name: sidelight
  # a series of a short-lived pod begins at 0, not at its first scrape
  params: {created: ['1']}
  scrape_protocols: [OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText0.0.4]
  kubernetes_sd_configs: [{role: pod}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_label_sidelight_dev_injected], regex: "true", action: keep}
  - {source_labels: [__meta_kubernetes_pod_container_port_name], regex: sl-metrics, action: keep}
  - {source_labels: [__meta_kubernetes_pod_phase], regex: (Failed|Succeeded), action: drop}
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
- job_name: sidelight-injector
  kubernetes_sd_configs: [{role: pod, namespaces: {names: [sidelight-system]}}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name], regex: sidelight-injector,
  action: keep}
  - {source_labels: [__meta_kubernetes_pod_container_port_number], regex: "19464", action: keep}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
"""

COLLECTOR = """
receivers:
  otlp: {protocols: {http: {endpoint: "0.0.0.0:4318"}, grpc: {endpoint: "0.0.0.0:4317"}}}
exporters:
  file: {path: /collected/spans.jsonl, flush_interval: 100ms}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {traces: {receivers: [otlp], exporters: [file]}}
"""


def rules():
    """The chart's alerts, which wait seconds instead of minutes before they fire."""
    written = (ROOT / "helm/sidelight/rules/sidelight.yaml").read_text(encoding="utf-8")
    return re.sub(r"for: \d+m", "for: 4s", written)


def bring_up():
    """Starts both, if they are not there already."""
    if api.get("Namespace", None, WHERE):
        return
    COLLECTED.mkdir(parents=True, exist_ok=True)
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": WHERE}})
    until("its account", lambda: api.get("ServiceAccount", WHERE, "default"))
    rights()
    configure("prometheus", {"prometheus.yaml": PROMETHEUS, "rules.yaml": rules()})
    configure("collector", {"collector.yaml": COLLECTOR})
    arguments = [
        "--config.file=/etc/prometheus/prometheus.yaml",
        "--storage.tsdb.path=/data",
        "--enable-feature=created-timestamp-zero-ingestion,exemplar-storage",
        "--web.enable-lifecycle",
    ]
    server = container(
        "prometheus",
        images.PROMETHEUS,
        volumeMounts=[
            {"name": "configuration", "mountPath": "/etc/prometheus"},
            {"name": "data", "mountPath": "/data"},
        ],
        args=arguments,
    )
    volumes = [
        {"name": "configuration", "configMap": {"name": "prometheus"}},
        {"name": "data", "emptyDir": {}},
    ]
    create(pod("prometheus", server, volumes=volumes))
    receiver = container(
        "collector",
        images.COLLECTOR,
        args=["--config", "/etc/collector/collector.yaml"],
        volumeMounts=[
            {"name": "configuration", "mountPath": "/etc/collector"},
            {"name": "collected", "mountPath": "/collected"},
        ],
    )
    volumes = [
        {"name": "configuration", "configMap": {"name": "collector"}},
        {"name": "collected", "hostPath": {"path": str(COLLECTED)}},
    ]
    create(pod("collector", receiver, volumes=volumes))
    create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "collector"},
            "spec": {
                "selector": {"app": "collector"},
                "ports": [{"name": "http", "port": 4318}, {"name": "grpc", "port": 4317}],
            },
        }
    )
    for name in ("prometheus", "collector"):
        until(f"{name} is ready", lambda name=name: pods.condition(api.get("Pod", WHERE, name), "Ready"))
    until("Prometheus answers", lambda: query("vector(1)"))


def create(thing):
    """Creates an object there."""
    thing["metadata"]["namespace"] = WHERE
    api.create(thing)


def configure(name, data):
    """A ConfigMap."""
    create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def rights():
    """Prometheus may look at pods."""
    of = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    api.apply(
        {
            **of,
            "kind": "ClusterRole",
            "metadata": {"name": WHERE},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}],
        }
    )
    api.apply(
        {
            **of,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": WHERE},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": WHERE},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": WHERE}],
        }
    )


def address(name="prometheus"):
    """The address of one of the two."""
    return api.get("Pod", WHERE, name)["status"]["podIP"]


def query(expression):
    """Labels and value of each series of an instant query."""
    page = f"http://{address()}:9090/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    result = json.loads(pods.fetch(page))["data"]["result"]
    return [(one["metric"], float(one["value"][1])) for one in result]


def value(expression):
    """The value of the only series."""
    found = query(expression)
    if len(found) != 1:
        raise Failure(f"{expression}: {len(found)} series, not one")
    return found[0][1]


def alerts():
    """Names and states of the alerts, with their labels."""
    found = json.loads(pods.fetch(f"http://{address()}:9090/api/v1/alerts"))["data"]["alerts"]
    return [(one["labels"]["alertname"], one["state"], one["labels"]) for one in found]


def spans(**having):
    """All spans with these attributes of the resource (dots written as two underscores)."""
    wanted = {key.replace("__", "."): value for key, value in having.items()}
    found = []
    with open(COLLECTED / "spans.jsonl", encoding="utf-8") as collected:
        for line in collected:
            for resource in json.loads(line)["resourceSpans"] if line.endswith("\n") else []:
                of = {
                    one["key"]: next(iter(one["value"].values()))
                    for one in resource["resource"]["attributes"]
                }
                if wanted.items() <= of.items():
                    found += [
                        {**span, "of": of} for scope in resource["scopeSpans"] for span in scope["spans"]
                    ]
    return found


def expect_spans(count, **having):
    """Waits for so many spans of a resource; more of them, or one twice, is a failure."""
    found = until(f"{count} spans of {having}", lambda: len(all_ := spans(**having)) >= count and all_)
    expect("spans", len(found), count)
    expect("distinct spans", len({span["spanId"] for span in found}), count)
    return found
