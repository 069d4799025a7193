//! The client of the API server against the server of the tests: pages, refusals, limits.

use crate::api::Api;
use crate::replica::until;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{ApiResource, ListParams, PartialObjectMeta, PostParams};
use serde_json::json;
use sidelight_injector::apiserver::client::call;
use sidelight_injector::apiserver::error::Error;

/// Guarantees of the client: it reads all pages, distinguishes refusals, reports a wrong token, and
/// sends no request for a name that is not one.
#[tokio::test]
async fn the_client_against_the_server() {
    let api = Api::start();
    for n in 0..603 {
        let path = format!("/api/v1/namespaces/n{n:04}");
        api.put(&path, json!({"metadata": {"name": format!("n{n:04}")}}));
    }
    let client = api.access().client().expect("a client");
    let of = ApiResource::erase::<Namespace>(&());
    let mut seen = Vec::new();
    let each = |object: PartialObjectMeta<Namespace>| seen.extend(object.metadata.name);
    client.each_metadata(&of, None, ListParams::default(), each).await.expect("a list");
    assert_eq!(seen.len(), 603);
    assert!(seen.is_sorted());
    let pods = ApiResource::erase::<Pod>(&());
    let none = |pod: PartialObjectMeta<Pod>| panic!("no pod exists: {pod:?}");
    client.each_metadata(&pods, None, ListParams::default(), none).await.expect("an empty list");
    assert_eq!(client.read(&of, None, "gone").await.expect("no error"), None);
    let hostile = client.read(&of, None, "a/pods?x=").await.expect_err("not a name");
    assert!(matches!(hostile, Error::Name(_)), "{hostile}");
    let namespaces: kube::Api<Namespace> = client.all();
    let mut read = call("get", namespaces.get("n0000")).await.expect("one");
    let params = PostParams::default();
    let created = call("create", namespaces.create(&params, &read)).await;
    assert!(created.expect_err("it exists").is_conflict());
    call("update", namespaces.replace("n0000", &params, &read)).await.expect("as it was read");
    read.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    let stale = call("update", namespaces.replace("n0000", &params, &read)).await;
    assert!(stale.expect_err("another writer was faster").is_conflict());
    let unauthorised = api.access_with("wrong").client().expect("a client");
    let refused = unauthorised.read(&of, None, "n0000").await.expect_err("a wrong token");
    assert!(refused.is_forbidden(), "{refused}");
    let gone = {
        let away = Api::start();
        away.access().client().expect("a client")
    };
    until("nobody there", async || {
        let error = gone.read(&of, None, "n0000").await.expect_err("nobody there");
        error.to_string().contains("Connection refused")
    })
    .await;
}

/// Scenario: an API server, or something in its place, answers without an end.
/// Guarantees: the answer is given up at its limit; it never fills the memory.
#[tokio::test]
async fn an_answer_has_a_limit() {
    let api = Api::start();
    let long = "x".repeat(9 << 20);
    api.put("/api/v1/namespaces/n", json!({"metadata": {"name": "n", "annotations": {"a": long}}}));
    let client = api.access().client().expect("a client");
    let read = client.read(&ApiResource::erase::<Namespace>(&()), None, "n").await;
    let error = read.expect_err("too long").to_string();
    assert!(error.contains("length limit exceeded"), "{error}");
}
