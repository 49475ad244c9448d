//! `gauth logout` revokes a login at the server and then removes it. A login that was not revoked is kept.

use serde_json::{Value, json};

use super::{ADA, BOB, STATE_FILE, gauth_in, home_with_logins, login_file, login_json, state_json};
use crate::support::sample_credentials::{
    self, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, SERVICE_ACCOUNT_EMAIL, TOKEN, file_external_account,
    impersonated_service_account, service_account, token_response_body, workforce_login,
};
use crate::support::{Home, MockExchange, Test, post_response, token_response, without_response};

const REVOCATION_ENDPOINT: &str = "https://oauth2.googleapis.com/revoke";

fn revocation_response() -> MockExchange {
    post_response(REVOCATION_ENDPOINT, 200, "{}")
}

fn is_stored(home: &Home, account: &str) -> bool {
    home.path(&login_file(account)).exists()
}

#[test]
fn the_active_login_is_revoked_and_removed() {
    let home = home_with_logins(&[(ADA, login_json(ADA)), (BOB, login_json(BOB))]);
    gauth_in(&home, "token").expect_request(token_response(200, token_response_body(TOKEN))).run();
    home.cache_entry();
    let still_there = |home: &Home| assert!(is_stored(home, ADA), "the server is told first");
    let ran = gauth_in(&home, "logout")
        .expect_request(revocation_response().on_request(still_there))
        .expect_stdout("signed out of ada@example.com\n")
        .run();
    assert_eq!(ran.requests[0].form_fields(), [("token".to_owned(), REFRESH_TOKEN.to_owned())]);
    assert!(!is_stored(&home, ADA) && is_stored(&home, BOB));
    assert_eq!(state_json(&home), json!({}));
    let cached = home.names(crate::support::TOKEN_CACHE_FOLDER);
    assert!(cached.iter().all(|name| name.len() != 64), "{cached:?}");
    gauth_in(&home, "logout")
        .env("NO_GCE_CHECK", "1")
        .expect_status(3)
        .expect_error("no account is active")
        .expect_hint("gauth logout ACCOUNT")
        .run();
}

#[test]
fn the_newest_refresh_token_is_revoked() {
    let home = home_with_logins(&[(ADA, login_json(ADA))]);
    let answer =
        json!({"access_token": TOKEN, "expires_in": 3599, "refresh_token": sample_credentials::ROTATED_REFRESH_TOKEN});
    gauth_in(&home, "token").expect_request(token_response(200, answer.to_string())).run();
    let ran = gauth_in(&home, "logout ADA@example.com").expect_request(revocation_response()).run();
    assert_eq!(ran.requests[0].form_field("token"), sample_credentials::ROTATED_REFRESH_TOKEN);
}

#[test]
fn a_login_that_is_already_revoked_is_removed() {
    let home = home_with_logins(&[(ADA, login_json(ADA))]);
    let json = gauth_in(&home, "logout --format json")
        .expect_request(post_response(
            REVOCATION_ENDPOINT,
            400,
            r#"{"error":"invalid_token","error_description":"Token expired or revoked"}"#,
        ))
        .run()
        .json();
    assert_eq!(json, json!([{"account": ADA, "revoked": true}]));
    assert!(!is_stored(&home, ADA));
}

#[test]
fn a_login_the_server_does_not_revoke_is_kept() {
    for (answer, times, status, says) in [
        (
            post_response(REVOCATION_ENDPOINT, 400, r#"{"error":"invalid_request"}"#),
            1,
            5,
            "Google says invalid_request",
        ),
        (post_response(REVOCATION_ENDPOINT, 403, ""), 1, 5, "status 403"),
        (post_response(REVOCATION_ENDPOINT, 200, "<html>"), 1, 6, "is a web page"),
        (post_response(REVOCATION_ENDPOINT, 503, ""), 3, 6, "status 503"),
        (without_response(revocation_response()), 3, 6, "connection refused"),
        (revocation_response().with_latency(std::time::Duration::from_secs(60)), 1, 6, "no answer in time"),
        (
            post_response(REVOCATION_ENDPOINT, 302, "").with_header("location", "https://elsewhere.example/"),
            1,
            6,
            "redirects to",
        ),
    ] {
        let home = home_with_logins(&[(ADA, login_json(ADA))]);
        gauth_in(&home, "logout")
            .expect_requests(times, &answer)
            .expect_status(status)
            .expect_error("the login of ada@example.com is kept")
            .expect_error(says)
            .expect_hint("gauth logout ada@example.com --keep-remote")
            .run();
        assert!(is_stored(&home, ADA) && state_json(&home)["active"] == ADA);
        gauth_in(&home, "logout --keep-remote").run();
        assert!(!is_stored(&home, ADA));
    }
}

#[test]
fn an_overridden_endpoint_revokes_the_tokens_it_issued() {
    for (uri, revoke) in [
        ("http://127.0.0.1:9/token", "http://127.0.0.1:9/revoke"),
        ("https://www.googleapis.com/oauth2/v4/token", REVOCATION_ENDPOINT),
        ("https://accounts.google.com/o/oauth2/token", REVOCATION_ENDPOINT),
    ] {
        let home =
            home_with_logins(&[(ADA, sample_credentials::with_fields(login_json(ADA), &json!({"token_uri": uri})))]);
        gauth_in(&home, "logout").expect_request(post_response(revoke, 200, "")).run();
    }
    let other =
        sample_credentials::with_fields(login_json(ADA), &json!({"token_uri": "https://idp.example.com/o/token"}));
    let home = home_with_logins(&[(ADA, other)]);
    gauth_in(&home, "logout").expect_status(9).expect_error("is kept").expect_hint("--keep-remote").run();
    let allowed = gauth_in(&home, "logout --allow-token-host idp.example.com");
    allowed.expect_request(post_response("https://idp.example.com/o/revoke", 200, "")).run();
}

#[test]
fn a_workforce_login_is_revoked_at_the_sts() {
    for (more, url) in [
        (json!({}), "https://sts.googleapis.com/v1/revoke"),
        (
            json!({"revoke_url": "https://sts.eu.rep.googleapis.com/v1/revoke"}),
            "https://sts.eu.rep.googleapis.com/v1/revoke",
        ),
    ] {
        let home = home_with_logins(&[("wf", sample_credentials::with_fields(workforce_login(), &more))]);
        let ran = gauth_in(&home, "logout wf").expect_request(post_response(url, 200, "")).run();
        let expected = [("token", REFRESH_TOKEN), ("token_type_hint", "refresh_token")];
        assert_eq!(ran.requests[0].form_fields(), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        let basic =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{CLIENT_ID}:{CLIENT_SECRET}"));
        assert_eq!(ran.requests[0].header("authorization"), Some(format!("Basic {basic}").as_str()));
    }
    let odd = sample_credentials::with_fields(workforce_login(), &json!({"revoke_url": "https://evil.example/"}));
    let home = home_with_logins(&[("wf", odd)]);
    gauth_in(&home, "logout wf")
        .expect_status(9)
        .expect_error("revoke_url names evil.example")
        .expect_hint("--keep-remote")
        .run();
}

#[test]
fn a_login_no_server_can_revoke_is_only_removed_locally() {
    for (name, login, words) in [
        (SERVICE_ACCOUNT_EMAIL, service_account(), "is a service account, which cannot be revoked"),
        ("ci", file_external_account(), "is a federated identity, which cannot be revoked"),
    ] {
        let home = home_with_logins(&[(name, login)]);
        let json = gauth_in(&home, "logout --format json").expect_warning(words).run().json();
        assert_eq!(json[0]["revoked"], false);
        assert!(!is_stored(&home, name));
    }
    // The source login of an impersonated service account is revoked.
    let home = home_with_logins(&[("acting", impersonated_service_account(login_json(ADA)))]);
    assert_eq!(
        gauth_in(&home, "logout").expect_request(revocation_response()).run().requests[0].form_field("token"),
        REFRESH_TOKEN
    );
}

#[test]
fn logout_all_continues_after_a_failure() {
    let other = |account: &str, refresh: &str| {
        sample_credentials::with_fields(login_json(account), &json!({"refresh_token": refresh}))
    };
    let home = home_with_logins(&[
        (ADA, login_json(ADA)),
        (BOB, other(BOB, "1//0bobs-login")),
        ("eve", other("eve", "1//0eves-login")),
    ]);
    gauth_in(&home, "logout --all")
        .expect_request(post_response(REVOCATION_ENDPOINT, 403, ""))
        .expect_request(revocation_response())
        .expect_request(post_response(REVOCATION_ENDPOINT, 401, ""))
        .expect_status(5)
        .expect_error(
            "the login of ada@example.com is kept, oauth2.googleapis.com: status 403; signed out of bob@example.com",
        )
        .expect_warning("the login of eve is kept, oauth2.googleapis.com: status 401")
        .run();
    assert!(is_stored(&home, ADA) && !is_stored(&home, BOB) && is_stored(&home, "eve"));
    gauth_in(&home, "logout --all --keep-remote")
        .expect_stdout("signed out of ada@example.com\nsigned out of eve\n")
        .run();
    gauth_in(&home, "logout --all").expect_stdout("no logins, nothing to do\n").run();
    gauth_in(&home, "logout --all x").expect_status(2).expect_error("exclude each other").run();
}

#[test]
fn a_broken_login_is_removed_only_on_request() {
    let home = home_with_logins(&[(ADA, Value::from("junk"))]);
    gauth_in(&home, "logout")
        .expect_status(8)
        .expect_error("is kept")
        .expect_hint("gauth logout ada@example.com --keep-remote")
        .run();
    gauth_in(&home, "logout --keep-remote").run();
    assert!(!is_stored(&home, ADA));
    // The account is active, but there is no login.
    home.write(STATE_FILE, json!({"active": ADA}).to_string());
    gauth_in(&home, "logout")
        .env("NO_GCE_CHECK", "1")
        .expect_status(3)
        .expect_error("neither gauth nor gcloud has a login for ada@example.com")
        .run();
}

#[test]
fn logout_also_removes_the_selected_account() {
    let home = home_with_logins(&[(ADA, login_json(ADA)), (BOB, login_json(BOB))]);
    let chosen = json!({"active": BOB, "profiles": {"work": "Ada@Example.com", "home": BOB}});
    home.write(STATE_FILE, chosen.to_string());
    gauth_in(&home, "logout --profile work")
        .expect_request(revocation_response())
        .expect_stdout("signed out of ada@example.com\n")
        .run();
    assert_eq!(state_json(&home), json!({"active": BOB, "profiles": {"home": BOB}}));
}

#[cfg(feature = "gcloud-store")]
#[test]
fn gclouds_logins_are_not_revoked() {
    let home = home_with_logins(&[(ADA, login_json(ADA))]);
    super::sign_in_to_gcloud(&home, &[(BOB, login_json("")), (ADA, login_json(""))]);
    gauth_in(&home, "logout bob@example.com")
        .expect_status(7)
        .expect_error("bob@example.com is a login of gcloud's, which gauth only reads")
        .expect_hint("gcloud auth revoke bob@example.com")
        .run();
    gauth_in(&home, "logout ada@example.com").expect_request(revocation_response()).run();
    gauth_in(&home, "logout --all").expect_stdout("no logins, nothing to do\n").run();
    gauth_in(&home, "logout eve@example.com")
        .expect_status(3)
        .expect_error("neither gauth nor gcloud has a login for eve@example.com")
        .run();
}

#[test]
fn without_a_home_folder_there_are_no_logins() {
    Test::new("logout --all").env("HOME", "").expect_stdout("no logins, nothing to do\n").run();
}
