//! Tests tracebacks after a line, as CPython writes them, and texts that only look like one.

use super::*;

/// Scenario: a record with what CPython writes after it. Guarantees: message and traceback, and
/// type and message of the exception that was raised last.
#[test]
fn tracebacks() {
    let chained = format!(
        "{FRAMES}\nKeyError: 'a'\n\nDuring handling of the above exception, another exception occurred:\n\n{FRAMES}\nshop.errors.Broken: no: \"b\""
    );
    let group = "  + Exception Group Traceback (most recent call last):\n  |   File \"a.py\", line 1, in <module>\n  |     raise eg\n  | ExceptionGroup: many (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n    | ValueError: 1\n    +---------------- 2 ----------------\n    | TypeError: 2\n    +------------------------------------";
    for (traceback, name, message) in [
        (format!("{FRAMES}\nValueError: no"), "ValueError", "no"),
        (format!("{FRAMES}\nValueError: no\nand more\n  of it"), "ValueError", "no\nand more\n  of it"),
        (format!("{FRAMES}\nKeyboardInterrupt"), "KeyboardInterrupt", ""),
        (format!("{FRAMES}\nValueError: "), "ValueError", ""),
        (format!("{FRAMES}\n__main__.f.<locals>.E: x"), "__main__.f.<locals>.E", "x"),
        (
            "Traceback (most recent call last):\n  File \"a.py\", line 1\n    x =\n       ^\nSyntaxError: invalid syntax".to_string(),
            "SyntaxError",
            "invalid syntax",
        ),
        (chained, "shop.errors.Broken", "no: \"b\""),
        (group.to_string(), "ExceptionGroup", "many (2 sub-exceptions)"),
        (
            format!("{group}\n\nThe above exception was the direct cause of the following exception:\n\n{FRAMES}\nOSError: x"),
            "OSError",
            "x",
        ),
    ] {
        for end in ["", "\n", "\r\n"] {
            let line = format!("2026-01-01 10:00:00,123 - shop.orders - ERROR - x - y\n{traceback}{end}");
            let mut expected = vec![
                T,
                NAME,
                ("severity_text", "ERROR"),
                ("body", "x - y"),
                ("exception.stacktrace", &traceback),
                ("exception.type", name),
                ("exception.message", message),
            ];
            expected.retain(|(_, value)| !value.is_empty());
            check(&line, Format::Text, &expected);
        }
        let line = format!("oops\n{traceback}");
        let mut expected = vec![
            ("body", "oops"),
            ("exception.stacktrace", &traceback),
            ("exception.type", name),
            ("exception.message", message),
        ];
        expected.retain(|(_, value)| !value.is_empty());
        check(&line, Format::Plain, &expected);
    }
    check(
        "E, [2026-01-01T10:00:00.123 #7] ERROR -- shop.orders: no: stock (ArgumentError)\na.rb:5:in `x'",
        Format::Text,
        &[
            ("timestamp", "2026-01-01T10:00:00.123"),
            ("severity_text", "ERROR"),
            NAME,
            ("body", "no: stock (ArgumentError)"),
            ("exception.type", "ArgumentError"),
            ("exception.message", "no: stock"),
            ("exception.stacktrace", "a.rb:5:in `x'"),
        ],
    );
    check(
        "ERROR    failed\n     Traceback (most recent call last):  \n       File \"a.py\", line 1, in x  \n         x  \n     ValueError: no  ",
        Format::Text,
        &[
            ("severity_text", "ERROR"),
            ("body", "failed"),
            ("exception.type", "ValueError"),
            ("exception.message", "no"),
            (
                "exception.stacktrace",
                "     Traceback (most recent call last):  \n       File \"a.py\", line 1, in x  \n         x  \n     ValueError: no  ",
            ),
        ],
    );
    check(
        &format!("{FRAMES}\nValueError: no"),
        Format::Text,
        &[
            ("body", "ValueError: no"),
            ("exception.stacktrace", &format!("{FRAMES}\nValueError: no")),
            ("exception.type", "ValueError"),
            ("exception.message", "no"),
        ],
    );
}

/// Scenario: exceptions of every kind as CPython 3.11's `logging` wrote them.
#[test]
fn what_cpython_wrote() {
    let log = include_str!("../../../frame/multiline/cpython.log");
    let expected = [
        ("ZeroDivisionError", "division by zero"),
        ("ExceptionGroup", "many (2 sub-exceptions)"),
        ("SyntaxError", "'(' was never closed"),
        ("RecursionError", "maximum recursion depth exceeded"),
        ("", ""),
        ("FileNotFoundError", "[Errno 2] no"),
    ];
    assert_eq!(log.split("{}\n").count(), expected.len());
    for (record, (name, message)) in log.split("{}\n").zip(expected) {
        let fields = all_of(record, &decode(record));
        let get = |name: &str| fields.get(name).map_or("", String::as_str);
        assert_eq!(get("body"), "failed", "{record}");
        assert_eq!((get("exception.type"), get("exception.message")), (name, message));
    }
}

#[test]
fn lines_behind_that_are_no_traceback() {
    let head = "2026-01-01 10:00:00,123 - INFO - x";
    check(&format!("{head}\nNoneType: None"), Format::Text, &[T, INFO, ("body", "x")]);
    check(
        &format!("{head}\nStack (most recent call last):\n  File \"a.py\", line 3, in f\n    g()"),
        Format::Text,
        &[T, INFO, ("body", "x")],
    );
    check(&format!("{head}\na\n  b\n"), Format::Text, &[T, INFO, ("body", "x\na\n  b")]);
    check(
        &format!("{head}\nmore\n{FRAMES}\nE: m"),
        Format::Text,
        &[
            T,
            INFO,
            ("body", "x\nmore"),
            ("exception.stacktrace", &format!("{FRAMES}\nE: m")),
            ("exception.type", "E"),
            ("exception.message", "m"),
        ],
    );
}

#[test]
fn exceptions_of_a_json_field() {
    for (text, expected) in [
        ("ValueError: no", Some(("ValueError", "no"))),
        ("ValueError", Some(("ValueError", ""))),
        (
            "java.lang.IllegalStateException: no: x\n\tat a.B.c(B.java:1)\n",
            Some(("java.lang.IllegalStateException", "no: x")),
        ),
        (
            "Traceback (most recent call last):\n  File \"a.py\", line 3, in f\nE: m\n",
            Some(("E", "m")),
        ),
        (
            "Traceback (most recent call last):\r\n  File \"a.py\", line 3, in f\r\nE: m\r\n",
            Some(("E", "m")),
        ),
        ("NoneType: None", None),
        ("something failed: badly", None),
        ("Traceback (most recent call last):\n  File \"a.py\", line 3, in f", None),
        ("", None),
    ] {
        let found = traceback::exception_of(text);
        let found = found.map(|(name, message)| (&text[name], &text[message]));
        assert_eq!(found, expected, "{text:?}");
    }
}

/// Scenario: the output of runtimes and loggers, as the joiner combines it. Guarantees: message,
/// and type and message of the exception of every record, as `exceptions.txt` lists them;
/// `UPDATE=1` rewrites the file.
#[test]
fn what_runtimes_wrote() {
    use crate::frame::multiline::joined;
    use std::fmt::Write;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/frame/multiline/runtimes");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .collect();
    paths.sort();
    let mut listed = String::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a text");
        let stream: String =
            text.split_inclusive('\n').map(|line| line.strip_prefix('~').unwrap_or(line)).collect();
        let name = path.file_name().expect("a name").to_string_lossy();
        writeln!(listed, "# {name}").expect("a string takes all");
        let mut start = 0;
        while start < stream.len() {
            let rest = &stream[start..];
            let first_end = start + rest.find('\n').map_or(rest.len(), |end| end + 1);
            let end = joined(stream.as_bytes(), start, first_end).0;
            let record = stream[start..end].trim_end_matches('\n');
            let fields = all_of(record, &decode(record));
            let get = |name: &str| fields.get(name).map_or("", String::as_str);
            let stack = get("exception.stacktrace").lines().next().unwrap_or_default();
            if record.contains('\n') {
                writeln!(
                    listed,
                    "{:?} {} {:?} stack {stack:?}",
                    get("body"),
                    get("exception.type"),
                    get("exception.message"),
                )
                .expect("a string takes all");
            }
            start = end;
        }
    }
    let path = format!("{folder}/exceptions.txt");
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(&path, &listed).expect("written");
    }
    let expected = std::fs::read_to_string(&path).expect("what is expected");
    assert_eq!(listed, expected);
}
