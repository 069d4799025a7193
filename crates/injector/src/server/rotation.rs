//! Decides when a certificate is created and when trust is added or removed. It does no I/O: the
//! contents of the Secret and the time since its publication go in, the next contents come out. A
//! certificate is only served while the published bundle contains its authority: a new authority is
//! published first, signs after the overlap, and its predecessor is removed after another overlap.
//! Unit: one step.

use super::certificate::{
    Error, Pair, Validity, authority, certificates, first, leaf, pem, validity, verify,
};
use super::serving::certified;
use super::settings::Lifetimes;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use rustls::pki_types::CertificateDer;
use sidelight::clock::UnixNanos;
use std::collections::BTreeMap;
use std::time::Duration;

/// Number of authorities in one bundle: the newest and the one that it replaces. Only a Secret that
/// was written by hand has more.
const AUTHORITIES_MAX: usize = 4;

/// The contents of the Secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Material {
    /// The certificate that is served.
    pub leaf: Pair,
    /// The authorities that API servers must trust, the newest first.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The private key of the newest authority.
    pub authority_key: String,
}

/// A step of the rotation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// There is nothing usable: create an authority and a certificate.
    First,
    /// Create a new certificate from the same authority.
    Leaf,
    /// Create a new authority, and publish it together with the old one.
    Authority,
    /// Create a certificate from the new authority.
    Switch,
    /// Stop publishing the old authority.
    Drop,
}

/// The inputs of a decision.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The wall-clock time.
    pub now: UnixNanos,
    /// How long the webhook configuration has contained the Secret's bundle without interruption;
    /// `None` while it does not.
    pub published: Option<Duration>,
    /// The names in the certificate; API servers use the first.
    pub names: &'a [String],
    /// The lifetimes of certificates and of the overlap.
    pub lifetimes: Lifetimes,
}

impl Material {
    /// Reads the contents of a Secret; `None` unless it has a chain with its key, and authorities.
    pub fn read(secret: &Secret) -> Option<Material> {
        let field = |name: &str| text(secret, name);
        let leaf = Pair { certificate: field("tls.crt")?, key: field("tls.key")? };
        certified(&leaf).ok()?;
        let authorities = authorities(secret);
        let authority_key = field("ca.key")?;
        (!authorities.is_empty()).then_some(Material { leaf, authorities, authority_key })
    }

    /// Returns the `data` of the Secret.
    pub fn data(&self) -> BTreeMap<String, ByteString> {
        let bundle = self.bundle();
        [
            ("tls.crt", &self.leaf.certificate),
            ("tls.key", &self.leaf.key),
            ("ca.crt", &bundle),
            ("ca.key", &self.authority_key),
        ]
        .map(|(name, text)| (name.to_owned(), ByteString(text.clone().into_bytes())))
        .into()
    }

    /// Returns the authorities that API servers must trust, as PEM.
    pub fn bundle(&self) -> String {
        self.authorities.iter().map(pem).collect()
    }

    /// Returns the validity of the served certificate.
    pub fn served(&self) -> Option<Validity> {
        validity(&first(&self.leaf.certificate)?)
    }

    fn is_signed_by(&self, authorities: &[CertificateDer<'static>], name: &str) -> bool {
        // verify at its creation time; expiry is checked separately
        let Some(created) = self.served().map(Validity::created) else { return false };
        verify(&certificates(&self.leaf.certificate), authorities, name, created).is_ok()
    }
}

/// Returns the authorities of a Secret, even if the rest of it is unusable.
pub fn authorities(secret: &Secret) -> Vec<CertificateDer<'static>> {
    let mut found = certificates(&text(secret, "ca.crt").unwrap_or_default());
    found.truncate(AUTHORITIES_MAX);
    found
}

fn text(secret: &Secret, name: &str) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(name)?.0.clone()).ok()
}

/// Returns the step that is due now, if any.
pub fn next(material: Option<&Material>, at: Moment<'_>) -> Option<Step> {
    let Moment { now, published, names, lifetimes } = at;
    let Some(held) = material else { return Some(Step::First) };
    let (Some(served), Some(newest)) =
        (held.served(), held.authorities.first().and_then(|der| validity(der)))
    else {
        return Some(Step::First);
    };
    let name = names.first().map(String::as_str).unwrap_or_default();
    if newest.left(now).is_zero() || !held.is_signed_by(&held.authorities, name) {
        return Some(Step::First);
    }
    let is_over = served.left(now).is_zero();
    if !held.is_signed_by(&held.authorities[..1], name) {
        let known = published.is_some_and(|published| published >= lifetimes.overlap);
        return (known || is_over).then_some(Step::Switch);
    }
    let is_due = served.left(now) <= lifetimes.leaf / 3 && newest.left(now) > served.left(now);
    if is_due || !names.iter().all(|name| held.is_signed_by(&held.authorities[..1], name)) {
        return Some(Step::Leaf);
    }
    if held.authorities.len() > 1 {
        let in_use = now.since(served.created()) >= lifetimes.overlap && published.is_some();
        return in_use.then_some(Step::Drop);
    }
    (newest.left(now) <= lifetimes.authority / 3).then_some(Step::Authority)
}

/// Returns the contents of the Secret after a step. `old` are authorities to keep trusting if
/// everything is created anew.
///
/// # Errors
/// Fails if a certificate cannot be created.
pub fn take(
    step: Step,
    material: Option<&Material>,
    old: &[CertificateDer<'static>],
    at: Moment<'_>,
) -> Result<Material, Error> {
    let Moment { now, names, lifetimes, .. } = at;
    let held = || material.cloned().ok_or(Error::NoPredecessor);
    match step {
        Step::First => {
            let new = authority(now, lifetimes.authority)?;
            let alive = |der: &&CertificateDer<'_>| {
                validity(der).is_some_and(|validity| !validity.left(now).is_zero())
            };
            let mut authorities = certificates(&new.certificate);
            // other replicas may still serve certificates that these authorities signed
            authorities.extend(old.iter().filter(alive).take(AUTHORITIES_MAX - 1).cloned());
            let leaf = leaf(names, &new, now, lifetimes.leaf)?;
            Ok(Material { leaf, authorities, authority_key: new.key })
        }
        Step::Leaf | Step::Switch => {
            let mut held = held()?;
            let newest = held.authorities.first().map(pem).unwrap_or_default();
            let by = Pair { certificate: newest, key: held.authority_key.clone() };
            held.leaf = leaf(names, &by, now, lifetimes.leaf)?;
            let name = names.first().map(String::as_str).unwrap_or_default();
            if !held.is_signed_by(&held.authorities[..1], name) {
                // the key does not belong to its authority, which can therefore sign nothing
                return take(Step::First, None, &held.authorities, at);
            }
            Ok(held)
        }
        Step::Authority => {
            let mut held = held()?;
            let new = authority(now, lifetimes.authority)?;
            held.authorities.splice(0..0, certificates(&new.certificate));
            held.authorities.truncate(AUTHORITIES_MAX);
            held.authority_key = new.key;
            Ok(held)
        }
        Step::Drop => {
            let mut held = held()?;
            held.authorities.truncate(1);
            Ok(held)
        }
    }
}

#[cfg(test)]
mod tests;
