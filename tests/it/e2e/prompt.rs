//! The built program at a terminal of its own, and the whole way from a token to its verdict.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use super::{Kind, Stage, beside, pid, run};

/// Both ends of a terminal.
pub(super) struct Terminal {
    pub(super) person: File,
    program: File,
}

impl Terminal {
    pub(super) fn new() -> Terminal {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
        let program = File::options().read(true).write(true).open(name).unwrap();
        Terminal { person: person.into(), program }
    }

    pub(super) fn end(&self) -> Stdio {
        OwnedFd::from(self.program.try_clone().unwrap()).into()
    }

    pub(super) fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.program).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    /// `gauth inspect`, which has asked and waits.
    fn asked(&self, stage: &Stage) -> Child {
        self.asked_by(stage.gauth(Kind::ServiceAccount, &["inspect"]))
    }

    /// Another command, which has asked and waits.
    pub(super) fn asked_by(&self, mut command: Command) -> Child {
        command.env("NO_COLOR", "1");
        command.stdin(self.end()).stderr(self.end()).stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        self.waits_for_a_secret();
        child
    }

    /// Waits until what is typed is no longer shown.
    #[track_caller]
    pub(super) fn waits_for_a_secret(&self) {
        let start = Instant::now();
        while self.echoes() {
            assert!(start.elapsed() < Duration::from_secs(30), "nobody asked");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the terminal showed so far.
    pub(super) fn showed(&mut self) -> String {
        let (mut shown, start) = (Vec::new(), Instant::now());
        let pause = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
        while poll(&mut [PollFd::new(&self.person, PollFlags::IN)], Some(&pause)).unwrap() > 0 {
            let mut bytes = [0; 4096];
            let count = self.person.read(&mut bytes).unwrap();
            shown.extend_from_slice(&bytes[..count]);
            // One that goes on and on is looked at in between.
            if start.elapsed() > Duration::from_secs(1) {
                break;
            }
        }
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// Waits until the terminal has shown this, and gives all it has shown meanwhile.
    #[track_caller]
    pub(super) fn shows(&mut self, words: &str) -> String {
        let (start, mut shown) = (Instant::now(), String::new());
        while !shown.contains(words) {
            assert!(start.elapsed() < Duration::from_secs(10), "{shown:?}");
            shown.push_str(&self.showed());
        }
        shown
    }
}

/// A JWT of this length, longer than a line of a terminal in line mode.
fn long_token() -> String {
    use base64::Engine;
    let packed = |text: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let claims = packed(format!("{{\"sub\":\"the-one\",\"x\":\"{}\"}}", "y".repeat(6000)));
    format!("{}.{claims}.c2ln", packed("{\"alg\":\"RS256\"}".to_owned()))
}

#[test]
fn what_is_pasted_at_the_prompt_is_not_shown_and_read_whole() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let mut terminal = Terminal::new();
    assert!(terminal.echoes());
    let child = terminal.asked(&stage);
    let token = long_token();
    for piece in token.as_bytes().chunks(1000) {
        terminal.person.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    terminal.person.write_all(b"\r").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("subject   the-one\n"), "{text}");
    assert!(terminal.echoes(), "the terminal is as it was");
    let showed = terminal.showed();
    assert!(showed.starts_with("the token (not shown): "), "{showed:?}");
    assert!(!token.split('.').any(|piece| showed.contains(piece)), "{showed:?}");
}

#[test]
fn a_prompt_that_is_left_leaves_the_terminal_as_it_was() {
    use std::os::unix::process::ExitStatusExt;
    let _beside = beside();
    let stage = Stage::new(&[]);
    for (typed, signal, ended) in [
        (Some("eyJ\x03"), None, Some(2)),
        (None, Some(Signal::TERM), Some(15)),
        (None, Some(Signal::HUP), Some(1)),
        (None, Some(Signal::INT), Some(2)),
    ] {
        let mut terminal = Terminal::new();
        let mut child = terminal.asked(&stage);
        if let Some(typed) = typed {
            terminal.person.write_all(typed.as_bytes()).unwrap();
        }
        if let Some(signal) = signal {
            kill_process(pid(&child), signal).unwrap();
        }
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), ended, "{status:?}");
        assert!(terminal.echoes(), "{signal:?}");
    }
    // Nothing at all is an error.
    let mut terminal = Terminal::new();
    let mut child = terminal.asked(&stage);
    terminal.person.write_all(b"\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    terminal.shows("gauth: what was typed is empty");
}

#[test]
fn nobody_is_asked_in_ci() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let mut terminal = Terminal::new();
    let mut command = stage.gauth(Kind::ServiceAccount, &["inspect"]);
    command.env("CI", "true").stdin(terminal.end()).stderr(terminal.end());
    let status = command.status().unwrap();
    assert_eq!(status.code(), Some(2));
    let showed = terminal.showed();
    assert!(showed.contains("nobody is there to be asked") && terminal.echoes(), "{showed}");
}

#[test]
fn a_token_of_the_sandbox_is_verified_by_its_keys() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let url = stage.google.url().to_owned();
    let script = |more: &str| {
        let mint = "gauth id-token --audiences https://svc.run.app";
        run(stage.shell(Kind::ServiceAccount, &format!("{mint} | gauth inspect --verify {more}")))
    };
    let keys = format!("--jwks {url}/oauth2/v3/certs");
    for _ in 0..2 {
        let ended = script(&format!("--audience https://svc.run.app {keys}"));
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.out.starts_with("valid: signed by a key of 127.0.0.1:"), "{ended:?}");
    }
    assert_eq!(stage.google.count("certs"), 1, "the second time they were kept");
    let ended = script(&format!("--audience https://other.example {keys}"));
    assert_eq!((ended.code, ended.err.as_str()), (10, ""), "{ended:?}");
    // Where the token endpoint is moved to this machine, keys and tokeninfo are beside it.
    let inside = format!("export CLOUDSDK_AUTH_TOKEN_HOST={url}/token;");
    let mint = "gauth id-token --audiences https://svc.run.app";
    let verify = format!("{inside} {mint} | gauth inspect --verify --audience https://svc.run.app");
    let ask = format!("{inside} gauth token | gauth inspect");
    for (script, first) in
        [(verify, "valid: signed by a key of 127.0.0.1:"), (ask, "valid: an access")]
    {
        let ended = run(stage.shell(Kind::ServiceAccount, &script));
        assert!(ended.code == 0 && ended.out.starts_with(first), "{ended:?}");
    }
    let outside = stage.google.requests();
    assert!(outside.iter().all(|logged| logged.request.query.is_empty()), "no token in a URL");
}
