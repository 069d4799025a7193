//! `--resolve-entrypoints`: writes the image's ENTRYPOINT and CMD into a container with copied
//! output and without a command, so that there is a command to wrap. If a registry does not answer,
//! a warning is printed and the manifest is not changed. Unit: one pod.

use crate::inject::names::{CONFIG, CONTAINER};
use crate::inject::policy::Policy;
use crate::oci::{Command, Platform, command};
use serde_json::{Map, Value};
use std::collections::HashMap;
use tokio::runtime::Runtime;

/// The answers of registries; each image is requested once.
pub(super) struct Entrypoints {
    runtime: Runtime,
    platform: Platform,
    known: HashMap<String, Result<Command, String>>,
}

impl Entrypoints {
    /// Creates an empty cache for a platform such as `linux/amd64`.
    pub(super) fn new(platform: &str) -> Result<Entrypoints, String> {
        let (os, architecture) = platform
            .split_once('/')
            .ok_or_else(|| format!("error: --platform {platform}: OS/ARCHITECTURE is expected"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("error: no runtime for requests: {error}"))?;
        let platform = Platform { os: os.to_owned(), architecture: architecture.to_owned() };
        Ok(Entrypoints { runtime, platform, known: HashMap::new() })
    }

    /// Writes commands into a pod. Returns whether there was one to write.
    pub(super) fn write(
        &mut self,
        pod: &mut Value,
        policy: &Policy,
        warnings: &mut Vec<String>,
    ) -> bool {
        let copied = tee_containers(pod);
        let Some(containers) = pod["spec"]["containers"].as_array_mut() else { return false };
        let mut changed = false;
        for container in containers.iter_mut().filter_map(Value::as_object_mut) {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
            let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
            let said = container.get("command").and_then(Value::as_array);
            let has_command = said.is_some_and(|command| !command.is_empty());
            // the installer's command for an image wins, and the plan uses it
            let mapped = policy.entrypoints.contains_key(image);
            if name == CONTAINER || image.is_empty() || has_command || mapped || !copied.wants(name)
            {
                continue;
            }
            match self.of(image) {
                Ok(Command { entrypoint, cmd }) if entrypoint.is_empty() && cmd.is_empty() => {
                    warnings.push(format!("container `{name}`: {image} says no command either"));
                }
                Ok(command) => {
                    set(container, &command);
                    changed = true;
                }
                Err(message) => {
                    warnings.push(format!("container `{name}`: the command of {image}: {message}"));
                }
            }
        }
        changed
    }

    fn of(&mut self, image: &str) -> Result<Command, String> {
        if let Some(known) = self.known.get(image) {
            return known.clone();
        }
        let found = self.runtime.block_on(command(image, &self.platform));
        let found = found.map_err(|error| error.to_string());
        self.known.insert(image.to_owned(), found.clone());
        found
    }
}

/// The containers with copied output.
#[derive(PartialEq, Eq, Debug)]
enum TeeContainers {
    Nobody,
    Everybody,
    Named(Vec<String>),
}

impl TeeContainers {
    fn wants(&self, name: &str) -> bool {
        match self {
            TeeContainers::Nobody => false,
            TeeContainers::Everybody => true,
            TeeContainers::Named(names) => names.iter().any(|known| known == name),
        }
    }
}

fn tee_containers(pod: &Value) -> TeeContainers {
    match pod["metadata"]["annotations"][format!("{CONFIG}tee")].as_str().map(str::trim) {
        None | Some("" | "false") => TeeContainers::Nobody,
        Some("true") => TeeContainers::Everybody,
        Some(names) => {
            TeeContainers::Named(names.split(',').map(|name| name.trim().to_owned()).collect())
        }
    }
}

/// Combines them as kubelet does: `args` of the manifest replace CMD.
fn set(container: &mut Map<String, Value>, command: &Command) {
    let list = |words: &[String]| Value::from(words.to_vec());
    let args = container.get("args").and_then(Value::as_array).filter(|args| !args.is_empty());
    let (program, args) = match (command.entrypoint.as_slice(), args) {
        // without ENTRYPOINT the arguments alone are run, and the first of them is the program
        ([], Some(args)) => (Value::from(args.clone()), None),
        ([], None) => (list(&command.cmd), None),
        (entrypoint, Some(args)) => (list(entrypoint), Some(Value::from(args.clone()))),
        (entrypoint, None) if command.cmd.is_empty() => (list(entrypoint), None),
        (entrypoint, None) => (list(entrypoint), Some(list(&command.cmd))),
    };
    container.shift_remove("args");
    container.shift_remove("command");
    // after the image, where it usually is
    let at = container.keys().position(|key| key == "image").map_or(container.len(), |at| at + 1);
    if let Some(args) = args {
        container.shift_insert(at, "args".to_owned(), args);
    }
    container.shift_insert(at, "command".to_owned(), program);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn command_and_arguments_as_kubelet_puts_them_together() {
        let words =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        for (entrypoint, cmd, before, after) in [
            (&["/e"][..], &["c"][..], json!({}), json!({"command": ["/e"], "args": ["c"]})),
            (&["/e"], &[], json!({}), json!({"command": ["/e"]})),
            (&[], &["c", "d"], json!({}), json!({"command": ["c", "d"]})),
            (&["/e"], &["c"], json!({"args": ["x"]}), json!({"command": ["/e"], "args": ["x"]})),
            (&["/e"], &["c"], json!({"args": []}), json!({"command": ["/e"], "args": ["c"]})),
            (&[], &["c"], json!({"args": ["x", "y"]}), json!({"command": ["x", "y"]})),
            (&["/e"], &[], json!({"command": []}), json!({"command": ["/e"]})),
        ] {
            let mut container = before.as_object().expect("a map").clone();
            set(&mut container, &Command { entrypoint: words(entrypoint), cmd: words(cmd) });
            assert_eq!(Value::Object(container), after, "{entrypoint:?} {cmd:?} {before}");
        }
    }

    #[test]
    fn the_annotation_names_the_containers_to_copy() {
        for (text, wanted, other) in [
            ("true", true, true),
            ("false", false, false),
            ("app", true, false),
            (" side , app ", true, false),
            ("", false, false),
        ] {
            let pod = json!({"metadata": {"annotations": {"sidelight.dev/config.tee": text}}});
            let containers = tee_containers(&pod);
            assert_eq!(
                (containers.wants("app"), containers.wants("other")),
                (wanted, other),
                "{text}"
            );
        }
        assert_eq!(tee_containers(&json!({})), TeeContainers::Nobody);
    }
}
