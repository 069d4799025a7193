//! Reviews over TLS, the change of the leader, missing rights, and the end of a replica.

use crate::api::Api;
use crate::replica::{
    CONFIGURATION, DAY, LEASE, Replica, ReplicaSettings, SECRET, SERVER, START, admin, handshake,
    pod, post, published, review, settings, until, webhooks,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sidelight::clock::{Clock, UnixNanos};
use sidelight_injector::server::certificate;
use sidelight_injector::server::settings::Mode;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;

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
