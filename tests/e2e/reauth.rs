//! Reauthentication of the built program at its own terminal: one prompt, however many processes need it.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::refresh_token_rotation::store_own_login;
use super::terminal_prompt::Terminal;
use super::{CredentialKind, ProcessResult, SandboxHome, lock_machine, run, share_machine, wait_for};

const RAPT_REQUIRED_FAULT: &[&str] = &["token=rapt"];

/// `gauth token` at the terminal, with standard output in a pipe.
fn token_command_at(terminal: &Terminal, test: &SandboxHome, args: &[&str]) -> Command {
    let mut command = test.gauth_command(CredentialKind::User, args);
    command.env("NO_COLOR", "1").env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    command.stdin(terminal.child_stdio()).stderr(terminal.child_stdio()).stdout(Stdio::piped());
    command
}

fn spawn(mut command: Command) -> (Child, Instant) {
    (command.spawn().unwrap(), Instant::now())
}

fn type_line(terminal: &mut Terminal, line: &str) {
    terminal.user_side.write_all(line.as_bytes()).unwrap();
    terminal.user_side.write_all(b"\r").unwrap();
}

fn user_password(test: &SandboxHome) -> String {
    test.sandbox.fixtures().password.expose().to_owned()
}

fn wait_for_end((child, start): (Child, Instant)) -> ProcessResult {
    wait_for(child, start)
}

#[test]
fn a_user_who_types_the_password_is_not_prompted_again() {
    let _shared = share_machine();
    let test = SandboxHome::new(&["token=rapt", "reauth=two-rounds"]);
    let login = store_own_login(&test);
    let mut terminal = Terminal::new();
    let child = spawn(token_command_at(&terminal, &test, &["token", "-vv"]));
    let password = user_password(&test);
    let mut output = String::new();
    for typed in ["not-the-password", &password, &password] {
        terminal.wait_for_hidden_input();
        output.push_str(&terminal.output_so_far());
        type_line(&mut terminal, typed);
        let start = Instant::now();
        while !terminal.is_echoing() && start.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
    }
    let result = wait_for_end(child);
    output.push_str(&terminal.output_so_far());
    result.printed_token();
    assert!(terminal.is_echoing(), "the terminal is as it was");
    assert!(output.contains("the organisation asks ada@example.com for the password again"));
    assert!(output.contains("ada@example.com: that was not the password"), "{output}");
    let stored = std::fs::read_to_string(&login).unwrap();
    let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
    let proof = stored["rapt_token"].as_str().unwrap();
    for secret in [proof, &password, "not-the-password"] {
        assert!(!output.contains(secret), "{output}");
    }
    assert_eq!(test.sandbox.request_count("reauth"), 4);
    // The next runs need no user.
    let mut command = test.gauth_command(CredentialKind::User, &["token", "--refresh"]);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    run(command).printed_token();
    assert_eq!(test.sandbox.request_count("reauth"), 4);
}

#[test]
fn ten_processes_at_one_terminal_prompt_once_and_wait_for_the_user() {
    let _exclusive = lock_machine();
    let test = SandboxHome::new(RAPT_REQUIRED_FAULT);
    store_own_login(&test);
    let mut terminal = Terminal::new();
    let first = spawn(token_command_at(&terminal, &test, &["token"]));
    terminal.wait_for_hidden_input();
    // The same token and other tokens of the same login. The time limit of the runs ends long before the user answers.
    let scopes = ["openid", "email", "openid,email", "cloud-platform", "openid,cloud-platform"];
    let same = (0..4).map(|_| token_command_at(&terminal, &test, &["token", "--timeout", "1s"]));
    let mut waiting: Vec<_> = same.map(spawn).collect();
    let unattended = spawn({
        let mut command = token_command_at(&terminal, &test, &["token", "--timeout", "1s"]);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command
    });
    let others = scopes.iter().map(|scopes| token_command_at(&terminal, &test, &["token", "--scopes", scopes]));
    waiting.extend(others.map(spawn));
    let unattended = wait_for_end(unattended);
    assert_eq!(unattended.exit_code, 4, "{unattended:?}");
    let (message, _) = unattended.error_and_hint();
    assert!(message.contains("another gauth prompts for this token"), "{unattended:?}");
    type_line(&mut terminal, &user_password(&test));
    let token = wait_for_end(first).printed_token();
    let tokens: Vec<String> = waiting.into_iter().map(|child| wait_for_end(child).printed_token()).collect();
    assert!(tokens[..4].iter().all(|other| *other == token), "one token for the same wish");
    assert_eq!(test.sandbox.request_count("reauth"), 2, "one question");
    let output = terminal.output_so_far();
    assert_eq!(output.matches("(not shown)").count(), 1, "{output}");
}

#[test]
fn no_prompt_without_an_interactive_terminal() {
    let _shared = share_machine();
    for (ci, background) in [(true, false), (false, true)] {
        let test = SandboxHome::new(RAPT_REQUIRED_FAULT);
        store_own_login(&test);
        let mut terminal = Terminal::new();
        let gauth = env!("CARGO_BIN_EXE_gauth");
        // A new session with this terminal, and gauth as its background job.
        let script = match background {
            true => format!("set -m; {gauth} token < /dev/tty & wait $!"),
            false => format!("{gauth} token"),
        };
        let mut command = test.program_command("setsid", CredentialKind::User);
        command.args(["-c", "-w", "bash", "-c", &script]);
        command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
        if ci {
            command.env("CI", "true");
        }
        command.stdin(terminal.child_stdio()).stderr(terminal.child_stdio()).stdout(Stdio::piped());
        let result = wait_for_end(spawn(command));
        let output = terminal.output_so_far();
        assert_eq!(result.exit_code, 4, "{output}");
        let hint = "gauth token --account ada@example.com at a terminal, which prompts for it";
        assert!(output.contains(hint) && terminal.is_echoing(), "{output}");
        assert_eq!(test.sandbox.request_count("token"), 1, "nothing more was asked for");
    }
}

#[test]
fn an_interrupted_prompt_ends_all_waiting_processes() {
    let _shared = share_machine();
    let test = SandboxHome::new(RAPT_REQUIRED_FAULT);
    store_own_login(&test);
    let mut terminal = Terminal::new();
    let gauth = env!("CARGO_BIN_EXE_gauth");
    let script = format!("{gauth} token < /dev/tty & {gauth} token < /dev/tty & wait");
    let mut command = test.program_command("setsid", CredentialKind::User);
    command.args(["-c", "-w", "bash", "-c", &script]);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    command.stdin(terminal.child_stdio()).stderr(terminal.child_stdio()).stdout(Stdio::piped());
    let child = spawn(command);
    terminal.wait_for_hidden_input();
    terminal.user_side.write_all(b"\x03").unwrap();
    let result = wait_for_end(child);
    assert_eq!(result.stdout, "");
    assert!(result.exit_code >= 128, "{result:?}");
    assert!(terminal.is_echoing(), "the terminal is as it was");
    assert_eq!(test.sandbox.request_count("reauth"), 1, "no second reauthentication");
}
