//! `sidelight healthcheck`: for images without a shell or an HTTP client. Exit code 0: well.

pub mod ask;

use crate::config::environment::Environment;
use crate::config::{Flags, load};
use ask::{Target, admin, healthcheck, url};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `healthcheck`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// What to ask [default: /livez of the admin port that the environment names]
    #[arg(long, value_name = "URL", conflicts_with = "socket")]
    pub url: Option<String>,
    /// Ask the stream socket alone: does somebody accept there?
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Ask for readiness (/readyz) instead of life
    #[arg(long)]
    pub ready: bool,
}

/// Asks a running sidecar, and says in one line what it found.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let target = match (&arguments.url, &arguments.socket) {
        (Some(text), _) => match url(text) {
            Ok(url) => Target::Http(url),
            Err(message) => {
                eprintln!("healthcheck: {message}");
                return ExitCode::from(2);
            }
        },
        (None, Some(path)) => Target::Socket(path.clone()),
        (None, None) => {
            let listen = load(&Flags::default(), environment).config.listen.address;
            admin(listen, arguments.ready)
        }
    };
    let outcome = healthcheck(&target);
    println!("{}", outcome.line);
    ExitCode::from(outcome.exit_code())
}
