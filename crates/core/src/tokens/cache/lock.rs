//! The lock files in `locks/`: one process asks a server, the others wait for what comes of it.
//!
//! Beside a lock there may be a sign that its holder is waiting for a person, and it is a lock too: it ends with its
//! holder, however that ends, and no file ever holds anything. Who waits at a terminal waits as long as the person
//! takes; who waits where nobody is cannot do better than to say so in time.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result, io_reason};
use crate::world::World;
use crate::world::clock::Deadline;
use crate::world::private_file;

/// The longest that anybody waits for a person whom another process is asking.
const MAX_PROMPT_WAIT: Duration = Duration::from_secs(600);

/// How long it may take to put up a sign: those who look for one hold it for a moment.
const PROMPT_MARKER_TIMEOUT: Duration = Duration::from_secs(1);

/// Holds one of the lock files until dropped. The kernel frees it at any death.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    /// How much of the wait for it was for a person: that is not taken from anybody's budget.
    pub prompt_wait: Duration,
}

/// Takes one of the lock files in `locks/`. `None`: this system or folder has no locks.
///
/// # Errors
/// `NoAnswer` when the time is up; `LoginRequired` where its holder is asking a person all the while.
pub fn lock(world: &World, name: &str, deadline: Deadline) -> Result<Option<Lock>> {
    acquire(world, name, deadline, |folder| is_prompting(folder, name))
}

/// Shows those who wait for this lock, which the caller holds, that a person is being asked, until dropped.
pub fn mark_prompting(world: &World, name: &str) -> Option<Lock> {
    let deadline = Deadline::after(&*world.clock, PROMPT_MARKER_TIMEOUT);
    acquire(world, &prompt_lock_name(name), deadline, |_| false).ok().flatten()
}

/// Waits until nobody else is asking a person about this, and keeps others from it until dropped.
///
/// # Errors
/// `NoAnswer` when somebody is asked for longer than ten minutes.
pub fn lock_prompt(world: &World, name: &str) -> Result<Option<Lock>> {
    let deadline = Deadline::after(&*world.clock, MAX_PROMPT_WAIT);
    acquire(world, &prompt_lock_name(name), deadline, |_| false)
}

/// The file of the sign beside a lock.
fn prompt_lock_name(name: &str) -> String {
    format!("{name}-asks")
}

fn is_prompting(folder: &Path, name: &str) -> bool {
    let prompt_lock = private_file::open_lock_file(folder, &prompt_lock_name(name));
    prompt_lock.is_ok_and(|sign| matches!(sign.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn acquire(
    world: &World,
    name: &str,
    mut deadline: Deadline,
    is_prompting: impl Fn(&Path) -> bool,
) -> Result<Option<Lock>> {
    let opened = private_file::create_subfolder(world.folders.gauth.as_deref(), "locks")
        .and_then(|folder| Ok((private_file::open_lock_file(&folder, name)?, folder)));
    let (file, folder) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            world.terminal.note(|| format!("no lock is taken, {}", io_reason(&error)));
            return Ok(None);
        }
    };
    let mut pauses = [2, 5, 10, 20].into_iter().map(Duration::from_millis);
    let mut prompt_wait = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(Lock { _file: file, prompt_wait })),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                world.terminal.note(|| format!("no lock is taken, {}", io_reason(&error)));
                return Ok(None);
            }
        }
        let prompting = is_prompting(&folder);
        let remaining = deadline.remaining(&*world.clock);
        if remaining.is_zero() {
            return Err(timeout_error(prompting));
        }
        let started = world.clock.elapsed();
        world.clock.sleep(pauses.next().unwrap_or(Duration::from_millis(50)).min(remaining));
        if prompting && world.is_interactive() && prompt_wait < MAX_PROMPT_WAIT {
            if prompt_wait.is_zero() {
                world.terminal.note(|| "waiting: another gauth is asking a person".to_owned());
            }
            let elapsed = world.clock.elapsed().saturating_sub(started);
            deadline = deadline.extended_by(elapsed);
            prompt_wait += elapsed;
        }
    }
}

fn timeout_error(prompting: bool) -> Error {
    match prompting {
        true => Error::new(
            ErrorKind::LoginRequired,
            "another gauth is asking a person for this token, and nobody has answered",
        )
        .hint("answer at that terminal, or end that gauth"),
        false => Error::no_answer("another gauth has been asking for this token all the time")
            .hint("try again, or give more time with --timeout"),
    }
}
