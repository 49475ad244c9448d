//! From words to a command: only the one that argv names is built. Prints errors and hints.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind as ClapKind};
use clap::{ArgMatches, Command};

use crate::commands::{COMMANDS, Spec, Status, Words};
use crate::error::{Error, ErrorKind, Result};
use crate::world::World;
use crate::{commands, complete, help, printable, secret};

/// Runs the command the words name, and says what went wrong. The first word is the program's own name.
pub fn run(words: &[OsString], world: &World) -> Status {
    match dispatch(words, world) {
        Ok(status) => status,
        Err(error) => {
            let error = error.chain().find_map(|cause| cause.downcast_ref::<Error>()).map_or_else(
                || (ErrorKind::Unexpected, format!("{error:#}"), None),
                |typed| (typed.kind(), typed.message().to_owned(), typed.hint_text()),
            );
            Status(report(error, world))
        }
    }
}

/// Two lines: what happened, and what mends it.
fn report((kind, message, hint): (ErrorKind, String, Option<&str>), world: &World) -> u8 {
    if kind != ErrorKind::BrokenPipe {
        let paint = world.terminal.paint(world.terminal.is_terminal);
        let hint = hint.unwrap_or("gauth -vv shows what was decided and sent");
        world.terminal.error(&format!(
            "{} {message}\n{} {hint}",
            paint.wrong("gauth:"),
            paint.notable("try:")
        ));
    }
    kind.exit_code()
}

fn dispatch(words: &[OsString], world: &World) -> anyhow::Result<Status> {
    if let Some(shell) = world.env.completion() {
        complete::answer(&shell.to_string_lossy(), words, world)?;
        return Ok(Status::DONE);
    }
    let words = words.get(1..).unwrap_or_default();
    refuse_secrets(words)?;
    let Some(first) = words.first() else { return say(&help::overview(world), world) };
    if let Some(spec) = spec(first) {
        return run_spec(spec, words, world);
    }
    match first.to_str() {
        Some("help" | "--help" | "-h") => {
            let topic = words.get(1).map(|word| word.to_string_lossy());
            say(&help::about(topic.as_deref(), world)?, world)
        }
        Some("--version" | "-V" | "version") => {
            say(&format!("gauth {}\n", env!("CARGO_PKG_VERSION")), world)
        }
        Some(flag) if flag.starts_with('-') && flag != "-" => flags_first(words, world),
        _ => Err(unknown(first).into()),
    }
}

fn say(text: &str, world: &World) -> anyhow::Result<Status> {
    world.streams.result(text.as_bytes())?;
    Ok(Status::DONE)
}

/// The command of this name or alias.
pub fn spec(name: &OsStr) -> Option<&'static Spec> {
    COMMANDS
        .iter()
        .find(|spec| name == spec.name || spec.aliases.iter().any(|alias| name == *alias))
}

/// `words` begins with the command's name.
fn run_spec(spec: &'static Spec, words: &[OsString], world: &World) -> anyhow::Result<Status> {
    if words.len() == 1 {
        return (spec.run)(Words(None), world);
    }
    match parse(command(spec), words) {
        Ok(matches) => (spec.run)(Words(Some(matches)), world),
        Err(error) if error.kind() == ClapKind::DisplayHelp => {
            say(&help::command(spec, world), world)
        }
        Err(error) => Err(two_lines(&error, spec.name).into()),
    }
}

fn parse(command: Command, words: &[OsString]) -> std::result::Result<ArgMatches, clap::Error> {
    // The process ends soon: taking the tree of flags apart first would cost a tenth of its time.
    std::mem::ManuallyDrop::new(command).try_get_matches_from_mut(words)
}

/// Flags that all commands share may stand before the command: they are moved behind it.
fn flags_first(words: &[OsString], world: &World) -> anyhow::Result<Status> {
    let reader = commands::shared_flags(base("gauth"))
        .no_binary_name(true)
        .disable_version_flag(true)
        .allow_external_subcommands(true);
    let matches = match parse(reader, words) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ClapKind::DisplayHelp => {
            return say(&help::overview(world), world);
        }
        Err(error) => return Err(two_lines(&error, "").into()),
    };
    let Some((name, inner)) = matches.subcommand() else {
        let error = Error::usage("no command is named").hint("gauth --help lists them");
        return Err(error.into());
    };
    let behind = inner.get_many::<OsString>("").map_or(0, Iterator::count);
    let at = words.len() - behind - 1;
    let Some(spec) = spec(OsStr::new(name)) else { return Err(unknown(&words[at]).into()) };
    let mut moved = vec![words[at].clone()];
    moved.extend_from_slice(&words[..at]);
    moved.extend_from_slice(&words[at + 1..]);
    run_spec(spec, &moved, world)
}

fn base(name: &'static str) -> Command {
    Command::new(name).disable_help_subcommand(true).disable_colored_help(true).term_width(80)
}

/// One command, ready to parse.
pub fn command(spec: &'static Spec) -> Command {
    (spec.flags)(base(spec.name).about(spec.about))
}

/// All commands, for completion and the manual.
pub fn whole_tree() -> Command {
    let commands = COMMANDS.iter().map(|spec| command(spec).visible_aliases(spec.aliases));
    base("gauth")
        .about("Google tokens for scripts")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands(commands)
        .subcommand(
            Command::new("help")
                .about("help for a command or a topic")
                .arg(clap::Arg::new("topic").value_parser(help::topics())),
        )
}

/// A secret given as a word of gauth's own would stand in the process list; say so before anything else is
/// said about it. What stands behind `--` belongs to somebody else.
fn refuse_secrets(words: &[OsString]) -> Result<()> {
    for word in words.iter().take_while(|word| *word != "--") {
        let word = word.to_string_lossy();
        let value = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with('-') => value,
            _ => &word,
        };
        if secret::looks_secret(value) {
            return Err(Error::not_safe(
                "a word of the command line looks like a secret; others can read it there (ps)",
            )
            .hint("give it by a file, by a variable such as GAUTH_CREDENTIALS, or by - for standard input"));
        }
    }
    Ok(())
}

fn unknown(word: &OsStr) -> Error {
    let shown = printable::os(word);
    let near =
        COMMANDS.iter().flat_map(|spec| spec.aliases.iter().chain([&spec.name])).find(|name| {
            let word = word.to_string_lossy();
            name.starts_with(&*word) || word.starts_with(**name) || one_slip(name, &word)
        });
    Error::usage(format!("there is no command {shown}")).hint(match near {
        Some(near) => format!("gauth {near}, or gauth --help for all commands"),
        None => "gauth --help lists the commands".to_owned(),
    })
}

/// Whether two words differ by one letter changed, left out, added, or by two neighbours swapped.
fn one_slip(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let start = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let (rest_a, rest_b) = (&a[start..], &b[start..]);
    let end = rest_a.iter().rev().zip(rest_b.iter().rev()).take_while(|(x, y)| x == y).count();
    match (&rest_a[..rest_a.len() - end], &rest_b[..rest_b.len() - end]) {
        ([], []) | ([_], []) | ([], [_]) | ([_], [_]) => true,
        ([w, x], [y, z]) => w == z && x == y,
        _ => false,
    }
}

/// clap's reason in gauth's form. Values are not repeated: one may be a secret in the wrong place.
fn two_lines(error: &clap::Error, command: &str) -> Error {
    let named = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => printable::text(text),
        Some(ContextValue::Strings(list)) => printable::text(&list.join(", ")),
        _ => String::new(),
    };
    let flag = named(ContextKind::InvalidArg);
    let bare = flag.split([' ', '=']).next().unwrap_or_default();
    let values = named(ContextKind::ValidValue);
    let help = match command {
        "" => "gauth --help".to_owned(),
        command => format!("gauth {command} --help"),
    };
    let near = named(ContextKind::SuggestedArg);
    let (message, hint) = match error.kind() {
        ClapKind::UnknownArgument if flag.starts_with('-') => {
            let hint = if near.is_empty() { help } else { format!("{near}, or {help}") };
            (format!("there is no flag {bare}"), hint)
        }
        ClapKind::UnknownArgument => ("there is a word too many".to_owned(), help),
        ClapKind::InvalidValue if values.is_empty() => (format!("{bare} needs a value"), help),
        ClapKind::InvalidValue => {
            (format!("{bare} does not know that value"), format!("name one of {values}"))
        }
        ClapKind::ArgumentConflict => {
            let other = named(ContextKind::PriorArg);
            let other = other.split([' ', '=']).next().unwrap_or_default().to_owned();
            (
                format!("{bare} and {other} do not go together"),
                "leave one of the two away".to_owned(),
            )
        }
        ClapKind::MissingRequiredArgument => (format!("{flag} is missing"), help),
        ClapKind::TooManyValues | ClapKind::WrongNumberOfValues => {
            (format!("{bare} is given too many values"), help)
        }
        ClapKind::InvalidUtf8 => ("a word of the command line is not valid UTF-8".to_owned(), help),
        _ => ("the command line is not understood".to_owned(), help),
    };
    Error::usage(message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_commands_share_a_name() {
        let mut names: Vec<&str> = COMMANDS
            .iter()
            .flat_map(|spec| spec.aliases.iter().copied().chain([spec.name]))
            .collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn every_command_is_well_formed_for_clap() {
        whole_tree().debug_assert();
        commands::shared_flags(base("gauth")).debug_assert();
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        assert!(
            one_slip("token", "tokne") && one_slip("token", "tken") && one_slip("token", "tokenn")
        );
        assert!(!one_slip("token", "status"));
    }
}
