//! Parses query strings, as far as the admin port needs them.

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

/// Decodes percent encoding; keeps a `%` that is not part of a valid sequence.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
        match (bytes[at], hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (b'+', _, _) => {
                out.push(b' ');
                at += 1;
            }
            (byte, _, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
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
