//! `gauth sandbox` as users run it.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::{Signal, kill_process};

use super::{
    CredentialKind, ProcessResult, SandboxHome, file_names, pid, run, share_machine, wait_for,
};

/// `gauth sandbox` with these words, in an environment that has credentials of its own.
fn sandbox_command(stage: &SandboxHome, args: &[&str]) -> Command {
    let mut command = stage.gauth_command(CredentialKind::ServiceAccount, &["sandbox"]);
    command.args(args).env("TMPDIR", stage.home.path());
    for (name, value) in OUTER_CREDENTIAL_VARIABLES {
        command.env(name, value);
    }
    command
}

/// What must not be seen inside.
const OUTER_CREDENTIAL_VARIABLES: [(&str, &str); 6] = [
    ("GAUTH_CREDENTIALS", "/real/key.json"),
    ("GAUTH_ACCOUNT", "real@example.com"),
    ("GOOGLE_OAUTH_ACCESS_TOKEN", "real-token-0123456789"),
    ("CLOUDSDK_AUTH_ACCESS_TOKEN", "real-token-0123456789"),
    ("CLOUDSDK_CORE_ACCOUNT", "real@example.com"),
    ("GOOGLE_APPLICATION_CREDENTIALS", "/real/adc.json"),
];

fn sandbox_folders(stage: &SandboxHome) -> Vec<String> {
    let own = stage.sandbox.folder().file_name().unwrap().to_str().unwrap().to_owned();
    let all = file_names(stage.home.path()).into_iter();
    all.filter(|name| name.starts_with("gauth-sandbox-") && *name != own).collect()
}

#[test]
fn the_status_of_the_command_comes_back_and_nothing_stays() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    for (words, code) in [
        (&["--", "sh", "-c", "exit 0"][..], 0),
        (&["--", "sh", "-c", "exit 7"], 7),
        (&["--", "/no/such/program"], 127),
        (&["--", "/dev/null"], 126),
        (&["--", "sh", "-c", "kill -TERM $$"], 143),
        (&["--", "sh", "-c", "kill -KILL $$"], 137),
        (&["--fault", "token", "--", "true"], 2),
        (&["--fault", "tokens=503", "--", "true"], 2),
        (&["--fault", "token=hello", "--", "true"], 2),
        (&["--latency", "soon", "--", "true"], 2),
        (&["--as", "root", "--", "true"], 2),
        (&["--port", "99999", "--", "true"], 2),
    ] {
        let ended = run(sandbox_command(&stage, words));
        assert_eq!(
            (ended.exit_code, ended.stdout.as_str()),
            (code, ""),
            "{words:?}: {}",
            ended.stderr
        );
        if [2, 126, 127].contains(&code) {
            ended.error_and_hint();
        }
        assert_eq!(sandbox_folders(&stage), [""; 0], "{words:?}");
    }
}

#[test]
fn each_sandbox_credential_yields_a_token() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    for (who, kind) in [
        ("service-account", "service_account"),
        ("user", "authorized_user"),
        ("adc", "authorized_user"),
        ("gcloud", "authorized_user"),
        ("metadata", "metadata"),
    ] {
        let ended = run(sandbox_command(
            &stage,
            &["--as", who, "--", "gauth", "token", "--format", "json"],
        ));
        assert_eq!(ended.exit_code, 0, "{who}: {}", ended.stderr);
        let value: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(value["kind"], kind, "{who}: {value}");
    }
    let words = ["--fault", "token=503x1", "--latency", "50ms", "--", "gauth", "token", "-v"];
    let ended = run(sandbox_command(&stage, &words));
    ended.printed_token();
    assert!(ended.stderr.contains("status 503, trying again"), "{}", ended.stderr);
    let ended = run(sandbox_command(&stage, &["--fault", "token=revoked", "--", "gauth", "token"]));
    assert_eq!(ended.exit_code, 5, "{}", ended.stderr);
}

#[test]
fn the_callers_credentials_are_hidden_from_the_command() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    for who in ["service-account", "user", "adc", "gcloud", "metadata"] {
        let ended = run(sandbox_command(&stage, &["--as", who, "--", "env"]));
        assert!(ended.exit_code == 0 && ended.stdout.contains("GCE_METADATA_HOST=127.0.0.1:"));
        for (name, value) in OUTER_CREDENTIAL_VARIABLES {
            assert!(!ended.stdout.contains(value), "{who}: {name} in {}", ended.stdout);
        }
    }
}

/// A sandbox without a command: the exports, its folder, and the running process.
fn spawn_sandbox(stage: &SandboxHome) -> (std::process::Child, String, Instant) {
    let mut command = sandbox_command(stage, &[]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut exports = String::new();
    child.stdout.take().unwrap().read_to_string(&mut exports).unwrap();
    (child, exports, start)
}

#[test]
fn a_signal_removes_the_folder() {
    let _beside = share_machine();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let stage = SandboxHome::new(&[]);
        let (child, _, start) = spawn_sandbox(&stage);
        assert_eq!(sandbox_folders(&stage).len(), 1);
        kill_process(pid(&child), signal).unwrap();
        assert_eq!(wait_for(child, start).exit_code, code);
        assert_eq!(sandbox_folders(&stage), [""; 0]);
        // With a command inside: it gets the signal, and has its say.
        let script = "trap 'exit 9' INT TERM HUP; echo ready; while :; do sleep 0.01; done";
        let mut command = sandbox_command(&stage, &["--", "bash", "-c", script]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut ready = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut ready).unwrap();
        kill_process(pid(&child), signal).unwrap();
        assert_eq!(wait_for(child, start).exit_code, 9);
        assert_eq!(sandbox_folders(&stage), [""; 0]);
    }
}

#[test]
fn the_exports_are_taken_by_eval() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let (child, exports, start) = spawn_sandbox(&stage);
    let script = format!("{exports}\nset -e\ngauth token\nkill -TERM \"$GAUTH_SANDBOX_PID\"");
    let mut command = stage.shell_command(CredentialKind::ServiceAccount, &script);
    for (name, value) in OUTER_CREDENTIAL_VARIABLES {
        command.env(name, value);
    }
    run(command).printed_token();
    assert_eq!(wait_for(child, start).exit_code, 143);
    // As the manual has it.
    let script = "set -e; eval \"$(gauth sandbox 2> /dev/null &)\"; gauth token; kill \"$GAUTH_SANDBOX_PID\"";
    let mut command = stage.shell_command(CredentialKind::ServiceAccount, script);
    command.env("TMPDIR", stage.home.path());
    let ended: ProcessResult = run(command);
    ended.printed_token();
    let gone = || sandbox_folders(&stage).is_empty();
    let start = Instant::now();
    while !gone() && start.elapsed().as_secs() < 10 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(gone());
}

#[test]
fn an_unwritable_parent_folder_is_reported() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    for parent in ["/no/such/folder", "/dev/null"] {
        let mut command = sandbox_command(&stage, &["--", "true"]);
        command.env("TMPDIR", PathBuf::from(parent));
        let ended = run(command);
        assert!(ended.exit_code != 0 && ended.error_and_hint().0.contains(parent), "{ended:?}");
    }
}
