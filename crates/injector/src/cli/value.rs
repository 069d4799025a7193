//! Values of flags that several commands have, read by the same code as in a file. Unit: one value.

use sidelight::config::settings::LogLevel;
use sidelight::config::units;

/// From which level our own log lines are written.
///
/// # Errors
/// It is none of the words, which are told.
pub(crate) fn log_level(text: &str) -> Result<LogLevel, String> {
    units::choice(text, &units::LOG_LEVELS).map_err(said)
}

/// A refusal in one line, as clap wants it.
pub(crate) fn said(refused: units::Refused) -> String {
    match refused.hint {
        Some(hint) => format!("{}; {hint}", refused.message),
        None => refused.message,
    }
}
