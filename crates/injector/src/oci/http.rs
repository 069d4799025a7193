//! Sends GET requests over HTTP/1.1, with TLS if the address requires it. It follows a few
//! redirections, limits the size of bodies, and never sends a token to another host. Unit: one GET.

use super::error::Error;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, LOCATION, USER_AGENT};
use hyper::{Request, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore, crypto};
use std::sync::Arc;

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

/// A client of registries and of the storage that they redirect to.
pub(super) struct Client(legacy::Client<HttpsConnector<HttpConnector>, Empty<Bytes>>);

impl Client {
    pub(super) fn new() -> Client {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls())
            .https_or_http()
            .enable_http1()
            .build();
        Client(legacy::Client::builder(TokioExecutor::new()).build(connector))
    }

    pub(super) async fn get(
        &self,
        url: &str,
        headers: &[(HeaderName, &str)],
        token: Option<&str>,
    ) -> Result<Answer, Error> {
        let mut uri: Uri = url.parse().map_err(|_| Error::Url(url.to_owned()))?;
        let first = uri.authority().cloned();
        for _ in 0..=REDIRECTS_MAX {
            let token = token.filter(|_| uri.authority() == first.as_ref());
            let answer = self.once(&uri, headers, token).await?;
            let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
            match (answer.status, location) {
                (301 | 302 | 303 | 307 | 308, Some(location)) => {
                    let next = joined(&uri, location);
                    uri = next.ok_or_else(|| Error::Redirection(url.to_owned()))?;
                }
                _ => return Ok(answer),
            }
        }
        Err(Error::Redirections(url.to_owned()))
    }

    async fn once(
        &self,
        uri: &Uri,
        headers: &[(HeaderName, &str)],
        token: Option<&str>,
    ) -> Result<Answer, Error> {
        let agent = concat!("sidelight/", env!("CARGO_PKG_VERSION"));
        let mut request = Request::get(uri).header(USER_AGENT, agent);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Empty::new()).map_err(|_| Error::Url(uri.to_string()))?;
        let unreachable = |source| Error::Unreachable {
            authority: uri.authority().map(ToString::to_string).unwrap_or_default(),
            source,
        };
        let answer = self.0.request(request).await.map_err(|error| unreachable(error.into()))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(unreachable)?;
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() })
    }
}

/// Builds the configuration for TLS with the system's authorities. A machine without any can still
/// use a registry that it runs itself; every other connection then fails in the handshake.
fn tls() -> ClientConfig {
    let builder = || {
        ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider supports the default versions")
    };
    match builder().try_with_platform_verifier() {
        Ok(builder) => builder.with_no_client_auth(),
        Err(_) => builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
    }
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
