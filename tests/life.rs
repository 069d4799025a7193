//! Tests the lifecycle of the real binary on real sockets. Tests wait for conditions, never for a
//! fixed time.

use crate::collector::{FakeCollector, Reply};
use crate::process::{AMPLE, Setup, Sidecar};
use crate::programs::built;
use rustix::process::Signal;
use sidelight::export::endpoint::Protocol;
use sidelight::telemetry::log::LINES_MAX;
use std::net::TcpListener;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn configured(config: &'static str) -> Setup {
    Setup { config: Some(config), ..Setup::default() }
}

pub(crate) const INFO: &str = r#"log_records_total{service="shop",level="INFO"} 1"#;

/// Scenario: a line over each socket, then SIGTERM.
/// Guarantees: the first lines name the listeners; both lines are counted; the ledger closes and is
/// the last line; the exit code is 0.
#[test]
fn from_the_first_line_to_the_last() {
    let sidecar = Sidecar::start(Setup::default());
    let said = sidecar.said.join("\n");
    for socket in [&sidecar.stream, &sidecar.datagram] {
        assert!(said.contains(&*socket.to_string_lossy()), "{said}");
        assert!(std::fs::metadata(socket).expect("it is bound").file_type().is_socket());
    }
    sidecar.write(b"{\"level\":\"info\",\"service\":\"shop\",\"message\":\"x\"}\n");
    sidecar.wait_metric(INFO);
    sidecar.send(b"<14>text\0");
    sidecar.wait_metric(r#"log_records_total{service="unknown_service",level="INFO"} 1"#);
    assert_eq!(sidecar.get("/health", "*/*").0, 200);
    let files = [sidecar.stream.clone(), sidecar.datagram.clone()];
    let ending = sidecar.stop();
    assert_eq!(
        ending.said.last().map(String::as_str),
        Some("ledger received=2 decoded=2 refused=0 offered=0 sent=0 dropped=0 held=0 lost=0")
    );
    assert_eq!(ending.code, Some(0));
    assert!(files.iter().all(|file| !file.exists()), "the sockets' files are gone");
}

/// Scenario: four sidecars start at the same time on the same addresses, where an earlier process
/// left its sockets.
/// Guarantees: one of them binds all listeners and becomes ready. They do not take one listener
/// each and then wait for one another.
#[test]
fn of_many_that_start_at_once_one_is_ready() {
    for _ in 0..3 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port = TcpListener::bind((unshared_address(), 0)).expect("a free port");
        let address = port.local_addr().expect("bound");
        drop(port);
        let (stream, datagram) =
            (directory.path().join("log.sock"), directory.path().join("d.sock"));
        drop(std::os::unix::net::UnixListener::bind(&stream).expect("the way is free"));
        drop(std::os::unix::net::UnixDatagram::bind(&datagram).expect("the way is free"));
        let start = |_| {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sidelight"));
            command.arg("run").arg("--socket").arg(&stream).arg("--datagram-socket").arg(&datagram);
            command.arg("--listen").arg(address.to_string()).env_clear();
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().expect("the binary")
        };
        let mut all: Vec<_> = (0..4).map(start).collect();
        let until = Instant::now() + AMPLE;
        let mut is_ready = false;
        while !is_ready && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
            is_ready = ready(address);
        }
        for one in &mut all {
            one.kill().expect("our child");
            one.wait().expect("our child");
        }
        assert!(is_ready, "none was ready");
    }
}

/// Whether a sidecar at this address reports that it is ready.
fn ready(address: std::net::SocketAddr) -> bool {
    let Ok(mut connection) = std::net::TcpStream::connect(address) else { return false };
    let request = b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    std::io::Write::write_all(&mut connection, request).is_ok()
        && std::io::Read::read_to_string(&mut connection, &mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

/// Scenario: the socket files are removed while an application is connected.
/// Guarantees: the sidecar binds them again, keeps the old connection, serves new ones, and counts
/// all lines.
#[test]
fn a_socket_file_that_is_removed_is_bound_again() {
    let mut sidecar = Sidecar::start(Setup::default());
    let mut stays = std::os::unix::net::UnixStream::connect(&sidecar.stream).expect("it listens");
    std::io::Write::write_all(&mut stays, b"{\"level\":\"info\"}\n").expect("it reads");
    sidecar.wait_metric(r#"sidelight_connections_open{input="stream"} 1"#);
    for path in [&sidecar.stream, &sidecar.datagram] {
        std::fs::remove_file(path).expect("it is there");
    }
    let until = Instant::now() + AMPLE;
    while !(sidecar.stream.exists() && sidecar.datagram.exists()) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    sidecar.wait_said("bound again");
    std::io::Write::write_all(&mut stays, b"{\"level\":\"info\"}\n").expect("it reads on");
    sidecar.write(b"{\"level\":\"info\"}\n");
    sidecar.send(b"{\"level\":\"info\"}");
    sidecar.wait_metric(r#"sidelight_frames_received_total{input="stream"} 3"#);
    sidecar.wait_metric(r#"sidelight_frames_received_total{input="datagram"} 1"#);
    assert_eq!(sidecar.get("/readyz", "*/*").0, 200);
    drop(stays);
    let files = [sidecar.stream.clone(), sidecar.datagram.clone()];
    let ending = sidecar.stop();
    assert_eq!((ending.ledger()["lost"], ending.code), (0, Some(0)), "{:?}", ending.said);
    assert!(files.iter().all(|file| !file.exists()), "the new files are removed");
}

/// Scenario: a collector rejects every request with a text that would forge a line of our log.
/// Guarantees: the log repeats the collector's reason, escaped and only a few times a minute; the
/// suppressed lines are counted.
#[test]
fn the_reason_of_the_collector_is_logged_escaped_and_rarely() {
    const ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
        connection: close\r\ncontent-length: 26\r\n\r\nno tenant\x1b[31m\nledger lost";
    const REQUESTS: usize = 9;
    let collector = FakeCollector::start(Protocol::Http, &vec![Reply::Raw(ANSWER); REQUESTS]);
    let environment = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.endpoint.clone()),
        ("OTEL_BSP_SCHEDULE_DELAY", "1".to_owned()),
    ];
    let sidecar = Sidecar::start(Setup { environment: environment.into(), ..Setup::default() });
    for number in 1..=REQUESTS {
        sidecar.write(b"{\"method\":\"GET\",\"path\":\"/a\",\"status\":200,\"duration_ms\":5,\"request_id\":\"r1\"}\n");
        sidecar.wait_metric(&format!(
            "sidelight_export_requests_total{{output=\"spans\",result=\"rejected\"}} {number}"
        ));
    }
    sidecar.wait_metric(&format!(
        "sidelight_log_messages_suppressed_total {}",
        REQUESTS - LINES_MAX as usize
    ));
    let ending = sidecar.stop();
    let is_reason = |line: &&String| line.contains("the collector rejects spans");
    let lines: Vec<&String> = ending.said.iter().filter(is_reason).collect();
    assert_eq!(lines.len(), LINES_MAX as usize, "{:#?}", ending.said);
    assert!(lines.iter().all(|line| line.contains("HTTP status 400")), "{lines:#?}");
    assert!(lines.iter().all(|line| line.contains("no tenant")), "{lines:#?}");
    let has_control = |line: &String| line.contains(|letter: char| letter.is_control());
    assert!(!ending.said.iter().any(has_control), "{:#?}", ending.said);
    assert!(!ending.said.iter().any(|line| line.starts_with("ledger lost")), "{:#?}", ending.said);
}

/// Scenario: `/proc` is absent, and the umask takes bits away from the configured mode that could
/// only be set through `/proc`.
/// Guarantees: the sidecar binds all listeners, warns about the mode, and counts lines.
#[test]
fn without_proc_everything_is_bound() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    let script = "mount -t tmpfs none /proc && umask 0077 && exec \"$0\" \"$@\"";
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_sidelight"), "run"]);
    command.arg("--stdin").arg("--socket").arg(at("log.sock")).arg("--datagram-socket");
    command.arg(at("d.sock")).args(["--listen", "127.0.0.1:0"]).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("skipped: there is no unshare");
        return;
    };
    let mut stdin = child.stdin.take().expect("piped");
    // a failed `unshare` has closed its end
    let _ = std::io::Write::write_all(&mut stdin, b"level=info\n");
    let until = Instant::now() + AMPLE;
    let connected = loop {
        match std::os::unix::net::UnixStream::connect(at("log.sock")) {
            Ok(stream) => break Some(stream),
            Err(_) if child.try_wait().expect("our child").is_some() => break None,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let Some(mut stream) = connected else {
        eprintln!("skipped: no mount namespace can be made here");
        return;
    };
    std::io::Write::write_all(&mut stream, b"level=warn\n").expect("it reads");
    drop((stream, stdin));
    let output = child.wait_with_output().expect("it ends with its standard input");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("bound all the same: "), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("ledger received=2 decoded=2 "), "{said}");
    assert!(last.ends_with("lost=0"), "{said}");
}

/// Returns a loopback address that tests in other processes do not use, so that a free port there
/// stays free.
fn unshared_address() -> std::net::Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    std::net::Ipv4Addr::new(127, 77, high, low)
}

/// Guarantees: an admin port that is in use does not prevent logging; the sidecar reports it and
/// retries.
#[test]
fn a_taken_admin_port_is_no_reason_not_to_start() {
    let taken = TcpListener::bind((unshared_address(), 0)).expect("a free port");
    let listen = taken.local_addr().expect("bound");
    let mut sidecar = Sidecar::start(Setup { listen: Some(listen), ..Setup::default() });
    let line = sidecar.wait_said("admin port");
    assert!(line.contains("in use"), "{line}");
    sidecar.write(b"{\"level\":\"info\",\"service\":\"shop\"}\n");
    drop(taken);
    let until = Instant::now() + AMPLE;
    sidecar.said.push(format!("http://{listen}/metrics"));
    while sidecar.try_get("/livez", "*/*").is_err() {
        assert!(Instant::now() < until, "it is never tried again");
        std::thread::sleep(Duration::from_millis(5));
    }
    sidecar.wait_metric(INFO);
    assert_eq!(sidecar.stop().code, Some(0));
}

/// Guarantees: the sidecar starts with a broken configuration, reports it in its metrics and in
/// `/health`, and applies the built-in rules. `/health` does not contain the configuration's text.
#[test]
fn a_broken_configuration_starts_all_the_same() {
    let broken = "metrics:\n  prefxi: hunter2_\nrules:\n  - when: 'a =='\n    counter: {name: x_total, help: x.}\n";
    let sidecar = Sidecar::start(configured(broken));
    assert!(sidecar.said.iter().any(|line| line.contains("did you mean")), "{:#?}", sidecar.said);
    sidecar.write(b"{\"level\":\"info\",\"service\":\"shop\"}\n");
    sidecar.wait_metric(INFO);
    sidecar.wait_metric("sidelight_config_last_load_successful 0");
    let (status, body) = sidecar.get("/health", "*/*");
    assert_eq!(status, 200, "a warning, not a failure");
    assert!(body.contains("sidelight.yaml:2") && body.contains("warning"), "{body}");
    assert!(!body.contains("hunter2"), "{body}");
    assert_eq!(sidecar.stop().code, Some(0));
    let strict = Sidecar::spawn(
        Setup { arguments: vec!["--strict".to_owned()], ..configured(broken) },
        Stdio::null(),
    );
    assert_eq!(strict.end().code, Some(2), "strictness is where it fails");
}

/// Scenario: SIGHUP with a new rule, then with a broken file.
/// Guarantees: new rules take effect, counters keep their values, and broken rules change nothing
/// except the metric that reports them.
#[test]
fn a_reload_keeps_every_counter() {
    let one = "rules:\n  - name: a\n    counter: {name: a_total, help: A.}\n";
    let two = "rules:\n  - name: a\n    counter: {name: a_total, help: A.}\n  - name: b\n    counter: {name: b_total, help: B.}\n";
    let line = b"{\"level\":\"info\",\"service\":\"shop\"}\n";
    let mut sidecar = Sidecar::start(configured(one));
    sidecar.write(line);
    sidecar.wait_metric("a_total 1");
    std::fs::write(&sidecar.config, two).expect("a writable file");
    sidecar.signal(Signal::HUP);
    sidecar.wait_said("configuration loaded again");
    // a data thread checks for new rules after a batch: the first line may still be processed with
    // the old ones
    for lines in 2..4 {
        sidecar.write(line);
        sidecar.wait_metric(&format!("a_total {lines}"));
    }
    sidecar.wait_metrics("\nb_total ");
    std::fs::write(&sidecar.config, "rules: [{when: 'a =='}]").expect("a writable file");
    sidecar.signal(Signal::HUP);
    sidecar.wait_metric("sidelight_config_last_load_successful 0");
    sidecar.write(line);
    sidecar.wait_metric("a_total 4");
    assert!(sidecar.metrics().contains("\nb_total "), "the rules are still in force");
    assert_eq!(sidecar.stop().code, Some(0));
}

/// Guarantees: the sidecar refuses a file that is not a socket with a clear error, does not change
/// it, and retries.
#[test]
fn a_file_that_is_no_socket_is_refused_and_retried() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("log.sock");
    std::fs::write(&path, "precious").expect("a writable directory");
    let mut sidecar = Sidecar::start(Setup { stream: Some(path.clone()), ..Setup::default() });
    let line = sidecar.wait_said("stream socket");
    assert!(line.contains("not a socket") || line.contains("no socket"), "{line}");
    assert_eq!(std::fs::read_to_string(&path).expect("it is left alone"), "precious");
    std::fs::remove_file(&path).expect("ours");
    let until = Instant::now() + AMPLE;
    while std::os::unix::net::UnixStream::connect(&path).is_err() {
        assert!(Instant::now() < until, "it is never tried again");
        std::thread::sleep(Duration::from_millis(5));
    }
    sidecar.write(b"{\"level\":\"info\",\"service\":\"shop\"}\n");
    sidecar.wait_metric(INFO);
    assert_eq!(sidecar.stop().code, Some(0));
}

/// Guarantees: the sidecar takes over a socket file that no process listens on, and no other.
#[test]
fn a_stale_socket_is_taken_over_and_a_live_one_is_not() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let stale = directory.path().join("stale.sock");
    drop(UnixListener::bind(&stale).expect("a socket"));
    let sidecar = Sidecar::start(Setup { stream: Some(stale), ..Setup::default() });
    sidecar.write(b"{\"level\":\"info\",\"service\":\"shop\"}\n");
    sidecar.wait_metric(INFO);
    assert_eq!(sidecar.stop().code, Some(0));
    let live = directory.path().join("live.sock");
    let listener = UnixListener::bind(&live).expect("a socket");
    let mut second = Sidecar::start(Setup { stream: Some(live.clone()), ..Setup::default() });
    let line = second.wait_said("stream socket");
    assert!(line.contains("cannot be opened"), "{line}");
    assert_eq!(second.stop().code, Some(0));
    assert!(live.exists(), "it belongs to the other");
    drop(listener);
}

/// Guarantees: a METRICS_PORT that Kubernetes sets for a Service named `metrics` is ignored with a
/// warning.
#[test]
fn a_service_named_metrics_does_no_harm() {
    let environment = [("METRICS_PORT", "tcp://10.0.0.1:9090".to_owned())];
    let mut sidecar = Sidecar::start(Setup { environment: environment.into(), ..Setup::default() });
    let line = sidecar.wait_said("METRICS_PORT");
    assert!(!line.is_empty());
    sidecar.write(b"{\"level\":\"info\",\"service\":\"shop\"}\n");
    assert!(sidecar.said.iter().any(|line| line.starts_with("warning")), "{:#?}", sidecar.said);
    let ending = sidecar.stop();
    assert_eq!((ending.ledger()["received"], ending.code), (1, Some(0)));
}

/// Guarantees: standard output contains the input, byte for byte, and nothing else.
#[test]
fn passed_through_lines_are_unchanged() {
    let sidecar = Sidecar::start(configured("passthrough: stdout\n"));
    let lines =
        b"{\"level\":\"info\" ,  \"service\":\"shop\"}\n\x1b[31mERROR\x1b[0m:caf\xe9\nlevel=info\n";
    sidecar.write(lines);
    sidecar.wait_metric(INFO);
    sidecar.wait_metric(r#"sidelight_frames_received_total{input="stream"} 3"#);
    let ending = sidecar.stop();
    assert_eq!(ending.stdout, lines);
    assert_eq!((ending.ledger()["lost"], ending.code), (0, Some(0)), "{:?}", ending.said);
}

/// Scenario: one of several lines is longer than the limit, and every line is forwarded to standard
/// output.
/// Guarantees: every line is offered; the copy of the long line is dropped and counted in the
/// ledger.
#[test]
fn a_line_too_long_to_be_copied_is_in_the_ledger() {
    let sidecar = Sidecar::start(configured("passthrough: stdout\n"));
    let long = "x".repeat(1024 * 1024);
    sidecar.write(format!("level=info\n{long}\nlevel=warn\n").as_bytes());
    sidecar.wait_metric(r#"sidelight_frames_received_total{input="stream"} 3"#);
    let ending = sidecar.stop();
    assert_eq!(ending.stdout, b"level=info\nlevel=warn\n");
    let ledger = ending.ledger();
    let items = (ledger["offered"], ledger["sent"], ledger["dropped"], ledger["lost"]);
    assert_eq!((items, ending.code), ((3, 2, 1, 0), Some(0)), "{:?}", ending.said);
}

/// Guarantees: sidelight-tee is installed at the requested path before the socket exists. If it
/// cannot be installed, everything else works.
#[test]
fn the_copier_is_installed_for_others() {
    let tee = built("sidelight-tee");
    let home = tempfile::tempdir().expect("a temporary directory");
    let (bin, file) = (home.path().join("bin"), home.path().join("file"));
    std::fs::write(&file, "no directory").expect("a writable directory");
    for (directory, is_there) in [(&bin, true), (&file, false)] {
        let directory = directory.to_str().expect("text").to_owned();
        let environment = [("SIDELIGHT_INSTALL_DIR", directory)];
        let mut sidecar =
            Sidecar::start(Setup { environment: environment.into(), ..Setup::default() });
        if !is_there {
            sidecar.wait_said("cannot copy ");
        }
        sidecar.write(b"{\"level\":\"info\",\"service\":\"shop\"}\n");
        sidecar.wait_metric(INFO);
        assert_eq!(sidecar.stop().code, Some(0));
    }
    let tee = std::fs::read(tee).expect("the program");
    assert!(std::fs::read(bin.join("sidelight-tee")).expect("it is there") == tee);
}
