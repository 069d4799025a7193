//! Checks what must hold for every pod.

use super::generate::{self, TOKEN};
use super::{normal, patched};
use k8s_openapi::api::core::v1::{Container, Volume};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sidelight_injector::inject::{Namespace, Owner, plan, plan_for, uninject};

fn containers(pod: &Value) -> impl Iterator<Item = (&Value, bool)> {
    let of = |key: &str| pod["spec"][key].as_array().map(Vec::as_slice).unwrap_or_default();
    let init = of("initContainers").iter().map(|container| (container, true));
    init.chain(of("containers").iter().map(|container| (container, false)))
}

fn is_ours(container: &Value) -> bool {
    ["sidelight", "sidelight-install"].iter().any(|name| container["name"] == *name)
}

/// Checks that every container of a pod is unchanged, except for the parts that injection may
/// change.
fn untouched(before: &Value, after: &Value) -> Result<(), TestCaseError> {
    let others = containers(after).filter(|(container, _)| !is_ours(container));
    let own = containers(before).filter(|(container, _)| !is_ours(container));
    let bare = |(container, is_init): (&Value, bool)| {
        let mut container = container.clone();
        for key in ["env", "volumeMounts", "command"] {
            container.as_object_mut().expect("a container").shift_remove(key);
        }
        (container, is_init)
    };
    prop_assert!(own.map(bare).eq(others.map(bare)));
    for key in before["spec"].as_object().expect("a spec").keys() {
        if !["initContainers", "containers", "volumes", "imagePullSecrets"].contains(&key.as_str())
        {
            prop_assert_eq!(&before["spec"][key], &after["spec"][key]);
        }
    }
    Ok(())
}

/// Checks that the API's types have every field of `ours`, with its type: what is read and written
/// again is equal.
fn of_the_schema<T: Serialize + DeserializeOwned>(ours: &Value) -> Result<(), TestCaseError> {
    let typed: T = serde_json::from_value(ours.clone())
        .map_err(|error| TestCaseError::fail(format!("{error} in {ours}")))?;
    prop_assert_eq!(&serde_json::to_value(typed).expect("JSON"), ours);
    Ok(())
}

/// Checks the requirements of the API server and of Pod Security for the resulting pod.
fn admissible(before: &Value, after: &Value) -> Result<(), TestCaseError> {
    let ours: Vec<&Value> = containers(after).map(|(c, _)| c).filter(|c| is_ours(c)).collect();
    prop_assert!((1..=2).contains(&ours.len()));
    for sidecar in ours {
        of_the_schema::<Container>(sidecar)?;
        let security = &sidecar["securityContext"];
        prop_assert_eq!(&security["runAsNonRoot"], &json!(true));
        prop_assert_eq!(&security["allowPrivilegeEscalation"], &json!(false));
        prop_assert_eq!(&security["capabilities"], &json!({"drop": ["ALL"]}));
        prop_assert_eq!(&security["seccompProfile"]["type"], &json!("RuntimeDefault"));
        prop_assert_eq!(&security["privileged"], &Value::Null);
        prop_assert_eq!(&security["readOnlyRootFilesystem"], &json!(true));
        for port in sidecar["ports"].as_array().into_iter().flatten() {
            let port = &port["containerPort"];
            let taken = containers(before).any(|(container, _)| {
                let ports = container["ports"].as_array().into_iter().flatten();
                ports.into_iter().any(|p| &p["containerPort"] == port || &p["hostPort"] == port)
            });
            prop_assert!(!taken, "{}", port);
        }
    }
    let volumes = after["spec"]["volumes"].as_array().expect("volumes");
    for (container, _) in containers(after) {
        let mut paths: Vec<&str> = Vec::new();
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            let path = mount["mountPath"].as_str().unwrap_or_default();
            if mount["name"].as_str().is_some_and(|name| name.starts_with("sidelight-")) {
                prop_assert!(volumes.iter().any(|volume| volume["name"] == mount["name"]));
                prop_assert!(!paths.iter().any(|known| known.trim_end_matches('/') == path));
                prop_assert!(is_ours(container) || mount["readOnly"] == true);
            }
            paths.push(path);
        }
    }
    for volume in volumes
        .iter()
        .filter(|volume| volume["name"].as_str().is_some_and(|name| name.starts_with("sidelight-")))
    {
        of_the_schema::<Volume>(volume)?;
        // Pod Security, restricted: `hostPath` and most other types are refused
        let allowed = ["name", "emptyDir", "configMap", "secret", "image", "downwardAPI"];
        let keys = volume.as_object().expect("a volume").keys();
        prop_assert!(keys.into_iter().all(|key| allowed.contains(&key.as_str())), "{}", volume);
    }
    let named = volumes.iter().filter(|volume| volume["name"] == "sidelight-run");
    prop_assert_eq!(named.count(), 1);
    Ok(())
}

/// Number of pods: 2,000, or `PROPTEST_CASES` of them.
fn config() -> ProptestConfig {
    let from_environment = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig::default();
    if from_environment { config } else { ProptestConfig { cases: 2_000, ..config } }
}

proptest! {
    #![proptest_config(config())]

    /// Guarantees: for any pod the patch applies, has no header that a Secret replaces, is the same
    /// every time, leaves the application's containers as they were, gives a pod that can be
    /// admitted, and is empty the second time. Removing the additions restores the pod.
    #[test]
    fn property_of_any_pod(pod in generate::pod(), policy in generate::policy(), known in any::<bool>()) {
        let mut namespace = Namespace { name: "shop".to_owned(), ..Namespace::default() };
        if known {
            namespace.labels.insert("kubernetes.io/metadata.name".to_owned(), "shop".to_owned());
        }
        let owner = known.then(|| Owner { kind: "Job".to_owned(), name: "j".to_owned() });
        let first = plan_for(&pod, &namespace, &policy, owner.as_ref());
        prop_assert_eq!(&first, &plan_for(&pod, &namespace, &policy, owner.as_ref()));
        let after = patched(&pod, &first);
        prop_assert!(!after.to_string().contains(TOKEN), "{}", after);
        if first.skipped.is_some() {
            prop_assert!(first.patch.is_empty());
        } else {
            untouched(&pod, &after)?;
        }
        let second = plan(&after, &namespace, &policy);
        prop_assert!(second.patch.is_empty(), "{:?}", second.patch);
        let has_status = pod["metadata"]["annotations"]["sidelight.dev/status"].is_string();
        let had = containers(&pod).any(|(container, _)| is_ours(container));
        if first.skipped.is_none() && !had {
            prop_assert_eq!(second.skipped, Some("already_converged"));
            admissible(&pod, &after)?;
        }
        if first.skipped.is_none() && !had && !has_status {
            let mut before = after.clone();
            prop_assert!(uninject(&mut before));
            let mut expected = pod.clone();
            if let Some(labels) = expected["metadata"]["labels"].as_object_mut() {
                labels.shift_remove("sidelight.dev/injected");
            }
            // an empty list means the same as a missing one
            for pod in [&mut before, &mut expected] {
                if let Some(annotations) = pod["metadata"]["annotations"].as_object_mut() {
                    annotations.retain(|_, value| *value != "");
                }
            }
            prop_assert_eq!(normal(&before), normal(&expected));
        }
    }
}
