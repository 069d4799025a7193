//! Who sidelight speaks for: the service, and the pod that it stands in. In OpenTelemetry's words the
//! resource of every span and record that leaves. A plain value; `config` fills it from the environment.

/// The entity that produces the telemetry (OpenTelemetry resource semantic conventions).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resource {
    /// `service.name`: what a line without a service of its own belongs to. Never empty.
    pub service_name: String,
    /// Everything else, `service.name` not among it, sorted by key: `k8s.pod.name`, `service.version`, ...
    pub attributes: Vec<(String, String)>,
}

impl Default for Resource {
    /// OpenTelemetry's default name for a service that nobody named.
    fn default() -> Self {
        Resource { service_name: "unknown_service".to_owned(), attributes: Vec::new() }
    }
}
