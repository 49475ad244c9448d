//! The logins that README.md and the help tell people to type, typed here, with a browser that presses Allow.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gauth::commands::COMMANDS;

use super::{Kind, Stage, allow, beside, run, visit};

const README: &str = include_str!("../../../../README.md");

/// The lines that begin so, without the words behind them.
fn lines(begins: &str) -> Vec<String> {
    let examples = COMMANDS.iter().flat_map(|spec| spec.examples).map(|example| example.0);
    let lines = README.lines().map(str::trim).chain(examples);
    let lines = lines.filter(|line| line.starts_with(begins));
    lines.map(|line| line.split(" #").next().unwrap_or(line).trim().to_owned()).collect()
}

/// A person whose browser is `script`: what it is to open is allowed.
struct Person {
    url: PathBuf,
    script: PathBuf,
}

impl Person {
    fn new(home: &Path) -> Person {
        let (url, script) = (home.join("url"), home.join("browser"));
        let text =
            format!("#!/bin/sh\nprintf %s \"$1\" > {0}.new && mv {0}.new {0}\n", url.display());
        std::fs::write(&script, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&script, mode).unwrap();
        Person { url, script }
    }

    /// Sits there until `done`.
    fn sits(&self, done: &AtomicBool) {
        while !done.load(Ordering::Relaxed) {
            if let Ok(url) = std::fs::read_to_string(&self.url) {
                std::fs::remove_file(&self.url).unwrap();
                assert_eq!(visit(&allow(&url)).status, 200, "{url}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What the examples name, where they are typed.
fn files(stage: &Stage) {
    let folder = stage.google.folder();
    for (file, name) in
        [("client_secret.json", "client.json"), ("service_account.json", "key.json")]
    {
        std::fs::copy(folder.join(file), stage.home.path().join(name)).unwrap();
    }
}

#[test]
fn the_logins_that_are_written_down_work() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    files(&stage);
    let person = Person::new(stage.home.path());
    let done = AtomicBool::new(false);
    // What is typed or shown to a person is tested at a terminal, and needs one.
    let at_terminal = ["--no-browser", "--device"];
    let typed = lines("gauth login").into_iter();
    let typed: Vec<String> =
        typed.filter(|line| !at_terminal.iter().any(|flag| line.contains(flag))).collect();
    assert!(typed.len() >= 5, "{typed:?}");
    std::thread::scope(|scope| {
        scope.spawn(|| person.sits(&done));
        for line in typed {
            let mut command =
                stage.shell(Kind::Metadata, &format!("set -eu; cd \"$HOME\"; {line}"));
            command.env("BROWSER", &person.script).stdin(Stdio::null());
            command.env("GAUTH_CLIENT_ID_FILE", stage.google.file("client_secret.json"));
            command.env("ISSUER", format!("{}/oidc", stage.google.url()));
            let ended = run(command);
            if ended.code != 0 {
                done.store(true, Ordering::Relaxed);
            }
            assert_eq!(ended.code, 0, "{line}: {ended:?}");
            assert!(ended.out.starts_with("signed in as "), "{line}: {ended:?}");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_login_in_the_sandbox_is_a_real_one() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let person = Person::new(stage.home.path());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| person.sits(&done));
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauth"));
        command.env_clear().current_dir("/").stdin(Stdio::null());
        command.env("HOME", stage.home.path()).env("TMPDIR", stage.home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("BROWSER", &person.script);
        command.args(["sandbox", "--", "sh", "-c", "gauth login && gauth token --source login"]);
        let ended = run(command);
        done.store(true, Ordering::Relaxed);
        assert_eq!(ended.code, 0, "{ended:?}");
        let (first, token) = ended.out.split_once('\n').unwrap();
        assert!(first.starts_with("signed in as ada@example.com"), "{ended:?}");
        assert!(token.starts_with("ya29."), "{ended:?}");
    });
}
