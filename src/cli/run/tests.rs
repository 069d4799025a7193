//! Tests of a start with a late configuration, on real sockets.

use super::*;
use crate::app::signals::Stopper;
use crate::cli::get::get;
use crate::config::Flags;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{channel, sync_channel};
use std::time::Duration;

/// Long enough for a loaded machine; a test that waits this long fails.
const AMPLE: Duration = Duration::from_mins(1);

fn metrics(admin: SocketAddr) -> String {
    get(admin, "/metrics", AMPLE).expect("the admin port answers").1
}

/// Waits until `/metrics` contains this text, and calls `meanwhile` before each look.
fn wait_for(admin: SocketAddr, text: &str, mut meanwhile: impl FnMut()) {
    let clock = Clock::system();
    let until = clock.monotonic() + AMPLE;
    loop {
        meanwhile();
        let found = metrics(admin);
        if found.contains(text) {
            return;
        }
        assert!(clock.monotonic() < until, "no {text:?} in\n{found}");
    }
}

fn write_line(socket: &Path) {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    stream.write_all(b"{\"level\":\"info\"}\n").expect("it reads");
}

/// Scenario: the configuration is on a volume that does not answer for a long time.
/// Guarantees: the sockets are bound without it, lines are counted, and the failed load is
/// reported; once the configuration can be read, it takes effect in the running process.
#[test]
fn a_configuration_that_is_late_delays_no_socket_and_takes_effect_later() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (socket, config) = (directory.path().join("log.sock"), directory.path().join("c.yaml"));
    std::fs::write(&config, "rules: [{name: late, counter: {name: late_total, help: L.}}]\n")
        .expect("a writable directory");
    let flags = Flags {
        config: Some(config),
        socket: Some(socket.clone()),
        datagram_socket: Some(directory.path().join("d.sock")),
        listen: Some(([127, 0, 0, 1], 0).into()),
        ..Flags::default()
    };
    let mut watcher = ConfigWatcher::new(flags, &BTreeMap::new());
    let read = watcher.reader();
    let (release, volume) = sync_channel::<()>(0);
    let loaded = watcher.load_first(Duration::ZERO, move || {
        let _ = volume.recv();
        read()
    });
    assert!(!loaded.is_valid());
    assert!(loaded.faults[0].message.contains("could not be read"), "{:?}", loaded.faults);

    let mut signals = Signals::deaf().expect("descriptors");
    let mut stopper: Stopper = signals.stopper().expect("descriptors");
    let (started, listeners) = channel();
    let running = std::thread::spawn(move || {
        run_loaded(&loaded, false, watcher, &mut signals, |open| {
            started.send(open.to_vec()).expect("the test waits");
        })
    });
    let listeners = listeners.recv().expect("it starts");
    let admin = listeners.iter().find(|(kind, _)| *kind == ListenerKind::Admin);
    let Some((_, ListenerState::Open(admin))) = admin else { panic!("{listeners:?}") };
    let admin: SocketAddr = admin.parse().expect("an address");

    write_line(&socket);
    wait_for(admin, "sidelight_frames_received_total{input=\"stream\"} 1\n", || {});
    let before = metrics(admin);
    assert!(before.contains("sidelight_config_last_load_successful 0\n"), "{before}");
    assert!(!before.contains("late_total"), "{before}");
    drop(release);
    wait_for(admin, "sidelight_config_last_load_successful 1\n", || {});
    // A data thread looks for new rules after a batch, so the first line may come too early.
    wait_for(admin, "\nlate_total ", || write_line(&socket));
    stopper.stop();
    let code = running.join().expect("no panic");
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
}

/// Guarantees: a configuration that is read in time is used from the start, also with the longest
/// wait, and a reader that fails counts as late.
#[test]
fn a_configuration_in_time_is_used() {
    let mut watcher = ConfigWatcher::new(Flags::default(), &BTreeMap::new());
    let read = watcher.reader();
    assert!(watcher.load_first(AMPLE, read).is_valid());
    assert!(START_WAIT < START_WAIT_STRICT);
    let loaded = watcher.load_first(AMPLE, || panic!("a reader that fails"));
    assert!(!loaded.is_valid());
    assert!(watcher.every().is_none(), "nothing can change");
}
