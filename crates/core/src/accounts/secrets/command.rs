//! A program that stores secrets: one command gets a login, one puts it, one erases it. The login goes through a pipe and
//! never through arguments, which other users can read.

use std::ffi::OsString;
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::accounts::secrets::entry;
use crate::error::{Error, ErrorKind, Result};
use crate::text::{json, printable, secret};
use crate::world::clock::Clock;
use crate::world::exec::{CommandFailure, PipedCommand};
use crate::world::{env, exec};

/// Stands for the account in the arguments of a command.
const ACCOUNT_PLACEHOLDER: &str = "{account}";

/// `store_command` of `config.toml`: the arguments of each command.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct StoreCommands {
    /// Prints the login of an account.
    get: Vec<String>,
    /// Reads the login from standard input and stores it.
    put: Vec<String>,
    /// Removes the login of an account.
    erase: Option<Vec<String>>,
}

/// The options for running a command.
pub(super) struct StoreCommandOptions<'a> {
    pub(super) clock: &'a dyn Clock,
    pub(super) timeout: Duration,
    pub(super) is_interactive: bool,
}

impl StoreCommands {
    /// Checks that each command has a program and the placeholder for the account, without which all accounts would share
    /// one entry.
    ///
    /// # Errors
    /// The end of a sentence that begins with the file.
    pub fn check(&self) -> std::result::Result<(), String> {
        let calls = [("get", Some(&self.get)), ("put", Some(&self.put)), ("erase", self.erase.as_ref())];
        for (name, args) in calls {
            let Some(args) = args else { continue };
            if args.first().is_none_or(String::is_empty) {
                return Err(format!("store_command.{name} names no program"));
            }
            if !args.iter().skip(1).any(|word| word.contains(ACCOUNT_PLACEHOLDER)) {
                return Err(format!("store_command.{name} has no argument with {ACCOUNT_PLACEHOLDER}"));
            }
            if args.iter().any(|word| word.contains('\0')) {
                return Err(format!("store_command.{name} has a zero byte"));
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, account: &str, options: &StoreCommandOptions<'_>) -> Result<Zeroizing<Vec<u8>>> {
        let stdout = run_command(&self.get, "get", account, None, options)?;
        if stdout.trim_ascii().is_empty() {
            return Err(command_error(&self.get, "get", account, "prints nothing", options));
        }
        match json::parse_object(stdout.trim_ascii()) {
            Ok(_) => Ok(stdout),
            Err(what) => {
                let what = format!("does not print a login: its output {what}");
                Err(command_error(&self.get, "get", account, &what, options))
            }
        }
    }

    pub(super) fn put(&self, account: &str, text: &[u8], options: &StoreCommandOptions<'_>) -> Result<()> {
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
    // The program does not need gauth's own credential.
    let changes = [(env::GAUTH_CREDENTIALS.name, None)];
    let command = PipedCommand {
        argv: &expanded_args,
        env_changes: &changes,
        timeout: options.timeout,
        stdin: input,
        may_prompt: options.is_interactive,
    };
    let (stdout, stderr) = exec::run_piped(&command, options.clock);
    stdout.map_err(|failure| {
        let what = match failure {
            CommandFailure::NotStarted(why) => why,
            CommandFailure::Exit(code) => format!("ended with status {code}"),
            CommandFailure::Signal(number) => format!("was ended by signal {number}"),
            CommandFailure::TimedOut => {
                format!("did not answer within {} s", options.timeout.as_secs())
            }
            CommandFailure::OutputTooLarge => "prints more than 1 MiB".to_owned(),
            CommandFailure::Io(error) => format!("failed, {}", crate::error::io_reason(&error)),
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
    let expanded_args: Vec<String> = args.iter().map(|word| word.replace(ACCOUNT_PLACEHOLDER, &name)).collect();
    let program = printable::text(expanded_args.first().map_or("", String::as_str));
    let shown = printable::text(account);
    let message = format!("{program} (store_command.{operation}, for {shown}) {what}");
    let command_line = printable::text(&expanded_args.join(" "));
    Error::new(ErrorKind::NoAnswer, message).hint(match (operation, options.is_interactive) {
        ("put", _) => "check store_command.put in config.toml, or use --store file".to_owned(),
        (_, true) => format!("{command_line}, to see its output"),
        (_, false) => format!("{command_line} at a terminal, where it can ask for a password"),
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
    fn every_command_needs_a_program_and_the_account() {
        let good = ["pass", "show", "gauth/{account}"];
        assert_eq!(programs(&good, &good, None).check(), Ok(()));
        for (bad, what) in [
            (programs(&[], &good, None), "store_command.get names no program"),
            (programs(&good, &["", "{account}"], None), "store_command.put names no program"),
            (programs(&good, &["pass", "insert"], None), "store_command.put has no argument with {account}"),
            (programs(&good, &good, Some(&["{account}"])), "store_command.erase has no argument with {account}"),
        ] {
            assert_eq!(bad.check(), Err(what.to_owned()));
        }
    }
}
