//! Reauthentication with the built program at a terminal of its own: one person, one question, however many ask.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::refresh_token_rotation::store_own_login;
use super::terminal_prompt::Terminal;
use super::{
    CredentialKind, ProcessResult, SandboxHome, lock_machine, run, share_machine, wait_for,
};

const RAPT_REQUIRED_FAULT: &[&str] = &["token=rapt"];

/// `gauth token` at the terminal; what it prints goes elsewhere.
fn token_command_at(terminal: &Terminal, stage: &SandboxHome, args: &[&str]) -> Command {
    let mut command = stage.gauth_command(CredentialKind::User, args);
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

fn user_password(stage: &SandboxHome) -> String {
    stage.sandbox.fixtures().password.expose().to_owned()
}

fn wait_for_end((child, start): (Child, Instant)) -> ProcessResult {
    wait_for(child, start)
}

#[test]
fn a_user_who_types_the_password_is_not_prompted_again() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&["token=rapt", "reauth=two-rounds"]);
    let login = store_own_login(&stage);
    let mut terminal = Terminal::new();
    let child = spawn(token_command_at(&terminal, &stage, &["token", "-vv"]));
    let password = user_password(&stage);
    let mut shown = String::new();
    for typed in ["not-the-password", &password, &password] {
        terminal.wait_for_hidden_input();
        shown.push_str(&terminal.output_so_far());
        type_line(&mut terminal, typed);
        let start = Instant::now();
        while !terminal.is_echoing() && start.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
    }
    let ended = wait_for_end(child);
    shown.push_str(&terminal.output_so_far());
    ended.printed_token();
    assert!(terminal.is_echoing(), "the terminal is as it was");
    assert!(shown.contains("the organisation asks ada@example.com for the password again"));
    assert!(shown.contains("ada@example.com: this was not the password"), "{shown}");
    let stored = std::fs::read_to_string(&login).unwrap();
    let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
    let proof = stored["rapt_token"].as_str().unwrap();
    for secret in [proof, &password, "not-the-password"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert_eq!(stage.sandbox.request_count("reauth"), 4);
    // Nobody has to be there for the next ones.
    let mut command = stage.gauth_command(CredentialKind::User, &["token", "--refresh"]);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    run(command).printed_token();
    assert_eq!(stage.sandbox.request_count("reauth"), 4);
}

#[test]
fn ten_processes_at_one_terminal_prompt_once_and_wait_for_the_user() {
    let _alone = lock_machine();
    let stage = SandboxHome::new(RAPT_REQUIRED_FAULT);
    store_own_login(&stage);
    let mut terminal = Terminal::new();
    let first = spawn(token_command_at(&terminal, &stage, &["token"]));
    terminal.wait_for_hidden_input();
    // The same token, and others of the same login: whose time is up long before the person answers.
    let scopes = ["openid", "email", "openid,email", "cloud-platform", "openid,cloud-platform"];
    let same = (0..4).map(|_| token_command_at(&terminal, &stage, &["token", "--timeout", "1s"]));
    let mut waiting: Vec<_> = same.map(spawn).collect();
    let unattended = spawn({
        let mut command = token_command_at(&terminal, &stage, &["token", "--timeout", "1s"]);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command
    });
    let others = scopes
        .iter()
        .map(|scopes| token_command_at(&terminal, &stage, &["token", "--scopes", scopes]));
    waiting.extend(others.map(spawn));
    let unattended = wait_for_end(unattended);
    assert_eq!(unattended.exit_code, 4, "{unattended:?}");
    let (says, _) = unattended.error_and_hint();
    assert!(says.contains("another gauth is asking a person"), "{unattended:?}");
    type_line(&mut terminal, &user_password(&stage));
    let token = wait_for_end(first).printed_token();
    let tokens: Vec<String> =
        waiting.into_iter().map(|child| wait_for_end(child).printed_token()).collect();
    assert!(tokens[..4].iter().all(|other| *other == token), "one token for the same wish");
    assert_eq!(stage.sandbox.request_count("reauth"), 2, "one question");
    let shown = terminal.output_so_far();
    assert_eq!(shown.matches("(not shown)").count(), 1, "{shown}");
}

#[test]
fn no_prompt_without_an_interactive_terminal() {
    let _beside = share_machine();
    for (ci, background) in [(true, false), (false, true)] {
        let stage = SandboxHome::new(RAPT_REQUIRED_FAULT);
        store_own_login(&stage);
        let mut terminal = Terminal::new();
        let gauth = env!("CARGO_BIN_EXE_gauth");
        // A session of its own, with this as its terminal; a job in the background of it.
        let script = match background {
            true => format!("set -m; {gauth} token < /dev/tty & wait $!"),
            false => format!("{gauth} token"),
        };
        let mut command = stage.program_command("setsid", CredentialKind::User);
        command.args(["-c", "-w", "bash", "-c", &script]);
        command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
        if ci {
            command.env("CI", "true");
        }
        command.stdin(terminal.child_stdio()).stderr(terminal.child_stdio()).stdout(Stdio::piped());
        let ended = wait_for_end(spawn(command));
        let shown = terminal.output_so_far();
        assert_eq!(ended.exit_code, 4, "{shown}");
        let hint = "gauth token --account ada@example.com at a terminal, which asks for it";
        assert!(shown.contains(hint) && terminal.is_echoing(), "{shown}");
        assert_eq!(stage.sandbox.request_count("token"), 1, "nothing more was asked for");
    }
}

#[test]
fn an_interrupted_prompt_ends_all_waiting_processes() {
    let _beside = share_machine();
    let stage = SandboxHome::new(RAPT_REQUIRED_FAULT);
    store_own_login(&stage);
    let mut terminal = Terminal::new();
    let gauth = env!("CARGO_BIN_EXE_gauth");
    let script = format!("{gauth} token < /dev/tty & {gauth} token < /dev/tty & wait");
    let mut command = stage.program_command("setsid", CredentialKind::User);
    command.args(["-c", "-w", "bash", "-c", &script]);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    command.stdin(terminal.child_stdio()).stderr(terminal.child_stdio()).stdout(Stdio::piped());
    let child = spawn(command);
    terminal.wait_for_hidden_input();
    terminal.user_side.write_all(b"\x03").unwrap();
    let ended = wait_for_end(child);
    assert_eq!(ended.stdout, "");
    assert!(ended.exit_code >= 128, "{ended:?}");
    assert!(terminal.is_echoing(), "the terminal is as it was");
    assert_eq!(stage.sandbox.request_count("reauth"), 1, "nobody has asked again");
}
