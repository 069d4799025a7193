//! A differential test: lines written from random parts in a layout are read back exactly, and
//! random text without a header has none.

use super::*;
use std::fmt::Write as _;

/// The random parts of a line.
#[derive(Clone, Debug)]
struct RandomLine {
    digits: [u32; 6],
    level: usize,
    logger: &'static str,
    thread: &'static str,
    message: String,
}

fn message() -> impl Strategy<Value = String> {
    let words =
        "(order|stock|error|info|warning|user|failed|the|debug|level|not|is|critical|trace)";
    let more = "( (order|17|x7|404|took|of|ERROR|error|info|WARN)){0,5}";
    let end = "( - x| \\| y|: z| \\[b\\] c|)";
    proptest::string::string_regex(&format!("{words}{more}{end}")).expect("a valid expression")
}

fn parts() -> impl Strategy<Value = RandomLine> {
    let loggers = vec!["app.views", "com.shop.Orders", "o.s.w.Dispatcher", "a.b_c", "shop.orders"];
    let threads = vec!["main", "worker", "http-nio-8080-exec-1", "pool-1-thread-2"];
    let digits = (1u32..=12, 1u32..=28, 0u32..24, 0u32..60, 0u32..60, 0u32..1_000_000);
    (digits, 0usize..5, prop::sample::select(loggers), prop::sample::select(threads), message())
        .prop_map(|((a, b, c, d, e, f), level, logger, thread, message)| RandomLine {
            digits: [a, b, c, d, e, f],
            level,
            logger,
            thread,
            message,
        })
}

/// Layouts: `T` is the time of the second column, `L` the level in the spelling of the third, `G`
/// the logger, `H` the thread, `M` the message. In the time, the letters stand for its parts.
const LAYOUTS: [(&str, &str, &str); 24] = [
    ("T - G - L - M", "2026-mm-dd hh:nn:ss,fff", "DEBUG INFO WARNING ERROR CRITICAL"),
    ("L:G:M", "", "DEBUG INFO WARNING ERROR CRITICAL"),
    ("[T] L in app: M", "2026-mm-dd hh:nn:ss,fff", "DEBUG INFO WARNING ERROR CRITICAL"),
    ("T  L 7 --- [H] G : M", "2026-mm-ddThh:nn:ss.fffZ", "TRACE DEBUG INFO WARN ERROR"),
    ("T [H] L G - M", "hh:nn:ss.fff", "TRACE DEBUG INFO WARN ERROR"),
    ("T [H] L G - M", "2026-mm-dd hh:nn:ss,fff", "TRACE DEBUG INFO WARN ERROR"),
    ("T | L | a:f:12 - M", "2026-mm-dd hh:nn:ss.fff", "DEBUG INFO WARNING ERROR CRITICAL"),
    ("T | L | G | M", "2026-mm-dd hh:nn:ss.fff", "DEBUG INFO WARNING ERROR CRITICAL"),
    ("T L M", "2026/mm/dd hh:nn:ss", "DEBUG INFO WARN ERROR FATAL"),
    ("[T L G] M", "2026-mm-ddThh:nn:ssZ", "TRACE DEBUG INFO WARN ERROR"),
    ("[T L] M", "hh:nn:ss", "VRB DBG INF WRN ERR"),
    ("T L [H] G: M", "2026-mm-dd hh:nn:ss,fff", "DEBUG INFO WARN ERROR FATAL"),
    ("[T] [L] G - M", "2026-mm-ddThh:nn:ss.fff", "TRACE DEBUG INFO WARN ERROR"),
    ("[T] [L] M", "2026-mm-dd hh:nn:ss,fff", "DEBUG INFO WARNING ERROR CRITICAL"),
    ("L:     M", "", "DEBUG INFO WARNING ERROR CRITICAL"),
    ("T 7 [L] M", "2026-mm-ddThh:nn:ss.ffffffZ", "Note Warning ERROR Note ERROR"),
    ("T L G: M", "26/mm/dd hh:nn:ss", "TRACE DEBUG INFO WARN ERROR"),
    ("T  L G: M", "2026-mm-ddThh:nn:ss.ffffffZ", "TRACE DEBUG INFO WARN ERROR"),
    ("1:M T L M", "dd Jan 2026 hh:nn:ss.fff", "* * * # #"),
    ("[T] app.L: M", "2026-mm-ddThh:nn:ss.ffffff+00:00", "DEBUG INFO NOTICE ALERT ERROR"),
    ("T\tL\tG\tM", "2026-mm-ddThh:nn:ss.fffZ", "debug info warn error fatal"),
    ("[T] [L] M", "Sun Dec dd hh:nn:ss 2026", "debug info notice warn error"),
    ("T  7  8 L app: M", "mm-dd hh:nn:ss.fff", "V D I W E"),
    ("L, [T #7]  L -- app: M", "2026-mm-ddThh:nn:ss.ffffff", "DEBUG INFO WARN ERROR FATAL"),
];

/// Fills the letters of a time.
fn time(pattern: &str, [month, day, hour, minute, second, fraction]: [u32; 6]) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let run = rest.len() - rest.trim_start_matches(first).len();
        let value = match first {
            'm' => month,
            'd' => day,
            'h' => hour,
            'n' => minute,
            's' => second,
            'f' => fraction % 10u32.pow(run as u32),
            _ => {
                out.push_str(&rest[..run]);
                rest = &rest[run..];
                continue;
            }
        };
        if run > 1 {
            write!(out, "{value:0run$}").expect("a string takes all");
        } else {
            out.push(first);
        }
        rest = &rest[run..];
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Guarantees: time, level, logger and message of every layout are those that were written.
    #[test]
    fn property_what_was_written_is_read_back(parts in parts()) {
        for (layout, pattern, levels) in LAYOUTS {
            let at = time(pattern, parts.digits);
            let level = levels.split(' ').nth(parts.level).expect("five levels");
            let mut line = String::new();
            let mut expected = Vec::new();
            for letter in layout.chars() {
                match letter {
                    'T' => line.push_str(&at),
                    'L' if layout.starts_with("L, ") && line.is_empty() => {
                        line.push_str(&level[..1]);
                    }
                    'L' => line.push_str(level),
                    'G' => line.push_str(parts.logger),
                    'H' => line.push_str(parts.thread),
                    'M' if layout.starts_with("1:M") && line.len() == 2 => line.push('M'),
                    'M' => line.push_str(&parts.message),
                    other => line.push(other),
                }
            }
            if !at.is_empty() {
                expected.push(("timestamp", at.as_str()));
            }
            expected.push(("severity_text", level));
            if layout.contains('G') {
                expected.push(("logger.name", parts.logger));
            }
            expected.push(("body", parts.message.as_str()));
            let into = decode(&line);
            let found = all_of(&line, &into);
            for (name, value) in expected {
                let is_read = found.get(name).is_some_and(|read| read == value);
                prop_assert!(is_read, "{}: {} = {:?} is not in {:?}", line, name, value, found);
            }
        }
    }

    /// Guarantees: a sentence has no level and no time, whatever words it has.
    #[test]
    fn property_text_without_a_header_has_none(
        text in "[a-z]{1,8}( (the|of|an|error|info|warning|ERROR|at|[a-z]{2,8}|[0-9]{1,3}|x-y)){1,8}[.!]?"
    ) {
        let into = decode(&text);
        let found = all_of(&text, &into);
        let has_header = found.contains_key("severity_text") || found.contains_key("timestamp");
        prop_assert!(!has_header, "{}: {:?}", text, found);
    }
}
