//! The commands, one file or folder each.

pub mod accounts;
pub mod cache;
pub mod curl;
pub mod exchange;
pub mod exec;
pub mod inspect;
pub mod login;
pub mod logout;
pub mod print_access_token;
pub mod print_identity_token;
pub mod sandbox;
pub mod status;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use crate::flags;
use crate::output::status::ExitStatus;
use gauth_core::world::World;

/// A command: its names, its help texts, its flags, and the function that runs it.
pub struct CommandSpec {
    /// The full name, by which the manual lists it.
    pub name: &'static str,
    /// Other names that the command line accepts; the first may be the short name.
    pub aliases: &'static [&'static str],
    /// The summary: one line, lower case, no full stop.
    pub about: &'static str,
    /// Two to four examples, which both help texts begin with.
    pub examples: &'static [Example],
    /// What the command does, in whole sentences, for `--help` and the manual.
    pub description: &'static str,
    /// The heading in the overview of commands.
    pub group: CommandGroup,
    /// Adds the flags to a clap command.
    pub flags: fn(Command) -> Command,
    /// Runs the command and returns its exit status.
    pub run: fn(ParsedArgs, &World) -> anyhow::Result<ExitStatus>,
}

/// The parsed arguments of a command; `None` when there are none. `gauth token` without arguments is the most frequent
/// call, and for it no parser is built.
pub struct ParsedArgs(pub Option<ArgMatches>);

impl ParsedArgs {
    /// Reads the flags, which have their defaults without arguments.
    ///
    /// # Errors
    /// When an argument is missing or has another type than the command declares.
    pub fn flags<F: FromArgMatches + Default>(self) -> std::result::Result<F, clap::Error> {
        match self.0 {
            Some(mut matches) => F::from_arg_matches_mut(&mut matches),
            None => Ok(F::default()),
        }
    }
}

impl CommandSpec {
    /// The first alias if it is shorter than the name, otherwise the name.
    pub fn short_name(&self) -> &'static str {
        self.aliases.first().filter(|alias| alias.len() < self.name.len()).unwrap_or(&self.name)
    }

    /// The name and the aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.name].into_iter().chain(self.aliases.iter().copied())
    }
}

/// An example: a command line, and what it does.
pub struct Example(pub &'static str, pub &'static str);

/// The headings in the overview of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandGroup {
    /// Commands that print or inspect tokens.
    Tokens,
    /// Commands that use a token for a program.
    Use,
    /// Commands that manage logins.
    SignIn,
    /// Commands that report the state.
    Look,
    /// Commands for caches, shells and tests.
    More,
}

/// The flags that may precede the command: the ones that all commands with network access share.
pub fn shared_flags(command: Command) -> Command {
    let command = flags::CredentialFlags::augment_args(command);
    let command = flags::CacheFlags::augment_args(command);
    let command = flags::OutputFlags::augment_args(command);
    flags::GeneralFlags::augment_args(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_same_defaults<F: Args + Default + std::fmt::Debug>() {
        let matches = F::augment_args(Command::new("x")).get_matches_from(["x"]);
        let parsed = F::from_arg_matches(&matches).expect("flags");
        assert_eq!(format!("{parsed:?}"), format!("{:?}", F::default()));
    }

    #[test]
    fn the_default_of_every_command_equals_parsing_no_arguments() {
        assert_same_defaults::<print_access_token::PrintAccessTokenFlags>();
        assert_same_defaults::<print_identity_token::PrintIdentityTokenFlags>();
        assert_same_defaults::<exchange::ExchangeFlags>();
        assert_same_defaults::<curl::CurlFlags>();
        assert_same_defaults::<inspect::InspectFlags>();
        assert_same_defaults::<exec::ExecFlags>();
        assert_same_defaults::<login::LoginFlags>();
        assert_same_defaults::<accounts::AccountsFlags>();
        assert_same_defaults::<logout::LogoutFlags>();
        assert_same_defaults::<status::StatusFlags>();
        assert_same_defaults::<cache::CacheCommandFlags>();
        assert_same_defaults::<sandbox::SandboxFlags>();
    }
}
