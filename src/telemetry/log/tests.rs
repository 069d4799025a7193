//! Tests of the lines that are written and of those that are not.

use super::*;
use crate::clock::Hand;
use tracing::subscriber::with_default;

struct Bench {
    lines: Arc<Mutex<Vec<u8>>>,
    suppressed: IntCounter,
    hand: Hand,
}

fn log(level: Level) -> (Log, Bench) {
    with(Threshold::new(level))
}

fn with(level: Threshold) -> (Log, Bench) {
    let (clock, hand) = Clock::wound(UnixNanos(1_800_000_000_123_000_000));
    let lines = Arc::new(Mutex::new(Vec::new()));
    let suppressed = IntCounter::new("suppressed", "test").expect("a name");
    let log = Log::new(level, clock, suppressed.clone(), Sink::Memory(Arc::clone(&lines)));
    (log, Bench { lines, suppressed, hand })
}

impl Bench {
    fn take(&self) -> String {
        let mut lines = self.lines.lock().expect("not poisoned");
        String::from_utf8(std::mem::take(&mut lines)).expect("UTF-8")
    }
}

fn fail(attempt: u32) {
    tracing::warn!(target: "sidelight::export", attempt, "collector unreachable");
}

#[test]
fn a_line_has_time_level_target_message_and_fields() {
    let (log, bench) = log(Level::INFO);
    with_default(log, || {
        let reason = "connection refused";
        let (ok, empty) = ("fine", "");
        tracing::error!(target: "sidelight::x", reason, port = 4317, empty, %ok, "lost");
        tracing::debug!("below the level");
    });
    let expected = "2027-01-15T08:00:00.123Z ERROR sidelight::x: lost \
        reason=\"connection refused\" port=4317 empty=\"\" ok=fine\n";
    assert_eq!(bench.take(), expected);
}

/// Scenario: one cause logs again and again. Guarantees: five lines per minute are written, and a
/// later line reports the number of the others; another cause is not limited by it.
#[test]
fn one_cause_is_logged_five_times_a_minute() {
    let (log, bench) = log(Level::INFO);
    with_default(log, || {
        (0..17).for_each(fail);
        let text = bench.take();
        assert_eq!(text.lines().count(), 5);
        assert!(text.ends_with("collector unreachable attempt=4\n"), "{text}");
        assert_eq!(bench.suppressed.get(), 12);

        tracing::info!("another cause");
        assert!(bench.take().ends_with(": another cause\n"));

        bench.hand.wind(PERIOD);
        fail(17);
        fail(18);
        let text = bench.take();
        let mut lines = text.lines();
        let resumed = lines.next().expect("a line");
        assert!(resumed.ends_with("attempt=17 (and 12 more like it)"), "{text}");
        assert!(lines.next().is_some_and(|line| line.ends_with("attempt=18")), "{text}");
    });
}

#[test]
fn nothing_from_outside_forges_a_line() {
    let (log, bench) = log(Level::INFO);
    with_default(log, || {
        let path = "a\nERROR forged\u{1b}[31m\u{202e}\u{61c}\u{200f}\u{feff}\u{85}";
        tracing::info!(path, "strange\rname");
    });
    let text = bench.take();
    assert_eq!(text.lines().count(), 1);
    let expected = "strange\\rname path=\"a\\nERROR forged\\u{1b}[31m\\u{202e}\\u{61c}\\u{200f}\\u{feff}\\u{85}\"\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn a_long_line_is_cut_at_a_character() {
    let (log, bench) = log(Level::INFO);
    with_default(log, || {
        let long = "\u{e9}".repeat(LINE_BYTES_MAX);
        tracing::info!(long, "cut");
        tracing::info!(?long, "bounded");
    });
    let text = bench.take();
    assert_eq!(text.lines().count(), 2);
    assert!(text.lines().all(|line| line.len() < LINE_BYTES_MAX), "too long");
    assert!(text.lines().next().is_some_and(|line| line.ends_with("\u{e9}...")));
}

/// Guarantees: a new level applies from the next line on, in both directions.
#[test]
fn the_level_can_change_while_it_runs() {
    let threshold = Threshold::new(Level::WARN);
    let (log, bench) = with(threshold.clone());
    let speak = || tracing::info!("said");
    with_default(log, || {
        for (level, lines) in [(Level::WARN, 0), (Level::DEBUG, 1), (Level::ERROR, 0)] {
            threshold.set(level);
            speak();
            assert_eq!(bench.take().lines().count(), lines, "{level}");
        }
    });
}
