//! Reauthentication: the prompts and requests, where the RAPT is stored, and the errors where the user cannot be
//! prompted.

mod concurrent_logins;
mod errors;

use std::rc::Rc;

use serde_json::{Value, json};

use super::token_test;
use crate::support::sample_credentials::{
    self, RAPT, REFRESH_TOKEN, ROTATED_REFRESH_TOKEN, SECOND_TOKEN, TARGET_SERVICE_ACCOUNT, TOKEN, authorized_user,
    iam_response_body, token_response_body,
};
use crate::support::{
    Home, LOGIN_FILE, MockExchange, OVERLAY_FOLDER, Test, iam_response, post_response, token_response,
};

const REAUTH_SCOPE: &str = "https://www.googleapis.com/auth/accounts.reauth";
const PASSWORD: &str = "planted-password";
const NEW_RAPT: &str = "proof-of-the-first-conversation";
const REAUTH_ACCESS_TOKEN: &str = "ya29.token-for-the-questions-alone";

/// A refusal that requires a reauthentication.
fn reauth_required_response() -> MockExchange {
    reauth_required_with_subtype("invalid_rapt")
}

fn reauth_required_with_subtype(subtype: &str) -> MockExchange {
    let body = json!({"error": "invalid_grant", "error_description": "reauth related error", "error_subtype": subtype});
    token_response(400, body.to_string())
}

fn token_success_response() -> MockExchange {
    token_response(200, token_response_body(TOKEN))
}

/// The access token for the reauthentication API.
fn reauth_token_response() -> MockExchange {
    let scope = json!({"access_token": REAUTH_ACCESS_TOKEN, "expires_in": 3599, "scope": REAUTH_SCOPE});
    token_response(200, scope.to_string())
}

fn start_response(status: u16, body: impl AsRef<[u8]>) -> MockExchange {
    post_response("https://reauth.googleapis.com/v2/sessions:start", status, body)
}

fn continue_response(status: u16, body: impl AsRef<[u8]>) -> MockExchange {
    post_response("https://reauth.googleapis.com/v2/sessions/the-session:continue", status, body)
}

fn challenges_body(kinds: &[(&str, &str)]) -> String {
    let challenges = kinds
        .iter()
        .enumerate()
        .map(|(id, (status, kind))| json!({"status": status, "challengeId": id + 1, "challengeType": kind}));
    let challenges: Vec<Value> = challenges.collect();
    let status = "CHALLENGE_REQUIRED";
    json!({"status": status, "sessionId": "the-session", "challenges": challenges}).to_string()
}

fn password_challenge_body() -> String {
    challenges_body(&[("READY", "PASSWORD")])
}

fn authenticated_body(rapt: &str) -> String {
    json!({"status": "AUTHENTICATED", "encodedProofOfReauthToken": rapt}).to_string()
}

fn own_login_test(home: &Rc<Home>, args: &str) -> Test {
    Test::new(&format!("token --account ada@example.com {args}")).home(home)
}

fn home_with_own_login(more_fields: &Value) -> Rc<Home> {
    let home = Home::new();
    home.write(LOGIN_FILE, sample_credentials::with_fields(authorized_user(), more_fields).to_string());
    home
}

fn overlay_json(home: &Home) -> Value {
    let names = home.names(OVERLAY_FOLDER);
    assert_eq!(names.len(), 1, "{names:?}");
    home.read_json(&format!("{OVERLAY_FOLDER}/{}", names[0]))
}

/// The requests from the refusal to the first prompt.
fn up_to_password_prompt(test: Test) -> Test {
    test.expect_request(reauth_required_response())
        .expect_request(reauth_token_response())
        .expect_request(start_response(200, password_challenge_body()))
}

#[test]
fn the_password_yields_a_rapt_that_is_stored_with_the_login() {
    let home = home_with_own_login(&json!({"scopes": ["openid"], "later": 1}));
    let ran = up_to_password_prompt(own_login_test(&home, ""))
        .type_line(PASSWORD)
        .expect_request(continue_response(200, authenticated_body(NEW_RAPT)))
        .expect_request(token_success_response())
        .expect_stdout(&format!("{TOKEN}\n"))
        .run();
    let question =
        "the organisation asks ada@example.com for the password again\nthe password, for Google (not shown): ";
    assert_eq!(ran.prompts, [question]);
    let [refused, own_token, started, answered, last] = &ran.requests[..] else { panic!("{ran:?}") };
    assert_eq!(refused.form.get("rapt"), None);
    assert_eq!((own_token.form_field("scope"), own_token.form.get("rapt")), (REAUTH_SCOPE, None));
    assert_eq!(
        started.json(),
        json!({"supportedChallengeTypes": ["PASSWORD", "SECURITY_KEY", "SAML"],
            "oauthScopesForDomainPolicyLookup": ["openid"]})
    );
    for (sent, what) in [(started, "re-start"), (answered, "re-cont")] {
        assert_eq!(sent.headers["authorization"], format!("Bearer {REAUTH_ACCESS_TOKEN}"));
        assert!(sent.headers["x-goog-api-client"].ends_with(&format!("auth-request-type/{what}")));
        assert_eq!(sent.headers["content-type"], "application/json");
    }
    assert!(answered.single_use && !started.single_use);
    assert_eq!(
        answered.json(),
        json!({"sessionId": "the-session", "challengeId": 1, "action": "RESPOND",
            "proposalResponse": {"credential": PASSWORD}})
    );
    assert_eq!((last.form_field("rapt"), last.form_field("scope")), (NEW_RAPT, ""));
    let login = home.read_json(LOGIN_FILE);
    assert_eq!((&login["rapt_token"], &login["later"]), (&json!(NEW_RAPT), &json!(1)));
    assert_eq!(login["refresh_token"], json!(REFRESH_TOKEN));
    // The next run uses it.
    let ran =
        own_login_test(&home, "--refresh").expect_request(token_response(200, token_response_body(SECOND_TOKEN))).run();
    assert_eq!(ran.requests[0].form_field("rapt"), NEW_RAPT);
}

#[test]
fn a_read_only_logins_rapt_is_stored_in_the_overlay() {
    let home = Home::new();
    let before = authorized_user().to_string();
    let run = |words: &str| token_test(&authorized_user(), words).home(&home);
    let test = up_to_password_prompt(run("--scopes openid,pubsub")).type_line(PASSWORD);
    let ran = test
        .expect_request(continue_response(200, authenticated_body(NEW_RAPT)))
        .expect_request(token_success_response())
        .run();
    let lookup = &ran.requests[2].json()["oauthScopesForDomainPolicyLookup"];
    assert_eq!(lookup, &json!(["https://www.googleapis.com/auth/pubsub", "openid"]));
    assert_eq!(ran.requests[4].form_field("scope"), "https://www.googleapis.com/auth/pubsub openid");
    assert_eq!((home.read("key.json"), overlay_json(&home)), (before, json!({"rapt_token": NEW_RAPT})));
    // A refresh token that rotates later is stored beside it.
    let rotating = json!({"access_token": SECOND_TOKEN, "expires_in": 3599, "refresh_token": ROTATED_REFRESH_TOKEN});
    let ran = run("--refresh").expect_request(token_response(200, rotating.to_string())).run();
    assert_eq!(ran.requests[0].form_field("rapt"), NEW_RAPT);
    assert_eq!((ran.requests[0].form_field("refresh_token"), ran.requests[0].single_use), (REFRESH_TOKEN, false));
    let both = overlay_json(&home);
    assert_eq!((&both["rapt_token"], &both["refresh_token"]), (&json!(NEW_RAPT), &json!(ROTATED_REFRESH_TOKEN)));
    let ran = run("--refresh").expect_request(token_response(200, token_response_body(TOKEN))).run();
    assert_eq!(
        (ran.requests[0].form_field("refresh_token"), ran.requests[0].form_field("rapt")),
        (ROTATED_REFRESH_TOKEN, NEW_RAPT)
    );
}

#[test]
fn a_refused_rapt_is_replaced_and_the_files_rapt_is_tried_first() {
    let home = Home::new();
    let user = sample_credentials::with_fields(authorized_user(), &json!({"rapt_token": RAPT}));
    let run = || token_test(&user, "--refresh").home(&home);
    for (first, second) in [(None, NEW_RAPT), (Some(NEW_RAPT), "proof-of-the-second-conversation")] {
        let test = run().expect_request(reauth_required_response());
        // The one in the overlay file is tried as well.
        let test = if first.is_some() { test.expect_request(reauth_required_response()) } else { test };
        let test = test
            .expect_request(reauth_token_response())
            .expect_request(start_response(200, password_challenge_body()))
            .type_line(PASSWORD);
        let ran = test
            .expect_request(continue_response(200, authenticated_body(second)))
            .expect_request(token_success_response())
            .run();
        assert_eq!(ran.requests[0].form_field("rapt"), RAPT);
        assert!(first.is_none_or(|first| ran.requests[1].form_field("rapt") == first));
        assert_eq!(ran.requests.last().expect("requests").form_field("rapt"), second);
        assert_eq!(overlay_json(&home), json!({"rapt_token": second}));
    }
    let ran = run().expect_request(reauth_required_response()).expect_request(token_success_response()).run();
    assert_eq!(ran.requests[0].form_field("rapt"), RAPT);
    assert_eq!(ran.requests[1].form_field("rapt"), "proof-of-the-second-conversation");
}

#[test]
fn no_prompt_while_the_rapt_is_valid() {
    let home = home_with_own_login(&json!({}));
    let test = own_login_test(&home, "")
        .interactive()
        .expect_request(reauth_required_response())
        .expect_request(reauth_token_response());
    test.expect_request(start_response(200, authenticated_body(NEW_RAPT)))
        .expect_request(token_success_response())
        .run();
    assert_eq!(home.read_json(LOGIN_FILE)["rapt_token"], json!(NEW_RAPT));
}

#[test]
fn a_wrong_password_is_retried_up_to_five_times() {
    let home = home_with_own_login(&json!({}));
    let mut test = up_to_password_prompt(own_login_test(&home, ""));
    for attempt in 0..5 {
        let typed = ["", "wrong-password-1", "wrong-password-2", "short", "wrong-password-3"];
        test = test.type_line(typed[attempt]).expect_request(continue_response(200, password_challenge_body()));
    }
    let ran = test.expect_status(4).expect_error("5 answers were not enough").run();
    assert_eq!(ran.requests[3].json()["proposalResponse"]["credential"], json!(" "));
    let again = "ada@example.com: that was not the password\nthe password, for Google (not shown): ";
    assert!(ran.prompts[1..].iter().all(|question| question == again), "{ran:?}");
    assert_eq!(home.read_json(LOGIN_FILE), authorized_user());
    // The fifth answer can be the right one.
    home.clock.advance(10);
    let mut test = up_to_password_prompt(own_login_test(&home, ""));
    for _ in 0..4 {
        test = test.type_line("wrong-password").expect_request(continue_response(200, password_challenge_body()));
    }
    test.type_line(PASSWORD)
        .expect_request(continue_response(200, authenticated_body(NEW_RAPT)))
        .expect_request(token_success_response())
        .run();
}

#[test]
fn a_second_password_challenge_prompts_again() {
    let home = home_with_own_login(&json!({}));
    let second = r#"{"status":"CHALLENGE_PENDING","sessionId":"the-session","challenges":[{"status":"READY","challengeId":"b","challengeType":"PASSWORD"}]}"#;
    let test = up_to_password_prompt(own_login_test(&home, ""))
        .type_line(PASSWORD)
        .expect_request(continue_response(200, second));
    let ran = test
        .type_line("another-password")
        .expect_request(continue_response(200, authenticated_body(NEW_RAPT)))
        .expect_request(token_success_response())
        .run();
    assert_eq!(ran.prompts[0], ran.prompts[1]);
    assert_eq!(ran.requests[4].json()["challengeId"], json!("b"));
}

#[test]
fn a_password_echoed_by_the_server_is_not_printed() {
    for password in ["pw", "planted\tpassword"] {
        let home = home_with_own_login(&json!({}));
        let body = json!({"error": {"status": "INVALID_ARGUMENT", "message": format!("'{password}' is bad")}});
        let test = up_to_password_prompt(own_login_test(&home, "")).type_line(password);
        let ran = test.expect_request(continue_response(400, body.to_string())).expect_status(5).run();
        assert!(!ran.stderr.contains("'pw'") && !ran.stderr.contains("password'"), "{ran:?}");
    }
}

#[test]
fn a_password_is_sent_only_to_google_or_a_loopback_server() {
    let there = |uri: &str| sample_credentials::with_fields(authorized_user(), &json!({"token_uri": uri}));
    let sandbox = "http://127.0.0.1:8085";
    let at = |exchange: MockExchange, path: &str| exchange.at_url(&format!("{sandbox}{path}"));
    let ran = token_test(&there(&format!("{sandbox}/token")), "")
        .expect_request(at(reauth_required_response(), "/token"))
        .expect_request(at(reauth_token_response(), "/token"))
        .expect_request(at(start_response(200, password_challenge_body()), "/v2/sessions:start"))
        .type_line(PASSWORD)
        .expect_request(at(continue_response(200, authenticated_body(NEW_RAPT)), "/v2/sessions/the-session:continue"))
        .expect_request(at(token_success_response(), "/token"))
        .run();
    assert!(ran.prompts[0].ends_with("the password, for 127.0.0.1:8085 (not shown): "), "{ran:?}");
    let other = "https://tokens.example/token";
    token_test(&there(other), "--allow-token-host tokens.example")
        .expect_request(reauth_required_response().at_url(other))
        .interactive()
        .expect_status(4)
        .expect_error("tokens.example requires a reauthentication, which only Google supports")
        .run();
}

#[test]
fn a_rapt_that_cannot_be_stored_causes_a_warning() {
    let test = up_to_password_prompt(token_test(&authorized_user(), "")).type_line(PASSWORD);
    test.setup(|home| home.write(".config/gauth/accounts", "in the way"))
        .expect_request(continue_response(200, authenticated_body(NEW_RAPT)))
        .expect_request(token_success_response())
        .expect_warning("the reauthentication of ada@example.com cannot be stored")
        .expect_stdout(&format!("{TOKEN}\n"))
        .run();
}

#[test]
fn the_users_time_does_not_count_against_the_request_timeout() {
    let home = home_with_own_login(&json!({}));
    let long = |home: &Home| home.clock.advance(280);
    let test = up_to_password_prompt(own_login_test(&home, "--timeout 5s")).type_line_after(PASSWORD, long);
    test.expect_request(continue_response(200, authenticated_body(NEW_RAPT)))
        .expect_request(token_success_response())
        .run();
}

#[test]
fn id_tokens_and_impersonation_reauthenticate_too() {
    let home = home_with_own_login(&json!({}));
    let id_token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl";
    let both = json!({"access_token": TOKEN, "expires_in": 3599, "id_token": id_token});
    let test = Test::new("id-token --account ada@example.com").home(&home).type_line(PASSWORD);
    let test = up_to_password_prompt(test).expect_request(continue_response(200, authenticated_body(NEW_RAPT)));
    test.expect_request(token_response(200, both.to_string())).expect_stdout(&format!("{id_token}\n")).run();

    let home = home_with_own_login(&json!({}));
    let words = format!("--impersonate-service-account {TARGET_SERVICE_ACCOUNT}");
    let test = up_to_password_prompt(own_login_test(&home, &words)).type_line(PASSWORD);
    test.expect_request(continue_response(200, authenticated_body(NEW_RAPT)))
        .expect_request(token_success_response())
        .expect_request(iam_response(
            TARGET_SERVICE_ACCOUNT,
            "generateAccessToken",
            200,
            iam_response_body(SECOND_TOKEN),
        ))
        .expect_stdout(&format!("{SECOND_TOKEN}\n"))
        .run();
}
