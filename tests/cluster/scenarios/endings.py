"""How pods end: every line is accounted for, also where hardly any time is left."""

import time

import api
import node
import observability
import pods
from place import NODE
from pods import namespace, pod, speaker, start, until
from report import Failure, expect, expect_within


def delete_under_load():
    """A pod is deleted while it logs 5,000 lines a second: sent equals received, every span has arrived."""
    with namespace("sl-delete") as where:
        running = start(
            pod("busy", speaker(RATE=5000, SERVICE="busy"), terminationGracePeriodSeconds=20), where
        ).ready()
        until(
            "some thousand lines",
            lambda: running.metrics().total("sidelight_frames_received_total") > 10_000,
        )
        running.delete()
        running.ended()
        sent, ledger = running.sent(), running.ledger()
        expect("unsent", sent["unsent"], 0)
        expect("received", ledger["received"], sent["sent"])
        expect("decoded", ledger["decoded"], sent["sent"])
        expect("offered", ledger["offered"], sent["sent"])
        expect("spans", len(observability.spans(k8s__namespace__name=where)), ledger["sent"])
        expect("not exported", (ledger["dropped"], ledger["held"]), (0, 0))


def grace_used_up():
    """The application ignores SIGTERM and is killed at the end of its grace period: two seconds are
    enough."""
    with namespace("sl-grace") as where:
        app = speaker(RATE=500, TERM_IS="ignore", SERVICE="stubborn")
        running = start(pod("stubborn", app, terminationGracePeriodSeconds=4), where).ready()
        until("lines", lambda: running.metrics().total("sidelight_frames_received_total") > 500)
        begin = time.monotonic()
        running.delete()
        running.ended()
        took = time.monotonic() - begin
        ledger = running.ledger()
        expect("SIGTERM received", running.said().count("SIGTERM"), 1)
        # it was killed without printing a count: at 500 lines per second to the end, at least four
        # seconds of lines
        if ledger["received"] < 4 * 500:
            raise Failure(f"{ledger['received']} lines received in {took:.1f} s")
        expect("spans", len(observability.spans(k8s__namespace__name=where)), ledger["sent"])
        expect_within("seconds until it was gone", took, 4, 15)


def drained():
    """kubectl drain evicts a pod of a Deployment under load: it goes at once, and its ledger closes."""
    with namespace("sl-drain") as where:
        template = pod("drained", speaker(RATE=500), terminationGracePeriodSeconds=10)
        template = {"metadata": {"labels": template["metadata"]["labels"]}, "spec": template["spec"]}
        api.create(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "drained", "namespace": where},
                "spec": {"selector": {"matchLabels": {"app": "drained"}}, "template": template},
            }
        )
        running = pods.adopt(where, app="drained").ready()
        until("lines", lambda: running.metrics().total("sidelight_frames_received_total") > 500)
        try:
            done = node.kubectl(
                "drain",
                NODE,
                "--pod-selector=app=drained",
                "--delete-emptydir-data",
                "--timeout=60s",
                check=False,
            )
        finally:
            node.kubectl("uncordon", NODE)
        expect("kubectl drain", (done.returncode, done.stderr if done.returncode else ""), (0, ""))
        running.ended()
        expect("received", running.ledger()["received"], running.sent()["sent"])
