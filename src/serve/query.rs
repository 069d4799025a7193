//! Parses query strings, as far as the admin port needs them.

use crate::encoding::percent_decoded;

/// Returns the decoded pairs of a query. A pair without `=` has an empty value.
pub fn pairs(query: Option<&str>) -> impl Iterator<Item = (String, String)> {
    query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// Returns whether a switch is on: it has no value, or a value that does not mean no.
pub fn switch(query: Option<&str>, name: &str) -> bool {
    pairs(query).any(|(key, value)| key == name && !matches!(value.as_str(), "0" | "false" | "no"))
}

/// Decodes a name or value of a query, in which `+` is a space.
fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    String::from_utf8_lossy(&percent_decoded(spaced.as_bytes())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_taken_apart() {
        for (query, expected) in [
            (None, ""),
            (Some(""), ""),
            (Some("verbose"), "verbose=;"),
            (Some("exclude=a&exclude=b%20c&&x=1+2"), "exclude=a;exclude=b c;x=1 2;"),
            (Some("a=%zz%4"), "a=%zz%4;"),
            (Some("a=b=c"), "a=b=c;"),
        ] {
            let found: Vec<String> =
                pairs(query).map(|(name, value)| format!("{name}={value};")).collect();
            assert_eq!(found.concat(), expected, "{query:?}");
        }
    }

    #[test]
    fn a_switch_is_on_unless_it_says_no() {
        for (query, expected) in [
            ("created=1", true),
            ("created", true),
            ("created=true", true),
            ("created=0", false),
            ("created=false", false),
            ("other", false),
        ] {
            assert_eq!(switch(Some(query), "created"), expected, "{query}");
        }
    }
}
