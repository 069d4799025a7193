//! Calls a server that answers as an API server does, and one that answers wrongly.

use super::*;

#[test]
fn a_value_of_a_query_is_escaped() {
    assert_eq!(escape("a in (b, c),!d"), "a%20in%20%28b%2C%20c%29%2C%21d");
    assert_eq!(escape("A-z_0.9~"), "A-z_0.9~");
    assert_eq!(escape("\u{e9}"), "%C3%A9");
}

/// Scenario: a review named the namespace `sidelight-system/secrets?x=`, and an Event became a
/// Secret.
#[test]
fn a_segment_stays_one_segment() {
    assert_eq!(path(&["api", "v1", "namespaces", "shop", "pods"]), "/api/v1/namespaces/shop/pods");
    let hostile = path(&["namespaces", "a/secrets?x=#y", "..", "events"]);
    assert_eq!(hostile, "/namespaces/a%2Fsecrets%3Fx%3D%23y/%2E%2E/events");
    assert_eq!(child("/api/v1/secrets", "a/b"), "/api/v1/secrets/a%2Fb");
}

#[test]
fn an_answer_is_json_or_the_error_that_it_says() {
    let ok = read(StatusCode::OK, br#"{"a":1}"#, "/x").expect("JSON");
    assert_eq!(ok["a"], 1);
    assert!(matches!(read(StatusCode::OK, b"<html>", "/x"), Err(Error::Answer(_))));
    let status = br#"{"kind":"Status","reason":"NotFound","message":"pods \"x\" not found"}"#;
    let error = read(StatusCode::NOT_FOUND, status, "/x").expect_err("404");
    assert!(error.is_not_found() && !error.is_conflict() && !error.is_forbidden());
    assert_eq!(error.to_string(), "the Kubernetes API said 404 NotFound: pods \"x\" not found");
    let gateway = read(StatusCode::BAD_GATEWAY, b"no backend", "/x").expect_err("502");
    assert_eq!(gateway.to_string(), "the Kubernetes API said 502: no backend");
    for (code, conflict, forbidden) in
        [(409, true, false), (422, true, false), (403, false, true), (401, false, true)]
    {
        let error = Error::Status { code, reason: String::new(), message: String::new() };
        assert_eq!((error.is_conflict(), error.is_forbidden()), (conflict, forbidden), "{code}");
    }
}
