//! Errors of reauthentication: no terminal, unsupported challenges, invalid responses.

use std::time::Duration;

use serde_json::json;

use super::{
    LOGIN_FILE, NEW_RAPT, PASSWORD, REAUTH_ACCESS_TOKEN, authenticated_body, challenges_body, continue_response,
    home_with_own_login, own_login_test, reauth_required_response, reauth_required_with_subtype, reauth_token_response,
    start_response, token_success_response, up_to_password_prompt,
};
use crate::support::sample_credentials::authorized_user;
use crate::support::{token_response, without_response};
use crate::tokens::token_test;

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
        let test = own_login_test(&home, "").expect_request(reauth_required_with_subtype(subtype)).ci_terminal();
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
            challenges_body(&[("PENDING", "PASSWORD"), ("READY", "SAML"), ("READY", "SECURITY_KEY")]),
            saml,
            "gauth login",
        ),
        (challenges_body(&[("READY", "SECURITY_KEY")]), key, "a service account"),
        (
            challenges_body(&[("READY", "FAX"), ("READY", "DANCE")]),
            "asks for \"FAX\" or \"DANCE\", which gauth does not support",
            "gauth login",
        ),
        (challenges_body(&[("PENDING", "PASSWORD")]), "names no challenge that is ready", "gauth login"),
        (challenges_body(&[]), "names no challenge that is ready", "gauth login"),
        (r#"{"status":"LOCKED"}"#.to_owned(), "the reauthentication ended, Google says LOCKED", "gauth login"),
    ] {
        let home = home_with_own_login(&json!({}));
        let test = own_login_test(&home, "")
            .interactive()
            .expect_request(reauth_required_response())
            .expect_request(reauth_token_response());
        let test = test.expect_request(start_response(200, body)).expect_status(4);
        test.expect_error("ada@example.com must sign in again, ").expect_error(says).expect_hint(tries).run();
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
fn a_login_without_the_reauth_scope_needs_a_new_login() {
    let narrow = json!({"access_token": REAUTH_ACCESS_TOKEN, "expires_in": 3599, "scope": "openid"});
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
        let test = test.expect_error("its login lacks the scope accounts.reauth, which a reauthentication needs");
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
        (200, html, 6, "reauth.googleapis.com: the response "),
        (200, "{}", 6, "status is missing"),
        (200, "[]", 6, "is JSON, but not an object"),
        (200, session, 6, "sessionId is missing"),
        (200, r#"{"status":"AUTHENTICATED"}"#, 6, "encodedProofOfReauthToken is missing"),
        (204, "", 6, "the response has status 204"),
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
        test.expect_request(start_response(status, body)).expect_status(code).expect_error(says).run();
        home.clock.advance(10);
        let test = up_to_password_prompt(own_login_test(&home, ""))
            .type_line(PASSWORD)
            .expect_request(continue_response(status, body));
        test.expect_status(code).expect_error(says).run();
        assert_eq!(home.read_json(LOGIN_FILE), authorized_user());
    }
    // A password that the server may have received is not sent twice.
    let home = home_with_own_login(&json!({}));
    let slow = continue_response(200, "").with_latency(Duration::from_secs(60));
    up_to_password_prompt(own_login_test(&home, "")).type_line(PASSWORD).expect_request(slow).expect_status(6).run();
    home.clock.advance(10);
    let test =
        up_to_password_prompt(own_login_test(&home, "")).type_line(PASSWORD).expect_request(continue_response(503, ""));
    test.expect_status(6).run();
    home.clock.advance(10);
    let test = up_to_password_prompt(own_login_test(&home, ""))
        .type_line(PASSWORD)
        .expect_request(without_response(continue_response(200, "")));
    test.expect_request(continue_response(200, authenticated_body(NEW_RAPT)))
        .expect_request(token_success_response())
        .run();
}
