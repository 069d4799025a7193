//! Tests the listeners of a running process on real sockets: everything for which `write` returned
//! is delivered, however the bytes are split and however the process ends.
//!
//! The long form of the stop test: `STOPS=1000 cargo test --release --test receive stops --
//! --nocapture`.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods)] // real sockets keep real time

#[path = "support/child.rs"]
mod child;
#[path = "support/recorder.rs"]
mod recorder;

use recorder::{AMPLE, Sidecar, until};
use sidelight::app::drain::{Mode, Output};
use std::io::Write;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A block of lines, among them long ones, empty ones and one beyond the limit of 64 KiB.
fn block(seed: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for at in 0..200u64 {
        let length = (at * 7919 + seed * 104_729) % 700;
        bytes.extend_from_slice(format!("{{\"at\":{at},\"seed\":{seed},\"pad\":\"").as_bytes());
        bytes.resize(bytes.len() + length as usize, b'x');
        bytes.extend_from_slice(if at % 5 == 0 { b"\"}\r\n" } else { b"\"}\n" });
        if at % 31 == 0 {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// Scenario: the same bytes are written in pieces of many sizes, each over a separate connection.
/// Guarantees: every connection's lines are delivered whole and in order, including the last line
/// without a newline.
#[test]
fn any_cut_gives_the_same_lines() {
    let sidecar = Sidecar::spawn();
    let mut expected = Vec::new();
    for (seed, cut) in [1, 2, 3, 7, 64, 1000, 65_536, 200_000].into_iter().enumerate() {
        let mut bytes = block(seed as u64);
        bytes.extend_from_slice(b"the last line has no end");
        let mut writer = UnixStream::connect(&sidecar.stream).expect("it listens");
        // small pieces need many system calls, and the beginning of the input shows all that they
        // can show
        let end = bytes.len().min(cut * 20_000);
        for part in bytes[..end].chunks(cut) {
            writer.write_all(part).expect("it reads");
        }
        expected.push(bytes[..end].to_vec());
    }
    let closing = sidecar.close();
    assert_eq!(closing.recording.by_source, expected);
    assert_eq!(closing.torn, 0);
}

/// Scenario: one line of 1 MiB between two short ones, over the stream; one of 200,000 bytes as a datagram.
/// Guarantees: the sink gets the prefix and length of the long line, the connection stays open, and
/// the datagram is one record.
#[test]
fn a_long_line_is_reported_and_the_connection_lives() {
    let sidecar = Sidecar::spawn();
    let mut writer = UnixStream::connect(&sidecar.stream).expect("it listens");
    writer.write_all(b"before\n").expect("it reads");
    writer.write_all(&vec![b'y'; 1 << 20]).expect("it reads");
    writer.write_all(b"\nafter\n").expect("it reads");
    drop(writer);
    let datagram = UnixDatagram::unbound().expect("a socket");
    datagram.send_to(&vec![b'z'; 200_000], &sidecar.datagram).expect("it fits");
    datagram.send_to(b"two\nlines\n", &sidecar.datagram).expect("it fits");
    datagram.send_to(b"", &sidecar.datagram).expect("an empty one is none");
    datagram.send_to(b"last", &sidecar.datagram).expect("it fits");
    let closing = sidecar.close();
    assert_eq!(closing.recording.by_source, vec![b"before\nafter\n".to_vec()]);
    assert_eq!(closing.recording.oversized, vec![(65_536, 1 << 20)]);
    let lengths: Vec<usize> = closing.recording.datagrams.iter().map(Vec::len).collect();
    assert_eq!(lengths, [200_000, 10, 4]);
}

/// Scenario: a writer is connected in the middle of a line when the process stops; others wait in
/// the backlog.
/// Guarantees: whole lines are delivered, the partial line is counted as torn, and no later `write`
/// succeeds without being read.
#[test]
fn a_half_line_is_torn_when_we_close() {
    let sidecar = Sidecar::spawn();
    let mut writer = UnixStream::connect(&sidecar.stream).expect("it listens");
    writer.write_all(b"{\"whole\":1}\n{\"half\":").expect("it reads");
    let mut finished = UnixStream::connect(&sidecar.stream).expect("it listens");
    finished.write_all(b"finished, without an end").expect("it reads");
    finished.shutdown(std::net::Shutdown::Write).expect("it is connected");
    let closing = sidecar.close();
    let mut recording = closing.recording.by_source.clone();
    recording.sort();
    assert_eq!(recording, vec![b"finished, without an end".to_vec(), b"{\"whole\":1}\n".to_vec()]);
    assert_eq!(closing.torn, 1);
    let error = writer.write_all(b"1}\n").expect_err("nobody reads");
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    assert!(UnixStream::connect(&closing.stream).is_err(), "the file is gone");
}

/// Scenario: while the first connection is drained, the application writes to the second.
/// Guarantees: the reading sides of all connections are shut down before the first one is drained,
/// so that this `write` fails at once. (When each side stayed open until its turn, 0.6 to 1.7 lines
/// were lost per stop at 100,000 lines/s, between the last read and the close.)
#[test]
fn writers_see_the_end_before_the_drain() {
    let sidecar = Sidecar::spawn();
    let mut first = UnixStream::connect(&sidecar.stream).expect("it listens");
    let mut second = UnixStream::connect(&sidecar.stream).expect("it listens");
    for writer in [&mut first, &mut second] {
        writer.write_all(b"{\"in\":1}\n").expect("it reads");
    }
    sidecar.until(|recording| recording.by_source.len() == 2);
    let (entered, has_entered) = std::sync::mpsc::channel();
    let (wrote, has_written) = std::sync::mpsc::channel();
    let others = sidecar.datagram_flushes();
    sidecar.on_lines(move |block| {
        if block == b"{\"held\":1}\n" {
            entered.send(()).expect("the test waits");
            // the datagram thread stops after this connection, and then flushes
            while others.load(Ordering::Acquire) == 0 {
                std::thread::yield_now();
            }
        }
        if block == b"{\"drained\":1}\n" {
            wrote.send(second.write(b"{\"late\":1}\n")).expect("the test waits");
        }
    });
    first.write_all(b"{\"held\":1}\n").expect("it reads");
    has_entered.recv().expect("it is delivered");
    first.write_all(b"{\"drained\":1}\n").expect("a buffer with free space");
    sidecar.close();
    let error = has_written.recv().expect("it is delivered").expect_err("nobody will read it");
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
}

/// Scenario: more connections than one user may have.
/// Guarantees: the surplus connections are closed at once and counted; the others are served.
#[test]
fn connections_beyond_the_limit_are_refused_and_counted() {
    let sidecar = Sidecar::spawn_with(|settings| settings.limits.connections_per_uid_max = 3);
    let writers: Vec<UnixStream> =
        (0..5).map(|_| UnixStream::connect(&sidecar.stream).expect("it listens")).collect();
    let open = sidecar.telemetry().connections_open.with_label_values(&["stream"]);
    let refused = sidecar.telemetry().connections_refused.with_label_values(&["uid_limit"]);
    until("all accepted", || open.get() == 3 && refused.get() == 2);
    // a refused writer sees the end of its stream
    let is_closed = |mut writer: &UnixStream| {
        writer.set_nonblocking(true).expect("a socket");
        matches!(std::io::Read::read(&mut writer, &mut [0; 1]), Ok(0))
    };
    let closed = || writers.iter().filter(|writer| is_closed(writer)).count();
    until("closed", || closed() == 2);
    for mut writer in writers.iter().filter(|writer| !is_closed(writer)) {
        writer.write_all(b"{}\n").expect("it is served");
    }
    drop(writers);
    assert_eq!(sidecar.close().recording.by_source, vec![b"{}\n".to_vec(); 3]);
}

/// Scenario: lines arrive at longer intervals than the thread's sleep, and then none for a while.
/// Guarantees: the thread waits and is alive; it does not wake up while nothing arrives.
#[test]
fn an_idle_thread_waits_in_the_kernel() {
    let sidecar = Sidecar::spawn();
    let mut writer = UnixStream::connect(&sidecar.stream).expect("it listens");
    writer.write_all(b"{}\n").expect("it reads");
    sidecar.until(|recording| recording.flushes >= 1 && recording.by_source.len() == 1);
    // the tick one second later is the last of this sweep and the last of all, because nothing
    // expires
    sidecar.until(|recording| recording.ticks == 1);
    let wakes = sidecar.look(|recording| recording.flushes + recording.ticks);
    let quiet = Instant::now();
    while quiet.elapsed() < Duration::from_millis(1500) {
        std::thread::park_timeout(Duration::from_millis(1500));
    }
    assert_eq!(sidecar.look(|recording| recording.flushes + recording.ticks), wakes);
    assert_eq!(sidecar.process_status().hanging(Duration::MAX / 2), None);
    drop(writer);
    sidecar.close();
}

/// Scenario: a text line that a traceback could follow, and then nothing.
/// Guarantees: it is delivered without another byte.
#[test]
fn a_line_that_is_held_back_is_let_go() {
    let sidecar = Sidecar::spawn();
    let line = b"2026-11-21 09:00:00,000 - app - ERROR - it broke\n";
    let mut writer = UnixStream::connect(&sidecar.stream).expect("it listens");
    writer.write_all(line).expect("it reads");
    sidecar.until(|recording| recording.by_source == vec![line.to_vec()]);
    sidecar.close();
}

/// Scenario: a nudge, as a reload sends it, while no line arrives.
/// Guarantees: every data thread flushes once; its pipeline then checks for new rules.
#[test]
fn a_nudge_wakes_idle_threads() {
    let sidecar = Sidecar::spawn();
    for nudges in 1..=3 {
        sidecar.nudge();
        sidecar.until(|recording| recording.flushes == 2 * nudges);
    }
    sidecar.close();
}

/// Scenario: a file occupies the path of the socket when the process starts; then the file is
/// removed.
/// Guarantees: the process runs, is not ready and reports why; then it binds the listener by itself
/// and becomes ready.
#[test]
fn a_listener_that_is_blocked_opens_later() {
    let sidecar =
        Sidecar::spawn_behind(|path| std::fs::write(path, "in the way").expect("written"));
    assert!(!sidecar.process_status().is_ready(Duration::ZERO));
    let (_, state) = sidecar.process_status().listeners().remove(0);
    assert!(state.to_string().contains("a file stands there"), "{state}");
    std::fs::remove_file(&sidecar.stream).expect("the way is free");
    let begin = Instant::now();
    let mut writer = loop {
        match UnixStream::connect(&sidecar.stream) {
            Ok(writer) => break writer,
            Err(error) => assert!(begin.elapsed() < AMPLE, "{error}"),
        }
        std::thread::yield_now();
    };
    writer.write_all(b"{\"at\":\"last\"}\n").expect("it reads");
    drop(writer);
    sidecar.wait_ready();
    assert_eq!(sidecar.close().recording.by_source, vec![b"{\"at\":\"last\"}\n".to_vec()]);
}

/// Scenario: the process stops while a listener cannot be bound; then the path becomes free.
/// Guarantees: no listener is bound after the stop.
#[test]
fn no_listener_opens_during_the_drain() {
    let sidecar =
        Sidecar::spawn_behind(|path| std::fs::write(path, "in the way").expect("written"));
    let (path, process_status) = (sidecar.stream.clone(), sidecar.share_process_status());
    let directory = sidecar.close().directory;
    std::fs::remove_file(&path).expect("the way is free");
    let begin = Instant::now();
    // the process tries to bind a missing listener again every second
    while begin.elapsed() < Duration::from_millis(1300) {
        std::thread::park_timeout(Duration::from_millis(1300));
    }
    assert!(!path.exists() && !process_status.is_started());
    drop(directory);
}

/// Scenario: `some-app | sidelight run --stdin`, and the application ends.
/// Guarantees: every line of the pipe is delivered, and the process exits by itself with code 0.
#[test]
fn the_end_of_standard_input_is_the_end() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut child = child::start(directory.path(), true);
    let mut stdin = child.stdin.take().expect("piped");
    for at in 0..2000 {
        writeln!(stdin, "{{\"at\":{at}}}").expect("it reads");
    }
    stdin.write_all(b"the last").expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.lines().last().is_some_and(|last| last.starts_with("ledger ")), "{stderr}");
    assert_eq!(child::counted_lines(directory.path()), vec![2001]);
}

/// Scenario: several connections write at full speed, one client repeatedly connects, writes and
/// disconnects, and one sends datagrams; SIGTERM arrives at a random moment. The test does this
/// `STOPS` times.
/// Guarantees: every line for which `write` returned is delivered exactly once; the exit code is 0
/// and the exit is quick.
#[test]
fn stops_under_load_lose_nothing() {
    let stops = std::env::var("STOPS").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    let mut sum = child::Sum::default();
    for round in 0..stops {
        child::stop_under_load(round, &mut sum);
    }
    println!("{sum:?}");
    assert_eq!(sum.lost, 0, "{sum:?}");
    assert!(sum.written > 0);
}

/// Scenario: SIGQUIT while the drain waits for an output that hangs.
/// Guarantees: the process ends at once, with a distinct exit code.
#[test]
fn a_quit_signal_ends_at_once() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut child = child::start_with(directory.path(), &[("CHILD_HANGS", "1")]);
    child::wait_for(&directory.path().join("log.sock"));
    let pid = child.id().to_string();
    let kill = |signal: &str| {
        Command::new("kill").args([signal, pid.as_str()]).stdout(Stdio::null()).status()
    };
    assert!(kill("-TERM").expect("kill runs").success());
    child::wait_for(&directory.path().join("hangs"));
    let begin = Instant::now();
    assert!(kill("-QUIT").expect("kill runs").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(3));
    assert!(begin.elapsed() < AMPLE, "the output hangs for longer");
}

/// Scenario: the process may open 40 files, and a hundred writers connect; they disconnect, and
/// others connect.
/// Guarantees: no writer hangs, every line for which `write` returned is delivered, and later
/// writers are served.
#[test]
fn descriptors_that_run_out_lose_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let child = child::start_with(directory.path(), &[("CHILD_FILES", "40")]);
    let stream = directory.path().join("log.sock");
    child::wait_for(&directory.path().join("d.sock"));
    let mut written = 0;
    let mut crowd = Vec::new();
    for _ in 0..100 {
        let mut writer = UnixStream::connect(&stream).expect("the queue is longer than this");
        // a writer that was refused gets its error here
        written += u64::from(writer.write_all(b"#0 a line of the crowd\n").is_ok());
        crowd.push(writer);
    }
    // the last connection is beyond the limit and sees the end of its stream
    let last = crowd.last_mut().expect("there are a hundred");
    last.set_read_timeout(Some(AMPLE)).expect("a time");
    assert_eq!(std::io::Read::read(last, &mut [0; 1]).expect("an end"), 0);
    drop(crowd);
    for _ in 0..5 {
        let mut writer = UnixStream::connect(&stream).expect("it listens");
        written += u64::from(writer.write_all(b"#0 a line of who came later\n").is_ok());
    }
    let lines = child::stop(child, directory.path());
    assert_eq!(lines.iter().sum::<u64>(), written);
}

/// Scenario: the data thread of the stream socket cannot get the file descriptors that it needs;
/// later it can.
/// Guarantees: the process reports that the thread has ended and starts another one by itself,
/// which serves.
#[test]
fn a_data_thread_that_cannot_start_is_started_again() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let environment = [("CHILD_FILES", "64"), ("CHILD_EXHAUSTED", "1")];
    let child = child::start_with(directory.path(), &environment);
    let said = |text: &str| {
        let begin = Instant::now();
        let stuck = directory.path().join("stuck");
        while !std::fs::read_to_string(&stuck).is_ok_and(|said| said.contains(text)) {
            assert!(begin.elapsed() < AMPLE, "{text:?} was never said");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    };
    said("its thread ended");
    std::fs::write(directory.path().join("release"), "").expect("written");
    let stream = directory.path().join("log.sock");
    until("listening again", || UnixStream::connect(&stream).is_ok());
    let mut writer = UnixStream::connect(&stream).expect("it listens again");
    writer.write_all(b"#0 \n").expect("it reads");
    drop(writer);
    assert_eq!(child::stop(child, directory.path()), vec![1]);
}

/// Scenario: an output never finishes, as with a collector that hangs and an exporter that ignores
/// its deadline.
/// Guarantees: the process exits at its deadline nevertheless, names the output, and its exit code
/// is not 0.
#[test]
fn a_hanging_output_does_not_hold_up_the_end() {
    let (never, hang) = std::sync::mpsc::channel::<()>();
    let finish: Box<dyn FnOnce(Duration) + Send> = Box::new(move |_| {
        let _ = hang.recv();
    });
    let deadline = Duration::from_millis(1500);
    let given = move |left: Duration| assert!(left < deadline, "{left:?}");
    let output = |name, finish| Output { name, held: Box::new(|| 0), finish };
    let sidecar = Sidecar::spawn_until(
        deadline,
        vec![output("hangs", finish), output("sends", Box::new(given))],
    );
    let begin = Instant::now();
    let closing = sidecar.drain();
    let took = begin.elapsed();
    assert!(took > Duration::from_millis(1400) && took < AMPLE, "{took:?}");
    assert_eq!((closing.unfinished.as_slice(), closing.exit_code()), (&["hangs"][..], 1));
    drop(never);
}

/// Scenario: SIGHUP, twice, then SIGTERM.
/// Guarantees: each SIGHUP triggers a reload, and the process keeps serving.
#[test]
fn a_hangup_reloads() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let child = child::start_with(directory.path(), &[]);
    child::wait_for(&directory.path().join("d.sock"));
    for count in 1..=2 {
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it runs");
        child::wait_for(&directory.path().join(format!("reloaded {count}")));
    }
    let mut writer =
        UnixStream::connect(directory.path().join("log.sock")).expect("it still listens");
    writer.write_all(b"#0 \n").expect("it reads");
    drop(writer);
    assert_eq!(child::stop(child, directory.path()), vec![1]);
}

/// Scenario: in classic mode the application gets SIGTERM at the same moment, keeps writing for a
/// while, opens another connection, and exits.
/// Guarantees: everything is delivered. The drain begins when no connection is open and nothing has
/// arrived for 2 s.
#[test]
fn in_classic_mode_the_application_is_outlasted() {
    let grace = 2 * AMPLE;
    let sidecar = Sidecar::spawn_with(|settings| settings.drain.mode = Mode::Classic { grace });
    let path = sidecar.stream.clone();
    let mut writer = UnixStream::connect(&path).expect("it listens");
    let begin = Instant::now();
    let application = std::thread::spawn(move || {
        for _ in 0..20 {
            writer.write_all(b"{\"late\":1}\n").expect("it reads on");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        let mut last = UnixStream::connect(&path).expect("it listens on");
        last.write_all(b"{\"last\":1}\n").expect("it reads on");
    });
    let closing = sidecar.close();
    let took = begin.elapsed();
    application.join().expect("it could write");
    assert_eq!(closing.recording.by_source[0], b"{\"late\":1}\n".repeat(20));
    assert_eq!(closing.recording.by_source[1], b"{\"last\":1}\n");
    assert!(took > Duration::from_secs(2) && took < grace, "{took:?}");
}

/// Scenario: the same, but the application never closes its connection.
/// Guarantees: reading stops 3 s before the grace period ends, with everything delivered.
#[test]
fn in_classic_mode_the_grace_period_is_the_end() {
    let grace = Duration::from_millis(3200);
    let sidecar = Sidecar::spawn_with(|settings| settings.drain.mode = Mode::Classic { grace });
    let mut writer = UnixStream::connect(&sidecar.stream).expect("it listens");
    writer.write_all(b"{\"open\":1}\n").expect("it reads");
    let begin = Instant::now();
    let closing = sidecar.close();
    assert!(begin.elapsed() < AMPLE, "it waits for the connection: {:?}", begin.elapsed());
    assert_eq!(closing.recording.by_source, vec![b"{\"open\":1}\n".to_vec()]);
}

/// Not a test: the code of the child process that the tests above start.
#[test]
fn child() {
    child::run();
}
