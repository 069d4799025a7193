//! The manual page, made from the definition of the command line. Pure. Unit: one page.

use super::definition::{CommandDefinition, Definition, Flag};
use std::fmt::Write as _;

/// What follows the commands.
const ENVIRONMENT: &str = "\
.SH ENVIRONMENT
Every setting of \\fBrun\\fR has a variable; \\fBsidelight reference\\fR lists them.
.TP
.B SIDELIGHT_CONFIG
The configuration file.
.TP
.B NO_COLOR
If it is not empty, no command uses colours.
.SH EXIT STATUS
0 after success; 1 if the result is negative: not healthy, not valid, damaged; 2 after wrong arguments
or if a file cannot be read.
";

/// Returns the page in roff, section 1.
pub(super) fn page(definition: &Definition) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut out = format!(
        ".TH SIDELIGHT 1 \"\" \"sidelight {version}\" \"User Commands\"\n\
         .SH NAME\nsidelight \\- logs of an application to metrics, spans and a health verdict\n\
         .SH SYNOPSIS\n.B sidelight\n[\\fICOMMAND\\fR] [\\fIOPTIONS\\fR]\n.SH DESCRIPTION\n"
    );
    // writing to a string does not fail
    let about: Vec<String> = definition.about.iter().map(|part| escaped(part)).collect();
    let _ = writeln!(out, "{}", about.join("\n.PP\n"));
    out.push_str(".SH COMMANDS\n");
    for command in &definition.commands {
        write_command(command, &mut out);
    }
    out.push_str(ENVIRONMENT);
    out
}

fn write_command(command: &CommandDefinition, out: &mut String) {
    let operands: Vec<String> =
        command.operands.iter().map(|(name, _)| format!(" {}", escaped(name))).collect();
    // writing to a string does not fail
    let _ = writeln!(out, ".SS sidelight {}{}", escaped(&command.name), operands.concat());
    let _ = writeln!(out, "{}.", escaped(&command.about));
    for (name, about) in &command.operands {
        let _ = writeln!(out, ".TP\n\\fI{}\\fR\n{}", escaped(name), escaped(about));
    }
    for flag in &command.flags {
        let _ = writeln!(out, ".TP\n{}\n{}", spelled(flag), escaped(&flag.about));
        if !flag.values.is_empty() {
            let _ = writeln!(out, "One of: {}.", escaped(&flag.values.join(", ")));
        }
    }
}

fn spelled(flag: &Flag) -> String {
    let all: Vec<String> =
        flag.spellings().iter().map(|text| format!("\\fB{}\\fR", escaped(text))).collect();
    let value = if flag.takes_value {
        format!(" \\fI{}\\fR", escaped(&flag.value_name))
    } else {
        String::new()
    };
    format!("{}{value}", all.join(", "))
}

/// Returns a text that roff prints as it is: without escapes, and with a first character that does
/// not begin a request.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
