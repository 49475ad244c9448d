//! The lock files in `locks/`: one process sends a request, the others wait for its result.
//!
//! A second lock beside a lock marks that its holder prompts the user. It ends with its holder, however that ends, and
//! the files stay empty. A process at a terminal waits as long as the prompt takes; one without a terminal waits until
//! its deadline, and its error says what it waited for.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result, io_reason};
use crate::world::clock::Deadline;
use crate::world::{World, private_file};

/// How long a process waits at most for a prompt of another process.
const MAX_PROMPT_WAIT: Duration = Duration::from_secs(600);

/// How long marking a prompt may take: processes that look for the mark hold it for a moment.
const PROMPT_MARKER_TIMEOUT: Duration = Duration::from_secs(1);

/// One of the lock files, locked until this is dropped; the kernel unlocks it when the process ends in any way.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    /// How much of the wait was for a prompt: that is not taken from the time budget.
    pub prompt_wait: Duration,
}

/// Locks one of the files in `locks/`. `None` where this system or folder has no locks.
///
/// # Errors
/// `NoAnswer` at the deadline; `LoginRequired` where its holder is still prompting the user then.
pub fn lock(world: &World, name: &str, deadline: Deadline) -> Result<Option<Lock>> {
    acquire(world, name, deadline, |folder| is_prompting(folder, name))
}

/// Marks, until dropped, that the holder of this lock, the caller, prompts the user.
pub fn mark_prompting(world: &World, name: &str) -> Option<Lock> {
    let deadline = Deadline::after(&*world.clock, PROMPT_MARKER_TIMEOUT);
    acquire(world, &prompt_lock_name(name), deadline, |_| false).ok().flatten()
}

/// Waits until no other process prompts the user for this, and keeps others from it until dropped.
///
/// # Errors
/// `NoAnswer` when another prompt takes longer than ten minutes.
pub fn lock_prompt(world: &World, name: &str) -> Result<Option<Lock>> {
    let deadline = Deadline::after(&*world.clock, MAX_PROMPT_WAIT);
    acquire(world, &prompt_lock_name(name), deadline, |_| false)
}

/// The file of the mark beside a lock.
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
                world.terminal.note(|| "waiting: another gauth prompts the user".to_owned());
            }
            let elapsed = world.clock.elapsed().saturating_sub(started);
            deadline = deadline.extended_by(elapsed);
            prompt_wait += elapsed;
        }
    }
}

fn timeout_error(prompting: bool) -> Error {
    match prompting {
        true => {
            Error::new(ErrorKind::LoginRequired, "another gauth prompts for this token, and its prompt is not answered")
                .hint("answer it at that terminal, or end that gauth")
        }
        false => Error::no_answer("another gauth was fetching this token until the time was up")
            .hint("try again, or give more time with --timeout"),
    }
}
