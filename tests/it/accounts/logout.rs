//! `gauth logout`: the server first, then what is here. What could not be ended is kept.

use serde_json::{Value, json};

use super::{ADA, BOB, STATE, at, login, place, signed_in, state};
use crate::support::samples::{
    self, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, ROBOT, TOKEN, granted, impersonated, of_file,
    service_account, workforce_login,
};
use crate::support::{Exchange, Home, Test, nothing, post, token};

const REVOKE: &str = "https://oauth2.googleapis.com/revoke";

fn revoked() -> Exchange {
    post(REVOKE, 200, "{}")
}

fn is_kept(home: &Home, account: &str) -> bool {
    home.path(&place(account)).exists()
}

#[test]
fn the_active_login_ends_at_the_server_and_here() {
    let home = signed_in(&[(ADA, login(ADA)), (BOB, login(BOB))]);
    at(&home, "token").google(token(200, granted(TOKEN))).run();
    home.entry();
    let still_there = |home: &Home| assert!(is_kept(home, ADA), "the server is told first");
    let ran = at(&home, "logout")
        .google(revoked().during(still_there))
        .stdout("signed out of ada@example.com\n")
        .run();
    assert_eq!(ran.sent[0].fields(), [("token".to_owned(), REFRESH_TOKEN.to_owned())]);
    assert!(!is_kept(&home, ADA) && is_kept(&home, BOB));
    assert_eq!(state(&home), json!({}));
    let cached = home.names(crate::support::TOKENS);
    assert!(cached.iter().all(|name| name.len() != 64), "{cached:?}");
    at(&home, "logout")
        .env("NO_GCE_CHECK", "1")
        .status(3)
        .says("no account is active")
        .tries("gauth logout ACCOUNT")
        .run();
}

#[test]
fn the_newest_refresh_token_is_the_one_that_ends() {
    let home = signed_in(&[(ADA, login(ADA))]);
    let answer =
        json!({"access_token": TOKEN, "expires_in": 3599, "refresh_token": samples::ROTATED});
    at(&home, "token").google(token(200, answer.to_string())).run();
    let ran = at(&home, "logout ADA@example.com").google(revoked()).run();
    assert_eq!(ran.sent[0].field("token"), samples::ROTATED);
}

#[test]
fn a_login_that_is_over_already_is_forgotten() {
    let home = signed_in(&[(ADA, login(ADA))]);
    let json = at(&home, "logout --format json")
        .google(post(
            REVOKE,
            400,
            r#"{"error":"invalid_token","error_description":"Token expired or revoked"}"#,
        ))
        .run()
        .json();
    assert_eq!(json, json!([{"account": ADA, "revoked": true}]));
    assert!(!is_kept(&home, ADA));
}

#[test]
fn what_the_server_does_not_take_back_is_kept() {
    for (answer, times, status, says) in [
        (post(REVOKE, 400, r#"{"error":"invalid_request"}"#), 1, 5, "Google says invalid_request"),
        (post(REVOKE, 403, ""), 1, 5, "status 403"),
        (post(REVOKE, 200, "<html>"), 1, 6, "is a web page"),
        (post(REVOKE, 503, ""), 3, 6, "status 503"),
        (nothing(revoked()), 3, 6, "connection refused"),
        (revoked().takes(std::time::Duration::from_secs(60)), 1, 6, "no answer in time"),
        (
            post(REVOKE, 302, "").header("location", "https://elsewhere.example/"),
            1,
            6,
            "redirects to",
        ),
    ] {
        let home = signed_in(&[(ADA, login(ADA))]);
        at(&home, "logout")
            .google_times(times, &answer)
            .status(status)
            .says("the login of ada@example.com is kept")
            .says(says)
            .tries("gauth logout ada@example.com --keep-remote")
            .run();
        assert!(is_kept(&home, ADA) && state(&home)["active"] == ADA);
        at(&home, "logout --keep-remote").run();
        assert!(!is_kept(&home, ADA));
    }
}

#[test]
fn a_server_that_was_moved_takes_back_what_it_gave() {
    for (uri, revoke) in [
        ("http://127.0.0.1:9/token", "http://127.0.0.1:9/revoke"),
        ("https://www.googleapis.com/oauth2/v4/token", REVOKE),
        ("https://accounts.google.com/o/oauth2/token", REVOKE),
    ] {
        let home = signed_in(&[(ADA, samples::with(login(ADA), &json!({"token_uri": uri})))]);
        at(&home, "logout").google(post(revoke, 200, "")).run();
    }
    let other = samples::with(login(ADA), &json!({"token_uri": "https://idp.example.com/o/token"}));
    let home = signed_in(&[(ADA, other)]);
    at(&home, "logout").status(9).says("is kept").tries("--keep-remote").run();
    let allowed = at(&home, "logout --allow-token-host idp.example.com");
    allowed.google(post("https://idp.example.com/o/revoke", 200, "")).run();
}

#[test]
fn a_workforce_login_ends_at_the_sts() {
    for (more, url) in [
        (json!({}), "https://sts.googleapis.com/v1/revoke"),
        (
            json!({"revoke_url": "https://sts.eu.rep.googleapis.com/v1/revoke"}),
            "https://sts.eu.rep.googleapis.com/v1/revoke",
        ),
    ] {
        let home = signed_in(&[("wf", samples::with(workforce_login(), &more))]);
        let ran = at(&home, "logout wf").google(post(url, 200, "")).run();
        let expected = [("token", REFRESH_TOKEN), ("token_type_hint", "refresh_token")];
        assert_eq!(ran.sent[0].fields(), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        let basic = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            format!("{CLIENT_ID}:{CLIENT_SECRET}"),
        );
        assert_eq!(ran.sent[0].header("authorization"), Some(format!("Basic {basic}").as_str()));
    }
    let odd = samples::with(workforce_login(), &json!({"revoke_url": "https://evil.example/"}));
    let home = signed_in(&[("wf", odd)]);
    at(&home, "logout wf")
        .status(9)
        .says("revoke_url names evil.example")
        .tries("--keep-remote")
        .run();
}

#[test]
fn what_no_server_takes_back_is_only_forgotten() {
    for (name, login, words) in [
        (ROBOT, service_account(), "is a service account, which no server takes back"),
        ("ci", of_file(), "is a federated identity, which no server takes back"),
    ] {
        let home = signed_in(&[(name, login)]);
        let json = at(&home, "logout --format json").warns(words).run().json();
        assert_eq!(json[0]["revoked"], false);
        assert!(!is_kept(&home, name));
    }
    // The login behind a service account that is acted as ends.
    let home = signed_in(&[("acting", impersonated(login(ADA)))]);
    assert_eq!(at(&home, "logout").google(revoked()).run().sent[0].field("token"), REFRESH_TOKEN);
}

#[test]
fn all_go_on_when_one_does_not() {
    let other = |account: &str, refresh: &str| {
        samples::with(login(account), &json!({"refresh_token": refresh}))
    };
    let home = signed_in(&[
        (ADA, login(ADA)),
        (BOB, other(BOB, "1//0bobs-login")),
        ("eve", other("eve", "1//0eves-login")),
    ]);
    at(&home, "logout --all")
        .google(post(REVOKE, 403, ""))
        .google(revoked())
        .google(post(REVOKE, 401, ""))
        .status(5)
        .says("the login of ada@example.com is kept, oauth2.googleapis.com: status 403; signed out of bob@example.com")
        .warns("the login of eve is kept, oauth2.googleapis.com: status 401")
        .run();
    assert!(is_kept(&home, ADA) && !is_kept(&home, BOB) && is_kept(&home, "eve"));
    at(&home, "logout --all --keep-remote")
        .stdout("signed out of ada@example.com\nsigned out of eve\n")
        .run();
    at(&home, "logout --all").stdout("no logins, nothing to do\n").run();
    at(&home, "logout --all x").status(2).says("do not go together").run();
}

#[test]
fn a_broken_login_is_forgotten_on_request_only() {
    let home = signed_in(&[(ADA, Value::from("junk"))]);
    at(&home, "logout")
        .status(8)
        .says("is kept")
        .tries("gauth logout ada@example.com --keep-remote")
        .run();
    at(&home, "logout --keep-remote").run();
    assert!(!is_kept(&home, ADA));
    // Chosen, but not there.
    home.write(STATE, json!({"active": ADA}).to_string());
    at(&home, "logout")
        .env("NO_GCE_CHECK", "1")
        .status(3)
        .says("ada@example.com is no login")
        .run();
}

#[test]
fn what_was_chosen_of_it_is_forgotten_too() {
    let home = signed_in(&[(ADA, login(ADA)), (BOB, login(BOB))]);
    let chosen = json!({"active": BOB, "profiles": {"work": "Ada@Example.com", "home": BOB}});
    home.write(STATE, chosen.to_string());
    at(&home, "logout --profile work")
        .google(revoked())
        .stdout("signed out of ada@example.com\n")
        .run();
    assert_eq!(state(&home), json!({"active": BOB, "profiles": {"home": BOB}}));
}

#[cfg(feature = "gcloud-store")]
#[test]
fn gclouds_logins_are_gclouds_to_end() {
    let home = signed_in(&[(ADA, login(ADA))]);
    super::in_gcloud(&home, &[(BOB, login("")), (ADA, login(""))]);
    at(&home, "logout bob@example.com")
        .status(7)
        .says("bob@example.com is a login of gcloud's, which gauth only reads")
        .tries("gcloud auth revoke bob@example.com")
        .run();
    at(&home, "logout ada@example.com").google(revoked()).run();
    at(&home, "logout --all").stdout("no logins, nothing to do\n").run();
    at(&home, "logout eve@example.com").status(3).says("eve@example.com is no login").run();
}

#[test]
fn without_a_home_nobody_is_signed_in() {
    Test::new("logout --all").env("HOME", "").stdout("no logins, nothing to do\n").run();
}
