//! Starting programs: argument vectors, never a shell.

mod capture;
mod handed;

use std::ffi::OsString;
use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};

use crate::error::{Error, Result, io_reason};
use crate::printable;
use crate::world::guard;

pub use capture::{Failure, LARGEST, Run, capture};
pub use handed::Handed;

/// A variable of the child: set, or removed.
pub type Change = (&'static str, Option<OsString>);

/// A program that could not be started, with the status a shell would give.
#[derive(Debug)]
pub struct NotStarted {
    /// 127: there is no such program; 126: it cannot be run.
    pub status: u8,
    /// Why, for the person who typed its name.
    pub error: Error,
}

/// Runs a program with this process's standard streams, hands signals on to it, and waits for its end.
/// Death by signal n gives 128+n, as in a shell.
///
/// # Errors
/// When the program could not be started.
pub fn run(words: &[OsString], changes: &[Change]) -> std::result::Result<u8, NotStarted> {
    run_with(words, changes, Vec::new(), None)
}

/// What is done with a piece of what a child says on standard error; an empty piece is its end.
pub type Listener<'a> = &'a mut dyn FnMut(&[u8]);

/// The same, with values handed over through pipes, and somebody who listens to the child's standard error.
///
/// # Errors
/// When the program could not be started.
pub fn run_with(
    words: &[OsString],
    changes: &[Change],
    handed: Vec<Handed>,
    listener: Option<Listener<'_>>,
) -> std::result::Result<u8, NotStarted> {
    let Some((program, arguments)) = words.split_first() else {
        let error = Error::usage("no command was given").hint("name one behind --");
        return Err(NotStarted { status: 2, error });
    };
    let mut command = command(program, arguments, changes);
    if listener.is_some() {
        command.stderr(Stdio::piped());
    }
    // Signals that arrive before the child exists wait here for it.
    let signals = Signals::caught().map_err(|error| NotStarted { status: 126, error })?;
    let shown = printable::os(program);
    let mut child = guard::for_a_child(|| command.spawn()).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => NotStarted {
            status: 127,
            error: Error::unexpected(format!("{shown}: no such program"))
                .hint(format!("command -v {shown}")),
        },
        _ => NotStarted {
            status: 126,
            error: Error::unexpected(format!("{shown}: cannot be run, {}", io_reason(&error)))
                .hint(format!("ls -l {shown}")),
        },
    })?;
    let forwarding = signals.forward(&child);
    handed.into_iter().for_each(Handed::over);
    if let (Some(listener), Some(mut said)) = (listener, child.stderr.take()) {
        let mut piece = [0; 4096];
        // What can no longer be read was said.
        while let Ok(length @ 1..) = said.read(&mut piece) {
            listener(&piece[..length]);
        }
        listener(&[]);
    }
    let ended = forwarding.wait(&mut child).map_err(|error| NotStarted {
        status: 126,
        error: Error::unexpected(format!("{shown}: lost, {}", io_reason(&error))),
    })?;
    Ok(status(ended))
}

#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn command(program: &OsString, arguments: &[OsString], changes: &[Change]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    for (name, value) in changes {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[cfg(unix)]
fn status(ended: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = ended.code().or_else(|| ended.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(not(unix))]
fn status(ended: ExitStatus) -> u8 {
    ended.code().map_or(1, |code| u8::try_from(code).unwrap_or(1))
}

#[cfg(unix)]
pub use unix::Signals;

#[cfg(not(unix))]
pub use elsewhere::Signals;

#[cfg(unix)]
mod unix {
    use std::io::{IsTerminal, Read};
    use std::os::unix::net::UnixStream;
    use std::process::{Child, ExitStatus};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, Mutex, PoisonError};

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    use super::{Error, Result, io_reason};

    /// What ends a program from outside.
    const CAUGHT: [(i32, Signal); 3] =
        [(SIGINT, Signal::INT), (SIGTERM, Signal::TERM), (SIGHUP, Signal::HUP)];

    /// The signals that ask this process to end, caught from now on.
    pub struct Signals(Receiver<(i32, Signal)>);

    impl Signals {
        /// Catches them.
        ///
        /// # Errors
        /// When the system does not allow it.
        pub fn caught() -> Result<Signals> {
            let (sender, receiver) = channel();
            for (number, signal) in CAUGHT {
                watch(number, signal, sender.clone()).map_err(|error| {
                    Error::unexpected(format!("signals cannot be caught, {}", io_reason(&error)))
                })?;
            }
            Ok(Signals(receiver))
        }

        /// Waits for one and says which.
        pub fn wait(&self) -> u8 {
            self.0.recv().map_or(1, |(number, _)| u8::try_from(number).unwrap_or(1))
        }

        /// Hands them on to `child` until it has ended.
        pub(super) fn forward(self, child: &Child) -> Forwarding {
            let living = Arc::new(Mutex::new(true));
            let seen = Arc::clone(&living);
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            // Ctrl-C at a terminal reaches the whole group: the child has it already.
            let at_terminal = std::io::stdin().is_terminal();
            std::thread::spawn(move || {
                while let Ok((number, signal)) = self.0.recv() {
                    let living = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    if let (true, Some(pid)) = (*living, pid)
                        && !(at_terminal && number == SIGINT)
                    {
                        // A child that has just ended gets nothing, which is right.
                        let _ = kill_process(pid, signal);
                    }
                }
            });
            Forwarding { pid, living }
        }
    }

    /// One signal's way into the channel; `pipe::register` is the one safe way that wakes a waiting thread.
    fn watch(number: i32, signal: Signal, sender: Sender<(i32, Signal)>) -> std::io::Result<()> {
        let (mut read, write) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(number, write)?;
        std::thread::spawn(move || {
            while let Ok(1) = read.read(&mut [0]) {
                if sender.send((number, signal)).is_err() {
                    return;
                }
            }
        });
        Ok(())
    }

    /// A child that gets this process's signals.
    pub(super) struct Forwarding {
        pid: Option<Pid>,
        living: Arc<Mutex<bool>>,
    }

    impl Forwarding {
        /// Waits for the end of the child. Its number is given back to the system only after forwarding has
        /// stopped, so that no stranger is hit.
        pub(super) fn wait(&self, child: &mut Child) -> std::io::Result<ExitStatus> {
            if let Some(pid) = self.pid {
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
                while waitid(WaitId::Pid(pid), options).err() == Some(rustix::io::Errno::INTR) {}
            }
            *self.living.lock().unwrap_or_else(PoisonError::into_inner) = false;
            child.wait()
        }
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use std::process::{Child, ExitStatus};

    use super::Result;

    /// Ctrl-C ends this process and its child alike; there is nothing to hand on.
    pub struct Signals;

    impl Signals {
        /// Does nothing.
        ///
        /// # Errors
        /// Never.
        pub fn caught() -> Result<Signals> {
            Ok(Signals)
        }

        /// Waits for ever.
        pub fn wait(&self) -> u8 {
            loop {
                std::thread::park();
            }
        }

        pub(super) fn forward(self, _: &Child) -> Forwarding {
            Forwarding
        }
    }

    /// Nothing to stop.
    pub(super) struct Forwarding;

    impl Forwarding {
        pub(super) fn wait(&self, child: &mut Child) -> std::io::Result<ExitStatus> {
            child.wait()
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn run_words(words: &[&str]) -> std::result::Result<u8, u8> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let changes = [("GAUTH_TEST_VALUE", Some(OsString::from("x y"))), ("HOME", None)];
        run(&words, &changes).map_err(|not| not.status)
    }

    #[test]
    fn the_childs_status_comes_back() {
        assert_eq!(run_words(&["true"]), Ok(0));
        assert_eq!(run_words(&["sh", "-c", "exit 42"]), Ok(42));
        assert_eq!(run_words(&["sh", "-c", "kill -TERM $$"]), Ok(143));
        assert_eq!(run_words(&["no-such-program-anywhere"]), Err(127));
        assert_eq!(run_words(&["/dev/null"]), Err(126));
        assert_eq!(run_words(&[]), Err(2));
    }

    #[test]
    fn the_childs_environment_is_changed() {
        let script = r#"test "$GAUTH_TEST_VALUE" = "x y" && test -z "${HOME+set}""#;
        assert_eq!(run_words(&["sh", "-c", script]), Ok(0));
    }
}
