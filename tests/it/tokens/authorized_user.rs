//! User logins: the refresh that is sent, scopes, reauthentication, saved tokens.

use serde_json::{Value, json};

use super::token_test;
use crate::support::sample_credentials::{
    self, CLIENT_ID, CLIENT_SECRET, RAPT, REFRESH_TOKEN, SECOND_TOKEN, TOKEN, authorized_user, token_response_body,
};
use crate::support::{Home, Test, token_response};

fn token_response_with_scope(scope: &str) -> String {
    json!({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer", "scope": scope}).to_string()
}

/// Checks the form of the refresh request for these arguments; `more` are its fields beside the usual ones.
#[track_caller]
fn assert_refresh(credential: &Value, args: &str, more: &[(&str, &str)]) {
    let ran = token_test(credential, args).expect_request(token_response(200, token_response_body(TOKEN))).run();
    let sent = &ran.requests[0];
    let mut expected = vec![
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("grant_type", "refresh_token"),
        ("refresh_token", REFRESH_TOKEN),
    ];
    expected.extend(more);
    expected.sort_unstable();
    let found: Vec<(&str, &str)> = sent.form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(found, expected);
    assert!(sent.headers["x-goog-api-client"].ends_with(" cred-type/u"));
    assert_eq!(sent.headers["content-type"], "application/x-www-form-urlencoded");
}

#[test]
fn a_refresh_sends_what_the_file_has() {
    let user = authorized_user();
    assert_refresh(&user, "", &[]);
    let odd = json!({"revoke_uri": "https://x/", "id_token": {"a": 1}, "invalid": false, "user_agent": null});
    assert_refresh(&sample_credentials::with_fields(user.clone(), &odd), "", &[]);
    // The scopes in the file are those that were granted; they are not requested.
    assert_refresh(&sample_credentials::with_fields(user.clone(), &json!({"scopes": ["openid"]})), "", &[]);
    assert_refresh(&sample_credentials::with_fields(user.clone(), &json!({"scopes": "openid email"})), "", &[]);
    assert_refresh(&sample_credentials::with_fields(user.clone(), &json!({"rapt_token": RAPT})), "", &[("rapt", RAPT)]);
    let scope = "email https://www.googleapis.com/auth/pubsub";
    assert_refresh(&user, "--scopes pubsub,email", &[("scope", scope)]);
    let untyped = sample_credentials::with_fields(user, &json!({"type": null}));
    assert_refresh(&untyped, "", &[]);
}

#[test]
fn scopes_that_were_not_granted_are_reported() {
    let run = |words: &str, scope: &str| {
        token_test(&authorized_user(), words).expect_request(token_response(200, token_response_with_scope(scope)))
    };
    run("--scopes openid,pubsub", "openid").expect_warning("not granted: https://www.googleapis.com/auth/pubsub").run();
    run("--scopes openid", "openid email").run();
    run(
        "--scopes email,profile",
        "https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile",
    )
    .run();
    run("", "openid").run();
    // A response without scopes causes no warning.
    token_test(&authorized_user(), "--scopes openid")
        .expect_request(token_response(200, token_response_body(TOKEN)))
        .run();
    let ran = run("--format json", "openid email").run();
    assert_eq!(ran.json()["scopes"], json!(["email", "openid"]));
}

#[test]
fn the_error_of_a_revoked_login_says_how_to_log_in_again() {
    let ended = r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#;
    token_test(&authorized_user(), "")
        .expect_request(token_response(400, ended))
        .expect_status(4)
        .expect_stderr(
            "gauth: ada@example.com must sign in again, Google says invalid_grant: \"Token has been expired or revoked.\"\n\
             try: gauth login, or gcloud auth application-default login\n",
        )
        .run();
    Test::new("token --account ada@example.com")
        .json(".config/gauth/accounts/ada@example.com.json", &authorized_user())
        .expect_request(token_response(400, ended))
        .expect_status(4)
        .expect_error("ada@example.com must sign in again")
        .expect_hint("gauth login --account ada@example.com")
        .run();
    let nameless = sample_credentials::with_fields(authorized_user(), &json!({"account": ""}));
    token_test(&nameless, "")
        .expect_request(token_response(400, ended))
        .expect_status(4)
        .expect_error("HOME/key.json must sign in again")
        .run();
}

#[test]
fn reauthentication_is_distinguished_from_a_revoked_login() {
    for subtype in ["invalid_rapt", "rapt_required"] {
        let body = json!({"error": "invalid_grant", "error_description": "reauth", "error_subtype": subtype});
        token_test(&authorized_user(), "")
            .expect_request(token_response(400, body.to_string()))
            .expect_status(4)
            .expect_error("ada@example.com must sign in again, the organisation asks for the password or key again")
            .run();
    }
}

#[test]
fn hints_of_refusals_say_whom_to_ask() {
    for (status, body, tries) in [
        (401, r#"{"error":"invalid_client"}"#, "check client_id and client_secret in HOME/key.json"),
        (400, r#"{"error":"unauthorized_client"}"#, "check client_id and client_secret in HOME/key.json"),
        (400, r#"{"error":"invalid_scope"}"#, "scopes that were granted at login"),
        (403, r#"{"error":"access_denied","error_description":"Account restricted"}"#, "ask the administrator"),
        (400, r#"{"error":"admin_policy_enforced"}"#, "ask the administrator"),
        (400, r#"{"error":"org_internal"}"#, "gcloud auth application-default login"),
    ] {
        token_test(&authorized_user(), "")
            .expect_request(token_response(status, body))
            .expect_status(5)
            .expect_hint(tries)
            .run();
    }
}

#[test]
fn options_that_a_user_login_does_not_support_are_refused_before_anything_is_sent() {
    for (words, says, tries) in [
        ("--subject bob@example.com", "cannot act for another user (--subject)", "service account"),
        ("--lifetime 10m", "cannot choose how long its tokens live (--lifetime)", "remove --lifetime"),
        ("--self-signed", "cannot sign a token itself", "service account"),
        ("--audience https://a.example/", "cannot sign a token itself", "service account"),
    ] {
        let test = token_test(&authorized_user(), words).expect_status(7);
        test.expect_error("ada@example.com is a user login, which ").expect_error(says).expect_hint(tries).run();
    }
}

/// The `token.json` of Google's quickstarts.
fn saved_token_json(expiry: &str) -> Value {
    let fields = json!({"type": null, "token": SECOND_TOKEN, "expiry": expiry, "scopes": ["openid"]});
    sample_credentials::with_fields(authorized_user(), &fields)
}

#[test]
fn a_saved_token_is_used_until_its_refresh_margin() {
    for (expiry, used) in [
        ("2026-01-02T04:04:04.123456Z", true),
        ("2026-01-02T04:04:04", true),
        ("2026-01-02T05:04:04+01:00", true),
        ("2026-01-02T03:09:06Z", true),
        ("2026-01-02T03:09:05Z", false),
        ("2026-01-02T03:04:04Z", false),
        ("2020-01-01T00:00:00Z", false),
    ] {
        let test = token_test(&saved_token_json(expiry), "");
        match used {
            true => test.expect_stdout(&format!("{SECOND_TOKEN}\n")).run(),
            false => test
                .expect_request(token_response(200, token_response_body(TOKEN)))
                .expect_stdout(&format!("{TOKEN}\n"))
                .run(),
        };
    }
}

#[test]
fn a_saved_token_is_not_used_for_other_scopes_or_when_malformed() {
    let fresh = "2026-01-02T04:04:04Z";
    let test = token_test(&saved_token_json(fresh), "--scopes email")
        .expect_request(token_response(200, token_response_body(TOKEN)));
    test.expect_stdout(&format!("{TOKEN}\n")).run();
    let odd = sample_credentials::with_fields(saved_token_json(fresh), &json!({"token": "two words"}));
    token_test(&odd, "").expect_request(token_response(200, token_response_body(TOKEN))).run();
    let undated = sample_credentials::with_fields(saved_token_json(fresh), &json!({"expiry": null}));
    token_test(&undated, "").expect_request(token_response(200, token_response_body(TOKEN))).run();
}

#[test]
fn an_expired_saved_token_is_replaced() {
    let home = Home::new();
    let run = |words: &str| token_test(&saved_token_json("2026-01-02T04:04:04Z"), words).home(&home);
    run("").expect_stdout(&format!("{SECOND_TOKEN}\n")).run();
    home.clock.advance(3400);
    run("").expect_request(token_response(200, token_response_body(TOKEN))).expect_stdout(&format!("{TOKEN}\n")).run();
    run("").expect_stdout(&format!("{TOKEN}\n")).run();
}

#[test]
fn a_saved_token_is_not_used_with_refresh_or_a_longer_min_ttl() {
    for words in ["--refresh", "--min-ttl 59m59s"] {
        let answer = json!({"access_token": TOKEN, "expires_in": 3600}).to_string();
        let test =
            token_test(&saved_token_json("2026-01-02T04:04:04Z"), words).expect_request(token_response(200, answer));
        test.expect_stdout(&format!("{TOKEN}\n")).run();
    }
    let short = token_test(&saved_token_json("2026-01-02T03:08:00Z"), "--min-ttl 1m");
    short.expect_stdout(&format!("{SECOND_TOKEN}\n")).run();
}
