//! Tests commands that cannot write to standard error or standard output because it is full,
//! closed, a full non-blocking pipe or a full blocking pipe. Every command ends as usual and
//! reports its result by the exit code.

use crate::outputs::{ALL, AMPLE, Broken, code};
use rustix::fs::OFlags;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidelight"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// A configuration with warnings, one with errors, and a log.
fn files(folder: &Path) -> [String; 3] {
    let log = "{\"level\":\"info\",\"msg\":\"x\"}\n{\"level\":\n";
    let good = "rules: [{name: a, counter: {name: a_total, labels: {pod: x}}}]\n";
    let files = [("good", good), ("bad", "no: 1\n"), ("log", log)];
    files.map(|(name, text)| {
        let path = folder.join(format!("{name}.yaml"));
        fs::write(&path, text).expect("a writable folder");
        path.display().to_string()
    })
}

/// Guarantees: the exit code reports the result of a command even if its text cannot be written.
#[test]
fn a_command_ends_as_it_would_have_ended() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let [good, bad, log] = files(folder.path());
    let bin = folder.path().join("bin").display().to_string();
    for (arguments, expected) in [
        (vec!["check", &good], 0),
        (vec!["check", "--print", &good], 0),
        (vec!["check", &bad], 1),
        (vec!["check"], 2),
        (vec!["explain", "--config", &good, "hello"], 0),
        (vec!["explain", "--config", &bad, "hello"], 2),
        (vec!["replay", "--config", &good, &log], 0),
        (vec!["replay", "--strict", &log], 1),
        (vec!["replay", "/nowhere"], 2),
        (vec!["install", &bin], 0),
        (vec!["install", "/proc/nowhere"], 1),
        (vec!["healthcheck", "--socket", "/nowhere"], 1),
        (vec!["--help"], 0),
        (vec!["--nothing"], 2),
    ] {
        let plain = command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let what = format!("{arguments:?}");
        assert_eq!(code(plain.expect("the binary"), &what), Some(expected), "{what}");
        for broken in ALL {
            let what = format!("{arguments:?} with standard error {broken:?}");
            let (stderr, _kept) = broken.open();
            let mut command = command(&arguments);
            command.env("SIDELIGHT_LOG_LEVEL", "debug").env("SIDELIGHT_NOTHING", "1");
            let child = command.stdout(Stdio::null()).stderr(stderr).spawn().expect("the binary");
            assert_eq!(code(child, &what), Some(expected), "{what}");
        }
        // a command waits for a slow reader of its result; a reader that has left does not change
        // the result
        for broken in [Broken::Full, Broken::Closed] {
            let what = format!("{arguments:?} with standard output {broken:?}");
            let (stdout, _kept) = broken.open();
            let mut command = command(&arguments);
            let child = command.stdout(stdout).stderr(Stdio::null()).spawn().expect("the binary");
            assert_eq!(code(child, &what), Some(expected), "{what}");
        }
    }
}

/// Scenario: a sidecar has warnings at its start, and nothing reads its standard error.
/// Guarantees: it serves its socket, reloads, drains, and exits with 0.
#[test]
fn a_sidecar_runs_without_being_heard() {
    for broken in ALL {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let (socket, config) = (folder.path().join("log.sock"), folder.path().join("c.yaml"));
        fs::write(&config, "wrong: 1\nrules: [{}]\n").expect("a writable folder");
        let (stderr, _kept) = broken.open();
        let mut command = command(&["run", "--listen", "127.0.0.1:0"]);
        command.arg("--socket").arg(&socket).arg("--config").arg(&config);
        command.arg("--datagram-socket").arg(folder.path().join("d.sock"));
        command.env("SIDELIGHT_PORT", "tcp://10.0.0.1:80").env("SIDELIGHT_NOTHING", "1");
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318");
        let child = command.stdout(Stdio::null()).stderr(stderr).spawn().expect("the binary");
        let until = Instant::now() + AMPLE;
        let mut stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < until, "{broken:?}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        stream.write_all(b"a line\n").expect("it reads");
        let pid = rustix::process::Pid::from_child(&child);
        for signal in [rustix::process::Signal::HUP, rustix::process::Signal::TERM] {
            rustix::process::kill_process(pid, signal).expect("it runs");
        }
        drop(stream);
        assert_eq!(code(child, "run"), Some(0), "standard error {broken:?}");
    }
}

/// Guarantees: a result that is longer than the pipe's buffer arrives whole at a reader that starts
/// late.
#[test]
fn a_long_result_arrives_whole() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let rules: Vec<String> =
        (0..2_000).map(|n| format!("  - counter: {{name: a{n}_total, help: Of {n}.}}\n")).collect();
    let rules = rules.concat();
    let config = folder.path().join("c.yaml");
    fs::write(&config, format!("rules:\n{rules}")).expect("a writable folder");
    let path = config.display().to_string();
    let out = folder.path().join("out");
    let expected = command(&["check", "--print", &path])
        .stdout(File::create(&out).expect("a writable folder"))
        .status()
        .expect("the binary");
    assert!(expected.success());
    let expected = fs::read_to_string(out).expect("written");
    assert!(expected.len() > 128 * 1024);
    let (mut reader, writer) = std::io::pipe().expect("descriptors");
    rustix::fs::fcntl_setfl(&writer, OFlags::NONBLOCK).expect("a pipe");
    let child = command(&["check", "--print", &path]).stdout(writer).spawn().expect("the binary");
    let mut arrived = String::new();
    std::io::Read::read_to_string(&mut reader, &mut arrived).expect("text");
    assert!(arrived == expected, "{} of {} bytes", arrived.len(), expected.len());
    assert_eq!(code(child, "check"), Some(0));
}
