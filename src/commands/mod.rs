//! The commands: one file each, one line each.

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

/// A command: what it is called, what it says of itself, how it runs.
pub struct CommandSpec {
    /// As typed.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// One line, lower case, no full stop.
    pub about: &'static str,
    /// Two to four lines that open `--help`.
    pub examples: &'static [Example],
    /// What the manual adds, in paragraphs.
    pub description: &'static str,
    /// Under which heading the overview lists it.
    pub group: CommandGroup,
    /// Adds the flags.
    pub flags: fn(Command) -> Command,
    /// Does it.
    pub run: fn(ParsedArgs, &World) -> anyhow::Result<ExitStatus>,
}

/// The words behind a command, understood. Where there are none, nothing had to be built to understand them:
/// `gauth token` alone is what most scripts call. Every command can therefore do without.
pub struct ParsedArgs(pub Option<ArgMatches>);

impl ParsedArgs {
    /// The flags they stand for.
    ///
    /// # Errors
    /// When they are not what the command asked clap for.
    pub fn flags<F: FromArgMatches + Default>(self) -> std::result::Result<F, clap::Error> {
        match self.0 {
            Some(mut matches) => F::from_arg_matches_mut(&mut matches),
            None => Ok(F::default()),
        }
    }
}

impl CommandSpec {
    /// The name people type: the first alias where that is shorter, or else the full name.
    pub fn short_name(&self) -> &'static str {
        self.aliases.first().filter(|alias| alias.len() < self.name.len()).unwrap_or(&self.name)
    }

    /// All its names, the full one first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.name].into_iter().chain(self.aliases.iter().copied())
    }
}

/// An example: the line, and what it gives.
pub struct Example(pub &'static str, pub &'static str);

/// The headings of the overview.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandGroup {
    /// Tokens.
    Tokens,
    /// Use.
    Use,
    /// Sign in.
    SignIn,
    /// Look.
    Look,
    /// More.
    More,
}

/// The flags that may stand before the command, because all commands that ask Google share them.
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
    fn no_arguments_mean_the_same_whether_they_are_parsed_or_not() {
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
