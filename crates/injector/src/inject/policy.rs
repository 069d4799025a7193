//! What the installer decided: the injector's configuration as it is used, with all its defaults. Knows
//! no YAML; `config::injector` reads it. Unit: one injector.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::time::Duration;

/// The injector's settings.
#[derive(Clone, PartialEq, Debug)]
pub struct Policy {
    /// Which of several injectors of a cluster this is.
    pub revision: String,
    /// The image of the sidecar, best by digest.
    pub image: String,
    /// When it is pulled.
    pub image_pull_policy: PullPolicy,
    /// Secrets that are added to the pod's own.
    pub image_pull_secrets: Vec<String>,
    /// Which kind of sidecar.
    pub mode: Mode,
    /// Where `/metrics` and the probes are, unless a container of the pod has the port.
    pub port: u16,
    /// Whose cluster it is.
    pub platform: Platform,
    /// Which kind of sidecar the service mesh of the cluster has.
    pub mesh: Mesh,
    /// Where spans go.
    pub otlp: Otlp,
    /// What the sidecar asks for and may use.
    pub resources: Resources,
    /// Size of the volume of the sockets; `None`: what is needed.
    pub volume_size_limit: Option<String>,
    /// When the application may start.
    pub startup_probe: Probe,
    /// When the sidecar is started anew.
    pub liveness_probe: Probe,
    /// How long the last values wait for a scrape.
    pub final_scrape: FinalScrape,
    /// What the standard metrics are called and which there are.
    pub metrics: Metrics,
    /// What the annotations of a pod may decide.
    pub allow: Allow,
    /// What containers run that do not say it: by image, with tag or digest or without.
    pub entrypoints: BTreeMap<String, Entrypoint>,
    /// sidelight's own configuration for every pod of the cluster, as text.
    pub defaults: Option<String>,
    /// What is different in single namespaces.
    pub namespaces: BTreeMap<String, Overrides>,
    /// Namespaces whose pods are left alone.
    pub exclude_namespaces: BTreeSet<String>,
}

/// Where the sidecar stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Among the init containers, with `restartPolicy: Always`: starts first, ends last.
    Native,
    /// Among the containers, for clusters before 1.29.
    Classic,
}

impl Mode {
    /// As it is written.
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
    /// Every time.
    Always,
    /// When the node has none.
    IfNotPresent,
    /// Not at all.
    Never,
}

impl PullPolicy {
    /// As Kubernetes writes it.
    pub fn word(self) -> &'static str {
        match self {
            PullPolicy::Always => "Always",
            PullPolicy::IfNotPresent => "IfNotPresent",
            PullPolicy::Never => "Never",
        }
    }
}

/// Whose cluster it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Platform {
    /// Any that lets a pod choose its user.
    Kubernetes,
    /// One that chooses the user itself and refuses a fixed one.
    OpenShift,
    /// To be found out by who asks the API; counts as `Kubernetes` until then.
    Auto,
}

/// Which kind of sidecar the service mesh has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mesh {
    /// As the pod and its namespace show it.
    Auto,
    /// One that outlives the application.
    Native,
    /// One that ends with the application: spans leave by its side.
    Classic,
    /// There is none: no annotation is made for one.
    Absent,
}

/// Where spans go.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Otlp {
    /// As in `http://$(HOST_IP):4318`; none: no spans.
    pub endpoint: Option<String>,
    /// As in OTEL_EXPORTER_OTLP_PROTOCOL.
    pub protocol: Option<Protocol>,
    /// Sent along; everybody who may read pods can read them.
    pub headers: BTreeMap<String, String>,
}

/// How spans are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// HTTP/1.1 with protobuf.
    Http,
    /// gRPC.
    Grpc,
}

impl Protocol {
    /// As OpenTelemetry writes it.
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
    /// What is reserved.
    pub requests: BTreeMap<String, String>,
    /// What is the most.
    pub limits: BTreeMap<String, String>,
}

/// A probe's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Probe {
    /// How often.
    pub period_seconds: u32,
    /// How long an answer may take.
    pub timeout_seconds: u32,
    /// How many failures count.
    pub failure_threshold: u32,
}

/// How long the last values wait for a scrape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FinalScrape {
    /// In pods of a Job.
    pub jobs: Duration,
    /// In all others.
    pub others: Duration,
    /// How many different scrapers must have been there.
    pub scrapers: u8,
}

/// What the standard metrics are called and which there are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metrics {
    /// Before every name.
    pub prefix: Option<String>,
    /// Groups that are left out.
    pub groups_off: BTreeSet<Group>,
}

/// A group of standard metrics.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Group {
    /// Requests.
    Http,
    /// Queries.
    Database,
    /// Lines by severity.
    Log,
    /// Calls of functions.
    Functions,
}

impl Group {
    /// All of them.
    pub const ALL: [Group; 4] = [Group::Http, Group::Database, Group::Log, Group::Functions];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Group::Http => "http",
            Group::Database => "database",
            Group::Log => "log",
            Group::Functions => "functions",
        }
    }
}

/// What the annotations of a pod may decide beyond numbers that hurt nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Allow {
    /// Which image runs.
    pub image: bool,
    /// What it may use.
    pub resources: bool,
}

/// What an image runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entrypoint {
    /// Its ENTRYPOINT.
    pub command: Vec<String>,
    /// Its CMD, which counts where the container has no `args`.
    pub args: Vec<String>,
}

/// What is different in a namespace.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Overrides {
    /// See [`Policy::mode`].
    pub mode: Option<Mode>,
    /// See [`Policy::port`].
    pub port: Option<u16>,
    /// See [`Policy::resources`]; all of it.
    pub resources: Option<Resources>,
    /// See [`Policy::otlp`]; all of it.
    pub otlp: Option<Otlp>,
    /// See [`Policy::metrics`]; all of it.
    pub metrics: Option<Metrics>,
    /// See [`Policy::final_scrape`]; all of it.
    pub final_scrape: Option<FinalScrape>,
    /// See [`Policy::allow`]; all of it.
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
            port: 19464,
            platform: Platform::Auto,
            mesh: Mesh::Auto,
            otlp: Otlp::default(),
            resources: Resources {
                requests: quantities(&[("cpu", "10m"), ("memory", "24Mi")]),
                // no limit of processor time: a throttled sidecar answers its probes late
                limits: quantities(&[("memory", "64Mi")]),
            },
            volume_size_limit: None,
            // an exec probe on a busy node takes seconds; a minute, because a failure keeps the pod from
            // starting
            startup_probe: Probe { period_seconds: 1, timeout_seconds: 5, failure_threshold: 60 },
            // longer than any drain: the probe goes on through it
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
    /// A Job waits for two intervals of 15 s and what a scrape takes, others not at all.
    fn default() -> FinalScrape {
        FinalScrape { jobs: Duration::from_secs(35), others: Duration::ZERO, scrapers: 1 }
    }
}

fn quantities(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, quantity)| ((*name).to_owned(), (*quantity).to_owned())).collect()
}

impl Policy {
    /// The policy with what is different in a namespace; its own `namespaces` are empty where something is.
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

    /// Sixteen hexadecimal digits that differ where two policies make different pods: which
    /// configuration made one. Of a policy [`within`](Policy::within) a namespace, because what others
    /// get does not count.
    ///
    /// # Panics
    /// Never: hashing has no way to fail.
    pub fn hash(&self) -> String {
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        let names = (&self.image, self.image_pull_policy, &self.image_pull_secrets, &self.defaults);
        let kind = (self.mode, self.port, self.platform, self.mesh, &self.otlp, &self.metrics);
        let size =
            (&self.resources, &self.volume_size_limit, self.startup_probe, self.liveness_probe);
        let rest = (self.final_scrape, self.allow, &self.entrypoints);
        write!(hash, "{names:?}{kind:?}{size:?}{rest:?}").expect("hashing cannot fail");
        format!("{:016x}", hash.0)
    }
}

/// FNV-1a with 64 bits: no secret hangs on it, and it is the same in every build.
struct Fnv(u64);

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}
