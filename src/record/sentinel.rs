//! Words that replace an id and mean that there is none: `NO_REQUEST`, `no_trace`, `-`. Unit: one
//! value.

/// Returns whether a value means that there is no id.
#[inline]
pub(crate) fn is_sentinel(value: &str) -> bool {
    let is = |name: &str| value.eq_ignore_ascii_case(name);
    match value.as_bytes() {
        [] | [b'-' | b'0' | b'?'] => true,
        // the first byte decides about an id of hexadecimal digits, unless it is a zero
        [b'1'..=b'9', ..] => false,
        [b'n' | b'N', ..] => {
            is("none")
                || is("null")
                || is("nil")
                || is("n/a")
                || is("na")
                || is("nan")
                || (value.len() > 3
                    && (is("no_request")
                        || is("no_request_id")
                        || is("no_trace")
                        || is("no_trace_id")
                        || is("no_span")
                        || is("no_span_id")
                        || is("no_id")
                        || is("no-request")
                        || is("no-request-id")
                        || is("no-trace")
                        || is("no-span")
                        || is("not_set")))
        }
        [b'u' | b'U', ..] => is("undefined") || is("unknown") || is("unset"),
        // all zeros, with or without the dashes of a UUID: W3C's invalid ids
        [b'0', ..] => value.bytes().all(|byte| byte == b'0' || byte == b'-'),
        [b'-', b'-', ..] => value.bytes().all(|byte| byte == b'-'),
        [b'<', ..] => is("<none>") || is("<unknown>"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_absent() {
        for (value, expected) in [
            ("NO_REQUEST", true),
            ("no_trace", true),
            ("no_span", true),
            ("-", true),
            ("--", true),
            ("", true),
            ("None", true),
            ("null", true),
            ("N/A", true),
            ("0", true),
            ("00000000000000000000000000000000", true),
            ("00000000-0000-0000-0000-000000000000", true),
            ("undefined", true),
            ("<none>", true),
            ("0af7651916cd43dd8448eb211c80319c", false),
            ("no_trouble", false),
            ("nancy", false),
            ("-1", false),
            ("req-1", false),
            ("7", false),
        ] {
            assert_eq!(is_sentinel(value), expected, "{value:?}");
        }
    }
}
