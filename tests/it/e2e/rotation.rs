//! Refresh tokens that are good once: nobody may send one that another process has spent.

use std::path::PathBuf;

use gauth::server::sandbox::cast::{GRANTED, USER};
use serde_json::Value;

use super::{Kind, Stage, alone, each, full, names, run};

/// As many different requests, and so different keys of the cache: each a subset of what was granted.
fn wishes(count: usize) -> Vec<String> {
    let subset = |bits: usize| {
        let chosen = GRANTED.iter().enumerate().filter(|(index, _)| bits >> index & 1 == 1);
        chosen.map(|(_, scope)| *scope).collect::<Vec<_>>().join(",")
    };
    (1..=count).map(subset).collect()
}

/// Puts the login into gauth's own store, as the active account.
pub(super) fn own_login(stage: &Stage) -> PathBuf {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let accounts = stage.own().join("accounts");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&accounts).unwrap();
    let login = accounts.join(format!("{USER}.json"));
    std::fs::copy(stage.google.authorized_user_file(), &login).unwrap();
    let state = stage.own().join("state.json");
    std::fs::write(&state, format!("{{\"active\":\"{USER}\"}}")).unwrap();
    for file in [&login, &state] {
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    }
    login
}

/// The file in which the newest refresh token of a foreign login is kept.
pub(super) fn shadow(stage: &Stage) -> Option<PathBuf> {
    let folder = stage.own().join("accounts/shadow");
    let files = names(&folder).into_iter().filter(|name| !name.starts_with('.'));
    let files: Vec<String> = files.collect();
    assert!(files.len() <= 1, "{files:?}");
    files.first().map(|name| folder.join(name))
}

/// The refresh token in a file, which must be one.
#[track_caller]
pub(super) fn refresh_token(file: &std::path::Path) -> String {
    let bytes = std::fs::read(file).unwrap();
    let value: Value = serde_json::from_slice(&bytes).expect("a whole file");
    let token = value["refresh_token"].as_str().unwrap_or_default();
    assert!(token.starts_with("1//") && token.len() > 40, "{value}");
    token.to_owned()
}

/// What was sent in the place of the refresh token since so many requests.
fn spent(stage: &Stage, before: usize) -> Vec<String> {
    let requests = stage.google.requests();
    let forms = requests[before..].iter().filter_map(|logged| logged.request.form()).flatten();
    forms.filter(|(name, _)| name == "refresh_token").map(|(_, value)| value).collect()
}

/// A server that takes each refresh token once, and ends the login of whoever sends one twice.
#[test]
fn fifty_at_once_never_spend_a_token_twice() {
    let _alone = alone();
    let rounds = if full() { 100 } else { 2 };
    for ours in [false, true] {
        let stage = Stage::new(&["token=rotate"]);
        let login = ours.then(|| own_login(&stage));
        let ask = |scopes: &str| {
            let words = ["token", "--refresh", "--scopes", scopes, "--timeout", "55s"];
            let mut command = stage.gauth(Kind::User, &words);
            if ours {
                command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
            }
            run(command)
        };
        for round in 1..=rounds {
            let before = stage.google.requests().len();
            each(&wishes(50), 50, |scopes| drop(ask(scopes).token()));
            let login = login.clone().or_else(|| shadow(&stage)).unwrap();
            let last = refresh_token(&login);
            let sent = spent(&stage, before);
            assert_eq!(sent.len(), 50, "one request for each, and none refused, in round {round}");
            let each_once: std::collections::BTreeSet<&String> = sent.iter().collect();
            assert_eq!(each_once.len(), 50, "a token was spent twice in round {round}");
            assert!(!each_once.contains(&last), "the stored token was spent in round {round}");
        }
        // Only the newest one is taken: any other would end the login.
        ask(&GRANTED.join(",")).token();
    }
}
