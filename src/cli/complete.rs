//! Completion in shells: the scripts run the program for candidates, so that accounts and profiles complete too.

use std::ffi::OsString;

use clap::Command;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{EnvCompleter, Shells};

use crate::cli;
use gauth_core::error::{Error, Result};
use gauth_core::oauth::token_exchange;
use gauth_core::world::{World, env, files};
use gauth_core::{config, discovery};

/// The supported shells, and the names of their scripts in `completions/`.
pub const SHELL_SCRIPTS: &[(&str, &str)] = &[
    ("bash", "gauth.bash"),
    ("zsh", "_gauth"),
    ("fish", "gauth.fish"),
    ("powershell", "gauth.ps1"),
    ("elvish", "gauth.elv"),
];

/// Adds the candidates for their values to the arguments of all commands.
fn with_completers(command: Command, world: &World) -> Command {
    let accounts = discovery::account_names(world);
    let profiles = config::profile_names(world);
    attach(command, &accounts, &profiles)
}

fn attach(command: Command, accounts: &[String], profiles: &[String]) -> Command {
    let types = || token_exchange::TOKEN_TYPE_ALIASES.iter().map(|(short, _)| (*short).to_owned());
    let command = command.mut_args(|arg| {
        let value = arg.get_value_names().and_then(<[_]>::first).map(|name| name.to_string());
        match (arg.get_id().as_str(), value.as_deref()) {
            ("account", _) | (_, Some("ACCOUNT")) => arg.add(candidates(accounts.to_vec())),
            ("profile", _) => arg.add(candidates(profiles.to_vec())),
            (_, Some("TYPE")) => arg.add(candidates(types().collect())),
            _ => arg,
        }
    });
    command.mut_subcommands(|command| attach(command, accounts, profiles))
}

fn candidates(names: Vec<String>) -> ArgValueCandidates {
    ArgValueCandidates::new(move || names.iter().map(CompletionCandidate::new).collect())
}

/// The script that makes a shell run this program for candidates.
///
/// # Errors
/// Usage, for a shell that is not supported.
pub fn registration_script(shell: &str) -> Result<Vec<u8>> {
    let completer = completer(shell)?;
    let mut script = Vec::new();
    completer
        .write_registration(env::_GAUTH_COMPLETE.name, "gauth", "gauth", "gauth", &mut script)
        .map_err(|error| Error::unexpected(format!("the script cannot be written, {error}")))?;
    Ok(script)
}

/// Prints the candidates for the command line that follows `--`, which a script of [`registration_script`] asks for.
///
/// # Errors
/// Usage, for a shell that is not supported.
pub fn write_candidates(shell: &str, args: &[OsString], world: &World) -> Result<()> {
    let completer = completer(shell)?;
    let args: Vec<OsString> = args.iter().skip_while(|arg| *arg != "--").skip(1).cloned().collect();
    // The global flags are candidates only once a flag is begun.
    let with_flags = args.iter().any(|arg| arg.to_string_lossy().starts_with('-'));
    let tree = cli::command_tree(with_flags);
    // Accounts and profiles are read from files and from gcloud's database: not while a command's name is typed.
    let mut tree = match with_flags || args.len() > 2 {
        true => with_completers(tree, world),
        false => tree,
    };
    let folder = files::current_folder().ok();
    let mut candidates = Vec::new();
    completer
        .write_complete(&mut tree, args, folder.as_deref(), &mut candidates)
        .map_err(|error| Error::unexpected(format!("no completion, {error}")))?;
    world.streams.write_result(&candidates)
}

fn completer(shell: &str) -> Result<&'static dyn EnvCompleter> {
    const SHELLS: Shells<'static> = Shells::builtins();
    SHELLS.completer(shell).ok_or_else(|| {
        let shell = gauth_core::text::printable::text(shell);
        Error::usage(format!("there is no completion for {shell}"))
            .hint("name one of bash, zsh, fish, powershell, elvish")
    })
}
