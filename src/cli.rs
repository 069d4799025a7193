//! Defines the command line in one place; each command is implemented in its own file. Without a
//! command, the program runs the sidecar. Unit: one call.

pub mod check;
pub mod demo;
pub mod explain;
pub mod get;
pub mod healthcheck;
pub mod install;
pub(crate) mod programs;
pub mod reference;
pub mod replay;
pub mod run;
pub(crate) mod value;

use crate::config::environment::Environment;
use crate::console;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Turns the log lines of the application beside it into metrics, spans and a health verdict.
///
/// Without a command it runs the sidecar: a stream socket and a datagram socket for log lines, and an
/// admin port with /metrics and /health. No configuration is needed.
#[derive(Clone, PartialEq, Debug, Parser)]
#[command(name = "sidelight", version, args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Every setting of `run` can stand in a file (--config), too; flags win over the \
    environment, the environment over the file.\n\nPrograms beside this one: `sidelight tee` runs a command \
    and copies its output to the socket; `sidelight inject` puts the sidecar into manifests; `sidelight \
    injector` serves the admission webhook."
)]
pub struct CommandLine {
    /// What is to be done.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The sidecar's own arguments, for a call without a command.
    #[command(flatten)]
    pub run: run::Arguments,
}

/// What is to be done.
#[derive(Clone, PartialEq, Debug, Subcommand)]
pub enum Command {
    /// Run the sidecar (what happens without a command)
    Run(run::Arguments),
    /// Check a configuration: all errors at once, each with its line
    Check(check::Arguments),
    /// Play a web application into a sidecar and show what comes out
    Demo(demo::Arguments),
    /// Put a log file through the rules: the metrics, spans and health it would have given
    Replay(replay::Arguments),
    /// Show what happens to one line: its format, its fields, its rules, its series
    Explain(explain::Arguments),
    /// Ask a running sidecar whether it is well; exit code 0 if so
    Healthcheck(healthcheck::Arguments),
    /// Copy sidelight-tee into a directory that other containers share
    Install(install::Arguments),
    /// Print all settings, one of them, or the JSON Schema of a configuration file
    Reference(reference::Arguments),
}

/// Parses the arguments and runs the command.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let is_own =
        |name: &str| name == "help" || CommandLine::command().find_subcommand(name).is_some();
    if let Some(code) = programs::run(&arguments, is_own) {
        return code;
    }
    let arguments = match CommandLine::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let text = error.render().to_string();
            if asked {
                // a reader that closes early, such as head, is not an error
                let _ = console::print(&text);
                return ExitCode::SUCCESS;
            }
            console::diagnostic(&text);
            return ExitCode::from(2);
        }
    };
    match arguments.command.unwrap_or(Command::Run(arguments.run)) {
        Command::Run(arguments) => run::run(&arguments, environment),
        Command::Check(arguments) => check::run(&arguments, environment),
        Command::Demo(arguments) => demo::run(&arguments, environment),
        Command::Replay(arguments) => replay::run(&arguments, environment),
        Command::Explain(arguments) => explain::run(&arguments, environment),
        Command::Healthcheck(arguments) => healthcheck::run(&arguments, environment),
        Command::Install(arguments) => install::run(&arguments, environment),
        Command::Reference(arguments) => reference::run(&arguments, environment),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::{LogLevel, Mode};
    use std::path::PathBuf;
    use std::time::Duration;

    fn parse(line: &str) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from(std::iter::once("sidelight").chain(line.split_whitespace()))
    }

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }

    /// The names that manifests and scripts depend on.
    #[test]
    fn flags_of_the_sidecar_with_and_without_its_name() {
        let line = "--config c.yaml --socket /a --datagram-socket /b --listen 127.0.0.1:1 --mode classic \
                    --stdin --log-level debug --strict";
        let bare = parse(line).expect("valid");
        assert_eq!(bare.command, None);
        let named = parse(&format!("run {line}")).expect("valid");
        assert_eq!(named.command, Some(Command::Run(bare.run.clone())));
        let flags = bare.run.flags();
        assert_eq!(flags.config, Some(PathBuf::from("c.yaml")));
        assert_eq!(flags.socket, Some(PathBuf::from("/a")));
        assert_eq!(flags.datagram_socket, Some(PathBuf::from("/b")));
        assert_eq!(flags.listen, "127.0.0.1:1".parse().ok());
        assert_eq!((flags.mode, flags.stdin), (Some(Mode::Classic), true));
        assert_eq!(flags.log_level, Some(LogLevel::Debug));
        assert!(bare.run.strict);
        assert_eq!(parse("").expect("valid").run.flags(), crate::config::Flags::default());
    }

    #[test]
    fn wrong_arguments_are_told_with_what_was_meant() {
        for (line, expected) in [
            ("chekc", "'check'"),
            ("--sokcet /a", "'--socket'"),
            ("--mode clasic", "did you mean `classic`?"),
            ("--listen nowhere", "HOST:PORT"),
            ("--socket /a check", "cannot be used with"),
        ] {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn arguments_of_the_other_commands() {
        let command = |line: &str| parse(line).expect(line).command.expect("a command");
        let Command::Demo(demo) = command("demo --for 30s --rate 50") else { panic!("demo") };
        assert_eq!((demo.duration, demo.rate), (Some(Duration::from_secs(30)), 50));
        let Command::Replay(replay) = command("replay - --format json") else { panic!("replay") };
        assert_eq!(replay.file, PathBuf::from("-"));
        let Command::Explain(explain) = command("explain hello world") else { panic!("explain") };
        assert_eq!(explain.line, ["hello", "world"]);
        let Command::Healthcheck(health) = command("healthcheck --ready") else { panic!("health") };
        assert!(health.ready && health.url.is_none());
    }
}
