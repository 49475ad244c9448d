//! From words to a command: only the one that argv names is built. Prints errors and hints.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind as ClapKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::commands::{COMMANDS, Spec, Status, Words};
use crate::error::{Error, ErrorKind, Result};
use crate::world::World;
use crate::world::exec::NotStarted;
use crate::{commands, complete, curl, help, printable, secret};

/// The heading of the flags that every command has.
pub const GENERAL: &str = "General";

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

/// The same of a program that was not started, with a shell's status.
pub fn not_started(not: &NotStarted, world: &World) -> Status {
    report((not.error.kind(), not.error.message().to_owned(), not.error.hint_text()), world);
    Status(not.status)
}

fn dispatch(words: &[OsString], world: &World) -> anyhow::Result<Status> {
    if let Some(shell) = world.env.completion() {
        complete::answer(&shell.to_string_lossy(), words, world)?;
        return Ok(Status::DONE);
    }
    let words = words.get(1..).unwrap_or_default();
    // What stands behind the name of this command may be somebody else's; see run_spec.
    refuse_secrets(words.split(|word| word == "curl").next().unwrap_or_default())?;
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
    let command = command(spec);
    let split;
    let words = match spec.name {
        "curl" => {
            split = curl::split(&command, words)?;
            &split
        }
        _ => words,
    };
    refuse_secrets(words)?;
    match parse(command, words) {
        Ok(matches) => (spec.run)(Words(Some(matches)), world),
        Err(error) if error.kind() == ClapKind::DisplayHelp => {
            say(&help::command(spec, world), world)
        }
        Err(error) => Err(two_lines(&error, Some(spec), words).into()),
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
        Err(error) => return Err(two_lines(&error, None, words).into()),
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
    // One page only, whichever way it is asked for.
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    Command::new(name)
        .disable_help_subcommand(true)
        .disable_help_flag(true)
        .disable_colored_help(true)
        .term_width(80)
        .arg(help.help("Show this help").help_heading(GENERAL))
}

/// One command, ready to parse.
pub fn command(spec: &'static Spec) -> Command {
    // The groups of flags have descriptions of their own, which are not the command's.
    (spec.flags)(base(spec.name)).about(spec.about)
}

/// All commands under the names people type, for completion; with the flags that may stand before them or
/// without.
pub fn whole_tree(with_flags: bool) -> Command {
    let commands = COMMANDS.iter().map(|spec| {
        let others = spec.names().filter(|name| *name != spec.short_name());
        // Offered only where nothing else fits what is typed.
        command(spec).name(spec.short_name()).aliases(others.collect::<Vec<_>>())
    });
    let gauth = base("gauth");
    let gauth = if with_flags { commands::shared_flags(gauth) } else { gauth };
    gauth.version(env!("CARGO_PKG_VERSION")).subcommands(commands).subcommand(
        base("help")
            .about("help for a command or a topic")
            .arg(Arg::new("topic").value_parser(help::topics())),
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
        if secret::looks_secret(value) || word.starts_with("-----BEGIN") {
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
    let word = word.to_string_lossy();
    if word.is_empty() {
        return Error::usage("an empty word stands where a command belongs")
            .hint("look at the variable it came from; gauth --help lists the commands");
    }
    if let Some((_, instead)) = ELSEWHERE.iter().find(|(name, _)| *name == word) {
        return Error::usage(format!("{word} is not in this version")).hint(*instead);
    }
    let error = Error::usage(format!("there is no command {shown}"));
    match near(&word, COMMANDS.iter().flat_map(Spec::names)) {
        Some(near) => error.hint(format!("gauth {near}, or gauth --help for all commands")),
        None => error.hint("gauth --help lists the commands"),
    }
}

/// Commands that people who know gcloud look for, and what does their work until they are here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("auth", "gauth token, which is gcloud auth print-access-token"),
    ("config", "gauth help files shows config.toml, gauth help environment the variables"),
    ("doctor", "gauth status, or gauth token -vv"),
    ("serve", "gauth sandbox serves made-up tokens"),
];

/// The one of these that was probably meant.
pub fn near(word: &str, mut names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let word = word.to_lowercase();
    names.find(|name| name.starts_with(&*word) || word.starts_with(name) || one_slip(name, &word))
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
fn two_lines(error: &clap::Error, spec: Option<&'static Spec>, words: &[OsString]) -> Error {
    let named = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => printable::text(text),
        Some(ContextValue::Strings(list)) => printable::text(&list.join(", ")),
        _ => String::new(),
    };
    let arg = named(ContextKind::InvalidArg);
    let bare = bare_name(&arg);
    let values = named(ContextKind::ValidValue);
    let help = match spec {
        None => "gauth --help".to_owned(),
        Some(spec) => format!("gauth {} --help", spec.short_name()),
    };
    let (message, hint) = match error.kind() {
        ClapKind::UnknownArgument if arg.starts_with('-') => {
            return no_such_flag(&bare, &named(ContextKind::SuggestedArg), words, &help);
        }
        ClapKind::UnknownArgument => {
            ("there is a word too many".to_owned(), one_word_less(spec, &help))
        }
        ClapKind::InvalidValue if named(ContextKind::InvalidValue).is_empty() => {
            let usage = arg.replace(['<', '>'], "").replace("...", "");
            let hint = match values.is_empty() {
                true => format!("{usage}, or {help}"),
                false => format!("name one of {values}"),
            };
            (format!("{bare} needs a value"), hint)
        }
        ClapKind::InvalidValue if bare.starts_with('-') => {
            (format!("{bare} does not know that value"), format!("name one of {values}"))
        }
        ClapKind::InvalidValue => {
            let what = bare.to_lowercase();
            (format!("there is no such {what}"), format!("name one of {values}"))
        }
        ClapKind::ValueValidation => (format!("{bare} has a value that makes no sense"), help),
        ClapKind::ArgumentConflict => {
            let other = bare_name(&named(ContextKind::PriorArg));
            let hint = "leave one of the two away".to_owned();
            match other == bare {
                true => (format!("{bare} is given twice"), "leave one of them away".to_owned()),
                false => (format!("{bare} and {other} do not go together"), hint),
            }
        }
        ClapKind::MissingRequiredArgument => {
            let mut examples = spec.map(|spec| spec.examples).unwrap_or_default().iter();
            let hint = match examples.find(|example| example.0.starts_with("gauth")) {
                Some(example) => format!("{}, or {help}", example.0),
                None => help,
            };
            (format!("{bare} is missing"), hint)
        }
        ClapKind::TooManyValues | ClapKind::WrongNumberOfValues => {
            (format!("{bare} is given a value too many"), help)
        }
        ClapKind::InvalidUtf8 => ("a word of the command line is not valid UTF-8".to_owned(), help),
        _ => ("the command line is not understood".to_owned(), help),
    };
    Error::usage(message).hint(hint)
}

/// `--scopes <SCOPE,…>` without its value, `<ACTION>` without its brackets.
fn bare_name(arg: &str) -> String {
    let first = arg.split([' ', '=']).next().unwrap_or_default();
    first.trim_end_matches("...").trim_matches(['<', '>', '[', ']']).to_owned()
}

/// What people who know other programs type, and what it is here.
const MEANT: &[(&str, &str)] = &[
    ("--json", "--format json"),
    ("--output", "--format json"),
    ("--header", "--format header"),
    ("--version", "gauth --version"),
    ("--user", "--account"),
    ("--email", "--account"),
    ("--force", "--refresh"),
    ("--debug", "-vv"),
];

fn no_such_flag(bare: &str, near: &str, words: &[OsString], help: &str) -> Error {
    let error = Error::usage(format!("there is no flag {bare}"));
    if let Some((_, meant)) = MEANT.iter().find(|(typed, _)| *typed == bare) {
        return error.hint(*meant);
    }
    // -format is read as -f -o -r …
    let one_dash = words.iter().filter_map(|word| word.to_str()).find(|word| {
        let second = word.chars().nth(1);
        !bare.starts_with("--") && word.starts_with(bare) && word.len() > 2 && second != Some('-')
    });
    match (near, one_dash) {
        ("", Some(word)) => {
            let name = word.split('=').next().unwrap_or_default();
            error.hint(format!("-{}, with two dashes, or {help}", printable::text(name)))
        }
        ("", None) => error.hint(help.to_owned()),
        (near, _) => error.hint(format!("{near}, or {help}")),
    }
}

/// Where a command of somebody else's is expected, it stands behind two dashes.
fn one_word_less(spec: Option<&'static Spec>, help: &str) -> String {
    let example = spec.and_then(|spec| spec.examples.iter().find(|line| line.0.contains(" -- ")));
    match example {
        Some(example) => format!("put -- before the command, as in {}", example.0),
        None => help.to_owned(),
    }
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
        whole_tree(true).debug_assert();
        whole_tree(false).debug_assert();
        commands::shared_flags(base("gauth")).debug_assert();
    }

    #[test]
    fn mistakes_are_told_in_two_helpful_lines() {
        for (line, message, hint) in [
            ("tokn", "there is no command tokn", "gauth token, or gauth --help for all commands"),
            ("TOKEN", "there is no command TOKEN", "gauth token, or gauth --help for all commands"),
            ("frobnicate", "there is no command frobnicate", "gauth --help lists the commands"),
            ("auth print-access-token", "auth is not in this version", ELSEWHERE[0].1),
            ("token --sourc x", "there is no flag --sourc", "--source, or gauth token --help"),
            ("token --json", "there is no flag --json", "--format json"),
            ("token -x", "there is no flag -x", "gauth token --help"),
            (
                "token -format json",
                "there is no flag -f",
                "--format, with two dashes, or gauth token --help",
            ),
            (
                "token --format xml",
                "--format does not know that value",
                "name one of text, json, header, env, curl-config",
            ),
            ("token --scopes", "--scopes needs a value", "--scopes SCOPE,…, or gauth token --help"),
            (
                "token --format",
                "--format needs a value",
                "name one of text, json, header, env, curl-config",
            ),
            ("token one two", "there is a word too many", "gauth token --help"),
            (
                "token --quiet -v",
                "--quiet and --verbose do not go together",
                "leave one of the two away",
            ),
            ("token --account a --account b", "--account is given twice", "leave one of them away"),
            ("cache lst", "there is no such action", "name one of list, clear"),
            ("sandbox --port x", "--port has a value that makes no sense", "gauth sandbox --help"),
            (
                "sandbox make test",
                "there is a word too many",
                "put -- before the command, as in gauth sandbox -- gauth token",
            ),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let error = match spec(&words[0]) {
                None => unknown(&words[0]),
                Some(spec) => {
                    let error = parse(command(spec), &words).expect_err(line);
                    two_lines(&error, Some(spec), &words)
                }
            };
            assert_eq!((error.message(), error.hint_text()), (message, Some(hint)), "{line}");
        }
    }

    #[test]
    fn commands_that_are_somewhere_else_are_not_here() {
        for (name, _) in ELSEWHERE {
            assert!(spec(name.as_ref()).is_none(), "{name} is a command now");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        assert!(
            one_slip("token", "tokne") && one_slip("token", "tken") && one_slip("token", "tokenn")
        );
        assert!(!one_slip("token", "status"));
    }
}
