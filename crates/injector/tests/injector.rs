//! Runs the injector with its threads and its TLS against an API server of the tests: reviews over
//! HTTP/1.1, two replicas that share certificates and a lease, rotation with a manual clock.

#[path = "support/api.rs"]
mod api;
#[path = "injector/kubeconfig.rs"]
mod kubeconfig;

use api::Api;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{ApiResource, ListParams, PartialObjectMeta, PostParams};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use sidelight::clock::{Clock, UnixNanos};
use sidelight_injector::apiserver::access::Access;
use sidelight_injector::apiserver::client::call;
use sidelight_injector::apiserver::error::Error;
use sidelight_injector::inject::policy::Policy;
use sidelight_injector::server::certificate;
use sidelight_injector::server::lease::Named;
use sidelight_injector::server::metrics::Metrics;
use sidelight_injector::server::missing::Counting;
use sidelight_injector::server::reload::{InvalidPolicy, Reload};
use sidelight_injector::server::settings::{Lifetimes, Mode, TlsSettings};
use sidelight_injector::server::webhook::Leaving;
use sidelight_injector::server::{Parts, Running};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const START: UnixNanos = UnixNanos(1_790_000_000_000_000_000);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// Longer than a loaded machine takes; in units of [`LOOK`].
const LOOKS_MAX: usize = 10_000;
const LOOK: Duration = Duration::from_millis(3);

const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/00-sidelight-injector";
const SECRET: &str = "/api/v1/namespaces/sidelight-system/secrets/sidelight-injector-tls";
const LEASE: &str =
    "/apis/coordination.k8s.io/v1/namespaces/sidelight-system/leases/sidelight-injector";
const SERVER: &str = "sidelight-injector.sidelight-system.svc";

/// One replica of the injector.
struct Replica {
    webhook: SocketAddr,
    admin: SocketAddr,
    metrics: Arc<Metrics>,
    running: Option<Running>,
}

struct ReplicaSettings<'a> {
    clock: &'a Clock,
    access: Option<Access>,
    tls: TlsSettings,
    identity: &'a str,
    linger: Duration,
}

fn settings(mode: Mode, directory: &Path) -> TlsSettings {
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
    fn start(with: ReplicaSettings<'_>) -> Replica {
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
        let parts = Parts {
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

    fn of(api: &Api, clock: &Clock, identity: &str) -> Replica {
        let tls = settings(Mode::SelfManaged, Path::new("/nowhere"));
        let linger = Duration::ZERO;
        Replica::start(ReplicaSettings { clock, access: Some(api.access()), tls, identity, linger })
    }

    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }

    async fn ready(&self) -> bool {
        admin(self.admin, "/readyz").await.is_some_and(|(status, _)| status == 200)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn admin(address: SocketAddr, path: &str) -> Option<(u16, String)> {
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
async fn until<F: Future<Output = bool>>(what: &str, mut look: impl FnMut() -> F) {
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
struct Wound(Clock);

impl TimeProvider for Wound {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.now().seconds())))
    }
}

/// Performs a handshake as an API server that trusts `bundle`.
async fn handshake(
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

fn webhooks() -> Value {
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
fn published(api: &Api) -> String {
    let Some(configuration) = api.get(CONFIGURATION) else { return String::new() };
    let bundle = |index: usize| {
        let coded = configuration["webhooks"][index]["clientConfig"]["caBundle"].as_str();
        String::from_utf8(BASE64.decode(coded.unwrap_or_default()).unwrap_or_default())
            .unwrap_or_default()
    };
    if bundle(0) == bundle(1) { bundle(0) } else { String::new() }
}

fn review(object: &Value) -> Value {
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

fn pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "web-", "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "controller": true}]},
        "spec": {"containers": [{"name": "app", "image": "shop:1"}]},
    })
}

async fn post(at: SocketAddr, bundle: &str, bodies: &[Vec<u8>]) -> Vec<(u16, Value)> {
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

/// Scenario: the certificate is provided, and there is no cluster.
/// Guarantees: reviews of all kinds are answered on one connection, the pod gets its patch, and
/// damaged or oversized reviews are allowed.
#[tokio::test]
async fn reviews_over_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::system();
    let authority = certificate::authority(clock.now(), DAY).expect("an authority");
    let names = certificate::names("sidelight-injector", "sidelight-system");
    let leaf = certificate::leaf(&names, &authority, clock.now(), DAY).expect("a leaf");
    let tls = settings(Mode::Provided, folder.path());
    let linger = Duration::ZERO;
    let replica =
        Replica::start(ReplicaSettings { clock: &clock, access: None, tls, identity: "a", linger });
    let (status, text) = admin(replica.admin, "/readyz").await.expect("an answer");
    assert!(status == 503 && text.contains("ca_bundle failed"), "{text}");
    for (name, text) in [("tls.crt", &leaf.certificate), ("tls.key", &leaf.key)] {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    until("ready", || replica.ready()).await;
    let whole = review(&pod()).to_string().into_bytes();
    let mut long = review(&pod());
    long["request"]["object"]["metadata"]["annotations"] = json!({"a": "x".repeat(5 << 20)});
    // the uid precedes the pod, as API servers write it
    let bodies = [
        whole.clone(),
        whole[..whole.len() / 2].to_vec(),
        long.to_string().into_bytes(),
        b"{}".to_vec(),
        whole,
    ];
    let answers = post(replica.webhook, &authority.certificate, &bodies).await;
    let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 200, 200, 400, 200]);
    for index in [0, 1, 2, 4] {
        let response = &answers[index].1["response"];
        assert_eq!(response["allowed"], true);
        assert_eq!(response["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002");
        assert_eq!(response.get("patch").is_some(), [0, 4].contains(&index), "{index}");
    }
    let coded = answers[0].1["response"]["patch"].as_str().expect("a patch");
    let patch: Value =
        serde_json::from_slice(&BASE64.decode(coded).expect("Base64")).expect("JSON");
    let operations = patch.as_array().expect("operations");
    assert!(
        operations.iter().any(|o| o["path"].as_str().is_some_and(|p| p.contains("initContainers")))
    );
    assert_eq!(answers[0].1["response"]["patchType"], "JSONPatch");
    let counted = |labels: [&str; 2]| replica.metrics.admissions.with_label_values(&labels).get();
    assert_eq!(counted(["injected", ""]), 2);
    assert_eq!(counted(["error", "malformed"]), 2);
    assert_eq!(counted(["error", "oversized"]), 1);
    let refused =
        handshake(replica.webhook, &authority.certificate, &Clock::wound(UnixNanos(0)).0).await;
    assert!(refused.is_err(), "the oracle looks at the time");
}

/// Scenario: the files are replaced, once by a pair that does not fit.
/// Guarantees: the next handshake uses the new certificate, a wrong pair changes nothing, and an
/// open connection continues.
#[tokio::test]
async fn files_are_taken_up_without_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::system();
    let names = certificate::names("sidelight-injector", "sidelight-system");
    let made = |seconds: u64| {
        let now = clock.now().after(Duration::from_secs(seconds));
        let authority = certificate::authority(now, DAY).expect("an authority");
        let leaf = certificate::leaf(&names, &authority, now, DAY).expect("a leaf");
        (authority, leaf)
    };
    let ((first_authority, first), (second_authority, second)) = (made(0), made(10));
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file");
    };
    write("tls.crt", &first.certificate);
    write("tls.key", &first.key);
    let tls = settings(Mode::Provided, folder.path());
    let linger = Duration::ZERO;
    let replica =
        Replica::start(ReplicaSettings { clock: &clock, access: None, tls, identity: "a", linger });
    let at = replica.webhook;
    until("ready", || replica.ready()).await;
    let failures = replica.metrics.certificate_failures.with_label_values(&["files"]);
    let before = failures.get();
    write("tls.crt", &second.certificate);
    until("the wrong pair is seen", async || failures.get() > before).await;
    assert!(handshake(at, &first_authority.certificate, &clock).await.is_ok());
    write("tls.key", &second.key);
    until("swapped", async || handshake(at, &second_authority.certificate, &clock).await.is_ok())
        .await;
    assert!(handshake(at, &first_authority.certificate, &clock).await.is_err());
    assert_eq!(replica.metrics.cert_swaps.get(), 2);
}

/// Scenario: two replicas start at once without a Secret; later somebody damages the caBundle, then
/// deletes the Secret.
/// Guarantees: there is one Secret and one leader, and both replicas are trusted; the drift is
/// repaired by a patch of the caBundle alone; trust and certificate survive the loss of the Secret
/// unchanged.
#[tokio::test]
async fn two_replicas_share_a_secret_and_repair_what_strays() {
    let api = Api::start();
    let (clock, _hand) = Clock::wound(START);
    let (one, two) = (Replica::of(&api, &clock, "one"), Replica::of(&api, &clock, "two"));
    until("requests", async || api.reads(CONFIGURATION) > 4).await;
    assert!(!one.ready().await && !two.ready().await, "there is no webhook configuration");
    api.put(CONFIGURATION, webhooks());
    until("ready", async || one.ready().await && two.ready().await).await;
    let bundle = published(&api);
    assert_eq!(certificate::certificates(&bundle).len(), 1);
    for replica in [&one, &two] {
        handshake(replica.webhook, &bundle, &clock).await.expect("trusted");
        assert_eq!(replica.metrics.ca_bundle_matches.get(), 1);
    }
    assert_eq!(one.metrics.leader.get() + two.metrics.leader.get(), 1);
    assert!(!two.metrics.cert_not_after.get().is_negative());
    let secret = api.get(SECRET).expect("a Secret");

    let mut changed = webhooks();
    changed["webhooks"][1]["clientConfig"]["caBundle"] = json!(BASE64.encode(b"nonsense"));
    changed["webhooks"][1]["failurePolicy"] = json!("Fail");
    api.put(CONFIGURATION, changed);
    until("repaired", async || published(&api) == bundle).await;
    assert_eq!(api.get(CONFIGURATION).expect("there")["webhooks"][1]["failurePolicy"], "Fail");

    api.remove(SECRET);
    until("written again", async || api.get(SECRET).is_some()).await;
    assert_eq!(api.get(SECRET).expect("there")["data"], secret["data"]);
    assert_eq!(published(&api), bundle);
    assert_eq!((one.metrics.cert_swaps.get(), two.metrics.cert_swaps.get()), (1, 1));
    let state = api.state.lock().expect("not poisoned");
    let strange: Vec<&String> = state
        .writes
        .iter()
        .filter(|write| {
            let known = [SECRET, LEASE].iter().any(|path| write.contains(path))
                || write.starts_with(&format!("PATCH {CONFIGURATION}?&fieldManager="))
                || write.starts_with("POST /api/v1/namespaces/sidelight-system/secrets?")
                || write.starts_with(
                    "POST /apis/coordination.k8s.io/v1/namespaces/sidelight-system/leases?",
                );
            !known
        })
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}

/// Scenario: two generations of authorities pass, the leader stops in the middle of an overlap, and
/// all the time a client opens connections as an API server that has just read the webhook
/// configuration.
/// Guarantees: no handshake ever fails.
#[tokio::test]
async fn rotation_never_fails_a_handshake() {
    let api = Arc::new(Api::start());
    api.put(CONFIGURATION, webhooks());
    let (clock, hand) = Clock::wound(START);
    let mut replicas = vec![Replica::of(&api, &clock, "one")];
    until("a leader", || replicas[0].ready()).await;
    replicas.push(Replica::of(&api, &clock, "two"));
    until("ready", || replicas[1].ready()).await;
    let (done, tried) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let targets: Vec<SocketAddr> = replicas.iter().map(|replica| replica.webhook).collect();
    let left = Arc::new(AtomicBool::new(false));
    let hammer = {
        let (api, clock, done, tried) =
            (Arc::clone(&api), clock.clone(), Arc::clone(&done), Arc::clone(&tried));
        let left = Arc::clone(&left);
        tokio::spawn(async move {
            while !done.load(Ordering::Acquire) {
                for (index, at) in targets.iter().enumerate() {
                    let bundle = published(&api);
                    if let Err(error) = handshake(*at, &bundle, &clock).await {
                        let gone = index == 0 && left.load(Ordering::Acquire);
                        assert!(gone, "replica {index}: {error}");
                    }
                    tried.fetch_add(1, Ordering::AcqRel);
                }
            }
        })
    };
    let mut authorities = std::collections::BTreeSet::new();
    let mut most = 0;
    while authorities.len() < 3 {
        let bundle = certificate::certificates(&published(&api));
        most = most.max(bundle.len());
        authorities.extend(bundle.iter().map(|certificate| certificate.to_vec()));
        if bundle.len() == 2 && replicas.len() == 2 && authorities.len() == 2 {
            // the leader stops while both authorities are published
            left.store(true, Ordering::Release);
            replicas.remove(0).stop();
        }
        hand.wind(if bundle.len() > 1 { HOUR / 2 } else { DAY / 2 });
        settled(&api, &tried, replicas.len() as u64).await;
    }
    done.store(true, Ordering::Release);
    hammer.await.expect("no handshake failed");
    assert_eq!(most, 2);
    let alone = replicas.last().expect("one");
    assert!(alone.metrics.cert_swaps.get() >= 4, "{}", alone.metrics.cert_swaps.get());
    // the webhook thread reports once a second that it is alive, and the clock advanced half a day
    until("ready", || alone.ready()).await;
}

/// Waits until every replica has run two rounds, has renewed or requested the lease, and handshakes
/// were made.
async fn settled(api: &Api, tried: &AtomicU64, replicas: u64) {
    let at = (api.reads(CONFIGURATION), api.reads(LEASE), tried.load(Ordering::Acquire));
    until("settled", async || {
        let now = (api.reads(CONFIGURATION), api.reads(LEASE), tried.load(Ordering::Acquire));
        now.0 >= at.0 + 4 * replicas && now.1 >= at.1 + 3 * replicas && now.2 >= at.2 + 4
    })
    .await;
}

/// Scenario: the leader died without releasing its lease.
/// Guarantees: no other replica performs the leader's duties before the lease was unchanged for its
/// whole duration, whatever time is written in it; then one does.
#[tokio::test]
async fn a_leader_that_died_is_relieved() {
    let api = Api::start();
    api.put(CONFIGURATION, webhooks());
    let ghost = json!({"holderIdentity": "ghost", "renewTime": "1999-01-01T00:00:00.000000Z",
        "leaseDurationSeconds": 15, "leaseTransitions": 6});
    api.put(LEASE, json!({"metadata": {"name": "sidelight-injector"}, "spec": ghost}));
    let (clock, hand) = Clock::wound(START);
    let replica = Replica::of(&api, &clock, "one");
    for _ in 0..2 {
        let at = api.reads(LEASE);
        until("requests", async || api.reads(LEASE) > at + 5).await;
        assert!(api.get(SECRET).is_none() && !replica.ready().await, "not before its time");
        assert_eq!(replica.metrics.leader.get(), 0);
        hand.wind(Duration::from_secs(8));
    }
    until("ready", || replica.ready()).await;
    let spec = api.get(LEASE).expect("a lease")["spec"].clone();
    assert_eq!((&spec["holderIdentity"], &spec["leaseTransitions"]), (&json!("one"), &json!(7)));
}

/// Scenario: cert-manager provides the files, and its cainjector is late.
/// Guarantees: the injector is not ready before the caBundle exists, and never writes it; in mode
/// provided it writes the caBundle only if it is configured to.
#[tokio::test]
async fn others_certificates_and_their_trust() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::system();
    let authority = certificate::authority(clock.now(), DAY).expect("an authority");
    let names = certificate::names("sidelight-injector", "sidelight-system");
    let leaf = certificate::leaf(&names, &authority, clock.now(), DAY).expect("a leaf");
    let files = [
        ("tls.crt", &leaf.certificate),
        ("tls.key", &leaf.key),
        ("ca.crt", &authority.certificate),
    ];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    for (mode, publish) in
        [(Mode::CertManager, false), (Mode::Provided, false), (Mode::Provided, true)]
    {
        let api = Api::start();
        api.put(CONFIGURATION, webhooks());
        let tls = TlsSettings { publish, ..settings(mode, folder.path()) };
        let (access, linger) = (Some(api.access()), Duration::ZERO);
        let replica =
            Replica::start(ReplicaSettings { clock: &clock, access, tls, identity: "one", linger });
        if mode == Mode::CertManager {
            until("requests", async || api.reads(CONFIGURATION) > 4).await;
            assert!(!replica.ready().await, "no API server trusts it");
            let mut injected = webhooks();
            let coded = json!(BASE64.encode(authority.certificate.as_bytes()));
            for webhook in injected["webhooks"].as_array_mut().expect("a list") {
                webhook["clientConfig"]["caBundle"] = coded.clone();
            }
            api.put(CONFIGURATION, injected);
        }
        until("ready", || replica.ready()).await;
        let written = replica.metrics.ca_bundle_writes.get();
        assert_eq!(written, u64::from(publish), "{mode:?} {publish}");
        let there = if mode == Mode::Provided && !publish { "" } else { &authority.certificate };
        assert_eq!(published(&api), there, "{mode:?} {publish}");
        assert!(api.get(SECRET).is_none());
    }
}

/// Scenario: RBAC revokes permissions.
/// Guarantees: without the permission to patch, the injector is not ready and reports why; without
/// the permission to list there is no count instead of a zero; Events that are refused delay
/// nothing.
#[tokio::test]
async fn without_rights_it_says_so_and_serves() {
    let api = Api::start();
    api.put(CONFIGURATION, webhooks());
    api.put("/api/v1/namespaces/shop", json!({"metadata": {"name": "shop"}}));
    api.put(
        "/api/v1/namespaces/shop/pods/p",
        json!({"metadata": {"name": "p", "namespace": "shop", "creationTimestamp": "2026-02-01T00:00:00Z"}}),
    );
    api.state
        .lock()
        .expect("not poisoned")
        .denied
        .insert("/apis/events.k8s.io/v1/namespaces/shop/events".to_owned());
    let clock = Clock::system();
    let replica = Replica::of(&api, &clock, "one");
    until("ready", || replica.ready()).await;
    let page = async || admin(replica.admin, "/metrics").await.expect("a page").1;
    let missing = "sidelight_injector_pods_missing{namespace=\"shop\",reason=\"missed\"} 1";
    until("counted", async || page().await.contains(missing)).await;
    let answers =
        post(replica.webhook, &published(&api), &[review(&pod()).to_string().into_bytes()]).await;
    assert_eq!(answers[0].1["response"]["allowed"], true);
    let refused = replica.metrics.events.with_label_values(&["failed"]);
    until("the Event was refused", async || refused.get() == 1).await;

    api.state
        .lock()
        .expect("not poisoned")
        .denied
        .insert("/api/v1/namespaces/shop/pods".to_owned());
    until("no count", async || !page().await.contains("pods_missing{")).await;

    api.state.lock().expect("not poisoned").denied.insert(CONFIGURATION.to_owned());
    let failures =
        replica.metrics.certificate_failures.with_label_values(&["webhook_configuration"]);
    until("counted", async || failures.get() > 0).await;
    assert!(replica.ready().await, "what API servers believe did not change");
    api.state.lock().expect("not poisoned").denied.insert(SECRET.to_owned());
    let other = Replica::of(&api, &clock, "two");
    until("requests", async || {
        other.metrics.certificate_failures.with_label_values(&["secret"]).get() > 1
    })
    .await;
    let (status, text) = admin(other.admin, "/readyz").await.expect("an answer");
    assert!(status == 503 && text.contains("403 Forbidden"), "{text}");
}

/// Scenario: SIGTERM arrives while an API server keeps its connection open.
/// Guarantees: the injector is unready at once, keeps serving while nodes still send requests, and
/// releases the lease.
#[tokio::test]
async fn it_leaves_in_order() {
    let api = Api::start();
    api.put(CONFIGURATION, webhooks());
    let clock = Clock::system();
    let tls = settings(Mode::SelfManaged, Path::new("/nowhere"));
    let linger = Duration::from_secs(1);
    let access = Some(api.access());
    let mut replica =
        Replica::start(ReplicaSettings { clock: &clock, access, tls, identity: "one", linger });
    until("ready", || replica.ready()).await;
    assert_eq!(api.get(LEASE).expect("a lease")["spec"]["holderIdentity"], "one");
    let running = replica.running.take().expect("running");
    let leaving = std::thread::spawn(move || running.stop());
    until("not ready", async || !replica.ready().await).await;
    let bodies = [review(&pod()).to_string().into_bytes()];
    let answers = post(replica.webhook, &published(&api), &bodies).await;
    assert_eq!(answers[0].0, 200, "served on");
    let stream = handshake(replica.webhook, &published(&api), &clock).await.expect("still");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1");
    tokio::spawn(connection);
    let request = Request::get("/mutate").header("host", SERVER).body(Full::new(Bytes::new()));
    let answer = sender.send_request(request.expect("a request")).await.expect("an answer");
    assert_eq!(answer.headers()["connection"], "close", "the next one goes elsewhere");
    until("gone", async || leaving.is_finished()).await;
    assert!(TcpStream::connect(replica.webhook).await.is_err());
    assert_eq!(api.get(LEASE).expect("a lease")["spec"]["holderIdentity"], "");
}

/// Guarantees of the client: it reads all pages, distinguishes refusals, reports a wrong token, and
/// sends no request for a name that is not one.
#[tokio::test]
async fn the_client_against_the_server() {
    let api = Api::start();
    for n in 0..603 {
        let path = format!("/api/v1/namespaces/n{n:04}");
        api.put(&path, json!({"metadata": {"name": format!("n{n:04}")}}));
    }
    let client = api.access().client().expect("a client");
    let of = ApiResource::erase::<Namespace>(&());
    let mut seen = Vec::new();
    let each = |object: PartialObjectMeta<Namespace>| seen.extend(object.metadata.name);
    client.each_metadata(&of, None, ListParams::default(), each).await.expect("a list");
    assert_eq!(seen.len(), 603);
    assert!(seen.is_sorted());
    let pods = ApiResource::erase::<Pod>(&());
    let none = |pod: PartialObjectMeta<Pod>| panic!("no pod exists: {pod:?}");
    client.each_metadata(&pods, None, ListParams::default(), none).await.expect("an empty list");
    assert_eq!(client.read(&of, None, "gone").await.expect("no error"), None);
    let hostile = client.read(&of, None, "a/pods?x=").await.expect_err("not a name");
    assert!(matches!(hostile, Error::Name(_)), "{hostile}");
    let namespaces: kube::Api<Namespace> = client.all();
    let mut read = call("get", namespaces.get("n0000")).await.expect("one");
    let params = PostParams::default();
    let created = call("create", namespaces.create(&params, &read)).await;
    assert!(created.expect_err("it exists").is_conflict());
    call("update", namespaces.replace("n0000", &params, &read)).await.expect("as it was read");
    read.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    let stale = call("update", namespaces.replace("n0000", &params, &read)).await;
    assert!(stale.expect_err("another writer was faster").is_conflict());
    let stranger = api.access_with("wrong").client().expect("a client");
    let refused = stranger.read(&of, None, "n0000").await.expect_err("a stranger");
    assert!(refused.is_forbidden(), "{refused}");
    let gone = {
        let away = Api::start();
        away.access().client().expect("a client")
    };
    until("nobody there", async || {
        let error = gone.read(&of, None, "n0000").await.expect_err("nobody there");
        error.to_string().contains("Connection refused")
    })
    .await;
}

/// Scenario: an API server, or something in its place, answers without an end.
/// Guarantees: the answer is given up at its limit; it never fills the memory.
#[tokio::test]
async fn an_answer_has_a_limit() {
    let api = Api::start();
    let long = "x".repeat(9 << 20);
    api.put("/api/v1/namespaces/n", json!({"metadata": {"name": "n", "annotations": {"a": long}}}));
    let client = api.access().client().expect("a client");
    let read = client.read(&ApiResource::erase::<Namespace>(&()), None, "n").await;
    let error = read.expect_err("too long").to_string();
    assert!(error.contains("length limit exceeded"), "{error}");
}
