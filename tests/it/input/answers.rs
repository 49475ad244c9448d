//! What servers answer: each kind of status and body, with the exit code and the host.

use std::time::Duration;

use super::with_credential;
use crate::support::samples::{REFRESH_TOKEN, TOKEN, authorized_user, granted, service_account};
use crate::support::{Exchange, Test, metadata, nothing, token};

const HTML: &str = "<!DOCTYPE html><html>GAUTH-TEST-JUNK-SECRET</html>";

/// Good status, useless body.
const USELESS: &[(&str, &str)] = &[
    ("", "the answer is empty"),
    ("OK", "the answer is not valid JSON"),
    ("[]", "the answer is JSON, but not an object"),
    ("\"ya29.GAUTH-TEST-JUNK-SECRET\"", "the answer is JSON, but not an object"),
    ("null", "the answer is JSON, but not an object"),
    ("{", "the answer ends in the middle"),
    ("{}", "access_token is missing"),
    ("{\"error\":\"invalid_grant\"}", "access_token is missing"),
    ("{\"access_token\":null}", "access_token is missing"),
    ("{\"access_token\":\"\"}", "access_token is empty"),
    ("{\"access_token\":5}", "access_token is a number"),
    ("{\"access_token\":[\"GAUTH-TEST-JUNK-SECRET\"]}", "access_token is a list"),
    ("{\"access_token\":\"a b\"}", "an access_token that no header can carry"),
    ("{\"access_token\":\"a\\r\\nX: y\"}", "an access_token that no header can carry"),
    ("{\"access_token\":\"\u{fc}\"}", "an access_token that no header can carry"),
    ("{\"access_token\":\"a\",\"access_token\":\"b\"}", "has the key \"access_token\" twice"),
    ("{\"access_token\":\"a\",\"token_type\":\"mac\"}", "a token of type mac, not Bearer"),
    ("{\"access_token\":\"a\",\"token_type\":5}", "token_type is a number"),
    ("{\"access_token\":\"a\",\"expires_in\":true}", "expires_in is not a number"),
    ("{\"access_token\":\"a\",\"expires_in\":\"soon\"}", "expires_in is not a number"),
    ("{\"access_token\":\"a\",\"expires_in\":\"NaN\"}", "expires_in is not a number"),
    ("{\"access_token\":\"a\",\"expires_in\":[1]}", "expires_in is not a number"),
    ("{\"access_token\":\"a\",\"scope\":5}", "scope is a number"),
    ("{\"access_token\":\"a\",\"refresh_token\":5}", "refresh_token is a number"),
    ("{\"id_token\":\"eyJGAUTH-TEST-JUNK-SECRET\"}", "access_token is missing"),
];

fn credentials() -> [serde_json::Value; 2] {
    [service_account(), authorized_user()]
}

#[test]
fn a_good_status_alone_is_no_token() {
    for (body, words) in USELESS {
        for credential in credentials() {
            with_credential(&credential)
                .google(token(200, body))
                .status(6)
                .says("oauth2.googleapis.com: the answer ")
                .says(words)
                .run();
        }
        Test::new("token")
            .env("GCE_METADATA_HOST", "metadata.google.internal")
            .google(metadata("instance/service-accounts/default/token", 200, body))
            .status(6)
            .says("metadata.google.internal: the answer ")
            .says(words)
            .run();
    }
    let long = format!("{{\"access_token\":\"{}\"}}", "x".repeat(16_385));
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    for (body, words) in [
        (long.into_bytes(), "no header can carry"),
        (deep.into_bytes(), "nested deeper than 64"),
        (b"\xff\xfe".to_vec(), "is not UTF-8 text"),
        (b"\0\0\0".to_vec(), "is not valid JSON"),
    ] {
        with_credential(&authorized_user()).google(token(200, body)).status(6).says(words).run();
    }
}

/// Bad status and body, with the exit code for service account and login, and how often it is asked.
const BAD: &[(u16, &str, [u8; 2], usize, &str)] = &[
    (400, "", [5, 5], 1, "status 400"),
    (400, "nonsense", [5, 5], 1, "status 400: \"nonsense\""),
    (400, "{}", [5, 5], 1, "status 400"),
    (400, r#"{"error":"invalid_grant"}"#, [5, 4], 1, "Google says invalid_grant"),
    (
        400,
        r#"{"error":"invalid_grant","error_description":"Bad Request"}"#,
        [5, 4],
        1,
        "\"Bad Request\"",
    ),
    (400, r#"{"error":"invalid_grant","error_subtype":"invalid_rapt"}"#, [5, 4], 1, ""),
    (400, r#"{"error":"invalid_grant","error_subtype":"rapt_required"}"#, [5, 4], 1, ""),
    (
        400,
        r#"{"error":"invalid_scope","error_description":"Some"}"#,
        [5, 5],
        1,
        "invalid_scope: \"Some\"",
    ),
    (400, r#"{"error":"unauthorized_client"}"#, [5, 5], 1, "unauthorized_client"),
    (400, r#"{"error":"admin_policy_enforced"}"#, [5, 5], 1, "admin_policy_enforced"),
    (400, r#"{"error":5}"#, [5, 5], 1, "status 400"),
    (400, r#"{"error":null}"#, [5, 5], 1, "status 400"),
    (400, r#"{"error":"a\u001b[31mb\n"}"#, [5, 5], 1, "Google says a\\u{1b}[31mb\\n"),
    (401, r#"{"error":"invalid_client"}"#, [5, 5], 1, "Google says invalid_client"),
    (
        403,
        r#"{"error":"access_denied","error_description":"Account restricted"}"#,
        [5, 5],
        1,
        "Account restricted",
    ),
    (
        403,
        r#"{"error":{"code":403,"message":"No.","status":"PERMISSION_DENIED"}}"#,
        [5, 5],
        1,
        "PERMISSION_DENIED: \"No.\"",
    ),
    (403, HTML, [5, 5], 1, "status 403 and a web page"),
    (404, "not found", [5, 5], 1, "status 404: \"not found\""),
    (407, "", [6, 6], 1, "status 407"),
    (408, "", [6, 6], 3, "status 408"),
    (429, "{}", [6, 6], 3, "status 429"),
    (500, "", [6, 6], 3, "status 500"),
    (500, r#"{"error":"internal_failure"}"#, [6, 6], 3, "internal_failure"),
    (502, HTML, [6, 6], 3, "status 502 and a web page"),
    (503, "overloaded\nsecond line", [6, 6], 3, "status 503: \"overloaded\""),
    (504, "", [6, 6], 3, "status 504"),
    (501, "", [6, 6], 1, "status 501"),
    (511, HTML, [6, 6], 1, "status 511 and a web page"),
    (400, r#"{"error":"temporarily_unavailable"}"#, [5, 5], 3, "temporarily_unavailable"),
    (
        201,
        r#"{"access_token":"ya29.GAUTH-TEST-JUNK-SECRET"}"#,
        [6, 6],
        1,
        "an answer of status 201 where 200 is due",
    ),
    (204, "", [6, 6], 1, "an answer of status 204 where 200 is due"),
    (
        206,
        r#"{"access_token":"ya29.GAUTH-TEST-JUNK-SECRET"}"#,
        [6, 6],
        1,
        "an answer of status 206",
    ),
    (302, "", [6, 6], 1, "redirects to nowhere (302), which is not followed"),
    (304, "", [6, 6], 1, "redirects to nowhere (304)"),
    (999, "", [6, 6], 1, "an answer of status 999"),
];

#[test]
fn a_bad_status_is_told_with_the_servers_words() {
    for (status, body, exits, times, words) in BAD {
        for (credential, exit) in credentials().iter().zip(exits) {
            let test = with_credential(credential).google_times(*times, &token(*status, body));
            let test = test.status(*exit).says(words);
            // A login that has to be made again is named, not the host.
            match exit {
                4 => test.says("ada@example.com must sign in again").tries("login").run(),
                _ => test.says("oauth2.googleapis.com: ").run(),
            };
        }
    }
}

#[test]
fn a_redirect_names_where_it_leads_and_nothing_else() {
    for (location, words) in [
        ("https://evil.example/token?x=GAUTH-TEST-JUNK-SECRET", "redirects to evil.example (307)"),
        ("/login", "redirects to /login (307)"),
        ("https://user:GAUTH-TEST-JUNK-SECRET@evil.example/", "redirects to evil.example/ (307)"),
        ("https://GAUTH-TEST-JUNK-SECRET@b@evil.example/", "redirects to evil.example/ (307)"),
        ("\u{1b}]0;x", "redirects to \\u{1b}]0;x (307)"),
    ] {
        let answer = token(307, "").header("location", location);
        let test = with_credential(&authorized_user()).google(answer).status(6);
        test.says("oauth2.googleapis.com: ").says(words).says("not followed").run();
    }
}

#[test]
fn a_web_page_points_at_the_portal() {
    for answer in [
        token(200, HTML),
        token(200, " <html>"),
        token(200, "log in").without_headers().header("content-type", "text/html; charset=utf-8"),
        token(403, HTML),
    ] {
        let exit = if answer_status(&answer) == 403 { 5 } else { 6 };
        let test = with_credential(&service_account()).google(answer).status(exit);
        test.tries("a captive portal or a proxy answers").run();
    }
}

fn answer_status(exchange: &Exchange) -> u16 {
    exchange.status()
}

#[test]
fn long_text_of_a_server_is_cut_and_made_printable() {
    let long = format!("{{\"error\":\"x\",\"error_description\":\"{}\"}}", "y".repeat(5000));
    let ran =
        with_credential(&authorized_user()).google(token(400, long)).status(5).says("yyy…\"").run();
    assert!(ran.stderr.len() < 1000, "{}", ran.stderr.len());
    let page = format!("{}\u{202e}{}", "z".repeat(10), "\u{7}".repeat(10));
    let test = with_credential(&authorized_user()).google(token(400, page)).status(5);
    test.says("zzzzzzzzzz\\u{202e}\\u{7}").run();
}

#[test]
fn a_server_that_repeats_a_secret_is_not_quoted() {
    let body = format!(r#"{{"error":"x","error_description":"bad token {REFRESH_TOKEN}"}}"#);
    with_credential(&authorized_user()).google(token(400, body)).status(5).run();
    let plain = format!("bad token {REFRESH_TOKEN}");
    with_credential(&authorized_user()).google(token(400, plain)).status(5).run();
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    for credential in credentials() {
        let gone = nothing(token(200, ""));
        let test = with_credential(&credential).google_times(3, &gone).status(6);
        test.says("oauth2.googleapis.com: connection refused").run();
        let slow = token(200, granted(TOKEN)).takes(Duration::from_secs(60));
        let test = with_credential(&credential).google(slow).status(6);
        test.says("oauth2.googleapis.com: no answer in time").tries("--timeout").run();
    }
}

#[test]
fn a_server_that_asks_for_too_long_a_wait_is_not_waited_for() {
    for wait in ["31", "600", "99999999999999999999", "Fri, 02 Jan 2026 04:04:05 GMT"] {
        let answer = token(503, "").header("retry-after", wait);
        let test = with_credential(&service_account()).google(answer).status(6);
        test.says("oauth2.googleapis.com: the server asks to wait ").run();
    }
    let short = token(503, "").header("retry-after", "7");
    with_credential(&service_account()).google(short).google(token(200, granted(TOKEN))).run();
}

#[test]
fn a_wrong_clock_is_told_from_the_servers_date() {
    for (date, words) in [
        ("Fri, 02 Jan 2026 03:34:05 GMT", "the clock, it is 1800 s behind Google's"),
        ("Fri, 02 Jan 2026 02:34:05 GMT", "the clock, it is 1800 s ahead of Google's"),
    ] {
        let answer = token(400, r#"{"error":"invalid_grant"}"#).header("date", date);
        with_credential(&service_account()).google(answer).status(5).tries(words).run();
    }
    let signature = r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
    let test = with_credential(&service_account()).google(token(400, signature)).status(5);
    test.tries("make a new key: the one in HOME/key.json").run();
}

#[test]
fn the_metadata_servers_answers_are_explained() {
    let path = "instance/service-accounts/default/token";
    let run = |times: usize, answer: Exchange| {
        Test::new("token")
            .env("GCE_METADATA_HOST", "metadata.google.internal")
            .google_times(times, &answer)
    };
    run(1, metadata(path, 404, ""))
        .status(5)
        .says("metadata.google.internal: ")
        .tries("attach a service account")
        .run();
    run(1, metadata(path, 403, ""))
        .status(5)
        .says("metadata.google.internal: ")
        .tries("scopes")
        .run();
    run(5, metadata(path, 500, "")).status(6).says("metadata.google.internal: status 500").run();
    run(5, metadata(path, 503, "busy")).status(6).says("status 503: \"busy\"").run();
    run(1, metadata(path, 200, granted(TOKEN)).without_headers())
        .status(6)
        .says("metadata.google.internal: the answer is not from a metadata server")
        .tries("NO_GCE_CHECK=true")
        .run();
    run(5, nothing(metadata(path, 200, ""))).status(6).says("connection refused").run();
}
