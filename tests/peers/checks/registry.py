"""`sidelight inject --resolve-entrypoints` against a real registry: Debian's docker-registry, on loopback, with images
that are pushed by its API; and one that wants a token first."""

import gzip
import hashlib
import http.server
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
import threading
import urllib.parse
import urllib.request
from pathlib import Path

from report import Skip, expect
from sidecar import BINARY, free_port, until

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


class Registry:
    """A docker-registry in a temporary folder."""

    def __enter__(self):
        program = shutil.which("docker-registry")
        if not program:
            raise Skip("no docker-registry: apt-get install docker-registry")
        self.folder = tempfile.TemporaryDirectory()
        port = free_port()
        self.address = f"localhost:{port}"
        config = Path(self.folder.name) / "config.yml"
        config.write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {self.folder.name}/blobs}}}}\n"
            f"http: {{addr: 'localhost:{port}'}}\n",
            encoding="utf-8",
        )
        self.process = subprocess.Popen(
            [program, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until("the registry listens", lambda: urllib.request.urlopen(f"http://{self.address}/v2/", timeout=5))
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def put(self, path, body, kind):
        """One PUT."""
        request = urllib.request.Request(f"http://{self.address}{path}", data=body, method="PUT")
        request.add_header("Content-Type", kind)
        urllib.request.urlopen(request, timeout=10).close()

    def blob(self, name, body):
        """Pushes a blob; its descriptor."""
        begin = urllib.request.Request(f"http://{self.address}/v2/{name}/blobs/uploads/", data=b"", method="POST")
        with urllib.request.urlopen(begin, timeout=10) as answer:
            where = answer.headers["Location"]
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        joint = "&" if "?" in where else "?"
        path = where.removeprefix(f"http://{self.address}") + f"{joint}digest={urllib.parse.quote(digest)}"
        self.put(path, body, "application/octet-stream")
        return {"digest": digest, "size": len(body)}

    def image(self, name, reference, config):
        """Pushes an image of one file with this configuration; its descriptor."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("file"))
        layer = gzip.compress(layer.getvalue(), mtime=0)
        whole = {"os": "linux", "architecture": "amd64", "config": config, "rootfs": {"type": "layers", "diff_ids": []}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json"}
            | self.blob(name, json.dumps(whole).encode()),
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"} | self.blob(name, layer)],
        }
        body = json.dumps(manifest).encode()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        self.put(f"/v2/{name}/manifests/{reference or digest}", body, MANIFEST)
        return {"mediaType": MANIFEST, "digest": digest, "size": len(body)}

    def index(self, name, reference, built):
        """Pushes an index of images by architecture."""
        manifests = [
            descriptor | {"platform": {"os": "linux", "architecture": architecture}}
            for architecture, descriptor in built.items()
        ]
        body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()
        self.put(f"/v2/{name}/manifests/{reference}", body, INDEX)


class Guarded(http.server.ThreadingHTTPServer):
    """In front of a registry: nothing without a token, which everybody gets who asks for the right one; blobs lie
    elsewhere, where the token must not go."""

    def __init__(self, behind):
        super().__init__(("127.0.0.1", 0), Gate)
        self.behind = behind
        self.token_requests = []
        self.leaked = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        """Where it listens."""
        return f"127.0.0.1:{self.server_address[1]}"


class Gate(http.server.BaseHTTPRequestHandler):
    """One request to it."""

    def do_GET(self):
        """Token, refusal, redirection or what the registry behind says."""
        server, url = self.server, urllib.parse.urlsplit(self.path)
        if url.path == "/token":
            server.token_requests.append(urllib.parse.parse_qs(url.query))
            return self.answer(200, {}, json.dumps({"token": "open-sesame"}).encode())
        if self.headers["Host"].startswith("localhost"):
            server.leaked |= "Authorization" in self.headers
        elif self.headers["Authorization"] != "Bearer open-sesame":
            name = url.path.removeprefix("/v2/").split("/manifests/")[0]
            realm = f'Bearer realm="http://{server.address}/token",service="here",scope="repository:{name}:pull"'
            return self.answer(401, {"WWW-Authenticate": realm}, b"{}")
        elif "/blobs/" in url.path:
            elsewhere = f"http://localhost:{server.server_address[1]}{self.path}"
            return self.answer(307, {"Location": elsewhere}, b"")
        request = urllib.request.Request(f"http://{server.behind}{self.path}")
        request.add_header("Accept", self.headers["Accept"])
        with urllib.request.urlopen(request, timeout=5) as answer:
            return self.answer(200, {"Content-Type": answer.headers["Content-Type"]}, answer.read())

    def answer(self, status, headers, body):
        """Writes it."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Quiet."""


def injected(container, *arguments):
    """The container after `inject`, and the warnings."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "annotations": {"sidelight.dev/config.tee": "true"}},
        "spec": {"containers": [container]},
    }
    command = [str(BINARY), "inject", "--resolve-entrypoints", "-f", "-", "-o", "json", *arguments]
    done = subprocess.run(command, input=json.dumps(pod), capture_output=True, text=True, timeout=60, check=False)
    expect(f"exit code ({done.stderr.strip()})", done.returncode, 0)
    return json.loads(done.stdout)["spec"]["containers"][0], done.stderr


TEE = ["/run/sidelight/bin/sidelight-tee", "--"]


def check(report):
    """All of them, on one registry."""
    with Registry() as registry:
        config = {"Entrypoint": ["/docker-entrypoint.sh"], "Cmd": ["nginx", "-g", "daemon off;"]}
        one = registry.image("team/web", "1", config)
        other = registry.image("team/web", None, {"Cmd": ["/arm"]})
        registry.index("team/web", "many", {"arm64": other, "amd64": one})
        image = f"{registry.address}/team/web"

        def found(reference, expected, args=None, *arguments):
            container = {"name": "app", "image": f"{image}{reference}"} | ({"args": args} if args else {})
            result, warnings = injected(container, *arguments)
            expect(f"command ({warnings.strip()})", result.get("command"), expected[0])
            expect("args", result.get("args"), expected[1])

        entrypoint = TEE + ["/docker-entrypoint.sh"]
        whole = (entrypoint, ["nginx", "-g", "daemon off;"])
        report.check("ENTRYPOINT and CMD by tag", found, ":1", whole)
        report.check("ENTRYPOINT and CMD by digest", found, f"@{one['digest']}", whole)
        report.check("the platform's image of an index", found, ":many", whole)
        report.check(
            "another platform's image of an index", found, ":many", (TEE + ["/arm"], None), None, "--platform",
            "linux/arm64",
        )
        report.check("arguments of the manifest stand for CMD", found, ":1", (entrypoint, ["x"]), ["x"])

        def unknown(reference, *words):
            result, warnings = injected({"name": "app", "image": f"{image}{reference}"})
            expect("command", result.get("command"), None)
            expect(f"{words} in {warnings.strip()}", all(word in warnings for word in words), True)

        report.check("an image that is not there is reported", unknown, ":none", "the registry has no ", "team/web:none", "is not copied")

        def guarded():
            gate = Guarded(registry.address)
            try:
                result, warnings = injected({"name": "app", "image": f"{gate.address}/team/web:many"})
            finally:
                gate.shutdown()
                gate.server_close()
            expect(f"command ({warnings.strip()})", result.get("command"), entrypoint)
            expect("requests for tokens", gate.token_requests, [{"service": ["here"], "scope": ["repository:team/web:pull"]}])
            expect("the token went elsewhere", gate.leaked, False)

        report.check("a registry that wants a token, blobs elsewhere", guarded)
