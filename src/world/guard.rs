//! Memory that holds secrets is not written to a core file, nor read by another process of the same user. And the
//! signal that would end the process over a file that only makes it faster.

/// No core file, no attaching. Called before any secret is read.
#[cfg(unix)]
pub fn memory() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Core);
    limit.current = Some(0);
    // A system that refuses is no reason not to print a token.
    _ = setrlimit(Resource::Core, limit);
    not_dumpable();
}

#[cfg(target_os = "linux")]
fn not_dumpable() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

#[cfg(all(unix, not(target_os = "linux")))]
fn not_dumpable() {}

/// Elsewhere there is nothing to do.
#[cfg(not(unix))]
pub fn memory() {}

/// Where files may not grow (`ulimit -f`), a write is to fail, and not to end the process: the token is still to be
/// printed when it cannot be kept.
#[cfg(unix)]
pub fn file_size() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // The flag is of no use: the write says the same.
        _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
    });
}

/// Elsewhere there is no such signal.
#[cfg(not(unix))]
pub fn file_size() {}
