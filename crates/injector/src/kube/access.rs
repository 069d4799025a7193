//! Which API server to call and with which credentials: the service account of the pod, or a
//! kubeconfig. Features of a kubeconfig that this client does not support (a plug-in, a proxy, no
//! verification) are refused by name. Unit: one access.

use super::base64;
use super::error::Error;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, crypto, version};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where kubelet puts the service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Bytes of a kubeconfig; with a hundred clusters it has a few hundred KiB.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// An API server and the credentials for it.
#[derive(Clone, Debug)]
pub struct Access {
    /// The name or address of the API server.
    pub host: String,
    /// The port of the API server.
    pub port: u16,
    /// The prefix of every path, for API servers behind a gateway; mostly empty.
    pub prefix: String,
    /// The name to verify in its certificate, if it is not the host's.
    pub server_name: Option<String>,
    /// CA certificates that verify the API server, as PEM; `None` for those of the system.
    pub authorities: Option<Vec<u8>>,
    /// The credential that identifies us.
    pub credential: Credential,
    /// The default namespace.
    pub namespace: String,
}

/// A credential for an API server.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// No credential.
    None,
    /// A bearer token.
    Token(String),
    /// A file with a bearer token that another process renews.
    TokenFile(PathBuf),
    /// A client certificate and its key, PEM.
    Certificate {
        /// The certificate chain.
        chain: Vec<u8>,
        /// The private key.
        key: Vec<u8>,
    },
}

/// Hides the secrets, because errors and logs contain this value.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Credential::None => "None",
            Credential::Token(_) => "Token",
            Credential::TokenFile(_) => "TokenFile",
            Credential::Certificate { .. } => "Certificate",
        })
    }
}

#[derive(Deserialize)]
struct Kubeconfig {
    #[serde(rename = "current-context", default)]
    current_context: String,
    #[serde(default)]
    contexts: Vec<Named<Context>>,
    #[serde(default)]
    clusters: Vec<Named<Cluster>>,
    #[serde(default)]
    users: Vec<Named<User>>,
}

#[derive(Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "context", alias = "cluster", alias = "user")]
    inner: T,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    #[serde(default)]
    user: String,
    namespace: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    tls_server_name: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    proxy_url: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct User {
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    username: Option<String>,
    exec: Option<serde_json::Value>,
    #[serde(rename = "auth-provider")]
    auth_provider: Option<serde_json::Value>,
}

impl Access {
    /// Finds the access: the named kubeconfig, else `KUBECONFIG`, else the pod's service account,
    /// else `~/.kube/config`. Returns `None` if none of them exists.
    ///
    /// # Errors
    /// Fails if the one that exists cannot be used.
    pub fn find(
        kubeconfig: Option<&Path>,
        environment: &BTreeMap<String, String>,
    ) -> Result<Option<Access>, Error> {
        let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        if let Some(path) = kubeconfig {
            return Access::kubeconfig(path).map(Some);
        }
        // of several files the first is used; only kubectl merges them
        if let Some(first) = variable("KUBECONFIG").and_then(|paths| paths.split(':').next()) {
            return Access::kubeconfig(Path::new(first)).map(Some);
        }
        if variable("KUBERNETES_SERVICE_HOST").is_some() {
            let host = variable("KUBERNETES_SERVICE_HOST").cloned().unwrap_or_default();
            let port = variable("KUBERNETES_SERVICE_PORT").and_then(|port| port.parse().ok());
            return Access::in_cluster(Path::new(SERVICE_ACCOUNT), host, port.unwrap_or(443))
                .map(Some);
        }
        let home = variable("HOME").map(|home| Path::new(home).join(".kube/config"));
        match home.filter(|path| path.is_file()) {
            Some(path) => Access::kubeconfig(&path).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the service account with its files in this directory.
    ///
    /// # Errors
    /// Fails if the files cannot be read.
    pub fn in_cluster(directory: &Path, host: String, port: u16) -> Result<Access, Error> {
        let file = |name: &str| {
            let path = directory.join(name);
            std::fs::read(&path).map_err(|error| {
                Error::Access(format!(
                    "{}: {error}; the pod needs its service account's token: \
                     automountServiceAccountToken: true",
                    path.display()
                ))
            })
        };
        // read now, so that a missing token is reported at the start
        file("token")?;
        let name = file("namespace").unwrap_or_else(|_| b"default".to_vec());
        let namespace = String::from_utf8_lossy(&name).trim().to_owned();
        Ok(Access {
            host,
            port,
            prefix: String::new(),
            server_name: None,
            authorities: Some(file("ca.crt")?),
            credential: Credential::TokenFile(directory.join("token")),
            namespace,
        })
    }

    /// Reads the current context of a kubeconfig.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or uses a feature that this client does not support.
    pub fn kubeconfig(path: &Path) -> Result<Access, Error> {
        let shown = path.display();
        let wrong = |text: String| Error::Access(format!("{shown}: {text}"));
        let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
        if size > FILE_BYTES_MAX {
            return Err(wrong(format!("larger than {FILE_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        parse(&text, folder).map_err(wrong)
    }

    /// Returns host and port in the form of a Host header.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Builds the configuration for TLS 1.3.
    pub(super) fn tls(&self) -> Result<ClientConfig, Error> {
        let wrong = |text: String| Error::Access(text);
        let mut roots = RootCertStore::empty();
        match &self.authorities {
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem).filter_map(Result::ok) {
                    roots
                        .add(certificate)
                        .map_err(|error| wrong(format!("the cluster's CA certificate: {error}")))?;
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
            }
        }
        if roots.is_empty() {
            return Err(wrong("no CA certificate to believe the API server with".to_owned()));
        }
        let builder =
            ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
                .with_protocol_versions(&[&version::TLS13])
                .map_err(|error| wrong(error.to_string()))?
                .with_root_certificates(roots);
        let Credential::Certificate { chain, key } = &self.credential else {
            return Ok(builder.with_no_client_auth());
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain).filter_map(Result::ok).collect();
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| wrong(format!("the client key is no PEM key: {error}")))?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| wrong(format!("the client certificate: {error}")))
    }
}

/// Parses a kubeconfig's current context; relative paths in it start at `folder`.
fn parse(text: &str, folder: &Path) -> Result<Access, String> {
    let config: Kubeconfig =
        serde_yaml::from_str(text).map_err(|error| format!("no kubeconfig: {error}"))?;
    let context = named(&config.contexts, &config.current_context, "context")?;
    let cluster = named(&config.clusters, &context.cluster, "cluster")?;
    let nobody = User::default();
    let user = if context.user.is_empty() {
        &nobody
    } else {
        named(&config.users, &context.user, "user")?
    };
    if cluster.insecure_skip_tls_verify {
        return Err("insecure-skip-tls-verify is not done here; name the \
                    certificate-authority of the cluster"
            .to_owned());
    }
    if cluster.proxy_url.is_some() {
        return Err("proxy-url is not supported".to_owned());
    }
    let (host, port, prefix) = server(&cluster.server)?;
    let authorities = pem(
        cluster.certificate_authority_data.as_deref(),
        cluster.certificate_authority.as_deref(),
        folder,
    )?;
    Ok(Access {
        host,
        port,
        prefix,
        server_name: cluster.tls_server_name.clone(),
        authorities,
        credential: credential(user, folder)?,
        namespace: context.namespace.clone().unwrap_or_else(|| "default".to_owned()),
    })
}

fn named<'a, T>(all: &'a [Named<T>], name: &str, kind: &str) -> Result<&'a T, String> {
    match all.iter().find(|one| one.name == name) {
        Some(one) => Ok(&one.inner),
        None if name.is_empty() => Err(format!("no current {kind}; set one")),
        None => Err(format!("no {kind} is called `{name}`")),
    }
}

fn credential(user: &User, folder: &Path) -> Result<Credential, String> {
    // kubectl's order: a token wins over its file, and both win over a certificate
    if let Some(token) = user.token.clone().filter(|token| !token.is_empty()) {
        return Ok(Credential::Token(token));
    }
    if let Some(path) = &user.token_file {
        return Ok(Credential::TokenFile(folder.join(path)));
    }
    let chain =
        pem(user.client_certificate_data.as_deref(), user.client_certificate.as_deref(), folder)?;
    let key = pem(user.client_key_data.as_deref(), user.client_key.as_deref(), folder)?;
    if let (Some(chain), Some(key)) = (chain, key) {
        return Ok(Credential::Certificate { chain, key });
    }
    let plugin = user.exec.is_some() || user.auth_provider.is_some();
    if plugin || user.username.is_some() {
        return Err(
            "the user signs in by a plug-in or a password, which is not supported; make a \
                    token: kubectl create token NAME"
                .to_owned(),
        );
    }
    Ok(Credential::None)
}

/// Returns the inline data, which wins, or the contents of the file.
fn pem(data: Option<&str>, file: Option<&Path>, folder: &Path) -> Result<Option<Vec<u8>>, String> {
    if let Some(data) = data.filter(|data| !data.is_empty()) {
        let bytes = base64::decode(data).ok_or("certificate or key data is no Base64")?;
        return Ok(Some(bytes));
    }
    let Some(file) = file else { return Ok(None) };
    let path = folder.join(file);
    std::fs::read(&path).map(Some).map_err(|error| format!("{}: {error}", path.display()))
}

/// Parses `https://HOST[:PORT][/PREFIX]`.
fn server(url: &str) -> Result<(String, u16, String), String> {
    let wrong = || format!("`{url}` is no https://HOST:PORT");
    let uri: hyper::Uri = url.parse().map_err(|_| wrong())?;
    let host = uri.host().filter(|_| uri.scheme_str() == Some("https")).ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let prefix = uri.path().trim_end_matches('/').to_owned();
    Ok((host, uri.port_u16().unwrap_or(443), prefix))
}

#[cfg(test)]
mod tests;
