//! Checks the README: its configuration example passes `check`.

use sidelight::cli::check::faults;
use sidelight::config::{Flags, parse};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

fn readme() -> String {
    fs::read_to_string(path()).expect("a README")
}

/// Guarantees: the configurations in the README are valid and produce no warnings.
#[test]
fn the_configuration_in_the_readme_passes_check() {
    let text = readme();
    let mut examples = 0;
    for example in text.split("```yaml\n").skip(1) {
        let example = example.split("```").next().unwrap_or_default();
        let loaded = parse("README.md", example, &Flags::default(), &BTreeMap::new());
        let faults: Vec<String> = faults(&loaded).iter().map(ToString::to_string).collect();
        assert!(faults.is_empty(), "{}", faults.concat());
        examples += 1;
    }
    assert!(examples > 0, "there is an example");
}
