//! A certificate for the webhook, and a client that trusts it, over TLS 1.3 as API servers.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use sidelight::clock::Clock;
use sidelight_injector::server::certificate;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsConnector;

pub(crate) const SERVER: &str = "sidelight-injector.sidelight-system.svc";

const DAY: Duration = Duration::from_hours(24);

/// Writes `tls.crt` and `tls.key` into `directory`, and returns a client that trusts them.
pub(crate) fn certificates(clock: &Clock, directory: &Path) -> TlsConnector {
    let authority = certificate::authority(clock.now(), DAY).expect("an authority");
    let names = certificate::names("sidelight-injector", "sidelight-system");
    let leaf = certificate::leaf(&names, &authority, clock.now(), DAY).expect("a leaf");
    for (name, text) in [("tls.crt", &leaf.certificate), ("tls.key", &leaf.key)] {
        std::fs::write(directory.join(name), text).expect("a file");
    }
    trusting(&authority.certificate)
}

/// Returns a TLS client that trusts `authority`.
fn trusting(authority: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM")).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}
