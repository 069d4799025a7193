//! `sidelight reference`: prints all settings, one of them, or the JSON Schema of a configuration
//! file. Unit: one call.

use crate::config::document;
use crate::config::environment::Environment;
use crate::console;
use std::process::ExitCode;

/// Arguments of `reference`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// A setting, a group of settings, a variable or a flag; all settings if left out
    #[arg(value_name = "KEY", conflicts_with_all = ["schema", "page"])]
    pub key: Option<String>,
    /// Print the JSON Schema of a configuration file, for editors
    #[arg(long, conflicts_with = "page")]
    pub schema: bool,
    /// Print the page docs/configuration.md
    #[arg(long)]
    pub page: bool,
}

/// Prints the requested reference. Exit code 0, or 2 if no setting has the given name.
pub fn run(arguments: &Arguments, _environment: &Environment) -> ExitCode {
    let text = if arguments.schema {
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
            console::diagnostic_line(format_args!("error: {why}"));
            ExitCode::from(2)
        }
    }
}
