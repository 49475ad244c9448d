//! Where the secrets of gauth's own logins are: in their private files, in the keyring of the desktop, or with a program
//! that keeps secrets (pass, 1Password, Vault). Whatever it is, an account has one text there: its login, whole.

mod command;
pub mod kept;
#[cfg_attr(not(all(feature = "keyring", target_os = "linux")), path = "keyring_absent.rs")]
mod keyring;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::accounts::file_name;
use crate::error::{Error, ErrorKind, Result};
use crate::printable;
use crate::world::World;
use crate::world::clock::Clock;

pub use command::Programs;
pub use kept::Kept;

/// How long a store may take where nobody is there to open it.
const ALONE: Duration = Duration::from_secs(10);
/// How long it may take where a person may be asked for what opens it.
const ATTENDED: Duration = Duration::from_secs(120);

/// A place for secrets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Store {
    /// The private file of the account.
    #[default]
    File,
    /// The keyring of the desktop.
    Keyring,
    /// A program, as `store_command` in `config.toml` names it.
    Command,
}

impl Store {
    /// All of them.
    const ALL: [Store; 3] = [Store::File, Store::Keyring, Store::Command];

    /// As flag, setting and stored login name it.
    pub fn name(self) -> &'static str {
        match self {
            Store::File => "file",
            Store::Keyring => "keyring",
            Store::Command => "command",
        }
    }

    /// The store of this name. `origin` is the flag or file that says it.
    ///
    /// # Errors
    /// Usage, when there is none.
    pub fn named(name: &str, origin: &str) -> Result<Store> {
        Store::ALL.into_iter().find(|store| store.name() == name).ok_or_else(|| {
            let name = printable::text(name);
            Error::usage(format!("{origin}: there is no store {name}"))
                .hint("name one of file, keyring, command")
        })
    }
}

/// The way to the stores of this run: it is gone only when a token has to be minted.
#[derive(Clone)]
pub struct Vaults(Rc<Way>);

struct Way {
    programs: Option<Programs>,
    clock: Arc<dyn Clock>,
    attended: bool,
    /// The settings file, for errors.
    place: String,
}

impl fmt::Debug for Vaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vaults").finish_non_exhaustive()
    }
}

impl Vaults {
    /// With the programs that the settings file at `place` names, if it does.
    pub fn new(programs: Option<Programs>, place: &str, world: &World) -> Vaults {
        Vaults(Rc::new(Way {
            programs,
            clock: Arc::clone(&world.clock),
            attended: world.is_attended(),
            place: place.to_owned(),
        }))
    }

    /// The text of an account.
    ///
    /// # Errors
    /// `LoginRequired` where there is none, `NoAnswer` where the store cannot be opened, naming store and account.
    pub fn get(&self, store: Store, account: &str) -> Result<Zeroizing<Vec<u8>>> {
        match store {
            Store::File => Err(nothing(store, account)),
            Store::Keyring => keyring::get(account, self.limit(), self.0.attended)?
                .ok_or_else(|| nothing(store, account)),
            Store::Command => self.programs()?.get(account, &self.manner()),
        }
    }

    /// Keeps the text of an account, in place of the one before, and sees that it is there.
    ///
    /// # Errors
    /// As [`Vaults::get`], or that it did not keep it.
    pub fn put(&self, store: Store, account: &str, text: &[u8]) -> Result<()> {
        match store {
            Store::File => return Ok(()),
            Store::Keyring => keyring::put(account, text, self.limit(), self.0.attended)?,
            Store::Command => self.programs()?.put(account, text, &self.manner())?,
        }
        let kept = self.get(store, account);
        match kept.as_ref().is_ok_and(|kept| kept.trim_ascii() == text.trim_ascii()) {
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
    pub fn erase(&self, store: Store, account: &str) -> Result<()> {
        match store {
            Store::File => Ok(()),
            Store::Keyring => keyring::erase(account, self.limit(), self.0.attended),
            Store::Command => self.programs()?.erase(account, &self.manner()),
        }
    }

    /// Whether this store can be used at all, before anybody signs in for it.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, store: Store) -> Result<()> {
        match store {
            Store::File => Ok(()),
            Store::Keyring => keyring::check(),
            Store::Command => self.programs().map(drop),
        }
    }

    fn programs(&self) -> Result<&Programs> {
        self.0.programs.as_ref().ok_or_else(|| {
            Error::malformed(&self.0.place, "names no store_command for the command store").hint(
                "gauth help files shows one; or gauth login --store file keeps the login in a private file",
            )
        })
    }

    fn limit(&self) -> Duration {
        if self.0.attended { ATTENDED } else { ALONE }
    }

    fn manner(&self) -> command::Manner<'_> {
        command::Manner { clock: &*self.0.clock, limit: self.limit(), attended: self.0.attended }
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
fn nothing(store: Store, account: &str) -> Error {
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
        for store in Store::ALL {
            assert_eq!(Store::named(store.name(), "--store").ok(), Some(store));
        }
        let odd = Store::named("drawer", "--store").expect_err("none");
        assert_eq!(odd.hint_text(), Some("name one of file, keyring, command"));
    }
}
