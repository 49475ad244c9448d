//! What the servers of the newer kinds answer: STS, IAM, AWS's metadata server, a subject token's URL, Google
//! Distributed Cloud. Each fault with its exit code, the host or account, and the hint that fits.

mod iam;

use std::time::Duration;

use serde_json::{Value, json};

use super::credential_test;
use crate::support::sample_credentials::{
    HTML_BODY, REFRESH_TOKEN, SUBJECT_TOKEN, TARGET_SERVICE_ACCOUNT, TOKEN, authorized_user, file_external_account,
    gdch_service_account, impersonated_service_account, token_response_body, with_fields, workforce_login,
};
use crate::support::{MockExchange, Test, iam_response, sts_response, token_response, without_response};

/// A run up to the response in question, and the host that gives it.
struct ServerCase {
    name: &'static str,
    test: fn() -> Test,
    response: fn(u16, &str) -> MockExchange,
    host: &'static str,
    /// The name of the field with the token.
    token: &'static str,
}

const STS_OAUTH_TOKEN_ENDPOINT: &str = "https://sts.googleapis.com/v1/oauthtoken";
const GDCH_TOKEN_ENDPOINT: &str = "https://service-identity.gdch.example/authenticate";

/// Those that answer with a token for Google's APIs.
const TOKEN_SERVERS: &[ServerCase] = &[
    ServerCase {
        name: "an exchange",
        test: || credential_test(&file_external_account()).subject_token_file(),
        response: |status, body| sts_response(status, body),
        host: "sts.googleapis.com",
        token: "access_token",
    },
    ServerCase {
        name: "a refresh of a workforce login",
        test: || credential_test(&workforce_login()),
        response: |status, body| token_response(status, body).at_url(STS_OAUTH_TOKEN_ENDPOINT),
        host: "sts.googleapis.com",
        token: "access_token",
    },
    ServerCase {
        name: "a service account that is acted as",
        test: || {
            let user = credential_test(&impersonated_service_account(authorized_user()));
            user.expect_request(token_response(200, token_response_body(TOKEN)))
        },
        response: |status, body| iam_response(TARGET_SERVICE_ACCOUNT, "generateAccessToken", status, body),
        host: "iamcredentials.googleapis.com",
        token: "accessToken",
    },
    ServerCase {
        name: "a distributed cloud",
        test: || {
            Test::new("token --credentials {home}/key.json --audience https://api.example")
                .json("key.json", &gdch_service_account())
        },
        response: |status, body| token_response(status, body).at_url(GDCH_TOKEN_ENDPOINT),
        host: "service-identity.gdch.example",
        token: "access_token",
    },
    ServerCase {
        name: "a narrowed token",
        test: || {
            Test::new("token --credentials {home}/key.json --downscope objectViewer@b-1")
                .json("key.json", &authorized_user())
                .expect_request(token_response(200, token_response_body(TOKEN)))
        },
        response: |status, body| sts_response(status, body),
        host: "sts.googleapis.com",
        token: "access_token",
    },
];

/// Good status, useless body; `TOKEN` stands for the name of the field.
const UNUSABLE_BODIES: &[(&str, &str)] = &[
    ("", "the response is empty"),
    ("OK", "the response is not valid JSON"),
    ("[]", "the response is JSON, but not an object"),
    ("\"ya29.GAUTH-TEST-JUNK-SECRET\"", "the response is JSON, but not an object"),
    ("{", "the response ends in the middle"),
    ("{}", "TOKEN is missing"),
    ("{\"error\":\"invalid_grant\"}", "TOKEN is missing"),
    ("{\"TOKEN\":null}", "TOKEN is missing"),
    ("{\"TOKEN\":\"\"}", "TOKEN is empty"),
    ("{\"TOKEN\":5}", "TOKEN is a number"),
    ("{\"TOKEN\":true}", "TOKEN is true or false"),
    ("{\"TOKEN\":[\"GAUTH-TEST-JUNK-SECRET\"]}", "TOKEN is a list"),
    ("{\"TOKEN\":{\"x\":\"GAUTH-TEST-JUNK-SECRET\"}}", "TOKEN is an object"),
    ("{\"TOKEN\":\"a b\"}", "TOKEN that cannot be sent in a header"),
    ("{\"TOKEN\":\"a\\r\\nX: y\"}", "TOKEN that cannot be sent in a header"),
    ("{\"TOKEN\":\"a\",\"TOKEN\":\"b\"}", "has the key \"TOKEN\" twice"),
    ("{\"Token\":\"GAUTH-TEST-JUNK-SECRET\"}", "TOKEN is missing"),
];

#[test]
fn a_good_status_alone_is_no_token() {
    for case in TOKEN_SERVERS {
        for (body, words) in UNUSABLE_BODIES {
            let body = body.replace("TOKEN", case.token);
            (case.test)()
                .expect_request((case.response)(200, &body))
                .expect_status(6)
                .expect_error(&format!("{}: the response ", case.host))
                .expect_error(&words.replace("TOKEN", case.token))
                .run();
        }
        let long = format!("{{\"{}\":\"{}\"}}", case.token, "x".repeat(16_385));
        let test = (case.test)().expect_request((case.response)(200, &long)).expect_status(6);
        test.expect_error("cannot be sent in a header").run();
    }
}

#[test]
fn a_bad_status_names_the_host_and_is_tried_again_where_that_helps() {
    for case in TOKEN_SERVERS {
        // A refresh token that rotates may be spent: it is sent again only if nobody got it.
        let again = |times: usize| match case.name {
            "a refresh of a workforce login" => 1,
            _ => times,
        };
        for (status, body, exit, times, words) in [
            (400, "", 5, 1, "status 400"),
            (400, "nonsense", 5, 1, "status 400: \"nonsense\""),
            (400, "{\"error\":5}", 5, 1, "status 400"),
            (403, HTML_BODY, 5, 1, "status 403 and a web page"),
            (404, "not found", 5, 1, "status 404: \"not found\""),
            (401, "a\u{1b}[31mb\u{202e}", 5, 1, "status 401: \"a\\u{1b}[31mb\\u{202e}\""),
            (407, "", 6, 1, "status 407"),
            (408, "", 6, again(3), "status 408"),
            (429, "{}", 6, again(3), "status 429"),
            (500, "", 6, again(3), "status 500"),
            (502, HTML_BODY, 6, again(3), "status 502 and a web page"),
            (503, "busy", 6, again(3), "status 503: \"busy\""),
            (501, "", 6, 1, "status 501"),
            (201, "{\"access_token\":\"ya29.GAUTH-TEST-JUNK-SECRET\"}", 6, 1, "status 201, not"),
            (204, "", 6, 1, "status 204, not 200"),
            (302, "", 6, 1, "redirects to nowhere (302), which is not followed"),
            (304, "", 6, 1, "redirects to nowhere (304)"),
        ] {
            let answer = (case.response)(status, body);
            (case.test)()
                .expect_requests(times, &answer)
                .expect_status(exit)
                .expect_error(&format!("{}: ", case.host))
                .expect_error(words)
                .run();
        }
    }
}

#[test]
fn a_web_page_points_at_the_portal_whoever_was_asked() {
    for case in TOKEN_SERVERS {
        for (status, exit) in [(200, 6), (403, 5), (400, 5)] {
            let test = (case.test)().expect_request((case.response)(status, HTML_BODY)).expect_status(exit);
            test.expect_error(case.host).expect_hint("a captive portal or a proxy answers").run();
        }
    }
}

#[test]
fn redirects_silence_and_delay_name_the_host() {
    for case in TOKEN_SERVERS {
        let away = (case.response)(307, "").with_header("location", "https://evil.example/?GAUTH-TEST");
        let test = (case.test)().expect_request(away).expect_status(6);
        test.expect_error(&format!("{}: redirects to evil.example (307)", case.host)).run();
        let gone = without_response((case.response)(200, ""));
        let test = (case.test)().expect_requests(3, &gone).expect_status(6);
        test.expect_error(&format!("{}: connection refused", case.host)).run();
        let slow = (case.response)(200, "").with_latency(Duration::from_secs(60));
        let test = (case.test)().expect_request(slow).expect_status(6);
        test.expect_error(&format!("{}: no answer in time", case.host)).expect_hint("--timeout").run();
        let busy = (case.response)(503, "").with_header("retry-after", "600");
        let test = (case.test)().expect_request(busy).expect_status(6);
        test.expect_error(&format!("{}: ", case.host)).run();
    }
}

fn oauth_error_body(code: &str, description: &str) -> String {
    json!({"error": code, "error_description": description}).to_string()
}

#[test]
fn refusals_of_the_sts_say_what_to_look_at() {
    let run = |status, body: String| {
        let test =
            credential_test(&file_external_account()).subject_token_file().expect_request(sts_response(status, body));
        test.expect_status(5).expect_error("sts.googleapis.com: Google says ")
    };
    let stale = "The ID Token in subject_token has expired";
    for (code, description, tries) in [
        ("invalid_grant", stale, "get a new subject token: HOME/subject gave one that has expired"),
        (
            "invalid_grant",
            "The audience in ID Token does not match",
            "compare issuer, audience and attribute condition of the provider with the token from HOME/subject",
        ),
        ("invalid_grant", "", "compare issuer, audience and attribute condition"),
        ("invalid_target", "The target service indicated is invalid", "check the audience"),
        ("invalid_client", "", "check client_id and client_secret"),
        ("unauthorized_client", "", "check client_id and client_secret"),
        ("invalid_scope", "Some", "check --scopes: a scope is misspelt"),
        ("unsupported_grant_type", "", "check the URL: this endpoint does not exchange tokens"),
        ("invalid_request", "Invalid subject_token", "check the token from HOME/subject, and its"),
        ("nobody_knows", "x", "check the token from HOME/subject, and its type"),
    ] {
        run(400, oauth_error_body(code, description))
            .expect_error(code)
            .expect_error(description)
            .expect_hint(tries)
            .run();
    }
    let more = json!({"error": "invalid_target", "error_uri": "https://e.example/\u{7}"});
    run(400, more.to_string()).expect_error("invalid_target (https://e.example/\\u{7})").run();
    let later = oauth_error_body("temporarily_unavailable", "");
    let answer = sts_response(400, later);
    let test =
        credential_test(&file_external_account()).subject_token_file().expect_requests(3, &answer).expect_status(5);
    test.expect_error("temporarily_unavailable").run();
    // What the server repeats of the subject token is not.
    run(400, oauth_error_body("invalid_request", &format!("cannot read {SUBJECT_TOKEN}"))).run();
    let cut = oauth_error_body("invalid_request", &"y".repeat(5000));
    assert!(run(400, cut).expect_error("yyy…\"").run().stderr.len() < 1000);
}

#[test]
fn a_refused_boundary_blames_the_boundary() {
    let run = |status, body: &str| {
        Test::new("token --credentials {home}/key.json --downscope objectViewer@b-1")
            .json("key.json", &authorized_user())
            .expect_request(token_response(200, token_response_body(TOKEN)))
            .expect_request(sts_response(status, body))
    };
    run(400, &oauth_error_body("invalid_request", "Invalid boundary"))
        .expect_status(5)
        .expect_error("sts.googleapis.com: Google says invalid_request: \"Invalid boundary\"")
        .expect_hint("check the access boundary, and that the token of ada@example.com has the scope")
        .run();
}

#[test]
fn an_ended_workforce_login_needs_a_new_login() {
    for (status, body) in [
        (400, oauth_error_body("invalid_grant", "Token has been expired or revoked.")),
        (401, oauth_error_body("invalid_grant", "")),
    ] {
        credential_test(&workforce_login())
            .expect_request(token_response(status, body).at_url(STS_OAUTH_TOKEN_ENDPOINT))
            .expect_status(4)
            .expect_error("HOME/key.json must sign in again, Google says invalid_grant")
            .expect_hint("gcloud auth application-default login --login-config FILE")
            .run();
    }
    for code in ["invalid_client", "unauthorized_client", "invalid_request"] {
        credential_test(&workforce_login())
            .expect_request(token_response(401, oauth_error_body(code, "")).at_url(STS_OAUTH_TOKEN_ENDPOINT))
            .expect_status(5)
            .expect_error(&format!("sts.googleapis.com: Google says {code}"))
            .expect_hint("check client_id and client_secret in HOME/key.json")
            .run();
    }
    let repeated = oauth_error_body("invalid_request", &format!("bad {REFRESH_TOKEN}"));
    let answer = token_response(400, repeated).at_url(STS_OAUTH_TOKEN_ENDPOINT);
    credential_test(&workforce_login()).expect_request(answer).expect_status(5).run();
}

/// An error in the style of Google's APIs.
fn api_error_response(status: u16, code: &str, message: &str, reason: &str) -> MockExchange {
    let info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason, "domain": "iam.googleapis.com",
        "metadata": {"permission": "iam.serviceAccounts.getAccessToken"},
    });
    let error = json!({"code": status, "message": message, "status": code, "details": [info]});
    iam_response(TARGET_SERVICE_ACCOUNT, "generateAccessToken", status, json!({ "error": error }).to_string())
}

#[test]
fn token_types_are_distinguished() {
    let body = |kind: Value, issued: Value| {
        json!({"access_token": TOKEN, "token_type": kind, "issued_token_type": issued, "expires_in": 5}).to_string()
    };
    let run = |kind, issued| {
        credential_test(&file_external_account())
            .subject_token_file()
            .expect_request(sts_response(200, body(kind, issued)))
    };
    for issued in [Value::Null, json!("urn:ietf:params:oauth:token-type:access_token"), json!("x\n")] {
        run(json!("bearer"), issued).run();
    }
    for (kind, issued, words) in [
        (json!("N_A"), Value::Null, "a token of type N_A, not Bearer"),
        (json!("mac\u{1b}"), Value::Null, "a token of type mac\\u{1b}, not Bearer"),
        (json!(5), Value::Null, "token_type is a number"),
        (json!("Bearer"), json!(5), "issued_token_type is a number"),
        (json!("Bearer"), json!(["x"]), "issued_token_type is a list"),
    ] {
        run(kind, issued).expect_status(6).expect_error("sts.googleapis.com: the response ").expect_error(words).run();
    }
}

#[test]
fn a_wrong_clock_is_detected_by_the_date_of_the_gdch_server() {
    let run = |body: String, date: &str| {
        Test::new("token --credentials {home}/key.json --audience https://api.example")
            .json("key.json", &gdch_service_account())
            .expect_request(token_response(401, body).at_url(GDCH_TOKEN_ENDPOINT).with_header("date", date))
            .expect_status(5)
            .expect_error("service-identity.gdch.example: Google says ")
    };
    let refused = || oauth_error_body("invalid_grant", "Invalid JWT");
    run(refused(), "Fri, 02 Jan 2026 03:34:05 GMT").expect_hint("it is 1800 s behind").run();
    run(refused(), "Fri, 02 Jan 2026 02:34:05 GMT").expect_hint("it is 1800 s ahead of").run();
    run(refused(), "Fri, 02 Jan 2026 03:04:05 GMT").expect_hint("HOME/key.json").run();
    run(oauth_error_body("nobody_knows", ""), "").expect_hint("check the identity and the key in HOME/key.json").run();
    run(oauth_error_body("invalid_grant", "Invalid JWT Signature."), "").expect_hint("HOME/key.json").run();
}

#[test]
fn a_distributed_cloud_needs_an_audience_and_nothing_else() {
    let run = |words: &str| {
        Test::new(&format!("token --credentials {{home}}/key.json {words}")).json("key.json", &gdch_service_account())
    };
    let who = "system:serviceaccount:example-gdch-project:example-service-identity is a service account of Google Distributed Cloud, which cannot ";
    run("").expect_status(7).expect_error(who).expect_hint("--audience https://SERVICE").run();
    run("--scopes openid").expect_status(7).expect_error(who).expect_hint("--audience").run();
    run("--self-signed").expect_status(7).expect_error(who).expect_hint("--audience").run();
    run("--audience https://a.example --lifetime 10m")
        .expect_status(7)
        .expect_error(who)
        .expect_hint("--lifetime")
        .run();
    run("--impersonate-service-account ci@p.iam.gserviceaccount.com").expect_status(7).expect_error(who).run();
    for (kind, fine) in [("STS-Bearer", true), ("bearer", true), ("mac", false), ("x", false)] {
        let body = json!({"access_token": TOKEN, "token_type": kind, "expires_in": 60}).to_string();
        let test =
            run("--audience https://a.example").expect_request(token_response(200, body).at_url(GDCH_TOKEN_ENDPOINT));
        match fine {
            true => test.run(),
            false => test.expect_status(6).expect_error(&format!("a token of type {kind}, not Bearer")).run(),
        };
    }
    // Its key is looked at before anything is sent.
    let other = with_fields(gdch_service_account(), &json!({"private_key": "GAUTH-TEST-JUNK-SECRET"}));
    Test::new("token --credentials {home}/key.json --audience https://a.example")
        .json("key.json", &other)
        .expect_status(8)
        .expect_error("HOME/key.json: private_key is not a PEM private key")
        .run();
}
