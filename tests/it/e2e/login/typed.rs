//! Signing in at a terminal of its own: what is shown while it waits, and what is pasted.

use std::io::Write;
use std::process::Child;

use rustix::process::{Signal, kill_process};

use super::super::prompt::Terminal;
use super::{ADA, Stage, allow, beside, query, visit};

/// The URL among what the terminal showed.
fn url(shown: &str) -> String {
    let line = shown.lines().find_map(|line| line.trim_end().strip_prefix("  http"));
    format!("http{}", line.unwrap_or_else(|| panic!("{shown:?}")))
}

/// `gauth login --no-browser`, which waits for the answer, and its URL.
fn waits(terminal: &mut Terminal, stage: &Stage, words: &[&str]) -> (Child, String) {
    let mut command = stage.sign_in(&["--no-browser"]);
    command.args(words);
    let child = terminal.asked_by(command);
    let shown = terminal.showed();
    assert!(shown.contains("paste the address the browser ended at (not shown): "), "{shown}");
    (child, url(&shown))
}

#[test]
fn the_address_of_a_browser_elsewhere_can_be_pasted() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let mut terminal = Terminal::new();
    let (child, question) = waits(&mut terminal, &stage, &[]);
    let back = allow(&question);
    let port: u16 =
        query(&question)["redirect_uri"].rsplit([':', '/']).nth(1).unwrap().parse().unwrap();
    assert!(port >= 49152, "{question}");
    terminal.person.write_all(format!("{back}\r").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.starts_with(b"signed in as ada@example.com"), "{output:?}");
    assert!(terminal.echoes(), "the terminal is as it was");
    let showed = terminal.showed();
    assert!(!showed.contains(&query(&back)["code"]) && !showed.contains("code="), "{showed:?}");
    assert!(stage.login_of(ADA).is_some());
}

#[test]
fn what_is_pasted_must_be_the_answer_to_this_login() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let mut terminal = Terminal::new();
    let (mut child, question) = waits(&mut terminal, &stage, &[]);
    let back = allow(&question);
    let state = &query(&question)["state"];
    for (pasted, words) in [
        (back.replace(state.as_str(), "somebody-elses-state"), "the answer to another login"),
        (question.clone(), "that is the address to visit"),
        ("http://127.0.0.1/".to_owned(), "no address with a code"),
    ] {
        terminal.person.write_all(format!("{pasted}\r").as_bytes()).unwrap();
        terminal.shows(words);
        assert!(!terminal.echoes(), "it asks once more");
    }
    // The bare code will do: only this process can put it in.
    let code = query(&back)["code"].clone();
    terminal.person.write_all(format!("{code}\r").as_bytes()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(stage.login_of(ADA).is_some());
}

#[test]
fn whoever_pastes_nothing_or_stops_is_not_signed_in() {
    use std::os::unix::process::ExitStatusExt;
    let _beside = beside();
    let stage = Stage::new(&[]);
    for (typed, code, signal) in [
        ("\r", Some(2), None),
        ("\u{4}", Some(2), None),
        ("half an addr\u{3}", None, Some(2)),
        ("one\rtwo\rthree\rfour://\rfive://\r", None, None),
    ] {
        let mut terminal = Terminal::new();
        let (mut child, _) = waits(&mut terminal, &stage, &[]);
        terminal.person.write_all(typed.as_bytes()).unwrap();
        let status = child.wait().unwrap();
        if code.is_some() || signal.is_some() {
            assert_eq!((status.code(), status.signal()), (code, signal), "{typed:?}");
        }
        assert!(!status.success() && terminal.echoes(), "{typed:?}");
    }
    let mut terminal = Terminal::new();
    let (mut child, _) = waits(&mut terminal, &stage, &["--wait", "1s"]);
    assert_eq!(child.wait().unwrap().code(), Some(6), "nobody typed an answer in time");
    assert!(terminal.echoes());
    stage.has_no_login();
}

#[test]
fn a_terminal_shows_the_time_that_is_left_and_nothing_of_it_afterwards() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let mut terminal = Terminal::new();
    let mut command = stage.sign_in(&["--no-launch-browser", "--wait", "90s"]);
    command.env("NO_COLOR", "1").stdin(terminal.end()).stderr(terminal.end());
    command.stdout(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let shown = terminal.shows("waiting for the sign-in, 1:");
    assert!(shown.contains("left, Ctrl-C stops"), "{shown:?}");
    assert_eq!(visit(&allow(&url(&shown))).status, 200);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let rest = terminal.showed();
    assert!(rest.ends_with("\r\u{1b}[K"), "{rest:?}");
    // Ctrl-C takes the line away as well.
    let mut command = stage.sign_in(&["--no-launch-browser"]);
    command.stdin(terminal.end()).stderr(terminal.end());
    let mut child = command.spawn().unwrap();
    terminal.shows("waiting for the sign-in, 4:");
    kill_process(super::super::pid(&child), Signal::INT).unwrap();
    assert!(!child.wait().unwrap().success());
    let rest = terminal.showed();
    assert!(rest.ends_with("\r\u{1b}[K"), "{rest:?}");
}
