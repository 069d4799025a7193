//! Why the command of an image cannot be read. Unit: one image.

use std::error::Error as Source;
use std::fmt;

/// The reason why the command of an image cannot be read.
#[derive(Debug)]
pub enum Error {
    /// A text is no name of an image.
    Name(String),
    /// The registry did not answer in time.
    Timeout(String),
    /// A text is no URL.
    Url(String),
    /// The registry redirects to something that is no address, or from TLS to plain HTTP.
    Redirection(String),
    /// The registry redirects again and again.
    Redirections(String),
    /// The registry cannot be reached, or the connection broke.
    Unreachable {
        /// The registry as `host:port`, without user and path.
        authority: String,
        /// The error of the connection, TLS or HTTP.
        source: Box<dyn Source + Send + Sync>,
    },
    /// The registry answers with something that is not JSON.
    Json(String, serde_json::Error),
    /// The registry wants credentials.
    Credentials(String),
    /// The registry does not have the image.
    Missing(String),
    /// The registry answers with a status that is neither success nor a known refusal.
    Status(String, u16),
    /// The image is not built for the platform.
    Platform(String),
    /// The manifest of the image names no configuration.
    NoConfiguration,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Name(text) => write!(f, "`{text}` is no name of an image"),
            Error::Timeout(host) => write!(f, "{host} does not answer within 30 s"),
            Error::Url(text) => write!(f, "`{text}` is no address"),
            Error::Redirection(url) => {
                write!(f, "{url} redirects to something that is no address, or away from TLS")
            }
            Error::Redirections(url) => write!(f, "{url} redirects too many times"),
            Error::Unreachable { authority, source } => {
                write!(f, "{authority} cannot be reached: {}", innermost(source.as_ref()))
            }
            Error::Json(host, error) => write!(f, "{host} does not answer with JSON: {error}"),
            Error::Credentials(host) => write!(f, "{host} wants credentials"),
            Error::Missing(image) => write!(f, "the registry has no {image}"),
            Error::Status(host, status) => write!(f, "{host} answers {status}"),
            Error::Platform(platform) => write!(f, "not built for {platform}"),
            Error::NoConfiguration => {
                f.write_str("its manifest names no configuration: too old a format")
            }
        }
    }
}

impl Source for Error {
    fn source(&self) -> Option<&(dyn Source + 'static)> {
        match self {
            Error::Unreachable { source, .. } => Some(source.as_ref()),
            Error::Json(_, error) => Some(error),
            _ => None,
        }
    }
}

/// Returns the cause that says what happened; the errors above it only say where.
fn innermost<'e>(error: &'e (dyn Source + 'static)) -> &'e (dyn Source + 'static) {
    let mut found = error;
    while let Some(cause) = found.source() {
        found = cause;
    }
    found
}
