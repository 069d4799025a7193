//! `sidelight explain`: shows what happens to each line: the readers that were tried, its fields,
//! its rules, its series and spans; or a summary of a file. It uses the code of a running sidecar;
//! only the output is implemented here.

mod gather;
mod json;
mod summary;
mod text;

use super::lines::Records;
use super::style::{self, Style};
use crate::clock::Clock;
use crate::config::environment::Environment;
use crate::config::settings::Config;
use crate::config::{Flags, load};
use crate::console;
use crate::rules::compile::dry_run;
use crate::rules::set::RuleSet;
use gather::{Explanation, LineReader};
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;

/// Limit of the input's length.
const INPUT_BYTES_MAX: u64 = 16 << 20;

/// Arguments of `explain`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Arguments {
    /// The line; without one, lines are read from standard input
    #[arg(value_name = "LINE", trailing_var_arg = true, allow_hyphen_values = true)]
    pub line: Vec<String>,
    /// Summarise a file, also compressed by gzip or zstd: its formats, and an example of each kind
    /// of line that is not understood; - for standard input
    #[arg(long, short, value_name = "FILE", conflicts_with = "line")]
    pub file: Option<PathBuf>,
    /// Print one JSON object per record, for scripts; docs/commands.md describes its members
    #[arg(long, conflicts_with = "file")]
    pub json: bool,
    /// Configuration file in YAML [env: SIDELIGHT_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Explains lines, or summarises a file.
pub(crate) fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let flags = Flags { config: arguments.config.clone(), ..Flags::default() };
    let loaded = load(&flags, environment);
    for fault in &loaded.faults {
        style::diagnose(&fault.to_string(), environment);
    }
    let rules = match dry_run(&loaded.config.rules, loaded.config.limits) {
        Ok(rules) if loaded.is_valid() => rules,
        Ok(_) => return ExitCode::from(2),
        Err(errors) => {
            for fault in loaded.locate_all(&errors) {
                style::diagnose(&fault.to_string(), environment);
            }
            return ExitCode::from(2);
        }
    };
    let style = Style::of(io::stdout(), environment);
    let explained = match &arguments.file {
        Some(path) => {
            summary::summarise(path, Style::of(io::stderr(), environment), &loaded.config, &rules)
        }
        None => input(&arguments.line).map(|input| {
            if arguments.json {
                json_of(&input, &loaded.config, &rules)
            } else {
                text_of(&input, &loaded.config, &rules, style)
            }
        }),
    };
    match explained {
        Ok(text) => {
            // a reader that closes early is not an error
            let _ = console::print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            let file = arguments.file.as_ref().map(|file| format!("{}: ", file.display()));
            let file = file.unwrap_or_default();
            style::fail(format_args!("{file}{error}"), environment);
            ExitCode::from(2)
        }
    }
}

fn input(words: &[String]) -> io::Result<String> {
    if !words.is_empty() {
        return Ok(words.join(" "));
    }
    if io::stdin().is_terminal() {
        console::diagnostic_line(format_args!("paste lines, then Ctrl-D"));
    }
    let mut bytes = Vec::new();
    io::stdin().take(INPUT_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Explains the records of the input one after the other.
fn explain_all(input: &str, config: &Config, rules: &RuleSet, mut write: impl FnMut(&Explanation)) {
    let now = Clock::system().now();
    let mut reader = LineReader::new(rules);
    let mut records = Records::new(input.as_bytes());
    while let Some(record) = records.next(&mut reader.memory.formats) {
        let frame = String::from_utf8_lossy(record);
        let line = frame.trim_end_matches(['\n', '\r']);
        if !line.is_empty() {
            write(&gather::gather(line, &mut reader, config, rules, now));
        }
    }
}

/// Explains the records of the input as text.
fn text_of(input: &str, config: &Config, rules: &RuleSet, style: Style) -> String {
    let mut out = String::new();
    explain_all(input, config, rules, |explained| text::write(explained, style, &mut out));
    out
}

/// Explains the records of the input as JSON, one object per line.
fn json_of(input: &str, config: &Config, rules: &RuleSet) -> String {
    let mut out = String::new();
    explain_all(input, config, rules, |explained| {
        // writing to a string does not fail
        let _ = writeln!(out, "{}", json::object(explained));
    });
    out
}

#[cfg(test)]
mod tests;
