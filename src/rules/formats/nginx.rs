//! Parses nginx' `log_format`: the string alone, the quoted parts, or the whole directive with its
//! name and `escape=`. Unit: one format.

use super::dates;
use super::notation::{Context, Draft, Piece};
use super::python::misspelt;
use crate::decode::formats::program::Shape;
use crate::decode::time::pattern::{Item, Part};
use crate::record::field::{
    CLIENT_ADDRESS, DURATION, HTTP_METHOD, HTTP_STATUS, REQUEST_ID, REQUEST_LINE, SPAN_ID,
    TIMESTAMP, TRACE_ID, TRACEPARENT, URL_PATH, USER_AGENT, Unit,
};
use crate::rules::syntax::SyntaxError;

/// Variables without a meaning for metrics, which must not be taken for misspelt ones.
const OTHERS: &[&str] = &[
    "ancient_browser",
    "args",
    "arg_",
    "binary_remote_addr",
    "body_bytes_sent",
    "bytes_sent",
    "connection",
    "connection_requests",
    "connection_time",
    "connections_active",
    "content_length",
    "content_type",
    "cookie_",
    "document_root",
    "geoip_city",
    "geoip_country_code",
    "gzip_ratio",
    "host",
    "hostname",
    "http_",
    "http_cookie",
    "http_host",
    "http_referer",
    "http_user_agent",
    "http_via",
    "http_x_forwarded_for",
    "http_x_real_ip",
    "https",
    "is_args",
    "limit_rate",
    "limit_req_status",
    "limit_conn_status",
    "modern_browser",
    "msie",
    "nginx_version",
    "pid",
    "pipe",
    "protocol",
    "proxy_add_x_forwarded_for",
    "proxy_alternative_upstream_name",
    "proxy_host",
    "proxy_port",
    "proxy_protocol_addr",
    "proxy_protocol_port",
    "proxy_upstream_name",
    "query_string",
    "realip_remote_addr",
    "realip_remote_port",
    "realpath_root",
    "remote_port",
    "remote_user",
    "request_body",
    "request_completion",
    "request_filename",
    "request_length",
    "scheme",
    "sent_http_",
    "server_addr",
    "server_name",
    "server_port",
    "server_protocol",
    "session_time",
    "ssl_cipher",
    "ssl_client_s_dn",
    "ssl_protocol",
    "ssl_server_name",
    "ssl_session_id",
    "ssl_session_reused",
    "tcpinfo_rtt",
    "upstream_addr",
    "upstream_bytes_received",
    "upstream_bytes_sent",
    "upstream_cache_status",
    "upstream_connect_time",
    "upstream_header_time",
    "upstream_response_length",
    "upstream_response_time",
    "upstream_status",
    "status",
    "request",
    "request_time",
    "request_method",
    "request_uri",
    "remote_addr",
    "time_local",
    "time_iso8601",
    "msec",
    "uri",
    "document_uri",
    "request_id",
    "bytes_received",
];

/// Variables with numbers as values, or `-`.
const NUMBERS: &[&str] = &[
    "body_bytes_sent",
    "bytes_received",
    "bytes_sent",
    "connection",
    "connection_requests",
    "connection_time",
    "gzip_ratio",
    "pid",
    "remote_port",
    "request_length",
    "server_port",
    "session_time",
];

/// Variables with values that have no space.
const TOKENS: &[&str] = &[
    "host",
    "hostname",
    "http_host",
    "https",
    "pipe",
    "proxy_host",
    "request_completion",
    "scheme",
    "server_addr",
    "server_name",
    "server_protocol",
    "ssl_cipher",
    "ssl_protocol",
    "ssl_session_reused",
];

/// Variables with a value for each server that got the request.
const LISTS: &[&str] = &[
    "upstream_addr",
    "upstream_bytes_received",
    "upstream_bytes_sent",
    "upstream_connect_time",
    "upstream_header_time",
    "upstream_response_length",
    "upstream_response_time",
    "upstream_status",
];

/// Returns what the directive says about escaping.
pub(super) fn escape_of(text: &str) -> Option<String> {
    let rest = text.trim_start().strip_prefix("log_format")?;
    let words = rest.split_ascii_whitespace().skip(1).take(1);
    words.filter_map(|word| word.strip_prefix("escape=")).map(str::to_owned).next()
}

/// Parses a format.
///
/// # Errors
/// Returns the first thing that is no format.
pub(super) fn parse(context: &Context<'_>) -> Result<Vec<Piece>, SyntaxError> {
    let characters = characters(&context.settings.pattern)?;
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(&(character, offset)) = characters.get(at) {
        at += 1;
        if matches!(character, '\n' | '\r') {
            pieces.push(Piece::LineEnd(offset));
            continue;
        }
        if character != '$' {
            let mut buffer = [0; 4];
            pieces.push(Piece::literal(character.encode_utf8(&mut buffer)));
            continue;
        }
        let is_braced = characters.get(at).is_some_and(|(c, _)| *c == '{');
        at += usize::from(is_braced);
        let name: String = characters[at..]
            .iter()
            .map(|(c, _)| *c)
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        at += name.len();
        if is_braced {
            if characters.get(at).is_none_or(|(c, _)| *c != '}') {
                return Err(SyntaxError::new(offset, "`${` is not closed by `}`"));
            }
            at += 1;
        }
        if name.is_empty() {
            let error = SyntaxError::new(offset, "`$` without the name of a variable");
            return Err(error.hint("as in $remote_addr"));
        }
        pieces.push(variable(&name, offset, context)?.piece());
    }
    Ok(pieces)
}

/// Returns the characters of the format with their positions: of the directive, or of quoted parts,
/// those inside the quotes.
fn characters(text: &str) -> Result<Vec<(char, usize)>, SyntaxError> {
    let trimmed = text.trim_start();
    let skipped = text.len() - trimmed.len();
    let is_directive =
        trimmed.strip_prefix("log_format").is_some_and(|rest| rest.starts_with([' ', '\t', '\n']));
    let ends_quoted = trimmed.trim_end().trim_end_matches(';').ends_with('\'');
    let is_quoted = trimmed.starts_with('\'') && ends_quoted && trimmed.len() > 1;
    if !(is_directive || is_quoted) {
        return Ok(text.char_indices().map(|(at, c)| (c, at)).collect());
    }
    let mut out = Vec::new();
    let mut all = trimmed.char_indices().map(|(at, c)| (c, at + skipped)).peekable();
    while let Some((quote, open)) = all.next() {
        if quote == ';' {
            break;
        }
        if !matches!(quote, '\'' | '"') {
            continue;
        }
        loop {
            let Some((character, at)) = all.next() else {
                let message = format!("the quote {quote} is not closed");
                return Err(SyntaxError::new(open, message));
            };
            let is_escape = character == '\\'
                && all.peek().is_some_and(|(next, _)| matches!(next, '\'' | '"' | '\\'));
            match character {
                _ if character == quote => break,
                _ if is_escape => out.extend(all.next().map(|(next, _)| (next, at))),
                _ => out.push((character, at)),
            }
        }
    }
    if out.is_empty() {
        let error = SyntaxError::new(0, "the directive has no format in quotes");
        return Err(error.hint("as in log_format main '$remote_addr ...';"));
    }
    Ok(out)
}

/// Returns what a variable is.
fn variable(name: &str, at: usize, context: &Context<'_>) -> Result<Draft, SyntaxError> {
    let draft = Draft::text(name, &format!("${name}"), at);
    let seconds = |draft: Draft| Draft { unit: Unit::Seconds, ..draft.of(DURATION) };
    Ok(match name {
        "remote_addr" | "realip_remote_addr" | "proxy_protocol_addr" => {
            let rank = if name == "remote_addr" { 0 } else { 2 };
            Draft { rank, ..draft.of(CLIENT_ADDRESS).shaped(Shape::Token) }
        }
        "time_local" => Draft { rank: 2, ..draft.timed(dates::common_log()) },
        "time_iso8601" => {
            let mut parts = dates::strftime("%Y-%m-%dT%H:%M:%S").unwrap_or_default();
            parts.push(Part::digits(Item::Offset, 6));
            Draft { rank: 2, ..draft.timed(parts) }
        }
        "msec" => draft.of(TIMESTAMP).shaped(Shape::Number),
        "status" => draft.of(HTTP_STATUS).shaped(Shape::Number),
        "request" => draft.of(REQUEST_LINE),
        "request_time" => seconds(draft).shaped(Shape::Number),
        "request_method" => draft.of(HTTP_METHOD).shaped(Shape::Token),
        "request_uri" | "uri" | "document_uri" => {
            let rank = if name == "request_uri" { 0 } else { 2 };
            Draft { rank, ..draft.of(URL_PATH) }
        }
        "request_id" => draft.of(REQUEST_ID).shaped(Shape::Token),
        "http_x_request_id" | "http_x_correlation_id" => Draft { rank: 2, ..draft.of(REQUEST_ID) },
        "http_traceparent" => draft.of(TRACEPARENT),
        "otel_trace_id" | "opentelemetry_trace_id" => draft.of(TRACE_ID),
        "otel_span_id" | "opentelemetry_span_id" => draft.of(SPAN_ID),
        "http_user_agent" => draft.of(USER_AGENT),
        _ if NUMBERS.contains(&name) => draft.shaped(Shape::Number),
        _ if TOKENS.contains(&name) => draft.shaped(Shape::Token),
        _ if LISTS.contains(&name) => draft.shaped(Shape::List),
        _ => {
            let is_family = ["http_", "arg_", "cookie_", "sent_http_", "upstream_http_"]
                .iter()
                .any(|start| name.starts_with(start));
            if !is_family && !OTHERS.contains(&name) {
                misspelt(name, at, OTHERS, context)?;
            }
            draft
        }
    })
}
