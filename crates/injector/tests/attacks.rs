//! Sends the webhook what hostile clients send: each attack once brought the real program down. Its
//! memory is read from the kernel and limited by `ulimit -v`; the number of clients and bytes is
//! limited as well. After each attack an honest review must get its sidecar, and the program's peak
//! memory must be below the chart's limit.
#![allow(clippy::disallowed_methods)] // it waits for another process, which uses real time

#[path = "support/client.rs"]
mod client;

use client::{SERVER, certificates};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use sidelight::clock::Clock;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// `resources.limits.memory` of the chart.
const MEMORY_KIB_MAX: u64 = 128 * 1024;

/// Address space of the program, which is larger than the memory that it uses.
const ADDRESS_SPACE_KIB_MAX: u64 = 1024 * 1024;

/// Connections of one attack: somewhat more than the webhook accepts.
const CONNECTIONS: usize = 450;

/// Long enough for a loaded machine; a test that waits for so long has failed.
const AMPLE: Duration = Duration::from_mins(1);

struct Injector {
    child: Child,
    address: SocketAddr,
    connector: TlsConnector,
    _tls: tempfile::TempDir,
}

impl Drop for Injector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Injector {
    fn start() -> Injector {
        let tls = tempfile::tempdir().expect("a folder");
        let connector = certificates(&Clock::system(), tls.path());
        let program = env!("CARGO_BIN_EXE_sidelight-injector");
        let limited = format!("ulimit -v {ADDRESS_SPACE_KIB_MAX}; exec {program} \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &limited, "sh", "serve", "--tls=provided", "--log-level=error"]);
        command.args(["--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--tls-directory"]);
        command.arg(tls.path()).env_clear().env("PATH", "/usr/bin:/bin");
        let mut child = command.stderr(Stdio::piped()).spawn().expect("a shell");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let address = loop {
            let line = lines.next().expect("it says where").expect("text");
            if let Some((_, rest)) = line.split_once("webhook  https://") {
                break rest.split('/').next().and_then(|at| at.parse().ok()).expect("an address");
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Injector { child, address, connector, _tls: tls }
    }

    async fn connect(&self) -> Option<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await.ok()?;
        let name = ServerName::try_from(SERVER).expect("a name");
        timeout(AMPLE, self.connector.connect(name, stream)).await.ok()?.ok()
    }

    /// Opens as many of these connections as possible, and writes these bytes to each.
    async fn crowd(&self, count: usize, bytes: &[u8]) -> Vec<TlsStream<TcpStream>> {
        let mut crowd = Vec::new();
        for _ in 0..count {
            let Some(mut stream) = self.connect().await else { continue };
            // the server may close it while we write: that is a valid answer, too
            if let Ok(Ok(())) = timeout(Duration::from_secs(1), stream.write_all(bytes)).await {
                let _ = timeout(Duration::from_secs(1), stream.flush()).await;
            }
            crowd.push(stream);
        }
        crowd
    }

    /// Posts a review and returns its response.
    async fn post(&self, body: &[u8]) -> Option<Value> {
        let mut stream = self.connect().await?;
        let head = format!(
            "POST /mutate HTTP/1.1\r\nHost: {SERVER}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(body).await.ok()?;
        let mut answer = Vec::new();
        // without a closing alert the end is an error; the bytes before it count
        let _ = timeout(AMPLE, stream.read_to_end(&mut answer)).await.ok()?;
        let at = answer.windows(4).position(|part| part == b"\r\n\r\n")?;
        let answer: Value = serde_json::from_slice(&answer[at + 4..]).ok()?;
        Some(answer["response"].clone())
    }

    /// Checks that an honest pod gets its sidecar: at once, or when it is created again, as its
    /// controller does.
    async fn serves(&self, after: &str) {
        let pod = pod(&json!([{"name": "app", "image": "shop:1"}]));
        for _ in 0..20 {
            let response = self.post(&pod).await;
            if response.as_ref().is_some_and(|response| response.get("patch").is_some()) {
                return self.holds(after);
            }
            assert!(response.is_none_or(|response| response["allowed"] == true), "{after}");
        }
        panic!("{after}: no sidecar any more");
    }

    fn holds(&self, after: &str) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("memory");
        let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
        let kib = kib.expect("a number");
        println!("{after}: at most {} MiB so far", kib / 1024);
        assert!(kib < MEMORY_KIB_MAX, "{after}: {kib} KiB");
    }
}

fn review(namespace: &str, object: &Value) -> Vec<u8> {
    let review = json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "namespace": namespace,
            "object": object,
        },
    });
    // the uid precedes the pod, as API servers write it
    review.to_string().into_bytes()
}

fn pod(containers: &Value) -> Vec<u8> {
    review("shop", &json!({"metadata": {"name": "a"}, "spec": {"containers": containers}}))
}

/// Returns a review with this text as its pod.
fn raw(object: &str) -> Vec<u8> {
    String::from_utf8(review("shop", &json!("HERE")))
        .expect("text")
        .replace("\"HERE\"", object)
        .into_bytes()
}

/// Guarantees: every pod is admitted; none makes the program exceed its memory limit or delays
/// other pods.
#[tokio::test]
async fn pods_that_are_too_much() {
    let injector = Injector::start();
    injector.serves("nothing yet").await;
    let containers: Vec<Value> = (0..40_000).map(|n| json!({"name": format!("c{n}")})).collect();
    let named = |count: usize| -> Vec<Value> {
        (0..count).map(|n| json!({"name": format!("V{n}"), "value": "x"})).collect()
    };
    let names: Vec<String> = (0..60_000).map(|n| format!("c{n}")).collect();
    let unknown: serde_json::Map<String, Value> =
        (0..30_000).map(|n| (format!("sidelight.dev/config.k{n}"), json!("x"))).collect();
    let annotated = |annotations: Value| {
        let app = json!([{"name": "app", "command": ["a"]}]);
        let metadata = json!({"name": "a", "annotations": annotations});
        review("shop", &json!({"metadata": metadata, "spec": {"containers": app}}))
    };
    let long = "n".repeat(3_900_000);
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": long, "uid": "u", "controller": true});
    let owned = json!({"metadata": {"ownerReferences": [owner]}, "spec": {"containers": [{"name": "app"}]}});
    let owned = review("shop", &owned);
    for (name, body, times) in [
        ("small objects", raw(&format!("[{}]", vec!["{}"; 1_300_000].join(","))), 4),
        ("small maps", raw(&format!("[{}]", vec!["{\"\":0}"; 500_000].join(","))), 4),
        ("40,000 containers", pod(&json!(containers)), 4),
        ("50,000 variables", pod(&json!([{"name": "app", "env": named(50_000)}])), 4),
        (
            "names of containers",
            annotated(json!({"sidelight.dev/config.containers": names.join(",")})),
            4,
        ),
        ("names to copy", annotated(json!({"sidelight.dev/config.tee": names.join(",")})), 4),
        ("unknown annotations", annotated(json!(unknown)), 4),
        ("names of owners", owned, 17),
        ("depth", raw(&"[".repeat(1_000_000)), 4),
        ("no namespace", review("kube-system/secrets?x=", &json!({"spec": {}})), 1),
    ] {
        for _ in 0..times {
            let response =
                injector.post(&body).await.unwrap_or_else(|| panic!("{name}: no answer"));
            assert_eq!(response["allowed"], true, "{name}");
        }
        injector.serves(name).await;
    }
}

/// Guarantees: clients that become silent in the middle of a request cost a bounded amount of
/// memory, and are closed for others.
#[tokio::test]
async fn clients_that_are_too_many() {
    let injector = Injector::start();
    let begun = "POST /mutate HTTP/1.1\r\nHost: x\r\n";
    let head = format!("{begun}X: {}", "x".repeat(15_000));
    let chunked = format!("{begun}Transfer-Encoding: chunked\r\n\r\n");
    let half = format!("{begun}Content-Length: 4000000\r\n\r\n{}", " ".repeat(1_000_000));
    for (name, count, bytes) in [
        ("unfinished heads", CONNECTIONS, head.into_bytes()),
        ("idle chunked bodies", CONNECTIONS, chunked.into_bytes()),
        ("half bodies", 60, half.into_bytes()),
        ("silent connections", CONNECTIONS, Vec::new()),
    ] {
        let crowd = injector.crowd(count, &bytes).await;
        injector.serves(name).await;
        drop(crowd);
    }
}

/// Guarantees: HTTP/2 is refused, because its streams and windows would need more limits.
#[tokio::test]
async fn only_one_protocol() {
    let mut injector = Injector::start();
    let mut config = (**injector.connector.config()).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    injector.connector = TlsConnector::from(std::sync::Arc::new(config));
    assert!(injector.connect().await.is_none());
}
