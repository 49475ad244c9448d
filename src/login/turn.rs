//! One login at a time for an account: of ten processes that want one, one opens a browser and the others wait for it.

use std::time::{Duration, UNIX_EPOCH};

use crate::accounts;
use crate::cache::{self, Lock};
use crate::error::{ErrorKind, Result};
use crate::world::World;
use crate::world::clock::Deadline;

/// Whose turn it is.
pub enum Turn {
    /// Ours, until this is dropped.
    Ours(Option<Lock>),
    /// Another process has just signed this account in.
    Done(String),
}

/// Waits for its turn. `account` is the one that is asked for, if one is.
///
/// # Errors
/// When others take all the time.
pub fn wait(account: Option<&str>, until: Deadline, world: &World) -> Result<Turn> {
    let name = format!(
        "sign-in-{}",
        &accounts::digest(&[&account.unwrap_or_default().to_lowercase()])[..2]
    );
    let at_once = Deadline::after(&*world.clock, Duration::ZERO);
    let lock = match cache::lock(world, &name, at_once) {
        Ok(lock) => return Ok(Turn::Ours(lock)),
        Err(error) if error.kind() == ErrorKind::NoAnswer => {
            world.terminal.tell("another gauth is waiting for a sign-in; its result will be used");
            cache::lock(world, &name, until).map_err(|error| {
                error.hint("finish or stop the other gauth login, then try again")
            })?
        }
        Err(error) => return Err(error),
    };
    let account = match account {
        Some(account) => Some(account.to_owned()),
        None => accounts::active(world)?,
    };
    Ok(match account.filter(|account| is_new(account, world)) {
        Some(account) => Turn::Done(account),
        None => Turn::Ours(lock),
    })
}

/// Whether the account's login was stored since this process began.
fn is_new(account: &str, world: &World) -> bool {
    let stored = accounts::load(account, world).ok().flatten();
    let modified = stored.and_then(|(path, _)| path.metadata().ok()?.modified().ok());
    let since = modified.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
    since.is_some_and(|since| i64::try_from(since.as_millis()).is_ok_and(|at| at >= world.started))
}
