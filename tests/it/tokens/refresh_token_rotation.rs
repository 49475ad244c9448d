//! Rotating refresh tokens: stored before anything is printed, used by the next run, never lost.

use std::os::unix::fs::PermissionsExt;
use std::rc::Rc;

use serde_json::json;

use super::token_test;
use crate::support::sample_credentials::{
    self, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, ROTATED_REFRESH_TOKEN, SECOND_TOKEN, TOKEN, authorized_user,
    token_response_body,
};
use crate::support::{Home, LOGIN_FILE, MockExchange, OVERLAY_FOLDER, Test, token_response, without_response};

/// A response with a new refresh token.
fn rotating_response(access: &str, next_refresh_token: &str) -> MockExchange {
    let body = json!({"access_token": access, "expires_in": 3599, "refresh_token": next_refresh_token});
    token_response(200, body.to_string())
}

fn own_login_test(home: &Rc<Home>, args: &str) -> Test {
    Test::new(&format!("token --account ada@example.com {args}")).home(home)
}

/// The only overlay file.
fn overlay_file(home: &Home) -> String {
    let names = home.names(OVERLAY_FOLDER);
    assert_eq!(names.len(), 1, "{names:?}");
    format!("{OVERLAY_FOLDER}/{}", names[0])
}

#[test]
fn gauths_own_login_stores_the_new_refresh_token() {
    let home = Home::new();
    let login =
        sample_credentials::with_fields(authorized_user(), &json!({"later": {"x": [1]}, "quota_project_id": "p"}));
    home.write(LOGIN_FILE, login.to_string());
    own_login_test(&home, "").expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN)).run();
    let expected = sample_credentials::with_fields(
        login,
        &json!({"refresh_token": ROTATED_REFRESH_TOKEN, "refresh_token_rotates": true}),
    );
    assert_eq!(home.read_json(LOGIN_FILE), expected);
    let mode = std::fs::metadata(home.path(LOGIN_FILE)).expect("file").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert_eq!(home.names(".config/gauth/accounts"), ["ada@example.com.json"]);
    // The cached access token is still used after the file has changed.
    own_login_test(&home, "").run();
    let ran =
        own_login_test(&home, "--refresh").expect_request(token_response(200, token_response_body(SECOND_TOKEN))).run();
    assert_eq!(ran.requests[0].form_field("refresh_token"), ROTATED_REFRESH_TOKEN);
}

#[test]
fn a_read_only_login_file_is_not_changed() {
    let home = Home::new();
    let before = authorized_user().to_string();
    let run = |words: &str| token_test(&authorized_user(), words).home(&home);
    run("").expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN)).run();
    assert_eq!(home.read("key.json"), before);
    assert_eq!(home.read_json(&overlay_file(&home))["refresh_token"], ROTATED_REFRESH_TOKEN);
    let third = "1//0third-refresh-token";
    let ran = run("--refresh").expect_request(rotating_response(SECOND_TOKEN, third)).secret(third).run();
    assert_eq!(ran.requests[0].form_field("refresh_token"), ROTATED_REFRESH_TOKEN);
    assert_eq!(home.read_json(&overlay_file(&home))["refresh_token"], third);
    assert_eq!(home.read("key.json"), before);
}

#[test]
fn a_new_login_discards_the_old_logins_overlay() {
    let home = Home::new();
    token_test(&authorized_user(), "")
        .home(&home)
        .expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN))
        .run();
    let anew = sample_credentials::with_fields(authorized_user(), &json!({"refresh_token": "1//0a-login-made-anew"}));
    let ran =
        token_test(&anew, "").home(&home).expect_request(token_response(200, token_response_body(SECOND_TOKEN))).run();
    assert_eq!(ran.requests[0].form_field("refresh_token"), "1//0a-login-made-anew");
}

#[test]
fn an_unchanged_refresh_token_is_not_stored() {
    let home = Home::new();
    token_test(&authorized_user(), "").home(&home).expect_request(rotating_response(TOKEN, REFRESH_TOKEN)).run();
    assert!(home.names(OVERLAY_FOLDER).is_empty());
}

#[test]
fn the_new_refresh_token_is_stored_before_the_token_is_printed() {
    let home = Home::new();
    home.write(LOGIN_FILE, authorized_user().to_string());
    own_login_test(&home, "")
        .expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN))
        .on_write(|home| {
            assert_eq!(home.read_json(LOGIN_FILE)["refresh_token"], ROTATED_REFRESH_TOKEN);
            Ok(())
        })
        .run();
}

#[test]
fn a_store_that_cannot_be_written_is_warned_about() {
    token_test(&authorized_user(), "")
        .setup(|home| home.write(".config/gauth/accounts", "in the way"))
        .expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN))
        .expect_warning("the new refresh token of ada@example.com cannot be stored")
        .expect_stdout(&format!("{TOKEN}\n"))
        .run();
}

#[test]
fn a_rotating_refresh_token_is_not_used_when_it_cannot_be_stored() {
    let home = Home::new();
    token_test(&authorized_user(), "")
        .home(&home)
        .expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN))
        .run();
    // The folder has the newer token, but no file can be created in it.
    let mode =
        |mode| std::fs::set_permissions(home.path(OVERLAY_FOLDER), PermissionsExt::from_mode(mode)).expect("mode");
    mode(0o577);
    token_test(&authorized_user(), "--refresh")
        .home(&home)
        .expect_status(1)
        .expect_error("the next refresh token of ada@example.com could not be stored")
        .expect_hint("GAUTH_CONFIG_DIR")
        .run();
    mode(0o700);
}

#[test]
fn the_store_changed_meanwhile_and_the_newer_token_is_tried_once() {
    let home = Home::new();
    home.write(LOGIN_FILE, authorized_user().to_string());
    let newer = sample_credentials::with_fields(authorized_user(), &json!({"refresh_token": ROTATED_REFRESH_TOKEN}));
    let meanwhile = move |home: &Home| home.write(LOGIN_FILE, newer.to_string());
    let refused = token_response(400, r#"{"error":"invalid_grant"}"#);
    let ran = own_login_test(&home, "")
        .expect_request(refused.clone().on_request(meanwhile))
        .expect_request(token_response(200, token_response_body(TOKEN)))
        .run();
    assert_eq!(ran.requests[0].form_field("refresh_token"), REFRESH_TOKEN);
    assert_eq!(ran.requests[1].form_field("refresh_token"), ROTATED_REFRESH_TOKEN);
    assert_eq!(ran.requests[1].form_field("client_secret"), CLIENT_SECRET);
    assert_eq!(ran.requests[1].form_field("client_id"), CLIENT_ID);
    // Refused again, it is not tried a third time, and nothing is deleted.
    own_login_test(&home, "--refresh").expect_request(refused).expect_status(4).run();
    assert_eq!(home.read_json(LOGIN_FILE)["refresh_token"], ROTATED_REFRESH_TOKEN);
}

#[test]
fn a_rotating_refresh_token_is_not_retried_once_it_may_have_been_received() {
    let home = Home::new();
    token_test(&authorized_user(), "")
        .home(&home)
        .expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN))
        .run();
    let run = || token_test(&authorized_user(), "--refresh").home(&home);
    let slow = token_response(200, "").with_latency(std::time::Duration::from_secs(60));
    run().expect_request(slow).expect_status(6).run();
    home.clock.advance(10);
    run().expect_request(token_response(503, "")).expect_status(6).run();
    home.clock.advance(10);
    run()
        .expect_request(without_response(token_response(200, "")))
        .expect_request(token_response(200, token_response_body(SECOND_TOKEN)))
        .run();
}

#[test]
fn a_damaged_overlay_is_ignored() {
    for damage in ["", "junk", "{}", "{\"refresh_token\":5}", "{\"refresh_token\":\"\"}", "[]"] {
        let home = Home::new();
        token_test(&authorized_user(), "")
            .home(&home)
            .expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN))
            .run();
        home.write(&overlay_file(&home), damage);
        let ran = token_test(&authorized_user(), "--refresh")
            .home(&home)
            .expect_request(token_response(200, token_response_body(SECOND_TOKEN)))
            .run();
        assert_eq!(ran.requests[0].form_field("refresh_token"), REFRESH_TOKEN, "{damage}");
    }
}

#[test]
fn without_a_home_a_rotated_token_is_warned_about() {
    token_test(&authorized_user(), "")
        .env("HOME", "")
        .expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN))
        .expect_warning("the new refresh token of ada@example.com cannot be stored, there is no home folder")
        .run();
}

#[test]
fn a_login_made_during_a_refresh_is_not_overwritten() {
    let home = Home::new();
    home.write(LOGIN_FILE, authorized_user().to_string());
    let anew = sample_credentials::with_fields(authorized_user(), &json!({"refresh_token": "1//0a-login-made-anew"}));
    let there = anew.clone();
    let meanwhile = move |home: &Home| home.write(LOGIN_FILE, there.to_string());
    own_login_test(&home, "")
        .expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN).on_request(meanwhile))
        .run();
    assert_eq!(home.read_json(LOGIN_FILE), anew);
}

#[test]
fn a_login_removed_during_a_refresh_stays_removed() {
    let home = Home::new();
    home.write(LOGIN_FILE, authorized_user().to_string());
    let remove = |home: &Home| std::fs::remove_file(home.path(LOGIN_FILE)).expect("a file");
    own_login_test(&home, "").expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN).on_request(remove)).run();
    assert!(home.names(".config/gauth/accounts").is_empty());
}

#[test]
fn a_login_damaged_during_a_refresh_is_not_rewritten() {
    for rotates in [true, false] {
        let home = Home::new();
        let login = sample_credentials::with_fields(authorized_user(), &json!({"refresh_token_rotates": rotates}));
        home.write(LOGIN_FILE, login.to_string());
        let damage = |home: &Home| home.write(LOGIN_FILE, "{");
        let test = own_login_test(&home, "")
            .expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN).on_request(damage));
        if rotates {
            // It was read just before.
            test.run();
            let next = json!({"refresh_token": ROTATED_REFRESH_TOKEN});
            assert_eq!(home.read_json(LOGIN_FILE), sample_credentials::with_fields(login, &next));
        } else {
            test.expect_warning("cannot be stored, its file is damaged").run();
            assert_eq!(home.read(LOGIN_FILE), "{");
        }
    }
}

/// A run whose refresh token is refused, after `meanwhile` has changed the login.
fn refused_refresh_test(meanwhile: impl Fn(&Home) + 'static) -> Test {
    let home = Home::new();
    home.write(LOGIN_FILE, authorized_user().to_string());
    own_login_test(&home, "").expect_request(token_response(400, r#"{"error":"invalid_grant"}"#).on_request(meanwhile))
}

#[test]
fn a_login_removed_or_reassigned_meanwhile_is_not_used() {
    let remove = |home: &Home| std::fs::remove_file(home.path(LOGIN_FILE)).expect("a file");
    let test = refused_refresh_test(remove).expect_status(4);
    test.expect_error("ada@example.com must sign in again, another gauth signed it out meanwhile")
        .expect_hint("gauth login --account ada@example.com")
        .run();
    let other = json!({"client_id": "another-client", "refresh_token": ROTATED_REFRESH_TOKEN});
    let other = sample_credentials::with_fields(authorized_user(), &other);
    let test = refused_refresh_test(move |home| home.write(LOGIN_FILE, other.to_string())).expect_status(6);
    test.expect_error("ada@example.com was signed in again while its old login was used").run();
}

#[test]
fn leftovers_of_killed_writers_among_the_logins_are_removed() {
    let home = Home::new();
    home.write(LOGIN_FILE, authorized_user().to_string());
    let left = ".config/gauth/accounts/.ada@example.com.json.1-ab.tmp";
    home.write(left, "x");
    home.write(".config/gauth/accounts/.young.json.1-ab.tmp", "x");
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_767_323_045 - 4000);
    std::fs::File::open(home.path(left)).expect("a file").set_modified(old).expect("a time");
    own_login_test(&home, "").expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN)).run();
    let names = home.names(".config/gauth/accounts");
    assert_eq!(names, [".young.json.1-ab.tmp", "ada@example.com.json"]);
}

#[test]
fn a_pending_update_removed_by_cleanup_does_not_lose_the_refresh_token() {
    let home = Home::new();
    let login = sample_credentials::with_fields(authorized_user(), &json!({"refresh_token_rotates": true}));
    home.write(LOGIN_FILE, login.to_string());
    let sweep = |home: &Home| {
        let folder = ".config/gauth/accounts";
        let drafts: Vec<String> = home.names(folder).into_iter().filter(|name| name.ends_with(".tmp")).collect();
        assert_eq!(drafts.len(), 1);
        std::fs::remove_file(home.path(folder).join(&drafts[0])).expect("a file");
    };
    own_login_test(&home, "").expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN).on_request(sweep)).run();
    assert_eq!(home.read_json(LOGIN_FILE)["refresh_token"], ROTATED_REFRESH_TOKEN);
}

#[test]
fn a_token_endpoint_other_than_google_is_assumed_to_rotate_and_asked_once() {
    let there = "https://tokens.example/token";
    let user = sample_credentials::with_fields(authorized_user(), &json!({"token_uri": there}));
    let test = token_test(&user, "--allow-token-host tokens.example");
    test.expect_request(token_response(503, "").at_url(there)).expect_status(6).run();
}

#[test]
fn a_copied_login_and_its_original_share_what_changes() {
    let home = Home::new();
    let copy = sample_credentials::with_fields(authorized_user(), &json!({"refresh_token_shared": true}));
    home.write(LOGIN_FILE, copy.to_string());
    own_login_test(&home, "").expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN)).run();
    assert_eq!(home.read_json(LOGIN_FILE), copy);
    let third = "1//0third-refresh-token";
    let test = token_test(&authorized_user(), "--refresh").home(&home).secret(third);
    let ran = test.expect_request(rotating_response(SECOND_TOKEN, third)).run();
    assert_eq!(ran.requests[0].form_field("refresh_token"), ROTATED_REFRESH_TOKEN);
    let ran = own_login_test(&home, "--refresh").expect_request(token_response(200, token_response_body(TOKEN))).run();
    assert_eq!(ran.requests[0].form_field("refresh_token"), third);
}
