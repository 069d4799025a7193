//! Tests with ids as applications write them, and the ids derived from them.

use super::*;
use proptest::prelude::*;

fn check(text: &str, expected: &str) {
    let found = trace_id(text).map_or(String::new(), |(id, _)| id.to_string());
    assert_eq!(found, expected, "{text:?}");
}

/// Users look up requests by these ids, so the expected values must never change.
#[test]
fn trace_ids() {
    for (text, expected) in [
        ("4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("4BF92F3577B34DA6A3CE929D0E0E4736", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("  [4bf92f3577b34da6a3ce929d0e0e4736] ", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("4bf92f35-77b3-4da6-a3ce-929d0e0e473z", "975f15e2b3f3d1c4e4549585980445c2"),
        ("a3ce929d0e0e4736", "0000000000000000a3ce929d0e0e4736"),
        ("1234567890123456", "00000000000000001234567890123456"),
        ("18446744073709551615", "0000000000000000ffffffffffffffff"),
        ("18446744073709551616", "6a00140112ebab75e3ece5dbfda9113a"),
        ("11803532876627986230", "0000000000000000a3ce929d0e0e4736"),
        ("1-5759e988-bd862e3fe1be46a994272793", "5759e988bd862e3fe1be46a994272793"),
        (
            "projects/shop/traces/4bf92f3577b34da6a3ce929d0e0e4736",
            "4bf92f3577b34da6a3ce929d0e0e4736",
        ),
        ("REQ123", "8591b701b8f997a9a15b1ec621f88025"),
        ("req-abc", "93acea18f1c0069cb0f1425783490fdb"),
        ("\u{e9}t\u{e9}", "deaf6a1e9612a4d8c221e68ee23d58d2"),
        ("", ""),
        ("-", ""),
        ("None", ""),
        ("NULL", ""),
        ("no_trace", ""),
        ("NO_REQUEST", ""),
        ("0", ""),
        ("0000000000000000", ""),
        ("00000000000000000000000000000000", ""),
        ("00000000-0000-0000-0000-000000000000", ""),
        ("projects/shop/traces/", ""),
    ] {
        check(text, expected);
    }
    check(&"x".repeat(ID_BYTES_MAX + 1), "");
}

/// A short number would be a poor trace id, so a request id is hashed.
#[test]
fn request_ids() {
    assert_eq!(request_id("NO_REQUEST", Home::default()), None);
    let (digest, _) = trace_id("req-7").expect("an id");
    assert_eq!(
        request_id("req-7", Home::default()),
        Some(digest),
        "a request id is found under the same trace id"
    );
    assert_ne!(
        request_id("7", Home::default()).map(|id| id.to_bytes()[..8].to_vec()),
        Some(vec![0; 8])
    );
    let uuid = request_id("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", Home::default()).expect("an id");
    assert_eq!(uuid.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[test]
fn span_ids() {
    for (text, expected) in [
        ("00f067aa0ba902b7", Some(("00f067aa0ba902b7", Origin::Tracer))),
        ("00F067AA0BA902B7", Some(("00f067aa0ba902b7", Origin::Tracer))),
        ("11803532876627986230", Some(("a3ce929d0e0e4736", Origin::Tracer))),
        ("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", Some(("4bf92f3577b34da6", Origin::Made))),
        ("no_span", None),
        ("0000000000000000", None),
        ("0", None),
        ("None", None),
    ] {
        let found = span_id(text).map(|(id, origin)| (id.to_string(), origin));
        let expected = expected.map(|(id, origin)| (id.to_owned(), origin));
        assert_eq!(found, expected, "{text:?}");
    }
}

#[test]
fn traceparents() {
    let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let header = traceparent(text).expect("the example of the specification");
    assert_eq!(header.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(header.parent_id.to_string(), "00f067aa0ba902b7");
    assert!(header.sampled);
    assert!(!traceparent(&text.replace("-01", "-00")).expect("valid").sampled);
    assert!(traceparent(&format!("cc{}-later", &text[2..])).is_some(), "a later version");
    for damaged in [
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473x-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        "00",
        "\u{e9}\u{e9}",
    ] {
        assert_eq!(traceparent(damaged), None, "{damaged:?}");
    }
}

#[test]
fn flags() {
    for (text, expected) in
        [("00", true), ("01", false), ("0", true), ("False", true), ("true", false), ("", false)]
    {
        assert_eq!(unsampled(text), expected, "{text:?}");
    }
}

/// Guarantees: a counter of one pod differs from that of another pod, and is always the same within
/// one pod. A unique id is the same everywhere, and so is every id if no pod is known.
#[test]
fn short_request_ids_belong_to_their_pod() {
    let home = |key: &str, pod: &str| {
        let attributes = vec![(key.to_owned(), pod.to_owned())];
        Home::of(&Resource { service_name: "shop".to_owned(), attributes })
    };
    let (one, other, named) =
        (home("k8s.pod.uid", "u-1"), home("k8s.pod.uid", "u-2"), home("k8s.pod.name", "shop-x"));
    for (id, is_short) in [
        ("2", true),
        ("1234567", true),
        ("1767322445123", true),
        ("REQ123", true),
        ("req-\u{e9}\u{e9}-7", true),
        ("a1b2c3d4", false),
        ("REQ-00012345", false),
        ("a3ce929d0e0e4736", false),
        ("1234567890123456", false),
        ("18446744073709551615", false),
        ("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", false),
    ] {
        let ids =
            [Home::default(), one, other, named].map(|home| request_id(id, home).expect("an id"));
        for (index, first) in ids.iter().enumerate() {
            for second in &ids[index + 1..] {
                assert_eq!(first != second, is_short, "{id}");
            }
        }
    }
    // printf %s 2 | md5sum, XOR printf %s 'shop u-1' | md5sum
    let expected = u128::from_be_bytes(md5(b"2")) ^ u128::from_be_bytes(md5(b"shop u-1"));
    assert_eq!(request_id("2", one).map(TraceId::to_bytes), Some(expected.to_be_bytes()));
    assert_eq!(home("k8s.node.name", "n"), Home::default());
}

proptest! {
    /// Guarantees: no text panics or gives an id of all zeros, and the case of hex digits does not
    /// matter.
    #[test]
    fn property_ids_are_valid(text in "([0-9a-fA-F-]{0,40}|.{0,60})") {
        if let Some((id, _)) = trace_id(&text) {
            prop_assert_ne!(id, TraceId::INVALID);
        }
        if let Some(id) = request_id(&text, Home::default()) {
            prop_assert_ne!(id, TraceId::INVALID);
        }
        if let Some((id, _)) = span_id(&text) {
            prop_assert_ne!(id, SpanId::INVALID);
        }
        let _ = traceparent(&text);
        let _ = unsampled(&text);
    }

    /// Guarantees: all spellings of the same 128 bits give the same trace.
    #[test]
    fn property_spellings_agree(bits in 1u128..) {
        let hex = format!("{bits:032x}");
        let dashed =
            [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        for text in [hex.clone(), hex.to_uppercase(), dashed.clone(), dashed.to_uppercase()] {
            prop_assert_eq!(trace_id(&text).map(|(id, _)| id.to_string()), Some(hex.clone()));
        }
        let short = bits as u64;
        let by_number = trace_id(&short.to_string()).map(|(id, _)| id);
        if short.to_string().len() != 16 && short != 0 {
            prop_assert_eq!(by_number, trace_id(&format!("{short:016x}")).map(|(id, _)| id));
        }
    }

    /// Guarantees: span ids of different work differ.
    #[test]
    fn property_mix_tells_apart(a in ".{0,20}", b in ".{0,20}", trace in 1u128..) {
        let mix = Mix::of(TraceId::from_bytes(trace.to_be_bytes()));
        prop_assert_eq!(mix.text(&a).span_id() == mix.text(&b).span_id(), a == b);
        prop_assert_ne!(mix.text(&a).text(&b).value(), mix.text(&format!("{a}{b}")).value());
    }
}

/// Guarantees: names of functions and classes are kept, and ids in their place are recognized.
#[test]
fn a_name_is_no_id() {
    for name in [
        "get_user",
        "add2",
        "http2.read_frame3",
        "shop.cart.Cart.add",
        "utf8mb4",
        "sha256",
        "k8s_sync",
        "java.lang.IllegalStateException",
        "deadbeef",
        "handle<u64>",
        "NotFoundError404",
        "_",
    ] {
        assert!(!is_id(name), "{name}");
    }
    for id in [
        "a3f2a1b9c4d5",
        "sk_live_51H8xQ2",
        "e5566036416eeb921f3fe10b",
        "f2a1b9c",
        "user4711",
        "shop.V1StGXR8Z5jdHi6B",
        "x9x7k",
    ] {
        assert!(is_id(id), "{id}");
    }
}
