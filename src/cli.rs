//! Defines the command line in one place; each command is implemented in its own file. Without a
//! command, the program runs the sidecar. Unit: one call.

pub mod arguments;
pub mod check;
pub(crate) mod demo;
mod effects;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod healthcheck;
pub(crate) mod install;
mod lines;
mod live;
pub(crate) mod programs;
pub(crate) mod reference;
pub(crate) mod replay;
pub(crate) mod run;
mod scrape;
mod screen;
pub mod style;
mod table;
pub mod value;
pub(crate) mod watch;

use crate::config::environment::Environment;
use arguments::parsed;
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
    after_help = "Every setting of `run` can also be set in a file (--config). Flags override the \
    environment, which overrides the file.\n\nOther programs of this project: `sidelight tee` runs a command \
    and copies its output to the socket; `sidelight inject` puts the sidecar into manifests; `sidelight \
    injector` serves the admission webhook."
)]
pub struct CommandLine {
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The arguments of `run`, which is the default command.
    #[command(flatten)]
    pub run: run::Arguments,
}

/// The commands.
#[derive(Clone, PartialEq, Debug, Subcommand)]
pub enum Command {
    /// Run the sidecar (the default command)
    Run(run::Arguments),
    /// Check a configuration and report all errors at once, each with its line
    Check(check::Arguments),
    /// Run a demo web application with a sidecar and show the results
    Demo(demo::Arguments),
    /// Apply the rules to a log file and summarise it: routes, rates, errors, formats, health
    Replay(replay::Arguments),
    /// Show what happens to each line: readers, fields, rules, series; or summarise a file
    Explain(explain::Arguments),
    /// Show the screen of the demo for a running sidelight
    Watch(watch::Arguments),
    /// Check whether a running sidecar is healthy; exit code 0 if it is
    Healthcheck(healthcheck::Arguments),
    /// Copy sidelight-tee into a directory that other containers mount
    Install(install::Arguments),
    /// Print settings, the JSON Schema of a configuration file, completions, or the manual page
    Reference(reference::Arguments),
}

/// Parses the arguments and runs the command.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let definition = CommandLine::command();
    let commands = definition.get_subcommands().map(clap::Command::get_name);
    let own: Vec<&str> = commands.chain(["help"]).collect();
    if let Some(code) = programs::run(&arguments, &own, environment) {
        return code;
    }
    let arguments: CommandLine = match parsed(arguments) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    match arguments.command.unwrap_or(Command::Run(arguments.run)) {
        Command::Run(arguments) => run::run(&arguments, environment),
        Command::Check(arguments) => check::run(&arguments, environment),
        Command::Demo(arguments) => demo::run(&arguments, environment),
        Command::Replay(arguments) => replay::run(&arguments, environment),
        Command::Explain(arguments) => explain::run(&arguments, environment),
        Command::Watch(arguments) => watch::run(&arguments, environment),
        Command::Healthcheck(arguments) => healthcheck::run(&arguments, environment),
        Command::Install(arguments) => install::run(&arguments, environment),
        Command::Reference(arguments) => {
            reference::run(&arguments, environment, &CommandLine::command())
        }
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
    fn errors_of_arguments_suggest_what_was_meant() {
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
