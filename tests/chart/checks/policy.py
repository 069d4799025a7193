"""The chart's admission policy and the one that `sidelight inject policy` prints are the same."""

import json
import os
import tempfile
from pathlib import Path

import helm
from apiserver import run
from helm import CHART, ROOT
from report import Failure, Skip, expect

TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
BINARY = Path(os.environ.get("SIDELIGHT") or TARGET / "release/sidelight")
POLICY = ["--set", "injection.mode=policy,forceKinds={policy}"]
# values that set every parameter
CASES = {
    "the defaults": [],
    "a revision": ["-f", CHART / "ci/canary.yaml"],
    "everything": ["-f", CHART / "ci/everything.yaml", "--set", "injection.namespaceSelector=null",
                   "--set", "injection.objectSelector=null"],
    "one namespace otherwise": ["--set-json", 'sidecar.namespaces={"shop":{"port":2000,"resources":{"limits":{"memory":"96Mi"}},'
                                '"otlp":{"endpoint":"http://c:4317","protocol":"grpc","headers":{"A":"b,c=%"}},'
                                '"finalScrape":{"jobs":"70s"},"metrics":{"prefix":"shop_"}},"kube-system":{"port":3000}}'],
    "headers from a Secret": ["--set", "sidecar.otlp.endpoint=http://c:4318,sidecar.otlp.headers.a=b",
                              "--set", "sidecar.otlp.headersSecret.name=otlp,sidecar.tee.imageVolume=always"],
    "groups off": ["--set", "sidecar.metrics.groups.http=false,sidecar.metrics.groups.log=false,sidecar.mesh=none"],
}


def built():
    """The binary."""
    debug = TARGET / "debug/sidelight"
    found = next((path for path in (BINARY, debug) if os.access(path, os.X_OK)), None)
    if not found:
        raise Skip(f"no {BINARY}: cargo build --release, or set SIDELIGHT")
    return found


def configuration(arguments):
    """What the chart writes for the injector."""
    found = helm.objects(*arguments)
    maps = [one for one in found if one["kind"] == "ConfigMap" and "injector.yaml" in one.get("data", {})]
    return maps[0]["data"]["injector.yaml"]


def read_by_us(arguments):
    """sidelight reads the rendered configuration, and warns of plain headers only."""
    with tempfile.TemporaryDirectory(prefix="sidelight-policy-") as folder:
        path = Path(folder) / "injector.yaml"
        path.write_text(configuration(arguments))
        done = run(built(), "inject", "policy", "--config", path)
        warnings = [line for line in done.stderr.splitlines() if line.startswith(("error", "warning"))]
        expect("warnings", [line for line in warnings if "in plain text in every pod" not in line], [])
        expect("exit code", done.returncode, 0)
        return done.stdout


def essence(found):
    """Names, specifications and parameters, without what helm adds, and without the hash of another configuration."""
    made = {}
    for one in found:
        data = dict(one.get("data", {}))
        data.pop("config_hash", None)
        if "defaults" in data:
            data["defaults"] = helm.documents(data["defaults"])[0]
        made[one["kind"], one["metadata"]["name"]] = {"spec": one.get("spec"), "data": data}
    return made


def same(arguments):
    """Object by object."""
    ours = essence(helm.documents(read_by_us(arguments)))
    kinds = {kind for kind, _ in ours}
    found = [one for one in helm.objects(*arguments, *POLICY, "--set", "dashboards.enabled=false,extraObjects=null")
             if one["kind"] in kinds]
    theirs = essence(found)
    expect("objects", sorted(theirs), sorted(ours))
    for key, value in ours.items():
        for part in ("spec", "data"):
            left, right = theirs[key][part] or {}, value[part] or {}
            for name in sorted({*left, *right}):
                expect(f"{key} {part} {name}", json.dumps(left.get(name), sort_keys=True), json.dumps(right.get(name), sort_keys=True))
    if not any(kind == "MutatingAdmissionPolicy" for kind, _ in ours):
        raise Failure("there is no policy")


def check(report):
    """All of them."""
    built()
    for name, arguments in CASES.items():
        report.check(f"the injector's configuration is read: {name}", read_by_us, arguments)
        report.check(f"the chart's policy is sidelight's: {name}", same, arguments)
