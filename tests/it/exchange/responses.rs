//! What servers answer, and how it is printed.

use serde_json::{Value, json};

use super::{
    ACCESS_TOKEN_TYPE, OTHER_TOKEN_ENDPOINT, exchange_test, google_sts_success, other_sts_success, sts_token_response,
};
use crate::support::sample_credentials::{REFRESH_TOKEN, ROTATED_REFRESH_TOKEN, SERVICE_ACCOUNT_EMAIL, TOKEN};
use crate::support::{MockExchange, Test, sts_response};

const EXCHANGE_ARGS: &str = "--subject-token @{home}/jwt --audience a";

fn google_exchange_test(format: &str) -> Test {
    exchange_test(&format!("{EXCHANGE_ARGS} {format}"))
}

/// An answer with some of its members changed; `null` takes one away.
fn sts_response_with_changes(changes: &Value) -> MockExchange {
    let answer: Value = serde_json::from_str(&sts_token_response()).expect("JSON");
    sts_response_with_body(&crate::support::sample_credentials::with_fields(answer, changes))
}

fn sts_response_with_body(body: &Value) -> MockExchange {
    sts_response(200, body.to_string())
}

#[test]
fn every_output_format_is_complete() {
    for (format, stdout) in [
        ("", format!("{TOKEN}\n")),
        ("--format text", format!("{TOKEN}\n")),
        ("--format header", format!("Authorization: Bearer {TOKEN}\n")),
        ("--format env", format!("CLOUDSDK_AUTH_ACCESS_TOKEN={TOKEN}\nGOOGLE_OAUTH_ACCESS_TOKEN={TOKEN}\n")),
        ("--format curl-config", format!("header = \"Authorization: Bearer {TOKEN}\"\n")),
    ] {
        google_exchange_test(format).expect_request(google_sts_success()).expect_stdout(&stdout).run();
    }
}

#[test]
fn json_has_every_key_in_order() {
    let ran = google_exchange_test("--format json --quota-project payer").expect_request(google_sts_success()).run();
    let expected = json!({
        "token": TOKEN, "token_type": "Bearer", "expires_at": "2026-01-02T04:04:04Z", "expires_in": 3599,
        "scopes": ["https://www.googleapis.com/auth/cloud-platform"], "account": null, "kind": "exchange",
        "source": "exchange", "quota_project": "payer", "universe_domain": "googleapis.com", "cached": false,
        "issued_token_type": ACCESS_TOKEN_TYPE,
    });
    assert_eq!(ran.json(), expected);
    let keys: Vec<&str> = ran.stdout.lines().filter_map(|line| line.split('"').nth(1)).collect();
    let order = [
        "token",
        "token_type",
        "expires_at",
        "expires_in",
        "scopes",
        "https://www.googleapis.com/auth/cloud-platform",
        "account",
        "kind",
        "source",
        "quota_project",
        "universe_domain",
        "cached",
        "issued_token_type",
    ];
    assert_eq!(keys, order);
}

#[test]
fn fields_absent_from_the_response_are_null() {
    let answer = json!({"access_token": TOKEN, "token_type": "bearer"}).to_string();
    let test = exchange_test(&format!("--subject-token @{{home}}/jwt --endpoint {OTHER_TOKEN_ENDPOINT} --format json"));
    let json = test.expect_request(sts_response(200, answer).at_url(OTHER_TOKEN_ENDPOINT)).run().json();
    for key in ["expires_at", "expires_in", "scopes", "universe_domain", "issued_token_type"] {
        assert_eq!(json[key], Value::Null, "{key}");
    }
    assert_eq!(json["token_type"], "Bearer");
    assert!(json.get("refresh_token").is_none(), "{json}");
    let scoped = google_exchange_test("--format json --scopes a,b")
        .expect_request(sts_response_with_changes(&json!({"scope": "y x"})));
    assert_eq!(scoped.run().json()["scopes"], json!(["x", "y"]));
}

#[test]
fn a_non_bearer_token_gets_no_bearer_header() {
    let jwt = "urn:ietf:params:oauth:token-type:jwt";
    for kind in ["N_A", "DPoP", "mac"] {
        let answer = || sts_response_with_changes(&json!({"token_type": kind, "issued_token_type": jwt}));
        google_exchange_test("").expect_request(answer()).expect_stdout(&format!("{TOKEN}\n")).run();
        let json = google_exchange_test("--format json").expect_request(answer()).run().json();
        assert_eq!((&json["token_type"], &json["issued_token_type"]), (&json!(kind), &json!(jwt)));
        for format in ["header", "env", "curl-config"] {
            google_exchange_test(&format!("--format {format}"))
                .expect_request(answer())
                .expect_status(7)
                .expect_error(&format!("the token is of type {kind}"))
                .expect_hint("--format text")
                .run();
        }
        google_exchange_test(&format!("--impersonate-service-account {SERVICE_ACCOUNT_EMAIL}"))
            .expect_request(answer())
            .expect_status(7)
            .expect_error("cannot impersonate")
            .run();
    }
}

#[test]
fn a_new_refresh_token_is_printed_or_causes_a_warning() {
    let refresh = |format: &str, new: &str| {
        let answer = sts_response_with_changes(&json!({"refresh_token": new, "issued_token_type": null}));
        exchange_test(&format!("--refresh-token - --client-id c {format}"))
            .stdin(REFRESH_TOKEN)
            .expect_request(answer.at_url("https://sts.googleapis.com/v1/oauthtoken"))
    };
    let json = refresh("--format json", ROTATED_REFRESH_TOKEN).run().json();
    assert_eq!(json["refresh_token"], ROTATED_REFRESH_TOKEN);
    for format in ["", "--format header", "--format env", "--format curl-config"] {
        refresh(format, ROTATED_REFRESH_TOKEN).expect_warning("only --format json prints").run();
        // The same again is no news.
        refresh(format, REFRESH_TOKEN).expect_stderr("").run();
    }
    assert_eq!(refresh("--format json", REFRESH_TOKEN).run().json()["refresh_token"], REFRESH_TOKEN);
    // Nor is it printed when the rest fails.
    let failed = refresh("--format json --min-ttl 2h", ROTATED_REFRESH_TOKEN).expect_status(7);
    failed.expect_warning("only --format json prints").run();
    let given = google_exchange_test("")
        .expect_request(sts_response_with_changes(&json!({"refresh_token": ROTATED_REFRESH_TOKEN})));
    given.expect_warning("only --format json prints").run();
}

#[test]
fn a_token_must_last_as_long_as_was_asked() {
    google_exchange_test("--min-ttl 50m").expect_request(google_sts_success()).run();
    google_exchange_test("--min-ttl 2h")
        .expect_request(google_sts_success())
        .expect_status(7)
        .expect_error("--min-ttl asks for 7200 s")
        .run();
}

#[test]
fn responses_without_a_usable_token_are_invalid() {
    for body in [
        String::new(),
        "[]".to_owned(),
        "<html>log in</html>".to_owned(),
        json!({"token_type": "Bearer"}).to_string(),
        json!({"access_token": ""}).to_string(),
        json!({"access_token": 5}).to_string(),
        json!({"access_token": "two words"}).to_string(),
        json!({"access_token": TOKEN, "expires_in": "soon"}).to_string(),
        json!({"access_token": TOKEN, "issued_token_type": 5}).to_string(),
    ] {
        google_exchange_test("")
            .expect_request(sts_response(200, body))
            .expect_status(6)
            .expect_error("sts.googleapis.com: the response")
            .run();
    }
}

/// Code, description, URI as the server says it, and words of the hint.
const REFUSALS: &[(u16, &str, &str, &str)] = &[
    (400, "invalid_grant", "The ID Token is expired", "get a new subject token: HOME/jwt"),
    (400, "invalid_grant", "The audience is wrong", "attribute condition of the provider"),
    (400, "invalid_target", "no such provider", "workloadIdentityPools/POOL/providers/PROVIDER"),
    (401, "invalid_client", "who?", "--client-id, --client-secret and --client-auth"),
    (400, "unauthorized_client", "no", "--client-id, --client-secret and --client-auth"),
    (400, "invalid_scope", "no", "--scopes"),
    (400, "unsupported_grant_type", "no", "check --endpoint"),
    (400, "invalid_request", "no", "check the token from HOME/jwt, and its type"),
];

#[test]
fn a_refusal_has_code_description_and_uri_and_a_hint() {
    for (status, code, description, hint) in REFUSALS {
        let uri = "https://tools.example/rfc8693";
        let body = json!({"error": code, "error_description": description, "error_uri": uri});
        google_exchange_test("")
            .expect_request(sts_response(*status, body.to_string()))
            .expect_status(5)
            .expect_error(&format!("sts.googleapis.com: Google says {code}: \"{description}\" ({uri})"))
            .expect_hint(hint)
            .run();
    }
    let bare =
        google_exchange_test("").expect_request(sts_response(400, json!({"error": "invalid_scope"}).to_string()));
    bare.expect_status(5).expect_error("Google says invalid_scope").run();
}

#[test]
fn another_server_is_not_called_google() {
    for (status, code, hint) in [
        (400, "invalid_grant", "check whether the token from HOME/jwt has expired"),
        (400, "invalid_target", "check --audience and --resource"),
        (401, "invalid_client", "--client-secret"),
        (400, "invalid_request", "gauth -vv shows the request"),
        (400, "unsupported_grant_type", "check --endpoint: this server does not exchange"),
    ] {
        let body = json!({"error": code, "error_description": "no"}).to_string();
        exchange_test(&format!("{EXCHANGE_ARGS} --endpoint {OTHER_TOKEN_ENDPOINT}"))
            .expect_request(sts_response(status, body).at_url(OTHER_TOKEN_ENDPOINT))
            .expect_status(5)
            .expect_error(&format!("as.example.com: the server says {code}: \"no\""))
            .expect_hint(hint)
            .run();
    }
    let lost = exchange_test(&format!("{EXCHANGE_ARGS} --endpoint {OTHER_TOKEN_ENDPOINT}"));
    lost.expect_request(other_sts_success().with_status(404)).expect_status(5).expect_hint("check --endpoint").run();
    let refused = json!({"error": "invalid_grant", "error_description": "revoked"}).to_string();
    exchange_test(&format!("--refresh-token - --client-id c --endpoint {OTHER_TOKEN_ENDPOINT}"))
        .stdin(REFRESH_TOKEN)
        .expect_request(sts_response(400, refused).at_url(OTHER_TOKEN_ENDPOINT))
        .expect_status(5)
        .expect_hint("sign in again: the refresh token from standard input")
        .run();
}

#[test]
fn a_secret_echoed_by_the_server_is_not_printed() {
    let body = json!({"error": "invalid_request", "error_description": format!("bad {}", super::JWT)});
    google_exchange_test("")
        .expect_request(sts_response(400, body.to_string()))
        .expect_status(5)
        .expect_error("[secret ")
        .run();
}
