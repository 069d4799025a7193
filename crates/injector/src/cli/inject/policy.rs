//! `sidelight inject policy`: prints the MutatingAdmissionPolicy with its bindings and parameters.
//! It also loads the injector's configuration, which determines them. Unit: one call.

use crate::cli::output::{self, say};
use crate::config;
use crate::inject::admission::text;
use crate::inject::policy::Policy;
use sidelight::config::fault::Level;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `inject policy`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// The injector's configuration
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The namespace of the parameters, which must exist
    #[arg(short = 'n', long, value_name = "NAME", default_value = "sidelight-system")]
    pub namespace: String,
}

/// Prints the policy.
pub fn run(arguments: &Arguments) -> ExitCode {
    let made = load(arguments.config.as_deref()).and_then(|policy| {
        text(&policy, &arguments.namespace).map_err(|refused| format!("error: {refused}\n"))
    });
    match made {
        Ok(text) => match output::write(&text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                say(&format!("error: the policy cannot be written: {error}"));
                ExitCode::FAILURE
            }
        },
        Err(message) => {
            say(&message);
            ExitCode::FAILURE
        }
    }
}

/// Loads the injector's configuration, or its defaults, and prints warnings.
///
/// # Errors
/// Returns all errors of the file.
pub(super) fn load(path: Option<&Path>) -> Result<Policy, String> {
    let Some(path) = path else { return Ok(Policy::default()) };
    let (policy, faults) = config::load(path);
    let (wrong, warnings): (Vec<_>, Vec<_>) =
        faults.into_iter().partition(|fault| fault.level == Level::Error);
    for fault in &warnings {
        say(&format!("{fault}"));
    }
    if wrong.is_empty() {
        return Ok(policy);
    }
    let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    Err(wrong.join("\n"))
}
