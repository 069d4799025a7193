"""Where everything of the cluster is: its name, its folder, its binaries. Nothing lies anywhere else."""

import os
from pathlib import Path

# another name is another cluster: two can run on one machine at the same time
NAME = os.environ.get("SIDELIGHT_CLUSTER") or "sl-kube"

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sidelight"
BIN = CACHE / "bin"
CONTAINERD = BIN / "containerd-2"

STATE = Path("/var/lib") / NAME
PKI = STATE / "pki"
RUN = STATE / "run"
LOGS = STATE / "log"
POD_LOGS = STATE / "pod-logs"
KUBELET = STATE / "kubelet"
KUBECONFIG = PKI / "admin.kubeconfig"
NETWORK = Path("/run/netns") / NAME

# the network is not reachable from outside, so every cluster can use the same addresses
NODE = "node1"
NODE_ADDRESS = "198.18.7.2"
API = f"https://{NODE_ADDRESS}:6443"
