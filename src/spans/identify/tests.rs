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
        ("4bf92f35-77b3-4da6-a3ce-929d0e0e473z", "0b95de9aaf04d5df963376c7155a0982"),
        ("a3ce929d0e0e4736", "0000000000000000a3ce929d0e0e4736"),
        ("1234567890123456", "00000000000000001234567890123456"),
        ("18446744073709551615", "0000000000000000ffffffffffffffff"),
        ("18446744073709551616", "8b292fc2d32f1fd491784610c61b90dc"),
        ("11803532876627986230", "0000000000000000a3ce929d0e0e4736"),
        ("1-5759e988-bd862e3fe1be46a994272793", "5759e988bd862e3fe1be46a994272793"),
        (
            "projects/shop/traces/4bf92f3577b34da6a3ce929d0e0e4736",
            "4bf92f3577b34da6a3ce929d0e0e4736",
        ),
        ("REQ123", "00b45680cdd4a41c31931e2d556854d0"),
        ("req-abc", "406f654f5a0648103cd8404d10f8be08"),
        ("\u{e9}t\u{e9}", "bd010c64132bf5cae8aea89f67625157"),
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
    assert_eq!(request_id("NO_REQUEST", &PodScope::default()), None);
    let (digest, _) = trace_id("req-7").expect("an id");
    assert_eq!(
        request_id("req-7", &PodScope::default()),
        Some(digest),
        "a request id is found under the same trace id"
    );
    assert_ne!(
        request_id("7", &PodScope::default()).map(|id| id.to_bytes()[..8].to_vec()),
        Some(vec![0; 8])
    );
    let uuid =
        request_id("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", &PodScope::default()).expect("an id");
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
        PodScope::of(&Resource { service_name: "shop".to_owned(), attributes })
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
        let ids = [&PodScope::default(), &one, &other, &named]
            .map(|pod| request_id(id, pod).expect("an id"));
        for (index, first) in ids.iter().enumerate() {
            for second in &ids[index + 1..] {
                assert_eq!(first != second, is_short, "{id}");
            }
        }
    }
    assert_eq!(request_id("2", &home("k8s.node.name", "n")), request_id("2", &PodScope::default()));
}

/// Scenario: a user computes ids with the commands of `docs/traces.md`. Guarantees: each command
/// prints what the page says, which is the id that the code makes.
#[test]
fn the_commands_of_the_page_compute_the_ids() {
    let page = include_str!("../../../docs/traces.md");
    let uid = "0f5a3c6e-8f1d-4b7a-9a43-0a4f4e1d2c3b".to_owned();
    let attributes = vec![("k8s.pod.uid".to_owned(), uid)];
    let pod = PodScope::of(&Resource { service_name: "shop".to_owned(), attributes });
    let made = |text: &str, pod: &PodScope| request_id(text, pod).expect("an id");
    let named = |text: &str| trace_id(text).expect("an id").0.to_string();
    let anywhere = &PodScope::default();
    let mut expected = [
        made("checkout-REQ123", anywhere).to_string(),
        made("2", &pod).to_string(),
        made("4BF92F35-77B3-4DA6-A3CE-929D0E0E4736", anywhere).to_string(),
        named("11803532876627986230"),
        server_span_id(made("checkout-REQ123", anywhere), "shop").to_string(),
        span_id("charge-step-7").expect("an id").0.to_string(),
    ]
    .into_iter();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("$ ") else { continue };
        let shell = std::process::Command::new("sh").args(["-c", command]).output();
        let printed = shell.expect("a shell").stdout;
        let printed = String::from_utf8(printed).expect("hexadecimal digits");
        assert_eq!(Some(printed.trim()), lines.next(), "{command}");
        assert_eq!(Some(printed.trim()), expected.next().as_deref(), "{command}");
    }
    assert_eq!(expected.next(), None, "the page has a command for each id");
}

proptest! {
    /// Guarantees: no text panics or gives an id of all zeros, and the case of hex digits does not
    /// matter.
    #[test]
    fn property_ids_are_valid(text in "([0-9a-fA-F-]{0,40}|.{0,60})") {
        if let Some((id, _)) = trace_id(&text) {
            prop_assert_ne!(id, TraceId::INVALID);
        }
        if let Some(id) = request_id(&text, &PodScope::default()) {
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
