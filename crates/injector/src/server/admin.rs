//! The admin port of the injector: `/livez`, `/readyz` (each with `?verbose`), `/metrics`. It runs
//! on a different thread than the webhook and answers from shared state. Unit: one request.

use super::metrics::Metrics;
use super::readiness::Readiness;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use sidelight::serve::accept::next_connection;
use sidelight::serve::metrics::joined;
use sidelight::serve::negotiate;
use sidelight::serve::query;
use sidelight::serve::respond::{Answer, TEXT, answer};
use sidelight::serve::slots::Slots;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// Time limit for the head of a request, and so also for the idle time between two requests on one
/// connection.
const HEADER_READ_MAX: Duration = Duration::from_secs(30);

/// Maximum size of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

const PATHS: &str = "\
/metrics  metrics of the injector, for Prometheus
/livez    is it alive (/healthz is the same)
/readyz   do API servers reach and trust it
";

/// The state that the port answers from.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The metrics of the injector.
    pub metrics: Arc<Metrics>,
    /// The readiness of the process.
    pub readiness: Arc<Readiness>,
}

/// Serves until `stop` is set.
pub async fn serve(listener: TcpListener, admin: Admin, mut stop: watch::Receiver<bool>) {
    let slots = Arc::new(Slots::new());
    let until = async {
        // a closed channel is a stop, too
        let _ = stop.wait_for(|stopped| *stopped).await;
    };
    let mut until = pin!(until);
    while let Some((stream, _)) = next_connection(&listener, until.as_mut()).await {
        let slot = loop {
            match slots.take() {
                Ok((slot, _)) => break slot,
                Err(wait) => sleep(wait).await,
            }
        };
        let (admin, slots) = (admin.clone(), Arc::clone(&slots));
        tokio::spawn(async move {
            let touch = || slots.touch(&slot);
            let served = connection(stream, &admin, touch);
            tokio::select! {
                () = served => {}
                () = slot.evicted() => {}
            }
            slots.free(&slot);
        });
    }
}

async fn connection(stream: TcpStream, admin: &Admin, touch: impl Fn()) {
    // an answer is one write, which Nagle's algorithm would only delay
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: Request<Incoming>| {
        touch();
        let answer = route(&request, admin);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // a broken connection is not our error
    let _ = pin!(served).await;
}

fn route<B>(request: &Request<B>, admin: &Admin) -> Answer {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
    }
    let verbose = query::switch(request.uri().query(), "verbose");
    match request.uri().path() {
        "/livez" | "/healthz" => probe("livez", &live(&admin.readiness), verbose),
        "/readyz" => probe("readyz", &ready(&admin.readiness), verbose),
        "/metrics" => {
            let accepted = joined(request.headers(), &header::ACCEPT);
            let chosen = negotiate::accept(accepted.as_deref());
            let mut page = Vec::new();
            admin.metrics.write(chosen.encoding, &mut page);
            answer(StatusCode::OK, &chosen.content_type, page)
        }
        "/" => answer(StatusCode::OK, TEXT, format!("sidelight injector\n\n{PATHS}")),
        _ => answer(StatusCode::NOT_FOUND, TEXT, format!("no such path; there are\n\n{PATHS}")),
    }
}

/// The name of a check, and the reason if it fails.
type Check = (&'static str, Option<String>);

/// Returns the liveness checks. The process is alive as long as the webhook thread makes progress;
/// a missing backend, certificate or API server is no reason to restart it.
fn live(readiness: &Readiness) -> Vec<Check> {
    let stalled = readiness.stalled();
    let stalled = stalled.map(|silent| format!("silent for {} s", silent.as_secs()));
    vec![("ping", None), ("webhook_thread", stalled)]
}

fn ready(readiness: &Readiness) -> Vec<Check> {
    let unless = |holds: bool, why: &str| (!holds).then(|| why.to_owned());
    let platform = unless(readiness.is_platform_known(), "the API server has not answered yet");
    let shutdown = unless(!readiness.is_leaving(), "process is leaving");
    let mut checks = live(readiness);
    checks.push(("platform", platform));
    checks.push(("ca_bundle", readiness.distrust()));
    checks.push(("shutdown", shutdown));
    checks
}

/// Answers a probe by the conventions of the kube-apiserver: a failure always lists all checks.
fn probe(called: &str, checks: &[Check], verbose: bool) -> Answer {
    let mut text = String::new();
    for (name, failure) in checks {
        // writing to a string cannot fail
        let _ = match failure {
            None => writeln!(text, "[+]{name} ok"),
            Some(why) => writeln!(text, "[-]{name} failed: {why}"),
        };
    }
    if checks.iter().any(|(_, failure)| failure.is_some()) {
        return answer(
            StatusCode::SERVICE_UNAVAILABLE,
            TEXT,
            format!("{text}{called} check failed\n"),
        );
    }
    let text = if verbose { format!("{text}{called} check passed\n") } else { "ok".to_owned() };
    answer(StatusCode::OK, TEXT, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use sidelight::clock::{Clock, UnixNanos};

    async fn get(admin: &Admin, path: &str) -> (u16, String) {
        let request = Request::get(path).body(()).expect("a request");
        let answer = route(&request, admin);
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// Guarantees: ready only while API servers trust the certificate and no stop was requested;
    /// alive in every one of these states.
    #[tokio::test]
    async fn ready_while_trusted_and_alive_while_it_makes_progress() {
        let (clock, hand) = Clock::wound(UnixNanos(1));
        let readiness = Arc::new(Readiness::new(clock));
        let admin = Admin { metrics: Arc::new(Metrics::new()), readiness: Arc::clone(&readiness) };
        let (status, text) = get(&admin, "/readyz").await;
        assert_eq!(status, 503);
        assert!(text.contains("[-]ca_bundle failed: not checked yet"), "{text}");
        assert_eq!(get(&admin, "/livez").await, (200, "ok".to_owned()));
        readiness.set_distrust(None);
        assert_eq!(get(&admin, "/readyz").await.0, 503, "the platform is not known yet");
        readiness.set_platform_known();
        assert_eq!(get(&admin, "/readyz").await, (200, "ok".to_owned()));
        let (status, text) = get(&admin, "/readyz?verbose").await;
        assert_eq!(status, 200);
        let all = "[+]ping ok\n[+]webhook_thread ok\n[+]platform ok\n[+]ca_bundle ok\n[+]shutdown ok\nreadyz check passed\n";
        assert_eq!(text, all);
        readiness.leave();
        assert_eq!(get(&admin, "/readyz").await.0, 503);
        assert_eq!(get(&admin, "/livez").await.0, 200);
        hand.wind(Duration::from_secs(31));
        let (status, text) = get(&admin, "/livez").await;
        assert!(status == 503 && text.contains("silent for 31 s"), "{text}");
        readiness.record_progress();
        assert_eq!(get(&admin, "/healthz").await.0, 200);
    }

    #[tokio::test]
    async fn metrics_and_paths() {
        let readiness = Arc::new(Readiness::new(Clock::system()));
        let admin = Admin { metrics: Arc::new(Metrics::new()), readiness };
        let (status, page) = get(&admin, "/metrics").await;
        assert!(status == 200 && page.contains("sidelight_injector_leader 0"), "{page}");
        assert_eq!(get(&admin, "/nothing").await.0, 404);
        assert!(get(&admin, "/").await.1.contains("/readyz"));
        let post = Request::post("/metrics").body(()).expect("a request");
        assert_eq!(route(&post, &admin).status(), 405);
    }
}
