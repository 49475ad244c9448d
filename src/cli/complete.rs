//! Completion in shells: the scripts call the program back, so that accounts and profiles complete too.

use std::ffi::OsString;

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{EnvCompleter, Shells};

use crate::error::{Error, Result};
use crate::oauth::token_exchange;
use crate::world::World;
use crate::{cli, config, discovery};

/// The variable by which a script says that it wants candidates, and for which shell.
pub const COMPLETION_VARIABLE: &str = "_GAUTH_COMPLETE";

/// The shells there are scripts for, and the names of the files in `completions/`.
pub const SHELL_SCRIPTS: &[(&str, &str)] = &[
    ("bash", "gauth.bash"),
    ("zsh", "_gauth"),
    ("fish", "gauth.fish"),
    ("powershell", "gauth.ps1"),
    ("elvish", "gauth.elv"),
];

/// Completes the accounts of gauth and gcloud.
pub fn accounts() -> ArgValueCandidates {
    // The engine calls back without the world; completion is a process of its own and has the real one.
    ArgValueCandidates::new(|| candidates(discovery::account_names(&World::real())))
}

/// Completes the profiles of `config.toml`.
pub fn profiles() -> ArgValueCandidates {
    ArgValueCandidates::new(|| candidates(config::profile_names(&World::real())))
}

/// Completes the short names of the types of tokens.
pub fn token_types() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        candidates(
            token_exchange::TOKEN_TYPE_ALIASES
                .iter()
                .map(|(short, _)| (*short).to_owned())
                .collect(),
        )
    })
}

fn candidates(names: Vec<String>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The script that makes a shell ask this program.
///
/// # Errors
/// Usage, for a shell there is no script for.
pub fn registration_script(shell: &str) -> Result<Vec<u8>> {
    let completer = completer(shell)?;
    let mut script = Vec::new();
    completer
        .write_registration(COMPLETION_VARIABLE, "gauth", "gauth", "gauth", &mut script)
        .map_err(|error| Error::unexpected(format!("the script cannot be written, {error}")))?;
    Ok(script)
}

/// Answers a script: candidates for the words behind `--`.
///
/// # Errors
/// Usage, for a shell there is no script for.
pub fn write_candidates(shell: &str, args: &[OsString], world: &World) -> Result<()> {
    let completer = completer(shell)?;
    let args: Vec<OsString> = args.iter().skip_while(|arg| *arg != "--").skip(1).cloned().collect();
    // Nobody who has typed nothing yet looks for a flag.
    let with_flags = args.iter().any(|arg| arg.to_string_lossy().starts_with('-'));
    let folder = std::env::current_dir().ok();
    let mut candidates = Vec::new();
    completer
        .write_complete(
            &mut cli::command_tree(with_flags),
            args,
            folder.as_deref(),
            &mut candidates,
        )
        .map_err(|error| Error::unexpected(format!("no completion, {error}")))?;
    world.streams.write_result(&candidates)
}

fn completer(shell: &str) -> Result<&'static dyn EnvCompleter> {
    const SHELLS: Shells<'static> = Shells::builtins();
    SHELLS.completer(shell).ok_or_else(|| {
        let shell = crate::text::printable::text(shell);
        Error::usage(format!("there is no completion for {shell}"))
            .hint("name one of bash, zsh, fish, powershell, elvish")
    })
}
