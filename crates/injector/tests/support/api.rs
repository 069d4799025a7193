//! A Kubernetes API server for tests of the injector: objects by their path, checks of the
//! resourceVersion, JSON patches with their tests, pages of lists, and refusals on demand. It uses
//! TLS with its own authority.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use sidelight_injector::kube::Client;
use sidelight_injector::kube::access::{Access, Credential};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

const TOKEN: &str = "secret-token";

/// The objects, and a record of the requests.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) objects: BTreeMap<String, Value>,
    version: u64,
    /// Paths that RBAC refuses, including everything below them.
    pub(crate) denied: BTreeSet<String>,
    /// Number of reads of each path.
    pub(crate) reads: BTreeMap<String, u64>,
    /// Successful writes: method and path.
    pub(crate) writes: Vec<String>,
    /// Number of writes that were refused because another writer was faster.
    pub(crate) conflicts: u64,
}

/// The server; it stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) state: Arc<Mutex<State>>,
    address: SocketAddr,
    authority: String,
    _stop: oneshot::Sender<()>,
}

impl Api {
    pub(crate) fn start() -> Api {
        let authority_key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).expect("an authority");
        let issuer = Issuer::from_params(&params, &authority_key);
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
        let leaf = leaf.signed_by(&key, &issuer).expect("a leaf");
        let chain = vec![CertificateDer::from(leaf.der().to_vec())];
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("a version")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State { version: 1, ..State::default() }));
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = serve(listener, TlsAcceptor::from(Arc::new(tls)), shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Api { state, address, authority: authority.pem(), _stop: stop }
    }

    /// Returns a client with permission for everything that is not denied.
    pub(crate) fn client(&self) -> Client {
        self.client_with(TOKEN)
    }

    pub(crate) fn client_with(&self, token: &str) -> Client {
        Client::new(Access {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            prefix: String::new(),
            server_name: None,
            authorities: Some(self.authority.clone().into_bytes()),
            credential: Credential::Token(token.to_owned()),
            namespace: "sidelight-system".to_owned(),
        })
        .expect("a client")
    }

    /// Stores an object, as another client would.
    pub(crate) fn put(&self, path: &str, mut object: Value) {
        let mut state = self.state.lock().expect("not poisoned");
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        state.objects.insert(path.to_owned(), object);
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.state.lock().expect("not poisoned").objects.get(path).cloned()
    }

    pub(crate) fn remove(&self, path: &str) {
        self.state.lock().expect("not poisoned").objects.remove(path);
    }

    pub(crate) fn reads(&self, path: &str) -> u64 {
        self.state.lock().expect("not poisoned").reads.get(path).copied().unwrap_or(0)
    }
}

async fn serve(listener: std::net::TcpListener, tls: TlsAcceptor, state: Arc<Mutex<State>>) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(|request: Request<Incoming>| {
                let state = Arc::clone(&state);
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.expect("a body").to_bytes();
                    let authorized = parts.headers.get("authorization").is_some_and(|value| {
                        value.to_str().is_ok_and(|value| value == format!("Bearer {TOKEN}"))
                    });
                    let query = parts.uri.query().unwrap_or_default();
                    let mut state = state.lock().expect("not poisoned");
                    let (status, value) = if authorized {
                        let kind = parts.headers.get("content-type");
                        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
                        state.answer(&parts.method, parts.uri.path(), query, (kind, &body))
                    } else {
                        (401, json!({"reason": "Unauthorized"}))
                    };
                    let text = if value.is_null() { String::new() } else { value.to_string() };
                    let mut answer = Response::new(Full::new(Bytes::from(text)));
                    *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
                    Ok::<_, std::convert::Infallible>(answer)
                }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl State {
    fn answer(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        (kind, body): (&str, &[u8]),
    ) -> (u16, Value) {
        if self.denied.iter().any(|denied| path.starts_with(denied.as_str())) {
            return (403, json!({"reason": "Forbidden", "message": format!("cannot {path}")}));
        }
        if *method == Method::GET {
            *self.reads.entry(path.to_owned()).or_default() += 1;
            return self.read(path, query);
        }
        let body: Value = serde_json::from_slice(body).expect("JSON");
        let (status, value) = match *method {
            Method::POST => self.create(path, body),
            Method::PUT => self.update(path, body),
            _ if kind == "application/json-patch+json" => self.patch(path, &body),
            _ if kind == "application/merge-patch+json" => self.merge(path, &body),
            _ => {
                assert_eq!(kind, "application/apply-patch+yaml");
                assert_eq!(query, "fieldManager=me%20too&force=true");
                self.merge(path, &body)
            }
        };
        match status {
            200 | 201 => self.writes.push(format!("{method} {path}?{query}")),
            409 | 422 => self.conflicts += 1,
            _ => {}
        }
        (status, value)
    }

    fn read(&self, path: &str, query: &str) -> (u16, Value) {
        if query.contains("watch=1") {
            return (200, Value::Null);
        }
        if path == "/apis" {
            return (200, json!({"groups": []}));
        }
        if let Some(object) = self.objects.get(path) {
            return (200, object.clone());
        }
        let parameter = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.parse::<usize>().ok())
        };
        let Some(limit) = parameter("limit=") else { return (404, json!({"reason": "NotFound"})) };
        let from = parameter("continue=").unwrap_or(0);
        let below = format!("{path}/");
        let all: Vec<&Value> =
            self.objects.iter().filter(|(p, _)| p.starts_with(&below)).map(|(_, o)| o).collect();
        let page: Vec<&Value> = all.iter().skip(from).take(limit).copied().collect();
        let rest =
            if from + page.len() < all.len() { (from + limit).to_string() } else { String::new() };
        let version = self.version.to_string();
        (200, json!({"items": page, "metadata": {"continue": rest, "resourceVersion": version}}))
    }

    fn keep(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(path.to_owned(), object.clone());
        object
    }

    fn create(&mut self, path: &str, object: Value) -> (u16, Value) {
        let name = object["metadata"]["name"].as_str().expect("a name");
        let path = format!("{path}/{name}");
        if self.objects.contains_key(&path) {
            return (409, json!({"reason": "AlreadyExists"}));
        }
        (201, self.keep(&path, object))
    }

    fn update(&mut self, path: &str, object: Value) -> (u16, Value) {
        let Some(before) = self.objects.get(path) else {
            return (404, json!({"reason": "NotFound"}));
        };
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        if version(before) != version(&object) {
            return (409, json!({"reason": "Conflict"}));
        }
        (200, self.keep(path, object))
    }

    fn merge(&mut self, path: &str, patch: &Value) -> (u16, Value) {
        let mut object = self.objects.get(path).cloned().unwrap_or_else(|| json!({}));
        merge(&mut object, patch);
        (200, self.keep(path, object))
    }

    fn patch(&mut self, path: &str, patch: &Value) -> (u16, Value) {
        let Some(mut object) = self.objects.get(path).cloned() else {
            return (404, json!({"reason": "NotFound"}));
        };
        for operation in patch.as_array().expect("a JSON patch") {
            let pointer = operation["path"].as_str().expect("a path");
            let value = operation["value"].clone();
            match operation["op"].as_str() {
                Some("test") if object.pointer(pointer) == Some(&value) => {}
                Some("test") => return (422, json!({"reason": "Invalid"})),
                Some("add") => {
                    let (parent, name) = pointer.rsplit_once('/').expect("a member");
                    object.pointer_mut(parent).expect("a parent")[name] = value;
                }
                other => panic!("{other:?} is not expected here"),
            }
        }
        (200, self.keep(path, object))
    }
}

/// Applies a JSON merge patch (RFC 7386).
fn merge(into: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            into.as_object_mut().expect("an object").remove(name);
        } else {
            merge(&mut into[name], value);
        }
    }
}
