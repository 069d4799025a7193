//! Calls to a Kubernetes API server: the client of the `kube` crate, with a limit in time and in
//! bytes for every call, and errors that say what to do. Unit: one call.

use super::error::Error;
use crate::name::{is_label, is_name};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, Request};
use kube::{Api, Resource};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use tokio::time::timeout;

/// Time limit of one call, including the connection and the answer. A page of a list takes a busy
/// API server a few seconds; the leader must notice a dead one well within the 10 s in which it has
/// to renew its lease.
pub const CALL_MAX: Duration = Duration::from_secs(8);

/// Bytes of one answer, or of all changes of one watch. `kube` copies an answer once while it reads
/// it; twice this much fits into the chart's limit of 128 MiB beside the most that reviews take.
pub(super) const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Items of one page of metadata; with 8 KiB each they are a quarter of [`ANSWER_BYTES_MAX`].
pub const METADATA_PAGE_ITEMS: u32 = 250;

/// Items of one page of whole objects; pods with 40 KiB each are half of [`ANSWER_BYTES_MAX`].
const PAGE_ITEMS: u32 = 100;

/// Pages of one list: five hundred thousand items, three times what Kubernetes is tested with.
const PAGES_MAX: usize = 5000;

/// A client of one API server. Clones share its connections.
#[derive(Clone)]
pub struct Client {
    pub(super) api: kube::Client,
    pub(super) server: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", &self.server).finish_non_exhaustive()
    }
}

/// One page of a list.
#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: ListMeta,
    /// API servers write `null` for an empty list of metadata.
    items: Option<Vec<T>>,
}

impl Client {
    /// Returns the address of the API server, for messages.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Returns the client of the `kube` crate.
    pub fn kube(&self) -> kube::Client {
        self.api.clone()
    }

    /// Returns the objects of one kind in all namespaces, or of a kind without namespaces.
    pub fn all<K: Resource<DynamicType = ()>>(&self) -> Api<K> {
        Api::all(self.api.clone())
    }

    /// Returns the objects of one kind in a namespace.
    ///
    /// # Errors
    /// Fails if the name of the namespace is not one, because it becomes a part of a URL, which the
    /// `kube` crate does not check.
    pub fn namespaced<K>(&self, namespace: &str) -> Result<Api<K>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Ok(Api::namespaced(self.api.clone(), checked_namespace(namespace)?))
    }

    /// Reads one object as JSON; `None` if it does not exist.
    ///
    /// # Errors
    /// Returns the error of the API server or of the connection; fails for a name that is not one.
    pub async fn read(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Value>, Error> {
        if !is_name(name) {
            return Err(Error::Name(name.to_owned()));
        }
        let path = url_path(resource, namespace)?;
        let request = Request::new(path.as_str()).get(name, &kube::api::GetParams::default());
        let request = request.map_err(kube::Error::BuildRequest);
        let read = async { self.api.request(request?).await };
        match call(&format!("{path}/{name}"), read).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Calls a function for each item of a list, page by page, so that no more than one page is in
    /// memory. Items are JSON, so that fields unknown to this code are preserved.
    ///
    /// # Errors
    /// Returns the error of the API server or of the connection; items passed before it were valid.
    pub async fn each(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        params: ListParams,
        each: impl FnMut(Value),
    ) -> Result<(), Error> {
        let request = Request::new(url_path(resource, namespace)?);
        let params = params.limit(PAGE_ITEMS);
        self.pages(&request.url_path, params, |params| request.list(params), each).await
    }

    /// Like [`Client::each`], with only the metadata of each object.
    ///
    /// # Errors
    /// Returns the error of the API server or of the connection; items passed before it were valid.
    pub async fn each_metadata<T: DeserializeOwned>(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        params: ListParams,
        each: impl FnMut(T),
    ) -> Result<(), Error> {
        let request = Request::new(url_path(resource, namespace)?);
        let params = params.limit(METADATA_PAGE_ITEMS);
        self.pages(&request.url_path, params, |params| request.list_metadata(params), each).await
    }

    async fn pages<T: DeserializeOwned>(
        &self,
        path: &str,
        mut params: ListParams,
        build: impl Fn(&ListParams) -> Result<hyper::Request<Vec<u8>>, kube::core::request::Error>,
        mut each: impl FnMut(T),
    ) -> Result<(), Error> {
        for _ in 0..PAGES_MAX {
            let request = build(&params).map_err(kube::Error::BuildRequest);
            let read = async { self.api.request::<Page<T>>(request?).await };
            let page = call(path, read).await?;
            page.items.into_iter().flatten().for_each(&mut each);
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(());
            }
        }
        Err(Error::Pages(path.to_owned()))
    }
}

/// Waits for a call no longer than [`CALL_MAX`]. `what` describes it in errors.
///
/// # Errors
/// Returns the error of the API server or of the connection, or that the time was over.
pub async fn call<T>(what: &str, call: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match timeout(CALL_MAX, call).await {
        Ok(done) => done.map_err(|source| Error::Call { what: what.to_owned(), source }),
        Err(_) => Err(Error::Timeout(what.to_owned())),
    }
}

/// Returns the path of a kind's objects.
fn url_path(resource: &ApiResource, namespace: Option<&str>) -> Result<String, Error> {
    let namespace = namespace.map(checked_namespace).transpose()?;
    Ok(DynamicObject::url_path(resource, namespace))
}

fn checked_namespace(name: &str) -> Result<&str, Error> {
    if is_label(name) { Ok(name) } else { Err(Error::Name(name.to_owned())) }
}

#[cfg(test)]
mod tests;
