//! Values of flags that several commands have, parsed by the same code as in a file. Unit: one
//! value.

use crate::config::settings::LogLevel;
use crate::config::units;

/// Parses the level from which our log lines are written.
///
/// # Errors
/// The text is not a level; the message lists the levels.
pub(crate) fn log_level(text: &str) -> Result<LogLevel, String> {
    units::choice(text, &units::LOG_LEVELS).map_err(said)
}

/// Formats a refusal in one line, as clap expects it.
pub(crate) fn said(refused: units::Refused) -> String {
    match refused.hint {
        Some(hint) => format!("{}; {hint}", refused.message),
        None => refused.message,
    }
}
