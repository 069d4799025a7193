//! A second reader of both text formats, for tests. It shares no code with the writer, is slow, and
//! is strict about what the formats demand.
#![allow(clippy::float_cmp)] // counts and the sums chosen here are exact

use super::expose::{Encoding, Options, encode};
use super::registry::Registry;
use std::collections::BTreeMap;

/// Sample name and labels, sorted.
pub(super) type Key = (String, Labels);

/// Label names and values, sorted.
pub(super) type Labels = Vec<(String, String)>;

/// An exemplar's labels, value and time.
pub(super) type ReadExemplar = (Labels, f64, f64);

/// What an exposition says.
#[derive(Default, Debug, PartialEq)]
pub(super) struct Read {
    pub(super) samples: BTreeMap<Key, f64>,
    /// From family name to type.
    pub(super) types: BTreeMap<String, String>,
    pub(super) help: BTreeMap<String, String>,
    pub(super) units: BTreeMap<String, String>,
    /// From sample to its exemplar.
    pub(super) exemplars: BTreeMap<Key, ReadExemplar>,
}

impl Read {
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.samples.get(&key(name, labels)).copied()
    }
}

pub(super) fn key(name: &str, labels: &[(&str, &str)]) -> Key {
    let mut labels: Vec<_> =
        labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    labels.sort();
    (name.to_owned(), labels)
}

/// Encodes the registry and reads the text back.
pub(super) fn scrape(registry: &Registry, encoding: Encoding) -> Read {
    let mut out = Vec::new();
    encode(registry, &[], encoding, Options::default(), &mut out);
    read(std::str::from_utf8(&out).expect("UTF-8"), encoding)
}

/// Reads a whole exposition; panics if it is invalid.
pub(super) fn read(text: &str, encoding: Encoding) -> Read {
    let open = encoding == Encoding::OpenMetrics;
    let mut read = Read::default();
    let mut family = String::new();
    assert!(text.is_empty() || text.ends_with('\n'), "the last line must end");
    assert_eq!(open, text.ends_with("# EOF\n"));
    let body = text.strip_suffix("# EOF\n").unwrap_or(text);
    for line in body.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            sample(line, &family, open, &mut read);
            continue;
        };
        let parts: Vec<&str> = comment.splitn(3, ' ').collect();
        let [word, name, rest] = parts[..] else { panic!("{line}") };
        name.clone_into(&mut family);
        let (into, rest) = match word {
            "HELP" => (&mut read.help, unescape(rest, open)),
            "TYPE" => (&mut read.types, rest.to_owned()),
            "UNIT" if open => (&mut read.units, rest.to_owned()),
            _ => panic!("{line}"),
        };
        assert!(into.insert(name.to_owned(), rest).is_none(), "said twice: {line}");
    }
    histograms(&read);
    read
}

fn sample(line: &str, family: &str, open: bool, read: &mut Read) {
    let end = line.find(['{', ' ']).expect("a name ends");
    let (name, rest) = line.split_at(end);
    let kind = read.types.get(family).unwrap_or_else(|| panic!("no type before {line}")).as_str();
    let suffixes: &[&str] = match (kind, open) {
        ("counter", true) => &["_total", "_created"],
        ("histogram", true) => &["_bucket", "_sum", "_count", "_created"],
        ("histogram", false) => &["_bucket", "_sum", "_count"],
        ("counter" | "gauge", _) => &[""],
        _ => panic!("type {kind}"),
    };
    let suffix = name.strip_prefix(family).expect("samples follow their family");
    assert!(suffixes.contains(&suffix), "{line} in {family}");
    let (labels, rest) = labels(rest);
    let rest = rest.strip_prefix(' ').expect("a space before the value");
    let (value, exemplar) = match rest.split_once(" # ") {
        Some((value, exemplar)) => (value, Some(exemplar)),
        None => (rest, None),
    };
    let key = (name.to_owned(), labels);
    if let Some(exemplar) = exemplar {
        assert!(open && matches!(suffix, "_total" | "_bucket"), "{line}");
        let (labels, rest) = self::labels(exemplar);
        let length: usize = labels.iter().map(|(n, v)| n.len() + v.len()).sum();
        assert!(length <= 128, "OpenMetrics' limit");
        let (value, at) = rest.trim_start().split_once(' ').expect("value and time");
        read.exemplars.insert(key.clone(), (labels, number(value), number(at)));
    }
    assert!(read.samples.insert(key, number(value)).is_none(), "twice: {line}");
}

fn number(text: &str) -> f64 {
    match text {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        _ => {
            assert!(text.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']));
            text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
        }
    }
}

/// Reads sorted labels; returns them and the rest of the text.
fn labels(text: &str) -> (Labels, &str) {
    let mut labels = Vec::new();
    let Some(mut rest) = text.strip_prefix('{') else { return (labels, text) };
    loop {
        let (name, after) = rest.split_once("=\"").expect("label=\"");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{name}");
        let mut escaped = false;
        let end = after.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (value, after) = after.split_at(end.expect("the value ends"));
        labels.push((name.to_owned(), unescape(value, true)));
        if let Some(more) = after.strip_prefix("\",") {
            rest = more;
        } else {
            labels.sort();
            return (labels, after.strip_prefix("\"}").expect("the labels end"));
        }
    }
}

fn unescape(text: &str, quotes: bool) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('\\') => out.push('\\'),
                Some('"') if quotes => out.push('"'),
                other => panic!("escape {other:?} in {text}"),
            },
            '"' if quotes => panic!("bare quote in {text}"),
            c => out.push(c),
        }
    }
    out
}

/// Checks that buckets ascend, that the last is +Inf, and that it equals the count.
fn histograms(read: &Read) {
    for (family, _) in read.types.iter().filter(|(_, kind)| *kind == "histogram") {
        let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
        for ((name, labels), value) in &read.samples {
            if *name == format!("{family}_bucket") {
                let mut labels = labels.clone();
                let le = labels.iter().position(|(name, _)| name == "le").expect("le");
                let bound = number(&labels.remove(le).1);
                series.entry(labels).or_default().push((bound, *value));
            }
        }
        for (labels, mut buckets) in series {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{labels:?}");
            let last = buckets.last().expect("a bucket");
            assert_eq!(last.0, f64::INFINITY);
            if let Some(count) = read.samples.get(&(format!("{family}_count"), labels)) {
                assert_eq!(*count, last.1);
            }
        }
    }
}
