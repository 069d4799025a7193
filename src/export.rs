//! The exporter: sends spans from the outbox to a collector, by OTLP over HTTP or gRPC. No other
//! part of the process waits for the collector. Every span taken from the outbox is counted as sent
//! or as dropped with a reason. The close never takes longer than the time it is given. Unit: one
//! request.
//!
//! Decision: the exporter runs on a separate thread with a current-thread runtime, because
//! resolving a name and encoding a batch must not delay `/livez` on the admin thread. The thread
//! sleeps while there are no spans.

pub(crate) mod answer;
pub mod batch;
pub(crate) mod client;
pub mod endpoint;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod intake;
pub mod resolve;
pub mod retry;

use crate::clock::Clock;
use crate::outbox::{BatchSize, Chunk, Outbox};
use crate::resource::Resource;
use crate::telemetry::Telemetry;
use crate::telemetry::outputs::OutputStatus;
use answer::{Answer, AnswerText, Reason};
use batch::Encoder;
use bytes::Bytes;
use client::{Client, Way};
use endpoint::{Endpoint, EndpointError, Protocol};
use prometheus::{IntCounter, IntCounterVec};
use resolve::Resolver;
use retry::{Breaker, Waits};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io, thread};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The value of the label `output`.
const OUTPUT: &str = "spans";
/// The longest wait between attempts while closing. A collector that is being restarted gets a few
/// attempts within the second that a close usually has.
const CLOSING_WAIT_MAX: Duration = Duration::from_millis(200);
/// While closing, the exporter gives up a collector that has not answered for this long, or for
/// twice the time of its last answer if that is longer, so that a dead network does not delay the
/// exit.
const CLOSING_SILENCE_MIN: Duration = Duration::from_millis(300);

/// Settings of the export of spans.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The endpoint: the whole address with its path for HTTP; host and port for gRPC.
    pub endpoint: String,
    /// The transport protocol.
    pub protocol: Protocol,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    /// Timeout of one exchange, connecting included.
    pub timeout: Duration,
    /// Bounds of one request: spans, and bytes of spans.
    pub batch: BatchSize,
    /// The longest time that a span waits for others to fill its request.
    pub schedule_delay: Duration,
    /// The waits between attempts.
    pub waits: Waits,
    /// While closing, the exporter gives up a collector that has not answered for this long.
    pub closing_silence: Duration,
    /// Resolves the collector's name.
    pub resolver: Resolver,
}

impl Default for Settings {
    /// Returns OpenTelemetry's defaults, except that a span waits one second instead of five.
    fn default() -> Self {
        Settings {
            endpoint: "http://localhost:4318/v1/traces".to_owned(),
            protocol: Protocol::Http,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            batch: BatchSize { items_max: 512, bytes_max: 1 << 20 },
            schedule_delay: Duration::from_secs(1),
            waits: Waits::default(),
            closing_silence: CLOSING_SILENCE_MIN,
            resolver: Resolver::default(),
        }
    }
}

/// Why an exporter cannot start.
#[derive(Debug)]
pub enum ExportError {
    /// The endpoint cannot be used.
    Endpoint(EndpointError),
    /// The system cannot start a thread or a runtime.
    Thread(io::Error),
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExportError::Endpoint(_) => write!(f, "spans cannot be exported"),
            ExportError::Thread(_) => write!(f, "the exporter's thread cannot be started"),
        }
    }
}

impl std::error::Error for ExportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ExportError::Endpoint(error) => Some(error),
            ExportError::Thread(error) => Some(error),
        }
    }
}

/// Tells the exporter when to stop: unset, or the deadline of the close.
pub type Stop = watch::Receiver<Option<Instant>>;

/// A running exporter.
#[derive(Debug)]
pub struct Exporter {
    outbox: Arc<Outbox>,
    stop: watch::Sender<Option<Instant>>,
    thread: JoinHandle<()>,
}

/// The parts of the process that an exporter uses.
#[derive(Debug)]
pub struct ExporterSetup<'a> {
    /// The resource of the spans.
    pub resource: Resource,
    /// The queue of encoded spans.
    pub outbox: Arc<Outbox>,
    /// The counters of sent and dropped spans.
    pub telemetry: &'a Telemetry,
    /// Where the exporter publishes its condition.
    pub status: Arc<OutputStatus>,
    /// The clock, for a Retry-After that names a date.
    pub clock: Clock,
    /// Spreads the retries of sidecars that fail together. Any value that differs between sidecars
    /// will do.
    pub seed: u64,
}

/// Starts an exporter on a separate thread.
///
/// # Errors
/// Fails if the endpoint is malformed or asks for TLS, or the system cannot start a thread.
pub fn spawn(settings: Settings, parts: ExporterSetup<'_>) -> Result<Exporter, ExportError> {
    let outbox = Arc::clone(&parts.outbox);
    let worker = Worker::new(settings, parts).map_err(ExportError::Endpoint)?;
    let (stop, stopped) = watch::channel(None);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ExportError::Thread)?;
    let thread = thread::Builder::new()
        .name("export".to_owned())
        .spawn(move || {
            runtime.block_on(worker.run(stopped));
            // a pending name lookup must not delay the exit
            runtime.shutdown_background();
        })
        .map_err(ExportError::Thread)?;
    Ok(Exporter { outbox, stop, thread })
}

/// Runs an exporter as a task until its outbox is closed and empty or the deadline of the close has
/// passed.
///
/// # Errors
/// Fails if the endpoint is malformed or asks for TLS.
pub async fn run(
    settings: Settings,
    parts: ExporterSetup<'_>,
    stop: Stop,
) -> Result<(), EndpointError> {
    Worker::new(settings, parts)?.run(stop).await;
    Ok(())
}

impl Exporter {
    /// Closes the outbox, sends what it holds within the time given, and drops and counts the rest.
    /// Blocks until that is done; the outbox is empty afterwards.
    pub fn finish(self, within: Duration) {
        self.outbox.close();
        // if the exporter has already ended, nobody receives this and the outbox is empty
        self.stop.send(Some(Instant::now() + within)).ok();
        self.thread.join().ok();
    }
}

#[derive(Debug)]
struct Worker {
    settings: Settings,
    outbox: Arc<Outbox>,
    encoder: Encoder,
    client: Client,
    breaker: Breaker,
    counters: Counters,
    status: Arc<OutputStatus>,
    clock: Clock,
    answers: Arc<Answers>,
    /// For tests: the exporter takes the next span from the outbox and does not send it.
    lose_item: bool,
}

/// One encoded request.
#[derive(Debug)]
struct Request {
    /// Spans taken from the outbox for this request.
    taken: u64,
    /// Spans encoded in the body.
    written: u64,
    /// A gRPC frame and the message.
    body: Bytes,
}

#[derive(Debug)]
struct Counters {
    sent: IntCounter,
    dropped: IntCounterVec,
    requests: IntCounterVec,
}

impl Counters {
    fn dropped(&self, reason: &str, count: u64) {
        if count > 0 {
            self.dropped.with_label_values(&[OUTPUT, reason]).inc_by(count);
        }
    }

    fn request(&self, result: &str) {
        self.requests.with_label_values(&[OUTPUT, result]).inc();
    }
}

impl Worker {
    fn new(settings: Settings, parts: ExporterSetup<'_>) -> Result<Worker, EndpointError> {
        let endpoint = Endpoint::new(&settings.endpoint, settings.protocol, &settings.headers)?;
        let telemetry = parts.telemetry;
        Ok(Worker {
            outbox: parts.outbox,
            encoder: Encoder::new(parts.resource),
            client: Client::new(
                Way { endpoint, protocol: settings.protocol, resolver: settings.resolver.clone() },
                settings.timeout,
                parts.clock.clone(),
            ),
            breaker: Breaker::new(settings.waits, parts.seed),
            counters: Counters {
                sent: telemetry.sent.with_label_values(&[OUTPUT]),
                dropped: telemetry.dropped.clone(),
                requests: telemetry.export_requests.clone(),
            },
            status: parts.status,
            clock: parts.clock,
            answers: Arc::default(),
            lose_item: telemetry.faults.lose_item,
            settings,
        })
    }

    async fn run(mut self, mut stop: Stop) {
        let expired = deadline(stop.clone());
        let patience = self.settings.closing_silence;
        let silent = silence(stop.clone(), patience, Arc::clone(&self.answers));
        let outbox = Arc::clone(&self.outbox);
        tokio::select! {
            biased;
            () = expired => {}
            () = silent => {}
            () = self.work(&mut stop) => {}
        }
        // nothing is left unless the deadline cut the work short
        self.counters.dropped("deadline", outbox.abandon());
    }

    async fn work(&mut self, stop: &mut Stop) {
        let mut items = Chunk::default();
        let Settings { batch, schedule_delay, .. } = self.settings;
        let outbox = Arc::clone(&self.outbox);
        while outbox.take(&mut items, batch, schedule_delay).await {
            let taken = items.len() as u64;
            if std::mem::take(&mut self.lose_item) {
                items.remove_first();
            }
            let mut body = vec![0; grpc::FRAME_BYTES];
            let written = self.encoder.request(&items, &mut body);
            let frame = grpc::frame(body.len() - grpc::FRAME_BYTES);
            body[..grpc::FRAME_BYTES].copy_from_slice(&frame);
            let request = Request { taken, written, body: Bytes::from(body) };
            if !self.deliver(&request, stop).await {
                return;
            }
        }
    }

    /// Sends one request until it is accepted, rejected, or too old. Returns false if the close
    /// leaves no time for another attempt.
    async fn deliver(&mut self, request: &Request, stop: &mut Stop) -> bool {
        let begun = Instant::now();
        loop {
            let sent_at = Instant::now();
            let answer = self.client.send(request.body.clone()).await;
            if !matches!(answer, Answer::Lost { .. }) {
                self.answers.count(sent_at.elapsed());
            }
            let (after, why) = match answer {
                Answer::Accepted { rejected, text } => {
                    self.accepted(request, rejected, &text);
                    return true;
                }
                Answer::Rejected { why } => {
                    self.rejected(request, &why);
                    return true;
                }
                Answer::Retry { after, why } => (after, why),
                Answer::Lost { why } => (None, why),
            };
            self.counters.request("retry");
            if self.status.degraded(self.clock.now(), &why.what) {
                let Reason { what, text } = &why;
                tracing::warn!(why = what, answer = %text, "the collector accepts no spans; they are queued");
            }
            let wait = self.breaker.failed(after);
            let too_old = begun.elapsed() + wait > self.settings.waits.batch_max;
            if too_old {
                self.drop_all("expired", request);
            }
            // the next batch waits as well: the breaker is open
            let again = pause(wait, after.is_some(), stop).await;
            if too_old || !again {
                return again;
            }
        }
    }

    fn accepted(&mut self, request: &Request, rejected: u64, text: &AnswerText) {
        let rejected = rejected.min(request.written);
        self.outbox.settle(request.taken);
        self.counters.sent.inc_by(request.written - rejected);
        self.counters.dropped("partial", rejected);
        self.counters.request(if rejected == 0 { "ok" } else { "partial" });
        self.breaker.succeeded();
        if rejected > 0 {
            tracing::warn!(rejected, answer = %text, "the collector accepted only some of the spans");
        } else if !text.is_empty() {
            tracing::info!(answer = %text, "the collector accepted the spans with a warning");
        }
        if rejected > 0 && rejected == request.written {
            self.status.degraded(self.clock.now(), "the collector accepted none of the spans");
        } else if self.status.works() {
            tracing::info!("the collector accepts spans again");
        }
    }

    fn rejected(&mut self, request: &Request, why: &Reason) {
        self.drop_all("rejected", request);
        self.counters.request("rejected");
        self.breaker.succeeded();
        self.status.degraded(self.clock.now(), &why.what);
        let Reason { what, text } = why;
        tracing::warn!(why = what, answer = %text, "the collector rejects spans");
    }

    fn drop_all(&self, reason: &str, request: &Request) {
        self.outbox.settle(request.taken);
        self.counters.dropped(reason, request.written);
    }
}

/// Waits before the next attempt. While closing, shortens a wait of our own, so that the held spans
/// get another attempt, but keeps a wait that the collector advised. Returns false if the deadline
/// of the close comes before the end of the wait.
async fn pause(wait: Duration, advised: bool, stop: &mut Stop) -> bool {
    let until = Instant::now() + wait;
    let closing = *stop.borrow_and_update();
    let deadline = match closing {
        Some(deadline) => deadline,
        None => match timeout_at(until, stop.changed()).await {
            Err(_) => return true,
            Ok(Ok(())) => match *stop.borrow_and_update() {
                // the first attempt of the close needs no wait
                Some(_) if !advised => return true,
                Some(deadline) => deadline,
                None => return true,
            },
            // the sender is gone, so nobody can stop this wait
            Ok(Err(_)) => {
                sleep_until(until).await;
                return true;
            }
        },
    };
    let until = if advised { until } else { until.min(Instant::now() + CLOSING_WAIT_MAX) };
    if until >= deadline {
        return false;
    }
    sleep_until(until).await;
    true
}

/// Counts the answers of a collector, whatever they say.
#[derive(Debug, Default)]
struct Answers {
    count: AtomicU64,
    /// Duration of the last exchange, in milliseconds.
    last_ms: AtomicU64,
}

impl Answers {
    fn count(&self, took: Duration) {
        self.last_ms.store(took.as_millis() as u64, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits until the close has begun and the collector has been silent for too long.
async fn silence(mut stop: Stop, patience: Duration, answers: Arc<Answers>) {
    if stop.wait_for(Option::is_some).await.is_err() {
        return std::future::pending().await;
    }
    loop {
        let before = answers.count.load(Ordering::Relaxed);
        let last = Duration::from_millis(answers.last_ms.load(Ordering::Relaxed));
        sleep_until(Instant::now() + patience.max(2 * last)).await;
        if answers.count.load(Ordering::Relaxed) == before {
            return;
        }
    }
}

/// Waits until the deadline of the close, once one is set.
async fn deadline(mut stop: Stop) {
    let until = match stop.wait_for(Option::is_some).await {
        Ok(until) => *until,
        // the sender is gone: run until the outbox is closed
        Err(_) => None,
    };
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}
