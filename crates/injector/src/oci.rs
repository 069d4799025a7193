//! Reads the default command of an image: ENTRYPOINT and CMD from its configuration in a registry
//! (OCI distribution specification: index, manifest, blob; anonymous tokens). It uses HTTP for a
//! registry on this machine and TLS for every other. It never pulls a layer and never sends a
//! credential. Unit: one image.

pub mod error;
mod http;
pub mod image;

#[cfg(test)]
mod tests;

use error::Error;
use http::{Answer, Client};
use hyper::header::{ACCEPT, WWW_AUTHENTICATE};
use image::Image;
use serde_json::Value;
use std::time::Duration;

/// Time limit of all requests for one image.
const IMAGE_TIME_MAX: Duration = Duration::from_secs(30);

/// Media types of the documents that lead to a configuration: of Docker and of OCI, for many
/// platforms and for one.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// The command of an image.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Command {
    /// The ENTRYPOINT of the image.
    pub entrypoint: Vec<String>,
    /// The CMD of the image.
    pub cmd: Vec<String>,
}

/// The platform for which an image is built.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Platform {
    /// The operating system, such as `linux`.
    pub os: String,
    /// The architecture, such as `amd64`.
    pub architecture: String,
}

/// Requests the command of an image for a platform from its registry.
///
/// # Errors
/// Fails if the name is invalid, or if the registry cannot be reached, refuses, wants credentials or
/// does not have the image.
pub async fn command(image: &str, platform: &Platform) -> Result<Command, Error> {
    let image = Image::parse(image)?;
    let requested = tokio::time::timeout(IMAGE_TIME_MAX, request(&image, platform)).await;
    requested.map_err(|_| Error::Timeout(image.host.clone()))?
}

async fn request(image: &Image, platform: &Platform) -> Result<Command, Error> {
    let mut registry = Registry { client: Client::new(), image, token: None };
    let mut manifest = registry.manifest(&image.reference).await?;
    if let Some(built) = manifest["manifests"].as_array() {
        let Platform { os, architecture } = platform;
        let digest = of_platform(built, platform)
            .ok_or_else(|| Error::Platform(format!("{os}/{architecture}")))?;
        manifest = registry.manifest(digest).await?;
    }
    let digest = manifest["config"]["digest"].as_str().ok_or(Error::NoConfiguration)?;
    let configuration = registry.blob(digest).await?;
    let list = |name: &str| match &configuration["config"][name] {
        Value::Array(words) => words.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        // the shell form of old builders
        Value::String(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()],
        _ => Vec::new(),
    };
    Ok(Command { entrypoint: list("Entrypoint"), cmd: list("Cmd") })
}

/// Returns the digest of the manifest for a platform. Variants (`v8`) are ignored, and the first
/// match is used.
fn of_platform<'m>(built: &'m [Value], platform: &Platform) -> Option<&'m str> {
    let found = built.iter().find(|one| {
        let is = &one["platform"];
        is["os"] == platform.os.as_str() && is["architecture"] == platform.architecture.as_str()
    });
    found.or(match built {
        // an index with a single manifest that names no platform
        [one] if one["platform"].is_null() => Some(one),
        _ => None,
    })?["digest"]
        .as_str()
}

struct Registry<'image> {
    client: Client,
    image: &'image Image,
    token: Option<String>,
}

impl Registry<'_> {
    async fn manifest(&mut self, reference: &str) -> Result<Value, Error> {
        self.get(&format!("manifests/{reference}"), MANIFESTS).await
    }

    async fn blob(&mut self, digest: &str) -> Result<Value, Error> {
        self.get(&format!("blobs/{digest}"), "*/*").await
    }

    async fn get(&mut self, path: &str, accept: &str) -> Result<Value, Error> {
        let image = self.image;
        let url = format!("{}://{}/v2/{}/{path}", image.scheme(), image.host, image.name);
        let mut answer = self.once(&url, accept).await?;
        if answer.status == 401 && self.token.is_none() {
            self.token = Some(self.anonymous(&answer).await?);
            answer = self.once(&url, accept).await?;
        }
        match answer.status {
            200 => serde_json::from_slice(&answer.body)
                .map_err(|error| Error::Json(image.host.clone(), error)),
            401 | 403 => Err(Error::Credentials(image.host.clone())),
            404 => {
                let Image { host, name, reference } = image;
                Err(Error::Missing(format!("{host}/{name}:{reference}")))
            }
            status => Err(Error::Status(image.host.clone(), status)),
        }
    }

    async fn once(&self, url: &str, accept: &str) -> Result<Answer, Error> {
        self.client.get(url, &[(ACCEPT, accept)], self.token.as_deref()).await
    }

    /// Requests an anonymous token from the address that the registry names.
    async fn anonymous(&self, refused: &Answer) -> Result<String, Error> {
        let no_token = || Error::Credentials(self.image.host.clone());
        let challenge = refused.headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let url = challenge.and_then(token_url).ok_or_else(no_token)?;
        let answer = self.client.get(&url, &[], None).await?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let token = body["token"].as_str().or(body["access_token"].as_str());
        token.map(str::to_owned).ok_or_else(no_token)
    }
}

/// Converts `Bearer
/// realm="https://auth.example/token",service="registry",scope="repository:a/b:pull"` to the URL of
/// the token. Values are percent-encoded if necessary.
fn token_url(challenge: &str) -> Option<String> {
    let (scheme, mut rest) = challenge.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut query) = (None, Vec::new());
    while let Some((name, behind)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',']);
        let (value, behind) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => behind.split_once(',').unwrap_or((behind, "")),
        };
        rest = behind;
        match name {
            "realm" => realm = Some(value),
            "service" | "scope" => query.push(format!("{name}={}", encoded(value))),
            _ => {}
        }
    }
    let realm = realm?;
    let joint = if realm.contains('?') { '&' } else { '?' };
    Some(format!("{realm}{joint}{}", query.join("&")))
}

fn encoded(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte);
    let byte =
        |byte: u8| if keep(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(byte).collect()
}
