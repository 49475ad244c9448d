//! Starting programs: argument vectors, never a shell.

mod browser;
mod capture;
mod handed;

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::error::{Error, Result, io_reason};
use crate::printable;
use crate::world::guard;

pub use browser::{Browser, open};
pub use capture::{Failure, LARGEST, Run, Talk, capture, talk};
pub use handed::Handed;

/// A variable of the child: set, or removed.
pub type Change<'n> = (&'n str, Option<OsString>);

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
pub fn run(words: &[OsString], changes: &[Change<'_>]) -> std::result::Result<u8, NotStarted> {
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
    changes: &[Change<'_>],
    handed: Vec<Handed>,
    listener: Option<Listener<'_>>,
) -> std::result::Result<u8, NotStarted> {
    // Signals that arrive before the child exists wait here for it.
    let signals = Signals::caught().map_err(|error| NotStarted { status: 126, error })?;
    let (mut child, shown) = spawn(words, changes, listener.is_some())?;
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
    forwarding.wait(&mut child).map(status).map_err(|error| lost(&shown, &error))
}

/// The same, and does a chore now and then until the child has ended: the chore says after how long it wants to
/// be called next. A chore that is being done is finished first.
///
/// # Errors
/// When the program could not be started.
pub fn run_beside(
    words: &[OsString],
    changes: &[Change<'_>],
    signals: Signals,
    mut chore: impl FnMut() -> Duration,
) -> std::result::Result<u8, NotStarted> {
    let (mut child, shown) = spawn(words, changes, false)?;
    let forwarding = signals.forward(&child);
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let ended = forwarding.wait(&mut child);
        // Nobody waits for it any more only when this process is about to end.
        let _ = sender.send(ended);
    });
    loop {
        match receiver.recv_timeout(chore()) {
            Ok(ended) => return ended.map(status).map_err(|error| lost(&shown, &error)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(lost(&shown, &std::io::Error::other("its end was not seen")));
            }
        }
    }
}

/// Becomes the program: the same process, with its streams, its parent and its signals. Where a process cannot do
/// that, runs it and gives its status.
///
/// # Errors
/// When the program could not be started. Success does not come back.
#[cfg(unix)]
pub fn replace(words: &[OsString], changes: &[Change<'_>]) -> std::result::Result<u8, NotStarted> {
    use std::os::unix::process::CommandExt;

    let (program, arguments) = program(words)?;
    let mut command = command(program, arguments, changes);
    // A new program can be looked into again: that is the system's doing.
    let error = guard::for_a_child(|| command.exec());
    Err(not_started(program, &error))
}

/// Becomes the program, as far as this system can: runs it and gives its status.
///
/// # Errors
/// When the program could not be started.
#[cfg(not(unix))]
pub fn replace(words: &[OsString], changes: &[Change<'_>]) -> std::result::Result<u8, NotStarted> {
    run(words, changes)
}

/// The same, with values handed over through pipes. Where one is too long to be left in its pipe, the program is
/// run and gives its status.
///
/// # Errors
/// When the program could not be started.
pub fn replace_with(
    words: &[OsString],
    changes: &[Change<'_>],
    handed: Vec<Handed>,
) -> std::result::Result<u8, NotStarted> {
    if !handed.iter().all(Handed::fits) {
        return run_with(words, changes, handed, None);
    }
    let laid = handed.into_iter().map(Handed::lay).collect::<std::io::Result<Vec<_>>>();
    let _laid = laid.map_err(|error| {
        let error = Error::unexpected(format!("no pipe, {}", io_reason(&error)));
        NotStarted { status: 126, error }
    })?;
    replace(words, changes)
}

/// The program and its arguments.
///
/// # Errors
/// Usage, when no program is named.
pub fn program(words: &[OsString]) -> std::result::Result<(&OsString, &[OsString]), NotStarted> {
    let what = match words.split_first() {
        Some((program, arguments)) if !program.is_empty() => return Ok((program, arguments)),
        Some(_) => "an empty word stands where the command belongs",
        None => "no command was given",
    };
    let error = Error::usage(what).hint("name one behind --");
    Err(NotStarted { status: 2, error })
}

fn spawn(
    words: &[OsString],
    changes: &[Change<'_>],
    listened_to: bool,
) -> std::result::Result<(Child, String), NotStarted> {
    let (program, arguments) = program(words)?;
    let mut command = command(program, arguments, changes);
    if listened_to {
        command.stderr(Stdio::piped());
    }
    let child = guard::for_a_child(|| command.spawn());
    let child = child.map_err(|error| not_started(program, &error))?;
    Ok((child, printable::os(program)))
}

fn not_started(program: &OsString, error: &std::io::Error) -> NotStarted {
    let shown = printable::os(program);
    // The system says the same of a script whose interpreter is missing.
    let is_there = Path::new(program).components().count() > 1 && Path::new(program).exists();
    match (error.kind(), is_there) {
        (std::io::ErrorKind::NotFound, false) => NotStarted {
            status: 127,
            error: Error::unexpected(format!("{shown}: no such program"))
                .hint(format!("command -v {shown}")),
        },
        (std::io::ErrorKind::NotFound, true) => NotStarted {
            status: 126,
            error: Error::unexpected(format!("{shown}: cannot be run, its interpreter is missing"))
                .hint(format!("head -n 1 {shown}")),
        },
        _ => NotStarted {
            status: 126,
            error: Error::unexpected(format!("{shown}: cannot be run, {}", io_reason(error)))
                .hint(format!("ls -l {shown}")),
        },
    }
}

fn lost(shown: &str, error: &std::io::Error) -> NotStarted {
    let error = Error::unexpected(format!("{shown}: lost, {}", io_reason(error)));
    NotStarted { status: 126, error }
}

#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn command(program: &OsString, arguments: &[OsString], changes: &[Change<'_>]) -> Command {
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
#[allow(clippy::disallowed_methods)] // A script to run has to be written.
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
    fn a_chore_is_done_until_the_child_has_ended() {
        let words = ["sh", "-c", "sleep 0.2; exit 7"].map(OsString::from);
        let mut done = 0;
        let chore = || {
            done += 1;
            Duration::from_millis(20)
        };
        let signals = Signals::caught().expect("signals");
        assert_eq!(run_beside(&words, &[], signals, chore).map_err(|not| not.status), Ok(7));
        assert!((2..=20).contains(&done), "{done}");
    }

    #[test]
    fn a_script_without_its_interpreter_is_no_missing_program() {
        let folder = tempfile::tempdir().expect("folder");
        let script = folder.path().join("script");
        std::fs::write(&script, "#!/no/such/interpreter\n").expect("script");
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .expect("mode");
        let not = run(&[script.into()], &[]).expect_err("not started");
        assert_eq!(not.status, 126);
        assert!(not.error.message().ends_with("its interpreter is missing"), "{}", not.error);
    }

    #[test]
    fn the_childs_environment_is_changed() {
        let script = r#"test "$GAUTH_TEST_VALUE" = "x y" && test -z "${HOME+set}""#;
        assert_eq!(run_words(&["sh", "-c", script]), Ok(0));
    }
}
