//! Creates the injector's certificates, and reads from any certificate its validity and whether an
//! API server with a given caBundle would trust it. Unit: one certificate.

use crate::kube::base64;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{RootCertStore, crypto};
use sidelight::clock::UnixNanos;
use std::sync::Arc;
use std::time::Duration;

/// How far before its creation a certificate becomes valid, because the clock of an API server may
/// be behind ours.
pub const BACKDATED: Duration = Duration::from_hours(1);

/// Number of certificates that are read from one PEM text; a bundle holds three while two
/// authorities overlap.
const CERTIFICATES_MAX: usize = 16;

/// A certificate and its private key, both as PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    /// The certificate, followed by its issuers if it is a chain.
    pub certificate: String,
    /// The private key, PKCS #8.
    pub key: String,
}

/// The validity of a certificate, in seconds since the epoch, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// The first valid second.
    pub not_before: u64,
    /// The last valid second.
    pub not_after: u64,
}

impl Validity {
    /// Returns when a certificate of ours was created.
    pub fn made(self) -> UnixNanos {
        UnixNanos((self.not_before + BACKDATED.as_secs()) * 1_000_000_000)
    }

    /// Returns how long the certificate is still valid; zero after its end.
    pub fn left(self, now: UnixNanos) -> Duration {
        UnixNanos(self.not_after * 1_000_000_000).since(now)
    }
}

/// Creates a certificate authority.
///
/// # Errors
/// Fails if there is no randomness for a key.
pub fn authority(now: UnixNanos, lifetime: Duration) -> Result<Pair, String> {
    let key = KeyPair::generate().map_err(said)?;
    let params = authority_params(now.seconds(), lifetime);
    let certificate = params.self_signed(&key).map_err(said)?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// Creates a serving certificate for these names, valid for `lifetime`, but no longer than the
/// authority.
///
/// # Errors
/// Fails if the authority is not ours, if its key cannot be read, or if a name is not a DNS name.
pub fn leaf(
    names: &[String],
    authority: &Pair,
    now: UnixNanos,
    lifetime: Duration,
) -> Result<Pair, String> {
    let der = first(&authority.certificate).ok_or("the authority is no PEM certificate")?;
    let of = validity(&der).ok_or("the authority is no X.509 certificate")?;
    let issuer_key = KeyPair::from_pem(&authority.key).map_err(said)?;
    // a signature uses only the issuer's name and key id, and both are known
    let issuer_params = authority_params(of.made().seconds(), of.left(now));
    let issuer = Issuer::from_params(&issuer_params, &issuer_key);
    let key = KeyPair::generate().map_err(said)?;
    let mut params = CertificateParams::new(names).map_err(said)?;
    params.distinguished_name = named(&names.first().cloned().unwrap_or_default());
    let end = now.after(lifetime).seconds().min(of.not_after);
    set_validity(&mut params, now.seconds(), end);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, &issuer).map_err(said)?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// Returns the DNS names of a Service. API servers always use the first one.
pub fn names(service: &str, namespace: &str) -> Vec<String> {
    // people who call it from a pod may use the other names
    ["svc", "svc.cluster.local"]
        .iter()
        .map(|end| format!("{service}.{namespace}.{end}"))
        .chain([format!("{service}.{namespace}"), service.to_owned()])
        .collect()
}

/// Returns the parameters of an authority. Its name contains its creation time, so that two
/// authorities are never confused.
fn authority_params(made_seconds: u64, lifetime: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("sidelight-injector CA {made_seconds}"));
    set_validity(&mut params, made_seconds, made_seconds.saturating_add(lifetime.as_secs()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn set_validity(params: &mut CertificateParams, made_seconds: u64, end_seconds: u64) {
    let epoch = date_time_ymd(1970, 1, 1);
    let begin = made_seconds.saturating_sub(BACKDATED.as_secs());
    params.not_before = epoch + Duration::from_secs(begin);
    params.not_after = epoch + Duration::from_secs(end_seconds);
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Returns all certificates of a PEM text, in order.
pub fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .take(CERTIFICATES_MAX)
        .filter_map(Result::ok)
        .collect()
}

/// Returns the first certificate of a PEM text.
pub fn first(pem: &str) -> Option<CertificateDer<'static>> {
    certificates(pem).into_iter().next()
}

/// Encodes a certificate as PEM with the usual lines of 64 characters.
pub fn pem(der: &CertificateDer<'_>) -> String {
    let coded = base64::encode(der);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in coded.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// Checks whether a client that trusts the certificates of `bundle` accepts a server with `chain`,
/// under the name `name` and at the time `at`.
///
/// # Errors
/// Returns why the client rejects it.
pub fn believed(
    chain: &[CertificateDer<'static>],
    bundle: &[CertificateDer<'static>],
    name: &str,
    at: UnixNanos,
) -> Result<(), String> {
    let (leaf, above) = chain.split_first().ok_or("there is no serving certificate yet")?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(bundle.iter().cloned());
    if roots.is_empty() {
        return Err("the bundle has no certificate".to_owned());
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(said)?;
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| format!("`{name}` is no name of a server"))?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at.seconds()));
    verifier.verify_server_cert(leaf, above, &name, &[], at).map(|_| ()).map_err(said)
}

/// Returns the validity of a certificate; `None` if this is not an X.509 certificate.
pub fn validity(der: &[u8]) -> Option<Validity> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(der).filter(|(tag, _, _)| *tag == SEQUENCE)?;
    let (_, mut rest, _) = element(certificate)?;
    if let (VERSION, _, after) = element(rest)? {
        rest = after;
    }
    // serial number, algorithm, issuer
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, dates, _) = element(rest)?;
    let (tag, begin, after) = element(dates)?;
    let not_before = seconds(tag, begin)?;
    let (tag, end, _) = element(after)?;
    Some(Validity { not_before, not_after: seconds(tag, end)? })
}

/// Parses the first element of DER. Returns its tag, its contents, and the bytes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (*length as usize, rest),
        // certificates are shorter than 16 MiB
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked((length & 0x7f) as usize)?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | *byte as usize), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// Parses `YYMMDDHHMMSSZ` (UTCTime) or `YYYYMMDDHHMMSSZ` (GeneralizedTime), in the forms that RFC
/// 5280 allows.
fn seconds(tag: u8, text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        0x17 => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        0x18 => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let mut fields = [0i64; 5];
    if rest.len() != 10 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    for (field, digits) in fields.iter_mut().zip(rest.as_bytes().chunks(2)) {
        *field = i64::from(digits[0] - b'0') * 10 + i64::from(digits[1] - b'0');
    }
    let [month, day, hour, minute, second] = fields;
    // days since 1970-01-01, counted in years that begin in March
    let shifted = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = shifted * 365 + shifted.div_euclid(4) - shifted.div_euclid(100)
        + shifted.div_euclid(400)
        + day_of_year
        - 719_468;
    u64::try_from(days * 86_400 + hour * 3600 + minute * 60 + second).ok()
}

#[cfg(test)]
mod tests;
