//! Starting programs: argument vectors, never a shell.
#![expect(clippy::disallowed_methods, reason = "this is the door")]

mod browser;
mod capture;
mod fd_passing;

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::error::{Error, Result, io_reason};
use crate::text::printable;
use crate::world::process_hardening;

pub use crate::world::exec::browser::{Browser, open_browser};
pub use crate::world::exec::capture::{
    CaptureCommand, CommandFailure, MAX_OUTPUT_BYTES, PipedCommand, capture_output, run_piped,
};
pub use crate::world::exec::fd_passing::InheritedPipe;

/// The path of this program, where the system knows it.
pub fn own_program() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

/// The process id of this program.
pub fn own_process_id() -> u32 {
    std::process::id()
}

/// A variable of the child: set, or removed.
pub type EnvChange<'n> = (&'n str, Option<OsString>);

/// A program that could not be started, with the status a shell would give.
#[derive(Debug)]
pub struct SpawnError {
    /// 127: there is no such program; 126: it cannot be run.
    pub status: u8,
    /// Why, for the person who typed its name.
    pub error: Error,
}

/// What is done with a piece of what a child writes to standard error; an empty piece is its end.
pub type StderrListener<'a> = &'a mut dyn FnMut(&[u8]);

/// Runs a program with this process's standard streams, forwards signals to it, and waits for its end. The child reads
/// `pipes`; `listener` gets what it writes to standard error. Death by signal n gives 128+n, as in a shell.
///
/// # Errors
/// When the program could not be started.
pub fn run(
    argv: &[OsString],
    env_changes: &[EnvChange<'_>],
    pipes: Vec<InheritedPipe>,
    listener: Option<StderrListener<'_>>,
) -> std::result::Result<u8, SpawnError> {
    // Signals that arrive before the child exists wait here for it.
    let signals = TerminationSignals::catch().map_err(|error| SpawnError { status: 126, error })?;
    let (mut child, program_name) = spawn_child(argv, env_changes, listener.is_some())?;
    let forwarding = signals.forward_to(&child);
    pipes.into_iter().for_each(InheritedPipe::write_to_child);
    if let (Some(listener), Some(mut stderr)) = (listener, child.stderr.take()) {
        let mut piece = [0; 4096];
        // A read error is treated as the end of the output.
        while let Ok(length @ 1..) = stderr.read(&mut piece) {
            listener(&piece[..length]);
        }
        listener(&[]);
    }
    forwarding.wait(&mut child).map(exit_code).map_err(|error| wait_error(&program_name, &error))
}

/// Runs a program as [`run`] does, and calls `task` until the child has ended: `task` returns the pause before its next
/// call. A call that has begun is finished first.
///
/// # Errors
/// When the program could not be started.
pub fn run_with_periodic_task(
    argv: &[OsString],
    env_changes: &[EnvChange<'_>],
    signals: TerminationSignals,
    mut task: impl FnMut() -> Duration,
) -> std::result::Result<u8, SpawnError> {
    let (mut child, program_name) = spawn_child(argv, env_changes, false)?;
    let forwarding = signals.forward_to(&child);
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let exit_status = forwarding.wait(&mut child);
        // Nobody waits for it any more only when this process is about to end.
        let _ = sender.send(exit_status);
    });
    loop {
        match receiver.recv_timeout(task()) {
            Ok(exit_status) => {
                return exit_status.map(exit_code).map_err(|error| wait_error(&program_name, &error));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(wait_error(&program_name, &std::io::Error::other("its end was not seen")));
            }
        }
    }
}

/// Becomes the program: the same process, with its streams, its parent and its signals, and with `pipes` to read. Where
/// a process cannot do that, or a value is too long to be left in its pipe, runs it and gives its status.
///
/// # Errors
/// When the program could not be started. Success does not come back.
pub fn replace_process(
    argv: &[OsString],
    env_changes: &[EnvChange<'_>],
    pipes: Vec<InheritedPipe>,
) -> std::result::Result<u8, SpawnError> {
    if cfg!(not(unix)) || !pipes.iter().all(InheritedPipe::fits_in_pipe) {
        return run(argv, env_changes, pipes, None);
    }
    let filled = pipes.into_iter().map(InheritedPipe::fill).collect::<std::io::Result<Vec<_>>>();
    let _filled = filled.map_err(|error| {
        let error = Error::unexpected(format!("no pipe, {}", io_reason(&error)));
        SpawnError { status: 126, error }
    })?;
    let (program, arguments) = split_program(argv)?;
    let mut command = build_command(program, arguments, env_changes);
    // The system allows core dumps and tracing of the new program again.
    let error = process_hardening::with_inherited_core_limit(|| replace_with(&mut command));
    Err(spawn_error(program, &error))
}

#[cfg(unix)]
fn replace_with(command: &mut Command) -> std::io::Error {
    std::os::unix::process::CommandExt::exec(command)
}

/// Never reached: other systems run the program instead.
#[cfg(not(unix))]
fn replace_with(_: &mut Command) -> std::io::Error {
    std::io::ErrorKind::Unsupported.into()
}

/// The program and its arguments.
///
/// # Errors
/// Usage, when no program is named.
pub fn split_program(argv: &[OsString]) -> std::result::Result<(&OsString, &[OsString]), SpawnError> {
    let what = match argv.split_first() {
        Some((program, arguments)) if !program.is_empty() => return Ok((program, arguments)),
        Some(_) => "the name of the command is empty",
        None => "no command is given",
    };
    let error = Error::usage(what).hint("name a command after --");
    Err(SpawnError { status: 2, error })
}

fn spawn_child(
    argv: &[OsString],
    env_changes: &[EnvChange<'_>],
    pipe_stderr: bool,
) -> std::result::Result<(Child, String), SpawnError> {
    let (program, arguments) = split_program(argv)?;
    let mut command = build_command(program, arguments, env_changes);
    if pipe_stderr {
        command.stderr(Stdio::piped());
    }
    let child = process_hardening::with_inherited_core_limit(|| command.spawn());
    let child = child.map_err(|error| spawn_error(program, &error))?;
    Ok((child, printable::os(program)))
}

fn spawn_error(program: &OsString, error: &std::io::Error) -> SpawnError {
    let shown = printable::os(program);
    // The system returns the same error for a script whose interpreter is missing.
    let exists = Path::new(program).components().count() > 1 && Path::new(program).exists();
    match (error.kind(), exists) {
        (std::io::ErrorKind::NotFound, false) => SpawnError {
            status: 127,
            error: Error::unexpected(format!("{shown}: no such program")).hint(format!("command -v {shown}")),
        },
        (std::io::ErrorKind::NotFound, true) => SpawnError {
            status: 126,
            error: Error::unexpected(format!("{shown}: cannot be run, its interpreter is missing"))
                .hint(format!("head -n 1 {shown}")),
        },
        _ => SpawnError {
            status: 126,
            error: Error::unexpected(format!("{shown}: cannot be run, {}", io_reason(error)))
                .hint(format!("ls -l {shown}")),
        },
    }
}

fn wait_error(program_name: &str, error: &std::io::Error) -> SpawnError {
    let error = Error::unexpected(format!("{program_name}: lost, {}", io_reason(error)));
    SpawnError { status: 126, error }
}

fn build_command(program: &OsString, arguments: &[OsString], env_changes: &[EnvChange<'_>]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    for (name, value) in env_changes {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[cfg(unix)]
fn exit_code(exit_status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = exit_status.code().or_else(|| exit_status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(not(unix))]
fn exit_code(exit_status: ExitStatus) -> u8 {
    exit_status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1))
}

#[cfg(unix)]
pub use unix::TerminationSignals;

#[cfg(not(unix))]
pub use not_unix::TerminationSignals;

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
    const FORWARDED_SIGNALS: [(i32, Signal); 3] =
        [(SIGINT, Signal::INT), (SIGTERM, Signal::TERM), (SIGHUP, Signal::HUP)];

    /// The signals that end this process by default, caught while this value exists.
    pub struct TerminationSignals(Receiver<(i32, Signal)>);

    impl TerminationSignals {
        /// Starts to catch the signals.
        ///
        /// # Errors
        /// When the system does not allow it.
        pub fn catch() -> Result<TerminationSignals> {
            let (sender, receiver) = channel();
            for (number, signal) in FORWARDED_SIGNALS {
                register_signal(number, signal, sender.clone())
                    .map_err(|error| Error::unexpected(format!("signals cannot be caught, {}", io_reason(&error))))?;
            }
            Ok(TerminationSignals(receiver))
        }

        /// Waits for a signal and returns its number.
        pub fn wait(&self) -> u8 {
            self.0.recv().map_or(1, |(number, _)| u8::try_from(number).unwrap_or(1))
        }

        /// Hands them on to `child` until it has ended.
        pub(super) fn forward_to(self, child: &Child) -> SignalForwarding {
            let child_is_alive = Arc::new(Mutex::new(true));
            let shared_child_is_alive = Arc::clone(&child_is_alive);
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            // Ctrl-C at a terminal reaches the whole group: the child has it already.
            let at_terminal = std::io::stdin().is_terminal();
            std::thread::spawn(move || {
                while let Ok((number, signal)) = self.0.recv() {
                    let child_is_alive = shared_child_is_alive.lock().unwrap_or_else(PoisonError::into_inner);
                    if let (true, Some(pid)) = (*child_is_alive, pid)
                        && !(at_terminal && number == SIGINT)
                    {
                        // A child that has just ended gets nothing, which is right.
                        let _ = kill_process(pid, signal);
                    }
                }
            });
            SignalForwarding { pid, child_is_alive }
        }
    }

    /// One signal's way into the channel; `pipe::register` is the one safe way that wakes a waiting thread.
    fn register_signal(number: i32, signal: Signal, sender: Sender<(i32, Signal)>) -> std::io::Result<()> {
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
    pub(super) struct SignalForwarding {
        pid: Option<Pid>,
        child_is_alive: Arc<Mutex<bool>>,
    }

    impl SignalForwarding {
        /// Waits for the end of the child. Its number is given back to the system only after forwarding has
        /// stopped, so that no stranger is hit.
        pub(super) fn wait(&self, child: &mut Child) -> std::io::Result<ExitStatus> {
            if let Some(pid) = self.pid {
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
                while waitid(WaitId::Pid(pid), options).err() == Some(rustix::io::Errno::INTR) {}
            }
            *self.child_is_alive.lock().unwrap_or_else(PoisonError::into_inner) = false;
            child.wait()
        }
    }
}

#[cfg(not(unix))]
mod not_unix {
    use std::process::{Child, ExitStatus};

    use super::Result;

    /// Ctrl-C ends this process and its child alike; there is nothing to hand on.
    pub struct TerminationSignals;

    impl TerminationSignals {
        /// Does nothing.
        ///
        /// # Errors
        /// Never.
        pub fn catch() -> Result<TerminationSignals> {
            Ok(TerminationSignals)
        }

        /// Waits for ever: there are no signals to wait for.
        pub fn wait(&self) -> u8 {
            loop {
                std::thread::park();
            }
        }

        pub(super) fn forward_to(self, _: &Child) -> SignalForwarding {
            SignalForwarding
        }
    }

    /// A child whose signals are not forwarded.
    pub(super) struct SignalForwarding;

    impl SignalForwarding {
        pub(super) fn wait(&self, child: &mut Child) -> std::io::Result<ExitStatus> {
            child.wait()
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn run_args(argv: &[&str]) -> std::result::Result<u8, u8> {
        let words: Vec<OsString> = argv.iter().map(OsString::from).collect();
        let changes = [("GAUTH_TEST_VALUE", Some(OsString::from("x y"))), ("HOME", None)];
        run(&words, &changes, Vec::new(), None).map_err(|not| not.status)
    }

    #[test]
    fn the_childs_status_comes_back() {
        assert_eq!(run_args(&["true"]), Ok(0));
        assert_eq!(run_args(&["sh", "-c", "exit 42"]), Ok(42));
        assert_eq!(run_args(&["sh", "-c", "kill -TERM $$"]), Ok(143));
        assert_eq!(run_args(&["no-such-program-anywhere"]), Err(127));
        assert_eq!(run_args(&["/dev/null"]), Err(126));
        assert_eq!(run_args(&[]), Err(2));
    }

    #[test]
    fn a_chore_is_done_until_the_child_has_ended() {
        let words = ["sh", "-c", "sleep 0.2; exit 7"].map(OsString::from);
        let mut done = 0;
        let task = || {
            done += 1;
            Duration::from_millis(20)
        };
        let signals = TerminationSignals::catch().expect("signals");
        assert_eq!(run_with_periodic_task(&words, &[], signals, task).map_err(|not| not.status), Ok(7));
        assert!((2..=20).contains(&done), "{done}");
    }

    #[test]
    fn a_script_without_its_interpreter_is_no_missing_program() {
        let folder = tempfile::tempdir().expect("folder");
        let script = folder.path().join("script");
        std::fs::write(&script, "#!/no/such/interpreter\n").expect("script");
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("mode");
        let not = run(&[script.into()], &[], Vec::new(), None).expect_err("not started");
        assert_eq!(not.status, 126);
        assert!(not.error.message().ends_with("its interpreter is missing"), "{}", not.error);
    }

    #[test]
    fn the_childs_environment_is_changed() {
        let script = r#"test "$GAUTH_TEST_VALUE" = "x y" && test -z "${HOME+set}""#;
        assert_eq!(run_args(&["sh", "-c", script]), Ok(0));
    }
}
