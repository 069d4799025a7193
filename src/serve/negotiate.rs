//! Content negotiation of the exposition: a pure function from request headers to the format of the
//! answer. It offers only what the encoder writes: no protobuf, no OpenMetrics 2.0, no names
//! escaped with dots.

use crate::metrics::expose::Encoding;

/// Maximum number of items read of one Accept header; Prometheus sends at most 8, a browser 10.
const ITEMS_MAX: usize = 32;

/// The chosen format of an answer to a scrape.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chosen {
    /// The format to encode.
    pub encoding: Encoding,
    /// The exact Content-Type; without it, Prometheus 3 refuses the scrape.
    pub content_type: String,
}

/// A format that the encoder writes, by the name of its Content-Type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Offer {
    /// Text 0.0.4.
    Classic,
    /// Text 1.0.0: 0.0.4 with quoted names allowed. Our names never need quotes, so the bytes are
    /// the same.
    Classic100,
    /// OpenMetrics 0.0.1: the name that the draft of 1.0.0 had; the bytes are the same.
    OpenMetrics001,
    /// OpenMetrics 1.0.0.
    OpenMetrics100,
}

/// How names with characters outside of the legacy set are escaped. All our names are within it,
/// and these three leave them unchanged. `dots` would double every underscore, so the answer to it
/// is `underscores`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Escaping {
    AllowUtf8,
    Underscores,
    Values,
}

impl Escaping {
    fn name(self) -> &'static str {
        match self {
            Escaping::AllowUtf8 => "allow-utf-8",
            Escaping::Underscores => "underscores",
            Escaping::Values => "values",
        }
    }
}

/// Chooses the format with the highest quality that the encoder can write, and the first of equals.
/// Chooses text 0.0.4 if there is no header, only `*/*`, or no such format.
pub fn accept(header: Option<&str>) -> Chosen {
    let mut best: Option<(u16, Offer, Option<Escaping>)> = None;
    for item in header.unwrap_or_default().split(',').take(ITEMS_MAX) {
        let Some(media) = Media::parse(item) else { continue };
        let Some(offer) = media.offer() else { continue };
        if media.quality > 0 && best.is_none_or(|best| media.quality > best.0) {
            best = Some((media.quality, offer, media.escaping));
        }
    }
    let (_, offer, escaping) = best.unwrap_or((0, Offer::Classic, None));
    Chosen { encoding: offer.encoding(), content_type: offer.content_type(escaping) }
}

/// Returns whether the client accepts gzip: by name or through `*`, with a quality above 0.
pub fn gzip(header: Option<&str>) -> bool {
    let mut wildcard = false;
    for item in header.unwrap_or_default().split(',').take(ITEMS_MAX) {
        let mut parts = item.split(';');
        let coding = parts.next().unwrap_or_default().trim();
        let Some(quality) = quality(parts) else { continue };
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            return quality > 0;
        }
        wildcard |= coding == "*" && quality > 0;
    }
    wildcard
}

/// The formats of the health report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Report {
    /// `{"status": "healthy", "checks": {...}}`.
    Json,
    /// The same, indented, for people: a browser, or curl without a header.
    Indented,
    /// The IETF draft's `application/health+json`.
    Ietf,
    /// Lines of text, as for `?verbose`.
    Text,
}

/// Chooses the format of the health report: JSON unless the header prefers another one by name;
/// indented unless the header names JSON.
pub fn report(header: Option<&str>) -> Report {
    let mut best = (0, Report::Indented);
    for item in header.unwrap_or_default().split(',').take(ITEMS_MAX) {
        let mut parts = item.split(';');
        let kind = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let Some(quality) = quality(parts) else { continue };
        let shape = match kind.as_str() {
            "application/health+json" => Report::Ietf,
            "text/plain" | "text/*" => Report::Text,
            "application/json" | "application/*" => Report::Json,
            "text/html" | "*/*" => Report::Indented,
            _ => continue,
        };
        if quality > best.0 {
            best = (quality, shape);
        }
    }
    best.1
}

/// One item of an Accept header.
struct Media<'h> {
    kind: &'h str,
    version: Option<&'h str>,
    escaping: Option<Escaping>,
    /// The quality in thousandths.
    quality: u16,
}

impl<'h> Media<'h> {
    /// Parses an item. Returns None if its quality is invalid, because it cannot be ranked.
    fn parse(item: &'h str) -> Option<Media<'h>> {
        let mut parts = item.split(';');
        let kind = parts.next().unwrap_or_default().trim();
        let quality = quality(parts.clone())?;
        let mut media = Media { kind, version: None, escaping: None, quality };
        for (name, value) in parts.filter_map(parameter) {
            if name.eq_ignore_ascii_case("version") {
                media.version = Some(value);
            } else if name.eq_ignore_ascii_case("escaping") {
                media.escaping = Some(match value {
                    "allow-utf-8" => Escaping::AllowUtf8,
                    "values" => Escaping::Values,
                    _ => Escaping::Underscores,
                });
            }
        }
        Some(media)
    }

    fn offer(&self) -> Option<Offer> {
        match (self.kind.to_ascii_lowercase().as_str(), self.version) {
            ("application/openmetrics-text", None | Some("0.0.1")) => Some(Offer::OpenMetrics001),
            ("application/openmetrics-text", Some("1.0.0")) => Some(Offer::OpenMetrics100),
            ("text/plain", None | Some("0.0.4")) => Some(Offer::Classic),
            ("text/plain", Some("1.0.0")) => Some(Offer::Classic100),
            ("*/*" | "text/*", _) => Some(Offer::Classic),
            _ => None,
        }
    }
}

impl Offer {
    fn encoding(self) -> Encoding {
        match self {
            Offer::Classic | Offer::Classic100 => Encoding::Classic,
            Offer::OpenMetrics001 | Offer::OpenMetrics100 => Encoding::OpenMetrics,
        }
    }

    /// Returns the Content-Type. Names the escaping of 0.0.4 only to clients that ask for one,
    /// because older scrapers compare the whole value.
    fn content_type(self, escaping: Option<Escaping>) -> String {
        let base = match self {
            Offer::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Offer::Classic100 => "text/plain; version=1.0.0; charset=utf-8",
            Offer::OpenMetrics001 => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            Offer::OpenMetrics100 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        };
        match (self, escaping) {
            (Offer::Classic, None) => base.to_owned(),
            (_, escaping) => {
                let used = escaping.unwrap_or(Escaping::Underscores);
                format!("{base}; escaping={}", used.name())
            }
        }
    }
}

/// Parses `name=value`; removes quotes around the value.
fn parameter(part: &str) -> Option<(&str, &str)> {
    let (name, value) = part.split_once('=')?;
    Some((name.trim(), value.trim().trim_matches('"')))
}

/// Returns the quality in thousandths: 1000 if there is none, None if it is not a number in 0..=1.
fn quality<'p>(parts: impl Iterator<Item = &'p str>) -> Option<u16> {
    for (name, value) in parts.filter_map(parameter) {
        if name.eq_ignore_ascii_case("q") {
            let plain = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            let quality: f64 = value.parse().ok()?;
            return (plain && quality <= 1.0).then_some((quality * 1000.0).round() as u16);
        }
    }
    Some(1000)
}

#[cfg(test)]
mod tests;
