//! Gives hostile, broken or wrong configurations to the real binary, at its start and while it
//! runs. Memory is read from /proc, because a sidecar in a cluster is killed when it exceeds its
//! memory limit.

use crate::process::{Setup, Sidecar};
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Long enough for a loaded machine: a test that waits this long fails.
const AMPLE: Duration = Duration::from_mins(2);

/// Limit of the anonymous memory of the process, well below the 64 MiB limit of a sidecar.
const MEMORY_KIB_MAX: u64 = 48 * 1024;

/// Configurations with far more errors, nodes, bytes or names than any real one.
fn hostile() -> Vec<(&'static str, String)> {
    let keys: Vec<String> = (0..60_000).map(|n| format!("k{n}: 1\n")).collect();
    let keys = keys.concat();
    let json: Vec<String> = (0..2_000).map(|n| format!("\"unknown_key_{n}\":{n}")).collect();
    let wrong = "- {counter: {name: 1a, labels: {pod: body, __x: msg}}}\n".repeat(9_000);
    let same = "- {name: a, when: '(', counter: {name: a_total}}\n".repeat(9_000);
    let patterns =
        "- {name: a, extract: '(?<x>[a-z]{900})', counter: {name: a_total}}\n".repeat(500);
    let formats = "- {regex: '(?<x>[a-z]{900})'}\n- {grok: '%{B}', patterns: {A: '%{URI:u}%{URI:v}', B: '%{A}%{A}%{A}%{A}'}}\n";
    let formats = formats.repeat(30);
    let text = "x".repeat(900_000);
    vec![
        ("formats", format!("formats:\n{formats}")),
        ("final", format!("final: [{}z]\n", "z,".repeat(4_000))),
        ("minified", format!("{{{}}}", json.join(","))),
        ("keys", keys),
        ("rules", format!("rules:\n{wrong}")),
        ("names", format!("rules:\n{same}")),
        ("patterns", format!("rules:\n{patterns}")),
        ("long key", format!("{text}: 1\n")),
        ("long value", format!("mode: {text}\nfinal: [{text}]\n")),
        ("aliases", format!("service: &a {text}\nfinal: [{}*a]\n", "*a,".repeat(900))),
        ("empty values", "a:\n".repeat(300_000)),
        ("too large", "# x\n".repeat(300_000)),
        ("deep", "[".repeat(500_000)),
    ]
}

fn memory_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux");
    let value = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("a line of it");
        let number = line.split_whitespace().nth(1).expect("a number");
        number.parse::<u64>().expect("a number")
    };
    value("VmHWM:") - value("RssFile:")
}

/// Waits until the sidecar's metrics contain a text.
fn wait_metric(sidecar: &Sidecar, text: &str) {
    let until = Instant::now() + AMPLE;
    while !sidecar.metrics().contains(text) {
        assert!(Instant::now() < until, "no {text}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Scenario: a configuration designed to exhaust the process, at the start and as a later version
/// of a valid one.
/// Guarantees: the socket is bound and read, memory stays within its bound, the valid rules stay in
/// effect, the errors are reported and counted, and a stop signal is handled at once.
#[test]
fn no_configuration_kills() {
    for (name, text) in hostile() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("c.yaml");
        fs::write(&path, &text).expect("a writable folder");
        let config = || vec!["--config".to_owned(), path.display().to_string()];
        let sidecar = Sidecar::start(Setup { arguments: config(), ..Setup::default() });
        wait_metric(&sidecar, "sidelight_config_last_load_successful 0");
        send(&sidecar.stream);
        wait_metric(&sidecar, "sidelight_frames_received_total{input=\"stream\"} 1");
        let memory = memory_kib(sidecar.pid());
        assert!(memory < MEMORY_KIB_MAX, "{name}: {memory} KiB at the start");
        assert_eq!(sidecar.stop().code, Some(0), "{name}");

        fs::write(&path, "rules: [{counter: {name: good_total}}]\n").expect("a writable folder");
        let sidecar = Sidecar::start(Setup { arguments: config(), ..Setup::default() });
        wait_metric(&sidecar, "sidelight_config_last_load_successful 1");
        fs::write(&path, &text).expect("a writable folder");
        wait_metric(&sidecar, "sidelight_config_last_load_successful 0");
        send(&sidecar.stream);
        wait_metric(&sidecar, "good_total 1");
        let memory = memory_kib(sidecar.pid());
        assert!(memory < MEMORY_KIB_MAX, "{name}: {memory} KiB after a reload");
        let ending = sidecar.stop();
        assert_eq!(ending.code, Some(0), "{name}");
        let said = ending.said.iter().filter(|line| line.starts_with("error: ")).count();
        assert!((1..=101).contains(&said), "{name}: {said} errors are said");
    }
}

fn send(socket: &Path) {
    let mut stream = UnixStream::connect(socket).expect("it is bound");
    stream.write_all(b"a line\n").expect("it is read");
}

/// Scenario: the configuration is a pipe without a writer, a directory, a device or a socket.
/// Guarantees: the socket is bound, the error is reported, and a stop signal is handled.
#[test]
fn what_is_no_regular_file_is_not_read() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let fifo = folder.path().join("fifo");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0)
        .expect("a FIFO");
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    for (path, kind) in [
        (fifo.as_path(), "a pipe"),
        (folder.path(), "a directory"),
        (&socket, "a socket"),
        (Path::new("/dev/zero"), "a device"),
        (Path::new("/dev/tty"), ""),
    ] {
        for layers in [false, true] {
            // a directory is a valid layer
            if layers && kind == "a directory" {
                continue;
            }
            let path = path.display().to_string();
            let mut setup = Setup::default();
            if layers {
                setup.environment.insert("SIDELIGHT_CONFIG_LAYERS", path);
            } else {
                setup.arguments.extend(["--config".to_owned(), path]);
            }
            let sidecar = Sidecar::start(setup);
            send(&sidecar.stream);
            wait_metric(&sidecar, "sidelight_frames_received_total{input=\"stream\"} 1");
            let ending = sidecar.stop();
            assert_eq!(ending.code, Some(0));
            let said = ending.said.join("\n");
            assert!(said.contains("cannot be read") && said.contains(kind), "{said}");
        }
    }
}

/// Scenario: a file is emptied or truncated in place, as by an editor or a full disk, and then
/// complete again.
/// Guarantees: the rules stay in effect, the reports do not contradict each other, and the complete
/// file takes effect.
#[test]
fn a_file_that_is_cut_keeps_its_rules() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("c.yaml");
    let whole = "rules:\n- counter: {name: a_total}\n- counter: {name: b_total}\n";
    fs::write(&path, whole).expect("a writable folder");
    let arguments = vec!["--config".to_owned(), path.display().to_string()];
    let mut sidecar = Sidecar::start(Setup { arguments, ..Setup::default() });
    wait_metric(&sidecar, "sidelight_config_last_load_successful 1");
    for (cut, said) in [("", "says nothing"), ("rules:\n- counter: {name: a_total}\n- c", "")] {
        fs::write(&path, cut).expect("a writable folder");
        wait_metric(&sidecar, "sidelight_config_last_load_successful 0");
        sidecar.wait_said("its previous contents stay in force");
        sidecar.wait_said("loaded again without the files that have errors");
        sidecar.wait_said(said);
        fs::write(&path, whole).expect("a writable folder");
        wait_metric(&sidecar, "sidelight_config_last_load_successful 1");
        sidecar.wait_said("configuration loaded again rules=2");
    }
    send(&sidecar.stream);
    wait_metric(&sidecar, "b_total 1");
    assert_eq!(sidecar.stop().code, Some(0));
}
