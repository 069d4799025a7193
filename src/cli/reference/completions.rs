//! Completions for bash, zsh and fish, made from the definition of the command line, so that they
//! have every flag. Pure. Unit: one script.

use super::definition::{Definition, Flag};
use clap::ValueEnum;
use std::fmt::Write as _;

/// A shell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Shell {
    /// For ~/.local/share/bash-completion/completions/sidelight
    Bash,
    /// For a file `_sidelight` in a directory of `fpath`
    Zsh,
    /// For ~/.config/fish/completions/sidelight.fish
    Fish,
}

/// Returns the script of a shell.
pub(super) fn script(shell: Shell, definition: &Definition) -> String {
    match shell {
        Shell::Bash => bash(definition),
        Shell::Zsh => zsh(definition),
        Shell::Fish => fish(definition),
    }
}

/// Completes names of commands and flags, closed sets of values, and otherwise files.
fn bash(definition: &Definition) -> String {
    let names: Vec<&str> = definition.commands.iter().map(|one| one.name.as_str()).collect();
    let (mut words, mut values) = (String::new(), String::new());
    // writing to a string does not fail
    for command in &definition.commands {
        let flags: Vec<String> = command.flags.iter().flat_map(Flag::spellings).collect();
        let _ = writeln!(words, "        {}) words='{}' ;;", command.name, flags.join(" "));
        for flag in command.flags.iter().filter(|flag| flag.takes_value) {
            for spelling in flag.spellings() {
                let _ = writeln!(
                    values,
                    "        '{} {spelling}') words='{}'; is_value=1 ;;",
                    command.name,
                    flag.values.join(" ")
                );
            }
        }
    }
    let commands = names.join(" ");
    let pattern = names.join("|");
    format!(
        "# completions of sidelight for bash\n\
         _sidelight() {{\n\
         \x20   local word command= words= is_value=\n\
         \x20   local current=\"${{COMP_WORDS[COMP_CWORD]}}\" before=\"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
         \x20   for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n\
         \x20       case \"$word\" in {pattern}) command=\"$word\"; break ;; esac\n\
         \x20   done\n\
         \x20   case \"${{command:-run}}\" in\n{words}    esac\n\
         \x20   [ -n \"$command\" ] || words=\"$words {commands}\"\n\
         \x20   case \"${{command:-run}} $before\" in\n{values}    esac\n\
         \x20   if [ -n \"$is_value\" ] && [ -z \"$words\" ]; then\n\
         \x20       COMPREPLY=($(compgen -f -- \"$current\"))\n\
         \x20   elif [ -n \"$is_value$command\" ] && [ -z \"$is_value\" ] && [[ \"$current\" != -* ]]; then\n\
         \x20       COMPREPLY=($(compgen -f -- \"$current\"))\n\
         \x20   else\n\
         \x20       COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n\
         \x20   fi\n\
         }}\n\
         complete -o filenames -F _sidelight sidelight\n"
    )
}

/// Uses `_arguments` for the flags of each command, and `_describe` for the commands.
fn zsh(definition: &Definition) -> String {
    let (mut commands, mut cases) = (String::new(), String::new());
    // writing to a string does not fail
    for command in &definition.commands {
        let about = zsh_text(&command.about).replace(':', "\\:");
        let _ = writeln!(commands, "        '{}:{about}'", command.name);
        let _ = writeln!(cases, "        {})\n            _arguments \\", command.name);
        for flag in &command.flags {
            let value = match (flag.takes_value, flag.values.is_empty()) {
                (false, _) => String::new(),
                (true, true) => format!(":{}:_files", zsh_text(&flag.value_name)),
                (true, false) => {
                    format!(":{}:({})", zsh_text(&flag.value_name), flag.values.join(" "))
                }
            };
            for spelling in flag.spellings() {
                let about = zsh_text(&flag.about).replace('[', "\\[").replace(']', "\\]");
                let _ = writeln!(cases, "                '{spelling}[{about}]{value}' \\");
            }
        }
        cases.push_str("                '*:file:_files'\n            ;;\n");
    }
    format!(
        "#compdef sidelight\n\
         # completions of sidelight for zsh\n\
         _sidelight() {{\n\
         \x20   local -a commands=(\n{commands}    )\n\
         \x20   if (( CURRENT == 2 )) && [[ \"$PREFIX\" != -* ]]; then\n\
         \x20       _describe command commands\n\
         \x20       return\n\
         \x20   fi\n\
         \x20   local command=run\n\
         \x20   if (( ${{commands[(I)$words[2]:*]}} )); then\n\
         \x20       command=$words[2]\n\
         \x20       shift words\n\
         \x20       (( CURRENT-- ))\n\
         \x20   fi\n\
         \x20   case $command in\n{cases}    esac\n\
         }}\n\
         _sidelight \"$@\"\n"
    )
}

/// Returns a text for single quotes of zsh.
fn zsh_text(text: &str) -> String {
    text.replace('\'', "'\\''")
}

/// One `complete` for each command and each flag.
fn fish(definition: &Definition) -> String {
    let names: Vec<&str> = definition.commands.iter().map(|one| one.name.as_str()).collect();
    let none = format!("not __fish_seen_subcommand_from {}", names.join(" "));
    let mut out = "# completions of sidelight for fish\n".to_owned();
    // writing to a string does not fail
    for command in &definition.commands {
        let _ = writeln!(
            out,
            "complete -c sidelight -f -n '{none}' -a {} -d {}",
            command.name,
            fish_text(&command.about)
        );
        for flag in &command.flags {
            let mut conditions = vec![format!("__fish_seen_subcommand_from {}", command.name)];
            if command.name == "run" {
                conditions.push(none.clone());
            }
            for condition in conditions {
                let _ = write!(out, "complete -c sidelight -n '{condition}'");
                if let Some(short) = flag.short {
                    let _ = write!(out, " -s {short}");
                }
                if let Some(long) = &flag.long {
                    let _ = write!(out, " -l {long}");
                }
                match (flag.takes_value, flag.values.is_empty()) {
                    (false, _) => {}
                    (true, true) => out.push_str(" -r"),
                    (true, false) => {
                        let _ = write!(out, " -x -a '{}'", flag.values.join(" "));
                    }
                }
                let _ = writeln!(out, " -d {}", fish_text(&flag.about));
            }
        }
    }
    out
}

fn fish_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
