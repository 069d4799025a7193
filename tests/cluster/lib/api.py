"""The Kubernetes API over HTTPS with the administrator's certificate; objects are plain dictionaries."""

import functools
import http.client
import json
import ssl
import urllib.parse

from place import NODE_ADDRESS, PKI

# kind: its API group and version, its plural, whether it is namespaced
KINDS = {
    "Pod": ("api/v1", "pods", True),
    "Service": ("api/v1", "services", True),
    "ConfigMap": ("api/v1", "configmaps", True),
    "Secret": ("api/v1", "secrets", True),
    "Event": ("api/v1", "events", True),
    "ServiceAccount": ("api/v1", "serviceaccounts", True),
    "ResourceQuota": ("api/v1", "resourcequotas", True),
    "LimitRange": ("api/v1", "limitranges", True),
    "Namespace": ("api/v1", "namespaces", False),
    "Deployment": ("apis/apps/v1", "deployments", True),
    "Job": ("apis/batch/v1", "jobs", True),
    "Lease": ("apis/coordination.k8s.io/v1", "leases", True),
    "ClusterRole": ("apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "MutatingWebhookConfiguration": (
        "apis/admissionregistration.k8s.io/v1",
        "mutatingwebhookconfigurations",
        False,
    ),
}

# server-side apply: merges our fields into the existing object, as kubectl apply --server-side
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


class Refused(Exception):
    """The API server said no; with its status and its reason."""

    def __init__(self, status, said):
        super().__init__(f"{status}: {said}")
        self.status = status


@functools.cache
def trust():
    """Our certificate, and the CA that verifies the API server."""
    context = ssl.create_default_context(cafile=str(PKI / "ca.crt"))
    context.load_cert_chain(PKI / "admin.crt", PKI / "admin.key")
    return context


def call(method, path, body=None, content="application/json", raw=False):
    """One request; the answer as an object, or as bytes. The last call's warnings are in
    `call.warnings`."""
    connection = http.client.HTTPSConnection(NODE_ADDRESS, 6443, context=trust(), timeout=60)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(
            method, f"/{path}", text, {"Content-Type": content, "Accept": "application/json"}
        )
        answer = connection.getresponse()
        read = answer.read()
        call.warnings = answer.headers.get_all("Warning") or []
    finally:
        connection.close()
    if answer.status >= 400:
        said = read.decode(errors="replace")
        try:
            said = json.loads(said).get("message", said)
        except ValueError:
            pass
        raise Refused(answer.status, said)
    return read if raw else json.loads(read)


call.warnings = []


def path_of(kind, namespace=None, name=None, **query):
    """The path of an object, or of all of a kind."""
    group, many, namespaced = KINDS[kind]
    parts = [
        group,
        *(["namespaces", namespace] if namespaced and namespace else []),
        many,
        *([name] if name else []),
    ]
    return "/".join(parts) + (f"?{urllib.parse.urlencode(query)}" if query else "")


def place_of(thing):
    """Kind, namespace and name."""
    return thing["kind"], thing["metadata"].get("namespace"), thing["metadata"]["name"]


def create(thing, **query):
    """Creates an object; what became of it."""
    kind, namespace, _ = place_of(thing)
    return call("POST", path_of(kind, namespace, **query), thing)


def apply(thing):
    """Creates or changes an object."""
    kind, namespace, name = place_of(thing)
    return call("PATCH", path_of(kind, namespace, name, fieldManager="tests", force="true"), thing, APPLY)


def merge(kind, namespace, name, change):
    """Changes a part of an object."""
    return call("PATCH", path_of(kind, namespace, name), change, MERGE)


def get(kind, namespace, name):
    """An object, or None."""
    try:
        return call("GET", path_of(kind, namespace, name))
    except Refused as refused:
        if refused.status == 404:
            return None
        raise


def every(kind, namespace=None, **query):
    """All objects of a kind."""
    return call("GET", path_of(kind, namespace, **query))["items"]


def delete(kind, namespace, name, **query):
    """Asks for an object's end; whether there was one."""
    try:
        call("DELETE", path_of(kind, namespace, name, **query))
    except Refused as refused:
        if refused.status != 404:
            raise
        return False
    return True
