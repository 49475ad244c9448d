//! What the person and the server may say.

use serde_json::Value;

use super::{ADA, PLATFORM, Stage, allow, beside, press, query, run, visit};
use crate::e2e::Kind;

/// Signs in as the words say, and presses the button.
#[track_caller]
fn signed_in(stage: &Stage, words: &[&str], button: &str) -> (super::Ended, String) {
    let login = stage.asking({
        let mut command = stage.sign_in(&["--no-launch-browser"]);
        command.args(words);
        command
    });
    let page = visit(&press(&login.url, button, |_| {}));
    assert_eq!(page.status, 200);
    (login.end(), page.body)
}

#[test]
fn a_denied_consent_is_said_here_and_in_the_browser() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let (ended, page) = signed_in(&stage, &[], "deny");
    assert_eq!((ended.code, &*ended.out), (5, ""));
    let (message, hint) = ended.two_lines();
    assert!(
        message.contains("the consent was denied") && hint.contains("gauth login"),
        "{ended:?}"
    );
    assert!(page.contains("Not signed in") && page.contains("the consent was denied"), "{page}");
    stage.has_no_login();
}

#[test]
fn somebody_else_is_not_stored_as_who_was_asked_for() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let words = [
        "--no-launch-browser",
        "--account",
        "carol@example.com",
        "--prompt",
        "select_account consent",
    ];
    let login = stage.asking(stage.sign_in(&words));
    let page = visit(&allow(&login.url)).body;
    let ended = login.end();
    assert_eq!((ended.code, &*ended.out), (4, ""), "{ended:?}");
    let (message, hint) = ended.two_lines();
    assert!(message.contains("--account asks for carol@example.com"), "{message}");
    assert!(hint.contains("--prompt select_account"), "{hint}");
    assert!(page.contains("carol@example.com"), "{page}");
    stage.has_no_login();
    let (ended, _) = signed_in(&stage, &["--hd", "other.example"], "allow");
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.two_lines().0.contains("--hd asks for"), "{ended:?}");
    stage.has_no_login();
    let (ended, _) =
        signed_in(&stage, &["--account", "Ada@Example.com", "--hd", "example.com"], "allow");
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[test]
fn scopes_that_were_not_granted_are_named() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let login =
        stage.asking(stage.sign_in(&["--no-launch-browser", "--scopes", "cloud-platform,compute"]));
    let back = press(&login.url, "allow", |sent| {
        sent.retain(|(name, value)| name != "scope" || !value.ends_with("/compute"));
    });
    assert_eq!(visit(&back).status, 200);
    let ended = login.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("gauth: warning: not granted: compute\n"), "{}", ended.err);
    let stored = stage.login_of(ADA).expect("a login");
    let scopes: Vec<&str> =
        stored["scopes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(
        scopes.contains(&PLATFORM) && !scopes.iter().any(|scope| scope.ends_with("compute")),
        "{scopes:?}"
    );
}

#[test]
fn without_a_refresh_token_there_is_no_login() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    assert_eq!(signed_in(&stage, &[], "allow").0.code, 0);
    let first = stage.login_of(ADA);
    // Consent has been given, so Google gives no other one.
    let (ended, page) = signed_in(&stage, &["--prompt", "select_account"], "allow");
    assert_eq!((ended.code, &*ended.out), (5, ""), "{ended:?}");
    let (message, hint) = ended.two_lines();
    assert!(message.contains("no refresh token") && hint.contains("--prompt consent"), "{ended:?}");
    assert!(page.contains("--prompt consent"), "{page}");
    assert_eq!(stage.login_of(ADA), first, "the login that was there is still there");
    let (again, _) = signed_in(&stage, &[], "allow");
    assert_eq!(again.code, 0, "{again:?}");
    assert_ne!(stage.login_of(ADA), first);
}

#[test]
fn a_server_that_misbehaves_stores_nothing() {
    let _beside = beside();
    for (fault, code, words) in [
        ("token=html", 6, "captive portal"),
        ("token=garbage", 6, "UTF-8"),
        ("token=empty", 6, "answer"),
        ("token=redirect", 6, "redirects"),
        ("token=missing", 6, "access_token"),
        ("token=bad-token", 6, "access_token"),
        ("token=revoked", 5, "invalid_grant"),
        ("token=503", 6, "503"),
        ("token=close", 6, "127.0.0.1"),
        ("token=truncate", 6, "127.0.0.1"),
        ("token=oversize", 6, "1 MiB"),
        ("token=hang", 6, "127.0.0.1"),
    ] {
        let stage = Stage::new(&[fault]);
        let (ended, page) = signed_in(&stage, &["--timeout", "2s"], "allow");
        assert_eq!((ended.code, &*ended.out), (code, ""), "{fault}: {ended:?}");
        let (message, hint) = ended.two_lines();
        assert!(message.contains(words) || hint.contains(words), "{fault}: {ended:?}");
        assert!(page.contains("Not signed in"), "{fault}: {page}");
        // A code is good once.
        assert_eq!(stage.google.count("token"), 1, "{fault}");
        stage.has_no_login();
    }
}

#[test]
fn what_comes_with_a_login_is_asked_for_and_kept() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let words = [
        "--quota-project",
        "payer",
        "--include-granted-scopes",
        "--parameter",
        "ui_locales=de",
        "--format",
        "json",
    ];
    let login = stage.asking({
        let mut command = stage.sign_in(&["--no-launch-browser", "--no-activate"]);
        command.args(words);
        command
    });
    let asked = query(&login.url);
    assert_eq!((&*asked["ui_locales"], &*asked["include_granted_scopes"]), ("de", "true"));
    assert_eq!((&*asked["prompt"], &*asked["access_type"]), ("consent", "offline"));
    visit(&allow(&login.url));
    let ended = login.end();
    let told: Value = serde_json::from_str(&ended.out).expect("JSON");
    assert_eq!((told["account"].as_str(), told["active"].as_bool()), (Some(ADA), Some(false)));
    assert_eq!(stage.login_of(ADA).expect("a login")["quota_project_id"], "payer");
    assert_eq!(stage.active(), None);
    let mut named = stage.gauth(Kind::Metadata, &["token", ADA, "--format", "json"]);
    named.env_remove("GCE_METADATA_HOST");
    let token: Value = serde_json::from_str(&run(named).out).expect("JSON");
    assert_eq!(
        (token["source"].as_str(), token["quota_project"].as_str()),
        (Some("login"), Some("payer"))
    );
}

#[test]
fn who_signs_in_again_need_not_name_client_and_scopes_again() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let (first, _) = signed_in(&stage, &["--scopes", "cloud-platform,compute"], "allow");
    assert_eq!(first.code, 0, "{first:?}");
    for (words, compute) in [(&["--account", ADA][..], true), (&[], false)] {
        let mut command = stage.sign_in(&["--no-launch-browser"]);
        command.env_remove("GAUTH_CLIENT_ID_FILE").args(words);
        let login = stage.asking(command);
        let asked = query(&login.url);
        assert_eq!(asked["scope"].contains("/compute"), compute, "{asked:?}");
        assert_eq!(asked.get("login_hint").map(String::as_str), words.get(1).copied());
        assert_eq!(visit(&allow(&login.url)).status, 200);
        assert_eq!(login.end().code, 0);
    }
}
