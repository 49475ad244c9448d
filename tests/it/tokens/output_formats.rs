//! Output formats, the quota project, and the flags of the cache.

use serde_json::{Value, json};

use super::token_test;
use crate::support::sample_credentials::{SECOND_TOKEN, TOKEN, authorized_user, service_account, token_response_body};
use crate::support::{Home, Test, sample_credentials, token_response};

#[test]
fn every_output_format_is_complete() {
    for (format, stdout) in [
        ("", format!("{TOKEN}\n")),
        ("--format text", format!("{TOKEN}\n")),
        ("--format value(token)", format!("{TOKEN}\n")),
        ("--format=value(token)", format!("{TOKEN}\n")),
        ("--format header", format!("Authorization: Bearer {TOKEN}\n")),
        ("--format env", format!("CLOUDSDK_AUTH_ACCESS_TOKEN={TOKEN}\nGOOGLE_OAUTH_ACCESS_TOKEN={TOKEN}\n")),
        ("--format curl-config", format!("header = \"Authorization: Bearer {TOKEN}\"\n")),
    ] {
        token_test(&authorized_user(), format)
            .expect_request(token_response(200, token_response_body(TOKEN)))
            .expect_stdout(&stdout)
            .run();
        let ready = Test::new(&format!("token {format}")).env("CLOUDSDK_AUTH_ACCESS_TOKEN", TOKEN);
        ready.expect_stdout(&stdout).run();
    }
}

#[test]
fn json_has_every_key() {
    let body = json!({"access_token": TOKEN, "expires_in": "3599", "token_type": "bearer"});
    let ran =
        token_test(&authorized_user(), "--format json").expect_request(token_response(200, body.to_string())).run();
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
    let ready = Test::new("token --format json").env("GOOGLE_OAUTH_ACCESS_TOKEN", format!(" {TOKEN}\n"));
    let json = ready.run().json();
    assert_eq!(
        (&json["token"], &json["expires_at"], &json["kind"]),
        (&json!(TOKEN), &Value::Null, &json!("access_token"))
    );
}

#[test]
fn a_token_a_shell_would_misread_is_quoted() {
    let odd = "a'b\"c\\d$e";
    let run = |format: &str| Test::new(&format!("token --format {format}")).env("CLOUDSDK_AUTH_ACCESS_TOKEN", odd);
    run("env")
        .expect_stdout("CLOUDSDK_AUTH_ACCESS_TOKEN='a'\\''b\"c\\d$e'\nGOOGLE_OAUTH_ACCESS_TOKEN='a'\\''b\"c\\d$e'\n")
        .run();
    run("curl-config").expect_stdout("header = \"Authorization: Bearer a'b\\\"c\\\\d$e\"\n").run();
}

#[test]
fn the_quota_project_comes_from_flag_variables_then_file() {
    let file = sample_credentials::with_fields(authorized_user(), &json!({"quota_project_id": "in-file"}));
    let run = |words: &str, variables: &[(&str, &str)]| {
        let test = token_test(&file, &format!("--format json {words}"))
            .expect_request(token_response(200, token_response_body(TOKEN)));
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
fn an_unreachable_min_ttl_is_an_error() {
    let short = json!({"access_token": TOKEN, "expires_in": 200}).to_string();
    token_test(&service_account(), "").expect_request(token_response(200, &short)).run();
    for effort in ["", "--no-cache", "--refresh"] {
        let words = format!("--min-ttl 5m {effort}");
        let test = token_test(&service_account(), &words).expect_request(token_response(200, &short)).expect_status(7);
        test.expect_error("a new token lives 200 s, --min-ttl asks for 300 s").expect_hint("--min-ttl").run();
    }
    token_test(&service_account(), "--min-ttl 200s").expect_request(token_response(200, &short)).run();
    let variable =
        token_test(&service_account(), "").env("GAUTH_MIN_TTL", "5m").expect_request(token_response(200, &short));
    variable.expect_status(7).run();
    token_test(&service_account(), "--self-signed --min-ttl 2h").expect_status(7).expect_error("lives 3590 s").run();
}

#[test]
fn no_cache_neither_reads_nor_writes() {
    for (words, variable) in [("--no-cache", ""), ("", "true")] {
        let home = Home::new();
        let run = || token_test(&authorized_user(), words).env("GAUTH_NO_CACHE", variable).home(&home);
        run().expect_request(token_response(200, token_response_body(TOKEN))).run();
        assert!(home.names(crate::support::TOKEN_CACHE_FOLDER).is_empty());
        token_test(&authorized_user(), "")
            .home(&home)
            .expect_request(token_response(200, token_response_body(TOKEN)))
            .run();
        run()
            .expect_request(token_response(200, token_response_body(SECOND_TOKEN)))
            .expect_stdout(&format!("{SECOND_TOKEN}\n"))
            .run();
        token_test(&authorized_user(), "").home(&home).expect_stdout(&format!("{TOKEN}\n")).run();
    }
}

#[test]
fn refresh_requests_a_new_token_and_caches_it() {
    let home = Home::new();
    let run = |words: &str| token_test(&authorized_user(), words).home(&home);
    run("").expect_request(token_response(200, token_response_body(TOKEN))).run();
    home.clock.advance(1);
    run("--refresh")
        .expect_request(token_response(200, token_response_body(SECOND_TOKEN)))
        .expect_stdout(&format!("{SECOND_TOKEN}\n"))
        .run();
    run("").expect_stdout(&format!("{SECOND_TOKEN}\n")).run();
}

#[test]
fn a_static_access_token_is_never_cached() {
    let home = Home::new();
    Test::new("token").home(&home).env("CLOUDSDK_AUTH_ACCESS_TOKEN", TOKEN).run();
    assert!(home.names(crate::support::TOKEN_CACHE_FOLDER).is_empty());
}

#[test]
fn an_output_that_cannot_be_written_is_an_error_and_a_reader_that_left_is_none() {
    use std::io::{Error, ErrorKind};
    let test = || token_test(&authorized_user(), "").expect_request(token_response(200, token_response_body(TOKEN)));
    test().on_write(|_| Err(ErrorKind::BrokenPipe.into())).expect_status(141).run();
    test()
        .on_write(|_| Err(Error::from_raw_os_error(28)))
        .expect_status(1)
        .expect_error("standard output cannot be written, no space left on device")
        .run();
}
