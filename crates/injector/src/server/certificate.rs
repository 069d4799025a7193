//! Creates the injector's certificates, and reads from any certificate its validity and whether an
//! API server with a given caBundle would trust it. Unit: one certificate.

use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::{self as pem_reader, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{RootCertStore, crypto};
use sidelight::clock::UnixNanos;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;

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
    pub fn created(self) -> UnixNanos {
        UnixNanos((self.not_before + BACKDATED.as_secs()) * 1_000_000_000)
    }

    /// Returns how long the certificate is still valid; zero after its end.
    pub fn left(self, now: UnixNanos) -> Duration {
        UnixNanos(self.not_after * 1_000_000_000).since(now)
    }
}

/// Why a certificate cannot be created, read or verified.
#[derive(Debug)]
pub enum Error {
    /// There is no certificate to verify yet.
    Missing,
    /// A PEM text has no certificate; the name says which text.
    NoCertificate(&'static str),
    /// A certificate is not X.509; the name says which one.
    NotX509(&'static str),
    /// A private key cannot be read; the name says which one.
    Key(&'static str, pem_reader::Error),
    /// A certificate and a private key do not belong together.
    Mismatch(rustls::Error),
    /// A certificate is no longer valid.
    Expired,
    /// A certificate cannot be created.
    Create(rcgen::Error),
    /// A step of the rotation needs the certificates of an earlier step.
    NoPredecessor,
    /// A text is no name of a server.
    ServerName(String),
    /// The verifier cannot be set up.
    Verifier(rustls::client::VerifierBuilderError),
    /// The verifier rejects the certificate.
    Untrusted(rustls::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Missing => f.write_str("there is no serving certificate yet"),
            Error::NoCertificate(name) => write!(f, "{name} has no PEM certificate"),
            Error::NotX509(name) => write!(f, "{name} is no X.509 certificate"),
            Error::Key(name, error) => write!(f, "{name} is no PEM key: {error}"),
            Error::Mismatch(error) => {
                write!(f, "tls.crt and tls.key do not belong together: {error}")
            }
            Error::Expired => f.write_str("the serving certificate has expired"),
            Error::Create(error) => write!(f, "no certificate can be created: {error}"),
            Error::NoPredecessor => f.write_str("there are no certificates to continue from"),
            Error::ServerName(name) => write!(f, "`{name}` is no name of a server"),
            Error::Verifier(error) => write!(f, "no verifier: {error}"),
            Error::Untrusted(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Key(_, error) => Some(error),
            Error::Mismatch(error) | Error::Untrusted(error) => Some(error),
            Error::Create(error) => Some(error),
            Error::Verifier(error) => Some(error),
            Error::Missing
            | Error::NoCertificate(_)
            | Error::NotX509(_)
            | Error::Expired
            | Error::NoPredecessor
            | Error::ServerName(_) => None,
        }
    }
}

impl From<rcgen::Error> for Error {
    fn from(error: rcgen::Error) -> Error {
        Error::Create(error)
    }
}

/// Creates a certificate authority.
///
/// # Errors
/// Fails if there is no randomness for a key.
pub fn authority(now: UnixNanos, lifetime: Duration) -> Result<Pair, Error> {
    let key = KeyPair::generate()?;
    let params = authority_params(now.seconds(), lifetime);
    let certificate = params.self_signed(&key)?;
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
) -> Result<Pair, Error> {
    let der = first(&authority.certificate).ok_or(Error::NoCertificate("the authority"))?;
    let of = validity(&der).ok_or(Error::NotX509("the authority"))?;
    let issuer_key = KeyPair::from_pem(&authority.key)?;
    // a signature uses only the issuer's name and key id, and both are known
    let issuer_params = authority_params(of.created().seconds(), of.left(now));
    let issuer = Issuer::from_params(&issuer_params, &issuer_key);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = distinguished_name(&names.first().cloned().unwrap_or_default());
    let end = now.after(lifetime).seconds().min(of.not_after);
    set_validity(&mut params, now.seconds(), end);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, &issuer)?;
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
fn authority_params(created_seconds: u64, lifetime: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name =
        distinguished_name(&format!("sidelight-injector CA {created_seconds}"));
    set_validity(&mut params, created_seconds, created_seconds.saturating_add(lifetime.as_secs()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn distinguished_name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn set_validity(params: &mut CertificateParams, created_seconds: u64, end_seconds: u64) {
    let epoch = date_time_ymd(1970, 1, 1);
    let begin = created_seconds.saturating_sub(BACKDATED.as_secs());
    params.not_before = epoch + Duration::from_secs(begin);
    params.not_after = epoch + Duration::from_secs(end_seconds);
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
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new("CERTIFICATE", der.as_ref()), config)
}

/// Checks whether a client that trusts the certificates of `bundle` accepts a server with `chain`,
/// under the name `name` and at the time `at`.
///
/// # Errors
/// Returns why the client rejects it.
pub fn verify(
    chain: &[CertificateDer<'static>],
    bundle: &[CertificateDer<'static>],
    name: &str,
    at: UnixNanos,
) -> Result<(), Error> {
    let (leaf, above) = chain.split_first().ok_or(Error::Missing)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(bundle.iter().cloned());
    if roots.is_empty() {
        return Err(Error::NoCertificate("the bundle"));
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(Error::Verifier)?;
    let name =
        ServerName::try_from(name.to_owned()).map_err(|_| Error::ServerName(name.to_owned()))?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at.seconds()));
    let verified = verifier.verify_server_cert(leaf, above, &name, &[], at);
    verified.map(drop).map_err(Error::Untrusted)
}

/// Returns the validity of a certificate; `None` if this is not an X.509 certificate. It accepts
/// certificates that break a rule of RFC 5280, such as a serial number that is too long, because
/// provided ones may.
pub fn validity(der: &[u8]) -> Option<Validity> {
    let certificate = CertificateInner::<Raw>::from_der(der).ok()?;
    let validity = certificate.tbs_certificate().validity();
    Some(Validity {
        not_before: validity.not_before.to_unix_duration().as_secs(),
        not_after: validity.not_after.to_unix_duration().as_secs(),
    })
}

#[cfg(test)]
mod tests;
