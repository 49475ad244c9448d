//! Hands what libFuzzer makes up to one of `gauth::fuzzing::TARGETS`, named by `GAUTH_FUZZ_TARGET`.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use gauth::fuzzing::TARGETS;
use libfuzzer_sys::fuzz_target;

/// Nobody sends us anything that is worth more time. Said, not judged: the machine may be busy.
const SLOW_INPUT: Duration = Duration::from_millis(100);

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("GAUTH_FUZZ_TARGET").unwrap_or_default();
    let known = TARGETS.iter().find(|(name, _)| *name == wanted);
    known.expect("GAUTH_FUZZ_TARGET names a target").1
});

fuzz_target!(|bytes: &[u8]| {
    let start = Instant::now();
    TARGET(bytes);
    let took = start.elapsed();
    if took > SLOW_INPUT {
        eprintln!("slow: {} ms for {} bytes", took.as_millis(), bytes.len());
    }
});
