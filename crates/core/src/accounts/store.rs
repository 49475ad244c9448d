//! Storing a login, and forgetting it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::accounts::active::AccountSelection;
use crate::accounts::files::{account_name, file_name, path, read_stored, remove_stale_files};
use crate::accounts::origin::{Origin, resolve_secrets};
use crate::accounts::refresh_token::{
    RESERVED_BYTES, RefreshTokenHandle, with_newest_refresh_token,
};
use crate::accounts::secrets::{ExternalSecret, SecretStore, SecretStores, external};
use crate::accounts::{active, fields, refresh_token_location};
use crate::error::{Error, Result, io_reason};
use crate::text::secret::Secret;
use crate::text::{json, printable};
use crate::tokens::cache::{Cache, Lock};
use crate::world::World;
use crate::world::clock::Deadline;
use crate::world::private_file;
use crate::world::private_file::{PendingFile, WriteDurability};

/// How long a process that refreshes this login may take: its request is one of 30 s.
const LOCK_TIMEOUT: Duration = Duration::from_secs(35);

/// Stores a login under this name, durably, in place of the one that was there: its secrets in this store, the rest in
/// the file of the account. `login` is Google's own JSON; it is completed with the account, where it does not name it,
/// and the time.
///
/// # Errors
/// When it cannot be written, or the store does not take it: the old one is then still there.
pub fn store_login(
    name: &str,
    login: &Map<String, Value>,
    store: SecretStore,
    stores: &SecretStores,
    world: &World,
) -> Result<PathBuf> {
    let path = path(name, world).ok_or_else(active::no_home_error)?;
    // Whoever is refreshing the old login right now writes its file, and may not do so after us. What a person has
    // just made is not lost to one that takes too long: it looks before it writes.
    let _lock = lock_login(&path, world).unwrap_or_else(|error| {
        world.terminal.note(|| format!("the login is stored without its lock, {error}"));
        None
    });
    let previous_store = external_store(&path, world);
    let login = with_account_and_time(name, login.clone(), world);
    let file = match store {
        SecretStore::File => login,
        _ => ExternalSecret::new(path.clone(), name, store, stores).put(&login)?,
    };
    write_file(&path, &file, world)?;
    if let Some(before) = previous_store.filter(|before| *before != store) {
        erase_secrets(name, before, stores, world);
    }
    Ok(path)
}

/// The store that the file of a login leaves its secrets to.
fn external_store(path: &Path, world: &World) -> Option<SecretStore> {
    let file = json::parse_object(&read_stored(path, world).ok()?).ok()?;
    external::named_store(&file).ok().flatten()
}

/// Removes what a store has of a login that is gone. One that does not let go of it is told.
fn erase_secrets(name: &str, store: SecretStore, stores: &SecretStores, world: &World) {
    if let Err(error) = stores.erase(store, name) {
        let hint = error.hint_text().unwrap_or_default();
        world.terminal.warn(&format!("{error}: {hint}"));
    }
}

/// Whether a login could be stored now, there being a folder and room for it: a person's consent is not to be asked for
/// in vain.
///
/// # Errors
/// Why not.
pub fn check_storage(world: &World) -> Result<()> {
    let gauth = world.folders.gauth.as_deref().ok_or_else(active::no_home_error)?;
    let reserved = private_file::create_subfolder(Some(gauth), "accounts").and_then(|folder| {
        let name = "login";
        PendingFile::create(&folder, name, WriteDurability::Durable, &*world.random)?
            .reserve_space(RESERVED_BYTES)
    });
    reserved.map_err(|error| {
        let shown = printable::path(gauth);
        Error::unexpected(format!("{shown}: a login cannot be kept there, {}", io_reason(&error)))
            .hint("make room, or set GAUTH_CONFIG_DIR to a folder of your own")
    })
}

fn write_file(path: &Path, login: &Map<String, Value>, world: &World) -> Result<()> {
    let failed = |error: std::io::Error| {
        let shown = printable::path(path);
        Error::unexpected(format!("{shown} cannot be written, {}", io_reason(&error)))
            .hint("make room, or set GAUTH_CONFIG_DIR to a folder of your own")
    };
    let gauth = world.folders.gauth.as_deref();
    let folder = private_file::create_subfolder(gauth, "accounts").map_err(failed)?;
    remove_stale_files(&folder, world);
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
    serde_json::to_writer_pretty(&mut *bytes, login).map_err(|error| failed(error.into()))?;
    bytes.push(b'\n');
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    private_file::write_atomic(&folder, &name, &bytes, WriteDurability::Durable, &*world.random)
        .map_err(failed)
}

/// Forgets a login once `before` is done, which may end it at its server: nobody else refreshes it meanwhile. It is no
/// longer active, nor any profile's, and then its file is removed, and its cached tokens.
///
/// # Errors
/// Those of `before`, or when what is chosen cannot be changed, or when the file cannot be removed; the login is then
/// still there.
pub fn forget(
    name: &str,
    stores: &SecretStores,
    world: &World,
    revoke: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let Some(path) = path(name, world) else { return Ok(()) };
    let _lock = lock_login(&path, world)?;
    revoke()?;
    let store = external_store(&path, world);
    AccountSelection::update(world, |state| {
        let same = |account: &String| file_name(account) == file_name(name);
        state.active.take_if(|active| same(active));
        state.profiles.retain(|_, account| !same(account));
    })?;
    private_file::remove_durably(&path).map_err(|error| {
        let shown = printable::path(&path);
        Error::unexpected(format!("{shown} cannot be removed, {}", io_reason(&error)))
            .hint(format!("rm {shown}"))
    })?;
    Cache::new(world).remove_account(name);
    if let Some(store) = store {
        erase_secrets(name, store, stores, world);
    }
    Ok(())
}

/// Marks a login as one that there is a copy of from now on, and returns it as it is to be copied: whatever a server
/// changes of the one holds for the other.
///
/// # Errors
/// When it cannot be read or written.
pub fn mark_shared(name: &str, stores: &SecretStores, world: &World) -> Result<Map<String, Value>> {
    let path = path(name, world).ok_or_else(active::no_home_error)?;
    let _lock = lock_login(&path, world)?;
    let bytes = read_stored(&path, world)?;
    let found = resolve_secrets(&path, name, &bytes, stores)?;
    let mut login = with_newest_refresh_token(found.clone(), world)?;
    if refresh_token_location::is_outermost(&login) {
        login.insert(fields::SHARED.to_owned(), Value::Bool(true));
    }
    if login != found {
        let file = match external_store(&path, world) {
            Some(store) => ExternalSecret::new(path.clone(), name, store, stores).put(&login)?,
            None => login.clone(),
        };
        write_file(&path, &file, world)?;
    }
    Ok(login)
}

/// Removes what lies beside a login that was not ours to write: the refresh tokens that its server changed.
pub fn remove_overlays(login: &Map<String, Value>, world: &World) {
    if let Some(found) = refresh_token_location::find(login) {
        RefreshTokenHandle::beside(&found).remove_overlay(world);
    }
}

fn with_account_and_time(
    name: &str,
    mut login: Map<String, Value>,
    world: &World,
) -> Map<String, Value> {
    if account_name(&login).is_none_or(|owner| file_name(owner) != file_name(name)) {
        login.insert("account".to_owned(), Value::from(name));
    }
    if let Ok(now) = jiff::Timestamp::from_millisecond(world.clock.unix_millis()) {
        login.insert(fields::SIGNED_IN_AT.to_owned(), Value::from(now.to_string()));
    }
    login
}

fn lock_login(path: &Path, world: &World) -> Result<Option<Lock>> {
    let origin = Origin::Own(path.to_owned());
    let empty = Secret::new(String::new());
    let login =
        RefreshTokenHandle { origin: &origin, client_id: "", refresh_token: &empty, rapt: None };
    login.lock(world, Deadline::after(&*world.clock, LOCK_TIMEOUT))
}
