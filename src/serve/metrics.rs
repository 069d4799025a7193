//! `/metrics`: the format and the compression that the scraper asked for, around the bytes of the
//! encoder.

use crate::metrics::Registry;
use crate::metrics::expose::{self, Options};
use crate::phase::Phase;
use crate::serve::negotiate;
use crate::serve::query;
use crate::serve::respond::{Answer, answer};
use crate::serve::state::{Exposition, State};
use crate::telemetry::Telemetry;
use crate::telemetry::scrapers::Client;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;

/// Bodies up to this size are sent as they are: gzip would save less than a packet.
const PLAIN_BYTES_MAX: usize = 1024;

/// The exposition of the derived families and of sidelight's own.
pub fn exposition(registry: Arc<Registry>, telemetry: Arc<Telemetry>) -> Exposition {
    Box::new(move |encoding, options, out| {
        expose::encode(&registry, &telemetry.gather(), encoding, options, out);
    })
}

/// Answers a scrape of a client at `address`.
pub fn scrape<B>(request: &Request<B>, address: IpAddr, state: &State) -> Answer {
    let (headers, query_string) = (request.headers(), request.uri().query());
    let accepted = joined(headers, &header::ACCEPT);
    let chosen = negotiate::accept(accepted.as_deref());
    // before the values are read: what is final afterwards may not have been then
    let is_final = state.standing.phase.get() >= Phase::Lingering;
    let created = state.created || query::switch(query_string, "created");
    let mut body = Vec::new();
    (state.exposition)(chosen.encoding, Options { created }, &mut body);
    if request.method() == Method::GET {
        let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let wants_openmetrics =
            accepted.is_some_and(|accepted| accepted.contains("application/openmetrics-text"));
        let client = Client { address, agent: agent.unwrap_or_default(), wants_openmetrics };
        state.standing.scrapers.scraped(client, is_final);
    }
    let wanted = negotiate::gzip(joined(headers, &header::ACCEPT_ENCODING).as_deref());
    let packed = (wanted && body.len() > PLAIN_BYTES_MAX).then(|| pack(&body)).flatten();
    let gzip = packed.is_some();
    let mut answer = answer(StatusCode::OK, &chosen.content_type, packed.unwrap_or(body));
    let headers = answer.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

/// All lines of one header as one list.
pub fn joined(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    let values: Vec<&str> =
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// Level 1: a scrape is compressed on every interval and read once. None if it fails, which a Vec
/// never does.
fn pack(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}
