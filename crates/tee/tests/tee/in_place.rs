//! Commands that run in place of tee, because they must be process 1 of their container.

use super::{AMPLE, Watchdog, assert_one_order, directory, end, first_process, keeper, tee};
use rustix::fs::Mode;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

fn in_place(socket: &Path, command: &[&str]) -> Command {
    let mut tee = Command::new(env!("CARGO_BIN_EXE_sidelight-tee"));
    tee.arg("--socket").arg(socket).args(["--in-place=always", "--"]).args(command);
    tee.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    tee
}

/// Returns the path of a program named `init` that refuses to be another process than the first,
/// and otherwise runs `script`.
fn init(directory: &Path, script: &str) -> String {
    let path = directory.join("init");
    let refuse = "[ $$ = 1 ] || { echo can only run as process 1 >&2; exit 100; }";
    std::fs::write(&path, format!("#!/bin/sh\n{refuse}\n{script}\n")).expect("a free path");
    rustix::fs::chmod(&path, Mode::from_raw_mode(0o755)).expect("our file");
    path.to_str().expect("text").to_owned()
}

/// Guarantees: the command is the process that was started; standard input, both outputs, both
/// copies and the exit code are the command's.
#[test]
fn the_command_replaces_tee_and_is_copied() {
    let directory = directory();
    let socket = directory.path().join("log.sock");
    let copies = keeper(UnixListener::bind(&socket).expect("a free path"));
    let script = "echo $$; cat; printf 'caf\\351\\0\\n' >&2; printf last; exit 7";
    let mut child = in_place(&socket, &["sh", "-c", script]).spawn().expect("the binary");
    let pid = child.id();
    child.stdin.take().expect("piped").write_all(b"first\n").expect("it reads");
    let output = end(child);
    let (out, err) = (format!("{pid}\nfirst\nlast").into_bytes(), b"caf\xe9\0\n".to_vec());
    assert_eq!(output.status.code(), Some(7));
    assert_eq!((&output.stdout, &output.stderr), (&out, &err));
    let mut copied: Vec<Vec<u8>> =
        (0..2).map(|_| copies.recv_timeout(AMPLE).expect("a copy")).collect();
    copied.sort();
    assert_eq!(copied, [out, err]);
}

/// Guarantees: the output does not depend on a sidecar, and both streams keep their order if they
/// are one output.
#[test]
fn no_sidecar_is_needed_and_one_output_keeps_one_order() {
    assert_one_order("--in-place always");
}

#[test]
fn a_command_that_cannot_be_run_is_reported() {
    let directory = directory();
    let output = end(in_place(&directory.path().join("absent"), &["nowhere"]).spawn().expect("it"));
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.starts_with("sidelight tee: cannot run 'nowhere': No such file"), "{text}");
    assert_eq!((output.status.code(), &*output.stdout), (Some(127), &b""[..]));
}

/// Guarantees: the process that copies says so if it is started by hand, and does not wait.
#[test]
fn the_copying_process_needs_pipes() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidelight-tee"));
    let output = command.arg("--copy-pipes").stdin(Stdio::null()).output().expect("the binary");
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("sidelight tee: nothing is copied: "), "{text}");
}

/// Scenario: an init system that insists on being process 1 is wrapped in a container. When it
/// stops, it sends SIGTERM to all other processes and writes a last line.
/// Guarantees: it runs, everything is passed on and copied, also after SIGTERM, and the exit code is
/// the init system's.
#[test]
fn an_init_system_is_process_1() {
    let directory = directory();
    let socket = directory.path().join("log.sock");
    let copies = keeper(UnixListener::bind(&socket).expect("a free path"));
    let init = init(directory.path(), "read x; kill -TERM -1; echo stopped; read x; exit 6");
    let socket = socket.to_str().expect("text");
    let Some(mut command) = first_process(&["--socket", socket, "--", &init]) else { return };
    let mut child = command.stdin(Stdio::piped()).spawn().expect("unshare");
    let watchdog = Watchdog::of(&child);
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let (mut line, mut rest) = (String::new(), String::new());
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"go\n").expect("it reads");
    output.read_line(&mut line).expect("text");
    assert_eq!(line, "stopped\n");
    stdin.write_all(b"go\n").expect("it reads");
    output.read_to_string(&mut rest).expect("text");
    drop(watchdog);
    assert_eq!((end(child).status.code(), rest.as_str()), (Some(6), ""));
    let mut copied: Vec<Vec<u8>> =
        (0..2).map(|_| copies.recv_timeout(AMPLE).expect("a copy")).collect();
    copied.sort();
    assert_eq!(copied, [&b""[..], b"stopped\n"]);
}

/// Guarantees: as a child, which the user may demand, such a command refuses to run; a process
/// that is not the first of a container runs it as a child in any case.
#[test]
fn a_user_may_decide_otherwise() {
    let directory = directory();
    let init = init(directory.path(), "exit 0");
    let refused = |mut command: Command| {
        let output = end(command.spawn().expect("it"));
        let text = String::from_utf8(output.stderr).expect("text");
        assert_eq!((output.status.code(), &*text), (Some(100), "can only run as process 1\n"));
    };
    refused(tee(&directory.path().join("absent"), &[&init]));
    if let Some(command) = first_process(&["--in-place=never", "--socket=absent", "--", &init]) {
        refused(command);
    }
}
