"""`sidelight check --cluster` on a real API server: everything that injection lets pass is named, with what to do, and
where all is well nothing is said."""

import base64
import datetime
import json
import subprocess

from admission import Server, inject
from report import expect
from sidecar import BINARY, until

HOOK = "00-sidelight-injector"
SYSTEM = "sidelight-system"


def thing(kind, name, namespace=None, version="v1", labels=None, **more):
    """A manifest."""
    metadata = {"name": name, "labels": labels or {}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def definition(kind, plural, group="monitoring.coreos.com"):
    """A custom resource of Prometheus' operator, as much as is looked at."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return thing(
        "CustomResourceDefinition", f"{plural}.{group}", version="apiextensions.k8s.io/v1",
        spec={
            "group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    )


def webhook(bundle=""):
    """A configuration as the chart makes it. The API server does not call it here: its rules select no pod."""
    return thing(
        "MutatingWebhookConfiguration", HOOK, version="admissionregistration.k8s.io/v1",
        webhooks=[{
            "name": "namespace.injector.sidelight.dev", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "failurePolicy": "Ignore", "timeoutSeconds": 1,
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
            "namespaceSelector": {"matchLabels": {"sidelight.dev/injection": "enabled"}},
            "objectSelector": {"matchExpressions": [{"key": "sidelight.dev/inject", "operator": "NotIn", "values": ["false"]}]},
            "clientConfig": {
                "caBundle": bundle,
                "service": {"name": "sidelight-injector", "namespace": SYSTEM, "path": "/mutate"},
            },
        }],
    )


def slices(ready):
    """Endpoints of the injector's Service."""
    return thing(
        "EndpointSlice", "sidelight-injector-1", SYSTEM, "discovery.k8s.io/v1",
        {"kubernetes.io/service-name": "sidelight-injector"}, addressType="IPv4", ports=[{"port": 8443}],
        endpoints=[{"addresses": ["192.0.2.9"], "conditions": {"ready": ready}}],
    )


def certificates(folder, days):
    """A new authority and what it signed: the bundle, certificate and key, each base64."""
    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], cwd=folder, check=True, capture_output=True)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ours", "-days", 90)
    openssl("req", *new, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/")
    names = f"subjectAltName=DNS:sidelight-injector.{SYSTEM}.svc\nextendedKeyUsage=serverAuth\n"
    (folder / "extensions").write_text(names, encoding="utf-8")
    openssl(
        "x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "tls.crt",
        "-days", days, "-extfile", "extensions",
    )
    return [base64.b64encode((folder / name).read_bytes()).decode() for name in ("ca.crt", "tls.crt", "tls.key")]


class ClusterCheck:
    """`check --cluster` of one API server."""

    def __init__(self, server):
        self.kubeconfig = server.path / "kubeconfig"
        port = next(part for part in server.reach if part.startswith("--server=")).removeprefix("--server=")
        authority = server.path / "certificates/apiserver.crt"
        self.kubeconfig.write_text(
            "apiVersion: v1\nkind: Config\ncurrent-context: x\n"
            f"clusters: [{{name: x, cluster: {{server: '{port}', certificate-authority: '{authority}'}}}}]\n"
            "users: [{name: x, user: {token: admin}}]\ncontexts: [{name: x, context: {cluster: x, user: x}}]\n",
            encoding="utf-8",
        )

    def __call__(self, code, *words, without=()):
        """It ends with this code and says these words."""
        command = [str(BINARY), "check", "--cluster", "--kubeconfig", str(self.kubeconfig)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        said = done.stdout + done.stderr
        for word in words:
            expect(f"`{word}` in\n{said}", word in said, True)
        for word in without:
            expect(f"`{word}` in\n{said}", word in said, False)
        expect(f"exit code of\n{said}", done.returncode, code)


def check(report):
    """One story: nothing there, everything wrong, one thing after the other put right."""
    with Server() as server:
        expect_check = ClusterCheck(server)

        def apply(*manifests):
            items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
            server.apply(json.dumps(items))

        def nothing():
            expect_check(1, "no injector is installed", "= to do: install the chart")

        report.check("no injector", nothing)
        apply(
            thing("Namespace", SYSTEM), thing("Namespace", "shop", labels={"sidelight.dev/injection": "enabled"}),
            thing("Namespace", "monitoring"),
        )
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "app", "image": "x"}]}}
        bare = thing("Pod", "bare", "shop", labels={"a": "b"}, spec=template["spec"])
        apply(bare)

        def late():
            # timestamps have a resolution of one second, so the pod must be older by one second
            second = datetime.datetime.now().second
            until("a second is over", lambda: datetime.datetime.now().second != second)
            apply(webhook())
            expect_check(
                1, "Service sidelight-system/sidelight-injector does not exist", "no caBundle",
                "shop: pod/bare has no sidecar (bare): it is older than the injector", "kubectl -n shop delete pod bare",
            )

        report.check("a pod older than the injector, no Service, no caBundle", late)
        service = thing("Service", "sidelight-injector", SYSTEM, spec={"ports": [{"port": 443}], "clusterIP": "None"})

        def unreachable():
            apply(service, slices(False), {**bare, "metadata": {**bare["metadata"], "name": "newer"}})
            expect_check(1, "has no ready endpoint", "pod/newer has no sidecar (newer): the injector was not reached")

        report.check("nobody answers, and a pod is made all the same", unreachable)

        def mismatch():
            bundle, _, _ = certificates(server.path, 30)
            other, certificate, key = certificates(server.path, 30)
            secret = {"tls.crt": certificate, "tls.key": key}
            apply(
                slices(True), webhook(bundle),
                thing("Secret", "sidelight-injector-tls", SYSTEM, type="kubernetes.io/tls", data=secret),
            )
            expect_check(1, "its caBundle does not fit the certificate", without=["no ready endpoint", "no caBundle"])
            apply(webhook(other))
            expect_check(1, without=["does not fit", "expires"])

        def soon():
            bundle, certificate, key = certificates(server.path, 2)
            secret = {"tls.crt": certificate, "tls.key": key}
            apply(webhook(bundle), thing("Secret", "sidelight-injector-tls", SYSTEM, type="kubernetes.io/tls", data=secret))
            expect_check(1, "warning: 00-sidelight-injector: the certificate", "expires in 47 h")

        report.check("a bundle that does not fit", mismatch)
        report.check("a certificate that ends soon", soon)

        def lost():
            pod = json.loads(inject("-f", "-", "-o", "json", given={**bare, "metadata": {**bare["metadata"], "name": "lost"}}))
            del pod["spec"]["initContainers"][0]["restartPolicy"]
            for key in ("startupProbe", "livenessProbe"):
                pod["spec"]["initContainers"][0].pop(key)
            other = webhook()
            other["metadata"]["name"] = "somebody-else"
            other["webhooks"][0]["name"] = "pods.example.com"
            apply(pod, other)
            expect_check(1, "pod/lost cannot start (lost)", "lost `restartPolicy: Always`", "webhooks that change pods here: somebody-else")

        report.check("a sidecar that lost restartPolicy", lost)

        def unseen():
            apply(definition("Prometheus", "prometheuses"), definition("PodMonitor", "podmonitors"))
            until("the kinds are there", lambda: not server.kubectl("get", "prometheuses,podmonitors", "-A").returncode, 30)
            expect_check(1, "no PodMonitor for the port sl-metrics")
            version = "monitoring.coreos.com/v1"
            monitor = thing("PodMonitor", "sidelight", SYSTEM, version, spec={"podMetricsEndpoints": [{"port": "sl-metrics"}]})
            chooses = {"podMonitorNamespaceSelector": {}, "podMonitorSelector": {"matchLabels": {"release": "x"}}}
            apply(monitor, thing("Prometheus", "k8s", "monitoring", version, spec=chooses))
            expect_check(1, "no Prometheus selects the PodMonitor sidelight-system/sidelight", '"release":"x"')
            monitor["metadata"]["labels"] = {"release": "x"}
            apply(monitor)
            expect_check(1, without=["PodMonitor"])

        report.check("a PodMonitor that no Prometheus selects", unseen)

        def well():
            for name in ("bare", "newer", "lost"):
                server.kubectl("delete", "pod", "-n", "shop", name, "--force", "--grace-period=0")
            pod = json.loads(inject("-f", "-", "-o", "json", given=bare))
            apply(pod)
            bundle, certificate, key = certificates(server.path, 30)
            secret = {"tls.crt": certificate, "tls.key": key}
            apply(webhook(bundle), thing("Secret", "sidelight-injector-tls", SYSTEM, type="kubernetes.io/tls", data=secret))
            expect_check(0, "0 errors, 0 warnings; 1 of 1 pod have", without=["error:", "warning:"])

        report.check("all is well", well)

        def policy():
            server.apply(inject("policy"))
            expect_check(0, "0 errors, 0 warnings", without=["refers to"])
            server.kubectl("delete", "configmap", "-n", SYSTEM, "sidelight-inject")
            expect_check(1, "the admission policy refers to namespaces/sidelight-system/configmaps/sidelight-inject")

        report.check("a policy without its parameters", policy)
