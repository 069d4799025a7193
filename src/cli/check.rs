//! `sidelight check`: validates configurations, alone or as layers, in files or in manifests. It
//! reports all errors at once, including those of compiling the rules. With `--cluster` it checks a
//! cluster instead. Exit code 0: valid; 1: not valid, or warnings under `--strict`.

mod lint;
#[cfg(test)]
mod tests;

use crate::cli::programs;
use crate::cli::style;
use crate::config::environment::Environment;
use crate::config::fault::{FAULTS_MAX, Fault, Level};
use crate::config::print::print;
use crate::config::settings::Config;
use crate::config::{Checked, Flags, Loaded, check, load};
use crate::console;
use crate::order;
use crate::rules::compile::dry_run;
use crate::rules::set::Rule;
use crate::rules::settings::FormatSettings;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `check`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// Configuration files, or manifests with ConfigMaps that contain some; - for standard input
    /// [default: SIDELIGHT_CONFIG and the layers of the environment]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Check the files as layers of one configuration, in which later ones override earlier ones
    #[arg(long, requires = "files")]
    pub layers: bool,
    /// Treat warnings as errors
    #[arg(long)]
    pub strict: bool,
    /// Print the resulting configuration, merged from files, environment and defaults
    #[arg(long)]
    pub print: bool,
    /// Check a cluster instead: pods without their sidecar, an unreachable injector, metrics that
    /// nothing scrapes; each with its reason and remedy
    #[arg(long, conflicts_with_all = ["files", "print"])]
    pub cluster: bool,
    /// Configuration for the access to the cluster [default: KUBECONFIG, the service account, or
    /// ~/.kube/config]
    #[arg(long, value_name = "FILE", requires = "cluster")]
    pub kubeconfig: Option<PathBuf>,
}

/// Checks configurations and reports what is wrong on standard error.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    if arguments.cluster {
        return check_cluster(arguments, environment);
    }
    let checked = if arguments.files.is_empty() {
        let loaded = load(&Flags::default(), environment);
        let names: Vec<&str> = loaded.layers().collect();
        if names.is_empty() && !arguments.print {
            style::fail("no file to check: name one, or set SIDELIGHT_CONFIG", environment);
            return ExitCode::from(2);
        }
        let name = if names.is_empty() { "no file".to_owned() } else { names.join(" + ") };
        vec![Checked { name, loaded }]
    } else {
        check(&arguments.files, arguments.layers, environment)
    };
    let mut reported: Vec<Fault> = Vec::new();
    let mut wrong = false;
    for one in &checked {
        wrong |= !report(one, arguments, environment, &mut reported);
    }
    if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Starts the program that knows clusters.
fn check_cluster(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let mut passed = vec![OsString::from("check")];
    if arguments.strict {
        passed.push("--strict".into());
    }
    if let Some(file) = &arguments.kubeconfig {
        passed.extend(["--kubeconfig".into(), file.into()]);
    }
    programs::become_program("check --cluster", programs::INJECTOR, &passed, environment)
}

/// Reports what is wrong with one configuration, except for what was reported before: the
/// environment is the same for all. Returns whether the configuration can be used.
fn report(
    checked: &Checked,
    arguments: &Arguments,
    environment: &Environment,
    reported: &mut Vec<Fault>,
) -> bool {
    let Checked { name, loaded } = checked;
    let mut faults = faults(loaded);
    for fault in &faults {
        if !reported.contains(fault) {
            style::diagnose(&format!("{fault}\n"), environment);
        }
    }
    let count = |level| faults.iter().filter(|fault| fault.level == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    let rules = loaded.config.rules.own.len();
    let summary = format!(
        "{name}: {}, {}, {}",
        counted(errors, "error"),
        counted(warnings, "warning"),
        plural(rules, "rule")
    );
    reported.append(&mut faults);
    if errors > 0 || (arguments.strict && warnings > 0) {
        console::diagnostic_line(summary);
        return false;
    }
    if arguments.print {
        write_result(&format!("# {name}\n{}", print(&loaded.config)));
        return true;
    }
    let mut result = format!("{summary}\n");
    let formats: Vec<String> = loaded.config.rules.formats.iter().map(shown_format).collect();
    if !formats.is_empty() {
        let _ = writeln!(result, "formats, in the order they are tried: {}", formats.join(", "));
    }
    let linear = linear(&loaded.config);
    if !linear.is_empty() {
        let _ = writeln!(result, "evaluated for every line: {}", linear.join(", "));
    }
    write_result(&result);
    true
}

/// Writes to standard output. A reader that closes early, such as `head`, does not change the
/// result of the check or its exit code.
fn write_result(text: &str) {
    let _ = console::print(text);
}

fn shown_format(format: &FormatSettings) -> String {
    format!("{} ({})", format.name, format.notation.name())
}

/// Formats a count; no more than [`FAULTS_MAX`] faults are listed.
fn counted(count: usize, word: &str) -> String {
    if count > FAULTS_MAX { format!("over {FAULTS_MAX} {word}s") } else { plural(count, word) }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// Returns all faults of a configuration, including those of compiling its rules and those that only
/// `check` looks for, in the order of the file.
pub fn faults(loaded: &Loaded) -> Vec<Fault> {
    let mut faults = loaded.faults.clone();
    let errors = dry_run(&loaded.config.rules, loaded.config.limits).err().unwrap_or_default();
    for fault in loaded.locate_all(&errors) {
        if !loaded.faults.iter().any(|known| explains(known, &fault)) {
            faults.push(fault);
        }
    }
    faults.extend(lint::warnings(loaded));
    order::sort_by_key(&mut faults, |fault| loaded.order(fault));
    faults
}

/// Returns whether a fault is already known: a value that was refused while reading also fails to
/// compile, and one report is enough. A family is refused at its name, whatever part of it was
/// wrong.
fn explains(known: &Fault, fault: &Fault) -> bool {
    let whole = fault.path.strip_suffix(".name").unwrap_or(&fault.path);
    known.level == Level::Error && known.path.starts_with(whole)
}

/// Returns the names of the user's rules that every record is tested against, because no field and
/// no constant excludes them.
fn linear(config: &Config) -> Vec<String> {
    let Ok(set) = dry_run(&config.rules, config.limits) else { return Vec::new() };
    let excluded = |rule: &Rule| {
        rule.equality.is_some()
            || rule.criteria.required != 0
            || !rule.criteria.required_extended.is_empty()
    };
    let own = set.rules.iter().filter(|rule| !rule.standard && !excluded(rule));
    own.map(|rule| rule.name.to_string()).collect()
}
