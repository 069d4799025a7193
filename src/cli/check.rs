//! `sidelight check`: is a configuration right? All that is wrong is told at once, rules compiled among it.
//! Exit code 0: it is; 1: it is not, or there are warnings under `--strict`.

#[cfg(test)]
mod tests;

use crate::config::environment::Environment;
use crate::config::fault::{Fault, Level};
use crate::config::{Flags, Loaded, load};
use crate::record::field::FieldTable;
use crate::rules::extract::Extract;
use crate::rules::select::Condition;
use crate::rules::settings::{RuleError, RuleSettings};
use crate::rules::syntax::SyntaxError;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `check`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// The configuration file [env: SIDELIGHT_CONFIG]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Warnings count as errors
    #[arg(long)]
    pub strict: bool,
}

/// Checks a configuration and tells what is wrong on standard error.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let flags = Flags { config: arguments.file.clone(), ..Flags::default() };
    let loaded = load(&flags, environment);
    let Some(file) = &loaded.file else {
        eprintln!("error: no file to check: name one, or set SIDELIGHT_CONFIG");
        return ExitCode::from(2);
    };
    let faults = faults(&loaded);
    for fault in &faults {
        eprintln!("{fault}");
    }
    let count = |level| faults.iter().filter(|fault| fault.level == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    let rules = loaded.config.rules.own.len();
    let summary = format!(
        "{}: {}, {}, {}",
        file.display(),
        plural(errors, "error"),
        plural(warnings, "warning"),
        plural(rules, "rule")
    );
    let wrong = errors > 0 || (arguments.strict && warnings > 0);
    if wrong {
        eprintln!("{summary}");
        return ExitCode::FAILURE;
    }
    println!("{summary}");
    ExitCode::SUCCESS
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// All that is wrong with a configuration, its rules compiled, in the order of the file.
pub fn faults(loaded: &Loaded) -> Vec<Fault> {
    let mut faults = loaded.faults.clone();
    faults.extend(compile(&loaded.config.rules.own).iter().map(|error| loaded.locate(error)));
    let place = |fault: &Fault| match &fault.located {
        Some(located) => (0, located.line, located.column),
        None => (1, 0, 0),
    };
    faults.sort_by_key(place);
    faults
}

/// The errors of conditions and patterns.
fn compile(rules: &[RuleSettings]) -> Vec<RuleError> {
    let mut fields = FieldTable::standard();
    let mut errors = Vec::new();
    let mut note = |path: String, SyntaxError { offset, message, hint }| {
        errors.push(RuleError { path, offset, message, hint });
    };
    for (index, rule) in rules.iter().enumerate() {
        if let Some(when) = &rule.when
            && let Err(error) = Condition::parse(when, &mut fields)
        {
            note(format!("[{index}].when"), error);
        }
        if let Some(extract) = &rule.extract
            && let Err(error) = Extract::compile(&extract.pattern)
        {
            note(format!("[{index}].extract.pattern"), error);
        }
    }
    errors
}
