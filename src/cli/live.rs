//! Fetches `/metrics` and `/health` of a running sidelight once a second and draws the screen from
//! the last two answers. Unit: one screen.

use super::get::get_from;
use super::scrape::Scrape;
use super::screen::{self, Health, View};
use super::style::Style;
use super::table::Figures;
use crate::config::environment::Environment;
use crate::console;
use std::io;
use std::time::Duration;

/// How often the screen is drawn.
pub(super) const REDRAW: Duration = Duration::from_secs(1);

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// The last two answers of a running sidelight.
#[derive(Debug)]
pub(super) struct Live {
    authority: String,
    environment: Environment,
    health: Health,
    before: Scrape,
    now: Scrape,
    /// When the last two scrapes arrived.
    before_at: Duration,
    now_at: Option<Duration>,
    tried_at: Option<Duration>,
    /// The process has started with this screen.
    is_new: bool,
}

impl Live {
    /// Creates a screen without data, for a process that may have run for a long time.
    pub(super) fn new(authority: &str, environment: &Environment) -> Live {
        Live {
            authority: authority.to_owned(),
            environment: environment.clone(),
            health: Health { status: "unknown".to_owned(), ..Health::default() },
            before: Scrape::default(),
            now: Scrape::default(),
            before_at: Duration::ZERO,
            now_at: None,
            tried_at: None,
            is_new: false,
        }
    }

    /// Creates a screen for a process that starts now: its first scrape already gives rates.
    pub(super) fn of_new_process(authority: &str, environment: &Environment) -> Live {
        Live { is_new: true, ..Live::new(authority, environment) }
    }

    /// Returns whether the next screen is due.
    pub(super) fn is_due(&self, elapsed: Duration) -> bool {
        self.tried_at.is_none_or(|tried| elapsed >= tried + REDRAW)
    }

    /// Returns whether somebody looks at the screen.
    pub(super) fn is_terminal(&self) -> bool {
        self.style().columns.is_some()
    }

    /// Returns the style of the screen; the window may have changed its size.
    pub(super) fn style(&self) -> Style {
        Style::of(rustix::stdio::stdout(), &self.environment)
    }

    /// Fetches new data.
    ///
    /// # Errors
    /// Nothing answers, or it is no sidelight; the data stays as it was.
    pub(super) fn fetch(&mut self, elapsed: Duration) -> io::Result<()> {
        self.tried_at = Some(elapsed);
        let (status, text) = get_from(&self.authority, "/metrics", ANSWER_MAX)?;
        let now = Scrape::parse(&text);
        if status != 200 || !now.has("sidelight_frames_received_total") {
            return Err(io::Error::other(format!(
                "the answer (status {status}) is not that of a sidelight"
            )));
        }
        let (_, body) = get_from(&self.authority, "/health", ANSWER_MAX)?;
        self.health = Health::parse(&body);
        self.before = std::mem::replace(&mut self.now, now);
        self.before_at = self.now_at.unwrap_or_default();
        if self.now_at.is_none() && !self.is_new {
            // without an earlier scrape there is no rate
            self.before.clone_from(&self.now);
        }
        self.now_at = Some(elapsed);
        Ok(())
    }

    /// Draws the screen; on a terminal in place of the one before.
    pub(super) fn draw(&self, title: &str, example: &[String], elapsed: Duration, footer: &str) {
        let (style, now_at) = (self.style(), self.now_at.unwrap_or_default());
        let rows = rustix::termios::tcgetwinsize(rustix::stdio::stdout());
        let rows = rows.ok().map(|size| usize::from(size.ws_row)).filter(|rows| *rows > 0);
        let view = View {
            title,
            example,
            figures: Figures {
                before: &self.before,
                now: &self.now,
                between: now_at.saturating_sub(self.before_at),
            },
            elapsed,
            health: &self.health,
            admin: &self.authority,
            footer,
            style,
            rows,
        };
        let clear = if style.columns.is_some() { "\x1b[H\x1b[2J" } else { "" };
        // a closed terminal ends the command by the signal that follows
        let _ = console::print(&format!("{clear}{}", screen::draw(&view)));
    }
}
