//! Runs a program for what it prints, within a time and a size. It comes to an end in any case.
#![expect(clippy::disallowed_methods, reason = "this is the door")]

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::process::{Child, ChildStderr, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::io_reason;
use crate::world::clock::Clock;
use crate::world::exec::{EnvChange, build_command};
use crate::world::{process_hardening, terminal};

/// The most that is kept of what a program prints, in bytes; one that prints more is stopped.
pub const MAX_OUTPUT_BYTES: usize = 1024 * 1024;

/// How much of a program's standard error is kept, in bytes.
const MAX_STDERR_BYTES: u64 = 16 * 1024;

/// How long gauth reads standard error after the program has ended.
const STDERR_GRACE: Duration = Duration::from_millis(200);

/// A program that is run for its output.
#[derive(Debug)]
pub struct CaptureCommand<'a> {
    /// The program and its arguments.
    pub argv: &'a [OsString],
    /// Its variables, where they differ from ours.
    pub env_changes: &'a [EnvChange<'a>],
    /// How long it may take, reading included.
    pub timeout: Duration,
    /// Whether the user answers its prompts. Then it uses the terminal: what it prints is shown and not kept.
    pub interactive: bool,
}

/// Why there is no output.
#[derive(Debug)]
pub enum CommandFailure {
    /// It could not be started: why, as the end of a sentence.
    NotStarted(String),
    /// It ended with this code, which is not 0.
    Exit(i32),
    /// It died of this signal.
    Signal(i32),
    /// It took longer than it may.
    TimedOut,
    /// It printed more than [`MAX_OUTPUT_BYTES`].
    OutputTooLarge,
    /// The system lost it.
    Io(io::Error),
}

impl From<io::Error> for CommandFailure {
    fn from(error: io::Error) -> CommandFailure {
        CommandFailure::Io(error)
    }
}

/// Runs a program and returns what it printed until it ended with 0. Its standard error is ours; its standard input
/// is empty, but for an interactive one. What it leaves running is not waited for, even when that could still print.
/// One that takes too long or prints too much is ended with all it started, an interactive one alone.
///
/// # Errors
/// [`CommandFailure`].
pub fn capture_output(request: &CaptureCommand<'_>, clock: &dyn Clock) -> Result<Zeroizing<Vec<u8>>, CommandFailure> {
    let Some((program, arguments)) = request.argv.split_first() else {
        return Err(CommandFailure::NotStarted("names no program".to_owned()));
    };
    let mut command = build_command(program, arguments, request.env_changes);
    match request.interactive {
        // It stays in our group, which is the one that may read from the terminal; Ctrl-C reaches both.
        true => command.stdout(terminal::stderr_for_child()),
        false => system::in_own_process_group(&mut command).stdin(Stdio::null()).stdout(Stdio::piped()),
    };
    let mut child =
        process_hardening::with_inherited_core_limit(|| command.spawn()).map_err(|error| spawn_failure(&error))?;
    match system::read_stdout(&mut child, request.timeout, clock) {
        Ok(bytes) => check_exit_status(child.wait()?).map(|()| bytes),
        Err(failure) => {
            system::terminate(&mut child, request.interactive);
            Err(failure)
        }
    }
}

/// A program that stores or returns a secret: it reads one on standard input, or prints one.
#[derive(Debug)]
pub struct PipedCommand<'a> {
    /// The program and its arguments.
    pub argv: &'a [OsString],
    /// Its variables, where they differ from ours.
    pub env_changes: &'a [EnvChange<'a>],
    /// How long it may take.
    pub timeout: Duration,
    /// What it reads on standard input.
    pub stdin: Option<&'a [u8]>,
    /// Whether it may prompt the user on the terminal, for the password of its store. Its output is kept in any case.
    pub may_prompt: bool,
}

/// Runs a program and returns what it printed until it ended with 0, and the beginning of its standard error, unless
/// that went to the terminal. A program that exceeds the time limit is ended, without a prompt also its children.
pub fn run_piped(
    request: &PipedCommand<'_>,
    clock: &dyn Clock,
) -> (Result<Zeroizing<Vec<u8>>, CommandFailure>, String) {
    let Some((program, arguments)) = request.argv.split_first() else {
        return (Err(CommandFailure::NotStarted("names no program".to_owned())), String::new());
    };
    let mut command = build_command(program, arguments, request.env_changes);
    command.stdout(Stdio::piped());
    match (request.stdin.is_some(), request.may_prompt) {
        (true, _) => drop(command.stdin(Stdio::piped())),
        (false, true) => {}
        (false, false) => drop(command.stdin(Stdio::null())),
    }
    if !request.may_prompt {
        system::in_own_process_group(&mut command).stderr(Stdio::piped());
    }
    let mut child = match process_hardening::with_inherited_core_limit(|| command.spawn()) {
        Ok(child) => child,
        Err(error) => return (Err(spawn_failure(&error)), String::new()),
    };
    if let (Some(input), Some(mut pipe)) = (request.stdin, child.stdin.take()) {
        let input = Zeroizing::new(input.to_vec());
        // One that does not read is ended in time, and this with it.
        std::thread::spawn(move || drop(pipe.write_all(&input)));
    }
    let stderr = child.stderr.take().map(collect_stderr);
    let stdout = match system::read_stdout(&mut child, request.timeout, clock) {
        Ok(bytes) => match child.wait() {
            Ok(status) => check_exit_status(status).map(|()| bytes),
            Err(error) => Err(error.into()),
        },
        Err(failure) => {
            system::terminate(&mut child, request.may_prompt);
            Err(failure)
        }
    };
    // What it left running may hold the pipe for ever.
    let stderr = stderr.and_then(|stderr| stderr.recv_timeout(STDERR_GRACE).ok()).unwrap_or_default();
    (stdout, String::from_utf8_lossy(&stderr).into_owned())
}

/// Reads standard error up to a limit and discards the rest.
fn collect_stderr(mut pipe: ChildStderr) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut stderr = Vec::new();
        let outcome = (&mut pipe).take(MAX_STDERR_BYTES).read_to_end(&mut stderr);
        // The receiver is gone once the program exceeded its time.
        drop(sender.send(stderr));
        if outcome.is_ok() {
            drop(io::copy(&mut pipe, &mut io::sink()));
        }
    });
    receiver
}

fn spawn_failure(error: &io::Error) -> CommandFailure {
    CommandFailure::NotStarted(match error.kind() {
        io::ErrorKind::NotFound => "there is no such program, or not the interpreter its first line names".to_owned(),
        _ => format!("cannot be run, {}", io_reason(error)),
    })
}

fn check_exit_status(status: ExitStatus) -> Result<(), CommandFailure> {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Err(CommandFailure::Signal(signal));
    }
    match status.code() {
        Some(0) => Ok(()),
        code => Err(CommandFailure::Exit(code.unwrap_or(-1))),
    }
}

#[cfg(unix)]
mod system {
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::{ChildStdout, Command};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::retry_on_intr;
    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

    use super::{Child, Clock, CommandFailure, Duration, MAX_OUTPUT_BYTES, Zeroizing, io};
    use crate::world::clock::Deadline;

    /// The wait before the first check for the end of the program; each further wait is twice as long.
    const INITIAL_POLL_INTERVAL: Duration = Duration::from_millis(1);
    /// The longest wait: the limit is the world's clock's, which need not go as the system's does.
    const MAX_POLL_INTERVAL: Duration = Duration::from_millis(50);
    /// How many checks a program has after SIGTERM before it is killed: half a second.
    const MAX_TERMINATION_POLLS: u32 = 15;

    /// A process group of its own, to be ended as a whole.
    pub(super) fn in_own_process_group(command: &mut Command) -> &mut Command {
        command.process_group(0)
    }

    /// What a child prints until it ends. It has not been waited for then: its number is still its own.
    pub(super) fn read_stdout(
        child: &mut Child,
        timeout: Duration,
        clock: &dyn Clock,
    ) -> Result<Zeroizing<Vec<u8>>, CommandFailure> {
        let deadline = Deadline::after(clock, timeout);
        let pid = Pid::from_child(child);
        let mut output = child.stdout.take();
        let mut bytes = Zeroizing::new(Vec::new());
        let mut chunk = Zeroizing::new(vec![0; 8192]);
        let mut pause = INITIAL_POLL_INTERVAL;
        let mut has_exited = false;
        while !deadline.remaining(clock).is_zero() {
            let wait = if has_exited { Duration::ZERO } else { pause };
            if let Some(stream) = &mut output
                && is_readable(Some(stream), wait)?
            {
                match stream.read(&mut chunk) {
                    Ok(0) => output = None,
                    Ok(count) => bytes.extend_from_slice(&chunk[..count]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
                if bytes.len() > MAX_OUTPUT_BYTES {
                    return Err(CommandFailure::OutputTooLarge);
                }
                continue;
            }
            if has_exited {
                return Ok(bytes);
            }
            if output.is_none() {
                is_readable(None, wait)?;
            }
            // Once more around after its end: what it printed last may have come between the two looks.
            has_exited = has_child_exited(pid)?;
            pause = (pause * 2).min(MAX_POLL_INTERVAL);
        }
        Err(CommandFailure::TimedOut)
    }

    /// Ends a child, first politely, and with it what it started. One that had the terminal shares our group, and is
    /// ended alone.
    pub(super) fn terminate(child: &mut Child, child_only: bool) {
        let pid = Pid::from_child(child);
        let send = |signal| match child_only {
            // What is gone already needs no signal.
            true => drop(kill_process(pid, signal)),
            false => drop(kill_process_group(pid, signal)),
        };
        send(Signal::TERM);
        wait_for_exit(pid);
        send(Signal::KILL);
        // A program that the system cannot kill, because a disk does not respond, is not waited for.
        if wait_for_exit(pid) {
            let _ = child.wait();
        }
    }

    /// Waits a moment for the end of a child.
    fn wait_for_exit(pid: Pid) -> bool {
        let mut pause = INITIAL_POLL_INTERVAL;
        (0..MAX_TERMINATION_POLLS).any(|_| {
            let exited = matches!(has_child_exited(pid), Ok(true));
            if !exited {
                let _ = is_readable(None, pause);
                pause = (pause * 2).min(MAX_POLL_INTERVAL);
            }
            exited
        })
    }

    /// Whether there is something to read, or the end of it, within this time.
    fn is_readable(stream: Option<&ChildStdout>, timeout: Duration) -> io::Result<bool> {
        let wait = Timespec::try_from(timeout).map_err(io::Error::other)?;
        let mut watched: Vec<_> = stream.iter().map(|stream| PollFd::new(*stream, PollFlags::IN)).collect();
        Ok(retry_on_intr(|| poll(&mut watched, Some(&wait)))? > 0)
    }

    fn has_child_exited(pid: Pid) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(retry_on_intr(|| waitid(WaitId::Pid(pid), options))?.is_some())
    }
}

#[cfg(not(unix))]
mod system {
    use std::io::Read;
    use std::process::Command;
    use std::sync::mpsc::{RecvTimeoutError, channel};

    use super::{Child, Clock, CommandFailure, Duration, MAX_OUTPUT_BYTES, Zeroizing, io};
    use crate::world::clock::Deadline;

    /// The time between two checks for the end of a child.
    const POLL_INTERVAL: Duration = Duration::from_millis(10);

    /// There are no groups.
    pub(super) fn in_own_process_group(command: &mut Command) -> &mut Command {
        command
    }

    /// What a child prints until it ends.
    pub(super) fn read_stdout(
        child: &mut Child,
        timeout: Duration,
        clock: &dyn Clock,
    ) -> Result<Zeroizing<Vec<u8>>, CommandFailure> {
        let deadline = Deadline::after(clock, timeout);
        let mut bytes = Zeroizing::new(Vec::new());
        if let Some(output) = child.stdout.take() {
            let (sender, receiver) = channel();
            std::thread::Builder::new().spawn(move || {
                let mut bytes = Zeroizing::new(Vec::new());
                let read = output.take(MAX_OUTPUT_BYTES as u64 + 1).read_to_end(&mut bytes);
                // The receiver is gone once the time is over.
                let _ = sender.send(read.map(|_| bytes));
            })?;
            bytes = match receiver.recv_timeout(timeout) {
                Ok(read) => read?,
                Err(RecvTimeoutError::Timeout) => return Err(CommandFailure::TimedOut),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("its reader ended").into());
                }
            };
            if bytes.len() > MAX_OUTPUT_BYTES {
                return Err(CommandFailure::OutputTooLarge);
            }
        }
        while child.try_wait()?.is_none() {
            if deadline.remaining(clock).is_zero() {
                return Err(CommandFailure::TimedOut);
            }
            clock.sleep(POLL_INTERVAL);
        }
        Ok(bytes)
    }

    /// Ends a child process at once.
    pub(super) fn terminate(child: &mut Child, _: bool) {
        let _ = child.kill();
        let _ = child.wait();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::world::clock::SystemClock;

    fn shell(script: &str, limit: u64) -> Result<String, CommandFailure> {
        let words = ["sh", "-c", script].map(OsString::from);
        let limit = Duration::from_millis(limit);
        let run = CaptureCommand { argv: &words, env_changes: &[], timeout: limit, interactive: false };
        capture_output(&run, &SystemClock::new()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn what_is_printed_comes_back_whole() {
        assert_eq!(shell("echo a; sleep 0.05; echo b", 10_000).expect("output"), "a\nb\n");
        assert_eq!(shell("true", 10_000).expect("output"), "");
        let most = format!("head -c {MAX_OUTPUT_BYTES} /dev/zero");
        assert_eq!(shell(&most, 10_000).expect("output").len(), MAX_OUTPUT_BYTES);
        // It goes on without its output.
        assert_eq!(shell("echo a; exec >&-; sleep 0.1", 10_000).expect("output"), "a\n");
    }

    #[test]
    fn a_program_that_asks_is_not_answered() {
        assert_eq!(shell("cat; read line || echo nothing", 10_000).expect("output"), "nothing\n");
    }

    #[test]
    fn how_it_ended_is_said() {
        assert!(matches!(shell("echo a; exit 3", 10_000), Err(CommandFailure::Exit(3))));
        assert!(matches!(shell("kill -SEGV $$", 10_000), Err(CommandFailure::Signal(11))));
        assert!(matches!(shell("yes", 60_000), Err(CommandFailure::OutputTooLarge)));
        for words in [&["/no/such/program"][..], &["/dev/null"], &[]] {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let limit = Duration::from_secs(10);
            let run = CaptureCommand { argv: &words, env_changes: &[], timeout: limit, interactive: false };
            let failure = capture_output(&run, &SystemClock::new()).expect_err("not started");
            assert!(matches!(failure, CommandFailure::NotStarted(_)), "{words:?}: {failure:?}");
        }
    }

    #[test]
    fn what_it_leaves_running_is_not_waited_for() {
        let clock = SystemClock::new();
        assert_eq!(shell("sleep 12 & echo a", 60_000).expect("output"), "a\n");
        assert!(clock.elapsed() < Duration::from_secs(10), "{:?}", clock.elapsed());
    }

    #[test]
    fn one_that_hangs_is_ended_with_all_it_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pids");
        for script in [
            "sleep 60 & echo $! >F; wait",
            "sleep 60 & echo $! >F; while :; do echo drip; sleep 0.05; done",
            "trap '' TERM; sh -c 'sleep 60; sleep 60' & echo $! >F; sleep 60; sleep 60",
            "exec >&-; sleep 60 & echo $! >F; wait",
        ] {
            let clock = SystemClock::new();
            let script = script.replace('F', &file.to_string_lossy());
            assert!(matches!(shell(&script, 300), Err(CommandFailure::TimedOut)), "{script}");
            assert!(clock.elapsed() < Duration::from_secs(10), "{script}: {:?}", clock.elapsed());
            let pid: i32 = std::fs::read_to_string(&file).expect("a number").trim().parse().expect("a number");
            assert!(!is_process_running(pid), "{script}");
        }
    }

    /// Whether a process runs; a moment is left to the system to end one that was killed.
    fn is_process_running(pid: i32) -> bool {
        let runs = || {
            let asked = ["ps", "-o", "stat=", "-p", &pid.to_string()].map(OsString::from);
            let limit = Duration::from_secs(10);
            let run = CaptureCommand { argv: &asked, env_changes: &[], timeout: limit, interactive: false };
            capture_output(&run, &SystemClock::new()).is_ok_and(|stat| !stat.starts_with(b"Z"))
        };
        (0..20).all(|_| runs())
    }
}
