//! Where the secrets of gauth's own logins are: in their private files, in the keyring of the desktop, or with a program
//! that keeps secrets (pass, 1Password, Vault). Whatever it is, an account has one text there: its login, whole.

mod command;
pub mod external;
#[cfg_attr(not(all(feature = "keyring", target_os = "linux")), path = "keyring_unsupported.rs")]
mod keyring;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::accounts::files::file_name;
use crate::error::{Error, ErrorKind, Result};
use crate::text::printable;
use crate::world::World;
use crate::world::clock::Clock;

pub use crate::accounts::secrets::command::StoreCommands;
pub use crate::accounts::secrets::external::ExternalSecret;

/// How long a store may take where nobody is there to open it.
const NON_INTERACTIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take where a person may be asked for what opens it.
const INTERACTIVE_TIMEOUT: Duration = Duration::from_secs(120);

/// A place for secrets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SecretStore {
    /// The private file of the account.
    #[default]
    File,
    /// The keyring of the desktop.
    Keyring,
    /// A program, as `store_command` in `config.toml` names it.
    Command,
}

impl SecretStore {
    /// All of them.
    const ALL: [SecretStore; 3] = [SecretStore::File, SecretStore::Keyring, SecretStore::Command];

    /// As flag, setting and stored login name it.
    pub fn name(self) -> &'static str {
        match self {
            SecretStore::File => "file",
            SecretStore::Keyring => "keyring",
            SecretStore::Command => "command",
        }
    }

    /// The store of this name. `origin` is the flag or file that says it.
    ///
    /// # Errors
    /// Usage, when there is none.
    pub fn parse(name: &str, origin: &str) -> Result<SecretStore> {
        SecretStore::ALL.into_iter().find(|store| store.name() == name).ok_or_else(|| {
            let name = printable::text(name);
            Error::usage(format!("{origin}: there is no store {name}"))
                .hint("name one of file, keyring, command")
        })
    }
}

/// The way to the stores of this run: it is gone only when a token has to be minted.
#[derive(Clone)]
pub struct SecretStores(Rc<SecretStoresInner>);

struct SecretStoresInner {
    commands: Option<StoreCommands>,
    clock: Arc<dyn Clock>,
    is_interactive: bool,
    /// The settings file, for errors.
    config_location: String,
}

impl fmt::Debug for SecretStores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vaults").finish_non_exhaustive()
    }
}

impl SecretStores {
    /// With the programs that the settings file at `place` names, if it does.
    pub fn new(
        commands: Option<StoreCommands>,
        config_location: &str,
        world: &World,
    ) -> SecretStores {
        SecretStores(Rc::new(SecretStoresInner {
            commands,
            clock: Arc::clone(&world.clock),
            is_interactive: world.is_interactive(),
            config_location: config_location.to_owned(),
        }))
    }

    /// The text of an account.
    ///
    /// # Errors
    /// `LoginRequired` where there is none, `NoAnswer` where the store cannot be opened, naming store and account.
    pub fn get(&self, store: SecretStore, account: &str) -> Result<Zeroizing<Vec<u8>>> {
        match store {
            SecretStore::File => Err(no_entry_error(store, account)),
            SecretStore::Keyring => keyring::get(account, self.timeout(), self.0.is_interactive)?
                .ok_or_else(|| no_entry_error(store, account)),
            SecretStore::Command => self.commands()?.get(account, &self.command_options()),
        }
    }

    /// Keeps the text of an account, in place of the one before, and sees that it is there.
    ///
    /// # Errors
    /// As [`Vaults::get`], or that it did not keep it.
    pub fn put(&self, store: SecretStore, account: &str, text: &[u8]) -> Result<()> {
        match store {
            SecretStore::File => return Ok(()),
            SecretStore::Keyring => {
                keyring::put(account, text, self.timeout(), self.0.is_interactive)?
            }
            SecretStore::Command => self.commands()?.put(account, text, &self.command_options())?,
        }
        let stored = self.get(store, account);
        match stored.as_ref().is_ok_and(|stored| stored.trim_ascii() == text.trim_ascii()) {
            true => Ok(()),
            false => {
                let (store, shown) = (store.name(), printable::text(account));
                Err(Error::no_answer(format!(
                    "the {store} store took the login of {shown} and does not give it back"
                ))
                .hint("check put and get of store_command in config.toml, or --store file"))
            }
        }
    }

    /// Removes the text of an account.
    ///
    /// # Errors
    /// As [`Vaults::get`]; one that is not there is removed.
    pub fn erase(&self, store: SecretStore, account: &str) -> Result<()> {
        match store {
            SecretStore::File => Ok(()),
            SecretStore::Keyring => keyring::erase(account, self.timeout(), self.0.is_interactive),
            SecretStore::Command => self.commands()?.erase(account, &self.command_options()),
        }
    }

    /// Whether this store can be used at all, before anybody signs in for it.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, store: SecretStore) -> Result<()> {
        match store {
            SecretStore::File => Ok(()),
            SecretStore::Keyring => keyring::check(),
            SecretStore::Command => self.commands().map(drop),
        }
    }

    fn commands(&self) -> Result<&StoreCommands> {
        self.0.commands.as_ref().ok_or_else(|| {
            Error::malformed(&self.0.config_location, "names no store_command for the command store").hint(
                "gauth help files shows one; or gauth login --store file keeps the login in a private file",
            )
        })
    }

    fn timeout(&self) -> Duration {
        if self.0.is_interactive { INTERACTIVE_TIMEOUT } else { NON_INTERACTIVE_TIMEOUT }
    }

    fn command_options(&self) -> command::StoreCommandOptions<'_> {
        command::StoreCommandOptions {
            clock: &*self.0.clock,
            timeout: self.timeout(),
            is_interactive: self.0.is_interactive,
        }
    }
}

/// What an account is called in a store: as its file is, so that no name leads out of its place or looks like a flag.
fn entry(account: &str) -> String {
    let name = file_name(account);
    let name = name.strip_suffix(".json").unwrap_or(&name);
    match name.strip_prefix('-') {
        Some(rest) => format!("%2D{rest}"),
        None => name.to_owned(),
    }
}

/// A store has no login of this account.
fn no_entry_error(store: SecretStore, account: &str) -> Error {
    let (store, shown) = (store.name(), printable::text(account));
    let message = format!("the {store} store has no login of {shown}");
    Error::new(ErrorKind::LoginRequired, message)
        .hint(format!("gauth login --account {shown} --store {store}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_names_and_neither_paths_nor_flags() {
        assert_eq!(entry("Ada@Example.com"), "ada@example.com");
        assert_eq!(entry("../x"), "%2E.%2Fx");
        assert_eq!(entry("-rf"), "%2Drf");
    }

    #[test]
    fn stores_are_known_by_their_names() {
        for store in SecretStore::ALL {
            assert_eq!(SecretStore::parse(store.name(), "--store").ok(), Some(store));
        }
        let odd = SecretStore::parse("drawer", "--store").expect_err("none");
        assert_eq!(odd.hint_text(), Some("name one of file, keyring, command"));
    }
}
