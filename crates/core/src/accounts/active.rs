//! `state.json`: the active account and the accounts of profiles, which `login` and `accounts use` choose.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::accounts::files::{read_file, remove_stale_files};
use crate::error::{Error, Result, io_reason};
use crate::text::{json, printable};
use crate::tokens::cache;
use crate::world::clock::Deadline;
use crate::world::private_file::WriteDurability;
use crate::world::{World, private_file};

const FILE_NAME: &str = "state.json";

/// How long to wait for another process that writes the file.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// The accounts that the user has chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountSelection {
    /// The account that is used by default.
    pub active: Option<String>,
    /// The accounts by the name of their profile.
    pub profiles: BTreeMap<String, String>,
}

/// The active account.
///
/// # Errors
/// When the file exists and cannot be used.
pub fn active_account(world: &World) -> Result<Option<String>> {
    AccountSelection::read(world).map(|state| state.active)
}

impl AccountSelection {
    /// Reads the chosen accounts; none, where there is no file.
    ///
    /// # Errors
    /// When the file exists and cannot be used.
    pub fn read(world: &World) -> Result<AccountSelection> {
        let Some(path) = path(world) else { return Ok(AccountSelection::default()) };
        let location = printable::path(&path);
        let Some(bytes) = read_file(&path, world)? else {
            return Ok(AccountSelection::default());
        };
        let malformed = |what: String| {
            Error::malformed(&location, what).hint(format!("rm {location}, then choose the account with --account"))
        };
        let mut fields = json::JsonFields::new(json::parse_object(&bytes).map_err(malformed)?);
        let active = fields.text("active").map_err(malformed)?;
        let mut profiles = BTreeMap::new();
        if let Some(mut named) = fields.object("profiles").map_err(malformed)? {
            let names: Vec<String> = named.remaining().keys().cloned().collect();
            for name in names {
                if let Some(account) = named.text(&name).map_err(malformed)? {
                    profiles.insert(name, account);
                }
            }
        }
        Ok(AccountSelection { active, profiles })
    }

    /// Changes the chosen accounts durably, under a lock.
    ///
    /// # Errors
    /// When the file cannot be used or written.
    pub fn update(world: &World, change: impl FnOnce(&mut AccountSelection)) -> Result<()> {
        let deadline = Deadline::after(&*world.clock, LOCK_TIMEOUT);
        let _lock = cache::lock(world, "state", deadline)?;
        let before = AccountSelection::read(world)?;
        let mut state = before.clone();
        change(&mut state);
        if state == before {
            return Ok(());
        }
        let Some(folder) = &world.folders.gauth else { return Err(no_home_error()) };
        let mut bytes = serde_json::to_vec_pretty(&state.to_json()).unwrap_or_default();
        bytes.push(b'\n');
        private_file::create_private_folder(folder)
            .and_then(|()| {
                remove_stale_files(folder, world);
                private_file::write_atomic(folder, FILE_NAME, &bytes, WriteDurability::Durable, &*world.random)
            })
            .map_err(|error| {
                let location = printable::path(&folder.join(FILE_NAME));
                Error::unexpected(format!("{location} cannot be written, {}", io_reason(&error)))
                    .hint("free some disk space, or set GAUTH_CONFIG_DIR to a folder of your own")
            })
    }

    fn to_json(&self) -> Value {
        let mut map = Map::new();
        if let Some(active) = &self.active {
            map.insert("active".to_owned(), Value::from(active.as_str()));
        }
        if !self.profiles.is_empty() {
            let profiles = self.profiles.iter();
            let profiles = profiles.map(|(name, account)| (name.clone(), account.as_str().into()));
            map.insert("profiles".to_owned(), Value::Object(profiles.collect()));
        }
        Value::Object(map)
    }
}

/// The error where there is no home folder.
pub(super) fn no_home_error() -> Error {
    Error::unexpected("there is no home folder to store a login in")
        .hint("set HOME, or GAUTH_CONFIG_DIR to a folder of your own")
}

fn path(world: &World) -> Option<PathBuf> {
    world.folders.gauth.as_ref().map(|folder| folder.join(FILE_NAME))
}
