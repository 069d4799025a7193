//! Tests the other programs of the workspace, started through `sidelight NAME`: they are found
//! beside the binary or in PATH, and an error names a missing one.

use crate::process::{AMPLE, Setup, Sidecar};
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

/// Builds a program of another package of the workspace, which `cargo test --test main` does not
/// build.
pub(crate) fn built(package: &str) -> PathBuf {
    let ours = Path::new(env!("CARGO_BIN_EXE_sidelight"));
    let directory = ours.parent().expect("a directory");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--offline", "--package", package]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    if directory.file_name() == Some(OsStr::new("release")) {
        cargo.arg("--release");
    }
    cargo.arg("--target-dir").arg(directory.parent().expect("the target directory"));
    assert!(cargo.status().expect("cargo").success(), "{package} cannot be built");
    directory.join(package)
}

/// Creates a directory that contains only a copy of this binary; a link would be resolved to the
/// directory of the other programs.
fn alone() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let binary = directory.path().join("sidelight");
    let ours = env!("CARGO_BIN_EXE_sidelight");
    if fs::hard_link(ours, &binary).is_err() {
        fs::copy(ours, &binary).expect("a copy");
    }
    (directory, binary)
}

fn script(path: &Path, text: &str) {
    fs::write(path, text).expect("a writable directory");
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("ours");
}

fn run(binary: &Path, path: &str, arguments: &[&str]) -> Output {
    Command::new(binary).args(arguments).env("PATH", path).output().expect("the binary")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Guarantees: a command that is a program gets its arguments and returns its exit code. The
/// program beside the binary is preferred to the one in PATH. Files that are not programs are
/// skipped.
#[test]
fn a_command_can_be_a_program() {
    let (directory, binary) = alone();
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let path = format!("{}:/usr/bin:/bin", elsewhere.path().display());
    script(&elsewhere.path().join("sidelight-odd"), "#!/bin/sh\necho elsewhere; exit 7\n");
    let output = run(&binary, &path, &["odd"]);
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("elsewhere\n", Some(7)));
    fs::create_dir(directory.path().join("sidelight-odd")).expect("a writable directory");
    assert_eq!(text(&run(&binary, &path, &["odd"]).stdout), "elsewhere\n");
    fs::remove_dir(directory.path().join("sidelight-odd")).expect("ours");
    let beside = directory.path().join("sidelight-odd");
    script(&beside, "#!/bin/sh\nprintf '<%s>' \"$@\"; exit 3\n");
    let output = run(&binary, &path, &["odd", "--socket", "a b", "--", "-h"]);
    let expected = ("<--socket><a b><--><-h>", Some(3));
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), expected);
    // two commands of the injector can be called without its name
    script(&directory.path().join("sidelight-injector"), "#!/bin/sh\nprintf '<%s>' \"$@\"\n");
    for (line, expected) in [
        ("inject -f x", "<inject><-f><x>"),
        ("injector --admin :1", "<--admin><:1>"),
        ("check --cluster", "<check>"),
        ("check --cluster --strict --kubeconfig k", "<check><--strict><--kubeconfig><k>"),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let output = run(&binary, &path, &arguments);
        assert_eq!(text(&output.stdout), expected, "{line}: {}", text(&output.stderr));
    }
}

/// Guarantees: the error for a missing program names it, the places searched, and how to install
/// it. An unknown command gives the usual message. No argument leads to a file outside these
/// directories.
#[test]
fn a_missing_program_is_named() {
    let (directory, binary) = alone();
    symlink("/bin/true", directory.path().join("sidelight-x")).expect("a writable directory");
    for (line, code, words) in [
        ("tee -- true", 127, &["`sidelight-tee`", "--package sidelight-tee"][..]),
        ("inject -f x", 127, &["`sidelight-injector`", "--package sidelight-injector"]),
        ("injector", 127, &["`sidelight-injector`", "PATH"]),
        ("check --cluster", 127, &["`sidelight-injector`"]),
        ("chekc", 2, &["'check'"]),
        ("x/../../true", 2, &["unrecognized subcommand"]),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let output = run(&binary, "/nonexistent", &arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{line}: {stderr}");
        assert!(words.iter().all(|word| stderr.contains(word)), "{line}: {stderr}");
    }
}

/// Guarantees: a real sidecar derives metrics from the lines of a wrapped command.
#[test]
fn lines_of_a_command_are_counted_by_a_sidecar() {
    built("sidelight-tee");
    let sidecar = Sidecar::start(Setup::default());
    let script = r#"echo '{"level":"info","service":"shop"}'; echo '{"level":"error","service":"shop"}' >&2"#;
    let begin = Instant::now();
    let mut tee = Command::new(env!("CARGO_BIN_EXE_sidelight"));
    tee.arg("tee").arg("--socket").arg(&sidecar.stream).args(["--", "sh", "-c", script]);
    let output = tee.output().expect("the binary");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(begin.elapsed() < AMPLE);
    sidecar.wait_metric(r#"log_records_total{service="shop",level="INFO"} 1"#);
    sidecar.wait_metric(r#"log_records_total{service="shop",level="ERROR"} 1"#);
    let ending = sidecar.stop();
    assert_eq!((ending.ledger()["received"], ending.code), (2, Some(0)));
}
