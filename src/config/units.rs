//! Parses values with units, and formats them, in files, variables and flags alike. Unit: one
//! value.

use super::settings::{ListenSettings, LogLevel, Mode, Passthrough};
use crate::export::endpoint::Protocol;
use crate::receive::bind::error::PATH_BYTES_MAX;
use jiff::tz::TimeZone;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// A value that was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Refused {
    /// Writes both on one line, as clap expects it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for Refused {}

impl Refused {
    /// Creates a refusal with a hint.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Refused {
        Refused { message: message.into(), hint: Some(hint.into()) }
    }
}

/// The longest duration; a longer one is a mistake.
const DURATION_MAX: Duration = Duration::from_hours(7 * 24);

/// Parses `30s`, `5m`, `250ms`, `1h30m`; `0` needs no unit.
///
/// # Errors
/// Fails if the text is not a duration, has no unit, or is longer than a week.
pub fn duration(text: &str) -> Result<Duration, Refused> {
    let example = "write a unit: 250ms, 30s, 5m, 1h30m";
    let refused = || Refused::new(format!("`{text}` is not a duration"), example);
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text.trim();
    let mut nanos = 0u128;
    if rest.is_empty() {
        return Err(refused());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(refused)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unit: u64 = match unit {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" | "min" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            _ => return Err(refused()),
        };
        let part = scaled(number, unit).ok_or_else(refused)?;
        nanos = nanos.saturating_add(part);
        rest = tail.trim_start();
    }
    if nanos > DURATION_MAX.as_nanos() {
        return Err(Refused::new(format!("`{text}` is too long"), "the longest duration is 7d"));
    }
    Ok(Duration::from_nanos(nanos as u64))
}

/// Parses seconds without a unit, or a duration with one, for settings with a name that ends in
/// `seconds`.
///
/// # Errors
/// Fails like [`duration`].
pub fn seconds(text: &str) -> Result<Duration, Refused> {
    if text.parse::<f64>().is_ok() { duration(&format!("{text}s")) } else { duration(text) }
}

/// Parses `4096`, `64KiB`, `1MiB`, `1MB`.
///
/// # Errors
/// Fails if the text is not a size.
pub fn size(text: &str) -> Result<usize, Refused> {
    let refused = || Refused::new(format!("`{text}` is not a size"), "write 4096, 64KiB or 1MiB");
    let text = text.trim();
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" | "Ki" | "K" | "k" => 1 << 10,
        "MiB" | "Mi" | "M" => 1 << 20,
        "GiB" | "Gi" | "G" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(refused()),
    };
    let bytes = scaled(number, unit).ok_or_else(refused)?;
    usize::try_from(bytes).map_err(|_| refused())
}

/// Multiplies a decimal number of at most nine places by a unit, without the rounding of a double.
fn scaled(number: &str, unit: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || whole.len() > 12 || fraction.len() > 9 {
        return None;
    }
    let of = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u128>().ok() };
    let places = 10u128.pow(fraction.len() as u32);
    let unit = u128::from(unit);
    Some(of(whole)? * unit + of(fraction)? * unit / places)
}

/// Parses `true` and `false`, and the words of YAML 1.1 and shells for them.
///
/// # Errors
/// Fails if the text is neither.
pub fn flag(text: &str) -> Result<bool, Refused> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => {
            Err(Refused::new(format!("`{text}` is neither true nor false"), "write true or false"))
        }
    }
}

/// Parses the permission bits of a socket, in octal: `0660`, `660`, `0o660`.
///
/// # Errors
/// Fails if the text is not an octal number up to 0777.
pub fn mode_bits(text: &str) -> Result<u32, Refused> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    match u32::from_str_radix(digits, 8) {
        Ok(bits) if bits <= 0o777 && digits.len() >= 3 => Ok(bits),
        _ => Err(Refused::new(
            format!("`{text}` is not a set of permission bits"),
            "write them in octal: \"0660\"",
        )),
    }
}

/// Parses `HOST:PORT`, `:PORT` (every address) or `PORT` (keeps the host).
///
/// # Errors
/// Fails if the text is not an address to listen on.
pub fn listen(text: &str, before: SocketAddr) -> Result<SocketAddr, Refused> {
    let refused = || {
        Refused::new(
            format!("`{text}` is not an address to listen on"),
            "write HOST:PORT, as in 127.0.0.1:19464 or [::]:19464",
        )
    };
    if text.contains("://") {
        let hint = "Kubernetes sets such values for Services; write HOST:PORT";
        return Err(Refused::new(format!("`{text}` is a URL, not an address to listen on"), hint));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::new(before.ip(), port));
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
    let port = port.parse::<u16>().map_err(|_| refused())?;
    let host = match host {
        "" | "*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => return Err(refused()),
    };
    Ok(SocketAddr::new(host, port))
}

/// Parses `METRICS_PORT`: the port replaces that of the previous address, which becomes the
/// fallback.
///
/// # Errors
/// Fails if the text is not a port.
pub fn metrics_port(text: &str, before: ListenSettings) -> Result<ListenSettings, Refused> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(ListenSettings {
            address: SocketAddr::new(before.address.ip(), port),
            fallback: Some(before.address),
        }),
        _ => Err(Refused::new(format!("`{text}` is not a port"), "a port is a number up to 65535")),
    }
}

/// Parses `UTC`, `+02:00` or a name such as `Europe/Berlin`.
///
/// # Errors
/// Fails if the zone is unknown.
pub fn time_zone(text: &str) -> Result<TimeZone, Refused> {
    let refused = || {
        let hint = "write UTC, an offset such as +02:00, or a name such as Europe/Berlin; names need \
                    the zone files of the system (/usr/share/zoneinfo)";
        Refused::new(format!("the time zone `{text}` is unknown"), hint)
    };
    if text.eq_ignore_ascii_case("utc") || text == "Z" {
        return Ok(TimeZone::UTC);
    }
    if let Some(first @ (b'+' | b'-')) = text.bytes().next() {
        let digits = text[1..].replace(':', "");
        let number = digits.parse::<u16>().ok().filter(|_| digits.len() == 4);
        let (hours, minutes) = number.map(|n| (n / 100, n % 100)).ok_or_else(refused)?;
        if hours > 18 || minutes > 59 {
            return Err(refused());
        }
        let seconds = i32::from(hours) * 3600 + i32::from(minutes) * 60;
        let seconds = if first == b'-' { -seconds } else { seconds };
        let offset = jiff::tz::Offset::from_seconds(seconds).map_err(|_| refused())?;
        return Ok(TimeZone::fixed(offset));
    }
    TimeZone::get(text).map_err(|_| refused())
}

/// Returns the name or the offset of a zone, as [`time_zone`] parses it.
pub fn zone_name(zone: &TimeZone) -> String {
    if *zone == TimeZone::UTC {
        return "UTC".to_owned();
    }
    if let Some(name) = zone.iana_name() {
        return name.to_owned();
    }
    let seconds = zone.to_fixed_offset().map_or(0, jiff::tz::Offset::seconds);
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Parses the path of a Unix socket.
pub(super) fn socket_path(text: &str) -> Result<PathBuf, Refused> {
    if text.is_empty() {
        return Err(Refused::new("the path is missing", "as in /run/sidelight/log.sock"));
    }
    if text.len() > PATH_BYTES_MAX {
        let message = format!("the path is longer than {PATH_BYTES_MAX} bytes");
        return Err(Refused::new(
            message,
            "the kernel allows no longer path for a socket: use a shorter one",
        ));
    }
    Ok(PathBuf::from(text))
}

/// The words for [`Protocol`].
pub(super) const PROTOCOLS: [(&str, Protocol); 2] =
    [("http/protobuf", Protocol::Http), ("grpc", Protocol::Grpc)];

/// Parses a share from 0 to 1, or in per cent.
///
/// # Errors
/// Fails if the text is not a share.
pub fn share(text: &str) -> Result<f64, Refused> {
    let (digits, whole) = match text.strip_suffix('%') {
        Some(digits) => (digits.trim(), 100.0),
        None => (text, 1.0),
    };
    let share = digits.parse::<f64>().ok().map(|number| number / whole);
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| Refused::new(format!("`{text}` is not a share"), "write 0.05 or 5%"))
}

/// The words for [`Mode`].
pub const MODES: [(&str, Mode); 2] = [("native", Mode::Native), ("classic", Mode::Classic)];

/// The words for [`Passthrough`].
pub const PASSTHROUGHS: [(&str, Passthrough); 2] =
    [("off", Passthrough::Off), ("stdout", Passthrough::Stdout)];

/// The words for [`LogLevel`], including Python's, because `LOG_LEVEL` is set for applications.
pub const LOG_LEVELS: [(&str, LogLevel); 8] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
    ("warning", LogLevel::Warn),
    ("critical", LogLevel::Error),
    ("fatal", LogLevel::Error),
];

/// Parses one of several words, ignoring case.
///
/// # Errors
/// Fails if the text is none of them; the hint suggests the nearest one.
pub fn choice<T: Copy>(text: &str, words: &[(&'static str, T)]) -> Result<T, Refused> {
    if let Some((_, value)) = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
        return Ok(*value);
    }
    let names = words.iter().map(|(word, _)| *word);
    let hint = match crate::rules::syntax::nearest(text, names.clone()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("one of {}", names.collect::<Vec<_>>().join(", ")),
    };
    Err(Refused::new(format!("`{text}` is not a known value"), hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("250ms", Some(250)),
            ("1h30m", Some(5_400_000)),
            ("1.5s", Some(1_500)),
            ("1m 30s", Some(90_000)),
            ("0", Some(0)),
            ("7d", Some(604_800_000)),
            ("8d", None),
            ("30", None),
            ("", None),
            ("s", None),
            ("-5s", None),
            ("5 parsecs", None),
            ("1e3s", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(duration(text).ok(), expected.map(Duration::from_millis), "{text}");
        }
        assert_eq!(seconds("30"), Ok(Duration::from_secs(30)));
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("2m"), Ok(Duration::from_mins(2)));
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("4096", Some(4096)),
            ("64KiB", Some(65536)),
            ("64 KiB", Some(65536)),
            ("1.5MiB", Some(1_572_864)),
            ("1MB", Some(1_000_000)),
            ("1GiB", Some(1 << 30)),
            ("lots", None),
            ("", None),
            ("-1", None),
            ("1QiB", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn addresses_to_listen_on() {
        let before = ListenSettings::default().address;
        for (text, expected) in [
            ("127.0.0.1:9000", Some("127.0.0.1:9000")),
            ("[::]:19464", Some("[::]:19464")),
            (":9000", Some("[::]:9000")),
            ("9000", Some("127.0.0.1:9000")),
            ("localhost:9000", Some("127.0.0.1:9000")),
            ("tcp://10.0.0.1:9090", None),
            ("example.org:80", None),
            ("127.0.0.1", None),
            ("127.0.0.1:99999", None),
            ("", None),
        ] {
            let expected = expected.map(|text| text.parse().expect("an address"));
            assert_eq!(listen(text, before).ok(), expected, "{text}");
        }
    }

    #[test]
    fn zones() {
        assert_eq!(time_zone("UTC").ok(), Some(TimeZone::UTC));
        for (text, seconds) in [("+02:00", 7200), ("-0530", -19800)] {
            let offset = jiff::tz::Offset::from_seconds(seconds).expect("in range");
            assert_eq!(time_zone(text).ok(), Some(TimeZone::fixed(offset)), "{text}");
        }
        let berlin = std::path::Path::new("/usr/share/zoneinfo/Europe/Berlin").exists();
        assert_eq!(time_zone("Europe/Berlin").is_ok(), berlin, "names need the system's files");
        for text in ["+2", "+99:00", "Mars/Olympus", "", "+aa:bb"] {
            assert!(time_zone(text).is_err(), "{text}");
        }
    }

    #[test]
    fn permission_bits_and_words() {
        for (text, expected) in
            [("0660", Some(0o660)), ("660", Some(0o660)), ("0o777", Some(0o777)), ("6", None)]
        {
            assert_eq!(mode_bits(text).ok(), expected, "{text}");
        }
        assert_eq!((mode_bits("0999").ok(), mode_bits("7777").ok()), (None, None));
        assert_eq!(choice("Native", &MODES), Ok(Mode::Native));
        let refused = choice("clasic", &MODES).expect_err("unknown");
        assert_eq!(refused.hint.as_deref(), Some("did you mean `classic`?"));
        assert_eq!((flag("yes"), flag("FALSE"), flag("2").is_err()), (Ok(true), Ok(false), true));
    }
}
