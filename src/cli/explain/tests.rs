//! Tests of what `explain` prints.

use super::*;
use crate::config::parse;
use std::collections::BTreeMap;
use std::io::Write as _;

fn config(text: &str) -> Config {
    let loaded = parse("rules.yaml", text, &Flags::default(), &BTreeMap::new());
    assert!(loaded.faults.is_empty(), "{:?}", loaded.faults);
    loaded.usable()
}

fn explained(rules: &str, input: &str) -> String {
    let config = config(rules);
    let compiled = dry_run(&config.rules, config.limits).expect("valid rules");
    text_of(input, &config, &compiled, Style::PLAIN)
}

/// Checks that the explanation of a line has these lines; blanks at both ends do not matter.
fn check(rules: &str, line: &str, expected: &[&str]) {
    let found = explained(rules, line);
    for text in expected {
        assert!(found.lines().any(|line| line.contains(text)), "no {text:?} in\n{found}");
    }
}

/// Guarantees: every reader that was tried is named, with the position and what it expected.
#[test]
fn each_reader_says_why_it_declined() {
    check(
        "{}",
        "10 orders placed",
        &[
            "logfmt: no, expected a key and `=` at column 3, found \" orders placed\"",
            "access: no, expected `[time] \"` before a request in quotes at column 17, the end",
            "epoch: no, expected seconds since 1970",
            "text: no, expected a level or a time after the parts before at column 4",
            "plain: yes",
        ],
    );
    check(
        "{}",
        "a=1 b=\"2",
        &["logfmt: no, expected `key=value` pairs up to the end at column 4, found \" b=\\\"2\""],
    );
    check("{}", "a=1", &["logfmt: no, expected a second pair, or a key that sidelight knows"]);
    check(
        "{}",
        "{\"level\":\"info\" \"a\":1}",
        &[
            "json: no, expected a JSON object, in which something else is here at column 1",
            "damaged json: yes",
        ],
    );
    check("{}", "{\"a\":1", &["damaged json: no, expected a key that sidelight knows"]);
    check(
        "{}",
        "10.0.0.1 - - [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" ok",
        &[
            "access: no, expected `\" ` and a status of three digits at column 58, found \"\\\" ok\"",
        ],
    );
    check(
        "{}",
        "1795255200 | two words | a",
        &["epoch: no, expected a level: one word at column 14"],
    );
    check(
        "{}",
        "order placed",
        &["text: no, expected a time, a level, or the header of a known program at column 1"],
    );
    check("{}", "error in the pump", &["text: no, expected this word in brackets"]);
}

/// Guarantees: wrappers are removed as in a running sidecar, and named; positions count in the line
/// with its wrappers.
#[test]
fn wrappers_are_removed_and_named() {
    let cri = "2026-01-02T03:04:05.123456789Z stdout F ";
    check(
        "{}",
        &format!("{cri}{{\"level\":\"error\",\"msg\":\"x\"}}"),
        &["removed \"2026-01-02T03:04:05.123456789Z stdout F \"", "json: yes", "level    ERROR"],
    );
    check("{}", &format!("{cri}10 orders"), &["at column 41, found \"10 orders\""]);
    check("{}", "\u{1b}[32mINFO\u{1b}[0m: x", &["wrapper  colour codes removed", "text: yes"]);
    check(
        "{}",
        "{\"log\":\"ERROR: no\\n\",\"stream\":\"stderr\",\"time\":\"2026-01-02T03:04:05.25Z\"}",
        &["wrapper  Docker's JSON removed", "level    ERROR"],
    );
}

/// Guarantees: a missing level or time is explained, and an ambiguous zone is named.
#[test]
fn level_and_time() {
    check(
        "{}",
        "2026-01-02 03:04:05 order placed",
        &[
            "level    UNSPECIFIED (SeverityNumber 0): the header has none; the message begins at column \
         21, found \"order placed\"",
        ],
    );
    check(
        "{}",
        "{\"level\":\"loud\",\"msg\":\"x\"}",
        &["\"loud\" is no level that sidelight knows"],
    );
    check("{}", "order placed", &["time     none: the arrival counts"]);
    check(
        "time_zone: Asia/Kolkata\n",
        "2026-01-02 03:04:05 IST INFO x",
        &["2026-01-01T21:34:05Z from \"2026-01-02 03:04:05 IST\"; IST means several zones, so \
         `time_zone` (Asia/Kolkata) counts"],
    );
}

/// Guarantees: a duration without a unit says which name it needs, and every operation says why it
/// is none.
#[test]
fn fields_and_operations_say_why_they_are_not_used() {
    let line =
        "{\"level\":\"info\",\"method\":\"GET\",\"path\":\"/a\",\"duration\":12,\"msg\":\"x\"}";
    check(
        "{}",
        line,
        &[
            "duration = 12 (key `duration`); not used: the unit is missing: name the key `duration_ms` or \
         `duration_s`, or write the unit, as in `12ms`",
            "http.request.method = \"GET\" (key `method`)",
            "request  no: the line has no status",
            "query    no: the line has no SQL statement",
            "function no: the message names no function",
            "error    no: the level is INFO and there is no stack trace",
        ],
    );
    check(
        "{}",
        "method=GET path=/a status=ok latency=fast",
        &["ok (key `status`); not used: it is no status", "not used: it is no duration"],
    );
    check(
        "{}",
        "method=GET path=/a/17 status=500 duration_ms=12",
        &["request  yes: GET /a/{id} 500, 0.012 s"],
    );
}

/// Guarantees: the span says why there is none; the reason is the one that a sidecar counts.
#[test]
fn spans_say_why_there_is_none() {
    let ids = "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"span_id\":\"b7ad6b7169203331\"";
    let request = "\"level\":\"info\",\"method\":\"GET\",\"path\":\"/a\",\"status\":200";
    for (line, expected) in [
        (
            format!("{{{request},\"duration_ms\":3,{ids}}}"),
            "the application has made the span itself",
        ),
        (format!("{{{request},\"duration_ms\":3}}"), "the line has no id of a trace or a request"),
        (
            format!("{{{request},{ids}}}"),
            "no request, query or function that ended with a duration",
        ),
        (format!("{{{request},\"duration_ms\":3,{ids},\"trace_flags\":\"00\"}}"), "not sampled"),
        (
            format!("{{{request},\"duration_ms\":3,\"request_id\":\"17\"}}"),
            "span     SERVER GET /a",
        ),
    ] {
        check("{}", &line, &[expected]);
    }
}

/// Guarantees: a rule says what it records, and which labels and values are absent.
#[test]
fn rules_say_what_they_record_and_what_is_absent() {
    let rules = "
rules:
  - name: sold
    when: 'event == \"sold\"'
    counter: {name: sold_total, labels: {shop: shop, clerk: clerk}}
  - name: weight
    histogram: {name: weight, value: weight}
";
    check(
        rules,
        "{\"event\":\"sold\",\"shop\":\"A\",\"weight\":\"heavy\"}",
        &[
            "sold: yes",
            "sold_total{shop=\"A\",clerk=\"\"} 1; label `clerk` is empty: `clerk` is absent or no value",
            "weight: no, `weight` is \"heavy\", which is no number",
        ],
    );
    check(
        rules,
        "{\"event\":\"kept\"}",
        &["sold: no, its condition is not true", "weight: no, the field `weight` is absent"],
    );
}

/// Guarantees: the records are those of a sidecar: a line that a format matches starts one.
#[test]
fn records_are_those_of_a_sidecar() {
    let found = explained(
        "formats:\n  - {name: mine, python: '%(message)s (%(levelname)s)'}\n",
        "ERROR:a:no\nTraceback (most recent call last):\n  File \"x\", line 1\n  sold (INFO)\n",
    );
    assert_eq!(found.matches("level    ").count(), 2, "{found}");
    assert!(found.contains("format   own: mine (python)"), "{found}");
}

/// Guarantees: the summary of a file gives the shares of formats, levels and times, and one example
/// of each kind that is not understood, however often it occurs.
#[test]
fn a_file_is_summarised() {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    for number in 0..300 {
        writeln!(file, "{{\"time\":\"2026-01-02T03:04:05Z\",\"level\":\"info\",\"n\":{number}}}")
            .expect("a buffer with free space");
        writeln!(file, "~~ {number} orders").expect("a buffer with free space");
        writeln!(file, "10.0.0.1 - - [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5")
            .expect("a buffer with free space");
    }
    writeln!(file, "2026-01-02 03:04:05 x\u{7}y\nERROR:a:no\nTraceback (most recent call last):\n  File \"x\", line 1\nE: m").expect("a buffer with free space");
    // a directive is understood, although it has no time
    writeln!(file, "#Fields: date time cs-method cs-uri-stem sc-status").expect("free space");
    let own = "formats:\n  - {python: '  <%(levelname)s> at=%(asctime)s %(message)s'}\n";
    // the second starts a record, although a traceback precedes it
    for _ in 0..2 {
        writeln!(file, "  <INFO> at=2026-01-02 03:04:05,678 order").expect("free space");
    }
    let config = config(own);
    let rules = dry_run(&config.rules, config.limits).expect("valid rules");
    let found =
        summary::summarise(file.path(), Style::PLAIN, &config, &rules).expect("a readable file");
    for text in [
        "905 records in 908 lines",
        "json           300    33.1 %   100.0 %   100.0 %         0",
        "access         300    33.1 %     0.0 %   100.0 %       300",
        "plain          301    33.3 %     0.0 %     0.0 %         0",
        "own              2     0.2 %   100.0 %   100.0 %         0",
        "300 records without level and time: ? number word\n  line 2: ~~ 0 orders",
        "1 records without level: time word?word\n  line 901: 2026-01-02 03:04:05 x\\u{7}y",
        "1 records without time: level:word:word\n  line 902: ERROR:a:no",
    ] {
        assert!(found.contains(text), "no {text:?} in\n{found}");
    }
    assert_eq!(found.matches("records without").count(), 3, "{found}");
}

/// Bug: the explanation called the line of an error a request, which the pipeline does not count.
#[test]
fn the_line_of_an_error_is_no_request() {
    let line = |more: &str| {
        format!(
            "{{\"method\":\"GET\",\"path\":\"/a\",\"status\":500{more},\"err\":{{\"type\":\"E\",\
             \"stack\":\"E: no\\n    at f (a.js:1:2)\"}}}}"
        )
    };
    check("{}", &line(""), &["request  no: it has an exception and no duration"]);
    check("{}", &line(",\"duration_ms\":5"), &["request  yes: GET /a 500, 0.005 s"]);
}

/// Guarantees: a duration without a unit in a message says which name it needs, as in a structured
/// line.
#[test]
fn a_duration_in_a_message_needs_a_unit() {
    check(
        "{}",
        "INFO:shop:GET /users/17 200 duration=12",
        &[
            "request  yes: GET /users/{id} 200, no duration",
            "the unit is missing: name the key `duration_ms` or `duration_s`, or write the unit",
        ],
    );
    check("{}", "INFO:shop:GET /a 200 (12 ms)", &["request  yes: GET /a 200, 0.012 s"]);
    check("{}", "INFO:shop:GET /a 200 duration_ms=12", &["request  yes: GET /a 200, 0.012 s"]);
}

/// Guarantees: each segment that is replaced, or that stays although it has digits, has its rule or
/// pattern and the setting that changes it; words are not mentioned.
#[test]
fn segments_of_a_route_have_their_rule() {
    let line = |path: &str| format!("method=GET path={path} status=200");
    check(
        "{}",
        &line("/articles/how-to-17-things/5/v1"),
        &[
            "route    \"how-to-17-things\" becomes {id}: it has 16 characters or more, and 2 digits or \
             more; `metrics.routes.keep` changes it",
            "         \"5\" becomes {id}: it has digits and no letters; `metrics.routes.keep` changes it",
            "         \"v1\" stays: it has few digits and no form of an id; `metrics.routes.fold` changes it",
        ],
    );
    let rules = "metrics: {routes: {keep: ['how-to-*'], fold: ['/blog/{slug}', '/files/**']}}\n";
    check(
        rules,
        &line("/articles/how-to-17-things"),
        &["\"how-to-17-things\" stays: the pattern `how-to-*`; `metrics.routes.keep` changes it"],
    );
    check(
        rules,
        &line("/blog/hello"),
        &["\"hello\" becomes {slug}: the pattern `/blog/{slug}`; `metrics.routes.fold` changes it"],
    );
    check(rules, &line("/files/a/b"), &["\"a\" becomes {rest}: the pattern `/files/**`"]);
    assert!(!explained("{}", &line("/users/list")).contains("route "), "words are not mentioned");
}

/// Guarantees: on a terminal nothing is wider than it, also without colours.
#[test]
fn an_explanation_fits_the_terminal() {
    let config = Config::default();
    let rules = dry_run(&config.rules, config.limits).expect("valid rules");
    let line = format!(
        "{{\"level\":\"info\",\"msg\":\"{}\",\"method\":\"GET\",\"path\":\"/a/how-to-17-things/{}\",\
         \"status\":200,\"duration\":12}}",
        "word ".repeat(30),
        "x".repeat(90)
    );
    for columns in [40, 60, 80, 140] {
        let style = Style { colour: false, columns: Some(columns) };
        let found = text_of(&line, &config, &rules, style);
        for row in found.lines() {
            assert!(row.chars().count() <= columns, "{columns}: {row:?}");
        }
        // the marks are below their part of the line
        let first: String = found.lines().next().expect("the line").chars().take(20).collect();
        assert_eq!(first, line.chars().take(20).collect::<String>());
        assert!(
            found.lines().nth(1).is_some_and(|marks| marks.starts_with("          ^~~~")),
            "{found}"
        );
    }
}

/// Guarantees: on a terminal the line comes first, each field underlined where it was found in the
/// colour of its name below; a value with escapes is found, too; the line controls no terminal.
#[test]
fn each_field_is_underlined_where_it_was_found() {
    let config = Config::default();
    let rules = dry_run(&config.rules, config.limits).expect("valid rules");
    let print = |line: &str, colour: bool| {
        text_of(line, &config, &rules, Style { colour, columns: Some(80) })
    };
    let found = print("{\"level\":\"warn\",\"msg\":\"a \\\"b\\\"\"}", true);
    let names: Vec<&str> = found.lines().filter(|line| line.contains(" = ")).collect();
    let line = found.lines().next().expect("the line");
    for (value, name) in [("warn", "severity_text"), ("a \\\"b\\\"", "body")] {
        let painted =
            line.split("\x1b[4;").find(|piece| piece.contains(&format!("m{value}\x1b[0m")));
        let colour = painted.and_then(|piece| piece.split('m').next()).expect(line);
        assert!(
            names.iter().any(|row| row.contains(&format!("\x1b[{colour}m{name}\x1b[0m"))),
            "{value} has colour {colour}, but {name} has not: {names:?}"
        );
    }
    assert!(found.contains("\x1b[33mWARN\x1b[0m"), "{found}");
    let marked = print("level=info msg=\"x y\" dur=1", false);
    assert!(
        marked.starts_with("level=info msg=\"x y\" dur=1\n      ^~~~      ^~~\n\n"),
        "{marked}"
    );
    assert!(!marked.contains('\x1b'), "{marked}");
    assert!(!print("a\x1b[2Jb", true).contains("\x1b[2J"));
}

/// Guarantees: `--json` gives one object per record; the place of a field contains its value; rules
/// say whether they matched, what they recorded, and why not.
#[test]
fn scripts_get_one_object_per_record() {
    let rules = "
rules:
  - name: sold
    when: 'event == \"sold\"'
    extract: '(?<count>[0-9]+) pieces'
    counter: {name: sold_total, labels: {count: {capture: count}}}
";
    let config = config(rules);
    let compiled = dry_run(&config.rules, config.limits).expect("valid rules");
    let input = "{\"event\":\"sold\",\"level\":\"info\",\"msg\":\"7 pieces\"}\n\
         {\"method\":\"GET\",\"path\":\"/a/17\",\"status\":200,\"duration_ms\":12,\"request_id\":\"1\"}\n";
    let text = json_of(input, &config, &compiled);
    let objects: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("one object")).collect();
    let [sold, request] = &objects[..] else { panic!("two records: {text}") };
    for object in &objects {
        let line = object["line"].as_str().expect("the line");
        let fields = object["fields"].as_array().expect("fields");
        assert!(fields.len() >= 3, "{fields:?}");
        for field in fields {
            let at = |name: &str| field[name].as_u64().expect("a place") as usize;
            assert_eq!(Some(&line[at("start")..at("end")]), field["value"].as_str(), "{field}");
        }
    }
    let rule = &sold["rules"][0];
    assert_eq!((rule["name"].as_str(), rule["matched"].as_bool()), (Some("sold"), Some(true)));
    assert_eq!(rule["captures"]["count"], "7", "{rule}");
    assert_eq!(rule["actions"][0], "sold_total{count=\"7\"} 1", "{rule}");
    assert_eq!(sold["span"], serde_json::Value::Null);
    assert_eq!(sold["level"], "INFO");
    assert_eq!(request["rules"][0]["matched"], false);
    assert_eq!(request["rules"][0]["reason"], "the field `event` is absent");
    assert_eq!(request["operations"]["request"]["reported"], true);
    let segments = request["segments"].as_array().expect("segments");
    let becomes: Vec<Option<&str>> =
        segments.iter().map(|segment| segment["becomes"].as_str()).collect();
    assert_eq!(becomes, [None, Some("{id}")], "{request}");
    assert_eq!(segments[1]["setting"], "metrics.routes.keep");
    assert_eq!(request["span"]["name"], "GET /a/{id}");
    assert_eq!(request["verdict"]["status"], "pass");
    let is_counted = |sample: &serde_json::Value| {
        sample["name"] == "http_requests_total" && sample["labels"]["endpoint"] == "/a/{id}"
    };
    assert!(request["series"].as_array().expect("series").iter().any(is_counted), "{request}");
    assert_eq!(request["readers"][0]["read"], true);
}
