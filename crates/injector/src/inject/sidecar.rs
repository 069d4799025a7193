//! Builds the sidecar's container and its volumes, which comply with Pod Security "restricted".
//! Unit: one container.

use super::identity::{self, literal};
use super::mounts::Copier;
use super::names::{
    CONTAINER, DATAGRAM_SOCKET_PATH, DATAGRAM_SOCKET_VARIABLE, IMAGE_VOLUME, INSTALL_CONTAINER,
    INSTALL_PATH, INSTALL_VARIABLE, NAMESPACE_CONFIG_MAP, NAMESPACE_PATH, NAMESPACE_VOLUME, PORT,
    RULES_PATH, RULES_VOLUME, RUN_PATH, RUN_VOLUME, SOCKET_PATH, SOCKET_VARIABLE,
};
use super::options::PodOptions;
use super::origin::Owner;
use super::pod::Pod;
use super::policy::{Mode, Otlp, Platform, Policy, Probe, SecretKey};
use super::quantity::is_more;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The user id of the image; the same as in its USER.
const USER: u32 = 65532;

/// Kubernetes' default grace period, for pods without one.
const GRACE_SECONDS: i64 = 30;

/// Maximum bytes of one variable of a process, above which the kernel refuses to start it, minus
/// the length of its name.
pub const DEFAULTS_BYTES_MAX: usize = 120 * 1024;

/// What the container depends on besides the policy and the pod's annotations.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Shape {
    pub(super) port: u16,
    pub(super) resources: Value,
    /// Whether kubelet's requests reach the port.
    pub(super) reachable: bool,
    /// Whether the binary is needed on the volume.
    pub(super) install: bool,
}

/// Builds the container.
pub(super) fn container(
    pod: &Pod<'_>,
    owners: &[Owner],
    policy: &Policy,
    options: &PodOptions,
    shape: &Shape,
) -> Value {
    let mut container = begun(CONTAINER, policy, options, json!(["run"]));
    if options.mode == Mode::Native {
        container.insert("restartPolicy".to_owned(), json!("Always"));
    }
    container.insert("env".to_owned(), environment(pod, owners, policy, options, shape));
    let port = json!([{"name": PORT, "containerPort": shape.port, "protocol": "TCP"}]);
    container.insert("ports".to_owned(), port);
    let check =
        json!({"exec": {"command": ["/sidelight", "healthcheck", "--socket", SOCKET_PATH]}});
    container.insert("startupProbe".to_owned(), probe(check, policy.startup_probe));
    if shape.reachable {
        let get = |path: &str| json!({"httpGet": {"path": path, "port": shape.port}});
        container.insert("livenessProbe".to_owned(), probe(get("/livez"), policy.liveness_probe));
        if options.readiness_probe {
            container
                .insert("readinessProbe".to_owned(), probe(get("/readyz"), policy.liveness_probe));
        }
    }
    container.insert("resources".to_owned(), shape.resources.clone());
    container.insert("securityContext".to_owned(), security(policy));
    let mut mounts = vec![
        json!({"name": RUN_VOLUME, "mountPath": RUN_PATH}),
        json!({"name": NAMESPACE_VOLUME, "mountPath": NAMESPACE_PATH, "readOnly": true}),
    ];
    if options.rules.is_some() {
        mounts.push(json!({"name": RULES_VOLUME, "mountPath": RULES_PATH, "readOnly": true}));
    }
    container.insert("volumeMounts".to_owned(), Value::Array(mounts));
    Value::Object(container)
}

/// Builds the init container of classic mode that copies the binary to the volume.
pub(super) fn installer(policy: &Policy, options: &PodOptions, resources: &Value) -> Value {
    let mut container = begun(INSTALL_CONTAINER, policy, options, json!(["install", INSTALL_PATH]));
    container.insert("resources".to_owned(), resources.clone());
    container.insert("securityContext".to_owned(), security(policy));
    let mounts = json!([{"name": RUN_VOLUME, "mountPath": RUN_PATH}]);
    container.insert("volumeMounts".to_owned(), mounts);
    Value::Object(container)
}

/// Builds the volumes, without those that the pod has already.
pub(super) fn volumes(
    pod: &Pod<'_>,
    policy: &Policy,
    options: &PodOptions,
    copier: Copier,
) -> Vec<Value> {
    let install = copier == Copier::Installed;
    // the sockets need almost nothing, the binary needs eight
    let needed = if install { "16Mi" } else { "8Mi" };
    let size = policy.volume_size_limit.as_deref().unwrap_or(needed);
    let size = if install && is_more(needed, size) { needed } else { size };
    // readable by a user other than root, whatever the pod's group is
    let layer = |volume: &str, name: &str| {
        let map = json!({"name": name, "optional": true, "defaultMode": 0o444});
        json!({"name": volume, "configMap": map})
    };
    let mut volumes = vec![
        json!({"name": RUN_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": size}}),
        layer(NAMESPACE_VOLUME, NAMESPACE_CONFIG_MAP),
    ];
    if copier == Copier::Mounted {
        let pull = policy.image_pull_policy.word();
        let image = json!({"reference": options.image, "pullPolicy": pull});
        volumes.push(json!({"name": IMAGE_VOLUME, "image": image}));
    }
    volumes.extend(options.rules.as_deref().map(|name| layer(RULES_VOLUME, name)));
    volumes.retain(|volume| !volume["name"].as_str().is_some_and(|name| pod.has_volume(name)));
    volumes
}

fn begun(name: &str, policy: &Policy, options: &PodOptions, args: Value) -> Map<String, Value> {
    let pull = policy.image_pull_policy.word();
    let members = [
        ("name", json!(name)),
        ("image", json!(options.image)),
        ("imagePullPolicy", json!(pull)),
        ("args", args),
    ];
    members.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

fn probe(mut check: Value, probe: Probe) -> Value {
    check["periodSeconds"] = json!(probe.period_seconds);
    check["timeoutSeconds"] = json!(probe.timeout_seconds);
    check["failureThreshold"] = json!(probe.failure_threshold);
    check
}

fn security(policy: &Policy) -> Value {
    let mut security = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": true,
        "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    match policy.platform {
        // the platform assigns users to every namespace
        Platform::OpenShift => {}
        Platform::Kubernetes | Platform::Auto => {
            security["runAsUser"] = json!(USER);
            security["runAsGroup"] = json!(USER);
        }
    }
    security
}

/// Builds the variables, in the order in which they refer to one another.
fn environment(
    pod: &Pod<'_>,
    owners: &[Owner],
    policy: &Policy,
    options: &PodOptions,
    shape: &Shape,
) -> Value {
    let mut list: Vec<Value> = Vec::new();
    let mut put = |name: &str, value: String| list.push(variable(name, value));
    put(SOCKET_VARIABLE, SOCKET_PATH.to_owned());
    put(DATAGRAM_SOCKET_VARIABLE, DATAGRAM_SOCKET_PATH.to_owned());
    // the volume belongs to the pod, and its containers run as other users
    put("SIDELIGHT_SOCKET_MODE", "0666".to_owned());
    put("SIDELIGHT_LISTEN", format!("[::]:{}", shape.port));
    put("SIDELIGHT_MODE", options.mode.word().to_owned());
    let grace = pod.spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64);
    put("SIDELIGHT_GRACE_SECONDS", grace.unwrap_or(GRACE_SECONDS).max(0).to_string());
    if let Some(level) = options.log_level {
        put("SIDELIGHT_LOG_LEVEL", level.to_owned());
    }
    for (name, field) in [
        ("POD_NAME", "metadata.name"),
        ("POD_NAMESPACE", "metadata.namespace"),
        ("POD_UID", "metadata.uid"),
        ("NODE_NAME", "spec.nodeName"),
        ("HOST_IP", "status.hostIP"),
    ] {
        list.push(json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": field}}}));
    }
    let identity = identity::of(pod, owners);
    list.push(variable("OTEL_SERVICE_NAME", identity.service_name));
    list.push(variable("OTEL_RESOURCE_ATTRIBUTES", identity.attributes));
    list.extend(exporter(&policy.otlp));
    let mut put = |name: &str, value: String| list.push(variable(name, value));
    if let Some(defaults) =
        policy.defaults.as_deref().filter(|text| text.len() <= DEFAULTS_BYTES_MAX)
    {
        put("SIDELIGHT_DEFAULTS", literal(defaults));
    }
    let layers = match options.rules {
        Some(_) => format!("{NAMESPACE_PATH}:{RULES_PATH}"),
        None => NAMESPACE_PATH.to_owned(),
    };
    put("SIDELIGHT_CONFIG_LAYERS", layers);
    if let Some(prefix) = &options.metrics.prefix {
        put("SIDELIGHT_METRICS_PREFIX", literal(prefix));
    }
    if !options.metrics.groups_off.is_empty() {
        let groups: Vec<&str> =
            options.metrics.groups_off.iter().map(|group| group.word()).collect();
        put("SIDELIGHT_METRICS_GROUPS_OFF", groups.join(","));
    }
    let wait = final_scrape_wait(owners, options);
    if !wait.is_zero() {
        put("SIDELIGHT_FINAL_SCRAPE_WAIT", written(wait));
        put("SIDELIGHT_SCRAPERS", options.final_scrape.scrapers.to_string());
    }
    if options.mode == Mode::Classic && ends_by_itself(pod, owners) {
        put("SIDELIGHT_EXIT_WITH_APP", "1".to_owned());
    }
    if shape.install && options.mode == Mode::Native {
        put(INSTALL_VARIABLE, INSTALL_PATH.to_owned());
    }
    Value::Array(list)
}

fn variable(name: &str, value: impl Into<Value>) -> Value {
    json!({"name": name, "value": value.into()})
}

/// Builds the variables of the exporter of spans. The installer wrote their text, and so
/// `$(HOST_IP)` must be expanded.
fn exporter(otlp: &Otlp) -> Vec<Value> {
    let Some(endpoint) = &otlp.endpoint else { return Vec::new() };
    let mut list = vec![variable("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.clone())];
    if let Some(protocol) = otlp.protocol {
        list.push(variable("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.word().to_owned()));
    }
    if let Some(SecretKey { name, key }) = &otlp.headers_secret {
        // optional, because a missing Secret would keep the application from starting
        let reference = json!({"name": name, "key": key, "optional": true});
        let value = json!({"secretKeyRef": reference});
        list.push(json!({"name": "OTEL_EXPORTER_OTLP_HEADERS", "valueFrom": value}));
    } else if !otlp.headers.is_empty() {
        list.push(variable("OTEL_EXPORTER_OTLP_HEADERS", joined(&otlp.headers)));
    }
    list
}

/// Returns headers as OpenTelemetry's variable lists them.
pub(super) fn joined(headers: &BTreeMap<String, String>) -> String {
    let escape = |value: &str| value.replace('%', "%25").replace(',', "%2c").replace('=', "%3d");
    let pairs = headers.iter().map(|(name, value)| format!("{name}={}", escape(value)));
    pairs.collect::<Vec<_>>().join(",")
}

fn final_scrape_wait(owners: &[Owner], options: &PodOptions) -> Duration {
    let by_kind =
        if is_job(owners) { options.final_scrape.jobs } else { options.final_scrape.others };
    options.final_scrape_wait.unwrap_or(by_kind)
}

fn is_job(owners: &[Owner]) -> bool {
    owners.iter().any(|owner| ["Job", "CronJob"].contains(&owner.kind.as_str()))
}

/// Returns whether the pod ends with its application: a sidecar of classic mode that stayed would
/// keep the pod running for ever.
fn ends_by_itself(pod: &Pod<'_>, owners: &[Owner]) -> bool {
    let policy = pod.spec.get("restartPolicy").and_then(Value::as_str);
    is_job(owners) || matches!(policy, Some("Never" | "OnFailure"))
}

pub(super) fn written(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}
