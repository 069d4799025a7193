//! The admin port: the table of routes and the acceptance of connections. It answers from shared
//! state and never waits for a data thread or a backend. A slow, silent or misbehaving client uses
//! one of a few slots until it is closed. Unit: one request.

pub mod accept;
mod connection;
pub mod metrics;
pub mod negotiate;
pub(crate) mod page;
pub(crate) mod probes;
pub mod query;
pub(crate) mod report;
pub mod respond;
pub mod slots;
pub(crate) mod state;
mod unread;

use accept::next_connection;
use connection::{Accepted, SlotPools};
use hyper::body::Body;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, StatusCode, Version};
use probes::Probe;
use respond::{Answer, TEXT, answer, refuse};
use slots::{CONNECTIONS_MAX, Slots};
use state::AdminState;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Slots for connections that request a probe first: a kubelet has three probes, a person one.
const PROBE_CONNECTIONS_MAX: usize = 16;

/// Maximum number of connections without a request: each uses a descriptor and a kilobyte.
const SILENT_CONNECTIONS_MAX: usize = 256;

/// Connections without a request use at most this share (one eighth) of the process's descriptors.
const SILENT_DESCRIPTOR_SHARE: u64 = 8;

/// How long answers in flight may take after the port closes.
const CLOSING_MAX: Duration = Duration::from_millis(100);

/// The answer to `/` and to an unknown path.
const PATHS: &str = "\
/metrics   metrics of the application and of sidelight, for Prometheus
/health    the verdict on the application and on sidelight
/livez     is sidelight alive (/healthz is the same)
/readyz    does it take lines
/startupz  did it start
";

/// Serves until `until` completes, then closes within [`CLOSING_MAX`]. Never fails: an error of a
/// connection ends only that connection.
pub async fn serve(listener: TcpListener, state: Arc<AdminState>, until: impl Future<Output = ()>) {
    let pools = Arc::new(SlotPools {
        silent: Slots::of(silent_max()),
        probes: Arc::new(Slots::of(PROBE_CONNECTIONS_MAX)),
        others: Arc::new(Slots::of(CONNECTIONS_MAX - PROBE_CONNECTIONS_MAX)),
    });
    let (closing, _) = watch::channel(false);
    let mut until = pin!(until);
    loop {
        let Some((stream, peer)) = next_connection(&listener, until.as_mut()).await else { break };
        let silent = tokio::select! {
            () = &mut until => break,
            slot = pools.silent.wait(|| refused(&state, "admin_evicted")) => slot,
        };
        let (state, pools, closing) = (Arc::clone(&state), Arc::clone(&pools), closing.subscribe());
        let accepted = Accepted { stream, peer: peer.ip(), state, pools, silent, closing };
        tokio::spawn(accepted.serve());
        // lets the accepted connection run before the next one is accepted
        tokio::task::yield_now().await;
    }
    drop(listener);
    // each connection holds a receiver; when the last is dropped, the sender is notified
    let _ = closing.send(true);
    let _ = tokio::time::timeout(CLOSING_MAX, closing.closed()).await;
}

/// Returns how many silent connections the process can afford under its limit of descriptors.
fn silent_max() -> usize {
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let share = descriptors.map_or(u64::MAX, |limit| limit / SILENT_DESCRIPTOR_SHARE);
    usize::try_from(share).unwrap_or(usize::MAX).clamp(1, SILENT_CONNECTIONS_MAX)
}

fn refused(state: &AdminState, reason: &str) {
    state.telemetry.connections_refused.with_label_values(&[reason]).inc();
}

/// Refuses requests that no scraper, kubelet or browser sends, and requests that two servers could
/// interpret differently.
async fn checked<B: Body>(
    request: &Request<B>,
    peer: IpAddr,
    sending: OwnedSemaphorePermit,
    state: &AdminState,
) -> Answer {
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
    route(request, peer, sending, state).await
}

/// Routes a request; `sending` is released when the answer is sent.
async fn route<B>(
    request: &Request<B>,
    peer: IpAddr,
    sending: OwnedSemaphorePermit,
    state: &AdminState,
) -> Answer {
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
        ("/metrics", None) => metrics::scrape(request, peer, sending, state).await,
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
