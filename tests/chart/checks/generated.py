"""Files that are made of something else, and from what. A part gives {path: text} and changes nothing itself."""

import json
import os
import re

import values
from helm import CHART, HELM, NAMESPACE, ROOT, template

BEGIN = "<!-- values: written by tests/chart/generate -->\n"
END = "<!-- end of values -->"


class Missing(Exception):
    """What a part is made with is not here."""


def schema():
    """The schema, from the comments of values.yaml."""
    read = values.read((CHART / "values.yaml").read_text())
    return {CHART / "values.schema.json": values.schema(read)}


def defaults():
    """The defaults as a template: Helm takes keys that are set to null out of the values, and a template cannot read
    values.yaml."""
    read = values.read((CHART / "values.yaml").read_text())
    text = json.dumps(values.completed(read), indent=2, ensure_ascii=False)
    return {CHART / "templates/_defaults.tpl": f"{DEFAULTS}{text}\n{{{{- end }}}}\n"}


DEFAULTS = """{{/* What a value is that is missing or null: an empty list or map, else the default of values.yaml, from which
     tests/chart/generate writes this. */}}
{{- define "sidelight.defaults" -}}
"""


def readme():
    """The table of values in the chart's README."""
    path = CHART / "README.md"
    text = path.read_text()
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{path} has no place for the table")
    table = values.table(values.read((CHART / "values.yaml").read_text()))
    return {path: f"{before}{BEGIN}{table}{END}{after}"}


def policy():
    """The admission policy's specification, which the binary has built in."""
    return {CHART / "policy/spec.yaml": (ROOT / "crates/injector/src/inject/admission/spec.yaml").read_text()}


# Manifests that are rendered for users without helm, and the arguments of each. Users create the
# namespace themselves, from a separate file.
PLAIN = ["--set", "helmTest.enabled=false", "--set", "dashboards.enabled=false"]
DEPLOY = {
    "webhook/sidelight.yaml": [*PLAIN],
    "policy/sidelight.yaml": [*PLAIN, "--set", "injection.mode=policy,forceKinds={policy}"],
    "monitoring/sidelight.yaml": ["--set", "forceKinds={monitoring}", *[
        part for name in ("podmonitor", "servicemonitor", "prometheusrule", "dashboards")
        for part in ("--show-only", f"templates/monitoring/{name}.yaml")
    ]],
}
HEADER = """# Rendered from helm/sidelight by tests/chart/generate: change it there.
"""
# labels about the installer, which do not apply without helm
HELMS = re.compile(r"^ *(app\.kubernetes\.io/managed-by: Helm|helm\.sh/chart: .*)\n|^# Source: .*\n", re.MULTILINE)


def deploy():
    """Plain manifests of each mode."""
    if not os.access(HELM, os.X_OK):
        raise Missing(f"no {HELM}; tests/cluster/build")
    return {
        ROOT / "deploy" / name: HEADER + HELMS.sub("", template(*arguments)) for name, arguments in DEPLOY.items()
    }


def kustomizations():
    """Namespace and kustomization of what is rendered, for `kubectl apply -k`."""
    made = {}
    for name in DEPLOY:
        folder, file = name.split("/")
        resources = [file] if folder == "monitoring" else ["namespace.yaml", file]
        lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization", f"namespace: {NAMESPACE}", "resources:"]
        made[ROOT / "deploy" / folder / "kustomization.yaml"] = "\n".join([*lines, *(f"  - {one}" for one in resources), ""])
        if folder != "monitoring":
            made[ROOT / "deploy" / folder / "namespace.yaml"] = NAMESPACE_YAML
    return made


NAMESPACE_YAML = f"""apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/warn: restricted
"""

PARTS = {
    "schema": schema,
    "defaults": defaults,
    "readme": readme,
    "policy": policy,
    "deploy": lambda: {**deploy(), **kustomizations()},
}


def differing(files):
    """What is not as it should be."""
    for path, text in files.items():
        if not path.exists() or path.read_text() != text:
            yield path.relative_to(ROOT), text


def write(path, text):
    """Writes a file below the root."""
    (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
    (ROOT / path).write_text(text)
