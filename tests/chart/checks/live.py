"""Everything that watches, against what it watches: the real API server calls the real injector, real sidecars run
with the environment that was injected, and a real Prometheus scrapes them with the configuration that the
operator's own code generates for the chart's monitors. Every query of every dashboard and alert runs there.

What kubelet and controllers would do is done by hand: a pod's status, a Service's endpoints, the processes.
"""

import datetime
import http.server
import json
import os
import re
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import helm
from apiserver import ADDRESS, NETWORK, TOKEN, ApiServer, run
from helm import CACHE, CHART, NAMESPACE, ROOT
from policy import built
from report import Failure, Skip, expect

BIN = CACHE / "bin"
INJECTOR = f"{NETWORK}.10"
COLLECTOR = f"{NETWORK}.3"
PROMETHEUS = "http://127.0.0.1:9090"
SECONDS_MAX = 90
# how long lines are written before the first query: rate() needs a few scrapes
SECONDS = 12

VALUES = ["--set", "forceKinds={monitoring},injector.countMissing.interval=2s", "--set", f"sidecar.otlp.endpoint=http://{COLLECTOR}:4318"]

LINES = [
    {"level": "info", "method": "GET", "path": "/users/17", "status": 200, "duration_ms": 12.5},
    {"level": "error", "method": "POST", "path": "/orders", "status": 500, "duration_ms": 80, "error": {"type": "TimeoutError"}},
    {"level": "info", "query": "SELECT name FROM users WHERE id = 1", "duration_ms": 3},
    {"level": "info", "message": "load_cart executed in 0.125s"},
    {"level": "error", "message": "save_cart failed - timeout"},
]


def until(what, condition, seconds=SECONDS_MAX):
    """Waits until `condition()` gives something; returns it."""
    end, last = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            found = condition()
            if found:
                return found
        except (OSError, KeyError, IndexError, ValueError) as error:
            last = error
        time.sleep(0.2)
    raise Failure(f"not within {seconds} s: {what}" + (f" ({last})" if last else ""))


def fetch(url):
    """The body of a GET."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes spans, or on port 4319 refuses them for good."""

    def do_POST(self):  # the base class names it
        """Answers an export."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(400 if self.server.server_port == 4319 else 200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Nothing."""


class Stage:
    """The API server and all processes. To be used with `with`."""

    def __init__(self):
        for name in ("prometheus", "promtool"):
            if not (BIN / name).exists():
                raise Skip(f"no {BIN / name}; tests/peers/build")
        if not (BIN / "operator-config").exists():
            raise Skip(f"no {BIN / 'operator-config'}; tests/chart/operator/build")
        self.binary = built()
        self.server = ApiServer()
        self.sockets = {}

    def __enter__(self):
        self.server.__enter__()
        try:
            self.play()
        except BaseException:
            self.server.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.server.__exit__()

    def log(self, name):
        """The end of a process' log."""
        return "\n".join((self.server.folder / f"{name}.log").read_text().splitlines()[-15:])

    def play(self):
        """Everything in its order."""
        server = self.server
        for name in (NAMESPACE, "shop"):
            server.kubectl("create", "namespace", name)
        server.kubectl("label", "namespace", "shop", "sidelight.dev/injection=enabled")
        # older than the webhook by more than one second, the resolution of Kubernetes' timestamps
        self.pod("shop", "older", f"{NETWORK}.19")
        begin = time.monotonic()
        server.extend()
        time.sleep(max(0.0, begin + 1.1 - time.monotonic()))
        server.apply(helm.template("--no-hooks", *VALUES))
        for port in (4318, 4319):
            collector = http.server.ThreadingHTTPServer((COLLECTOR, port), Collector)
            threading.Thread(target=collector.serve_forever, daemon=True).start()
        # before the injector answers: Ignore admits the pod without a sidecar
        self.pod("shop", "early", f"{NETWORK}.20")
        self.injector()
        self.sidecar("web", f"{NETWORK}.21")
        self.sidecar("broken", f"{NETWORK}.22", SIDELIGHT_CONFIG=str(self.bad_configuration()))
        self.sidecar("crowded", f"{NETWORK}.23", SIDELIGHT_CONFIG=str(self.tight_configuration()),
                     OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{COLLECTOR}:4319")
        # there is an injector that the API server cannot reach
        self.pod("shop", "gone", f"{NETWORK}.24")
        self.knock()
        self.prometheus()

    def bad_configuration(self):
        """A file that is refused."""
        path = self.server.folder / "bad.yaml"
        path.write_text("metrics: {prefixx: a}\n")
        return path

    def tight_configuration(self):
        """Few series, so that their budget is spent."""
        path = self.server.folder / "tight.yaml"
        path.write_text("metrics: {limits: {series: 30, label_sets: 8}}\n")
        return path

    def pod(self, namespace, name, address, labels=()):
        """A pod that runs, as kubelet would report it; what became of it."""
        made = {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": name, **dict(labels)}},
            "spec": {"nodeName": "node1", "containers": [{"name": "app", "image": "app:1", "command": ["/app"]}]},
        }
        self.server.kubectl("create", "-f", "-", text_in=json.dumps(made))
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "hostIP": ADDRESS}
        self.server.status("pod", namespace, name, status)
        return self.server.get("-n", namespace, "pod", name)

    def injector(self):
        """Runs the injector as its own service account with the rights, the arguments and the configuration that the
        chart renders, and puts it behind its Service."""
        server = self.server
        token = server.kubectl("-n", NAMESPACE, "create", "token", "sidelight-injector", "--duration=1h").stdout.strip()
        server.write_kubeconfig(server.folder / "injector-kubeconfig", token)
        rendered = helm.objects(*VALUES)
        (server.folder / "injector.yaml").write_text(helm.find(rendered, "ConfigMap", "sidelight-injector")["data"]["injector.yaml"])
        template = helm.find(rendered, "Deployment")["spec"]["template"]
        container = template["spec"]["containers"][0]
        arguments = [argument.replace("[::]", INJECTOR).replace("$(POD_NAMESPACE)", NAMESPACE)
                     .replace("/etc/sidelight/injector", str(server.folder)) for argument in container["args"]]
        environment = self.environment(container["env"], {"metadata.name": "sidelight-injector-a", "metadata.namespace": NAMESPACE})
        kubeconfig = f"--kubeconfig={server.folder}/injector-kubeconfig"
        # twelve hours: the alert on the expiry fires
        self.start("injector", [self.binary.with_name("sidelight-injector"), *arguments, kubeconfig, "--leaf-lifetime=12h"], environment)
        pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"nodeName": "node1", "containers": [
            {"name": "injector", "image": "x", "ports": container["ports"]}]},
            "metadata": {"name": "sidelight-injector-a", "namespace": NAMESPACE, "labels": template["metadata"]["labels"]}}
        server.kubectl("create", "-f", "-", text_in=json.dumps(pod))
        server.status("pod", NAMESPACE, "sidelight-injector-a", {"phase": "Running", "podIP": INJECTOR, "podIPs": [{"ip": INJECTOR}]})
        target = {"kind": "Pod", "name": "sidelight-injector-a", "namespace": NAMESPACE}
        ports = [{"name": "https", "port": 8443, "protocol": "TCP"}, {"name": "metrics", "port": 19464, "protocol": "TCP"}]
        service = helm.find(rendered, "Service")["metadata"]
        old = {"apiVersion": "v1", "kind": "Endpoints", "metadata": service,
               "subsets": [{"addresses": [{"ip": INJECTOR, "targetRef": target}], "ports": ports}]}
        labels = {**service["labels"], "kubernetes.io/service-name": service["name"]}
        new = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
               "metadata": {"name": f"{service['name']}-1", "namespace": NAMESPACE, "labels": labels}, "ports": ports,
               "endpoints": [{"addresses": [INJECTOR], "conditions": {"ready": True}, "targetRef": target}]}
        for endpoints in (old, new):
            server.kubectl("create", "-f", "-", text_in=json.dumps(endpoints))
        try:
            until("the injector is ready", lambda: fetch(f"http://{INJECTOR}:19464/readyz"), 60)
        except Failure as failure:
            raise Failure(f"{failure}\n{self.log('injector')}") from None

    def knock(self):
        """Somebody at the webhook's door who speaks no TLS: the handshake fails, and is counted."""
        with socket.create_connection((INJECTOR, 8443), timeout=5) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            client.recv(100)

    def environment(self, entries, fields):
        """The environment of a container, with what kubelet would put in."""
        made = {"PATH": "/usr/bin:/bin"}
        for entry in entries:
            field = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            value = fields.get(field, "x") if field else entry.get("value", "")
            made[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda found: made.get(found[1], found[0]), value)
        return made

    def start(self, name, command, environment):
        """Starts a process of the stage."""
        log = open(self.server.folder / f"{name}.log", "w", encoding="utf-8")
        process = subprocess.Popen([str(part) for part in command], env=environment, stdout=log, stderr=log, cwd=self.server.folder)
        log.close()
        self.server.processes.append(process)

    def sidecar(self, name, address, **more):
        """A pod of the namespace `shop`, and the process that its injected sidecar is."""
        pod = self.pod("shop", name, address)
        found = [one for one in pod["spec"].get("initContainers", []) if one["name"] == "sidelight"]
        if not found:
            raise Failure(f"pod {name} was not injected\n{self.log('injector')}\n{self.log('apiserver')}")
        fields = {"metadata.name": name, "metadata.namespace": "shop", "metadata.uid": pod["metadata"]["uid"],
                  "spec.nodeName": "node1", "status.hostIP": ADDRESS}
        environment = self.environment(found[0]["env"], fields)
        environment["SIDELIGHT_LISTEN"] = environment["SIDELIGHT_LISTEN"].replace("[::]", address)
        for key in ("SIDELIGHT_SOCKET", "SIDELIGHT_DATAGRAM_SOCKET"):
            environment[key] = str(self.server.folder / f"{name}-{key[-1]}{len(key)}.sock")
        self.sockets[name] = environment["SIDELIGHT_SOCKET"]
        self.start(f"sidecar-{name}", [self.binary, *found[0]["args"]], {**environment, **more})
        until(f"{name} takes lines", lambda: os.path.exists(environment["SIDELIGHT_SOCKET"]), 20)

    def prometheus(self):
        """Prometheus with the operator's configuration for the chart's monitors."""
        server = self.server
        paths = []
        for kind in ("podmonitor", "servicemonitor"):
            for one in server.get("-n", NAMESPACE, kind)["items"]:
                one.pop("status", None)
                paths.append(server.folder / f"{kind}.json")
                paths[-1].write_text(json.dumps({**one, "metadata": {"name": one["metadata"]["name"], "namespace": NAMESPACE}}))
        made = run(BIN / "operator-config", *paths).stdout
        kept = ROOT / "tests/chart/operator/generated.yaml"
        if os.environ.get("UPDATE"):
            kept.write_text(made)
        expect("what the operator makes of our monitors (UPDATE=1 writes it)", kept.read_text(), made)
        configuration = helm.documents(made)[0]
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        access = {"api_server": f"https://{ADDRESS}:6443", "authorization": {"credentials": TOKEN},
                  "tls_config": {"ca_file": str(server.folder / "ca.crt")}}
        for job in configuration["scrape_configs"]:
            for discovery in job["kubernetes_sd_configs"]:
                discovery.update(access)
            for rule in job["relabel_configs"]:
                # the operator's pod inserts its shard number here
                rule["regex"] = rule.get("regex", "(.*)").replace("$(SHARD)", "0")
        configuration["scrape_configs"].append({
            "job_name": "apiserver", "scheme": "https", "static_configs": [{"targets": [f"{ADDRESS}:6443"]}],
            "authorization": access["authorization"], "tls_config": access["tls_config"]})
        path = server.folder / "prometheus.json"
        path.write_text(json.dumps(configuration))
        self.start("prometheus", [BIN / "prometheus", f"--config.file={path}", f"--storage.tsdb.path={server.folder}/tsdb",
                                  "--web.listen-address=127.0.0.1:9090"], dict(os.environ))
        until("Prometheus is ready", lambda: fetch(f"{PROMETHEUS}/-/ready"))

    def write(self, seconds):
        """Lines into every sidecar, and a crowd of values and of connections into one."""
        end, beat = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            beat += 1
            for name, path in self.sockets.items():
                lines = [*LINES]
                if name == "crowded":
                    lines += [{"level": "info", "method": "GET", "path": f"/p{beat}/a{n}", "status": 200, "duration_ms": 1} for n in range(20)]
                # a span needs a request id; one line has none
                lines = [{**line, "request_id": f"{name}-{beat}-{n}"} for n, line in enumerate(lines)] + LINES[:1]
                # most lines have a time: lines that are not understood are no trouble of this stage
                now = datetime.datetime.now(datetime.timezone.utc).isoformat()
                lines = [{**line, "time": now} for line in lines]
                text = "".join(json.dumps(line) + "\n" for line in lines).encode() + b'{"broken": \xff\n'
                with socket.socket(socket.AF_UNIX) as stream:
                    stream.connect(path)
                    stream.sendall(text)
            time.sleep(0.1)

    def query(self, expression):
        """Rows of an instant query."""
        url = f"{PROMETHEUS}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            return json.loads(fetch(url))["data"]["result"]
        except urllib.error.HTTPError as error:
            raise Failure(f"{expression}: {error.read().decode()}") from None


def targets(stage):
    """The labels of the targets: namespace, pod, container, node and job, and no `endpoint` on a sidecar's."""
    found = stage.query('up{container="sidelight"}')
    expect("pods", sorted(one["metric"]["pod"] for one in found), ["broken", "crowded", "gone", "web"])
    for one in found:
        metric = one["metric"]
        expect("labels", sorted(metric), ["__name__", "container", "instance", "job", "namespace", "node", "pod"])
        expect("job", metric["job"], metric["pod"])
    down = sorted(one["metric"]["pod"] for one in found if one["value"][1] == "0")
    expect("not reached", down, ["gone"])


def route_stays(stage):
    """The metrics' own label `endpoint` is the route, and nothing is pushed into `exported_...`."""
    found = stage.query('http_requests_total{pod="web"}')
    routes = {one["metric"]["endpoint"] for one in found}
    if "/users/{id}" not in routes:
        raise Failure(f"routes: {routes}")
    displaced = {label for one in stage.query('{container="sidelight"}') for label in one["metric"] if label.startswith("exported_")}
    expect("labels pushed aside", displaced, set())


def same_by_hand(stage):
    """deploy/prometheus gives the same labels as the operator's configuration."""
    server = stage.server
    generated = json.loads((server.folder / "prometheus.json").read_text())
    by_hand = helm.documents((ROOT / "deploy/prometheus/scrape.yaml").read_text())[0]
    access = generated["scrape_configs"][0]["kubernetes_sd_configs"][0]
    for job in by_hand["scrape_configs"]:
        for discovery in job["kubernetes_sd_configs"]:
            discovery.update({key: access[key] for key in ("api_server", "authorization", "tls_config")})
    path = server.folder / "by-hand.json"
    path.write_text(json.dumps({"scrape_configs": by_hand["scrape_configs"]}))
    run(BIN / "promtool", "check", "config", "--syntax-only", path)

    def labels(file, job):
        done = run(BIN / "promtool", "check", "service-discovery", "--timeout=5s", file, job)
        kept = [one["labels"] for one in json.loads(done.stdout) if one.get("labels")]
        return sorted(
            json.dumps({k: v for k, v in one.items() if not k.startswith("__") or k == "__address__"}, sort_keys=True)
            for one in kept
        )

    pairs = [("podMonitor/sidelight-system/sidelight/0", "sidelight"),
             ("serviceMonitor/sidelight-system/sidelight-injector/0", "sidelight-injector")]
    for theirs, ours in pairs:
        expect(ours, labels(path, ours), labels(server.folder / "prometheus.json", theirs))


def filled(expression):
    """A dashboard's expression as Grafana would ask it with everything selected."""
    expression = expression.replace("$__rate_interval", "10s")
    return re.sub(r"\$(namespace|job|pod)\b", ".*", expression)


def dashboard(stage, path):
    """Every query of every panel gives rows; variables, too."""
    board = json.loads(path.read_text())
    expect("ids and inputs of somebody's Grafana", (board["id"], "__inputs" in board), (None, False))
    identities = [panel["id"] for panel in board["panels"]]
    expect("panels with one id", len(identities), len(set(identities)))
    queries, empty = 0, []
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            queries += 1
            if not stage.query(filled(target["expr"])):
                empty.append(f"{panel['title']}: {target['expr']}")
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            queries += 1
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", filled(variable["definition"])).groups()
            if not any(label in one["metric"] for one in stage.query(selector)):
                empty.append(f"variable {variable['name']}")
    expect(f"empty of {queries} queries", empty, [])


# Alerts for problems that this cluster has: their expressions return rows.
ON_STAGE = {
    "SidelightMissing", "SidelightNotYet", "SidelightInjectorCertificateExpires", "SidelightWebhookFailsOpen", "SidelightDown",
    "SidelightConfigLoadFailed", "SidelightSeriesBudget", "SidelightLabelsOverflow", "SidelightDropsItems",
}


def operand(expression):
    """What an alert compares: without a further condition (`and on`), and without the comparison of its last line."""
    compared = re.split(r"\n\s*and on ", expression.strip())[0]
    return re.sub(r"\s(>|<|==)\s[^<>=]*$", "", compared)


def alert(stage, rule):
    """An alert gives rows if its trouble is on the stage; another one gives none, but what it compares does."""
    rows = stage.query(rule["expr"])
    if rule["alert"] in ON_STAGE:
        if not rows:
            raise Failure(f"no rows: {rule['expr']}")
        return
    expect("rows without trouble", rows, [])
    if rule["alert"] == "SidelightInjectorAbsent":
        compared = 'up{job=~"sidelight-injector.*"}'
    else:
        compared = operand(rule["expr"]).replace("[15m:1m]", "[15m:1s]")
    if not stage.query(compared):
        raise Failure(f"nothing to compare: {compared}")


def check(report):
    """One stage for all of them."""
    with Stage() as stage:
        stage.write(SECONDS)
        report.check("targets by the operator's relabelling", targets, stage)
        report.check("the route keeps its label", route_stays, stage)
        report.check("deploy/prometheus finds the same", same_by_hand, stage)
        for path in sorted((CHART / "dashboards").glob("*.json")):
            report.check(f"dashboard {path.stem}", dashboard, stage, path)
        groups = helm.documents((CHART / "rules/sidelight.yaml").read_text())[0]["groups"]
        for rule in groups[0]["rules"]:
            report.check(f"alert {rule['alert']}", alert, stage, rule)
