//! Tests of listeners that move, and of an admin thread that ends, on real sockets.

use super::*;
use crate::app::compose::{Composed, compose};
use crate::app::listeners::SocketLocation;
use crate::app::setup;
use crate::config::settings::Config;
use crate::receive::bind::Access;
use crate::telemetry::ledger::Ledger;
use crate::telemetry::log::Threshold;
use crate::telemetry::process_status::ListenerKind;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::sync_channel;

/// Long enough for a loaded machine; a test that waits this long fails.
const AMPLE: Duration = Duration::from_mins(1);

fn sockets(stream: &Path, mode: u32) -> Sockets {
    let access = Access { mode, ..Access::default() };
    let stream = Some(SocketLocation { path: Some(stream.to_owned()), access });
    Sockets { stream, ..Sockets::default() }
}

/// Creates a supervisor with one stream socket and an admin port.
fn supervisor(stream: &Path, admin: Admin) -> Arc<Supervisor> {
    let (clock, telemetry) = (Clock::system(), Arc::new(Telemetry::new()));
    let threshold = Threshold::new(tracing::Level::ERROR);
    let Composed { parts, .. } = compose(&Config::default(), &clock, &telemetry, &threshold);
    Supervisor::new(SupervisorSetup {
        settings: setup::Settings {
            sockets: sockets(stream, 0o660),
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            ..parts.settings
        },
        clock,
        telemetry,
        process_status: parts.process_status,
        pipelines: parts.pipelines,
        admin: Some(admin),
    })
}

/// Returns an admin port that nobody serves, but its thread keeps running.
fn idle_admin() -> Admin {
    Admin(Box::new(|listener: TcpListener| {
        std::thread::Builder::new().spawn(move || {
            let _open = listener;
            std::thread::park();
        })
    }))
}

fn state_of(supervisor: &Supervisor, kind: ListenerKind) -> ListenerState {
    let listeners = supervisor.process_status.listeners();
    listeners.into_iter().find(|(one, _)| *one == kind).expect("it is configured").1
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let clock = Clock::system();
    let until = clock.monotonic() + AMPLE;
    while !holds() {
        assert!(clock.monotonic() < until, "{what}");
        std::thread::yield_now();
    }
}

fn write_line(mut stream: &UnixStream) {
    stream.write_all(b"{\"level\":\"info\"}\n").expect("it reads");
}

/// Scenario: the process starts without its configuration, which names other sockets, and one of
/// them in a directory that does not exist yet.
/// Guarantees: the socket moves, connections to the old one stay, and no line is lost; a socket that
/// cannot move yet stays where it is and moves later; `/readyz` reports the difference.
#[test]
fn a_socket_moves_to_where_a_late_configuration_wants_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    let (first, second, missing) = (at("first.sock"), at("second.sock"), at("a/b/third.sock"));
    let supervisor = supervisor(&first, idle_admin());
    supervisor.start().expect("threads");
    let old = UnixStream::connect(&first).expect("it listens");

    supervisor.move_sockets(&sockets(&second, 0o660));
    assert!(!first.exists(), "nobody can connect there any more");
    let new = UnixStream::connect(&second).expect("it listens");
    write_line(&old);
    write_line(&new);

    supervisor.move_sockets(&sockets(&second, 0o600));
    let mode = || second.metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600, "only the mode changed");

    supervisor.move_sockets(&sockets(&missing, 0o660));
    let stuck = state_of(&supervisor, ListenerKind::Stream);
    assert!(matches!(stuck, ListenerState::Stuck(_)), "{stuck:?}");
    write_line(&UnixStream::connect(&second).expect("it still listens"));
    std::fs::create_dir(at("a")).expect("a writable directory");
    wait_until("it never moves", || missing.exists() && !second.exists());
    let open = ListenerState::Open(missing.display().to_string());
    assert_eq!(state_of(&supervisor, ListenerKind::Stream), open);
    write_line(&UnixStream::connect(&missing).expect("it listens"));
    write_line(&old);

    let workers = supervisor.leave();
    for worker in &workers {
        worker.control.close();
    }
    assert_eq!(supervisor.wait_for(&workers, AMPLE), []);
    let ledger = Ledger::read(&supervisor.telemetry, 0);
    assert_eq!((ledger.received, ledger.lost), (5, 0), "{ledger}");
}

/// Scenario: the thread of the admin port ends.
/// Guarantees: `/readyz` would report it, and the next check opens the port again with a new
/// thread.
#[test]
fn an_admin_port_without_a_thread_is_opened_again() {
    let (end, ends) = sync_channel::<()>(0);
    let ends = Arc::new(Mutex::new(ends));
    let admin = Admin(Box::new(move |listener: TcpListener| {
        let ends = Arc::clone(&ends);
        std::thread::Builder::new().spawn(move || {
            let _open = listener;
            let _ = lock(&ends).recv();
        })
    }));
    let supervisor = supervisor(Path::new("/nowhere/log.sock"), admin);
    // Without the thread that checks the listeners: the test checks them itself.
    let mut listener = Listener::new(Wanted::Admin(([127, 0, 0, 1], 0).into()));
    assert_eq!(supervisor.open(&mut listener), Ok(()));
    let is_open = || matches!(state_of(&supervisor, ListenerKind::Admin), ListenerState::Open(_));
    assert!(is_open());
    supervisor.look_at(&mut listener);
    assert!(is_open(), "its thread runs");

    end.send(()).expect("its thread waits");
    let has_ended = |listener: &Listener| match &listener.serving {
        Serving::Admin(thread) => thread.is_finished(),
        Serving::Nothing | Serving::Data(_) => false,
    };
    wait_until("its thread never ends", || has_ended(&listener));
    supervisor.look_at(&mut listener);
    let stuck = state_of(&supervisor, ListenerKind::Admin);
    let ListenerState::Stuck(why) = &stuck else { panic!("{stuck:?}") };
    assert!(why.contains("thread ended"), "{why}");
    assert!(!supervisor.process_status.is_ready(Duration::ZERO));

    supervisor.look_at(&mut listener);
    assert!(is_open() && !has_ended(&listener));
}
