"""Every value of the chart set to null, to nothing, and to what the chart writes itself; rendered and read strictly."""

import json
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import helm
import values
from helm import CACHE, CHART, documents, find
from report import Failure, Skip, expect

PYTHON = CACHE / "venv/bin/python"
# the number of kinds
ALL = ["--set", "forceKinds={monitoring,cert-manager,policy}"]
MODES = {
    "webhook": [],
    "cert-manager": ["--set", "tls.mode=cert-manager"],
    "policy": ["--set", "injection.mode=policy"],
}
# helm runs as one process per rendering
WORKERS = 2


def paths(read):
    """Every key of values.yaml, those with keys below them included."""
    for value in read.values():
        yield value
        yield from paths(value.below)


def known():
    """All values of the chart."""
    return list(paths(values.read((CHART / "values.yaml").read_text())))


def rendered(cases):
    """Renders each case, two at a time: {name: finished process}."""
    with ThreadPoolExecutor(WORKERS) as pool:
        done = pool.map(lambda arguments: helm.template(*arguments, check=False), cases.values())
        return dict(zip(cases, done))


def strictly(texts):
    """Fails where a text is no YAML or has a key twice."""
    if not PYTHON.exists():
        raise Skip(f"no {PYTHON}; tests/peers/build")
    script = Path(__file__).with_name("duplicates.py")
    done = subprocess.run([PYTHON, script], input=json.dumps(texts), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(done.stderr[-2000:])
    expect("keys that stand twice", json.loads(done.stdout), {})


def nulls():
    """A value that is null is as good as none: the chart renders, in each mode."""
    cases = {
        f"{value.path}=null, {mode}": [*ALL, *more, "--set-json", f"{value.path}=null"]
        for value in known()
        for mode, more in MODES.items()
        if mode == "webhook" or value.path.split(".")[0] in ("image", "injection", "sidecar", "tls", "commonLabels")
        if not (mode == "cert-manager" and value.path in ("tls", "tls.mode"))
        if not (mode == "policy" and value.path in ("injection", "injection.mode"))
    }
    done = rendered(cases)
    failed = {name: one.stderr.strip() for name, one in done.items() if one.returncode}
    expect("values that cannot be null", failed, {})
    strictly({name: one.stdout for name, one in done.items()})


def nothing(value):
    """The empty value of its kind; None where there is none."""
    empty = {str: "", list: [], dict: {}}
    return None if value.below else empty.get(type(value.default))


def empties():
    """A value that is empty renders, or the schema says which one may not be."""
    cases, named = {}, {}
    for value in known():
        empty = nothing(value)
        if empty is not None:
            name = f"{value.path}={json.dumps(empty)}"
            cases[name] = [*(ALL if value.path != "forceKinds" else []), "--set-json", name]
            named[name] = value.path
    done = rendered(cases)
    for name, one in done.items():
        # depending on its version, helm writes the path with slashes or dots
        if one.returncode and named[name] not in one.stderr.replace("/", "."):
            raise Failure(f"{name}: {one.stderr.strip()}")
    strictly({name: one.stdout for name, one in done.items() if not one.returncode})


def own_labels(found):
    """Every label and annotation that the chart writes anywhere."""
    keys = set()
    for one in found:
        for holder in (one, one.get("spec", {}).get("template", {})):
            metadata = holder.get("metadata", {}) if isinstance(holder, dict) else {}
            keys |= {*metadata.get("labels", {}), *metadata.get("annotations", {})}
    return sorted(keys)


MAPS = ["commonLabels", "injector.podLabels", "injector.podAnnotations", "podMonitor.labels", "serviceMonitor.labels",
        "prometheusRule.labels", "prometheusRule.alertLabels", "dashboards.labels", "dashboards.annotations"]


def overlapping():
    """Labels and annotations that repeat ours: no key stands twice, and no selector misses its pods."""
    keys = own_labels(helm.objects(*ALL))
    if len(keys) < 8:
        raise Failure(f"only {keys}")
    theirs = json.dumps({key: "theirs" for key in keys} | {"severity": "theirs"})
    every = [part for name in MAPS for part in ("--set-json", f"{name}={theirs}")]
    cases = {f"{name}, {mode}": [*ALL, *more, "--set-json", f"{name}={theirs}"] for name in MAPS for mode, more in MODES.items()}
    cases |= {f"all of them, {mode}": [*ALL, *more, *every] for mode, more in MODES.items()}
    done = rendered(cases)
    expect("what cannot be rendered", {name: one.stderr for name, one in done.items() if one.returncode}, {})
    strictly({name: one.stdout for name, one in done.items()})
    for name in ("commonLabels, webhook", "injector.podLabels, webhook", "all of them, webhook"):
        found = documents(done[name].stdout)
        spec = find(found, "Deployment")["spec"]
        labels = spec["template"]["metadata"]["labels"]
        for selector in (spec["selector"]["matchLabels"], find(found, "Service")["spec"]["selector"]):
            expect(f"{name}: selected", {key: labels[key] for key in selector}, selector)
        expect(f"{name}: the injector is not injected", labels["sidelight.dev/inject"], "false")
        test = find(found, "Pod")
        expect(f"{name}: the test's pod is", test["metadata"]["labels"]["sidelight.dev/inject"], "true")


PARENT = """apiVersion: v2
name: parent
version: 0.0.0
dependencies:
  - {name: sidelight, version: ">=0.0.0-0", condition: sidelight.enabled}
"""


def dependency():
    """As part of another chart: switched on and off by its condition, with values that are null there."""
    with tempfile.TemporaryDirectory(prefix="sidelight-parent-") as folder:
        parent = Path(folder)
        (parent / "charts").mkdir()
        (parent / "charts/sidelight").symlink_to(CHART)
        (parent / "Chart.yaml").write_text(PARENT)
        for enabled, count in (("true", 1), ("false", 0)):
            text = helm.template("--set", f"sidelight.enabled={enabled}", chart=parent)
            found = [one for one in documents(text) if one["kind"] == "Deployment"]
            expect(f"Deployments with sidelight.enabled={enabled}", len(found), count)
        nulled = ["sidecar.defaults", "sidecar.otlp", "sidecar.finalScrape", "injector.podLabels", "commonLabels", "tls"]
        for name in nulled:
            text = helm.template("--set-json", f"sidelight.{name}=null", chart=parent)
            strictly({name: text})


def numbers():
    """Names that YAML takes for numbers or for truth stay names."""
    found = documents(helm.run("template", "1e3", CHART, "--namespace", "123", "--kube-version", helm.KUBERNETES, *ALL,
                               "--set-string", "revision=007,helmTest.namespace=0x1f,injector.priorityClassName=1",
                               "--set-json", 'image.pullSecrets=["1"]'))
    for one in found:
        metadata = one["metadata"]
        for what in (metadata["name"], metadata.get("namespace", ""), *metadata["labels"].values()):
            if not isinstance(what, str):
                raise Failure(f"{one['kind']} {metadata['name']}: {what!r} is no text")


def check(report):
    """All of them."""
    helm.run("version")
    report.check("every value may be null", nulls)
    report.check("every value may be empty, or the schema says so", empties)
    report.check("labels that repeat ours stand once", overlapping)
    report.check("as a dependency with a condition", dependency)
    report.check("names that look like numbers", numbers)
