"""One node that is a whole cluster, in a separate network namespace: up and down.

Nothing listens outside of the namespace and nothing leads out of it. Everything that is kept lies in
one folder, every process is remembered by its id, all pods live below one cgroup: taking down leaves
nothing behind.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import image
import pki
from place import (
    BIN,
    CONTAINERD,
    HERE,
    KUBECONFIG,
    KUBELET,
    LOGS,
    NAME,
    NETWORK,
    NODE,
    NODE_ADDRESS,
    PKI,
    POD_LOGS,
    RUN,
    STATE,
)

CGROUPS = Path("/sys/fs/cgroup")

ETCD = "http://127.0.0.1:2379"


def is_up():
    """Whether its API server says that it is ready."""
    return KUBECONFIG.exists() and kubectl("get", "--raw", "/readyz", check=False).returncode == 0


def up():
    """Starts everything; returns when a pod would be admitted and started. Ten seconds on two cores."""
    for folder in (RUN, LOGS, POD_LOGS, STATE / "network", KUBELET / "seccomp"):
        folder.mkdir(parents=True, exist_ok=True)
    for template in (
        "containerd.toml",
        "kubelet.yaml",
        "kube-proxy.yaml",
        "Corefile",
        "10-pods.conflist",
    ):
        text = (HERE / "node" / template).read_text(encoding="utf-8")
        where = STATE / "network" if template.endswith("conflist") else STATE
        (where / template).write_text(
            text.replace("@STATE@", str(STATE)).replace("@NAME@", NAME), encoding="utf-8"
        )
    pki.make()
    network()
    cgroups()
    start("containerd", "-c", STATE / "containerd.toml", program=CONTAINERD / "containerd")
    start(
        "etcd",
        "--data-dir",
        STATE / "etcd",
        "--listen-client-urls",
        ETCD,
        "--advertise-client-urls",
        ETCD,
        "--listen-peer-urls",
        "http://127.0.0.1:2380",
        "--unsafe-no-fsync",
        "--log-level",
        "warn",
    )
    apiserver()
    pause_image()
    wait("the API server", lambda: kubectl("get", "--raw", "/readyz", check=False).returncode == 0)
    for name, extra in (
        (
            "kube-controller-manager",
            [
                "--use-service-account-credentials=true",
                f"--root-ca-file={PKI}/ca.crt",
                f"--service-account-private-key-file={PKI}/accounts.key",
            ],
        ),
        ("kube-scheduler", []),
    ):
        me = f"{PKI}/{name}.kubeconfig"
        start(
            name,
            "--kubeconfig",
            me,
            "--authentication-kubeconfig",
            me,
            "--authorization-kubeconfig",
            me,
            "--leader-elect=false",
            *extra,
        )
    start(
        "kubelet",
        "--config",
        STATE / "kubelet.yaml",
        "--kubeconfig",
        f"{PKI}/kubelet.kubeconfig",
        "--hostname-override",
        NODE,
        "--node-ip",
        NODE_ADDRESS,
        "--root-dir",
        KUBELET,
    )
    start("kube-proxy", "--config", STATE / "kube-proxy.yaml", "--hostname-override", NODE)
    start("coredns", "-conf", STATE / "Corefile")
    ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    wait("the node", lambda: kubectl("get", "node", NODE, "-o", ready, check=False).stdout == "True")
    # until it exists, no pod is admitted to the namespace
    wait(
        "the first account",
        lambda: kubectl("get", "serviceaccount", "default", check=False).returncode == 0,
    )


def apiserver():
    """The API server. It finds the endpoints of webhooks itself, so that kube-proxy need not be ready
    for them."""
    start(
        "kube-apiserver",
        f"--etcd-servers={ETCD}",
        f"--advertise-address={NODE_ADDRESS}",
        f"--client-ca-file={PKI}/ca.crt",
        f"--tls-cert-file={PKI}/apiserver.crt",
        f"--tls-private-key-file={PKI}/apiserver.key",
        f"--kubelet-client-certificate={PKI}/apiserver-to-kubelet.crt",
        f"--kubelet-client-key={PKI}/apiserver-to-kubelet.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={PKI}/accounts.pub",
        f"--service-account-signing-key-file={PKI}/accounts.key",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-aggregator-routing=true",
    )


def network():
    """The namespace. The node's address lies on a veth pair; nothing uses its other end."""
    if not NETWORK.exists():
        call("ip", "netns", "add", NAME)
    inside("ip", "link", "set", "lo", "up")
    inside("ip", "link", "add", "node0", "type", "veth", "peer", "name", "void0")
    inside("ip", "address", "add", f"{NODE_ADDRESS}/24", "dev", "node0")
    for link in ("void0", "node0"):
        inside("ip", "link", "set", link, "up")
    # leads nowhere, but kubelet and the API server require one
    inside("ip", "route", "add", "default", "via", "198.18.7.1", "dev", "node0")
    inside("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    # every container runtime watches files; the default of 128 is soon used up
    watchers = Path("/proc/sys/fs/inotify/max_user_instances")
    if int(watchers.read_text(encoding="ascii")) < 1024:
        watchers.write_text("1024", encoding="ascii")


def cgroups():
    """A cgroup below each controller's root."""
    for controller in hierarchies():
        mine = controller / NAME
        mine.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (mine / setting).exists() and (controller / setting).exists():
                (mine / setting).write_text(
                    (controller / setting).read_text(encoding="ascii"), encoding="ascii"
                )


def hierarchies():
    """The mounted hierarchies, whichever version."""
    with open("/proc/mounts", encoding="utf-8") as mounts:
        return [Path(mount.split()[1]) for mount in mounts if mount.split()[2] in ("cgroup", "cgroup2")]


def pause_image():
    """The only image that Kubernetes itself needs."""
    call("gcc", "-Os", "-static", "-s", "-o", RUN / "pause", HERE / "node/pause.c")
    packed = image.Image(
        "localhost/pause:local", [image.files({"/pause": RUN / "pause"})], entrypoint=["/pause"]
    )
    wait("containerd", lambda: ctr("version", check=False).returncode == 0)
    load(packed)


def load(packed):
    """Imports an image, unless it is there already."""
    for line in ctr("images", "list").stdout.splitlines():
        if line.split()[0] == packed.name and packed.digest in line.split():
            return
    archive = RUN / "image.tar"
    packed.write(archive)
    ctr("images", "import", archive)
    archive.unlink()


def down():
    """Ends the processes, then takes away what is left of pods, mounts, namespace, cgroups and files."""
    kill(ours())
    for controller in hierarchies():
        kill(processes_of(controller / NAME))
    kill(shims())
    for mount in reversed(mounts_below(STATE)):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    if NETWORK.exists():
        call("ip", "netns", "delete", NAME)
    for controller in hierarchies():
        for folder, _, _ in os.walk(controller / NAME, topdown=False):
            os.rmdir(folder)
    if STATE.exists():
        shutil.rmtree(STATE)


def ours():
    """Ids of the programs that `start` started. An id may belong to somebody else by now: the name has
    to fit."""
    found = []
    for remembered in RUN.glob("*.pid"):
        pid = int(remembered.read_text(encoding="ascii"))
        if str(STATE).encode() in command_line(pid) or remembered.stem.encode() in command_line(pid):
            found.append(pid)
    return found


def shims():
    """Ids of the processes by which our containerd holds its containers."""
    address = f"{RUN}/containerd.sock".encode()
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if address in command_line(pid).split(b"\0")]


def command_line(pid):
    """The command line of a process; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def processes_of(cgroup):
    """Ids of all processes in a cgroup and below it."""
    found = []
    for folder, _, _ in os.walk(cgroup):
        found += map(int, (Path(folder) / "cgroup.procs").read_text(encoding="ascii").split())
    return found


def kill(pids):
    """Ends processes and waits until they are gone: nothing here is worth a farewell."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    end = time.monotonic() + 10
    while any(is_alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.05)


def is_alive(pid):
    """Whether it runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def mounts_below(folder):
    """Mounted at or below the folder, outermost first."""
    with open("/proc/mounts", encoding="utf-8") as mounts:
        return sorted(mount.split()[1] for mount in mounts if mount.split()[1].startswith(f"{folder}/"))


def start(name, *arguments, program=None):
    """Starts a program inside of the network, its output into a file, its id remembered."""
    command = ["nsenter", f"--net={NETWORK}", str(program or BIN / name), *map(str, arguments)]
    with open(LOGS / f"{name}.log", "wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=environment(),
        )
    (RUN / f"{name}.pid").write_text(str(process.pid), encoding="ascii")


def environment():
    """What programs of the cluster see, and nothing else: a proxy of this machine is none of theirs."""
    return {
        "PATH": f"{CONTAINERD}:{BIN}:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "KUBECONFIG": str(KUBECONFIG),
    }


def wait(what, condition, seconds=120):
    """Waits for a condition; says which part of the cluster to look at if it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} is not ready after {seconds} s; the logs are in {LOGS}")
        time.sleep(0.2)


def call(*command, check=True):
    """Runs a command to its end."""
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, env=environment()
    )
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def fetch(*command):
    """Runs a command that needs the network of this machine: in the environment of the caller, which may name
    a proxy, certificates or a mirror."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def inside(*command, check=True):
    """Runs a command inside of the network."""
    return call("nsenter", f"--net={NETWORK}", *command, check=check)


def kubectl(*arguments, check=True):
    """Runs kubectl inside of the network."""
    return inside(BIN / "kubectl", *arguments, check=check)


def ctr(*arguments, check=True):
    """Runs containerd's own client."""
    return call(
        "ctr", "--address", RUN / "containerd.sock", "--namespace", "k8s.io", *arguments, check=check
    )
