//! The wait for the user. On a terminal a status line shows the time that is left, and is removed afterwards.

use std::cell::Cell;
use std::time::Duration;

use crate::error::{Error, Result, io_reason};
use crate::world::clock::Deadline;
use crate::world::interrupt::InterruptGuard;
use crate::world::{World, interrupt};

/// The time between two updates of the status line.
pub(crate) const TICK_INTERVAL: Duration = Duration::from_millis(100);

const SPINNER_FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// A wait with a deadline and a status line.
pub struct Countdown<'w> {
    world: &'w World,
    subject: &'static str,
    deadline: Deadline,
    timeout: Duration,
    interrupts: InterruptGuard,
    frame: Cell<usize>,
}

impl<'w> Countdown<'w> {
    /// Starts to wait for `subject`, such as "the sign-in".
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn start(subject: &'static str, deadline: Deadline, world: &'w World) -> Result<Countdown<'w>> {
        let interrupts = InterruptGuard::catch().map_err(|error| {
            let what = io_reason(&error);
            Error::unexpected(format!("signal handlers cannot be installed, {what}"))
        })?;
        let timeout = deadline.remaining(&*world.clock);
        Ok(Countdown { world, subject, deadline, timeout, interrupts, frame: Cell::new(0) })
    }

    /// Shows the time that is left.
    ///
    /// # Errors
    /// `NoAnswer` when the time is up. A signal ends the process, after the status line is removed.
    pub(crate) fn tick(&self) -> Result<()> {
        let subject = self.subject;
        if let Some(signal) = self.interrupts.caught_signal() {
            self.world.terminal.clear_status_line();
            interrupt::die_from_signal(signal);
            return Err(Error::no_answer(format!("{subject} was interrupted")).hint("gauth login"));
        }
        let left = self.deadline.remaining(&*self.world.clock);
        if left.is_zero() {
            let timeout = crate::text::duration::humanize(ceil_seconds(self.timeout));
            return Err(Error::no_answer(format!("{subject} was not finished within {timeout}"))
                .hint("gauth login, with --wait 15m to wait longer"));
        }
        let frame = SPINNER_FRAMES[self.frame.get() % SPINNER_FRAMES.len()];
        self.frame.set(self.frame.get() + 1);
        let seconds = ceil_seconds(left);
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        self.world
            .terminal
            .show_status_line(&format!("{frame} waiting for {subject}, {minutes}:{seconds:02} left, Ctrl-C stops"));
        Ok(())
    }

    /// Waits for `duration` and keeps the status line up to date.
    ///
    /// # Errors
    /// As [`Countdown::tick`].
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

/// A time in seconds, rounded up.
fn ceil_seconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(i64::MAX)
}
