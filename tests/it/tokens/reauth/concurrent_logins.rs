//! The stored login while the user is prompted: other processes may store one, and wait for this one.

use serde_json::json;

use super::{
    LOGIN_FILE, NEW_RAPT, PASSWORD, REAUTH_ACCESS_TOKEN, authenticated_body, continue_response, home_with_own_login,
    own_login_test, password_challenge_body, reauth_required_response, start_response, token_success_response,
    up_to_password_prompt,
};
use crate::support::sample_credentials::{self, REFRESH_TOKEN, ROTATED_REFRESH_TOKEN, TOKEN, authorized_user};
use crate::support::{Home, token_response};

#[test]
fn a_login_made_during_the_prompt_is_used_and_kept() {
    let home = home_with_own_login(&json!({}));
    let anew = sample_credentials::with_fields(authorized_user(), &json!({"refresh_token": ROTATED_REFRESH_TOKEN}));
    let meanwhile = move |home: &Home| home.write(LOGIN_FILE, anew.to_string());
    let test = up_to_password_prompt(own_login_test(&home, "")).type_line_after(PASSWORD, meanwhile);
    let ran = test
        .expect_request(continue_response(200, authenticated_body(NEW_RAPT)))
        .expect_request(token_success_response())
        .run();
    assert_eq!(ran.requests[4].form_field("refresh_token"), ROTATED_REFRESH_TOKEN);
    assert_eq!(home.read_json(LOGIN_FILE)["refresh_token"], json!(ROTATED_REFRESH_TOKEN));
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
        let held: Vec<(&str, bool)> = names.iter().map(|name| (name.as_str(), is_locked(home, name))).collect();
        let of = |ending: &str, login: bool| {
            let is_it =
                |name: &str| name.starts_with("login-") == login && name.ends_with("-asks") != ending.is_empty();
            let found: Vec<bool> = held.iter().filter(|(name, _)| is_it(name)).map(|(_, held)| *held).collect();
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
    let login = home.read_json(LOGIN_FILE);
    assert_eq!((&login["refresh_token"], &login["rapt_token"]), (&json!(third), &json!(NEW_RAPT)));
}
