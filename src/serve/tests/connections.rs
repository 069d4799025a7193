//! Tests of connections that stay, wait, flood or never read.

use super::super::connection::{HEADER_READ_TIMEOUT, IDLE_MAX, UNREAD_MAX};
use super::*;
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn a_connection_is_kept_for_further_requests() {
    let port = port(state().0).await;
    let two = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n\
        GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let reply = String::from_utf8_lossy(&port.raw(two).await).into_owned();
    assert_eq!(reply.matches("HTTP/1.1 200").count(), 2, "{reply}");
    let old = String::from_utf8_lossy(&port.raw("GET /livez HTTP/1.0\r\n\r\n").await).into_owned();
    assert!(old.starts_with("HTTP/1.0 200"), "{old}");
}

/// Scenario: half a request head, then silence. Guarantees: the connection closes after 5 s, not
/// after hyper's 30 s and not never.
#[tokio::test(start_paused = true)]
async fn a_slow_head_is_let_go_after_five_seconds() {
    let port = port(state().0).await;
    let begun = Instant::now();
    port.raw("GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    let took = begun.elapsed();
    let expected = HEADER_READ_TIMEOUT..HEADER_READ_TIMEOUT + Duration::from_millis(500);
    assert!(expected.contains(&took), "closed after {took:?}");
}

/// Scenario: the client never reads an answer that is larger than the socket's buffers. Guarantees:
/// the slot becomes free again.
#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_is_let_go() {
    let (mut state, _) = state();
    state.pages = Pages::new(Box::new(|_, _, out| out.resize(32 << 20, b'#')));
    let port = port(state).await;
    let mut stream = TcpStream::connect(port.address).await.expect("a listener");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it reads");
    let begun = Instant::now();
    while port.refused("admin_unread") == 0 {
        sleep(Duration::from_secs(1)).await;
        assert!(begun.elapsed() < 3 * UNREAD_MAX, "still held");
    }
    assert!(port.state.pages.bytes_alive() <= 32 << 20, "one page at most");
}

/// Scenario: the client reads a large answer so slowly that it would take minutes, but never pauses
/// for long. Guarantees: the slot becomes free again, and the connection is counted.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_too_slowly_is_let_go() {
    let (mut state, _) = state();
    state.pages = Pages::new(Box::new(|_, _, out| out.resize(32 << 20, b'#')));
    let port = port(state).await;
    let mut stream = TcpStream::connect(port.address).await.expect("a listener");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it reads");
    let begun = Instant::now();
    let mut some = vec![0; 512 << 10];
    while port.refused("admin_idle") == 0 {
        sleep(Duration::from_secs(1)).await;
        if stream.read_exact(&mut some).await.is_err() {
            break;
        }
        assert!(begun.elapsed() < 2 * IDLE_MAX, "still held");
    }
    assert!(begun.elapsed() >= IDLE_MAX);
    assert_eq!((port.refused("admin_idle"), port.refused("admin_unread")), (1, 0));
}

/// Scenario: more silent connections than slots, then a scraper. Guarantees: the scraper gets an
/// answer, and the displaced connections are counted.
#[tokio::test]
async fn a_crowd_of_silent_connections_keeps_nobody_out() {
    let port = port(state().0).await;
    let mut crowd = Vec::new();
    for _ in 0..400 {
        let mut stream = TcpStream::connect(port.address).await.expect("a listener");
        stream.write_all(b"GET / HTTP/1.1\r\n").await.expect("it reads");
        crowd.push(stream);
    }
    assert_eq!(port.get("/metrics").await.status, 200);
    assert!(port.refused("admin_evicted") >= 400 - SILENT_CONNECTIONS_MAX as u64);
}

/// Scenario: clients that keep their connections busy hold every slot for requests. Guarantees: a
/// probe gets an answer from its separate slots, and no connection is displaced.
#[tokio::test]
async fn probes_have_slots_of_their_own() {
    let port = port(state().0).await;
    let mut crowd = Vec::new();
    for _ in 0..CONNECTIONS_MAX - PROBE_CONNECTIONS_MAX {
        let mut stream = TcpStream::connect(port.address).await.expect("a listener");
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it reads");
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.expect("an answer");
        crowd.push(stream);
    }
    for path in ["/livez", "/readyz", "/startupz"] {
        assert_eq!(port.get(path).await.status, 200, "{path}");
    }
    assert_eq!(port.refused("admin_evicted"), 0);
    assert_eq!(port.get("/health").await.status, 200, "the one that is idle longest gives way");
    assert_eq!(port.refused("admin_evicted"), 1);
}

/// Scenario: a client pipelines scrapes of large pages and reads none. Guarantees: it keeps one
/// page alive in total, not one per request.
#[tokio::test]
async fn pipelined_scrapes_keep_one_page_alive() {
    let (mut state, _) = state();
    state.pages = Pages::new(Box::new(|_, _, out| out.resize(2 << 20, b'#')));
    let port = port(state).await;
    let mut stream = TcpStream::connect(port.address).await.expect("a listener");
    let many = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50);
    stream.write_all(many.as_bytes()).await.expect("it reads");
    assert_eq!(port.get("/livez").await.status, 200);
    assert_eq!(port.get("/metrics").await.status, 200, "others are served beside it");
    assert!(port.state.pages.bytes_alive() <= 3 * (2 << 20), "{}", port.state.pages.bytes_alive());
    drop(stream);
}

/// Guarantees: a client that closes its side after its request gets its answer, and its slot
/// becomes free.
#[tokio::test]
async fn a_client_that_is_done_asking_is_answered() {
    let port = port(state().0).await;
    let mut stream = TcpStream::connect(port.address).await.expect("a listener");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it reads");
    stream.shutdown().await.expect("our side");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.expect("an answer and an end");
    assert!(reply.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&reply));
}

/// Guarantees: closing the port ends idle connections at once and refuses new ones.
#[tokio::test(start_paused = true)]
async fn closing_lets_everybody_go() {
    let port = port(state().0).await;
    let mut idle = TcpStream::connect(port.address).await.expect("a listener");
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it reads");
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.expect("an answer");
    port.close.send(true).expect("a listener");
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.expect("closed in order");
    assert!(TcpStream::connect(port.address).await.is_err(), "still listening");
}
