"""Pods of the scenarios: what is written down, what is started, what they said and what is to be read
from them."""

import contextlib
import json
import re
import threading
import time
import urllib.error
import urllib.request

import api
import images
from place import POD_LOGS
from report import Failure, expect

# generous, because the machine may be busy
PATIENCE = 120

LEDGER = re.compile(
    r"ledger received=(\d+) decoded=(\d+) refused=(\d+) offered=(\d+)"
    r" sent=(\d+) dropped=(\d+) held=(\d+) lost=(\d+)"
)
TERMS = "received decoded refused offered sent dropped held lost".split()
SENT = re.compile(r"sent (\d+) unsent (\d+) connections (\d+)")

SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def until(what, condition, seconds=PATIENCE, every=0.1):
    """Waits until the condition holds; returns what it gave."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            found = condition()
            if found:
                return found
        except (OSError, KeyError, IndexError, ValueError, Failure, api.Refused) as error:
            last = error
        time.sleep(every)
    raise Failure(f"not within {seconds} s: {what}" + (f" ({last})" if last else ""))


def fetch(url, seconds=5):
    """The body of a page as text."""
    with urllib.request.urlopen(url, timeout=seconds) as answer:
        return answer.read().decode()


def container(name, image, command=None, env=None, **more):
    """A container; the environment as a dictionary."""
    made = {"name": name, "image": image, "imagePullPolicy": "IfNotPresent", **more}
    if command:
        made["command"] = command
    if env:
        made["env"] = [{"name": key, "value": str(value)} for key, value in env.items()]
    return made


def speaker(name="app", image=images.PYTHON, **env):
    """The container of an application that logs."""
    return container(name, image, ["python3", "/programs/speak.py"], env)


def pod(name, *containers, annotations=None, labels=None, **spec):
    """A pod of these containers."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "annotations": annotations or {},
            "labels": {"app": name, **(labels or {})},
        },
        "spec": {"containers": list(containers), **spec},
    }


def job(name, *containers, annotations=None, **spec):
    """A job of one pod of these containers."""
    template = pod(name, *containers, annotations=annotations, restartPolicy="Never", **spec)
    template = {key: template[key] for key in ("metadata", "spec")}
    del template["metadata"]["name"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": template},
    }


@contextlib.contextmanager
def namespace(name, injected=True, labels=None):
    """A namespace for one scenario; gone after it, with everything in it."""
    having = {
        "tests/scenario": name,
        **({"sidelight.dev/injection": "enabled"} if injected else {}),
        **(labels or {}),
    }
    # left by an earlier run, or still terminating
    if api.get("Namespace", None, name):
        api.delete("Namespace", None, name)
        until(f"the old {name} is gone", lambda: not api.get("Namespace", None, name))
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": having}})
    until("its account", lambda: api.get("ServiceAccount", name, "default"))
    try:
        yield name
    finally:
        for one in api.every("Pod", name):
            api.delete("Pod", name, one["metadata"]["name"], gracePeriodSeconds=0)
        api.delete("Namespace", None, name)


def start(wanted, where):
    """Creates a pod as it is written, and follows it."""
    wanted["metadata"]["namespace"] = where
    return Running(api.create(wanted))


def would_be(wanted, where):
    """What the API server would make of a pod."""
    wanted["metadata"]["namespace"] = where
    return api.create(wanted, dryRun="All")


def start_as_is(made, where):
    """Creates a pod as injection made it, and was changed after: labelled so that nobody touches it
    again."""
    metadata = {key: made["metadata"].get(key, {}) for key in ("name", "annotations", "labels")}
    metadata["labels"] = {**metadata["labels"], "sidelight.dev/inject": "false"}
    spec = {**made["spec"]}
    volume = next(
        (one["name"] for one in spec.get("volumes", []) if one["name"].startswith("kube-api-access")),
        None,
    )
    return Running(
        api.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {**metadata, "namespace": where},
                "spec": without(spec, volume),
            }
        )
    )


def without(spec, volume):
    """A pod's specification without a volume, which the API server adds again."""
    spec["volumes"] = [one for one in spec.get("volumes", []) if one["name"] != volume]
    for one in [*spec.get("initContainers", []), *spec["containers"]]:
        one["volumeMounts"] = [mount for mount in one.get("volumeMounts", []) if mount["name"] != volume]
    return spec


def adopt(where, **labels):
    """Follows the pod that a controller created; the newest of those with the labels."""
    query = ",".join(f"{key}={value}" for key, value in labels.items())

    def newest():
        found = api.every("Pod", where, labelSelector=query)
        return sorted(found, key=lambda one: one["metadata"]["creationTimestamp"])[-1] if found else None

    return Running(until(f"a pod with {query}", newest))


class Running:
    """A pod that was created. What its containers write is kept from the begin, beyond its deletion."""

    def __init__(self, created):
        self.created = created
        self.namespace = created["metadata"]["namespace"]
        self.name = created["metadata"]["name"]
        self.uid = created["metadata"]["uid"]
        self.folder = POD_LOGS / f"{self.namespace}_{self.name}_{self.uid}"
        self.files = {}
        self.gone = threading.Event()
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        """Holds every log file open: a deleted file stays readable for those who have it open."""
        while not self.gone.wait(0.02):
            for path in self.folder.glob("*/*.log"):
                if path not in self.files:
                    with contextlib.suppress(FileNotFoundError):
                        self.files[path] = open(path, "rb")

    def said(self, name="app", streams=("stdout", "stderr")):
        """The lines that a container wrote, over all its lives."""
        lines = []
        pending = ""
        for path in sorted(path for path in list(self.files) if path.parent.name == name):
            # pread, because concurrent readers share the file position
            with open(f"/proc/self/fd/{self.files[path].fileno()}", "rb") as log:
                for entry in log.read().decode(errors="replace").splitlines():
                    _, stream, part, text = (entry.split(" ", 3) + [""])[:4]
                    if stream in streams:
                        pending += text
                        if part == "F":
                            lines.append(pending)
                            pending = ""
        return lines

    def now(self):
        """The object as the API server has it, or None."""
        found = api.get("Pod", self.namespace, self.name)
        return found if found and found["metadata"]["uid"] == self.uid else None

    def statuses(self):
        """Container statuses by name."""
        status = (self.now() or {}).get("status", {})
        both = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
        return {one["name"]: one for one in both}

    def ready(self, seconds=PATIENCE):
        """Waits until all of it is ready."""
        self.await_that("ready", lambda: condition(self.now(), "Ready"), seconds)
        return self

    def started(self, name="app", seconds=PATIENCE):
        """Waits until a container has been started."""

        def has():
            state = self.statuses()[name]["state"]
            return "running" in state or "terminated" in state

        self.await_that(f"{name} started", has, seconds)
        return self

    def await_that(self, what, has, seconds=PATIENCE):
        """Waits; if it does not come, says what the pod's containers and events say."""
        try:
            return until(f"{self.name}: {what}", has, seconds)
        except Failure as failure:
            raise Failure(f"{failure}\n{self.report()}") from None

    def report(self):
        """Why a pod is not as it should be."""
        lines = [f"{name}: {json.dumps(one.get('state'))}" for name, one in self.statuses().items()]
        lines += [f"event {one['reason']}: {one['message']}" for one in self.events()][-6:]
        for name in {path.parent.name for path in list(self.files)}:
            lines += [f"{name} | {line}" for line in self.said(name)[-6:]]
        return "\n".join(lines)

    def events(self):
        """Events about the pod."""
        return api.every("Event", self.namespace, fieldSelector=f"involvedObject.uid={self.uid}")

    def address(self):
        """Its address."""
        return self.await_that("an address", lambda: self.now()["status"].get("podIP"))

    def port(self):
        """The port of the sidecar's metrics, as the pod says."""
        spec = (self.now() or self.created)["spec"]
        for one in [*spec.get("initContainers", []), *spec["containers"]]:
            for port in one.get("ports", []):
                if port.get("name") == "sl-metrics":
                    return port["containerPort"]
        raise Failure(f"{self.name} has no port sl-metrics")

    def page(self, path):
        """A page of the sidecar."""
        return fetch(f"http://{self.address()}:{self.port()}{path}")

    def metrics(self):
        """What the sidecar exposes now."""
        return Metrics(self.page("/metrics"))

    def received(self, lines, seconds=PATIENCE):
        """Waits until the sidecar has taken that many lines; its metrics then. More are a failure."""

        def all_there():
            metrics = self.metrics()
            ends = [metrics.total(f"sidelight_frames_{end}_total") for end in ("decoded", "refused")]
            came = metrics.total("sidelight_frames_received_total")
            return metrics if min(came, sum(ends)) >= lines else None

        metrics = self.await_that(f"{lines} lines received", all_there, seconds)
        metrics.expect("sidelight_frames_received_total", lines)
        return metrics

    def sent(self, name="app"):
        """What the application said about its lines when it left."""

        def found():
            return [match for line in self.said(name) if (match := SENT.fullmatch(line))]

        return dict(
            zip(
                ("sent", "unsent", "connections"),
                map(int, self.await_that("a count", found)[-1].groups()),
            )
        )

    def delete(self, grace=None):
        """Asks for its end."""
        api.delete(
            "Pod", self.namespace, self.name, **({} if grace is None else {"gracePeriodSeconds": grace})
        )

    def ended(self, seconds=PATIENCE):
        """Waits until the object is gone."""
        self.await_that("gone", lambda: self.now() is None, seconds)
        time.sleep(0.1)
        return self

    def ledger(self):
        """The ledger that the sidecar closed with. Nothing may be lost."""

        def found():
            return [match for line in self.said("sidelight") if (match := LEDGER.search(line))]

        ledger = dict(zip(TERMS, map(int, self.await_that("a closed ledger", found, 30)[-1].groups())))
        expect("lost", ledger["lost"], 0)
        expect("received", ledger["received"], ledger["decoded"] + ledger["refused"])
        expect("offered", ledger["offered"], ledger["sent"] + ledger["dropped"] + ledger["held"])
        return ledger


def condition(thing, kind):
    """Whether a condition of an object is true."""
    conditions = (thing or {}).get("status", {}).get("conditions", [])
    return any(one["type"] == kind and one["status"] == "True" for one in conditions)


class Metrics:
    """The samples of one exposition."""

    def __init__(self, text):
        self.samples = []
        for line in text.splitlines():
            found = SAMPLE.match(line)
            if found and not line.startswith("#"):
                name, labels, value = found.groups()
                self.samples.append((name, dict(LABEL.findall(labels or "")), float(value)))

    def total(self, name, **labels):
        """The sum of all samples of this name that have these labels."""
        return sum(
            value
            for found, having, value in self.samples
            if found == name and labels.items() <= having.items()
        )

    def having(self, name):
        """Labels and values of all samples of this name."""
        return [(having, value) for found, having, value in self.samples if found == name]

    def expect(self, name, expected, **labels):
        """Fails unless the sum is as expected."""
        found = self.total(name, **labels)
        if found != expected:
            alike = (
                "\n".join(f"{having} {value}" for having, value in self.having(name)) or "no such family"
            )
            raise Failure(f"{name} {labels}: expected {expected}, found {found}\n{alike}")
