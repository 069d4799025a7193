//! `injector`: serves the admission webhook that adds the sidecar to pods. Every flag is also an
//! environment variable: `--tls-directory` is `SIDELIGHT_INJECTOR_TLS_DIRECTORY`; flags win. Unit:
//! one call.

use crate::apiserver::access::Access;
use crate::config;
use crate::inject::policy::Policy;
use crate::name::{is_label, is_name};
use crate::server::lease::{self, Named};
use crate::server::log::OwnEvents;
use crate::server::metrics::Metrics;
use crate::server::missing::Counting;
use crate::server::reload::{InvalidPolicy, Reload};
use crate::server::settings::{Lifetimes, Mode, TlsSettings};
use crate::server::webhook::Leaving;
use crate::server::{Running, ServerSetup};
use clap::{Args, Command, FromArgMatches};
use sidelight::app::signals::{SignalEvent, Signals};
use sidelight::cli::value::log_level;
use sidelight::clock::Clock;
use sidelight::config::environment::Environment;
use sidelight::config::fault::{Fault, Level};
use sidelight::config::settings::{LISTEN_PORT, LogLevel};
use sidelight::config::units::{self, Refused};
use sidelight::console;
use sidelight::receive::bind;
use sidelight::telemetry::log::{Log, Sink, Threshold};
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Prefix of a flag's environment variable. A Service named `sidelight-injector` defines
/// `SIDELIGHT_INJECTOR_PORT` and `SIDELIGHT_INJECTOR_SERVICE_HOST` in its namespace's pods, and so
/// no flag may have one of these names.
const PREFIX: &str = "SIDELIGHT_INJECTOR_";

/// The default name of all objects; a revision appends its name to it.
const NAME: &str = "sidelight-injector";

/// How long the webhook keeps serving after SIGTERM: longer than endpoint updates take to reach
/// every node.
const LINGER: Duration = Duration::from_secs(5);

/// How long requests in flight may take after that: half of the API server's time limit.
const DRAIN: Duration = Duration::from_secs(5);

/// How often Secret, files and webhook configuration are read.
const EVERY: Duration = Duration::from_secs(5);

/// Arguments of `injector`. All are Options, because the environment provides what is missing.
#[derive(Clone, PartialEq, Debug, Default, Args)]
#[command(after_help = "Every flag can be an environment variable: --tls-directory is \
    SIDELIGHT_INJECTOR_TLS_DIRECTORY. Flags win.")]
pub struct Arguments {
    /// What is put into pods: the policy in YAML; looked at again every 2 s
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of the webhook, POST /mutate over TLS [default: [::]:8443]
    #[arg(long, value_name = "HOST:PORT", value_parser = listen)]
    pub listen: Option<SocketAddr>,
    /// Address of /livez, /readyz and /metrics [default: [::]:19464]
    #[arg(long, value_name = "HOST:PORT", value_parser = listen)]
    pub admin: Option<SocketAddr>,
    /// Where the certificate comes from: self-managed, cert-manager or provided [default: self-managed]
    #[arg(long, value_name = "MODE", value_parser = mode)]
    pub tls: Option<Mode>,
    /// tls.crt, tls.key and ca.crt, for cert-manager and provided [default: /etc/sidelight/tls]
    #[arg(long, value_name = "DIR")]
    pub tls_directory: Option<PathBuf>,
    /// With provided: write ca.crt into the webhook configuration
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub publish_ca: Option<bool>,
    /// More names for the certificate, for a webhook configuration with a url: NAME,NAME
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub tls_names: Option<Vec<String>>,
    /// Namespace of the injector [default: that of its service account]
    #[arg(long, value_name = "NS", value_parser = label)]
    pub namespace: Option<String>,
    /// Service by which API servers call it [default: sidelight-injector]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub service: Option<String>,
    /// Secret of self-managed certificates [default: sidelight-injector-tls]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub secret: Option<String>,
    /// Lease of the leader [default: sidelight-injector]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub lease: Option<String>,
    /// MutatingWebhookConfiguration of which the caBundle is maintained [default: 00-sidelight-injector]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub webhook_configuration: Option<String>,
    /// Let the leader count pods that should have the sidecar and have not, so often; 0 for never [default:
    /// 0]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub count_missing: Option<Duration>,
    /// Write Kubernetes Events [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub events: Option<bool>,
    /// The cluster; without it KUBECONFIG, then the pod's service account
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Serve on for so long after SIGTERM [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub linger: Option<Duration>,
    /// For tests of the rotation: how long a serving certificate lives [default: 720h]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub leaf_lifetime: Option<Duration>,
    /// For tests of the rotation: how long an authority lives [default: 8760h]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub ca_lifetime: Option<Duration>,
    /// For tests of the rotation: how long old and new authorities overlap [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub ca_overlap: Option<Duration>,
    /// For tests of the rotation: how often certificates and trust are looked at [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub check_every: Option<Duration>,
    /// What the injector says about itself: error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL", value_parser = log_level)]
    pub log_level: Option<LogLevel>,
}

fn any(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
}

fn listen(text: &str) -> Result<SocketAddr, Refused> {
    units::listen(text, any(0))
}

/// Parses the name of an object, which becomes a part of a URL.
fn name(text: &str) -> Result<String, String> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("not the name of an object".to_owned()) }
}

/// Parses the name of a namespace, which becomes a part of a URL.
fn label(text: &str) -> Result<String, String> {
    if is_label(text) { Ok(text.to_owned()) } else { Err("not the name of a namespace".to_owned()) }
}

fn mode(text: &str) -> Result<Mode, Refused> {
    let words = [
        ("self-managed", Mode::SelfManaged),
        ("cert-manager", Mode::CertManager),
        ("provided", Mode::Provided),
    ];
    units::choice(text, &words)
}

fn duration(text: &str) -> Result<Duration, Refused> {
    units::duration(text)
}

/// Serves the admission webhook until a stop is requested. Returns exit code 0 after an orderly
/// stop.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    // first of all, because an early stop signal must find the handler
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => {
            say(&format!("sidelight: no signal handler: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let running = behind(environment)
        .map(|others| arguments.clone().over(others))
        .and_then(|arguments| start(arguments, environment));
    let running = match running {
        Ok(running) => running,
        Err(why) => {
            say(&format!("error: {why}"));
            return ExitCode::from(2);
        }
    };
    loop {
        match signals.wait() {
            // the file is read every two seconds in any case
            Ok(SignalEvent::Reload | SignalEvent::Look) => {}
            Ok(SignalEvent::Stop) => break,
            Err(error) => {
                say(&format!("sidelight: no signals: {error}"));
                break;
            }
        }
    }
    tracing::info!("leaving");
    if let Err(error) = signals.watch_repeated_stops() {
        tracing::warn!(%error, "repeated stop signals are ignored without a word");
    }
    running.stop();
    ExitCode::SUCCESS
}

fn start(arguments: Arguments, environment: &Environment) -> Result<Running, String> {
    let clock = Clock::system();
    let metrics = Arc::new(Metrics::new());
    metrics.watch_process();
    let level = arguments.log_level.unwrap_or(LogLevel::Info);
    let suppressed = metrics.log_suppressed.clone();
    let log =
        Log::new(Threshold::new(tracing_level(level)), clock.clone(), suppressed, Sink::Stderr);
    OwnEvents(log).install();
    let tls = arguments.tls.unwrap_or(Mode::SelfManaged);
    let access = access(&arguments, tls, environment)?;
    let namespace = arguments.namespace.clone();
    let namespace = namespace
        .or_else(|| access.as_ref().map(|access| access.namespace().to_owned()))
        .unwrap_or_else(|| "sidelight-system".to_owned());
    let or = |given: &Option<String>, name: &str| given.clone().unwrap_or_else(|| name.to_owned());
    let of = Lifetimes::default();
    let lifetimes = Lifetimes {
        leaf: arguments.leaf_lifetime.unwrap_or(of.leaf),
        authority: arguments.ca_lifetime.unwrap_or(of.authority),
        overlap: arguments.ca_overlap.unwrap_or(of.overlap),
    };
    let settings = TlsSettings {
        mode: tls,
        directory: arguments.tls_directory.unwrap_or_else(|| PathBuf::from("/etc/sidelight/tls")),
        publish: arguments.publish_ca.unwrap_or(false),
        namespace: namespace.clone(),
        service: or(&arguments.service, NAME),
        names: arguments.tls_names.unwrap_or_default(),
        secret: or(&arguments.secret, "sidelight-injector-tls"),
        configuration: or(&arguments.webhook_configuration, "00-sidelight-injector"),
        lifetimes: lifetimes.checked().map_err(|error| error.to_string())?,
        every: arguments.check_every.unwrap_or(EVERY),
    };
    let configuration = settings.configuration.clone();
    let identity = environment.get("POD_NAME").or_else(|| environment.get("HOSTNAME"));
    let identity = format!("{}_{:x}", or(&identity.cloned(), NAME), clock.now().0);
    let mut reload = reload(arguments.config, clock.clone(), Arc::clone(&metrics));
    let policy = reload.first().map_err(|error| error.to_string())?;
    let listener = bound(arguments.listen.unwrap_or_else(|| any(8443)), "--listen")?;
    let admin = bound(arguments.admin.unwrap_or_else(|| any(LISTEN_PORT)), "--admin")?;
    welcome(&listener, &admin, access.as_ref(), &settings);
    let parts = ServerSetup {
        clock,
        metrics,
        listener,
        admin,
        access,
        tls: settings,
        lease: Named { namespace, name: or(&arguments.lease, NAME), identity, every: lease::EVERY },
        events: arguments.events.unwrap_or(true),
        policy,
        reload,
        counting: Counting { configuration, every: arguments.count_missing.unwrap_or_default() },
        leaving: Leaving { linger: arguments.linger.unwrap_or(LINGER), drain: DRAIN },
    };
    parts.spawn().map_err(|error| error.to_string())
}

/// Writes a line to standard error without blocking the webhook; drops what does not fit.
fn say(line: &str) {
    console::note(&format!("{line}\n"));
}

/// Returns how to reach the cluster, which self-managed certificates need and other modes do not.
fn access(
    arguments: &Arguments,
    tls: Mode,
    environment: &Environment,
) -> Result<Option<Access>, String> {
    // a mode that needs no cluster must not use the kubeconfig of a person who tries it out
    let is_needed = tls != Mode::Provided
        || arguments.kubeconfig.is_some()
        || environment.contains_key("KUBERNETES_SERVICE_HOST");
    if !is_needed {
        return Ok(None);
    }
    let found = Access::find(arguments.kubeconfig.as_deref(), environment);
    let found = found.map_err(|error| error.to_string())?;
    if found.is_none() && tls == Mode::SelfManaged {
        return Err(
            "there is no cluster for self-managed certificates: name a --kubeconfig, run it in a \
                    pod, or bring a certificate: --tls provided --tls-directory DIR"
                .to_owned(),
        );
    }
    Ok(found)
}

fn reload(file: Option<PathBuf>, clock: Clock, metrics: Arc<Metrics>) -> Reload {
    let name = file.as_deref().unwrap_or(Path::new("")).display().to_string();
    let parse = Box::new(move |text: &str| policy(&name, text).map_err(InvalidPolicy));
    Reload { file, parse, clock, metrics, seen: None }
}

fn bound(address: SocketAddr, flag: &str) -> Result<TcpListener, String> {
    bind::tcp(address).map_err(|error| format!("{flag} {address}: {error}"))
}

fn welcome(
    listener: &TcpListener,
    admin: &TcpListener,
    access: Option<&Access>,
    tls: &TlsSettings,
) {
    let at = |listener: &TcpListener| {
        listener.local_addr().map(|address| address.to_string()).unwrap_or_default()
    };
    let server = access.map_or_else(|| "none".to_owned(), Access::server);
    say(&format!(
        "sidelight injector {}\n  webhook  https://{}/mutate for {}.{}.svc\n  admin    http://{}/readyz?verbose\n  \
         cluster  {server}",
        env!("CARGO_PKG_VERSION"),
        at(listener),
        tls.service,
        tls.namespace,
        at(admin),
    ));
}

fn tracing_level(level: LogLevel) -> tracing::Level {
    match level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    }
}

/// Reads arguments from the environment.
fn behind(environment: &Environment) -> Result<Arguments, String> {
    let mut all = Arguments::default();
    let command = Arguments::augment_args(Command::new("injector").no_binary_name(true));
    for flag in command.get_arguments().filter_map(|argument| argument.get_long()) {
        let variable = PREFIX.to_owned() + &flag.to_uppercase().replace('-', "_");
        let Some(value) = environment.get(&variable).filter(|value| !value.is_empty()) else {
            continue;
        };
        let one = command.clone().try_get_matches_from([format!("--{flag}={value}")]);
        let one = one.and_then(|matches| Arguments::from_arg_matches(&matches));
        let one = one.map_err(|error| {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            format!("{variable}: {}", line.trim_start_matches("error: "))
        })?;
        all = one.over(all);
    }
    Ok(all)
}

impl Arguments {
    /// Returns these arguments, with missing values taken from `those`.
    fn over(self, those: Arguments) -> Arguments {
        Arguments {
            config: self.config.or(those.config),
            listen: self.listen.or(those.listen),
            admin: self.admin.or(those.admin),
            tls: self.tls.or(those.tls),
            tls_directory: self.tls_directory.or(those.tls_directory),
            publish_ca: self.publish_ca.or(those.publish_ca),
            tls_names: self.tls_names.or(those.tls_names),
            namespace: self.namespace.or(those.namespace),
            service: self.service.or(those.service),
            secret: self.secret.or(those.secret),
            lease: self.lease.or(those.lease),
            webhook_configuration: self.webhook_configuration.or(those.webhook_configuration),
            count_missing: self.count_missing.or(those.count_missing),
            events: self.events.or(those.events),
            kubeconfig: self.kubeconfig.or(those.kubeconfig),
            linger: self.linger.or(those.linger),
            leaf_lifetime: self.leaf_lifetime.or(those.leaf_lifetime),
            ca_lifetime: self.ca_lifetime.or(those.ca_lifetime),
            ca_overlap: self.ca_overlap.or(those.ca_overlap),
            check_every: self.check_every.or(those.check_every),
            log_level: self.log_level.or(those.log_level),
        }
    }
}

/// Parses the policy of a text; returns all errors at once, each with its position.
fn policy(name: &str, text: &str) -> Result<Policy, String> {
    let (policy, faults) = config::parse(name, text);
    let (errors, warnings): (Vec<&Fault>, Vec<&Fault>) =
        faults.iter().partition(|fault| fault.level == Level::Error);
    for warning in warnings {
        say(warning.to_string().trim_end());
    }
    let text: String = errors.iter().map(ToString::to_string).collect();
    if text.is_empty() { Ok(policy) } else { Err(text) }
}

#[cfg(test)]
mod tests;
