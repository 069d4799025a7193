//! The endpoint of a collector and the headers of every request. This is the only parser of
//! endpoints and headers: for files, the environment, the injector's policy and the chart's schema.
//! Every endpoint that it accepts can be used, except those that [`EndpointError::Tls`] reports.
//! Pure. Unit: one exporter.

use hyper::header::{HeaderName, HeaderValue};
use std::fmt;
use std::net::Ipv6Addr;

/// Our `User-Agent`.
pub const USER_AGENT: &str = concat!("sidelight/", env!("CARGO_PKG_VERSION"));

/// The path of traces over HTTP (OTLP specification).
const TRACES_PATH: &str = "/v1/traces";

/// The pattern of the chart's schema. It accepts what [`parse`] accepts, where `$(NAME)` is a text
/// that Kubernetes fills in. The empty text means no endpoint. A test compares it with the parser
/// and with the schema.
pub const PATTERN: &str = concat!(
    r"^(([hH][tT][tT][pP]://)?",
    r"(\[[0-9A-Fa-f:.]+\]|(\$\([A-Za-z_][A-Za-z0-9_]*\)|[A-Za-z0-9._-])+)",
    r"(:([0-9]{1,5}|\$\([A-Za-z_][A-Za-z0-9_]*\)))?",
    r"(/[!-\x22$-~]*)?)?$",
);

/// Headers that frame a request: a value from the user would break it.
const FRAMING: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "grpc-timeout",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The transport protocol of spans.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    /// OTLP over HTTP, protobuf bodies: `http/protobuf`.
    #[default]
    Http,
    /// OTLP over gRPC: `grpc`.
    Grpc,
}

impl Protocol {
    /// Returns OpenTelemetry's name (`OTEL_EXPORTER_OTLP_PROTOCOL`).
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Http => "http/protobuf",
            Protocol::Grpc => "grpc",
        }
    }

    /// Returns the default port of OTLP, for an endpoint with neither a scheme nor a port.
    fn port(self) -> u16 {
        match self {
            Protocol::Http => 4318,
            Protocol::Grpc => 4317,
        }
    }
}

/// The setting that an endpoint comes from, which decides its path over HTTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Given {
    /// `export.endpoint`: used as it is; without a path, the path of traces is appended.
    Setting,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, the base of all signals: the path of traces is appended.
    Base,
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`: used as it is; without a path, the path is `/` (OTLP
    /// specification).
    Traces,
}

/// A parsed address of a collector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// The scheme is `https`, which asks for TLS.
    pub tls: bool,
    /// The address has a scheme. Without a port, the port of that scheme applies.
    has_scheme: bool,
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The port, if the address has one.
    pub port: Option<u16>,
    /// The path with its query, if the address has one; not used over gRPC.
    pub path: String,
}

/// An address of a collector as an exporter uses it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// The name or address to connect to.
    pub host: String,
    /// The port to connect to.
    pub port: u16,
    /// Host and port as a request contains them.
    pub authority: String,
    /// The path of a request over HTTP.
    pub path: String,
    /// Headers that the user adds to every request; they replace ours of the same name.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Why an endpoint cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EndpointError {
    /// The endpoint asks for TLS.
    Tls(String),
    /// The endpoint has a scheme that is not HTTP.
    Scheme(String),
    /// The endpoint contains a user name or password.
    Userinfo(String),
    /// The port is not valid.
    Port(String),
    /// The text is not an address.
    Malformed(String),
    /// A header has a name or a value that HTTP does not allow. The error contains only the name.
    Header(String),
    /// The header is one of those that frame a request.
    Framing(String),
}

impl EndpointError {
    /// Returns what the user can do about the error.
    pub fn hint(&self) -> &'static str {
        match self {
            EndpointError::Tls(_) => {
                "this version does not speak TLS yet: use http:// to a collector in the pod or on the node"
            }
            EndpointError::Scheme(_) | EndpointError::Malformed(_) => {
                "as in http://collector:4318, or http://collector:4317 with protocol grpc"
            }
            EndpointError::Userinfo(_) => "put credentials into a header, as in authorization",
            EndpointError::Port(_) => "a port is a number from 1 to 65535",
            EndpointError::Header(_) => {
                "a name has letters, digits and dashes, a value visible ASCII characters"
            }
            EndpointError::Framing(_) => "remove it: it is set for each request",
        }
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndpointError::Tls(endpoint) => write!(f, "the endpoint `{endpoint}` asks for TLS"),
            EndpointError::Scheme(endpoint) => {
                write!(f, "the endpoint `{endpoint}` is not http")
            }
            EndpointError::Userinfo(endpoint) => {
                write!(f, "the endpoint `{endpoint}` holds a user name or a password")
            }
            EndpointError::Port(endpoint) => {
                write!(f, "the endpoint `{endpoint}` has no valid port")
            }
            EndpointError::Malformed(endpoint) => {
                write!(f, "`{endpoint}` is not a URL that spans can be sent to")
            }
            EndpointError::Header(name) => write!(f, "the header `{name}` is not allowed in HTTP"),
            EndpointError::Framing(name) => write!(f, "the header `{name}` cannot be set"),
        }
    }
}

impl std::error::Error for EndpointError {}

/// Parses `[http[s]://]HOST[:PORT][/PATH]`. The scheme may have any case. An IPv6 address needs no
/// brackets: on a node with an IPv6 address, `http://$(HOST_IP):4318` becomes
/// `http://fd00::7:4318`, and the last group is the port.
///
/// # Errors
/// Fails if the text is not such an address. Accepts `https`: [`Endpoint::new`] decides whether TLS
/// can be used.
pub fn parse(text: &str) -> Result<Address, EndpointError> {
    let text = text.trim();
    let malformed = || EndpointError::Malformed(redacted(text));
    let (tls, has_scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, true, rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, true, rest),
        Some(_) => return Err(EndpointError::Scheme(redacted(text))),
        None => (false, false, text),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(EndpointError::Userinfo(redacted(text)));
    }
    let (host, port) = split_port(authority);
    let port = match port.map(str::parse) {
        None => None,
        Some(Ok(port)) if port > 0 => Some(port),
        Some(_) => return Err(EndpointError::Port(redacted(text))),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().is_ok(),
        None if host.contains(':') => host.parse::<Ipv6Addr>().is_ok(),
        None => {
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            !host.is_empty() && host.chars().all(is_part)
        }
    };
    let is_path = path.is_empty() || path.starts_with('/');
    if !is_host || !is_path || !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(malformed());
    }
    let host = bare.unwrap_or(host).to_owned();
    Ok(Address { tls, has_scheme, host, port, path: path.to_owned() })
}

/// Splits `HOST:PORT`. Without brackets, the last group of an IPv6 address is the port if it is a
/// valid port and the rest is an address.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    let Some((host, port)) = authority.rsplit_once(':') else { return (authority, None) };
    if port.contains(']') {
        return (authority, None);
    }
    if host.contains(':') && !host.starts_with('[') {
        let is_port = port.parse::<u16>().is_ok() && !port.starts_with('0');
        let splits = is_port && host.parse::<Ipv6Addr>().is_ok();
        return if splits { (host, Some(port)) } else { (authority, None) };
    }
    (host, Some(port))
}

/// Parses an endpoint and completes its path according to the setting that it comes from. Parsing
/// the result gives the same endpoint again.
///
/// # Errors
/// Fails as [`parse`] does.
pub fn normalized(text: &str, given: Given) -> Result<String, EndpointError> {
    let mut address = parse(text)?;
    match given {
        Given::Setting if matches!(address.path.as_str(), "" | "/") => {
            TRACES_PATH.clone_into(&mut address.path);
        }
        Given::Base => {
            let base = address.path.trim_end_matches('/');
            address.path = format!("{base}{TRACES_PATH}");
        }
        Given::Traces if address.path.is_empty() => "/".clone_into(&mut address.path),
        Given::Setting | Given::Traces => {}
    }
    Ok(address.to_string())
}

/// Replaces `$(NAME)`, which Kubernetes expands in a pod, by a text that is valid anywhere in an
/// endpoint.
pub fn without_variables(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once("$(") {
        let Some((_, after)) = behind.split_once(')') else { break };
        plain.push_str(before);
        plain.push('1');
        rest = after;
    }
    plain + rest
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.has_scheme, self.tls) {
            (false, _) => "",
            (true, false) => "http://",
            (true, true) => "https://",
        };
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}{open}{}{close}", self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

impl Endpoint {
    /// Parses an endpoint that can be used. With neither a port nor a scheme, the port is 4318 for
    /// HTTP and 4317 for gRPC; with a scheme and no port, it is 80.
    ///
    /// # Errors
    /// Fails if the text is not an address or asks for TLS, or a header is not allowed.
    pub fn new(
        text: &str,
        protocol: Protocol,
        headers: &[(String, String)],
    ) -> Result<Endpoint, EndpointError> {
        let Address { tls, has_scheme, host, port, path } = parse(text)?;
        if tls {
            return Err(EndpointError::Tls(text.trim().to_owned()));
        }
        let port = port.unwrap_or(if has_scheme { 80 } else { protocol.port() });
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        let mut endpoint = Endpoint {
            authority: format!("{open}{host}{close}:{port}"),
            host,
            port,
            path: if path.is_empty() { TRACES_PATH.to_owned() } else { path },
            headers: Vec::new(),
        };
        for (name, value) in headers {
            let (name, value) = header(name, value)?;
            if name == hyper::header::HOST {
                value.to_str().unwrap_or_default().clone_into(&mut endpoint.authority);
                continue;
            }
            endpoint.headers.retain(|(known, _)| *known != name);
            endpoint.headers.push((name, value));
        }
        Ok(endpoint)
    }
}

/// Parses a header of every request and marks its value as sensitive, so that it is never shown.
///
/// # Errors
/// Fails if HTTP does not allow the name or the value, or the header is one of those that frame a
/// request.
pub fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), EndpointError> {
    let wrong = || EndpointError::Header(name.to_owned());
    let parsed = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong())?;
    if FRAMING.contains(&parsed.as_str()) {
        return Err(EndpointError::Framing(name.to_owned()));
    }
    let mut value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
    if parsed == hyper::header::HOST && parse(value.to_str().map_err(|_| wrong())?).is_err() {
        return Err(wrong());
    }
    value.set_sensitive(true);
    Ok((parsed, value))
}

/// Returns the address without the part before `@`, which may contain a password.
fn redacted(endpoint: &str) -> String {
    match endpoint.rsplit_once('@') {
        Some((_, host)) => format!("...@{host}"),
        None => endpoint.to_owned(),
    }
}

#[cfg(test)]
mod tests;
