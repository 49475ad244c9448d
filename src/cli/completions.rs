//! `gauth completions`: the script that makes a shell complete gauth's words.

use clap::Args;

use crate::cli::complete;
use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::flags::GeneralFlags;
use crate::output::status::ExitStatus;
use gauth_core::error::Error;
use gauth_core::world::World;

/// The command.
pub const SPEC: CommandSpec = CommandSpec {
    name: "completions",
    aliases: &[],
    about: "the completion script of a shell",
    examples: &[
        Example("source <(gauth completions bash)", "in ~/.bashrc"),
        Example("gauth completions zsh > ~/.zfunc/_gauth", "in a folder of $fpath"),
        Example("gauth completions fish > ~/.config/fish/completions/gauth.fish", ""),
    ],
    description: "\
The script asks gauth itself for candidates, so accounts and profiles complete too, and it needs no update when \
gauth gets one. For PowerShell: gauth completions powershell | Out-String | Invoke-Expression. \
For elvish: eval (gauth completions elvish | slurp).",
    group: CommandGroup::More,
    flags: CompletionsFlags::augment_args,
    run,
};

#[derive(Debug, Default, Args)]
pub(super) struct CompletionsFlags {
    /// bash, zsh, fish, powershell or elvish
    #[arg(value_name = "SHELL", value_parser = complete::SHELL_SCRIPTS.iter().map(|(shell, _)| *shell).collect::<Vec<_>>(), hide_possible_values = true)]
    shell: Option<String>,
    #[command(flatten)]
    general: GeneralFlags,
}

fn run(args: ParsedArgs, world: &World) -> anyhow::Result<ExitStatus> {
    let flags: CompletionsFlags = args.flags()?;
    let shell = flags.shell.ok_or_else(|| {
        Error::usage("no shell is named").hint("gauth completions bash|zsh|fish|powershell|elvish")
    })?;
    world.streams.write_result(&complete::registration_script(&shell)?)?;
    Ok(ExitStatus::SUCCESS)
}
