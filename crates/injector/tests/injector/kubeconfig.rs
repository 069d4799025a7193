//! Runs `sidelight-injector check` with kubeconfigs of every kind against an API server of the
//! tests: a plug-in that prints a credential, OpenID Connect, a proxy, a token file.
#![allow(clippy::disallowed_methods)] // it waits for another process, which uses real time

use crate::api::{Api, TOKEN};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

const NAMESPACES: &str = "/api/v1/namespaces";

/// Writes a kubeconfig with this user and these additional settings of the cluster.
fn kubeconfig(folder: &Path, api: &Api, cluster: &str, user: &str) -> String {
    let authority = BASE64.encode(api.authority());
    let text = format!(
        "current-context: c\n\
         contexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
         clusters: [{{name: k, cluster: {{server: '{}', certificate-authority-data: {authority}{cluster}}}}}]\n\
         users: [{{name: u, user: {user}}}]\n",
        api.url()
    );
    let path = folder.join("config");
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

fn check(kubeconfig: &str, environment: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidelight-injector"));
    command.args(["check", "--kubeconfig", kubeconfig]);
    for name in ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied());
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = [stdout, stderr].concat();
    (status.code().expect("an exit code"), String::from_utf8_lossy(&text).into_owned())
}

/// Checks that the cluster was read with the right credential: an injector is missing, which is a
/// finding and no failure.
fn assert_read(api: &Api, (code, text): &(i32, String)) {
    assert!(*code == 1 && text.contains("no injector is installed"), "{code}: {text}");
    assert!(api.reads(NAMESPACES) > 0);
}

fn plug_in(folder: &Path, script: &str) -> String {
    let path = folder.join("plug-in");
    std::fs::write(&path, script).expect("a file");
    format!(
        "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: sh, args: ['{}', a], \
         env: [{{name: TOKEN_OF_TEST, value: '{TOKEN}'}}], interactiveMode: Never}}}}",
        path.display()
    )
}

/// Scenario: a cloud's command prints an ExecCredential; it fails; it fails with a long text and
/// with control characters; it does not exist; it prints something else.
/// Guarantees: the token is used, and each failure names the plug-in and what to do, but no output
/// of the plug-in that may be a credential. Messages of the plug-in are cut.
#[test]
fn a_plug_in_prints_the_credential() {
    let folder = tempfile::tempdir().expect("a folder");
    let api = Api::start();
    let credential = "{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \
        \"ExecCredential\", \"status\": {\"token\": \"$TOKEN_OF_TEST\"}}";
    let script = format!("[ \"$1\" = a ] || exit 1\ncat <<END\n{credential}\nEND\n");
    let good = kubeconfig(folder.path(), &api, "", &plug_in(folder.path(), &script));
    assert_read(&api, &check(&good, &[]));

    let failing = "echo geheim; echo 'sign in first: cloud login' >&2; exit 3\n";
    let user = plug_in(folder.path(), failing);
    let (code, text) = check(&kubeconfig(folder.path(), &api, "", &user), &[]);
    assert!(code == 2 && text.contains("sign in first: cloud login"), "{text}");
    assert!(text.contains("plug-in") && !text.contains("geheim"), "{text}");

    let endless =
        "printf 'sign in first\\033[2J' >&2; head -c 200000 /dev/zero | tr '\\0' x >&2\nexit 3\n";
    let user = plug_in(folder.path(), endless);
    let (code, text) = check(&kubeconfig(folder.path(), &api, "", &user), &[]);
    assert!(code == 2 && text.contains("sign in first"), "{text}");
    assert!(text.contains("more characters"), "{text}");
    assert!(text.len() < 4_096 && !text.contains('\u{1b}'), "{} bytes", text.len());

    let user = plug_in(folder.path(), "echo geheim\n");
    let (code, text) = check(&kubeconfig(folder.path(), &api, "", &user), &[]);
    assert!(code == 2 && text.contains("no ExecCredential"), "{text}");
    assert!(!text.contains("geheim"), "{text}");

    let missing = plug_in(folder.path(), "").replace("command: sh", "command: no-such-cloud");
    let (code, text) = check(&kubeconfig(folder.path(), &api, "", &missing), &[]);
    assert!(code == 2 && text.contains("cannot be run") && text.contains("install"), "{text}");
}

/// Guarantees: an identity token of OpenID Connect is used while it is valid; an expired one without
/// a way to renew it is reported.
#[test]
fn a_token_of_openid_connect() {
    let folder = tempfile::tempdir().expect("a folder");
    let api = Api::start();
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = |expires: u64| {
        format!("{}.{}.x", part(json!({"alg": "RS256"})), part(json!({"exp": expires})))
    };
    let user = |token: &str| {
        format!(
            "{{auth-provider: {{name: oidc, config: {{client-id: a, id-token: {token}, \
             idp-issuer-url: 'https://127.0.0.1:1'}}}}}}"
        )
    };
    let valid = token(4_000_000_000);
    api.accept(&valid);
    assert_read(&api, &check(&kubeconfig(folder.path(), &api, "", &user(&valid)), &[]));
    let expired = token(1_000_000_000);
    let (code, text) = check(&kubeconfig(folder.path(), &api, "", &user(&expired)), &[]);
    assert!(code == 2 && text.contains("credentials of the kubeconfig"), "{text}");
    assert!(!text.contains(&expired), "{text}");
}

#[test]
fn a_token_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let api = Api::start();
    std::fs::write(folder.path().join("token"), TOKEN).expect("a file");
    // a relative path begins at the kubeconfig
    let user = format!("{{tokenFile: '{}'}}", folder.path().join("token").display());
    assert_read(&api, &check(&kubeconfig(folder.path(), &api, "", &user), &[]));
    let (code, text) = check(&kubeconfig(folder.path(), &api, "", "{tokenFile: /gone/token}"), &[]);
    assert!(code == 2 && text.contains("/gone/token"), "{text}");
    let (code, text) = check(&kubeconfig(folder.path(), &api, "", "{token: wrong}"), &[]);
    assert!(code == 2 && text.contains("401 Unauthorized"), "{text}");
}

/// A proxy that tunnels connections and records their targets.
struct Proxy {
    url: String,
    targets: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let targets = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&targets);
        // it ends with the test's process; a test opens a few connections
        std::thread::spawn(move || {
            for client in listener.incoming().take(16) {
                let record = Arc::clone(&record);
                std::thread::spawn(move || tunnel(&client.expect("a connection"), &record));
            }
        });
        Proxy { url, targets }
    }

    fn targets(&self) -> Vec<String> {
        self.targets.lock().expect("not poisoned").clone()
    }
}

fn tunnel(client: &TcpStream, targets: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(client.try_clone().expect("a descriptor"));
    let mut first = String::new();
    reader.read_line(&mut first).expect("a request");
    let target = first.split(' ').nth(1).expect("CONNECT").to_owned();
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).expect("a header");
    }
    assert!(first.starts_with("CONNECT "), "{first}");
    let server = TcpStream::connect(&target).expect("the server");
    targets.lock().expect("not poisoned").push(target);
    let mut back = client.try_clone().expect("a descriptor");
    back.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("an answer");
    let down = server.try_clone().expect("a descriptor");
    let downwards = std::thread::spawn(move || copy(down, back));
    copy(reader, server);
    let _ = downwards.join();
}

fn copy(mut from: impl Read, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// Guarantees: `proxy-url` is used; so is HTTPS_PROXY, unless NO_PROXY names the API server;
/// `proxy-url` wins over the environment.
#[test]
fn connections_go_through_the_proxy() {
    let folder = tempfile::tempdir().expect("a folder");
    let api = Api::start();
    let target = api.url().trim_start_matches("https://").to_owned();
    let user = format!("{{token: {TOKEN}}}");
    let named = Proxy::start();
    let cluster = format!(", proxy-url: '{}'", named.url);
    let through = kubeconfig(folder.path(), &api, &cluster, &user);
    let nowhere = [("HTTPS_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", "127.0.0.1")];
    assert_read(&api, &check(&through, &nowhere));
    assert!(!named.targets().is_empty() && named.targets().iter().all(|at| *at == target));

    let plain = kubeconfig(folder.path(), &api, "", &user);
    let of_environment = Proxy::start();
    let proxy = ("HTTPS_PROXY", of_environment.url.as_str());
    assert_read(&api, &check(&plain, &[proxy]));
    let used = of_environment.targets().len();
    assert!(used > 0);
    assert_read(&api, &check(&plain, &[proxy, ("NO_PROXY", "10.0.0.0/8,127.0.0.0/8")]));
    assert_eq!(of_environment.targets().len(), used, "NO_PROXY was not obeyed");

    let cluster = ", proxy-url: 'http://127.0.0.1:1'";
    let (code, text) = check(&kubeconfig(folder.path(), &api, cluster, &user), &[]);
    assert!(code == 2 && text.contains("Connection refused"), "{text}");
}
