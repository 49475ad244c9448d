//! `gauth login` with the test as the browser.

mod authorization_responses;
mod callback_abuse;
mod documented_commands;
mod no_browser;
mod redirect_and_browser;
mod workforce_oidc_device;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{CredentialKind, MAX_RUN_TIME, ProcessResult, SandboxHome, file_names, run, share_machine, wait_for};
use crate::browser::{ALLOW, ConsentChoice, get_page, split_url, submit_consent};

/// The bytes of a simple GET request.
fn get_request_bytes(url: &str) -> String {
    let (host, target) = split_url(url);
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

/// Decides on the consent page, and returns the redirect location.
pub(super) fn redirect_of_consent(url: &str, choice: ConsentChoice<'_>) -> String {
    let response = submit_consent(url, choice);
    assert_eq!(response.status, 302, "{response:?}");
    response.location().to_owned()
}

/// Allows everything on the consent page.
pub(super) fn allow_consent(url: &str) -> String {
    redirect_of_consent(url, ALLOW)
}

/// The query parameters of a URL.
pub(super) fn query_parameters(url: &str) -> BTreeMap<String, String> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// A login that has printed its URL and waits for the browser.
pub(super) struct PendingLogin {
    child: Child,
    start: Instant,
    lines: Receiver<String>,
    pub(super) authorization_url: String,
    output_lines: Vec<String>,
}

impl PendingLogin {
    /// The redirect URI of the authorization request.
    pub(super) fn redirect_uri(&self) -> String {
        query_parameters(&self.authorization_url)["redirect_uri"].clone()
    }

    pub(super) fn pid(&self) -> rustix::process::Pid {
        super::pid(&self.child)
    }

    /// Waits until a line of standard error contains the text.
    #[track_caller]
    pub(super) fn wait_for_line(&mut self, text: &str) {
        while !self.output_lines.iter().any(|line| line.contains(text)) {
            let line = self.lines.recv_timeout(MAX_RUN_TIME);
            self.output_lines.push(line.unwrap_or_else(|_| panic!("no {text:?}: {:?}", self.output_lines)));
        }
    }

    /// Waits for the end of the login, and returns its output.
    pub(super) fn wait(mut self) -> ProcessResult {
        let out = self.child.stdout.take();
        let ended = wait_for(self.child, self.start);
        let mut text = String::new();
        out.expect("standard output").read_to_string(&mut text).unwrap();
        self.output_lines.extend(self.lines);
        let err = self.output_lines.iter().map(|line| format!("{line}\n")).collect();
        ProcessResult { stdout: text, stderr: err, ..ended }
    }
}

/// Waits until a started browser has written the file: gauth does not wait for browsers.
#[track_caller]
fn wait_for_file(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < MAX_RUN_TIME, "{} is not written", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl SandboxHome {
    /// `gauth login` with these arguments, in this environment.
    pub(super) fn login_command(&self, args: &[&str]) -> Command {
        let mut command = self.gauth_command(CredentialKind::Metadata, &["login"]);
        command.args(args).env("GAUTH_CLIENT_ID_FILE", self.sandbox.file("client_secret.json"));
        command
    }

    /// Starts the login, and reads the URL that it prints.
    #[track_caller]
    #[expect(clippy::zombie_processes, reason = "a test that fails ends with all it started")]
    pub(super) fn start_login(&self, mut command: Command) -> PendingLogin {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = Instant::now();
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().expect("standard error"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines() {
                // The receiver is closed when the test has failed.
                let _ = sender.send(line.unwrap());
            }
        });
        let mut said = Vec::new();
        loop {
            let line = lines.recv_timeout(Duration::from_secs(30));
            let line = line.unwrap_or_else(|_| panic!("no URL: {said:?}"));
            said.push(line.clone());
            if let Some(url) = line.strip_prefix("  http") {
                return PendingLogin {
                    child,
                    start,
                    lines,
                    authorization_url: format!("http{url}"),
                    output_lines: said,
                };
            }
        }
    }

    /// The login in the account store.
    pub(super) fn own_login(&self, account: &str) -> Option<Value> {
        let bytes = std::fs::read(self.config_folder().join(format!("accounts/{account}.json"))).ok()?;
        Some(serde_json::from_slice(&bytes).expect("a whole file"))
    }

    pub(super) fn active_account(&self) -> Option<String> {
        let bytes = std::fs::read(self.config_folder().join("state.json")).ok()?;
        let state: Value = serde_json::from_slice(&bytes).expect("a whole file");
        state["active"].as_str().map(str::to_owned)
    }

    /// Checks that no login was stored, and no temporary file is left.
    #[track_caller]
    pub(super) fn assert_no_login(&self) {
        let accounts = file_names(&self.config_folder().join("accounts"));
        assert!(accounts.is_empty() && self.active_account().is_none(), "{accounts:?}");
    }
}

const ADA: &str = "ada@example.com";
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

#[test]
fn a_login_is_one_command_and_one_click() {
    use std::os::unix::fs::PermissionsExt;
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let login = stage.start_login(stage.login_command(&["--no-launch-browser"]));
    let asked = query_parameters(&login.authorization_url);
    assert!(asked["state"].len() >= 22 && asked["code_challenge_method"] == "S256", "{asked:?}");
    assert!(asked["redirect_uri"].starts_with("http://127.0.0.1:"), "{asked:?}");
    let page = get_page(&allow_consent(&login.authorization_url));
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<strong>ada@example.com</strong>"), "{}", page.body);
    assert_eq!(page.header("Cache-Control"), Some("no-store"));
    assert_eq!(page.header("Referrer-Policy"), Some("no-referrer"));
    assert!(page.header("Content-Security-Policy").unwrap().starts_with("default-src 'none'"));
    let ended = login.wait();
    assert_eq!(ended.exit_code, 0, "{ended:?}");
    assert_eq!(ended.stdout, "signed in as ada@example.com, scopes cloud-platform, email, openid\n");
    let stored = stage.own_login(ADA).expect("a login");
    assert_eq!(stored["type"], "authorized_user");
    assert_eq!(stored["token_uri"], format!("{}/token", stage.sandbox.url()));
    for (path, mode) in [("", 0o700), ("accounts", 0o700), ("state.json", 0o600)] {
        let about = stage.config_folder().join(path).metadata().unwrap();
        assert_eq!(about.permissions().mode() & 0o777, mode, "{path}");
    }
    assert_eq!(stage.active_account().as_deref(), Some(ADA));
    // The login is used from now on, with one refresh request.
    let before = stage.sandbox.request_count("token");
    let token = || {
        let mut command = stage.gauth_command(CredentialKind::Metadata, &["token"]);
        command.env_remove("GCE_METADATA_HOST");
        run(command).printed_token()
    };
    assert_eq!(token(), token());
    assert_eq!(stage.sandbox.request_count("token") - before, 1);
}

#[test]
fn a_login_does_not_reveal_secrets() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let login = stage.start_login(stage.login_command(&["--no-launch-browser", "-vv"]));
    let back = allow_consent(&login.authorization_url);
    let (code, state) = (query_parameters(&back)["code"].clone(), query_parameters(&back)["state"].clone());
    assert_eq!(get_page(&back).status, 200);
    let ended = login.wait();
    assert_eq!(ended.exit_code, 0, "{ended:?}");
    let stored = stage.own_login(ADA).expect("a login");
    let mut secrets = stage.secrets();
    secrets.extend([code, stored["refresh_token"].as_str().unwrap().to_owned()]);
    assert_eq!(super::find_leaked_secret(ended.stderr.as_bytes(), &secrets), None, "{}", ended.stderr);
    assert_eq!(super::find_leaked_secret(ended.stdout.as_bytes(), &secrets), None, "{}", ended.stdout);
    // The state is part of the URL, which has to be printed.
    assert_eq!(ended.stderr.matches(&state).count(), 1, "{}", ended.stderr);
    let outside = stage.sandbox.requests();
    let verifier = outside.iter().filter_map(|logged| logged.request.form()).flatten();
    let verifier = verifier.filter(|(name, _)| name == "code_verifier").map(|(_, value)| value);
    let verifier: Vec<String> = verifier.collect();
    assert!(verifier.len() == 1 && super::find_leaked_secret(ended.stderr.as_bytes(), &verifier).is_none());
}
