//! OTLP over HTTP with protobuf bodies: the request and the meaning of its answer (OTLP
//! specification, "OTLP/HTTP Response"). Unit: one exchange.

use super::answer::{Answer, AnswerText, Reason, response};
use super::endpoint::Endpoint;
use super::retry::retry_after;
use crate::clock::UnixNanos;
use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Request, Response, header};

/// Maximum number of bytes read of an answer: a partial success consists of two fields.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Content type of request and answer.
const PROTOBUF: &str = "application/x-protobuf";

/// Builds the request with `body`.
///
/// # Errors
/// Never fails for a parsed endpoint; hyper's builder returns a `Result`.
pub(crate) fn request(
    endpoint: &Endpoint,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut request = Request::post(endpoint.path.as_str())
        .header(header::HOST, endpoint.authority.as_str())
        .header(header::CONTENT_TYPE, PROTOBUF)
        .header(header::USER_AGENT, super::endpoint::USER_AGENT)
        .body(Full::new(body))?;
    replace(request.headers_mut(), endpoint);
    Ok(request)
}

/// Adds the user's headers to a request; each replaces ours of the same name.
pub(super) fn replace(headers: &mut HeaderMap, endpoint: &Endpoint) {
    for (name, value) in &endpoint.headers {
        headers.insert(name, value.clone());
    }
}

/// Reads an answer to its end. Only 200 with a complete `ExportTraceServiceResponse` means that the
/// collector accepted the spans; the page of a proxy or a truncated answer does not.
pub(crate) async fn answer(answer: Response<Incoming>, now: UnixNanos) -> Answer {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.ok().map(Collected::to_bytes);
    let kind = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let is_protobuf = is_protobuf(kind);
    let status = head.status.as_u16();
    match (status, body) {
        (200, None) => Answer::lost("the answer broke off or is too long"),
        (200, Some(body)) => {
            let is_plain = !head.headers.contains_key(header::CONTENT_ENCODING);
            match response(&body).filter(|_| is_plain && (is_protobuf || body.is_empty())) {
                Some((rejected, text)) => Answer::Accepted { rejected, text },
                None => Answer::Rejected {
                    why: Reason {
                        what: "HTTP status 200 without an OTLP answer: is this a collector?".into(),
                        text: AnswerText::new(kind),
                    },
                },
            }
        }
        (_, body) => {
            let text = body.map(|body| AnswerText::in_body(&body, is_protobuf)).unwrap_or_default();
            let why = Reason { what: format!("HTTP status {status}{}", meaning(status)), text };
            let after = head.headers.get(header::RETRY_AFTER);
            let after = after.and_then(|value| retry_after(value.to_str().ok()?, now));
            match status {
                429 | 502 | 503 | 504 => Answer::Retry { after, why },
                _ => Answer::Rejected { why },
            }
        }
    }
}

/// Returns whether an answer may have this content type. Some collectors send an answer without
/// one.
fn is_protobuf(kind: &[u8]) -> bool {
    let name = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    name.is_empty()
        || [PROTOBUF, "application/protobuf", "application/octet-stream"]
            .iter()
            .any(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

/// Returns what a common HTTP status means for the user who set the endpoint.
fn meaning(status: u16) -> &'static str {
    match status {
        401 | 403 => " (credentials: export.headers)",
        404 | 405 => " (the path: export.endpoint)",
        413 => " (the size: export.batch_spans_max)",
        415 => " (no OTLP with protobuf there)",
        _ => "",
    }
}
