//! User logins: the refresh that is sent, scopes, reauthentication, saved tokens.

use serde_json::{Value, json};

use super::with;
use crate::support::samples::{
    self, CLIENT_ID, CLIENT_SECRET, RAPT, REFRESH_TOKEN, SECOND, TOKEN, authorized_user, granted,
};
use crate::support::{Home, Test, token};

fn answer(scope: &str) -> String {
    json!({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer", "scope": scope})
        .to_string()
}

/// What the command line makes of the fields that every refresh has.
#[track_caller]
fn refreshes(credential: &Value, words: &str, more: &[(&str, &str)]) {
    let ran = with(credential, words).google(token(200, granted(TOKEN))).run();
    let sent = &ran.sent[0];
    let mut expected = vec![
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("grant_type", "refresh_token"),
        ("refresh_token", REFRESH_TOKEN),
    ];
    expected.extend(more);
    expected.sort_unstable();
    let found: Vec<(&str, &str)> =
        sent.form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(found, expected);
    assert!(sent.headers["x-goog-api-client"].ends_with(" cred-type/u"));
    assert_eq!(sent.headers["content-type"], "application/x-www-form-urlencoded");
}

#[test]
fn a_refresh_sends_what_the_file_has() {
    let user = authorized_user();
    refreshes(&user, "", &[]);
    let odd = json!({"revoke_uri": "https://x/", "id_token": {"a": 1}, "invalid": false, "user_agent": null});
    refreshes(&samples::with(user.clone(), &odd), "", &[]);
    // Scopes of the file say what was granted, not what is wanted.
    refreshes(&samples::with(user.clone(), &json!({"scopes": ["openid"]})), "", &[]);
    refreshes(&samples::with(user.clone(), &json!({"scopes": "openid email"})), "", &[]);
    refreshes(&samples::with(user.clone(), &json!({"rapt_token": RAPT})), "", &[("rapt", RAPT)]);
    let scope = "email https://www.googleapis.com/auth/pubsub";
    refreshes(&user, "--scopes pubsub,email", &[("scope", scope)]);
    let untyped = samples::with(user, &json!({"type": null}));
    refreshes(&untyped, "", &[]);
}

#[test]
fn scopes_that_were_not_granted_are_told() {
    let run = |words: &str, scope: &str| {
        with(&authorized_user(), words).google(token(200, answer(scope)))
    };
    run("--scopes openid,pubsub", "openid")
        .warns("not granted: https://www.googleapis.com/auth/pubsub")
        .run();
    run("--scopes openid", "openid email").run();
    run("--scopes email,profile", "https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile").run();
    run("", "openid").run();
    // A server that does not say what it granted is not accused.
    with(&authorized_user(), "--scopes openid").google(token(200, granted(TOKEN))).run();
    let ran = run("--format json", "openid email").run();
    assert_eq!(ran.json()["scopes"], json!(["email", "openid"]));
}

#[test]
fn a_login_that_has_ended_says_how_to_make_another() {
    let ended =
        r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#;
    with(&authorized_user(), "")
        .google(token(400, ended))
        .status(4)
        .stderr(
            "gauth: ada@example.com must sign in again, Google says invalid_grant: \"Token has been expired or revoked.\"\n\
             try: gauth login, or gcloud auth application-default login\n",
        )
        .run();
    Test::new("token --account ada@example.com")
        .json(".config/gauth/accounts/ada@example.com.json", &authorized_user())
        .google(token(400, ended))
        .status(4)
        .says("ada@example.com must sign in again")
        .tries("gauth login --account ada@example.com")
        .run();
    let nameless = samples::with(authorized_user(), &json!({"account": ""}));
    with(&nameless, "")
        .google(token(400, ended))
        .status(4)
        .says("HOME/key.json must sign in again")
        .run();
}

#[test]
fn reauthentication_is_told_from_an_ended_login() {
    for subtype in ["invalid_rapt", "rapt_required"] {
        let body = json!({"error": "invalid_grant", "error_description": "reauth", "error_subtype": subtype});
        with(&authorized_user(), "")
            .google(token(400, body.to_string()))
            .status(4)
            .says("ada@example.com must sign in again, the organisation asks for the password or key again")
            .run();
    }
}

#[test]
fn refusals_say_whom_to_ask() {
    for (status, body, tries) in [
        (
            401,
            r#"{"error":"invalid_client"}"#,
            "check client_id and client_secret in HOME/key.json",
        ),
        (
            400,
            r#"{"error":"unauthorized_client"}"#,
            "check client_id and client_secret in HOME/key.json",
        ),
        (400, r#"{"error":"invalid_scope"}"#, "scopes that were granted at login"),
        (
            403,
            r#"{"error":"access_denied","error_description":"Account restricted"}"#,
            "ask the administrator",
        ),
        (400, r#"{"error":"admin_policy_enforced"}"#, "ask the administrator"),
        (400, r#"{"error":"org_internal"}"#, "gcloud auth application-default login"),
    ] {
        with(&authorized_user(), "").google(token(status, body)).status(5).tries(tries).run();
    }
}

#[test]
fn what_a_login_cannot_do_is_refused_before_anything_is_sent() {
    for (words, says, tries) in [
        ("--subject bob@example.com", "cannot act for another user (--subject)", "service account"),
        (
            "--lifetime 10m",
            "cannot choose how long its tokens live (--lifetime)",
            "leave --lifetime away",
        ),
        ("--self-signed", "cannot sign a token itself", "service account"),
        ("--audience https://a.example/", "cannot sign a token itself", "service account"),
    ] {
        let test = with(&authorized_user(), words).status(7);
        test.says("ada@example.com is a user login, which ").says(says).tries(tries).run();
    }
}

/// The `token.json` of Google's quickstarts.
fn saved(expiry: &str) -> Value {
    let fields = json!({"type": null, "token": SECOND, "expiry": expiry, "scopes": ["openid"]});
    samples::with(authorized_user(), &fields)
}

#[test]
fn a_saved_token_is_used_until_it_is_short() {
    for (expiry, used) in [
        ("2026-01-02T04:04:04.123456Z", true),
        ("2026-01-02T04:04:04", true),
        ("2026-01-02T05:04:04+01:00", true),
        ("2026-01-02T03:09:06Z", true),
        ("2026-01-02T03:09:05Z", false),
        ("2026-01-02T03:04:04Z", false),
        ("2020-01-01T00:00:00Z", false),
    ] {
        let test = with(&saved(expiry), "");
        match used {
            true => test.stdout(&format!("{SECOND}\n")).run(),
            false => test.google(token(200, granted(TOKEN))).stdout(&format!("{TOKEN}\n")).run(),
        };
    }
}

#[test]
fn a_saved_token_does_not_answer_for_other_scopes_or_damage() {
    let fresh = "2026-01-02T04:04:04Z";
    let test = with(&saved(fresh), "--scopes email").google(token(200, granted(TOKEN)));
    test.stdout(&format!("{TOKEN}\n")).run();
    let odd = samples::with(saved(fresh), &json!({"token": "two words"}));
    with(&odd, "").google(token(200, granted(TOKEN))).run();
    let undated = samples::with(saved(fresh), &json!({"expiry": null}));
    with(&undated, "").google(token(200, granted(TOKEN))).run();
}

#[test]
fn a_saved_token_that_runs_out_is_replaced() {
    let home = Home::new();
    let run = |words: &str| with(&saved("2026-01-02T04:04:04Z"), words).home(&home);
    run("").stdout(&format!("{SECOND}\n")).run();
    home.clock.advance(3400);
    run("").google(token(200, granted(TOKEN))).stdout(&format!("{TOKEN}\n")).run();
    run("").stdout(&format!("{TOKEN}\n")).run();
}

#[test]
fn a_saved_token_was_used_although_a_new_or_longer_one_was_asked_for() {
    for words in ["--refresh", "--min-ttl 59m59s"] {
        let answer = json!({"access_token": TOKEN, "expires_in": 3600}).to_string();
        let test = with(&saved("2026-01-02T04:04:04Z"), words).google(token(200, answer));
        test.stdout(&format!("{TOKEN}\n")).run();
    }
    let short = with(&saved("2026-01-02T03:08:00Z"), "--min-ttl 1m");
    short.stdout(&format!("{SECOND}\n")).run();
}
