"""The libraries and servers of other people that docs/clients.md names, from their registries, kept in the cache."""

import fcntl
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from report import Failure, Skip
from sidecar import CACHE, ROOT

EXAMPLES = ROOT / "examples"
# what the Python examples run under
PYTHON = [
    "celery==5.7.0", "django==5.2.19", "fastapi==0.165.0", "flask==3.1.3", "gunicorn==27.0.1", "uvicorn==0.54.0",
]


def run(command, **more):
    """Runs a command to its end; what it says is shown when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command[:4]))} ...: exit {done.returncode}\n{done.stdout[-2000:]}")


@contextmanager
def stamped(folder, contents):
    """Yields True if `folder` was not made from these contents; two runs at once do not disturb each other."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = folder / ".made-from"
        is_new = not stamp.is_file() or stamp.read_text(encoding="utf-8") != contents
        yield is_new
        if is_new:
            stamp.write_text(contents, encoding="utf-8")


def found(name):
    """Where a program is, also if only root's PATH has it."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def apt(name, *packages):
    """Where a program is, installed from Debian's packages if we may."""
    path = found(name)
    if not path and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}
        subprocess.run(["apt-get", "update"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *packages], **quiet)
        path = found(name)
    if not path:
        raise Skip(f"no {name}; apt-get install {' '.join(packages)}")
    return path


def python_environment():
    """The bin folder of a Python environment with the libraries."""
    folder = CACHE / "clients/python"
    with stamped(folder, "\n".join(PYTHON)) as is_new:
        if is_new:
            run([sys.executable, "-m", "venv", folder])
            run([folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *PYTHON])
    return str(folder / "bin")


def node_modules():
    """The folder with the packages of examples/node/package.json."""
    if not shutil.which("npm"):
        raise Skip("no npm")
    folder = CACHE / "clients/node"
    manifest = (EXAMPLES / "node/package.json").read_text(encoding="utf-8")
    with stamped(folder, manifest) as is_new:
        if is_new:
            (folder / "package.json").write_text(manifest, encoding="utf-8")
            run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"], cwd=folder)
    return str(folder / "node_modules")


def go_program():
    """examples/go, compiled."""
    if not shutil.which("go"):
        raise Skip("no go")
    target = CACHE / "clients/go"
    target.mkdir(parents=True, exist_ok=True)
    run(["go", "build", "-o", target / "example", "."], cwd=EXAMPLES / "go")
    return str(target / "example")


def rust_program():
    """examples/rust, compiled."""
    target = CACHE / "clients/rust"
    run(
        ["cargo", "build", "--locked", "--quiet"], cwd=EXAMPLES / "rust",
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
    )
    return str(target / "debug/sidelight-example")


def java_classes():
    """The class path of both Java examples."""
    if not shutil.which("javac") or not shutil.which("mvn"):
        raise Skip("no javac or no mvn")
    folder = CACHE / "clients/java"
    sources = [EXAMPLES / "java" / name for name in ("Logback.java", "Log4j.java")]
    contents = "".join(path.read_text(encoding="utf-8") for path in [EXAMPLES / "java/pom.xml", *sources])
    jars = folder / "jars"
    with stamped(folder, contents) as is_new:
        if is_new:
            shutil.rmtree(jars, ignore_errors=True)
            pom = EXAMPLES / "java/pom.xml"
            run(["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={jars}"])
            run(["javac", "-cp", f"{jars}/*", "-d", folder / "classes", *sources])
    return f"{folder}/classes:{jars}/*"


def monolog():
    """The file that loads Monolog."""
    apt("php", "php-cli", "php-monolog")
    path = "/usr/share/php/Monolog/autoload.php"
    if not os.path.exists(path):
        raise Skip("no Monolog; apt-get install php-monolog")
    return path


def postgresql_programs():
    """The folder with initdb, postgres and psql, which Debian keeps out of PATH."""
    pattern = "usr/lib/postgresql/*/bin/initdb"
    if not list(Path("/").glob(pattern)):
        apt("pg_ctlcluster", "postgresql")
    programs = sorted(Path("/").glob(pattern))
    if not programs:
        raise Skip("no PostgreSQL; apt-get install postgresql")
    return str(programs[-1].parent)
