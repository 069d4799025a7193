"""What works without helm: kustomizations, a pod with a sidecar by hand, Compose, systemd."""

import json
import shutil
import tempfile
from pathlib import Path

import helm
from apiserver import run
from helm import CACHE, ROOT
from policy import BINARY, built
from report import Failure, Skip, expect

DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd/sidelight.service"


def kustomized(folder):
    """kubectl kustomize takes the folder; every object stands in its namespace."""
    kubectl = CACHE / "bin/kubectl"
    if not kubectl.exists():
        raise Skip(f"no {kubectl}; tests/cluster/build")
    found = helm.documents(run(kubectl, "kustomize", DEPLOY / folder).stdout)
    if not found:
        raise Failure("nothing comes out")
    if folder != "manual":
        elsewhere = [one["metadata"] for one in found if one["metadata"].get("namespace", "sidelight-system") != "sidelight-system"]
        expect("elsewhere", elsewhere, [])


def by_hand():
    """The sidecar written by hand is the one that `sidelight inject` writes."""
    written = helm.documents((DEPLOY / "manual/deployment.yaml").read_text())[0]
    bare = json.loads(json.dumps(written))
    spec, metadata = bare["spec"]["template"]["spec"], bare["spec"]["template"]["metadata"]
    del spec["initContainers"], spec["volumes"], metadata["annotations"], metadata["labels"]["sidelight.dev/injected"]
    for container in spec["containers"]:
        del container["env"], container["volumeMounts"]
    with tempfile.TemporaryDirectory(prefix="sidelight-manual-") as folder:
        file, configuration = Path(folder) / "deployment.json", Path(folder) / "injector.yaml"
        file.write_text(json.dumps(bare))
        configuration.write_text("image: ghcr.io/example/sidelight:0.1.0\n")
        made = json.loads(run(built(), "inject", "-f", file, "--config", configuration, "-o", "json").stdout)
    by_us = made["spec"]["template"]["spec"]
    theirs, ours = (
        {**one["initContainers"][0], "env": [entry for entry in one["initContainers"][0]["env"]
                                             if entry["name"] != "OTEL_RESOURCE_ATTRIBUTES"]}
        for one in (written["spec"]["template"]["spec"], by_us)
    )
    ours.pop("imagePullPolicy", None)
    for key in sorted({*theirs, *ours}):
        expect(f"sidecar, {key}", theirs.get(key), ours.get(key))
    volumes = [{**volume, **({"configMap": {k: v for k, v in volume["configMap"].items() if k != "defaultMode"}}
                             if "configMap" in volume else {})} for volume in by_us["volumes"]]
    expect("volumes", written["spec"]["template"]["spec"]["volumes"], volumes)
    for key in ("env", "volumeMounts"):
        found = written["spec"]["template"]["spec"]["containers"][0][key]
        expect(f"application, {key}", found, by_us["containers"][0][key])


def compose():
    """Docker Compose's own reader takes the file, and finds both services."""
    checker = CACHE / "bin/compose-check"
    if not checker.exists():
        raise Skip(f"no {checker}; tests/chart/compose/build")
    expect("services", run(checker, DEPLOY / "compose/compose.yaml").stdout.split(), ["app", "sidelight"])


def unit():
    """systemd itself finds nothing wrong with the unit and little exposed."""
    if not shutil.which("systemd-analyze"):
        raise Skip("no systemd-analyze")
    with tempfile.TemporaryDirectory(prefix="sidelight-unit-") as folder:
        copy = Path(folder) / "sidelight.service"
        copy.write_text(UNIT.read_text().replace("/usr/local/bin/sidelight", str(built())))
        done = run("systemd-analyze", "verify", "--man=no", copy)
        expect("systemd-analyze verify", done.stderr.strip(), "")
        run("systemd-analyze", "security", "--offline=true", "--threshold=20", copy)


def check(report):
    """All of them."""
    for folder in ("webhook", "policy", "monitoring", "manual"):
        report.check(f"kustomize deploy/{folder}", kustomized, folder)
    report.check(f"the sidecar by hand is that of {BINARY.name} inject", by_hand)
    report.check("Compose", compose)
    report.check("systemd unit", unit)
