//! The installer's decisions: the injector's configuration with all its defaults. This module does
//! not know YAML; `config` reads it. Unit: one injector.

use sidelight::config::settings::LISTEN_PORT;
use sidelight::encoding::Fnv1a;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

/// The injector's settings.
#[derive(Clone, PartialEq, Debug)]
pub struct Policy {
    /// The revision, which distinguishes several injectors of a cluster.
    pub revision: String,
    /// The image of the sidecar, preferably with a digest.
    pub image: String,
    /// When the image is pulled.
    pub image_pull_policy: PullPolicy,
    /// Pull secrets that are added to the pod's.
    pub image_pull_secrets: Vec<String>,
    /// The kind of sidecar.
    pub mode: Mode,
    /// The port of `/metrics` and the probes, unless a container of the pod uses it.
    pub port: u16,
    /// The platform of the cluster.
    pub platform: Platform,
    /// The kind of sidecar that the service mesh of the cluster uses.
    pub mesh: Mesh,
    /// The destination of spans.
    pub otlp: Otlp,
    /// The sidecar's requests and limits.
    pub resources: Resources,
    /// Whether containers with copied output mount our image instead of copying the binary.
    pub image_volume: ImageVolume,
    /// Size of the volume of the sockets; `None` for the size that is needed.
    pub volume_size_limit: Option<String>,
    /// The startup probe, which decides when the application may start.
    pub startup_probe: Probe,
    /// The liveness probe, which decides when the sidecar is restarted.
    pub liveness_probe: Probe,
    /// How long the last values wait for a scrape.
    pub final_scrape: FinalScrape,
    /// The prefix of the standard metrics, and the groups that are turned off.
    pub metrics: Metrics,
    /// What the annotations of a pod may decide.
    pub allow: Allow,
    /// Commands for containers without one: by image, with or without tag or digest.
    pub entrypoints: BTreeMap<String, Entrypoint>,
    /// sidelight's configuration for every pod of the cluster, as text.
    pub defaults: Option<String>,
    /// Settings that differ in individual namespaces.
    pub namespaces: BTreeMap<String, Overrides>,
    /// Namespaces with pods that are left alone.
    pub exclude_namespaces: BTreeSet<String>,
}

/// How the sidecar is placed in the pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// An init container with `restartPolicy: Always`: it starts first and ends last.
    Native,
    /// A regular container, for clusters before 1.29.
    Classic,
}

impl Mode {
    /// Returns the word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Native => "native",
            Mode::Classic => "classic",
        }
    }
}

/// When an image is pulled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PullPolicy {
    /// At every start.
    Always,
    /// If the node does not have it.
    IfNotPresent,
    /// Never.
    Never,
}

impl PullPolicy {
    /// Returns the word of Kubernetes.
    pub fn word(self) -> &'static str {
        match self {
            PullPolicy::Always => "Always",
            PullPolicy::IfNotPresent => "IfNotPresent",
            PullPolicy::Never => "Never",
        }
    }
}

/// The platform of a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Platform {
    /// A cluster in which a pod may choose its user.
    Kubernetes,
    /// A cluster that chooses the user and refuses a fixed one.
    OpenShift,
    /// To be detected through the API; treated as `Kubernetes` until then.
    Auto,
}

/// The kind of sidecar that the service mesh uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mesh {
    /// Detected from the pod and its namespace.
    Auto,
    /// A proxy that outlives the application.
    Native,
    /// A proxy that ends with the application, and that spans must therefore bypass.
    Classic,
    /// There is no mesh, and no annotation for one is added.
    Absent,
}

/// Whether containers with copied output mount our image as a volume (`volumes[].image`). A pod with
/// such a volume does not start on a node that lacks them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageVolume {
    /// In every pod.
    Always,
    /// In no pod: the sidecar or an init container copies the binary.
    Never,
}

impl ImageVolume {
    /// Returns the word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            ImageVolume::Always => "always",
            ImageVolume::Never => "never",
        }
    }
}

/// The destination of spans.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Otlp {
    /// The base URL, such as `http://$(HOST_IP):4318`; without one no spans are sent.
    pub endpoint: Option<String>,
    /// The value of OTEL_EXPORTER_OTLP_PROTOCOL.
    pub protocol: Option<Protocol>,
    /// Headers of each request; everyone who may read pods can read them.
    pub headers: BTreeMap<String, String>,
    /// The headers as a Secret of the pod's namespace; replaces `headers`.
    pub headers_secret: Option<SecretKey>,
}

/// One key of a Secret. Its value never passes through the injector: kubelet reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecretKey {
    /// The name of the Secret.
    pub name: String,
    /// The key in its data, with headers as `name=value,name=value`.
    pub key: String,
}

/// The protocol for spans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// HTTP/1.1 with protobuf.
    Http,
    /// gRPC.
    Grpc,
}

impl Protocol {
    /// Returns the word of OpenTelemetry.
    pub fn word(self) -> &'static str {
        match self {
            Protocol::Http => "http/protobuf",
            Protocol::Grpc => "grpc",
        }
    }
}

/// Quantities by the name of the resource.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resources {
    /// The requests of the container.
    pub requests: BTreeMap<String, String>,
    /// The limits of the container.
    pub limits: BTreeMap<String, String>,
}

/// The numbers of a probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Probe {
    /// Seconds between two probes.
    pub period_seconds: u32,
    /// Seconds that an answer may take.
    pub timeout_seconds: u32,
    /// Number of consecutive failures after which the probe counts as failed.
    pub failure_threshold: u32,
}

/// How long the last values wait for a scrape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FinalScrape {
    /// The wait in pods of a Job.
    pub jobs: Duration,
    /// The wait in all other pods.
    pub others: Duration,
    /// Number of different scrapers that must have read the values.
    pub scrapers: u8,
}

/// The names and the selection of the standard metrics.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metrics {
    /// The prefix of every name.
    pub prefix: Option<String>,
    /// The groups that are turned off.
    pub groups_off: BTreeSet<Group>,
}

/// A group of standard metrics.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Group {
    /// Metrics of requests.
    Http,
    /// Metrics of queries.
    Database,
    /// Metrics of log lines by severity.
    Log,
    /// Metrics of function calls.
    Functions,
}

impl Group {
    /// All groups.
    pub const ALL: [Group; 4] = [Group::Http, Group::Database, Group::Log, Group::Functions];

    /// Returns the word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Group::Http => "http",
            Group::Database => "database",
            Group::Log => "log",
            Group::Functions => "functions",
        }
    }
}

/// What the annotations of a pod may decide besides harmless numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Allow {
    /// The image of the sidecar.
    pub image: bool,
    /// The resources of the sidecar.
    pub resources: bool,
}

/// The command of an image.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entrypoint {
    /// The ENTRYPOINT of the image.
    pub command: Vec<String>,
    /// The CMD of the image, which applies if the container has no `args`.
    pub args: Vec<String>,
}

/// Settings that differ in a namespace.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Overrides {
    /// See [`Policy::mode`].
    pub mode: Option<Mode>,
    /// See [`Policy::port`].
    pub port: Option<u16>,
    /// See [`Policy::resources`]; replaces all of it.
    pub resources: Option<Resources>,
    /// See [`Policy::otlp`]; replaces all of it.
    pub otlp: Option<Otlp>,
    /// See [`Policy::metrics`]; replaces all of it.
    pub metrics: Option<Metrics>,
    /// See [`Policy::final_scrape`]; replaces all of it.
    pub final_scrape: Option<FinalScrape>,
    /// See [`Policy::allow`]; replaces all of it.
    pub allow: Option<Allow>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            revision: "default".to_owned(),
            image: concat!("sidelight:", env!("CARGO_PKG_VERSION")).to_owned(),
            image_pull_policy: PullPolicy::IfNotPresent,
            image_pull_secrets: Vec::new(),
            mode: Mode::Native,
            port: LISTEN_PORT,
            platform: Platform::Auto,
            mesh: Mesh::Auto,
            otlp: Otlp::default(),
            resources: Resources {
                requests: quantities(&[("cpu", "10m"), ("memory", "24Mi")]),
                // no limit of processor time: a throttled sidecar answers its probes late
                limits: quantities(&[("memory", "64Mi")]),
            },
            image_volume: ImageVolume::Never,
            volume_size_limit: None,
            // an exec probe on a busy node takes seconds; the probe may fail for a minute, because
            // a failure keeps the pod from starting
            startup_probe: Probe { period_seconds: 1, timeout_seconds: 5, failure_threshold: 60 },
            // longer than any drain, because the probe continues during it
            liveness_probe: Probe { period_seconds: 10, timeout_seconds: 5, failure_threshold: 6 },
            final_scrape: FinalScrape::default(),
            metrics: Metrics::default(),
            allow: Allow::default(),
            entrypoints: BTreeMap::new(),
            defaults: None,
            namespaces: BTreeMap::new(),
            exclude_namespaces: [
                "kube-system",
                "kube-public",
                "kube-node-lease",
                "sidelight-system",
            ]
            .map(str::to_owned)
            .into(),
        }
    }
}

impl Default for FinalScrape {
    /// Waits in a Job for two intervals of 15 s and the duration of a scrape, and not at all in
    /// other pods.
    fn default() -> FinalScrape {
        FinalScrape { jobs: Duration::from_secs(35), others: Duration::ZERO, scrapers: 1 }
    }
}

fn quantities(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, quantity)| ((*name).to_owned(), (*quantity).to_owned())).collect()
}

impl Policy {
    /// Returns the policy with the overrides of a namespace. If there are any, the result has no
    /// `namespaces`.
    pub fn within(&self, namespace: &str) -> Cow<'_, Policy> {
        let Some(overrides) = self.namespaces.get(namespace) else { return Cow::Borrowed(self) };
        let mut policy = Policy { namespaces: BTreeMap::new(), ..self.clone() };
        let Overrides { mode, port, resources, otlp, metrics, final_scrape, allow } = overrides;
        policy.mode = mode.unwrap_or(policy.mode);
        policy.port = port.unwrap_or(policy.port);
        policy.resources = resources.clone().unwrap_or(policy.resources);
        policy.otlp = otlp.clone().unwrap_or(policy.otlp);
        policy.metrics = metrics.clone().unwrap_or(policy.metrics);
        policy.final_scrape = final_scrape.unwrap_or(policy.final_scrape);
        policy.allow = allow.unwrap_or(policy.allow);
        Cow::Owned(policy)
    }

    /// Returns sixteen hexadecimal digits that identify the configuration: they differ if two
    /// policies create different pods. Call it on a policy [`within`](Policy::within) a namespace,
    /// because the overrides of other namespaces do not matter.
    ///
    /// # Panics
    /// Never: hashing cannot fail.
    pub fn hash(&self) -> String {
        let mut hash = Fnv1a::new();
        let names = (&self.image, self.image_pull_policy, &self.image_pull_secrets, &self.defaults);
        let kind = (self.mode, self.port, self.platform, self.mesh, &self.otlp, &self.metrics);
        let size =
            (&self.resources, &self.volume_size_limit, self.startup_probe, self.liveness_probe);
        let rest = (self.final_scrape, self.allow, &self.entrypoints, self.image_volume);
        write!(hash, "{names:?}{kind:?}{size:?}{rest:?}").expect("hashing cannot fail");
        format!("{:016x}", hash.finish())
    }
}
