//! Resolves a name with the name servers of `/etc/resolv.conf`. The C library of a static binary
//! sends both questions at once over one socket and gives up on long search lists, which are common
//! in a cluster (`ndots:5`). Nothing is cached: each new connection resolves its name again. Runs
//! on the exporter's thread, and never longer than the exchange that needs the address. Unit: one
//! name.
//!
//! Order: an IP address resolves to itself; then `/etc/hosts`; `localhost`; then each name of the
//! search list, with one question after the other, IPv4 first.

mod conf;
mod wire;

use conf::Conf;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, io};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use wire::{Lookup, RecordType};

/// Maximum number of bytes read of a file with addresses.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Maximum size of a datagram. A server sends no more than we say we accept (without EDNS: 512),
/// but other hosts may send any size.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// Datagrams that do not answer the question before the server is given up.
const STRAYS_MAX: usize = 16;

/// Timeout of the second address family when the first has already returned an address.
const SECOND_KIND: Duration = Duration::from_millis(500);

/// Maximum number of names that an error lists.
const NAMES_SHOWN_MAX: usize = 4;

/// A resolver of host names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resolver {
    /// The file with name servers and search list: `/etc/resolv.conf`.
    pub conf: PathBuf,
    /// The file with names that are resolved without a server: `/etc/hosts`.
    pub hosts: PathBuf,
    /// The port of the name servers.
    pub port: u16,
}

impl Default for Resolver {
    fn default() -> Self {
        let (conf, hosts) = (PathBuf::from("/etc/resolv.conf"), PathBuf::from("/etc/hosts"));
        Resolver { conf, hosts, port: 53 }
    }
}

/// Why a name has no address.
#[derive(Debug)]
pub enum ResolveError {
    /// The text cannot be a name: it is empty, or a part of it is too long.
    Malformed(String),
    /// No server knows any of these names.
    Unknown(Vec<String>),
    /// No server answered for this name; contains the last error.
    Unanswered(String, io::Error),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolveError::Malformed(name) => write!(f, "{name:?} can be no name of a host"),
            ResolveError::Unknown(names) => {
                let more = if names.len() > NAMES_SHOWN_MAX { ", ..." } else { "" };
                let names = names[..names.len().min(NAMES_SHOWN_MAX)].join(", ");
                write!(f, "no name server knows {names}{more}")
            }
            // the source says what happened last
            ResolveError::Unanswered(name, _) => write!(f, "no name server answers for {name}"),
        }
    }
}

impl std::error::Error for ResolveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ResolveError::Unanswered(_, error) => Some(error),
            ResolveError::Malformed(_) | ResolveError::Unknown(_) => None,
        }
    }
}

impl Resolver {
    /// Returns the addresses of a host, the likeliest first; never an empty list.
    ///
    /// # Errors
    /// Fails if the name does not exist or no server answers.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let known = conf::hosts(&read(&self.hosts), host);
        if !known.is_empty() {
            return Ok(known);
        }
        if host.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let conf = Conf::parse(&read(&self.conf));
        let names: Vec<String> =
            conf.candidates(host).into_iter().filter(|name| wire::is_name(name)).collect();
        if names.is_empty() {
            return Err(ResolveError::Malformed(host.to_owned()));
        }
        let mut failed = None;
        for name in &names {
            match self.of(name, &conf).await {
                Ok(addresses) if !addresses.is_empty() => return Ok(addresses),
                Ok(_) => {}
                // a server that is silent on one name is silent on the next
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(ResolveError::Unanswered(name.clone(), error));
                }
                Err(error) => failed = Some(ResolveError::Unanswered(name.clone(), error)),
            }
        }
        Err(failed.unwrap_or(ResolveError::Unknown(names)))
    }

    /// Returns the addresses of exactly this name.
    async fn of(&self, name: &str, conf: &Conf) -> io::Result<Vec<IpAddr>> {
        let mut addresses = match self.ask(name, RecordType::V4, conf).await? {
            Lookup::NoSuchName => return Ok(Vec::new()),
            Lookup::Addresses(addresses) => addresses,
        };
        let second = self.ask(name, RecordType::V6, conf);
        if addresses.is_empty() {
            if let Lookup::Addresses(found) = second.await? {
                addresses = found;
            }
        } else if let Ok(Ok(Lookup::Addresses(found))) = timeout(SECOND_KIND, second).await {
            addresses.extend(found);
        }
        Ok(addresses)
    }

    /// Sends one question to one server after the other, as often as the configuration says.
    async fn ask(&self, name: &str, kind: RecordType, conf: &Conf) -> io::Result<Lookup> {
        let mut failed = io::Error::from(io::ErrorKind::TimedOut);
        for _ in 0..conf.attempts {
            for server in &conf.servers {
                let server = SocketAddr::new(*server, self.port);
                let answered = timeout(conf.timeout, exchange(server, name, kind)).await;
                match answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                    Ok(outcome) => return Ok(outcome),
                    Err(error) => failed = error,
                }
            }
        }
        Err(failed)
    }
}

/// Asks one server by datagram, and by TCP if the answer does not fit into a datagram.
async fn exchange(server: SocketAddr, name: &str, kind: RecordType) -> io::Result<Lookup> {
    // The id is random and the port is new, so that only a host that has received the question can
    // answer it.
    let id = RandomState::new().build_hasher().finish() as u16;
    let question = wire::question(id, name, kind);
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question).await?;
    let mut buffer = [0; DATAGRAM_BYTES_MAX];
    for _ in 0..STRAYS_MAX {
        let read = socket.recv(&mut buffer).await?;
        match wire::answer(&buffer[..read], &question) {
            Some(answer) if answer.truncated => {
                let long = by_connection(server, &question).await?;
                let answer = wire::answer(&long, &question).ok_or(io::ErrorKind::InvalidData)?;
                return answer.outcome.ok_or_else(refused);
            }
            Some(answer) => return answer.outcome.ok_or_else(refused),
            None => {}
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

async fn by_connection(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let mut framed = (question.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(question);
    stream.write_all(&framed).await?;
    // at most 65,535 bytes, because the length has 16 bits
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn refused() -> io::Error {
    io::Error::other("the server failed or refused")
}

/// Returns the text of a small file; empty if it cannot be read.
fn read(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
