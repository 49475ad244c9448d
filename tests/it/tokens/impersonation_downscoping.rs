//! Tokens made from other tokens: impersonated service accounts, chains of them, downscoped tokens; and the number of
//! requests they take.

use std::rc::Rc;

use serde_json::{Value, json};

use super::token_test;
use crate::support::sample_credentials::{
    self, CLOUD_PLATFORM, IAM_SERVICE_ACCOUNTS_URL, SECOND_TOKEN, TARGET_SERVICE_ACCOUNT, TOKEN, authorized_user,
    file_external_account, iam_response_body, impersonated_service_account, service_account, sts_response_body,
    token_response_body, workforce_login,
};
use crate::support::{Home, MockExchange, NOW, Test, iam_response, metadata_response, sts_response, token_response};

const DELEGATE: &str = "middle@example-project.iam.gserviceaccount.com";

fn source_token_response() -> MockExchange {
    token_response(200, token_response_body(TOKEN))
}

fn iam_success() -> MockExchange {
    iam_response(TARGET_SERVICE_ACCOUNT, "generateAccessToken", 200, iam_response_body(SECOND_TOKEN))
}

fn delegate_name(account: &str) -> String {
    format!("projects/-/serviceAccounts/{account}")
}

#[test]
fn a_user_impersonates_a_service_account_with_the_users_quota_project() {
    let payer = json!({"quota_project_id": "payer"});
    let chain = json!({"delegates": [delegate_name(DELEGATE)], "quota_project_id": "other"});
    let file = sample_credentials::with_fields(
        impersonated_service_account(sample_credentials::with_fields(authorized_user(), &payer)),
        &chain,
    );
    let ran = token_test(&file, "--format json --scopes email --lifetime 10m")
        .expect_request(source_token_response())
        .expect_request(iam_success())
        .run();
    // The source's own scopes are enough.
    assert_eq!(ran.requests[0].form_field("scope"), "");
    let asked = &ran.requests[1];
    assert_eq!(
        asked.body,
        format!(r#"{{"delegates":["{}"],"scope":["email"],"lifetime":"600s"}}"#, delegate_name(DELEGATE))
    );
    assert_eq!(asked.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
    // The source's quota project is for this request, the file's own for requests made with the token.
    assert_eq!(asked.header("x-goog-user-project"), Some("payer"));
    let measured = asked.header("x-goog-api-client").expect("the header of Google's metrics");
    assert!(measured.ends_with(" auth-request-type/at cred-type/imp"), "{measured}");
    let expected = json!({
        "token": SECOND_TOKEN, "token_type": "Bearer", "expires_at": "2026-01-02T04:04:05Z", "expires_in": 3600,
        "scopes": ["email"], "account": TARGET_SERVICE_ACCOUNT, "kind": "impersonated_service_account", "source": "file",
        "quota_project": "other", "universe_domain": "googleapis.com", "cached": false,
    });
    assert_eq!(ran.json(), expected);
}

#[test]
fn a_service_account_key_that_impersonates_requests_only_the_iam_scope() {
    let file =
        sample_credentials::with_fields(impersonated_service_account(service_account()), &json!({"scopes": "openid"}));
    let ran = token_test(&file, "").expect_request(source_token_response()).expect_request(iam_success()).run();
    let assertion = ran.requests[0].form_field("assertion");
    let claims = gauth_core::jose::jwt::decode(assertion).expect("a JWT").claims;
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/iam");
    let expected = json!({"delegates": null, "scope": ["openid"], "lifetime": "3600s"});
    assert_eq!(ran.requests[1].json(), expected);
}

#[test]
fn an_older_url_with_another_method_names_the_account_as_well() {
    let url = format!("{IAM_SERVICE_ACCOUNTS_URL}/{TARGET_SERVICE_ACCOUNT}:generateIdToken");
    let file = sample_credentials::with_fields(
        impersonated_service_account(authorized_user()),
        &json!({ "service_account_impersonation_url": url }),
    );
    token_test(&file, "").expect_request(source_token_response()).expect_request(iam_success()).run();
}

/// `gauth token` of a login that impersonates these accounts.
fn impersonation_test(chain: &str) -> Test {
    token_test(&authorized_user(), "--format json --impersonate-service-account").arg(chain)
}

#[test]
fn a_flag_names_the_account_and_its_delegates() {
    let ran = impersonation_test(TARGET_SERVICE_ACCOUNT)
        .expect_request(source_token_response())
        .expect_request(iam_success())
        .run();
    let usual = json!({"delegates": null, "scope": [CLOUD_PLATFORM], "lifetime": "3600s"});
    assert_eq!(ran.requests[1].json(), usual);
    let told = ran.json();
    assert_eq!((&told["account"], &told["source"]), (&json!(TARGET_SERVICE_ACCOUNT), &json!("file")));
    let third = "third@example-project.iam.gserviceaccount.com";
    let ran = impersonation_test(&format!("{DELEGATE}, {third},{TARGET_SERVICE_ACCOUNT}"))
        .expect_request(source_token_response())
        .expect_request(iam_success())
        .run();
    assert_eq!(ran.requests[1].json()["delegates"], json!([delegate_name(DELEGATE), delegate_name(third)]));
    for (name, value) in [
        ("GAUTH_IMPERSONATE_SERVICE_ACCOUNT", TARGET_SERVICE_ACCOUNT),
        ("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", TARGET_SERVICE_ACCOUNT),
    ] {
        token_test(&authorized_user(), "")
            .env(name, value)
            .expect_request(source_token_response())
            .expect_request(iam_success())
            .run();
    }
    let both = token_test(&authorized_user(), "")
        .env("GAUTH_IMPERSONATE_SERVICE_ACCOUNT", TARGET_SERVICE_ACCOUNT)
        .env("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", "nobody@p.iam.gserviceaccount.com");
    both.expect_request(source_token_response()).expect_request(iam_success()).run();
    let config = format!("impersonate_service_account = \"{TARGET_SERVICE_ACCOUNT}\"\n");
    let config = token_test(&authorized_user(), "").file(".config/gauth/config.toml", config);
    config.expect_request(source_token_response()).expect_request(iam_success()).run();
}

#[test]
fn invalid_account_names_are_refused() {
    let long = format!("{}@p.iam.gserviceaccount.com", "x".repeat(300));
    for odd in ["ci", "a@b", ",", "a@b.c,", "a b@c.d", "a@b.c/x", "a@b.c?x", "a\n@b.c", &long] {
        impersonation_test(odd).expect_status(2).expect_error("--impersonate-service-account").run();
    }
    // The number of an account is valid too.
    let number = "100000000000000000001";
    let answer = iam_response(number, "generateAccessToken", 200, iam_response_body(SECOND_TOKEN));
    impersonation_test(number).expect_request(source_token_response()).expect_request(answer).run();
}

#[test]
fn any_discovered_credential_can_impersonate() {
    let words = format!("token --impersonate-service-account {TARGET_SERVICE_ACCOUNT}");
    Test::new(&words)
        .env("GCE_METADATA_HOST", "metadata.google.internal")
        .expect_request(metadata_response("instance/service-accounts/default/token", 200, token_response_body(TOKEN)))
        .expect_request(iam_success())
        .run();
    Test::new(&words).env("CLOUDSDK_AUTH_ACCESS_TOKEN", TOKEN).expect_request(iam_success()).run();
    token_test(&workforce_login(), "--impersonate-service-account")
        .arg(TARGET_SERVICE_ACCOUNT)
        .expect_request(source_token_response().at_url("https://sts.googleapis.com/v1/oauthtoken"))
        .expect_request(iam_success())
        .run();
}

/// `gauth token` of a login in this home folder.
fn token_test_in(home: &Rc<Home>, args: &str) -> Test {
    token_test(&authorized_user(), args).home(home)
}

#[test]
fn each_token_of_a_chain_is_cached() {
    let home = Home::new();
    let target = format!("--impersonate-service-account {TARGET_SERVICE_ACCOUNT}");
    // The source token is cached: one request.
    token_test_in(&home, "").expect_request(source_token_response()).run();
    token_test_in(&home, &target).expect_request(iam_success()).run();
    // Both are cached: no request.
    token_test_in(&home, &target).expect_stdout(&format!("{SECOND_TOKEN}\n")).run();
    token_test_in(&home, "").expect_stdout(&format!("{TOKEN}\n")).run();
    // Another account, lifetime, scopes or delegate: the source token is still cached.
    let other = "other@example-project.iam.gserviceaccount.com";
    let answer = || iam_response(other, "generateAccessToken", 200, iam_response_body(SECOND_TOKEN));
    token_test_in(&home, &format!("--impersonate-service-account {other}")).expect_request(answer()).run();
    token_test_in(&home, &format!("{target} --lifetime 10m")).expect_request(iam_success()).run();
    token_test_in(&home, &format!("{target} --scopes email")).expect_request(iam_success()).run();
    token_test_in(&home, &format!("--impersonate-service-account {DELEGATE},{TARGET_SERVICE_ACCOUNT}"))
        .expect_request(iam_success())
        .run();
    // --refresh gets new tokens of the whole chain: the source's may be the invalid one.
    token_test_in(&home, &format!("{target} --refresh"))
        .expect_request(source_token_response())
        .expect_request(iam_success())
        .run();
    // When the account's token is expired, so is the source's.
    home.clock.advance(3500);
    token_test_in(&home, &target)
        .expect_request(source_token_response())
        .expect_request(iam_success_expiring_later())
        .run();
    token_test_in(&home, &target).run();
}

fn iam_success_expiring_later() -> MockExchange {
    let body = json!({"accessToken": SECOND_TOKEN, "expireTime": "2026-01-02T05:04:05Z"}).to_string();
    iam_response(TARGET_SERVICE_ACCOUNT, "generateAccessToken", 200, body)
}

#[test]
fn an_impersonating_external_account_takes_two_requests_then_one_then_none() {
    let home = Home::new();
    let url = format!("{IAM_SERVICE_ACCOUNTS_URL}/{TARGET_SERVICE_ACCOUNT}:generateAccessToken");
    let file =
        sample_credentials::with_fields(file_external_account(), &json!({ "service_account_impersonation_url": url }));
    let run = |words: &str| token_test(&file, words).home(&home).subject_token_file();
    run("").expect_request(sts_response(200, sts_response_body(TOKEN))).expect_request(iam_success()).run();
    run("").expect_stdout(&format!("{SECOND_TOKEN}\n")).run();
    run("--scopes email").expect_request(iam_success()).run();
    run("--refresh").expect_request(sts_response(200, sts_response_body(TOKEN))).expect_request(iam_success()).run();
    run("--no-cache").expect_request(sts_response(200, sts_response_body(TOKEN))).expect_request(iam_success()).run();
    home.clock.advance(4000);
    run("")
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .expect_request(iam_success_expiring_later())
        .run();
}

#[test]
fn an_iam_scoped_source_token_is_never_printed() {
    let home = Home::new();
    let target = format!("--impersonate-service-account {TARGET_SERVICE_ACCOUNT}");
    let key = |words: &str| token_test(&service_account(), words).home(&home);
    key(&target).expect_request(source_token_response()).expect_request(iam_success()).run();
    // A source token for IAM only is not printed as the account's own.
    let own = "ya29.token-for-everything";
    key("").expect_request(token_response(200, token_response_body(own))).expect_stdout(&format!("{own}\n")).run();
    let ran = key(&format!("{target} --scopes email")).expect_request(iam_success()).run();
    assert_eq!(ran.requests[0].header("authorization"), Some(&*format!("Bearer {own}")));
}

#[test]
fn domain_wide_delegation_uses_iam_sign_jwt() {
    let signed = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ0In0.c2lnbmVk";
    let signature = json!({"keyId": "k", "signedJwt": signed}).to_string();
    let ran = impersonation_test(TARGET_SERVICE_ACCOUNT)
        .arg("--subject")
        .arg("bob@example.com")
        .arg("--scopes")
        .arg("email")
        .expect_request(source_token_response())
        .expect_request(iam_response(TARGET_SERVICE_ACCOUNT, "signJwt", 200, &signature))
        .expect_request(token_response(200, token_response_body(SECOND_TOKEN)))
        .run();
    let asked = ran.requests[1].json();
    assert_eq!(asked["delegates"], Value::Null);
    let claims: Value = serde_json::from_str(asked["payload"].as_str().expect("text")).expect("JSON");
    let expected = json!({
        "iss": TARGET_SERVICE_ACCOUNT, "sub": "bob@example.com", "scope": "email",
        "aud": "https://oauth2.googleapis.com/token", "iat": NOW - 10, "exp": NOW + 3590,
    });
    assert_eq!(claims, expected);
    assert_eq!(
        ran.requests[2].body,
        format!("assertion={signed}&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer")
    );
    assert_eq!(ran.json()["account"], TARGET_SERVICE_ACCOUNT);
    for (body, words) in [
        ("{}", "signedJwt is missing"),
        ("{\"signedJwt\":5}", "signedJwt is a number"),
        ("{\"signedJwt\":\"a b\"}", "signedJwt is not a JWT"),
    ] {
        let test = impersonation_test(TARGET_SERVICE_ACCOUNT)
            .arg("--subject")
            .arg("bob@example.com")
            .expect_request(source_token_response());
        test.expect_request(iam_response(TARGET_SERVICE_ACCOUNT, "signJwt", 200, body))
            .expect_status(6)
            .expect_error(words)
            .run();
    }
    let test = impersonation_test(TARGET_SERVICE_ACCOUNT)
        .arg("--subject")
        .arg("bob@example.com")
        .expect_request(source_token_response());
    test.expect_request(iam_response(TARGET_SERVICE_ACCOUNT, "signJwt", 200, &signature))
        .expect_request(token_response(401, r#"{"error":"unauthorized_client"}"#))
        .expect_status(5)
        .expect_error("oauth2.googleapis.com: Google says unauthorized_client")
        .expect_hint("domain-wide delegation")
        .run();
    let test = impersonation_test(TARGET_SERVICE_ACCOUNT).arg("--subject").arg("bob@example.com").arg("--lifetime");
    test.arg("2h")
        .expect_request(source_token_response())
        .expect_status(2)
        .expect_error("--lifetime")
        .expect_hint("at most 1h")
        .run();
}

const BOUNDARY: &str = r#"{"accessBoundary":{"accessBoundaryRules":[{"availablePermissions":["inRole:roles/storage.objectViewer"],"availableResource":"//storage.googleapis.com/projects/_/buckets/b-1"}]}}"#;
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

#[test]
fn a_downscoped_token_is_exchanged_for_the_source_token() {
    let rule = "--downscope objectViewer@b-1";
    let file = |test: Test| test.file("boundary.json", format!("\n {BOUNDARY}\n"));
    for words in [rule, "--access-boundary {home}/boundary.json"] {
        let test = file(token_test(&authorized_user(), &format!("--format json {words}")));
        let ran = test
            .expect_request(source_token_response())
            .expect_request(sts_response(200, sts_response_body(SECOND_TOKEN)))
            .run();
        let sent = &ran.requests[1];
        let fields = sent.form_fields();
        let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let expected = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", ACCESS_TOKEN_TYPE),
            ("subject_token", TOKEN),
            ("subject_token_type", ACCESS_TOKEN_TYPE),
            ("options", BOUNDARY),
        ];
        assert_eq!(fields, expected);
        assert_eq!((sent.header("authorization"), sent.header("x-goog-api-client")), (None, None));
        assert_eq!(ran.json()["account"], "ada@example.com");
    }
    let home = Home::new();
    let narrow = |words: &str| token_test_in(&home, words);
    token_test_in(&home, "").expect_request(source_token_response()).run();
    narrow(rule).expect_request(sts_response(200, sts_response_body(SECOND_TOKEN))).run();
    narrow(rule).expect_stdout(&format!("{SECOND_TOKEN}\n")).run();
    token_test_in(&home, "").expect_stdout(&format!("{TOKEN}\n")).run();
    narrow("--downscope objectViewer@b-2").expect_request(sts_response(200, sts_response_body(SECOND_TOKEN))).run();
    narrow("--downscope objectViewer@b-1/x").expect_request(sts_response(200, sts_response_body(SECOND_TOKEN))).run();
}

#[test]
fn a_downscoped_token_expires_no_later_than_its_source() {
    for (answer, end) in [
        (json!({"access_token": SECOND_TOKEN}), "2026-01-02T04:04:04Z"),
        (json!({"access_token": SECOND_TOKEN, "expires_in": 7200}), "2026-01-02T04:04:04Z"),
        (json!({"access_token": SECOND_TOKEN, "expires_in": 60}), "2026-01-02T03:05:05Z"),
    ] {
        let ran = token_test(&authorized_user(), "--format json --downscope objectViewer@b-1")
            .expect_request(source_token_response())
            .expect_request(sts_response(200, answer.to_string()))
            .run();
        assert_eq!(ran.json()["expires_at"], end);
    }
}

#[test]
fn downscoping_is_applied_after_impersonation() {
    let ran = impersonation_test(TARGET_SERVICE_ACCOUNT)
        .arg("--downscope")
        .arg("objectViewer@b-1")
        .expect_request(source_token_response())
        .expect_request(iam_success())
        .expect_request(sts_response(200, sts_response_body("ya29.narrow-token")))
        .run();
    assert_eq!(ran.requests[2].form_field("subject_token"), SECOND_TOKEN);
    assert_eq!(ran.json()["account"], TARGET_SERVICE_ACCOUNT);
    let elsewhere = json!({"universe_domain": "u.example", "token_uri": null});
    let robot = sample_credentials::with_fields(service_account(), &elsewhere);
    token_test(&robot, "--downscope objectViewer@b-1")
        .expect_request(sts_response(200, sts_response_body(SECOND_TOKEN)).at_url("https://sts.u.example/v1/token"))
        .run();
    let url = format!(
        "{}/{TARGET_SERVICE_ACCOUNT}:generateAccessToken",
        IAM_SERVICE_ACCOUNTS_URL.replace("googleapis.com", "u.example")
    );
    token_test(&robot, "--impersonate-service-account")
        .arg(TARGET_SERVICE_ACCOUNT)
        .expect_request(
            iam_response(TARGET_SERVICE_ACCOUNT, "generateAccessToken", 200, iam_response_body(SECOND_TOKEN))
                .at_url(&url),
        )
        .run();
}
