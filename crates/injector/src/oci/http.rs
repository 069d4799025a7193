//! Sends GET requests over HTTP/1.1, with TLS if the address requires it. It follows a few
//! redirections, limits the size of bodies, and never sends a token to another host. Unit: one GET.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, LOCATION, USER_AGENT};
use hyper::rt::{Read, Write};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Maximum bytes of an answer: an index of 20 platforms has 10 KiB, a configuration with a long
/// history 100.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Maximum number of consecutive redirections: a registry redirects to its storage, which may have
/// moved.
const REDIRECTS_MAX: usize = 5;

/// An answer with its complete body.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A client that opens a connection for every GET; an image takes three or four.
pub(super) struct Client {
    tls: Option<Arc<ClientConfig>>,
}

impl Client {
    pub(super) fn new() -> Client {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_root_certificates(roots).with_no_client_auth());
        Client { tls: tls.ok().map(Arc::new) }
    }

    pub(super) async fn get(
        &self,
        url: &str,
        headers: &[(HeaderName, &str)],
        token: Option<&str>,
    ) -> Result<Answer, String> {
        let mut uri: Uri = url.parse().map_err(|_| format!("`{url}` is no address"))?;
        let first = uri.authority().cloned();
        for _ in 0..=REDIRECTS_MAX {
            let token = token.filter(|_| uri.authority() == first.as_ref());
            let answer = self.once(&uri, headers, token).await?;
            let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
            match (answer.status, location) {
                (301 | 302 | 303 | 307 | 308, Some(location)) => {
                    uri = joined(&uri, location).ok_or_else(|| format!("{url} sends nowhere"))?;
                }
                _ => return Ok(answer),
            }
        }
        Err(format!("{url} is sent on more than {REDIRECTS_MAX} times"))
    }

    async fn once(
        &self,
        uri: &Uri,
        headers: &[(HeaderName, &str)],
        token: Option<&str>,
    ) -> Result<Answer, String> {
        let authority = uri.authority().ok_or("an address without a host")?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let secure = uri.scheme_str() != Some("http");
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let failed =
            |error: &dyn std::fmt::Display| format!("{authority} cannot be reached: {error}");
        let stream = TcpStream::connect((host, port)).await.map_err(|error| failed(&error))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::get(path)
            .header(HOST, authority.as_str())
            .header(USER_AGENT, concat!("sidelight/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
        if !secure {
            return exchange(TokioIo::new(stream), request).await.map_err(|error| failed(&error));
        }
        let config = self.tls.clone().ok_or("TLS cannot be set up")?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(&error))?;
        let stream = TlsConnector::from(config).connect(name, stream).await;
        let stream = stream.map_err(|error| failed(&error))?;
        exchange(TokioIo::new(stream), request).await.map_err(|error| failed(&error))
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(
    io: impl Read + Write + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
) -> Result<Answer, Failure> {
    let (mut sender, connection) = http1::handshake(io).await?;
    // the request returns the error of a broken connection
    let driver = tokio::spawn(async { drop(connection.await) });
    let answer = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    };
    let answer = answer.await;
    driver.abort();
    answer
}

/// Returns the target of a redirection: a URL, or a path on the same host; never from TLS to plain
/// HTTP.
pub(super) fn joined(from: &Uri, location: &str) -> Option<Uri> {
    let to: Uri = location.parse().ok()?;
    if to.scheme().is_some() {
        let weaker = from.scheme_str() == Some("https") && to.scheme_str() != Some("https");
        return (!weaker).then_some(to);
    }
    let path = to.path_and_query()?.clone();
    let parts = Uri::builder().scheme(from.scheme()?.clone()).authority(from.authority()?.clone());
    parts.path_and_query(path).build().ok()
}
