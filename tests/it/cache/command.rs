//! `gauth cache`: what is kept is told, the tokens are not.

use serde_json::json;

use super::{gives, robot, user};
use crate::support::samples::{SECOND, TOKEN};
use crate::support::{Home, TOKENS, Test, token};

#[test]
fn an_empty_cache_says_so() {
    Test::new("cache list").stdout("no tokens are cached\n").run();
    Test::new("cache list --format json").stdout("[]\n").run();
    Test::new("cache clear").stdout("no tokens were cached\n").run();
    Test::new("cache clear --format json").stdout("{\"dropped\": 0}\n").run();
    Test::new("cache list").env("HOME", "").stdout("no tokens are cached\n").run();
    Test::new("cache clear").env("HOME", "").stdout("no tokens were cached\n").run();
}

#[test]
fn entries_are_listed_without_their_tokens() {
    let home = Home::new();
    robot(&home, "--scopes openid").google(gives(TOKEN, 3599)).run();
    user(&home, "").google(gives(SECOND, 200)).run();
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
    assert_eq!(robot["fingerprint"], gauth::secret::fingerprint(TOKEN.as_bytes()));
    assert_eq!(robot["file"].as_str().map(str::len), Some(64));
}

#[test]
fn damaged_entries_and_notes_are_not_listed_but_cleared() {
    let home = Home::new();
    user(&home, "").google(gives(TOKEN, 3599)).run();
    user(&home, "--scopes openid").google(token(403, "")).status(5).run();
    home.write(&format!("{TOKENS}/{}", "a".repeat(64)), "junk");
    home.write(&format!("{TOKENS}/.x.1-2.tmp"), TOKEN);
    let rows = Test::new("cache list --format json").home(&home).run().json();
    assert_eq!(rows.as_array().map(Vec::len), Some(1));
    Test::new("cache clear").home(&home).stdout("2 tokens dropped\n").run();
    assert!(home.names(TOKENS).is_empty());
    user(&home, "").google(gives(TOKEN, 3599)).run();
    Test::new("cache clear --format json").home(&home).stdout("{\"dropped\": 1}\n").run();
}

#[test]
fn an_odd_name_is_made_printable() {
    let home = Home::new();
    let odd = crate::support::samples::with(
        crate::support::samples::authorized_user(),
        &json!({"account": "a\u{1b}[31m\nb"}),
    );
    Test::new("token --credentials -")
        .home(&home)
        .input(odd.to_string())
        .google(gives(TOKEN, 3599))
        .run();
    let ran = Test::new("cache list").home(&home).run();
    assert!(
        ran.stdout.contains("a\\u{1b}[31m\\nb  authorized_user  59 min left\n"),
        "{}",
        ran.stdout
    );
}
