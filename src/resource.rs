//! The resource (in OpenTelemetry's terms) of every span and record that sidelight sends: the
//! service and its pod. A plain value; `config` fills it from the environment.

/// The entity that produces the telemetry (OpenTelemetry resource semantic conventions).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resource {
    /// `service.name`: used for a line that names no service. Never empty.
    pub service_name: String,
    /// All other attributes (`k8s.pod.name`, `service.version`, ...), sorted by key. `service.name`
    /// is not among them.
    pub attributes: Vec<(String, String)>,
}

impl Default for Resource {
    /// Uses OpenTelemetry's default name for a service without a name.
    fn default() -> Self {
        Resource { service_name: "unknown_service".to_owned(), attributes: Vec::new() }
    }
}
