//! Sends reviews of all kinds, well-formed or not, and checks the answers.

use super::*;

fn request(with: &Value) -> Vec<u8> {
    let mut request = json!({
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "shop",
        "operation": "CREATE",
        "object": {"metadata": {"name": "p"}, "spec": {"hostNetwork": true, "containers": []}},
    });
    for (name, value) in with.as_object().expect("an object") {
        request[name] = value.clone();
    }
    let review = json!({
        "kind": "AdmissionReview",
        "apiVersion": with.get("apiVersion").unwrap_or(&json!("admission.k8s.io/v1")),
        "request": request,
    });
    review.to_string().into_bytes()
}

fn answered(reviewed: &Reviewed) -> Value {
    serde_json::from_slice(reviewed.answer.as_deref().expect("an answer")).expect("JSON")
}

/// Guarantees: whatever the input is, the answer is "allowed" and carries the uid of the request.
#[test]
fn every_request_is_allowed() {
    let policy = Policy::default();
    for (with, outcome, reason) in [
        (json!({"operation": "UPDATE"}), Outcome::Skipped, "not_a_new_pod"),
        (json!({"subResource": "status"}), Outcome::Skipped, "not_a_new_pod"),
        (json!({"resource": {"resource": "services"}}), Outcome::Skipped, "not_a_new_pod"),
        (json!({"object": null}), Outcome::Error, "no_object"),
        (json!({"object": 7}), Outcome::Error, "no_object"),
        (json!({"apiVersion": "admission.k8s.io/v1beta1"}), Outcome::Error, "version"),
        (json!({"apiVersion": "example.com/v1"}), Outcome::Error, "version"),
    ] {
        let reviewed = review(&request(&with), &policy, &Cluster::default());
        assert_eq!((reviewed.outcome, reviewed.reason), (outcome, reason), "{with}");
        let answer = answered(&reviewed);
        assert_eq!(answer["response"]["allowed"], true, "{with}");
        assert_eq!(answer["response"]["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002");
        assert_eq!(answer["kind"], "AdmissionReview");
        assert!(answer["response"].get("patch").is_none());
        let warned = answer["response"].get("warnings").is_some();
        assert_eq!(warned, outcome == Outcome::Error, "{with}");
    }
    let beta = review(
        &request(&json!({"apiVersion": "admission.k8s.io/v1beta1"})),
        &policy,
        &Cluster::default(),
    );
    assert_eq!(answered(&beta)["apiVersion"], "admission.k8s.io/v1beta1");
    let foreign =
        review(&request(&json!({"apiVersion": "example.com/v1"})), &policy, &Cluster::default());
    assert_eq!(answered(&foreign)["apiVersion"], "admission.k8s.io/v1");
}

#[test]
fn a_damaged_review_is_answered_as_long_as_its_uid_reads() {
    let whole = request(&json!({}));
    // the order of an API server, which a sorted map would not keep
    let text = r#"{"kind":"AdmissionReview", "request": { "uid" : "abc-1", "object": {"#;
    for (bytes, uid) in [
        (text.as_bytes(), Some("abc-1")),
        (&whole[..whole.len() - 1], Some("705ab4f5-6393-11e8-b7cc-42010a800002")),
        (&b"{}"[..], None),
        (b"", None),
        (b"{\"request\":{\"uid\":\"", None),
        (b"{\"request\":{\"uid\":\"a b\"}", None),
        (b"{\"request\":{\"uid\":\"\"}", None),
        (b"{\"request\":{\"uid\":7}}", None),
        (b"\xff\xfe", None),
    ] {
        for reviewed in [review(bytes, &Policy::default(), &Cluster::default()), oversized(bytes)] {
            assert_eq!(reviewed.outcome, Outcome::Error);
            let answer = reviewed.answer.as_ref().map(|_| answered(&reviewed));
            let found = answer.as_ref().map(|answer| answer["response"]["uid"].clone());
            assert_eq!(found, uid.map(|uid| json!(uid)), "{:?}", String::from_utf8_lossy(bytes));
            if let Some(answer) = answer {
                assert_eq!(answer["response"]["allowed"], true);
            }
        }
    }
}

/// Guarantees: every prefix of a review, and every review with one changed byte, gets an answer or
/// a refusal.
#[test]
fn every_cut_and_every_turned_byte_has_an_answer() {
    let whole = request(&json!({}));
    for at in 0..whole.len() {
        let _ = review(&whole[..at], &Policy::default(), &Cluster::default());
        for turn in [0x01, 0x20, 0x80, 0xff] {
            let mut turned = whole.clone();
            turned[at] ^= turn;
            let reviewed = review(&turned, &Policy::default(), &Cluster::default());
            if reviewed.answer.is_some() {
                assert_eq!(answered(&reviewed)["response"]["allowed"], true);
            }
        }
    }
}

/// Scenario: reviews that no API server sends.
/// Guarantees: they are allowed, and nothing of them reaches a URL or the queue of Events.
#[test]
fn names_are_names() {
    for namespace in ["", "a/b", "sidelight-system/secrets?x=", "..", "UPPER"] {
        let body = request(&json!({"namespace": namespace}));
        let reviewed = review(&body, &Policy::default(), &Cluster::default());
        assert_eq!((reviewed.reason, &reviewed.subject), ("namespace", &None), "{namespace}");
        assert_eq!(answered(&reviewed)["response"]["allowed"], true);
    }
    let n = || Label::parse("n").expect("a label");
    let owner = |key: &str, value: &str| {
        let mut owner =
            json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u"});
        owner["controller"] = json!(true);
        owner[key] = json!(value);
        json!({"metadata": {"ownerReferences": [owner]}})
    };
    assert!(subject(&owner("name", "r"), n()).is_some());
    let long = "a".repeat(4_000_000);
    for (key, value) in [
        ("name", long.as_str()),
        ("name", "../x"),
        ("kind", long.as_str()),
        ("kind", "a b"),
        ("apiVersion", "v1?x"),
        ("uid", long.as_str()),
    ] {
        assert_eq!(subject(&owner(key, value), n()), None, "{key}");
    }
}

#[test]
fn a_warning_is_short_and_plain() {
    assert_eq!(readable("a\nb\u{1b}[1m"), "a b [1m");
    let long = readable(&"\u{e9}".repeat(500));
    assert!(long.len() <= WARNING_BYTES_MAX && long.ends_with("..."), "{}", long.len());
}

/// Guarantees: no Event about an object that is not the controller of the reviewed pod, and none
/// for a dry run.
#[test]
fn an_event_is_about_the_controller_or_there_is_none() {
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": true});
    let by_it =
        json!({"metadata": {"generateName": "p-", "ownerReferences": [{"kind": "X"}, owner]}});
    let n = || Label::parse("n").expect("a label");
    let found = subject(&by_it, n()).expect("a subject");
    assert_eq!(
        (found.kind.as_str(), found.name.as_str(), found.uid.as_str()),
        ("ReplicaSet", "r", "u")
    );
    let mut only_an_owner = by_it.clone();
    only_an_owner["metadata"]["ownerReferences"][1]["controller"] = json!(false);
    for none in [
        only_an_owner,
        json!({"metadata": {"name": "p"}}),
        json!({"metadata": {"generateName": "p-"}}),
        json!({}),
    ] {
        assert_eq!(subject(&none, n()), None, "{none}");
    }
    let mut object = by_it;
    object["spec"] = json!({"hostNetwork": true, "containers": []});
    let reviewed = |dry_run: bool| {
        let body = request(&json!({"dryRun": dry_run, "object": object}));
        review(&body, &Policy::default(), &Cluster::default()).subject
    };
    assert_eq!(reviewed(true), None, "a dry run has no side effects");
    assert!(reviewed(false).is_some());
}
