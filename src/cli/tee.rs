//! `tee`: run a command, pass its output through and copy every line to the socket. Unit: one call.

use crate::clock::Clock;
use crate::config::environment::Environment;
use crate::console;
use crate::tee;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Where a sidecar of the same pod listens.
const SOCKET: &str = "/run/sidelight/log.sock";

/// Arguments of `tee`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
#[command(
    after_help = "The command's stdout and stderr go where they went before, byte for byte. They are pipes \
    for it, never a terminal: some programs then keep lines back (PYTHONUNBUFFERED=1, stdbuf -oL help). \
    stdin, environment and working directory are as they were. Signals are passed on to the command. It \
    never waits for the sidecar: lines that find no room are left out of the copy, whole, and a record of \
    logger `sidelight.tee` says in their place how many; SIDELIGHT_LOG_LEVEL=debug tells the sum on stderr \
    at the end.\n\n\
    Exit code: the command's; 128+N when signal N ended it, 127 when there is no such command, 126 when it \
    cannot be run."
)]
pub struct Arguments {
    /// Stream socket of the sidecar [env: SIDELIGHT_SOCKET] [default: /run/sidelight/log.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// The command and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub command: Vec<OsString>,
}

/// The arguments of a plain call, read without the machinery of all commands: what that touches of the binary
/// stays in the memory of each application that is wrapped (2.5 MiB with it). None for whatever else was
/// written: then the machinery knows what to say.
pub fn plain(arguments: &[OsString]) -> Option<Arguments> {
    let [_, name, rest @ ..] = arguments else { return None };
    let (mut socket, mut rest) = (None, rest);
    if name != "tee" {
        return None;
    }
    if let [flag, path, behind @ ..] = rest
        && flag == "--socket"
    {
        (socket, rest) = (Some(PathBuf::from(path)), behind);
    }
    match rest {
        [dashes, command @ ..] if dashes == "--" && !command.is_empty() => {
            Some(Arguments { socket, command: command.to_vec() })
        }
        _ => None,
    }
}

/// Runs the command; its exit code is ours.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let named =
        environment.get("SIDELIGHT_SOCKET").filter(|path| !path.is_empty()).map(PathBuf::from);
    let socket = arguments.socket.clone().or(named).unwrap_or_else(|| PathBuf::from(SOCKET));
    match tee::run(&arguments.command, &socket, &Clock::system()) {
        Ok(ended) => {
            let level = environment.get("SIDELIGHT_LOG_LEVEL").map(String::as_str);
            if matches!(level, Some("debug" | "trace")) {
                console::note(&format!("sidelight tee: {} lines were not copied\n", ended.dropped));
            }
            ExitCode::from(ended.code)
        }
        Err(refused) => {
            let command = arguments.command[0].display();
            console::note(&format!("sidelight tee: cannot run '{command}': {}\n", refused.error));
            ExitCode::from(refused.code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, CommandLine};
    use clap::Parser;

    /// Guarantees: what is read plainly is what clap reads, and what is not plain is left to it.
    #[test]
    fn a_plain_call_means_what_clap_says() {
        for (line, is_plain) in [
            ("sidelight tee -- echo", true),
            ("sidelight tee -- echo --socket x -- y -h", true),
            ("sidelight tee --socket /a -- echo -n", true),
            ("sidelight tee --socket /a -- -- x", true),
            ("sidelight tee --socket=/a -- echo", false),
            ("sidelight tee echo", false),
            ("sidelight tee --socket /a echo", false),
            ("sidelight tee --socket -- echo", false),
            ("sidelight tee --help", false),
            ("sidelight tee --", false),
            ("sidelight tee", false),
            ("sidelight run --", false),
            ("sidelight", false),
        ] {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let found = plain(&arguments);
            assert_eq!(found.is_some(), is_plain, "{line}");
            if let Some(found) = found {
                let parsed = CommandLine::try_parse_from(&arguments).expect(line).command;
                assert_eq!(parsed, Some(Command::Tee(found)), "{line}");
            }
        }
    }
}
