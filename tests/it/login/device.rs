//! `gauth login --device`: the user enters a code on another device.

use std::time::Duration;

use serde_json::{Value, json};

use super::login_test;
use crate::support::sample_credentials::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, TOKEN, unsigned_jwt};
use crate::support::{Home, LOGIN_FILE, MockExchange, NOW, Test, get_response, post_response, token_response};

const DEVICE_CODE: &str = "AH-1planted-device-code";
const DEVICE_AUTHORIZATION_ENDPOINT: &str = "https://oauth2.googleapis.com/device/code";

fn device_authorization_response(change: &Value) -> MockExchange {
    let mut body = json!({
        "device_code": DEVICE_CODE,
        "user_code": "GQVQ-JKEC",
        "verification_url": "https://www.google.com/device",
        "expires_in": 1800,
        "interval": 5,
    });
    for (name, value) in change.as_object().expect("changes") {
        body[name] = value.clone();
    }
    post_response(DEVICE_AUTHORIZATION_ENDPOINT, 200, body.to_string())
}

fn default_device_authorization() -> MockExchange {
    device_authorization_response(&json!({}))
}

fn token_error_response(status: u16, code: &str) -> MockExchange {
    token_response(status, json!({"error": code, "error_description": "Forbidden"}).to_string())
}

fn token_success_response() -> MockExchange {
    let claims = json!({
        "iss": "https://accounts.google.com", "aud": CLIENT_ID, "sub": "1",
        "email": "ada@example.com", "email_verified": true, "iat": NOW, "exp": NOW + 3600,
    });
    let body = json!({
        "access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer", "scope": "openid email",
        "refresh_token": REFRESH_TOKEN, "id_token": unsigned_jwt(&claims),
    });
    token_response(200, body.to_string())
}

/// A login that fails before the code is shown.
fn refused_device_login(args: &str) -> Test {
    login_test(&format!("--device --scopes openid,email {args}")).secret(DEVICE_CODE)
}

fn device_login_test(args: &str) -> Test {
    refused_device_login(args).expect_notice(DEVICE_INSTRUCTIONS)
}

/// The whole text that the user reads.
const DEVICE_INSTRUCTIONS: &str = "visit, in any browser\n\n  https://www.google.com/device\n\n\
                    and enter the code\n\n  GQVQ-JKEC\n\n";

#[test]
fn the_server_is_polled_until_the_user_has_entered_the_code() {
    let home = Home::new();
    let ran = device_login_test("")
        .home(&home)
        .expect_request(default_device_authorization())
        .expect_request(token_error_response(428, "authorization_pending"))
        .expect_request(token_error_response(403, "slow_down"))
        .expect_request(token_error_response(428, "authorization_pending"))
        .expect_request(token_success_response())
        .expect_stdout("signed in as ada@example.com, scopes email, openid\n")
        .run();
    // The interval is five seconds, and five more after `slow_down`.
    let waited = home.clock.millis() / 1000 - NOW;
    assert!((5 + 5 + 10 + 10..=31).contains(&waited), "{waited} s");
    assert_eq!(ran.requests[0].form_fields().len(), 2, "Google wants no secret here");
    assert_eq!(
        (ran.requests[0].form_field("client_id"), ran.requests[0].form_field("scope")),
        (CLIENT_ID, "email openid")
    );
    let poll = &ran.requests[1];
    assert_eq!(poll.form_field("grant_type"), "urn:ietf:params:oauth:grant-type:device_code");
    assert_eq!((poll.form_field("device_code"), poll.form_field("client_secret")), (DEVICE_CODE, CLIENT_SECRET));
    let stored: Value = serde_json::from_str(&home.read(LOGIN_FILE)).expect("JSON");
    assert_eq!((&stored["type"], &stored["refresh_token"]), (&json!("authorized_user"), &json!(REFRESH_TOKEN)));
    assert!(home.read(".config/gauth/state.json").contains("ada@example.com"));
}

#[test]
fn the_account_comes_from_userinfo_when_the_token_response_names_none() {
    let body = json!({"access_token": TOKEN, "refresh_token": REFRESH_TOKEN, "expires_in": 3599});
    let userinfo = "https://openidconnect.googleapis.com/v1/userinfo";
    device_login_test("")
        .expect_request(default_device_authorization())
        .expect_request(token_response(200, body.to_string()))
        .expect_request(get_response(userinfo, 200, json!({"sub": "1", "email": "ada@example.com"}).to_string()))
        .expect_stdout("signed in as ada@example.com\n")
        .run();
}

#[test]
fn every_outcome_has_its_message_and_exit_status() {
    for (polls, status, says, tries) in [
        (vec![token_error_response(403, "access_denied")], 5, "consent was denied", "allow the access"),
        (
            vec![token_error_response(400, "expired_token")],
            6,
            "the code expired before it was entered",
            "gauth login --device",
        ),
        (vec![token_error_response(400, "invalid_grant")], 5, "invalid_grant", "gauth login --device"),
        (vec![token_error_response(401, "invalid_client")], 5, "invalid_client", "gauth login --device"),
        (vec![token_response(200, "<html>")], 6, "the response", "captive portal"),
        (vec![token_response(200, "{}")], 6, "access_token", "gauth -vv"),
        (
            vec![
                token_success_response().with_latency(Duration::from_secs(60)),
                token_error_response(400, "invalid_grant"),
            ],
            6,
            "an earlier response of the server was lost",
            "gauth login --device",
        ),
    ] {
        let test = device_login_test("")
            .expect_request(default_device_authorization())
            .expect_status(status)
            .expect_error(says)
            .expect_hint(tries);
        polls.into_iter().fold(test, Test::expect_request).run();
    }
}

#[test]
fn polling_continues_after_a_network_failure() {
    let slow = token_error_response(428, "authorization_pending").with_latency(Duration::from_secs(60));
    device_login_test("--wait 10m")
        .expect_request(default_device_authorization())
        .expect_requests(3, &slow)
        .expect_request(token_response(503, "busy"))
        .expect_request(token_response(429, "{}"))
        .expect_request(token_success_response())
        .run();
    device_login_test("--wait 30m")
        .expect_request(default_device_authorization())
        .expect_requests(10, &slow)
        .expect_status(6)
        .expect_error("no answer in time")
        .run();
}

#[test]
fn a_user_who_does_not_respond_times_out() {
    let pending = token_error_response(428, "authorization_pending");
    device_login_test("--wait 12s")
        .expect_request(default_device_authorization())
        .expect_requests(2, &pending)
        .expect_status(6)
        .expect_error("the sign-in was not finished within 12 s")
        .run();
    // The code expires earlier, whatever the server responds.
    device_login_test("")
        .expect_request(device_authorization_response(&json!({"expires_in": 9})))
        .expect_requests(2, &pending)
        .expect_status(6)
        .expect_error("the code expired before it was entered")
        .run();
}

#[test]
fn scopes_that_google_does_not_grant_to_devices_are_refused() {
    login_test("--device")
        .expect_status(7)
        .expect_error("the scope cloud-platform to devices")
        .expect_hint("--no-browser")
        .run();
    login_test("--device --scopes compute")
        .expect_status(7)
        .expect_error("Google does not grant the scope compute")
        .run();
    login_test("--device --scopes openid,drive.file,youtube.readonly")
        .expect_notice(DEVICE_INSTRUCTIONS)
        .expect_request(default_device_authorization())
        .expect_request(token_error_response(403, "access_denied"))
        .expect_status(5)
        .run();
}

#[test]
fn a_refused_device_authorization_names_the_needed_client_type() {
    for (answer, status, says, tries) in [
        (
            post_response(
                DEVICE_AUTHORIZATION_ENDPOINT,
                401,
                r#"{"error":"invalid_client","error_description":"Invalid client type."}"#,
            ),
            5,
            "Invalid client type.",
            "TVs and Limited Input devices",
        ),
        (
            post_response(DEVICE_AUTHORIZATION_ENDPOINT, 400, r#"{"error":"invalid_scope"}"#),
            5,
            "invalid_scope",
            "TVs and Limited",
        ),
        (post_response(DEVICE_AUTHORIZATION_ENDPOINT, 200, "<html>"), 6, "the response", "captive portal"),
        (device_authorization_response(&json!({"user_code": "a\u{1b}[2J"})), 6, "user_code that is too long", ""),
        (device_authorization_response(&json!({"verification_url": "http://evil.example/"})), 6, "neither https", ""),
        (device_authorization_response(&json!({"device_code": null})), 6, "device_code", ""),
    ] {
        refused_device_login("")
            .expect_request(answer)
            .expect_status(status)
            .expect_error(says)
            .expect_hint(tries)
            .run();
    }
    refused_device_login("--port 8088").expect_status(2).run();
    refused_device_login("--no-browser").expect_status(2).run();
}
