//! What README.md and the examples of the help tell people to type is typed here, inside a sandbox.
#![allow(clippy::unwrap_used, reason = "tests")]
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gauth::cli::COMMANDS;
use gauth_core::text::secret::Secret;
use gauth_sandbox::environment::HostEnvironment;
use gauth_sandbox::fixtures::{CLIENT_ID, DEPLOYER_ACCOUNT, WORKLOAD_PROVIDER};
use gauth_sandbox::{RunningSandbox, Sandbox, SandboxOptions};

const README: &str = include_str!("../../README.md");

/// A curl that sends nothing, and fails unless it is given a token in a header that is not among its words.
const CURL_SCRIPT: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
    case "$1" in
        -H) shift; case "$1" in @*) headers=$(cat "${1#@}") ;; esac ;;
        -*K) headers=$(cat) ;;
    esac
    shift
done
case "$headers" in *"Authorization: Bearer ya29."* | *"Authorization: Bearer eyJ"*) ;; *) echo "no token: $headers" >&2; exit 1 ;; esac
"#;

/// A reader of manuals.
const MAN_SCRIPT: &str = "#!/bin/sh\ncat > /dev/null\n";

/// A program of the reader's, which wants to be in the sandbox or to be given a token.
const USER_PROGRAM_SCRIPT: &str = r#"#!/bin/sh
test -n "$GOOGLE_APPLICATION_CREDENTIALS$GOOGLE_OAUTH_ACCESS_TOKEN$GCE_METADATA_HOST"
"#;

/// A program that `gauth exec` runs: it is to find a token of the right kind.
const EXEC_PROGRAM_SCRIPT: &str = r#"#!/bin/sh
case "${GAUTH_ID_TOKEN:-}" in eyJ*) exit 0 ;; esac
token=${CLOUDSDK_AUTH_ACCESS_TOKEN:-$(cat "$CLOUDSDK_AUTH_ACCESS_TOKEN_FILE")}
case "$token" in ya29.*) ;; *) exit 1 ;; esac
"#;

/// Makes the sandbox's person the active account of gauth's own.
const SIGN_IN_SCRIPT: &str = r#"
login=$GAUTH_CONFIG_DIR/accounts/ada@example.com.json
mkdir -p -m 700 "$GAUTH_CONFIG_DIR" "$GAUTH_CONFIG_DIR/accounts"
install -m 600 authorized_user.json "$login"
echo '{"active":"ada@example.com"}' | install -m 600 /dev/stdin "$GAUTH_CONFIG_DIR/state.json"
"#;

/// The text between fences that open with this word, with the line it begins on.
fn code_blocks(language: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, &str, String)> = None;
    for (number, line) in README.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(word)) => open = Some((number + 2, word, String::new())),
            (Some(_), Some(_)) => {
                let (at, word, text) = open.take().unwrap();
                if word == language {
                    blocks.push((at, text));
                }
            }
            (Some((_, _, text)), None) => text.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "README.md ends inside a block");
    blocks
}

struct ReadmeMachine {
    sandbox: RunningSandbox,
    programs_folder: tempfile::TempDir,
}

impl ReadmeMachine {
    fn new() -> ReadmeMachine {
        let file = include_str!("../data/credentials/service_account.json");
        let file: serde_json::Value = serde_json::from_str(file).unwrap();
        let sandbox = Sandbox::start(SandboxOptions {
            key: Some(Secret::new(file["private_key"].as_str().unwrap())),
            gauth_program: Some(env!("CARGO_BIN_EXE_gauth").into()),
            ..SandboxOptions::default()
        })
        .unwrap();
        let programs = tempfile::tempdir().unwrap();
        let own = ["make", "python"];
        for (name, text) in
            own.map(|name| (name, USER_PROGRAM_SCRIPT)).into_iter().chain([("curl", CURL_SCRIPT), ("man", MAN_SCRIPT)])
        {
            write_program(&programs.path().join(name), text);
        }
        for name in ["terraform", "gcloud"] {
            write_program(&programs.path().join(name), EXEC_PROGRAM_SCRIPT);
        }
        for name in ["long-job", "probe"] {
            write_program(&sandbox.folder().join(name), EXEC_PROGRAM_SCRIPT);
        }
        for name in ["deploy", "integration-tests"] {
            write_program(&sandbox.folder().join(name), USER_PROGRAM_SCRIPT);
        }
        fs::copy(sandbox.service_account_file(), sandbox.folder().join("key.json")).unwrap();
        write_exchange_files(sandbox.folder());
        ReadmeMachine { sandbox, programs_folder: programs }
    }

    /// Runs a script as CI does: the first failure ends it.
    fn run(&self, script: &str, more_env: &[(&str, &str)]) -> Output {
        let mut path = vec![self.programs_folder.path().to_owned()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let path = std::env::join_paths(path).unwrap();
        let caller = HostEnvironment { path: Some(path), no_proxy: None };
        let folder = self.sandbox.folder();
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", script]).current_dir(folder);
        for (name, value) in self.sandbox.environment(&caller).unwrap() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        // Where these tests run, tokens need not be masked.
        command.env_remove("GITHUB_ACTIONS");
        command.env("HOME", folder).env("CLIENT_ID", CLIENT_ID).envs(more_env.iter().copied()).stdin(Stdio::null());
        command.output().unwrap()
    }
}

/// The files that the examples of the exchange name.
fn write_exchange_files(folder: &Path) {
    fs::copy(folder.join("subject_token.txt"), folder.join("oidc.jwt")).unwrap();
    let boundary = include_str!("../data/credentials/credential_access_boundary.json");
    fs::write(folder.join("boundary.json"), boundary).unwrap();
    let login = fs::read(folder.join("external_account_authorized_user.json")).unwrap();
    let login: serde_json::Value = serde_json::from_slice(&login).unwrap();
    for (file, field) in [("login", "refresh_token"), ("secret", "client_secret")] {
        fs::write(folder.join(file), login[field].as_str().unwrap()).unwrap();
    }
}

fn write_program(path: &PathBuf, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[track_caller]
fn assert_success(what: &str, output: &Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{what}\n{}\n{errors}", output.status);
}

#[test]
fn the_readmes_examples_run() {
    let machine = ReadmeMachine::new();
    let blocks = code_blocks("sh");
    assert!(blocks.len() >= 5, "README.md has lost its examples");
    for (line, script) in blocks {
        assert_success(&format!("README.md:{line}: {script}"), &machine.run(&script, &[]));
    }
}

#[test]
fn the_readmes_first_example_has_a_token() {
    let (_, script) = code_blocks("sh").remove(0);
    let output = ReadmeMachine::new().run(&format!("{script}echo \"$TOKEN\""), &[]);
    assert!(output.stdout.starts_with(b"ya29."), "{output:?}");
}

#[test]
fn the_readmes_ci_steps_run() {
    let machine = ReadmeMachine::new();
    let key = fs::read_to_string(machine.sandbox.service_account_file()).unwrap();
    let steps: Vec<String> = code_blocks("yaml")
        .iter()
        .flat_map(|(_, text)| text.lines())
        .filter_map(|line| {
            let line = line.trim();
            let step = line.strip_prefix("- ").unwrap_or(line);
            step.strip_prefix("run: ").or(Some(step).filter(|step| step.starts_with("gauth ")))
        })
        .map(str::to_owned)
        .collect();
    assert_eq!(steps.len(), 3, "README.md has lost a step of CI");
    for step in steps {
        let more = [("GAUTH_CREDENTIALS", key.as_str()), ("GOOGLE_APPLICATION_CREDENTIALS", "")];
        assert_success(&step, &machine.run(&step, &more));
    }
}

#[test]
fn the_readme_names_the_two_commands_for_a_fresh_machine() {
    let commands: Vec<String> = code_blocks("console").into_iter().map(|(_, text)| text).collect();
    let fresh = "cargo run --release -- sandbox -- gauth token\ntests/run\n";
    assert!(commands.iter().any(|text| text == fresh), "{commands:?}");
}

#[test]
fn the_readme_links_to_files_that_are_there() {
    for link in README.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(link).is_file(), "{link}");
    }
}

#[test]
fn the_readme_says_what_every_ci_system_needs() {
    for system in gauth_core::credentials::external_account::ci::CI_SYSTEMS {
        assert!(README.contains(&format!("\n| {} | ", system.name)), "{}", system.name);
    }
}

#[test]
fn the_readmes_table_of_exit_codes_is_complete() {
    for (kind, _, _) in gauth_core::error::ERROR_KINDS {
        let code = kind.exit_code();
        let listed = README.contains(&format!("| {code} | ")) || code == 141;
        assert!(listed, "exit code {code} is not in README.md");
    }
}

/// The examples of the help are those of the manual.
#[test]
fn the_manuals_examples_run() {
    let machine = ReadmeMachine::new();
    // Logins need a person: see e2e/login/documented.rs.
    let commands = COMMANDS.iter().filter(|spec| spec.name != "login");
    for example in commands.flat_map(|spec| spec.examples) {
        let example_line = example
            .0
            .replace(" URL", " https://storage.googleapis.com/")
            .replace("--audiences URL", "--audiences https://service.example")
            .replace("--impersonate-service-account A", "--impersonate-service-account DEPLOYER")
            .replace("DEPLOYER", DEPLOYER_ACCOUNT)
            .replace("--audience NAME", &format!("--audience {WORKLOAD_PROVIDER}"))
            .replace("--client-id ID", &format!("--client-id {CLIENT_ID}"));
        // Whose example is about a login of gauth's has one.
        let about_logins = ["gauth accounts", "gauth logout"];
        let signed_in = match about_logins.iter().any(|words| example.0.starts_with(words)) {
            true => SIGN_IN_SCRIPT,
            false => "",
        };
        let script =
            format!("mkdir -p ~/.zfunc ~/.config/fish/completions ~/.local/share/man/man1\n{signed_in}{example_line}");
        assert_success(example.0, &machine.run(&script, &[]));
    }
}
