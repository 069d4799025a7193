//! Plans for pods that change between two calls, for templates, and for pods that were never
//! injected.

use super::{apply, normal, patched};
use serde_json::{Value, json};
use sidelight_injector::inject::policy::Policy;
use sidelight_injector::inject::{Namespace, Owner, Plan, plan, plan_for, uninject};

fn step(pod: &mut Value, policy: &Policy) -> Plan {
    let made = plan(pod, &Namespace::default(), policy);
    *pod = patched(pod, &made);
    made
}

/// Scenario: a mesh with a classic proxy is added after our first call.
/// Guarantees: on the second call its lists get both ports, and the status records them, so that
/// both can be removed again.
#[test]
fn a_mesh_that_comes_later_gets_both_ports() {
    let endpoint = Some("http://collector:4318".to_owned());
    let otlp = sidelight_injector::inject::policy::Otlp { endpoint, ..Default::default() };
    let policy = Policy { otlp, ..Policy::default() };
    let mut pod = json!({"metadata": {"name": "demo"}, "spec": {"containers": [{"name": "app"}]}});
    let before = pod.clone();
    step(&mut pod, &policy);
    let proxy = json!({"name": "istio-proxy", "somethingNew": 1});
    pod["spec"]["containers"].as_array_mut().expect("containers").push(proxy.clone());
    step(&mut pod, &policy);
    let annotations = &pod["metadata"]["annotations"];
    assert_eq!(annotations["traffic.sidecar.istio.io/excludeInboundPorts"], "19464");
    assert_eq!(annotations["traffic.sidecar.istio.io/excludeOutboundPorts"], "4318");
    assert_eq!(pod["spec"]["containers"][1], proxy, "it is the mesh's own");
    let init = pod["spec"]["initContainers"].as_array().expect("init containers");
    assert!(init[0]["livenessProbe"].is_object(), "the port was left out before");
    assert!(uninject(&mut pod));
    pod["spec"]["containers"].as_array_mut().expect("containers").pop();
    assert_eq!(normal(&pod), before);
}

/// Scenario: another webhook adds containers after the sidecar got the binary; one of them runs
/// before it.
/// Guarantees: the output of every container that can have the binary is copied.
#[test]
fn a_container_that_comes_later_is_copied_too() {
    let annotations = json!({"sidelight.dev/config.tee": "app,late,early"});
    let container = |name: &str| json!({"name": name, "command": [name]});
    let spec = json!({"containers": [container("app")]});
    let mut pod = json!({"metadata": {"annotations": annotations}, "spec": spec});
    step(&mut pod, &Policy::default());
    pod["spec"]["containers"].as_array_mut().expect("containers").push(container("late"));
    pod["spec"]["initContainers"].as_array_mut().expect("ours").insert(0, container("early"));
    let again = step(&mut pod, &Policy::default());
    let tee = json!(["/run/sidelight/bin/sidelight-tee", "--", "late"]);
    assert_eq!(pod["spec"]["containers"][1]["command"], tee);
    assert_eq!(pod["spec"]["initContainers"][0]["command"], json!(["early"]));
    let left_out: Vec<_> =
        again.left_out.iter().map(|left| (left.container.as_str(), left.reason)).collect();
    assert_eq!(left_out, [("early", "starts_earlier")]);
    assert!(uninject(&mut pod));
    assert_eq!(pod["spec"]["containers"][1]["command"], json!(["late"]));
}

/// Guarantees: a template takes its name from the owner of the pods; a pod that names its owner
/// does not.
#[test]
fn the_owner_of_a_template() {
    let variable = |pod: &Value, name: &str| {
        let env = pod["spec"]["initContainers"][0]["env"].as_array().expect("variables");
        let found = env.iter().find(|variable| variable["name"] == name);
        found.map(|variable| variable["value"].as_str().unwrap_or_default().to_owned())
    };
    let owner = |kind: &str| Owner { kind: kind.to_owned(), name: "shop".to_owned() };
    let template = json!({"spec": {"containers": [{"name": "app"}]}});
    let owned = json!({"metadata": {"ownerReferences": [{"kind": "DaemonSet", "name": "node"}]},
        "spec": {"containers": [{"name": "app"}]}});
    for (pod, kind, name, attribute, wait) in [
        (&template, "Deployment", "shop", "k8s.deployment.name=shop", None),
        (&template, "CronJob", "shop", "k8s.cronjob.name=shop", Some("35s")),
        (&owned, "Deployment", "node", "k8s.daemonset.name=node", None),
    ] {
        let (namespace, policy) = (Namespace::default(), Policy::default());
        let made = plan_for(pod, &namespace, &policy, Some(&owner(kind)));
        let pod = patched(pod, &made);
        assert_eq!(variable(&pod, "OTEL_SERVICE_NAME").as_deref(), Some(name));
        let attributes = variable(&pod, "OTEL_RESOURCE_ATTRIBUTES").expect("attributes");
        assert!(attributes.split(',').any(|pair| pair == attribute), "{attributes}");
        assert_eq!(variable(&pod, "SIDELIGHT_FINAL_SCRAPE_WAIT").as_deref(), wait);
    }
}

/// Guarantees: problems that would appear later are reported at once.
#[test]
fn people_are_warned() {
    let pod = json!({"spec": {"containers": [{"name": "app"}]}});
    let policy = Policy {
        defaults: Some("#".repeat(200_000)),
        image_pull_secrets: vec!["registry".to_owned()],
        ..Policy::default()
    };
    let owner = Owner { kind: "Deployment".to_owned(), name: "shop".to_owned() };
    let namespace = Namespace::default();
    let of = |owner| plan_for(&pod, &namespace, &policy, owner).warnings.join("\n");
    assert!(of(None).contains("larger than a variable can be"), "{}", of(None));
    assert!(!of(None).contains("service account"), "the API server added those to a pod before");
    assert!(of(Some(&owner)).contains("imagePullSecrets of the service account"));
    assert!(!patched(&pod, &plan(&pod, &namespace, &policy)).to_string().contains("_DEFAULTS"));
}

/// Guarantees: a pod that was not injected is not changed.
#[test]
fn a_pod_that_was_not_injected_is_not_changed() {
    for pod in [
        json!({"spec": {"containers": [{"name": "app", "env": [{"name": "SIDELIGHT_SOCKET"}]}]}}),
        json!({"spec": {"containers": [{"name": "app"}], "initContainers": [{"name": "sidelight"}]}}),
        json!({"spec": "nonsense", "metadata": {"labels": {"sidelight.dev/injected": "true"}}}),
        json!(null),
    ] {
        let mut after = pod.clone();
        assert!(!uninject(&mut after), "{pod}");
        assert_eq!(after, pod);
    }
}

/// Scenario: another webhook decodes and encodes the pod and adds a container between our
/// calls.
/// Guarantees: the new container gets the socket, our container gets back what was lost, nothing else
/// changes.
#[test]
fn what_others_do_between_two_calls_is_mended() {
    let pod = json!({"metadata": {"name": "demo"}, "spec": {"containers": [{"name": "app"}]}});
    let (namespace, policy) = (Namespace::default(), Policy::default());
    let mut after = patched(&pod, &plan(&pod, &namespace, &policy));
    let init = after["spec"]["initContainers"].as_array_mut().expect("init containers");
    init[0].as_object_mut().expect("ours").shift_remove("restartPolicy");
    init.insert(0, json!({"name": "secrets"}));
    after["spec"]["containers"].as_array_mut().expect("containers").push(json!({"name": "late"}));
    let again = plan(&after, &namespace, &policy);
    let paths: Vec<&str> = again.patch.iter().map(|operation| operation.path.as_str()).collect();
    let expected = [
        "/spec/initContainers/0/env",
        "/spec/initContainers/0/volumeMounts",
        "/spec/containers/1/env",
        "/spec/containers/1/volumeMounts",
        "/spec/initContainers/1/restartPolicy",
        "/metadata/annotations/sidelight.dev~1status",
    ];
    assert_eq!(paths, expected);
    let operations = serde_json::to_value(&again.patch).expect("JSON");
    apply(&mut after, &operations);
    assert_eq!(after["spec"]["initContainers"][1]["restartPolicy"], "Always");
    assert_eq!(plan(&after, &namespace, &policy).skipped, Some("already_converged"));
}
