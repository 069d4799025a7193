//! Tests wrong configurations as users write them: `tests/golden/config/NAME.yaml` gives exactly
//! `NAME.txt`. `UPDATE=1` rewrites; a missing expectation is written and fails once.

use super::{Arguments, faults, linear, run};
use crate::config::environment::Environment;
use crate::config::print::print;
use crate::config::{Checked, Flags, check, parse};
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

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
        let output: Vec<_> = faults(&loaded).iter().map(ToString::to_string).collect();
        let output = if output.is_empty() { "valid\n".to_owned() } else { output.join("\n") };
        let expectation = path.with_extension("txt");
        let expected = std::fs::read_to_string(&expectation).unwrap_or_default();
        if output == expected {
            continue;
        }
        if update || expected.is_empty() {
            std::fs::write(&expectation, &output).expect("a writable case");
        }
        if !update {
            let _ = writeln!(wrong, "{name}: expected\n{expected}\nfound\n{output}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Checks texts inside manifests and layers over each other: compares the output of `check` for a
/// file, or for all files of a folder as layers.
fn golden_checks(folder: &str, as_layers: bool) {
    let folder = Path::new("tests/golden/config").join(folder);
    let entries = std::fs::read_dir(&folder).expect("the golden folder");
    let mut cases: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    cases.retain(|path| path.extension().is_none_or(|end| end != "txt"));
    cases.sort();
    assert!(cases.len() >= 3, "the folder has its cases");
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = String::new();
    for case in cases {
        let mut files = vec![case.clone()];
        if as_layers {
            let inside = std::fs::read_dir(&case).expect("a folder");
            files = inside.map(|entry| entry.expect("an entry").path()).collect();
            files.sort();
        }
        let mut output = String::new();
        for Checked { name, loaded } in check(&files, as_layers, &Environment::new()) {
            let _ = writeln!(output, "== {name}");
            for fault in faults(&loaded) {
                let _ = writeln!(output, "{fault}");
            }
            let printed = print(&loaded.in_use().config);
            let rules = printed.find("\nrules:").map_or("", |at| &printed[at + 1..]);
            let _ = writeln!(output, "{rules}");
        }
        let expectation = case.with_extension("txt");
        let expected = std::fs::read_to_string(&expectation).unwrap_or_default();
        if update || expected.is_empty() {
            std::fs::write(&expectation, &output).expect("a writable case");
        }
        if !update && output != expected {
            let _ = writeln!(wrong, "{}: expected\n{expected}\nfound\n{output}", case.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn golden_manifests() {
    golden_checks("manifest", false);
}

#[test]
fn golden_layers() {
    golden_checks("layers", true);
}

/// Guarantees: a fault of one file is not reported again for the next, and one wrong file fails the
/// whole check.
#[test]
fn several_files_are_checked_at_once() {
    let golden = |name: &str| Path::new("tests/golden/config").join(name);
    let arguments = |files: &[&str], layers, strict| Arguments {
        files: files.iter().map(|name| golden(name)).collect(),
        layers,
        strict,
        print: false,
        cluster: false,
        kubeconfig: None,
    };
    let none = Environment::new();
    let code = |arguments: &Arguments| format!("{:?}", run(arguments, &none));
    let (good, bad) = (format!("{:?}", ExitCode::SUCCESS), format!("{:?}", ExitCode::FAILURE));
    assert_eq!(code(&arguments(&["everything.yaml", "empty.yaml"], false, true)), good);
    assert_eq!(code(&arguments(&["everything.yaml", "tab.yaml"], false, false)), bad);
    assert_eq!(code(&arguments(&["everything.yaml", "empty.yaml"], true, true)), good);
    assert_eq!(code(&arguments(&["absent.yaml"], false, false)), bad);
    assert_eq!(code(&arguments(&[], false, false)), format!("{:?}", ExitCode::from(2)));
    let set = |name: &str, value: &str| Environment::from([(name.to_owned(), value.to_owned())]);
    let wrong = set("SIDELIGHT_DEFAULTS", "mode: clasic");
    assert_eq!(format!("{:?}", run(&arguments(&[], false, false), &wrong)), bad);
    let elsewhere = format!("{:?}", run(&arguments(&["empty.yaml"], false, false), &wrong));
    assert_eq!(elsewhere, good, "the file alone is checked");
}

/// A field that a rule needs, or a constant, excludes the rule for a record; the other rules are
/// listed.
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
