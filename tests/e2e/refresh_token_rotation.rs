//! Refresh tokens that are valid once: no process sends one that another process has used.

use std::path::PathBuf;

use gauth_sandbox::fixtures::{GRANTED_SCOPES, USER};
use serde_json::Value;

use super::{CredentialKind, SandboxHome, file_names, for_each_parallel, lock_machine, run, runs_full_counts};

/// Different subsets of the granted scopes, so that each run has another cache key.
fn distinct_scope_lists(count: usize) -> Vec<String> {
    let subset = |bits: usize| {
        let chosen = GRANTED_SCOPES.iter().enumerate().filter(|(index, _)| bits >> index & 1 == 1);
        chosen.map(|(_, scope)| *scope).collect::<Vec<_>>().join(",")
    };
    (1..=count).map(subset).collect()
}

/// Stores the login in gauth's folder, as the active account.
pub(super) fn store_own_login(test: &SandboxHome) -> PathBuf {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let accounts = test.config_folder().join("accounts");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&accounts).unwrap();
    let login = accounts.join(format!("{USER}.json"));
    std::fs::copy(test.sandbox.authorized_user_file(), &login).unwrap();
    let state = test.config_folder().join("state.json");
    std::fs::write(&state, format!("{{\"active\":\"{USER}\"}}")).unwrap();
    for file in [&login, &state] {
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    }
    login
}

/// The overlay file with the newest refresh token of a login that gauth may not write.
pub(super) fn overlay_file(test: &SandboxHome) -> Option<PathBuf> {
    let folder = test.config_folder().join("accounts/shadow");
    let files = file_names(&folder).into_iter().filter(|name| !name.starts_with('.'));
    let files: Vec<String> = files.collect();
    assert!(files.len() <= 1, "{files:?}");
    files.first().map(|name| folder.join(name))
}

/// The refresh token in a login file.
#[track_caller]
pub(super) fn read_refresh_token(file: &std::path::Path) -> String {
    let bytes = std::fs::read(file).unwrap();
    let value: Value = serde_json::from_slice(&bytes).expect("a whole file");
    let token = value["refresh_token"].as_str().unwrap_or_default();
    assert!(token.starts_with("1//") && token.len() > 40, "{value}");
    token.to_owned()
}

/// The refresh tokens that were sent after the first `before` requests.
fn sent_refresh_tokens(test: &SandboxHome, before: usize) -> Vec<String> {
    let requests = test.sandbox.requests();
    let forms = requests[before..].iter().filter_map(|logged| logged.request.form()).flatten();
    forms.filter(|(name, _)| name == "refresh_token").map(|(_, value)| value).collect()
}

/// The server accepts each refresh token once, and revokes the login when one is sent twice.
#[test]
fn fifty_concurrent_processes_never_reuse_a_refresh_token() {
    let _exclusive = lock_machine();
    let rounds = if runs_full_counts() { 100 } else { 2 };
    for ours in [false, true] {
        let test = SandboxHome::new(&["token=rotate"]);
        let login = ours.then(|| store_own_login(&test));
        let ask = |scopes: &str| {
            let args = ["token", "--refresh", "--scopes", scopes, "--timeout", "55s"];
            let mut command = test.gauth_command(CredentialKind::User, &args);
            if ours {
                command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
            }
            run(command)
        };
        for round in 1..=rounds {
            let before = test.sandbox.requests().len();
            for_each_parallel(&distinct_scope_lists(50), 50, |scopes| drop(ask(scopes).printed_token()));
            let login = login.clone().or_else(|| overlay_file(&test)).unwrap();
            let last = read_refresh_token(&login);
            let sent = sent_refresh_tokens(&test, before);
            assert_eq!(sent.len(), 50, "one request for each, and none refused, in round {round}");
            let each_once: std::collections::BTreeSet<&String> = sent.iter().collect();
            assert_eq!(each_once.len(), 50, "a token was spent twice in round {round}");
            assert!(!each_once.contains(&last), "the stored token was spent in round {round}");
        }
        // The server accepts only the newest refresh token.
        ask(&GRANTED_SCOPES.join(",")).printed_token();
    }
}
