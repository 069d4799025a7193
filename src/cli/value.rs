//! Values of flags that several commands have, parsed by the same code as in a file. Unit: one
//! value.

use crate::config::settings::LogLevel;
use crate::config::units::{self, Refused};

/// Parses the level from which our log lines are written.
///
/// # Errors
/// The text is not a level; the message lists the levels.
pub fn log_level(text: &str) -> Result<LogLevel, Refused> {
    units::choice(text, &units::LOG_LEVELS)
}
