//! One row of the table of settings: what it is, and how its value is read, shown and held.
//! Unit: one setting.

use super::kind::{Bounds, Type};
use super::settings::Config;
use super::units::Refused;
use std::fmt;

/// One setting.
#[derive(Clone, Copy)]
pub struct Setting {
    /// The way to it in a file; of a setting that no file has, the name that it would have.
    pub path: &'static str,
    /// A file can say it.
    pub in_file: bool,
    /// Our variable for it.
    pub variable: Option<&'static str>,
    /// The flag of `run`, without its dashes.
    pub flag: Option<&'static str>,
    /// What its value is, and in which unit.
    pub kind: Type,
    /// The least and the most; of a duration in milliseconds.
    pub bounds: Option<Bounds>,
    /// A running process takes it over; the others wait for a restart.
    pub live: bool,
    /// One sentence on what it does.
    pub help: &'static str,
    /// Reads a text into a configuration.
    pub(super) parse: fn(&str, Option<Bounds>, &mut Config) -> Result<(), Refused>,
    /// The value as a file would say it; None where it is unset. Of headers only the names.
    pub(super) shown: fn(&Config) -> Option<String>,
    /// Whether it differs between two configurations.
    pub(super) differs: fn(&Config, &Config) -> bool,
    /// Puts the first configuration's value into the second where that one goes too far; says whether it did.
    pub(super) hold: fn(&Config, &mut Config) -> bool,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)
    }
}

impl Setting {
    /// Reads a text into a configuration.
    pub(super) fn read(&self, text: &str, config: &mut Config) -> Result<(), Refused> {
        (self.parse)(text, self.bounds, config)
    }

    /// The value that it has where nobody says anything; None where it is unset.
    pub fn default_shown(&self) -> Option<String> {
        (self.shown)(&Config::default())
    }

    /// The bounds with their units; None where there are none worth saying.
    pub fn bounds_shown(&self) -> Option<String> {
        let (least, most) = self.bounds?;
        Some(format!("{} to {}", self.kind.amount(least), self.kind.amount(most)))
    }
}
