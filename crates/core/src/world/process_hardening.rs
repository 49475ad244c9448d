//! Memory that holds secrets is not written to a core file, nor read by another process of the same user. And the
//! signal that would end the process over a file that only makes it faster.

/// No core file, no attaching. Called before any secret is read.
#[cfg(unix)]
pub fn protect_memory() {
    set_core_limit(Some(0));
    set_not_dumpable();
}

/// Runs `start` with the limit on core files that this process was given: a child is not ours to restrict.
#[cfg(unix)]
pub fn with_inherited_core_limit<T>(spawn: impl FnOnce() -> T) -> T {
    let Some(inherited) = INHERITED_CORE_LIMIT.get() else { return spawn() };
    set_core_limit(*inherited);
    let started = spawn();
    set_core_limit(Some(0));
    started
}

/// The soft limit this process was given, in bytes; `None`: no limit.
#[cfg(unix)]
static INHERITED_CORE_LIMIT: std::sync::OnceLock<Option<u64>> = std::sync::OnceLock::new();

#[cfg(unix)]
fn set_core_limit(bytes: Option<u64>) {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Core);
    INHERITED_CORE_LIMIT.get_or_init(|| limit.current);
    limit.current = bytes;
    // A system that refuses is no reason not to print a token.
    _ = setrlimit(Resource::Core, limit);
}

#[cfg(target_os = "linux")]
fn set_not_dumpable() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

#[cfg(all(unix, not(target_os = "linux")))]
fn set_not_dumpable() {}

/// Elsewhere there is nothing to do.
#[cfg(not(unix))]
pub fn protect_memory() {}

/// Elsewhere there is nothing to do.
#[cfg(not(unix))]
pub fn with_inherited_core_limit<T>(spawn: impl FnOnce() -> T) -> T {
    spawn()
}

/// Where files may not grow (`ulimit -f`), a write is to fail, and not to end the process: the token is still to be
/// printed when it cannot be kept.
#[cfg(unix)]
pub fn ignore_file_size_signal() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // The flag is not read: the write itself fails.
        _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
    });
}

/// Elsewhere there is no such signal.
#[cfg(not(unix))]
pub fn ignore_file_size_signal() {}
