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

const SHOP: (&str, &str) = ("logger.name", "shop");

/// Guarantees: a part that a line lacks is read in either case, also where its value could be taken
/// for a level, or the beginning of the thread's name for its value.
#[test]
fn parts_that_may_be_missing() {
    let before_level =
        settings(Notation::Log4j2, "%d{HH:mm:ss} %notEmpty{%X{requestId} }%level %c{1} - %m%n");
    let (time, level, body) =
        (("timestamp", "03:04:05"), ("severity_text", "WARN"), ("body", "see r8 - gone"));
    let line = "03:04:05 WARN shop - see r8 - gone";
    reads(&before_level, line, &[time, level, SHOP, body]);
    let line = "03:04:05 audit WARN shop - see r8 - gone";
    reads(&before_level, line, &[time, ("request_id", "audit"), level, SHOP, body]);
    let behind_thread = settings(
        Notation::Log4j2,
        "[%t] %c{1} %notEmpty{[%X{requestId}] }- %m%notEmpty{ [%marker]}",
    );
    let thread = ("thread.name", "pool [1] - 2");
    let line = "[pool [1] - 2] shop [r7] - see r8 - gone [audit]";
    reads(&behind_thread, line, &[thread, SHOP, ("request_id", "r7"), body]);
    reads(&behind_thread, "[pool [1] - 2] shop - see r8 - gone", &[thread, SHOP, body]);
    // both forms match: the thread that ends earlier decides
    let early = settings(Notation::Log4j2, "[%t] %notEmpty{%pid: }%m%n");
    let main = ("thread.name", "main");
    reads(&early, "[main] see [1] 7: x", &[main, ("body", "see [1] 7: x")]);
    reads(&early, "[main] 7: x", &[main, ("body", "x")]);
    // both forms match: the word of a level decides
    let before_message = settings(Notation::Log4j2, "%notEmpty{%X{requestId} }%level %m%n");
    let body = ("body", "no data");
    reads(&before_message, "WARN no data", &[level, body]);
    reads(&before_message, "r7 WARN no data", &[("request_id", "r7"), level, body]);
    let replaced =
        settings(Notation::Log4j2, "%notEmpty{%X{requestId} }%level{WARN=Achtung} %c{1} - %m%n");
    reads(&replaced, "Achtung shop - x", &[level, SHOP, ("body", "x")]);
    reads(&replaced, "r7 Achtung shop - x", &[("request_id", "r7"), level, SHOP, ("body", "x")]);
}

/// Scenario: the default pattern of Spring Boot 3.4 and later, with and without a name of the
/// application, a group and a span.
#[test]
fn spring_boot_as_it_stands() {
    let pattern = "%clr(%d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX}){faint} %clr(%5p){} %clr(${PID:-}){magenta} \
         %clr(--- %esb(){APPLICATION_NAME}%esb{APPLICATION_GROUP}[%15.15t] %correlationId){faint}\
         %clr(%-40.40logger{39}){cyan} %clr(:){faint} %m%n%wEx";
    let format = settings(Notation::Logback, pattern);
    let logger = format!("{:<40}", "shop.cart");
    let id = "803b448a0489f84084905d3093480352";
    let (present, absent) = (format!("[{id}-3425f23bb2432450] "), format!("[{:49}] ", ""));
    for (names, span) in [("", &absent), ("[shop] ", &present), ("[shop] [team] ", &absent)] {
        let line = format!(
            "2026-01-02T03:04:05.678Z  WARN 17 --- {names}[nio-8080-exec-1] {span}{logger} : gone"
        );
        let mut fields = vec![
            ("timestamp", "2026-01-02T03:04:05.678Z"),
            ("severity_text", "WARN"),
            ("thread.name", "nio-8080-exec-1"),
            ("logger.name", "shop.cart"),
            ("body", "gone"),
        ];
        if *span == present {
            fields.extend([("trace_id", id), ("span_id", "3425f23bb2432450")]);
        }
        reads(&format, &line, &fields);
    }
}
