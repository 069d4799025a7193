"""The images that the scenarios use. They are packed here: there is nowhere to pull them from."""

import os
import shutil
import subprocess
from pathlib import Path

import image
import node
from place import BIN, CACHE, HERE, ROOT

TREE = CACHE / "images/tree"
TREE_PACKED = CACHE / "images/tree.tar"
TARGET = "x86_64-unknown-linux-musl"
# $SIDELIGHT selects another binary, which must be static, with sidelight-tee and sidelight-injector
# in the same directory; then nothing is built
BUILT = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / TARGET / "release/sidelight"
BINARY = Path(os.environ.get("SIDELIGHT") or BUILT).resolve()

SIDELIGHT = "localhost/sidelight:local"
# the same bytes under another name: upgrade tests check which one a pod got
SIDELIGHT_PREVIOUS = "localhost/sidelight:previous"
SIDELIGHT_INJECTOR = "localhost/sidelight-injector:local"
SIDELIGHT_INJECTOR_PREVIOUS = "localhost/sidelight-injector:previous"
PYTHON = "localhost/python:local"
PYTHON_ENTRYPOINT = "localhost/python-entrypoint:local"
PYTHON_INIT = "localhost/python-init:local"
NGINX = "localhost/nginx:local"
NGINX_ENTRYPOINT = "localhost/nginx-entrypoint:local"
PROMETHEUS = "localhost/prometheus:local"
COLLECTOR = "localhost/otelcol:local"

NGINX_COMMAND = ["nginx", "-g", "daemon off;"]


def debian():
    """A small Debian with Python and nginx, kept in the cache. 35 s the first time, for which the network of
    this machine is needed: call it before entering the network of the cluster, which leads nowhere."""
    if not (TREE / "usr/bin/python3").exists() or not (TREE / "usr/sbin/nginx").exists():
        said = node.fetch(
            "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"
        ).stdout
        mirror = next(line for line in said.splitlines() if line.rstrip("/").endswith("debian"))
        suite = next(
            line for line in open("/etc/os-release", encoding="utf-8") if "VERSION_CODENAME" in line
        )
        shutil.rmtree(TREE, ignore_errors=True)
        TREE_PACKED.unlink(missing_ok=True)
        TREE.parent.mkdir(parents=True, exist_ok=True)
        node.fetch(
            "debootstrap",
            "--variant=minbase",
            "--include=python3,nginx-light",
            suite.strip().partition("=")[2],
            TREE,
            mirror,
        )
    return image.tree(TREE, TREE_PACKED)


def sidelight():
    """Builds the static binary that goes into the image."""
    if os.environ.get("SIDELIGHT"):
        return
    subprocess.run(["rustup", "target", "add", TARGET], check=False, capture_output=True)
    subprocess.run(["cargo", "build", "--locked", "--release", "--target", TARGET], cwd=ROOT, check=True)


def load():
    """Packs all of them and hands them to containerd."""
    binary = image.files({"/sidelight": BINARY, "/sidelight-tee": BINARY.with_name("sidelight-tee")})
    for name in (SIDELIGHT, SIDELIGHT_PREVIOUS):
        node.load(image.Image(name, [binary], entrypoint=["/sidelight"], user="65532:65532"))
    binary = image.files({"/sidelight-injector": BINARY.with_name("sidelight-injector")})
    for name in (SIDELIGHT_INJECTOR, SIDELIGHT_INJECTOR_PREVIOUS):
        node.load(image.Image(name, [binary], entrypoint=["/sidelight-injector"], user="65532:65532"))
    programs = {
        f"/programs/{one.name}": one for one in (HERE / "programs").iterdir() if one.suffix == ".py"
    }
    base = [debian(), image.files({"/etc/passwd": TREE / "etc/passwd", **programs})]
    node.load(image.Image(PYTHON, base))
    node.load(image.Image(PYTHON_INIT, [*base, image.files({"/init": HERE / "programs/init.py"})]))
    node.load(
        image.Image(PYTHON_ENTRYPOINT, base, entrypoint=["python3"], command=["/programs/speak.py"])
    )
    node.load(image.Image(NGINX, base))
    node.load(image.Image(NGINX_ENTRYPOINT, base, entrypoint=NGINX_COMMAND))
    node.load(
        image.Image(
            PROMETHEUS, [image.files({"/prometheus": BIN / "prometheus"})], entrypoint=["/prometheus"]
        )
    )
    node.load(
        image.Image(COLLECTOR, [image.files({"/otelcol": BIN / "otelcol"})], entrypoint=["/otelcol"])
    )
