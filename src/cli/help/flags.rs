//! The words of a command as the help and the manual list them: by heading, one entry for each.

use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, Command};

use crate::cli;
use crate::commands::CommandSpec;

/// The heading of a command's own words.
const COMMAND_HEADING: &str = "Flags";

/// A flag or positional word.
pub struct FlagEntry {
    /// As typed: `-q, --quiet`, `--scopes SCOPE,…`, `ACCOUNT`.
    pub term: String,
    /// What it does.
    pub about: String,
    /// Other names: `--key-file`.
    pub aliases: Vec<String>,
    /// The values there are, with what they mean, where that is said.
    pub values: Vec<(String, String)>,
    /// What holds when it is not given.
    pub default: Option<String>,
    /// Whether it may be given more than once.
    pub repeatable: bool,
    /// Whether only the manual has it: a page of help is one screen.
    pub manual_only: bool,
}

/// The entries under their headings; a command's own come first.
pub fn sections(spec: &'static CommandSpec) -> Vec<(String, Vec<FlagEntry>)> {
    let mut command = cli::clap_command(spec);
    command.build();
    let mut sections: Vec<(String, Vec<FlagEntry>)> =
        vec![(COMMAND_HEADING.to_owned(), Vec::new())];
    for arg in visible_args(&command) {
        let heading = arg.get_help_heading().unwrap_or(COMMAND_HEADING);
        match sections.iter_mut().find(|(known, _)| known == heading) {
            Some((_, entries)) => entries.push(flag_entry(arg)),
            None => sections.push((heading.to_owned(), vec![flag_entry(arg)])),
        }
    }
    sections.retain(|(_, entries)| !entries.is_empty());
    // Clap lists --help first; what holds for every command comes last.
    sections.sort_by_key(|(heading, _)| heading == cli::GENERAL_HEADING);
    sections
}

/// Behind the command's name in its usage line.
pub fn usage(spec: &'static CommandSpec) -> String {
    let mut command = cli::clap_command(spec);
    command.build();
    let mut usage = "[FLAGS]".to_owned();
    for arg in visible_args(&command).filter(|arg| arg.is_positional()) {
        let name = value_name(arg);
        usage.push_str(&match (arg.is_last_set(), arg.is_required_set()) {
            (true, _) => format!(" [-- {name} ARGS…]"),
            (false, true) => format!(" {name}"),
            (false, false) => format!(" [{name}]"),
        });
    }
    usage
}

fn visible_args(command: &Command) -> impl Iterator<Item = &Arg> {
    // Words without a dash come first.
    let args = || command.get_arguments().filter(|arg| !arg.is_hide_set());
    args().filter(|arg| arg.is_positional()).chain(args().filter(|arg| !arg.is_positional()))
}

fn value_name(arg: &Arg) -> String {
    arg.get_value_names().and_then(<[_]>::first).map_or_else(String::new, ToString::to_string)
}

fn flag_entry(arg: &Arg) -> FlagEntry {
    let takes_value = arg.get_action().takes_values();
    let dashed = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, Some(long)) => format!("--{long}"),
        (None, None) => String::new(),
    };
    let value = if takes_value { value_name(arg) } else { String::new() };
    let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let values = arg.get_possible_values().into_iter().filter(|_| takes_value);
    let default = arg.get_default_values().first().filter(|_| takes_value);
    FlagEntry {
        term: [dashed, value].join(" ").trim().to_owned(),
        about: lowercase_first(&about),
        aliases: arg.get_visible_aliases().unwrap_or_default().into_iter().map(long_flag).collect(),
        values: values.filter(|value| !value.is_hide_set()).filter_map(value_meaning).collect(),
        default: default.map(|value| value.to_string_lossy().into_owned()),
        repeatable: matches!(arg.get_action(), ArgAction::Append) && !arg.is_positional(),
        manual_only: arg.is_hide_short_help_set(),
    }
}

fn long_flag(name: &str) -> String {
    format!("--{name}")
}

fn value_meaning(value: PossibleValue) -> Option<(String, String)> {
    let about = value.get_help()?.to_string();
    Some((value.get_name().to_owned(), lowercase_first(&about)))
}

/// The first letter small, unless the word is a name in capitals.
fn lowercase_first(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}
