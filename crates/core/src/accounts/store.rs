//! Stores and removes logins.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::accounts::active::AccountSelection;
use crate::accounts::files::{account_name, file_name, path, read_stored, remove_stale_files};
use crate::accounts::origin::{Origin, resolve_secrets};
use crate::accounts::refresh_token::{RESERVED_BYTES, RefreshTokenHandle, with_newest_refresh_token};
use crate::accounts::secrets::{ExternalSecret, SecretStore, SecretStores, external};
use crate::accounts::{active, fields, refresh_token_location};
use crate::error::{Error, Result, io_reason};
use crate::text::secret::Secret;
use crate::text::{json, printable};
use crate::tokens::cache::{Cache, Lock};
use crate::world::clock::Deadline;
use crate::world::private_file::{PendingFile, WriteDurability};
use crate::world::{World, private_file};

/// How long to wait for a process that refreshes the login, whose request takes up to 30 s.
const LOCK_TIMEOUT: Duration = Duration::from_secs(35);

/// Stores a login under this name durably, in place of the previous one: its secrets in `store`, the rest in the file of
/// the account. `login` is a credential file; the account, where it is missing, and the time are added.
///
/// # Errors
/// When it cannot be written, or the store does not accept it. The previous login is then kept.
pub fn store_login(
    name: &str,
    login: &Map<String, Value>,
    store: SecretStore,
    stores: &SecretStores,
    world: &World,
) -> Result<PathBuf> {
    let path = path(name, world).ok_or_else(active::no_home_error)?;
    // A process that refreshes the previous login must not write its file afterwards. Without the lock the new login is
    // still safe, because that process checks the file before it writes.
    let _lock = lock_login(&path, world).unwrap_or_else(|error| {
        world.terminal.note(|| format!("the login is stored without a lock, {error}"));
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

/// The store that has the secrets of a login, where they are not in its file.
fn external_store(path: &Path, world: &World) -> Option<SecretStore> {
    let file = json::parse_object(&read_stored(path, world).ok()?).ok()?;
    external::named_store(&file).ok().flatten()
}

/// Removes the secrets of a removed login from a store, and warns where that fails.
fn erase_secrets(name: &str, store: SecretStore, stores: &SecretStores, world: &World) {
    if let Err(error) = stores.erase(store, name) {
        let hint = error.hint_text().unwrap_or_default();
        world.terminal.warn(&format!("{error}: {hint}"));
    }
}

/// Checks that a login can be stored: that there is a folder and disk space, before the user is asked for consent.
///
/// # Errors
/// When the folder cannot be created or written to.
pub fn check_storage(world: &World) -> Result<()> {
    let gauth = world.folders.gauth.as_deref().ok_or_else(active::no_home_error)?;
    let reserved = private_file::create_subfolder(Some(gauth), "accounts").and_then(|folder| {
        let name = "login";
        PendingFile::create(&folder, name, WriteDurability::Durable, &*world.random)?.reserve_space(RESERVED_BYTES)
    });
    reserved.map_err(|error| {
        let shown = printable::path(gauth);
        Error::unexpected(format!("{shown}: a login cannot be stored there, {}", io_reason(&error)))
            .hint("free some disk space, or set GAUTH_CONFIG_DIR to a folder of your own")
    })
}

fn write_file(path: &Path, login: &Map<String, Value>, world: &World) -> Result<()> {
    let failed = |error: std::io::Error| {
        let shown = printable::path(path);
        Error::unexpected(format!("{shown} cannot be written, {}", io_reason(&error)))
            .hint("free some disk space, or set GAUTH_CONFIG_DIR to a folder of your own")
    };
    let gauth = world.folders.gauth.as_deref();
    let folder = private_file::create_subfolder(gauth, "accounts").map_err(failed)?;
    remove_stale_files(&folder, world);
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
    serde_json::to_writer_pretty(&mut *bytes, login).map_err(|error| failed(error.into()))?;
    bytes.push(b'\n');
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    private_file::write_atomic(&folder, &name, &bytes, WriteDurability::Durable, &*world.random).map_err(failed)
}

/// Removes a login after `revoke` succeeds, under the lock of the login: from the active account and the profiles, then
/// its file, its cached tokens and its secrets.
///
/// # Errors
/// Those of `revoke`, or when `state.json` cannot be changed or the file cannot be removed. The login is then kept.
pub fn forget(name: &str, stores: &SecretStores, world: &World, revoke: impl FnOnce() -> Result<()>) -> Result<()> {
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
        Error::unexpected(format!("{shown} cannot be removed, {}", io_reason(&error))).hint(format!("rm {shown}"))
    })?;
    Cache::new(world).remove_account(name);
    if let Some(store) = store {
        erase_secrets(name, store, stores, world);
    }
    Ok(())
}

/// Marks a login as shared with a copy, and returns the content for the copy. Refresh tokens that the server rotates from
/// now on are used by both.
///
/// # Errors
/// When the login cannot be read or written.
pub fn mark_shared(name: &str, stores: &SecretStores, world: &World) -> Result<Map<String, Value>> {
    let path = path(name, world).ok_or_else(active::no_home_error)?;
    let _lock = lock_login(&path, world)?;
    let bytes = read_stored(&path, world)?;
    let found = resolve_secrets(&path, name, &bytes, stores)?;
    let mut login = with_newest_refresh_token(found.clone(), world)?;
    refresh_token_location::mark_shared(&mut login);
    if login != found {
        let file = match external_store(&path, world) {
            Some(store) => ExternalSecret::new(path.clone(), name, store, stores).put(&login)?,
            None => login.clone(),
        };
        write_file(&path, &file, world)?;
    }
    Ok(login)
}

/// Removes the overlay file of a login, which has the refresh tokens that its server has rotated.
pub fn remove_overlays(login: &Map<String, Value>, world: &World) {
    if let Some(found) = refresh_token_location::find(login) {
        RefreshTokenHandle::beside(&found).remove_overlay(world);
    }
}

fn with_account_and_time(name: &str, mut login: Map<String, Value>, world: &World) -> Map<String, Value> {
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
    let login = RefreshTokenHandle { origin: &origin, client_id: "", refresh_token: &empty, rapt: None };
    login.lock(world, Deadline::after(&*world.clock, LOCK_TIMEOUT))
}
