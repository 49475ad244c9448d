//! A program that keeps secrets: one call gets a login, one puts it, one erases it. The login goes through a pipe, never
//! through the words of the program, which others can read.

use std::ffi::OsString;
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::accounts::secrets::entry;
use crate::error::{Error, ErrorKind, Result};
use crate::text::printable;
use crate::text::{json, secret};
use crate::world::clock::Clock;
use crate::world::env;
use crate::world::exec;
use crate::world::exec::{CommandFailure, PipedCommand};

/// Stands for the account in the words of a program.
const ACCOUNT_PLACEHOLDER: &str = "{account}";

/// `store_command` of `config.toml`: the words of each call.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct StoreCommands {
    /// Prints the login.
    get: Vec<String>,
    /// Reads the login on standard input, and keeps it.
    put: Vec<String>,
    /// Forgets it.
    erase: Option<Vec<String>>,
}

/// How programs are run.
pub(super) struct StoreCommandOptions<'a> {
    pub(super) clock: &'a dyn Clock,
    pub(super) timeout: Duration,
    pub(super) is_interactive: bool,
}

impl StoreCommands {
    /// Checks that each call names a program, and the account: without it all accounts would have one entry.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence about the file.
    pub fn check(&self) -> std::result::Result<(), String> {
        let calls =
            [("get", Some(&self.get)), ("put", Some(&self.put)), ("erase", self.erase.as_ref())];
        for (name, args) in calls {
            let Some(args) = args else { continue };
            if args.first().is_none_or(String::is_empty) {
                return Err(format!("store_command.{name} names no program"));
            }
            if !args.iter().skip(1).any(|word| word.contains(ACCOUNT_PLACEHOLDER)) {
                return Err(format!(
                    "store_command.{name} does not say {ACCOUNT_PLACEHOLDER} anywhere"
                ));
            }
            if args.iter().any(|word| word.contains('\0')) {
                return Err(format!("store_command.{name} has a zero byte"));
            }
        }
        Ok(())
    }

    pub(super) fn get(
        &self,
        account: &str,
        options: &StoreCommandOptions<'_>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let stdout = run_command(&self.get, "get", account, None, options)?;
        if stdout.trim_ascii().is_empty() {
            return Err(command_error(&self.get, "get", account, "prints nothing", options));
        }
        match json::parse_object(stdout.trim_ascii()) {
            Ok(_) => Ok(stdout),
            Err(what) => {
                let what = format!("prints what is no login: it {what}");
                Err(command_error(&self.get, "get", account, &what, options))
            }
        }
    }

    pub(super) fn put(
        &self,
        account: &str,
        text: &[u8],
        options: &StoreCommandOptions<'_>,
    ) -> Result<()> {
        run_command(&self.put, "put", account, Some(text), options).map(drop)
    }

    pub(super) fn erase(&self, account: &str, options: &StoreCommandOptions<'_>) -> Result<()> {
        match &self.erase {
            Some(args) => run_command(args, "erase", account, None, options).map(drop),
            None => {
                let shown = printable::text(account);
                Err(Error::unsupported(format!(
                    "the login of {shown} stays in the command store, store_command has no erase"
                ))
                .hint("remove it there, or add erase to store_command in config.toml"))
            }
        }
    }
}

fn run_command(
    args: &[String],
    operation: &str,
    account: &str,
    input: Option<&[u8]>,
    options: &StoreCommandOptions<'_>,
) -> Result<Zeroizing<Vec<u8>>> {
    let name = entry(account);
    let expanded_args: Vec<OsString> =
        args.iter().map(|word| OsString::from(word.replace(ACCOUNT_PLACEHOLDER, &name))).collect();
    // A credential of ours is none of its business.
    let changes = [(env::GAUTH_CREDENTIALS.name, None)];
    let talk = PipedCommand {
        argv: &expanded_args,
        env_changes: &changes,
        timeout: options.timeout,
        stdin: input,
        may_prompt: options.is_interactive,
    };
    let (stdout, stderr) = exec::run_piped(&talk, options.clock);
    stdout.map_err(|failure| {
        let what = match failure {
            CommandFailure::NotStarted(why) => why,
            CommandFailure::Exit(code) => format!("ended with status {code}"),
            CommandFailure::Signal(number) => format!("was ended by signal {number}"),
            CommandFailure::TimedOut => {
                format!("did not answer within {} s", options.timeout.as_secs())
            }
            CommandFailure::OutputTooLarge => "prints more than 1 MiB".to_owned(),
            CommandFailure::Io(error) => format!("was lost, {}", crate::error::io_reason(&error)),
        };
        let what = match stderr.trim().lines().next() {
            Some(line) if !line.is_empty() => {
                format!("{what}: \"{}\"", printable::text(&secret::redact(line)))
            }
            _ => what,
        };
        command_error(args, operation, account, &what, options)
    })
}

fn command_error(
    args: &[String],
    operation: &str,
    account: &str,
    what: &str,
    options: &StoreCommandOptions<'_>,
) -> Error {
    let name = entry(account);
    let expanded_args: Vec<String> =
        args.iter().map(|word| word.replace(ACCOUNT_PLACEHOLDER, &name)).collect();
    let program = printable::text(expanded_args.first().map_or("", String::as_str));
    let shown = printable::text(account);
    let message = format!("{program} (store_command.{operation}, for {shown}) {what}");
    let command_line = printable::text(&expanded_args.join(" "));
    Error::new(ErrorKind::NoAnswer, message).hint(match (operation, options.is_interactive) {
        ("put", _) => "check put of store_command in config.toml, or --store file".to_owned(),
        (_, true) => format!("{command_line} by itself, to see what it says"),
        (_, false) => format!("{command_line} at a terminal, where it can ask for what opens it"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs(get: &[&str], put: &[&str], erase: Option<&[&str]>) -> StoreCommands {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        StoreCommands { get: list(get), put: list(put), erase: erase.map(list) }
    }

    #[test]
    fn every_call_names_a_program_and_the_account() {
        let good = ["pass", "show", "gauth/{account}"];
        assert_eq!(programs(&good, &good, None).check(), Ok(()));
        for (bad, what) in [
            (programs(&[], &good, None), "store_command.get names no program"),
            (programs(&good, &["", "{account}"], None), "store_command.put names no program"),
            (
                programs(&good, &["pass", "insert"], None),
                "store_command.put does not say {account} anywhere",
            ),
            (
                programs(&good, &good, Some(&["{account}"])),
                "store_command.erase does not say {account} anywhere",
            ),
        ] {
            assert_eq!(bad.check(), Err(what.to_owned()));
        }
    }
}
