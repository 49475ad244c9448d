//! The prompt for a secret: what the user types or pastes is not shown.
//!
//! The terminal is taken out of its line mode too, which cuts a line at 4,096 characters: tokens are longer. It is
//! put back on every way out, signals included.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::world::clock::{Clock, Deadline};
use crate::world::{World, interrupt};

/// Longest input, in bytes.
#[cfg(unix)]
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How long the prompt waits for the user.
const PROMPT_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Reads one line from the terminal; it may be empty. To be called only where [`World::is_interactive`] holds.
///
/// # Errors
/// When the terminal cannot be used. A signal that ends the process does so when the terminal is as it was.
pub fn ask_secret(question: &str, world: &World) -> Result<Zeroizing<String>> {
    ask_secret_until(question, Deadline::after(&*world.clock, PROMPT_TIMEOUT), world)
}

/// The same, until a deadline.
///
/// # Errors
/// As [`ask_secret`], and `NoAnswer` when the time is up.
pub fn ask_secret_until(question: &str, deadline: Deadline, world: &World) -> Result<Zeroizing<String>> {
    if let Some(scripted_input) = &world.terminal.scripted_input {
        return Ok(scripted_input(question));
    }
    world.terminal.write_prompt(question);
    let answer = read_hidden_line(deadline, &*world.clock);
    // The line end that the user typed was not shown.
    world.terminal.write_prompt("\n");
    let answer = answer.map_err(|error| {
        let what = crate::error::io_reason(&error);
        Error::unexpected(format!("the terminal cannot be read, {what}"))
            .hint("give the token by a pipe, or name its file")
    })?;
    match answer {
        PromptInput::Line(line) => Ok(Zeroizing::new(String::from_utf8_lossy(&line).into_owned())),
        PromptInput::Signal(signal) => Err(interrupted_error(signal)),
        PromptInput::TimedOut => {
            Err(Error::no_answer("no input at the prompt in time").hint("run the command again, with a longer --wait"))
        }
    }
}

/// Whether this process was put into the background of its terminal, where asking would only stop it.
#[cfg(unix)]
pub(super) fn is_in_background() -> bool {
    // Where it is not the terminal of this session, there is no background.
    rustix::termios::tcgetpgrp(rustix::stdio::stdin()).is_ok_and(|group| group != rustix::process::getpgrp())
}

#[cfg(not(unix))]
pub(super) fn is_in_background() -> bool {
    false
}

enum PromptInput {
    Line(Zeroizing<Vec<u8>>),
    Signal(i32),
    TimedOut,
}

/// Ends the process as the signal does. Where it does not, the command ends in another way.
fn interrupted_error(signal: i32) -> Error {
    interrupt::die_from_signal(signal);
    Error::usage("nothing was given").hint("give the token by a pipe, or name its file")
}

/// Keeps the terminal quiet until dropped.
#[cfg(unix)]
struct HiddenInputMode(rustix::termios::Termios);

#[cfg(unix)]
impl HiddenInputMode {
    fn enable() -> std::io::Result<HiddenInputMode> {
        use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex};
        let saved = rustix::termios::tcgetattr(rustix::stdio::stdin())?;
        let mut hidden = saved.clone();
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &hidden)?;
        Ok(HiddenInputMode(saved))
    }
}

#[cfg(unix)]
impl Drop for HiddenInputMode {
    fn drop(&mut self) {
        // What is left of a paste goes, or the shell would show it.
        let actions = rustix::termios::OptionalActions::Flush;
        _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), actions, &self.0);
    }
}

/// A key that interrupts is for all who run in the terminal's foreground: the terminal itself would tell them, had
/// its keys not been taken over.
#[cfg(unix)]
fn interrupt_foreground_group() {
    let own_group = rustix::process::getpgrp();
    if rustix::termios::tcgetpgrp(rustix::stdio::stdin()).is_ok_and(|group| group == own_group) {
        _ = rustix::process::kill_process_group(own_group, rustix::process::Signal::INT);
    }
}

#[cfg(unix)]
fn read_hidden_line(deadline: Deadline, clock: &dyn Clock) -> std::io::Result<PromptInput> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use signal_hook::consts::SIGINT;

    let interrupts = interrupt::InterruptGuard::catch()?;
    let _hidden_input = HiddenInputMode::enable()?;
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_ANSWER_BYTES));
    let mut chunk = Zeroizing::new([0; 4096]);
    loop {
        let pause = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let stdin = rustix::stdio::stdin();
        let ready = poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&pause));
        if let Some(signal) = interrupts.caught_signal() {
            return Ok(PromptInput::Signal(signal));
        }
        if deadline.remaining(clock).is_zero() {
            return Ok(PromptInput::TimedOut);
        }
        match ready {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let count = match rustix::io::read(stdin, &mut chunk[..]) {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(0) => return Ok(PromptInput::Line(line)),
            count => count?,
        };
        for byte in &chunk[..count] {
            match apply_key(*byte, &mut line) {
                KeyAction::Continue => {}
                KeyAction::Submit => return Ok(PromptInput::Line(line)),
                KeyAction::Interrupt => {
                    interrupt_foreground_group();
                    return Ok(PromptInput::Signal(SIGINT));
                }
            }
        }
    }
}

#[cfg(unix)]
#[derive(Debug, PartialEq, Eq)]
enum KeyAction {
    Continue,
    Submit,
    Interrupt,
}

/// What a key does to the line: the keys of a terminal in line mode, which we took over from it.
#[cfg(unix)]
fn apply_key(byte: u8, line: &mut Vec<u8>) -> KeyAction {
    match byte {
        b'\r' | b'\n' | 0x04 => return KeyAction::Submit,
        0x03 | 0x1c => return KeyAction::Interrupt,
        0x08 | 0x7f => drop(line.pop()),
        0x15 => line.clear(),
        // Too long is too long: what comes of it is no token.
        _ if line.len() < MAX_ANSWER_BYTES => line.push(byte),
        _ => {}
    }
    KeyAction::Continue
}

/// Elsewhere terminals are not made quiet: a secret would be seen.
#[cfg(not(unix))]
fn read_hidden_line(_: Deadline, _: &dyn Clock) -> std::io::Result<PromptInput> {
    Err(std::io::Error::other("hidden input is not supported here"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> (Vec<u8>, KeyAction) {
        let mut line = Vec::new();
        let mut ends = keys.iter().map(|byte| apply_key(*byte, &mut line));
        let end = ends.find(|end| *end != KeyAction::Continue).unwrap_or(KeyAction::Continue);
        (line, end)
    }

    #[test]
    fn keys_do_what_they_do_at_any_prompt() {
        assert_eq!(typed(b"abc\r"), (b"abc".to_vec(), KeyAction::Submit));
        assert_eq!(typed(b"abd\x7fc\n"), (b"abc".to_vec(), KeyAction::Submit));
        assert_eq!(typed(b"\x08x\x15abc\x04"), (b"abc".to_vec(), KeyAction::Submit));
        assert_eq!(typed(b"ab\x03").1, KeyAction::Interrupt);
        assert_eq!(typed(&vec![b'x'; MAX_ANSWER_BYTES + 5]).0.len(), MAX_ANSWER_BYTES);
    }
}
