//! Prompts of the built program at its own terminal, and `gauth inspect --verify` against the sandbox.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use super::{CredentialKind, SandboxHome, pid, run, share_machine};

/// Both ends of a pseudoterminal.
pub(super) struct Terminal {
    pub(super) user_side: File,
    program_side: File,
}

impl Terminal {
    pub(super) fn new() -> Terminal {
        let user_side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&user_side).unwrap();
        unlockpt(&user_side).unwrap();
        let name = ptsname(&user_side, Vec::new()).unwrap().into_string().unwrap();
        let program = File::options().read(true).write(true).open(name).unwrap();
        Terminal { user_side: user_side.into(), program_side: program }
    }

    pub(super) fn child_stdio(&self) -> Stdio {
        OwnedFd::from(self.program_side.try_clone().unwrap()).into()
    }

    pub(super) fn is_echoing(&self) -> bool {
        let modes = tcgetattr(&self.program_side).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    /// Starts `gauth inspect` and waits for its prompt.
    fn spawn_inspect_prompt(&self, test: &SandboxHome) -> Child {
        self.spawn_until_prompt(test.gauth_command(CredentialKind::ServiceAccount, &["inspect"]))
    }

    /// Starts a command and waits for its prompt.
    pub(super) fn spawn_until_prompt(&self, mut command: Command) -> Child {
        command.env("NO_COLOR", "1");
        command.stdin(self.child_stdio()).stderr(self.child_stdio()).stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        self.wait_for_hidden_input();
        child
    }

    /// Waits until the terminal does not echo.
    #[track_caller]
    pub(super) fn wait_for_hidden_input(&self) {
        let start = Instant::now();
        while self.is_echoing() {
            assert!(start.elapsed() < Duration::from_secs(30), "no prompt");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the terminal showed so far.
    pub(super) fn output_so_far(&mut self) -> String {
        let (mut output, start) = (Vec::new(), Instant::now());
        let pause = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
        while poll(&mut [PollFd::new(&self.user_side, PollFlags::IN)], Some(&pause)).unwrap() > 0 {
            let mut bytes = [0; 4096];
            let count = self.user_side.read(&mut bytes).unwrap();
            output.extend_from_slice(&bytes[..count]);
            // A program that does not stop writing must not keep this loop running.
            if start.elapsed() > Duration::from_secs(1) {
                break;
            }
        }
        String::from_utf8_lossy(&output).into_owned()
    }

    /// Waits until the terminal has shown this text, and returns all that it showed meanwhile.
    #[track_caller]
    pub(super) fn wait_for_output(&mut self, text: &str) -> String {
        let (start, mut output) = (Instant::now(), String::new());
        while !output.contains(text) {
            assert!(start.elapsed() < Duration::from_secs(10), "{output:?}");
            output.push_str(&self.output_so_far());
        }
        output
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
fn pasted_text_is_read_whole_and_not_shown() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let mut terminal = Terminal::new();
    assert!(terminal.is_echoing());
    let child = terminal.spawn_inspect_prompt(&test);
    let token = long_token();
    for piece in token.as_bytes().chunks(1000) {
        terminal.user_side.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    terminal.user_side.write_all(b"\r").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("subject   the-one\n"), "{text}");
    assert!(terminal.is_echoing(), "the terminal echoes again");
    let output = terminal.output_so_far();
    assert!(output.starts_with("token (not shown): "), "{output:?}");
    assert!(!token.split('.').any(|piece| output.contains(piece)), "{output:?}");
}

#[test]
fn an_aborted_prompt_restores_the_terminal() {
    use std::os::unix::process::ExitStatusExt;
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    for (typed, signal, result) in [
        (Some("eyJ\x03"), None, Some(2)),
        (None, Some(Signal::TERM), Some(15)),
        (None, Some(Signal::HUP), Some(1)),
        (None, Some(Signal::INT), Some(2)),
    ] {
        let mut terminal = Terminal::new();
        let mut child = terminal.spawn_inspect_prompt(&test);
        if let Some(typed) = typed {
            terminal.user_side.write_all(typed.as_bytes()).unwrap();
        }
        if let Some(signal) = signal {
            kill_process(pid(&child), signal).unwrap();
        }
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), result, "{status:?}");
        assert!(terminal.is_echoing(), "{signal:?}");
    }
    // An empty line is an error.
    let mut terminal = Terminal::new();
    let mut child = terminal.spawn_inspect_prompt(&test);
    terminal.user_side.write_all(b"\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    terminal.wait_for_output("gauth: the typed text is empty");
}

#[test]
fn no_prompt_in_ci() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let mut terminal = Terminal::new();
    let mut command = test.gauth_command(CredentialKind::ServiceAccount, &["inspect"]);
    command.env("CI", "true").stdin(terminal.child_stdio()).stderr(terminal.child_stdio());
    let status = command.status().unwrap();
    assert_eq!(status.code(), Some(2));
    let output = terminal.output_so_far();
    assert!(output.contains("there is no terminal to prompt at") && terminal.is_echoing(), "{output}");
}

#[test]
fn a_token_of_the_sandbox_is_verified_by_its_keys() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let url = test.sandbox.url().to_owned();
    let script = |more: &str| {
        let mint = "gauth id-token --audiences https://svc.run.app";
        run(test.shell_command(CredentialKind::ServiceAccount, &format!("{mint} | gauth inspect --verify {more}")))
    };
    let keys = format!("--jwks {url}/oauth2/v3/certs");
    for _ in 0..2 {
        let result = script(&format!("--audience https://svc.run.app {keys}"));
        assert_eq!(result.exit_code, 0, "{result:?}");
        assert!(result.stdout.starts_with("valid: signed by a key of 127.0.0.1:"), "{result:?}");
    }
    assert_eq!(test.sandbox.request_count("certs"), 1, "the keys are fetched once");
    let result = script(&format!("--audience https://other.example {keys}"));
    assert_eq!((result.exit_code, result.stderr.as_str()), (10, ""), "{result:?}");
    // With an endpoint override for the token endpoint, keys and tokeninfo are at the same host.
    let override_script = format!("export CLOUDSDK_AUTH_TOKEN_HOST={url}/token;");
    let mint = "gauth id-token --audiences https://svc.run.app";
    let verify = format!("{override_script} {mint} | gauth inspect --verify --audience https://svc.run.app");
    let ask = format!("{override_script} gauth token | gauth inspect");
    for (script, first) in [(verify, "valid: signed by a key of 127.0.0.1:"), (ask, "valid: an access")] {
        let result = run(test.shell_command(CredentialKind::ServiceAccount, &script));
        assert!(result.exit_code == 0 && result.stdout.starts_with(first), "{result:?}");
    }
    let requests = test.sandbox.requests();
    assert!(requests.iter().all(|logged| logged.request.query.is_empty()), "no token in a URL");
}
