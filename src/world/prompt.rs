//! Asking a person for a secret: what is typed or pasted is not shown.
//!
//! The terminal is taken out of its line mode too, which cuts a line at 4,096 characters: tokens are longer. It is
//! put back on every way out, signals included.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::world::World;
use crate::world::clock::{Clock, Deadline};
use crate::world::interrupt;

/// Longest answer, in bytes.
#[cfg(unix)]
const LONGEST: usize = 64 * 1024;

/// The longest a person may think.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Asks for one line. Empty when nothing was typed. To be called only where a person is there to answer.
///
/// # Errors
/// When the terminal cannot be used. A signal that ends the process does so when the terminal is as it was.
pub fn hidden(question: &str, world: &World) -> Result<Zeroizing<String>> {
    hidden_until(question, Deadline::after(&*world.clock, PATIENCE), world)
}

/// The same, for those who do not wait for ever.
///
/// # Errors
/// As [`hidden`], and `NoAnswer` when the time is up.
pub fn hidden_until(question: &str, until: Deadline, world: &World) -> Result<Zeroizing<String>> {
    if let Some(typist) = &world.terminal.typist {
        return Ok(typist(question));
    }
    world.terminal.ask(question);
    let answer = read(until, &*world.clock);
    // The answer's own line end was not shown.
    world.terminal.ask("\n");
    let answer = answer.map_err(|error| {
        let what = crate::error::io_reason(&error);
        Error::unexpected(format!("the terminal cannot be read, {what}"))
            .hint("give the token by a pipe, or name its file")
    })?;
    match answer {
        Typed::Line(line) => Ok(Zeroizing::new(String::from_utf8_lossy(&line).into_owned())),
        Typed::Signal(signal) => Err(ended(signal)),
        Typed::Late => Err(Error::no_answer("nobody typed an answer in time")
            .hint("the same again, and a longer --wait")),
    }
}

/// Whether this process was put into the background of its terminal, where asking would only stop it.
#[cfg(unix)]
pub(super) fn in_background() -> bool {
    // Where it is not the terminal of this session, there is no background.
    rustix::termios::tcgetpgrp(rustix::stdio::stdin())
        .is_ok_and(|group| group != rustix::process::getpgrp())
}

#[cfg(not(unix))]
pub(super) fn in_background() -> bool {
    false
}

enum Typed {
    Line(Zeroizing<Vec<u8>>),
    Signal(i32),
    Late,
}

/// Ends the process as the signal does. Where it does not, the command ends in another way.
fn ended(signal: i32) -> Error {
    interrupt::die(signal);
    Error::usage("nothing was given").hint("give the token by a pipe, or name its file")
}

/// Keeps the terminal quiet until dropped.
#[cfg(unix)]
struct Quiet(rustix::termios::Termios);

#[cfg(unix)]
impl Quiet {
    fn new() -> std::io::Result<Quiet> {
        use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex};
        let before = rustix::termios::tcgetattr(rustix::stdio::stdin())?;
        let mut quiet = before.clone();
        quiet
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &quiet)?;
        Ok(Quiet(before))
    }
}

#[cfg(unix)]
impl Drop for Quiet {
    fn drop(&mut self) {
        // What is left of a paste goes, or the shell would show it.
        let actions = rustix::termios::OptionalActions::Flush;
        _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), actions, &self.0);
    }
}

/// A key that interrupts is for all who run in the terminal's foreground: the terminal itself would tell them, had
/// its keys not been taken over.
#[cfg(unix)]
fn tell_the_others() {
    let ours = rustix::process::getpgrp();
    if rustix::termios::tcgetpgrp(rustix::stdio::stdin()).is_ok_and(|group| group == ours) {
        _ = rustix::process::kill_process_group(ours, rustix::process::Signal::INT);
    }
}

#[cfg(unix)]
fn read(until: Deadline, clock: &dyn Clock) -> std::io::Result<Typed> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use signal_hook::consts::SIGINT;

    let interrupts = interrupt::Interrupts::catch()?;
    let _quiet = Quiet::new()?;
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut piece = Zeroizing::new([0; 4096]);
    loop {
        let pause = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let stdin = rustix::stdio::stdin();
        let ready = poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&pause));
        if let Some(signal) = interrupts.came() {
            return Ok(Typed::Signal(signal));
        }
        if until.left(clock).is_zero() {
            return Ok(Typed::Late);
        }
        match ready {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let count = match rustix::io::read(stdin, &mut piece[..]) {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(0) => return Ok(Typed::Line(line)),
            count => count?,
        };
        for byte in &piece[..count] {
            match key(*byte, &mut line) {
                Key::Goes => {}
                Key::Done => return Ok(Typed::Line(line)),
                Key::Interrupts => {
                    tell_the_others();
                    return Ok(Typed::Signal(SIGINT));
                }
            }
        }
    }
}

#[cfg(unix)]
#[derive(Debug, PartialEq, Eq)]
enum Key {
    Goes,
    Done,
    Interrupts,
}

/// What a key does to the line: the keys of a terminal in line mode, which we took over from it.
#[cfg(unix)]
fn key(byte: u8, line: &mut Vec<u8>) -> Key {
    match byte {
        b'\r' | b'\n' | 0x04 => return Key::Done,
        0x03 | 0x1c => return Key::Interrupts,
        0x08 | 0x7f => drop(line.pop()),
        0x15 => line.clear(),
        // Too long is too long: what comes of it is no token.
        _ if line.len() < LONGEST => line.push(byte),
        _ => {}
    }
    Key::Goes
}

/// Elsewhere terminals are not made quiet: a secret would be seen.
#[cfg(not(unix))]
fn read(_: Deadline, _: &dyn Clock) -> std::io::Result<Typed> {
    Err(std::io::Error::other("hidden input is not supported here"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> (Vec<u8>, Key) {
        let mut line = Vec::new();
        let mut ends = keys.iter().map(|byte| key(*byte, &mut line));
        let end = ends.find(|end| *end != Key::Goes).unwrap_or(Key::Goes);
        (line, end)
    }

    #[test]
    fn keys_do_what_they_do_at_any_prompt() {
        assert_eq!(typed(b"abc\r"), (b"abc".to_vec(), Key::Done));
        assert_eq!(typed(b"abd\x7fc\n"), (b"abc".to_vec(), Key::Done));
        assert_eq!(typed(b"\x08x\x15abc\x04"), (b"abc".to_vec(), Key::Done));
        assert_eq!(typed(b"ab\x03").1, Key::Interrupts);
        assert_eq!(typed(&vec![b'x'; LONGEST + 5]).0.len(), LONGEST);
    }
}
