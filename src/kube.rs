//! The few calls to the Kubernetes API that the injector and `check --cluster` make: get, list, create, patch,
//! over HTTP/1.1 and TLS 1.3, with the service account of the pod or a kubeconfig. Raw JSON. Unit: one call.
