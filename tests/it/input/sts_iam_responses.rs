//! What the servers of the newer kinds answer: STS, IAM, AWS's metadata server, a subject token's URL, Google
//! Distributed Cloud. Each fault with its exit code, the host or account, and the hint that fits.

use std::time::Duration;

use serde_json::{Value, json};

use super::credential_test;
use crate::support::sample_credentials::{
    REFRESH_TOKEN, SECOND_TOKEN, SUBJECT_TOKEN, TARGET_SERVICE_ACCOUNT, TOKEN, authorized_user,
    file_external_account, gdch_service_account, iam_response_body, impersonated_service_account,
    sts_response_body, token_response_body, with_fields, workforce_login,
};
use crate::support::{
    Home, MockExchange, Test, iam_response, sts_response, token_response, without_response,
};

const HTML_BODY: &str = "<!DOCTYPE html><html>GAUTH-TEST-JUNK-SECRET</html>";

/// A run up to the answer in question, and the host that gives it.
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
        response: |status, body| {
            iam_response(TARGET_SERVICE_ACCOUNT, "generateAccessToken", status, body)
        },
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
    ("", "the answer is empty"),
    ("OK", "the answer is not valid JSON"),
    ("[]", "the answer is JSON, but not an object"),
    ("\"ya29.GAUTH-TEST-JUNK-SECRET\"", "the answer is JSON, but not an object"),
    ("{", "the answer ends in the middle"),
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
                .expect_error(&format!("{}: the answer ", case.host))
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
            let test = (case.test)()
                .expect_request((case.response)(status, HTML_BODY))
                .expect_status(exit);
            test.expect_error(case.host).expect_hint("a captive portal or a proxy answers").run();
        }
    }
}

#[test]
fn redirects_silence_and_delay_name_the_host() {
    for case in TOKEN_SERVERS {
        let away =
            (case.response)(307, "").with_header("location", "https://evil.example/?GAUTH-TEST");
        let test = (case.test)().expect_request(away).expect_status(6);
        test.expect_error(&format!("{}: redirects to evil.example (307)", case.host)).run();
        let gone = without_response((case.response)(200, ""));
        let test = (case.test)().expect_requests(3, &gone).expect_status(6);
        test.expect_error(&format!("{}: connection refused", case.host)).run();
        let slow = (case.response)(200, "").with_latency(Duration::from_secs(60));
        let test = (case.test)().expect_request(slow).expect_status(6);
        test.expect_error(&format!("{}: no answer in time", case.host))
            .expect_hint("--timeout")
            .run();
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
        let test = credential_test(&file_external_account())
            .subject_token_file()
            .expect_request(sts_response(status, body));
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
    let test = credential_test(&file_external_account())
        .subject_token_file()
        .expect_requests(3, &answer)
        .expect_status(5);
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
        .expect_hint(
            "check the access boundary, and that the token of ada@example.com has the scope",
        )
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
            .expect_request(
                token_response(401, oauth_error_body(code, "")).at_url(STS_OAUTH_TOKEN_ENDPOINT),
            )
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
    iam_response(
        TARGET_SERVICE_ACCOUNT,
        "generateAccessToken",
        status,
        json!({ "error": error }).to_string(),
    )
}

fn impersonation_test() -> Test {
    credential_test(&impersonated_service_account(authorized_user()))
        .expect_request(token_response(200, token_response_body(TOKEN)))
}

#[test]
fn refusals_of_iam_say_who_may_not_act_as_whom() {
    let who = format!("ada@example.com may not act as {TARGET_SERVICE_ACCOUNT}, Google says ");
    let denied =
        "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
    impersonation_test()
        .expect_request(api_error_response(403, "PERMISSION_DENIED", denied, "IAM_PERMISSION_DENIED"))
        .expect_status(5)
        .expect_stderr(&format!(
            "gauth: {who}PERMISSION_DENIED: \"{denied}\" (IAM_PERMISSION_DENIED of iam.googleapis.com)\n\
             try: grant roles/iam.serviceAccountTokenCreator on that service account to ada@example.com, and wait a minute\n"
        ))
        .run();
    let disabled = "IAM Service Account Credentials API has not been used in project 1 before or it is disabled.";
    for (status, code, message, reason, says, tries) in [
        (
            403,
            "PERMISSION_DENIED",
            disabled,
            "SERVICE_DISABLED",
            who.as_str(),
            "gcloud services enable",
        ),
        (404, "NOT_FOUND", "Unknown service account", "X", who.as_str(), "check the name"),
        (401, "UNAUTHENTICATED", "Invalid credentials", "X", who.as_str(), "gauth token --refresh"),
        (
            400,
            "INVALID_ARGUMENT",
            "The token lifetime exceeds the maximum",
            "X",
            "iamcredentials.googleapis.com: Google says INVALID_ARGUMENT",
            "allowServiceAccountCredentialLifetimeExtension",
        ),
        (
            400,
            "INVALID_ARGUMENT",
            "Request contains an invalid argument.",
            "X",
            "iamcredentials.googleapis.com: Google says INVALID_ARGUMENT",
            "check --scopes, --lifetime and the name of the account",
        ),
    ] {
        let test = impersonation_test()
            .expect_request(api_error_response(status, code, message, reason))
            .expect_status(5);
        test.expect_error(says).expect_error(message).expect_error(reason).expect_hint(tries).run();
    }
    for (status, code, reason) in [
        (429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED"),
        (500, "INTERNAL", "X"),
        (503, "UNAVAILABLE", "X"),
    ] {
        let answer = api_error_response(status, code, "Later", reason);
        impersonation_test()
            .expect_requests(3, &answer)
            .expect_status(6)
            .expect_error(&format!(
                "iamcredentials.googleapis.com: Google says {code}: \"Later\" ({reason} of"
            ))
            .expect_hint("try again later")
            .run();
    }
}

#[test]
fn the_expiry_of_an_impersonated_token_must_be_a_time() {
    for (end, words) in [
        (json!("tomorrow"), "expireTime is not a time like"),
        (json!("2026-01-02"), "expireTime is not a time like"),
        (json!("2026-13-02T04:04:05Z"), "expireTime is not a time like"),
        (json!("2026-01-02T04:04:05"), "expireTime is not a time like"),
        (json!(""), "expireTime is not a time like"),
        (json!(1_767_326_645), "expireTime is a number"),
        (json!(["2026-01-02T04:04:05Z"]), "expireTime is a list"),
    ] {
        let body = json!({"accessToken": SECOND_TOKEN, "expireTime": end}).to_string();
        let answer = iam_response(TARGET_SERVICE_ACCOUNT, "generateAccessToken", 200, body);
        let test = impersonation_test().expect_request(answer).expect_status(6);
        test.expect_error("iamcredentials.googleapis.com: the answer is not understood, ")
            .expect_error(words)
            .run();
    }
    // An odd clock, there or here, is no reason to withhold a token; what has ended, or does not say when, is not
    // kept.
    for (end, left) in [
        (Value::Null, 0),
        (json!("2026-01-02T03:04:04Z"), 0),
        (json!("1970-01-01T00:00:00Z"), 0),
        (json!("9999-01-01T00:00:00Z"), 1),
        (json!("2026-01-02T05:04:05.999999999+01:00"), 1),
    ] {
        let home = Home::new();
        let body = json!({"accessToken": SECOND_TOKEN, "expireTime": end}).to_string();
        let run = || {
            Test::new("token --credentials {home}/key.json")
                .json("key.json", &impersonated_service_account(authorized_user()))
                .home(&home)
                .expect_stdout(&format!("{SECOND_TOKEN}\n"))
        };
        let answer = iam_response(TARGET_SERVICE_ACCOUNT, "generateAccessToken", 200, &body);
        run()
            .expect_request(token_response(200, token_response_body(TOKEN)))
            .expect_request(answer.clone())
            .run();
        match left {
            0 => run().expect_request(answer).run(),
            _ => run().run(),
        };
    }
}

#[test]
fn a_missing_expiry_causes_a_warning_and_no_caching() {
    let body = |life: Value| {
        json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": life}).to_string()
    };
    for life in [Value::Null, json!(0), json!(-1), json!("0")] {
        let home = Home::new();
        for _ in 0..2 {
            credential_test(&file_external_account())
                .home(&home)
                .subject_token_file()
                .expect_request(sts_response(200, body(life.clone())))
                .expect_warning("sts.googleapis.com gives no expiry for its token")
                .run();
        }
    }
    for life in [json!("3599"), json!(3599.0), json!(1e300)] {
        let home = Home::new();
        credential_test(&file_external_account())
            .home(&home)
            .subject_token_file()
            .expect_request(sts_response(200, body(life)))
            .run();
        credential_test(&file_external_account()).home(&home).subject_token_file().run();
    }
    for life in [json!("soon"), json!(true), json!([1]), json!({}), json!("NaN"), json!("1e3")] {
        credential_test(&file_external_account())
            .subject_token_file()
            .expect_request(sts_response(200, body(life)))
            .expect_status(6)
            .expect_error(
                "sts.googleapis.com: the answer is not understood, expires_in is not a number",
            )
            .run();
    }
}

#[test]
fn token_types_are_distinguished() {
    let body = |kind: Value, issued: Value| {
        json!({"access_token": TOKEN, "token_type": kind, "issued_token_type": issued, "expires_in": 5})
            .to_string()
    };
    let run = |kind, issued| {
        credential_test(&file_external_account())
            .subject_token_file()
            .expect_request(sts_response(200, body(kind, issued)))
    };
    for issued in
        [Value::Null, json!("urn:ietf:params:oauth:token-type:access_token"), json!("x\n")]
    {
        run(json!("bearer"), issued).run();
    }
    for (kind, issued, words) in [
        (json!("N_A"), Value::Null, "a token of type N_A, not Bearer"),
        (json!("mac\u{1b}"), Value::Null, "a token of type mac\\u{1b}, not Bearer"),
        (json!(5), Value::Null, "token_type is a number"),
        (json!("Bearer"), json!(5), "issued_token_type is a number"),
        (json!("Bearer"), json!(["x"]), "issued_token_type is a list"),
    ] {
        run(kind, issued)
            .expect_status(6)
            .expect_error("sts.googleapis.com: the answer ")
            .expect_error(words)
            .run();
    }
}

#[test]
fn a_wrong_clock_is_detected_by_the_date_of_the_gdch_server() {
    let run = |body: String, date: &str| {
        Test::new("token --credentials {home}/key.json --audience https://api.example")
            .json("key.json", &gdch_service_account())
            .expect_request(
                token_response(401, body).at_url(GDCH_TOKEN_ENDPOINT).with_header("date", date),
            )
            .expect_status(5)
            .expect_error("service-identity.gdch.example: Google says ")
    };
    let refused = || oauth_error_body("invalid_grant", "Invalid JWT");
    run(refused(), "Fri, 02 Jan 2026 03:34:05 GMT").expect_hint("it is 1800 s behind").run();
    run(refused(), "Fri, 02 Jan 2026 02:34:05 GMT").expect_hint("it is 1800 s ahead of").run();
    run(refused(), "Fri, 02 Jan 2026 03:04:05 GMT").expect_hint("HOME/key.json").run();
    run(oauth_error_body("nobody_knows", ""), "")
        .expect_hint("check the identity and the key in HOME/key.json")
        .run();
    run(oauth_error_body("invalid_grant", "Invalid JWT Signature."), "")
        .expect_hint("HOME/key.json")
        .run();
}

#[test]
fn a_distributed_cloud_needs_an_audience_and_nothing_else() {
    let run = |words: &str| {
        Test::new(&format!("token --credentials {{home}}/key.json {words}"))
            .json("key.json", &gdch_service_account())
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
    run("--impersonate-service-account ci@p.iam.gserviceaccount.com")
        .expect_status(7)
        .expect_error(who)
        .run();
    for (kind, fine) in [("STS-Bearer", true), ("bearer", true), ("mac", false), ("x", false)] {
        let body = json!({"access_token": TOKEN, "token_type": kind, "expires_in": 60}).to_string();
        let test = run("--audience https://a.example")
            .expect_request(token_response(200, body).at_url(GDCH_TOKEN_ENDPOINT));
        match fine {
            true => test.run(),
            false => test
                .expect_status(6)
                .expect_error(&format!("a token of type {kind}, not Bearer"))
                .run(),
        };
    }
    // Its key is looked at before anything is sent.
    let other =
        with_fields(gdch_service_account(), &json!({"private_key": "GAUTH-TEST-JUNK-SECRET"}));
    Test::new("token --credentials {home}/key.json --audience https://a.example")
        .json("key.json", &other)
        .expect_status(8)
        .expect_error("HOME/key.json: private_key is not a PEM private key")
        .run();
}

#[test]
fn errors_name_the_source_or_the_impersonation_that_failed() {
    // The source's fault is the source's, and the service account is not asked.
    let refused = token_response(
        400,
        oauth_error_body("invalid_grant", "Token has been expired or revoked."),
    );
    credential_test(&impersonated_service_account(authorized_user()))
        .expect_request(refused)
        .expect_status(4)
        .expect_error("ada@example.com must sign in again")
        .run();
    credential_test(&impersonated_service_account(file_external_account()))
        .subject_token_file()
        .expect_request(sts_response(400, oauth_error_body("invalid_target", "x")))
        .expect_status(5)
        .expect_error("sts.googleapis.com: Google says invalid_target")
        .expect_hint("check the audience")
        .run();
    let url =
        impersonated_service_account(Value::Null)["service_account_impersonation_url"].clone();
    let acting =
        with_fields(file_external_account(), &json!({ "service_account_impersonation_url": url }));
    credential_test(&acting)
        .subject_token_file()
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .expect_request(api_error_response(
            403,
            "PERMISSION_DENIED",
            "denied",
            "IAM_PERMISSION_DENIED",
        ))
        .expect_status(5)
        .expect_error(&format!(
            "may not act as {TARGET_SERVICE_ACCOUNT}, Google says PERMISSION_DENIED"
        ))
        .expect_hint("roles/iam.serviceAccountTokenCreator")
        .run();
    credential_test(&impersonated_service_account(authorized_user()))
        .expect_request(token_response(200, token_response_body(TOKEN)))
        .expect_request(iam_response(
            TARGET_SERVICE_ACCOUNT,
            "generateAccessToken",
            200,
            iam_response_body(SECOND_TOKEN),
        ))
        .expect_stdout(&format!("{SECOND_TOKEN}\n"))
        .run();
}
