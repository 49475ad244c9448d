//! `gauth completions`: the script that makes a shell complete gauth's arguments.

use clap::Args;

use crate::cli::complete;
use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::flags::GeneralFlags;
use crate::output::status::ExitStatus;
use gauth_core::error::Error;
use gauth_core::world::World;

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "completions",
    aliases: &[],
    about: "print the completion script of a shell",
    examples: &[
        Example("source <(gauth completions bash)", "add this line to ~/.bashrc"),
        Example("gauth completions zsh > ~/.zfunc/_gauth", "once, for a folder of $fpath"),
        Example("gauth completions fish > ~/.config/fish/completions/gauth.fish", "once"),
    ],
    description: "\
The script asks gauth for candidates, so it completes accounts and profiles as well, and stays valid when gauth is \
updated.\n\n\
For PowerShell, add `gauth completions powershell | Out-String | Invoke-Expression` to the profile; for elvish, add \
`eval (gauth completions elvish | slurp)` to rc.elv.",
    group: CommandGroup::More,
    flags: CompletionsFlags::augment_args,
    run,
};

#[derive(Debug, Default, Args)]
pub(super) struct CompletionsFlags {
    /// bash, zsh, fish, powershell or elvish
    ///
    /// Prints the script for this shell: `bash`, `zsh`, `fish`, `powershell` or `elvish`.
    #[arg(value_name = "SHELL", value_parser = complete::SHELL_SCRIPTS.iter().map(|(shell, _)| *shell).collect::<Vec<_>>(), hide_possible_values = true)]
    shell: Option<String>,
    #[command(flatten)]
    general: GeneralFlags,
}

fn run(args: ParsedArgs, world: &World) -> anyhow::Result<ExitStatus> {
    let flags: CompletionsFlags = args.flags()?;
    let shell = flags
        .shell
        .ok_or_else(|| Error::usage("no shell is named").hint("gauth completions bash|zsh|fish|powershell|elvish"))?;
    world.streams.write_result(&complete::registration_script(&shell)?)?;
    Ok(ExitStatus::SUCCESS)
}
