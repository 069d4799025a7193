"""Container images without a registry or a daemon: files in, an OCI layout in a tar file out.

Layers are not compressed: they are read once, by the containerd of the same machine.
"""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"

USERS = b"root:x:0:0:root:/:/bin/sh\nnobody:x:65532:65532:nobody:/:/sbin/nologin\n"
GROUPS = b"root:x:0:\nnobody:x:65532:\n"


class Layer:
    """A layer as bytes or as a file, and its digest."""

    def __init__(self, content):
        self.content = content
        with self.open() as bytes_of_it:
            self.digest = hashlib.file_digest(bytes_of_it, "sha256").hexdigest()
        self.bytes_count = len(content) if isinstance(content, bytes) else os.path.getsize(content)

    def open(self):
        """For reading from its begin."""
        return io.BytesIO(self.content) if isinstance(self.content, bytes) else open(self.content, "rb")


def files(having):
    """A layer of files, `{path in the image: path here or bytes}`, and of what a program takes for
    granted."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        seen = set()
        for folder in ("/etc/", "/tmp/", *having):
            parents = Path(folder if folder.endswith("/") else os.path.dirname(folder)).parts[1:]
            for depth in range(1, len(parents) + 1):
                path = "/".join(parents[:depth])
                if path not in seen:
                    seen.add(path)
                    add(tar, path, 0o1777 if path == "tmp" else 0o755)
        for path, content in having.items():
            add(
                tar,
                path.lstrip("/"),
                0o755,
                content if isinstance(content, bytes) else Path(content).read_bytes(),
            )
        if "/etc/passwd" not in having:
            add(tar, "etc/passwd", 0o644, USERS)
            add(tar, "etc/group", 0o644, GROUPS)
    return Layer(made.getvalue())


def tree(folder, archive):
    """A layer of a whole folder, kept as a file. Devices are made by the runtime."""
    if not archive.exists():
        unfinished = archive.with_suffix(".unfinished")
        with tarfile.open(unfinished, mode="w") as tar:
            tar.add(folder, arcname=".", filter=lambda one: None if one.isdev() else one)
        unfinished.rename(archive)
    return Layer(archive)


def add(tar, path, mode, content=None):
    """A file, or a folder if there is no content; all of the same moment, so that digests stay."""
    entry = tarfile.TarInfo(path)
    entry.mode = mode
    entry.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
    entry.size = len(content or b"")
    tar.addfile(entry, io.BytesIO(content or b""))


class Image:
    """What a Dockerfile would say."""

    def __init__(self, name, layers, entrypoint=(), command=(), user=""):
        self.name = name
        self.layers = layers
        run = {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "WorkingDir": "/", "User": user}
        run |= {"Entrypoint": list(entrypoint), "Cmd": list(command)}
        self.config = {
            "architecture": "amd64",
            "os": "linux",
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one.digest}" for one in layers]},
        }

        self.config = json.dumps(self.config).encode()
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": described(CONFIG, sha256(self.config), len(self.config)),
                "layers": [described(LAYER, one.digest, one.bytes_count) for one in layers],
            }
        ).encode()
        self.digest = f"sha256:{sha256(self.manifest)}"

    def write(self, archive):
        """Writes the layout."""
        named = {"io.containerd.image.name": self.name, "org.opencontainers.image.ref.name": self.name}
        entry = {**described(MANIFEST, sha256(self.manifest), len(self.manifest)), "annotations": named}
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()
        with tarfile.open(archive, "w") as tar:
            add(tar, "oci-layout", 0o644, b'{"imageLayoutVersion": "1.0.0"}')
            add(tar, "index.json", 0o644, index)
            for blob in (self.config, self.manifest):
                add(tar, f"blobs/sha256/{sha256(blob)}", 0o644, blob)
            for layer in self.layers:
                header = tarfile.TarInfo(f"blobs/sha256/{layer.digest}")
                header.size = layer.bytes_count
                with layer.open() as content:
                    tar.addfile(header, content)


def described(media_type, digest, size):
    """How one blob points to another."""
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def sha256(content):
    """Its digest."""
    return hashlib.sha256(content).hexdigest()
