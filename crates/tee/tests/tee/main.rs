//! Runs `sidelight-tee` around real commands.
#![allow(clippy::disallowed_methods)] // it waits for other processes, which use real time

mod command;
mod in_place;

use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper};
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// The variable with the arguments of tee for [`becomes_a_subreaper`], separated by line feeds.
const SUBREAPER: &str = "SIDELIGHT_TEE_TEST_SUBREAPER";

/// Long enough for a loaded machine; a test that waits for so long has failed.
const AMPLE: Duration = Duration::from_mins(1);

fn tee(socket: &Path, command: &[&str]) -> Command {
    let mut tee = Command::new(env!("CARGO_BIN_EXE_sidelight-tee"));
    tee.arg("--socket").arg(socket).arg("--").args(command);
    tee.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    tee
}

fn shell(socket: &Path, script: &str) -> Command {
    tee(socket, &["sh", "-c", script])
}

fn end(child: Child) -> Output {
    let _watchdog = Watchdog::of(&child);
    child.wait_with_output().expect("its output")
}

/// Kills a process that runs for [`AMPLE`], so that nobody waits for its output for ever. Drop it
/// when the process has done what the test needs.
struct Watchdog {
    _is_needed: Sender<()>,
}

impl Watchdog {
    fn of(child: &Child) -> Watchdog {
        let (sender, dropped) = channel();
        let pid = Pid::from_child(child);
        std::thread::spawn(move || {
            if dropped.recv_timeout(AMPLE) == Err(RecvTimeoutError::Timeout) {
                eprintln!("process {pid} has not ended after {AMPLE:?}");
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        Watchdog { _is_needed: sender }
    }
}

/// Gives signals their default action in the processes that this one starts: a test run by `nohup`,
/// or in the background of a script, ignores them, and so would the command.
fn stop_ignoring(signals: &[Signal]) {
    for signal in signals {
        // a process that is started gets the default in place of a handler
        let registered = signal_hook::flag::register_conditional_default(
            signal.as_raw(),
            Arc::new(AtomicBool::new(true)),
        );
        registered.expect("a signal that can be caught");
    }
}

/// Starts a sidecar that keeps the bytes of each connection and sends them in the order in which
/// the connections end.
fn keeper(listener: UnixListener) -> Receiver<Vec<u8>> {
    let (sender, connections) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, sender) = (stream.expect("a connection"), sender.clone());
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).expect("a readable connection");
                // the test may have ended
                let _ = sender.send(bytes);
            });
        }
    });
    connections
}

/// Runs a command that writes to both streams in turn, without a sidecar and with one pipe for
/// both, and checks that the pipe has its lines in order.
fn assert_one_order(options: &str) {
    let directory = directory();
    let script = "i=0; while [ $i -lt 500 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done";
    let joined = format!(
        "exec {} {options} --socket {} -- sh -c '{script}' 2>&1",
        env!("CARGO_BIN_EXE_sidelight-tee"),
        directory.path().join("absent").display()
    );
    let output = Command::new("sh").arg("-c").arg(joined).output().expect("a shell");
    let expected: Vec<String> =
        (0..500).flat_map(|n| [format!("out {n}\n"), format!("err {n}\n")]).collect();
    assert_eq!(String::from_utf8(output.stdout).expect("text"), expected.concat());
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Returns a command that runs tee as process 1 of a new process namespace, as in a container.
/// `None` if the kernel refuses one and `SIDELIGHT_SKIPPED=allow` is set.
fn first_process(arguments: &[&str]) -> Option<Command> {
    let unshare = |flags: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(flags).args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
        unshare.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        unshare
    };
    // root of a container may be allowed one of them only
    let flags = [&[][..], &["--user", "--map-root-user"]];
    let works = |flags: &&&[&str]| {
        unshare(flags).arg("true").output().is_ok_and(|output| output.status.success())
    };
    let Some(flags) = flags.iter().find(works) else {
        let allowed = std::env::var_os("SIDELIGHT_SKIPPED").is_some_and(|value| value == "allow");
        assert!(
            allowed,
            "`unshare --pid` is refused here; SIDELIGHT_SKIPPED=allow skips this test"
        );
        eprintln!("SKIPPED: `unshare --pid` is refused");
        return None;
    };
    let mut command = unshare(flags);
    command.arg(env!("CARGO_BIN_EXE_sidelight-tee")).args(arguments);
    Some(command)
}

/// Returns a command that runs tee as a process to which the kernel gives orphans, like process 1.
fn subreaper(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "becomes_a_subreaper", "--nocapture"]);
    command.env(SUBREAPER, arguments.join("\n"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Not a test but the process that [`subreaper`] starts: the attribute survives exec only.
#[test]
fn becomes_a_subreaper() {
    let Ok(arguments) = std::env::var(SUBREAPER) else { return };
    set_child_subreaper(Some(getpid())).expect("every kernel has it");
    let mut tee = Command::new(env!("CARGO_BIN_EXE_sidelight-tee"));
    panic!("{}", tee.args(split(&arguments)).env_remove(SUBREAPER).exec());
}

/// Returns the arguments, of which the last one may have line feeds itself.
fn split(arguments: &str) -> impl Iterator<Item = &str> {
    arguments.splitn(6, '\n')
}
