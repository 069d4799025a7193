//! Adds to an application's container the mounts and the variables, and wraps its command if its
//! output is copied. A container that could not start with them is left alone. Unit: one container.

use super::names::{
    IMAGE_PATH, IMAGE_VOLUME, RUN_PATH, RUN_VOLUME, TEE_INSTALLED, TEE_MOUNTED, reason,
};
use super::options::InPlace;
use super::patch::{Operation, add, append};
use super::pod::{Container, Pod, is_named};
use super::policy::Policy;
use super::status::{Names, VARIABLES};
use serde_json::{Value, json};

/// The parents of our mount paths in most images: `/var/run` is a link to `/run`.
const ABOVE: [&str; 3] = ["/", "/run", "/var/run"];
const SAME: [&str; 4] = [RUN_PATH, "/var/run/sidelight", IMAGE_PATH, "/var/run/sidelight-image"];

/// Where the containers with copied output find the copier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Copier {
    /// Nowhere: the output of no container is copied.
    Absent,
    /// On the volume of the sockets, where the sidecar or an init container puts it.
    Installed,
    /// In the image, which is mounted as a volume.
    Mounted,
}

/// Returns why a container cannot have the mount.
pub(super) fn obstacle(pod: &Pod<'_>, container: &Container<'_>) -> Option<&'static str> {
    for mount in container.list("volumeMounts") {
        let path = mount.get("mountPath").and_then(Value::as_str).unwrap_or_default();
        let path = if path == "/" { path } else { path.trim_end_matches('/') };
        if is_named(mount, RUN_VOLUME) || is_named(mount, IMAGE_VOLUME) {
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

/// Adds the mounts and variables that are missing; the image's mount only if the container needs the
/// copier in it. Returns the lists of the variables that a container without the mount had before.
pub(super) fn connect(
    patch: &mut Vec<Operation>,
    container: &Container<'_>,
    needs_image: bool,
) -> Vec<Names> {
    let path = container.path();
    let holder = (container.map, path.as_str());
    let is_mounted = |volume| container.list("volumeMounts").iter().any(|m| is_named(m, volume));
    let (had, missing): (Vec<_>, Vec<_>) =
        VARIABLES.into_iter().partition(|(name, ..)| container.variable(name).is_some());
    let variables = missing.into_iter().map(|(name, path, _)| json!({"name": name, "value": path}));
    append(patch, holder, "env", variables.collect());
    let mut mounts = Vec::new();
    for (volume, path, is_needed) in
        [(RUN_VOLUME, RUN_PATH, true), (IMAGE_VOLUME, IMAGE_PATH, needs_image)]
    {
        if is_needed && !is_mounted(volume) {
            mounts.push(json!({"name": volume, "mountPath": path, "readOnly": true}));
        }
    }
    append(patch, holder, "volumeMounts", mounts);
    if is_mounted(RUN_VOLUME) {
        return Vec::new();
    }
    had.into_iter().map(|(.., kept)| kept).collect()
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
    if own.iter().any(|part| [TEE_INSTALLED, TEE_MOUNTED].contains(part)) {
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
pub(super) fn wrap(
    patch: &mut Vec<Operation>,
    container: &Container<'_>,
    copier: Copier,
    in_place: InPlace,
    command: Vec<String>,
) {
    let path = if copier == Copier::Mounted { TEE_MOUNTED } else { TEE_INSTALLED };
    let option = (in_place != InPlace::Auto).then(|| format!("--in-place={}", in_place.word()));
    let before = [Some(path.to_owned()), option, Some("--".to_owned())];
    let wrapped = before.into_iter().flatten().chain(command).map(Value::String).collect();
    add(patch, format!("{}/command", container.path()), Value::Array(wrapped));
}

/// Returns the name of an image without tag and digest.
fn untagged(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(image, _)| image);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}
