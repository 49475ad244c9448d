//! What servers answer: each kind of status and body, with the exit code and the host.

use std::time::Duration;

use super::credential_test;
use crate::support::sample_credentials::{
    HTML_BODY, REFRESH_TOKEN, TOKEN, authorized_user, service_account, token_response_body,
};
use crate::support::{MockExchange, Test, metadata_response, token_response, without_response};

/// Good status, useless body.
const UNUSABLE_BODIES: &[(&str, &str)] = &[
    ("", "the response is empty"),
    ("OK", "the response is not valid JSON"),
    ("[]", "the response is JSON, but not an object"),
    ("\"ya29.GAUTH-TEST-JUNK-SECRET\"", "the response is JSON, but not an object"),
    ("null", "the response is JSON, but not an object"),
    ("{", "the response ends in the middle"),
    ("{}", "access_token is missing"),
    ("{\"error\":\"invalid_grant\"}", "access_token is missing"),
    ("{\"access_token\":null}", "access_token is missing"),
    ("{\"access_token\":\"\"}", "access_token is empty"),
    ("{\"access_token\":5}", "access_token is a number"),
    ("{\"access_token\":[\"GAUTH-TEST-JUNK-SECRET\"]}", "access_token is a list"),
    ("{\"access_token\":\"a b\"}", "an access_token that cannot be sent in a header"),
    ("{\"access_token\":\"a\\r\\nX: y\"}", "an access_token that cannot be sent in a header"),
    ("{\"access_token\":\"\u{fc}\"}", "an access_token that cannot be sent in a header"),
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
    for (body, words) in UNUSABLE_BODIES {
        for credential in credentials() {
            credential_test(&credential)
                .expect_request(token_response(200, body))
                .expect_status(6)
                .expect_error("oauth2.googleapis.com: the response ")
                .expect_error(words)
                .run();
        }
        Test::new("token")
            .env("GCE_METADATA_HOST", "metadata.google.internal")
            .expect_request(metadata_response("instance/service-accounts/default/token", 200, body))
            .expect_status(6)
            .expect_error("metadata.google.internal: the response ")
            .expect_error(words)
            .run();
    }
    let long = format!("{{\"access_token\":\"{}\"}}", "x".repeat(16_385));
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    for (body, words) in [
        (long.into_bytes(), "cannot be sent in a header"),
        (deep.into_bytes(), "nested deeper than 64"),
        (b"\xff\xfe".to_vec(), "is not UTF-8 text"),
        (b"\0\0\0".to_vec(), "is not valid JSON"),
    ] {
        credential_test(&authorized_user())
            .expect_request(token_response(200, body))
            .expect_status(6)
            .expect_error(words)
            .run();
    }
}

/// Bad status and body, with the exit code for service account and login, and how often it is asked.
const ERROR_RESPONSES: &[(u16, &str, [u8; 2], usize, &str)] = &[
    (400, "", [5, 5], 1, "status 400"),
    (400, "nonsense", [5, 5], 1, "status 400: \"nonsense\""),
    (400, "{}", [5, 5], 1, "status 400"),
    (400, r#"{"error":"invalid_grant"}"#, [5, 4], 1, "Google says invalid_grant"),
    (400, r#"{"error":"invalid_grant","error_description":"Bad Request"}"#, [5, 4], 1, "\"Bad Request\""),
    (400, r#"{"error":"invalid_grant","error_subtype":"invalid_rapt"}"#, [5, 4], 1, ""),
    (400, r#"{"error":"invalid_grant","error_subtype":"rapt_required"}"#, [5, 4], 1, ""),
    (400, r#"{"error":"invalid_scope","error_description":"Some"}"#, [5, 5], 1, "invalid_scope: \"Some\""),
    (400, r#"{"error":"unauthorized_client"}"#, [5, 5], 1, "unauthorized_client"),
    (400, r#"{"error":"admin_policy_enforced"}"#, [5, 5], 1, "admin_policy_enforced"),
    (400, r#"{"error":5}"#, [5, 5], 1, "status 400"),
    (400, r#"{"error":null}"#, [5, 5], 1, "status 400"),
    (400, r#"{"error":"a\u001b[31mb\n"}"#, [5, 5], 1, "Google says a\\u{1b}[31mb\\n"),
    (401, r#"{"error":"invalid_client"}"#, [5, 5], 1, "Google says invalid_client"),
    (403, r#"{"error":"access_denied","error_description":"Account restricted"}"#, [5, 5], 1, "Account restricted"),
    (
        403,
        r#"{"error":{"code":403,"message":"No.","status":"PERMISSION_DENIED"}}"#,
        [5, 5],
        1,
        "PERMISSION_DENIED: \"No.\"",
    ),
    (403, HTML_BODY, [5, 5], 1, "status 403 and a web page"),
    (404, "not found", [5, 5], 1, "status 404: \"not found\""),
    (407, "", [6, 6], 1, "status 407"),
    (408, "", [6, 6], 3, "status 408"),
    (429, "{}", [6, 6], 3, "status 429"),
    (500, "", [6, 6], 3, "status 500"),
    (500, r#"{"error":"internal_failure"}"#, [6, 6], 3, "internal_failure"),
    (502, HTML_BODY, [6, 6], 3, "status 502 and a web page"),
    (503, "overloaded\nsecond line", [6, 6], 3, "status 503: \"overloaded\""),
    (504, "", [6, 6], 3, "status 504"),
    (501, "", [6, 6], 1, "status 501"),
    (511, HTML_BODY, [6, 6], 1, "status 511 and a web page"),
    (400, r#"{"error":"temporarily_unavailable"}"#, [5, 5], 3, "temporarily_unavailable"),
    (201, r#"{"access_token":"ya29.GAUTH-TEST-JUNK-SECRET"}"#, [6, 6], 1, "the response has status 201, not 200"),
    (204, "", [6, 6], 1, "the response has status 204, not 200"),
    (206, r#"{"access_token":"ya29.GAUTH-TEST-JUNK-SECRET"}"#, [6, 6], 1, "the response has status 206"),
    (302, "", [6, 6], 1, "redirects to nowhere (302), which is not followed"),
    (304, "", [6, 6], 1, "redirects to nowhere (304)"),
    (999, "", [6, 6], 1, "the response has status 999"),
];

#[test]
fn an_error_status_is_reported_with_the_servers_message() {
    for (status, body, exits, times, words) in ERROR_RESPONSES {
        for (credential, exit) in credentials().iter().zip(exits) {
            let test = credential_test(credential).expect_requests(*times, &token_response(*status, body));
            let test = test.expect_status(*exit).expect_error(words);
            // A login that has to be made again is named, not the host.
            match exit {
                4 => test.expect_error("ada@example.com must sign in again").expect_hint("login").run(),
                _ => test.expect_error("oauth2.googleapis.com: ").run(),
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
        let answer = token_response(307, "").with_header("location", location);
        let test = credential_test(&authorized_user()).expect_request(answer).expect_status(6);
        test.expect_error("oauth2.googleapis.com: ").expect_error(words).expect_error("not followed").run();
    }
}

#[test]
fn a_web_page_points_at_the_portal() {
    for answer in [
        token_response(200, HTML_BODY),
        token_response(200, " <html>"),
        token_response(200, "log in").without_headers().with_header("content-type", "text/html; charset=utf-8"),
        token_response(403, HTML_BODY),
    ] {
        let exit = if response_status(&answer) == 403 { 5 } else { 6 };
        let test = credential_test(&service_account()).expect_request(answer).expect_status(exit);
        test.expect_hint("a captive portal or a proxy answers").run();
    }
}

fn response_status(exchange: &MockExchange) -> u16 {
    exchange.status()
}

#[test]
fn long_text_of_a_server_is_cut_and_made_printable() {
    let long = format!("{{\"error\":\"x\",\"error_description\":\"{}\"}}", "y".repeat(5000));
    let ran = credential_test(&authorized_user())
        .expect_request(token_response(400, long))
        .expect_status(5)
        .expect_error("yyy…\"")
        .run();
    assert!(ran.stderr.len() < 1000, "{}", ran.stderr.len());
    let page = format!("{}\u{202e}{}", "z".repeat(10), "\u{7}".repeat(10));
    let test = credential_test(&authorized_user()).expect_request(token_response(400, page)).expect_status(5);
    test.expect_error("zzzzzzzzzz\\u{202e}\\u{7}").run();
}

#[test]
fn a_server_that_repeats_a_secret_is_not_quoted() {
    let body = format!(r#"{{"error":"x","error_description":"bad token {REFRESH_TOKEN}"}}"#);
    credential_test(&authorized_user()).expect_request(token_response(400, body)).expect_status(5).run();
    let plain = format!("bad token {REFRESH_TOKEN}");
    credential_test(&authorized_user()).expect_request(token_response(400, plain)).expect_status(5).run();
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    for credential in credentials() {
        let gone = without_response(token_response(200, ""));
        let test = credential_test(&credential).expect_requests(3, &gone).expect_status(6);
        test.expect_error("oauth2.googleapis.com: connection refused").run();
        let slow = token_response(200, token_response_body(TOKEN)).with_latency(Duration::from_secs(60));
        let test = credential_test(&credential).expect_request(slow).expect_status(6);
        test.expect_error("oauth2.googleapis.com: no answer in time").expect_hint("--timeout").run();
    }
}

#[test]
fn a_too_long_retry_after_is_not_waited_for() {
    for wait in ["31", "600", "99999999999999999999", "Fri, 02 Jan 2026 04:04:05 GMT"] {
        let answer = token_response(503, "").with_header("retry-after", wait);
        let test = credential_test(&service_account()).expect_request(answer).expect_status(6);
        test.expect_error("oauth2.googleapis.com: the server asks to wait ").run();
    }
    let short = token_response(503, "").with_header("retry-after", "7");
    credential_test(&service_account())
        .expect_request(short)
        .expect_request(token_response(200, token_response_body(TOKEN)))
        .run();
}

#[test]
fn a_wrong_clock_is_detected_by_the_servers_date() {
    for (date, words) in [
        ("Fri, 02 Jan 2026 03:34:05 GMT", "the clock, it is 1800 s behind Google's"),
        ("Fri, 02 Jan 2026 02:34:05 GMT", "the clock, it is 1800 s ahead of Google's"),
    ] {
        let answer = token_response(400, r#"{"error":"invalid_grant"}"#).with_header("date", date);
        credential_test(&service_account()).expect_request(answer).expect_status(5).expect_hint(words).run();
    }
    let signature = r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
    let test = credential_test(&service_account()).expect_request(token_response(400, signature)).expect_status(5);
    test.expect_hint("make a new key: the one in HOME/key.json").run();
}

#[test]
fn the_metadata_servers_answers_are_explained() {
    let path = "instance/service-accounts/default/token";
    let run = |times: usize, answer: MockExchange| {
        Test::new("token").env("GCE_METADATA_HOST", "metadata.google.internal").expect_requests(times, &answer)
    };
    run(1, metadata_response(path, 404, ""))
        .expect_status(5)
        .expect_error("metadata.google.internal: ")
        .expect_hint("attach a service account")
        .run();
    run(1, metadata_response(path, 403, ""))
        .expect_status(5)
        .expect_error("metadata.google.internal: ")
        .expect_hint("scopes")
        .run();
    run(5, metadata_response(path, 500, ""))
        .expect_status(6)
        .expect_error("metadata.google.internal: status 500")
        .run();
    run(5, metadata_response(path, 503, "busy")).expect_status(6).expect_error("status 503: \"busy\"").run();
    run(1, metadata_response(path, 200, token_response_body(TOKEN)).without_headers())
        .expect_status(6)
        .expect_error("metadata.google.internal: the response is not from a metadata server")
        .expect_hint("NO_GCE_CHECK=true")
        .run();
    run(5, without_response(metadata_response(path, 200, "")))
        .expect_status(6)
        .expect_error("connection refused")
        .run();
}
