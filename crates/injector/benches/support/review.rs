//! The review of a pod, as an API server sends it.

use serde_json::{Value, json};

/// Returns a review of a pod as an API server sends it, with defaults filled in.
pub(crate) fn review(containers: usize, variables: usize) -> Vec<u8> {
    let container = |index: usize| {
        let variables: Vec<Value> = (0..variables)
            .map(|n| json!({"name": format!("SETTING_{n}"), "value": format!("https://service-{n}.shop.svc:8080/v1")}))
            .collect();
        json!({
            "name": format!("app-{index}"),
            "image": "registry.example.com/shop/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "command": ["/app", "--listen", ":8080"],
            "env": variables,
            "ports": [{"containerPort": 8080 + index, "protocol": "TCP"}],
            "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "256Mi"}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"},
                "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
            "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true}],
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent",
        })
    };
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9c", "uid": "u",
        "controller": true, "blockOwnerDeletion": true});
    let resource = json!({"group": "", "version": "v1", "resource": "pods"});
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": resource, "requestResource": resource,
            "namespace": "shop", "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "object": {
                "kind": "Pod", "apiVersion": "v1",
                "metadata": {"generateName": "web-5d9c-", "namespace": "shop",
                    "labels": {"app": "web", "pod-template-hash": "5d9c"}, "ownerReferences": [owner]},
                "spec": {
                    "containers": (0..containers).map(container).collect::<Vec<_>>(),
                    "volumes": [{"name": "token", "projected": {"sources": [
                        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}], "defaultMode": 420}}],
                    "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
                    "serviceAccountName": "default", "securityContext": {}, "schedulerName": "default-scheduler",
                },
            },
            "oldObject": null, "dryRun": false,
        },
    })
    .to_string()
    .into_bytes()
}
