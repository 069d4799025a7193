//! Reads the API server's address and the credentials from files.

use super::*;

const WHOLE: &str = "
apiVersion: v1
kind: Config
current-context: here
contexts:
- {name: there, context: {cluster: far, user: nobody}}
- {name: here, context: {cluster: near, user: me, namespace: shop}}
clusters:
- {name: near, cluster: {server: 'https://10.0.0.1:6443/k8s/', tls-server-name: api}}
- {name: far, cluster: {server: 'https://[fd00::1]'}}
users:
- {name: me, user: {client-certificate-data: Zg==, client-key-data: Zm8=, unknown: 1}}
- {name: nobody, user: {}}
";

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    path
}

#[test]
fn a_kubeconfig_as_an_administrator_has_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(folder.path(), "config", WHOLE);
    let access = Access::kubeconfig(&[path]).expect("a kubeconfig");
    assert_eq!(access.server(), "https://10.0.0.1:6443/k8s");
    assert_eq!(access.namespace(), "shop");
    assert_eq!(access.config.tls_server_name.as_deref(), Some("api"));
    let there = WHOLE.replace("current-context: here", "current-context: there");
    let access = Access::kubeconfig(&[written(folder.path(), "there", &there)]).expect("the other");
    assert_eq!((access.server().as_str(), access.namespace()), ("https://[fd00::1]", "default"));
}

#[test]
fn what_is_wrong_with_a_kubeconfig_is_said_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    for (from, to, expected) in [
        ("current-context: here", "current-context: gone", "no context is called `gone`"),
        ("current-context: here", "a: b", "kubectl config use-context"),
        ("cluster: near,", "cluster: mars,", "no cluster is called `mars`"),
        ("server: 'https://10.0.0.1:6443/k8s/',", "", "url is missing"),
        ("'https://10.0.0.1:6443/k8s/'", "'https://a b'", "cluster url"),
        ("tls-server-name: api", "certificate-authority: gone.pem", "gone.pem"),
        ("tls-server-name: api", "certificate-authority-data: '*'", "base64"),
        ("contexts:", "contexts: [", "YAML"),
    ] {
        assert!(WHOLE.contains(from), "{from}");
        let path = written(folder.path(), "config", &WHOLE.replacen(from, to, 1));
        let error = Access::kubeconfig(&[path]).expect_err(to).to_string();
        assert!(error.contains(expected) && error.contains("config: "), "{to}: {error}");
    }
}

/// Guarantees: no output of an access contains a credential.
#[test]
fn an_access_does_not_show_its_credentials() {
    let folder = tempfile::tempdir().expect("a folder");
    let from = "client-certificate-data: Zg==, client-key-data: Zm8=";
    let text = WHOLE.replace(from, "token: geheim");
    let access = Access::kubeconfig(&[written(folder.path(), "c", &text)]).expect("a token");
    assert!(!format!("{access:?}").contains("geheim"), "{access:?}");
}

#[test]
fn the_first_place_that_is_there_is_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut environment = BTreeMap::new();
    let set = |environment: &mut BTreeMap<String, String>, name: &str, value: &str| {
        environment.insert(name.to_owned(), value.to_owned());
    };
    set(&mut environment, "HOME", &folder.path().display().to_string());
    assert!(Access::find(None, &environment).expect("nothing is no error").is_none());
    std::fs::create_dir(folder.path().join(".kube")).expect("a folder");
    let config = written(folder.path(), ".kube/config", WHOLE);
    let found = |environment: &BTreeMap<String, String>| {
        Access::find(None, environment).expect("usable").expect("one").server()
    };
    assert_eq!(found(&environment), "https://10.0.0.1:6443/k8s");
    // two files make up one configuration, and a missing one is left out, as kubectl does
    let context = "current-context: b\ncontexts: [{name: b, context: {cluster: c}}]\n";
    let contexts = written(folder.path(), "contexts", context);
    let cluster = "clusters: [{name: c, cluster: {server: 'https://10.0.0.2'}}]\n";
    let clusters = written(folder.path(), "clusters", cluster);
    let list = format!("/gone:{}:{}", contexts.display(), clusters.display());
    set(&mut environment, "KUBECONFIG", &list);
    assert_eq!(found(&environment), "https://10.0.0.2");
    let named = Access::find(Some(&config), &environment).expect("usable").expect("one");
    assert_eq!(named.server(), "https://10.0.0.1:6443/k8s");
    for gone in ["/gone/config", "/gone/a:/gone/b"] {
        set(&mut environment, "KUBECONFIG", gone);
        let error = Access::find(None, &environment).expect_err("no file").to_string();
        assert!(error.contains(gone), "{error}");
    }
}
