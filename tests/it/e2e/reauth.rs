//! Reauthentication with the built program at a terminal of its own: one person, one question, however many ask.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::prompt::Terminal;
use super::rotation::own_login;
use super::{Ended, Kind, Stage, alone, beside, finish, run};

const WANTED: &[&str] = &["token=rapt"];

/// `gauth token` at the terminal; what it prints goes elsewhere.
fn at(terminal: &Terminal, stage: &Stage, words: &[&str]) -> Command {
    let mut command = stage.gauth(Kind::User, words);
    command.env("NO_COLOR", "1").env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    command.stdin(terminal.end()).stderr(terminal.end()).stdout(Stdio::piped());
    command
}

fn begin(mut command: Command) -> (Child, Instant) {
    (command.spawn().unwrap(), Instant::now())
}

fn types(terminal: &mut Terminal, line: &str) {
    terminal.person.write_all(line.as_bytes()).unwrap();
    terminal.person.write_all(b"\r").unwrap();
}

fn password(stage: &Stage) -> String {
    stage.google.cast().password.expose().to_owned()
}

fn ends((child, start): (Child, Instant)) -> Ended {
    finish(child, start)
}

#[test]
fn a_person_who_types_the_password_is_not_asked_again() {
    let _beside = beside();
    let stage = Stage::new(&["token=rapt", "reauth=two-rounds"]);
    let login = own_login(&stage);
    let mut terminal = Terminal::new();
    let child = begin(at(&terminal, &stage, &["token", "-vv"]));
    let password = password(&stage);
    let mut shown = String::new();
    for typed in ["not-the-password", &password, &password] {
        terminal.waits_for_a_secret();
        shown.push_str(&terminal.showed());
        types(&mut terminal, typed);
        let start = Instant::now();
        while !terminal.echoes() && start.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
    }
    let ended = ends(child);
    shown.push_str(&terminal.showed());
    ended.token();
    assert!(terminal.echoes(), "the terminal is as it was");
    assert!(shown.contains("the organisation asks ada@example.com for the password again"));
    assert!(shown.contains("ada@example.com: this was not the password"), "{shown}");
    let stored = std::fs::read_to_string(&login).unwrap();
    let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
    let proof = stored["rapt_token"].as_str().unwrap();
    for secret in [proof, &password, "not-the-password"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert_eq!(stage.google.count("reauth"), 4);
    // Nobody has to be there for the next ones.
    let mut command = stage.gauth(Kind::User, &["token", "--refresh"]);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    run(command).token();
    assert_eq!(stage.google.count("reauth"), 4);
}

#[test]
fn ten_at_one_terminal_ask_once_and_wait_as_long_as_the_person_takes() {
    let _alone = alone();
    let stage = Stage::new(WANTED);
    own_login(&stage);
    let mut terminal = Terminal::new();
    let first = begin(at(&terminal, &stage, &["token"]));
    terminal.waits_for_a_secret();
    // The same token, and others of the same login: whose time is up long before the person answers.
    let scopes = ["openid", "email", "openid,email", "cloud-platform", "openid,cloud-platform"];
    let same = (0..4).map(|_| at(&terminal, &stage, &["token", "--timeout", "1s"]));
    let mut waiting: Vec<_> = same.map(begin).collect();
    let unattended = begin({
        let mut command = at(&terminal, &stage, &["token", "--timeout", "1s"]);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command
    });
    let others = scopes.iter().map(|scopes| at(&terminal, &stage, &["token", "--scopes", scopes]));
    waiting.extend(others.map(begin));
    let unattended = ends(unattended);
    assert_eq!(unattended.code, 4, "{unattended:?}");
    let (says, _) = unattended.two_lines();
    assert!(says.contains("another gauth is asking a person"), "{unattended:?}");
    types(&mut terminal, &password(&stage));
    let token = ends(first).token();
    let tokens: Vec<String> = waiting.into_iter().map(|child| ends(child).token()).collect();
    assert!(tokens[..4].iter().all(|other| *other == token), "one token for the same wish");
    assert_eq!(stage.google.count("reauth"), 2, "one question");
    let shown = terminal.showed();
    assert_eq!(shown.matches("(not shown)").count(), 1, "{shown}");
}

#[test]
fn nobody_who_cannot_answer_is_asked() {
    let _beside = beside();
    for (ci, background) in [(true, false), (false, true)] {
        let stage = Stage::new(WANTED);
        own_login(&stage);
        let mut terminal = Terminal::new();
        let gauth = env!("CARGO_BIN_EXE_gauth");
        // A session of its own, with this as its terminal; a job in the background of it.
        let script = match background {
            true => format!("set -m; {gauth} token < /dev/tty & wait $!"),
            false => format!("{gauth} token"),
        };
        let mut command = stage.program("setsid", Kind::User);
        command.args(["-c", "-w", "bash", "-c", &script]);
        command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
        if ci {
            command.env("CI", "true");
        }
        command.stdin(terminal.end()).stderr(terminal.end()).stdout(Stdio::piped());
        let ended = ends(begin(command));
        let shown = terminal.showed();
        assert_eq!(ended.code, 4, "{shown}");
        let hint = "gauth token --account ada@example.com at a terminal, which asks for it";
        assert!(shown.contains(hint) && terminal.echoes(), "{shown}");
        assert_eq!(stage.google.count("token"), 1, "nothing more was asked for");
    }
}

#[test]
fn an_interrupted_question_ends_all_that_wait_for_its_answer() {
    let _beside = beside();
    let stage = Stage::new(WANTED);
    own_login(&stage);
    let mut terminal = Terminal::new();
    let gauth = env!("CARGO_BIN_EXE_gauth");
    let script = format!("{gauth} token < /dev/tty & {gauth} token < /dev/tty & wait");
    let mut command = stage.program("setsid", Kind::User);
    command.args(["-c", "-w", "bash", "-c", &script]);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    command.stdin(terminal.end()).stderr(terminal.end()).stdout(Stdio::piped());
    let child = begin(command);
    terminal.waits_for_a_secret();
    terminal.person.write_all(b"\x03").unwrap();
    let ended = ends(child);
    assert_eq!(ended.out, "");
    assert!(ended.code >= 128, "{ended:?}");
    assert!(terminal.echoes(), "the terminal is as it was");
    assert_eq!(stage.google.count("reauth"), 1, "nobody has asked again");
}
