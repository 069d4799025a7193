"""The MutatingAdmissionPolicy that `sidelight inject policy` prints, on a real API server (etcd and kube-apiserver on
loopback, no node): what it makes of a pod is what `sidelight inject` makes of it."""

import json
import subprocess
import tempfile
import time
from pathlib import Path

from report import Failure, Skip, expect
from sidecar import BIN, BINARY, free_port, until

CONFIG = """
image: example/sidelight:1
image_pull_secrets: [ours, both]
platform: kubernetes
otlp: {endpoint: "http://$(HOST_IP):4318", protocol: grpc, headers: {a: "b=c,d"}}
metrics: {prefix: app_, groups: {log: false}}
final_scrape: {jobs: 35s, others: 0s, scrapers: 2}
defaults: {log_level: warn}
namespaces:
  policy-other: {port: 9000, resources: {limits: {cpu: 200m}}}
"""

OPTED_IN = {"sidelight.dev/injection": "enabled"}
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
NAMESPACES = {
    "plain": RESTRICTED,
    "policy": OPTED_IN | RESTRICTED,
    "policy-other": OPTED_IN,
    "policy-meshed": OPTED_IN | {"istio-injection": "enabled"},
}

SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def container(name="app", **more):
    """One that Pod Security "restricted" takes."""
    return {"name": name, "image": "team/app:1.2", "securityContext": SECURITY} | more


def pod(*containers, inits=(), labels=None, annotations=None, owner=None, **spec):
    """A pod; `owner` is a kind and a name."""
    metadata = {"name": "x"}
    if labels:
        metadata["labels"] = labels
    if annotations:
        metadata["annotations"] = annotations
    if owner:
        kind, name = owner
        version = "batch/v1" if kind == "Job" else "apps/v1"
        metadata["ownerReferences"] = [
            {"apiVersion": version, "kind": kind, "name": name, "uid": "1", "controller": True}
        ]
    spec["containers"] = list(containers) or [container()]
    if inits:
        spec["initContainers"] = list(inits)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def resources(requests=None, limits=None):
    """As keyword arguments of a container."""
    return {"resources": {"requests": requests or {}, "limits": limits or {}}}


def mounted(path, name="own", **more):
    """A mount as keyword arguments of a container."""
    return {"volumeMounts": [{"name": name, "mountPath": path, **more}]}


EMPTY = [{"name": "own", "emptyDir": {}}]
MAPPED = [{"name": "own", "configMap": {"name": "x"}}]
ASK = "sidelight.dev/config."

PODS = {
    "bare": pod(),
    "two containers": pod(container(), container("side")),
    "an init container": pod(container(), inits=[container("first")]),
    "two init containers, a native sidecar among them": pod(
        container(), inits=[container("first"), container("second", restartPolicy="Always")]
    ),
    "labels and annotations": pod(labels={"app": "x"}, annotations={"a": "b"}, terminationGracePeriodSeconds=7),
    "service by instance": pod(labels={"app.kubernetes.io/instance": "i", "app.kubernetes.io/name": "n"}),
    "service by annotation": pod(annotations={"resource.opentelemetry.io/service.name": " $a "}),
    "attributes by annotation": pod(
        labels={"app.kubernetes.io/version": "7"},
        annotations={"resource.opentelemetry.io/k8s.container.name": "z", "resource.opentelemetry.io/team": "t"},
    ),
    "of a Deployment": pod(owner=("ReplicaSet", "web-5d4f"), labels={"pod-template-hash": "5d4f"}),
    "of a ReplicaSet": pod(owner=("ReplicaSet", "web-5d4f"), labels={"pod-template-hash": "zzz"}),
    "of a Rollout": pod(owner=("ReplicaSet", "web-5d4f"), labels={"rollouts-pod-template-hash": "5d4f"}),
    "of a DeploymentConfig": pod(
        owner=("ReplicationController", "web-7"), annotations={"openshift.io/deployment-config.name": "web"}
    ),
    "of a StatefulSet": pod(owner=("StatefulSet", "db")),
    "of a DaemonSet": pod(owner=("DaemonSet", "agent")),
    "of a Job": pod(owner=("Job", "once"), restartPolicy="Never"),
    "of a CronJob": pod(owner=("Job", "nightly-29000000"), restartPolicy="Never"),
    "a date is no CronJob": pod(owner=("Job", "load-20260101"), restartPolicy="Never"),
    "image by digest": pod(container(image="h:5000/a@sha256:" + "0" * 64)),
    "image by tag and port": pod(container(image="h:5000/a:2")),
    "image without a tag": pod(container(image="h:5000/a")),
    "limits": pod(container(**resources({"cpu": "1"}, {"cpu": "1", "ephemeral-storage": "1Gi"}))),
    "limits of one container": pod(container(**resources(None, {"cpu": "1"})), container("side")),
    "requests": pod(container(**resources({"ephemeral-storage": "1Gi"}))),
    "guaranteed": pod(container(**resources({"cpu": "0.5", "memory": "1Gi"}, {"cpu": "500m", "memory": "1Gi"}))),
    "guaranteed by limits": pod(container(**resources(None, {"cpu": "500m", "memory": "1Gi"}))),
    "the port is taken": pod(container(ports=[{"containerPort": 19464}, {"containerPort": 19465}])),
    "another port": pod(annotations={ASK + "port": "9999"}),
    "no port": pod(annotations={ASK + "port": "99999999"}),
    "other variables": pod(container(env=[{"name": "A", "value": "b"}])),
    "the variable is there": pod(container(env=[{"name": "SIDELIGHT_SOCKET", "value": "/mine"}])),
    "another mount": pod(container(**mounted("/data")), volumes=EMPTY),
    "a mount in the way": pod(container(), container("side", **mounted("/run/sidelight/")), volumes=EMPTY),
    "a mount in everybody's way": pod(container(**mounted("/var/run/sidelight/x")), volumes=EMPTY),
    "a mount above": pod(container(), container("side", **mounted("/run")), volumes=MAPPED),
    "a folder above": pod(container(**mounted("/run")), volumes=EMPTY),
    "a folder above, read only": pod(container(), container("side", **mounted("/run", readOnly=True)), volumes=EMPTY),
    "a folder beside": pod(container(**mounted("/var", readOnly=True)), volumes=MAPPED),
    "opted out": pod(labels={"sidelight.dev/inject": "false"}),
    "opted out by annotation": pod(annotations={"sidelight.dev/inject": "false"}),
    "windows": pod(nodeSelector={"kubernetes.io/os": "windows"}),
    "made by hand": pod(container(), container("sidelight")),
    "a volume of our name": pod(volumes=[{"name": "sidelight-run", "emptyDir": {}}]),
    "rules": pod(annotations={"sidelight.dev/rules": "my-rules"}),
    "no name of rules": pod(annotations={"sidelight.dev/rules": "My Rules"}),
    "log level": pod(annotations={ASK + "log-level": "debug", ASK + "metrics-prefix": "own_"}),
    "wrong words": pod(annotations={ASK + "log-level": "loud", ASK + "scrapers": "9", ASK + "metrics-prefix": "a b"}),
    "groups off": pod(annotations={ASK + "metrics-groups-off": "http,functions"}),
    "some containers": pod(container(), container("side"), annotations={ASK + "containers": "side"}),
    "no such container": pod(container(), container("side"), annotations={ASK + "containers": "none"}),
    "last scrape": pod(annotations={ASK + "final-scrape-wait": "20s", ASK + "scrapers": "3"}),
    "readiness": pod(annotations={ASK + "readiness-probe": "true"}),
    "output copied": pod(container(command=["/bin/app", "-x"]), annotations={ASK + "tee": "true"}),
    "output of one copied": pod(
        container(command=["/bin/app"]), container("side", command=["/s"]), annotations={ASK + "tee": "side"}
    ),
    "other secrets": pod(imagePullSecrets=[{"name": "both"}]),
    "volumes to evict": pod(
        annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes": "own"}, volumes=EMPTY
    ),
    "istio": pod(labels={"sidecar.istio.io/inject": "true"}),
    "istio with a list": pod(
        labels={"istio.io/rev": "x"}, annotations={"traffic.sidecar.istio.io/excludeInboundPorts": "80"}
    ),
    "linkerd": pod(annotations={"linkerd.io/inject": "enabled"}),
    "linkerd with a list": pod(
        annotations={"linkerd.io/inject": "enabled", "config.linkerd.io/skip-inbound-ports": "25"}
    ),
    "a classic mesh to come": pod(
        labels={"sidecar.istio.io/inject": "true"},
        annotations={"sidecar.istio.io/nativeSidecar": "false", "linkerd.io/inject": "enabled"},
    ),
    "a native mesh that is there": pod(
        container(), inits=[container("linkerd-init"), container("linkerd-proxy", restartPolicy="Always"), container("b")]
    ),
    "a mesh that is there": pod(container(), container("istio-proxy"), inits=[container("istio-validation"), container("b")]),
    "a mesh that spares the port": pod(
        container(), container("istio-proxy"), annotations={"traffic.sidecar.istio.io/excludeInboundPorts": "19464"}
    ),
}


class Server:
    """etcd and an API server in a temporary folder."""

    def __enter__(self):
        for name in ("etcd", "kube-apiserver", "kubectl"):
            if not (BIN / name).exists():
                raise Skip(f"no {name}: tests/cluster/build")
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.processes = []
        etcd, peer, port = free_port(), free_port(), free_port()
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.path / "key"],
            check=True, capture_output=True,
        )
        subprocess.run(
            ["openssl", "pkey", "-in", self.path / "key", "-pubout", "-out", self.path / "public"],
            check=True, capture_output=True,
        )
        (self.path / "tokens").write_text("admin,admin,admin,system:masters\n", encoding="utf-8")
        self.start(
            "etcd", f"--data-dir={self.path}/etcd", f"--listen-client-urls=http://127.0.0.1:{etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        )
        self.start(
            "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd}", f"--secure-port={port}",
            "--bind-address=127.0.0.1", "--advertise-address=192.0.2.1", "--endpoint-reconciler-type=none",
            f"--cert-dir={self.path}/certificates", f"--token-auth-file={self.path}/tokens",
            "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={self.path}/public",
            f"--service-account-signing-key-file={self.path}/key", "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount",
        )
        self.reach = [
            str(BIN / "kubectl"), f"--server=https://127.0.0.1:{port}", "--insecure-skip-tls-verify", "--token=admin",
            f"--cache-dir={self.path}/cache",
        ]
        try:
            until("the API server is ready", lambda: not self.kubectl("get", "--raw=/readyz").returncode, 90)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.folder.cleanup()

    def start(self, name, *arguments):
        """A program of the cluster; its log is in the folder."""
        log = open(self.path / f"{name}.log", "wb")
        self.processes.append(subprocess.Popen([BIN / name, *arguments], stdout=log, stderr=log))
        log.close()

    def kubectl(self, *arguments, given=None):
        """One call."""
        text = json.dumps(given) if isinstance(given, dict) else given
        return subprocess.run(
            [*self.reach, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False
        )

    def apply(self, text):
        """Applies manifests."""
        done = self.kubectl("apply", "-f", "-", given=text)
        if done.returncode:
            raise Failure(f"refused: {done.stderr[:4000]}")

    def admitted(self, manifest, namespace):
        """What would stand in the cluster; nothing is kept."""
        done = self.kubectl("create", "--dry-run=server", "-o", "json", "-n", namespace, "-f", "-", given=manifest)
        if done.returncode:
            raise Failure(f"not admitted to {namespace}: {done.stderr.strip()}")
        return json.loads(done.stdout)


def inject(*arguments, given=None):
    """Calls `sidelight inject`."""
    command = [str(BINARY), "inject", *arguments]
    text = json.dumps(given) if given else None
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode not in (0, 3):
        raise Failure(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def essence(admitted):
    """What injection decides, in a form that can be compared."""
    metadata, spec = admitted["metadata"], admitted["spec"]
    annotations = dict(metadata.get("annotations", {}))
    status = json.loads(annotations.pop("sidelight.dev/status", "{}"))
    for key in ("notes", "configHash"):
        status.pop(key, None)
    for each in (*spec.get("initContainers", []), *spec["containers"]):
        attributes = [entry for entry in each.get("env", []) if entry["name"] == "OTEL_RESOURCE_ATTRIBUTES"]
        for entry in attributes:
            entry["value"] = sorted(entry["value"].split(","))
    return {
        "labels": metadata.get("labels", {}),
        "annotations": annotations,
        "status": {key: status[key] for key in sorted(status)},
        "spec": spec,
    }


def differences(found, expected, path=""):
    """Where two trees differ, a line each."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted({*found, *expected}):
            yield from differences(found.get(key), expected.get(key), f"{path}.{key}")
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for index, pair in enumerate(zip(found, expected)):
            yield from differences(*pair, f"{path}[{index}]")
    elif found != expected:
        yield f"{path}: the policy says {found}, inject says {expected}"


def equal(found, expected):
    """Fails with the places."""
    places = list(differences(essence(found), essence(expected)))
    if places:
        raise Failure("\n".join(places))


def check(report):
    """All pods on one API server."""
    with Server() as server:
        config = server.path / "injector.yaml"
        config.write_text(CONFIG, encoding="utf-8")
        for name, labels in NAMESPACES.items():
            metadata = {"name": name, "labels": labels}
            server.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
        server.apply('{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "sidelight-system"}}')
        report.check("the policy is accepted", server.apply, inject("policy", "--config", str(config)))

        def is_active():
            return "sidelight" in json.dumps(server.admitted(pod(), "policy"))

        until("the policy is in force", is_active, 30)
        # the API server reads two parts of the policy separately: send more requests until both are
        # visible
        time.sleep(1)

        def as_inject(manifest):
            expected = json.loads(inject("-f", "-", "--config", str(config), "-o", "json", given=manifest))
            found = server.admitted(manifest, "policy")
            equal(found, server.admitted(expected, "plain"))
            # a pod that already has the sidecar is not changed
            equal(server.admitted(expected, "policy"), server.admitted(expected, "plain"))

        for name, manifest in PODS.items():
            report.check(f"the policy does what inject does: {name}", as_inject, manifest)

        def host_network():
            manifest = pod(hostNetwork=True)
            expect("left alone", "sidelight" in json.dumps(server.admitted(manifest, "policy-other")), False)

        def other():
            made = essence(server.admitted(pod(), "policy-other"))["spec"]["initContainers"][0]
            expect("port", made["ports"][0]["containerPort"], 9000)
            expect("limits", made["resources"]["limits"], {"cpu": "200m", "memory": "64Mi"})

        def meshed():
            made = server.admitted(pod(), "policy-meshed")["metadata"]["annotations"]
            expect("excluded", made["traffic.sidecar.istio.io/excludeInboundPorts"], "19464")
            out = pod(labels={"sidecar.istio.io/inject": "false"})
            made = server.admitted(out, "policy-meshed")["metadata"]["annotations"]
            expect("not of the mesh", "traffic.sidecar.istio.io/excludeInboundPorts" in made, False)

        def by_label():
            wants = pod(labels={"sidelight.dev/inject": "true"})
            expect("by label", "sidelight-run" in json.dumps(server.admitted(wants, "plain")), True)
            other = pod(labels={"sidelight.dev/inject": "true", "sidelight.dev/rev": "other"})
            expect("of another revision", "sidelight-run" in json.dumps(server.admitted(other, "plain")), False)

        def without_parameters():
            server.kubectl("delete", "configmap", "-n", "sidelight-system", "--all")
            until("pods are admitted without", lambda: not is_active(), 30)

        report.check("the node's network", host_network)
        report.check("a namespace with separate settings", other)
        report.check("a namespace of a mesh", meshed)
        report.check("a pod that asks for it", by_label)
        report.check("a pod is admitted when the parameters are gone", without_parameters)
