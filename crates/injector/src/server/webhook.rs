//! The port of the webhook: TLS, HTTP/1.1, `POST /mutate`. It makes no other request between a
//! review and its answer. Connections, heads, bodies and times are limited; a client that is slow,
//! silent or hostile costs one of many connections and a limited amount of memory. Unit: one
//! request.
//!
//! Decision: no HTTP/2, and so hyper's connection of HTTP/1 instead of hyper-util's that detects the
//! version. API servers speak HTTP/1.1 to webhooks, because connections are balanced
//! over replicas and streams are not. HTTP/2 would add windows, streams and header tables of
//! hostile clients, all of which would need limits.
//!
//! Maximum memory, with the chart's limit of 128 MiB: connections x (head and read buffer 16 KiB,
//! TLS 34 KiB, first part of a body 32 KiB) = 33 MiB; longer bodies 8 MiB, twice that while they
//! grow; one review at a time is parsed, 16 MiB, and its patch is smaller.

use super::cluster::Cluster;
use super::events::{Event, Events};
use super::metrics::Metrics;
use super::review::{self, BODY_BYTES_MAX, Outcome, Reviewed};
use crate::inject::policy::{Platform, Policy};
use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use sidelight::clock::Clock;
use sidelight::serve::accept::next_connection;
use sidelight::serve::respond::{Answer, TEXT, answer};
use sidelight::serve::slots::{Slot, Slots};
use sidelight::sync::lock;
use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// The path of reviews.
pub const PATH: &str = "/mutate";

/// Maximum number of connections: two API servers with their 200 mutating requests in flight, each
/// on a separate connection. Above it, the connection that was idle for longest is closed.
const CONNECTIONS_MAX: usize = 400;

/// Bytes of a request's head, and of the buffer through which bodies are read. A head of an API
/// server has 400.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// Number of headers of a request; an API server sends seven.
const HEADERS_MAX: usize = 32;

/// Time limit of the handshake; an API server in the same cluster needs a few milliseconds.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

/// Time limit of a request's head, including the idle time before it. API servers close an idle
/// connection after 90 s. We must not close first, or a review that is being written at that moment
/// is lost.
const HEADER_READ_MAX: Duration = Duration::from_mins(3);

/// Time limit from a request's head to the plan. An API server waits for `timeoutSeconds`, which
/// the chart sets to 2. A pod that waited longer than this is admitted with a warning, while the
/// API server still reads the answer.
const REVIEW_MAX: Duration = Duration::from_secs(1);

/// Bytes of an oversized body that are read to the end, so that the client reads the answer.
const DRAIN_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of a body that each connection may buffer without a permit. Nearly every pod is shorter,
/// and so no pod waits for the bodies of others.
const BODY_OWN_BYTES: usize = 32 * 1024;

/// Size of all bodies together beyond [`BODY_OWN_BYTES`], in KiB: two of the longest.
const BODIES_KIB_MAX: usize = 8 * 1024;

/// How the port stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaving {
    /// How long it keeps serving after the stop was requested, because some nodes still send
    /// requests here.
    pub linger: Duration,
    /// How long requests in flight may take after that.
    pub drain: Duration,
}

/// The state that the port answers from.
#[derive(Debug)]
pub struct Hook {
    /// The clock of durations.
    pub clock: Clock,
    /// The metrics of the injector.
    pub metrics: Arc<Metrics>,
    /// What is known of the cluster.
    pub cluster: Arc<Cluster>,
    /// The queue of Events; `None` if they are turned off.
    pub events: Option<Events>,
    policy: Mutex<Arc<Policy>>,
    bodies: Semaphore,
}

impl Hook {
    /// Creates the state of a port with this policy.
    pub fn new(
        clock: Clock,
        metrics: Arc<Metrics>,
        cluster: Arc<Cluster>,
        events: Option<Events>,
        policy: Policy,
    ) -> Hook {
        let bodies = Semaphore::new(BODIES_KIB_MAX);
        Hook { clock, metrics, cluster, events, policy: Mutex::new(Arc::new(policy)), bodies }
    }

    /// Uses another policy from the next review on. Replaces `auto` by the platform of the cluster.
    pub fn put(&self, mut policy: Policy) {
        if policy.platform == Platform::Auto && self.cluster.is_openshift() {
            policy.platform = Platform::OpenShift;
        }
        *lock(&self.policy) = Arc::new(policy);
    }

    /// Returns the current policy.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&lock(&self.policy))
    }
}

/// What a connection must know of the shutdown.
struct Ending {
    /// A stop was requested: the next answer is the last on its connection.
    leaves: watch::Receiver<bool>,
    /// Ends the connection when it has no request in flight and everything closes.
    watcher: Watcher,
}

/// The result of reading a body.
enum Read {
    Whole(Bytes),
    Oversized(Bytes),
    /// The body did not arrive in time, or there was no memory for it in time.
    Late(Bytes),
    Torn,
}

/// Serves until `stop` is set, then lingers, drains and returns.
pub async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    hook: Arc<Hook>,
    leaving: Leaving,
    mut stop: watch::Receiver<bool>,
) {
    let slots = Arc::new(Slots::of(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let leaves = stop.clone();
    let until = async {
        // a closed channel is a stop, too
        let _ = stop.wait_for(|stopped| *stopped).await;
        sleep(leaving.linger).await;
    };
    let mut until = pin!(until);
    loop {
        let Some((stream, _)) = next_connection(&listener, until.as_mut()).await else { break };
        let slot = slots.wait(|| count_refused(&hook, "evicted")).await;
        let (slots, hook, tls) = (Arc::clone(&slots), Arc::clone(&hook), tls.clone());
        let ending = Ending { leaves: leaves.clone(), watcher: graceful.watcher() };
        tokio::spawn(async move {
            hook.metrics.connections.inc();
            connection(stream, tls, &hook, &slots, &slot, ending).await;
            slots.free(&slot);
            hook.metrics.connections.dec();
        });
        // let the accepted connection run before the next one is accepted
        tokio::task::yield_now().await;
    }
    drop(listener);
    let _ = timeout(leaving.drain, graceful.shutdown()).await;
}

fn count_refused(hook: &Hook, reason: &str) {
    hook.metrics.connections_refused.with_label_values(&[reason]).inc();
}

async fn connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    hook: &Arc<Hook>,
    slots: &Arc<Slots>,
    slot: &Arc<Slot>,
    ending: Ending,
) {
    let Ending { leaves, watcher } = ending;
    // an answer is one write, which Nagle's algorithm would only delay
    let _ = stream.set_nodelay(true);
    let stream = match timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        // an API server that does not trust our certificate reports it here and nowhere else
        Ok(Err(error)) => {
            tracing::debug!(%error, "handshake failed");
            return count_refused(hook, "handshake");
        }
        Err(_) => return count_refused(hook, "handshake_timeout"),
    };
    let service = {
        let (hook, slots, slot) = (Arc::clone(hook), Arc::clone(slots), Arc::clone(slot));
        service_fn(move |request: Request<Incoming>| {
            slots.touch(&slot);
            let hook = Arc::clone(&hook);
            // close the connection now, because an API server that keeps it would be cut off in the
            // end
            let last = *leaves.borrow();
            async move { Ok::<_, Infallible>(answered(request, &hook, last).await) }
        })
    };
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_MAX)
        .max_buf_size(READ_BUFFER_BYTES)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // a broken connection is not our error
        _ = watcher.watch(served) => {}
        () = slot.evicted() => {}
    }
}

async fn answered(request: Request<Incoming>, hook: &Hook, last: bool) -> Answer {
    let version = request.version();
    let mut answer = route(request, hook).await;
    if last && version == Version::HTTP_11 {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

async fn route(request: Request<Incoming>, hook: &Hook) -> Answer {
    if request.uri().path() != PATH {
        return answer(StatusCode::NOT_FOUND, TEXT, "there is only POST /mutate\n");
    }
    if request.method() != Method::POST {
        let mut refusal = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only POST\n");
        refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return refusal;
    }
    let begun = hook.clock.monotonic();
    let reviewed = match read_body(request.into_body(), &hook.bodies).await {
        // the body is complete, but other reviews used the processor for too long
        Read::Whole(body) if hook.clock.monotonic().saturating_sub(begun) > REVIEW_MAX => {
            review::late(&body)
        }
        Read::Whole(body) => review::review(&body, &hook.policy(), &hook.cluster),
        Read::Oversized(beginning) => review::oversized(&beginning),
        Read::Late(beginning) => review::late(&beginning),
        Read::Torn => torn(),
    };
    hook.metrics.duration.observe(hook.clock.monotonic().saturating_sub(begun).as_secs_f64());
    respond(hook, reviewed)
}

/// Counts a review and builds its response.
fn respond(hook: &Hook, reviewed: Reviewed) -> Answer {
    let Reviewed { answer: bytes, outcome, reason, subject, warnings } = reviewed;
    hook.metrics.admissions.with_label_values(&[outcome.name(), reason]).inc();
    if outcome == Outcome::Error {
        let said = warnings.first().map(String::as_str).unwrap_or_default();
        tracing::warn!(reason, said, "a review could not be answered as it was meant");
    }
    if let (Some(events), Some(subject)) = (&hook.events, subject) {
        events.offer(Event { subject, outcome, reason, warnings });
    }
    match bytes {
        Some(bytes) => answer(StatusCode::OK, "application/json", bytes),
        None => answer(StatusCode::BAD_REQUEST, TEXT, "no AdmissionReview with a uid\n"),
    }
}

fn torn() -> Reviewed {
    let warnings = vec!["the review did not arrive".to_owned()];
    Reviewed { answer: None, outcome: Outcome::Error, reason: "torn", subject: None, warnings }
}

/// Reads a body within a time limit. Bytes beyond [`BODY_OWN_BYTES`] are kept as far as `memory`
/// has permits, in KiB, which are held until the body is read.
async fn read_body<B>(mut body: B, memory: &Semaphore) -> Read
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut kept = Kept { first: Bytes::new(), all: BytesMut::new(), seen: 0, permits: None };
    match timeout(REVIEW_MAX, kept.read(&mut body, memory)).await {
        Ok(Ok(())) if kept.seen > BODY_BYTES_MAX => Read::Oversized(kept.bytes()),
        Ok(Ok(())) => Read::Whole(kept.bytes()),
        Ok(Err(Torn)) => Read::Torn,
        Err(_) => Read::Late(kept.bytes()),
    }
}

/// The client closed the connection in the middle of a body.
struct Torn;

/// The part of a body that was read.
struct Kept<'m> {
    /// The first frame, which is mostly the whole body and then not copied.
    first: Bytes,
    /// The whole body, if there are more frames.
    all: BytesMut,
    /// Number of bytes that arrived, including those that were not kept.
    seen: usize,
    permits: Option<SemaphorePermit<'m>>,
}

impl<'m> Kept<'m> {
    /// Reads to the end, or up to [`DRAIN_BYTES_MAX`].
    async fn read<B>(&mut self, body: &mut B, memory: &'m Semaphore) -> Result<(), Torn>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return Err(Torn) };
            let Ok(data) = frame.into_data() else { continue };
            let before = self.seen;
            self.seen = before.saturating_add(data.len());
            if self.seen > DRAIN_BYTES_MAX {
                break;
            }
            if self.seen > BODY_BYTES_MAX {
                // only the uid at the beginning is needed
                if self.permits.take().is_some() {
                    self.all = BytesMut::from(&self.all[..BODY_OWN_BYTES.min(self.all.len())]);
                }
                continue;
            }
            self.reserve(before, memory).await;
            if before == 0 {
                self.first = data;
                continue;
            }
            if self.all.is_empty() {
                self.all.extend_from_slice(&self.first);
            }
            self.all.extend_from_slice(&data);
        }
        Ok(())
    }

    /// Waits for the permits of the bytes that arrived since `before`.
    async fn reserve(&mut self, before: usize, memory: &'m Semaphore) {
        let kib = |bytes: usize| bytes.saturating_sub(BODY_OWN_BYTES).div_ceil(1024) as u32;
        let more = kib(self.seen) - kib(before);
        if more == 0 {
            return;
        }
        // the semaphore is never closed
        let Ok(permit) = memory.acquire_many(more).await else { return };
        match &mut self.permits {
            Some(permits) => permits.merge(permit),
            None => self.permits = Some(permit),
        }
    }

    /// Returns the kept bytes and releases the permits, because the bytes are parsed before
    /// anything else can run on this thread.
    fn bytes(&mut self) -> Bytes {
        if self.all.is_empty() {
            std::mem::take(&mut self.first)
        } else {
            std::mem::take(&mut self.all).freeze()
        }
    }
}

#[cfg(test)]
mod tests;
