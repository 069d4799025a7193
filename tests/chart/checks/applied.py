"""What a real API server says to the chart's manifests."""

import base64
import json
import time

import helm
from apiserver import ApiServer
from helm import CHART, NAMESPACE, ROOT
from report import Failure, expect

CI = sorted((CHART / "ci").glob("*.yaml"))


def arguments_of(path):
    """Every kind that can be, with a file of values or without."""
    kinds = "{monitoring,policy,cert-manager}"
    return ["--set", f"forceKinds={kinds}", *(["-f", path] if path else [])]


def accepted(server, path):
    """Server-side dry run: schema, validation, CEL, admission. Unknown fields are errors."""
    text = "\n---\n".join(json.dumps(one) for one in helm.objects(*arguments_of(path)))
    server.apply(text, "--dry-run=server", "--validate=strict")


def manifests(*arguments):
    """Text without helm's hooks, as `helm install` would apply it."""
    return helm.template("--no-hooks", *arguments)


CONFIGURATION = "00-sidelight-injector"
KEYS = {"tls.crt": "QQ==", "tls.key": "Qg=="}


def injector_writes(server):
    """Writes what the injector writes, as its field manager; the bundle."""
    # the API server parses the bundle and requires a certificate in it
    bundle = base64.b64encode((server.folder / "ca.crt").read_bytes()).decode()
    hooks = helm.find(helm.objects(), "MutatingWebhookConfiguration")["webhooks"]
    patch = [{"op": "add", "path": f"/webhooks/{n}/clientConfig/caBundle", "value": bundle} for n in range(len(hooks))]
    manager = "--field-manager=sidelight-injector"
    server.kubectl("patch", "mutatingwebhookconfiguration", CONFIGURATION, "--type=json", manager, "-p", json.dumps(patch))
    for kind, name, held in (
        ("secret", "sidelight-injector-tls", {"data": KEYS}),
        ("lease", "sidelight-injector", {"spec": {"holderIdentity": "a"}}),
    ):
        server.kubectl("-n", NAMESPACE, "patch", kind, name, "--type=merge", manager, "-p", json.dumps(held))
    return bundle


def still_there(server, bundle):
    """Trust, keys and the leader are as the injector wrote them."""
    hooks = server.get("mutatingwebhookconfiguration", CONFIGURATION)["webhooks"]
    expect("bundles", {hook["clientConfig"].get("caBundle") for hook in hooks}, {bundle})
    expect("keys", server.get("-n", NAMESPACE, "secret", "sidelight-injector-tls")["data"], KEYS)
    expect("leader", server.get("-n", NAMESPACE, "lease", "sidelight-injector")["spec"], {"holderIdentity": "a"})


def life_of_a_release(server):
    """helm install, upgrade and rollback take nothing away from the injector; uninstall leaves nothing."""
    shared = ["-n", NAMESPACE, "--kubeconfig", server.kubeconfig]
    helm.run("install", "sidelight", CHART, *shared)
    bundle = injector_writes(server)
    helm.run("upgrade", "sidelight", CHART, *shared, "--set", "injection.timeoutSeconds=7,injector.replicas=3")
    still_there(server, bundle)
    hooks = server.get("mutatingwebhookconfiguration", CONFIGURATION)["webhooks"]
    expect("the upgrade", {hook["timeoutSeconds"] for hook in hooks}, {7})
    helm.run("rollback", "sidelight", "1", *shared)
    still_there(server, bundle)
    helm.run("install", "sidelight-canary", CHART, *shared, "-f", CHART / "ci/canary.yaml")
    helm.run("uninstall", "sidelight-canary", *shared)
    still_there(server, bundle)
    helm.run("uninstall", "sidelight", *shared)
    kinds = "all,configmaps,secrets,leases,serviceaccounts,roles,rolebindings,poddisruptionbudgets,networkpolicies,"
    kinds += "clusterroles,clusterrolebindings,mutatingwebhookconfigurations,podmonitors,servicemonitors,prometheusrules"

    def left():
        found = server.get(kinds, "-A", "--selector=app.kubernetes.io/part-of=sidelight")["items"]
        return [f"{one['kind']} {one['metadata']['name']}" for one in found]

    # no garbage collector runs here: helm deletes in the background, and no objects are owned by
    # others
    expect("what is left", left(), [])
    expect("of helm", server.get("-n", NAMESPACE, "secrets")["items"], [])


def untouched(server):
    """Rendered twice and applied beside the injector's field manager: no diff, no lost trust, no lost key."""
    server.apply(manifests())
    bundle = injector_writes(server)
    done = server.kubectl("diff", "--server-side", "--field-manager=helm", "-f", "-", text_in=manifests(), check=False)
    expect(f"kubectl diff --server-side\n{done.stdout}{done.stderr}", done.returncode, 0)
    server.apply(manifests())
    still_there(server, bundle)


def two_revisions(server):
    """A second release beside the first takes nothing of it, and leaves nothing when it goes."""
    canary = helm.template("--no-hooks", "-f", CHART / "ci/canary.yaml", release="sidelight-canary")
    done = server.apply(canary, manager="canary")
    owned = [line for line in done.stdout.splitlines() if "serverside-applied" not in line]
    expect("what was not applied", owned, [])
    server.kubectl("delete", "-f", "-", text_in=canary)
    server.get("-n", NAMESPACE, "deployment", "sidelight-injector")
    left = server.get("-n", NAMESPACE, "deployments,services,configmaps,serviceaccounts,roles,secrets,leases")["items"]
    canaries = [one["metadata"]["name"] for one in left if "canary" in one["metadata"]["name"]]
    expect("what is left of the canary", canaries, [])


def enforced(server):
    """Pod Security "restricted", enforced, takes the pods of the Deployment and of the test."""
    server.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
    found = helm.objects()
    template = helm.find(found, "Deployment")["spec"]["template"]
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "injector", "namespace": NAMESPACE, **template["metadata"]},
         "spec": template["spec"]},
        {**helm.find(found, "Pod"), "metadata": {"name": "asking", "namespace": NAMESPACE}},
    ]
    for pod in pods:
        server.apply(json.dumps(pod), "--dry-run=server")
    bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "namespace": NAMESPACE},
            "spec": {"containers": [{"name": "a", "image": "a"}]}}
    done = server.apply(json.dumps(bare), "--dry-run=server", check=False)
    if done.returncode == 0:
        raise Failure("the namespace takes pods that are not restricted: nothing was proved")


def by_policy(server):
    """The policy of the chart, evaluated by the API server: who asks has the sidecar, by the values of its namespace."""
    values = ["-f", CHART / "ci/policy.yaml", "--set", "sidecar.namespaces.shop.port=2000"]
    text = manifests(*values)
    server.apply(text)
    for name in ("shop", "plain"):
        server.kubectl("create", "namespace", name)
    server.kubectl("label", "namespace", "shop", "sidelight.dev/injection=enabled")

    def made(namespace, name, labels):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels},
               "spec": {"containers": [{"name": "app", "image": "app:1"}]}}
        done = server.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", text_in=json.dumps(pod))
        found = [one for one in json.loads(done.stdout)["spec"].get("initContainers", []) if one["name"] == "sidelight"]
        return [port["containerPort"] for one in found for port in one["ports"]]

    # the API server takes a moment to activate a policy
    end = time.monotonic() + 20
    while time.monotonic() < end and not made("shop", "first", {}):
        time.sleep(0.2)
    expect("by namespace, with its own port", made("shop", "a", {}), [2000])
    expect("by the pod's wish", made("plain", "b", {"sidelight.dev/inject": "true"}), [19464])
    expect("no label", made("plain", "c", {}), [])
    expect("opted out", made("shop", "d", {"sidelight.dev/inject": "false"}), [])
    expect("another revision's", made("shop", "e", {"sidelight.dev/rev": "canary"}), [])
    server.kubectl("delete", "-f", "-", text_in=text)


def plain_manifests(server):
    """deploy/, as kubectl applies it."""
    for folder in ("webhook", "policy", "monitoring", "manual"):
        server.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict",
                       "--force-conflicts", "-k", ROOT / "deploy" / folder)


def check(report):
    """One API server for all of them."""
    with ApiServer() as server:
        server.extend()
        server.kubectl("create", "namespace", NAMESPACE)
        for path in [None, CHART / "values-ha.yaml", *CI]:
            name = path.name if path else "the defaults"
            report.check(f"the API server takes {name}", accepted, server, path)
        report.check("install, upgrade, rollback, uninstall", life_of_a_release, server)
        report.check("applied twice beside the injector: no diff, no lost trust", untouched, server)
        report.check("two revisions in one cluster", two_revisions, server)
        report.check("restricted, enforced", enforced, server)
        report.check("injection by the policy", by_policy, server)
        report.check("deploy/ is taken", plain_manifests, server)
