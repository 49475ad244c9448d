//! Runs a program for what it prints, within a time and a size. It comes to an end in any case.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::process::{Child, ChildStderr, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use zeroize::Zeroizing;

use super::{Change, command};
use crate::error::io_reason;
use crate::world::clock::Clock;
use crate::world::{guard, terminal};

/// The most that is kept of what a program prints, in bytes; one that prints more is stopped.
pub const LARGEST: usize = 1024 * 1024;

/// The most that is heard of what a program says, in bytes.
const MOST_SAID: u64 = 16 * 1024;

/// How long the last words of a program that has ended are waited for.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A program that is run for its output.
#[derive(Debug)]
pub struct Run<'a> {
    /// The program and its arguments.
    pub words: &'a [OsString],
    /// Its variables, where they differ from ours.
    pub changes: &'a [Change<'a>],
    /// How long it may take, reading included.
    pub limit: Duration,
    /// Whether a person is to answer it. Then it has the terminal: what it prints is shown and not kept.
    pub interactive: bool,
}

/// Why there is no output.
#[derive(Debug)]
pub enum Failure {
    /// It could not be started: why, as the end of a sentence.
    NotStarted(String),
    /// It ended with this code, which is not 0.
    Exit(i32),
    /// It died of this signal.
    Signal(i32),
    /// It took longer than it may.
    TooSlow,
    /// It printed more than [`LARGEST`].
    TooMuch,
    /// The system lost it.
    Lost(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Lost(error)
    }
}

/// Runs a program and returns what it printed until it ended with 0. Its standard error is ours; its standard input
/// is empty, but for an interactive one. What it leaves running is not waited for, even when that could still print.
/// One that takes too long or prints too much is ended with all it started, an interactive one alone.
///
/// # Errors
/// [`Failure`].
pub fn capture(run: &Run<'_>, clock: &dyn Clock) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let Some((program, arguments)) = run.words.split_first() else {
        return Err(Failure::NotStarted("names no program".to_owned()));
    };
    let mut command = command(program, arguments, run.changes);
    match run.interactive {
        // It stays in our group, which is the one that may read from the terminal; Ctrl-C reaches both.
        true => command.stdout(terminal::for_a_child()),
        false => system::apart(&mut command).stdin(Stdio::null()).stdout(Stdio::piped()),
    };
    let mut child = guard::for_a_child(|| command.spawn()).map_err(|error| not_started(&error))?;
    match system::printed(&mut child, run.limit, clock) {
        Ok(bytes) => succeeded(child.wait()?).map(|()| bytes),
        Err(failure) => {
            system::stop(&mut child, run.interactive);
            Err(failure)
        }
    }
}

/// A program that keeps something for us: it is handed a text, or asked for one.
#[derive(Debug)]
pub struct Talk<'a> {
    /// The program and its arguments.
    pub words: &'a [OsString],
    /// Its variables, where they differ from ours.
    pub changes: &'a [Change<'a>],
    /// How long it may take.
    pub limit: Duration,
    /// What it reads on standard input.
    pub input: Option<&'a [u8]>,
    /// Whether it may ask a person at our terminal for what opens its store. What it prints is kept in any case.
    pub attended: bool,
}

/// Runs a program and returns what it printed until it ended with 0, and the beginning of what it said on standard
/// error, unless that went to the terminal. One that takes too long is ended, with all it started where nobody is asked.
pub fn talk(talk: &Talk<'_>, clock: &dyn Clock) -> (Result<Zeroizing<Vec<u8>>, Failure>, String) {
    let Some((program, arguments)) = talk.words.split_first() else {
        return (Err(Failure::NotStarted("names no program".to_owned())), String::new());
    };
    let mut command = command(program, arguments, talk.changes);
    command.stdout(Stdio::piped());
    match (talk.input.is_some(), talk.attended) {
        (true, _) => drop(command.stdin(Stdio::piped())),
        (false, true) => {}
        (false, false) => drop(command.stdin(Stdio::null())),
    }
    if !talk.attended {
        system::apart(&mut command).stderr(Stdio::piped());
    }
    let mut child = match guard::for_a_child(|| command.spawn()) {
        Ok(child) => child,
        Err(error) => return (Err(not_started(&error)), String::new()),
    };
    if let (Some(input), Some(mut pipe)) = (talk.input, child.stdin.take()) {
        let input = Zeroizing::new(input.to_vec());
        // One that does not read is ended in time, and this with it.
        std::thread::spawn(move || drop(pipe.write_all(&input)));
    }
    let said = child.stderr.take().map(listen);
    let printed = match system::printed(&mut child, talk.limit, clock) {
        Ok(bytes) => match child.wait() {
            Ok(status) => succeeded(status).map(|()| bytes),
            Err(error) => Err(error.into()),
        },
        Err(failure) => {
            system::stop(&mut child, talk.attended);
            Err(failure)
        }
    };
    // What it left running may hold the pipe for ever.
    let said = said.and_then(|said| said.recv_timeout(LAST_WORDS).ok()).unwrap_or_default();
    (printed, String::from_utf8_lossy(&said).into_owned())
}

/// Hears what a program says, up to a limit; the rest goes nowhere.
fn listen(mut pipe: ChildStderr) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut said = Vec::new();
        let heard = (&mut pipe).take(MOST_SAID).read_to_end(&mut said);
        // Nobody listens any more once the program was given up.
        drop(sender.send(said));
        if heard.is_ok() {
            drop(io::copy(&mut pipe, &mut io::sink()));
        }
    });
    receiver
}

fn not_started(error: &io::Error) -> Failure {
    Failure::NotStarted(match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such program, or not the interpreter its first line names".to_owned()
        }
        _ => format!("cannot be run, {}", io_reason(error)),
    })
}

fn succeeded(status: ExitStatus) -> Result<(), Failure> {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Err(Failure::Signal(signal));
    }
    match status.code() {
        Some(0) => Ok(()),
        code => Err(Failure::Exit(code.unwrap_or(-1))),
    }
}

#[cfg(unix)]
mod system {
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::{ChildStdout, Command};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::retry_on_intr;
    use rustix::process::{
        Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
    };

    use super::{Child, Clock, Duration, Failure, LARGEST, Zeroizing, io};
    use crate::world::clock::Deadline;

    /// How long to wait before the first look whether it has ended; each further wait is twice as long.
    const FIRST_PAUSE: Duration = Duration::from_millis(1);
    /// The longest wait: the limit is the world's clock's, which need not go as the system's does.
    const LONGEST_PAUSE: Duration = Duration::from_millis(50);
    /// How many of these a program has to end by itself once it was asked to: half a second.
    const PAUSES_TO_END: u32 = 15;

    /// A process group of its own, to be ended as a whole.
    pub(super) fn apart(command: &mut Command) -> &mut Command {
        command.process_group(0)
    }

    /// What a child prints until it ends. It has not been waited for then: its number is still its own.
    pub(super) fn printed(
        child: &mut Child,
        limit: Duration,
        clock: &dyn Clock,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let deadline = Deadline::after(clock, limit);
        let pid = Pid::from_child(child);
        let mut output = child.stdout.take();
        let mut bytes = Zeroizing::new(Vec::new());
        let mut chunk = Zeroizing::new(vec![0; 8192]);
        let mut pause = FIRST_PAUSE;
        let mut ended = false;
        while !deadline.left(clock).is_zero() {
            let wait = if ended { Duration::ZERO } else { pause };
            if let Some(stream) = &mut output
                && is_ready(Some(stream), wait)?
            {
                match stream.read(&mut chunk) {
                    Ok(0) => output = None,
                    Ok(count) => bytes.extend_from_slice(&chunk[..count]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
                if bytes.len() > LARGEST {
                    return Err(Failure::TooMuch);
                }
                continue;
            }
            if ended {
                return Ok(bytes);
            }
            if output.is_none() {
                is_ready(None, wait)?;
            }
            // Once more around after its end: what it printed last may have come between the two looks.
            ended = has_ended(pid)?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err(Failure::TooSlow)
    }

    /// Ends a child, first politely, and with it what it started. One that had the terminal shares our group, and is
    /// ended alone.
    pub(super) fn stop(child: &mut Child, alone: bool) {
        let pid = Pid::from_child(child);
        let send = |signal| match alone {
            // What is gone already needs no signal.
            true => drop(kill_process(pid, signal)),
            false => drop(kill_process_group(pid, signal)),
        };
        send(Signal::TERM);
        wait_for(pid);
        send(Signal::KILL);
        // One that the system cannot end, because a disk does not answer, is not waited for.
        if wait_for(pid) {
            let _ = child.wait();
        }
    }

    /// Waits a moment for the end of a child.
    fn wait_for(pid: Pid) -> bool {
        let mut pause = FIRST_PAUSE;
        (0..PAUSES_TO_END).any(|_| {
            let ended = matches!(has_ended(pid), Ok(true));
            if !ended {
                let _ = is_ready(None, pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            ended
        })
    }

    /// Whether there is something to read, or the end of it, within this time.
    fn is_ready(stream: Option<&ChildStdout>, wait: Duration) -> io::Result<bool> {
        let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
        let mut watched: Vec<_> =
            stream.iter().map(|stream| PollFd::new(*stream, PollFlags::IN)).collect();
        Ok(retry_on_intr(|| poll(&mut watched, Some(&wait)))? > 0)
    }

    fn has_ended(pid: Pid) -> io::Result<bool> {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(retry_on_intr(|| waitid(WaitId::Pid(pid), look))?.is_some())
    }
}

#[cfg(not(unix))]
mod system {
    use std::io::Read;
    use std::process::Command;
    use std::sync::mpsc::{RecvTimeoutError, channel};

    use super::{Child, Clock, Duration, Failure, LARGEST, Zeroizing, io};
    use crate::world::clock::Deadline;

    /// How often it is looked whether a child has ended.
    const PAUSE: Duration = Duration::from_millis(10);

    /// There are no groups.
    pub(super) fn apart(command: &mut Command) -> &mut Command {
        command
    }

    /// What a child prints until it ends.
    pub(super) fn printed(
        child: &mut Child,
        limit: Duration,
        clock: &dyn Clock,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let deadline = Deadline::after(clock, limit);
        let mut bytes = Zeroizing::new(Vec::new());
        if let Some(output) = child.stdout.take() {
            let (sender, receiver) = channel();
            std::thread::Builder::new().spawn(move || {
                let mut bytes = Zeroizing::new(Vec::new());
                let read = output.take(LARGEST as u64 + 1).read_to_end(&mut bytes);
                // Nobody listens any more once the time is over.
                let _ = sender.send(read.map(|_| bytes));
            })?;
            bytes = match receiver.recv_timeout(limit) {
                Ok(read) => read?,
                Err(RecvTimeoutError::Timeout) => return Err(Failure::TooSlow),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("its reader ended").into());
                }
            };
            if bytes.len() > LARGEST {
                return Err(Failure::TooMuch);
            }
        }
        while child.try_wait()?.is_none() {
            if deadline.left(clock).is_zero() {
                return Err(Failure::TooSlow);
            }
            clock.sleep(PAUSE);
        }
        Ok(bytes)
    }

    /// Ends a child.
    pub(super) fn stop(child: &mut Child, _: bool) {
        let _ = child.kill();
        let _ = child.wait();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::world::clock::System;

    fn shell(script: &str, limit: u64) -> Result<String, Failure> {
        let words = ["sh", "-c", script].map(OsString::from);
        let limit = Duration::from_millis(limit);
        let run = Run { words: &words, changes: &[], limit, interactive: false };
        capture(&run, &System::new()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn what_is_printed_comes_back_whole() {
        assert_eq!(shell("echo a; sleep 0.05; echo b", 10_000).expect("output"), "a\nb\n");
        assert_eq!(shell("true", 10_000).expect("output"), "");
        let most = format!("head -c {LARGEST} /dev/zero");
        assert_eq!(shell(&most, 10_000).expect("output").len(), LARGEST);
        // It goes on without its output.
        assert_eq!(shell("echo a; exec >&-; sleep 0.1", 10_000).expect("output"), "a\n");
    }

    #[test]
    fn a_program_that_asks_is_not_answered() {
        assert_eq!(shell("cat; read line || echo nothing", 10_000).expect("output"), "nothing\n");
    }

    #[test]
    fn how_it_ended_is_said() {
        assert!(matches!(shell("echo a; exit 3", 10_000), Err(Failure::Exit(3))));
        assert!(matches!(shell("kill -SEGV $$", 10_000), Err(Failure::Signal(11))));
        assert!(matches!(shell("yes", 60_000), Err(Failure::TooMuch)));
        for words in [&["/no/such/program"][..], &["/dev/null"], &[]] {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let limit = Duration::from_secs(10);
            let run = Run { words: &words, changes: &[], limit, interactive: false };
            let failure = capture(&run, &System::new()).expect_err("not started");
            assert!(matches!(failure, Failure::NotStarted(_)), "{words:?}: {failure:?}");
        }
    }

    #[test]
    fn what_it_leaves_running_is_not_waited_for() {
        let clock = System::new();
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
            let clock = System::new();
            let script = script.replace('F', &file.to_string_lossy());
            assert!(matches!(shell(&script, 300), Err(Failure::TooSlow)), "{script}");
            assert!(clock.elapsed() < Duration::from_secs(10), "{script}: {:?}", clock.elapsed());
            let pid: i32 =
                std::fs::read_to_string(&file).expect("a number").trim().parse().expect("a number");
            assert!(!lives(pid), "{script}");
        }
    }

    /// Whether a process runs; a moment is left to the system to end one that was killed.
    fn lives(pid: i32) -> bool {
        let runs = || {
            let asked = ["ps", "-o", "stat=", "-p", &pid.to_string()].map(OsString::from);
            let limit = Duration::from_secs(10);
            let run = Run { words: &asked, changes: &[], limit, interactive: false };
            capture(&run, &System::new()).is_ok_and(|stat| !stat.starts_with(b"Z"))
        };
        (0..20).all(|_| runs())
    }
}
