//! Where the collector is, and what is said to it in every request. Read once. Unit: one exporter.

use hyper::header::{HeaderName, HeaderValue};
use std::fmt;

/// How we name ourselves.
pub const USER_AGENT: &str = concat!("sidelight/", env!("CARGO_PKG_VERSION"));

/// How spans travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    /// OTLP over HTTP, protobuf bodies: `http/protobuf`.
    #[default]
    Http,
    /// OTLP over gRPC: `grpc`.
    Grpc,
}

impl Protocol {
    /// OpenTelemetry's word (`OTEL_EXPORTER_OTLP_PROTOCOL`).
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Http => "http/protobuf",
            Protocol::Grpc => "grpc",
        }
    }
}

/// An address of a collector, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// The name or address to connect to.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Host and port as they stand in a request.
    pub authority: String,
    /// The path of a request over HTTP.
    pub path: String,
    /// Headers that the user wants in every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Why an endpoint cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EndpointError {
    /// It asks for TLS.
    Tls(String),
    /// It is no address.
    Malformed(String),
    /// A header has a name or a value that HTTP does not allow; only the name is told.
    Header(String),
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndpointError::Tls(endpoint) => write!(
                f,
                "the endpoint {endpoint} asks for TLS, which this version does not speak yet; \
                 use http:// to a collector in the pod or on the node"
            ),
            EndpointError::Malformed(endpoint) => write!(
                f,
                "the endpoint {endpoint:?} is no address; write http://HOST:PORT, or \
                 http://HOST:PORT/v1/traces"
            ),
            EndpointError::Header(name) => write!(f, "the header {name:?} is not allowed in HTTP"),
        }
    }
}

impl std::error::Error for EndpointError {}

impl Endpoint {
    /// Reads `http://HOST[:PORT][/PATH]`; without a scheme it is http. For HTTP the path is used as
    /// it is. The port is 4318 for HTTP and 4317 for gRPC where none is given and no scheme either;
    /// with a scheme it is 80.
    ///
    /// # Errors
    /// It is no address, or asks for TLS, or a header is not allowed.
    pub fn parse(
        endpoint: &str,
        protocol: Protocol,
        headers: &[(String, String)],
    ) -> Result<Endpoint, EndpointError> {
        let malformed = || EndpointError::Malformed(redacted(endpoint));
        let (default_port, rest) = match endpoint.trim().split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (80, rest),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err(EndpointError::Tls(redacted(endpoint)));
            }
            Some(_) => return Err(malformed()),
            None => (if protocol == Protocol::Grpc { 4317 } else { 4318 }, endpoint.trim()),
        };
        let path_at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(path_at);
        // a colon within brackets belongs to an IPv6 address
        let colon = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
        let (host, port) = match colon {
            Some(at) => {
                let port: u16 = authority[at + 1..].parse().map_err(|_| malformed())?;
                (&authority[..at], port)
            }
            None => (authority, default_port),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let clean = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        let path_clean = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if bare.is_empty() || !bare.chars().all(clean) || !path_clean || port == 0 {
            return Err(malformed());
        }
        Ok(Endpoint {
            host: bare.to_owned(),
            port,
            authority: format!("{host}:{port}"),
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            headers: headers.iter().map(header).collect::<Result<_, _>>()?,
        })
    }
}

/// The endpoint of one signal, where only the base is given (OTLP exporter specification: generic
/// endpoints get `v1/traces` appended, those of a signal are used as they are).
pub fn traces_of(base: &str) -> String {
    format!("{}/v1/traces", base.trim().trim_end_matches('/'))
}

/// An address without what stands before `@`: people put passwords there.
fn redacted(endpoint: &str) -> String {
    match endpoint.rsplit_once('@') {
        Some((_, host)) => format!("...@{host}"),
        None => endpoint.to_owned(),
    }
}

fn header((name, value): &(String, String)) -> Result<(HeaderName, HeaderValue), EndpointError> {
    let wrong = || EndpointError::Header(name.clone());
    let parsed = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong())?;
    let mut value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(endpoint: &str, protocol: Protocol, expected: Option<(&str, u16, &str, &str)>) {
        let found = Endpoint::parse(endpoint, protocol, &[]).ok();
        let found = found.as_ref().map(|e| (&*e.host, e.port, &*e.authority, &*e.path));
        assert_eq!(found, expected, "{endpoint:?}");
    }

    #[test]
    fn endpoints() {
        use Protocol::{Grpc, Http};
        check(
            "http://localhost:4318/v1/traces",
            Http,
            Some(("localhost", 4318, "localhost:4318", "/v1/traces")),
        );
        check("http://[::1]:4317", Grpc, Some(("::1", 4317, "[::1]:4317", "/")));
        check("HTTP://otel", Http, Some(("otel", 80, "otel:80", "/")));
        check("otel.ns.svc:9", Grpc, Some(("otel.ns.svc", 9, "otel.ns.svc:9", "/")));
        check("[::1]", Grpc, Some(("::1", 4317, "[::1]:4317", "/")));
        check("otel", Http, Some(("otel", 4318, "otel:4318", "/")));
        for wrong in [
            "",
            "http://",
            "http://:4318",
            "http://a:b",
            "http://a:0",
            "ftp://a",
            "http://a b",
            "http://u:p@host:1",
            "http://a/\r\nx: y",
            "http://a:70000",
            "http://a/#f",
        ] {
            check(wrong, Http, None);
        }
        assert_eq!(traces_of("http://a:4318/"), "http://a:4318/v1/traces");
    }

    #[test]
    fn errors_say_what_to_do_and_keep_secrets() {
        let tls = Endpoint::parse("https://u:hunter2@host", Protocol::Http, &[]);
        let text = tls.expect_err("no TLS").to_string();
        assert!(text.contains("http://") && !text.contains("hunter2"), "{text}");
        let header = [("a".to_owned(), "x\r\ny: z".to_owned())];
        let wrong = Endpoint::parse("http://host", Protocol::Http, &header);
        assert_eq!(wrong, Err(EndpointError::Header("a".into())));
        let header = [("Authorization".to_owned(), "Bearer hunter2".to_owned())];
        let endpoint = Endpoint::parse("http://host", Protocol::Http, &header).expect("valid");
        assert!(!format!("{endpoint:?}").contains("hunter2"));
    }
}
