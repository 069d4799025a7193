"""Releases of the chart, by the real helm."""

import json

import api
import images
import node
import observability
from place import BIN, ROOT, STATE
from pods import condition, until
from report import Failure

CHART = ROOT / "helm/sidelight"
WHERE = "sidelight-system"
NAME = "sidelight"
INJECTOR = "sidelight-injector"
WEBHOOK = "00-sidelight-injector"

# long enough for a busy machine, short enough for a test
VALUES = {
    "image": {"repository": "localhost/sidelight", "tag": "local"},
    "sidecar": {
        "allow": ["image", "resources"],
        "otlp": {"endpoint": "http://collector.observability:4318"},
        "finalScrape": {"jobs": "15s"},
        "entrypoints": {images.NGINX_ENTRYPOINT: images.NGINX_COMMAND},
    },
    "injector": {"countMissing": {"interval": "5s"}},
}


def merged(values, more):
    """Values over values."""
    made = dict(values)
    for key, value in more.items():
        made[key] = merged(made.get(key) or {}, value) if isinstance(value, dict) else value
    return made


def helm(*arguments, check=True):
    """Runs helm."""
    return node.call(BIN / "helm", *arguments, check=check)


def ensure():
    """Installs the release if it is not there, as a user would."""
    observability.bring_up()
    if helm("status", NAME, "--namespace", WHERE, check=False).returncode:
        install()


def install(name=NAME, **more):
    """Installs or upgrades a release; returns when its injector is ready."""
    values = STATE / f"{name}.json"
    values.write_text(json.dumps(merged(VALUES, more)), encoding="utf-8")
    done = helm(
        "upgrade",
        "--install",
        name,
        CHART,
        "--namespace",
        WHERE,
        "--create-namespace",
        "--values",
        values,
        "--wait",
        "--timeout",
        "180s",
        check=False,
    )
    if done.returncode:
        raise Failure(f"helm: {done.stderr.strip()}\n{why(name)}")
    return done.stdout


def why(name):
    """What the injector's pods say."""
    lines = []
    for one in api.every("Pod", WHERE):
        lines.append(
            f"{one['metadata']['name']}: {json.dumps(one['status'].get('containerStatuses'))[:600]}"
        )
        log = f"api/v1/namespaces/{WHERE}/pods/{one['metadata']['name']}/log?tailLines=8"
        try:
            lines += api.call("GET", log, raw=True).decode().splitlines()
        except api.Refused as refused:
            lines.append(str(refused))
    return "\n".join([f"release {name}", *lines])


def trusted(name=WEBHOOK):
    """Waits until the API server trusts the webhook and its Deployment is available."""

    def is_trusted():
        found = api.get("MutatingWebhookConfiguration", None, name)
        return found and all(one["clientConfig"].get("caBundle") for one in found["webhooks"])

    until("a caBundle", is_trusted)
    return until("available", lambda: condition(deployment(), "Available") and deployment())


def deployment(name=INJECTOR):
    """The injector's Deployment."""
    return api.get("Deployment", WHERE, name)


def scale(replicas, name=INJECTOR):
    """Sets the number of replicas; returns when there are so many."""
    api.merge("Deployment", WHERE, name, {"spec": {"replicas": replicas}})

    def settled():
        pods = api.every("Pod", WHERE, labelSelector=f"app.kubernetes.io/name={INJECTOR}")
        ready = [one for one in pods if condition(one, "Ready")]
        return len(ready) == replicas == len(pods)

    until(f"{replicas} replicas", settled)


def uninstall(name=NAME):
    """Removes a release."""
    helm("uninstall", name, "--namespace", WHERE, "--wait", "--timeout", "120s")
