//! Memory that holds secrets is not written to a core file, nor read by another process of the same user.

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
