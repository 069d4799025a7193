//! The texts of errors, which say what to do, and names, which become parts of URLs.

use super::*;
use kube::core::Status;
use std::error::Error as _;

fn refusal(code: u16, reason: &str, message: &str) -> Error {
    let status = Status {
        code,
        reason: reason.to_owned(),
        message: message.to_owned(),
        ..Status::default()
    };
    Error::Call { what: "get".to_owned(), source: kube::Error::Api(status.boxed()) }
}

#[test]
fn an_error_says_what_the_api_server_said() {
    let error = refusal(404, "NotFound", "pods \"x\" not found");
    assert!(error.is_not_found() && !error.is_conflict() && !error.is_forbidden());
    assert_eq!(error.to_string(), "the Kubernetes API said 404 NotFound: pods \"x\" not found");
    assert!(error.source().is_some());
    assert_eq!(
        refusal(502, "", "no backend").to_string(),
        "the Kubernetes API said 502: no backend"
    );
    for (code, conflict, forbidden) in
        [(409, true, false), (422, true, false), (403, false, true), (401, false, true)]
    {
        let error = refusal(code, "", "");
        assert_eq!((error.is_conflict(), error.is_forbidden()), (conflict, forbidden), "{code}");
    }
}

/// Scenario: a review named the namespace `sidelight-system/secrets?x=`, and an Event became a
/// Secret. The `kube` crate puts a name into a URL as it is.
#[test]
fn a_name_that_would_change_the_url_is_refused() {
    let pods = ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&());
    let path = url_path(&pods, Some("shop")).expect("a namespace");
    assert_eq!(path, "/api/v1/namespaces/shop/pods");
    for hostile in ["", "..", "a/secrets?x=#y", "a%2fb", "A"] {
        assert!(matches!(url_path(&pods, Some(hostile)), Err(Error::Name(_))), "{hostile}");
    }
}
