//! Storing a login, and forgetting it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::accounts::rotation::ROOM;
use crate::accounts::vault::{Kept, Store, Vaults, kept};
use crate::accounts::{Login, Origin, SHARED, State, file_name, owner, path, shape, state};
use crate::cache::{Cache, Lock};
use crate::error::{Error, Result, io_reason};
use crate::private_file::{self, Draft, Durability};
use crate::secret::Secret;
use crate::world::World;
use crate::world::clock::Deadline;
use crate::{json, printable};

/// How long a process that refreshes this login may take: its request is one of 30 s.
const PATIENCE: Duration = Duration::from_secs(35);

/// When a login was stored, in its own JSON: RFC 3339, to the millisecond. No two logins of an account have the same,
/// so that a token of the one before is not taken for one of the next.
pub const SIGNED_IN: &str = "signed_in_at";

/// Stores a login under this name, durably, in place of the one that was there: its secrets in this store, the rest in
/// the file of the account. `login` is Google's own JSON; it is completed with the account, where it does not name it,
/// and the time.
///
/// # Errors
/// When it cannot be written, or the store does not take it: the old one is then still there.
pub fn keep(
    name: &str,
    login: &Map<String, Value>,
    store: Store,
    vaults: &Vaults,
    world: &World,
) -> Result<PathBuf> {
    let path = path(name, world).ok_or_else(state::homeless)?;
    // Whoever is refreshing the old login right now writes its file, and may not do so after us. What a person has
    // just made is not lost to one that takes too long: it looks before it writes.
    let _lock = lock(&path, world).unwrap_or_else(|error| {
        world.terminal.note(|| format!("the login is stored without its lock, {error}"));
        None
    });
    let before = elsewhere(&path, world);
    let login = completed(name, login.clone(), world);
    let file = match store {
        Store::File => login,
        _ => Kept::new(path.clone(), name, store, vaults).put(&login)?,
    };
    write(&path, &file, world)?;
    if let Some(before) = before.filter(|before| *before != store) {
        erase(name, before, vaults, world);
    }
    Ok(path)
}

/// The store that the file of a login leaves its secrets to.
fn elsewhere(path: &Path, world: &World) -> Option<Store> {
    let file = json::object(&super::read_stored(path, world).ok()?).ok()?;
    kept::store_of(&file).ok().flatten()
}

/// Removes what a store has of a login that is gone. One that does not let go of it is told.
fn erase(name: &str, store: Store, vaults: &Vaults, world: &World) {
    if let Err(error) = vaults.erase(store, name) {
        let hint = error.hint_text().unwrap_or_default();
        world.terminal.warn(&format!("{error}: {hint}"));
    }
}

/// Whether a login could be stored now, there being a folder and room for it: a person's consent is not to be asked for
/// in vain.
///
/// # Errors
/// Why not.
pub fn room(world: &World) -> Result<()> {
    let gauth = world.folders.gauth.as_deref().ok_or_else(state::homeless)?;
    let drafted = private_file::subfolder(Some(gauth), "accounts").and_then(|folder| {
        let name = "login";
        Draft::begin(&folder, name, Durability::Durable, &*world.random)?.reserve(ROOM)
    });
    drafted.map_err(|error| {
        let shown = printable::path(gauth);
        Error::unexpected(format!("{shown}: a login cannot be kept there, {}", io_reason(&error)))
            .hint("make room, or set GAUTH_CONFIG_DIR to a folder of your own")
    })
}

fn write(path: &Path, login: &Map<String, Value>, world: &World) -> Result<()> {
    let failed = |error: std::io::Error| {
        let shown = printable::path(path);
        Error::unexpected(format!("{shown} cannot be written, {}", io_reason(&error)))
            .hint("make room, or set GAUTH_CONFIG_DIR to a folder of your own")
    };
    let gauth = world.folders.gauth.as_deref();
    let folder = private_file::subfolder(gauth, "accounts").map_err(failed)?;
    super::tidy(&folder, world);
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
    serde_json::to_writer_pretty(&mut *bytes, login).map_err(|error| failed(error.into()))?;
    bytes.push(b'\n');
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    private_file::write(&folder, &name, &bytes, Durability::Durable, &*world.random).map_err(failed)
}

/// Forgets a login once `before` is done, which may end it at its server: nobody else refreshes it meanwhile. It is no
/// longer active, nor any profile's, and then its file is removed, and its cached tokens.
///
/// # Errors
/// Those of `before`, or when what is chosen cannot be changed, or when the file cannot be removed; the login is then
/// still there.
pub fn forget(
    name: &str,
    vaults: &Vaults,
    world: &World,
    before: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let Some(path) = path(name, world) else { return Ok(()) };
    let _lock = lock(&path, world)?;
    before()?;
    let store = elsewhere(&path, world);
    State::change(world, |state| {
        let same = |account: &String| file_name(account) == file_name(name);
        state.active.take_if(|active| same(active));
        state.profiles.retain(|_, account| !same(account));
    })?;
    private_file::remove_durably(&path).map_err(|error| {
        let shown = printable::path(&path);
        Error::unexpected(format!("{shown} cannot be removed, {}", io_reason(&error)))
            .hint(format!("rm {shown}"))
    })?;
    Cache::new(world).forget_account(name);
    if let Some(store) = store {
        erase(name, store, vaults, world);
    }
    Ok(())
}

/// Marks a login as one that there is a copy of from now on, and returns it as it is to be copied: whatever a server
/// changes of the one holds for the other.
///
/// # Errors
/// When it cannot be read or written.
pub fn share(name: &str, vaults: &Vaults, world: &World) -> Result<Map<String, Value>> {
    let path = path(name, world).ok_or_else(state::homeless)?;
    let _lock = lock(&path, world)?;
    let bytes = super::read_stored(&path, world)?;
    let found = super::whole(&path, name, &bytes, vaults)?;
    let mut login = shape::newest(found.clone(), world)?;
    if login.contains_key("refresh_token") {
        login.insert(SHARED.to_owned(), Value::Bool(true));
    }
    if login != found {
        let file = match elsewhere(&path, world) {
            Some(store) => Kept::new(path.clone(), name, store, vaults).put(&login)?,
            None => login.clone(),
        };
        write(&path, &file, world)?;
    }
    Ok(login)
}

/// Removes what lies beside a login that was not ours to write: the refresh tokens that its server changed.
pub fn forget_shadows(login: &Map<String, Value>, world: &World) {
    if let Some(Value::Object(source)) = login.get("source_credentials") {
        forget_shadows(source, world);
    }
    let text = |name: &str| login.get(name).and_then(Value::as_str);
    if let (Some(client_id), Some(found)) = (text("client_id"), text("refresh_token")) {
        let refresh_token = Secret::new(found);
        Login { origin: &Origin::Foreign, client_id, refresh_token: &refresh_token, rapt: None }
            .remove_shadow(world);
    }
}

fn completed(name: &str, mut login: Map<String, Value>, world: &World) -> Map<String, Value> {
    if owner(&login).is_none_or(|owner| file_name(owner) != file_name(name)) {
        login.insert("account".to_owned(), Value::from(name));
    }
    if let Ok(now) = jiff::Timestamp::from_millisecond(world.clock.unix_millis()) {
        login.insert(SIGNED_IN.to_owned(), Value::from(now.to_string()));
    }
    login
}

fn lock(path: &Path, world: &World) -> Result<Option<Lock>> {
    let origin = Origin::Ours(path.to_owned());
    let nothing = Secret::new(String::new());
    let login = Login { origin: &origin, client_id: "", refresh_token: &nothing, rapt: None };
    login.lock(world, Deadline::after(&*world.clock, PATIENCE))
}
