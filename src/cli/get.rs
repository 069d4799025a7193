//! One HTTP GET over loopback, as `demo` and `healthcheck` need it: blocking, with one deadline for
//! everything, a bounded body. RFC 9112, HTTP/1.0 so that the answer is neither chunked nor kept alive.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The longest answer read: `/metrics` at 100,000 series.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Status code and body of a GET.
///
/// # Errors
/// Nobody listens, the time is over, or the answer is no HTTP.
pub fn get(address: SocketAddr, path: &str, timeout: Duration) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    // one write: pieces would wait for the acknowledgement of the first
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: */*\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "the answer is no HTTP");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(bad)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(bad)?;
    Ok((status, body.to_owned()))
}
