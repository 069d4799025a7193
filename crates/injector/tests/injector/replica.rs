//! A replica of the injector with its threads and its TLS, and clients of its ports. Unit: one replica.

use crate::api::Api;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use sidelight::clock::{Clock, UnixNanos};
use sidelight_injector::apiserver::access::Access;
use sidelight_injector::inject::policy::Policy;
use sidelight_injector::server::lease::Named;
use sidelight_injector::server::metrics::Metrics;
use sidelight_injector::server::missing::Counting;
use sidelight_injector::server::reload::{InvalidPolicy, Reload};
use sidelight_injector::server::settings::{Lifetimes, Mode, TlsSettings};
use sidelight_injector::server::webhook::Leaving;
use sidelight_injector::server::{Running, ServerSetup};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) const START: UnixNanos = UnixNanos(1_790_000_000_000_000_000);
pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const DAY: Duration = Duration::from_hours(24);

/// Longer than a loaded machine takes; in units of [`LOOK`].
pub(crate) const LOOKS_MAX: usize = 10_000;
pub(crate) const LOOK: Duration = Duration::from_millis(3);
pub(crate) const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/00-sidelight-injector";
pub(crate) const SECRET: &str =
    "/api/v1/namespaces/sidelight-system/secrets/sidelight-injector-tls";
pub(crate) const LEASE: &str =
    "/apis/coordination.k8s.io/v1/namespaces/sidelight-system/leases/sidelight-injector";
pub(crate) const SERVER: &str = "sidelight-injector.sidelight-system.svc";

/// One replica of the injector.
pub(crate) struct Replica {
    pub(crate) webhook: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) running: Option<Running>,
}

pub(crate) struct ReplicaSettings<'a> {
    pub(crate) clock: &'a Clock,
    pub(crate) access: Option<Access>,
    pub(crate) tls: TlsSettings,
    pub(crate) identity: &'a str,
    pub(crate) linger: Duration,
}

pub(crate) fn settings(mode: Mode, directory: &Path) -> TlsSettings {
    TlsSettings {
        mode,
        directory: directory.to_owned(),
        publish: false,
        namespace: "sidelight-system".to_owned(),
        service: "sidelight-injector".to_owned(),
        names: Vec::new(),
        secret: "sidelight-injector-tls".to_owned(),
        configuration: "00-sidelight-injector".to_owned(),
        lifetimes: Lifetimes { leaf: 3 * DAY, authority: 12 * DAY, overlap: HOUR },
        every: Duration::from_millis(10),
    }
}

impl Replica {
    pub(crate) fn start(with: ReplicaSettings<'_>) -> Replica {
        let bound = || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.set_nonblocking(true).expect("a listener");
            let address = listener.local_addr().expect("an address");
            (listener, address)
        };
        let ((listener, webhook), (admin_listener, admin)) = (bound(), bound());
        let metrics = Arc::new(Metrics::new());
        let reload = Reload {
            file: None,
            parse: Box::new(|_| Err(InvalidPolicy("no file".to_owned()))),
            clock: with.clock.clone(),
            metrics: Arc::clone(&metrics),
            seen: None,
        };
        let parts = ServerSetup {
            clock: with.clock.clone(),
            metrics: Arc::clone(&metrics),
            listener,
            admin: admin_listener,
            access: with.access,
            tls: with.tls,
            lease: Named {
                namespace: "sidelight-system".to_owned(),
                name: "sidelight-injector".to_owned(),
                identity: with.identity.to_owned(),
                every: Duration::from_millis(10),
            },
            events: true,
            policy: Policy::default(),
            reload,
            counting: Counting {
                configuration: "00-sidelight-injector".to_owned(),
                every: Duration::from_millis(20),
            },
            leaving: Leaving { linger: with.linger, drain: Duration::from_secs(5) },
        };
        let running = Some(parts.spawn().expect("threads"));
        Replica { webhook, admin, metrics, running }
    }

    pub(crate) fn of(api: &Api, clock: &Clock, identity: &str) -> Replica {
        let tls = settings(Mode::SelfManaged, Path::new("/nowhere"));
        let linger = Duration::ZERO;
        Replica::start(ReplicaSettings { clock, access: Some(api.access()), tls, identity, linger })
    }

    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }

    pub(crate) async fn ready(&self) -> bool {
        admin(self.admin, "/readyz").await.is_some_and(|(status, _)| status == 200)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) async fn admin(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let request = Request::get(path).header("host", "x").body(Full::new(Bytes::new())).ok()?;
    let answer = sender.send_request(request).await.ok()?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    Some((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Waits for a condition; fails if it does not become true.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut look: impl FnMut() -> F) {
    for _ in 0..LOOKS_MAX {
        if look().await {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
    panic!("never: {what}");
}

/// A source of time for handshakes that follows the manual clock of the test.
#[derive(Debug)]
pub(crate) struct Wound(Clock);

impl TimeProvider for Wound {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.now().seconds())))
    }
}

/// Performs a handshake as an API server that trusts `bundle`.
pub(crate) async fn handshake(
    at: SocketAddr,
    bundle: &str,
    clock: &Clock,
) -> Result<TlsStream<TcpStream>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(certificate.expect("PEM")).expect("a certificate");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(Wound(clock.clone())))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(at).await.map_err(|error| error.to_string())?;
    let name = ServerName::try_from(SERVER).expect("a name");
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.map_err(|error| error.to_string())
}

pub(crate) fn webhooks() -> Value {
    let entry = |name: &str| {
        json!({
            "name": name,
            "clientConfig": {"service": {"name": "sidelight-injector", "namespace": "sidelight-system"}},
            "namespaceSelector": {"matchLabels": {"sidelight.dev/injection": "enabled"}},
        })
    };
    let metadata =
        json!({"name": "00-sidelight-injector", "creationTimestamp": "2026-01-01T00:00:00Z"});
    json!({"metadata": metadata, "webhooks": [entry("namespace"), entry("object")]})
}

/// Returns the bundle that is published for every webhook; empty if they differ.
pub(crate) fn published(api: &Api) -> String {
    let Some(configuration) = api.get(CONFIGURATION) else { return String::new() };
    let bundle = |index: usize| {
        let coded = configuration["webhooks"][index]["clientConfig"]["caBundle"].as_str();
        String::from_utf8(BASE64.decode(coded.unwrap_or_default()).unwrap_or_default())
            .unwrap_or_default()
    };
    if bundle(0) == bundle(1) { bundle(0) } else { String::new() }
}

pub(crate) fn review(object: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "namespace": "shop",
            "object": object,
        },
    })
}

pub(crate) fn pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "web-", "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "controller": true}]},
        "spec": {"containers": [{"name": "app", "image": "shop:1"}]},
    })
}

pub(crate) async fn post(at: SocketAddr, bundle: &str, bodies: &[Vec<u8>]) -> Vec<(u16, Value)> {
    let stream = handshake(at, bundle, &Clock::system()).await.expect("a handshake");
    let mut answers = Vec::new();
    let request = |body: &Vec<u8>| {
        let uri = format!("https://{SERVER}/mutate");
        let body = Full::new(Bytes::from(body.clone()));
        let request = Request::builder().method(Method::POST).uri(uri).header("host", SERVER);
        request.header("content-type", "application/json").body(body).expect("a request")
    };
    let read = async |answer: hyper::Response<hyper::body::Incoming>| {
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1");
    tokio::spawn(connection);
    for body in bodies {
        sender.ready().await.expect("kept alive");
        answers.push(read(sender.send_request(request(body)).await.expect("an answer")).await);
    }
    answers
}
