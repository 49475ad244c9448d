//! The login commands in README.md and in the help, run with a browser that gives consent.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gauth::cli::COMMANDS;

use super::{CredentialKind, SandboxHome, allow_consent, run, share_machine};
use crate::browser::get_page;

const README: &str = include_str!("../../../README.md");

/// The commands that begin with `prefix`, without their comments.
fn example_commands(prefix: &str) -> Vec<String> {
    let examples = COMMANDS.iter().flat_map(|spec| spec.examples).map(|example| example.0);
    let lines = README.lines().map(str::trim).chain(examples);
    let lines = lines.filter(|line| line.starts_with(prefix));
    lines.map(|line| line.split(" #").next().unwrap_or(line).trim().to_owned()).collect()
}

/// A user whose browser is a script. Consent is given on every page it opens.
struct ScriptedUser {
    url: PathBuf,
    script: PathBuf,
}

impl ScriptedUser {
    fn new(home: &Path) -> ScriptedUser {
        let (url, script) = (home.join("url"), home.join("browser"));
        let text = format!("#!/bin/sh\nprintf %s \"$1\" > {0}.new && mv {0}.new {0}\n", url.display());
        std::fs::write(&script, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&script, mode).unwrap();
        ScriptedUser { url, script }
    }

    /// Gives consent until `done`.
    fn allow_logins_until(&self, done: &AtomicBool) {
        while !done.load(Ordering::Relaxed) {
            if let Ok(url) = std::fs::read_to_string(&self.url) {
                std::fs::remove_file(&self.url).unwrap();
                assert_eq!(get_page(&allow_consent(&url)).status, 200, "{url}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Writes the files that the examples name.
fn write_example_files(stage: &SandboxHome) {
    let folder = stage.sandbox.folder();
    for (file, name) in [("client_secret.json", "client.json"), ("service_account.json", "key.json")] {
        std::fs::copy(folder.join(file), stage.home.path().join(name)).unwrap();
    }
}

#[test]
fn the_documented_login_commands_work() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    write_example_files(&stage);
    let person = ScriptedUser::new(stage.home.path());
    let done = AtomicBool::new(false);
    // Commands that need a terminal are tested elsewhere.
    let at_terminal = ["--no-browser", "--device"];
    let typed = example_commands("gauth login").into_iter();
    let typed: Vec<String> = typed.filter(|line| !at_terminal.iter().any(|flag| line.contains(flag))).collect();
    assert!(typed.len() >= 5, "{typed:?}");
    std::thread::scope(|scope| {
        scope.spawn(|| person.allow_logins_until(&done));
        for line in typed {
            let mut command = stage.shell_command(CredentialKind::Metadata, &format!("set -eu; cd \"$HOME\"; {line}"));
            command.env("BROWSER", &person.script).stdin(Stdio::null());
            command.env("GAUTH_CLIENT_ID_FILE", stage.sandbox.file("client_secret.json"));
            command.env("ISSUER", format!("{}/oidc", stage.sandbox.url()));
            let ended = run(command);
            if ended.exit_code != 0 {
                done.store(true, Ordering::Relaxed);
            }
            assert_eq!(ended.exit_code, 0, "{line}: {ended:?}");
            assert!(ended.stdout.starts_with("signed in as "), "{line}: {ended:?}");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_login_in_the_sandbox_is_stored_and_used() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let person = ScriptedUser::new(stage.home.path());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| person.allow_logins_until(&done));
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauth"));
        command.env_clear().current_dir("/").stdin(Stdio::null());
        command.env("HOME", stage.home.path()).env("TMPDIR", stage.home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("BROWSER", &person.script);
        command.args(["sandbox", "--", "sh", "-c", "gauth login && gauth token --source login"]);
        let ended = run(command);
        done.store(true, Ordering::Relaxed);
        assert_eq!(ended.exit_code, 0, "{ended:?}");
        let (first, token) = ended.stdout.split_once('\n').unwrap();
        assert!(first.starts_with("signed in as ada@example.com"), "{ended:?}");
        assert!(token.starts_with("ya29."), "{ended:?}");
    });
}
