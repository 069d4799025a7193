//! Recognises lines that describe a call to another service, so that they do not count as requests
//! that this service answered. A URL with a host is no evidence: load balancers, chi and ASP.NET
//! Core write one for the requests that they receive. Evidence is the kind of the span, or the name
//! of an HTTP client as the logger. Unit: one line.

use crate::record::Decoded;
use crate::record::field::{
    BODY, CLIENT_CALL, FieldId, HTTP_METHOD, HTTP_STATUS, LOGGER, SPAN_KIND, URL_PATH,
};
use crate::record::slots::{SlotValue, ValueBuffer};

/// Fields of a line that could count as a request, or as the start of one.
const REQUEST: u64 = HTTP_METHOD.bit() | HTTP_STATUS.bit();
/// Fields that contain evidence by themselves.
const EVIDENCE: u64 = SPAN_KIND.bit() | LOGGER.bit();
/// Fields that contain evidence together.
const PHRASE: u64 = BODY.bit() | URL_PATH.bit();

/// Loggers of HTTP clients and the namespaces in which they log.
const CLIENTS: [&str; 27] = [
    // Python
    "httpx",
    "httpcore",
    "urllib3",
    "httplib2",
    "aiohttp.client",
    "botocore",
    "boto3",
    // Java and Kotlin
    "okhttp",
    "okhttp3",
    "retrofit2",
    "feign",
    "io.ktor.client",
    "org.apache.hc.client5",
    "reactor.netty.http.client",
    "org.springframework.web.reactive.function.client",
    // Node
    "axios",
    "undici",
    "superagent",
    // Go
    "resty",
    // .NET
    "System.Net.Http.HttpClient",
    // Ruby, PHP, Elixir
    "faraday",
    "Faraday",
    "http_client",
    "guzzle",
    // Rust
    "reqwest",
    "hyper::client",
    "hyper_util::client",
];

/// Ends of class names of clients: `RestTemplate`, `OrdersClient`.
const CLASSES: [&str; 4] = ["Client", "RestTemplate", "HttpClient", "http.client"];

/// How messages about calls to other services begin.
const PHRASES: [&str; 8] = [
    "HTTP Request: ",
    "outgoing ",
    "outbound ",
    "calling ",
    "external call",
    "external request",
    "sent request",
    "sending request",
];

/// Marks a line that describes a call to another service. Positions in `into` refer to `line`.
#[inline]
pub(super) fn mark(line: &str, into: &mut Decoded) {
    let present = into.slots.present;
    if present & REQUEST == 0 {
        return;
    }
    if present & EVIDENCE != 0 || (present & PHRASE == PHRASE && has_host(line, into)) {
        examine(line, into);
    }
}

/// Returns whether the path may be a URL with a host.
#[inline]
fn has_host(line: &str, into: &Decoded) -> bool {
    let entry = into.slots.planned(URL_PATH);
    let whole = if entry.buffer == ValueBuffer::Line { line } else { into.scratch.as_str() };
    whole.as_bytes().get(entry.start as usize) == Some(&b'h')
}

#[inline(never)]
fn examine(line: &str, into: &mut Decoded) {
    if let Some(evidence) = evidence(line, into) {
        into.slots.put(CLIENT_CALL, evidence);
    }
}

fn evidence(line: &str, into: &Decoded) -> Option<SlotValue> {
    let text = |field: FieldId| {
        let entry = *into.slots.get(field)?;
        let whole = if entry.buffer == ValueBuffer::Line { line } else { into.scratch.as_str() };
        Some((whole.get(entry.start as usize..(entry.start + entry.len) as usize)?, entry))
    };
    if let Some((kind, entry)) = text(SPAN_KIND) {
        if is_outgoing(kind) {
            return Some(entry);
        }
        // a server says what it is, whatever its logger is called
        if is_incoming(kind) {
            return None;
        }
    }
    if let Some((_, entry)) = text(LOGGER).filter(|(name, _)| is_client(name)) {
        return Some(entry);
    }
    let (_, entry) = text(BODY).filter(|(message, _)| is_about_call(message))?;
    let (url, _) = text(URL_PATH)?;
    (url.starts_with("http://") || url.starts_with("https://")).then_some(entry)
}

fn is_outgoing(kind: &str) -> bool {
    let kind = kind.strip_prefix("SPAN_KIND_").unwrap_or(kind);
    ["client", "outbound", "outgoing", "egress"].iter().any(|word| kind.eq_ignore_ascii_case(word))
}

fn is_incoming(kind: &str) -> bool {
    let kind = kind.strip_prefix("SPAN_KIND_").unwrap_or(kind);
    ["server", "inbound", "incoming", "ingress"].iter().any(|word| kind.eq_ignore_ascii_case(word))
}

fn is_about_call(message: &str) -> bool {
    PHRASES.iter().any(|phrase| {
        message.get(..phrase.len()).is_some_and(|start| start.eq_ignore_ascii_case(phrase))
    })
}

/// Returns whether a logger's name is that of an HTTP client, or of a class that ends with
/// `Client`. A name in lower case that ends with `client` may be an application's.
fn is_client(logger: &str) -> bool {
    let first = logger.as_bytes().first();
    let is_namespace = |name: &str| {
        let rest = logger.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ':', '/', '[', '#']))
    };
    let mut candidates = CLIENTS.iter().filter(|name| name.as_bytes().first() == first);
    if candidates.any(|name| is_namespace(name)) {
        return true;
    }
    let is_class = |name: &str| {
        let before = logger.strip_suffix(name);
        before.is_some_and(|before| {
            before.is_empty() || before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '.')
        })
    };
    logger != "Client" && CLASSES.iter().any(|name| is_class(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Memory, decode};
    use crate::record::field::FieldTable;

    fn is_call(line: &str) -> bool {
        let (mut memory, mut into) = (Memory::default(), Decoded::new());
        decode(line, &FieldTable::standard(), &mut memory, &mut into);
        into.slots.present & CLIENT_CALL.bit() != 0
    }

    /// Guarantees: the kind of the span, the logger, or a phrase with a URL shows a call.
    #[test]
    fn calls_to_other_services() {
        let url = "\"method\":\"GET\",\"url\":\"https://stock.example/v1\",\"status\":200";
        for evidence in [
            "\"span.kind\":\"client\"",
            "\"spanKind\":\"SPAN_KIND_CLIENT\"",
            "\"kind\":\"CLIENT\"",
            "\"direction\":\"outbound\"",
            "\"logger\":\"httpx\"",
            "\"logger\":\"urllib3.connectionpool\"",
            "\"logger\":\"okhttp3.OkHttpClient\"",
            "\"logger\":\"com.shop.StockClient\"",
            "\"logger\":\"o.s.web.client.RestTemplate\"",
            "\"logger\":\"http.client\"",
            "\"SourceContext\":\"System.Net.Http.HttpClient.stock.ClientHandler\"",
            "\"target\":\"hyper_util::client::legacy\"",
            "\"msg\":\"Outgoing request\"",
            "\"message\":\"HTTP Request: GET https://stock.example/v1\"",
        ] {
            assert!(is_call(&format!("{{{evidence},{url}}}")), "{evidence}");
        }
        assert!(is_call(
            "2026-01-02 03:04:04,250 - httpx - INFO - GET https://a.example/v1 200 5ms"
        ));
        assert!(is_call(
            "time=2026-01-02T03:04:04Z level=info kind=client method=GET url=http://a/b status=200"
        ));
    }

    /// Guarantees: what a server logs about the requests that it answers is no call.
    #[test]
    fn requests_of_the_server() {
        let url = "\"method\":\"GET\",\"url\":\"https://shop.example/v1\",\"status\":200";
        for evidence in [
            "\"msg\":\"request completed\"",
            "\"kind\":\"server\",\"logger\":\"com.shop.StockClient\"",
            "\"direction\":\"inbound\"",
            "\"kind\":\"access\"",
            "\"logger\":\"uvicorn.access\"",
            "\"logger\":\"com.shop.client.ClientController\"",
            "\"logger\":\"Client\"",
            "\"name\":\"web-client\"",
            "\"name\":\"client\"",
            "\"logger\":\"httpxy\"",
            "\"msg\":\"upstream responded\"",
        ] {
            assert!(!is_call(&format!("{{{evidence},{url}}}")), "{evidence}");
        }
        // the phrase alone may be about anything
        assert!(!is_call(
            "{\"msg\":\"outgoing mail\",\"method\":\"GET\",\"path\":\"/mail\",\"status\":200}"
        ));
        assert!(!is_call("{\"logger\":\"httpx\",\"msg\":\"connection closed\"}"));
    }
}
