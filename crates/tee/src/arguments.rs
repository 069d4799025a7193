//! Parses the command line by hand, because a parser library would be larger than the rest of this
//! program. Unit: one call.

use crate::clock::Clock;
use crate::copy::{self, Ended, Refused};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::stdio::{stderr, stdout};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::ExitCode;

/// Default path of the socket on which a sidecar of the same pod listens.
const SOCKET: &str = "/run/sidelight/log.sock";

/// A pipe that poll() reports as writable takes this many bytes without blocking the writer (POSIX:
/// PIPE_BUF).
const WRITE_BYTES_MAX: usize = 4096;

/// Exit code for a wrong command line.
const USAGE_ERROR: u8 = 2;

const HELP: &str = "\
Run a command, pass its output through and copy every line of it to the socket

Usage: sidelight-tee [OPTIONS] [--] COMMAND [ARGUMENT]...

Options:
      --socket <PATH>  Stream socket of the sidecar [env: SIDELIGHT_SOCKET]
                       [default: /run/sidelight/log.sock]
  -h, --help           Print help
  -V, --version        Print version

The command's stdout and stderr go where they went before, byte for byte. They are pipes for it, never a
terminal: some programs then buffer their output (PYTHONUNBUFFERED=1 or stdbuf -oL help). stdin, environment
and working directory are unchanged. Signals are passed on to the command. It never waits for the sidecar:
lines that do not fit are left out of the copy, whole, and a record of logger `sidelight.tee` says in their
place how many; with SIDELIGHT_LOG_LEVEL=debug the total is written to stderr at the end.

Exit code: the command's; 128+N when signal N ended it, 127 when there is no such command, 126 when it
cannot be run, 2 when these arguments are wrong.
";

/// A parsed command line.
#[derive(Clone, PartialEq, Debug)]
enum Request {
    /// Run the command, given as a name and its arguments.
    Run {
        socket: Option<PathBuf>,
        command: Vec<OsString>,
    },
    Help,
    Version,
    /// The arguments are wrong; the text explains how.
    Wrong(String),
}

/// Reads the arguments and the environment, and runs the command.
pub(crate) fn main() -> ExitCode {
    match parse(std::env::args_os().skip(1)) {
        Request::Run { socket, command } => run(socket, &command),
        Request::Help => print(stdout(), HELP),
        Request::Version => {
            print(stdout(), concat!("sidelight-tee ", env!("CARGO_PKG_VERSION"), "\n"))
        }
        Request::Wrong(message) => {
            print(stderr(), &format!("error: {message}\n\nFor more information, try '--help'.\n"));
            ExitCode::from(USAGE_ERROR)
        }
    }
}

fn run(socket: Option<PathBuf>, command: &[OsString]) -> ExitCode {
    let from_environment = || std::env::var_os("SIDELIGHT_SOCKET").filter(|path| !path.is_empty());
    let socket = socket.or_else(|| from_environment().map(PathBuf::from));
    let socket = socket.unwrap_or_else(|| PathBuf::from(SOCKET));
    match copy::run(command, &socket, &Clock::start()) {
        Ok(Ended { code, dropped }) => {
            let level = std::env::var_os("SIDELIGHT_LOG_LEVEL").unwrap_or_default();
            if level == "debug" || level == "trace" {
                print(stderr(), &format!("sidelight tee: {dropped} lines were not copied\n"));
            }
            ExitCode::from(code)
        }
        Err(Refused { code, error }) => {
            let command = command[0].display();
            print(stderr(), &format!("sidelight tee: cannot run '{command}': {error}\n"));
            ExitCode::from(code)
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = OsString>) -> Request {
    let mut socket = None;
    let command = loop {
        let Some(argument) = arguments.next() else { break None };
        match argument.as_bytes() {
            b"--" => break arguments.next(),
            b"-h" | b"--help" => return Request::Help,
            b"-V" | b"--version" => return Request::Version,
            b"--socket" => match arguments.next() {
                Some(path) => socket = Some(PathBuf::from(path)),
                None => return Request::Wrong("--socket needs a path".to_owned()),
            },
            bytes => match bytes.strip_prefix(b"--socket=") {
                Some(path) => socket = Some(PathBuf::from(OsString::from_vec(path.to_vec()))),
                None if bytes.starts_with(b"-") && bytes != b"-" => {
                    let name = OsStr::from_bytes(bytes).display();
                    return Request::Wrong(format!("unexpected argument '{name}'"));
                }
                None => break Some(argument),
            },
        }
    };
    match command {
        Some(name) => {
            Request::Run { socket, command: std::iter::once(name).chain(arguments).collect() }
        }
        None => Request::Wrong("a command is missing".to_owned()),
    }
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
        let run = |socket: Option<&str>, command: &[&str]| Request::Run {
            socket: socket.map(PathBuf::from),
            command: command.iter().map(OsString::from).collect(),
        };
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
            ("--help", Request::Help),
            ("--socket /a -h", Request::Help),
            ("-V", Request::Version),
            ("--sokcet /a", wrong("unexpected argument '--sokcet'")),
            ("-x", wrong("unexpected argument '-x'")),
            ("--", wrong("a command is missing")),
            ("", wrong("a command is missing")),
        ] {
            let arguments = line.split_whitespace().map(OsString::from);
            assert_eq!(parse(arguments), expected, "{line}");
        }
    }
}
