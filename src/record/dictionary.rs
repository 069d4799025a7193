//! The keys that each framework uses for the fields of its structured lines, read once from the
//! table `dictionary.txt`. The table is data: to add a framework, add a block to that file; its
//! header says how. The reader of structured lines, `docs/formats.md` and one test per example are
//! derived from the same table. Unit: one framework.

use std::sync::LazyLock;

/// The text of the table.
pub const SOURCE: &str = include_str!("dictionary.txt");

/// A framework, server or platform.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Framework {
    /// Its common name.
    pub name: &'static str,
    /// Keys that only this framework writes; one of them identifies it.
    pub marks: Vec<&'static str>,
    /// Its keys for standard fields.
    pub keys: Vec<DictionaryKey>,
    /// The level of its records that contain no level.
    pub level: Option<&'static str>,
    /// What its numeric levels mean, where no other framework's numbers have the same meaning.
    pub scale: Vec<(&'static str, &'static str)>,
    /// Lines as it writes them, each with the fields that are read from it.
    pub examples: Vec<Example>,
}

/// The key of one field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DictionaryKey {
    /// OpenTelemetry's name of the standard field.
    pub field: &'static str,
    /// The dotted path of the key.
    pub path: &'static str,
    /// The unit of a duration, where this framework defines one: `s`, `ms`, `us`, `ns`, or nothing.
    pub unit: &'static str,
    /// Other frameworks use this key with another meaning, so it is valid only in lines of this
    /// one.
    pub is_private: bool,
}

/// A line and the fields that are read from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Example {
    /// The line.
    pub line: &'static str,
    /// Fields as `name=value`, separated by ` | `.
    pub reads: &'static str,
}

/// Objects in which applications and loggers wrap fields; a key inside one of them ranks after the
/// same key at the top level. `data` comes from document 004.
pub const WRAPPERS: &[&str] = &[
    "data",
    "attributes",
    "Attributes",
    "extra",
    "fields",
    "context",
    "extra_data",
    "http",
    "event_dict",
    "log",
    "payload",
    "meta",
    "metadata",
    "Properties",
    "properties",
    "State",
    "attr",
    "mdc",
    "contextMap",
    "record",
    "custom",
];

/// All frameworks, in the order of the file.
pub static DICTIONARY: LazyLock<Vec<Framework>> = LazyLock::new(|| {
    parse(SOURCE).unwrap_or_else(|(line, message)| {
        debug_assert!(false, "dictionary.txt:{line}: {message}");
        Vec::new()
    })
});

/// Parses a table.
///
/// # Errors
/// The number of the first line that is not valid, and the reason.
pub fn parse(source: &'static str) -> Result<Vec<Framework>, (usize, String)> {
    let mut all: Vec<Framework> = Vec::new();
    for (number, line) in source.lines().enumerate() {
        let fail = |message: &str| Err((number + 1, message.to_owned()));
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("= ") {
            all.push(Framework { name: name.trim(), ..Framework::default() });
            continue;
        }
        let Some(framework) = all.last_mut() else { return fail("no framework is named yet") };
        let Some((word, rest)) = line.split_once(' ') else {
            return fail("nothing behind the word");
        };
        let rest = rest.trim();
        match word {
            "marks" => framework.marks.extend(rest.split_whitespace()),
            "level" => framework.level = Some(rest),
            "scale" => {
                for pair in rest.split_whitespace() {
                    let Some(pair) = pair.split_once('=') else { return fail("NUMBER=LEVEL") };
                    framework.scale.push(pair);
                }
            }
            "example" => framework.examples.push(Example { line: rest, reads: "" }),
            "reads" => match framework.examples.last_mut() {
                Some(example) if example.reads.is_empty() => example.reads = rest,
                _ => return fail("`reads` follows an `example`"),
            },
            field => {
                for key in rest.split_whitespace() {
                    match key_of(field, key) {
                        Some(key) => framework.keys.push(key),
                        None => return fail("a unit is one of :s :ms :us :ns"),
                    }
                }
            }
        }
    }
    Ok(all)
}

/// Parses `path`, `path:unit` or `path!`.
fn key_of(field: &'static str, text: &'static str) -> Option<DictionaryKey> {
    let (text, is_private) = match text.strip_suffix('!') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (path, unit) = text.split_once(':').unwrap_or((text, ""));
    if !["", "s", "ms", "us", "ns"].contains(&unit) {
        return None;
    }
    Some(DictionaryKey { field, path, unit, is_private })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_and_errors_name_the_line() {
        assert!(parse(SOURCE).is_ok_and(|all| all.len() > 40), "{:?}", parse(SOURCE).err());
        let of = |text: &'static str| parse(text);
        let read =
            of("= A\nmarks x y\nduration took:us d!\nexample {}\nreads a=b\n").expect("fine");
        assert_eq!(read[0].marks, ["x", "y"]);
        assert_eq!(read[0].examples, [Example { line: "{}", reads: "a=b" }]);
        let keys: Vec<_> = read[0].keys.iter().map(|k| (k.path, k.unit, k.is_private)).collect();
        assert_eq!(keys, [("took", "us", false), ("d", "", true)]);
        let scaled = of("= A\nscale 0=DEBUG 1=INFO\n").expect("fine");
        assert_eq!(scaled[0].scale, [("0", "DEBUG"), ("1", "INFO")]);
        for (text, line) in [
            ("marks x", 1),
            ("= A\nscale 0", 2),
            ("= A\nmarks", 2),
            ("= A\n\nreads x", 3),
            ("= A\nduration took:h", 2),
        ] {
            assert_eq!(of(text).expect_err(text).0, line, "{text}");
        }
    }
}
