//! Tests of the notations: each format is compiled as from a configuration and reads a line back.

use super::*;
use crate::decode::formats::Readers;
use crate::decode::text::fixture::{all_of, expected};
use crate::decode::time::{MinuteCache, Zone, parse};
use crate::record::Decoded;
use std::sync::Arc;

fn settings(notation: Notation, pattern: &str) -> FormatSettings {
    let pattern = pattern.to_owned();
    FormatSettings { name: "f".to_owned(), notation, pattern, ..FormatSettings::default() }
}

fn compiled(settings: &FormatSettings) -> Readers {
    let (formats, errors) = compile(std::slice::from_ref(settings), &mut FieldTable::standard());
    assert_eq!(errors, [], "{}", settings.pattern);
    Readers::new(&Arc::new(formats))
}

fn reads(settings: &FormatSettings, line: &str, fields: &[(&str, &str)]) {
    let mut readers = compiled(settings);
    let mut into = Decoded::new();
    let is_read = readers.read(line, &mut into);
    assert!(is_read, "{}\n{line}\n{:?}", settings.pattern, readers.declines(line));
    assert_eq!(all_of(line, &into), expected(fields), "{}\n{line}", settings.pattern);
    // a second line of the same format is read in the same way
    into.clear();
    assert!(readers.read(line, &mut into));
    assert_eq!(all_of(line, &into), expected(fields), "again: {line}");
}

fn declines(settings: &FormatSettings, line: &str, at: usize, expected: &str) {
    let mut readers = compiled(settings);
    let mut into = Decoded::new();
    assert!(!readers.read(line, &mut into), "{}\n{line}", settings.pattern);
    let found = readers.declines(line)[0].1.clone().expect("a reason");
    assert_eq!((found.at, found.expected.as_str()), (at, expected), "{line}");
}

fn refuses(settings: &FormatSettings, path: &str, offset: usize, message: &str) {
    let (_, errors) = compile(std::slice::from_ref(settings), &mut FieldTable::standard());
    let Some(error) = errors.first() else { panic!("{} compiles", settings.pattern) };
    assert_eq!(error.path, format!("formats[0].{path}"), "{error:?}");
    assert!(error.message.contains(message), "{}: {error:?}", settings.pattern);
    assert_eq!(error.offset, offset, "{}: {error:?}", settings.pattern);
}

const TIME: (&str, &str) = ("timestamp", "2026-01-02 03:04:05,678");
const INFO: (&str, &str) = ("severity_text", "INFO");
const LOGGER: (&str, &str) = ("logger.name", "shop.cart");
const BODY: (&str, &str) = ("body", "order 17 - done");

#[test]
fn python_in_three_styles() {
    let line = "2026-01-02 03:04:05,678 - shop.cart - INFO - order 17 - done";
    for pattern in [
        "%(asctime)s - %(name)s - %(levelname)s - %(message)s",
        "{asctime} - {name} - {levelname} - {message}",
        "$asctime - ${name} - $levelname - $message",
    ] {
        reads(&settings(Notation::Python, pattern), line, &[TIME, INFO, LOGGER, BODY]);
    }
    let padded =
        settings(Notation::Python, "[%(levelname)-8s] %(name)12s %(lineno)4d: %(message)s");
    reads(
        &padded,
        "[INFO    ]    shop.cart   17: x",
        &[INFO, LOGGER, ("code.line.number", "17"), ("body", "x")],
    );
    reads(
        &padded,
        "[CRITICAL] shop.cart.abcdef 12345: x",
        &[
            ("severity_text", "CRITICAL"),
            ("logger.name", "shop.cart.abcdef"),
            ("code.line.number", "12345"),
            ("body", "x"),
        ],
    );
    let braces = settings(Notation::Python, "{levelname:<8}|{name:>10}|{{{process:d}}} {message}");
    reads(&braces, "INFO    | shop.cart|{7} x", &[INFO, LOGGER, ("body", "x")]);
    let short = settings(Notation::Python, "%(levelname).3s %(message)s");
    reads(&short, "CRI x", &[("severity_text", "CRITICAL"), ("body", "x")]);
    reads(&short, "INF x", &[("severity_text", "INF"), ("body", "x")]);
    let extra = settings(Notation::Python, "%(request_id)s %(trace_id)s %(shop)s %(message)s");
    reads(&extra, "r1 - b x", &[("request_id", "r1"), ("body", "x")]);
    let message_first = settings(Notation::Python, "%(message)s [%(name)s]");
    reads(&message_first, "a [b] c [shop.cart]", &[("body", "a [b] c"), LOGGER]);
    let uvicorn = settings(
        Notation::Python,
        "%(levelprefix)s %(client_addr)s - \"%(request_line)s\" %(status_code)s",
    );
    reads(
        &uvicorn,
        "INFO:     192.0.2.7:47026 - \"GET /orders/17 HTTP/1.1\" 200 OK",
        &[
            INFO,
            ("client.address", "192.0.2.7"),
            ("http.request.method", "GET"),
            ("url.path", "/orders/17"),
            ("http.response.status_code", "200"),
        ],
    );
}

/// The time that a record has, in nanoseconds since the epoch.
fn time_of(settings: &FormatSettings, line: &str) -> Option<u64> {
    let mut readers = compiled(settings);
    let mut into = Decoded::new();
    assert!(readers.read(line, &mut into), "{line}: {:?}", readers.declines(line));
    let now = crate::clock::UnixNanos(1_767_323_045_000_000_000);
    let record = crate::record::Record::new(line, &into, now, crate::record::Envelope::default());
    let text = record.text(crate::record::field::TIMESTAMP)?;
    parse(text, &Zone::Utc, now, &mut MinuteCache::default()).map(|time| time.0)
}

/// Guarantees: the format's own form of a time decides what is day and what is month, and the zone
/// of the format counts where the text names none.
#[test]
fn times_have_the_form_and_zone_of_the_format() {
    // 2026-02-01T03:04:05Z
    const FEBRUARY: u64 = 1_769_915_045_000_000_000;
    let python = |datefmt: &str| FormatSettings {
        datefmt: Some(datefmt.to_owned()),
        ..settings(Notation::Python, "%(asctime)s %(message)s")
    };
    for (datefmt, text) in [
        ("%d/%m/%Y %H:%M:%S", "01/02/2026 03:04:05"),
        ("%m/%d/%Y %H:%M:%S", "02/01/2026 03:04:05"),
        ("%d.%m.%y %I:%M:%S %p", "01.02.26 03:04:05 AM"),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-02-01T03:04:05+0000"),
        ("%d-%b-%Y %H:%M:%S", "01-Feb-2026 03:04:05"),
        ("%s", "1769915045"),
        ("%c", "Sun Feb  1 03:04:05 2026"),
        ("%Y%m%d %H%M%S", "20260201 030405"),
    ] {
        let line = format!("{text} x");
        assert_eq!(time_of(&python(datefmt), &line), Some(FEBRUARY), "{datefmt}");
    }
    let berlin = jiff::tz::TimeZone::get("Europe/Berlin").expect("a zone");
    let zoned = FormatSettings { time_zone: Some(berlin), ..python("%Y-%m-%d %H:%M:%S") };
    for _ in 0..2 {
        assert_eq!(time_of(&zoned, "2026-02-01 04:04:05 x"), Some(FEBRUARY));
    }
    assert_eq!(time_of(&zoned, "2026-07-01 05:04:05 x"), Some(1_782_875_045_000_000_000));
    let merged = settings(Notation::Python, "%(asctime)s.%(msecs)03d %(message)s");
    let merged = FormatSettings { datefmt: Some("%d/%m/%Y %H:%M:%S".to_owned()), ..merged };
    assert_eq!(time_of(&merged, "01/02/2026 03:04:05.250 x"), Some(FEBRUARY + 250_000_000));
    // a date that does not exist costs only the time
    assert_eq!(time_of(&python("%d/%m/%Y %H:%M:%S"), "31/02/2026 03:04:05 x"), None);
    let java = |notation, pattern| settings(notation, pattern);
    for (format, line) in [
        (java(Notation::Logback, "%d{dd/MM/yyyy HH:mm:ss} %msg%n"), "01/02/2026 03:04:05 x"),
        (
            java(Notation::Logback, "%d{\"HH:mm:ss,SSS dd.MM.yy\", UTC} %msg"),
            "03:04:05,000 01.02.26 x",
        ),
        (java(Notation::Log4j2, "%d{ISO8601}{GMT} %msg%n"), "2026-02-01T03:04:05,000 x"),
        (
            java(Notation::Log4j2, "%d{yyyy-MM-dd HH:mm:ss}{Europe/Berlin} %m"),
            "2026-02-01 04:04:05 x",
        ),
        (java(Notation::Log4j2, "%d{UNIX_MILLIS} %m%n"), "1769915045000 x"),
        (java(Notation::Loguru, "{time:D/M/YYYY H:mm:ss} {message}"), "1/2/2026 3:04:05 x"),
        (
            java(Notation::Loguru, "{time:YYYY-MM-DD HH:mm:ss!UTC} {message}"),
            "2026-02-01 03:04:05 x",
        ),
        (java(Notation::Apache, "%{%d/%m/%Y %T}t %r"), "01/02/2026 03:04:05 x"),
        (java(Notation::Apache, "%{msec}t %r"), "1769915045000 x"),
        (java(Notation::Nginx, "$msec $request"), "1769915045.000 x"),
    ] {
        assert_eq!(time_of(&format, line), Some(FEBRUARY), "{}", format.pattern);
    }
}

#[test]
fn loguru_as_it_stands() {
    let format = settings(
        Notation::Loguru,
        "<green>{time:YYYY-MM-DD HH:mm:ss.SSS}</green> | <level>{level: <8}</level> | \
         <cyan>{name}</cyan>:<cyan>{function}</cyan>:<cyan>{line}</cyan> - <level>{message}</level> \
         {extra[request_id]}",
    );
    reads(
        &format,
        "2026-01-02 03:04:05.678 | SUCCESS  | shop:f:7 - order 17 done r9",
        &[
            ("timestamp", "2026-01-02 03:04:05.678"),
            ("severity_text", "SUCCESS"),
            ("logger.name", "shop"),
            ("code.function.name", "f"),
            ("code.line.number", "7"),
            ("body", "order 17 done"),
            ("request_id", "r9"),
        ],
    );
}

const REQUEST: [(&str, &str); 4] = [
    ("http.request.method", "GET"),
    ("url.path", "/orders/17?x=1"),
    ("http.response.status_code", "503"),
    ("client.address", "192.0.2.7"),
];
const CLF: (&str, &str) = ("timestamp", "02/Jan/2026:03:04:05 +0000");

#[test]
fn nginx_as_it_stands() {
    let pattern = "$remote_addr - $remote_user [$time_local] \"$request\" $status \
                   $body_bytes_sent \"$http_referer\" \"$http_user_agent\" $upstream_response_time \
                   $request_time $request_id";
    let line = "192.0.2.7 - - [02/Jan/2026:03:04:05 +0000] \"GET /orders/17?x=1 HTTP/1.1\" 503 12 \
                \"-\" \"curl/8 \\x22q\\x22\" 0.100, 0.200 0.321 r17";
    let fields = [
        &REQUEST[..],
        &[
            CLF,
            ("duration", "0.321s"),
            ("user_agent.original", "curl/8 \"q\""),
            ("request_id", "r17"),
        ],
    ]
    .concat();
    reads(&settings(Notation::Nginx, pattern), line, &fields);
    let directive =
        format!("log_format main '{pattern}';").replace(" \"$http_ref", "'\n  ' \"$http_ref");
    reads(&settings(Notation::Nginx, &directive), line, &fields);
    let json = FormatSettings {
        escape: Some("json".to_owned()),
        ..settings(
            Notation::Nginx,
            "{\"a\":\"$http_user_agent\",\"st\":$status,\"rt\":$request_time}",
        )
    };
    reads(
        &json,
        "{\"a\":\"curl \\\"x\\\",\",\"st\":200,\"rt\":0.5}",
        &[
            ("user_agent.original", "curl \"x\","),
            ("http.response.status_code", "200"),
            ("duration", "0.5s"),
        ],
    );
    let bare = settings(Notation::Nginx, "${status}x $request_time $msec");
    // `-` is no status and no duration
    reads(&bare, "-x - 1767323045.678", &[("timestamp", "1767323045.678")]);
}

#[test]
fn apache_as_it_stands() {
    let pattern = "LogFormat \"%h %l %u %t \\\"%r\\\" %>s %b \\\"%{Referer}i\\\" \
                   \\\"%{User-Agent}i\\\" %D %T %{X-Request-Id}i\" combined";
    let line = "192.0.2.7 - - [02/Jan/2026:03:04:05 +0000] \"GET /orders/17?x=1 HTTP/1.1\" 503 12 \
                \"-\" \"curl \\\"8\\\"\" 321000 0 r17";
    let fields = [
        &REQUEST[..],
        &[
            CLF,
            ("duration", "321000us"),
            ("user_agent.original", "curl \"8\""),
            ("request_id", "r17"),
        ],
    ]
    .concat();
    reads(&settings(Notation::Apache, pattern), line, &fields);
    for (directive, value, duration) in [
        ("%D", "1500", Some("1500us")),
        ("%T", "2", Some("2s")),
        ("%{ms}T", "15", Some("15ms")),
        ("%{us}T", "15", Some("15us")),
        ("%!200,304{User-Agent}i", "-", None),
        ("%200,501D", "-", None),
    ] {
        let format = settings(Notation::Apache, &format!("%m %U {directive}"));
        let mut fields = vec![("http.request.method", "PUT"), ("url.path", "/a")];
        fields.extend(duration.map(|duration| ("duration", duration)));
        reads(&format, &format!("PUT /a {value}"), &fields);
    }
}

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
        "%clr(%d{yyyy-MM-dd'T'HH:mm:ss.SSSX}){faint} %clr(%5p) %clr(${PID:-}){magenta} \
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

#[test]
fn expressions_and_grok() {
    let regex = settings(
        Notation::Regex,
        r"^(?<ts>\S+) (?<level>[A-Z]+) took (?<duration_ms>[0-9.]+) (?<message>.*)$",
    );
    reads(
        &regex,
        "2026-01-02T03:04:05Z WARN took 12.5 order 17 - done",
        &[
            ("timestamp", "2026-01-02T03:04:05Z"),
            ("severity_text", "WARN"),
            ("duration", "12.5ms"),
            BODY,
        ],
    );
    let line = "192.0.2.7 - ann [02/Jan/2026:03:04:05 +0000] \"GET /orders/17?x=1 HTTP/1.1\" 503 12 \
                \"http://a/\" \"curl/8\"";
    let fields = [&REQUEST[..], &[CLF, ("user_agent.original", "curl/8")]].concat();
    reads(&settings(Notation::Grok, "%{COMBINEDAPACHELOG}"), line, &fields);
    let own = FormatSettings {
        patterns: vec![("ORDER".to_owned(), "o-%{INT}".to_owned())],
        fields: vec![("code".to_owned(), "http.response.status_code".to_owned())],
        levels: vec![("AUDIT".to_owned(), "notice".to_owned())],
        ..settings(
            Notation::Grok,
            "^%{TIMESTAMP_ISO8601:ts} %{WORD:level} %{ORDER:order} %{INT:code:int} (?>%{GREEDYDATA:msg})",
        )
    };
    reads(
        &own,
        "2026-01-02 03:04:05,678 AUDIT o-17 404 gone",
        &[
            TIME,
            ("severity_text", "NOTICE"),
            ("http.response.status_code", "404"),
            ("body", "gone"),
        ],
    );
}

#[test]
fn what_does_not_match_says_where() {
    let python = settings(Notation::Python, "%(asctime)s - %(name)s - %(levelname)s - %(message)s");
    declines(&python, "hello", 0, "%(asctime)s");
    declines(&python, "2026-01-02 03:04:05,678 x", 23, "` - ` after %(asctime)s");
    declines(&python, "2026-01-02 03:04:05,678 - a - 7", 30, "%(levelname)s");
    // the name of the logger was extended first
    declines(&python, "2026-01-02 03:04:05,678 - a - 7 - x", 35, "` - ` after %(levelname)s");
    let nginx = settings(Notation::Nginx, "$remote_addr [$status]");
    declines(&nginx, "192.0.2.7 [x]", 11, "$status");
    declines(&nginx, "192.0.2.7 [200] more", 15, "the end of the line");
    let never = settings(Notation::Regex, "^(?<level>[A-Z]+):");
    declines(&never, "info: x", 0, "a text that the pattern matches");
}

/// Guarantees: what cannot be read is refused when it is compiled, with the position.
#[test]
fn errors_have_a_position() {
    use Notation as N;
    for (notation, pattern, offset, message) in [
        (N::Python, "%(asctime)s %(message)q", 22, "conversion"),
        (N::Python, "%(asctime)s %(message)", 22, "conversion"),
        (N::Python, "%(asctime", 0, "not closed"),
        (N::Python, "%(asctime)s %s", 12, "without a name"),
        (N::Python, "%(levlname)s %(message)s", 2, "did you mean `levelname`"),
        (N::Python, "%(levelname)s%(message)s", 15, "nothing between them"),
        (N::Python, "%(message)s\n%(name)s", 11, "several lines"),
        (N::Python, "hello", 0, "no field"),
        (N::Python, "{levelname:^8} {message}", 11, "centred"),
        (N::Python, "{levelname", 0, "not closed"),
        (N::Loguru, "{level} {mesage}", 9, "has no `mesage`"),
        (N::Loguru, "{time:YYYY [x} {message}", 11, "not closed"),
        (N::Nginx, "$remote_adr $status", 0, "did you mean `remote_addr`"),
        (N::Nginx, "${status", 0, "not closed"),
        (N::Nginx, "$ x", 0, "without the name"),
        (N::Nginx, "$request$status", 8, "nothing between them"),
        (N::Nginx, "log_format main '$status", 16, "not closed"),
        (N::Apache, "%h %y", 3, "no directive"),
        (N::Apache, "%h %{x", 3, "not closed"),
        (N::Apache, "%{h}T %r", 0, "no unit"),
        (N::Apache, "%h %i", 3, "lacks the name"),
        (N::Apache, "%h %r%u", 5, "nothing between them"),
        (N::Logback, "%d{yyyy-MM-dd HH:mm:qq} %msg", 20, "no part of a time"),
        (N::Logback, "%d{HH:mm:ss,SSS} %msg", 11, "time zone"),
        (N::Logback, "%d %levle %msg", 4, "no conversion word"),
        (N::Logback, "%-30(%d %msg", 4, "not closed"),
        (N::Logback, "%d{HH:mm:ss %msg", 2, "not closed"),
        (N::Logback, "%logger%msg", 7, "nothing between them"),
        (N::Log4j2, "%d{HH:mm:ss}{Nowhere/City} %m", 3, "no time zone"),
        (N::Log4j2, "%notEmpty{[%marker]} %m", 0, "may be missing"),
        (N::Log4j2, "%m %zzz", 4, "no conversion word"),
        (N::Regex, "(?<a>x) (?<b>y", 8, "unclosed group"),
        (N::Regex, "x+", 0, "no part of the pattern has a name"),
        (N::Regex, "(?<a>x)(?=y)", 7, "look-around"),
        (N::Grok, "%{IP:client} %{NUMBR:n}", 15, "no grok pattern is named `NUMBR`"),
        (N::Grok, "%{IP:client} %{NUMBER", 13, "not closed"),
        (N::Grok, "%{IP:client:time}", 2, "no type"),
        (N::Grok, "%{IP:client} [", 13, "unclosed character class"),
    ] {
        refuses(&settings(notation, pattern), notation.name(), offset, message);
    }
    let datefmt = |text: &str| FormatSettings {
        datefmt: Some(text.to_owned()),
        ..settings(N::Python, "%(asctime)s %(message)s")
    };
    refuses(&datefmt("%Y-%q"), "datefmt", 3, "no conversion of strftime");
    refuses(&datefmt("%Y-%d"), "python", 2, "not whole");
    refuses(&datefmt("%I:%M:%S"), "python", 2, "without AM or PM");
    let endless = FormatSettings {
        patterns: vec![("A".to_owned(), "%{A}".to_owned())],
        ..settings(N::Grok, "%{A:x}")
    };
    refuses(&endless, "grok", 2, "refers to itself");
    let levels = FormatSettings {
        levels: vec![("AUDIT".to_owned(), "loud".to_owned())],
        ..settings(N::Python, "%(levelname)s %(message)s")
    };
    refuses(&levels, "levels", 0, "no level");
    let many = vec![settings(N::Regex, "(?<level>x)"); EXPRESSIONS_MAX + 1];
    assert_eq!(compile(&many, &mut FieldTable::standard()).1.len(), 1);
    let long = settings(N::Python, &"x".repeat(PATTERN_BYTES_MAX + 1));
    refuses(&long, "python", PATTERN_BYTES_MAX, "longer than");
}

/// Guarantees: a hostile line costs a bounded number of attempts.
#[test]
fn attempts_are_bounded() {
    let format = settings(Notation::Python, "%(name)s a %(module)s b %(levelname)s: %(message)s");
    let mut readers = compiled(&format);
    let line = format!("{}{}", "x a ".repeat(20_000), "x b ".repeat(20_000));
    assert!(!readers.read(&line, &mut Decoded::new()));
}

proptest::proptest! {
    /// Guarantees: no pattern and no line panics, and the position of an error lies in the pattern.
    #[test]
    fn property_any_pattern_and_any_line(
        number in 0..Notation::ALL.len(),
        pattern in proptest::collection::vec(proptest::sample::select(vec![
            "%", "(", ")", "{", "}", "$", "asctime", "message", "levelname", "s", "d", "-8", ".3",
            "time", ":", "<8", "HH:mm", "log_format a '", "'", "\"", "LogFormat \"", "remote_addr",
            "request_time", "h", "t", ">s", "msg", "level", "X{", "%d{", "ISO8601", ",", "clr(",
            "(?<level>", "[a-z]+", "%{IP:client}", "%{", "\\", " ", "\n", "\u{fc}", "[", "]", "!UTC",
        ]), 0..10),
        lines in proptest::collection::vec("[ -~\u{fc}]{0,40}", 1..4),
        datefmt in proptest::option::of("(%[a-zA-Z]|[ :/.-]){0,6}"),
    ) {
        let pattern = pattern.concat();
        let one = FormatSettings { datefmt, ..settings(Notation::ALL[number], &pattern) };
        let (formats, errors) =
            compile(std::slice::from_ref(&one), &mut FieldTable::standard());
        for error in &errors {
            let most = one.datefmt.as_ref().map_or(0, String::len).max(pattern.len());
            proptest::prop_assert!(error.offset <= most, "{error:?} in {pattern:?}");
        }
        let mut readers = Readers::new(&Arc::new(formats));
        for line in lines {
            let mut into = Decoded::new();
            readers.read(&line, &mut into);
            all_of(&line, &into);
            readers.declines(&line);
        }
    }
}
