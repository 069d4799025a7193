//! The command line. Without a command it serves the webhook. Unit: one call.

pub mod check;
pub mod inject;
mod output;
pub mod serve;

use clap::{Parser, Subcommand};
use sidelight::cli::arguments::parsed;
use sidelight::config::environment::Environment;
use std::ffi::OsString;
use std::process::ExitCode;

/// Puts the sidelight sidecar into pods.
///
/// Without a command it serves the admission webhook.
#[derive(Clone, PartialEq, Debug, Parser)]
#[command(name = "sidelight-injector", version, args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    /// What is to be done.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The webhook's own arguments, for a call without a command.
    #[command(flatten)]
    pub serve: serve::Arguments,
}

/// What is to be done.
#[derive(Clone, PartialEq, Debug, Subcommand)]
pub enum Command {
    /// Serve the admission webhook (what happens without a command)
    Serve(Box<serve::Arguments>),
    /// Put the sidecar into manifests, as the webhook would
    Inject(inject::Arguments),
    /// Take the sidecar out of manifests again
    Uninject(inject::Arguments),
    /// Print a MutatingAdmissionPolicy that injects without a webhook (Kubernetes 1.36 and later)
    Policy(inject::policy::Arguments),
    /// Check a cluster: pods without their sidecar and why, a webhook that nobody can reach, metrics
    /// that nobody scrapes; each with what to do
    Check(check::Arguments),
}

/// Parses the arguments and runs the command.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> ExitCode {
    let arguments: CommandLine = match parsed(arguments.into_iter().collect()) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    match arguments.command.unwrap_or_else(|| Command::Serve(Box::new(arguments.serve))) {
        Command::Serve(arguments) => serve::run(&arguments, environment),
        Command::Inject(arguments) => inject::run(&arguments),
        Command::Uninject(arguments) => {
            inject::run(&inject::Arguments { uninject: true, ..arguments })
        }
        Command::Policy(arguments) => inject::policy::run(&arguments),
        Command::Check(arguments) => check::run(&arguments, environment),
    }
}
