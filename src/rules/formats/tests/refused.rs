//! Tests of what a format refuses: lines that do not match, and patterns that cannot be read.

use super::*;

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

#[test]
fn what_does_not_match_says_where() {
    let python = settings(Notation::Python, "%(asctime)s - %(name)s - %(levelname)s - %(message)s");
    declines(&python, "hello", 0, "%(asctime)s");
    declines(&python, "2026-01-02 03:04:05,678 x", 23, "` - ` after %(asctime)s");
    declines(&python, "2026-01-02 03:04:05,678 - a - 7", 30, "%(levelname)s");
    // the name of the logger was extended first
    declines(&python, "2026-01-02 03:04:05,678 - a - 7 - x", 35, "` - ` after %(levelname)s");
    let optional = settings(Notation::Log4j2, "%notEmpty{[%marker] }%pid: %m");
    declines(&optional, "[x] y", 4, "%pid");
    declines(&optional, "y", 0, "`[`");
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
        (N::Log4j2, "%p %notEmpty{%X{a} }%m", 3, "does not show whether `%notEmpty{%X{a} }`"),
        (N::Log4j2, "%m%notEmpty{ %X{a}}", 2, "does not show whether"),
        (N::Log4j2, "%t%notEmpty{ %X{a}} - %m", 2, "does not show whether"),
        (N::Log4j2, "%p %notEmpty{%pid }%tid %m", 3, "does not show whether"),
        (N::Log4j2, "%c%notEmpty{ [%marker] }%m", 24, "nothing between them"),
        (N::Logback, "%esb(%X{a})%esb{b}%esb{c}%esb{d}%esb{e}%m", 32, "more than 16"),
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
    for (notation, pattern) in [(N::Regex, "(?<level>x)"), (N::Grok, "%{WORD:level}")] {
        let timeless =
            FormatSettings { datefmt: Some("%H:%M:%S".to_owned()), ..settings(notation, pattern) };
        refuses(&timeless, "datefmt", 0, "no part of the pattern is a time");
        let zone = Some(jiff::tz::TimeZone::UTC);
        let zoned = FormatSettings { time_zone: zone.clone(), ..settings(notation, pattern) };
        refuses(&zoned, "time_zone", 0, "no part of the pattern is a time");
        let pattern = pattern.replace("level", "time");
        let formless = FormatSettings { time_zone: zone, ..settings(notation, &pattern) };
        refuses(&formless, "time_zone", 0, "without the form of its times");
    }
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
