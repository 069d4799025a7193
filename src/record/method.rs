//! The HTTP methods that OpenTelemetry's semantic conventions define. Unit: one word.

/// The label value and attribute value of every other method.
pub(crate) const OTHER_METHOD: &str = "_OTHER";

/// The most frequent first, because most searches then end early.
const METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE", "QUERY"];

/// Returns the method in upper case if the semantic conventions define it (`http.request.method`),
/// ignoring case.
pub(crate) fn known_method(text: &str) -> Option<&'static str> {
    METHODS.into_iter().find(|known| text.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_defined_methods_are_known() {
        for (text, expected) in [
            ("GET", Some("GET")),
            ("post", Some("POST")),
            ("Query", Some("QUERY")),
            ("PROPFIND", None),
            ("GETS", None),
            ("", None),
        ] {
            assert_eq!(known_method(text), expected, "{text}");
        }
    }
}
