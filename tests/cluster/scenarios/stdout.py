"""Applications that only write to stdout: their output is copied by tee, with a command and with
ENTRYPOINT alone."""

import json
import subprocess

import api
import images
import node
import pods
from basics import configure, requests, web
from place import RUN, STATE
from pods import namespace, pod, speaker, start, until
from report import Failure, expect

TEE = {"sidelight.dev/config.tee": "true"}


def with_command():
    """Python and nginx with a command: every line is counted, and stdout has it as well, byte by byte."""
    with namespace("sl-tee") as where:
        app = speaker(LINES=400, RATE=400, TO="stdout", LINGER=1, SERVICE="spoken")
        spoken = start(pod("spoken", app, annotations=TEE, terminationGracePeriodSeconds=5), where)
        configure(where, log="/dev/stdout")
        command = [*images.NGINX_COMMAND, "-c", "/etc/web/nginx.conf"]
        served = start(web("web", images.NGINX, command, annotations=TEE), where)
        spoken.ready()
        made = spoken.now()["spec"]
        # every node of this cluster has image volumes, and the chart has noticed it
        expect("wrapped", made["containers"][0]["command"][:2], ["/run/sidelight-image/sidelight-tee", "--"])
        mounted = [one["image"] for one in made["volumes"] if one["name"] == "sidelight-image"]
        expect("image volume", mounted, [{"reference": images.SIDELIGHT, "pullPolicy": "IfNotPresent"}])
        copied = [one["name"] for one in made["initContainers"][0]["env"] if "INSTALL" in one["name"]]
        expect("nothing is copied", copied, [])
        until("its lines", lambda: requests_of(spoken, "/spoken") == 400)
        said = [
            json.loads(line)["number"]
            for line in spoken.said(streams=("stdout",))
            if line.startswith("{")
        ]
        expect("numbers on stdout", said, list(range(400)))
        served.ready()
        requests(served, 60)
        until("requests", lambda: served.metrics().total("http_requests_total", status_code="200") == 50)
        spoken.delete()
        spoken.ended()
        # stderr is copied as well: the signal's line on stdout, the count on stderr, the begin
        expect("received", spoken.ledger()["received"], 400 + 3)
        expect("SIGTERM was handed on", spoken.said().count("SIGTERM"), 1)


def requests_of(running, endpoint):
    """Requests counted, whatever their status."""
    return running.metrics().total("http_requests_total", endpoint=endpoint, status_code="200")


def with_entrypoint():
    """ENTRYPOINT alone: known to the installer it is wrapped; unknown it is left alone, with no_command
    in the status, and started all the same; `sidelight inject --resolve-entrypoints` reads the registry."""
    with namespace("sl-entrypoint") as where:
        configure(where, log="/dev/stdout")
        served = start(web("web", images.NGINX_ENTRYPOINT, path="/etc/nginx", annotations=TEE), where)
        made = api.create(
            {
                **pod("unknown", {"name": "app", "image": images.PYTHON_ENTRYPOINT}, annotations=TEE),
                "metadata": {"name": "unknown", "namespace": where, "annotations": TEE},
            },
            dryRun="All",
        )
        warned = api.call.warnings
        expect("untouched", made["spec"]["containers"][0].get("command"), None)
        if "no_command" not in made["metadata"]["annotations"]["sidelight.dev/status"]:
            raise Failure(f"the status does not say no_command: {made['metadata']['annotations']}")
        if not any("command" in said for said in warned):
            raise Failure(f"no warning about the missing command: {warned}")
        served.ready()
        requests(served, 60)
        until("requests", lambda: served.metrics().total("http_requests_total", status_code="200") == 50)


def copied_binary():
    """Without image volumes, the sidecar copies the binary: every line is counted, and stdout has it as well."""
    with namespace("sl-copied") as where:
        app = speaker(LINES=200, RATE=200, TO="stdout", LINGER=1, SERVICE="copied")
        made = injected(pod("copied", app, annotations=TEE, terminationGracePeriodSeconds=5), "--image-volume", "never")
        command = made["spec"]["containers"][0]["command"][:2]
        expect("wrapped", command, ["/run/sidelight/bin/sidelight-tee", "--"])
        expect("volumes", [one["name"] for one in made["spec"]["volumes"] if one["name"] == "sidelight-image"], [])
        running = start(made, where).ready()
        until("its lines", lambda: requests_of(running, "/copied") == 200)


def init_system():
    """A program that refuses to be another process than the first runs, and every line of it is counted and on
    stdout; where the user forbids that, it fails with its message."""
    with namespace("sl-init") as where:
        app = {
            **speaker(image=images.PYTHON_INIT, LINES=200, RATE=200, TO="stdout", LINGER=1, SERVICE="first"),
            "command": ["/init"],
        }
        running = start(pod("first", app, annotations=TEE, terminationGracePeriodSeconds=5), where)
        never = {**TEE, "sidelight.dev/config.tee-in-place": "never"}
        refused = start(pod("refused", app, annotations=never, restartPolicy="Never"), where)
        running.ready()
        until("its lines", lambda: requests_of(running, "/first") == 200)
        numbers = [json.loads(line)["number"] for line in running.said(streams=("stdout",)) if line[:1] == "{"]
        expect("numbers on stdout", numbers, list(range(200)))
        expect("command", refused.now()["spec"]["containers"][0]["command"][1:], ["--in-place=never", "--", "/init"])
        until("its message", lambda: "can only run as process 1" in refused.said(streams=("stderr",)))


def registry():
    """The image's ENTRYPOINT and CMD are read from a registry and written into the manifest; the pod
    then speaks."""
    with Registry() as served, namespace("sl-registry") as where:
        image = served.push(images.PYTHON_ENTRYPOINT, "speaker:1")
        app = {
            "name": "app",
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "env": [
                {"name": name, "value": value}
                for name, value in {
                    "LINES": "100",
                    "RATE": "200",
                    "TO": "stdout",
                    "LINGER": "1",
                    "SERVICE": "entry",
                }.items()
            ],
        }
        wanted = pod("resolved", app, annotations=TEE, terminationGracePeriodSeconds=5)
        made = injected(wanted, "--resolve-entrypoints")
        written = made["spec"]["containers"][0]
        expect(
            "command",
            [*written["command"], *written.get("args", [])][-2:],
            ["python3", "/programs/speak.py"],
        )
        running = start(made, where).ready()
        until("its lines", lambda: requests_of(running, "/entry") == 100)


def injected(wanted, *options):
    """A pod as `sidelight inject` writes it, which the webhook leaves alone."""
    command = [images.BINARY, "inject", "-f", "-", "-o", "json", "--image", images.SIDELIGHT, *options]
    done = subprocess.run(command, input=json.dumps(wanted), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"sidelight inject: exit code {done.returncode}: {done.stderr}")
    made = json.loads(done.stdout)
    made["metadata"]["labels"]["sidelight.dev/inject"] = "false"
    return made


class Registry:
    """Debian's registry on the node, with nothing in it but what is pushed."""

    PORT = 5000

    def __enter__(self):
        configuration = STATE / "registry.yaml"
        configuration.write_text(
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {STATE}/registry}}}}\n"
            f"http: {{addr: '127.0.0.1:{self.PORT}'}}\nlog: {{level: error}}\n",
            encoding="utf-8",
        )
        node.start("docker-registry", "serve", configuration, program="/usr/bin/docker-registry")
        until("the registry", lambda: pods.fetch(f"http://127.0.0.1:{self.PORT}/v2/") is not None)
        return self

    def __exit__(self, *_):
        node.kill([int((RUN / "docker-registry.pid").read_text(encoding="ascii"))])
        (RUN / "docker-registry.pid").unlink()

    def push(self, image, name):
        """Pushes an image that containerd has; its name there."""
        reference = f"127.0.0.1:{self.PORT}/{name}"
        node.ctr("images", "tag", "--force", image, reference)
        done = node.inside(
            "ctr",
            "--address",
            RUN / "containerd.sock",
            "--namespace",
            "k8s.io",
            "images",
            "push",
            "--plain-http",
            reference,
            check=False,
        )
        if done.returncode:
            raise Failure(f"pushing {reference}: {done.stderr}")
        return reference
