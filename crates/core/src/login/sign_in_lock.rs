//! One sign-in at a time for each account: the first of several processes opens a browser, and the others wait for its
//! result.

use std::time::{Duration, UNIX_EPOCH};

use crate::accounts;
use crate::error::{ErrorKind, Result};
use crate::tokens::cache;
use crate::tokens::cache::Lock;
use crate::world::clock::Deadline;
use crate::world::{World, files};

/// The result of waiting for the lock.
pub enum SignInLock {
    /// This process signs in and has the lock until the value is dropped.
    Acquired(Option<Lock>),
    /// Another process has signed this account in meanwhile.
    SignedInElsewhere(String),
}

/// Waits for the lock of the requested account, or of the active one where `account` is `None`.
///
/// # Errors
/// `NoAnswer`, when other processes have the lock until the deadline.
pub fn acquire(account: Option<&str>, deadline: Deadline, world: &World) -> Result<SignInLock> {
    let name = format!("sign-in-{}", &accounts::sha256_hex(&[&account.unwrap_or_default().to_lowercase()])[..2]);
    let no_wait = Deadline::after(&*world.clock, Duration::ZERO);
    let lock = match cache::lock(world, &name, no_wait) {
        Ok(lock) => return Ok(SignInLock::Acquired(lock)),
        Err(error) if error.kind() == ErrorKind::NoAnswer => {
            world.terminal.info("another gauth is waiting for a sign-in; its result will be used");
            cache::lock(world, &name, deadline)
                .map_err(|error| error.hint("finish or stop the other gauth login, then try again"))?
        }
        Err(error) => return Err(error),
    };
    let account = match account {
        Some(account) => Some(account.to_owned()),
        None => accounts::active_account(world)?,
    };
    Ok(match account.filter(|account| was_stored_since_start(account, world)) {
        Some(account) => SignInLock::SignedInElsewhere(account),
        None => SignInLock::Acquired(lock),
    })
}

/// Whether the login of the account was stored since this process started.
fn was_stored_since_start(account: &str, world: &World) -> bool {
    let stored = accounts::load(account, world).ok().flatten();
    let modified = stored.and_then(|(path, _)| files::metadata(&path).ok()?.modified().ok());
    let since = modified.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
    since.is_some_and(|since| i64::try_from(since.as_millis()).is_ok_and(|at| at >= world.started_at_millis))
}
