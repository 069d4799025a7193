//! OTLP over gRPC on plain HTTP/2: one unary call and the meaning of its status (OTLP
//! specification, "OTLP/gRPC Response"; gRPC over HTTP2). Unit: one call.

use super::answer::{Answer, AnswerText, Reason, response};
use super::endpoint::Endpoint;
use super::http::{ANSWER_BYTES_MAX, replace};
use crate::encoding::percent_decoded;
use crate::otlp::{self, Value};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Request, Response, Version, header};
use std::time::Duration;

/// The method of OTLP's trace service.
const METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Bytes before a message: a compression flag and the length.
pub(crate) const FRAME_BYTES: usize = 5;

/// Returns the frame before a message of `length` bytes.
pub(crate) fn frame(length: usize) -> [u8; FRAME_BYTES] {
    let mut frame = [0; FRAME_BYTES];
    frame[1..].copy_from_slice(&(length as u32).to_be_bytes());
    frame
}

/// Builds the call with `body`, which consists of frame and message.
///
/// # Errors
/// Never fails for a parsed endpoint; hyper's builder returns a `Result`.
pub(crate) fn request(
    endpoint: &Endpoint,
    body: Bytes,
    timeout: Duration,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut request = Request::post(format!("http://{}{METHOD}", endpoint.authority))
        .version(Version::HTTP_2)
        .header(header::CONTENT_TYPE, "application/grpc+proto")
        .header(header::TE, "trailers")
        .header("grpc-timeout", format!("{}m", timeout.as_millis().min(99_999_999)))
        .header(header::USER_AGENT, super::endpoint::USER_AGENT)
        .body(Full::new(body))?;
    replace(request.headers_mut(), endpoint);
    Ok(request)
}

/// Reads the answer. The status is in the trailers, or in the headers if there is no message.
pub(crate) async fn answer(answer: Response<Incoming>) -> Answer {
    let (head, body) = answer.into_parts();
    let kind = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let status = head.status.as_u16();
    if status != 200 || !kind.starts_with(b"application/grpc") {
        // the answer comes from a proxy, or from something that is not a collector
        let what = match status {
            200 => "no gRPC answer: is this a gRPC port?".to_owned(),
            _ => format!("HTTP status {status} in place of a gRPC answer"),
        };
        let why = Reason { what, text: AnswerText::new(kind) };
        return match status {
            429 | 502 | 503 | 504 => Answer::Retry { after: None, why },
            _ => Answer::Rejected { why },
        };
    }
    if head.headers.contains_key("grpc-status") {
        return judge(&head.headers, &[]);
    }
    let Ok(whole) = Limited::new(body, ANSWER_BYTES_MAX).collect().await else {
        return Answer::lost("the answer broke off or is too long");
    };
    let trailers = whole.trailers().cloned().unwrap_or_default();
    judge(&trailers, &whole.to_bytes())
}

fn judge(headers: &HeaderMap, body: &[u8]) -> Answer {
    let code = headers.get("grpc-status").and_then(|value| value.to_str().ok());
    let Some(code) = code.and_then(|code| code.parse::<u32>().ok()) else {
        return Answer::lost("an answer without grpc-status");
    };
    let advised = headers
        .get("grpc-status-details-bin")
        .and_then(|value| retry_info(&base64(value.as_bytes())?));
    let message = headers.get("grpc-message").map_or(&b""[..], |value| value.as_bytes());
    // gRPC over HTTP2, "Responses": the message is percent-encoded
    let text = AnswerText::new(&percent_decoded(message));
    let why = Reason { what: format!("gRPC status {code}"), text };
    match code {
        0 => match message_of(body).and_then(response) {
            Some((rejected, text)) => Answer::Accepted { rejected, text },
            None => Answer::lost("gRPC status 0 without a whole message"),
        },
        // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS
        1 | 4 | 10 | 11 | 14 | 15 => Answer::Retry { after: advised, why },
        // RESOURCE_EXHAUSTED: only if the collector says that it can recover
        8 if advised.is_some() => Answer::Retry { after: advised, why },
        _ => Answer::Rejected { why },
    }
}

/// Returns the only message of a body, if its frame is complete and not compressed.
fn message_of(body: &[u8]) -> Option<&[u8]> {
    let (head, message) = body.split_first_chunk::<FRAME_BYTES>()?;
    (*head == frame(message.len())).then_some(message)
}

/// Returns the delay of a `google.rpc.RetryInfo` among the details (3) of a `google.rpc.Status`.
fn retry_info(status: &[u8]) -> Option<Duration> {
    for (field, value) in otlp::fields(status) {
        let (3, Value::Bytes(any)) = (field, value) else { continue };
        let mut is_retry_info = false;
        let mut content: &[u8] = &[];
        for (field, value) in otlp::fields(any) {
            match (field, value) {
                (1, Value::Bytes(url)) => {
                    is_retry_info = url.ends_with(b"/google.rpc.RetryInfo");
                }
                (2, Value::Bytes(bytes)) => content = bytes,
                _ => {}
            }
        }
        if is_retry_info {
            return Some(delay(content));
        }
    }
    None
}

/// Reads `retry_delay` (1), a `google.protobuf.Duration`: seconds (1), nanoseconds (2).
fn delay(retry_info: &[u8]) -> Duration {
    let mut delay = Duration::ZERO;
    for (field, value) in otlp::fields(retry_info) {
        let (1, Value::Bytes(duration)) = (field, value) else { continue };
        for (field, value) in otlp::fields(duration) {
            match (field, value) {
                (1, Value::Number(seconds)) if i64::try_from(seconds).is_ok() => {
                    delay = delay.saturating_add(Duration::from_secs(seconds));
                }
                (2, Value::Number(nanos)) if nanos < 1_000_000_000 => {
                    delay = delay.saturating_add(Duration::from_nanos(nanos));
                }
                _ => {}
            }
        }
    }
    delay
}

/// Decodes base64 (RFC 4648 section 4), padded or not, as gRPC sends binary headers.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0u32, 0);
    for &byte in text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text) {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, details: Option<&str>, expected: &Answer) {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", code.parse().expect("a header"));
        if let Some(details) = details {
            headers.insert("grpc-status-details-bin", details.parse().expect("a header"));
        }
        assert_eq!(judge(&headers, &[0; FRAME_BYTES]), *expected, "{code} {details:?}");
    }

    /// Encodes, field by field: google.rpc.Status { details: [Any {
    /// "type.googleapis.com/google.rpc.RetryInfo", RetryInfo { 7.5 s } }] }.
    fn details() -> Vec<u8> {
        let mut status = Vec::new();
        otlp::uint(&mut status, 1, 8);
        let any = otlp::open(&mut status, 3);
        otlp::bytes(&mut status, 1, b"type.googleapis.com/google.rpc.RetryInfo");
        let info = otlp::open(&mut status, 2);
        let duration = otlp::open(&mut status, 1);
        otlp::uint(&mut status, 1, 7);
        otlp::uint(&mut status, 2, 500_000_000);
        otlp::close(&mut status, duration);
        otlp::close(&mut status, info);
        otlp::close(&mut status, any);
        status
    }

    fn encode(bytes: &[u8]) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = String::new();
        for three in bytes.chunks(3) {
            let word = three.iter().fold(0u32, |all, b| all << 8 | u32::from(*b));
            let word = word << (8 * (3 - three.len()));
            for letter in 0..=three.len() {
                out.push(LETTERS[(word >> (18 - 6 * letter) & 63) as usize] as char);
            }
        }
        out
    }

    #[test]
    fn statuses() {
        let why = |code: u32| Reason::new(format!("gRPC status {code}"));
        let retry = |code: u32, after| Answer::Retry { after, why: why(code) };
        let rejected = |code: u32| Answer::Rejected { why: why(code) };
        check("0", None, &Answer::Accepted { rejected: 0, text: AnswerText::default() });
        for code in [1, 4, 10, 11, 14, 15] {
            check(&code.to_string(), None, &retry(code, None));
        }
        for code in [2, 3, 5, 6, 7, 8, 9, 12, 13, 16, 99] {
            check(&code.to_string(), None, &rejected(code));
        }
        let advised = Some(Duration::from_millis(7_500));
        check("8", Some(&encode(&details())), &retry(8, advised));
        check("14", Some(&encode(&details())), &retry(14, advised));
        check("8", Some("****"), &rejected(8));
        check("x", None, &Answer::lost("an answer without grpc-status"));
    }

    /// Guarantees: only a complete message behind a complete frame is a success.
    #[test]
    fn a_success_is_a_whole_message() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", "0".parse().expect("a header"));
        for body in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x01", b"\x01\0\0\0\0", b"\0\0\0\0\x01\x0a"] {
            assert!(matches!(judge(&headers, body), Answer::Lost { .. }), "{body:?}");
        }
    }

    #[test]
    fn the_message_of_a_status_is_decoded() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", "16".parse().expect("a header"));
        headers.insert("grpc-message", "no%20token%21%zz%2".parse().expect("a header"));
        let Answer::Rejected { why } = judge(&headers, &[]) else { panic!("it is final") };
        assert_eq!(why.text.to_string(), "no token!%zz%2");
    }

    #[test]
    fn base64_of_the_rfc() {
        for (text, expected) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob")]
        {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(expected.as_bytes()), "{text:?}");
        }
    }
}
