"""What a real API server says to the chart's manifests."""

import json

import helm
from apiserver import ApiServer
from helm import CHART, NAMESPACE
from report import Failure, Skip, expect

CI = sorted((CHART / "ci").glob("*.yaml"))
PLAIN = ["", "values-ha.yaml"]
# kinds whose CRDs we do not have
STRANGE = "cert-manager.io/v1"


def arguments_of(path):
    """Every kind that can be, with a file of values or without."""
    kinds = "{monitoring,policy,cert-manager}"
    return ["--set", f"forceKinds={kinds}", *(["-f", path] if path else [])]


def accepted(server, path):
    """Server-side dry run: schema, validation, CEL, admission. Unknown fields are errors."""
    known = [one for one in helm.objects(*arguments_of(path)) if one["apiVersion"] != STRANGE]
    text = "\n---\n".join(json.dumps(one) for one in known)
    server.apply(text, "--dry-run=server", "--validate=strict")


def all_known(path):
    """Says so where a kind could not be asked about."""
    kinds = sorted({one["kind"] for one in helm.objects(*arguments_of(path)) if one["apiVersion"] == STRANGE})
    if kinds:
        raise Skip(f"no CRDs of {STRANGE}: {', '.join(kinds)}")


def manifests(*arguments):
    """Text without helm's hooks, as `helm install` would apply it."""
    return helm.template("--no-hooks", *arguments)


def untouched(server):
    """Rendered twice and applied beside the injector's field manager: no diff, no lost trust, no lost key."""
    server.apply(manifests())
    bundle = "QQ=="
    hooks = helm.find(helm.objects(), "MutatingWebhookConfiguration")["webhooks"]
    patch = [{"op": "add", "path": f"/webhooks/{n}/clientConfig/caBundle", "value": bundle} for n in range(len(hooks))]
    name = "00-sidelight-injector"
    # the API server reads the bundle and wants a certificate in it
    authority = (server.folder / "ca.crt").read_bytes()
    import base64
    bundle = base64.b64encode(authority).decode()
    for one in patch:
        one["value"] = bundle
    manager = "--field-manager=sidelight-injector"
    server.kubectl("patch", "mutatingwebhookconfiguration", name, "--type=json", manager, "-p", json.dumps(patch))
    secret = {"data": {"tls.crt": "QQ==", "tls.key": "Qg=="}}
    server.kubectl("-n", NAMESPACE, "patch", "secret", "sidelight-injector-tls", "--type=merge", manager, "-p", json.dumps(secret))
    done = server.kubectl("diff", "--server-side", "--field-manager=helm", "-f", "-", text_in=manifests(), check=False)
    expect(f"kubectl diff --server-side\n{done.stdout}{done.stderr}", done.returncode, 0)
    server.apply(manifests())
    after = server.get("mutatingwebhookconfiguration", name)
    expect("bundles", {hook["clientConfig"].get("caBundle") for hook in after["webhooks"]}, {bundle})
    held = server.get("-n", NAMESPACE, "secret", "sidelight-injector-tls")
    expect("key", held["data"], secret["data"])


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


def check(report):
    """One API server for all of them."""
    with ApiServer() as server:
        if not server.extend():
            raise Skip("no CRDs of the operator; tests/chart/operator/build")
        server.kubectl("create", "namespace", NAMESPACE)
        for path in [None, CHART / "values-ha.yaml", *CI]:
            name = path.name if path else "the defaults"
            report.check(f"the API server takes {name}", accepted, server, path)
            if path and any(one["apiVersion"] == STRANGE for one in helm.objects(*arguments_of(path))):
                report.check(f"the API server takes cert-manager's kinds of {name}", all_known, path)
        report.check("applied twice beside the injector: no diff, no lost trust", untouched, server)
        report.check("two revisions in one cluster", two_revisions, server)
        report.check("restricted, enforced", enforced, server)
