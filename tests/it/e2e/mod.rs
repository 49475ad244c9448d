//! The built program, run as users run it, against the sandbox in this process.
//!
//! Every run has an empty environment, a home of its own and a limit of time. `GAUTH_TEST_FULL=1` asks for the full
//! counts of a release check.
#![allow(clippy::unwrap_used, reason = "tests")]

mod around;
mod curl;
mod damaged;
mod exec;
mod federated;
mod identity;
mod interrupted;
mod killed;
mod login;
mod matrix;
mod one_mint;
mod prompt;
mod reauth;
mod rotation;
mod scan;
mod stdio;

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use gauth::secret::Secret;
use gauth::server::sandbox::environment::First;
use gauth::server::sandbox::faults::Fault;
use gauth::server::sandbox::{Options, Running, Sandbox};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// No run of these tests takes longer.
const LONGEST: Duration = Duration::from_secs(60);

/// Whether the full counts are asked for.
fn full() -> bool {
    std::env::var_os("GAUTH_TEST_FULL").is_some_and(|value| value == "1")
}

/// Tests that fill the machine run alone, those that measure time run beside their like. A locked file says so to other
/// processes as well, for cargo-nextest runs each test in a process of its own.
fn machine() -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("machine.lock");
    File::options().create(true).append(true).open(path).unwrap()
}

fn alone() -> File {
    let machine = machine();
    machine.lock().unwrap();
    machine
}

fn beside() -> File {
    let machine = machine();
    machine.lock_shared().unwrap();
    machine
}

/// The ways to a token that the sandbox has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ServiceAccount,
    User,
    Gcloud,
    Metadata,
    /// A subject token in a file, with a misbehaving STS.
    Federated,
    /// A subject token from a misbehaving URL.
    Subject,
    /// A misbehaving metadata server of AWS's.
    Aws,
    /// A person's login acting as a service account, with a misbehaving IAM.
    Impersonated,
    Workforce,
    Gdch,
}

const KINDS: [Kind; 10] = [
    Kind::ServiceAccount,
    Kind::User,
    Kind::Gcloud,
    Kind::Metadata,
    Kind::Federated,
    Kind::Subject,
    Kind::Aws,
    Kind::Impersonated,
    Kind::Workforce,
    Kind::Gdch,
];

impl Kind {
    /// The route of the sandbox that misbehaves for it: the one that gives its tokens, or what they are made of.
    fn route(self) -> &'static str {
        match self {
            Kind::ServiceAccount | Kind::User | Kind::Gcloud => "token",
            Kind::Metadata => "metadata",
            Kind::Federated => "sts",
            Kind::Subject => "subject",
            Kind::Aws => "aws",
            Kind::Impersonated => "iam",
            Kind::Workforce => "oauthtoken",
            Kind::Gdch => "gdch",
        }
    }

    /// The credential's file in the sandbox's folder.
    fn file(self) -> Option<&'static str> {
        match self {
            Kind::ServiceAccount => Some("service_account.json"),
            Kind::User => Some("authorized_user.json"),
            Kind::Gcloud | Kind::Metadata => None,
            Kind::Federated => Some("external_account_file.json"),
            Kind::Subject => Some("external_account_url.json"),
            Kind::Aws => Some("external_account_aws.json"),
            Kind::Impersonated => Some("impersonated_service_account.json"),
            Kind::Workforce => Some("external_account_authorized_user.json"),
            Kind::Gdch => Some("gdch_service_account.json"),
        }
    }
}

/// A sandbox and a home.
struct Stage {
    google: Running,
    home: tempfile::TempDir,
}

impl Stage {
    fn new(faults: &[&str]) -> Stage {
        Stage::late(faults, Duration::ZERO)
    }

    /// Every answer is late.
    fn late(faults: &[&str], latency: Duration) -> Stage {
        let file: Value =
            serde_json::from_str(include_str!("../../data/credentials/service_account.json"))
                .unwrap();
        let home = tempfile::tempdir().unwrap();
        let options = Options {
            key: Some(Secret::new(file["private_key"].as_str().unwrap())),
            faults: faults.iter().map(|text| Fault::parse(text).unwrap()).collect(),
            latency,
            first: First::Gcloud,
            parent: home.path().to_owned(),
            ..Options::default()
        };
        Stage { google: Sandbox::start(options).unwrap(), home }
    }

    /// The program with nothing in its environment but a home, a path and the way to this kind's tokens.
    fn gauth(&self, kind: Kind, words: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_gauth"), kind);
        command.args(words);
        if kind == Kind::Gdch && words.first() == Some(&"token") {
            command.args(["--audience", "https://service.example"]);
        }
        command
    }

    /// Any program in that environment.
    fn program(&self, program: impl AsRef<OsStr>, kind: Kind) -> Command {
        children_start_with_default_signals();
        let mut command = Command::new(program);
        command.env_clear().current_dir("/").stdin(Stdio::null());
        command.env("HOME", self.home.path()).env("NO_GCE_CHECK", "true");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for service in ["STS", "IAMCREDENTIALS"] {
            let variable = format!("CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}");
            command.env(variable, self.google.url());
        }
        if let Some(file) = kind.file() {
            command.env("GOOGLE_APPLICATION_CREDENTIALS", self.google.file(file));
        }
        match kind {
            Kind::Gcloud => {
                command.env("CLOUDSDK_CONFIG", self.google.folder().join("gcloud"));
                command.env("GAUTH_SOURCE", "gcloud");
            }
            Kind::Metadata => {
                let host = self.google.url().trim_start_matches("http://");
                command.env_remove("NO_GCE_CHECK").env("GCE_METADATA_HOST", host);
            }
            _ => {}
        }
        command
    }

    /// A shell script in which `gauth` is the built program.
    fn shell(&self, kind: Kind, script: &str) -> Command {
        let mut command = self.program("bash", kind);
        let folder = Path::new(env!("CARGO_BIN_EXE_gauth")).parent().unwrap();
        let mut path = folder.as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command.env("PATH", path).args(["-c", script]);
        command
    }

    fn own(&self) -> PathBuf {
        self.home.path().join(".config/gauth")
    }

    fn tokens(&self) -> PathBuf {
        self.own().join("tokens")
    }

    /// What nobody may see: keys, client secrets, refresh tokens.
    fn secrets(&self) -> Vec<String> {
        let cast = self.google.cast();
        let pem = cast.service_account_pem.expose();
        let mut secrets = vec![
            cast.client_secret.expose().to_owned(),
            cast.refresh_token.expose().to_owned(),
            pem.to_owned(),
        ];
        secrets.extend(pem.lines().filter(|line| line.len() > 40).map(str::to_owned));
        secrets
    }

    /// The only token entry.
    fn entry(&self) -> PathBuf {
        let entries = names(&self.tokens()).into_iter().filter(|name| name.len() == 64);
        let entries: Vec<String> = entries.collect();
        assert_eq!(entries.len(), 1, "{entries:?}");
        self.tokens().join(&entries[0])
    }

    /// Mints a token of the service account, and makes its entry an old one with so many seconds left.
    fn seed(&self, left: i64) -> String {
        let token = run(self.gauth(Kind::ServiceAccount, &["token"])).token();
        let path = self.entry();
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, body) = text.split_once('\n').unwrap();
        let mut entry: Value = serde_json::from_str(body).unwrap();
        let now = i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        entry["expires_at"] = (now + left).into();
        entry["written"] = ((now + left - 3599) * 1000).into();
        let body = entry.to_string();
        std::fs::write(&path, format!("gauth1 {:016x}\n{body}", checksum(body.as_bytes())))
            .unwrap();
        token
    }
}

/// FNV-1a, as the head of an entry has it.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
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

/// What is left of a run.
#[derive(Debug)]
struct Ended {
    /// As a shell has it: 128 and the signal's number after one.
    code: i32,
    out: String,
    err: String,
    took: Duration,
}

impl Ended {
    fn of(output: &Output, took: Duration) -> Ended {
        let status = output.status;
        Ended {
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            took,
        }
    }

    /// The token that was printed, and nothing else.
    #[track_caller]
    fn token(&self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.whole();
        self.out.trim_end().to_owned()
    }

    /// Standard output is one token and its line end after success, and nothing after failure.
    #[track_caller]
    fn whole(&self) {
        if self.code != 0 {
            return assert_eq!(self.out, "", "{self:?}");
        }
        let token = self.out.strip_suffix('\n').unwrap_or_default();
        let good = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        assert!(good, "{self:?}");
    }

    /// The message and the hint.
    #[track_caller]
    fn two_lines(&self) -> (&str, &str) {
        let lines: Vec<&str> = self.err.lines().collect();
        let [.., message, hint] = lines[..] else { panic!("no two lines: {self:?}") };
        let message = message.strip_prefix("gauth: ");
        let hint = hint.strip_prefix("try: ");
        match (message, hint) {
            (Some(message), Some(hint)) => (message, hint),
            _ => panic!("no two lines: {self:?}"),
        }
    }
}

/// Runs to the end, which must come.
#[track_caller]
fn run(mut command: Command) -> Ended {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    finish(command.spawn().unwrap(), start)
}

#[track_caller]
fn finish(child: Child, start: Instant) -> Ended {
    let pid = pid(&child);
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(child.wait_with_output()));
    match receive.recv_timeout(LONGEST) {
        Ok(output) => Ended::of(&output.unwrap(), start.elapsed()),
        Err(_) => {
            let _ = kill_process(pid, Signal::KILL);
            panic!("no end within {LONGEST:?}")
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}

/// Runs what must end in time; a busy machine is given two more chances.
#[track_caller]
fn timely(limit: Duration, attempt: impl Fn() -> Ended) -> Ended {
    let mut ended = attempt();
    for _ in 0..2 {
        if ended.took <= limit {
            return ended;
        }
        ended = attempt();
    }
    assert!(ended.took <= limit, "{limit:?} are not enough: {ended:?}");
    ended
}

/// Does the same with each item, a few at a time.
fn each<T: Sync>(items: &[T], workers: usize, work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Numbers that differ from run to run, for moments: which ones does not matter.
fn chance() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// The secret that can be read in a text: plain, percent-encoded or in base64.
fn leaked<'a>(text: &[u8], secrets: &'a [String]) -> Option<&'a str> {
    let text = String::from_utf8_lossy(text);
    // Line ends are spelled in many ways.
    let flat = text.replace("\\n", "").replace("%0A", "").replace('\n', "");
    secrets.iter().map(String::as_str).find(|secret| {
        let percent =
            percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC);
        let packed = [STANDARD_NO_PAD.encode(secret), URL_SAFE_NO_PAD.encode(secret)];
        let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let plain = [(*secret).to_owned(), secret.replace('\n', ""), percent.to_string(), form];
        plain.iter().chain(&packed).any(|form| text.contains(form) || flat.contains(form))
    })
}

#[test]
fn a_secret_in_any_spelling_is_noticed() {
    let secrets = ["GOCSPX-a/b+c".to_owned(), "-----BEGIN X\nabcd\n-----END X".to_owned()];
    for text in [
        "say GOCSPX-a/b+c",
        "say GOCSPX%2Da%2Fb%2Bc",
        "say GOCSPX-a%2Fb%2Bc&x=y",
        "say R09DU1BYLWEvYitj",
        "say \"-----BEGIN X\\nabcd\\n-----END X\"",
    ] {
        assert!(leaked(text.as_bytes(), &secrets).is_some(), "{text}");
    }
    assert_eq!(leaked(b"say [secret 01234567]", &secrets), None);
}
