//! `sidelight watch`: the screen of the demo for any running sidelight, from `/metrics` and
//! `/health` over HTTP. Unit: one screen.

use super::healthcheck::{self, Url};
use super::live::{Live, REDRAW};
use super::style;
use crate::clock::Clock;
use crate::config::environment::Environment;
use crate::config::units;
use crate::config::{self, Flags};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often the loop looks whether it is to end.
const STEP: Duration = Duration::from_millis(50);

/// Arguments of `watch`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// The admin port, as in http://127.0.0.1:19464 [default: that of the environment]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// How long to run, as in 30s; by default until Ctrl-C, or once without a terminal
    #[arg(long = "for", value_name = "DURATION", value_parser = units::duration)]
    pub duration: Option<Duration>,
}

/// Shows the screen until Ctrl-C. Exit code 0, or 1 if sidelight did not answer at the end, or 2
/// if the URL is none.
pub(crate) fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let url = match &arguments.url {
        Some(text) => healthcheck::url(text),
        None => Ok(own(environment)),
    };
    let authority = match url {
        Ok(url) => url.authority,
        Err(why) => {
            style::fail(why, environment);
            return ExitCode::from(2);
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&stop)) {
            style::fail(format_args!("no handler for signal {signal}: {error}"), environment);
        }
    }
    watch(&authority, arguments.duration, environment, &stop)
}

fn watch(
    authority: &str,
    duration: Option<Duration>,
    environment: &Environment,
    stop: &AtomicBool,
) -> ExitCode {
    let clock = Clock::system();
    let mut live = Live::new(authority, environment);
    let title = format!("sidelight watch  {authority}");
    let begun = clock.monotonic();
    let lasting = duration.or((!live.is_terminal()).then_some(REDRAW));
    let mut result = live.fetch(Duration::ZERO);
    loop {
        let elapsed = clock.monotonic().saturating_sub(begun);
        let is_over = lasting.is_some_and(|lasting| elapsed >= lasting);
        if is_over || live.is_due(elapsed) {
            result = live.fetch(elapsed);
            if live.is_terminal() || is_over {
                show(&live, &title, elapsed, result.as_ref().err());
            }
        }
        if is_over || stop.load(Ordering::Relaxed) {
            break;
        }
        std::thread::sleep(STEP);
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            style::fail(unreachable(authority, &error), environment);
            ExitCode::FAILURE
        }
    }
}

fn show(live: &Live, title: &str, elapsed: Duration, error: Option<&std::io::Error>) {
    let footer = error.map_or("Ctrl-C ends".to_owned(), |error| {
        format!("no answer ({error}); trying again every second")
    });
    live.draw(title, &[], elapsed, &footer);
}

fn unreachable(authority: &str, error: &std::io::Error) -> String {
    format!(
        "http://{authority}/metrics cannot be read: {error}\n  = hint: name the admin port with --url; \
         for a pod: kubectl port-forward POD 19464, then --url http://127.0.0.1:19464"
    )
}

/// Returns the admin port of the sidelight that the environment describes.
fn own(environment: &Environment) -> Url {
    let listen = config::load(&Flags::default(), environment).config.listen.address;
    let ip = match listen.ip() {
        ip if ip.is_unspecified() => IpAddr::from(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let authority = SocketAddr::new(ip, listen.port()).to_string();
    Url { authority, path: "/".to_owned() }
}
