"""The examples of docs/clients.md with their real libraries. Each one runs once, while sidelight is absent, present,
absent again and restarted: the application answers every request, keeps its console, and reconnects by itself. Twice more
it runs beside a sidelight that hangs, which must not make it wait: one that is stopped by a signal while the application is
connected, and one that accepts no connection.

`CLIENTS` is the list that `cargo test` compares with docs/clients.md and with the folder examples/.
"""

import fcntl
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from examples import EXAMPLES, program
from peers import apt, go_program, java_classes, monolog, node_modules, postgresql_programs, python_environment, rust_program
from report import Failure, Skip, expect, expect_within
from sidecar import BINARY, Metrics, Sidecar, free_port, get, until

# requests in each phase
REQUESTS = 5
# requests beside a sidelight that hangs, and the length of their paths: together more than a socket holds and than
# sidelight.js or `tee` keeps in memory
MANY, LONG = 96, 7000
# requests between two looks at the console: their paths fit into a pipe
BATCH = 8
USERS = {"method": "GET", "endpoint": "/users/{id}"}


class Sockets:
    """A folder for the two sockets. A sidelight comes and goes; the folder stays."""

    def __init__(self, group=None):
        self.folder = tempfile.TemporaryDirectory(prefix="sidelight-clients-")
        os.chmod(self.folder.name, 0o755)
        self.stream = os.path.join(self.folder.name, "log.sock")
        self.datagram = os.path.join(self.folder.name, "log.dgram.sock")
        self.arguments = []
        if group:
            # docs/clients.md, nginx: the workers belong to another user
            path = os.path.join(self.folder.name, "sidelight.yaml")
            both = f"socket: {{group: {group}}}\ndatagram_socket: {{group: {group}}}\n"
            Path(path).write_text(both, encoding="utf-8")
            self.arguments = ["--config", path]

    def hang(self):
        """Sockets that nobody accepts from or reads; the backlog of the stream socket is full."""
        stream, datagram = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        held = [stream, datagram]
        stream.bind(self.stream)
        datagram.bind(self.datagram)
        for path in (self.stream, self.datagram):
            os.chmod(path, 0o666)
        stream.listen(0)
        while True:
            connection = socket.socket(socket.AF_UNIX)
            connection.setblocking(False)
            held.append(connection)
            try:
                connection.connect(self.stream)
            except BlockingIOError:
                return held

    def sidecar(self):
        """A sidelight on these sockets."""
        return Sidecar(sockets=(self.stream, self.datagram), arguments=self.arguments)


class Application:
    """A process under test, and its console: both outputs in one file."""

    def __init__(self, command, folder, environment):
        self.console = tempfile.TemporaryFile("w+b")
        # some programs open their own output again, and must not overwrite it
        flags = fcntl.fcntl(self.console, fcntl.F_GETFL)
        fcntl.fcntl(self.console, fcntl.F_SETFL, flags | os.O_APPEND)
        self.numbers = itertools.count()
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=self.console,
            stderr=subprocess.STDOUT, start_new_session=True,
        )

    def lines(self):
        """What the console has."""
        self.console.seek(0)
        return self.console.read().decode(errors="replace")

    def alive(self):
        """Fails if the process has ended."""
        if self.process.poll() is not None:
            raise Failure(f"the application ended with {self.process.returncode}\n{self.lines()[-2000:]}")

    def end(self):
        """Ends it as a container is ended."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                raise Failure("the application did not end within 20 s after SIGTERM") from None


class Web(Application):
    """An application that serves HTTP on a port."""

    def __init__(self, port, *arguments):
        super().__init__(*arguments)
        self.url = f"http://127.0.0.1:{port}"

    def ready(self):
        """Waits until it answers."""
        def answers():
            self.alive()
            return get(self.url + "/probe")[0] > 0
        until("the application answers", answers, 60)

    def probe(self):
        """A request that is not counted below."""
        get(self.url + "/probe")

    def request(self, rest=""):
        """One request; its line on the console has this path, which `rest` continues."""
        path = f"/users/{next(self.numbers)}"
        status = get(self.url + path + rest)[0]
        # a router may know no path with a `rest`
        expect("the answer to " + path, 200 if rest and status == 404 else status, 200)
        return path


class Reader(Application):
    """An application that logs a request for each path that it reads from standard input."""

    def ready(self):
        """Waits until it echoes a line."""
        self.probe()
        def echoes():
            self.alive()
            return "/probe" in self.lines()
        until("the application reads", echoes, 60)

    def write(self, path):
        """Writes one path."""
        self.alive()
        self.process.stdin.write(path.encode() + b"\n")
        self.process.stdin.flush()

    def probe(self):
        """A request that is not counted below."""
        self.write("/probe")

    def request(self, rest=""):
        """One request; its line on the console has this path, which `rest` continues."""
        path = f"/users/{next(self.numbers)}"
        self.write(path + rest)
        return path


class Tasks(Application):
    """A Celery worker; the tasks come from a second process."""

    SENDER = (
        "import sys, celery_app\n"
        "for line in sys.stdin:\n"
        "    name, path = line.split()\n"
        "    getattr(celery_app, name).delay(path)\n"
    )

    def __init__(self, command, folder, environment):
        super().__init__(command, folder, environment)
        python = str(Path(command[0]).parent / "python")
        self.sender = subprocess.Popen(
            [python, "-c", self.SENDER], cwd=folder, stdin=subprocess.PIPE,
            env={**environment, "SIDELIGHT_SOCKET": "/nowhere/log.sock"}, stderr=subprocess.DEVNULL,
        )

    def ready(self):
        """Waits until it works."""
        def works():
            self.alive()
            return "ready." in self.lines()
        until("the worker works", works, 60)

    def send(self, line):
        """Sends one task."""
        self.sender.stdin.write(line.encode() + b"\n")
        self.sender.stdin.flush()

    def probe(self):
        """A task that is not counted below."""
        self.send("probe /probe")
        time.sleep(0.2)  # the worker looks for files at intervals

    def request(self, rest=""):
        """One task; its line on the console has this path, which `rest` continues."""
        path = f"/users/{next(self.numbers)}"
        self.send(f"charge {path}{rest}")
        return path

    def end(self):
        """Ends both processes."""
        self.sender.stdin.close()
        self.sender.wait()
        super().end()


class Database(Application):
    """A PostgreSQL; a request is a query."""

    def __init__(self, port, programs, *arguments):
        super().__init__(*arguments)
        self.psql = [f"{programs}/psql", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "nobody", "-d", "postgres", "-c"]

    def query(self, text):
        """Runs one query; whether it succeeded."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.run([*self.psql, text], check=False, timeout=30, **quiet).returncode == 0

    def ready(self):
        """Waits until it answers."""
        def answers():
            self.alive()
            return self.query("SELECT 1")
        until("the database answers", answers, 60)

    def probe(self):
        """A query that is not counted below."""
        self.query("SELECT 1")

    def request(self, rest=""):
        """One query; its line on the console has this path, which `rest` continues."""
        path = f"/users/{next(self.numbers)}"
        expect("the query", self.query(f"SELECT relname FROM pg_class WHERE relname = '{path}{rest}'"), True)
        return path


def some_requests(application, count=REQUESTS, rest=""):
    """Makes requests and waits until the console has one line for each; `rest` continues their paths."""
    paths = [application.request(rest) for _ in range(count)]

    def on_console():
        application.alive()
        text = application.lines()
        return all(any(path + end in text for end in (" ", '"', "'", "/")) for path in paths)

    until(f"{paths[0]} to {paths[-1]} on the console", on_console, 30)


def connected(application, sidecar, before=0):
    """Makes requests until sidelight has received more lines than `before`; returns how many."""

    def received():
        application.probe()
        total = Metrics(sidecar.metrics()).total("sidelight_frames_received_total")
        return total if total > before else None

    return until("the application reconnects", received, 20)


def phase(client, application, sidecar):
    """With a sidelight that has just come: the metrics of exactly these requests."""
    connected(application, sidecar)
    some_requests(application)

    name, labels = client.get("counts", ("http_requests_total", {**USERS, "status_code": "200"}))
    family, group = client.get("durations", ("http_request_duration_seconds", USERS))

    def all_counted():
        metrics = Metrics(sidecar.metrics())
        return metrics if metrics.total(name, **labels) >= REQUESTS else None

    metrics = until(f"{REQUESTS} requests counted\n{application.lines()[-1500:]}", all_counted, 30)
    counted = metrics.total(name, **labels)
    # `tee` keeps lines for a while when it has no connection
    expect_within("requests counted", counted, REQUESTS, 2 * REQUESTS if client.get("keeps") else REQUESTS)
    timed = client.get("timed", True)
    if timed is not None:
        metrics.expect(family + "_count", counted if timed else 0, **group)
    spent = metrics.total(family + "_sum", **group)
    if not 0 <= spent < 0.5 * REQUESTS:
        raise Failure(f"{REQUESTS} requests took {spent} s: the unit is wrong")
    sidecar.stop()


def all_phases(client, application, sockets):
    """The application while sidelight is absent, present, absent again and restarted."""
    application.ready()
    some_requests(application)  # absent
    with sockets.sidecar() as sidecar:  # present
        phase(client, application, sidecar)
    some_requests(application)  # absent again
    with sockets.sidecar() as sidecar:  # restarted
        phase(client, application, sidecar)
    application.alive()
    if client.get("warns"):
        expect("warnings about the socket", application.lines().count("sidelight does not listen at"), 1)


def many_requests(client, application):
    """More lines than the socket and the memory of a client hold, in batches that fit into a pipe."""
    for _ in range(0, MANY, BATCH):
        some_requests(application, BATCH, "/" + "x" * LONG)


def stopped(client, application, sockets):
    """The application beside a sidelight that is stopped while it is connected, and that goes on afterwards."""
    application.ready()
    with sockets.sidecar() as sidecar:
        before = connected(application, sidecar)
        lines_before = application.lines().count("\n")
        sidecar.process.send_signal(signal.SIGSTOP)
        try:
            many_requests(client, application)
        finally:
            sidecar.process.send_signal(signal.SIGCONT)
        connected(application, sidecar, before)
        received = sidecar.stop()["received"] - before
    # what the client kept arrives; a client that connects for each request may lose nothing
    logged = application.lines().count("\n") - lines_before
    expect_within("lines received afterwards", received, 1, logged if client.get("connects") else logged - 1)


def backlog_full(client, application, sockets):
    """The application beside a socket that nobody accepts from: a connect that waits would wait for ever."""
    held = sockets.hang()
    try:
        application.ready()
        many_requests(client, application)
    finally:
        for each in held:
            each.close()


def run(name, story):
    """One client through a story."""
    client = CLIENTS[name]
    sockets = Sockets(client.get("group"))
    port = free_port()
    scratch = tempfile.TemporaryDirectory(prefix="sidelight-client-")
    os.chmod(scratch.name, 0o755)
    place = {"port": port, "stream": sockets.stream, "datagram": sockets.datagram, "scratch": scratch.name}
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SIDELIGHT_", "OTEL_"))}
    environment |= {"SIDELIGHT_SOCKET": sockets.stream, "PORT": str(port), "PYTHONDONTWRITEBYTECODE": "1"}
    prepared = client["prepare"](place)
    environment |= prepared.get("environment", {})
    command = [str(word).format(**place, **prepared.get("words", {})) for word in client["command"]]
    folder = EXAMPLES / client["folder"]
    if client.get("reads"):
        application = Reader(command, folder, environment)
    elif client.get("works"):
        application = Tasks(command, folder, environment)
    elif client.get("queries"):
        application = Database(port, prepared["words"]["postgresql"], command, folder, environment)
    else:
        application = Web(port, command, folder, environment)
    try:
        story(client, application, sockets)
    finally:
        application.end()
        application.console.close()
        sockets.folder.cleanup()
        scratch.cleanup()


def python(_):
    """A Python with the libraries."""
    return {"words": {"bin": python_environment()}}


def celery(place):
    """The same, and a folder as broker."""
    return {**python(place), "environment": {"CELERY_FOLDER": os.path.join(place["scratch"], "broker")}}


def node(_):
    """The libraries of examples/node/package.json."""
    program("node")
    return {"environment": {"NODE_PATH": node_modules()}}


def go(_):
    """The program of examples/go."""
    return {"words": {"go": go_program()}}


def rust(_):
    """The program of examples/rust."""
    return {"words": {"rust": rust_program()}}


def java(_):
    """The libraries of examples/java/pom.xml, and both programs."""
    return {"words": {"classes": java_classes(), "tee": BINARY}}


def php(_):
    """PHP with Monolog."""
    return {"environment": {"MONOLOG_AUTOLOAD": monolog()}}


def ruby(_):
    """Ruby; its standard library has a Logger."""
    apt("ruby", "ruby")
    return {}


def configured(source, *, listens):
    """A configuration of the examples with the sockets and the port of this run."""
    def prepare(place):
        text = (EXAMPLES / source).read_text(encoding="utf-8")
        for old, new in (("/run/sidelight/log.dgram.sock", place["datagram"]), (listens, f"127.0.0.1:{place['port']}")):
            if old not in text:
                raise Failure(f"{source} does not contain {old}")
            text = text.replace(old, new)
        path = os.path.join(place["scratch"], "configuration")
        Path(path).write_text(text, encoding="utf-8")
        return {"words": {"configuration": path}}
    return prepare


def nginx(place):
    """nginx; its workers run as www-data when root starts it."""
    from nginx import nginx as binary
    found = {"words": {"nginx": binary()}}
    try:
        pwd.getpwnam("www-data")
    except KeyError:
        raise Skip("no user www-data") from None
    os.chmod(place["scratch"], 0o777)
    found["words"] |= configured("nginx/nginx.conf", listens="127.0.0.1:8080")(place)["words"]
    return found


def haproxy(place):
    """HAProxy."""
    found = {"words": {"haproxy": apt("haproxy", "haproxy")}}
    found["words"] |= configured("haproxy/haproxy.cfg", listens="127.0.0.1:8080")(place)["words"]
    return found


def postgresql(place):
    """A new database of the user `nobody`, who also runs a copy of `tee`."""
    if os.geteuid() != 0:
        raise Skip("needs root, to be another user")
    programs = postgresql_programs()
    data, tee = os.path.join(place["scratch"], "data"), os.path.join(place["scratch"], "sidelight-tee")
    shutil.copy(BINARY.parent / "sidelight-tee", tee)
    os.mkdir(data)
    shutil.chown(data, "nobody")
    os.chmod(place["scratch"], 0o777)
    command = [f"{programs}/initdb", "--pgdata", data, "--auth", "trust", "--username", "nobody", "--no-sync"]
    subprocess.run(["runuser", "-u", "nobody", "--", *command], check=True, stdout=subprocess.DEVNULL, cwd="/")
    return {"words": {"postgresql": programs, "tee": tee, "data": data}}


# gunicorn's command as docs/clients.md has it, with the path of this run
GUNICORN = [
    "{bin}/gunicorn", "--bind", "127.0.0.1:{port}", "--log-syslog",
    "--log-syslog-to", "unix://{datagram}#dgram", "--access-logfile", "-",
    "--access-logformat", '%(h)s - %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(L)s', "wsgi_app:app",
]

# name in docs/clients.md -> how it is run; `timed`: its lines have a duration; `warns`: once, that nothing listens;
# `keeps`: may send lines of the time before; `waits`: while the socket is full; `connects`: anew for each request
CLIENTS = {
    "node": {"folder": "node", "prepare": node, "command": ["node", "http.js"], "warns": True},
    "pino": {"folder": "node", "prepare": node, "command": ["node", "pino.js"], "warns": True},
    "pino-transport": {"folder": "node", "prepare": node, "command": ["node", "pino-transport.js"], "warns": True},
    "fastify": {"folder": "node", "prepare": node, "command": ["node", "fastify.js"], "warns": True},
    "express": {"folder": "node", "prepare": node, "command": ["node", "express.js"], "warns": True},
    "winston": {"folder": "node", "prepare": node, "command": ["node", "winston.js"], "warns": True},
    "gunicorn": {"folder": "python", "prepare": python, "command": GUNICORN, "waits": True},
    "uvicorn": {
        "folder": "python", "prepare": python, "timed": False, "warns": True,
        "command": ["{bin}/uvicorn", "asgi_app:app", "--port", "{port}", "--log-config", "uvicorn.json"],
    },
    "uvicorn-timed": {
        "folder": "python", "prepare": python, "warns": True,
        "command": ["{bin}/uvicorn", "asgi_timed:app", "--port", "{port}", "--no-access-log"],
    },
    "flask": {
        "folder": "python", "prepare": python, "timed": False, "warns": True,
        "command": ["{bin}/flask", "--app", "flask_app", "run", "--port", "{port}"],
    },
    "django": {
        "folder": "python", "prepare": python, "timed": False, "warns": True,
        "command": ["{bin}/python", "django_app.py", "runserver", "--noreload", "{port}"],
    },
    "celery": {
        "folder": "python", "prepare": celery, "works": True, "warns": True,
        "counts": ("function_duration_seconds_count", {"function": "celery_app.charge"}),
        "durations": ("function_duration_seconds", {"function": "celery_app.charge"}),
        "command": ["{bin}/celery", "--app", "celery_app", "worker", "--pool", "solo", "--loglevel", "info"],
    },
    "slog": {"folder": "go", "prepare": go, "command": ["{go}"], "warns": True},
    "zap": {"folder": "go", "prepare": go, "command": ["{go}", "zap"], "warns": True},
    "tracing": {"folder": "rust", "prepare": rust, "command": ["{rust}"], "reads": True, "warns": True},
    "logback": {
        "folder": "java", "prepare": java, "reads": True, "keeps": True,
        "command": ["{tee}", "tee", "--", "java", "-cp", "{classes}", "-Dlogback.configurationFile=logback.xml", "Logback"],
    },
    "log4j2": {
        "folder": "java", "prepare": java, "reads": True, "keeps": True,
        "command": ["{tee}", "tee", "--", "java", "-cp", "{classes}", "-Dlog4j2.configurationFile=log4j2.xml", "Log4j"],
    },
    "ruby": {"folder": "ruby", "prepare": ruby, "command": ["ruby", "app.rb"], "reads": True, "warns": True},
    "monolog": {
        "folder": "php", "prepare": php, "command": ["php", "-S", "127.0.0.1:{port}", "index.php"],
        "connects": True,
    },
    "nginx": {
        "folder": "nginx", "prepare": nginx, "group": "www-data",
        "command": ["{nginx}", "-p", "{scratch}", "-c", "{configuration}"],
    },
    "postgresql": {
        "folder": ".", "prepare": postgresql, "queries": True, "group": "nogroup", "keeps": True,
        "counts": ("database_queries_total", {"operation": "SELECT", "table": "pg_class"}),
        # a family without labels: the probes are in it, too
        "durations": ("database_query_duration_seconds", {}), "timed": None,
        "command": [
            "runuser", "-u", "nobody", "--", "{tee}", "--socket", "{stream}", "--", "{postgresql}/postgres", "-D", "{data}",
            "-p", "{port}", "-k", "{scratch}", "-c", "log_min_duration_statement=0",
        ],
    },
    "haproxy": {"folder": "haproxy", "prepare": haproxy, "command": ["{haproxy}", "-f", "{configuration}"]},
}


def check(report):
    """One check for each client."""
    for name in CLIENTS:
        report.check(f"client {name}: absent, present, restarted", run, name, all_phases)
        if not CLIENTS[name].get("waits"):
            report.check(f"client {name}: beside a sidelight that is stopped", run, name, stopped)
            report.check(f"client {name}: the backlog of its socket is full", run, name, backlog_full)
