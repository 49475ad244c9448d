//! How a token is printed, who pays, and how long it must last.

use serde_json::{Value, json};

use super::with;
use crate::support::samples::{SECOND, TOKEN, authorized_user, granted, service_account};
use crate::support::{Home, Test, samples, token};

#[test]
fn every_format_is_one_whole() {
    for (format, stdout) in [
        ("", format!("{TOKEN}\n")),
        ("--format text", format!("{TOKEN}\n")),
        ("--format value(token)", format!("{TOKEN}\n")),
        ("--format=value(token)", format!("{TOKEN}\n")),
        ("--format header", format!("Authorization: Bearer {TOKEN}\n")),
        (
            "--format env",
            format!("CLOUDSDK_AUTH_ACCESS_TOKEN={TOKEN}\nGOOGLE_OAUTH_ACCESS_TOKEN={TOKEN}\n"),
        ),
        ("--format curl-config", format!("header = \"Authorization: Bearer {TOKEN}\"\n")),
    ] {
        with(&authorized_user(), format).google(token(200, granted(TOKEN))).stdout(&stdout).run();
        let ready = Test::new(&format!("token {format}")).env("CLOUDSDK_AUTH_ACCESS_TOKEN", TOKEN);
        ready.stdout(&stdout).run();
    }
}

#[test]
fn json_has_every_key() {
    let body = json!({"access_token": TOKEN, "expires_in": "3599", "token_type": "bearer"});
    let ran = with(&authorized_user(), "--format json").google(token(200, body.to_string())).run();
    let expected = json!({
        "token": TOKEN, "token_type": "Bearer", "expires_at": "2026-01-02T04:04:04Z", "expires_in": 3599,
        "scopes": null, "account": "ada@example.com", "kind": "authorized_user", "source": "file",
        "quota_project": null, "universe_domain": "googleapis.com", "cached": false,
    });
    assert_eq!(ran.json(), expected);
    let keys: Vec<&str> = ran.stdout.lines().filter_map(|line| line.split('"').nth(1)).collect();
    let order = [
        "token",
        "token_type",
        "expires_at",
        "expires_in",
        "scopes",
        "account",
        "kind",
        "source",
        "quota_project",
        "universe_domain",
        "cached",
    ];
    assert_eq!(keys, order);
    let ready =
        Test::new("token --format json").env("GOOGLE_OAUTH_ACCESS_TOKEN", format!(" {TOKEN}\n"));
    let json = ready.run().json();
    assert_eq!(
        (&json["token"], &json["expires_at"], &json["kind"]),
        (&json!(TOKEN), &Value::Null, &json!("access_token"))
    );
}

#[test]
fn a_token_a_shell_would_misread_is_quoted() {
    let odd = "a'b\"c\\d$e";
    let run = |format: &str| {
        Test::new(&format!("token --format {format}")).env("CLOUDSDK_AUTH_ACCESS_TOKEN", odd)
    };
    run("env").stdout("CLOUDSDK_AUTH_ACCESS_TOKEN='a'\\''b\"c\\d$e'\nGOOGLE_OAUTH_ACCESS_TOKEN='a'\\''b\"c\\d$e'\n").run();
    run("curl-config").stdout("header = \"Authorization: Bearer a'b\\\"c\\\\d$e\"\n").run();
}

#[test]
fn the_one_who_pays_is_chosen_then_in_the_file() {
    let file = samples::with(authorized_user(), &json!({"quota_project_id": "in-file"}));
    let run = |words: &str, variables: &[(&str, &str)]| {
        let test =
            with(&file, &format!("--format json {words}")).google(token(200, granted(TOKEN)));
        let test = variables.iter().fold(test, |test, (name, value)| test.env(name, value));
        test.run().json()["quota_project"].as_str().map(str::to_owned)
    };
    let google = ("GOOGLE_CLOUD_QUOTA_PROJECT", "google");
    let gauth = ("GAUTH_QUOTA_PROJECT", "gauth");
    assert_eq!(run("", &[]).as_deref(), Some("in-file"));
    assert_eq!(run("", &[google]).as_deref(), Some("google"));
    assert_eq!(run("", &[google, gauth]).as_deref(), Some("gauth"));
    assert_eq!(run("--quota-project flag", &[google, gauth]).as_deref(), Some("flag"));
    assert_eq!(run("", &[("GOOGLE_CLOUD_QUOTA_PROJECT", "")]).as_deref(), Some("in-file"));
}

#[test]
fn a_life_that_was_asked_for_and_cannot_be_had_is_an_error() {
    let short = json!({"access_token": TOKEN, "expires_in": 200}).to_string();
    with(&service_account(), "").google(token(200, &short)).run();
    for effort in ["", "--no-cache", "--refresh"] {
        let words = format!("--min-ttl 5m {effort}");
        let test = with(&service_account(), &words).google(token(200, &short)).status(7);
        test.says("a new token lives 200 s, --min-ttl asks for 300 s").tries("--min-ttl").run();
    }
    with(&service_account(), "--min-ttl 200s").google(token(200, &short)).run();
    let variable =
        with(&service_account(), "").env("GAUTH_MIN_TTL", "5m").google(token(200, &short));
    variable.status(7).run();
    with(&service_account(), "--self-signed --min-ttl 2h").status(7).says("lives 3590 s").run();
}

#[test]
fn no_cache_neither_reads_nor_writes() {
    for (words, variable) in [("--no-cache", ""), ("", "true")] {
        let home = Home::new();
        let run = || with(&authorized_user(), words).env("GAUTH_NO_CACHE", variable).home(&home);
        run().google(token(200, granted(TOKEN))).run();
        assert!(home.names(crate::support::TOKENS).is_empty());
        with(&authorized_user(), "").home(&home).google(token(200, granted(TOKEN))).run();
        run().google(token(200, granted(SECOND))).stdout(&format!("{SECOND}\n")).run();
        with(&authorized_user(), "").home(&home).stdout(&format!("{TOKEN}\n")).run();
    }
}

#[test]
fn refresh_asks_anew_and_stores() {
    let home = Home::new();
    let run = |words: &str| with(&authorized_user(), words).home(&home);
    run("").google(token(200, granted(TOKEN))).run();
    home.clock.advance(1);
    run("--refresh").google(token(200, granted(SECOND))).stdout(&format!("{SECOND}\n")).run();
    run("").stdout(&format!("{SECOND}\n")).run();
}

#[test]
fn a_ready_token_is_never_kept() {
    let home = Home::new();
    Test::new("token").home(&home).env("CLOUDSDK_AUTH_ACCESS_TOKEN", TOKEN).run();
    assert!(home.names(crate::support::TOKENS).is_empty());
}

#[test]
fn an_output_that_cannot_be_written_is_an_error_and_a_reader_that_left_is_none() {
    use std::io::{Error, ErrorKind};
    let test = || with(&authorized_user(), "").google(token(200, granted(TOKEN)));
    test().printing(|_| Err(ErrorKind::BrokenPipe.into())).status(141).run();
    test()
        .printing(|_| Err(Error::from_raw_os_error(28)))
        .status(1)
        .says("standard output cannot be written, no space left on device")
        .run();
}
