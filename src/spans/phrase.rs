//! Recognizes phrases with which applications report that work started, ended or failed:
//! `API Request: f completed in 0.12s`, `Function slow executed in 0.1250 seconds`,
//! `Starting import`, `sync failed - timeout`. The parser looks at the last bytes first, because
//! nearly no line is a phrase. The name in a phrase leaves the pod as a label and as the name of a
//! span, so only text that looks like the name of a function is accepted. Unit: one message.

use crate::record::number;
use memchr::memchr_iter;

/// Maximum number of bytes of a function's name.
pub(crate) const SUBJECT_BYTES_MAX: usize = 128;

/// What a phrase says about the work.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum PhraseKind {
    /// The work began.
    Started,
    /// The work ended successfully.
    Completed,
    /// The work failed.
    Failed,
}

/// A phrase found in a message.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Phrase<'a> {
    /// What happened.
    pub kind: PhraseKind,
    /// The name of the function, which satisfies [`is_identifier`].
    pub subject: &'a str,
    /// The duration of the work, if the phrase contains it.
    pub seconds: Option<f64>,
}

/// Words that may precede the name. With any other text before it, the phrase is a sentence about
/// something else (`user alice completed in 3s`), and its last word must not be published.
const PREFIXES: [&str; 20] = [
    "API Request:",
    "API request:",
    "API Call:",
    "API call:",
    "Request:",
    "Function",
    "function",
    "Function:",
    "Method",
    "method",
    "Task",
    "task",
    "Task:",
    "Job",
    "job",
    "Job:",
    "Call to",
    "Execution of",
    "Command",
    "Step",
];

/// Finds a phrase in the message of a line. `may_fail` says that the severity of the line is WARN
/// or above. Only then does it search for ` failed`, which may be anywhere in the message.
#[inline]
pub(crate) fn phrase(body: &str, may_fail: bool) -> Option<Phrase<'_>> {
    let bytes = body.as_bytes();
    let &[first, .., before, last] = bytes else { return None };
    let found = match last {
        // a digit or a blank before `s`, or the end of `ms`, `us`, `seconds`
        b's' if before.is_ascii_digit() || matches!(before, b' ' | b'm' | b'u' | b'n' | b'd') => {
            ended(body)
        }
        b'd' if before == b'e' => bare(body),
        _ => None,
    };
    if found.is_some() {
        return found;
    }
    match first {
        b'S' if bytes.starts_with(b"Starting ") => return starting(body),
        b'T' if bytes.starts_with(b"Task ") => {
            if let Some(found) = celery(body) {
                return Some(found);
            }
        }
        _ => {}
    }
    if may_fail { failed(body) } else { None }
}

/// Returns whether `text` looks like the name of a function, a task or a module:
/// `[A-Za-z_][A-Za-z0-9_.:<>]*`.
pub(crate) fn is_identifier(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=SUBJECT_BYTES_MAX).contains(&bytes.len())
        && !matches!(bytes[0], b'0'..=b'9' | b'.' | b':' | b'<' | b'>')
        && bytes.iter().all(|byte| NAMES[*byte as usize])
}

/// The bytes allowed in names: one load per byte instead of five comparisons.
const NAMES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let it = byte as u8;
        table[byte] = it.is_ascii_alphanumeric() || matches!(it, b'_' | b'.' | b':' | b'<' | b'>');
        byte += 1;
    }
    table
};

/// Parses `X completed in 0.12s`, `X took 12 ms`.
fn ended(body: &str) -> Option<Phrase<'_>> {
    let ends = |text: &str, goes_on: fn(&u8) -> bool| {
        text.len() - text.bytes().rev().take_while(goes_on).count()
    };
    // `0.125s`, by far the most frequent form
    let digits_end = match body.as_bytes() {
        [.., b'0'..=b'9', _] => body.len() - 1,
        _ => ends(body, |b| b.is_ascii_lowercase() || *b == b' '),
    };
    let digits = ends(&body[..digits_end], |b| b.is_ascii_digit() || *b == b'.');
    let text = match body[..digits].strip_suffix(' ') {
        Some(text) if text.bytes().last().is_some_and(|byte| byte.is_ascii_graphic()) => text,
        _ => body[..digits].trim_end(),
    };
    // before the number, because most messages that end with a duration have no such verb
    let (before, kind) = verb(text)?;
    let seconds = match &body[digits_end..] {
        "s" => number::decimal_at(body, digits, digits_end - digits)?,
        _ => number::with_unit(&body[digits..])?,
    };
    Some(Phrase { kind, subject: subject(before)?, seconds: Some(seconds) })
}

/// Parses the text before a duration. Returns the text before the verb, and what the verb says.
fn verb(text: &str) -> Option<(&str, PhraseKind)> {
    if let Some(before) = text.strip_suffix(" took") {
        return Some((before, PhraseKind::Completed));
    }
    let (text, is_after) = match text.strip_suffix(" in") {
        Some(text) => (text, false),
        None => (text.strip_suffix(" after")?, true),
    };
    // by far the most frequent verbs
    let (space, kind) = match text.as_bytes() {
        [before @ .., b' ', b'e', b'x', b'e', b'c', b'u', b't', b'e', b'd'] if !is_after => {
            (before.len(), PhraseKind::Completed)
        }
        [before @ .., b' ', b'c', b'o', b'm', b'p', b'l', b'e', b't', b'e', b'd'] => {
            (before.len(), PhraseKind::Completed)
        }
        _ => other_verb(text, is_after)?,
    };
    Some((&text[..space], kind))
}

/// Returns the position of the space before the verb, and what the verb says.
fn other_verb(text: &str, is_after: bool) -> Option<(usize, PhraseKind)> {
    let space = text.bytes().rposition(|byte| byte == b' ')?;
    let kind = match &text[space + 1..] {
        "completed" | "finished" => PhraseKind::Completed,
        "executed" | "succeeded" | "done" | "ran" | "returned" if !is_after => {
            PhraseKind::Completed
        }
        "failed" => PhraseKind::Failed,
        _ => return None,
    };
    Some((space, kind))
}

/// Parses `X started`, `X completed`, `X failed`, which have no duration.
#[cold]
fn bare(body: &str) -> Option<Phrase<'_>> {
    let (text, kind) = [
        (" started", PhraseKind::Started),
        (" completed", PhraseKind::Completed),
        (" finished", PhraseKind::Completed),
        (" failed", PhraseKind::Failed),
    ]
    .iter()
    .find_map(|(verb, kind)| Some((body.strip_suffix(verb)?, *kind)))?;
    Some(Phrase { kind, subject: subject(text)?, seconds: None })
}

/// Parses `Starting X`, `Starting X...`.
#[cold]
fn starting(body: &str) -> Option<Phrase<'_>> {
    let text = body.strip_prefix("Starting ")?.trim_end_matches(['.', '\u{2026}']);
    Some(Phrase { kind: PhraseKind::Started, subject: subject(text)?, seconds: None })
}

/// Parses `Task NAME[ID] succeeded in 0.25s: RESULT`, `Task NAME[ID] raised unexpected: ERROR`, as
/// Celery writes them. Ignores the result and the error.
#[cold]
fn celery(body: &str) -> Option<Phrase<'_>> {
    let (name, rest) = body.strip_prefix("Task ")?.split_once('[')?;
    let (_, rest) = rest.split_once("] ")?;
    let (kind, seconds) = match rest.strip_prefix("succeeded in ") {
        // a short time is written with an exponent
        Some(time) => {
            let seconds: f64 = time.split_once("s: ")?.0.parse().ok()?;
            (PhraseKind::Completed, Some(seconds).filter(|s| s.is_finite() && *s >= 0.0))
        }
        None if rest.starts_with("raised ") => (PhraseKind::Failed, None),
        None => return None,
    };
    is_identifier(name).then_some(Phrase { kind, subject: name, seconds })
}

/// Parses `X failed - err`, `X failed: err`, `X failed after 0.3s: err`. Ignores the error text.
#[cold]
fn failed(body: &str) -> Option<Phrase<'_>> {
    // few messages contain an `f`, and creating a searcher for the whole word costs more than this
    let bytes = body.as_bytes();
    let at = memchr_iter(b'f', bytes)
        .filter_map(|at| at.checked_sub(1))
        .find(|at| bytes[*at..].starts_with(b" failed"))?;
    let rest = &body[at + " failed".len()..];
    let seconds = match rest.strip_prefix(" after ").or_else(|| rest.strip_prefix(" in ")) {
        Some(time) => {
            let end = time.find([':', ',', '(', '-']).unwrap_or(time.len());
            number::with_unit(&time[..end])
        }
        None if [" - ", ": ", " with ", " ("].iter().any(|then| rest.starts_with(then)) => None,
        None => return None,
    };
    Some(Phrase { kind: PhraseKind::Failed, subject: subject(&body[..at])?, seconds })
}

/// Returns the name at the end of the text before the verb.
fn subject(text: &str) -> Option<&str> {
    // the text is only the name: by far the most frequent case
    if is_identifier(text) {
        return (!is_plain_word(text)).then_some(text);
    }
    let text = text.trim();
    let (before, name) = text.rsplit_once(' ').unwrap_or(("", text));
    let name = name.trim_matches(['\'', '"', '`']);
    let name = name.strip_suffix("()").unwrap_or(name);
    let before = before.trim();
    let plain = (before.is_empty() && !is_plain_word(name)) || PREFIXES.contains(&before);
    (plain && is_identifier(name)).then_some(name)
}

/// Returns whether a word without a prefix is a sentence's subject and no name: `Request completed
/// in 3s` says that some request did. A capitalised word begins a sentence.
fn is_plain_word(word: &str) -> bool {
    const WORDS: [&str; 5] = ["request", "response", "query", "connection", "transaction"];
    let mut bytes = word.bytes();
    let is_capitalised = bytes.next().is_some_and(|byte| byte.is_ascii_uppercase());
    is_capitalised && bytes.all(|byte| byte.is_ascii_lowercase()) || WORDS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(body: &str, may_fail: bool, expected: Option<(PhraseKind, &str, Option<f64>)>) {
        let found = phrase(body, may_fail).map(|p| (p.kind, p.subject, p.seconds));
        assert_eq!(found, expected, "{body:?}");
    }

    #[test]
    fn phrases() {
        use PhraseKind::{Completed, Failed, Started};
        for (body, kind, subject, seconds) in [
            ("API Request: get_user started", Started, "get_user", None),
            ("API Request: get_user completed in 0.12s", Completed, "get_user", Some(0.12)),
            ("API Request: get_user failed - no such user", Failed, "get_user", None),
            ("Function slow executed in 0.1250 seconds", Completed, "slow", Some(0.125)),
            ("get_user executed in 0.125s", Completed, "get_user", Some(0.125)),
            ("Function 'shop.cart' took 12ms", Completed, "shop.cart", Some(0.012)),
            ("refresh() took 12 ms", Completed, "refresh", Some(0.012)),
            ("sync finished in 250us", Completed, "sync", Some(0.00025)),
            ("Function Request completed in 3 seconds", Completed, "Request", Some(3.0)),
            ("function request took 3s", Completed, "request", Some(3.0)),
            ("Task tasks.add<int> succeeded in 7s", Completed, "tasks.add<int>", Some(7.0)),
            (
                "Task shop.charge[1e-4f] succeeded in 0.25s: {'a': 1}",
                Completed,
                "shop.charge",
                Some(0.25),
            ),
            ("Task f[1e-4f] succeeded in 7.8e-05s: None", Completed, "f", Some(7.8e-5)),
            ("Task shop.charge[1e-4f] raised unexpected: E('x')", Failed, "shop.charge", None),
            ("import completed", Completed, "import", None),
            ("import started", Started, "import", None),
            ("Starting import", Started, "import", None),
            ("Starting import...", Started, "import", None),
            ("import failed", Failed, "import", None),
            ("import failed: no disk", Failed, "import", None),
            ("import failed after 0.3s", Failed, "import", Some(0.3)),
            ("import failed after 0.3s: no disk", Failed, "import", Some(0.3)),
            ("import failed with code 3", Failed, "import", None),
        ] {
            check(body, true, Some((kind, subject, seconds)));
        }
    }

    #[test]
    fn sentences_that_are_none() {
        for body in [
            "",
            "s",
            "ms",
            "0.12s",
            " took 0.12s",
            "user alice completed in 3s",
            "alice@example.org completed in 3s",
            "hunter2! took 3s",
            "the request was completed",
            "listening on 3 sockets",
            "12 apples",
            "Starting up the server",
            "Task shop.charge[1e-4f] received",
            "Task shop.charge[1e-4f] succeeded in a moment: 3",
            "Task shop charge[1e-4f] succeeded in 0.25s: 3",
            "Request completed in 3 seconds",
            "request completed",
            "request took 12ms",
            "Query finished in 5 ms",
            "Import failed: no disk",
            "Request failed after 0.3s",
            "'Response' took 2 ms",
            "payment failed on card 4111111111111111",
            "took 12ms",
            "f completed in s",
            "f completed in 12parsecs",
            "f completed in 1.2.3s",
            "caf\u{e9} completed in 12s",
        ] {
            check(body, true, None);
        }
        check("import failed: no disk", false, None);
        check(&format!("{} took 3s", "x".repeat(SUBJECT_BYTES_MAX + 1)), false, None);
    }

    proptest! {
        /// Guarantees: only identifiers leave the pod, whatever surrounds the verbs.
        #[test]
        fn property_only_identifiers_leave(
            before in "(API Request: |Function |Starting |.{0,8})?.{0,20}",
            verb in "( took| completed in| failed:| started)?",
            time in "( ?[0-9.]{0,5} ?(s|ms|seconds))?",
            may_fail: bool,
        ) {
            let body = format!("{before}{verb}{time}");
            if let Some(found) = phrase(&body, may_fail) {
                prop_assert!(is_identifier(found.subject));
                prop_assert!(body.contains(found.subject));
                prop_assert!(found.seconds.is_none_or(|seconds| seconds >= 0.0));
            }
        }
    }
}
