//! `healthcheck`: queries the health of a running sidelight through the admin port or only the
//! socket, for images without curl. Blocking and short: one second for everything. The result is a
//! line and an exit code.

use crate::cli::get::get;
use crate::cli::screen::Health;
use crate::cli::style::{Look, Style};
use crate::config::environment::Environment;
use crate::config::{self, Flags};
use crate::console;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The default timeout of a kubelet's exec probe.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);

/// How many characters of a response are printed.
const SAID_MAX: usize = 500;

/// Arguments of `healthcheck`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// URL to query [default: /livez of the admin port that the environment names]
    #[arg(long, value_name = "URL", conflicts_with = "socket")]
    pub url: Option<String>,
    /// Check only this socket: does a process accept lines there?
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Query readiness (/readyz) instead of liveness
    #[arg(long)]
    pub ready: bool,
}

/// Queries a running sidecar and prints one line with the result; exit code 0 if it is healthy.
pub(crate) fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let outcome = match targets(arguments, environment) {
        // the port may have been in use: then the sidecar listens at the fallback address
        Ok(targets) => {
            let mut outcomes = targets.iter().map(healthcheck);
            let first = outcomes.next();
            let healthy = first.as_ref().is_some_and(|first| first.healthy);
            let other = if healthy { None } else { outcomes.find(|other| other.healthy) };
            other.or(first)
        }
        Err(line) => Some(Outcome { healthy: false, line }),
    };
    let outcome =
        outcome.unwrap_or(Outcome { healthy: false, line: "no target to query".to_owned() });
    let style = Style::of(rustix::stdio::stdout(), environment);
    // a closed standard output loses the line, but not the exit code
    let _ = console::print(&format!("{}\n", painted(&outcome, style)));
    ExitCode::from(outcome.exit_code())
}

/// Paints what a target said: everything behind its name.
fn painted(outcome: &Outcome, style: Style) -> String {
    let look = if outcome.healthy { Look::Good } else { Look::Bad };
    match outcome.line.split_once(": ") {
        Some((name, said)) => format!("{name}: {}", style.paint(look, said)),
        None => style.paint(look, &outcome.line),
    }
}

/// Returns the targets that the arguments and the environment name, the most likely first.
fn targets(arguments: &Arguments, environment: &Environment) -> Result<Vec<Target>, String> {
    if let Some(path) = &arguments.socket {
        return Ok(vec![Target::Socket(path.clone())]);
    }
    if let Some(text) = &arguments.url {
        return Ok(vec![Target::Http(url(text)?)]);
    }
    let listen = config::load(&Flags::default(), environment).config.listen;
    let addresses = std::iter::once(listen.address).chain(listen.fallback);
    Ok(addresses.map(|address| admin(address, arguments.ready)).collect())
}

/// The target of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// The admin port or any other plain HTTP URL.
    Http(Url),
    /// A socket that should accept lines.
    Socket(PathBuf),
}

/// The parts of a plain HTTP URL that are needed here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Url {
    /// `host:port`.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

/// The result of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Outcome {
    /// Whether the target is healthy.
    pub healthy: bool,
    /// The reason, in one line.
    pub line: String,
}

impl Outcome {
    /// Returns 0 if the target is healthy, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        u8::from(!self.healthy)
    }
}

/// Returns the admin port of the sidelight that listens at `listen` (`SIDELIGHT_LISTEN` or its
/// default). An unspecified address is replaced by loopback. The path is `/readyz` if `ready` is
/// set, else `/livez`.
pub(crate) fn admin(listen: SocketAddr, ready: bool) -> Target {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        // without IPv6 the listener fell back to IPv4, and with IPv6 it serves both
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    };
    let path = if ready { "/readyz" } else { "/livez" };
    let authority = SocketAddr::new(ip, listen.port()).to_string();
    Target::Http(Url { authority, path: path.to_owned() })
}

/// Parses a URL. Without a path, the path is `/livez`.
///
/// # Errors
/// A description of what is wrong with it.
pub(crate) fn url(text: &str) -> Result<Url, String> {
    let rest = match text.split_once("://") {
        Some(("http", rest)) => rest,
        Some((scheme, _)) => return Err(format!("{scheme}:// is not supported, only http://")),
        None => text,
    };
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    if authority.is_empty() || text.contains(|letter: char| letter.is_control() || letter == ' ') {
        return Err(format!("{text:?} is not a URL; write http://HOST:PORT/PATH"));
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(host, port)| {
        port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
    });
    let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    let path = match path {
        "" => "/livez".to_owned(),
        path if path.starts_with('?') => format!("/{path}"),
        path => path.to_owned(),
    };
    Ok(Url { authority, path })
}

/// Checks the target, for at most [`TIMEOUT`] however slowly the other side responds.
pub(crate) fn healthcheck(target: &Target) -> Outcome {
    healthcheck_within(target, TIMEOUT)
}

fn healthcheck_within(target: &Target, timeout: Duration) -> Outcome {
    // one message, so that the thread can always end
    let (sender, receiver) = mpsc::sync_channel(1);
    let checked = target.clone();
    // a byte every 900 ms would reset the timeout of a socket, but not the wait for this thread
    let spawned = thread::Builder::new().spawn(move || {
        let _ = sender.send(check(&checked, timeout));
    });
    if let Err(error) = spawned {
        return Outcome { healthy: false, line: format!("no thread: {error}") };
    }
    receiver.recv_timeout(timeout).unwrap_or_else(|_| no_answer(target, timeout))
}

fn no_answer(target: &Target, timeout: Duration) -> Outcome {
    let line = format!("{} did not answer within {} ms", name(target), timeout.as_millis());
    Outcome { healthy: false, line }
}

/// Returns whether the timeout of the socket ended a call, which may be before that of the thread.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn check(target: &Target, timeout: Duration) -> Outcome {
    let checked = match target {
        Target::Http(url) => probe(url, timeout),
        Target::Socket(path) => connect(path).map(|()| (true, "accepts lines".to_owned())),
    };
    let name = name(target);
    match checked {
        Ok((healthy, said)) => Outcome { healthy, line: format!("{name}: {said}") },
        Err(error) if is_timeout(&error) => no_answer(target, timeout),
        Err(error) => Outcome { healthy: false, line: format!("{name}: {error}") },
    }
}

fn name(target: &Target) -> String {
    match target {
        Target::Http(url) => format!("http://{}{}", url.authority, url.path),
        Target::Socket(path) => path.display().to_string(),
    }
}

/// Checks whether a process holds the stream socket or datagram socket open.
fn connect(path: &Path) -> io::Result<()> {
    match UnixStream::connect(path) {
        Ok(_) => Ok(()),
        // EPROTOTYPE: it is a datagram socket
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::PROTOTYPE.raw_os_error()) => {
            UnixDatagram::unbound()?.connect(path)
        }
        Err(error) => Err(error),
    }
}

/// Returns whether the status is a success for a kubelet (200 to 399), and its description.
fn probe(url: &Url, timeout: Duration) -> io::Result<(bool, String)> {
    let mut answer = Err(io::Error::new(io::ErrorKind::NotFound, "no address"));
    for address in url.authority.to_socket_addrs()? {
        answer = get(address, &url.path, timeout);
        if answer.is_ok() {
            break;
        }
    }
    let (status, body) = answer?;
    let failures = failures(&body);
    let said = if failures.is_empty() {
        status.to_string()
    } else {
        format!("{status} {}", failures.join(", "))
    };
    // the response may be anything: print one short line without terminal control characters
    let said = said.chars().filter(|letter| !letter.is_control()).take(SAID_MAX).collect();
    Ok(((200..400).contains(&status), said))
}

/// Returns what a response says is wrong: the checks of a probe that failed, or the status of
/// `/health` with the checks that are not healthy.
fn failures(body: &str) -> Vec<String> {
    if body.trim_start().starts_with('{') {
        let health = Health::parse(body);
        return std::iter::once(health.status).chain(health.complaints).collect();
    }
    let failed = body.lines().filter(|line| line.starts_with("[-]"));
    failed.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
