//! Settings of the injector itself; `inject::policy` decides what it puts into pods. Unit: one
//! process.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The source of the serving certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Created here, stored in a Secret; its authority is written into the webhook configuration.
    SelfManaged,
    /// Files that cert-manager renews; its cainjector writes the caBundle.
    CertManager,
    /// Files that the installer provides.
    Provided,
}

/// The lifetimes of certificates, and how long old and new trust overlap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// Lifetime of a serving certificate; it is renewed when a third of it is left.
    pub leaf: Duration,
    /// Lifetime of an authority; it is renewed in the same way.
    pub authority: Duration,
    /// Time between the publication of a new authority and its use, and between its use and the
    /// removal of the old one.
    pub overlap: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        let day = Duration::from_hours(24);
        // API servers notice a changed webhook configuration within seconds; an hour also covers
        // one that is restarted from a backup
        Lifetimes { leaf: 30 * day, authority: 365 * day, overlap: Duration::from_hours(1) }
    }
}

/// Two lifetimes that do not fit together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LifetimesError {
    /// Within a third of its lifetime an authority must be published and used, and its predecessor
    /// removed.
    Overlap(Lifetimes),
    /// The certificate would be valid for longer than its authority.
    Leaf(Lifetimes),
}

impl fmt::Display for LifetimesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LifetimesError::Overlap(of) => write!(
                f,
                "an overlap of {:?} does not fit into an authority's {:?}: make it a ninth or less",
                of.overlap, of.authority
            ),
            LifetimesError::Leaf(of) => write!(
                f,
                "a leaf of {:?} outlives its authority of {:?}: make it shorter",
                of.leaf, of.authority
            ),
        }
    }
}

impl std::error::Error for LifetimesError {}

impl Lifetimes {
    /// Checks that the lifetimes leave enough time for the steps of the rotation.
    ///
    /// # Errors
    /// Returns which two lifetimes do not fit, and what to do.
    pub fn checked(self) -> Result<Lifetimes, LifetimesError> {
        if self.overlap * 9 > self.authority {
            return Err(LifetimesError::Overlap(self));
        }
        if self.leaf > self.authority {
            return Err(LifetimesError::Leaf(self));
        }
        Ok(self)
    }
}

/// How the certificate and the trust in it are managed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsSettings {
    /// The source of the certificate.
    pub mode: Mode,
    /// The directory of `tls.crt`, `tls.key` and, if the trust is published, `ca.crt`; unused in
    /// self-managed mode.
    pub directory: PathBuf,
    /// In mode provided: write `ca.crt` into the webhook configuration.
    pub publish: bool,
    /// The namespace of the injector.
    pub namespace: String,
    /// The Service through which API servers call the webhook.
    pub service: String,
    /// More names for the certificate, for webhook configurations with a url.
    pub names: Vec<String>,
    /// The Secret of self-managed certificates.
    pub secret: String,
    /// The name of the MutatingWebhookConfiguration.
    pub configuration: String,
    /// The lifetimes of self-managed certificates.
    pub lifetimes: Lifetimes,
    /// How often the Secret, the files and the webhook configuration are read.
    pub every: Duration,
}
