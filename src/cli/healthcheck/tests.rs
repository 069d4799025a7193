//! Tests against listeners that answer well, badly, slowly and not at all.

use super::*;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

/// Starts a port that reads one request, sends `answer` and holds the connection open until the
/// test ends.
fn port(answer: &'static str) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut request = [0; 1024];
        let read = stream.read(&mut request).expect("a request");
        assert!(request[..read].starts_with(b"GET /livez HTTP/1.0\r\nHost: 127.0.0.1:"));
        stream.write_all(answer.as_bytes()).expect("it reads");
        if answer.is_empty() {
            thread::park();
        }
    });
    admin(address, false)
}

/// Longer than any response takes, even on a busy machine.
const AMPLE: Duration = Duration::from_secs(30);

fn line(target: &Target, timeout: Duration) -> (bool, String) {
    let outcome = healthcheck_within(target, timeout);
    assert_eq!(outcome.exit_code(), u8::from(!outcome.healthy));
    let said =
        outcome.line.rsplit_once("/livez").map_or(outcome.line.clone(), |said| said.1.into());
    (outcome.healthy, said)
}

#[test]
fn the_status_decides() {
    for (answer, healthy, said) in [
        ("HTTP/1.1 200 OK\r\n\r\nok", true, ": 200"),
        ("HTTP/1.1 302 Found\r\n\r\n", true, ": 302"),
        ("HTTP/1.1 404 Not Found\r\n\r\n", false, ": 404"),
        (
            "HTTP/1.1 503 X\r\n\r\n[+]ping ok\n[-]shutdown failed: process is reading\n",
            false,
            ": 503 [-]shutdown failed: process is reading",
        ),
        (
            "HTTP/1.1 503 X\r\n\r\n{\"status\":\"unhealthy\",\"checks\":{\"fatal\":{\"status\":\
             \"unhealthy\",\"error\":\"a FATAL record\"},\"lines\":{\"message\":\"5 records\"}}}",
            false,
            ": 503 unhealthy, fatal: a FATAL record",
        ),
        ("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"healthy\",\"checks\":{}}", true, ": 200 healthy"),
        ("HTTP/1.1 503 X\r\n\r\n[-]a\u{1b}[31m\n[-]b\n", false, ": 503 [-]a[31m, [-]b"),
        ("SSH-2.0-OpenSSH\r\n", false, ": the response is not HTTP"),
        ("HTTP/1.", false, ": the response is not HTTP"),
        ("", false, " did not answer within 300 ms"),
    ] {
        let timeout = if answer.is_empty() { Duration::from_millis(300) } else { AMPLE };
        assert_eq!(line(&port(answer), timeout), (healthy, said.to_owned()), "{answer:?}");
    }
}

#[test]
fn nobody_there_is_unhealthy() {
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
    // bound, so that no other test gets this port, but not listening: connections are refused
    let bound = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&bound, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let address = getsockname(&bound).expect("it is bound").try_into().expect("an IP address");
    let outcome = healthcheck_within(&admin(address, true), AMPLE);
    assert!(!outcome.healthy);
    assert!(outcome.line.contains("/readyz: Connection refused"), "{}", outcome.line);
}

#[test]
fn a_socket_is_well_when_somebody_listens() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lines.sock");
    let target = Target::Socket(path.clone());
    assert!(!healthcheck_within(&target, AMPLE).healthy, "nothing there");
    let listener = UnixListener::bind(&path).expect("a socket");
    assert!(healthcheck_within(&target, AMPLE).healthy);
    drop(listener);
    assert!(!healthcheck_within(&target, AMPLE).healthy, "a stale file");

    let path = folder.path().join("datagrams.sock");
    let _socket = UnixDatagram::bind(&path).expect("a socket");
    assert!(healthcheck_within(&Target::Socket(path), AMPLE).healthy);
}

#[test]
fn the_check_connects_where_the_admin_port_listens() {
    for (listen, authority) in [
        ("127.0.0.1:19464", "127.0.0.1:19464"),
        ("0.0.0.0:1", "127.0.0.1:1"),
        ("[::]:19464", "127.0.0.1:19464"),
        ("[::1]:19464", "[::1]:19464"),
        ("10.0.0.7:9", "10.0.0.7:9"),
    ] {
        let listen = listen.parse().expect("an address");
        let Target::Http(url) = admin(listen, false) else { panic!("no URL") };
        assert_eq!(url.authority, authority);
    }
}

#[test]
fn urls_are_read() {
    for (text, authority, path) in [
        ("http://localhost:19464/readyz?verbose", "localhost:19464", "/readyz?verbose"),
        ("localhost:19464", "localhost:19464", "/livez"),
        ("http://[::1]:9/health", "[::1]:9", "/health"),
        ("http://[::1]/health", "[::1]:80", "/health"),
        ("http://app", "app:80", "/livez"),
        ("http://app?x", "app:80", "/?x"),
    ] {
        let expected = Url { authority: authority.to_owned(), path: path.to_owned() };
        assert_eq!(url(text), Ok(expected), "{text}");
    }
    for text in ["https://x", "", "http:///x", "http://a/b c", "http://a/\r\nX: y"] {
        assert!(url(text).is_err(), "{text:?}");
    }
}

/// Guarantees: on a terminal the colour agrees with the exit code; elsewhere nothing is added.
#[test]
fn the_colour_is_that_of_the_exit_code() {
    let terminal = Style { colour: true, columns: Some(80) };
    for (healthy, line, expected) in [
        (true, "http://[::1]:1/livez: 200", "http://[::1]:1/livez: \x1b[32m200\x1b[0m"),
        (false, "/a/b: refused: x", "/a/b: \x1b[31mrefused: x\x1b[0m"),
        (false, "/a did not answer", "\x1b[31m/a did not answer\x1b[0m"),
    ] {
        let outcome = Outcome { healthy, line: line.to_owned() };
        assert_eq!(painted(&outcome, terminal), expected);
        assert_eq!(painted(&outcome, Style::PLAIN), line);
    }
}
