//! Signing in by a code that is entered on another device.

use std::time::Duration;

use serde_json::{Value, json};

use super::{id_token, login};
use crate::support::samples::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, TOKEN};
use crate::support::{Exchange, Home, NOW, Test, get, post, token};

const DEVICE_CODE: &str = "AH-1planted-device-code";
const ENDPOINT: &str = "https://oauth2.googleapis.com/device/code";
const ACCOUNT: &str = ".config/gauth/accounts/ada@example.com.json";

fn begun(change: &Value) -> Exchange {
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
    post(ENDPOINT, 200, body.to_string())
}

fn usual() -> Exchange {
    begun(&json!({}))
}

fn refusal(status: u16, code: &str) -> Exchange {
    token(status, json!({"error": code, "error_description": "Forbidden"}).to_string())
}

fn granted() -> Exchange {
    let claims = json!({
        "iss": "https://accounts.google.com", "aud": CLIENT_ID, "sub": "1",
        "email": "ada@example.com", "email_verified": true, "iat": NOW, "exp": NOW + 3600,
    });
    let body = json!({
        "access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer", "scope": "openid email",
        "refresh_token": REFRESH_TOKEN, "id_token": id_token(&claims),
    });
    token(200, body.to_string())
}

/// One that is refused before anything is shown.
fn refused(words: &str) -> Test {
    login(&format!("--device --scopes openid,email {words}")).secret(DEVICE_CODE)
}

fn device(words: &str) -> Test {
    refused(words).tells(TOLD)
}

/// What the person reads, in whole.
const TOLD: &str = "visit, in any browser\n\n  https://www.google.com/device\n\n\
                    and enter the code\n\n  GQVQ-JKEC\n\n";

#[test]
fn the_server_is_asked_until_somebody_has_entered_the_code() {
    let home = Home::new();
    let ran = device("")
        .home(&home)
        .google(usual())
        .google(refusal(428, "authorization_pending"))
        .google(refusal(403, "slow_down"))
        .google(refusal(428, "authorization_pending"))
        .google(granted())
        .stdout("signed in as ada@example.com, scopes email, openid\n")
        .run();
    // Five seconds, and five more after the complaint.
    let waited = home.clock.millis() / 1000 - NOW;
    assert!((5 + 5 + 10 + 10..=31).contains(&waited), "{waited} s");
    assert_eq!(ran.sent[0].fields().len(), 2, "Google wants no secret here");
    assert_eq!(
        (ran.sent[0].field("client_id"), ran.sent[0].field("scope")),
        (CLIENT_ID, "email openid")
    );
    let poll = &ran.sent[1];
    assert_eq!(poll.field("grant_type"), "urn:ietf:params:oauth:grant-type:device_code");
    assert_eq!(
        (poll.field("device_code"), poll.field("client_secret")),
        (DEVICE_CODE, CLIENT_SECRET)
    );
    let stored: Value = serde_json::from_str(&home.read(ACCOUNT)).expect("JSON");
    assert_eq!(
        (&stored["type"], &stored["refresh_token"]),
        (&json!("authorized_user"), &json!(REFRESH_TOKEN))
    );
    assert!(home.read(".config/gauth/state.json").contains("ada@example.com"));
}

#[test]
fn a_server_that_does_not_say_who_is_asked() {
    let body = json!({"access_token": TOKEN, "refresh_token": REFRESH_TOKEN, "expires_in": 3599});
    let userinfo = "https://openidconnect.googleapis.com/v1/userinfo";
    device("")
        .google(usual())
        .google(token(200, body.to_string()))
        .google(get(userinfo, 200, json!({"sub": "1", "email": "ada@example.com"}).to_string()))
        .stdout("signed in as ada@example.com\n")
        .run();
}

#[test]
fn every_end_has_its_words_and_its_status() {
    for (polls, status, says, tries) in [
        (vec![refusal(403, "access_denied")], 5, "was told no", "allow it"),
        (vec![refusal(400, "expired_token")], 6, "nobody entered the code", "gauth login --device"),
        (vec![refusal(400, "invalid_grant")], 5, "invalid_grant", "gauth login --device"),
        (vec![refusal(401, "invalid_client")], 5, "invalid_client", "gauth login --device"),
        (vec![token(200, "<html>")], 6, "the answer", "captive portal"),
        (vec![token(200, "{}")], 6, "access_token", "gauth -vv"),
        (
            vec![granted().takes(Duration::from_secs(60)), refusal(400, "invalid_grant")],
            6,
            "an answer was lost",
            "gauth login --device",
        ),
    ] {
        let test = device("").google(usual()).status(status).says(says).tries(tries);
        polls.into_iter().fold(test, Test::google).run();
    }
}

#[test]
fn a_bad_moment_of_the_network_is_lived_through() {
    let slow = refusal(428, "authorization_pending").takes(Duration::from_secs(60));
    device("--wait 10m")
        .google(usual())
        .google_times(3, &slow)
        .google(token(503, "busy"))
        .google(token(429, "{}"))
        .google(granted())
        .run();
    device("--wait 30m")
        .google(usual())
        .google_times(10, &slow)
        .status(6)
        .says("no answer in time")
        .run();
}

#[test]
fn a_person_who_does_not_come_is_not_waited_for() {
    let pending = refusal(428, "authorization_pending");
    device("--wait 12s")
        .google(usual())
        .google_times(2, &pending)
        .status(6)
        .says("waited 12 s for the sign-in, nobody came")
        .run();
    // The code ends earlier, whatever the server goes on to say.
    device("")
        .google(begun(&json!({"expires_in": 9})))
        .google_times(2, &pending)
        .status(6)
        .says("nobody entered the code while it was good")
        .run();
}

#[test]
fn what_google_gives_to_no_device_is_said_before() {
    login("--device").status(7).says("cloud-platform to no device").tries("--no-browser").run();
    login("--device --scopes compute").status(7).says("Google gives compute").run();
    login("--device --scopes openid,drive.file,youtube.readonly")
        .tells(TOLD)
        .google(usual())
        .google(refusal(403, "access_denied"))
        .status(5)
        .run();
}

#[test]
fn a_refusal_of_the_code_says_which_client_it_takes() {
    for (answer, status, says, tries) in [
        (
            post(
                ENDPOINT,
                401,
                r#"{"error":"invalid_client","error_description":"Invalid client type."}"#,
            ),
            5,
            "Invalid client type.",
            "TVs and Limited Input devices",
        ),
        (
            post(ENDPOINT, 400, r#"{"error":"invalid_scope"}"#),
            5,
            "invalid_scope",
            "TVs and Limited",
        ),
        (post(ENDPOINT, 200, "<html>"), 6, "the answer", "captive portal"),
        (begun(&json!({"user_code": "a\u{1b}[2J"})), 6, "nobody can type", ""),
        (begun(&json!({"verification_url": "http://evil.example/"})), 6, "neither https", ""),
        (begun(&json!({"device_code": null})), 6, "device_code", ""),
    ] {
        refused("").google(answer).status(status).says(says).tries(tries).run();
    }
    refused("--port 8088").status(2).run();
    refused("--no-browser").status(2).run();
}
