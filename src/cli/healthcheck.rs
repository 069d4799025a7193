//! `healthcheck`: asks a running sidelight how it is, over the admin port or the socket alone, for
//! images that hold no curl. Blocking and short: one second for everything. The answer is a line
//! and an exit code.

use crate::cli::get::get;
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

/// What a kubelet gives an exec probe by default.
pub const TIMEOUT: Duration = Duration::from_secs(1);

/// Characters of an answer that are repeated.
const SAID_MAX: usize = 500;

/// Arguments of `healthcheck`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// What to ask [default: /livez of the admin port that the environment names]
    #[arg(long, value_name = "URL", conflicts_with = "socket")]
    pub url: Option<String>,
    /// Ask the socket alone: does somebody take lines there?
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Ask for readiness (/readyz) instead of life
    #[arg(long)]
    pub ready: bool,
}

/// Asks a running sidecar and says in one line what it answered; exit code 0 when all is well.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let outcome = match targets(arguments, environment) {
        // the port may have been taken: then it stands at the next
        Ok(targets) => {
            let mut asked = targets.iter().map(healthcheck);
            let first = asked.next();
            let healthy = first.as_ref().is_some_and(|first| first.healthy);
            let other = if healthy { None } else { asked.find(|other| other.healthy) };
            other.or(first)
        }
        Err(line) => Some(Outcome { healthy: false, line }),
    };
    let outcome = outcome.unwrap_or(Outcome { healthy: false, line: "nobody to ask".to_owned() });
    // a closed standard output takes the line, not the answer
    let _ = console::print(&format!("{}\n", outcome.line));
    ExitCode::from(outcome.exit_code())
}

/// Whom the arguments and the environment name, the likeliest first.
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

/// Whom to ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// The admin port or any other plain HTTP URL.
    Http(Url),
    /// Whether anybody accepts lines there.
    Socket(PathBuf),
}

/// A plain HTTP URL, as far as it is needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Url {
    /// `host:port`.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Whether all is well.
    pub healthy: bool,
    /// Why, in one line.
    pub line: String,
}

impl Outcome {
    /// 0 when all is well, else 1.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.healthy)
    }
}

/// The admin port of the sidelight that listens at `listen` (`SIDELIGHT_LISTEN` or its default).
/// An unspecified address is asked on loopback. With `ready` `/readyz`, else `/livez`.
pub fn admin(listen: SocketAddr, ready: bool) -> Target {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        // where there is no IPv6 the listener fell back to IPv4, and where there is it serves both
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    };
    let path = if ready { "/readyz" } else { "/livez" };
    let authority = SocketAddr::new(ip, listen.port()).to_string();
    Target::Http(Url { authority, path: path.to_owned() })
}

/// Reads a URL. Without a path `/livez` is meant.
///
/// # Errors
/// What is wrong with it, in words.
pub fn url(text: &str) -> Result<Url, String> {
    let rest = match text.split_once("://") {
        Some(("http", rest)) => rest,
        Some((scheme, _)) => return Err(format!("{scheme}:// is not supported, only http://")),
        None => text,
    };
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    if authority.is_empty() || text.contains(|letter: char| letter.is_control() || letter == ' ') {
        return Err(format!("{text:?} is no URL; write http://HOST:PORT/PATH"));
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

/// Asks, for at most [`TIMEOUT`] however slowly the other side speaks.
pub fn healthcheck(target: &Target) -> Outcome {
    healthcheck_within(target, TIMEOUT)
}

fn healthcheck_within(target: &Target, timeout: Duration) -> Outcome {
    let (tell, told) = mpsc::channel();
    let asked = target.clone();
    // a byte every 900 ms resets a socket's timeout; a thread that is left behind does not
    let spawned = thread::Builder::new().spawn(move || {
        let _ = tell.send(ask(&asked, timeout));
    });
    if let Err(error) = spawned {
        return Outcome { healthy: false, line: format!("no thread: {error}") };
    }
    told.recv_timeout(timeout).unwrap_or_else(|_| Outcome {
        healthy: false,
        line: format!("{} did not answer within {} ms", name(target), timeout.as_millis()),
    })
}

fn ask(target: &Target, timeout: Duration) -> Outcome {
    let asked = match target {
        Target::Http(url) => probe(url, timeout),
        Target::Socket(path) => connect(path).map(|()| (true, "accepts lines".to_owned())),
    };
    let name = name(target);
    match asked {
        Ok((healthy, said)) => Outcome { healthy, line: format!("{name}: {said}") },
        Err(error) => Outcome { healthy: false, line: format!("{name}: {error}") },
    }
}

fn name(target: &Target) -> String {
    match target {
        Target::Http(url) => format!("http://{}{}", url.authority, url.path),
        Target::Socket(path) => path.display().to_string(),
    }
}

/// A stream socket or a datagram socket that somebody holds open.
fn connect(path: &Path) -> io::Result<()> {
    match UnixStream::connect(path) {
        Ok(_) => Ok(()),
        // EPROTOTYPE: there is a datagram socket
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::PROTOTYPE.raw_os_error()) => {
            UnixDatagram::unbound()?.connect(path)
        }
        Err(error) => Err(error),
    }
}

/// Whether the status is a success as a kubelet sees it (200 to 399), and what to say of it.
fn probe(url: &Url, timeout: Duration) -> io::Result<(bool, String)> {
    let mut answer = Err(io::Error::new(io::ErrorKind::NotFound, "no address"));
    for address in url.authority.to_socket_addrs()? {
        answer = get(address, &url.path, timeout);
        if answer.is_ok() {
            break;
        }
    }
    let (status, body) = answer?;
    let failures: Vec<&str> = body.lines().filter(|line| line.starts_with("[-]")).collect();
    let said = if failures.is_empty() {
        status.to_string()
    } else {
        format!("{status} {}", failures.join(", "))
    };
    // what answers may be anything: one short line, nothing that moves a terminal
    let said = said.chars().filter(|letter| !letter.is_control()).take(SAID_MAX).collect();
    Ok(((200..400).contains(&status), said))
}

#[cfg(test)]
mod tests;
