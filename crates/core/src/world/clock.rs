//! Time: the wall clock judges tokens, the monotonic clock measures waits.
#![expect(clippy::disallowed_methods, reason = "this is the door")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The door to time.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970 (UTC); negative before.
    fn unix_millis(&self) -> i64;

    /// Time since some fixed moment, never going back.
    fn elapsed(&self) -> Duration;

    /// Waits for this long.
    fn sleep(&self, pause: Duration);

    /// Seconds since 1970 (UTC).
    fn unix_seconds(&self) -> i64 {
        self.unix_millis().div_euclid(1000)
    }
}

/// The wall clock and the monotonic clock of the machine.
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts at zero now.
    pub fn new() -> SystemClock {
        SystemClock { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn unix_millis(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(negative) => -i64::try_from(negative.duration().as_millis()).unwrap_or(i64::MAX),
        }
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}

/// A moment by which a piece of work must be done.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Duration);

impl Deadline {
    /// The deadline that is `budget` from now.
    pub fn after(clock: &dyn Clock, budget: Duration) -> Deadline {
        Deadline(clock.elapsed().saturating_add(budget))
    }

    /// What is left, zero when it has passed.
    pub fn remaining(self, clock: &dyn Clock) -> Duration {
        self.0.saturating_sub(clock.elapsed())
    }

    /// The deadline that is later by this much.
    pub fn extended_by(self, by: Duration) -> Deadline {
        Deadline(self.0.saturating_add(by))
    }

    /// The earlier of this one and `budget` from now.
    pub fn capped_at(self, clock: &dyn Clock, budget: Duration) -> Deadline {
        Deadline(self.0.min(clock.elapsed().saturating_add(budget)))
    }
}
