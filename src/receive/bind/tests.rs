//! Tests of obstacles to binding a socket, on a real file system.

use super::*;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use tempfile::TempDir;

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn mode_of(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o7777
}

fn refused(path: &Path) -> Problem {
    unix(SocketKind::Stream, path, &Access::default()).expect_err("something is in the way").problem
}

#[test]
fn a_socket_is_bound_with_its_mode_in_a_directory_that_is_made() {
    let root = directory();
    for (mode, directory_mode) in [(0o660, 0o750), (0o600, 0o700), (0o666, 0o755), (0o777, 0o711)] {
        let path = root.path().join(format!("{mode:o}")).join("log.sock");
        let access = Access { mode, directory_mode, ..Access::default() };
        let bound = unix(SocketKind::Stream, &path, &access).expect("the way is free");
        assert_eq!(mode_of(&path), mode);
        let parent = path.parent().expect("it has one");
        assert_eq!(mode_of(parent), directory_mode & !0o022 | mode_of(parent) & 0o022);
        let mut writer = UnixStream::connect(&path).expect("it listens");
        writer.write_all(b"x").expect("it reads");
        drop(bound);
    }
}

#[test]
fn a_group_is_given_by_number() {
    let root = directory();
    let path = root.path().join("log.sock");
    let own = std::fs::metadata(root.path()).expect("it is there").gid();
    let access = Access { group: Some(own.to_string()), ..Access::default() };
    unix(SocketKind::Datagram, &path, &access).expect("our own group may be given");
    assert_eq!(std::fs::symlink_metadata(&path).expect("it is there").gid(), own);
    if rustix::process::geteuid().is_root() {
        let path = root.path().join("made/other.sock");
        let access = Access { group: Some("4711".to_owned()), ..Access::default() };
        unix(SocketKind::Stream, &path, &access).expect("root may give any");
        for path in [path.as_path(), path.parent().expect("it has one")] {
            assert_eq!(std::fs::symlink_metadata(path).expect("it is there").gid(), 4711);
        }
    }
}

/// Guarantees: a directory that was created for another group lets everybody pass through if that
/// was requested, and stays as it is otherwise.
#[test]
fn a_default_directory_lets_a_group_through() {
    let root = directory();
    let parent = root.path().join("run");
    std::fs::create_dir(&parent).expect("made");
    for (open_directory, before, after) in
        [(false, 0o700, 0o700), (true, 0o700, 0o711), (true, 0o750, 0o751), (true, 0o1755, 0o1755)]
    {
        std::fs::set_permissions(&parent, PermissionsExt::from_mode(before)).expect("ours");
        let access = Access { open_directory, ..Access::default() };
        unix(SocketKind::Datagram, &parent.join("d.sock"), &access).expect("the way is free");
        assert_eq!(mode_of(&parent), after);
    }
}

#[test]
fn a_socket_is_taken_over_only_when_nobody_listens() {
    let root = directory();
    let path = root.path().join("log.sock");
    let alive = UnixListener::bind(&path).expect("the way is free");
    assert_eq!(refused(&path), Problem::InUse);
    drop(alive);
    assert!(path.exists(), "a stale file stays behind");
    unix(SocketKind::Stream, &path, &Access::default()).expect("taken over");

    let path = root.path().join("datagram.sock");
    let alive = UnixDatagram::bind(&path).expect("the way is free");
    assert_eq!(refused(&path), Problem::InUse, "also when it is of the other kind");
    drop(alive);
    unix(SocketKind::Datagram, &path, &Access::default()).expect("taken over");
}

#[test]
fn a_listener_with_a_full_queue_is_alive() {
    let root = directory();
    let path = root.path().join("log.sock");
    let flags = SocketFlags::CLOEXEC;
    let alive = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .expect("a socket");
    let address = SocketAddrUnix::new(&path).expect("a short path");
    rustix::net::bind(&alive, &address).expect("the way is free");
    rustix::net::listen(&alive, 0).expect("it listens");
    let _waits = UnixStream::connect(&path).expect("the queue holds one");
    assert_eq!(refused(&path), Problem::InUse);
}

#[test]
fn what_is_not_a_dead_socket_is_left_alone() {
    let root = directory();
    let at = |name: &str| root.path().join(name);

    std::fs::write(at("file"), "precious").expect("written");
    assert_eq!(refused(&at("file")), Problem::NotASocket(FileType::RegularFile));
    assert_eq!(std::fs::read(at("file")).expect("still there"), b"precious");

    std::fs::create_dir(at("directory")).expect("made");
    assert_eq!(refused(&at("directory")), Problem::NotASocket(FileType::Directory));

    symlink(at("nowhere"), at("dangling")).expect("linked");
    assert_eq!(refused(&at("dangling")), Problem::Link);
    drop(UnixListener::bind(at("dead")).expect("bound"));
    symlink(at("dead"), at("link")).expect("linked");
    assert_eq!(refused(&at("link")), Problem::Link);
    assert!(at("dead").exists() && !at("nowhere").exists());
}

#[test]
fn what_is_missing_or_closed_is_said() {
    let root = directory();
    assert_eq!(refused(&root.path().join("a/b/log.sock")), Problem::NoParent);
    symlink(root.path().join("nowhere"), root.path().join("gone")).expect("linked");
    assert_eq!(refused(&root.path().join("gone/log.sock")), Problem::DirectoryLink);
    std::fs::write(root.path().join("file"), "").expect("written");
    let problem = refused(&root.path().join("file/log.sock"));
    assert!(matches!(problem, Problem::Directory { errno: Errno::NOTDIR, .. }), "{problem:?}");
    assert_eq!(refused(Path::new("/")), Problem::NoName);
    let long = root.path().join("x".repeat(PATH_BYTES_MAX));
    assert_eq!(refused(&long), Problem::TooLong { bytes: long.as_os_str().len() });
    let longest = "x".repeat(PATH_BYTES_MAX - root.path().as_os_str().len() - 1);
    unix(SocketKind::Stream, &root.path().join(longest), &Access::default()).expect("it just fits");
}

#[test]
fn a_directory_that_others_may_write_is_not_private() {
    let root = directory();
    let private = Access { private_directory: true, ..Access::default() };
    unix(SocketKind::Stream, &root.path().join("log.sock"), &private).expect("ours alone");
    std::fs::set_permissions(root.path(), PermissionsExt::from_mode(0o777)).expect("opened");
    let refused =
        unix(SocketKind::Stream, &root.path().join("b.sock"), &private).expect_err("not ours");
    assert_eq!(refused.problem, Problem::Foreign);
}

#[test]
fn only_our_own_file_is_removed() {
    let root = directory();
    let path = root.path().join("log.sock");
    let ours = unix(SocketKind::Stream, &path, &Access::default()).expect("the way is free");
    std::fs::remove_file(&path).expect("somebody removed it");
    let _theirs = UnixListener::bind(&path).expect("and bound another");
    ours.file.remove();
    assert!(path.exists(), "another's socket stays");
    std::fs::remove_file(&path).expect("gone");
    let ours = unix(SocketKind::Stream, &path, &Access::default()).expect("the way is free");
    ours.file.remove();
    assert!(!path.exists());
}

#[test]
fn an_error_says_where_who_and_what_to_do() {
    let root = directory();
    std::fs::write(root.path().join("file"), "").expect("written");
    let access = Access::default();
    let error =
        unix(SocketKind::Stream, &root.path().join("file"), &access).expect_err("in the way");
    let text = error.to_string();
    assert!(text.starts_with("cannot bind /") && text.contains("a file stands there"), "{text}");
    let owner = Owner { uid: 7, gid: 8, mode: 0o755 };
    let problem = Problem::Parent { errno: Errno::ACCESS, owner: Some(owner) };
    let (text, uid) = (problem.to_string(), rustix::process::geteuid().as_raw());
    assert!(text.contains(&format!("we are uid {uid}")), "{text}");
    assert!(text.contains("uid 7, gid 8, mode 0755") && text.contains("--socket"), "{text}");
}

/// Scenario: several processes start at once over the socket file of one that died. Guarantees: one
/// of them gets the path and keeps it; the others report that it is in use.
#[test]
fn of_several_that_start_at_once_one_wins() {
    let root = directory();
    for round in 0..100 {
        let path = root.path().join(format!("{round}.sock"));
        drop(UnixListener::bind(&path).expect("the way is free"));
        let attempts: Vec<_> = std::thread::scope(|scope| {
            let try_it = || unix(SocketKind::Stream, &path, &Access::default());
            let all: Vec<_> = (0..4).map(|_| scope.spawn(try_it)).collect();
            all.into_iter().map(|one| one.join().expect("no panic")).collect()
        });
        let won = attempts.iter().filter(|one| one.is_ok()).count();
        assert_eq!(won, 1, "{attempts:?}");
        assert!(UnixStream::connect(&path).is_ok(), "the winner's file stands");
    }
}

/// Scenario: another process swaps a canary in at the path, as fast as it can, while sockets are
/// bound there. Guarantees: the canary's bytes, mode and group never change, whatever the swaps
/// hit.
#[test]
fn a_canary_swapped_in_is_never_touched() {
    let root = directory();
    let (path, canary) = (root.path().join("log.sock"), root.path().join("canary"));
    std::fs::write(&canary, "precious").expect("written");
    std::fs::set_permissions(&canary, PermissionsExt::from_mode(0o604)).expect("set");
    let before = std::fs::metadata(&canary).expect("it is there");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = std::fs::remove_file(&path);
                let _ = symlink(&canary, &path);
                let _ = std::fs::remove_file(&path);
                let _ = std::fs::hard_link(&canary, &path);
            }
        });
        for _ in 0..500 {
            if let Ok(bound) =
                unix(SocketKind::Stream, &path, &Access { mode: 0o666, ..Access::default() })
            {
                bound.file.remove();
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let mut text = String::new();
    let mut file = std::fs::File::open(&canary).expect("still there");
    file.read_to_string(&mut text).expect("readable");
    let after = std::fs::metadata(&canary).expect("it is there");
    assert_eq!(text, "precious");
    assert_eq!(
        (before.mode(), before.gid(), before.ino()),
        (after.mode(), after.gid(), after.ino())
    );
}

#[test]
fn the_admin_port_reports_what_is_taken() {
    let bound = tcp("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let address = bound.local_addr().expect("its address");
    let error = tcp(address).expect_err("taken");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let any = tcp("[::1]:0".parse().expect("an address")).expect("IPv6, or what stands in for it");
    assert!(any.local_addr().expect("its address").ip().is_loopback());
}

/// Runs one of the tests below again, in a process with other rights. Returns false if that is not
/// possible here.
fn run_again(command: &mut std::process::Command, name: &str) -> bool {
    let name = format!("receive::bind::tests::{name}");
    command.args(["--exact", &name, "--nocapture"]).env("BIND_AGAIN", "1");
    let Ok(output) = command.output() else { return false };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(!said.contains("panicked"), "{said}");
    output.status.success() && said.contains("1 passed")
}

fn is_run_again() -> bool {
    std::env::var_os("BIND_AGAIN").is_some()
}

/// Scenario: the group of the socket, and of the directory that is created for it, cannot be set
/// (we are not a member; on virtiofs nobody may set it). Guarantees: the socket is bound anyway and
/// can be used.
#[test]
fn a_group_that_is_refused_keeps_no_socket_from_being_bound() {
    use std::os::unix::process::CommandExt;
    if rustix::process::geteuid().is_root() && !is_run_again() {
        let program = std::env::current_exe().expect("this program");
        let mut command = std::process::Command::new(program);
        command.uid(65534).gid(65534);
        if !run_again(&mut command, "a_group_that_is_refused_keeps_no_socket_from_being_bound") {
            eprintln!("skipped: this program cannot run as another user");
        }
        return;
    }
    let root = directory();
    for path in [root.path().join("log.sock"), root.path().join("made/log.sock")] {
        let access = Access { group: Some("4711".to_owned()), ..Access::default() };
        let bound = unix(SocketKind::Stream, &path, &access).expect("bound all the same");
        UnixStream::connect(&path).expect("it listens");
        drop(bound);
    }
}

/// Scenario: the mode of the socket cannot be set: the umask narrows it, and `/proc`, through which
/// it would be widened, is empty. Guarantees: the socket is bound anyway, with a mode that is
/// narrower than configured and never wider.
#[test]
fn a_mode_that_is_refused_keeps_no_socket_from_being_bound() {
    if !is_run_again() {
        let script = "mount -t tmpfs none /proc && umask 0077 && exec \"$0\" \"$@\"";
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]);
        command.arg(std::env::current_exe().expect("this program"));
        if !run_again(&mut command, "a_mode_that_is_refused_keeps_no_socket_from_being_bound") {
            eprintln!("skipped: no mount namespace can be made here");
        }
        return;
    }
    assert!(!Path::new("/proc/self").exists());
    let root = directory();
    let path = root.path().join("log.sock");
    let bound = unix(SocketKind::Stream, &path, &Access::default()).expect("bound all the same");
    assert_eq!(mode_of(&path), 0o600);
    UnixStream::connect(&path).expect("it listens");
    drop(bound);
}

/// Scenario: another process holds the lock on the directory and never releases it. Guarantees: the
/// socket is bound; the wait for the lock is short.
#[test]
fn a_lock_that_is_held_keeps_no_socket_from_being_bound() {
    const { assert!(LOCK_WAIT_MAX.as_millis() <= 100) };
    let root = directory();
    let handle = std::fs::File::open(root.path()).expect("a directory");
    rustix::fs::flock(&handle, FlockOperation::LockExclusive).expect("the first lock");
    let path = root.path().join("log.sock");
    unix(SocketKind::Stream, &path, &Access::default()).expect("bound without the lock");
}

/// Scenario: the system setting `net.ipv6.bindv6only` restricts IPv6 sockets to IPv6. Guarantees:
/// `[::]` accepts both.
#[test]
fn an_unspecified_address_takes_both_families() {
    if !is_run_again() {
        let script = "echo 1 > /proc/sys/net/ipv6/bindv6only && exec \"$0\" \"$@\"";
        let mut command = std::process::Command::new("unshare");
        command.args(["--net", "sh", "-c", script]);
        command.arg(std::env::current_exe().expect("this program"));
        if !run_again(&mut command, "an_unspecified_address_takes_both_families") {
            eprintln!("skipped: no network namespace can be made here");
        }
        return;
    }
    let bound = tcp("[::]:0".parse().expect("an address")).expect("a port");
    assert!(bound.local_addr().expect("bound").is_ipv6());
    assert_eq!(sockopt::ipv6_v6only(&bound), Ok(false));
}
