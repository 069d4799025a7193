"""The injector in a cluster: installed, selected by labels, restricted, renewed, away, replaced, gone."""

import base64
import json
import threading
import time

import api
import images
import node
import observability
import pods
import release
import stdout
from place import STATE
from pods import job, namespace, pod, speaker, start, until, would_be
from report import Failure, expect, expect_within


def install():
    """helm install: the injector becomes available and trusted, and the chart's own test passes."""
    observability.bring_up()
    release.install()
    release.trusted()
    done = release.helm(
        "test", release.NAME, "--namespace", release.WHERE, "--timeout", "120s", check=False
    )
    if done.returncode:
        raise Failure(f"helm test: {done.stdout}{done.stderr}")


def sidecars(thing):
    """Names of the init containers and containers of a pod that are ours."""
    spec = thing["spec"]
    both = [*spec.get("initContainers", []), *spec["containers"]]
    return [one["name"] for one in both if one["name"] == "sidelight"]


def opting():
    """Namespace label, pod label, opting out: which pods get a sidecar and which do not."""
    out = {"sidelight.dev/inject": "false"}
    opted_in = {"sidelight.dev/inject": "true"}
    with namespace("sl-in") as inside, namespace("sl-out", injected=False) as outside:
        for where, labels, expected in (
            (inside, {}, 1),
            (inside, out, 0),
            (outside, {}, 0),
            (outside, opted_in, 1),
        ):
            made = would_be(pod("one", speaker(), labels=labels), where)
            expect(f"sidecars in {where} with {labels}", len(sidecars(made)), expected)
        made = would_be(pod("one", speaker(), hostNetwork=True), inside)
        expect("sidecars in the host's network", sidecars(made), [])


def restricted():
    """Where Pod Security "restricted" is enforced, a pod that met it is admitted with its sidecar, and
    runs."""
    with namespace("sl-restricted", labels={"pod-security.kubernetes.io/enforce": "restricted"}) as where:
        app = speaker(LINES=100, RATE=200, LINGER=1)
        app["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        running = start(
            pod(
                "strict",
                app,
                terminationGracePeriodSeconds=5,
                securityContext={
                    "runAsNonRoot": True,
                    "runAsUser": 1000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
            ),
            where,
        ).ready()
        expect("sidecars", sidecars(running.now()), ["sidelight"])
        running.received(100)


def quota():
    """A ResourceQuota on everything and a LimitRange with narrow bounds refuse nothing that they took
    before."""
    with namespace("sl-quota") as where:
        hard = {
            "requests.cpu": "1",
            "requests.memory": "512Mi",
            "limits.cpu": "1",
            "limits.memory": "512Mi",
        }
        bounds = {
            "type": "Container",
            "max": {"cpu": "500m", "memory": "256Mi"},
            "min": {"cpu": "5m", "memory": "8Mi"},
            "default": {"cpu": "100m", "memory": "64Mi"},
            "defaultRequest": {"cpu": "20m", "memory": "32Mi"},
        }
        for kind, spec in (("ResourceQuota", {"hard": hard}), ("LimitRange", {"limits": [bounds]})):
            api.create(
                {
                    "apiVersion": "v1",
                    "kind": kind,
                    "metadata": {"name": "narrow", "namespace": where},
                    "spec": spec,
                }
            )
        app = speaker(LINES=50, RATE=100, LINGER=1)
        app["resources"] = {
            "limits": {"cpu": "100m", "memory": "64Mi"},
            "requests": {"cpu": "20m", "memory": "32Mi"},
        }
        running = start(pod("small", app, terminationGracePeriodSeconds=5), where).ready()
        expect("sidecars", sidecars(running.now()), ["sidelight"])
        running.received(50)
        same = {"cpu": "50m", "memory": "64Mi"}
        app["resources"] = {"limits": same, "requests": same}
        made = would_be(pod("guaranteed", app), where)
        expect("class", made["status"].get("qosClass"), "Guaranteed")


def webhook_down():
    """No injector answers: pods start all the same, and are counted, and the alert on them fires."""
    with namespace("sl-down") as where:
        release.scale(0)
        try:
            begin = time.monotonic()
            running = start(pod("plain", speaker(RATE=1), terminationGracePeriodSeconds=1), where)
            admitted = time.monotonic() - begin
            running.ready()
            expect("sidecars", sidecars(running.now()), [])
            expect_within("seconds until it was admitted", admitted, 0, 12)
            named("no injector answers", f"{where}: pod/plain", release.INJECTOR)
        finally:
            release.scale(2)
            release.trusted()
        missing = f'sum(sidelight_injector_pods_missing{{namespace="{where}"}})'
        until("the pod is counted", lambda: observability.value(missing) == 1)
        until(
            "the alert fires",
            lambda: [
                one
                for one in observability.alerts()
                if one[0] == "SidelightMissing"
                and one[1] == "firing"
                and one[2].get("namespace") == where
            ],
        )
        running.delete(0)
        until("nothing is missing", lambda: not observability.query(f"{missing} > 0"))


def named(what, *names):
    """`sidelight check --cluster` finds fault and names what it is about."""
    done = node.call(images.BINARY, "check", "--cluster", check=False)
    if done.returncode != 1 or not all(name in done.stdout + done.stderr for name in names):
        raise Failure(
            f"{what}: check --cluster ended with {done.returncode}, expected 1 and {names}\n"
            f"{done.stdout}{done.stderr}"
        )


SECRET = "sidelight-injector-tls"

# seconds instead of months: two CAs and half a dozen certificates are used within a minute
LIFETIMES = {"LEAF_LIFETIME": "21s", "CA_LIFETIME": "60s", "CA_OVERLAP": "6s", "CHECK_EVERY": "1s"}


def served():
    """The certificate and the authorities in the Secret."""
    data = (api.get("Secret", release.WHERE, SECRET) or {}).get("data") or {}
    return data.get("tls.crt"), base64.b64decode(data.get("ca.crt", "")).decode().count(
        "BEGIN CERTIFICATE"
    )


def rotation():
    """Certificates and their authority are renewed, and the Secret is lost: every pod of that time
    gets its sidecar."""
    hasten()
    try:
        with namespace("sl-rotation") as where, Creating(where) as tries:
            certificates, authorities = set(), set()

            def enough():
                certificate, count = served()
                certificates.add(certificate)
                authorities.add(count)
                return len(certificates) > 4 and authorities >= {1, 2}

            until("four certificates, and two authorities side by side", enough, 240)
            api.delete("Secret", release.WHERE, SECRET)
            until("the Secret is there again", lambda: served()[0])
            now = tries.made
            until("pods after it", lambda: tries.made > now + 20)
        print(f"        {len(certificates)} certificates, {tries.made} pods")
        expect(f"pods without a sidecar, of {tries.made}", tries.without, 0)
    finally:
        release.install()
        release.trusted()


def hasten():
    """Starts the injector anew with certificates that live for seconds."""
    release.scale(0)
    api.merge("Secret", release.WHERE, SECRET, {"data": None})
    container = {
        "name": "injector",
        "env": [
            {"name": f"SIDELIGHT_INJECTOR_{name}", "value": value} for name, value in LIFETIMES.items()
        ],
    }
    api.call(
        "PATCH",
        api.path_of("Deployment", release.WHERE, release.INJECTOR),
        {"spec": {"template": {"spec": {"containers": [container]}}}},
        "application/strategic-merge-patch+json",
    )
    release.scale(2)
    release.trusted()


class Creating:
    """Asks for pods, ten a second, and looks whether they get their sidecar. To be used with `with`."""

    def __init__(self, where):
        self.where = where
        self.made = self.without = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.create)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def create(self):
        """Until it is stopped."""
        while not self.stop.wait(0.1):
            self.made += 1
            self.without += not sidecars(would_be(pod(f"one-{self.made}", speaker()), self.where))


def revision():
    """A second revision beside the first; upgrade and rollback of the first take its configuration
    along."""
    canary = {"revision": "canary", "sidecar": {"port": 19555, "image": images.SIDELIGHT_PREVIOUS}}
    release.install("canary", **canary)
    release.trusted("00-sidelight-injector-canary")
    try:
        with namespace("sl-stable") as stable, namespace(
            "sl-canary", labels={"sidelight.dev/rev": "canary"}
        ) as other:
            expect("stable", pod_settings(stable), ("default", images.SIDELIGHT, 19464))
            expect("canary", pod_settings(other), ("canary", images.SIDELIGHT_PREVIOUS, 19555))
            api.merge(
                "Namespace", None, stable, {"metadata": {"labels": {"sidelight.dev/rev": "canary"}}}
            )
            until("moved", lambda: pod_settings(stable)[0] == "canary")
            api.merge("Namespace", None, stable, {"metadata": {"labels": {"sidelight.dev/rev": None}}})
            until("moved back", lambda: pod_settings(stable)[0] == "default")
            release.install(sidecar={"port": 19666, "image": images.SIDELIGHT_PREVIOUS})
            until(
                "the upgrade is in force",
                lambda: pod_settings(stable) == ("default", images.SIDELIGHT_PREVIOUS, 19666),
            )
            release.helm(
                "rollback", release.NAME, "--namespace", release.WHERE, "--wait", "--timeout", "180s"
            )
            until(
                "the previous configuration is",
                lambda: pod_settings(stable) == ("default", images.SIDELIGHT, 19464),
            )
            expect("canary is untouched", pod_settings(other), ("canary", images.SIDELIGHT_PREVIOUS, 19555))
    finally:
        release.uninstall("canary")


def pod_settings(where):
    """Revision, image and port that a pod would get."""
    made = would_be(pod("one", speaker()), where)
    ours = next(
        one for one in made["spec"].get("initContainers", [{"name": ""}]) if one["name"] == "sidelight"
    )
    status = json.loads(made["metadata"]["annotations"]["sidelight.dev/status"])
    return status["rev"], ours["image"], ours["ports"][0]["containerPort"]


def policy():
    """A MutatingAdmissionPolicy instead of the webhook: the sidecar is there, first, and counts, and a pod that uses
    many features is the same as from `sidelight inject`."""
    release.install(injection={"mode": "policy"}, sidecar={"otlp": {"headersSecret": {"name": "otlp"}}})
    try:
        until("no webhook", lambda: not api.get("MutatingWebhookConfiguration", None, release.WEBHOOK))
        with namespace("sl-policy") as where:
            until("the policy is in force", lambda: sidecars(would_be(pod("one", speaker()), where)))
            wanted = pod(
                "ruled",
                speaker(LINES=200, RATE=200, LINGER=1),
                terminationGracePeriodSeconds=5,
                initContainers=[speaker("migrate", LINES=20, RATE=200)],
            )
            running = start(wanted, where).ready()
            same_as_injected(where)
            expect("the first", running.now()["spec"]["initContainers"][0]["name"], "sidelight")
            running.received(220)
            running.delete()
            running.ended()
            expect("received", running.ledger()["received"], 220)
    finally:
        release.install()
        release.trusted()


def same_as_injected(where):
    """What the policy makes of containers and volumes is what the plan makes of them, with image volumes and
    without a `command`, with own variables and headers from a Secret."""
    annotations = {"sidelight.dev/config.tee": "true", "sidelight.dev/config.tee-in-place": "always"}
    own = {"SIDELIGHT_DATAGRAM_SOCKET": "/run/sidelight/log.dgram.sock"}
    one, other = speaker("one"), pods.container("other", images.PYTHON, env=own)
    wanted = pod("both", one, other, annotations=annotations, initContainers=[speaker("migrate")])
    configuration = STATE / "policy.yaml"
    endpoint = release.VALUES["sidecar"]["otlp"]["endpoint"]
    configuration.write_text(
        "tee: {image_volume: always}\n"
        f"otlp: {{endpoint: '{endpoint}', protocol: http/protobuf, headers_secret: {{name: otlp, key: headers}}}}\n"
        "final_scrape: {jobs: 15s}\nallow: [image, resources]\n",
        encoding="utf-8",
    )
    theirs, ours = would_be(wanted, where), stdout.injected(wanted, "--config", configuration)

    def essence(made):
        """What injection may add, without what the API server adds."""
        spec = made["spec"]
        keys = ("name", "command", "env", "volumeMounts")
        containers = [{key: one.get(key, []) for key in keys} for one in [*spec["initContainers"], *spec["containers"]]]
        for one in containers:
            one["volumeMounts"] = [each for each in one["volumeMounts"] if each["name"].startswith("sidelight-")]
            one["env"] = [each for each in one["env"] if not each["name"].startswith("OTEL_RESOURCE")]
            for each in one["env"]:
                each.get("valueFrom", {}).get("fieldRef", {}).pop("apiVersion", None)
        return containers, [one for one in spec["volumes"] if one["name"].startswith("sidelight-")]

    for found, expected in zip(essence(theirs), essence(ours)):
        expect("as from inject", found, expected)
    status = [json.loads(made["metadata"]["annotations"]["sidelight.dev/status"]) for made in (theirs, ours)]
    for key in ("volumes", "keptEnv", "keptDatagramEnv", "tee", "initContainers"):
        expect(f"status {key}", status[0].get(key), status[1].get(key))


def classic():
    """Classic mode: a Job completes although its sidecar is an ordinary container, and nothing is lost."""
    mode = {"sidelight.dev/config.mode": "classic"}
    with namespace("sl-classic") as where:
        work = job(
            "batch",
            speaker(LINES=300, RATE=150, SERVICE="work"),
            annotations=mode,
            terminationGracePeriodSeconds=10,
        )
        work["metadata"]["namespace"] = where
        api.create(work)
        running = pods.adopt(where, **{"batch.kubernetes.io/job-name": "batch"})
        expect(
            "ordinary containers",
            sidecars({"spec": {"containers": running.created["spec"]["containers"]}}),
            ["sidelight"],
        )
        until("the Job completes", lambda: pods.condition(api.get("Job", where, "batch"), "Complete"))
        sent, ledger = running.sent(), running.ledger()
        expect("received, of what was sent", (ledger["received"], sent["sent"]), (300, 300))
        running = start(
            pod("busy", speaker(RATE=2000), annotations=mode, terminationGracePeriodSeconds=15), where
        ).ready()
        until("lines", lambda: running.metrics().total("sidelight_frames_received_total") > 3000)
        running.delete()
        running.ended()
        sent = running.sent()
        expect("received", running.ledger()["received"], sent["sent"])
        expect("unsent", sent["unsent"], 0)


def uninstall():
    """helm uninstall leaves nothing: no object of any kind, in no namespace, that was not there before."""
    release.uninstall()
    until("the injector's pods are gone", lambda: not api.every("Pod", release.WHERE))
    time.sleep(1)
    left = [one for one in everything() if is_ours(one)]
    expect("left", left, [])
    api.delete("Namespace", None, release.WHERE)


def everything():
    """Kind, namespace and name of every object of the cluster."""
    found = []
    for version in [
        "api/v1",
        *(
            f"apis/{group['preferredVersion']['groupVersion']}"
            for group in api.call("GET", "apis")["groups"]
        ),
    ]:
        for kind in api.call("GET", version)["resources"]:
            if "list" in kind["verbs"] and "/" not in kind["name"]:
                for one in api.call("GET", f"{version}/{kind['name']}")["items"]:
                    found.append(
                        (kind["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"])
                    )
    return found


def is_ours(thing):
    """Whether an object is the release's: in its namespace, or named as everything of it is; not a
    scenario's own."""
    kind, where, name = thing
    standing = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
    if kind in ("Event", "Namespace") or (kind, name) in standing:
        return False
    return where == release.WHERE or ("sidelight" in name and not where.startswith("sl-"))
