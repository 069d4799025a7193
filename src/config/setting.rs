//! One row of the table of settings: its description, and how its value is parsed, displayed and
//! limited. Unit: one setting.

use super::kind::{Bounds, Type};
use super::settings::Config;
use super::units::Refused;
use std::fmt;

/// One setting.
#[derive(Clone, Copy)]
pub struct Setting {
    /// The path in a file. A setting that cannot be in a file has the path that it would have.
    pub path: &'static str,
    /// A file may contain it.
    pub in_file: bool,
    /// Its environment variable.
    pub variable: Option<&'static str>,
    /// The flag of `run`, without its dashes.
    pub flag: Option<&'static str>,
    /// The type of its value, with the unit.
    pub kind: Type,
    /// The minimum and maximum; in milliseconds for a duration.
    pub bounds: Option<Bounds>,
    /// A change takes effect in a running process; others need a restart.
    pub live: bool,
    /// A description of what it does.
    pub help: &'static str,
    /// Parses a text into a configuration.
    pub(super) parse: fn(&str, Option<Bounds>, &mut Config) -> Result<(), Refused>,
    /// Formats the value as in a file; `None` if it is unset. Contains only the names of headers.
    pub(super) shown: fn(&Config) -> Option<String>,
    /// Returns whether it differs between two configurations.
    pub(super) differs: fn(&Config, &Config) -> bool,
    /// Copies the value of the first configuration to the second one if that exceeds it; returns
    /// whether it did.
    pub(super) hold: fn(&Config, &mut Config) -> bool,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)
    }
}

impl Setting {
    /// Parses a text into a configuration.
    pub(super) fn read(&self, text: &str, config: &mut Config) -> Result<(), Refused> {
        (self.parse)(text, self.bounds, config)
    }

    /// Returns the default value; `None` if it is unset by default.
    pub fn default_shown(&self) -> Option<String> {
        (self.shown)(&Config::default())
    }

    /// Returns the bounds with their units; `None` if there are no relevant ones.
    pub fn bounds_shown(&self) -> Option<String> {
        let (least, most) = self.bounds?;
        Some(format!("{} to {}", self.kind.amount(least), self.kind.amount(most)))
    }
}
