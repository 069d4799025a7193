//! Names of objects, validated when they are parsed, so that an invalid name never reaches a URL,
//! an Event or a log. Unit: one name.

use std::fmt;

/// A name of a namespace: a DNS label of RFC 1123.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Label(String);

/// A name of most objects: DNS labels with dots between them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Name(String);

/// Maximum characters of a label.
const LABEL_CHARACTERS_MAX: usize = 63;

/// Maximum characters of a name.
const NAME_CHARACTERS_MAX: usize = 253;

impl Label {
    /// Parses a label; `None` if the text is invalid.
    pub fn parse(text: &str) -> Option<Label> {
        is_label(text).then(|| Label(text.to_owned()))
    }

    /// Returns the text of the label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Name {
    /// Parses a name; `None` if the text is invalid.
    pub fn parse(text: &str) -> Option<Name> {
        is_name(text).then(|| Name(text.to_owned()))
    }

    /// Returns the text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns whether a text is a DNS label: 1 to 63 small letters, digits and dashes, no dash at an
/// end.
pub fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LABEL_CHARACTERS_MAX).contains(&text.len())
        && text.bytes().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Returns whether a text is a DNS subdomain: labels with dots between them, at most 253
/// characters.
pub fn is_name(text: &str) -> bool {
    text.len() <= NAME_CHARACTERS_MAX && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_name() {
        let longest = "a".repeat(63);
        for (text, label, name) in [
            ("default", true, true),
            ("a", true, true),
            ("0-9", true, true),
            (longest.as_str(), true, true),
            ("a.b", false, true),
            ("", false, false),
            ("-a", false, false),
            ("a-", false, false),
            ("A", false, false),
            ("a.", false, false),
            (".", false, false),
            ("..", false, false),
            ("a..b", false, false),
            ("a/b", false, false),
            ("kube-system/secrets?x=", false, false),
            ("a%2fb", false, false),
            ("a\n", false, false),
            ("\u{e9}", false, false),
        ] {
            assert_eq!(
                (Label::parse(text).is_some(), Name::parse(text).is_some()),
                (label, name),
                "{text}"
            );
        }
        assert!(!is_label(&"a".repeat(64)));
        assert!(is_name(&vec!["a"; 127].join(".")));
        assert!(!is_name(&vec!["a"; 128].join(".")));
    }
}
