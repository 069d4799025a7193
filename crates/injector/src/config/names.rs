//! Parses names of Kubernetes. Unit: one name.

use crate::name::{is_label, is_name};
use sidelight::config::units::Refused;

/// Parses the name of a namespace or a revision.
pub(super) fn label(text: &str) -> Result<String, Refused> {
    let hint = "small letters, digits and dashes, at most 63";
    if is_label(text) {
        Ok(text.to_owned())
    } else {
        Err(Refused::new(format!("`{text}` is not a valid name"), hint))
    }
}

/// Parses the name of a Secret.
pub(super) fn name(text: &str) -> Result<String, Refused> {
    let hint = "small letters, digits, dashes and dots";
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        Err(Refused::new(format!("`{text}` is not a valid name"), hint))
    }
}

/// Parses a key in the data of a Secret.
pub(super) fn secret_key(text: &str) -> Result<String, Refused> {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if (1..=253).contains(&text.len()) && text.bytes().all(part) {
        return Ok(text.to_owned());
    }
    let hint = "letters, digits, dashes, dots and underscores";
    Err(Refused::new(format!("`{text}` is not a valid key of a Secret"), hint))
}
