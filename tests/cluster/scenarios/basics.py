"""A pod starts, its sidecar first; every line of every container arrives; probes are green."""

import json
import shutil

import images
import pods
from place import KUBELET, ROOT
from pods import container, namespace, pod, speaker, start, start_as_is, would_be
from report import Failure, expect


def python():
    """A Python pod with a command: native sidecar first, lines of the init container arrive, probes
    green."""
    with namespace("sl-python") as where:
        wanted = pod(
            "shop",
            speaker(LINES=300, RATE=300, LINGER=1),
            terminationGracePeriodSeconds=5,
            initContainers=[speaker("migrate", LINES=40, RATE=400, SERVICE="migrate")],
        )
        running = start(wanted, where).ready()
        shape(running.now())
        metrics = running.received(340)
        metrics.expect("http_requests_total", 300, endpoint="/shop", status_code="200")
        metrics.expect("http_requests_total", 40, endpoint="/migrate")
        expect("said by the init container", running.sent("migrate")["unsent"], 0)
        statuses = running.statuses()
        expect(
            "restarts",
            {name: one["restartCount"] for name, one in statuses.items()},
            {"sidelight": 0, "migrate": 0, "app": 0},
        )
        expect(
            "the sidecar started and is ready",
            (statuses["sidelight"]["started"], statuses["sidelight"]["ready"]),
            (True, True),
        )
        order(statuses)
        unhealthy = [one["message"] for one in running.events() if one["reason"] == "Unhealthy"]
        # a startup probe may be early by one period; a liveness probe may not
        expect("liveness failures", [said for said in unhealthy if "Liveness" in said], [])
        running.delete()
        running.ended()
        expect("received", running.ledger()["received"], 340)


def shape(now):
    """What injection has to have made of the pod."""
    spec = now["spec"]
    first = spec["initContainers"][0]
    expect(
        "the first init container", (first["name"], first.get("restartPolicy")), ("sidelight", "Always")
    )
    expect("label", now["metadata"]["labels"].get("sidelight.dev/injected"), "true")
    volume = next(one for one in spec["volumes"] if one["name"] == "sidelight-run")
    expect("medium", volume["emptyDir"].get("medium"), "Memory")
    for one in [*spec["initContainers"][1:], *spec["containers"]]:
        mounts = [mount for mount in one["volumeMounts"] if mount["name"] == "sidelight-run"]
        expect(f"mounts of {one['name']}", [mount.get("readOnly") for mount in mounts], [True])
    status = json.loads(now["metadata"]["annotations"]["sidelight.dev/status"])
    expect("mode", status["mode"], "native")
    expect("containers in the status", status["initContainers"], ["sidelight"])


def order(statuses):
    """Sidecar, init container, application: in this order."""
    times = [
        statuses["sidelight"]["state"]["running"]["startedAt"],
        statuses["migrate"]["state"]["terminated"]["startedAt"],
        statuses["app"]["state"]["running"]["startedAt"],
    ]
    if times != sorted(times):
        raise Failure(f"not started in order: {times}")


def seccomp():
    """The sidecar does all of its work with the system calls of the profile that is shipped, and no others."""
    profiles = KUBELET / "seccomp"
    profiles.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "deploy/seccomp.json", profiles / "sidelight.json")
    with namespace("sl-seccomp") as where:
        # includes copying the binary for tee
        tee = {"sidelight.dev/config.tee": "true"}
        made = would_be(pod("shop", speaker(LINES=200, RATE=400, LINGER=1), annotations=tee), where)
        sidecar = made["spec"]["initContainers"][0]
        sidecar["securityContext"]["seccompProfile"] = {
            "type": "Localhost",
            "localhostProfile": "sidelight.json",
        }
        made["spec"]["terminationGracePeriodSeconds"] = 5
        running = start_as_is(made, where).ready()
        # 200 over the socket, and over tee also the line in which the program reports it
        metrics = running.received(201)
        metrics.expect("http_requests_total", 200, endpoint="/shop", status_code="200")
        used = running.now()["spec"]["initContainers"][0]["securityContext"]["seccompProfile"]["type"]
        expect("the profile in use", used, "Localhost")
        running.delete()
        running.ended()
        expect("lost", running.ledger()["lost"], 0)


NGINX_CONFIGURATION = """
pid /tmp/nginx.pid;
error_log stderr;
events {}
http {
  log_format timed '$remote_addr - $remote_user [$time_local] "$request" $status '
                   '$body_bytes_sent "$http_referer" "$http_user_agent" $request_time';
  access_log syslog:server=unix:/run/sidelight/log.dgram.sock,nohostname timed;
  server {
    listen 8080;
    location / { return 200 "ok"; }
    location /missing { return 404; }
  }
}
"""


def datagrams():
    """An application finds the datagram socket by SIDELIGHT_DATAGRAM_SOCKET; every datagram is counted."""
    with namespace("sl-datagrams") as where:
        app = speaker(LINES=100, RATE=100, TO="datagrams", LINGER=1, SERVICE="datagrams")
        running = start(pod("datagrams", app, terminationGracePeriodSeconds=5), where).ready()
        running.received(100)
        running.metrics().expect("http_requests_total", 100, endpoint="/datagrams", status_code="200")


def nginx():
    """An nginx pod that logs to the datagram socket: as many requests counted as were made."""
    with namespace("sl-nginx") as where:
        configure(where)
        running = start(
            web("web", images.NGINX, ["nginx", "-g", "daemon off;", "-c", "/etc/web/nginx.conf"]), where
        )
        running.ready()
        requests(running, 60)
        metrics = running.received(60)
        metrics.expect("http_requests_total", 50, method="GET", status_code="200")
        metrics.expect("http_requests_total", 10, endpoint="_unmatched", status_code="404")


def configure(where, log=None):
    """The web server's configuration."""
    text = NGINX_CONFIGURATION
    if log:
        text = text.replace("syslog:server=unix:/run/sidelight/log.dgram.sock,nohostname", log)
    pods.api.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "web", "namespace": where},
            "data": {"nginx.conf": text},
        }
    )


def web(name, image, command=None, path="/etc/web", **more):
    """A pod of nginx."""
    mounts = [{"name": "web", "mountPath": path}]
    return pod(
        name,
        container("app", image, command, volumeMounts=mounts),
        terminationGracePeriodSeconds=5,
        volumes=[{"name": "web", "configMap": {"name": "web"}}],
        **more,
    )


def requests(running, count):
    """Makes requests, every sixth for something that is not there."""
    address = running.address()
    pods.until("the server answers", lambda: answers(address, "/missing") == 404, every=0.3)
    for number in range(1, count):
        answers(address, "/missing" if number % 6 == 0 else f"/page/{number}")


def answers(address, path):
    """The status of a request."""
    try:
        pods.fetch(f"http://{address}:8080{path}")
    except pods.urllib.error.HTTPError as error:
        return error.code
    return 200
