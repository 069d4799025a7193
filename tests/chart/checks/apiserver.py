"""A real API server with etcd on addresses of this process' own network namespace: no kubelet, no controllers.

What controllers would do is done here by hand: pods get an address, Services their endpoints.
"""

import base64
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from helm import CACHE
from report import Failure, Skip

BIN = CACHE / "bin"
# any address of this network is local in the namespace: it is on the loopback device, and a
# loopback address cannot be an endpoint
NETWORK = "198.18.9"
ADDRESS = f"{NETWORK}.1"
TOKEN = "administrator"
SECONDS_MAX = 60

EXTENSIONS = f"""
[request]
distinguished_name = name
[name]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = keyCertSign
[server]
subjectAltName = IP:{ADDRESS},IP:127.0.0.1,DNS:kubernetes.default.svc
"""


def run(*command, text_in=None, check=True):
    """Runs a command to its end; the finished process."""
    done = subprocess.run(
        [str(part) for part in command], input=text_in, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )
    if check and done.returncode:
        raise Failure(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}".strip())
    return done


class ApiServer:
    """etcd and kube-apiserver, their data in a temporary folder. To be used with `with`."""

    def __init__(self):
        if "SIDELIGHT_CHART_NETWORK" not in os.environ:
            raise Skip("no network namespace of our own: needs root and unshare")
        for name in ("kube-apiserver", "etcd", "kubectl"):
            if not (BIN / name).exists():
                raise Skip(f"no {BIN / name}; tests/cluster/build")
        self.holder = tempfile.TemporaryDirectory(prefix="sidelight-apiserver-")
        self.folder = Path(self.holder.name)
        self.processes = []
        self.kubeconfig = self.folder / "kubeconfig"

    def __enter__(self):
        try:
            self.make_keys()
            self.start()
            self.write_kubeconfig(self.kubeconfig, TOKEN)
            self.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.holder.cleanup()

    def make_keys(self):
        """A CA, the server's certificate, the key of service accounts."""
        at = self.folder
        (at / "extensions").write_text(EXTENSIONS)
        shared = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-config", at / "extensions"]
        run("openssl", "req", "-x509", *shared, "-subj", "/CN=ca", "-days", "2", "-extensions", "ca",
            "-keyout", at / "ca.key", "-out", at / "ca.crt")
        run("openssl", "req", *shared, "-subj", "/CN=server", "-keyout", at / "server.key", "-out", at / "server.csr")
        run("openssl", "x509", "-req", "-in", at / "server.csr", "-CA", at / "ca.crt", "-CAkey", at / "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", at / "extensions", "-extensions", "server",
            "-out", at / "server.crt")
        run("openssl", "genrsa", "-out", at / "accounts.key", "2048")
        run("openssl", "rsa", "-in", at / "accounts.key", "-pubout", "-out", at / "accounts.pub")
        (at / "tokens.csv").write_text(f'{TOKEN},administrator,1,"system:masters"\n')

    def spawn(self, name, *command):
        """Starts a part; its log is a file in the folder."""
        log = open(self.folder / f"{name}.log", "w", encoding="utf-8")
        process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, cwd=self.folder)
        log.close()
        self.processes.append(process)
        return process

    def start(self):
        """etcd, then the API server."""
        at, client, peer = self.folder, "http://127.0.0.1:2379", "http://127.0.0.1:2380"
        self.spawn("etcd", BIN / "etcd", "--data-dir", at / "etcd", "--unsafe-no-fsync",
                   "--listen-client-urls", client, "--advertise-client-urls", client,
                   "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                   "--initial-cluster", f"default={peer}")
        self.spawn("apiserver", BIN / "kube-apiserver", f"--etcd-servers={client}", "--secure-port=6443",
                   f"--bind-address={ADDRESS}", f"--advertise-address={ADDRESS}",
                   f"--tls-cert-file={at}/server.crt", f"--tls-private-key-file={at}/server.key",
                   f"--token-auth-file={at}/tokens.csv", "--authorization-mode=RBAC",
                   "--service-account-issuer=https://kubernetes.default.svc",
                   f"--service-account-key-file={at}/accounts.pub",
                   f"--service-account-signing-key-file={at}/accounts.key",
                   "--service-cluster-ip-range=10.96.0.0/24",
                   # no controller creates default service accounts here
                   "--disable-admission-plugins=ServiceAccount",
                   # resolves a webhook's Service to its endpoint, because there is no kube-proxy
                   "--enable-aggregator-routing=true")

    def write_kubeconfig(self, path, token):
        """A kubeconfig as JSON, which is YAML."""
        authority = base64.b64encode((self.folder / "ca.crt").read_bytes()).decode()
        cluster = {"server": f"https://{ADDRESS}:6443", "certificate-authority-data": authority}
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "here", "user": {"token": token}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
        }))

    def wait(self):
        """Until it is ready and has the namespace `default`."""
        end = time.monotonic() + SECONDS_MAX
        while time.monotonic() < end:
            if any(process.poll() is not None for process in self.processes):
                break
            ready = self.kubectl("get", "--raw=/readyz", check=False).returncode == 0
            if ready and self.kubectl("get", "namespace", "default", check=False).returncode == 0:
                return
            time.sleep(0.2)
        said = (self.folder / "apiserver.log").read_text().splitlines()[-15:]
        raise Failure("no API server\n" + "\n".join(said))

    def kubectl(self, *arguments, text_in=None, check=True):
        """Runs kubectl as the administrator."""
        return run(BIN / "kubectl", "--kubeconfig", self.kubeconfig, *arguments, text_in=text_in, check=check)

    def get(self, *arguments):
        """`kubectl get` as data."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json").stdout)

    def apply(self, text, *arguments, manager="helm", check=True):
        """Server-side apply, as the named field manager."""
        command = ["apply", "--server-side", f"--field-manager={manager}", *arguments, "-f", "-"]
        return self.kubectl(*command, text_in=text, check=check)

    def status(self, kind, namespace, name, status):
        """Writes what a controller would."""
        patch = json.dumps({"status": status})
        self.kubectl("-n", namespace, "patch", kind, name, "--subresource=status", "--type=merge", "-p", patch)

    def extend(self):
        """The kinds of the Prometheus operator and of cert-manager."""
        crds = sorted((CACHE / "crds").glob("*.yaml"))
        if not crds:
            raise Skip(f"no {CACHE / 'crds'}; tests/chart/operator/build")
        for crd in crds:
            self.kubectl("apply", "--server-side", "-f", crd)
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
