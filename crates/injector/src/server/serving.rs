//! The certificate for handshakes. It is replaced while connections stay open, without a restart.
//! Unit: one handshake.

use super::certificate::{Error, Pair, certificates};
use rustls::crypto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::version;
use sidelight::sync::ignore_poison;
use std::sync::{Arc, RwLock};

/// The current certificate; `None` before the first one.
#[derive(Debug, Default)]
pub struct Serving(RwLock<Option<Arc<CertifiedKey>>>);

impl Serving {
    /// Uses another certificate from the next handshake on. Returns false if it is the current one.
    ///
    /// # Errors
    /// Fails if the text is not a chain with its key; the current certificate stays.
    pub fn swap(&self, pair: &Pair) -> Result<bool, Error> {
        let key = certified(pair)?;
        let mut held = ignore_poison(self.0.write());
        if held.as_ref().is_some_and(|held| held.cert == key.cert) {
            return Ok(false);
        }
        *held = Some(Arc::new(key));
        Ok(true)
    }

    /// Returns the served chain; empty before the first one.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        let held = ignore_poison(self.0.read());
        held.as_ref().map(|held| held.cert.clone()).unwrap_or_default()
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        ignore_poison(self.0.read()).clone()
    }
}

/// Parses a chain and the key that belongs to it.
///
/// # Errors
/// Returns which part is missing, unreadable, or does not fit.
pub fn certified(pair: &Pair) -> Result<CertifiedKey, Error> {
    let chain = certificates(&pair.certificate);
    if chain.is_empty() {
        return Err(Error::NoCertificate("tls.crt"));
    }
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())
        .map_err(|error| Error::Key("tls.key", error))?;
    CertifiedKey::from_der(chain, key, &crypto::ring::default_provider()).map_err(Error::Mismatch)
}

/// Builds the TLS configuration: TLS 1.3 only, HTTP/1.1, no client certificates. A network policy
/// decides which clients may connect, and an answer contains nothing that the client did not send.
///
/// # Errors
/// Fails if the library rejects this combination, which no input changes.
pub fn tls(serving: Arc<Serving>) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(serving);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
