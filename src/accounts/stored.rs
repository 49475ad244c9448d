//! Storing a login, and forgetting it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::accounts::{Login, Origin, State, file_name, state};
use crate::cache::Lock;
use crate::error::{Error, Result, io_reason};
use crate::printable;
use crate::private_file::{self, Durability};
use crate::secret::Secret;
use crate::world::World;
use crate::world::clock::Deadline;

/// How long a process that refreshes this login may take: its request is one of 30 s.
const PATIENCE: Duration = Duration::from_secs(35);

/// Stores a login under this name, durably, in place of the one that was there. `login` is Google's own JSON.
///
/// # Errors
/// When it cannot be written: the old one is then still there.
pub fn keep(name: &str, login: &Map<String, Value>, world: &World) -> Result<PathBuf> {
    let failed = |error: std::io::Error| {
        let shown = printable::text(name);
        Error::unexpected(format!("the login of {shown} cannot be stored, {}", io_reason(&error)))
            .hint("make room, or set GAUTH_CONFIG_DIR to a folder of your own")
    };
    let gauth = world.folders.gauth.as_deref();
    let path = path(name, world).ok_or_else(state::homeless)?;
    // Whoever is refreshing the old login right now writes its file, and may not do so after us. What a person has
    // just made is not lost to one that takes too long: it looks before it writes.
    let _lock = lock(&path, world).unwrap_or_else(|error| {
        world.terminal.note(|| format!("the login is stored without its lock, {error}"));
        None
    });
    let folder = private_file::subfolder(gauth, "accounts").map_err(failed)?;
    super::tidy(&folder, world);
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
    serde_json::to_writer_pretty(&mut *bytes, login).map_err(|error| failed(error.into()))?;
    bytes.push(b'\n');
    private_file::write(&folder, &file_name(name), &bytes, Durability::Durable, &*world.random)
        .map_err(failed)?;
    Ok(path)
}

/// Forgets a login: it is no longer active, nor any profile's, and then its file is removed. Says whether there was
/// one.
///
/// # Errors
/// When what is chosen cannot be changed; the login is then still there.
pub fn forget(name: &str, world: &World) -> Result<bool> {
    let Some(path) = path(name, world) else { return Ok(false) };
    let _lock = lock(&path, world)?;
    State::change(world, |state| {
        let same = |account: &String| account.eq_ignore_ascii_case(name);
        state.active.take_if(|active| same(active));
        state.profiles.retain(|_, account| !same(account));
    })?;
    let was_there = path.symlink_metadata().is_ok();
    private_file::remove(&path);
    Ok(was_there)
}

fn path(name: &str, world: &World) -> Option<PathBuf> {
    super::folder(world).map(|folder| folder.join(file_name(name)))
}

fn lock(path: &std::path::Path, world: &World) -> Result<Option<Lock>> {
    let origin = Origin::Ours(path.to_owned());
    let nothing = Secret::new(String::new());
    let login = Login { origin: &origin, client_id: "", refresh_token: &nothing, rapt: None };
    login.lock(world, Deadline::after(&*world.clock, PATIENCE))
}
