//! Parses names of images, and answers of registries.

use super::http::joined;
use super::image::Image;
use super::{Platform, of_platform, token_url};
use serde_json::json;

#[test]
fn names_of_images() {
    for (text, host, name, reference, scheme) in [
        ("nginx", "registry-1.docker.io", "library/nginx", "latest", "https"),
        ("nginx:1.27", "registry-1.docker.io", "library/nginx", "1.27", "https"),
        ("docker.io/a/b", "registry-1.docker.io", "a/b", "latest", "https"),
        ("a/b:c", "registry-1.docker.io", "a/b", "c", "https"),
        ("ghcr.io/a/b@sha256:0f", "ghcr.io", "a/b", "sha256:0f", "https"),
        ("ghcr.io/a/b:1@sha256:0f", "ghcr.io", "a/b", "sha256:0f", "https"),
        ("localhost:5000/x:1", "localhost:5000", "x", "1", "http"),
        ("localhost/x", "localhost", "x", "latest", "http"),
        ("127.0.0.1:5000/x/y", "127.0.0.1:5000", "x/y", "latest", "http"),
        ("[::1]:5000/x", "[::1]:5000", "x", "latest", "http"),
        ("10.0.0.1:5000/x", "10.0.0.1:5000", "x", "latest", "https"),
        ("localhost.example.com/x", "localhost.example.com", "x", "latest", "https"),
    ] {
        let image = Image::parse(text).expect(text);
        assert_eq!((image.host.as_str(), image.name.as_str()), (host, name), "{text}");
        assert_eq!((image.reference.as_str(), image.scheme()), (reference, scheme), "{text}");
    }
    for text in ["", "a//b", "a/../b", "nginx:", "nginx@", "a b", "a?x=1", "/x", "x#y"] {
        assert!(Image::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_challenge_says_where_the_token_is() {
    for (challenge, expected) in [
        (
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull""#,
            Some(
                "https://auth.docker.io/token?service=registry.docker.io&scope=repository:a/b:pull",
            ),
        ),
        (r#"bearer realm="http://x/t?a=1", service="s p""#, Some("http://x/t?a=1&service=s%20p")),
        (r#"Bearer realm="http://x/t",error="invalid_token""#, Some("http://x/t?")),
        ("Bearer realm=http://x/t,service=s", Some("http://x/t?service=s")),
        (r#"Basic realm="x""#, None),
        (r#"Bearer service="x""#, None),
        (r#"Bearer realm="x"#, None),
        ("", None),
    ] {
        assert_eq!(token_url(challenge).as_deref(), expected, "{challenge}");
    }
}

#[test]
fn the_platform_chooses() {
    let built = json!([
        {"digest": "sha256:a", "platform": {"os": "linux", "architecture": "arm64"}},
        {"digest": "sha256:b", "platform": {"os": "windows", "architecture": "amd64"}},
        {"digest": "sha256:c", "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": "sha256:d", "platform": {"os": "unknown", "architecture": "unknown"}},
    ]);
    let built = built.as_array().expect("a list");
    let platform =
        |architecture: &str| Platform { os: "linux".into(), architecture: architecture.into() };
    assert_eq!(of_platform(built, &platform("amd64")), Some("sha256:c"));
    assert_eq!(of_platform(built, &platform("s390x")), None);
    assert_eq!(of_platform(&[json!({"digest": "sha256:e"})], &platform("amd64")), Some("sha256:e"));
    assert_eq!(of_platform(&built[..1], &platform("amd64")), None);
}

#[test]
fn a_redirection_never_leaves_tls() {
    let from = "https://a/v2/x".parse().expect("an address");
    for (location, expected) in [
        ("https://b/y?z=1", Some("https://b/y?z=1")),
        ("/y?z", Some("https://a/y?z")),
        ("http://b/y", None),
    ] {
        assert_eq!(
            joined(&from, location).map(|uri| uri.to_string()).as_deref(),
            expected,
            "{location}"
        );
    }
}
