//! A program that keeps secrets: one call gets a login, one puts it, one erases it. The login goes through a pipe, never
//! through the words of the program, which others can read.

use std::ffi::OsString;
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::accounts::vault::entry;
use crate::error::{Error, ErrorKind, Result};
use crate::printable;
use crate::world::clock::Clock;
use crate::world::env;
use crate::world::exec::{self, Failure, Talk};
use crate::{json, secret};

/// Stands for the account in the words of a program.
const ACCOUNT: &str = "{account}";

/// `store_command` of `config.toml`: the words of each call.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Programs {
    /// Prints the login.
    get: Vec<String>,
    /// Reads the login on standard input, and keeps it.
    put: Vec<String>,
    /// Forgets it.
    erase: Option<Vec<String>>,
}

/// How programs are run.
pub(super) struct Manner<'a> {
    pub(super) clock: &'a dyn Clock,
    pub(super) limit: Duration,
    pub(super) attended: bool,
}

impl Programs {
    /// Checks that each call names a program, and the account: without it all accounts would have one entry.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence about the file.
    pub fn check(&self) -> std::result::Result<(), String> {
        let calls =
            [("get", Some(&self.get)), ("put", Some(&self.put)), ("erase", self.erase.as_ref())];
        for (name, words) in calls {
            let Some(words) = words else { continue };
            if words.first().is_none_or(String::is_empty) {
                return Err(format!("store_command.{name} names no program"));
            }
            if !words.iter().skip(1).any(|word| word.contains(ACCOUNT)) {
                return Err(format!("store_command.{name} does not say {ACCOUNT} anywhere"));
            }
            if words.iter().any(|word| word.contains('\0')) {
                return Err(format!("store_command.{name} has a zero byte"));
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, account: &str, manner: &Manner<'_>) -> Result<Zeroizing<Vec<u8>>> {
        let printed = run(&self.get, "get", account, None, manner)?;
        if printed.trim_ascii().is_empty() {
            return Err(failed(&self.get, "get", account, "prints nothing", manner));
        }
        match json::object(printed.trim_ascii()) {
            Ok(_) => Ok(printed),
            Err(what) => {
                let what = format!("prints what is no login: it {what}");
                Err(failed(&self.get, "get", account, &what, manner))
            }
        }
    }

    pub(super) fn put(&self, account: &str, text: &[u8], manner: &Manner<'_>) -> Result<()> {
        run(&self.put, "put", account, Some(text), manner).map(drop)
    }

    pub(super) fn erase(&self, account: &str, manner: &Manner<'_>) -> Result<()> {
        match &self.erase {
            Some(words) => run(words, "erase", account, None, manner).map(drop),
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

fn run(
    words: &[String],
    call: &str,
    account: &str,
    input: Option<&[u8]>,
    manner: &Manner<'_>,
) -> Result<Zeroizing<Vec<u8>>> {
    let name = entry(account);
    let filled: Vec<OsString> =
        words.iter().map(|word| OsString::from(word.replace(ACCOUNT, &name))).collect();
    // A credential of ours is none of its business.
    let changes = [(env::GAUTH_CREDENTIALS.name, None)];
    let talk = Talk {
        words: &filled,
        changes: &changes,
        limit: manner.limit,
        input,
        attended: manner.attended,
    };
    let (printed, said) = exec::talk(&talk, manner.clock);
    printed.map_err(|failure| {
        let what = match failure {
            Failure::NotStarted(why) => why,
            Failure::Exit(code) => format!("ended with status {code}"),
            Failure::Signal(number) => format!("was ended by signal {number}"),
            Failure::TooSlow => format!("did not answer within {} s", manner.limit.as_secs()),
            Failure::TooMuch => "prints more than 1 MiB".to_owned(),
            Failure::Lost(error) => format!("was lost, {}", crate::error::io_reason(&error)),
        };
        let what = match said.trim().lines().next() {
            Some(line) if !line.is_empty() => {
                format!("{what}: \"{}\"", printable::text(&secret::redact(line)))
            }
            _ => what,
        };
        failed(words, call, account, &what, manner)
    })
}

fn failed(words: &[String], call: &str, account: &str, what: &str, manner: &Manner<'_>) -> Error {
    let name = entry(account);
    let filled: Vec<String> = words.iter().map(|word| word.replace(ACCOUNT, &name)).collect();
    let program = printable::text(filled.first().map_or("", String::as_str));
    let shown = printable::text(account);
    let message = format!("{program} (store_command.{call}, for {shown}) {what}");
    let line = printable::text(&filled.join(" "));
    Error::new(ErrorKind::NoAnswer, message).hint(match (call, manner.attended) {
        ("put", _) => "check put of store_command in config.toml, or --store file".to_owned(),
        (_, true) => format!("{line} by itself, to see what it says"),
        (_, false) => format!("{line} at a terminal, where it can ask for what opens it"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs(get: &[&str], put: &[&str], erase: Option<&[&str]>) -> Programs {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Programs { get: list(get), put: list(put), erase: erase.map(list) }
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
