//! Builds answers and their headers for all routes.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};

/// The answer to a request.
pub type Answer = Response<Full<Bytes>>;

/// Content type of plain text.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// Builds a complete answer and forbids caching: a cached health report or scrape would be wrong.
pub fn answer(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let content_type =
        HeaderValue::from_str(content_type).unwrap_or(HeaderValue::from_static(TEXT));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Builds a text answer and closes the connection after it, because the following bytes cannot be
/// trusted.
pub fn refuse(status: StatusCode, reason: &'static str) -> Answer {
    let mut answer = answer(status, TEXT, reason);
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}
