//! `gauth cache`: entries are listed and cleared, the tokens are never shown.

use serde_json::json;

use super::{service_account_test, token_with_lifetime, user_test};
use crate::support::sample_credentials::{SECOND_TOKEN, TOKEN};
use crate::support::{Home, TOKEN_CACHE_FOLDER, Test, token_response};

#[test]
fn an_empty_cache_says_so() {
    Test::new("cache list").expect_stdout("no tokens are cached\n").run();
    Test::new("cache list --format json").expect_stdout("[]\n").run();
    Test::new("cache clear").expect_stdout("no tokens were cached\n").run();
    Test::new("cache clear --format json").expect_stdout("{\"dropped\": 0}\n").run();
    Test::new("cache list").env("HOME", "").expect_stdout("no tokens are cached\n").run();
    Test::new("cache clear").env("HOME", "").expect_stdout("no tokens were cached\n").run();
}

#[test]
fn entries_are_listed_without_their_tokens() {
    let home = Home::new();
    service_account_test(&home, "--scopes openid").expect_request(token_with_lifetime(TOKEN, 3599)).run();
    user_test(&home, "").expect_request(token_with_lifetime(SECOND_TOKEN, 200)).run();
    home.clock.advance(240);
    let ran = Test::new("cache list").home(&home).run();
    let mut lines: Vec<&str> = ran.stdout.lines().collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "ACCOUNT                                             KIND             STATE",
            "ada@example.com                                     authorized_user  expired",
            "example-sa@example-project.iam.gserviceaccount.com  service_account  55 min left",
        ]
    );
    let rows = Test::new("cache list --format json").home(&home).run().json();
    let rows = rows.as_array().expect("rows");
    let robot = rows.iter().find(|row| row["kind"] == "service_account").expect("a row");
    assert_eq!(robot["scopes"], json!(["openid"]));
    assert_eq!(robot["expires_at"], "2026-01-02T04:04:04Z");
    assert_eq!(robot["expires_in"], 3359);
    assert_eq!(robot["fingerprint"], gauth_core::text::secret::fingerprint(TOKEN.as_bytes()));
    assert_eq!(robot["file"].as_str().map(str::len), Some(64));
}

#[test]
fn damaged_entries_and_failure_notes_are_cleared_but_not_listed() {
    let home = Home::new();
    user_test(&home, "").expect_request(token_with_lifetime(TOKEN, 3599)).run();
    user_test(&home, "--scopes openid").expect_request(token_response(403, "")).expect_status(5).run();
    home.write(&format!("{TOKEN_CACHE_FOLDER}/{}", "a".repeat(64)), "junk");
    home.write(&format!("{TOKEN_CACHE_FOLDER}/.x.1-2.tmp"), TOKEN);
    let rows = Test::new("cache list --format json").home(&home).run().json();
    assert_eq!(rows.as_array().map(Vec::len), Some(1));
    Test::new("cache clear").home(&home).expect_stdout("2 tokens removed\n").run();
    assert!(home.names(TOKEN_CACHE_FOLDER).is_empty());
    user_test(&home, "").expect_request(token_with_lifetime(TOKEN, 3599)).run();
    Test::new("cache clear --format json").home(&home).expect_stdout("{\"dropped\": 1}\n").run();
}

#[test]
fn an_odd_name_is_made_printable() {
    let home = Home::new();
    let odd = crate::support::sample_credentials::with_fields(
        crate::support::sample_credentials::authorized_user(),
        &json!({"account": "a\u{1b}[31m\nb"}),
    );
    Test::new("token --credentials -")
        .home(&home)
        .stdin(odd.to_string())
        .expect_request(token_with_lifetime(TOKEN, 3599))
        .run();
    let ran = Test::new("cache list").home(&home).run();
    assert!(ran.stdout.contains("a\\u{1b}[31m\\nb  authorized_user  59 min left\n"), "{}", ran.stdout);
}
