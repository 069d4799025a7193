//! Sends one HTTP GET over loopback for `demo` and `healthcheck`: blocking, with one deadline for
//! the whole exchange and a bounded body. RFC 9112; it sends HTTP/1.0, so that the response is
//! neither chunked nor kept alive.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Limit of the response's length: `/metrics` at 100,000 series.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Returns the status code and body of a GET.
///
/// # Errors
/// Nothing listens at the address, the deadline has passed, or the response is not HTTP.
pub(crate) fn get(address: SocketAddr, path: &str, timeout: Duration) -> io::Result<(u16, String)> {
    exchange(address, &address.to_string(), path, timeout)
}

/// Returns the status code and body of a GET from `host:port`; tries all addresses of the host.
///
/// # Errors
/// The host has no address, or the last one fails as with [`get`].
pub(crate) fn get_from(
    authority: &str,
    path: &str,
    timeout: Duration,
) -> io::Result<(u16, String)> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in authority.to_socket_addrs()? {
        match exchange(address, authority, path, timeout) {
            Ok(answer) => return Ok(answer),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange(
    address: SocketAddr,
    host: &str,
    path: &str,
    timeout: Duration,
) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    // one write: a second piece would wait for the acknowledgement of the first
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: */*\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "the response is not HTTP");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(bad)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(bad)?;
    Ok((status, body.to_owned()))
}
