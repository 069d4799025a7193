//! When a certificate is made and when trust is given or taken away. Pure: what stands in the Secret and how
//! long it has been published go in, the next Secret comes out. At no moment is a certificate served that the
//! published bundle does not carry: a new authority is published first, signs after the overlap, and its
//! predecessor goes after another. Unit: one step.

use super::certificate::{
    Pair, Validity, authority, believed, certificates, first, leaf, pem, validity,
};
use super::serving::certified;
use super::settings::Lifetimes;
use crate::kube::base64;
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use sidelight::clock::UnixNanos;
use std::time::Duration;

/// Authorities of one bundle: the newest and one that it relieves. More come only from a Secret written by
/// hand.
const AUTHORITIES_MAX: usize = 4;

/// What the Secret holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Material {
    /// What is served.
    pub leaf: Pair,
    /// Whom API servers shall believe; the newest first.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The key of the newest.
    pub authority_key: String,
}

/// A step of the rotation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// There is nothing of use: an authority and a certificate.
    First,
    /// A new certificate of the same authority.
    Leaf,
    /// A new authority, published beside the old.
    Authority,
    /// A certificate of the new authority.
    Switch,
    /// The old authority is published no longer.
    Drop,
}

/// What a step is decided by.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Wall-clock time.
    pub now: UnixNanos,
    /// How long the Secret's bundle has been in the webhook configuration without a break; None while it is
    /// not.
    pub published: Option<Duration>,
    /// The names to serve; the first is the one that API servers call.
    pub names: &'a [String],
    /// How long things live.
    pub lifetimes: Lifetimes,
}

impl Material {
    /// What a Secret holds, if it is whole: a chain with its key, and authorities.
    pub fn read(secret: &Value) -> Option<Material> {
        let field = |name: &str| {
            let bytes = base64::decode(secret["data"][name].as_str()?)?;
            String::from_utf8(bytes).ok()
        };
        let leaf = Pair { certificate: field("tls.crt")?, key: field("tls.key")? };
        certified(&leaf).ok()?;
        let authorities = authorities(secret);
        let authority_key = field("ca.key")?;
        (!authorities.is_empty()).then_some(Material { leaf, authorities, authority_key })
    }

    /// The Secret's `data`.
    pub fn data(&self) -> Value {
        let coded = |text: &str| Value::String(base64::encode(text.as_bytes()));
        json!({
            "tls.crt": coded(&self.leaf.certificate),
            "tls.key": coded(&self.leaf.key),
            "ca.crt": coded(&self.bundle()),
            "ca.key": coded(&self.authority_key),
        })
    }

    /// Whom API servers shall believe, PEM.
    pub fn bundle(&self) -> String {
        self.authorities.iter().map(pem).collect()
    }

    /// The time of the certificate that is served.
    pub fn served(&self) -> Option<Validity> {
        validity(&first(&self.leaf.certificate)?)
    }

    fn is_signed_by(&self, authorities: &[CertificateDer<'static>], name: &str) -> bool {
        // at the time at which it was made: that it is over is another question
        let Some(made) = self.served().map(Validity::made) else { return false };
        believed(&certificates(&self.leaf.certificate), authorities, name, made).is_ok()
    }
}

/// The authorities of a Secret, also where the rest of it is of no use.
pub fn authorities(secret: &Value) -> Vec<CertificateDer<'static>> {
    let coded = secret["data"]["ca.crt"].as_str().unwrap_or_default();
    let text = base64::decode(coded).and_then(|bytes| String::from_utf8(bytes).ok());
    let mut found = certificates(&text.unwrap_or_default());
    found.truncate(AUTHORITIES_MAX);
    found
}

/// What is to be done now, if anything.
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
        let in_use = now.since(served.made()) >= lifetimes.overlap && published.is_some();
        return in_use.then_some(Step::Drop);
    }
    (newest.left(now) <= lifetimes.authority / 3).then_some(Step::Authority)
}

/// The Secret after a step. `old` are authorities to go on believing when everything is made anew.
///
/// # Errors
/// When nothing can be made of what there is.
pub fn take(
    step: Step,
    material: Option<&Material>,
    old: &[CertificateDer<'static>],
    at: Moment<'_>,
) -> Result<Material, String> {
    let Moment { now, names, lifetimes, .. } = at;
    let held = || material.cloned().ok_or("there is nothing to go on from");
    match step {
        Step::First => {
            let new = authority(now, lifetimes.authority)?;
            let alive = |der: &&CertificateDer<'_>| {
                validity(der).is_some_and(|validity| !validity.left(now).is_zero())
            };
            let mut authorities = certificates(&new.certificate);
            // other replicas may still serve what these signed
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
                // a key that is not its authority's: nothing can be signed any more
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
