//! The few calls to the Kubernetes API that the injector and `check --cluster` make: get, list,
//! create, update, patch, over HTTP/1.1 and TLS 1.3, with the service account of the pod or a
//! kubeconfig. Objects stay raw JSON, so that fields unknown to this code are preserved. Every call
//! has a limit in time and in bytes. Unit: one call.

pub mod access;
pub mod base64;
pub mod error;
pub mod watch;

use access::{Access, Credential};
use bytes::Bytes;
use error::Error;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Time limit of one call, including the connection and the answer. A page of a list takes a busy
/// API server a few seconds; the leader must notice a dead one well within the 10 s in which it has
/// to renew its lease.
const CALL_MAX: Duration = Duration::from_secs(8);

/// Bytes of one answer. A page of [`PAGE_ITEMS`] whole pods is 10 MB if each has 40 KiB.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Items of one page of a list, the same number as kubectl's.
const PAGE_ITEMS: usize = 500;

/// Pages of one list: five hundred thousand items, three times what Kubernetes is tested with.
const PAGES_MAX: usize = 1000;

/// Which part of its items a list returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Whole objects.
    Whole,
    /// `PartialObjectMetadata`: names, labels, annotations and owners.
    Metadata,
}

/// The type of a patch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patch<'a> {
    /// JSON merge patch, RFC 7386.
    Merge,
    /// JSON patch, RFC 6902.
    Json,
    /// Server-side apply with this field manager, which takes over fields from others.
    Apply(&'a str),
}

/// A client of one API server. It keeps one connection and reconnects when it breaks.
pub struct Client {
    access: Access,
    tls: TlsConnector,
    connection: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("access", &self.access).finish_non_exhaustive()
    }
}

/// One request.
struct Call<'a> {
    method: Method,
    path: &'a str,
    accept: &'static str,
    content_type: &'static str,
    body: Bytes,
}

impl Client {
    /// Creates a client for this access.
    ///
    /// # Errors
    /// Fails if the certificates or keys of the access are unusable.
    pub fn new(access: Access) -> Result<Client, Error> {
        let config: ClientConfig = access.tls()?;
        let tls = TlsConnector::from(Arc::new(config));
        Ok(Client { access, tls, connection: Mutex::new(None) })
    }

    /// Creates a client from the named kubeconfig, else from `KUBECONFIG`, else from the pod's
    /// service account, else from `~/.kube/config`. Returns `None` if none of them exists.
    ///
    /// # Errors
    /// Fails if the one that exists cannot be used.
    pub fn find(
        kubeconfig: Option<&Path>,
        environment: &BTreeMap<String, String>,
    ) -> Result<Option<Client>, Error> {
        match Access::find(kubeconfig, environment)? {
            Some(access) => Client::new(access).map(Some),
            None => Ok(None),
        }
    }

    /// Returns the address of the API server, for messages.
    pub fn server(&self) -> String {
        format!("https://{}:{}", self.access.host, self.access.port)
    }

    /// Returns the namespace of the service account or of the context, by default `default`.
    pub fn namespace(&self) -> &str {
        &self.access.namespace
    }

    /// Reads one object.
    ///
    /// # Errors
    /// Returns the error of the API server or of the connection.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.call(Call::read(path, "application/json")).await
    }

    /// Calls a function for each item of a list, page by page, so that no more than one page is in
    /// memory. Returns the version at which a watch continues. `query` is a query string without
    /// limit and continue, or empty; see [`escape`].
    ///
    /// # Errors
    /// Returns the error of the API server or of the connection; items passed before it were valid.
    pub async fn list(
        &self,
        path: &str,
        query: &str,
        shape: Shape,
        mut each: impl FnMut(Value),
    ) -> Result<String, Error> {
        let accept = match shape {
            Shape::Whole => "application/json",
            Shape::Metadata => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        };
        let mut next = String::new();
        for _ in 0..PAGES_MAX {
            let mut asked = format!("{path}?limit={PAGE_ITEMS}");
            for (name, text) in [("", query), ("continue=", next.as_str())] {
                if !text.is_empty() {
                    // writing to a string cannot fail
                    let _ = write!(asked, "&{name}{text}");
                }
            }
            let mut page = self.call(Call::read(&asked, accept)).await?;
            next = page["metadata"]["continue"].as_str().map(escape).unwrap_or_default();
            if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
                items.into_iter().for_each(&mut each);
            }
            if next.is_empty() {
                let version = page["metadata"]["resourceVersion"].as_str();
                return Ok(version.unwrap_or_default().to_owned());
            }
        }
        Err(Error::Answer(format!("{path}: more than {PAGES_MAX} pages of {PAGE_ITEMS} items")))
    }

    /// Creates an object; `path` is the path of its collection.
    ///
    /// # Errors
    /// Returns the error of the API server or of the connection.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value, Error> {
        self.call(Call::write(Method::POST, path, "application/json", object)).await
    }

    /// Replaces an object; if it has a resourceVersion, only if the object is still at that
    /// version.
    ///
    /// # Errors
    /// Returns the error of the API server or of the connection.
    pub async fn update(&self, path: &str, object: &Value) -> Result<Value, Error> {
        self.call(Call::write(Method::PUT, path, "application/json", object)).await
    }

    /// Changes parts of an object.
    ///
    /// # Errors
    /// Returns the error of the API server or of the connection.
    pub async fn patch(&self, path: &str, kind: Patch<'_>, patch: &Value) -> Result<Value, Error> {
        let (path, content_type) = match kind {
            Patch::Merge => (path.to_owned(), "application/merge-patch+json"),
            Patch::Json => (path.to_owned(), "application/json-patch+json"),
            Patch::Apply(manager) => {
                let between = if path.contains('?') { '&' } else { '?' };
                let manager = escape(manager);
                (
                    format!("{path}{between}fieldManager={manager}&force=true"),
                    "application/apply-patch+yaml",
                )
            }
        };
        self.call(Call::write(Method::PATCH, &path, content_type, patch)).await
    }

    /// Watches a list from `version` on, metadata only, until the API server ends the watch, as it
    /// does every few minutes, or becomes silent. `each` gets the type of the change and the
    /// object.
    ///
    /// # Errors
    /// Returns the error of the API server or of the connection; 410 if the version is too old and
    /// the list must be read again.
    pub async fn watch(
        &self,
        path: &str,
        version: &str,
        each: impl FnMut(&str, Value),
    ) -> Result<(), Error> {
        let seconds = watch::LASTS.as_secs();
        let path = format!(
            "{path}?watch=1&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={}",
            escape(version)
        );
        let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let call = Call::read(&path, accept);
        // a separate connection, because it is busy as long as the watch lasts
        let answer = timeout(CALL_MAX, async {
            let mut sender = self.connect().await?;
            let answer = sender.send_request(self.request(&call)?).await;
            // the connection ends with its sender, which is therefore kept until the watch is over
            Ok((answer.map_err(|error| Error::connection(&error))?, sender))
        });
        let (answer, _sender) = answer.await.map_err(|_| Error::Timeout(path.clone()))??;
        let status = answer.status();
        if !status.is_success() {
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
            let body = timeout(CALL_MAX, body).await.map_err(|_| Error::Timeout(path.clone()))?;
            let body = body.map_err(|error| Error::Answer(format!("{path}: {error}")))?;
            return read(status, &body.to_bytes(), &path).map(drop);
        }
        watch::follow(answer.into_body(), each).await
    }

    async fn call(&self, call: Call<'_>) -> Result<Value, Error> {
        let what = format!("{} {}", call.method, call.path);
        match timeout(CALL_MAX, self.once(call)).await {
            Ok(done) => done,
            Err(_) => Err(Error::Timeout(what)),
        }
    }

    async fn once(&self, call: Call<'_>) -> Result<Value, Error> {
        let (mut sender, held) = match self.held().await {
            Some(sender) => (sender, true),
            None => (self.connect().await?, false),
        };
        let answer = match sender.send_request(self.request(&call)?).await {
            // the server closed the connection while the request was in transit; reading twice does
            // no harm, and a canceled request was never sent
            Err(error) if held && (call.method == Method::GET || error.is_canceled()) => {
                sender = self.connect().await?;
                sender.send_request(self.request(&call)?).await
            }
            answer => answer,
        };
        let answer = answer.map_err(|error| Error::connection(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| Error::Answer(format!("{}: {error}", call.path)))?;
        // after an answer that was read to its end, the next request can use the connection
        *self.connection.lock().await = Some(sender);
        read(status, &body.to_bytes(), call.path)
    }

    /// Returns the connection of the previous call, if it is still open.
    async fn held(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut sender = self.connection.lock().await.take()?;
        sender.ready().await.is_ok().then_some(sender)
    }

    fn request(&self, call: &Call<'_>) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{}{}", self.access.prefix, call.path))
            .header(header::HOST, self.access.authority())
            .header(header::ACCEPT, call.accept)
            .header(header::USER_AGENT, concat!("sidelight/", env!("CARGO_PKG_VERSION")));
        if !call.content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, call.content_type);
        }
        if let Some(token) = self.access.credential.token()? {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| Error::Access("the token has characters that none has".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        request
            .body(Full::new(call.body.clone()))
            .map_err(|error| Error::Access(format!("{}: {error}", call.path)))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Error> {
        let (host, port) = (self.access.host.as_str(), self.access.port);
        let unreachable = |error| Error::unreachable(host, port, &error);
        let stream = TcpStream::connect((host, port)).await.map_err(unreachable)?;
        // a call is one small write, which Nagle's algorithm would only delay
        let _ = stream.set_nodelay(true);
        let name = self.access.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| Error::Access(format!("`{name}` is no name of a server")))?;
        let stream = self.tls.connect(name, stream).await.map_err(unreachable)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Error::connection(&error))?;
        // the task ends with its sender or its peer; the call gets the error of the connection
        tokio::spawn(connection);
        Ok(sender)
    }
}

impl Call<'_> {
    fn read<'a>(path: &'a str, accept: &'static str) -> Call<'a> {
        Call { method: Method::GET, path, accept, content_type: "", body: Bytes::new() }
    }

    fn write<'a>(
        method: Method,
        path: &'a str,
        content_type: &'static str,
        object: &Value,
    ) -> Call<'a> {
        let body = Bytes::from(object.to_string());
        Call { method, path, accept: "application/json", content_type, body }
    }
}

/// Parses an answer as JSON, or returns the error of its status.
fn read(status: StatusCode, body: &[u8], path: &str) -> Result<Value, Error> {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    if status.is_success() {
        return value.ok_or_else(|| Error::Answer(format!("{path}: no JSON in the answer")));
    }
    let text = |name: &str| value.as_ref().and_then(|v| v[name].as_str()).map(str::to_owned);
    Err(Error::Status {
        code: status.as_u16(),
        reason: text("reason").unwrap_or_default(),
        message: text("message")
            .unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned()),
    })
}

/// Builds the path of a collection or an object from segments. No segment can end early, begin a
/// query or leave its directory.
pub fn path(segments: &[&str]) -> String {
    segments.iter().fold(String::new(), |path, segment| match *segment {
        // these two are relative steps, even if they are percent-encoded
        "." | ".." => path + "/" + &segment.replace('.', "%2E"),
        _ => path + "/" + &escape(segment),
    })
}

/// Builds the path of an object in a collection.
pub fn child(collection: &str, name: &str) -> String {
    format!("{collection}{}", path(&[name]))
}

/// Percent-encodes a segment of a path or a value of a query, except for unreserved characters.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            // writing to a string cannot fail
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

impl Credential {
    /// Returns the bearer token, if the credential is one. A file is read for each call, because a
    /// projected token lives an hour and kubelet renews it in place.
    fn token(&self) -> Result<Option<String>, Error> {
        match self {
            Credential::None | Credential::Certificate { .. } => Ok(None),
            Credential::Token(token) => Ok(Some(token.clone())),
            Credential::TokenFile(path) => match std::fs::read_to_string(path) {
                Ok(token) => Ok(Some(token.trim().to_owned())),
                Err(error) => Err(Error::Access(format!("{}: {error}", path.display()))),
            },
        }
    }
}

#[cfg(test)]
mod tests;
