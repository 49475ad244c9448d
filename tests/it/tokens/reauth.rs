//! Reauthentication: the prompts and requests, where the RAPT is stored, and the errors where the user cannot be
//! prompted.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::token_test;
use crate::support::sample_credentials::{
    self, RAPT, REFRESH_TOKEN, ROTATED_REFRESH_TOKEN, SECOND_TOKEN, TARGET_SERVICE_ACCOUNT, TOKEN,
    authorized_user, iam_response_body, token_response_body,
};
use crate::support::{
    Home, MockExchange, Test, iam_response, post_response, token_response, without_response,
};

const LOGIN_FILE: &str = ".config/gauth/accounts/ada@example.com.json";
const OVERLAY_FOLDER: &str = ".config/gauth/accounts/shadow";
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
    let scope =
        json!({"access_token": REAUTH_ACCESS_TOKEN, "expires_in": 3599, "scope": REAUTH_SCOPE});
    token_response(200, scope.to_string())
}

fn start_response(status: u16, body: impl AsRef<[u8]>) -> MockExchange {
    post_response("https://reauth.googleapis.com/v2/sessions:start", status, body)
}

fn continue_response(status: u16, body: impl AsRef<[u8]>) -> MockExchange {
    post_response("https://reauth.googleapis.com/v2/sessions/the-session:continue", status, body)
}

fn challenges_body(kinds: &[(&str, &str)]) -> String {
    let challenges = kinds.iter().enumerate().map(|(id, (status, kind))| {
        json!({"status": status, "challengeId": id + 1, "challengeType": kind})
    });
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
    home.write(
        LOGIN_FILE,
        sample_credentials::with_fields(authorized_user(), more_fields).to_string(),
    );
    home
}

fn read_json(home: &Home, path: &str) -> Value {
    serde_json::from_str(&home.read(path)).expect("JSON")
}

fn overlay_json(home: &Home) -> Value {
    let names = home.names(OVERLAY_FOLDER);
    assert_eq!(names.len(), 1, "{names:?}");
    read_json(home, &format!("{OVERLAY_FOLDER}/{}", names[0]))
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
    let question = "the organisation asks ada@example.com for the password again\nthe password, for Google (not shown): ";
    assert_eq!(ran.prompts, [question]);
    let [refused, own_token, started, answered, last] = &ran.requests[..] else {
        panic!("{ran:?}")
    };
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
    let login = read_json(&home, LOGIN_FILE);
    assert_eq!((&login["rapt_token"], &login["later"]), (&json!(NEW_RAPT), &json!(1)));
    assert_eq!(login["refresh_token"], json!(REFRESH_TOKEN));
    // The next run uses it.
    let ran = own_login_test(&home, "--refresh")
        .expect_request(token_response(200, token_response_body(SECOND_TOKEN)))
        .run();
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
    assert_eq!(
        ran.requests[4].form_field("scope"),
        "https://www.googleapis.com/auth/pubsub openid"
    );
    assert_eq!(
        (home.read("key.json"), overlay_json(&home)),
        (before, json!({"rapt_token": NEW_RAPT}))
    );
    // A refresh token that rotates later is stored beside it.
    let rotating = json!({"access_token": SECOND_TOKEN, "expires_in": 3599, "refresh_token": ROTATED_REFRESH_TOKEN});
    let ran = run("--refresh").expect_request(token_response(200, rotating.to_string())).run();
    assert_eq!(ran.requests[0].form_field("rapt"), NEW_RAPT);
    assert_eq!(
        (ran.requests[0].form_field("refresh_token"), ran.requests[0].single_use),
        (REFRESH_TOKEN, false)
    );
    let both = overlay_json(&home);
    assert_eq!(
        (&both["rapt_token"], &both["refresh_token"]),
        (&json!(NEW_RAPT), &json!(ROTATED_REFRESH_TOKEN))
    );
    let ran =
        run("--refresh").expect_request(token_response(200, token_response_body(TOKEN))).run();
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
    for (first, second) in [(None, NEW_RAPT), (Some(NEW_RAPT), "proof-of-the-second-conversation")]
    {
        let test = run().expect_request(reauth_required_response());
        // The one in the overlay file is tried as well.
        let test =
            if first.is_some() { test.expect_request(reauth_required_response()) } else { test };
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
    let ran = run()
        .expect_request(reauth_required_response())
        .expect_request(token_success_response())
        .run();
    assert_eq!(ran.requests[0].form_field("rapt"), RAPT);
    assert_eq!(ran.requests[1].form_field("rapt"), "proof-of-the-second-conversation");
}

#[test]
fn without_a_terminal_the_error_names_the_command_to_run() {
    for subtype in ["invalid_rapt", "rapt_required"] {
        let home = home_with_own_login(&json!({}));
        let expected = "gauth: ada@example.com must sign in again, the organisation asks for the password or key again (reauthentication)\n\
            try: gauth token --account ada@example.com at a terminal, which prompts for it\n";
        own_login_test(&home, "")
            .expect_request(reauth_required_with_subtype(subtype))
            .expect_status(4)
            .expect_stderr(expected)
            .run();
        // In CI there is no user, even at a terminal.
        home.clock.advance(10);
        let test = own_login_test(&home, "")
            .expect_request(reauth_required_with_subtype(subtype))
            .ci_terminal();
        test.expect_status(4).expect_stderr(expected).run();
        token_test(&authorized_user(), "")
            .expect_request(reauth_required_with_subtype(subtype))
            .expect_status(4)
            .expect_hint("gcloud auth application-default login, or the same command at a terminal")
            .run();
    }
}

#[test]
fn unsupported_challenges_are_named_with_a_hint() {
    let key = "the organisation asks for a security key, which only a browser can use";
    let saml = "the organisation asks for a sign-in in the browser (SAML)";
    for (body, says, tries) in [
        (challenges_body(&[("READY", "SAML")]), saml, "gauth login --account ada@example.com"),
        (
            challenges_body(&[
                ("PENDING", "PASSWORD"),
                ("READY", "SAML"),
                ("READY", "SECURITY_KEY"),
            ]),
            saml,
            "gauth login",
        ),
        (challenges_body(&[("READY", "SECURITY_KEY")]), key, "a service account"),
        (
            challenges_body(&[("READY", "FAX"), ("READY", "DANCE")]),
            "asks for \"FAX\" or \"DANCE\", which gauth does not support",
            "gauth login",
        ),
        (
            challenges_body(&[("PENDING", "PASSWORD")]),
            "names no challenge that is ready",
            "gauth login",
        ),
        (challenges_body(&[]), "names no challenge that is ready", "gauth login"),
        (
            r#"{"status":"LOCKED"}"#.to_owned(),
            "the reauthentication ended, Google says LOCKED",
            "gauth login",
        ),
    ] {
        let home = home_with_own_login(&json!({}));
        let test = own_login_test(&home, "")
            .interactive()
            .expect_request(reauth_required_response())
            .expect_request(reauth_token_response());
        let test = test.expect_request(start_response(200, body)).expect_status(4);
        test.expect_error("ada@example.com must sign in again, ")
            .expect_error(says)
            .expect_hint(tries)
            .run();
    }
    // The password challenge is used wherever it is in the list.
    let either = challenges_body(&[("READY", "SECURITY_KEY"), ("READY", "PASSWORD")]);
    let home = home_with_own_login(&json!({}));
    let test = own_login_test(&home, "")
        .expect_request(reauth_required_response())
        .expect_request(reauth_token_response())
        .expect_request(start_response(200, either));
    let ran = test
        .type_line(PASSWORD)
        .expect_request(continue_response(200, authenticated_body(NEW_RAPT)))
        .expect_request(token_success_response())
        .run();
    assert_eq!(ran.requests[3].json()["challengeId"], json!(2));
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
    assert_eq!(read_json(&home, LOGIN_FILE)["rapt_token"], json!(NEW_RAPT));
}

#[test]
fn a_wrong_password_is_retried_up_to_five_times() {
    let home = home_with_own_login(&json!({}));
    let mut test = up_to_password_prompt(own_login_test(&home, ""));
    for attempt in 0..5 {
        let typed = ["", "wrong-password-1", "wrong-password-2", "short", "wrong-password-3"];
        test = test
            .type_line(typed[attempt])
            .expect_request(continue_response(200, password_challenge_body()));
    }
    let ran = test.expect_status(4).expect_error("5 answers were not enough").run();
    assert_eq!(ran.requests[3].json()["proposalResponse"]["credential"], json!(" "));
    let again =
        "ada@example.com: that was not the password\nthe password, for Google (not shown): ";
    assert!(ran.prompts[1..].iter().all(|question| question == again), "{ran:?}");
    assert_eq!(read_json(&home, LOGIN_FILE), authorized_user());
    // The fifth answer can be the right one.
    home.clock.advance(10);
    let mut test = up_to_password_prompt(own_login_test(&home, ""));
    for _ in 0..4 {
        test = test
            .type_line("wrong-password")
            .expect_request(continue_response(200, password_challenge_body()));
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
fn a_login_without_the_reauth_scope_needs_a_new_login() {
    let narrow =
        json!({"access_token": REAUTH_ACCESS_TOKEN, "expires_in": 3599, "scope": "openid"});
    for refused in [
        token_response(400, r#"{"error":"invalid_scope"}"#),
        token_response(401, r#"{"error":"unauthorized_client"}"#),
        token_response(200, narrow.to_string()),
        reauth_required_response(),
    ] {
        let home = home_with_own_login(&json!({}));
        let test = own_login_test(&home, "")
            .interactive()
            .expect_request(reauth_required_response())
            .expect_request(refused)
            .expect_status(4);
        let test = test.expect_error(
            "its login lacks the scope accounts.reauth, which a reauthentication needs",
        );
        test.expect_hint("gauth login --account ada@example.com").run();
    }
}

#[test]
fn a_rejected_new_rapt_is_not_requested_again() {
    let home = home_with_own_login(&json!({}));
    let test = up_to_password_prompt(own_login_test(&home, ""))
        .type_line(PASSWORD)
        .expect_request(continue_response(200, authenticated_body(NEW_RAPT)));
    test.expect_request(reauth_required_response())
        .expect_status(4)
        .expect_error("does not accept the RAPT it has just given")
        .run();
}

#[test]
fn invalid_reauth_responses_are_reported() {
    let html = "<!DOCTYPE html><p>welcome";
    let session = r#"{"status":"CHALLENGE_REQUIRED"}"#;
    for (status, body, code, says) in [
        (200, html, 6, "reauth.googleapis.com: the answer "),
        (200, "{}", 6, "status is missing"),
        (200, "[]", 6, "is JSON, but not an object"),
        (200, session, 6, "sessionId is missing"),
        (200, r#"{"status":"AUTHENTICATED"}"#, 6, "encodedProofOfReauthToken is missing"),
        (204, "", 6, "the answer has status 204"),
        (302, "", 6, "redirects to nowhere"),
        (400, r#"{"error":{"status":"INVALID_ARGUMENT","message":"no"}}"#, 5, "INVALID_ARGUMENT"),
        (401, r#"{"error":{"status":"UNAUTHENTICATED","message":"no"}}"#, 5, "UNAUTHENTICATED"),
        (403, html, 5, "status 403 and a web page"),
    ] {
        let home = home_with_own_login(&json!({}));
        let test = own_login_test(&home, "")
            .interactive()
            .expect_request(reauth_required_response())
            .expect_request(reauth_token_response());
        test.expect_request(start_response(status, body))
            .expect_status(code)
            .expect_error(says)
            .run();
        home.clock.advance(10);
        let test = up_to_password_prompt(own_login_test(&home, ""))
            .type_line(PASSWORD)
            .expect_request(continue_response(status, body));
        test.expect_status(code).expect_error(says).run();
        assert_eq!(read_json(&home, LOGIN_FILE), authorized_user());
    }
    // A password that the server may have received is not sent twice.
    let home = home_with_own_login(&json!({}));
    let slow = continue_response(200, "").with_latency(Duration::from_secs(60));
    up_to_password_prompt(own_login_test(&home, ""))
        .type_line(PASSWORD)
        .expect_request(slow)
        .expect_status(6)
        .run();
    home.clock.advance(10);
    let test = up_to_password_prompt(own_login_test(&home, ""))
        .type_line(PASSWORD)
        .expect_request(continue_response(503, ""));
    test.expect_status(6).run();
    home.clock.advance(10);
    let test = up_to_password_prompt(own_login_test(&home, ""))
        .type_line(PASSWORD)
        .expect_request(without_response(continue_response(200, "")));
    test.expect_request(continue_response(200, authenticated_body(NEW_RAPT)))
        .expect_request(token_success_response())
        .run();
}

#[test]
fn a_password_echoed_by_the_server_is_not_printed() {
    for password in ["pw", "planted\tpassword"] {
        let home = home_with_own_login(&json!({}));
        let body = json!({"error": {"status": "INVALID_ARGUMENT", "message": format!("'{password}' is bad")}});
        let test = up_to_password_prompt(own_login_test(&home, "")).type_line(password);
        let ran =
            test.expect_request(continue_response(400, body.to_string())).expect_status(5).run();
        assert!(!ran.stderr.contains("'pw'") && !ran.stderr.contains("password'"), "{ran:?}");
    }
}

#[test]
fn a_password_is_sent_only_to_google_or_a_loopback_server() {
    let there =
        |uri: &str| sample_credentials::with_fields(authorized_user(), &json!({"token_uri": uri}));
    let sandbox = "http://127.0.0.1:8085";
    let at = |exchange: MockExchange, path: &str| exchange.at_url(&format!("{sandbox}{path}"));
    let ran = token_test(&there(&format!("{sandbox}/token")), "")
        .expect_request(at(reauth_required_response(), "/token"))
        .expect_request(at(reauth_token_response(), "/token"))
        .expect_request(at(start_response(200, password_challenge_body()), "/v2/sessions:start"))
        .type_line(PASSWORD)
        .expect_request(at(
            continue_response(200, authenticated_body(NEW_RAPT)),
            "/v2/sessions/the-session:continue",
        ))
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
    let test = up_to_password_prompt(own_login_test(&home, "--timeout 5s"))
        .type_line_after(PASSWORD, long);
    test.expect_request(continue_response(200, authenticated_body(NEW_RAPT)))
        .expect_request(token_success_response())
        .run();
}

#[test]
fn a_login_made_during_the_prompt_is_used_and_kept() {
    let home = home_with_own_login(&json!({}));
    let anew = sample_credentials::with_fields(
        authorized_user(),
        &json!({"refresh_token": ROTATED_REFRESH_TOKEN}),
    );
    let meanwhile = move |home: &Home| home.write(LOGIN_FILE, anew.to_string());
    let test =
        up_to_password_prompt(own_login_test(&home, "")).type_line_after(PASSWORD, meanwhile);
    let ran = test
        .expect_request(continue_response(200, authenticated_body(NEW_RAPT)))
        .expect_request(token_success_response())
        .run();
    assert_eq!(ran.requests[4].form_field("refresh_token"), ROTATED_REFRESH_TOKEN);
    assert_eq!(read_json(&home, LOGIN_FILE)["refresh_token"], json!(ROTATED_REFRESH_TOKEN));
}

/// Whether a lock file is locked by a process.
fn is_locked(home: &Home, name: &str) -> bool {
    let file = std::fs::File::open(home.path(".config/gauth/locks").join(name)).expect("a lock");
    file.try_lock().is_err()
}

#[test]
fn during_the_prompt_logins_can_be_stored_and_waiting_processes_say_so() {
    let home = home_with_own_login(&json!({}));
    let look = |home: &Home| {
        let names = home.names(".config/gauth/locks");
        let held: Vec<(&str, bool)> =
            names.iter().map(|name| (name.as_str(), is_locked(home, name))).collect();
        let of = |ending: &str, login: bool| {
            let is_it = |name: &str| {
                name.starts_with("login-") == login && name.ends_with("-asks") != ending.is_empty()
            };
            let found: Vec<bool> =
                held.iter().filter(|(name, _)| is_it(name)).map(|(_, held)| *held).collect();
            assert_eq!(found.len(), 1, "{held:?}");
            found[0]
        };
        assert_eq!((of("", true), of("-asks", true)), (false, true), "{held:?}");
        assert_eq!((of("", false), of("-asks", false)), (true, true), "{held:?}");
    };
    let test = up_to_password_prompt(own_login_test(&home, "")).type_line_after(PASSWORD, look);
    test.expect_request(continue_response(200, authenticated_body(NEW_RAPT)))
        .expect_request(token_success_response())
        .run();
}

#[test]
fn reauthentication_rotates_a_rotating_refresh_token() {
    let home = home_with_own_login(&json!({"refresh_token_rotates": true}));
    let next = |access: &str, refresh: &str| {
        let body = json!({"access_token": access, "expires_in": 3599, "refresh_token": refresh});
        token_response(200, body.to_string())
    };
    let third = "1//0third-refresh-token";
    let ran = own_login_test(&home, "")
        .expect_request(reauth_required_response())
        .expect_request(next(REAUTH_ACCESS_TOKEN, ROTATED_REFRESH_TOKEN))
        .expect_request(start_response(200, password_challenge_body()))
        .type_line(PASSWORD)
        .expect_request(continue_response(200, authenticated_body(NEW_RAPT)))
        .expect_request(next(TOKEN, third))
        .run();
    assert_eq!(ran.requests[1].form_field("refresh_token"), REFRESH_TOKEN);
    assert_eq!(ran.requests[4].form_field("refresh_token"), ROTATED_REFRESH_TOKEN);
    let login = read_json(&home, LOGIN_FILE);
    assert_eq!((&login["refresh_token"], &login["rapt_token"]), (&json!(third), &json!(NEW_RAPT)));
}

#[test]
fn id_tokens_and_impersonation_reauthenticate_too() {
    let home = home_with_own_login(&json!({}));
    let id_token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl";
    let both = json!({"access_token": TOKEN, "expires_in": 3599, "id_token": id_token});
    let test = Test::new("id-token --account ada@example.com").home(&home).type_line(PASSWORD);
    let test = up_to_password_prompt(test)
        .expect_request(continue_response(200, authenticated_body(NEW_RAPT)));
    test.expect_request(token_response(200, both.to_string()))
        .expect_stdout(&format!("{id_token}\n"))
        .run();

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
