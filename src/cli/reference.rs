//! `sidelight reference`: prints all settings, one of them, the JSON Schema of a configuration file,
//! completions of a shell, or the manual page. Unit: one call.

mod completions;
mod definition;
mod man;

use super::style;
use crate::config::document;
use crate::config::environment::Environment;
use crate::console;
use completions::Shell;
use definition::Definition;
use std::process::ExitCode;

/// Arguments of `reference`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// A setting, a group of settings, a variable or a flag; all settings if left out
    #[arg(value_name = "KEY", conflicts_with_all = ["schema", "page", "completions", "man"])]
    pub key: Option<String>,
    /// Print the JSON Schema of a configuration file, for editors
    #[arg(long, conflicts_with_all = ["page", "completions", "man"])]
    pub schema: bool,
    /// Print the page docs/configuration.md
    #[arg(long, conflicts_with_all = ["completions", "man"])]
    pub page: bool,
    /// Print the completions of a shell
    #[arg(long, value_name = "SHELL", value_enum, conflicts_with = "man")]
    pub completions: Option<Shell>,
    /// Print the manual page: sidelight reference --man | man -l -
    #[arg(long)]
    pub man: bool,
}

/// Prints the requested reference; `program` is the definition of the command line. Exit code 0, or
/// 2 if no setting has the given name.
pub(crate) fn run(
    arguments: &Arguments,
    environment: &Environment,
    program: &clap::Command,
) -> ExitCode {
    let text = if let Some(shell) = arguments.completions {
        Ok(completions::script(shell, &Definition::of(program)))
    } else if arguments.man {
        Ok(man::page(&Definition::of(program)))
    } else if arguments.schema {
        Ok(format!("{:#}\n", document::schema()))
    } else if arguments.page {
        Ok(document::page())
    } else {
        document::reference(arguments.key.as_deref())
    };
    match text {
        Ok(text) => {
            // a reader that closes early, such as head, is not an error
            let _ = console::print(&text);
            ExitCode::SUCCESS
        }
        Err(why) => {
            style::fail(why, environment);
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests;
