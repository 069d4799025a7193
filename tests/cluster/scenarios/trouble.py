"""Whatever is wrong with us, the application starts; what is changed comes into force; what dies comes
back."""

import json
import os
import time
from pathlib import Path

import api
import images
import pods
from place import KUBELET, NAME
from pods import container, namespace, pod, speaker, start, until
from report import Failure, Skip, expect, expect_within

RULES = """
rules:
  - name: parcels
    when: has(number)
    metrics:
      - counter: {{name: {name}, help: Parcels.}}
"""

# time from kubelet's replacement of the files to the new rules
LIVE_SECONDS = 2.0


def config_map(where, name, text):
    """A ConfigMap with one file of configuration."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": where},
        "data": {"sidelight.yaml": text},
    }


def reload():
    """A changed ConfigMap comes into force within two seconds of kubelet's swap, under load: no line
    is lost, no
    counter begins anew; a broken one changes nothing and says so; `enabled: false` makes a counted sink.
    """
    with namespace("sl-reload") as where:
        running = {}
        for name in ("good", "broken", "off"):
            api.create(config_map(where, name, RULES.format(name="parcels_total")))
            wanted = pod(
                name,
                speaker(RATE=200),
                annotations={"sidelight.dev/rules": name},
                terminationGracePeriodSeconds=5,
            )
            running[name] = start(wanted, where)
        for one in running.values():
            one.ready()
            until("the rules", lambda one=one: one.metrics().total("parcels_total") > 0)
        began = time.time()
        for name, text in (
            ("good", RULES.format(name="letters_total")),
            ("broken", "rules: [{name: 7, whne: ]\n"),
            ("off", "enabled: false\n"),
        ):
            api.apply(config_map(where, name, text))
        swapped = {}
        live = {}

        def look(name):
            if name not in swapped and (at := swap(running[name])) > began:
                swapped[name] = at
            if name in swapped and name not in live and arrived(name, running[name]):
                live[name] = time.time() - swapped[name]

        def all_of_them():
            for name in running:
                look(name)
            return len(live) == len(running)

        # kubelet checks once a minute, plus up to half a minute; then its cache may be a minute old
        until("kubelet swaps and sidelight follows", all_of_them, 240, every=0.05)
        for name, seconds in live.items():
            print(f"        {name}: live {seconds:.2f} s after the swap")
            expect_within(f"{name} live after the swap", seconds, 0, LIVE_SECONDS + 0.2)
        metrics = running["broken"].metrics()
        expect("said to have failed", metrics.total("sidelight_config_last_load_successful"), 0)
        count = metrics.total("parcels_total")
        until(
            "the old rules still count",
            lambda: running["broken"].metrics().total("parcels_total") > count,
        )
        for one in running.values():
            one.delete()
        for name, one in running.items():
            one.ended()
            ledger = one.ledger()
            expect(f"{name}: received", ledger["received"], one.sent()["sent"])
            if name == "off" and ledger["refused"] == 0:
                raise Failure("switched off, and nothing was refused")


def swap(running):
    """When kubelet last swapped the files of the pod's rules."""
    data = KUBELET / f"pods/{running.uid}/volumes/kubernetes.io~configmap/sidelight-rules/..data"
    return os.lstat(data).st_mtime


def arrived(name, running):
    """Whether the change is in force."""
    metrics = running.metrics()
    if name == "good":
        return metrics.total("letters_total") > 0
    if name == "broken":
        return metrics.total("sidelight_config_last_load_successful") == 0
    return metrics.total("sidelight_frames_refused_total", reason="disabled") > 0


def starts_anyway():
    """A broken ConfigMap, a Service named metrics, a taken port: the application starts, its lines are
    taken."""
    with namespace("sl-anyway") as where:
        api.create(config_map(where, "bad", "}{ not yaml"))
        api.create(config_map(where, "sidelight", "metrics: {limits: {series: many}}"))
        api.create(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "metrics", "namespace": where},
                "spec": {"selector": {"app": "none"}, "ports": [{"port": 9090}]},
            }
        )
        app = speaker(LINES=100, RATE=200, LINGER=1)
        broken = start(
            pod(
                "broken", app, annotations={"sidelight.dev/rules": "bad"}, terminationGracePeriodSeconds=5
            ),
            where,
        )
        # a port that the pod uses but does not declare
        thief = container("thief", images.PYTHON, ["python3", "-m", "http.server", "19464"])
        thief["restartPolicy"] = "Always"
        robbed = would_be_robbed(where, thief, app)
        broken.ready()
        metrics = broken.received(100)
        expect("said", metrics.total("sidelight_config_last_load_successful"), 0)
        said = [line for line in broken.said("sidelight") if "METRICS_PORT" in line]
        expect("restarts", broken.statuses()["sidelight"]["restartCount"], 0)
        if not said:
            raise Failure("METRICS_PORT=tcp://... is nowhere mentioned")
        robbed.started()
        until("its lines are sent", lambda: robbed.sent()["unsent"] == 0)
        robbed.delete()
        robbed.ended()
        expect("received", robbed.ledger()["received"], 100)


def would_be_robbed(where, thief, app):
    """A pod in which another container has our port before we do: the thief is put before the sidecar."""
    made = pods.would_be(pod("robbed", app, terminationGracePeriodSeconds=5), where)
    sidecar = next(one for one in made["spec"]["initContainers"] if one["name"] == "sidelight")
    # only the other process answers liveness probes on the port; its 404 would make kubelet restart
    # the sidecar
    sidecar.pop("livenessProbe", None)
    made["spec"]["initContainers"].insert(0, thief)
    return pods.start_as_is(made, where)


# socket(2) fails for the IPv6 family, as in a kernel without IPv6
NO_IPV6 = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
        {
            "names": ["socket"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": 97,
            "args": [{"index": 0, "value": 10, "op": "SCMP_CMP_EQ"}],
        }
    ],
}


def no_ipv6():
    """A node without IPv6: the port is served all the same."""
    profile = KUBELET / "seccomp/no-ipv6.json"
    profile.write_text(json.dumps(NO_IPV6), encoding="utf-8")
    with namespace("sl-ipv6") as where:
        made = pods.would_be(
            pod("four", speaker(LINES=100, RATE=200, LINGER=1), terminationGracePeriodSeconds=5), where
        )
        sidecar = next(one for one in made["spec"]["initContainers"] if one["name"] == "sidelight")
        sidecar["securityContext"]["seccompProfile"] = {
            "type": "Localhost",
            "localhostProfile": profile.name,
        }
        running = pods.start_as_is(made, where).ready()
        running.received(100)
        expect("restarts", running.statuses()["sidelight"]["restartCount"], 0)


# a line of speak.py
LINE_BYTES = 150


def out_of_memory():
    """The kernel kills the sidecar for its memory; it comes back, takes the socket over, and the next
    line arrives."""
    if not Path("/sys/fs/cgroup/memory").exists():
        raise Skip("cgroup v1 is not mounted: this check lowers its memory limit")
    with namespace("sl-oom") as where:
        app = speaker(RATE=100, SERVICE="steady")
        running = start(pod("tight", app, terminationGracePeriodSeconds=5), where).ready()
        until("lines", lambda: steady(running) > 100)
        cgroup = memory_of(running)
        before = {"count": 0}

        def killed():
            squeeze(cgroup)
            try:
                before["count"] = max(before["count"], steady(running))
            except OSError:
                pass
            return running.statuses()["sidelight"]["restartCount"] > 0

        until("killed", killed, every=0.02)
        died = running.statuses()["sidelight"]["lastState"]["terminated"]["reason"]
        expect("reason", died, "OOMKilled")
        until("lines again", lambda: steady(running) > 100)
        running.delete()
        running.ended()
        sent, ledger = running.sent(), running.ledger()
        lost = sent["sent"] - before["count"] - ledger["received"]
        print(f"        lost with it: {lost:.0f} lines; not sent while it was away: {sent['unsent']}")
        expect("connections", sent["connections"], 2)
        # the bytes of one read and of the kernel's socket buffer (208 KiB), and those that arrived
        # after our last check
        expect_within("bytes lost in silence", lost * LINE_BYTES, 0, 340_000)


def steady(running):
    """Lines of the application in this life of the sidecar."""
    return running.metrics().total("http_requests_total", endpoint="/steady", status_code="200")


def memory_of(running):
    """The sidecar's cgroup of memory."""
    container_id = running.statuses()["sidelight"]["containerID"].rpartition("/")[2]
    return next(Path("/sys/fs/cgroup/memory", NAME).glob(f"**/{container_id}"))


def squeeze(cgroup):
    """Sets a memory limit below what is used, as one that was guessed too low; over when the cgroup is."""
    for part in range(100, 0, -2):
        try:
            used = int((cgroup / "memory.usage_in_bytes").read_text(encoding="ascii"))
            limit = str(used * part // 100)
            (cgroup / "memory.limit_in_bytes").write_text(limit, encoding="ascii")
        except OSError:
            return
