//! Why the injector cannot start. Unit: one start.

use crate::apiserver;
use std::fmt;
use std::io;

/// The reason why the injector cannot start.
#[derive(Debug)]
pub enum Error {
    /// The kernel refuses a thread, a runtime or the registration of a listener.
    System(io::Error),
    /// TLS cannot be set up.
    Tls(rustls::Error),
    /// There are no usable credentials for the API server.
    Access(apiserver::error::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::System(error) => write!(f, "no thread: {error}"),
            Error::Tls(error) => write!(f, "TLS cannot be set up: {error}"),
            Error::Access(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::System(error) => Some(error),
            Error::Tls(error) => Some(error),
            Error::Access(error) => Some(error),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::System(error)
    }
}

impl From<rustls::Error> for Error {
    fn from(error: rustls::Error) -> Error {
        Error::Tls(error)
    }
}

impl From<apiserver::error::Error> for Error {
    fn from(error: apiserver::error::Error) -> Error {
        Error::Access(error)
    }
}
