//! Values of flags that several commands share, parsed by the same code as in a file. Unit: one
//! value.

use sidelight::config::settings::LogLevel;
use sidelight::config::units;

/// Parses the minimum level of our log lines.
///
/// # Errors
/// Fails with the list of levels if the text is none of them.
pub(crate) fn log_level(text: &str) -> Result<LogLevel, String> {
    units::choice(text, &units::LOG_LEVELS).map_err(said)
}

/// Formats a refusal on one line, as clap expects it.
pub(crate) fn said(refused: units::Refused) -> String {
    match refused.hint {
        Some(hint) => format!("{}; {hint}", refused.message),
        None => refused.message,
    }
}
