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
- {name: near, cluster: {server: 'https://10.0.0.1:6443/k8s/', certificate-authority-data: Zm9v, tls-server-name: api}}
- {name: far, cluster: {server: 'https://[fd00::1]'}}
users:
- {name: me, user: {client-certificate-data: Zg==, client-key-data: Zm8=, unknown: 1}}
- {name: nobody, user: {}}
";

#[test]
fn a_kubeconfig_as_an_administrator_has_it() {
    let access = parse(WHOLE, Path::new("/")).expect("a kubeconfig");
    assert_eq!(
        (access.host.as_str(), access.port, access.prefix.as_str()),
        ("10.0.0.1", 6443, "/k8s")
    );
    assert_eq!((access.namespace.as_str(), access.server_name.as_deref()), ("shop", Some("api")));
    assert_eq!(access.authorities.as_deref(), Some(&b"foo"[..]));
    let certificate = Credential::Certificate { chain: b"f".to_vec(), key: b"fo".to_vec() };
    assert_eq!(access.credential, certificate);
    let there = WHOLE.replace("current-context: here", "current-context: there");
    let access = parse(&there, Path::new("/")).expect("the other");
    assert_eq!(
        (access.authority().as_str(), access.credential),
        ("[fd00::1]:443", Credential::None)
    );
}

#[test]
fn what_is_not_done_is_told_by_name() {
    for (from, to, expected) in [
        ("current-context: here", "current-context: gone", "no context is called `gone`"),
        ("current-context: here", "a: b", "no current context"),
        ("cluster: near,", "cluster: mars,", "no cluster is called `mars`"),
        ("user: me,", "user: you,", "no user is called `you`"),
        ("tls-server-name: api", "insecure-skip-tls-verify: true", "insecure-skip-tls-verify"),
        ("tls-server-name: api", "proxy-url: 'http://p'", "proxy-url"),
        ("https://10.0.0.1:6443/k8s/", "http://10.0.0.1", "is no https://HOST:PORT"),
        ("client-key-data: Zm8=", "exec: {command: aws}", "kubectl create token"),
        ("client-key-data: Zm8=", "client-key-data: '*'", "no Base64"),
        ("client-key-data: Zm8=", "client-key: gone.pem", "/nowhere/gone.pem"),
    ] {
        assert!(WHOLE.contains(from), "{from}");
        let error = parse(&WHOLE.replacen(from, to, 1), Path::new("/nowhere")).expect_err(to);
        assert!(error.contains(expected), "{to}: {error}");
    }
}

#[test]
fn a_token_wins_over_its_file_and_a_file_begins_at_the_kubeconfig() {
    let from = "client-certificate-data: Zg==, client-key-data: Zm8=";
    let both = WHOLE.replace(from, "token: abc, tokenFile: t");
    let access = parse(&both, Path::new("/f")).expect("a token");
    assert_eq!(access.credential, Credential::Token("abc".to_owned()));
    assert_eq!(format!("{:?}", access.credential), "Token", "never what it holds");
    let file = parse(&WHOLE.replace(from, "tokenFile: t"), Path::new("/f")).expect("a file");
    assert_eq!(file.credential, Credential::TokenFile(PathBuf::from("/f/t")));
}

#[test]
fn the_access_that_is_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut environment = BTreeMap::new();
    let set = |environment: &mut BTreeMap<String, String>, name: &str, value: &str| {
        environment.insert(name.to_owned(), value.to_owned());
    };
    set(&mut environment, "HOME", &folder.path().display().to_string());
    assert!(Access::find(None, &environment).expect("nothing is no error").is_none());
    std::fs::create_dir(folder.path().join(".kube")).expect("a folder");
    let config = folder.path().join(".kube/config");
    std::fs::write(&config, WHOLE).expect("a file");
    let found = |environment: &BTreeMap<String, String>| {
        Access::find(None, environment).expect("usable").expect("one").host
    };
    assert_eq!(found(&environment), "10.0.0.1");
    let other = folder.path().join("other");
    std::fs::write(&other, WHOLE.replace("10.0.0.1", "10.0.0.2")).expect("a file");
    set(&mut environment, "KUBECONFIG", &format!("{}:/gone", other.display()));
    assert_eq!(found(&environment), "10.0.0.2");
    let named = Access::find(Some(&config), &environment).expect("usable").expect("one");
    assert_eq!(named.host, "10.0.0.1");
    let gone = Access::find(Some(Path::new("/gone/config")), &environment).expect_err("no file");
    assert!(gone.to_string().contains("/gone/config"), "{gone}");
}

#[test]
fn a_service_account_is_its_three_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing =
        Access::in_cluster(folder.path(), "10.0.0.1".to_owned(), 443).expect_err("no token");
    assert!(missing.to_string().contains("automountServiceAccountToken"), "{missing}");
    for (name, text) in [("token", "t\n"), ("ca.crt", "pem"), ("namespace", "ns\n")] {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let access = Access::in_cluster(folder.path(), "10.0.0.1".to_owned(), 443).expect("an account");
    assert_eq!(access.namespace, "ns");
    assert_eq!(access.credential, Credential::TokenFile(folder.path().join("token")));
    assert!(access.tls().expect_err("no certificate").to_string().contains("no CA certificate"));
}
