//! `gauth sandbox` as users run it.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::{Signal, kill_process};

use super::{CredentialKind, ProcessResult, SandboxHome, file_names, pid, run, share_machine, wait_for};

/// `gauth sandbox` with these arguments, in an environment with the caller's credentials.
fn sandbox_command(test: &SandboxHome, args: &[&str]) -> Command {
    let mut command = test.gauth_command(CredentialKind::ServiceAccount, &["sandbox"]);
    command.args(args).env("TMPDIR", test.home.path());
    for (name, value) in OUTER_CREDENTIAL_VARIABLES {
        command.env(name, value);
    }
    command
}

/// The caller's variables that the command must not see.
const OUTER_CREDENTIAL_VARIABLES: [(&str, &str); 6] = [
    ("GAUTH_CREDENTIALS", "/real/key.json"),
    ("GAUTH_ACCOUNT", "real@example.com"),
    ("GOOGLE_OAUTH_ACCESS_TOKEN", "real-token-0123456789"),
    ("CLOUDSDK_AUTH_ACCESS_TOKEN", "real-token-0123456789"),
    ("CLOUDSDK_CORE_ACCOUNT", "real@example.com"),
    ("GOOGLE_APPLICATION_CREDENTIALS", "/real/adc.json"),
];

fn sandbox_folders(test: &SandboxHome) -> Vec<String> {
    let own = test.sandbox.folder().file_name().unwrap().to_str().unwrap().to_owned();
    let all = file_names(test.home.path()).into_iter();
    all.filter(|name| name.starts_with("gauth-sandbox-") && *name != own).collect()
}

#[test]
fn the_status_of_the_command_is_returned_and_no_folder_remains() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    for (args, code) in [
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
        let result = run(sandbox_command(&test, args));
        assert_eq!((result.exit_code, result.stdout.as_str()), (code, ""), "{args:?}: {}", result.stderr);
        if [2, 126, 127].contains(&code) {
            result.error_and_hint();
        }
        assert_eq!(sandbox_folders(&test), [""; 0], "{args:?}");
    }
}

#[test]
fn each_sandbox_credential_yields_a_token() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    for (who, kind) in [
        ("service-account", "service_account"),
        ("user", "authorized_user"),
        ("adc", "authorized_user"),
        ("gcloud", "authorized_user"),
        ("metadata", "metadata"),
    ] {
        let result = run(sandbox_command(&test, &["--as", who, "--", "gauth", "token", "--format", "json"]));
        assert_eq!(result.exit_code, 0, "{who}: {}", result.stderr);
        let value: serde_json::Value = serde_json::from_str(&result.stdout).unwrap();
        assert_eq!(value["kind"], kind, "{who}: {value}");
    }
    let args = ["--fault", "token=503x1", "--latency", "50ms", "--", "gauth", "token", "-v"];
    let result = run(sandbox_command(&test, &args));
    result.printed_token();
    assert!(result.stderr.contains("status 503, trying again"), "{}", result.stderr);
    let result = run(sandbox_command(&test, &["--fault", "token=revoked", "--", "gauth", "token"]));
    assert_eq!(result.exit_code, 5, "{}", result.stderr);
}

#[test]
fn the_callers_credentials_are_hidden_from_the_command() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    for who in ["service-account", "user", "adc", "gcloud", "metadata"] {
        let result = run(sandbox_command(&test, &["--as", who, "--", "env"]));
        assert!(result.exit_code == 0 && result.stdout.contains("GCE_METADATA_HOST=127.0.0.1:"));
        for (name, value) in OUTER_CREDENTIAL_VARIABLES {
            assert!(!result.stdout.contains(value), "{who}: {name} in {}", result.stdout);
        }
    }
}

/// A sandbox without a command: the exports, its folder, and the running process.
fn spawn_sandbox(test: &SandboxHome) -> (std::process::Child, String, Instant) {
    let mut command = sandbox_command(test, &[]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut exports = String::new();
    child.stdout.take().unwrap().read_to_string(&mut exports).unwrap();
    (child, exports, start)
}

#[test]
fn a_signal_removes_the_folder() {
    let _shared = share_machine();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let test = SandboxHome::new(&[]);
        let (child, _, start) = spawn_sandbox(&test);
        assert_eq!(sandbox_folders(&test).len(), 1);
        kill_process(pid(&child), signal).unwrap();
        assert_eq!(wait_for(child, start).exit_code, code);
        assert_eq!(sandbox_folders(&test), [""; 0]);
        // A command in the sandbox receives the signal and ends by itself.
        let script = "trap 'exit 9' INT TERM HUP; echo ready; while :; do sleep 0.01; done";
        let mut command = sandbox_command(&test, &["--", "bash", "-c", script]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut ready = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut ready).unwrap();
        kill_process(pid(&child), signal).unwrap();
        assert_eq!(wait_for(child, start).exit_code, 9);
        assert_eq!(sandbox_folders(&test), [""; 0]);
    }
}

#[test]
fn the_exports_are_taken_by_eval() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let (child, exports, start) = spawn_sandbox(&test);
    let script = format!("{exports}\nset -e\ngauth token\nkill -TERM \"$GAUTH_SANDBOX_PID\"");
    let mut command = test.shell_command(CredentialKind::ServiceAccount, &script);
    for (name, value) in OUTER_CREDENTIAL_VARIABLES {
        command.env(name, value);
    }
    run(command).printed_token();
    assert_eq!(wait_for(child, start).exit_code, 143);
    // The example of the manual.
    let script = "set -e; eval \"$(gauth sandbox 2> /dev/null &)\"; gauth token; kill \"$GAUTH_SANDBOX_PID\"";
    let mut command = test.shell_command(CredentialKind::ServiceAccount, script);
    command.env("TMPDIR", test.home.path());
    let result: ProcessResult = run(command);
    result.printed_token();
    let gone = || sandbox_folders(&test).is_empty();
    let start = Instant::now();
    while !gone() && start.elapsed().as_secs() < 10 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(gone());
}

#[test]
fn an_unwritable_parent_folder_is_reported() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    for parent in ["/no/such/folder", "/dev/null"] {
        let mut command = sandbox_command(&test, &["--", "true"]);
        command.env("TMPDIR", PathBuf::from(parent));
        let result = run(command);
        assert!(result.exit_code != 0 && result.error_and_hint().0.contains(parent), "{result:?}");
    }
}
