//! Checks the generated policy: the installer's decisions become its parameters.

use super::super::policy::{
    Entrypoint, Group, ImageVolume, Metrics, Mode, Otlp, Overrides, Policy, Protocol, SecretKey,
};
use super::{SPEC, text};
use crate::manifest::read::read;
use serde_json::Value;

const NAMESPACE: &str = "sidelight-system";

fn documents(policy: &Policy) -> Vec<Value> {
    let text = text(policy, NAMESPACE).expect("a policy");
    let (documents, notes) = read("policy.yaml", &text).expect("YAML");
    assert_eq!(notes, []);
    documents.into_iter().map(|document| document.value).collect()
}

fn everything() -> Policy {
    let mut policy = Policy {
        revision: "canary".to_owned(),
        image_pull_secrets: vec!["a".to_owned(), "b".to_owned()],
        volume_size_limit: Some("4Mi".to_owned()),
        defaults: Some("rules:\n- name: \"$x\"\n".to_owned()),
        ..Policy::default()
    };
    policy.otlp = Otlp {
        endpoint: Some("http://$(HOST_IP):4318".to_owned()),
        protocol: Some(Protocol::Grpc),
        headers: [("a".to_owned(), "b=c,d%".to_owned())].into(),
        headers_secret: None,
    };
    policy.image_volume = ImageVolume::Always;
    policy.metrics =
        Metrics { prefix: Some("app_".to_owned()), groups_off: [Group::Http, Group::Log].into() };
    policy.entrypoints.insert("x".to_owned(), Entrypoint::default());
    let secret = SecretKey { name: "otlp".to_owned(), key: "headers".to_owned() };
    let otlp = Otlp { headers_secret: Some(secret), ..policy.otlp.clone() };
    let shop = Overrides { port: Some(9000), otlp: Some(otlp), ..Overrides::default() };
    policy.namespaces.insert("shop".to_owned(), shop);
    policy
}

/// Guarantees: the text for the defaults, and for a policy that sets everything, is exactly as
/// expected. `UPDATE=1` rewrites it.
#[test]
fn golden() {
    for (name, policy) in [("default", Policy::default()), ("everything", everything())] {
        let path =
            format!("{}/src/inject/admission/golden/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        // the specification is in a separate file
        let text = text(&policy, NAMESPACE).expect("a policy");
        let (head, rest) = text.split_once("spec:\n").expect("a specification");
        let (_, rest) = rest.split_once("\n---\n").expect("bindings");
        let found = format!("{head}spec: as it stands in spec.yaml\n---\n{rest}");
        let found = found.replace(&policy.hash(), "HASH");
        let found = found.replace(&policy.within("shop").hash(), "HASH OF THE NAMESPACE");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &found).expect("a writable folder");
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, expected, "{name}; UPDATE=1 rewrites");
    }
}

#[test]
fn the_specification_stands_in_the_policy_as_it_is() {
    let (spec, _) = read("spec.yaml", SPEC).expect("YAML");
    assert_eq!(documents(&Policy::default())[0]["spec"], spec[0].value);
}

/// Guarantees: no parameter is missing, because every expression that reads it would fail, and with
/// it the injection.
#[test]
fn every_parameter_is_given_or_read_as_optional() {
    let given = |policy: &Policy| {
        let map = documents(policy).pop().expect("a ConfigMap");
        let keys = map["data"].as_object().expect("data").keys().cloned().collect::<Vec<_>>();
        assert!(map["data"].as_object().expect("data").values().all(Value::is_string));
        keys
    };
    let always = given(&Policy::default());
    // those of a namespace come last; without it, those of all other namespaces do
    let all = Policy { namespaces: std::collections::BTreeMap::new(), ..everything() };
    let sometimes = [given(&everything()), given(&all)].concat();
    let mut seen = 0;
    for part in SPEC.split("params.data").skip(1) {
        let name =
            |text: &str| text.split_once('\'').map(|(name, _)| name.to_owned()).expect("a quote");
        if let Some(text) = part.strip_prefix("[?'") {
            assert!(sometimes.contains(&name(text)), "{}", name(text));
        } else if let Some(text) = part.strip_prefix("['") {
            assert!(always.contains(&name(text)), "{}", name(text));
        } else if let Some(text) =
            part.strip_prefix('.').filter(|text| !text.starts_with("transform"))
        {
            let end =
                text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).expect("an end");
            assert!(always.contains(&text[..end].to_owned()), "{}", &text[..end]);
        }
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn what_it_cannot_do_is_refused() {
    let classic = Policy { mode: Mode::Classic, ..Policy::default() };
    assert!(
        text(&classic, NAMESPACE).expect_err("refused").to_string().contains("`mode` is classic")
    );
    let mut policy = Policy::default();
    let overrides = Overrides { mode: Some(Mode::Classic), ..Overrides::default() };
    policy.namespaces.insert("old".to_owned(), overrides);
    assert!(
        text(&policy, NAMESPACE)
            .expect_err("refused")
            .to_string()
            .contains("`namespaces.old.mode`")
    );
    let large = Policy { defaults: Some("x".repeat(200_000)), ..Policy::default() };
    assert!(text(&large, NAMESPACE).expect_err("refused").to_string().contains("`defaults`"));
}

/// Guarantees: only its own bindings select a namespace with overrides, and none selects an
/// excluded one.
#[test]
fn namespaces_meet_one_set_of_parameters() {
    let mut policy = everything();
    policy.namespaces.insert("kube-system".to_owned(), Overrides::default());
    let all = documents(&policy);
    let names = |document: &Value| {
        let expressions =
            &document["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"];
        let which = expressions
            .as_array()?
            .iter()
            .find(|one| one["key"] == "kubernetes.io/metadata.name")?;
        let values = which["values"].as_array()?.iter().filter_map(Value::as_str);
        Some((which["operator"] == "In", values.map(str::to_owned).collect::<Vec<_>>()))
    };
    let bindings: Vec<_> = all.iter().filter_map(|one| Some((one, names(one)?))).collect();
    let (own, others): (Vec<_>, Vec<_>) = bindings.into_iter().partition(|(_, (is_in, _))| *is_in);
    assert_eq!((own.len(), others.len()), (4, 4));
    for (binding, (_, names)) in own {
        assert_eq!(names, ["shop"]);
        assert_eq!(binding["spec"]["paramRef"]["name"], "sidelight-inject-canary.shop");
    }
    for (binding, (_, names)) in others {
        for name in ["shop", "kube-system", "sidelight-system"] {
            assert_eq!(names.iter().filter(|known| *known == name).count(), 1, "{name}");
        }
        assert_eq!(binding["spec"]["paramRef"]["name"], "sidelight-inject-canary");
    }
    assert_eq!(all.last().expect("a ConfigMap")["data"]["port"], "9000");
}

/// Guarantees: with a Secret, no value of a header is in what is applied to the cluster.
#[test]
fn a_secret_replaces_the_headers() {
    let mut policy = everything();
    policy.otlp.headers.insert("authorization".to_owned(), "Bearer t0psecret".to_owned());
    policy.namespaces.clear();
    let plain = text(&policy, NAMESPACE).expect("a policy");
    assert!(plain.contains("t0psecret"), "{plain}");
    policy.otlp.headers_secret =
        Some(SecretKey { name: "otlp".to_owned(), key: "headers".to_owned() });
    let text = text(&policy, NAMESPACE).expect("a policy");
    assert!(!text.contains("t0psecret") && !text.contains("otlp_headers:"), "{text}");
    let data = &documents(&policy).pop().expect("a ConfigMap")["data"];
    assert_eq!(data["otlp_headers_secret.name"], "otlp");
    assert_eq!(data["otlp_headers_secret.key"], "headers");
}
