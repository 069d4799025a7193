//! Fuzzes the configuration with any text. Nothing panics, every error can be rendered and lies
//! inside the text, including the errors of compiling the rules, and a wrong file does not change
//! what is in use. Unit: one file.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use sidelight::config::environment::Environment;
use sidelight::config::fault::Fault;
use sidelight::config::{self, Flags};
use sidelight::rules::compile::dry_run;
use sidelight::rules::settings::{RuleError, RulesSettings};

/// The file name of the text.
const NAME: &str = "fuzz.yaml";

fn inside(fault: &Fault, text: &str) {
    assert!(!fault.to_string().is_empty() && !fault.message.is_empty());
    let Some(at) = &fault.located else { return };
    assert_eq!(at.file, NAME, "{fault:?}");
    let line = at.line.checked_sub(1).and_then(|number| text.split('\n').nth(number));
    let line = line.unwrap_or_else(|| panic!("no such line: {fault:?}"));
    assert_eq!(at.snippet, line.trim_end_matches('\r'), "{fault:?}");
    // the end of a line counts as one character
    let end = line.chars().count() + 1;
    assert!((1..=end).contains(&at.column), "{fault:?}");
    assert!(at.width >= 1 && at.column + at.width <= end + 1, "{fault:?}");
}

fn refused(rules: &RulesSettings) -> Vec<RuleError> {
    // only the standard rules compile here, as every test of sidelight shows; compiling takes
    // milliseconds
    if *rules == RulesSettings::default() {
        return Vec::new();
    }
    let limits = config::settings::Config::default().limits;
    dry_run(rules, limits).err().unwrap_or_default()
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    let loaded = config::parse(NAME, text, &Flags::default(), &Environment::new());
    for fault in &loaded.faults {
        inside(fault, text);
    }
    // as `check` does: partly parsed rules are compiled, too
    for error in refused(&loaded.config.rules) {
        inside(&loaded.locate(&error), text);
    }
    let (used, errors) = loaded.in_use().settled(refused);
    for error in &errors {
        inside(&used.locate(error), text);
    }
    let again = format!("{:?}", used.usable().rules);
    assert_eq!(again, format!("{:?}", used.config.rules), "settled, and yet not what is used");
    Corpus::Keep
});
