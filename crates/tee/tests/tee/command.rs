//! Commands that run as a child, with and without a sidecar: what passes through, what is copied,
//! and how it ends.

use super::{
    AMPLE, Watchdog, assert_one_order, directory, end, first_process, keeper, shell, stop_ignoring,
    subreaper, tee,
};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// Guarantees: both outputs and both copies are what the command wrote, including a last line
/// without a newline; standard input and exit code are the command's.
#[test]
fn everything_goes_through_and_is_copied() {
    let directory = directory();
    let socket = directory.path().join("log.sock");
    let copies = keeper(UnixListener::bind(&socket).expect("a free path"));
    let script = "cat; printf 'caf\\351\\0\\r\\n\\n'; printf 'Traceback\\n  at x' >&2; exit 7";
    let mut child = shell(&socket, script).stdin(Stdio::piped()).spawn().expect("the binary");
    child.stdin.take().expect("piped").write_all(b"first\n").expect("it reads");
    let output = end(child);
    let (out, err) = (&b"first\ncaf\xe9\0\r\n\n"[..], &b"Traceback\n  at x"[..]);
    assert_eq!((output.status.code(), &*output.stdout, &*output.stderr), (Some(7), out, err));
    let mut copied: Vec<Vec<u8>> =
        (0..2).map(|_| copies.recv_timeout(AMPLE).expect("a copy")).collect();
    copied.sort();
    assert_eq!(copied, [err, out]);
}

/// Guarantees: without a sidecar, and with one that reads nothing, everything is as without tee.
#[test]
fn a_sidecar_that_is_absent_or_stuck_delays_nothing() {
    let directory = directory();
    let (absent, stuck) = (directory.path().join("absent"), directory.path().join("stuck"));
    let _never_read = UnixListener::bind(&stuck).expect("a free path");
    let expected: Vec<u8> = (1..=300_000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    for socket in [&absent, &stuck] {
        let child = tee(socket, &["seq", "300000"]).env("SIDELIGHT_LOG_LEVEL", "debug").spawn();
        let output = end(child.expect("the binary"));
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stdout == expected, "{} bytes", output.stdout.len());
        let report = String::from_utf8(output.stderr).expect("text");
        let count = report.strip_prefix("sidelight tee: ").and_then(|text| text.split(' ').next());
        let count: u64 = count.and_then(|count| count.parse().ok()).expect(&report);
        assert!((200_000..300_000).contains(&count), "{report}");
    }
}

/// Scenario: the sidecar disconnects in the middle of a line, and another one starts.
/// Guarantees: both received whole lines only; the command noticed nothing.
#[test]
fn a_new_sidecar_gets_whole_lines() {
    let directory = directory();
    let socket = directory.path().join("log.sock");
    let first = UnixListener::bind(&socket).expect("a free path");
    let script = "i=0; while [ $i -lt 20000 ]; do echo \"a line with the number $i\"; i=$((i+1)); done; read x; echo last";
    let mut child = shell(&socket, script).stdin(Stdio::piped()).spawn().expect("the binary");
    let _watchdog = Watchdog::of(&child);
    // either connection may be the one of standard error; neither is ever read
    let both: Vec<_> = (0..2).map(|_| first.accept().expect("a connection")).collect();
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    for number in 0..20_000 {
        line.clear();
        out.read_line(&mut line).expect("text");
        assert_eq!(line, format!("a line with the number {number}\n"));
    }
    drop(both);
    drop(first);
    std::fs::remove_file(&socket).expect("the old socket");
    let second = UnixListener::bind(&socket).expect("a free path");
    let mut both: Vec<_> = (0..2).map(|_| second.accept().expect("a connection").0).collect();
    child.stdin.take().expect("piped").write_all(b"\n").expect("it reads");
    assert_eq!(end(child).status.code(), Some(0));
    let mut copied = String::new();
    for stream in &mut both {
        stream.read_to_string(&mut copied).expect("text");
    }
    let lines: Vec<&str> = copied.lines().collect();
    let (notices, lines): (Vec<&str>, Vec<&str>) =
        lines.into_iter().partition(|line| line.contains("sidelight.tee"));
    assert_eq!((lines.last(), notices.len()), (Some(&"last"), 1), "{notices:?}");
    for line in &lines[..lines.len() - 1] {
        let number =
            line.strip_prefix("a line with the number ").and_then(|n| n.parse::<u32>().ok());
        assert!(number.is_some_and(|number| number < 20_000), "{line:?} was never written");
    }
}

#[test]
fn it_ends_as_the_command_ends() {
    let directory = directory();
    let socket = directory.path().join("absent");
    let plain = directory.path().join("plain");
    std::fs::write(&plain, "no program").expect("a writable directory");
    let plain = plain.to_str().expect("text");
    for (command, code, message) in [
        (&["true"][..], 0, ""),
        (&["sh", "-c", "exit 3"], 3, ""),
        (&["sh", "-c", "kill -KILL $$"], 137, ""),
        (&["sh", "-c", "kill -TERM $$"], 143, ""),
        (&["no-such-command"], 127, "sidelight tee: cannot run 'no-such-command': No such file"),
        (&[plain], 126, "Permission denied"),
    ] {
        let output = end(tee(&socket, command).spawn().expect("the binary"));
        assert_eq!(output.status.code(), Some(code), "{command:?}");
        let text = String::from_utf8(output.stderr).expect("text");
        let is_expected = text.contains(message) && message.is_empty() == text.is_empty();
        assert!(is_expected, "{command:?}: {text}");
    }
}

/// Guarantees: every signal that can be caught reaches the command, and the command decides what it
/// does.
#[test]
fn signals_reach_the_command() {
    let directory = directory();
    let socket = directory.path().join("absent");
    let script =
        "for s in HUP INT QUIT USR1 USR2 TERM; do trap \"echo got $s\" $s; done; trap 'exit 9' ALRM
        echo ready; while :; do read x; done";
    stop_ignoring(&[Signal::HUP, Signal::INT, Signal::QUIT]);
    let mut child = shell(&socket, script).stdin(Stdio::piped()).spawn().expect("the binary");
    let _watchdog = Watchdog::of(&child);
    let _stdin = child.stdin.take();
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let pid = Pid::from_child(&child);
    let mut line = || {
        let mut line = String::new();
        out.read_line(&mut line).expect("text");
        line
    };
    assert_eq!(line(), "ready\n");
    for (signal, name) in [
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::TERM, "TERM"),
    ] {
        kill_process(pid, signal).expect("it runs");
        assert_eq!(line(), format!("got {name}\n"));
    }
    kill_process(pid, Signal::ALARM).expect("it runs");
    assert_eq!(end(child).status.code(), Some(9));
}

/// Guarantees: ignored signals stay ignored (`nohup`), and no signal of the command is blocked.
#[test]
fn ignored_signals_stay_ignored() {
    let directory = directory();
    let socket = directory.path().join("absent");
    let bare = "grep -E '^Sig(Ign|Blk)' /proc/self/status";
    let with = format!(
        "trap '' HUP USR1; {bare}; exec {} --socket {} -- {bare}",
        env!("CARGO_BIN_EXE_sidelight-tee"),
        socket.display()
    );
    let output = Command::new("sh").arg("-c").arg(with).output().expect("a shell");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), &lines[..2]), (4, &lines[2..]), "{text}");
}

/// Guarantees: a reader that closed its end stops the command as it would without us.
#[test]
fn a_command_notices_that_its_reader_is_gone() {
    let directory = directory();
    let mut child = tee(&directory.path().join("absent"), &["yes"]).spawn().expect("the binary");
    let _watchdog = Watchdog::of(&child);
    let mut some = [0; 100];
    child.stdout.take().expect("piped").read_exact(&mut some).expect("it writes");
    let status = end(child).status;
    assert_eq!((status.code(), status.signal()), (Some(128 + 13), None));
}

/// Guarantees: if both outputs are one pipe, their lines stay in order.
#[test]
fn one_output_for_both_streams_keeps_their_order() {
    assert_one_order("--in-place never");
}

/// The orphan's process id is free again once it is reaped; a zombie would still be in `/proc`.
const ORPHAN: &str = "sh -c 'sh -c \"exit 0\" & echo $! > orphan'; n=$(cat orphan)
    i=0; while [ -e /proc/$n ] && [ $i -lt 100000 ]; do i=$((i+1)); done
    [ -e /proc/$n ] && exit 1; echo reaped by $PPID; exit 5";

/// Scenario: the kernel makes tee the parent of an orphan that ends before the command.
/// Guarantees: the orphan is reaped, and tee ends with the command.
#[test]
fn orphans_are_reaped() {
    let directory = directory();
    let mut command = subreaper(&["--socket", "absent", "--", "sh", "-c", ORPHAN]);
    let child = command.current_dir(directory.path()).spawn().expect("this test");
    let expected = format!("reaped by {}\n", child.id());
    let output = end(child);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.ends_with(&expected) && output.status.code() == Some(5), "{output:?}");
}

/// Scenario: tee is the first process of a container, and its command leaves an orphan that ends
/// before the command.
/// Guarantees: the orphan is reaped, and the container ends with the command, which is a child.
#[test]
fn the_first_process_of_a_container_reaps_orphans() {
    let directory = directory();
    let Some(mut command) = first_process(&["--socket", "absent", "--", "sh", "-c", ORPHAN]) else {
        return;
    };
    let output = end(command.current_dir(directory.path()).spawn().expect("unshare"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!((text.as_str(), output.status.code()), ("reaped by 1\n", Some(5)), "{output:?}");
}
