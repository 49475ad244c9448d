//! The server is down, slow, or says no: what the cache still gives, and who shares a failure.

use std::time::Duration;

use super::{gives, line, robot, user};
use crate::support::samples::{SECOND, TOKEN};
use crate::support::{Home, nothing, token};

const DOWN: &str = "a cached token is used while it lasts";

/// A home whose only token has this many seconds left.
fn with_left(left: i64) -> std::rc::Rc<Home> {
    let home = Home::new();
    user(&home, "").google(gives(TOKEN, 3600)).run();
    home.clock.advance(3600 - left);
    home
}

#[test]
fn a_short_token_is_better_than_none() {
    for left in [1, 59, 60, 299] {
        let home = with_left(left);
        let down = nothing(token(200, ""));
        // With a minute at hand the server gets two seconds, and the second attempt is due after one.
        let attempts = if left >= 60 { 2 } else { 3 };
        user(&home, "").google_times(attempts, &down).warns(DOWN).stdout(&line(TOKEN)).run();
    }
    let home = with_left(120);
    let test = user(&home, "").google_times(2, &token(503, "")).warns(DOWN);
    test.warns("oauth2.googleapis.com: status 503").stdout(&line(TOKEN)).run();
    let home = with_left(0);
    let test = user(&home, "").google_times(3, &nothing(token(200, ""))).status(6);
    test.says("connection refused").run();
}

#[test]
fn two_seconds_are_enough_while_there_is_another() {
    let home = with_left(120);
    let slow = token(200, "").takes(Duration::from_secs(10));
    let ran = user(&home, "").google(slow).warns(DOWN).stdout(&line(TOKEN)).run();
    assert_eq!(ran.sent[0].limit, Duration::from_secs(2));
    let home = with_left(30);
    let slow = gives(SECOND, 3599).takes(Duration::from_secs(10));
    let ran = user(&home, "").google(slow).stdout(&line(SECOND)).run();
    assert_eq!(ran.sent[0].limit, Duration::from_secs(30));
}

#[test]
fn a_refusal_is_not_hidden_by_an_old_token() {
    let home = with_left(120);
    let test = user(&home, "").google(token(400, r#"{"error":"invalid_grant"}"#)).status(4);
    test.says("ada@example.com must sign in again").run();
    let home = with_left(120);
    user(&home, "").google(token(403, "")).status(5).run();
}

#[test]
fn who_asks_for_more_gets_no_old_token() {
    for words in ["--min-ttl 5m", "--refresh", "--no-cache"] {
        let home = with_left(120);
        let down = nothing(token(200, ""));
        user(&home, words).google_times(3, &down).status(6).says("connection refused").run();
    }
}

#[test]
fn a_failure_is_shared_with_those_who_were_waiting() {
    for (answer, attempts, status) in [
        (nothing(token(200, "")), 3, 6),
        (token(403, ""), 1, 5),
        (token(400, r#"{"error":"invalid_grant"}"#), 1, 4),
    ] {
        let home = Home::new();
        let before = home.clock.millis();
        let first = user(&home, "").google_times(attempts, &answer).status(status).run();
        let shared = user(&home, "").started(before).status(status).run();
        assert_eq!(shared.stderr, first.stderr);
        // Who starts now finds out for himself.
        user(&home, "").google(gives(TOKEN, 3599)).stdout(&line(TOKEN)).run();
    }
}

#[test]
fn a_failure_is_shared_for_two_seconds() {
    let home = Home::new();
    let before = home.clock.millis();
    user(&home, "").google(token(403, "")).status(5).run();
    home.clock.advance(3);
    user(&home, "").started(before).google(gives(TOKEN, 3599)).run();
}

#[test]
fn mistakes_of_one_are_not_shared() {
    let home = Home::new();
    let before = home.clock.millis();
    robot(&home, "--lifetime 2h").status(2).run();
    robot(&home, "--lifetime 2h").started(before).status(2).run();
    assert!(home.names(crate::support::TOKENS).is_empty());
}

#[test]
fn a_damaged_note_is_no_note() {
    let home = Home::new();
    let before = home.clock.millis();
    user(&home, "").google(token(403, "")).status(5).run();
    let names = home.names(crate::support::TOKENS);
    let note = names.iter().find(|name| name.ends_with(".fail")).expect("a note");
    home.write(&format!("{}/{note}", crate::support::TOKENS), "junk");
    user(&home, "").started(before).google(gives(TOKEN, 3599)).run();
}

#[test]
fn another_process_minted_while_we_waited() {
    let home = Home::new();
    let before = home.clock.millis();
    user(&home, "").google(gives(TOKEN, 3599)).run();
    user(&home, "").started(before).stdout(&line(TOKEN)).run();
}

#[test]
fn a_lock_that_is_held_is_waited_for_until_time_is_up() {
    let home = Home::new();
    user(&home, "").google(gives(TOKEN, 3599)).run();
    let locks = home.names(".config/gauth/locks");
    let held: Vec<std::fs::File> = locks
        .iter()
        .map(|name| {
            let file =
                std::fs::File::open(home.path(".config/gauth/locks").join(name)).expect("a lock");
            file.lock().expect("free");
            file
        })
        .collect();
    assert!(!held.is_empty());
    // Who finds a token needs no lock.
    user(&home, "").stdout(&line(TOKEN)).run();
    let test = user(&home, "--refresh --timeout 10s").status(6);
    test.says("another gauth has been asking for this token all the time").tries("--timeout").run();
    drop(held);
    user(&home, "--refresh").google(gives(SECOND, 3599)).run();
}
