//! Checks that `docs/configuration.md` agrees with the table of settings, that its examples pass
//! `check`, and that the example of each operator of the rule language is right.

use clap::CommandFactory;
use sidelight::cli::CommandLine;
use sidelight::cli::check::faults;
use sidelight::clock::UnixNanos;
use sidelight::config::document::formats::examples as formats;
use sidelight::config::document::{OPERATORS, page, schema};
use sidelight::config::{Flags, parse, table};
use sidelight::decode::{Memory, decode};
use sidelight::record::field::{FieldId, STANDARD, Unit};
use sidelight::record::{Decoded, Envelope, Format, Record};
use sidelight::replay::Replay;
use sidelight::rules::compile::dry_run;
use sidelight::rules::settings::Notation;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// Guarantees: the page is generated from the table; `UPDATE=1` writes it.
#[test]
fn the_page_is_generated() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let expected = page();
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        fs::write(&path, &expected).expect("writable");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == expected, "write it with UPDATE=1 cargo test --test main document");
}

/// Guarantees: the YAML on the page is valid.
#[test]
fn its_examples_pass_check() {
    let page = page();
    let examples: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().expect("an end"))
        .collect();
    assert_eq!(examples.len(), 3 + formats().len());
    for example in examples {
        let loaded = parse("page", example, &Flags::default(), &BTreeMap::new());
        let faults = faults(&loaded);
        // the platform's layer is not a file
        let wrong = faults.iter().filter(|fault| fault.path != "final");
        assert_eq!(wrong.count(), 0, "{faults:?}");
    }
}

/// Guarantees: the example of every operator matches its line and no other.
#[test]
fn operators_do_what_their_examples_say() {
    let shown: BTreeSet<&str> = OPERATORS.iter().map(|operator| operator.name).collect();
    assert_eq!(shown.len(), OPERATORS.len());
    for operator in OPERATORS {
        let when = operator.when.replace('\'', "''");
        let text = format!("rules: [{{when: '{when}', counter: {{name: n_total}}}}]\n");
        let loaded = parse("rule", &text, &Flags::default(), &BTreeMap::new());
        assert_eq!(faults(&loaded), [], "{}", operator.name);
        assert!(operator.when.contains(operator.name));
        for (line, expected) in [(operator.holds, "n_total 1"), (operator.fails, "n_total 0")] {
            let mut replay =
                Replay::new(&loaded.config, false, UnixNanos(1_800_000_000_000_000_000))
                    .expect("checked");
            replay.feed(format!("{line}\n").as_bytes(), 1);
            let metrics = replay.finish().metrics;
            let found = metrics.lines().find(|line| line.starts_with("n_total"));
            assert_eq!(found.unwrap_or("n_total 0"), expected, "{}: {line}", operator.name);
        }
    }
}

/// Guarantees: the line of every format is read to the fields beside it, and there is an example of each
/// notation.
#[test]
fn formats_read_what_their_examples_say() {
    let notations: BTreeSet<&str> = formats()
        .iter()
        .map(|example| {
            let loaded = parse("format", example.config, &Flags::default(), &BTreeMap::new());
            assert_eq!(faults(&loaded), [], "{}", example.title);
            let rules = dry_run(&loaded.config.rules, loaded.config.limits).expect("checked");
            let mut decoded = Decoded::new();
            let mut memory = Memory::new(&rules.formats);
            decode(example.line, &rules.fields, &mut memory, &mut decoded);
            assert_eq!(decoded.format, Format::Own, "{}", example.line);
            let now = UnixNanos(1_767_323_045_000_000_000);
            let record = Record::new(example.line, &decoded, now, Envelope::default());
            let fields = (0..STANDARD.len() as u16).map(FieldId).filter_map(|field| {
                let unit = match record.entry(field)?.unit {
                    Unit::None => "",
                    Unit::Seconds => " s",
                    Unit::Milliseconds => " ms",
                    Unit::Microseconds => " us",
                    Unit::Nanoseconds => " ns",
                };
                let name = rules.fields.name(field);
                Some((name.to_owned(), format!("{}{unit}", record.text(field)?)))
            });
            let shown: Vec<(String, String)> =
                example.fields.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            assert_eq!(fields.collect::<Vec<_>>(), shown, "{}", example.title);
            loaded.config.rules.formats[0].notation.name()
        })
        .collect();
    assert_eq!(notations.len(), Notation::ALL.len());
}

/// Guarantees: every flag of `run` that is a setting is in the table, and every flag of the table exists.
#[test]
fn flags_are_those_of_the_table() {
    let command = CommandLine::command();
    let known: BTreeSet<&str> = command.get_arguments().filter_map(|one| one.get_long()).collect();
    let table: BTreeSet<&str> = table::ALL.iter().filter_map(|setting| setting.flag).collect();
    let others: BTreeSet<&str> = known.difference(&table).copied().collect();
    assert_eq!(table.difference(&known).count(), 0);
    assert_eq!(others, BTreeSet::from(["config", "strict"]));
}

/// Guarantees: the schema and the parser know the same keys at every level.
#[test]
fn the_schema_knows_what_the_parser_knows() {
    let schema = schema();
    for setting in table::ALL.iter().filter(|setting| setting.in_file) {
        let mut at = &schema;
        for key in setting.path.split('.') {
            let map = if at["anyOf"].is_array() && at["properties"].is_null() {
                &at["anyOf"][0]
            } else {
                at
            };
            at = &map["properties"][key];
        }
        assert!(at["description"].is_string(), "{}: {at}", setting.path);
    }
    let format = &schema["properties"]["formats"]["items"];
    assert_eq!(format["oneOf"].as_array().map(Vec::len), Some(Notation::ALL.len()));
    for notation in Notation::ALL {
        assert!(format["properties"][notation.name()]["description"].is_string());
    }
    let rule = &schema["properties"]["rules"]["items"]["properties"];
    assert!(rule["counter"]["properties"]["labels"].is_object());
}
