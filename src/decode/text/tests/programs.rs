//! Headers that one program writes, line by line: the level and the time of each, and lines that
//! look similar and have none.

use super::*;
use crate::clock::UnixNanos;
use crate::record::{Envelope, Record};

/// Returns the level, the time and the logger that are read from a line.
fn header(line: &str) -> (&'static str, String, String) {
    let into = decode(line);
    let record = Record::new(line, &into, UnixNanos(0), Envelope::default());
    let text = |field| record.text(field).unwrap_or_default().to_owned();
    let field = crate::record::field::TIMESTAMP;
    (record.severity().short_name(), text(field), text(crate::record::field::LOGGER))
}

/// Guarantees: level, time and logger of each program are found.
#[test]
fn every_program() {
    for (line, level, time, logger) in [
        // glog with a year
        (
            "W20260102 03:04:04.250000 400441 config.cc:27] few left",
            "WARN",
            "20260102 03:04:04.250000",
            "",
        ),
        // Puppet
        ("[DEBUG 2026-01-02 03:04:04 main] few left", "DEBUG", "2026-01-02 03:04:04", ""),
        ("[ INFO 2026-01-02 03:04:04 main] few left", "INFO", "2026-01-02 03:04:04", ""),
        // OpenTelemetry's Java agent
        (
            "[otel.javaagent 2026-01-02 03:04:04:250 +0000] [main] ERROR io.opentelemetry.A - no",
            "ERROR",
            "2026-01-02 03:04:04:250 +0000",
            "io.opentelemetry.A",
        ),
        (
            "[INFO:choose_repo] choose_repo:47 2026-01-02 03:04:04,250: few left",
            "INFO",
            "2026-01-02 03:04:04,250",
            "choose_repo",
        ),
        // a level in lower case before a name and a location
        (
            "2026-01-02T03:04:04.250Z error wcp [auth/session.go:156] few left",
            "ERROR",
            "2026-01-02T03:04:04.250Z",
            "",
        ),
        // zellij
        (
            "ERROR  |zellij_client            | 2026-01-02 03:04:04.250 [main      ] few left",
            "ERROR",
            "2026-01-02 03:04:04.250",
            "zellij_client",
        ),
        (
            "HsmService:2026-01-02 03:04:04,250[MainThread]hsmService:737 [ERROR] few left",
            "ERROR",
            "2026-01-02 03:04:04,250",
            "hsmService:737",
        ),
        (
            "2026-01-02T03:04:04.250 [25376]WARNING:shop.orders:few left",
            "WARN",
            "2026-01-02T03:04:04.250",
            "shop.orders",
        ),
        // Icinga
        (
            "[2026-01-02 03:04:04 +0200] warning/PluginTask: few left",
            "WARN",
            "2026-01-02 03:04:04 +0200",
            "PluginTask",
        ),
        // Apache, Elasticsearch
        (
            "[Fri Jan  2 03:04:04.250000 2026] [rewrite:trace3] [pid 7] few left",
            "TRACE",
            "Fri Jan  2 03:04:04.250000 2026",
            "",
        ),
        (
            "[2026-01-02T03:04:04,250][DEPRECATION][o.e.d.RestController   ] [node] few left",
            "WARN",
            "2026-01-02T03:04:04,250",
            "o.e.d.RestController",
        ),
        // ESXi: the letters say what the number contradicts
        (
            "2026-01-02T03:04:04.250Z In(9) watchdog[7]: few left",
            "INFO",
            "2026-01-02T03:04:04.250Z",
            "",
        ),
        // the date alone is no time, and the time of day of another line neither
        ("2026-01-02 Er(11) hostprofile[7]: 03:04:04.250 few left", "ERROR", "", ""),
        // PostgreSQL: the prefix of Amazon RDS, and others
        (
            "2026-01-02 03:04:04 UTC:10.0.0.1(54321):shop@db:[12760]:ERROR:  no stock",
            "ERROR",
            "2026-01-02 03:04:04 UTC",
            "",
        ),
        (
            "2026-01-02 03:04:04 CET::@:[12760]:LOG:  starting PostgreSQL",
            "INFO",
            "2026-01-02 03:04:04 CET",
            "",
        ),
        (
            "2026-01-02 03:04:04.250 CEST [7] [unknown]@[unknown] FATAL:  no stock",
            "FATAL",
            "2026-01-02 03:04:04.250 CEST",
            "",
        ),
        (
            "2026-01-02 03:04:04.250 UTC 64bf2ff1.21fc1e 0 VCDB shop [local] 7 5WARNING:  no stock",
            "WARN",
            "2026-01-02 03:04:04.250 UTC",
            "",
        ),
        ("info: Shop.Orders[7] few left", "INFO", "", "Shop.Orders"),
        // columns in quotes, seconds since 1970, daemontools, a time after other columns
        ("\"01/02/2026 3:04:04 AM\",\"docker\",\"no\"", "UNSPECIFIED", "01/02/2026 3:04:04 AM", ""),
        ("1767323044.250000 execve(\"/bin/a\") = 0", "UNSPECIFIED", "1767323044.250000", ""),
        ("1767323044250 Hello, World!", "UNSPECIFIED", "1767323044250", ""),
        (
            "@4000000069573f241dcd6500 tcpserver: status: 5/30",
            "UNSPECIFIED",
            "@4000000069573f241dcd6500",
            "",
        ),
        (
            "printer_7 bob 401 [02/Jan/2026:03:04:04 +0100] 1 3",
            "UNSPECIFIED",
            "02/Jan/2026:03:04:04 +0100",
            "",
        ),
    ] {
        let expected = (level, time.to_owned(), logger.to_owned());
        assert_eq!(header(line), expected, "{line}");
    }
}

/// Guarantees: lines that differ in the one thing that makes a form certain have no level, and no
/// time but their own.
#[test]
fn lines_that_look_similar() {
    for (line, time) in [
        ("2026-01-02T03:04:04.250Z error while [reading] it", "2026-01-02T03:04:04.250Z"),
        ("2026-01-02T03:04:04.250Z error wcp [reading] it", "2026-01-02T03:04:04.250Z"),
        ("2026-01-02 03:04:04 the user said: ERROR:  none", "2026-01-02 03:04:04"),
        ("2026-01-02 03:04:04 [7] lastERROR:  none", "2026-01-02 03:04:04"),
        ("[2026-01-02 03:04:04 +0200] error/warning", "2026-01-02 03:04:04 +0200"),
        ("information/cli: loaded", ""),
        ("17673230442 orders were placed", ""),
        ("1767323044 orders were placed", ""),
        ("9767323044250 orders were placed", ""),
        ("1767323044.25 EUR were paid", ""),
        ("\"2026-01-02 03:04:04\"x", ""),
        ("@4000 tcpserver: status", ""),
        ("[x [02/Jan/2026] y", ""),
        ("2026-02-31 In(x) a", ""),
    ] {
        assert_eq!(header(line), ("UNSPECIFIED", time.to_owned(), String::new()), "{line}");
    }
}
