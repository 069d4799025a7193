//! Wrong configurations as users write them: `tests/golden/config/NAME.yaml` gives exactly `NAME.txt`.
//! `UPDATE=1` rewrites; a missing expectation is written and fails once.

use super::{faults, linear};
use crate::config::environment::Environment;
use crate::config::{Flags, parse};
use std::fmt::Write;
use std::path::Path;

#[test]
fn golden_configurations() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config");
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .expect("the golden folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    names.sort();
    assert!(names.len() >= 10, "the folder has its cases");
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = String::new();
    for path in names {
        let text = std::fs::read_to_string(&path).expect("a readable case");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let loaded = parse(&name, &text, &Flags::default(), &Environment::new());
        let told: Vec<_> = faults(&loaded).iter().map(ToString::to_string).collect();
        let told = if told.is_empty() { "valid\n".to_owned() } else { told.join("\n") };
        let expectation = path.with_extension("txt");
        let expected = std::fs::read_to_string(&expectation).unwrap_or_default();
        if told == expected {
            continue;
        }
        if update || expected.is_empty() {
            std::fs::write(&expectation, &told).expect("a writable case");
        }
        if !update {
            let _ = writeln!(wrong, "{name}: expected\n{expected}\nfound\n{told}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Rules are excluded by a field that they need or by a constant; the others are told.
#[test]
fn rules_that_every_line_is_held_against() {
    let text = "rules:\n\
                - {name: a, counter: {name: a}}\n\
                - {name: b, when: has(shop), counter: {name: b}}\n\
                - {name: c, when: shop == \"x\", counter: {name: c}}\n\
                - {name: d, when: level >= ERROR || has(shop), counter: {name: d}}\n\
                - {name: e, when: message.contains(\"x\"), counter: {name: e}}\n";
    let loaded = parse("f.yaml", text, &Flags::default(), &Environment::new());
    assert_eq!(faults(&loaded), []);
    assert_eq!(linear(&loaded.config), ["a", "d", "e"]);
}
