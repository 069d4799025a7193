//! Parses the name of an image, as manifests write it, into its location in a registry. Unit: one
//! name.

use super::error::Error;

/// An image in a registry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// The registry, such as `registry-1.docker.io` or `localhost:5000`.
    pub host: String,
    /// The repository, such as `library/nginx`.
    pub name: String,
    /// A tag, or a digest, which wins over a tag.
    pub reference: String,
}

impl Image {
    /// Parses a name: the default registry is Docker Hub, the default tag is `latest`.
    ///
    /// # Errors
    /// Fails if the text is not a valid image name.
    pub fn parse(text: &str) -> Result<Image, Error> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        // a colon after the last slash; one before it belongs to a port
        let path = name.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match name[path..].split_once(':') {
            Some((last, tag)) => (&name[..path + last.len()], Some(tag)),
            None => (name, None),
        };
        let (host, name) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (first, rest.to_owned())
            }
            Some(_) => ("docker.io", name.to_owned()),
            None => ("docker.io", format!("library/{name}")),
        };
        let host = if matches!(host, "docker.io" | "index.docker.io") {
            "registry-1.docker.io"
        } else {
            host
        };
        let reference = digest.or(tag).unwrap_or("latest");
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte);
        let parts_full =
            name.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        if !parts_full || reference.is_empty() || !format!("{name}{reference}").bytes().all(allowed)
        {
            return Err(Error::Name(text.to_owned()));
        }
        Ok(Image { host: host.to_owned(), name, reference: reference.to_owned() })
    }

    /// Returns the URL scheme of the registry: https, except for a registry on this machine.
    pub fn scheme(&self) -> &'static str {
        let host = match self.host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => &self.host,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address = host.parse::<std::net::IpAddr>();
        let here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        if here { "http" } else { "https" }
    }
}
