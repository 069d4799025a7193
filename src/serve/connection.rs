//! One connection to the admin port, from its acceptance to its end. It uses a descriptor and no
//! buffer until a whole request head has arrived. Then it takes a slot, of which probes have a
//! separate set, and gets one answer at a time. Unit: one connection.

use super::respond::Answer;
use super::slots::{Slot, Slots};
use super::unread::UnreadWatch;
use super::{checked, refused};
use crate::serve::state::AdminState;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, interval_at, sleep, timeout};

/// Timeout for the head of a request. A kubelet and a scraper send it in one packet; an attacker
/// can hold a descriptor for no longer than this.
pub(super) const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection on which no request begins for this long is closed; the time in which the client
/// reads its answer counts. The value is longer than the largest scrape timeout in use (10 s by
/// default), and short enough that idle connections do not accumulate.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(30);

/// A client that reads nothing of its answer for this long is closed, because it keeps a page of
/// metrics in memory.
pub(super) const UNREAD_MAX: Duration = Duration::from_secs(5);

/// How often the connection checks the two limits above.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Maximum number of header lines of a request: Prometheus sends 6, a browser behind proxies 20.
const HEADERS_MAX: usize = 32;

/// Maximum number of bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The first pause before another look at a head that arrives in several packets; each further
/// pause is twice as long.
const HEAD_PAUSE: Duration = Duration::from_millis(5);

/// The longest pause between two looks at an unfinished head.
const HEAD_PAUSE_MAX: Duration = Duration::from_millis(250);

/// Send buffer of a connection in the kernel, which counts as memory of the container: with the
/// default, 48 clients that do not read would hold 120 MiB.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// The limits on connections, which all of them share.
#[derive(Debug)]
pub(super) struct SlotPools {
    /// Connections without a request.
    pub(super) silent: Slots,
    /// Connections that request a probe first.
    pub(super) probes: Arc<Slots>,
    /// All other connections.
    pub(super) others: Arc<Slots>,
}

/// An accepted connection and the state that it shares with the others.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: IpAddr,
    pub(super) state: Arc<AdminState>,
    pub(super) pools: Arc<SlotPools>,
    /// Its slot among the connections without a request.
    pub(super) silent: Arc<Slot>,
    pub(super) closing: watch::Receiver<bool>,
}

impl Accepted {
    /// Serves the connection until it ends.
    pub(super) async fn serve(mut self) {
        // an answer is one write, and waiting for a second packet only delays it; if one of these
        // two options cannot be set, answers are only later or larger
        let _ = self.stream.set_nodelay(true);
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&self.stream, SEND_BUFFER_BYTES);
        let class = tokio::select! {
            class = timeout(HEADER_READ_TIMEOUT, await_head(&self.stream)) => class,
            () = self.silent.evicted() => Ok(None),
            _ = self.closing.changed() => Ok(None),
        };
        self.pools.silent.free(&self.silent);
        let slots = match class {
            Ok(Some(Class::Probe)) => Arc::clone(&self.pools.probes),
            Ok(Some(Class::Other)) => Arc::clone(&self.pools.others),
            Ok(None) | Err(_) => return,
        };
        let slot = tokio::select! {
            slot = slots.wait(|| refused(&self.state, "admin_evicted")) => slot,
            _ = self.closing.changed() => return,
        };
        self.answer(&slots, &slot).await;
        slots.free(&slot);
    }

    async fn answer(mut self, slots: &Slots, slot: &Slot) {
        let (io, unread) = UnreadWatch::new(TokioIo::new(self.stream));
        let sending = Arc::new(Semaphore::new(1));
        let (peer, state) = (self.peer, &self.state);
        let service = service_fn(|request: Request<Incoming>| {
            slots.touch(slot);
            let sending = Arc::clone(&sending);
            async move {
                // the next request waits until the previous answer is sent
                let answer: Answer = match sending.acquire_owned().await {
                    Ok(sending) => checked(&request, peer, sending, state).await,
                    Err(_) => unreachable!("the semaphore is never closed"),
                };
                Ok::<_, Infallible>(answer)
            }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            // a client that has sent its request may close its side and still wants the answer
            .half_close(true)
            .header_read_timeout(HEADER_READ_TIMEOUT)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(io, service);
        let mut served = pin!(served);
        // the first tick of `interval` is due at once, and still waits for the next millisecond of
        // the timer
        let mut check = interval_at(Instant::now() + CHECK_EVERY, CHECK_EVERY);
        loop {
            tokio::select! {
                _ = &mut served => break, // a broken connection is the client's problem
                () = slot.evicted() => break,
                _ = self.closing.changed() => {
                    served.as_mut().graceful_shutdown();
                    let _ = served.await;
                    break;
                }
                _ = check.tick() => {
                    if unread.duration() >= UNREAD_MAX {
                        refused(state, "admin_unread");
                        break;
                    }
                    if slots.idle(slot) >= IDLE_MAX {
                        refused(state, "admin_idle");
                        break;
                    }
                }
            }
        }
    }
}

/// The kind of the first request on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// One of the probes.
    Probe,
    /// Anything else, malformed requests included.
    Other,
}

/// Waits for a whole request head without consuming it from the kernel. Returns None if the client
/// is gone.
async fn await_head(stream: &TcpStream) -> Option<Class> {
    let mut pause = HEAD_PAUSE;
    let mut known = 0;
    loop {
        let (class, bytes) = poll_fn(|context| {
            HEAD.with_borrow_mut(|head| {
                let mut head = ReadBuf::new(head);
                stream
                    .poll_peek(context, &mut head)
                    .map_ok(|bytes| (classify(head.filled()), bytes))
            })
        })
        .await
        .ok()?;
        match class {
            Some(class) => return Some(class),
            // the client has closed its side: no more bytes will arrive
            None if bytes == 0 => return None,
            None => {}
        }
        if bytes == known {
            pause = (pause * 2).min(HEAD_PAUSE_MAX);
        }
        known = bytes;
        sleep(pause).await;
    }
}

thread_local! {
    /// Buffer for looking at heads: one for all connections of the thread.
    static HEAD: RefCell<Box<[u8]>> = RefCell::new(vec![0; HEAD_BYTES_MAX].into_boxed_slice());
}

/// Classifies the first request; returns None while its head is incomplete. Leaves it to the HTTP
/// parser to refuse an invalid request.
fn classify(head: &[u8]) -> Option<Class> {
    let is_whole = memchr::memmem::find(head, b"\r\n\r\n").is_some()
        || memchr::memmem::find(head, b"\n\n").is_some()
        || head.len() >= HEAD_BYTES_MAX;
    let is_request = head.first().is_none_or(|byte| matches!(byte, b'A'..=b'Z' | b'\r' | b'\n'));
    if is_request && !is_whole {
        return None;
    }
    let path = head.strip_prefix(b"GET ").or_else(|| head.strip_prefix(b"HEAD "));
    let path = path.unwrap_or_default();
    let probes: [&[u8]; 4] = [b"/livez", b"/readyz", b"/startupz", b"/healthz"];
    let is_probe = probes.iter().any(|probe| {
        let rest = path.strip_prefix(*probe).and_then(<[u8]>::first);
        matches!(rest, Some(b' ' | b'/' | b'?'))
    });
    Some(if is_probe { Class::Probe } else { Class::Other })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_classified_when_it_is_whole() {
        for (head, expected) in [
            ("", None),
            ("GET /livez HTTP/1.1\r\nHost: x\r\n", None),
            ("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", Some(Class::Probe)),
            ("HEAD /readyz/sockets HTTP/1.1\r\n\r\n", Some(Class::Probe)),
            ("GET /startupz?verbose HTTP/1.1\r\n\r\n", Some(Class::Probe)),
            ("GET /healthz HTTP/1.1\n\n", Some(Class::Probe)),
            ("GET /health HTTP/1.1\r\n\r\n", Some(Class::Other)),
            ("GET /livezx HTTP/1.1\r\n\r\n", Some(Class::Other)),
            ("GET /metrics HTTP/1.1\r\n\r\nGET /livez HTTP/1.1\r\n\r\n", Some(Class::Other)),
            ("POST /livez HTTP/1.1\r\n\r\n", Some(Class::Other)),
            ("\x16\x03\x01", Some(Class::Other)),
            ("\0", Some(Class::Other)),
        ] {
            assert_eq!(classify(head.as_bytes()), expected, "{head:?}");
        }
        let endless = format!("GET /livez HTTP/1.1\r\nX: {}", "y".repeat(HEAD_BYTES_MAX));
        assert_eq!(classify(endless.as_bytes()), Some(Class::Probe), "the parser refuses it");
    }
}
