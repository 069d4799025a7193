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
use sidelight_injector::apiserver::access::Access;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

pub(crate) const TOKEN: &str = "secret-token";

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
    /// A token that is valid beside [`TOKEN`].
    accepted: Option<String>,
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

    /// Returns an access with permission for everything that is not denied.
    pub(crate) fn access(&self) -> Access {
        self.access_with(TOKEN)
    }

    pub(crate) fn access_with(&self, token: &str) -> Access {
        let mut config = kube::Config::new(self.url().parse().expect("an address"));
        let authority = CertificateDer::from_pem_slice(self.authority.as_bytes()).expect("PEM");
        config.root_cert = Some(vec![authority.to_vec()]);
        config.auth_info.token = Some(token.into());
        "sidelight-system".clone_into(&mut config.default_namespace);
        Access::new(config)
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Returns the certificate of the server's authority, PEM.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Makes another token valid.
    pub(crate) fn accept(&self, token: &str) {
        self.state.lock().expect("not poisoned").accepted = Some(token.to_owned());
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
                    let header = parts.headers.get("authorization");
                    let token = header.and_then(|value| value.to_str().ok());
                    let token = token.and_then(|value| value.strip_prefix("Bearer "));
                    let query = parts.uri.query().unwrap_or_default();
                    let mut state = state.lock().expect("not poisoned");
                    let authorized = token.is_some_and(|token| {
                        token == TOKEN || Some(token) == state.accepted.as_deref()
                    });
                    let (status, value) = if authorized {
                        let kind = parts.headers.get("content-type");
                        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
                        state.answer(&parts.method, parts.uri.path(), query, (kind, &body))
                    } else {
                        (401, json!({"reason": "Unauthorized"}))
                    };
                    let value = if status < 400 { value } else { failure(status, value) };
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

/// Completes a Status as API servers write it.
fn failure(code: u16, mut status: Value) -> Value {
    for (name, value) in [
        ("apiVersion", json!("v1")),
        ("kind", json!("Status")),
        ("status", json!("Failure")),
        ("code", json!(code)),
    ] {
        status[name] = value;
    }
    status
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
            _ => panic!("{method} with {kind} is not expected here"),
        };
        match status {
            200 | 201 => self.writes.push(format!("{method} {path}?{query}")),
            409 | 422 => self.conflicts += 1,
            _ => {}
        }
        (status, value)
    }

    fn read(&self, path: &str, query: &str) -> (u16, Value) {
        if query.contains("watch=true") {
            return self.watch(query);
        }
        if path == "/apis" {
            let list = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []});
            return (200, list);
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
        let metadata = json!({"continue": rest, "resourceVersion": version});
        // as an API server writes an empty list of metadata
        let page = if page.is_empty() { Value::Null } else { json!(page) };
        (200, json!({"apiVersion": "v1", "kind": "List", "items": page, "metadata": metadata}))
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

    /// A watch that ends at once; with a version that this server never had, it has to begin again.
    fn watch(&self, query: &str) -> (u16, Value) {
        let version = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion="));
        let is_known = version.and_then(|version| version.parse::<u64>().ok());
        match is_known {
            Some(version) if version <= self.version => (200, Value::Null),
            _ => (410, json!({"reason": "Expired", "message": "too old resource version"})),
        }
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
