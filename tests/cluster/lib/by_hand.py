"""What injection makes of a pod, written by hand: for a cluster without an injector."""

import copy

import images

SOCKETS = "/run/sidelight"


def inject(pod, endpoint=None, port=19464):
    """A pod with a native sidecar, its sockets in every container."""
    made = copy.deepcopy(pod)
    made["metadata"].setdefault("labels", {})["sidelight.dev/injected"] = "true"
    spec = made["spec"]
    spec.setdefault("volumes", []).append(
        {"name": "sidelight-run", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}})
    rules = made["metadata"].get("annotations", {}).get("sidelight.dev/rules")
    layers = [("sidelight-namespace", "/etc/sidelight/namespace", "sidelight")]
    layers += [("sidelight-rules", "/etc/sidelight/pod", rules)] if rules else []
    for name, _, source in layers:
        spec["volumes"].append({"name": name, "configMap": {"name": source, "optional": True}})
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        container.setdefault("env", []).extend(
            [{"name": "SIDELIGHT_SOCKET", "value": f"{SOCKETS}/log.sock"},
             {"name": "SIDELIGHT_DATAGRAM_SOCKET", "value": f"{SOCKETS}/log.dgram.sock"}])
        container.setdefault("volumeMounts", []).append(
            {"name": "sidelight-run", "mountPath": SOCKETS, "readOnly": True})
    spec["initContainers"] = [sidecar(spec, layers, endpoint, port), *spec.get("initContainers", [])]
    return made


def sidecar(spec, layers, endpoint, port):
    """The container."""
    said = {
        "SIDELIGHT_SOCKET": f"{SOCKETS}/log.sock",
        "SIDELIGHT_DATAGRAM_SOCKET": f"{SOCKETS}/log.dgram.sock",
        "SIDELIGHT_SOCKET_MODE": "0666",
        "SIDELIGHT_LISTEN": f"[::]:{port}",
        "SIDELIGHT_MODE": "native",
        "SIDELIGHT_GRACE_SECONDS": str(spec.get("terminationGracePeriodSeconds", 30)),
    }
    if endpoint:
        said["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    fields = {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "POD_UID": "metadata.uid",
              "NODE_NAME": "spec.nodeName"}
    return {
        "name": "sidelight",
        "image": images.SIDELIGHT,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "args": ["run"],
        "env": [{"name": name, "value": value} for name, value in said.items()]
        + [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()],
        "ports": [{"name": "sl-metrics", "containerPort": port}],
        "startupProbe": {"exec": {"command": ["/sidelight", "healthcheck", "--socket", f"{SOCKETS}/log.sock"]},
                         "periodSeconds": 1, "failureThreshold": 30},
        "livenessProbe": {"httpGet": {"path": "/livez", "port": port}, "timeoutSeconds": 2, "failureThreshold": 6},
        "resources": {"requests": {"cpu": "10m", "memory": "24Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532,
                            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumeMounts": [{"name": "sidelight-run", "mountPath": SOCKETS},
                         *({"name": name, "mountPath": path, "readOnly": True} for name, path, _ in layers)],
    }
