"""The real helm, and what it renders as data. No YAML is read in Python: helm reads it, with the parser that counts."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from report import Failure, Skip

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "helm/sidelight"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sidelight"
HELM = CACHE / "bin/helm"
NAMESPACE = "sidelight-system"
# a helm built from its module assumes Kubernetes 1.20
KUBERNETES = "1.36.0"
SECONDS_MAX = 60

READER = """{{- $all := list }}
{{- range $path, $_ := .Files.Glob "documents/*" }}
{{- $all = append $all ($.Files.Get $path | fromYaml) }}
{{- end }}
{{ dict "all" $all | toJson }}
"""


def run(*arguments, check=True):
    """Runs helm; its output, or with `check` false the finished process."""
    if not HELM.exists():
        raise Skip(f"no {HELM}; tests/cluster/build")
    command = [HELM, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    if not check:
        return done
    if done.returncode:
        raise Failure(f"helm {' '.join(map(str, arguments))}\n{done.stderr.strip()}")
    return done.stdout


def template(*arguments, release="sidelight", chart=CHART, check=True):
    """The chart's manifests as text."""
    fixed = ["--namespace", NAMESPACE, "--kube-version", KUBERNETES]
    return run("template", release, chart, *fixed, *arguments, check=check)


def notes(*arguments):
    """What helm prints after an install: `helm template` leaves it out, so it is rendered as a template like others."""
    with tempfile.TemporaryDirectory(prefix="sidelight-notes-") as folder:
        chart = Path(folder) / "sidelight"
        shutil.copytree(CHART, chart)
        text = (chart / "templates/NOTES.txt").read_text()
        (chart / "templates/_notes.tpl").write_text('{{- define "notes" -}}\n' + text + "{{- end -}}\n")
        (chart / "templates/notes.yaml").write_text('notes: {{ include "notes" . | toJson }}\n')
        return documents(template("--show-only", "templates/notes.yaml", *arguments, chart=chart))[0]["notes"]


def documents(text):
    """The documents of a YAML text that are not empty."""
    parts = re.split(r"^---.*$", text, flags=re.MULTILINE)
    full = [part for part in parts if re.search(r"^[^#\s]", part, flags=re.MULTILINE)]
    with tempfile.TemporaryDirectory(prefix="sidelight-chart-") as folder:
        chart = Path(folder)
        (chart / "documents").mkdir()
        (chart / "templates").mkdir()
        (chart / "Chart.yaml").write_text("{apiVersion: v2, name: reader, version: 0.0.0}\n")
        (chart / "templates/all.yaml").write_text(READER)
        for number, part in enumerate(full):
            (chart / f"documents/{number:04}").write_text(part)
        rendered = run("template", "reader", chart)
    found = json.loads(rendered[rendered.index("{"):])["all"]
    broken = [one["Error"] for one in found if set(one) == {"Error"}]
    if broken:
        raise Failure(f"no YAML: {broken}")
    return found


def objects(*arguments, **keywords):
    """What the chart renders, as data."""
    return documents(template(*arguments, **keywords))


def find(found, kind, name=None):
    """The only object of this kind (and name)."""
    fits = [one for one in found if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    if len(fits) != 1:
        raise Failure(f"{len(fits)} objects of kind {kind} {name or ''}, not one")
    return fits[0]
