//! The stores for the secrets of gauth's logins: the private files of the logins, the keyring of the desktop, or a program
//! such as pass, 1Password or Vault. A store other than the file has one entry for each account, the login in JSON.

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

/// The timeout of a store where it cannot ask a user for a password.
const NON_INTERACTIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout of a store where it may ask the user for a password.
const INTERACTIVE_TIMEOUT: Duration = Duration::from_secs(120);

/// A store for secrets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SecretStore {
    /// The private file of the login.
    #[default]
    File,
    /// The keyring of the desktop.
    Keyring,
    /// The program of `store_command` in `config.toml`.
    Command,
}

impl SecretStore {
    const ALL: [SecretStore; 3] = [SecretStore::File, SecretStore::Keyring, SecretStore::Command];

    /// The name in flags, settings and stored logins.
    pub fn name(self) -> &'static str {
        match self {
            SecretStore::File => "file",
            SecretStore::Keyring => "keyring",
            SecretStore::Command => "command",
        }
    }

    /// The store with this name. `origin` is the flag or the file that has the name, for errors.
    ///
    /// # Errors
    /// Usage, when no store has this name.
    pub fn parse(name: &str, origin: &str) -> Result<SecretStore> {
        SecretStore::ALL.into_iter().find(|store| store.name() == name).ok_or_else(|| {
            let name = printable::text(name);
            Error::usage(format!("{origin}: there is no store {name}")).hint("name one of file, keyring, command")
        })
    }
}

/// The access to the stores with the configuration of this run. A store is opened only when its secrets are needed.
#[derive(Clone)]
pub struct SecretStores(Rc<SecretStoresInner>);

struct SecretStoresInner {
    commands: Option<StoreCommands>,
    clock: Arc<dyn Clock>,
    is_interactive: bool,
    /// The location of `config.toml`, for errors.
    config_location: String,
}

impl fmt::Debug for SecretStores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretStores").finish_non_exhaustive()
    }
}

impl SecretStores {
    /// The access with the `store_command` of the settings file at `config_location`, if it has one.
    pub fn new(commands: Option<StoreCommands>, config_location: &str, world: &World) -> SecretStores {
        SecretStores(Rc::new(SecretStoresInner {
            commands,
            clock: Arc::clone(&world.clock),
            is_interactive: world.is_interactive(),
            config_location: config_location.to_owned(),
        }))
    }

    /// The entry of an account.
    ///
    /// # Errors
    /// `LoginRequired` where there is no entry, `NoAnswer` where the store cannot be opened, naming store and account.
    pub fn get(&self, store: SecretStore, account: &str) -> Result<Zeroizing<Vec<u8>>> {
        match store {
            SecretStore::File => Err(no_entry_error(store, account)),
            SecretStore::Keyring => keyring::get(account, self.timeout(), self.0.is_interactive)?
                .ok_or_else(|| no_entry_error(store, account)),
            SecretStore::Command => self.commands()?.get(account, &self.command_options()),
        }
    }

    /// Writes the entry of an account, and reads it back to check that the store works.
    ///
    /// # Errors
    /// As [`SecretStores::get`], or when the store returns another text.
    pub fn put(&self, store: SecretStore, account: &str, text: &[u8]) -> Result<()> {
        match store {
            SecretStore::File => return Ok(()),
            SecretStore::Keyring => keyring::put(account, text, self.timeout(), self.0.is_interactive)?,
            SecretStore::Command => self.commands()?.put(account, text, &self.command_options())?,
        }
        let stored = self.get(store, account);
        match stored.as_ref().is_ok_and(|stored| stored.trim_ascii() == text.trim_ascii()) {
            true => Ok(()),
            false => {
                let (store, shown) = (store.name(), printable::text(account));
                Err(Error::no_answer(format!("the {store} store accepted the login of {shown} and does not return it"))
                    .hint("check put and get of store_command in config.toml, or use --store file"))
            }
        }
    }

    /// Removes the entry of an account, if there is one.
    ///
    /// # Errors
    /// As [`SecretStores::get`].
    pub fn erase(&self, store: SecretStore, account: &str) -> Result<()> {
        match store {
            SecretStore::File => Ok(()),
            SecretStore::Keyring => keyring::erase(account, self.timeout(), self.0.is_interactive),
            SecretStore::Command => self.commands()?.erase(account, &self.command_options()),
        }
    }

    /// Checks that the store is configured and supported, before the user signs in.
    ///
    /// # Errors
    /// When it is not.
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
                "gauth help files shows an example; or gauth login --store file stores the login in a private file",
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

/// The name of an account's entry, which is that of its file: it has no path separators and does not look like a flag.
fn entry(account: &str) -> String {
    let name = file_name(account);
    let name = name.strip_suffix(".json").unwrap_or(&name);
    match name.strip_prefix('-') {
        Some(rest) => format!("%2D{rest}"),
        None => name.to_owned(),
    }
}

/// The error where a store has no entry of an account.
fn no_entry_error(store: SecretStore, account: &str) -> Error {
    let (store, shown) = (store.name(), printable::text(account));
    let message = format!("the {store} store has no login of {shown}");
    Error::new(ErrorKind::LoginRequired, message).hint(format!("gauth login --account {shown} --store {store}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_names_are_neither_paths_nor_flags() {
        assert_eq!(entry("Ada@Example.com"), "ada@example.com");
        assert_eq!(entry("../x"), "%2E.%2Fx");
        assert_eq!(entry("-rf"), "%2Drf");
    }

    #[test]
    fn stores_are_found_by_their_names() {
        for store in SecretStore::ALL {
            assert_eq!(SecretStore::parse(store.name(), "--store").ok(), Some(store));
        }
        let error = SecretStore::parse("drawer", "--store").expect_err("none");
        assert_eq!(error.hint_text(), Some("name one of file, keyring, command"));
    }
}
