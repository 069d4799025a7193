//! Errors of calls to the Kubernetes API, with messages that say what to do. Unit: one error.

use kube::client::AuthError;
use std::error::Error as Source;
use std::fmt;
use std::path::PathBuf;

/// Levels of the causes of an error that are shown.
const CAUSES_MAX: usize = 8;

/// Characters of a credential plug-in's messages that are shown: some plug-ins print a whole page
/// of HTML or a trace of every request.
const PLUG_IN_CHARS_MAX: usize = 1_000;

/// The reason why a call failed, or why there can be none.
#[derive(Debug)]
pub enum Error {
    /// A kubeconfig cannot be read, or has no usable context.
    Kubeconfig {
        /// The file, or the list of several.
        place: String,
        /// The error of the `kube` crate.
        source: Box<kube::config::KubeconfigError>,
    },
    /// A file that a kubeconfig names is too large to be read.
    KubeconfigBytes {
        /// Path of that file.
        place: PathBuf,
        /// Maximum size in bytes.
        most: u64,
    },
    /// The service account of the pod cannot be used.
    ServiceAccount(Box<kube::config::InClusterError>),
    /// The client cannot be set up: a certificate, a key, a token or a plug-in.
    Client(Box<kube::Error>),
    /// This text is not a valid name of an object or of a namespace, and a URL must not contain it.
    Name(String),
    /// The call took longer than its limit; has its verb and object.
    Timeout(String),
    /// A list has more pages than any cluster needs; has its verb and object.
    Pages(String),
    /// The API server refused the call, or it cannot be reached.
    Call {
        /// Verb and object, as `get nodes`.
        what: String,
        /// The error of the `kube` crate.
        source: kube::Error,
    },
}

impl Error {
    /// Returns the status, if the API server sent one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Error::Call { source: kube::Error::Api(status), .. } => Some(status.code),
            _ => None,
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
            Error::Kubeconfig { place, source } => {
                write!(f, "{place}: ")?;
                kubeconfig(f, source)
            }
            Error::KubeconfigBytes { place, most } => {
                write!(f, "{}: larger than {most} bytes; name a kubeconfig", place.display())
            }
            Error::ServiceAccount(source) => write!(
                f,
                "{source}; the pod needs its service account's token: \
                 automountServiceAccountToken: true"
            ),
            Error::Client(source) => call(f, source),
            Error::Name(name) => write!(f, "`{}` is no name of an object", name.escape_debug()),
            Error::Timeout(what) => write!(f, "the Kubernetes API did not answer in time: {what}"),
            Error::Pages(what) => write!(f, "the list does not end: {what}"),
            Error::Call { source, .. } => call(f, source),
        }
    }
}

impl Source for Error {
    fn source(&self) -> Option<&(dyn Source + 'static)> {
        match self {
            Error::Kubeconfig { source, .. } => Some(source.as_ref()),
            Error::ServiceAccount(source) => Some(source.as_ref()),
            Error::Client(source) => Some(source.as_ref()),
            Error::Call { source, .. } => Some(source),
            Error::KubeconfigBytes { .. }
            | Error::Name(_)
            | Error::Timeout(_)
            | Error::Pages(_) => None,
        }
    }
}

/// Writes what is wrong with a kubeconfig, with what to do where `kube` does not say it.
fn kubeconfig(f: &mut fmt::Formatter<'_>, error: &kube::config::KubeconfigError) -> fmt::Result {
    use kube::config::KubeconfigError;
    match error {
        KubeconfigError::CurrentContextNotSet => {
            f.write_str("no current context; set one: kubectl config use-context NAME")
        }
        KubeconfigError::LoadContext(name) if name.is_empty() => {
            f.write_str("no current context; set one: kubectl config use-context NAME")
        }
        KubeconfigError::LoadContext(name) => write!(f, "no context is called `{name}`"),
        KubeconfigError::LoadClusterOfContext(name) => write!(f, "no cluster is called `{name}`"),
        KubeconfigError::ReadConfig(error, _) => write!(f, "{error}"),
        other => write!(f, "{other}"),
    }
}

/// Writes why a call failed.
fn call(f: &mut fmt::Formatter<'_>, error: &kube::Error) -> fmt::Result {
    if let kube::Error::Api(status) = error {
        let gap = if status.reason.is_empty() { "" } else { " " };
        let (code, reason, message) = (status.code, &status.reason, &status.message);
        return write!(f, "the Kubernetes API said {code}{gap}{reason}: {message}");
    }
    let mut cause: Option<&(dyn Source + 'static)> = Some(error);
    while let Some(found) = cause {
        if let Some(failed) = found.downcast_ref::<AuthError>() {
            return credentials(f, failed);
        }
        cause = found.source();
    }
    f.write_str("the Kubernetes API: ")?;
    causes(f, error)
}

/// Writes why there are no credentials. The output of a plug-in is left out, because it may be a
/// credential.
fn credentials(f: &mut fmt::Formatter<'_>, error: &AuthError) -> fmt::Result {
    match error {
        AuthError::AuthExecRun { cmd, out } => {
            let messages = shortened(&out.stderr);
            let gap = if messages.is_empty() { "" } else { ": " };
            let status = out.status;
            write!(
                f,
                "the credential plug-in `{cmd}` of the kubeconfig failed, {status}{gap}{messages}"
            )
        }
        AuthError::AuthExecStart(error) => write!(
            f,
            "the credential plug-in of the kubeconfig cannot be run: {error}; install the command \
             that its `exec` section names"
        ),
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => f.write_str(
            "the credential plug-in of the kubeconfig printed something that is no ExecCredential",
        ),
        AuthError::ReadTokenFile(error, path) => write!(
            f,
            "{}: {error}; a pod needs its service account's token: \
             automountServiceAccountToken: true",
            path.display()
        ),
        other => {
            f.write_str("the credentials of the kubeconfig: ")?;
            causes(f, other)
        }
    }
}

/// Returns the beginning of what a plug-in wrote to standard error. Control characters, which a
/// terminal would obey, become spaces; lines remain.
fn shortened(messages: &[u8]) -> String {
    let text = String::from_utf8_lossy(messages);
    let text = text.trim();
    let shown: String = text
        .chars()
        .take(PLUG_IN_CHARS_MAX)
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect();
    match text.chars().skip(PLUG_IN_CHARS_MAX).count() {
        0 => shown,
        left_out => format!("{shown} ... ({left_out} more characters)"),
    }
}

/// Writes an error and its causes. Many errors repeat their cause in their text, which is written
/// once.
fn causes(f: &mut fmt::Formatter<'_>, error: &(dyn Source + 'static)) -> fmt::Result {
    let mut written = error.to_string();
    f.write_str(&written)?;
    let mut cause = error.source();
    for _ in 0..CAUSES_MAX {
        let Some(found) = cause else { break };
        let text = found.to_string();
        if !written.contains(&text) {
            write!(f, ": {text}")?;
            written = text;
        }
        cause = found.source();
    }
    Ok(())
}
