//! `/metrics`: a shared page in the format and compression that the scraper accepts.

use crate::metrics::expose::Options;
use crate::phase::Phase;
use crate::serve::negotiate;
use crate::serve::page::{Page, Variant};
use crate::serve::query;
use crate::serve::respond::{Answer, TEXT, answer};
use crate::serve::state::AdminState;
use crate::telemetry::scrapers::Client;
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// The body of an answer: the page, and the permit for the connection's next request, which is
/// released when the body is sent.
struct PageBody {
    page: Arc<Page>,
    _sending: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for PageBody {
    fn as_ref(&self) -> &[u8] {
        self.page.as_ref().as_ref()
    }
}

/// Answers the scrape of a client at `address`; `sending` is released when the answer is sent.
pub async fn scrape<B>(
    request: &Request<B>,
    address: IpAddr,
    sending: OwnedSemaphorePermit,
    state: &AdminState,
) -> Answer {
    let (headers, query_string) = (request.headers(), request.uri().query());
    let accepted = joined(headers, &header::ACCEPT);
    let chosen = negotiate::accept(accepted.as_deref());
    // reads the phase before the values: they may become final only after this page was rendered
    let is_final = state.process_status.phase.get() >= Phase::Lingering;
    let created = state.created || query::switch(query_string, "created");
    let gzip = negotiate::gzip(joined(headers, &header::ACCEPT_ENCODING).as_deref());
    let options = Options { created };
    let variant = Variant { encoding: chosen.encoding, options, gzip, is_final };
    let Some(page) = state.pages.get(variant).await else {
        let mut refusal = answer(
            StatusCode::SERVICE_UNAVAILABLE,
            TEXT,
            "too many answers wait for clients that do not read them; ask again in a second\n",
        );
        refusal.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return refusal;
    };
    if request.method() == Method::GET {
        let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let wants_openmetrics =
            accepted.is_some_and(|accepted| accepted.contains("application/openmetrics-text"));
        let client = Client { address, agent: agent.unwrap_or_default(), wants_openmetrics };
        state.process_status.scrapers.scraped(client, is_final);
    }
    let is_gzip = page.is_gzip;
    let body = Bytes::from_owner(PageBody { page, _sending: sending });
    let mut answer = answer(StatusCode::OK, &chosen.content_type, body);
    let headers = answer.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if is_gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

/// Joins all lines of one header into one list.
pub fn joined(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    let values: Vec<&str> =
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}
