//! Waiting for a person: on a terminal a line says how long yet, and is gone afterwards.

use std::cell::Cell;
use std::time::Duration;

use crate::error::{Error, Result, io_reason};
use crate::world::World;
use crate::world::clock::Deadline;
use crate::world::interrupt;
use crate::world::interrupt::InterruptGuard;

/// How often somebody who waits looks up.
pub const TICK_INTERVAL: Duration = Duration::from_millis(100);

const SPINNER_FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// A wait that is under way.
pub struct Countdown<'w> {
    world: &'w World,
    subject: &'static str,
    deadline: Deadline,
    timeout: Duration,
    interrupts: InterruptGuard,
    frame: Cell<usize>,
}

impl<'w> Countdown<'w> {
    /// Begins to wait for `what`, such as "the sign-in".
    ///
    /// # Errors
    /// When signals cannot be noticed.
    pub fn start(
        subject: &'static str,
        deadline: Deadline,
        world: &'w World,
    ) -> Result<Countdown<'w>> {
        let interrupts = InterruptGuard::catch().map_err(|error| {
            let what = io_reason(&error);
            Error::unexpected(format!("signals cannot be noticed, {what}"))
        })?;
        let timeout = deadline.remaining(&*world.clock);
        Ok(Countdown { world, subject, deadline, timeout, interrupts, frame: Cell::new(0) })
    }

    /// Looks up: shows the time that is left.
    ///
    /// # Errors
    /// `NoAnswer` when there is none. A signal ends the process, with the line gone.
    pub fn tick(&self) -> Result<()> {
        let subject = self.subject;
        if let Some(signal) = self.interrupts.caught_signal() {
            self.world.terminal.clear_status_line();
            interrupt::die_from_signal(signal);
            return Err(Error::no_answer(format!("{subject} was interrupted"))
                .hint("gauth login once more"));
        }
        let left = self.deadline.remaining(&*self.world.clock);
        if left.is_zero() {
            let timeout = crate::text::duration::humanize(ceil_seconds(self.timeout));
            return Err(Error::no_answer(format!("waited {timeout} for {subject}, nobody came"))
                .hint("gauth login once more; --wait 15m waits longer"));
        }
        let frame = SPINNER_FRAMES[self.frame.get() % SPINNER_FRAMES.len()];
        self.frame.set(self.frame.get() + 1);
        let seconds = ceil_seconds(left);
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        self.world.terminal.show_status_line(&format!(
            "{frame} waiting for {subject}, {minutes}:{seconds:02} left, Ctrl-C stops"
        ));
        Ok(())
    }

    /// Waits for so long, looking up now and then.
    ///
    /// # Errors
    /// As [`Waiting::tick`].
    pub fn pause(&self, duration: Duration) -> Result<()> {
        let clock = &*self.world.clock;
        let end = Deadline::after(clock, duration);
        loop {
            self.tick()?;
            let left = end.remaining(clock);
            if left.is_zero() {
                return Ok(());
            }
            clock.sleep(left.min(TICK_INTERVAL));
        }
    }
}

impl Drop for Countdown<'_> {
    fn drop(&mut self) {
        self.world.terminal.clear_status_line();
    }
}

/// Begun seconds count.
fn ceil_seconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(i64::MAX)
}
