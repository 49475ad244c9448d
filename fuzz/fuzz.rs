//! Passes the inputs of libFuzzer to one of `gauth::fuzzing::TARGETS`, which `GAUTH_FUZZ_TARGET` names.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use gauth::fuzzing::TARGETS;
use libfuzzer_sys::fuzz_target;

/// Slower inputs are reported. They are no failure, because the machine may be busy.
const SLOW_INPUT: Duration = Duration::from_millis(100);

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let requested = std::env::var("GAUTH_FUZZ_TARGET").unwrap_or_default();
    let target = TARGETS.iter().find(|(name, _)| *name == requested);
    target.expect("GAUTH_FUZZ_TARGET names a target").1
});

fuzz_target!(|bytes: &[u8]| {
    let start = Instant::now();
    TARGET(bytes);
    let duration = start.elapsed();
    if duration > SLOW_INPUT {
        eprintln!("slow: {} ms for {} bytes", duration.as_millis(), bytes.len());
    }
});
