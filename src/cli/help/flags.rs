//! The flags of a command as help and manual list them: by heading, one entry for each.

use clap::{Arg, ArgAction, Command};

use crate::cli;
use crate::commands::CommandSpec;
use crate::flags::{CREDENTIAL_HEADING, GENERAL_HEADING, NETWORK_HEADING};

/// The heading of a command's own flags.
pub const COMMAND_HEADING: &str = "Flags";

/// The headings of flags that many commands share; the short help leaves them out.
pub const SHARED_HEADINGS: &[&str] = &[CREDENTIAL_HEADING, NETWORK_HEADING, GENERAL_HEADING];

/// A flag or positional argument.
pub struct FlagEntry {
    /// As typed: `-q, --quiet`, `--scopes SCOPE,…`, `ACCOUNT`.
    pub term: String,
    /// The line of the short help.
    pub short: String,
    /// The sentences of the long help.
    pub long: String,
    /// The possible values, if they are a fixed set.
    pub values: Vec<String>,
    /// Whether the short help leaves it out.
    pub long_help_only: bool,
}

/// The entries under their headings; a command's own come first.
pub fn sections(spec: &'static CommandSpec) -> Vec<(String, Vec<FlagEntry>)> {
    let mut command = cli::clap_command(spec);
    command.build();
    let mut sections: Vec<(String, Vec<FlagEntry>)> = vec![(COMMAND_HEADING.to_owned(), Vec::new())];
    for arg in visible_args(&command) {
        let heading = arg.get_help_heading().unwrap_or(COMMAND_HEADING);
        match sections.iter_mut().find(|(known, _)| known == heading) {
            Some((_, entries)) => entries.push(flag_entry(arg)),
            None => sections.push((heading.to_owned(), vec![flag_entry(arg)])),
        }
    }
    sections.retain(|(_, entries)| !entries.is_empty());
    // Clap lists --help first; what holds for every command comes last.
    sections.sort_by_key(|(heading, _)| heading == GENERAL_HEADING);
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
    // Positional arguments come first.
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
    let text = |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string);
    let long = text(arg.get_long_help()).unwrap_or_default();
    // The first paragraph of a doc comment is the line of the short help.
    let mut long = long.split_once("\n\n").unwrap_or_default().1.to_owned();
    let aliases = arg.get_visible_aliases().unwrap_or_default();
    let aliases: Vec<String> = aliases.iter().map(|name| format!("`--{name}`")).collect();
    if !aliases.is_empty() {
        let label = if aliases.len() == 1 { "Alias" } else { "Aliases" };
        long.push_str(&format!(" {label}: {}.", aliases.join(", ")));
    }
    if matches!(arg.get_action(), ArgAction::Append) && !arg.is_positional() {
        long.push_str(" May be repeated.");
    }
    let values = arg.get_possible_values().into_iter().filter(|_| takes_value);
    FlagEntry {
        term: [dashed, value].join(" ").trim().to_owned(),
        short: text(arg.get_help()).unwrap_or_default(),
        long,
        values: values.map(|value| value.get_name().to_owned()).collect(),
        long_help_only: arg.is_hide_short_help_set(),
    }
}
