//! The certificate that handshakes see: swapped while connections go on, never by a restart. Unit: one
//! handshake.

use super::certificate::{Pair, certificates};
use rustls::crypto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::version;
use std::sync::{Arc, PoisonError, RwLock};

/// What is served now; nothing before the first.
#[derive(Debug, Default)]
pub struct Serving(RwLock<Option<Arc<CertifiedKey>>>);

impl Serving {
    /// Serves another certificate from the next handshake on. False when it is the one that is served.
    ///
    /// # Errors
    /// When the text is no chain with its key; what is served stays.
    pub fn swap(&self, pair: &Pair) -> Result<bool, String> {
        let key = certified(pair)?;
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|held| held.cert == key.cert) {
            return Ok(false);
        }
        *held = Some(Arc::new(key));
        Ok(true)
    }

    /// The chain that is served; empty before the first.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map(|held| held.cert.clone()).unwrap_or_default()
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A chain and a key that belong together.
///
/// # Errors
/// What of it is missing, unreadable, or does not fit.
pub fn certified(pair: &Pair) -> Result<CertifiedKey, String> {
    let chain = certificates(&pair.certificate);
    if chain.is_empty() {
        return Err("tls.crt has no PEM certificate".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())
        .map_err(|error| format!("tls.key is no PEM key: {error}"))?;
    CertifiedKey::from_der(chain, key, &crypto::ring::default_provider())
        .map_err(|error| format!("tls.crt and tls.key do not belong together: {error}"))
}

/// TLS 1.3 alone, HTTP/1.1, no client certificates: who may call is the network policy's matter,
/// and what comes out is nothing that the caller did not bring.
///
/// # Errors
/// When the library cannot be put together so, which no input changes.
pub fn tls(serving: Arc<Serving>) -> Result<ServerConfig, String> {
    let provider = Arc::new(crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_cert_resolver(serving);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
