//! Threads, each with the name that a debugger shows.
#![expect(clippy::disallowed_methods, reason = "this is the door")]

use std::io;
use std::thread::{Builder, JoinHandle};

/// Runs `work` in a thread of its own.
///
/// # Errors
/// When the system starts no more threads.
pub fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(work)
}
