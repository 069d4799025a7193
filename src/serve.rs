//! The admin port: the table of routes and the connections around it. It answers from shared state
//! and never waits for a data thread or a backend; a client that is slow, silent or strange costs
//! one of a few places and is let go. Unit: one request.

pub mod metrics;
pub mod negotiate;
pub mod probes;
pub mod query;
pub mod report;
pub mod respond;
pub mod slots;
pub mod state;

use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use probes::Probe;
use respond::{Answer, TEXT, answer, refuse};
use slots::{Slot, Slots};
use state::State;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep};

/// For the head of a request. A kubelet and a scraper need a packet; an attacker takes a place for
/// no longer.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection on which no request began for this long is closed, the reading of its answer
/// included: longer than the largest scrape timeout in use (10 s by default), shorter than a leak.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Header lines of a request: Prometheus sends 6, a browser behind proxies 20.
const HEADERS_MAX: usize = 32;

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How long answers in flight may take once the port closes.
const CLOSING_MAX: Duration = Duration::from_millis(100);

/// After `accept` failed (no descriptors left, mostly) it is tried again after this.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What `/` and an unknown path say.
const PATHS: &str = "\
/metrics   metrics of the application and of sidelight, for Prometheus
/health    the verdict on the application and on sidelight
/livez     is sidelight alive (/healthz is the same)
/readyz    does it take lines
/startupz  did it start
";

/// Serves until `until` is done, then closes within [`CLOSING_MAX`]. Never fails: what goes wrong
/// with one connection ends that one.
pub async fn serve(listener: TcpListener, state: Arc<State>, until: impl Future<Output = ()>) {
    let slots = Arc::new(Slots::new());
    let (closing, _) = watch::channel(false);
    let mut until = pin!(until);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut until => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let slot = tokio::select! {
            () = &mut until => break,
            slot = slots.wait(|| refused(&state, "admin_evicted")) => slot,
        };
        let (state, slots) = (Arc::clone(&state), Arc::clone(&slots));
        tokio::spawn(connection(stream, peer.ip(), state, slots, slot, closing.subscribe()));
        // who was let in is heard before the next
        tokio::task::yield_now().await;
    }
    drop(listener);
    // each connection holds a receiver; when the last is gone the sender knows
    let _ = closing.send(true);
    let _ = tokio::time::timeout(CLOSING_MAX, closing.closed()).await;
}

fn refused(state: &State, reason: &str) {
    state.telemetry.connections_refused.with_label_values(&[reason]).inc();
}

async fn connection(
    stream: TcpStream,
    peer: IpAddr,
    state: Arc<State>,
    slots: Arc<Slots>,
    slot: Arc<Slot>,
    mut closing: watch::Receiver<bool>,
) {
    // an answer is one write; waiting for a second packet only delays it. Without it, it is only
    // later.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: Request<Incoming>| {
        slots.touch(&slot);
        let answer = checked(&request, peer, &state);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        // who has asked may close its side and still wants the answer
        .half_close(true)
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = pin!(served);
    // the first tick of `interval` is due at once and yet waits for the timer's next millisecond
    let mut idle = interval_at(Instant::now() + IDLE_MAX, IDLE_MAX);
    loop {
        tokio::select! {
            _ = &mut served => break, // a broken connection is the client's affair
            () = slot.evicted() => break,
            _ = closing.changed() => {
                served.as_mut().graceful_shutdown();
                let _ = served.await;
                break;
            }
            _ = idle.tick() => {
                if slots.idle(&slot) >= IDLE_MAX {
                    refused(&state, "admin_idle");
                    break;
                }
            }
        }
    }
    slots.free(&slot);
}

/// Refuses what no scraper, kubelet or browser sends, and what two servers could read differently.
fn checked<B: Body>(request: &Request<B>, peer: IpAddr, state: &State) -> Answer {
    let headers = request.headers();
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return refuse(StatusCode::BAD_REQUEST, "one Host header is needed\n");
    }
    if !request.body().is_end_stream() || headers.contains_key(header::TRANSFER_ENCODING) {
        return refuse(StatusCode::BAD_REQUEST, "a request here has no body\n");
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refusal = refuse(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    route(request, peer, state)
}

/// The table of routes.
fn route<B>(request: &Request<B>, peer: IpAddr, state: &State) -> Answer {
    let headers = request.headers();
    let query = request.uri().query();
    let path = request.uri().path();
    let (head, check) = match path.strip_prefix('/').and_then(|path| path.split_once('/')) {
        Some((head, "")) => (&path[..=head.len()], None),
        Some((head, check)) => (&path[..=head.len()], Some(check)),
        None => (path, None),
    };
    match (head, check) {
        ("/", None) => answer(StatusCode::OK, TEXT, format!("sidelight\n\n{PATHS}")),
        ("/metrics", None) => metrics::scrape(request, peer, state),
        ("/livez" | "/healthz", check) => probes::probe(Probe::Live, check, query, state),
        ("/readyz", check) => probes::probe(Probe::Ready, check, query, state),
        ("/startupz", check) => probes::probe(Probe::Started, check, query, state),
        ("/health", check) => {
            let accepted = metrics::joined(headers, &header::ACCEPT);
            report::report(negotiate::report(accepted.as_deref()), check, state)
        }
        _ => answer(StatusCode::NOT_FOUND, TEXT, format!("no such path; there are\n\n{PATHS}")),
    }
}

#[cfg(test)]
mod tests;
