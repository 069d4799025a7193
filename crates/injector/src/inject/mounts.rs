//! Adds to an application's container the mount and the variable, and wraps its command if its
//! output is copied. A container that could not start with them is left alone. Unit: one container.

use super::names::{RUN_PATH, RUN_VOLUME, SOCKET_PATH, SOCKET_VARIABLE, TEE, reason};
use super::patch::{Operation, add, append};
use super::pod::{Container, Pod, is_named};
use super::policy::Policy;
use serde_json::{Value, json};

/// The parents of our mount path in most images: `/var/run` is a link to `/run`.
const ABOVE: [&str; 3] = ["/", "/run", "/var/run"];
const SAME: [&str; 2] = [RUN_PATH, "/var/run/sidelight"];

/// Returns why a container cannot have the mount.
pub(super) fn obstacle(pod: &Pod<'_>, container: &Container<'_>) -> Option<&'static str> {
    for mount in container.list("volumeMounts") {
        let path = mount.get("mountPath").and_then(Value::as_str).unwrap_or_default();
        let path = if path == "/" { path } else { path.trim_end_matches('/') };
        if is_named(mount, RUN_VOLUME) {
            continue;
        }
        let below = SAME
            .iter()
            .any(|same| path.strip_prefix(same).is_some_and(|rest| rest.starts_with('/')));
        // the mount point would have to be created inside the other mount: in a file system without
        // directories, or in one that others share
        let inside = ABOVE.contains(&path) && !is_writable_scratch(pod, mount);
        if SAME.contains(&path) || below || inside {
            return Some(reason::CONFLICT);
        }
    }
    None
}

/// Returns whether a mount is a volume of the pod in which a directory can be created.
fn is_writable_scratch(pod: &Pod<'_>, mount: &Value) -> bool {
    let read_only = mount.get("readOnly").and_then(Value::as_bool).unwrap_or(false);
    let name = mount.get("name").and_then(Value::as_str).unwrap_or_default();
    !read_only
        && pod
            .volume(name)
            .is_some_and(|volume| volume.get("emptyDir").is_some_and(Value::is_object))
}

/// Returns whether the container has the mount.
pub(super) fn is_mounted(container: &Container<'_>) -> bool {
    container.list("volumeMounts").iter().any(|mount| is_named(mount, RUN_VOLUME))
}

/// Adds the mount and the variable if they are missing. Returns `true` if a container without the
/// mount had the variable.
pub(super) fn wire(patch: &mut Vec<Operation>, container: &Container<'_>) -> bool {
    let path = container.path();
    let holder = (container.map, path.as_str());
    let had = container.variable(SOCKET_VARIABLE);
    if had.is_none() {
        append(patch, holder, "env", vec![json!({"name": SOCKET_VARIABLE, "value": SOCKET_PATH})]);
    }
    if is_mounted(container) {
        return false;
    }
    let mount = json!({"name": RUN_VOLUME, "mountPath": RUN_PATH, "readOnly": true});
    append(patch, holder, "volumeMounts", vec![mount]);
    had.is_some()
}

/// The command of a container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Command {
    /// The output is copied already.
    Wrapped,
    /// The command in the pod.
    Own(Vec<String>),
    /// The command that the installer configured for the image.
    Known(Vec<String>),
    /// The command is unknown.
    Unknown,
}

/// Determines the command of a container.
pub(super) fn command(container: &Container<'_>, policy: &Policy) -> Command {
    let own = container.texts("command");
    if own.windows(TEE.len()).any(|part| part == TEE) {
        return Command::Wrapped;
    }
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
    if !own.is_empty() {
        return Command::Own(owned(own));
    }
    let image = container.text("image").unwrap_or_default();
    let known = policy.entrypoints.get(image).or_else(|| policy.entrypoints.get(untagged(image)));
    let Some(known) = known.filter(|known| !known.command.is_empty()) else {
        return Command::Unknown;
    };
    let mut command = known.command.clone();
    // the image's CMD does not apply once there is a command
    if container.texts("args").is_empty() {
        command.extend(known.args.clone());
    }
    Command::Known(command)
}

/// Puts the copier before a command.
pub(super) fn wrap(patch: &mut Vec<Operation>, container: &Container<'_>, command: Vec<String>) {
    let wrapped = TEE.map(str::to_owned).into_iter().chain(command);
    add(
        patch,
        format!("{}/command", container.path()),
        Value::Array(wrapped.map(Value::String).collect()),
    );
}

/// Returns the name of an image without tag and digest.
fn untagged(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(image, _)| image);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}
