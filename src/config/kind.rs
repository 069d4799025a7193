//! Defines the kinds of settings: how a value is parsed, displayed, bounded and described, in
//! files, variables and flags alike. Unit: one value.

use super::collector;
use super::rules::{self, BUCKETS_MAX};
use super::settings::{ListenSettings, LogLevel, Mode, Passthrough};
use super::units::{self, Refused};
use crate::export::endpoint::{Given, Protocol};
use crate::health::settings::Heartbeat;
use crate::rules::routes::{PATTERNS_MAX, Pattern, PatternError};
use crate::rules::settings::Buckets;
use crate::rules::standard;
use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json, json};
use std::path::PathBuf;
use std::time::Duration;

/// The minimum and maximum of a number: a count, bytes, or milliseconds.
pub(crate) type Bounds = (u64, u64);

/// The type of a value, for documents and editors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// True or false.
    Switch,
    /// A whole number.
    Count,
    /// A number of bytes.
    Size,
    /// A share from 0 to 1.
    Share,
    /// A duration with its unit.
    Duration,
    /// A duration; in seconds if it has no unit.
    Seconds,
    /// One of some words.
    Word(&'static [&'static str]),
    /// Text.
    Text,
    /// A path in the file system.
    Path,
    /// Permission bits in octal.
    Permissions,
    /// An address to listen on.
    Address,
    /// A time zone.
    Zone,
    /// The prefix of a metric name.
    Prefix,
    /// A URL.
    Url,
    /// A map from names to texts.
    Headers,
    /// A duration, or a map of two durations.
    Heartbeat,
    /// The bounds of the buckets of a histogram.
    Buckets,
    /// A list of patterns of paths.
    Patterns,
    /// A map from names of built-in metrics to own names.
    Names,
}

impl Type {
    /// Describes the type and its unit.
    pub fn name(self) -> String {
        match self {
            Type::Switch => "true or false".to_owned(),
            Type::Count => "number".to_owned(),
            Type::Size => "bytes, as in 4096, 64KiB, 1MiB".to_owned(),
            Type::Share => "share, as in 0.05 or 5%".to_owned(),
            Type::Duration => "duration, as in 250ms, 30s, 5m".to_owned(),
            Type::Seconds => "seconds, or a duration, as in 30 or 2m".to_owned(),
            Type::Word(words) => words.join(", "),
            Type::Text => "text".to_owned(),
            Type::Path => "path".to_owned(),
            Type::Permissions => "permission bits in octal, as in \"0660\"".to_owned(),
            Type::Address => "HOST:PORT".to_owned(),
            Type::Zone => "UTC, an offset, or a name, as in Europe/Berlin".to_owned(),
            Type::Prefix => "letters, digits and _".to_owned(),
            Type::Url => "URL".to_owned(),
            Type::Headers => "map of names and texts".to_owned(),
            Type::Heartbeat => "duration, or map of `every` and `grace`".to_owned(),
            Type::Buckets => "ascending numbers, as in [0.1, 0.5, 1]".to_owned(),
            Type::Patterns => "list of patterns".to_owned(),
            Type::Names => "map of built-in names and your own".to_owned(),
        }
    }

    /// Returns whether a final value is an upper bound for later layers; other values cannot be
    /// changed at all.
    pub fn is_bound(self) -> bool {
        matches!(self, Type::Count | Type::Size | Type::Share | Type::Duration | Type::Seconds)
    }

    /// Formats a number with its unit.
    pub fn amount(self, number: u64) -> String {
        match self {
            Type::Size => size(number),
            Type::Duration | Type::Seconds => duration(Duration::from_millis(number)),
            _ => number.to_string(),
        }
    }

    /// Returns the JSON Schema. Every kind also accepts a text, because a text may contain a
    /// variable.
    pub fn schema(self, bounds: Option<Bounds>) -> Json {
        let variable = json!({"type": "string", "pattern": r"\$\{"});
        let number = |kind: &str| {
            let mut number = json!({"type": kind});
            if let Some((least, most)) = bounds {
                number["minimum"] = least.into();
                number["maximum"] = most.into();
            }
            number
        };
        match self {
            Type::Switch => json!({"anyOf": [{"type": "boolean"}, variable]}),
            Type::Count => json!({"anyOf": [number("integer"), variable]}),
            Type::Size => json!({"anyOf": [number("integer"), {"type": "string"}]}),
            Type::Share => json!({"anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1}, {"type": "string"}]}),
            Type::Seconds => {
                json!({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]})
            }
            Type::Word(words) => json!({"anyOf": [{"enum": words}, variable]}),
            Type::Permissions | Type::Address => json!({"type": ["string", "integer"]}),
            Type::Duration => json!({"anyOf": [{"type": "string"}, {"const": 0}]}),
            Type::Text | Type::Path | Type::Zone | Type::Prefix | Type::Url => {
                json!({"type": "string"})
            }
            Type::Headers => json!({"type": "object", "additionalProperties": {"type": "string"}}),
            Type::Buckets => json!({"type": "array", "minItems": 1, "maxItems": BUCKETS_MAX,
                "items": {"anyOf": [{"type": "number"}, variable]}}),
            Type::Names => {
                let name = json!({"type": "string"});
                let names = standard::families().into_iter().map(|spec| (spec.name, name.clone()));
                let names: Map<String, Json> = names.collect();
                json!({"type": "object", "properties": names, "additionalProperties": false})
            }
            Type::Patterns => json!({"anyOf": [{"type": "string"}, {
                "type": "array", "maxItems": PATTERNS_MAX, "items": {"type": "string"}}]}),
            Type::Heartbeat => json!({"anyOf": [{"type": "string"}, {
                "type": "object",
                "properties": {"every": {"type": "string"}, "grace": {"type": "string"}},
                "required": ["every"],
                "additionalProperties": false,
            }]}),
        }
    }
}

/// A kind of setting.
pub(super) trait SettingKind {
    /// The type of the value.
    type Value: Clone + PartialEq;
    /// The type in documents.
    const TYPE: Type;

    /// Parses a text; `before` is the value that it replaces.
    fn parse(
        text: &str,
        bounds: Option<Bounds>,
        before: &Self::Value,
    ) -> Result<Self::Value, Refused>;

    /// Formats the value as in a file; `None` if it is unset.
    fn show(value: &Self::Value) -> Option<String>;

    /// Returns whether a value exceeds a final one.
    fn exceeds(wanted: &Self::Value, most: &Self::Value) -> bool {
        wanted != most
    }
}

/// Implements a kind from its parser, which gets the bounds and the value of lower layers, its
/// formatter, and the comparison with a final value.
macro_rules! kind_of {
    ($(#[$doc:meta])* $name:ident, $value:ty, $type:expr, $parse:expr, $show:expr, $exceeds:expr) => {
        $(#[$doc])*
        pub(super) struct $name;

        impl SettingKind for $name {
            type Value = $value;
            const TYPE: Type = $type;

            fn parse(
                text: &str,
                bounds: Option<Bounds>,
                before: &Self::Value,
            ) -> Result<Self::Value, Refused> {
                let parse: fn(&str, Option<Bounds>, &$value) -> Result<$value, Refused> = $parse;
                parse(text, bounds, before)
            }

            fn show(value: &Self::Value) -> Option<String> {
                let show: fn(&$value) -> Option<String> = $show;
                show(value)
            }

            fn exceeds(wanted: &Self::Value, most: &Self::Value) -> bool {
                let exceeds: fn(&$value, &$value) -> bool = $exceeds;
                exceeds(wanted, most)
            }
        }
    };
}

/// Implements a kind without bounds: every value other than the final one exceeds it.
macro_rules! kind {
    ($(#[$doc:meta])* $name:ident, $value:ty, $type:expr, $parse:expr, $show:expr) => {
        kind_of!(
            $(#[$doc])*
            $name,
            $value,
            $type,
            |text, _, before| {
                let parse: fn(&str, &$value) -> Result<$value, Refused> = $parse;
                parse(text, before)
            },
            $show,
            |wanted, most| wanted != most
        );
    };
}

/// Implements a kind of numbers, which has bounds.
macro_rules! number {
    ($name:ident, $value:ty, $type:expr, $parse:expr, $show:expr) => {
        kind_of!(
            $name,
            $value,
            $type,
            |text, bounds, _| {
                let parse: fn(&str) -> Result<(u128, $value), Refused> = $parse;
                let (number, value) = parse(text)?;
                within(text, number, $type, bounds)?;
                Ok(value)
            },
            $show,
            |wanted, most| wanted > most
        );
    };
}

fn within(text: &str, number: u128, of: Type, bounds: Option<Bounds>) -> Result<(), Refused> {
    let Some((least, most)) = bounds else { return Ok(()) };
    // durations are compared in nanoseconds, so that 1 ns is not treated as 0 ms
    let unit = if matches!(of, Type::Duration | Type::Seconds) { 1_000_000 } else { 1 };
    if number < u128::from(least) * unit || number > u128::from(most) * unit {
        let hint = format!("from {} to {}", of.amount(least), of.amount(most));
        return Err(Refused::new(format!("`{text}` is out of bounds"), hint));
    }
    Ok(())
}

fn whole(text: &str) -> Result<u64, Refused> {
    let number = text.replace('_', "").parse();
    number.map_err(|_| Refused::new(format!("`{text}` is not a whole number"), "write only digits"))
}

fn count(text: &str) -> Result<(u128, usize), Refused> {
    let number = whole(text)?;
    Ok((u128::from(number), number as usize))
}

number!(Count, usize, Type::Count, count, |n| Some(n.to_string()));
number!(
    Count64,
    u64,
    Type::Count,
    |text| whole(text).map(|number| (u128::from(number), number)),
    |n| Some(n.to_string())
);
number!(
    Size,
    usize,
    Type::Size,
    |text| units::size(text).map(|bytes| (bytes as u128, bytes)),
    |bytes| Some(bytes.to_string())
);
number!(
    Span,
    Duration,
    Type::Duration,
    |text| units::duration(text).map(|duration| (duration.as_nanos(), duration)),
    |value| Some(duration(*value))
);
number!(
    Seconds,
    Duration,
    Type::Seconds,
    |text| units::seconds(text).map(|duration| (duration.as_nanos(), duration)),
    |value| Some(duration(*value))
);
number!(Share, f64, Type::Share, |text| units::share(text).map(|share| (0, share)), |share| Some(
    share.to_string()
));

kind!(Switch, bool, Type::Switch, |text, _| units::flag(text), |is| Some(is.to_string()));
kind!(
    ModeWord,
    Mode,
    Type::Word(&["native", "classic"]),
    |text, _| units::choice(text, &units::MODES),
    |mode| Some(mode.name().to_owned())
);
kind!(
    /// `off` and `stdout`; `off` needs quotes, otherwise YAML reads it as false.
    PassthroughWord,
    Passthrough,
    Type::Word(&["off", "stdout"]),
    |text, _| units::choice(text, &units::PASSTHROUGHS),
    |to| Some(quoted(to.name()))
);
kind!(
    LevelWord,
    LogLevel,
    Type::Word(&["error", "warn", "info", "debug", "trace"]),
    |text, _| units::choice(text, &units::LOG_LEVELS),
    |level| Some(level.name().to_owned())
);
kind!(
    ProtocolWord,
    Protocol,
    Type::Word(&["http/protobuf", "grpc"]),
    |text, _| units::choice(text, &units::PROTOCOLS),
    |protocol| Some(protocol.name().to_owned())
);
kind!(
    SocketPath,
    Option<PathBuf>,
    Type::Path,
    |text, _| units::socket_path(text).map(Some),
    |path| path.as_ref().map(|path| quoted(&path.to_string_lossy()))
);
kind!(Directory, Option<PathBuf>, Type::Path, |text, _| Ok(Some(PathBuf::from(text))), |path| path
    .as_ref()
    .map(|path| quoted(&path.to_string_lossy())));
kind!(Permissions, u32, Type::Permissions, |text, _| units::mode_bits(text), |bits| Some(format!(
    "\"{bits:04o}\""
)));
kind!(Group, Option<String>, Type::Text, |text, _| Ok(Some(text.to_owned())), |group| group
    .as_deref()
    .map(quoted));
kind!(
    Listen,
    ListenSettings,
    Type::Address,
    |text, before| {
        let address = units::listen(text, before.address)?;
        Ok(ListenSettings { address, fallback: None })
    },
    |listen| Some(quoted(&listen.address.to_string()))
);
kind!(Zone, TimeZone, Type::Zone, |text, _| units::time_zone(text), |zone| Some(quoted(
    &units::zone_name(zone)
)));
kind!(Text, String, Type::Text, |text, _| Ok(text.to_owned()), |text| Some(quoted(text)));
kind!(Prefix, String, Type::Prefix, |text, _| rules::prefix(text), |text| Some(quoted(text)));
kind!(
    Url,
    Option<String>,
    Type::Url,
    |text, _| collector::endpoint(text, Given::Setting).map(Some),
    |url| url.as_deref().map(quoted)
);
kind!(
    /// A map, which the reader of files parses; a text is not a map.
    Headers,
    Vec<(String, String)>,
    Type::Headers,
    |_, _| Err(Refused::new("a map is expected here", "as in {authorization: Bearer ...}")),
    |headers| {
        let shown = |(name, _): &(String, String)| format!("{}: \"***\"", quoted(name));
        let pairs: Vec<String> = headers.iter().map(shown).collect();
        Some(format!("{{{}}}", pairs.join(", ")))
    }
);
kind!(
    /// A list, which the reader of files parses; a text is not a list.
    BucketsKind,
    Buckets,
    Type::Buckets,
    |_, _| Err(Refused::new("a list is expected here", "as in [0.1, 0.5, 1, 5]")),
    |Buckets(bounds)| Some(format!("{bounds:?}"))
);
kind!(
    /// A map, which the reader of files parses; a text is not a map.
    RenameKind,
    Vec<(String, String)>,
    Type::Names,
    |_, _| Err(Refused::new("a map is expected here", "as in {http_requests_total: requests_total}")),
    |names| {
        let pairs: Vec<String> =
            names.iter().map(|(from, to)| format!("{from}: {}", quoted(to))).collect();
        Some(format!("{{{}}}", pairs.join(", ")))
    }
);
kind!(
    /// One pattern; the reader of files parses a list.
    KeepKind,
    Vec<Pattern>,
    Type::Patterns,
    |text, _| keep(text).map(|pattern| vec![pattern]),
    |patterns| Some(list(patterns))
);
kind!(
    /// One pattern; the reader of files parses a list.
    FoldKind,
    Vec<Pattern>,
    Type::Patterns,
    |text, _| fold(text).map(|pattern| vec![pattern]),
    |patterns| Some(list(patterns))
);
kind!(
    /// A duration only; the reader of files parses a map.
    HeartbeatKind,
    Option<Heartbeat>,
    Type::Heartbeat,
    |text, _| {
        let every = Span::parse(text, Some(LONGER_THAN_ZERO), &Duration::ZERO)?;
        Ok(Some(Heartbeat { every, grace: every / 2 }))
    },
    |beat| beat.map(|beat| {
        let (every, grace) = (duration(beat.every), duration(beat.grace));
        format!("{{every: {every}, grace: {grace}}}")
    })
);

/// The bounds of a duration that must not be 0, in milliseconds.
pub(super) const LONGER_THAN_ZERO: Bounds = (1, DURATION_MS_MAX);
/// The longest duration in milliseconds: a week.
pub(super) const DURATION_MS_MAX: u64 = 7 * 24 * 3_600_000;

/// Parses a pattern of segments that stay.
pub(super) fn keep(text: &str) -> Result<Pattern, Refused> {
    Pattern::keep(text).map_err(refused)
}

/// Parses a pattern of segments that are replaced.
pub(super) fn fold(text: &str) -> Result<Pattern, Refused> {
    Pattern::fold(text).map_err(refused)
}

fn refused(PatternError { message, hint }: PatternError) -> Refused {
    Refused::new(message, hint)
}

fn list(patterns: &[Pattern]) -> String {
    let texts: Vec<String> = patterns.iter().map(|one| quoted(&one.to_string())).collect();
    format!("[{}]", texts.join(", "))
}

/// Formats a string as in JSON, which YAML accepts.
pub(super) fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

/// Formats a duration in the largest unit in which it is a whole number.
pub(super) fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let units = [
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
    ];
    let unit = units.into_iter().find(|(_, length)| nanos.is_multiple_of(*length));
    let (unit, length) = unit.unwrap_or(("ns", 1));
    format!("{}{unit}", nanos / length)
}

fn size(bytes: u64) -> String {
    let units = [("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, length)| bytes > 0 && bytes.is_multiple_of(*length)) {
        Some((unit, length)) => format!("{}{unit}", bytes / length),
        None => bytes.to_string(),
    }
}
