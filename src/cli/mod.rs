//! Finds the command that the arguments name, builds only that one, runs it, and prints its error.

pub mod complete;
pub mod completions;
pub mod help;
pub mod man;

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind as ClapKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::commands;
use crate::commands::curl::separator;
use crate::commands::{
    CommandSpec, ParsedArgs, accounts, cache, curl, exchange, exec, inspect, login, logout, print_access_token,
    print_identity_token, sandbox, status,
};
use crate::flags::GENERAL_HEADING;
use crate::output::error::print_error;
use crate::output::status::ExitStatus;
use gauth_core::error::{Error, ErrorKind, Result};
use gauth_core::text::printable::quoted_argument;
use gauth_core::text::{printable, secret};
use gauth_core::world::World;

/// Every command, in the order of the manual. Parser, help, completion and man pages all walk this.
pub const COMMANDS: &[CommandSpec] = &[
    print_access_token::SPEC,
    print_identity_token::SPEC,
    exchange::SPEC,
    inspect::SPEC,
    curl::SPEC,
    exec::SPEC,
    login::SPEC,
    logout::SPEC,
    accounts::SPEC,
    status::SPEC,
    cache::SPEC,
    sandbox::SPEC,
    completions::SPEC,
    man::SPEC,
];

/// Runs the command that the arguments name and prints its error. The first argument is the name of the program.
pub fn run(args: &[OsString], world: &World) -> ExitStatus {
    match dispatch(args, world) {
        Ok(status) => status,
        Err(error) => {
            let error = error.chain().find_map(|cause| cause.downcast_ref::<Error>()).map_or_else(
                || (ErrorKind::Unexpected, format!("{error:#}"), None),
                |typed| (typed.kind(), typed.message().to_owned(), typed.hint_text()),
            );
            ExitStatus(print_error(error, world))
        }
    }
}

fn dispatch(args: &[OsString], world: &World) -> anyhow::Result<ExitStatus> {
    if let Some(shell) = world.env.completion_shell() {
        complete::write_candidates(&shell.to_string_lossy(), args, world)?;
        return Ok(ExitStatus::SUCCESS);
    }
    let args = args.get(1..).unwrap_or_default();
    // The arguments of gauth curl are checked in run_command, without those that curl gets.
    refuse_secrets(args.split(|arg| arg == "curl").next().unwrap_or_default())?;
    let Some(first) = args.first() else { return print_text(&help::overview(world), world) };
    if let Some(spec) = find_command(first) {
        return run_command(spec, args, world);
    }
    match first.to_str() {
        Some("help" | "--help" | "-h") => {
            let topic = args.get(1).map(|arg| arg.to_string_lossy());
            print_text(&help::help_for(topic.as_deref(), world)?, world)
        }
        Some("--version" | "-V" | "version") => print_text(&format!("gauth {}\n", env!("CARGO_PKG_VERSION")), world),
        Some(flag) if flag.starts_with('-') && flag != "-" => run_with_leading_flags(args, world),
        _ => Err(unknown_command_error(first).into()),
    }
}

fn print_text(text: &str, world: &World) -> anyhow::Result<ExitStatus> {
    world.streams.write_result(text.as_bytes())?;
    Ok(ExitStatus::SUCCESS)
}

/// The command of this name or alias.
pub fn find_command(name: &OsStr) -> Option<&'static CommandSpec> {
    COMMANDS.iter().find(|spec| name == spec.name || spec.aliases.iter().any(|alias| name == *alias))
}

/// Parses `args`, which begin with the name of the command, and runs it.
fn run_command(spec: &'static CommandSpec, args: &[OsString], world: &World) -> anyhow::Result<ExitStatus> {
    if args.len() == 1 {
        return (spec.run)(ParsedArgs(None), world);
    }
    let command = clap_command(spec);
    let split_args;
    let args = match spec.name {
        "curl" => {
            split_args = separator::separate_curl_args(&command, args)?;
            &split_args
        }
        _ => args,
    };
    refuse_secrets(args)?;
    match parse(command, args) {
        Ok(matches) => (spec.run)(ParsedArgs(Some(matches)), world),
        Err(error) if error.kind() == ClapKind::DisplayHelp => {
            let is_long = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--help");
            let page = if is_long { help::long_page } else { help::short_page };
            print_text(&page(spec, world), world)
        }
        Err(error) => Err(usage_error(&error, Some(spec), args).into()),
    }
}

fn parse(command: Command, args: &[OsString]) -> std::result::Result<ArgMatches, clap::Error> {
    // The process ends soon: taking the tree of flags apart first would cost a tenth of its time.
    std::mem::ManuallyDrop::new(command).try_get_matches_from_mut(args)
}

/// Flags that all commands share may stand before the command: they are moved behind it.
fn run_with_leading_flags(args: &[OsString], world: &World) -> anyhow::Result<ExitStatus> {
    let parser = commands::shared_flags(base_command("gauth"))
        .no_binary_name(true)
        .disable_version_flag(true)
        .allow_external_subcommands(true);
    let matches = match parse(parser, args) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ClapKind::DisplayHelp => {
            return print_text(&help::overview(world), world);
        }
        Err(error) => return Err(usage_error(&error, None, args).into()),
    };
    let Some((name, inner)) = matches.subcommand() else {
        let error = Error::usage("no command is named").hint("gauth --help lists them");
        return Err(error.into());
    };
    let trailing_count = inner.get_many::<OsString>("").map_or(0, Iterator::count);
    let command_index = args.len() - trailing_count - 1;
    let Some(spec) = find_command(OsStr::new(name)) else {
        return Err(unknown_command_error(&args[command_index]).into());
    };
    let mut reordered = vec![args[command_index].clone()];
    reordered.extend_from_slice(&args[..command_index]);
    reordered.extend_from_slice(&args[command_index + 1..]);
    run_command(spec, &reordered, world)
}

fn base_command(name: &'static str) -> Command {
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    let help = help.help("show the short help; --help shows all of it").long_help(
        "show the short help; --help shows all of it\n\nShows this page. `-h` shows the examples and \
         the command's own flags, one line each.",
    );
    Command::new(name)
        .disable_help_subcommand(true)
        .disable_help_flag(true)
        .disable_colored_help(true)
        .term_width(80)
        .arg(help.help_heading(GENERAL_HEADING))
}

/// One command, ready to parse.
pub fn clap_command(spec: &'static CommandSpec) -> Command {
    // The groups of flags have descriptions of their own, which are not the command's.
    (spec.flags)(base_command(spec.name)).about(spec.about)
}

/// All commands under their short names, for completion; with or without the flags that may stand before them.
pub fn command_tree(with_flags: bool) -> Command {
    let commands = COMMANDS.iter().map(|spec| {
        let others = spec.names().filter(|name| *name != spec.short_name());
        // Offered only where nothing else fits what is typed.
        clap_command(spec).name(spec.short_name()).aliases(others.collect::<Vec<_>>())
    });
    let gauth = base_command("gauth");
    let gauth = if with_flags { commands::shared_flags(gauth) } else { gauth };
    gauth.version(env!("CARGO_PKG_VERSION")).subcommands(commands).subcommand(
        base_command("help").about("help for a command or a topic").arg(Arg::new("topic").value_parser(help::topics())),
    )
}

/// Refuses a secret among gauth's own arguments, because other users can read it in the list of processes. This
/// comes before any other error about the arguments. Those after `--` belong to another program.
fn refuse_secrets(args: &[OsString]) -> Result<()> {
    for arg in args.iter().take_while(|arg| *arg != "--") {
        let arg = arg.to_string_lossy();
        let value = match arg.split_once('=') {
            Some((flag, value)) if flag.starts_with('-') => value,
            _ => &arg,
        };
        if secret::looks_like_secret(value) || arg.starts_with("-----BEGIN") {
            return Err(Error::not_safe("an argument looks like a secret; other users can read it with ps")
                .hint("give it by a file, by a variable such as GAUTH_CREDENTIALS, or by - for standard input"));
        }
    }
    Ok(())
}

fn unknown_command_error(typed: &OsStr) -> Error {
    let typed = typed.to_string_lossy();
    if typed.is_empty() {
        return Error::usage("the name of the command is empty")
            .hint("look at the variable it came from; gauth --help lists the commands");
    }
    if let Some((_, instead)) = COMMAND_ALTERNATIVES.iter().find(|(name, _)| *name == typed) {
        return Error::usage(format!("{typed} is not in this version")).hint(*instead);
    }
    let shown = quoted_argument(&typed, "of that name");
    let error = Error::usage(format!("there is no command {shown}"));
    match closest_name(&typed, COMMANDS.iter().flat_map(CommandSpec::names)) {
        Some(near) => error.hint(format!("gauth {near}, or gauth --help for all commands")),
        None => error.hint("gauth --help lists the commands"),
    }
}

/// Commands that users of gcloud expect, and what to use instead.
const COMMAND_ALTERNATIVES: &[(&str, &str)] = &[
    ("auth", "gauth token, which is gcloud auth print-access-token"),
    ("config", "gauth help files shows config.toml, gauth help environment the variables"),
    ("doctor", "gauth status, or gauth token -vv"),
    ("serve", "gauth sandbox serves made-up tokens"),
];

/// The one of these that was probably meant.
pub fn closest_name<'a>(typed: &str, mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    names.find(|name| name.starts_with(&*typed) || typed.starts_with(name) || differs_by_one_typo(name, &typed))
}

/// Whether two names differ by one letter changed, left out, added, or by two neighbours swapped.
fn differs_by_one_typo(a: &str, b: &str) -> bool {
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

/// clap's reason in gauth's form. A value that may be a secret in the wrong place is not repeated.
fn usage_error(error: &clap::Error, spec: Option<&'static CommandSpec>, args: &[OsString]) -> Error {
    let context_text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => printable::text(text),
        Some(ContextValue::Strings(list)) => printable::text(&list.join(", ")),
        _ => String::new(),
    };
    let arg = context_text(ContextKind::InvalidArg);
    let arg_name = argument_name(&arg);
    let values = context_text(ContextKind::ValidValue);
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => value.as_str(),
        _ => "",
    };
    let quoted = quoted_argument(value, "the value");
    let help = match spec {
        None => "gauth --help".to_owned(),
        Some(spec) => format!("gauth {} --help", spec.short_name()),
    };
    let (message, hint) = match error.kind() {
        ClapKind::UnknownArgument if arg.starts_with('-') => {
            return unknown_flag_error(&arg_name, &context_text(ContextKind::SuggestedArg), args, &help);
        }
        ClapKind::UnknownArgument => {
            let quoted = quoted_argument(&arg, "there");
            (format!("{quoted} is an argument too many"), extra_argument_hint(spec, &help))
        }
        ClapKind::InvalidValue if value.is_empty() => {
            let usage = arg.replace(['<', '>'], "").replace("...", "");
            let hint = match values.is_empty() {
                true => format!("{usage}, or {help}"),
                false => format!("name one of {values}"),
            };
            (format!("{arg_name} needs a value"), hint)
        }
        ClapKind::InvalidValue if arg_name.starts_with('-') => {
            let near = closest_name(value, values.split(", "));
            let example = near.or(values.split(", ").next()).unwrap_or_default();
            let message = format!("{arg_name}: {quoted} is not one of {values}");
            (message, format!("{arg_name} {example}, or {help}"))
        }
        ClapKind::InvalidValue => {
            let (what, quoted) = (arg_name.to_lowercase(), quoted_argument(value, "of that name"));
            (format!("there is no {what} {quoted}"), format!("name one of {values}"))
        }
        ClapKind::ValueValidation => (format!("{arg_name}: {quoted} is not valid"), help),
        ClapKind::ArgumentConflict => {
            let other = argument_name(&context_text(ContextKind::PriorArg));
            let hint = "omit one of the two".to_owned();
            match other == arg_name {
                true => (format!("{arg_name} is given twice"), "omit one of them".to_owned()),
                false => (format!("{arg_name} and {other} exclude each other"), hint),
            }
        }
        ClapKind::MissingRequiredArgument => {
            let mut examples = spec.map(|spec| spec.examples).unwrap_or_default().iter();
            let hint = match examples.find(|example| example.0.starts_with("gauth")) {
                Some(example) => format!("{}, or {help}", example.0),
                None => help,
            };
            (format!("{arg_name} is missing"), hint)
        }
        ClapKind::TooManyValues | ClapKind::WrongNumberOfValues => {
            (format!("{arg_name}: {quoted} is given, and the flag takes no value"), help)
        }
        ClapKind::InvalidUtf8 => ("an argument is not valid UTF-8".to_owned(), help),
        _ => ("the command line is not understood".to_owned(), help),
    };
    Error::usage(message).hint(hint)
}

/// `--scopes <SCOPE,…>` without its value, `<ACTION>` without its brackets.
fn argument_name(arg: &str) -> String {
    let first = arg.split([' ', '=']).next().unwrap_or_default();
    first.trim_end_matches("...").trim_matches(['<', '>', '[', ']']).to_owned()
}

/// Flags of other programs, and what gauth has instead.
const FLAG_ALTERNATIVES: &[(&str, &str)] = &[
    ("--json", "--format json"),
    ("--output", "--format json"),
    ("--header", "--format header"),
    ("--version", "gauth --version"),
    ("--user", "--account"),
    ("--email", "--account"),
    ("--force", "--refresh"),
    ("--debug", "-vv"),
];

fn unknown_flag_error(flag: &str, suggestion: &str, args: &[OsString], help: &str) -> Error {
    let quoted = quoted_argument(flag, "of that name");
    let error = Error::usage(format!("there is no flag {quoted}"));
    if let Some((_, meant)) = FLAG_ALTERNATIVES.iter().find(|(typed, _)| *typed == flag) {
        return error.hint(*meant);
    }
    // -format is read as -f -o -r …
    let single_dash_arg = args.iter().filter_map(|arg| arg.to_str()).find(|arg| {
        let second = arg.chars().nth(1);
        !flag.starts_with("--") && arg.starts_with(flag) && arg.len() > 2 && second != Some('-')
    });
    match (suggestion, single_dash_arg) {
        ("", Some(arg)) => {
            let name = arg.split('=').next().unwrap_or_default();
            error.hint(format!("-{}, with two dashes, or {help}", printable::text(name)))
        }
        ("", None) => error.hint(help.to_owned()),
        (suggestion, _) => error.hint(format!("{suggestion}, or {help}")),
    }
}

/// Commands that run another program expect it after two dashes.
fn extra_argument_hint(spec: Option<&'static CommandSpec>, help: &str) -> String {
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
        let mut names: Vec<&str> =
            COMMANDS.iter().flat_map(|spec| spec.aliases.iter().copied().chain([spec.name])).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn every_command_is_well_formed_for_clap() {
        command_tree(true).debug_assert();
        command_tree(false).debug_assert();
        commands::shared_flags(base_command("gauth")).debug_assert();
    }

    #[test]
    fn a_usage_error_names_the_argument_and_its_correction() {
        for (line, message, hint) in [
            ("tokn", "there is no command \"tokn\"", "gauth token, or gauth --help for all commands"),
            ("TOKEN", "there is no command \"TOKEN\"", "gauth token, or gauth --help for all commands"),
            ("frobnicate", "there is no command \"frobnicate\"", "gauth --help lists the commands"),
            ("auth print-access-token", "auth is not in this version", COMMAND_ALTERNATIVES[0].1),
            ("token --sourc x", "there is no flag \"--sourc\"", "--source, or gauth token --help"),
            ("token --json", "there is no flag \"--json\"", "--format json"),
            ("token -x", "there is no flag \"-x\"", "gauth token --help"),
            ("token -format json", "there is no flag \"-f\"", "--format, with two dashes, or gauth token --help"),
            (
                "token --format xml",
                "--format: \"xml\" is not one of text, json, header, env, curl-config",
                "--format text, or gauth token --help",
            ),
            ("token --scopes", "--scopes needs a value", "--scopes SCOPE,…, or gauth token --help"),
            ("token --format", "--format needs a value", "name one of text, json, header, env, curl-config"),
            ("token one two", "\"two\" is an argument too many", "gauth token --help"),
            ("token one AKIAIOSFODNN7EXAMPLE", "there is an argument too many", "gauth token --help"),
            (
                "status --format AKIAIOSFODNN7EXAMPLE",
                "--format: the value is not one of text, json",
                "--format text, or gauth status --help",
            ),
            ("token --quiet -v", "--quiet and --verbose exclude each other", "omit one of the two"),
            ("token --account a --account b", "--account is given twice", "omit one of them"),
            ("cache lst", "there is no action \"lst\"", "name one of list, clear"),
            ("sandbox --port x", "--port: \"x\" is not valid", "gauth sandbox --help"),
            (
                "sandbox make test",
                "\"make\" is an argument too many",
                "put -- before the command, as in gauth sandbox -- gauth token",
            ),
        ] {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let error = match find_command(&args[0]) {
                None => unknown_command_error(&args[0]),
                Some(spec) => {
                    let error = parse(clap_command(spec), &args).expect_err(line);
                    usage_error(&error, Some(spec), &args)
                }
            };
            assert_eq!((error.message(), error.hint_text()), (message, Some(hint)), "{line}");
        }
    }

    #[test]
    fn commands_that_are_somewhere_else_are_not_here() {
        for (name, _) in COMMAND_ALTERNATIVES {
            assert!(find_command(name.as_ref()).is_none(), "{name} is a command now");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        assert!(
            differs_by_one_typo("token", "tokne")
                && differs_by_one_typo("token", "tken")
                && differs_by_one_typo("token", "tokenn")
        );
        assert!(!differs_by_one_typo("token", "status"));
    }
}
