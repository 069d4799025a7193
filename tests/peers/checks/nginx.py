"""A real nginx that sends its access log to the datagram socket."""

import os
import shutil
import subprocess
import tempfile

from report import Skip, expect
from sidecar import Sidecar, free_port, get, until

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    log_format timed '$remote_addr - $remote_user [$time_local] "$request" $status '
                     '$body_bytes_sent "$http_referer" "$http_user_agent" $request_time';
    access_log syslog:server=unix:{socket} {format};
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location /users/ {{ return 200 "a user"; }}
        location /missing/ {{ return 404; }}
        location /broken {{ return 503; }}
    }}
}}
"""


def nginx():
    """Where nginx is, installed if we may."""
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    found = shutil.which("nginx", path=path)
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}
        subprocess.run(["apt-get", "update"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "nginx-light"], **quiet)
        found = shutil.which("nginx", path=path)
    if not found:
        raise Skip("no nginx; apt-get install nginx-light")
    return found


def access_log(form, timed):
    """Requests as nginx saw them become the promised series; durations only where it wrote them."""
    binary = nginx()
    with Sidecar() as sidecar, tempfile.TemporaryDirectory(prefix="sidelight-nginx-") as folder:
        port = free_port()
        path = os.path.join(folder, "nginx.conf")
        with open(path, "w", encoding="utf-8") as written:
            written.write(
                CONFIGURATION.format(
                    folder=folder, socket=sidecar.datagram_socket, format=form, port=port
                )
            )
        server = subprocess.Popen([binary, "-c", path, "-e", os.path.join(folder, "error.log")])
        try:
            base = f"http://127.0.0.1:{port}"
            # the request that detects the running server is also logged
            until("nginx is up", lambda: get(f"{base}/users/0")[0] == 200)
            for user in range(1, 20):
                expect("status", get(f"{base}/users/{user}?token=secret")[0], 200)
            for page in range(5):
                expect("status", get(f"{base}/missing/{page}")[0], 404)
            for _ in range(3):
                expect("status", get(f"{base}/broken")[0], 503)
            metrics = sidecar.received(28)
        finally:
            server.terminate()
            server.wait()
        users = {"method": "GET", "endpoint": "/users/{id}"}
        metrics.expect("http_requests_total", 20, status_code="200", **users)
        metrics.expect(
            "http_requests_total", 5, method="GET", endpoint="_unmatched", status_code="404"
        )
        metrics.expect(
            "http_requests_total", 3, method="GET", endpoint="/broken", status_code="503"
        )
        metrics.expect("http_request_duration_seconds_count", 20 if timed else 0, **users)
        metrics.expect("log_records_total", 28, service="nginx")
        expect("a query in the exposition", "secret" in sidecar.metrics(), False)
        expect("received", sidecar.stop()["received"], 28)


def check(report):
    """With and without `$request_time`."""
    report.check("nginx, combined format", access_log, "combined", False)
    report.check("nginx, with request_time", access_log, "timed", True)
