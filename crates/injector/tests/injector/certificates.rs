//! Certificates: read from files, shared by two replicas, rotated with a manual clock, provided by others.

use crate::api::Api;
use crate::replica::{
    CONFIGURATION, DAY, HOUR, LEASE, Replica, ReplicaSettings, SECRET, START, handshake, published,
    settings, until, webhooks,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;
use sidelight::clock::Clock;
use sidelight_injector::server::certificate;
use sidelight_injector::server::settings::{Mode, TlsSettings};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

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
