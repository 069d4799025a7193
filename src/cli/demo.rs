//! `sidelight demo`: runs the sidecar as a child process with embedded defaults, a web shop that
//! logs to its real socket, and one screen that reads `/metrics` and `/health` over HTTP as any
//! other client does.

mod collector;
mod example;
mod play;

use super::live::{Live, REDRAW};
use super::style;
use super::table::COLUMNS_MIN;
use crate::clock::{Clock, UnixNanos};
use crate::config::environment::Environment;
use crate::config::settings::{Config, LISTEN_PORT};
use crate::config::{Flags, load, units};
use crate::console;
use example::Example;
use play::{Line, Play, Service};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often the shop looks for lines that are due.
const STEP: Duration = Duration::from_millis(10);

/// How long the sidecar may take to bind its socket.
const START_MAX: Duration = Duration::from_secs(5);

/// Arguments of `demo`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// How long to run, as in 30s; by default until Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = units::duration)]
    pub duration: Option<Duration>,
    /// Requests per second
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = rate())]
    pub rate: u32,
}

fn rate() -> impl clap::builder::TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(1..=100_000)
}

/// Plays until Ctrl-C or the end of the given time; then drains, and prints the final ledger of the
/// sidecar.
pub(crate) fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&stop)) {
            style::fail(format_args!("no handler for signal {signal}: {error}"), environment);
        }
    }
    match Stage::set(environment) {
        Ok(stage) => match play(stage, arguments, environment, &stop) {
            Ok(code) => code,
            Err(error) => failed(&error, environment),
        },
        Err(error) => failed(&error, environment),
    }
}

fn failed(error: &io::Error, environment: &Environment) -> ExitCode {
    style::fail(error, environment);
    ExitCode::FAILURE
}

/// The sidecar process, its addresses and its folder.
struct Stage {
    folder: PathBuf,
    socket: PathBuf,
    admin: SocketAddr,
    child: Child,
}

impl Stage {
    fn set(environment: &Environment) -> io::Result<Stage> {
        let folder = std::env::temp_dir().join(format!("sidelight-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let socket = folder.join("log.sock");
        let admin = free_address(LISTEN_PORT)?;
        let collector = collector::start()?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["run", "--mode", "classic", "--listen", &admin.to_string()])
            .arg("--socket")
            .arg(&socket)
            .arg("--datagram-socket")
            .arg(folder.join("dgram.sock"))
            .env("SIDELIGHT_GRACE_SECONDS", "6")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C is for the shop, which then closes its connections and stops the sidecar
            .process_group(0);
        if environment.get("OTEL_EXPORTER_OTLP_ENDPOINT").is_none() {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}"));
        }
        let child = command.spawn()?;
        Ok(Stage { folder, socket, admin, child })
    }

    /// Waits until the sidecar accepts a connection.
    fn connect(&mut self, clock: &Clock) -> io::Result<UnixStream> {
        loop {
            match UnixStream::connect(&self.socket) {
                Ok(stream) => return Ok(stream),
                Err(error) if clock.monotonic() > START_MAX => return Err(error),
                Err(_) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("the sidecar ended: {status}")));
            }
            std::thread::sleep(STEP);
        }
    }

    /// Stops the sidecar, and returns the last line that it wrote.
    fn close(mut self) -> io::Result<(ExitCode, String)> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM)?;
        let mut output = String::new();
        if let Some(stderr) = self.child.stderr.take() {
            BufReader::new(stderr).read_to_string(&mut output)?;
        }
        let status = self.child.wait()?;
        // the folder belongs to the demo; a failure to remove it does not matter
        let _ = std::fs::remove_dir_all(&self.folder);
        let last = output.lines().last().unwrap_or_default().to_owned();
        let code = if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        Ok((code, last))
    }
}

fn play(
    mut stage: Stage,
    arguments: &Arguments,
    environment: &Environment,
    stop: &AtomicBool,
) -> io::Result<ExitCode> {
    let clock = Clock::system();
    let mut connections = Vec::new();
    for service in Service::ALL {
        connections.push((service, stage.connect(&clock)?));
    }
    // output of the sidecar would disturb the screen, and its pipe must not fill up either
    let stderr = stage.child.stderr.take().map(BufReader::new);
    let ledger = stderr.map(|stderr| std::thread::spawn(move || last_line(stderr)));
    let mut shop = Shop::new(f64::from(arguments.rate), clock.now().0);
    let mut picture = Picture::new(&stage, environment);
    let begun = clock.monotonic();
    while !stop.load(Ordering::Relaxed) {
        let elapsed = clock.monotonic().saturating_sub(begun);
        if arguments.duration.is_some_and(|lasting| elapsed >= lasting) {
            break;
        }
        shop.step(&clock, &mut connections)?;
        picture.step(elapsed, &shop);
        std::thread::sleep(STEP);
    }
    drop(connections);
    picture.show(clock.monotonic().saturating_sub(begun), &shop, "the shop is closed");
    // a closed terminal is not a failure of the demo
    let _ = console::print("draining ...\n");
    let (code, _) = stage.close()?;
    let ledger = ledger.and_then(|thread| thread.join().ok()).unwrap_or_default();
    let _ = console::print(&format!(
        "wrote    {} lines\n{}\n{TRY_YOUR_OWN}",
        shop.written,
        folded(&ledger)
    ));
    Ok(code)
}

fn last_line(lines: impl BufRead) -> String {
    lines.lines().map_while(Result::ok).last().unwrap_or_default()
}

/// The running shop: requests start at the given rate, and their lines are written when they are
/// due.
struct Shop {
    play: Play,
    rate: f64,
    begun: u64,
    requests: u64,
    due: BTreeMap<(Duration, u64), Line>,
    numbered: u64,
    written: u64,
    /// The latest line of the service that is the example on the screen.
    latest: Option<String>,
}

impl Shop {
    fn new(rate: f64, seed: u64) -> Shop {
        let due = BTreeMap::new();
        Shop {
            play: Play::new(seed),
            rate,
            begun: seed,
            requests: 0,
            due,
            numbered: 0,
            written: 0,
            latest: None,
        }
    }

    fn step(&mut self, clock: &Clock, to: &mut [(Service, UnixStream)]) -> io::Result<()> {
        let now = clock.now();
        let since = Duration::from_nanos(now.0.saturating_sub(self.begun));
        let due = (since.as_secs_f64() * self.rate) as u64;
        while self.requests < due {
            self.requests += 1;
            for line in self.play.request(now) {
                self.numbered += 1;
                self.due.insert((since + line.after, self.numbered), line);
            }
        }
        let later = self.due.split_off(&(since, u64::MAX));
        for line in std::mem::replace(&mut self.due, later).into_values() {
            let Some((_, stream)) = to.iter_mut().find(|(service, _)| *service == line.service)
            else {
                continue;
            };
            stream.write_all(format!("{}\n", line.text).as_bytes())?;
            self.written += line.text.lines().count() as u64;
            // its lines have a trace id, so that each becomes a span, and are short
            if line.service == Service::Payments {
                self.latest = Some(line.text);
            }
        }
        Ok(())
    }
}

/// The screen: a line and what it became above the data of the sidecar.
struct Picture {
    live: Live,
    config: Config,
    example: Option<Example>,
}

impl Picture {
    fn new(stage: &Stage, environment: &Environment) -> Picture {
        let live = Live::of_new_process(&stage.admin.to_string(), environment);
        let config = load(&Flags::default(), environment).usable();
        Picture { live, config, example: None }
    }

    /// Draws the screen if it is due; without a terminal, one screen at the end is enough.
    fn step(&mut self, elapsed: Duration, shop: &Shop) {
        if elapsed >= REDRAW && self.live.is_due(elapsed) && self.live.is_terminal() {
            self.show(elapsed, shop, "Ctrl-C drains and prints the closing ledger");
        }
    }

    fn show(&mut self, elapsed: Duration, shop: &Shop, footer: &str) {
        if self.live.fetch(elapsed).is_err() {
            return;
        }
        let now = UnixNanos(shop.begun).after(elapsed);
        let latest = shop.latest.as_deref();
        let example = latest.and_then(|line| Example::of(line, &self.config, now));
        self.example = example.or(self.example.take());
        let lines = self.example.as_ref().map(|example| example.lines(self.live.style()));
        let title = "sidelight demo  a web shop logs to a real socket";
        self.live.draw(title, &lines.unwrap_or_default(), elapsed, footer);
    }
}

/// Breaks a text between words, so that it fits the narrowest terminal.
fn folded(text: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        if column > 0 && column + 1 + word.len() > COLUMNS_MIN {
            out.push_str("\n  ");
            column = 2;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out
}

/// What to do next.
const TRY_YOUR_OWN: &str = "
now try your own:
  sidelight explain 'a line of your log'
  sidelight replay app.log
  sidelight tee -- your-server     (beside: sidelight run)
  sidelight watch
";

/// Returns the address that the documents name or, if it is in use, any free address.
fn free_address(port: u16) -> io::Result<SocketAddr> {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).and_then(|l| l.local_addr());
    free(port).or_else(|_| free(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: what the demo prints at its end fits into 60 columns, and loses no word.
    #[test]
    fn the_end_fits() {
        let ledger =
            "ledger received=2000 decoded=2000 refused=0 offered=0 sent=0 dropped=0 held=0 lost=0";
        let text = folded(ledger);
        assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), ledger);
        for line in text.lines().chain(TRY_YOUR_OWN.lines()) {
            assert!(line.len() <= COLUMNS_MIN, "{line}");
        }
    }
}
