//! `gauth completions`: the script that makes a shell complete gauth's words.

use clap::Args;

use crate::commands::{Example, Group, Spec, Status, Words};
use crate::complete;
use crate::error::Error;
use crate::flags::General;
use crate::world::World;

/// The command.
pub const SPEC: Spec = Spec {
    name: "completions",
    aliases: &[],
    about: "the completion script of a shell",
    examples: &[
        Example("source <(gauth completions bash)", "in ~/.bashrc"),
        Example("gauth completions zsh > ~/.zfunc/_gauth", "in a folder of $fpath"),
        Example("gauth completions fish > ~/.config/fish/completions/gauth.fish", ""),
    ],
    more: "\
The script asks gauth itself for candidates, so accounts and profiles complete too, and it needs no update when \
gauth gets one. For PowerShell: gauth completions powershell | Out-String | Invoke-Expression. \
For elvish: eval (gauth completions elvish | slurp).",
    group: Group::More,
    flags: Flags::augment_args,
    run,
};

#[derive(Debug, Default, Args)]
pub(super) struct Flags {
    /// bash, zsh, fish, powershell or elvish
    #[arg(value_name = "SHELL", value_parser = complete::SHELLS.iter().map(|(shell, _)| *shell).collect::<Vec<_>>(), hide_possible_values = true)]
    shell: Option<String>,
    #[command(flatten)]
    general: General,
}

fn run(words: Words, world: &World) -> anyhow::Result<Status> {
    let flags: Flags = words.flags()?;
    let shell = flags.shell.ok_or_else(|| {
        Error::usage("no shell is named").hint("gauth completions bash|zsh|fish|powershell|elvish")
    })?;
    world.streams.result(&complete::script(&shell)?)?;
    Ok(Status::DONE)
}
