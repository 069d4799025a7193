//! Tests of the notations of logback and log4j 2.

use super::*;

#[test]
fn logback_as_it_stands() {
    let format = settings(
        Notation::Logback,
        "%d{ISO8601} [%15.15t] %-5level %logger{36} %X{traceId:-} - %replace(%msg){'[\\r\\n]+', ' '}%n%ex",
    );
    let trace = "5b8efff798038103d269b633813fc60c";
    reads(
        &format,
        &format!(
            "2026-01-02 03:04:05,678 [           main] WARN  shop.cart {trace} - order 17 - done"
        ),
        &[
            TIME,
            ("thread.name", "main"),
            ("severity_text", "WARN"),
            LOGGER,
            ("trace_id", trace),
            BODY,
        ],
    );
    let spring = settings(
        Notation::Logback,
        "%clr(%d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX}){faint} %clr(%5p) %clr(${PID:-}){magenta} \
         %clr(---){faint} %clr([%15.15t]){faint} %clr(%-40.40logger{39}){cyan} %clr(:){faint} %m%n%wEx",
    );
    let logger = format!("{:<40}", "o.s.shop.Cart");
    reads(
        &spring,
        &format!("2026-01-02T03:04:05.678+01:00 ERROR 17 --- [nio-8080-exec-1] {logger} : no cart"),
        &[
            ("timestamp", "2026-01-02T03:04:05.678+01:00"),
            ("severity_text", "ERROR"),
            ("thread.name", "nio-8080-exec-1"),
            ("logger.name", "o.s.shop.Cart"),
            ("body", "no cart"),
        ],
    );
    let group = settings(Notation::Logback, "%-30(%d{HH:mm:ss} \\(%thread\\)) %relative %msg%n");
    reads(
        &group,
        "03:04:05 (main)                12 x",
        &[("timestamp", "03:04:05"), ("thread.name", "main"), ("body", "x")],
    );
}

#[test]
fn log4j2_as_it_stands() {
    let format = settings(
        Notation::Log4j2,
        "%d{yyyy-MM-dd HH:mm:ss,SSS} [%t] %highlight{%-5level{WARN=Warning, lowerCase=true}}{FATAL=red} \
         %c{1.}:%L - %m%n%throwable",
    );
    reads(
        &format,
        "2026-01-02 03:04:05,678 [main] Warning shop.cart:17 - order 17 - done",
        &[
            TIME,
            ("thread.name", "main"),
            ("severity_text", "WARN"),
            LOGGER,
            ("code.line.number", "17"),
            BODY,
        ],
    );
    let short = settings(Notation::Log4j2, "%level{length=1} %X{requestId} %style{%msg}{bright}%n");
    reads(&short, "E r7 x", &[("severity_text", "E"), ("request_id", "r7"), ("body", "x")]);
}
