//! A server that is down, slow or refuses: when a stale token is used, and which processes share a failure.

use std::time::Duration;

use super::{output_line, service_account_test, token_with_lifetime, user_test};
use crate::support::sample_credentials::{SECOND_TOKEN, TOKEN};
use crate::support::{Home, token_response, without_response};

const STALE_TOKEN_WARNING: &str = "a cached token is used while it lasts";

/// A home whose only token has this many seconds left.
fn home_with_token_expiring_in(seconds: i64) -> std::rc::Rc<Home> {
    let home = Home::new();
    user_test(&home, "").expect_request(token_with_lifetime(TOKEN, 3600)).run();
    home.clock.advance(3600 - seconds);
    home
}

#[test]
fn a_token_about_to_expire_is_used_when_the_server_is_down() {
    for left in [1, 59, 60, 299] {
        let home = home_with_token_expiring_in(left);
        let down = without_response(token_response(200, ""));
        // With a minute left on the token the server gets two seconds; the second attempt is due after one.
        let attempts = if left >= 60 { 2 } else { 3 };
        user_test(&home, "")
            .expect_requests(attempts, &down)
            .expect_warning(STALE_TOKEN_WARNING)
            .expect_stdout(&output_line(TOKEN))
            .run();
    }
    let home = home_with_token_expiring_in(120);
    let test = user_test(&home, "").expect_requests(2, &token_response(503, "")).expect_warning(STALE_TOKEN_WARNING);
    test.expect_warning("oauth2.googleapis.com: status 503").expect_stdout(&output_line(TOKEN)).run();
    let home = home_with_token_expiring_in(0);
    let test = user_test(&home, "").expect_requests(3, &without_response(token_response(200, ""))).expect_status(6);
    test.expect_error("connection refused").run();
}

#[test]
fn with_a_minute_left_on_the_cached_token_the_server_gets_two_seconds() {
    let home = home_with_token_expiring_in(120);
    let slow = token_response(200, "").with_latency(Duration::from_secs(10));
    let ran = user_test(&home, "")
        .expect_request(slow)
        .expect_warning(STALE_TOKEN_WARNING)
        .expect_stdout(&output_line(TOKEN))
        .run();
    assert_eq!(ran.requests[0].timeout, Duration::from_secs(2));
    let home = home_with_token_expiring_in(30);
    let slow = token_with_lifetime(SECOND_TOKEN, 3599).with_latency(Duration::from_secs(10));
    let ran = user_test(&home, "").expect_request(slow).expect_stdout(&output_line(SECOND_TOKEN)).run();
    assert_eq!(ran.requests[0].timeout, Duration::from_secs(30));
}

#[test]
fn a_refusal_is_not_hidden_by_a_stale_token() {
    let home = home_with_token_expiring_in(120);
    let test =
        user_test(&home, "").expect_request(token_response(400, r#"{"error":"invalid_grant"}"#)).expect_status(4);
    test.expect_error("ada@example.com must sign in again").run();
    let home = home_with_token_expiring_in(120);
    user_test(&home, "").expect_request(token_response(403, "")).expect_status(5).run();
}

#[test]
fn a_min_ttl_request_gets_no_stale_token() {
    for words in ["--min-ttl 5m", "--refresh", "--no-cache"] {
        let home = home_with_token_expiring_in(120);
        let down = without_response(token_response(200, ""));
        user_test(&home, words).expect_requests(3, &down).expect_status(6).expect_error("connection refused").run();
    }
}

#[test]
fn a_failure_is_shared_with_waiting_processes() {
    for (answer, attempts, status) in [
        (without_response(token_response(200, "")), 3, 6),
        (token_response(403, ""), 1, 5),
        (token_response(400, r#"{"error":"invalid_grant"}"#), 1, 4),
    ] {
        let home = Home::new();
        let before = home.clock.millis();
        let first = user_test(&home, "").expect_requests(attempts, &answer).expect_status(status).run();
        let shared = user_test(&home, "").started(before).expect_status(status).run();
        assert_eq!(shared.stderr, first.stderr);
        // A process that starts now sends its own request.
        user_test(&home, "").expect_request(token_with_lifetime(TOKEN, 3599)).expect_stdout(&output_line(TOKEN)).run();
    }
}

#[test]
fn a_failure_is_shared_for_two_seconds() {
    let home = Home::new();
    let before = home.clock.millis();
    user_test(&home, "").expect_request(token_response(403, "")).expect_status(5).run();
    home.clock.advance(3);
    user_test(&home, "").started(before).expect_request(token_with_lifetime(TOKEN, 3599)).run();
}

#[test]
fn usage_errors_are_not_shared_between_processes() {
    let home = Home::new();
    let before = home.clock.millis();
    service_account_test(&home, "--lifetime 2h").expect_status(2).run();
    service_account_test(&home, "--lifetime 2h").started(before).expect_status(2).run();
    assert!(home.names(crate::support::TOKEN_CACHE_FOLDER).is_empty());
}

#[test]
fn a_damaged_failure_file_is_ignored() {
    let home = Home::new();
    let before = home.clock.millis();
    user_test(&home, "").expect_request(token_response(403, "")).expect_status(5).run();
    let names = home.names(crate::support::TOKEN_CACHE_FOLDER);
    let note = names.iter().find(|name| name.ends_with(".fail")).expect("a note");
    home.write(&format!("{}/{note}", crate::support::TOKEN_CACHE_FOLDER), "junk");
    user_test(&home, "").started(before).expect_request(token_with_lifetime(TOKEN, 3599)).run();
}

#[test]
fn a_token_minted_by_another_process_while_waiting_is_used() {
    let home = Home::new();
    let before = home.clock.millis();
    user_test(&home, "").expect_request(token_with_lifetime(TOKEN, 3599)).run();
    user_test(&home, "").started(before).expect_stdout(&output_line(TOKEN)).run();
}

#[test]
fn a_held_lock_is_waited_for_until_the_timeout() {
    let home = Home::new();
    user_test(&home, "").expect_request(token_with_lifetime(TOKEN, 3599)).run();
    let locks = home.names(".config/gauth/locks");
    let held: Vec<std::fs::File> = locks
        .iter()
        .map(|name| {
            let file = std::fs::File::open(home.path(".config/gauth/locks").join(name)).expect("a lock");
            file.lock().expect("free");
            file
        })
        .collect();
    assert!(!held.is_empty());
    // A cached token needs no lock.
    user_test(&home, "").expect_stdout(&output_line(TOKEN)).run();
    let test = user_test(&home, "--refresh --timeout 10s").expect_status(6);
    test.expect_error("another gauth was fetching this token until the time was up").expect_hint("--timeout").run();
    drop(held);
    user_test(&home, "--refresh").expect_request(token_with_lifetime(SECOND_TOKEN, 3599)).run();
}
