//! Waiting for a person: on a terminal a line says how long yet, and is gone afterwards.

use std::cell::Cell;
use std::time::Duration;

use crate::error::{Error, Result, io_reason};
use crate::world::World;
use crate::world::clock::Deadline;
use crate::world::interrupt::{self, Interrupts};

/// How often somebody who waits looks up.
pub const TICK: Duration = Duration::from_millis(100);

const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// A wait that is under way.
pub struct Waiting<'w> {
    world: &'w World,
    what: &'static str,
    until: Deadline,
    limit: Duration,
    interrupts: Interrupts,
    frame: Cell<usize>,
}

impl<'w> Waiting<'w> {
    /// Begins to wait for `what`, such as "the sign-in".
    ///
    /// # Errors
    /// When signals cannot be noticed.
    pub fn begin(what: &'static str, until: Deadline, world: &'w World) -> Result<Waiting<'w>> {
        let interrupts = Interrupts::catch().map_err(|error| {
            let what = io_reason(&error);
            Error::unexpected(format!("signals cannot be noticed, {what}"))
        })?;
        let limit = until.left(&*world.clock);
        Ok(Waiting { world, what, until, limit, interrupts, frame: Cell::new(0) })
    }

    /// Looks up: shows the time that is left.
    ///
    /// # Errors
    /// `NoAnswer` when there is none. A signal ends the process, with the line gone.
    pub fn tick(&self) -> Result<()> {
        let what = self.what;
        if let Some(signal) = self.interrupts.came() {
            self.world.terminal.end_status();
            interrupt::die(signal);
            return Err(
                Error::no_answer(format!("{what} was interrupted")).hint("gauth login once more")
            );
        }
        let left = self.until.left(&*self.world.clock);
        if left.is_zero() {
            let limit = crate::duration::in_words(whole_seconds(self.limit));
            return Err(Error::no_answer(format!("waited {limit} for {what}, nobody came"))
                .hint("gauth login once more; --wait 15m waits longer"));
        }
        let frame = FRAMES[self.frame.get() % FRAMES.len()];
        self.frame.set(self.frame.get() + 1);
        let seconds = whole_seconds(left);
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        self.world.terminal.status(&format!(
            "{frame} waiting for {what}, {minutes}:{seconds:02} left, Ctrl-C stops"
        ));
        Ok(())
    }

    /// Waits for so long, looking up now and then.
    ///
    /// # Errors
    /// As [`Waiting::tick`].
    pub fn pause(&self, time: Duration) -> Result<()> {
        let clock = &*self.world.clock;
        let end = Deadline::after(clock, time);
        loop {
            self.tick()?;
            let left = end.left(clock);
            if left.is_zero() {
                return Ok(());
            }
            clock.sleep(left.min(TICK));
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.world.terminal.end_status();
    }
}

/// Begun seconds count.
fn whole_seconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(i64::MAX)
}
