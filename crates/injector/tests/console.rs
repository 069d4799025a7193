//! Runs commands with outputs that accept nothing: their exit codes must not change.

#[allow(clippy::disallowed_methods)] // it waits for other processes, which use real time
#[path = "../../../tests/support/outputs.rs"]
mod outputs;

use outputs::{ALL, Broken, code};
use std::fs;
use std::process::{Command, Stdio};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidelight-injector"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

#[test]
fn a_command_ends_as_it_would_have_ended() {
    for (arguments, expected) in [
        (vec!["inject", "-f", "/nowhere"], 1),
        (vec!["policy", "--config", "/nowhere"], 1),
        (vec!["serve", "--config", "/nowhere"], 2),
        (vec!["check", "--kubeconfig", "/nowhere"], 2),
        (vec!["--nothing"], 2),
        (vec!["--help"], 0),
    ] {
        for broken in ALL {
            let (stderr, _kept) = broken.open();
            let mut command = command(&arguments);
            let child = command.stdout(Stdio::null()).stderr(stderr).spawn().expect("the binary");
            let what = format!("{arguments:?} with standard error {broken:?}");
            assert_eq!(code(child, &what), Some(expected), "{what}");
        }
    }
}

/// Guarantees: manifests that a full disk did not accept are a failure, and nothing panics.
#[test]
fn manifests_that_are_not_written_are_a_failure() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let pod = folder.path().join("pod.yaml");
    let manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  \
                    - {name: a, image: a, command: [a]}\n";
    fs::write(&pod, manifest).expect("a writable folder");
    let pod = pod.display().to_string();
    for arguments in [vec!["inject", "-f", &pod], vec!["policy"]] {
        // a reader that closed its end is not our error
        for (broken, expected) in [(Broken::Full, 1), (Broken::Closed, 0)] {
            let (stdout, _kept) = broken.open();
            let mut command = command(&arguments);
            let child = command.stdout(stdout).stderr(Stdio::null()).spawn().expect("the binary");
            assert_eq!(code(child, "inject"), Some(expected), "{arguments:?} {broken:?}");
        }
    }
}
