//! Responses of the user and of the authorization server.

use serde_json::Value;

use super::{
    ADA, CLOUD_PLATFORM, SandboxHome, allow_consent, query_parameters, redirect_of_consent, run, share_machine,
};
use crate::CredentialKind;
use crate::browser::{ALLOW, ConsentChoice, get_page};

/// Signs in with these arguments, and presses this button.
#[track_caller]
fn login_with_button(stage: &SandboxHome, args: &[&str], button: &str) -> (super::ProcessResult, String) {
    let login = stage.start_login({
        let mut command = stage.login_command(&["--no-launch-browser"]);
        command.args(args);
        command
    });
    let choice = ConsentChoice { button, ..ALLOW };
    let page = get_page(&redirect_of_consent(&login.authorization_url, choice));
    assert_eq!(page.status, 200);
    (login.wait(), page.body)
}

#[test]
fn a_denied_consent_is_reported_here_and_in_the_browser() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let (ended, page) = login_with_button(&stage, &[], "deny");
    assert_eq!((ended.exit_code, &*ended.stdout), (5, ""));
    let (message, hint) = ended.error_and_hint();
    assert!(message.contains("consent was denied") && hint.contains("gauth login"), "{ended:?}");
    assert!(page.contains("Not signed in") && page.contains("consent was denied"), "{page}");
    stage.assert_no_login();
}

#[test]
fn another_account_is_not_stored_as_the_requested_one() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let words = ["--no-launch-browser", "--account", "carol@example.com", "--prompt", "select_account consent"];
    let login = stage.start_login(stage.login_command(&words));
    let page = get_page(&allow_consent(&login.authorization_url)).body;
    let ended = login.wait();
    assert_eq!((ended.exit_code, &*ended.stdout), (4, ""), "{ended:?}");
    let (message, hint) = ended.error_and_hint();
    assert!(message.contains("instead of carol@example.com (--account)"), "{message}");
    assert!(hint.contains("--prompt select_account"), "{hint}");
    assert!(page.contains("carol@example.com"), "{page}");
    stage.assert_no_login();
    let (ended, _) = login_with_button(&stage, &["--hd", "other.example"], "allow");
    assert_eq!(ended.exit_code, 4, "{ended:?}");
    assert!(ended.error_and_hint().0.contains("(--hd)"), "{ended:?}");
    stage.assert_no_login();
    let (ended, _) = login_with_button(&stage, &["--account", "Ada@Example.com", "--hd", "example.com"], "allow");
    assert_eq!(ended.exit_code, 0, "{ended:?}");
}

#[test]
fn scopes_that_were_not_granted_are_named() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let login = stage.start_login(stage.login_command(&["--no-launch-browser", "--scopes", "cloud-platform,compute"]));
    let scopes = get_page(&login.authorization_url).input_values("scope");
    let granted: Vec<&str> = scopes.iter().map(String::as_str).filter(|scope| !scope.ends_with("/compute")).collect();
    assert!(granted.len() < scopes.len(), "{scopes:?}");
    let choice = ConsentChoice { scopes: Some(&granted), ..ALLOW };
    let back = redirect_of_consent(&login.authorization_url, choice);
    assert_eq!(get_page(&back).status, 200);
    let ended = login.wait();
    assert_eq!(ended.exit_code, 0, "{ended:?}");
    assert!(ended.stderr.contains("gauth: warning: not granted: compute\n"), "{}", ended.stderr);
    let stored = stage.own_login(ADA).expect("a login");
    let scopes: Vec<&str> = stored["scopes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(scopes.contains(&CLOUD_PLATFORM) && !scopes.iter().any(|scope| scope.ends_with("compute")), "{scopes:?}");
}

#[test]
fn without_a_refresh_token_there_is_no_login() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    assert_eq!(login_with_button(&stage, &[], "allow").0.exit_code, 0);
    let first = stage.own_login(ADA);
    // Consent was given before, so Google gives no refresh token.
    let (ended, page) = login_with_button(&stage, &["--prompt", "select_account"], "allow");
    assert_eq!((ended.exit_code, &*ended.stdout), (5, ""), "{ended:?}");
    let (message, hint) = ended.error_and_hint();
    assert!(message.contains("no refresh token") && hint.contains("--prompt consent"), "{ended:?}");
    assert!(page.contains("--prompt consent"), "{page}");
    assert_eq!(stage.own_login(ADA), first, "the login that was there is still there");
    let (again, _) = login_with_button(&stage, &[], "allow");
    assert_eq!(again.exit_code, 0, "{again:?}");
    assert_ne!(stage.own_login(ADA), first);
}

#[test]
fn invalid_token_responses_store_no_login() {
    let _beside = share_machine();
    for (fault, code, words) in [
        ("token=html", 6, "captive portal"),
        ("token=garbage", 6, "UTF-8"),
        ("token=empty", 6, "response"),
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
        let stage = SandboxHome::new(&[fault]);
        let (ended, page) = login_with_button(&stage, &["--timeout", "2s"], "allow");
        assert_eq!((ended.exit_code, &*ended.stdout), (code, ""), "{fault}: {ended:?}");
        let (message, hint) = ended.error_and_hint();
        assert!(message.contains(words) || hint.contains(words), "{fault}: {ended:?}");
        assert!(page.contains("Not signed in"), "{fault}: {page}");
        // A code can be exchanged once.
        assert_eq!(stage.sandbox.request_count("token"), 1, "{fault}");
        stage.assert_no_login();
    }
}

#[test]
fn extra_login_flags_are_sent_and_stored() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let words =
        ["--quota-project", "payer", "--include-granted-scopes", "--parameter", "ui_locales=de", "--format", "json"];
    let login = stage.start_login({
        let mut command = stage.login_command(&["--no-launch-browser", "--no-activate"]);
        command.args(words);
        command
    });
    let asked = query_parameters(&login.authorization_url);
    assert_eq!((&*asked["ui_locales"], &*asked["include_granted_scopes"]), ("de", "true"));
    assert_eq!((&*asked["prompt"], &*asked["access_type"]), ("consent", "offline"));
    get_page(&allow_consent(&login.authorization_url));
    let ended = login.wait();
    let told: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((told["account"].as_str(), told["active"].as_bool()), (Some(ADA), Some(false)));
    assert_eq!(stage.own_login(ADA).expect("a login")["quota_project_id"], "payer");
    assert_eq!(stage.active_account(), None);
    let mut named = stage.gauth_command(CredentialKind::Metadata, &["token", ADA, "--format", "json"]);
    named.env_remove("GCE_METADATA_HOST");
    let token: Value = serde_json::from_str(&run(named).stdout).expect("JSON");
    assert_eq!((token["source"].as_str(), token["quota_project"].as_str()), (Some("login"), Some("payer")));
}

#[test]
fn a_repeated_login_reuses_client_and_scopes() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let (first, _) = login_with_button(&stage, &["--scopes", "cloud-platform,compute"], "allow");
    assert_eq!(first.exit_code, 0, "{first:?}");
    for (words, compute) in [(&["--account", ADA][..], true), (&[], false)] {
        let mut command = stage.login_command(&["--no-launch-browser"]);
        command.env_remove("GAUTH_CLIENT_ID_FILE").args(words);
        let login = stage.start_login(command);
        let asked = query_parameters(&login.authorization_url);
        assert_eq!(asked["scope"].contains("/compute"), compute, "{asked:?}");
        assert_eq!(asked.get("login_hint").map(String::as_str), words.get(1).copied());
        assert_eq!(get_page(&allow_consent(&login.authorization_url)).status, 200);
        assert_eq!(login.wait().exit_code, 0);
    }
}
