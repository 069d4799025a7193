//! Errors of calls to the Kubernetes API, with messages that say what to do. Unit: one error.

use std::fmt;
use std::io;

/// The reason why a call failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// The kubeconfig or the service account cannot be used.
    Access(String),
    /// The API server cannot be reached, or the connection broke.
    Connection(String),
    /// The call took longer than its limit.
    Timeout(String),
    /// The API server refused the request.
    Status {
        /// The HTTP status.
        code: u16,
        /// The reason in Kubernetes' terms, such as `AlreadyExists`.
        reason: String,
        /// The message of the API server.
        message: String,
    },
    /// The answer is not one of an API server.
    Answer(String),
}

impl Error {
    pub(super) fn connection(error: &hyper::Error) -> Error {
        Error::Connection(error.to_string())
    }

    pub(super) fn unreachable(host: &str, port: u16, error: &io::Error) -> Error {
        Error::Connection(format!("{host}:{port} cannot be reached: {error}"))
    }

    /// Returns the status, if the API server sent one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Error::Status { code, .. } => Some(*code),
            Error::Access(_) | Error::Connection(_) | Error::Timeout(_) | Error::Answer(_) => None,
        }
    }

    /// Returns whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Returns whether another writer was faster: the object changed since it was read, exists
    /// already, or fails a test of a JSON patch.
    pub fn is_conflict(&self) -> bool {
        matches!(self.code(), Some(409 | 422))
    }

    /// Returns whether RBAC forbids the call, or the credentials are not accepted.
    pub fn is_forbidden(&self) -> bool {
        matches!(self.code(), Some(401 | 403))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Access(text) => f.write_str(text),
            Error::Connection(text) => write!(f, "the Kubernetes API: {text}"),
            Error::Timeout(what) => write!(f, "the Kubernetes API did not answer in time: {what}"),
            Error::Status { code, reason, message } if reason.is_empty() => {
                write!(f, "the Kubernetes API said {code}: {message}")
            }
            Error::Status { code, reason, message } => {
                write!(f, "the Kubernetes API said {code} {reason}: {message}")
            }
            Error::Answer(text) => write!(f, "the Kubernetes API answered strangely: {text}"),
        }
    }
}

impl std::error::Error for Error {}
