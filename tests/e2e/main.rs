//! End-to-end tests: the built program against a sandbox that runs in the test process.
//!
//! Every run has an empty environment, its own home folder and a time limit. `GAUTH_TEST_FULL=1` runs the full counts of a
//! release check.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "tests stand outside: they start programs and look at clocks")]

#[expect(dead_code, reason = "the in-process tests use the rest of it")]
#[path = "../it/support/browser.rs"]
mod browser;
#[path = "../it/support/leaks.rs"]
mod leaks;

mod concurrent_requests;
mod credential_chains;
mod curl;
mod damaged_files;
mod exec;
mod fault_matrix;
mod id_tokens;
mod killed_processes;
mod login;
mod reauth;
mod refresh_token_rotation;
mod sandbox_command;
mod secret_exposure;
mod standard_streams;
mod system_call_failures;
mod terminal_prompt;

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Once, mpsc};
use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::leaks::find_leaked_secret;
use gauth_core::text::secret::Secret;
use gauth_sandbox::environment::DefaultCredential;
use gauth_sandbox::faults::Fault;
use gauth_sandbox::{RunningSandbox, Sandbox, SandboxOptions};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The time limit of a run.
const MAX_RUN_TIME: Duration = Duration::from_secs(60);

/// Whether `GAUTH_TEST_FULL=1` is set.
fn runs_full_counts() -> bool {
    std::env::var_os("GAUTH_TEST_FULL").is_some_and(|value| value == "1")
}

/// The lock of tests that need the whole machine, shared by the tests that measure time. It is a file, because
/// cargo-nextest runs each test in its own process.
fn machine_lock_file() -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("machine.lock");
    File::options().create(true).append(true).open(path).unwrap()
}

fn lock_machine() -> File {
    let machine = machine_lock_file();
    machine.lock().unwrap();
    machine
}

fn share_machine() -> File {
    let machine = machine_lock_file();
    machine.lock_shared().unwrap();
    machine
}

/// The kinds of credentials that the sandbox has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CredentialKind {
    ServiceAccount,
    User,
    Gcloud,
    Metadata,
    /// A subject token in a file; the faults are those of STS.
    ExternalAccountFile,
    /// A subject token from a URL, which has the faults.
    ExternalAccountUrl,
    /// An AWS role; the faults are those of the metadata server of AWS.
    Aws,
    /// A user login that impersonates a service account; the faults are those of IAM.
    Impersonated,
    Workforce,
    Gdch,
}

const CREDENTIAL_KINDS: [CredentialKind; 10] = [
    CredentialKind::ServiceAccount,
    CredentialKind::User,
    CredentialKind::Gcloud,
    CredentialKind::Metadata,
    CredentialKind::ExternalAccountFile,
    CredentialKind::ExternalAccountUrl,
    CredentialKind::Aws,
    CredentialKind::Impersonated,
    CredentialKind::Workforce,
    CredentialKind::Gdch,
];

impl CredentialKind {
    /// The route of the sandbox that has the faults: the one that issues the tokens or the subject tokens.
    fn fault_route(self) -> &'static str {
        match self {
            CredentialKind::ServiceAccount | CredentialKind::User | CredentialKind::Gcloud => "token",
            CredentialKind::Metadata => "metadata",
            CredentialKind::ExternalAccountFile => "sts",
            CredentialKind::ExternalAccountUrl => "subject",
            CredentialKind::Aws => "aws",
            CredentialKind::Impersonated => "iam",
            CredentialKind::Workforce => "oauthtoken",
            CredentialKind::Gdch => "gdch",
        }
    }

    /// The credential file in the sandbox's folder.
    fn credential_file(self) -> Option<&'static str> {
        match self {
            CredentialKind::ServiceAccount => Some("service_account.json"),
            CredentialKind::User => Some("authorized_user.json"),
            CredentialKind::Gcloud | CredentialKind::Metadata => None,
            CredentialKind::ExternalAccountFile => Some("external_account_file.json"),
            CredentialKind::ExternalAccountUrl => Some("external_account_url.json"),
            CredentialKind::Aws => Some("external_account_aws.json"),
            CredentialKind::Impersonated => Some("impersonated_service_account.json"),
            CredentialKind::Workforce => Some("external_account_authorized_user.json"),
            CredentialKind::Gdch => Some("gdch_service_account.json"),
        }
    }
}

/// A sandbox and a home folder.
struct SandboxHome {
    sandbox: RunningSandbox,
    home: tempfile::TempDir,
}

impl SandboxHome {
    fn new(faults: &[&str]) -> SandboxHome {
        SandboxHome::with_latency(faults, Duration::ZERO)
    }

    /// A sandbox that delays every response.
    fn with_latency(faults: &[&str], latency: Duration) -> SandboxHome {
        let file: Value = serde_json::from_str(include_str!("../data/credentials/service_account.json")).unwrap();
        let home = tempfile::tempdir().unwrap();
        let options = SandboxOptions {
            key: Some(Secret::new(file["private_key"].as_str().unwrap())),
            faults: faults.iter().map(|text| Fault::parse(text).unwrap()).collect(),
            latency,
            default_credential: DefaultCredential::Gcloud,
            parent_folder: home.path().to_owned(),
            ..SandboxOptions::default()
        };
        SandboxHome { sandbox: Sandbox::start(options).unwrap(), home }
    }

    /// `gauth` with only `HOME`, `PATH` and the variables of this credential in its environment.
    fn gauth_command(&self, kind: CredentialKind, args: &[&str]) -> Command {
        let mut command = self.program_command(env!("CARGO_BIN_EXE_gauth"), kind);
        command.args(args);
        if kind == CredentialKind::Gdch && args.first() == Some(&"token") {
            command.args(["--audience", "https://service.example"]);
        }
        command
    }

    /// Any program in the same environment.
    fn program_command(&self, program: impl AsRef<OsStr>, kind: CredentialKind) -> Command {
        children_start_with_default_signals();
        let mut command = Command::new(program);
        command.env_clear().current_dir("/").stdin(Stdio::null());
        command.env("HOME", self.home.path()).env("NO_GCE_CHECK", "true");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for service in ["STS", "IAMCREDENTIALS"] {
            let variable = format!("CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}");
            command.env(variable, self.sandbox.url());
        }
        if let Some(file) = kind.credential_file() {
            command.env("GOOGLE_APPLICATION_CREDENTIALS", self.sandbox.file(file));
        }
        match kind {
            CredentialKind::Gcloud => {
                command.env("CLOUDSDK_CONFIG", self.sandbox.folder().join("gcloud"));
                command.env("GAUTH_SOURCE", "gcloud");
            }
            CredentialKind::Metadata => {
                let host = self.sandbox.url().trim_start_matches("http://");
                command.env_remove("NO_GCE_CHECK").env("GCE_METADATA_HOST", host);
            }
            _ => {}
        }
        command
    }

    /// A shell script, with the built `gauth` on its `PATH`.
    fn shell_command(&self, kind: CredentialKind, script: &str) -> Command {
        let mut command = self.program_command("bash", kind);
        let folder = Path::new(env!("CARGO_BIN_EXE_gauth")).parent().unwrap();
        let mut path = folder.as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command.env("PATH", path).args(["-c", script]);
        command
    }

    fn config_folder(&self) -> PathBuf {
        self.home.path().join(".config/gauth")
    }

    fn token_cache_folder(&self) -> PathBuf {
        self.config_folder().join("tokens")
    }

    /// The secrets that must not be visible: private key, client secret, refresh token.
    fn secrets(&self) -> Vec<String> {
        let fixtures = self.sandbox.fixtures();
        let pem = fixtures.service_account_pem.expose();
        let mut secrets = vec![
            fixtures.client_secret.expose().to_owned(),
            fixtures.refresh_token.expose().to_owned(),
            pem.to_owned(),
        ];
        secrets.extend(pem.lines().filter(|line| line.len() > 40).map(str::to_owned));
        secrets
    }

    /// The only entry of the token cache.
    fn cache_entry(&self) -> PathBuf {
        let entries = file_names(&self.token_cache_folder()).into_iter().filter(|name| name.len() == 64);
        let entries: Vec<String> = entries.collect();
        assert_eq!(entries.len(), 1, "{entries:?}");
        self.token_cache_folder().join(&entries[0])
    }

    /// Fetches a token of the service account, and changes its cache entry to have this many seconds left.
    fn seed_cached_token(&self, seconds_left: i64) -> String {
        let token = run(self.gauth_command(CredentialKind::ServiceAccount, &["token"])).printed_token();
        let path = self.cache_entry();
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, body) = text.split_once('\n').unwrap();
        let mut entry: Value = serde_json::from_str(body).unwrap();
        let now = i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        entry["expires_at"] = (now + seconds_left).into();
        entry["written"] = ((now + seconds_left - 3599) * 1000).into();
        std::fs::write(&path, format!("gauth2\n{entry}")).unwrap();
        token
    }
}

/// Makes the children of this process start with the default action for signals, whatever `nohup` or a shell's `&`
/// made this process ignore. An ignored signal stays ignored in a child; one that is caught does not. So a handler that
/// does nothing is installed for each signal that is ignored, and this process goes on ignoring it.
fn children_start_with_default_signals() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
        let ignored = u64::from_str_radix(mask.trim(), 16).unwrap();
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
            if ignored >> (signal - 1) & 1 == 1 {
                let seen = Arc::new(AtomicBool::new(false));
                signal_hook::flag::register(signal, seen).unwrap();
            }
        }
    });
}

/// The result of a process.
#[derive(Debug)]
struct ProcessResult {
    /// The exit code, or 128 plus the signal number.
    exit_code: i32,
    stdout: String,
    stderr: String,
    duration: Duration,
}

impl ProcessResult {
    fn from_output(output: &Output, duration: Duration) -> ProcessResult {
        let status = output.status;
        ProcessResult {
            exit_code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            duration,
        }
    }

    /// Asserts that the run printed only a token, and returns it.
    #[track_caller]
    fn printed_token(&self) -> String {
        assert_eq!(self.exit_code, 0, "{self:?}");
        self.assert_output_whole();
        self.stdout.trim_end().to_owned()
    }

    /// Asserts that standard output is one token and a newline after success, and empty after failure.
    #[track_caller]
    fn assert_output_whole(&self) {
        if self.exit_code != 0 {
            return assert_eq!(self.stdout, "", "{self:?}");
        }
        let token = self.stdout.strip_suffix('\n').unwrap_or_default();
        let good = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        assert!(good, "{self:?}");
    }

    /// The message and the hint of an error.
    #[track_caller]
    fn error_and_hint(&self) -> (&str, &str) {
        let lines: Vec<&str> = self.stderr.lines().collect();
        let [.., message, hint] = lines[..] else { panic!("not a message and a hint: {self:?}") };
        let message = message.strip_prefix("gauth: ");
        let hint = hint.strip_prefix("try: ");
        match (message, hint) {
            (Some(message), Some(hint)) => (message, hint),
            _ => panic!("not a message and a hint: {self:?}"),
        }
    }
}

/// Runs a command within the time limit.
#[track_caller]
fn run(mut command: Command) -> ProcessResult {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    wait_for(command.spawn().unwrap(), start)
}

#[track_caller]
fn wait_for(child: Child, start: Instant) -> ProcessResult {
    let pid = pid(&child);
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(child.wait_with_output()));
    match receive.recv_timeout(MAX_RUN_TIME) {
        Ok(output) => ProcessResult::from_output(&output.unwrap(), start.elapsed()),
        Err(_) => {
            let _ = kill_process(pid, Signal::KILL);
            panic!("no end within {MAX_RUN_TIME:?}")
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}

/// Runs what must end within `limit`, up to three times because the machine may be busy.
#[track_caller]
fn run_within(limit: Duration, attempt: impl Fn() -> ProcessResult) -> ProcessResult {
    let mut result = attempt();
    for _ in 0..2 {
        if result.duration <= limit {
            return result;
        }
        result = attempt();
    }
    assert!(result.duration <= limit, "{limit:?} are not enough: {result:?}");
    result
}

/// Calls `action` with each item, in `workers` threads.
fn for_each_parallel<T: Sync>(items: &[T], workers: usize, action: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    action(item);
                }
            });
        }
    });
}

/// The sorted file names in a folder.
fn file_names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A random number, for random moments.
fn random_number() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
