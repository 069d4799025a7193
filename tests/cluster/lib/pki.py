"""Keys and certificates of a throw-away cluster, and the kubeconfigs of its parts. A day is all they
last."""

import subprocess

from place import NODE, NODE_ADDRESS, PKI

DAYS = "1"

NAMES = [
    "localhost",
    *(f"kubernetes{rest}" for rest in ("", ".default", ".default.svc", ".default.svc.cluster.local")),
]
ADDRESSES = ["127.0.0.1", "10.96.0.1", NODE_ADDRESS]
SERVER = ",".join([*(f"DNS:{name}" for name in NAMES), *(f"IP:{address}" for address in ADDRESSES)])

# file: subject, and usage
CLIENTS = {
    "admin": "/O=system:masters/CN=admin",
    "apiserver-to-kubelet": "/O=system:masters/CN=apiserver",
    "kube-controller-manager": "/CN=system:kube-controller-manager",
    "kube-scheduler": "/CN=system:kube-scheduler",
    "kube-proxy": "/CN=system:kube-proxy",
    "kubelet": f"/O=system:nodes/CN=system:node:{NODE}",
}


def make():
    """Makes all of them."""
    PKI.mkdir(parents=True, exist_ok=True)
    openssl(
        "req",
        "-x509",
        *new("ca"),
        "-days",
        DAYS,
        "-subj",
        "/CN=cluster-ca",
        "-out",
        "ca.crt",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    )
    sign("apiserver", "/CN=kube-apiserver", "serverAuth", f"subjectAltName={SERVER}\n")
    for name, subject in CLIENTS.items():
        sign(name, subject, "clientAuth")
        (PKI / f"{name}.kubeconfig").write_text(kubeconfig(name), encoding="utf-8")
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "accounts.key")
    openssl("pkey", "-in", "accounts.key", "-pubout", "-out", "accounts.pub")


def new(name):
    """Arguments for a new key."""
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"]


def sign(name, subject, usage, extensions=""):
    """A key and a certificate that the CA has signed."""
    openssl("req", *new(name), "-subj", subject, "-out", f"{name}.csr")
    (PKI / f"{name}.ext").write_text(f"extendedKeyUsage={usage}\n{extensions}", encoding="utf-8")
    openssl(
        "x509",
        "-req",
        "-in",
        f"{name}.csr",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        DAYS,
        "-extfile",
        f"{name}.ext",
        "-out",
        f"{name}.crt",
    )


def kubeconfig(name):
    """How this one finds the API server and who it says it is."""
    return f"""apiVersion: v1
kind: Config
current-context: this
clusters: [{{name: this, cluster: {{server: "https://{NODE_ADDRESS}:6443", certificate-authority: "{PKI}/ca.crt"}}}}]
users: [{{name: this, user: {{client-certificate: "{PKI}/{name}.crt", client-key: "{PKI}/{name}.key"}}}}]
contexts: [{{name: this, context: {{cluster: this, user: this}}}}]
"""


def openssl(*arguments):
    """Runs openssl in the folder of the keys."""
    done = subprocess.run(["openssl", *arguments], cwd=PKI, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.strip()}")
