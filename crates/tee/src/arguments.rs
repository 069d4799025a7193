//! Parses the command line by hand, because a parser library would be larger than the rest of this
//! program. Unit: one call.

use crate::clock::Clock;
use crate::copy::child::Refused;
use crate::copy::{self, Ended, in_place};
use crate::init;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::process::getpid;
use rustix::stdio::{stderr, stdout};
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::ExitCode;

/// Default path of the socket on which a sidecar of the same pod listens.
const SOCKET: &str = "/run/sidelight/log.sock";

/// A pipe that poll() reports as writable takes this many bytes without blocking the writer (POSIX:
/// PIPE_BUF).
const WRITE_BYTES_MAX: usize = 4096;

/// The values of `--in-place`.
const WHEN: &str = "auto, always or never";

/// Exit code for a wrong command line.
const USAGE_ERROR: u8 = 2;

const HELP: &str = "\
Run a command, pass its output through and copy every line of it to the socket

Usage: sidelight-tee [OPTIONS] [--] COMMAND [ARGUMENT]...

Options:
      --socket <PATH>    Stream socket of the sidecar [env: SIDELIGHT_SOCKET]
                         [default: /run/sidelight/log.sock, or log.sock in
                         $XDG_RUNTIME_DIR or /tmp/sidelight-UID]
      --in-place <WHEN>  Run the command as this process instead of as its child: auto, always or never
                         [default: auto, which means for commands that must be process 1]
  -h, --help             Print help
  -V, --version          Print version

The command's stdout and stderr go where they went before, byte for byte. They are pipes for it, never a
terminal: some programs then buffer their output (PYTHONUNBUFFERED=1 or stdbuf -oL help). stdin, environment
and working directory are unchanged. Signals are passed on to the command. It never waits for the sidecar:
lines that do not fit are left out of the copy, whole, and a record of logger `sidelight.tee` says in their
place how many; with SIDELIGHT_LOG_LEVEL=debug the total is written to stderr at the end.

Init systems refuse to start unless they are process 1 of the container: s6-overlay, systemd, runit, OpenRC,
sysvinit, busybox init. tee recognizes them by name, or by s6-overlay in the image. It then starts a second
process that copies, and replaces itself by the command. The kernel ends that second process together with
process 1: what the command writes in its last instant, or after it has killed all other processes, can be
lost, also from its stdout.

Exit code: the command's; 128+N when signal N ended it, 127 when there is no such command, 126 when it
cannot be run, 2 when these arguments are wrong.
";

/// A parsed command line.
#[derive(Clone, PartialEq, Debug)]
enum Request {
    /// Run the command, given as a name and its arguments.
    Run {
        socket: Option<PathBuf>,
        in_place: InPlace,
        command: Vec<OsString>,
    },
    /// Copy the pipes that the process on standard input sends: we are its second process.
    Copy {
        socket: Option<PathBuf>,
    },
    Help,
    Version,
    /// The arguments are wrong; the text explains how.
    Wrong(String),
}

/// Whether the command replaces this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum InPlace {
    /// Only if this is process 1 and the command has to be.
    Auto,
    Always,
    Never,
}

/// Reads the arguments and the environment, and runs the command.
pub(crate) fn main() -> ExitCode {
    match parse(std::env::args_os().skip(1)) {
        Request::Run { socket, in_place, command } => run(socket, in_place, &command),
        Request::Copy { socket } => match in_place::copy(&resolve(socket), &Clock::start()) {
            Ok(dropped) => {
                report(dropped);
                ExitCode::SUCCESS
            }
            Err(error) => {
                print(stderr(), &format!("sidelight tee: nothing is copied: {error}\n"));
                ExitCode::FAILURE
            }
        },
        Request::Help => print(stdout(), HELP),
        Request::Version => {
            print(stdout(), concat!("sidelight-tee ", env!("CARGO_PKG_VERSION"), "\n"))
        }
        Request::Wrong(message) => {
            let text =
                format!("{}: {message}\n\nFor more information, try '--help'.\n", error_word());
            print(stderr(), &text);
            ExitCode::from(USAGE_ERROR)
        }
    }
}

/// Returns the word that begins an error: red on a terminal, unless `NO_COLOR` or `TERM` says not.
fn error_word() -> &'static str {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if std::io::stderr().is_terminal() && !is_set("NO_COLOR") && !is_dumb {
        "\x1b[31merror\x1b[0m"
    } else {
        "error"
    }
}

fn run(socket: Option<PathBuf>, in_place: InPlace, command: &[OsString]) -> ExitCode {
    let sockets = resolve(socket);
    let is_in_place = match in_place {
        InPlace::Always => true,
        InPlace::Never => false,
        InPlace::Auto => getpid().is_init() && init::must_be_first(command),
    };
    let done = if is_in_place {
        Err(in_place::run(command, &sockets))
    } else {
        copy::run(command, &sockets, &Clock::start())
    };
    match done {
        Ok(Ended { code, dropped }) => {
            report(dropped);
            ExitCode::from(code)
        }
        Err(Refused { code, error }) => {
            let command = command[0].display();
            print(stderr(), &format!("sidelight tee: cannot run '{command}': {error}\n"));
            ExitCode::from(code)
        }
    }
}

/// Returns the paths of the sockets to try: the option's, the environment's or the defaults.
fn resolve(option: Option<PathBuf>) -> Vec<PathBuf> {
    let from_environment = || std::env::var_os("SIDELIGHT_SOCKET").filter(|path| !path.is_empty());
    let named = option.or_else(|| from_environment().map(PathBuf::from));
    named.map_or_else(default_sockets, |path| vec![path])
}

/// Returns the paths on which a sidecar without a configured path may listen: the default, and the
/// directories that it uses where it may not write there.
fn default_sockets() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty());
    let runtime = runtime.map(|path| PathBuf::from(path).join("log.sock"));
    let user = rustix::process::geteuid().as_raw();
    let private = PathBuf::from(format!("/tmp/sidelight-{user}/log.sock"));
    std::iter::once(PathBuf::from(SOCKET)).chain(runtime).chain([private]).collect()
}

/// Writes the number of dropped lines to standard error, if the user wants to know.
fn report(dropped: u64) {
    let level = std::env::var_os("SIDELIGHT_LOG_LEVEL").unwrap_or_default();
    if level == "debug" || level == "trace" {
        print(stderr(), &format!("sidelight tee: {dropped} lines were not copied\n"));
    }
}

fn parse(mut arguments: impl Iterator<Item = OsString>) -> Request {
    let mut socket = None;
    let mut in_place = InPlace::Auto;
    let command = loop {
        let Some(argument) = arguments.next() else { break None };
        let bytes = argument.as_bytes();
        let (name, value) = match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) if bytes.starts_with(b"--") => (&bytes[..at], Some(&bytes[at + 1..])),
            _ => (bytes, None),
        };
        match (name, value) {
            (b"--", None) => break arguments.next(),
            (b"-h" | b"--help", None) => return Request::Help,
            (b"-V" | b"--version", None) => return Request::Version,
            (copy::in_place::ARGUMENT, None) => return Request::Copy { socket },
            (b"--socket" | b"--in-place", _) => {
                let value = value.map(|value| OsString::from_vec(value.to_vec()));
                let Some(value) = value.or_else(|| arguments.next()) else {
                    let needed = if name == b"--socket" { "a path" } else { WHEN };
                    let name = OsStr::from_bytes(name).display();
                    return Request::Wrong(format!("{name} needs {needed}"));
                };
                if name == b"--socket" {
                    socket = Some(PathBuf::from(value));
                    continue;
                }
                in_place = match value.as_bytes() {
                    b"auto" => InPlace::Auto,
                    b"always" => InPlace::Always,
                    b"never" => InPlace::Never,
                    _ => {
                        let value = value.display();
                        return Request::Wrong(format!("--in-place needs {WHEN}, not '{value}'"));
                    }
                };
            }
            _ if bytes.starts_with(b"-") && bytes != b"-" => {
                return Request::Wrong(unexpected(&argument, name));
            }
            _ => break Some(argument),
        }
    };
    match command {
        Some(name) => {
            let command = std::iter::once(name).chain(arguments).collect();
            Request::Run { socket, in_place, command }
        }
        None => Request::Wrong("a command is missing".to_owned()),
    }
}

/// The options, for suggestions.
const OPTIONS: [&str; 4] = ["--socket", "--in-place", "--help", "--version"];

/// Words the error of an unknown option, with the option that was probably meant.
fn unexpected(argument: &OsStr, name: &[u8]) -> String {
    let error = format!("unexpected argument '{}'", argument.display());
    match OPTIONS.iter().find(|option| option.as_bytes() != name && is_near(name, option)) {
        Some(option) => format!("{error}\n\n  tip: a similar argument exists: '{option}'"),
        None => error,
    }
}

/// Returns whether the name has the letters of the option in another order, one letter more or less,
/// or one other letter.
fn is_near(name: &[u8], option: &str) -> bool {
    let mut surplus = [0_i32; 256];
    for byte in name {
        surplus[usize::from(*byte)] += 1;
    }
    for byte in option.bytes() {
        surplus[usize::from(byte)] -= 1;
    }
    let (more, less) = surplus
        .iter()
        .fold((0, 0), |(more, less), count| (more + (*count).max(0), less + (-*count).max(0)));
    more <= 1 && less <= 1
}

/// Writes as much of `text` as `output` takes without blocking. A failure is ignored, because there
/// is no place left to report it.
fn print(output: BorrowedFd<'_>, text: &str) -> ExitCode {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    for part in text.as_bytes().chunks(WRITE_BYTES_MAX) {
        let mut polled = [PollFd::from_borrowed_fd(output.as_fd(), PollFlags::OUT)];
        let is_writable = poll(&mut polled, Some(&now)).is_ok_and(|ready| ready > 0);
        if !is_writable || rustix::io::write(output, part).is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: options end at `--` or at the first word that is not an option; everything after
    /// it belongs to the command.
    #[test]
    fn options_end_where_the_command_begins() {
        let start = |socket: Option<&str>, in_place, command: &[&str]| Request::Run {
            socket: socket.map(PathBuf::from),
            in_place,
            command: command.iter().map(OsString::from).collect(),
        };
        let run = |socket, command: &[&str]| start(socket, InPlace::Auto, command);
        let wrong = |message: &str| Request::Wrong(message.to_owned());
        for (line, expected) in [
            ("-- echo", run(None, &["echo"])),
            ("-- echo --socket x -- y -h", run(None, &["echo", "--socket", "x", "--", "y", "-h"])),
            ("--socket /a -- echo -n", run(Some("/a"), &["echo", "-n"])),
            ("--socket /a -- -- x", run(Some("/a"), &["--", "x"])),
            ("--socket=/a -- echo", run(Some("/a"), &["echo"])),
            ("echo --help", run(None, &["echo", "--help"])),
            ("--socket /a echo -n", run(Some("/a"), &["echo", "-n"])),
            ("- x", run(None, &["-", "x"])),
            ("--socket -- echo", run(Some("--"), &["echo"])),
            ("--socket", wrong("--socket needs a path")),
            ("--in-place=always -- a=b", start(None, InPlace::Always, &["a=b"])),
            ("--in-place never --socket=/a=b x", start(Some("/a=b"), InPlace::Never, &["x"])),
            ("--in-place auto x --in-place y", run(None, &["x", "--in-place", "y"])),
            ("--in-place", wrong("--in-place needs auto, always or never")),
            ("--in-place=yes x", wrong("--in-place needs auto, always or never, not 'yes'")),
            ("--socket /a --copy-pipes", Request::Copy { socket: Some(PathBuf::from("/a")) }),
            ("--help=x", wrong("unexpected argument '--help=x'")),
            ("--help", Request::Help),
            ("--socket /a -h", Request::Help),
            ("-V", Request::Version),
            (
                "--sokcet /a",
                wrong(
                    "unexpected argument '--sokcet'\n\n  tip: a similar argument exists: '--socket'",
                ),
            ),
            (
                "--in-plce=never x",
                wrong(
                    "unexpected argument '--in-plce=never'\n\n  tip: a similar argument exists: \
                     '--in-place'",
                ),
            ),
            ("--banana", wrong("unexpected argument '--banana'")),
            ("-x", wrong("unexpected argument '-x'")),
            ("--", wrong("a command is missing")),
            ("", wrong("a command is missing")),
        ] {
            let arguments = line.split_whitespace().map(OsString::from);
            assert_eq!(parse(arguments), expected, "{line}");
        }
    }
}
