//! `sidelight healthcheck`: for images without a shell or an HTTP client. Exit code 0: well; 1: not.

use super::get::get;
use crate::config::environment::Environment;
use crate::config::{Flags, load};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Below the second that a probe of Kubernetes has by default.
const TIMEOUT: Duration = Duration::from_millis(900);

/// Arguments of `healthcheck`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// What to ask [default: /livez of the admin port that file and environment name]
    #[arg(long, value_name = "URL", conflicts_with_all = ["socket", "ready"])]
    pub url: Option<String>,
    /// Ask the stream socket alone: does somebody accept there?
    #[arg(long, value_name = "PATH", conflicts_with = "ready")]
    pub socket: Option<PathBuf>,
    /// Ask for readiness (/readyz) instead of life
    #[arg(long)]
    pub ready: bool,
}

/// Asks a running sidecar.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    match ask(arguments, environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("healthcheck: {error}");
            ExitCode::FAILURE
        }
    }
}

fn ask(arguments: &Arguments, environment: &Environment) -> io::Result<()> {
    if let Some(path) = &arguments.socket {
        return accepts(path);
    }
    let (address, path) = if let Some(url) = &arguments.url {
        target(url)?
    } else {
        let listen = load(&Flags::default(), environment).config.listen.address;
        let path = if arguments.ready { "/readyz" } else { "/livez" };
        (reachable(listen), path.to_owned())
    };
    let (status, body) = get(address, &path, TIMEOUT)?;
    if status == 200 {
        return Ok(());
    }
    Err(io::Error::other(format!("{address}{path} answers {status}: {}", body.trim())))
}

fn accepts(path: &Path) -> io::Result<()> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    UnixStream::connect(path).map(drop).map_err(named)
}

/// Who listens on every address is asked on this machine's own.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let host = match listen.ip() {
        IpAddr::V4(host) if host.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(host) if host.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        host => host,
    };
    SocketAddr::new(host, listen.port())
}

/// Address and path of `http://HOST:PORT/PATH`.
fn target(url: &str) -> io::Result<(SocketAddr, String)> {
    let bad =
        || io::Error::new(io::ErrorKind::InvalidInput, "the URL is not http://HOST:PORT/PATH");
    let rest = url.strip_prefix("http://").ok_or_else(bad)?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let address = host.to_socket_addrs()?.next().ok_or_else(bad)?;
    Ok((address, if path.is_empty() { "/livez".to_owned() } else { path.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    /// A server that gives one answer, and the request that it got.
    fn server(answer: &'static str) -> (SocketAddr, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = [0; 1024];
            let length = stream.read(&mut request).expect("a request");
            stream.write_all(answer.as_bytes()).expect("an answer");
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (address, asked)
    }

    fn of_environment(address: SocketAddr) -> Environment {
        [("SIDELIGHT_LISTEN".to_owned(), address.to_string())].into()
    }

    #[test]
    fn the_port_of_the_environment_is_asked() {
        for (ready, answer, path, well) in [
            (false, "HTTP/1.1 200 OK\r\n\r\nok", "GET /livez ", true),
            (true, "HTTP/1.1 503 Service Unavailable\r\n\r\ndraining", "GET /readyz ", false),
        ] {
            let (address, asked) = server(answer);
            let arguments = Arguments { url: None, socket: None, ready };
            let said = ask(&arguments, &of_environment(address));
            assert!(asked.join().expect("an end").starts_with(path));
            assert_eq!(said.is_ok(), well);
            assert!(well || said.expect_err("ill").to_string().contains("503: draining"));
        }
    }

    #[test]
    fn a_url_is_asked_as_it_is() {
        let (address, asked) = server("HTTP/1.1 200 OK\r\n\r\n");
        let url = Some(format!("http://{address}/health"));
        let arguments = Arguments { url, socket: None, ready: false };
        assert!(ask(&arguments, &Environment::new()).is_ok());
        assert!(asked.join().expect("an end").starts_with("GET /health "));
        assert!(target("https://x/y").is_err() && target("x").is_err());
    }

    #[test]
    fn a_socket_is_well_when_somebody_accepts() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s.sock");
        let socket = Some(path.clone());
        let arguments = Arguments { url: None, socket, ready: false };
        assert!(ask(&arguments, &Environment::new()).is_err());
        let listener = UnixListener::bind(&path).expect("a socket");
        assert!(ask(&arguments, &Environment::new()).is_ok());
        drop(listener);
        assert!(ask(&arguments, &Environment::new()).is_err(), "a stale file is not well");
    }

    #[test]
    fn who_listens_everywhere_is_asked_here() {
        for (listen, expected) in
            [("[::]:1", "[::1]:1"), ("0.0.0.0:1", "127.0.0.1:1"), ("10.0.0.1:1", "10.0.0.1:1")]
        {
            let address: SocketAddr = listen.parse().expect("an address");
            assert_eq!(reachable(address).to_string(), expected);
        }
    }
}
