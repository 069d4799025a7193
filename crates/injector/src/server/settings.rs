//! What the installer says about the injector itself; what it puts into pods is `inject::policy`. Unit: one
//! process.

use std::path::PathBuf;
use std::time::Duration;

/// Where the serving certificate comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Made here, kept in a Secret, its trust written into the webhook configuration.
    SelfManaged,
    /// Files that cert-manager renews; its cainjector writes the trust.
    CertManager,
    /// Files of somebody else's.
    Provided,
}

/// How long certificates live, and how long old and new trust stand side by side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// A serving certificate; renewed when a third of it is left.
    pub leaf: Duration,
    /// An authority; the same.
    pub authority: Duration,
    /// Between the publication of a new authority and its use, and between that and the end of the old.
    pub overlap: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        let day = Duration::from_hours(24);
        // API servers hear of a changed webhook configuration within seconds; an hour outlasts one that is
        // restarted from a backup
        Lifetimes { leaf: 30 * day, authority: 365 * day, overlap: Duration::from_hours(1) }
    }
}

impl Lifetimes {
    /// Checks that rotation has room for its steps.
    ///
    /// # Errors
    /// Which two do not fit, and what to do.
    pub fn checked(self) -> Result<Lifetimes, String> {
        // within a third of its life an authority must be published, used, and its predecessor forgotten
        if self.overlap * 9 > self.authority {
            return Err(format!(
                "an overlap of {:?} does not fit into an authority's {:?}: make it a ninth or less",
                self.overlap, self.authority
            ));
        }
        if self.leaf > self.authority {
            return Err(format!(
                "a leaf of {:?} outlives its authority of {:?}: make it shorter",
                self.leaf, self.authority
            ));
        }
        Ok(self)
    }
}

/// How the certificate and its trust are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsSettings {
    /// Where it comes from.
    pub mode: Mode,
    /// `tls.crt`, `tls.key` and, where the trust is published, `ca.crt`; not for self-managed.
    pub directory: PathBuf,
    /// In mode provided: write `ca.crt` into the webhook configuration.
    pub publish: bool,
    /// The namespace of the injector.
    pub namespace: String,
    /// The Service through which API servers call.
    pub service: String,
    /// Names beside the Service's, for webhook configurations with a url.
    pub names: Vec<String>,
    /// The Secret of self-managed certificates.
    pub secret: String,
    /// The MutatingWebhookConfiguration.
    pub configuration: String,
    /// How long certificates live.
    pub lifetimes: Lifetimes,
    /// How often the Secret, the files and the webhook configuration are looked at.
    pub every: Duration,
}
