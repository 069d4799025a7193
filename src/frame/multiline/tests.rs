//! Tests which lines are joined, against a naive joiner and with cuts at every byte.

use super::*;
use proptest::prelude::*;

/// Walks whole lines as the pipeline does; returns every record with its number of lines.
fn records(block: &[u8]) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut start = 0;
    while start < block.len() {
        let first_end = line_end(block, start);
        if LineKind::of(&block[start..first_end]) == LineKind::Empty {
            start = first_end;
            continue;
        }
        let (end, lines) = joined(block, start, first_end);
        found.push((String::from_utf8_lossy(&block[start..end]).into_owned(), lines));
        start = end;
    }
    found
}

/// A naive connection: reads end at `cuts`; complete records are processed after each read, the
/// rest at the end.
fn connection(stream: &[u8], cuts: &[usize]) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut tail = Vec::new();
    let mut from = 0;
    for &cut in cuts.iter().chain([&stream.len()]) {
        tail.extend_from_slice(&stream[from..cut]);
        from = cut;
        let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let settled = settled(&tail[..whole]);
        found.extend(records(&tail[..settled]));
        tail.drain(..settled);
    }
    found.extend(records(&tail));
    found
}

/// Checks records; `=` at the start of a line marks that it continues the record.
#[track_caller]
fn check(marked: &str) {
    let mut expected: Vec<(String, u64)> = Vec::new();
    for line in marked.split_inclusive('\n') {
        match line.strip_prefix('=') {
            Some(line) => {
                let (text, lines) = expected.last_mut().expect("a record to continue");
                text.push_str(line);
                *lines += u64::from(!line.trim().is_empty());
            }
            None if line.trim().is_empty() => {}
            None => expected.push((line.to_string(), 1)),
        }
    }
    let stream = marked.replace("\n=", "\n");
    assert_eq!(records(stream.as_bytes()), expected, "{stream}");
    for cut in 0..=stream.len() {
        assert_eq!(connection(stream.as_bytes(), &[cut]), expected, "cut at {cut}: {stream}");
    }
    let every: Vec<usize> = (0..stream.len()).collect();
    assert_eq!(connection(stream.as_bytes(), &every), expected, "byte by byte: {stream}");
}

const TEXT: &str = "2026-01-01 10:00:00,123 - shop - ERROR - failed\n";
const TRACE: &str =
    "=Traceback (most recent call last):\n=  File \"a.py\", line 3, in f\n=    g()\n=    ~^^\n";
const GROUP: &str = "=  + Exception Group Traceback (most recent call last):\n=  |   File \"a.py\", line 1, in <module>\n=  |     raise eg\n=  | ExceptionGroup: many (2 sub-exceptions)\n=  +-+---------------- 1 ----------------\n=    | ValueError: 1\n=    +---------------- 2 ----------------\n=    | TypeError: 2\n=    +------------------------------------\n";

/// Scenario: what CPython writes after a text line, cut at every byte. Guarantees: the records are
/// the same.
#[test]
fn records_of_a_stream() {
    let chain = "=\n=During handling of the above exception, another exception occurred:\n=\n";
    let cause = "=\n=The above exception was the direct cause of the following exception:\n=\n";
    for marked in [
        format!("{TEXT}{TRACE}=ValueError: no\n{TEXT}"),
        format!("{TEXT}{TRACE}=ValueError: no\n\n{TEXT}"),
        format!("{TEXT}{TRACE}=ValueError: no"),
        format!("{TEXT}{TRACE}=KeyboardInterrupt\n{TEXT}"),
        format!("{TEXT}{TRACE}=KeyboardInterrupt\nfield\n  indented\n"),
        format!("{TEXT}{TRACE}=a.b.<locals>.E: x\n=  more\n{TEXT}"),
        format!("{TEXT}{TRACE}=KeyError: 'a'\n{chain}{TRACE}=E: no\n{TEXT}"),
        format!("{TEXT}{TRACE}=KeyError: 'a'\n{cause}{TRACE}=E: no\n{chain}{TRACE}=F: no\nplain\n"),
        format!("{TEXT}{TRACE}=KeyError: 'a'\n{chain}{GROUP}{TEXT}"),
        format!("{TEXT}{GROUP}{chain}{TRACE}=E: no\n{TEXT}"),
        format!("{TEXT}{TRACE}=KeyError: 'a'\n{}\nnext\n", chain.trim_end_matches("=\n")),
        format!(
            "{TEXT}{TRACE}=E: two\nlines of it\n\nDuring handling of the above exception, another exception occurred:\n=\n{TRACE}=F: x\n"
        ),
        format!("{TEXT}{TRACE}=KeyError: 'a'\n\nplain\n"),
        format!("{TEXT}{TRACE}=KeyError: 'a'\n\n\nplain\n"),
        format!("{TEXT}{TRACE}=KeyError: 'a'\n=\n{cause}=\n{TRACE}=E: no\n{TEXT}"),
        format!("{TEXT}{TRACE}INFO: still alive\n{TEXT}"),
        format!("{TEXT}{TRACE}plain words\n"),
        format!("{TEXT}=Traceback (most recent call last):\n=E: x\n{TEXT}"),
        format!("{TEXT}=NoneType: None\n{TEXT}"),
        format!("{TEXT}=NoneType: None\n  indented\n"),
        format!(
            "{TEXT}=Stack (most recent call last):\n=  File \"a.py\", line 1, in <module>\n=    f()\n{TEXT}"
        ),
        format!("{TEXT}{TRACE}=E: x\n=Stack (most recent call last):\n=  File \"a.py\"\n{TEXT}"),
        format!("{TEXT}=future: <Task finished name='Task-1'>\n{TRACE}=E: x\n{TEXT}"),
        format!(
            "{TEXT}{TRACE}=pydantic.ValidationError: 2 errors for M\n=items.0.x\n=  Input should be\n=    For further\n=y[1]\n=  Input\n{TEXT}"
        ),
        format!("{TEXT}{TRACE}=pydantic.ValidationError: 2 errors for M\ntick\ntick\n"),
        format!(
            "{TEXT}{TRACE}=psycopg2.errors.UniqueViolation: duplicate\n=DETAIL:  Key (id)=(1)\n{TEXT}"
        ),
        format!(
            "{TEXT}{TRACE}=sqlalchemy.exc.E: x\n=[SQL: SELECT a\n=FROM t\n=WHERE a = ?]\n=[parameters: (1,)]\n=(Background on this error at: https://sqlalche.me/e/20/x)\n{TEXT}"
        ),
        format!("{TEXT}{TRACE}=E: x\na note of PEP 678\n{TEXT}"),
        format!("{TEXT}=  indented\n=  more\n{TEXT}"),
        format!("{TEXT}   26 myapp.area1     ERROR    x\n   27 myapp ERROR x\n"),
        format!("{TEXT}    INFO - x\n WARNING - x\n"),
        String::from("plain\n  indented\n  more\n"),
        format!("{TEXT}{TRACE}=E: x\n{}", &TRACE.replacen('=', "", 1)),
        // a traceback that follows nothing, or follows a line to which no lines are joined
        format!("{}=E: x\n{TEXT}", TRACE.replacen('=', "", 1)),
        format!("{}{TEXT}", GROUP.replacen('=', "", 1)),
        format!("{{\"a\":1}}\n{}=E: x\n{TEXT}", TRACE.replacen('=', "", 1)),
        format!("level=error msg=x\n{}=E: x\n{{}}\n", TRACE.replacen('=', "", 1)),
        format!(
            "1.2.3.4 - - [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n{}=E: x\n",
            TRACE.replacen('=', "", 1)
        ),
        String::from(
            "Foo: bar\nFoo: bar\nKeyboardInterrupt\ntick\n=Traceback (most recent call last):\n=E: x\n",
        ),
    ] {
        check(&marked);
        check(&marked.replace('\n', "\r\n"));
    }
}

/// Scenario: a block that ends with lines to which no lines are joined, or with a text line.
/// Guarantees: only the text line and the lines joined to it are held.
#[test]
fn what_is_held() {
    for (block, held) in [
        ("{\"a\":1}\n{\"a\":1}\n", ""),
        ("level=info msg=x\n", ""),
        ("time=2026-01-01T10:00:00Z level=info\n", ""),
        ("@timestamp=1 msg=x\n", ""),
        ("1.2.3.4 - bob [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n", ""),
        ("::1 - - [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n", ""),
        ("", ""),
        ("\n\n", ""),
        ("INFO:a:b\n", "INFO:a:b\n"),
        ("{}\nINFO:a:b\n{}\n", ""),
        ("INFO:a:b\nINFO:a:b\n", "INFO:a:b\n"),
        ("INFO:a:b\n\n", "INFO:a:b\n\n"),
        ("plain\n\n", ""),
        ("INFO:a:b\nplain\n", "INFO:a:b\nplain\n"),
        ("plain\nplain\n", "plain\n"),
        ("INFO:a:b\nNoneType: None\n", ""),
        (
            "x\nTraceback (most recent call last):\n  File\n",
            "x\nTraceback (most recent call last):\n  File\n",
        ),
        (
            "x\nTraceback (most recent call last):\n  File\nE: y\n\n",
            "x\nTraceback (most recent call last):\n  File\nE: y\n\n",
        ),
        ("x\nTraceback (most recent call last):\n  File\nE: y\n\n\n\n", ""),
        ("x\nTraceback (most recent call last):\n  File\nE: y\n{}\n", ""),
    ] {
        assert_eq!(&block[settled(block.as_bytes())..], held, "{block:?}");
    }
}

/// Scenario: tracebacks beyond the limits. Guarantees: the record ends at the limit and the
/// remaining lines are separate records, wherever the stream is cut.
#[test]
fn bounds() {
    let long = format!("{TEXT}Traceback (most recent call last):\n{}{TEXT}", "  x\n".repeat(3000));
    let found = records(long.as_bytes());
    assert_eq!(found[0].1, JOINED_LINES_MAX as u64);
    assert_eq!(found.iter().map(|(_, lines)| lines).sum::<u64>(), 3003);
    let wide = format!(
        "{TEXT}Traceback (most recent call last):\n{}{TEXT}",
        format!("  {}\n", "x".repeat(997)).repeat(200)
    );
    let found = records(wide.as_bytes());
    assert!(found[0].0.len() <= JOINED_BYTES_MAX && found[0].0.len() > JOINED_BYTES_MAX - 1000);
    for stream in [long, wide] {
        let expected = records(stream.as_bytes());
        for step in [997, 4096, 30_011] {
            let cuts: Vec<usize> = (1..stream.len()).step_by(step).collect();
            assert_eq!(connection(stream.as_bytes(), &cuts), expected);
        }
    }
}

/// Scenario: what CPython 3.11's `logging` wrote for exceptions of every kind, with a JSON line
/// between two of them. Guarantees: one record each.
#[test]
fn what_cpython_wrote() {
    let log = include_str!("cpython.log");
    let expected: Vec<String> = log
        .split_inclusive("{}\n")
        .flat_map(|both| [both.trim_end_matches("{}\n"), "{}\n"])
        .map(str::to_string)
        .take(11)
        .collect();
    // the tests above cut at every byte; here each line is cut at a different position
    for cut in (0..=log.len()).step_by(13) {
        let found = connection(log.as_bytes(), &[cut]);
        assert_eq!(found.into_iter().map(|(text, _)| text).collect::<Vec<_>>(), expected);
    }
}

const PIECES: [&str; 50] = [
    "2026-01-01 10:00:00 - a - INFO - x",
    "{\"a\":1}",
    "a=1 b=2",
    "1.2.3.4 - - [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5",
    "Traceback (most recent call last):",
    "Traceback (most recent call last):",
    "  + Exception Group Traceback (most recent call last):",
    "Stack (most recent call last):",
    "  File \"a.py\", line 1",
    "    | ValueError: x",
    "\tx",
    "ValueError: x",
    "a.b.Error: x",
    "KeyboardInterrupt",
    "items.0",
    "a[0]",
    "DETAIL: x",
    "FROM t",
    "",
    "",
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
    "NoneType: None",
    "future: <Task>",
    "java.lang.IllegalStateException: x",
    "plain words",
    "    at f (/srv/app/x.js:1:2)",
    "Caused by: java.io.IOException: x",
    "Nov 29, 2026 9:01:02 PM App main",
    "SEVERE: x",
    "panic: x",
    "goroutine 1 [running]:",
    "main.main()",
    "\t/srv/app/main.go:12 +0x1",
    "/srv/app/x.js:3",
    "thread 'main' panicked at src/main.rs:2:5:",
    "stack backtrace:",
    "note: Some details are omitted",
    "x.rb:3:in 'f'",
    "x.rb:3:in 'f': x (RuntimeError)",
    "\tfrom x.rb:6:in '<main>'",
    "#0 /app/x.php(6): f()",
    "Next LogicException: x",
    "** (RuntimeError) x",
    "=ERROR REPORT==== 29-Nov-2026::18:14:45.479123 ===",
    "{badarith,[]}",
    "fail: Shop.Worker[0]",
    "      200 orders",
    "    INFO - x",
    "}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Any lines in any order, cut anywhere, give the same records as uncut; only empty lines are
    /// lost.
    #[test]
    fn property_any_cut_gives_the_same_records(
        lines in proptest::collection::vec((0..PIECES.len(), 0..8u8), 0..14),
        mut cuts in proptest::collection::vec(0usize..600, 0..6),
        last_newline in any::<bool>(),
    ) {
        let mut stream = String::new();
        for (piece, end) in &lines {
            stream.push_str(PIECES[*piece]);
            stream.push_str(if *end == 0 { "\r\n" } else { "\n" });
        }
        if !last_newline {
            stream.pop();
        }
        let stream = stream.as_bytes();
        let expected = records(stream);
        cuts.retain(|cut| *cut <= stream.len());
        cuts.sort_unstable();
        prop_assert_eq!(connection(stream, &cuts), expected.clone());
        for cut in 0..=stream.len() {
            prop_assert_eq!(connection(stream, &[cut]), expected.clone(), "cut at {}", cut);
        }
        let nonempty = lines.iter().filter(|(piece, _)| !PIECES[*piece].is_empty()).count();
        prop_assert_eq!(expected.iter().map(|(_, lines)| lines).sum::<u64>(), nonempty as u64);
    }

    /// No bytes cause a panic, and `settled` never exceeds the block.
    #[test]
    fn property_any_bytes(block in "(\\PC|\n|T|  ){0,60}") {
        prop_assert!(settled(block.as_bytes()) <= block.len());
        records(block.as_bytes());
    }
}

/// Writes `stream` with `~` before every joined line.
fn marked(stream: &str) -> String {
    let mut out = String::new();
    let mut start = 0;
    while start < stream.len() {
        let first_end = line_end(stream.as_bytes(), start);
        let is_empty = LineKind::of(&stream.as_bytes()[start..first_end]) == LineKind::Empty;
        let end = if is_empty { first_end } else { joined(stream.as_bytes(), start, first_end).0 };
        out.push_str(&stream[start..first_end]);
        for line in stream[first_end..end].split_inclusive('\n') {
            out.push('~');
            out.push_str(line);
        }
        start = end;
    }
    out
}

/// Scenario: the output of runtimes and loggers, one file each; joined lines are marked by `~`.
/// Guarantees: the records are the same, wherever the stream is cut, at the end or in the middle of
/// a line.
#[test]
fn what_runtimes_wrote() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/frame/multiline/runtimes");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|end| end != "log") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a text");
        let stream: String =
            text.split_inclusive('\n').map(|l| l.strip_prefix('~').unwrap_or(l)).collect();
        let found = marked(&stream);
        if std::env::var("UPDATE").is_ok() {
            std::fs::write(&path, &found).expect("written");
            continue;
        }
        assert_eq!(found, text, "{}", path.display());
        let expected = records(stream.as_bytes());
        let mut cuts: Vec<usize> = stream.match_indices('\n').map(|(at, _)| at + 1).collect();
        for step in [7, 13, 64] {
            cuts.extend((0..stream.len()).step_by(stream.len() / step + 1));
        }
        for cut in cuts {
            let found = connection(stream.as_bytes(), &[cut]);
            assert_eq!(found, expected, "{} cut at {cut}", path.display());
        }
        count += 1;
    }
    assert!(std::env::var("UPDATE").is_ok() || count >= 8, "{count} files");
}

/// Scenario: a record with more lines after its first than are ever held for a stack, then the
/// stack. Guarantees: the lines are separate records, wherever the stream is cut.
#[test]
fn lines_are_held_for_a_while() {
    let trace = TRACE.replace('=', "");
    for (lines, count) in [(3, 2), (32, 2), (33, 35), (100, 102)] {
        for line in ["plain\n", "E: x\n", "a.b.Error: x\n", "\n"] {
            let stream = format!("{TEXT}{}{trace}E: x\n{TEXT}", line.repeat(lines));
            let expected = records(stream.as_bytes());
            if line == "plain\n" {
                assert_eq!(expected.len(), if lines > 32 { count } else { 2 }, "{lines}");
            }
            for cut in (0..=stream.len()).step_by(7) {
                assert_eq!(connection(stream.as_bytes(), &[cut]), expected, "{lines} cut at {cut}");
            }
        }
    }
}

/// Scenario: a line of colour codes only, which is empty for the grammar, as the first line of a record
/// and as a later one. It was counted as received and never as decoded.
/// Guarantees: the lines of all records are the frames that `receive` counts.
#[test]
fn every_frame_is_a_line_of_a_record() {
    for block in [
        "\u{1b}[31m\n{\"level\":\"info\"}\n",
        "\u{1b}[31m\n    at Object.<anonymous> (/srv/app.js:11:1)\n",
        "Error: a\n\u{1b}[0m\n    at main (/srv/app.js:11:1)\n",
        "ERROR no\n\n\u{1b}[31m\n\r\nTraceback (most recent call last):\n",
    ] {
        let bytes = block.as_bytes();
        let (mut start, mut lines) = (0, 0);
        while start < bytes.len() {
            let first_end = line_end(bytes, start);
            let is_frame = count::frames(&bytes[start..first_end]) == 1;
            let (end, count) =
                if is_frame { joined(bytes, start, first_end) } else { (first_end, 0) };
            lines += count;
            start = end;
        }
        assert_eq!(lines, count::frames(bytes), "{block:?}");
    }
}

/// Scenario: loguru with `colorize=True`, the default on a terminal and in many containers.
/// Guarantees: codes around and inside of the lines of a traceback do not separate it.
#[test]
fn colours_in_a_traceback() {
    let escape = |text: &str| text.replace('~', "\u{1b}[");
    check(&escape(
        "~32m2026-11-30 01:21:07.423~0m | ~31m~1mERROR   ~0m | ~36ma~0m:~36mb~0m:~36m22~0m - ~31m~1mno~0m
=~33m~1mTraceback (most recent call last):~0m
=
=  File \"~32m/srv/~0m~32m~1ma.py~0m\", line ~33m147~0m, in ~35m<module>~0m
=    ~1mglobals~0m~1m(~0m~1m)~0m
=    ~36m    ~0m~36m~1m<module 'sys' (built-in)>~0m
=
=> File \"~32m/srv/~0m~32m~1ma.py~0m\", line ~33m20~0m, in ~35mfour~0m
=    ~1mfail~0m~1m(~0m~1m)~0m
=
=~31m~1mValueError~0m:~1m no stock~0m
~32m2026-11-30 01:21:07.445~0m | ~1mINFO    ~0m | ~36ma~0m:~36mb~0m:~36m23~0m - ~1mon~0m
",
    ));
}

#[test]
fn colours_are_removed_before_a_line_is_classified() {
    for (line, expected) in [
        ("\u{1b}[33m\u{1b}[1mTraceback (most recent call last):\u{1b}[0m", LineKind::Header),
        ("\u{1b}[31m\u{1b}[1mValueError\u{1b}[0m:\u{1b}[1m no stock\u{1b}[0m\n", LineKind::Thrown),
        ("\u{1b}[0m\n", LineKind::Empty),
        ("\u{1b}", LineKind::Other),
    ] {
        assert_eq!(LineKind::of(line.as_bytes()), expected, "{line:?}");
    }
    let long = format!("\u{1b}[1m{}", "x".repeat(5_000));
    assert_eq!(LineKind::of(long.as_bytes()), LineKind::Other);
}

/// Scenario: lines as a container runtime stores them, each with its time and stream.
/// Guarantees: they are joined as the lines inside would be, wherever the stream is cut.
#[test]
fn lines_with_the_prefix_of_a_container_runtime() {
    let wrap = |text: &str| {
        let prefix = "2026-01-02T03:04:05.123456789Z stderr F ";
        let lines = text.lines().map(|line| match line.strip_prefix('=') {
            Some(line) => format!("={prefix}{line}\n"),
            None => format!("{prefix}{line}\n"),
        });
        lines.collect::<String>()
    };
    check(&wrap(
        "2026-01-02 03:04:05,123 ERROR app no
=Traceback (most recent call last):
=  File \"a.py\", line 1, in f
=ValueError: no
2026-01-02 03:04:06,123 INFO app on
{\"level\":\"info\"}
order placed
panic: no
=
=goroutine 1 [running]:
=main.main()
=\t/srv/a.go:3 +0x1d
level=info msg=on
",
    ));
}

/// Scenario: zap's stack in a binary built with `-trimpath`, in which no path begins with a slash.
#[test]
fn stacks_of_go_without_absolute_paths() {
    check(
        "2026-01-02T03:04:05.461Z\tWARN\tshop\tshop/main.go:23\tlow
=main.withZap
=\tlocaldev/shop/main.go:23
=runtime.main
=\truntime/proc.go:290
2026-01-02T03:04:05.461Z\tINFO\tshop\tshop/main.go:24\ton
",
    );
    for line in ["\tsee main.go:23", "\tmain.go:", "\tmain.go:2 of 3"] {
        assert_ne!(LineKind::of(line.as_bytes()), LineKind::Frame, "{line}");
    }
}

/// Scenario: a line that consists of prefixes of a container runtime only.
/// Guarantees: its classification does not recurse as deep as the line is long.
#[test]
fn nested_prefixes_do_not_exhaust_the_stack() {
    for code in ["", "\u{1b}[1m"] {
        let line = format!("2026-01-02T03:04:05.123456789Z stdout F {code}").repeat(30_000);
        assert_eq!(LineKind::of(line.as_bytes()), LineKind::Start);
    }
}
