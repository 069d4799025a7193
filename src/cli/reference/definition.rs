//! The command line as data: commands, flags and values, read from clap's definition. Pure. Unit:
//! one program.

use clap::{Arg, Command};

/// A program with its commands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Definition {
    /// What it does: a paragraph for each line.
    pub(super) about: Vec<String>,
    /// The commands, in the order of the help.
    pub(super) commands: Vec<CommandDefinition>,
}

/// One command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct CommandDefinition {
    pub(super) name: String,
    /// What it does, in one sentence without a stop.
    pub(super) about: String,
    /// The names of its operands, as in `[FILE]...`.
    pub(super) operands: Vec<(String, String)>,
    pub(super) flags: Vec<Flag>,
}

/// One flag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Flag {
    pub(super) long: Option<String>,
    pub(super) short: Option<char>,
    pub(super) about: String,
    pub(super) takes_value: bool,
    /// The name of its value.
    pub(super) value_name: String,
    /// The values that are possible, if they are a closed set.
    pub(super) values: Vec<String>,
}

impl Flag {
    /// Returns the flag as it is written: `--url`, `-f`.
    pub(super) fn spellings(&self) -> Vec<String> {
        let long = self.long.iter().map(|long| format!("--{long}"));
        long.chain(self.short.map(|short| format!("-{short}"))).collect()
    }
}

impl Definition {
    /// Reads a definition.
    pub(super) fn of(program: &Command) -> Definition {
        let mut program = program.clone();
        program.build();
        let about = program.get_long_about().or(program.get_about());
        let about = about.map(ToString::to_string).unwrap_or_default();
        let commands = program.get_subcommands().filter(|command| command.get_name() != "help");
        Definition {
            about: about.split("\n\n").map(|part| part.replace('\n', " ")).collect(),
            commands: commands.map(command).collect(),
        }
    }
}

fn command(command: &Command) -> CommandDefinition {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let operands = command.get_positionals().map(|arg| (arg.to_string(), help(arg)));
    CommandDefinition {
        name: command.get_name().to_owned(),
        about,
        operands: operands.collect(),
        flags: command.get_arguments().filter(|arg| !arg.is_positional()).map(flag).collect(),
    }
}

fn flag(arg: &Arg) -> Flag {
    let takes_value = arg.get_action().takes_values();
    let values = if takes_value { arg.get_possible_values() } else { Vec::new() };
    let name = arg.get_value_names().and_then(<[_]>::first);
    Flag {
        long: arg.get_long().map(str::to_owned),
        short: arg.get_short(),
        about: help(arg),
        takes_value,
        value_name: name.map(ToString::to_string).unwrap_or_default(),
        values: values.iter().map(|value| value.get_name().to_owned()).collect(),
    }
}

fn help(arg: &Arg) -> String {
    arg.get_help().map(|help| help.to_string().replace('\n', " ")).unwrap_or_default()
}
