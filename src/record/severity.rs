//! Severity in OpenTelemetry's numbers (log data model, "Field: SeverityNumber"): 1 to 24, or 0 for
//! unspecified.

use super::slots::ValueKind;

/// A SeverityNumber: 1..=4 TRACE, 5..=8 DEBUG, 9..=12 INFO, 13..=16 WARN, 17..=20 ERROR, 21..=24
/// FATAL; 0 is unspecified.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Severity(pub u8);

impl Severity {
    /// No level was found.
    pub const UNSPECIFIED: Severity = Severity(0);
    /// The lowest number of TRACE.
    pub const TRACE: Severity = Severity(1);
    /// The lowest number of DEBUG.
    pub const DEBUG: Severity = Severity(5);
    /// The lowest number of INFO.
    pub const INFO: Severity = Severity(9);
    /// Between INFO and WARN: syslog's notice.
    pub const NOTICE: Severity = Severity(10);
    /// The lowest number of WARN.
    pub const WARN: Severity = Severity(13);
    /// The lowest number of ERROR.
    pub const ERROR: Severity = Severity(17);
    /// The lowest number of FATAL.
    pub const FATAL: Severity = Severity(21);
    /// ERROR2: syslog's critical. It does not mean that a process ends: nginx writes it when a
    /// handshake fails.
    pub const SYSLOG_CRITICAL: Severity = Severity(18);
    /// ERROR3: syslog's alert.
    pub const SYSLOG_ALERT: Severity = Severity(19);

    /// The short names in order; the index is [`Severity::class`].
    pub const SHORT_NAMES: [&'static str; 7] =
        ["UNSPECIFIED", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

    /// Returns the class of the number: 0 unspecified, 1 TRACE, ... 6 FATAL.
    #[inline]
    pub fn class(self) -> usize {
        (self.0 as usize).div_ceil(4).min(6)
    }

    /// Returns OpenTelemetry's short name: TRACE, DEBUG, INFO, WARN, ERROR, FATAL; UNSPECIFIED for
    /// 0.
    #[inline]
    pub fn short_name(self) -> &'static str {
        Self::SHORT_NAMES[self.class()]
    }

    /// Parses the value of a level field.
    #[inline]
    pub fn read(value: &str, kind: ValueKind) -> Severity {
        match kind {
            ValueKind::Text => Self::from_text(value),
            ValueKind::Number => Self::from_level_number(value),
            ValueKind::True | ValueKind::False | ValueKind::Tree => Severity::UNSPECIFIED,
        }
    }

    /// Parses a SeverityNumber.
    pub fn read_number(value: &str) -> Severity {
        match value.parse::<u8>() {
            Ok(number @ 1..=24) => Severity(number),
            _ => Severity::UNSPECIFIED,
        }
    }

    /// Parses the name of a level in any of the spellings that loggers use, ignoring case. A bare
    /// digit in text (journald, syslog) is parsed as a number. klog, Ruby, logcat and Redis write
    /// one letter or sign.
    pub fn from_text(text: &str) -> Severity {
        let text = text.trim();
        let bytes = text.as_bytes();
        let Some(first) = bytes.first() else { return Severity::UNSPECIFIED };
        let is = |names: &[&str]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
        match first.to_ascii_lowercase() {
            b'i' if is(&["info", "information", "informational", "inf", "i"]) => Severity::INFO,
            b'd' if is(&["debug", "dbg", "dbug", "debu", "d"]) => Severity::DEBUG,
            b'd' if is(&["dpanic"]) => Severity(18),
            b'd' if is(&["deprecated", "deprecation"]) => Severity::WARN, // PHP, Elasticsearch
            b'w' if is(&["warning", "warn", "wrn", "w"]) => Severity::WARN,
            b'e' if is(&["error", "err", "e", "erro", "eror"]) => Severity::ERROR,
            b'e' if is(&["emergency", "emerg"]) => Severity::FATAL,
            b'c' if is(&["critical", "crit", "crt", "c"]) => Severity::FATAL,
            b'c' if is(&["config"]) => Severity(7),
            b'f' if is(&["fatal", "ftl", "fata", "f"]) => Severity::FATAL,
            b'f' if is(&["fail", "failure"]) => Severity::ERROR,
            b'f' if is(&["fine"]) => Severity::DEBUG,
            b'f' if is(&["finer", "finest"]) => Severity::TRACE,
            b't' if is(&["trace", "trc", "trce", "trac", "t"]) => Severity::TRACE,
            b'v' if is(&["verbose", "vrb", "v"]) => Severity::TRACE,
            // levels of npm, mapped as by OpenTelemetry's winston transport
            b'h' if is(&["http"]) => Severity(7),
            b's' if is(&["silly"]) => Severity::TRACE,
            b's' if is(&["system"]) => Severity::INFO, // MySQL: starts and stops
            // PostgreSQL's LOG is meant for administrators; only its readers distinguish it from
            // NOTICE
            b'l' if is(&["log"]) => Severity::INFO,
            b'n' if is(&["notice", "note", "n"]) => Severity::NOTICE,
            b'a' if is(&["alert"]) => Severity::SYSLOG_ALERT,
            b'a' if is(&["a"]) => Severity::FATAL, // logcat: an assertion
            b'p' if is(&["panic"]) => Severity(23),
            b's' if is(&["severe"]) => Severity(18),
            b's' if is(&["success"]) => Severity(11),
            b'#' if is(&["#"]) => Severity::WARN, // Redis
            b'*' if is(&["*"]) => Severity::NOTICE,
            // syslog's word, as nginx and Apache write it: less severe than the critical level of a
            // logger
            b'[' if is(&["[crit]"]) => Severity::SYSLOG_CRITICAL,
            b'0' if text.starts_with("0x") => Self::from_sssd(text),
            b'0'..=b'9' => Self::from_level_number(text),
            _ if text.ends_with(')') => Self::from_priority(text),
            _ => Self::numbered_any(text),
        }
    }

    /// Parses SSSD's debug levels, one bit each (`sssd.conf(5)`, debug_level).
    #[cold]
    fn from_sssd(text: &str) -> Severity {
        match u16::from_str_radix(&text[2..], 16) {
            Ok(0x0010) => Severity::FATAL,
            Ok(0x0020) => Severity::SYSLOG_CRITICAL,
            Ok(0x0040) => Severity::ERROR,
            Ok(0x0080) => Severity::WARN,
            Ok(0x0100) => Severity::INFO,
            Ok(0x0200 | 0x0400) => Severity::DEBUG,
            Ok(0x1000 | 0x2000 | 0x4000) => Severity::TRACE,
            _ => Severity::UNSPECIFIED,
        }
    }

    /// Parses ESXi's `In(14)`: two letters of the severity, then facility and severity in one
    /// number. The letters count: some programs write a number of another severity.
    #[cold]
    fn from_priority(text: &str) -> Severity {
        match text.split_once('(').map_or("", |(name, _)| name) {
            "Em" => Severity::FATAL,
            "Al" => Severity::SYSLOG_ALERT,
            "Cr" => Severity::SYSLOG_CRITICAL,
            "Er" => Severity::ERROR,
            "Wa" => Severity::WARN,
            "No" => Severity::NOTICE,
            "In" => Severity::INFO,
            "Db" => Severity::DEBUG,
            _ => Severity::UNSPECIFIED,
        }
    }

    /// Parses a numeric level: 0..=7 syslog (RFC 5424 section 6.2.1), 10..=60 bunyan and pino,
    /// 100..=600 Monolog.
    pub fn from_level_number(text: &str) -> Severity {
        match text.parse::<u32>() {
            Ok(priority @ 0..=7) => Self::from_syslog(priority as u8),
            Ok(10..=19) => Severity::TRACE,
            Ok(20..=29) => Severity::DEBUG,
            Ok(30..=39) => Severity::INFO,
            Ok(40..=49) => Severity::WARN,
            Ok(50..=59) => Severity::ERROR,
            Ok(60..=69) => Severity::FATAL,
            Ok(100) => Severity::DEBUG,
            Ok(200) => Severity::INFO,
            Ok(250) => Severity::NOTICE,
            Ok(300) => Severity::WARN,
            Ok(400) => Severity::ERROR,
            Ok(500) => Severity::FATAL,
            Ok(550) => Severity::SYSLOG_ALERT,
            Ok(600) => Severity::FATAL,
            _ => Severity::UNSPECIFIED,
        }
    }

    /// Parses Python's `levelno`: 10 DEBUG to 50 CRITICAL.
    pub fn from_python_number(text: &str) -> Severity {
        match text.parse::<u32>() {
            Ok(1..=9) => Severity::TRACE,
            Ok(10..=19) => Severity::DEBUG,
            Ok(20..=29) => Severity::INFO,
            Ok(30..=39) => Severity::WARN,
            Ok(40..=49) => Severity::ERROR,
            Ok(50..=59) => Severity::FATAL,
            _ => Severity::UNSPECIFIED,
        }
    }

    /// Maps a syslog severity (RFC 5424 section 6.2.1, table 2) as OpenTelemetry's log data model
    /// does in its appendix B.
    pub fn from_syslog(priority: u8) -> Severity {
        match priority {
            0 => Severity::FATAL,
            1 => Severity::SYSLOG_ALERT,
            2 => Severity::SYSLOG_CRITICAL,
            3 => Severity::ERROR,
            4 => Severity::WARN,
            5 => Severity::NOTICE,
            6 => Severity::INFO,
            7 => Severity::DEBUG,
            _ => Severity::UNSPECIFIED,
        }
    }

    /// Parses `DEBUG5` of PostgreSQL, `INFO2` of OpenTelemetry and `ERROR+4` of Go's slog.
    #[cold]
    fn numbered_any(text: &str) -> Severity {
        if text == "DEBUG5" {
            return Severity::TRACE;
        }
        if let Some(severity) = Self::from_slog(text) {
            return severity;
        }
        for (name, first) in
            [("debug", 4), ("info", 8), ("trace", 0), ("warn", 12), ("error", 16), ("fatal", 20)]
        {
            let found = Self::numbered(text, name, first);
            if found != Severity::UNSPECIFIED {
                return found;
            }
        }
        Severity::UNSPECIFIED
    }

    /// Parses slog's `NAME+n`: its numbers are 9 lower than OpenTelemetry's.
    fn from_slog(text: &str) -> Option<Severity> {
        let sign = text.find(['+', '-'])?;
        let base = match &text[..sign] {
            "DEBUG" => 5,
            "INFO" => 9,
            "WARN" => 13,
            "ERROR" => 17,
            _ => return None,
        };
        let offset = text[sign..].parse::<i16>().ok()?;
        Some(Severity((base + offset).clamp(1, 24) as u8))
    }

    /// Parses `INFO2`: OpenTelemetry's short names with a number after them.
    #[cold]
    fn numbered(text: &str, name: &str, before_first: u8) -> Severity {
        let Some((head, tail)) = text.split_at_checked(name.len()) else {
            return Severity::UNSPECIFIED;
        };
        match tail.as_bytes() {
            [digit @ b'1'..=b'4'] if head.eq_ignore_ascii_case(name) => {
                Severity(before_first + digit - b'0')
            }
            // Apache's levels go to trace8
            [b'5'..=b'8'] if name == "trace" && head == name => Severity::TRACE,
            _ => Severity::UNSPECIFIED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_logger() {
        for (text, expected) in [
            ("INFO", 9),
            ("info", 9),
            ("Information", 9),
            ("INFO3", 11),
            ("warn2", 14),
            ("debug2", 6),
            ("DEBUG", 5),
            ("warning", 13),
            ("WARN", 13),
            ("Error", 17),
            ("ERR", 17),
            ("error4", 20),
            ("CRITICAL", 21),
            ("fatal", 21),
            ("panic", 23),
            ("dpanic", 18),
            ("trace", 1),
            ("TRACE2", 2),
            ("notice", 10),
            ("emerg", 21),
            ("alert", 19),
            ("[crit]", 18),
            ("crit", 21),
            ("dbug", 5),
            ("fail", 17),
            ("ERRO", 17),
            ("EROR", 17),
            ("FATA", 21),
            ("trce", 1),
            ("silly", 1),
            ("http", 7),
            ("ERROR+4", 21),
            ("ERROR+99", 24),
            ("INFO+2", 11),
            ("DEBUG-4", 1),
            ("DEBUG-99", 1),
            ("ERROR+", 0),
            ("error+4", 0),
            ("DEBUG5", 1),
            ("400", 17),
            ("450", 0),
            ("#", 13),
            ("severe", 18),
            ("", 0),
            ("x", 0),
            ("infos", 0),
            ("30", 9),
            ("3", 17),
            ("error5", 0),
            (" info ", 9),
        ] {
            assert_eq!(Severity::from_text(text), Severity(expected), "{text:?}");
        }
    }

    #[test]
    fn a_number_is_of_bunyan_and_below_eight_of_syslog() {
        assert_eq!(Severity::read("30", ValueKind::Number), Severity::INFO);
        assert_eq!(Severity::read("60", ValueKind::Number), Severity::FATAL);
        assert_eq!(Severity::read("4", ValueKind::Number), Severity::WARN);
        assert_eq!(Severity::read("-1", ValueKind::Number), Severity::UNSPECIFIED);
        assert_eq!(Severity::read_number("24"), Severity(24));
        assert_eq!(Severity::read_number("25"), Severity::UNSPECIFIED);
        assert_eq!(Severity::from_python_number("50"), Severity::FATAL);
    }

    #[test]
    fn short_names_are_opentelemetrys() {
        let names: Vec<_> = (0..=24).map(|n| Severity(n).short_name()).collect();
        assert_eq!(names[0], "UNSPECIFIED");
        assert_eq!((names[1], names[4], names[5], names[24]), ("TRACE", "TRACE", "DEBUG", "FATAL"));
    }
}
