//! OTLP over HTTP with protobuf bodies: the request, and what its answer means
//! (OTLP specification, "OTLP/HTTP Response"). Unit: one exchange.

use super::answer::{Answer, Exchange, rejected_spans};
use super::endpoint::Endpoint;
use super::retry::retry_after;
use crate::clock::UnixNanos;
use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response, header};
use tokio::time::{Instant, timeout_at};

/// More of an answer is not read: a partial success is two fields.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The request that carries `body`.
///
/// # Errors
/// Never for an endpoint that was parsed; hyper wants it said.
pub fn request(
    endpoint: &Endpoint,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut request = Request::post(endpoint.path.as_str())
        .header(header::HOST, endpoint.authority.as_str())
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .header(header::USER_AGENT, super::endpoint::USER_AGENT);
    for (name, value) in &endpoint.headers {
        request = request.header(name, value);
    }
    request.body(Full::new(body))
}

/// Reads the answer; gives up on its body at `until`.
pub async fn answer(response: Response<Incoming>, now: UnixNanos, until: Instant) -> Exchange {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect();
    let body = timeout_at(until, body).await.ok().and_then(Result::ok);
    let reusable = body.is_some();
    let answer = if head.status.is_success() {
        // the status says that the request was taken: a body that is damaged or has no end changes
        // nothing
        let body = body.map(Collected::to_bytes).unwrap_or_default();
        Answer::Accepted { rejected: rejected_spans(&body) }
    } else {
        let why = format!("HTTP status {}", head.status.as_u16());
        let after = head.headers.get(header::RETRY_AFTER);
        let after = after.and_then(|value| retry_after(value.to_str().ok()?, now));
        match head.status.as_u16() {
            429 | 502 | 503 | 504 => Answer::Retry { after, why },
            _ => Answer::Rejected { why },
        }
    };
    Exchange { answer, reusable }
}
