//! `gauth login` at a terminal: the status line, and `--no-browser` with a pasted address.

use std::io::Write;
use std::process::Child;

use rustix::process::{Signal, kill_process};

use super::super::terminal_prompt::Terminal;
use super::{ADA, SandboxHome, allow_consent, query_parameters, share_machine};
use crate::browser::get_page;

/// The authorization URL in the output of the terminal.
fn authorization_url(terminal_output: &str) -> String {
    let line = terminal_output.lines().find_map(|line| line.trim_end().strip_prefix("  http"));
    format!("http{}", line.unwrap_or_else(|| panic!("{terminal_output:?}")))
}

/// Starts `gauth login --no-browser`, and returns its URL.
fn start_no_browser_login(terminal: &mut Terminal, stage: &SandboxHome, args: &[&str]) -> (Child, String) {
    let mut command = stage.login_command(&["--no-browser"]);
    command.args(args);
    let child = terminal.spawn_until_prompt(command);
    let shown = terminal.output_so_far();
    assert!(shown.contains("paste the address the browser ended at (not shown): "), "{shown}");
    (child, authorization_url(&shown))
}

#[test]
fn the_redirect_url_of_a_remote_browser_can_be_pasted() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let mut terminal = Terminal::new();
    let (child, question) = start_no_browser_login(&mut terminal, &stage, &[]);
    let back = allow_consent(&question);
    let port: u16 = query_parameters(&question)["redirect_uri"].rsplit([':', '/']).nth(1).unwrap().parse().unwrap();
    assert!(port >= 49152, "{question}");
    terminal.user_side.write_all(format!("{back}\r").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.starts_with(b"signed in as ada@example.com"), "{output:?}");
    assert!(terminal.is_echoing(), "the terminal is as it was");
    let showed = terminal.output_so_far();
    assert!(!showed.contains(&query_parameters(&back)["code"]) && !showed.contains("code="), "{showed:?}");
    assert!(stage.own_login(ADA).is_some());
}

#[test]
fn a_pasted_redirect_url_must_belong_to_this_login() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let mut terminal = Terminal::new();
    let (mut child, question) = start_no_browser_login(&mut terminal, &stage, &[]);
    let back = allow_consent(&question);
    let state = &query_parameters(&question)["state"];
    for (pasted, words) in [
        (back.replace(state.as_str(), "somebody-elses-state"), "the response to another login"),
        (question.clone(), "that is the address to visit"),
        ("http://127.0.0.1/".to_owned(), "not an address with a code"),
    ] {
        terminal.user_side.write_all(format!("{pasted}\r").as_bytes()).unwrap();
        terminal.wait_for_output(words);
        assert!(!terminal.is_echoing(), "it asks once more");
    }
    // The code alone is accepted, because only this process has its code verifier.
    let code = query_parameters(&back)["code"].clone();
    terminal.user_side.write_all(format!("{code}\r").as_bytes()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(stage.own_login(ADA).is_some());
}

#[test]
fn empty_input_or_interrupt_stores_no_login() {
    use std::os::unix::process::ExitStatusExt;
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    for (typed, code, signal) in [
        ("\r", Some(2), None),
        ("\u{4}", Some(2), None),
        ("half an addr\u{3}", None, Some(2)),
        ("one\rtwo\rthree\rfour://\rfive://\r", None, None),
    ] {
        let mut terminal = Terminal::new();
        let (mut child, _) = start_no_browser_login(&mut terminal, &stage, &[]);
        terminal.user_side.write_all(typed.as_bytes()).unwrap();
        let status = child.wait().unwrap();
        if code.is_some() || signal.is_some() {
            assert_eq!((status.code(), status.signal()), (code, signal), "{typed:?}");
        }
        assert!(!status.success() && terminal.is_echoing(), "{typed:?}");
    }
    let mut terminal = Terminal::new();
    let (mut child, _) = start_no_browser_login(&mut terminal, &stage, &["--wait", "1s"]);
    assert_eq!(child.wait().unwrap().code(), Some(6), "nobody typed an answer in time");
    assert!(terminal.is_echoing());
    stage.assert_no_login();
}

#[test]
fn the_status_line_shows_the_time_left_and_is_removed_afterwards() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let mut terminal = Terminal::new();
    let mut command = stage.login_command(&["--no-launch-browser", "--wait", "90s"]);
    command.env("NO_COLOR", "1").stdin(terminal.child_stdio()).stderr(terminal.child_stdio());
    command.stdout(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let shown = terminal.wait_for_output("waiting for the sign-in, 1:");
    assert!(shown.contains("left, Ctrl-C stops"), "{shown:?}");
    assert_eq!(get_page(&allow_consent(&authorization_url(&shown))).status, 200);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let rest = terminal.output_so_far();
    assert!(rest.ends_with("\r\u{1b}[K"), "{rest:?}");
    // Ctrl-C removes the status line too.
    let mut command = stage.login_command(&["--no-launch-browser"]);
    command.stdin(terminal.child_stdio()).stderr(terminal.child_stdio());
    let mut child = command.spawn().unwrap();
    terminal.wait_for_output("waiting for the sign-in, 4:");
    kill_process(super::super::pid(&child), Signal::INT).unwrap();
    assert!(!child.wait().unwrap().success());
    let rest = terminal.output_so_far();
    assert!(rest.ends_with("\r\u{1b}[K"), "{rest:?}");
}
