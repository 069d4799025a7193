//! Which API server to call and with which credentials: the service account of the pod, or a
//! kubeconfig with everything that the `kube` crate supports (tokens, certificates, plug-ins, OIDC,
//! proxies). Unit: one access.

use super::client::{ANSWER_BYTES_MAX, CALL_MAX, Client};
use super::error::Error;
use http_body_util::Limited;
use hyper::header::{HeaderValue, USER_AGENT};
use hyper_util::client::proxy::matcher::Matcher;
use kube::Config;
use kube::client::ClientBuilder;
use kube::config::{Kubeconfig, KubeconfigError};
use rustls::crypto;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tower::util::MapResponseLayer;

/// Bytes of a kubeconfig; with a hundred clusters it has a few hundred KiB.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The longest silence of a connection that works, because the bookmark of a watch comes every
/// minute.
const SILENT_MAX: Duration = Duration::from_mins(3);

const AGENT: &str = concat!("sidelight-injector/", env!("CARGO_PKG_VERSION"));

/// An API server and the credentials for it.
#[derive(Clone)]
pub struct Access {
    config: Config,
}

/// Hides the credentials, because errors and logs contain this value.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("server", &self.server()).finish_non_exhaustive()
    }
}

impl Access {
    /// Uses a configuration of the `kube` crate, with our limits in time.
    pub fn new(mut config: Config) -> Access {
        config.connect_timeout = Some(CALL_MAX);
        config.read_timeout = Some(SILENT_MAX);
        config.write_timeout = Some(CALL_MAX);
        config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
        Access { config }
    }

    /// Finds the access: the named kubeconfig, else the files in `KUBECONFIG`, else the pod's
    /// service account, else `~/.kube/config`. Returns `None` if none of them exists.
    ///
    /// # Errors
    /// Fails if the one that exists cannot be used.
    pub fn find(
        kubeconfig: Option<&Path>,
        environment: &BTreeMap<String, String>,
    ) -> Result<Option<Access>, Error> {
        let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        if let Some(path) = kubeconfig {
            return Access::kubeconfig(&[path.to_owned()]).map(Some);
        }
        if let Some(paths) = variable("KUBECONFIG") {
            let paths = std::env::split_paths(paths).filter(|path| !path.as_os_str().is_empty());
            return Access::kubeconfig(&paths.collect::<Vec<_>>()).map(Some);
        }
        if variable("KUBERNETES_SERVICE_HOST").is_some() {
            let config = Config::incluster().map_err(Box::new).map_err(Error::ServiceAccount)?;
            return Ok(Some(Access::new(config)));
        }
        let home = variable("HOME").map(|home| Path::new(home).join(".kube/config"));
        match home.filter(|path| path.is_file()) {
            Some(path) => Access::kubeconfig(&[path]).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the current context of a kubeconfig. Of several files, the first one that has a value
    /// determines it, and missing files are left out, as kubectl does.
    ///
    /// # Errors
    /// Fails if no file exists, if one cannot be read, or if the context is incomplete.
    pub fn kubeconfig(paths: &[PathBuf]) -> Result<Access, Error> {
        let place = || {
            let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
            names.join(":")
        };
        let failed =
            |place: String| move |source| Error::Kubeconfig { place, source: Box::new(source) };
        let there: Vec<_> = paths.iter().filter(|path| paths.len() == 1 || path.exists()).collect();
        if there.is_empty() {
            return Err(failed(place())(KubeconfigError::FindPath));
        }
        let mut merged = Kubeconfig::default();
        for path in there {
            let shown = path.display().to_string();
            let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
            if bytes > FILE_BYTES_MAX {
                return Err(Error::KubeconfigBytes { place: path.clone(), most: FILE_BYTES_MAX });
            }
            let read = Kubeconfig::read_from(path).and_then(|next| merged.merge(next));
            merged = read.map_err(failed(shown))?;
        }
        let proxy = proxy_of_cluster(&merged);
        let mut config = Config::try_from(merged).map_err(failed(place()))?;
        config.proxy_url = match proxy {
            Some(url) => {
                Some(url.parse().map_err(KubeconfigError::ParseProxyUrl).map_err(failed(place()))?)
            }
            None => proxy_of_environment(&config),
        };
        Ok(Access::new(config))
    }

    /// Returns the address of the API server, for messages.
    pub fn server(&self) -> String {
        self.config.cluster_url.to_string().trim_end_matches('/').to_owned()
    }

    /// Returns the namespace of the service account or of the context, by default `default`.
    pub fn namespace(&self) -> &str {
        &self.config.default_namespace
    }

    /// Creates a client. It belongs to the runtime in which this is called. A plug-in for
    /// credentials runs now.
    ///
    /// # Errors
    /// Fails if the certificates, keys or tokens are unusable, or if the plug-in fails.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn client(&self) -> Result<Client, Error> {
        // `kube` uses the provider of the process; a second installation changes nothing
        let _ = crypto::ring::default_provider().install_default();
        let failed = |error| Error::Client(Box::new(error));
        let builder = ClientBuilder::try_from(self.config.clone()).map_err(failed)?;
        let limit =
            |answer: hyper::Response<_>| answer.map(|body| Limited::new(body, ANSWER_BYTES_MAX));
        let api = builder.with_layer(&MapResponseLayer::new(limit)).build();
        Ok(Client { api, server: self.server() })
    }
}

/// Returns the proxy that the cluster of the current context names. It is used whatever NO_PROXY
/// says, as in kubectl; `kube` 5.0 would leave it out if NO_PROXY contains the proxy's own address.
fn proxy_of_cluster(kubeconfig: &Kubeconfig) -> Option<String> {
    let current = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig.contexts.iter().find(|context| context.name == *current)?;
    let name = &context.context.as_ref()?.cluster;
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == *name)?;
    cluster.cluster.as_ref()?.proxy_url.clone().filter(|url| !url.is_empty())
}

/// Returns the proxy of HTTPS_PROXY and its like, unless NO_PROXY excludes the API server.
fn proxy_of_environment(config: &Config) -> Option<hyper::Uri> {
    let chosen = Matcher::from_env().intercept(&config.cluster_url)?;
    // the address as `kube` read it contains the user and password of the proxy
    config.proxy_url.clone().or_else(|| Some(chosen.uri().clone()))
}

#[cfg(test)]
mod tests;
