//! ID tokens: which requests are sent, and what is refused.

mod cache_and_output;
mod capabilities;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gauth_core::jose::jwt;
use gauth_core::jose::key::PrivateKey;
use serde_json::{Value, json};

use crate::support::sample_credentials::{
    self, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, SERVICE_ACCOUNT_EMAIL, TARGET_SERVICE_ACCOUNT, TOKEN,
    authorized_user, file_external_account, impersonated_service_account, service_account, service_account_key_pem,
    sts_response_body, token_response_body,
};
use crate::support::{
    MockExchange, NOW, SentRequest, Test, iam_response, metadata_response, sts_response, token_response,
};

const AUDIENCE_URL: &str = "https://svc.example";

/// An ID token with a signature that is not checked here.
fn id_token_until(audience: &str, exp: i64) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "RS256", "typ": "JWT", "kid": "k"}));
    let claims = part(json!({"aud": audience, "exp": exp, "iss": "https://accounts.google.com"}));
    format!("{header}.{claims}.c2lnbmF0dXJl")
}

fn id_token(audience: &str) -> String {
    id_token_until(audience, NOW + 3600)
}

/// A response of the token endpoint with an ID token.
fn token_endpoint_body(token: &str) -> String {
    json!({ "id_token": token }).to_string()
}

/// A response of IAM with an ID token.
fn iam_body(token: &str) -> String {
    json!({ "token": token }).to_string()
}

fn id_token_test(credential: &Value, args: &str) -> Test {
    Test::new(&format!("id-token --credentials {{home}}/key.json {args}"))
        .json("key.json", credential)
        .subject_token_file()
}

fn metadata_test(args: &str) -> Test {
    Test::new(&format!("id-token {args}")).env("GCE_METADATA_HOST", "metadata.google.internal")
}

fn metadata_identity_response(query: &str, body: &str) -> MockExchange {
    metadata_response(&format!("instance/service-accounts/default/identity?{query}"), 200, body)
}

const METADATA_QUERY: &str = "audience=https%3A%2F%2Fsvc.example";

#[test]
fn a_service_account_key_requests_an_id_token_with_target_audience() {
    let words = format!("--audiences {AUDIENCE_URL}");
    let ran = id_token_test(&service_account(), &words)
        .expect_request(token_response(200, token_endpoint_body(&id_token(AUDIENCE_URL))))
        .run();
    assert_eq!(ran.stdout, format!("{}\n", id_token(AUDIENCE_URL)));
    let sent = &ran.requests[0];
    let fields: Vec<String> = sent.form_fields().into_iter().map(|(name, _)| name).collect();
    assert_eq!(fields, ["assertion", "grant_type"]);
    assert_eq!(sent.form_field("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let metrics = sent.header("x-goog-api-client").unwrap_or_default();
    assert!(metrics.ends_with(" auth-request-type/it cred-type/sa"), "{metrics}");
    let parts = jwt::decode(sent.form_field("assertion")).expect("a JWT");
    let key = PrivateKey::rsa_from_pem(&service_account_key_pem()).expect("the key");
    assert!(key.public_key().verifies(parts.signing_input, &parts.signature), "the signature");
    let expected = json!({
        "iss": SERVICE_ACCOUNT_EMAIL, "aud": "https://oauth2.googleapis.com/token", "target_audience": AUDIENCE_URL,
        "iat": NOW - 10, "exp": NOW + 3590,
    });
    assert_eq!(Value::from(parts.claims), expected);
}

/// Checks a request to IAM: its access token and its body.
#[track_caller]
fn assert_iam_request(sent: &SentRequest, access_token: &str, body: &Value) {
    assert_eq!(sent.header("authorization"), Some(format!("Bearer {access_token}").as_str()));
    assert_eq!(&sent.json(), body);
    let metrics = sent.header("x-goog-api-client").unwrap_or_default();
    assert!(metrics.ends_with(" auth-request-type/it cred-type/imp"), "{metrics}");
}

#[test]
fn a_key_of_another_universe_uses_the_iam_of_its_universe() {
    let robot =
        sample_credentials::with_fields(service_account(), &json!({"universe_domain": "u.example", "token_uri": null}));
    let url = format!(
        "https://iamcredentials.u.example/v1/projects/-/serviceAccounts/{SERVICE_ACCOUNT_EMAIL}:generateIdToken"
    );
    let answer = token_response(200, iam_body(&id_token(AUDIENCE_URL))).at_url(&url);
    let ran = id_token_test(&robot, &format!("--audiences {AUDIENCE_URL}")).expect_request(answer).run();
    assert_eq!(ran.stdout, format!("{}\n", id_token(AUDIENCE_URL)));
    let bearer = ran.requests[0].header("authorization").unwrap_or_default();
    let bearer = bearer.strip_prefix("Bearer ").expect("a bearer");
    let claims = Value::from(jwt::decode(bearer).expect("a JWT").claims);
    let expected = json!({
        "iss": SERVICE_ACCOUNT_EMAIL, "sub": SERVICE_ACCOUNT_EMAIL, "scope": "https://www.googleapis.com/auth/iam",
        "iat": NOW - 10, "exp": NOW + 3590,
    });
    assert_eq!(claims, expected);
    assert_iam_request(
        &ran.requests[0],
        bearer,
        &json!({"audience": AUDIENCE_URL, "delegates": null, "includeEmail": true}),
    );
}

#[test]
fn the_metadata_server_gives_an_id_token() {
    for (words, more) in [
        ("", ""),
        ("--token-format standard", ""),
        ("--token-format=full", "&format=full"),
        ("--token-format full --include-license", "&format=full&licenses=TRUE"),
        ("--include-license --token-format full", "&format=full&licenses=TRUE"),
    ] {
        let query = format!("{METADATA_QUERY}{more}");
        let ran = metadata_test(&format!("--audiences={AUDIENCE_URL} {words}"))
            .expect_request(metadata_identity_response(&query, &id_token(AUDIENCE_URL)))
            .run();
        assert_eq!(ran.stdout, format!("{}\n", id_token(AUDIENCE_URL)));
        let sent = &ran.requests[0];
        assert_eq!(sent.header("metadata-flavor"), Some("Google"));
        let metrics = sent.header("x-goog-api-client").unwrap_or_default();
        assert!(metrics.ends_with(" auth-request-type/it cred-type/mds"), "{metrics}");
    }
}

#[test]
fn an_impersonated_account_uses_iam_with_its_delegates() {
    let lender = "delegate@example-project.iam.gserviceaccount.com";
    let chain = format!("--audiences {AUDIENCE_URL} --impersonate-service-account {lender},{TARGET_SERVICE_ACCOUNT}");
    for (words, email) in
        [("", true), ("--include-email", true), ("--include-email=true", true), ("--include-email=false", false)]
    {
        let ran = id_token_test(&authorized_user(), &format!("{chain} {words}"))
            .expect_request(token_response(200, token_response_body(TOKEN)))
            .expect_request(iam_response(
                TARGET_SERVICE_ACCOUNT,
                "generateIdToken",
                200,
                iam_body(&id_token(AUDIENCE_URL)),
            ))
            .run();
        assert_eq!(ran.stdout, format!("{}\n", id_token(AUDIENCE_URL)));
        let delegates = json!([format!("projects/-/serviceAccounts/{lender}")]);
        let body = json!({"audience": AUDIENCE_URL, "delegates": delegates, "includeEmail": email});
        assert_iam_request(&ran.requests[1], TOKEN, &body);
    }
    let file = sample_credentials::with_fields(
        impersonated_service_account(authorized_user()),
        &json!({"quota_project_id": "pays"}),
    );
    let ran = id_token_test(&file, &format!("--audiences {AUDIENCE_URL}"))
        .expect_request(token_response(200, token_response_body(TOKEN)))
        .expect_request(iam_response(TARGET_SERVICE_ACCOUNT, "generateIdToken", 200, iam_body(&id_token(AUDIENCE_URL))))
        .run();
    assert_iam_request(
        &ran.requests[1],
        TOKEN,
        &json!({"audience": AUDIENCE_URL, "delegates": null, "includeEmail": true}),
    );
}

#[test]
fn an_external_account_uses_its_service_account() {
    let url = format!("{}/{TARGET_SERVICE_ACCOUNT}:generateAccessToken", sample_credentials::IAM_SERVICE_ACCOUNTS_URL);
    let file =
        sample_credentials::with_fields(file_external_account(), &json!({ "service_account_impersonation_url": url }));
    let ran = id_token_test(&file, &format!("--audiences {AUDIENCE_URL}"))
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .expect_request(iam_response(TARGET_SERVICE_ACCOUNT, "generateIdToken", 200, iam_body(&id_token(AUDIENCE_URL))))
        .run();
    assert_eq!(ran.requests[0].form_field("scope"), "https://www.googleapis.com/auth/iam");
    assert_iam_request(
        &ran.requests[1],
        TOKEN,
        &json!({"audience": AUDIENCE_URL, "delegates": null, "includeEmail": true}),
    );
}

#[test]
fn a_user_gets_the_token_of_the_refresh() {
    let both = json!({
        "access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer", "id_token": id_token(CLIENT_ID),
    });
    for words in [String::new(), format!("--audiences {CLIENT_ID}")] {
        let ran = id_token_test(&authorized_user(), &words).expect_request(token_response(200, both.to_string())).run();
        assert_eq!(ran.stdout, format!("{}\n", id_token(CLIENT_ID)));
        let fields = ran.requests[0].form_fields();
        let expected = [
            ("grant_type", "refresh_token"),
            ("client_id", CLIENT_ID),
            ("client_secret", CLIENT_SECRET),
            ("refresh_token", REFRESH_TOKEN),
        ];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    let words = format!("--audiences {AUDIENCE_URL}");
    id_token_test(&authorized_user(), &words)
        .expect_status(7)
        .expect_error("OAuth client only")
        .expect_hint("--impersonate")
        .run();
    let test = id_token_test(&authorized_user(), "")
        .expect_request(token_response(200, token_response_body(TOKEN)))
        .expect_status(7);
    test.expect_error("openid").run();
}

#[test]
fn a_missing_or_invalid_audience_is_refused_before_anything_is_sent() {
    let long = "a".repeat(2049);
    for (audience, what) in [
        ("", "--audiences is empty"),
        (",", "--audiences is empty"),
        ("https://a.example,", "--audiences is empty"),
        (" ", "contains a space or a control character"),
        ("https://a.example https://b.example", "contains a space or a control character"),
        ("https://a.example\n", "contains a space or a control character"),
        ("https://a.example\r\nX: y", "contains a space or a control character"),
        ("a\u{7f}b", "contains a space or a control character"),
        ("a\u{a0}b", "contains a space or a control character"),
        (&long, "longer than 2048"),
    ] {
        for credential in [service_account(), authorized_user(), impersonated_service_account(authorized_user())] {
            id_token_test(&credential, "--audiences").arg(audience).expect_status(2).expect_error(what).run();
        }
    }
    for credential in [service_account(), impersonated_service_account(authorized_user())] {
        let test = id_token_test(&credential, "").expect_status(2);
        test.expect_error("none is named").expect_hint("--audiences https://").run();
    }
    metadata_test("").expect_status(2).expect_error("none is named").run();
    let bytes = std::os::unix::ffi::OsStrExt::from_bytes(b"a\xffb");
    let bytes: &std::ffi::OsStr = bytes;
    id_token_test(&service_account(), "--audiences").arg(bytes).expect_status(2).expect_error("not valid UTF-8").run();
    let test = id_token_test(&service_account(), &format!("--audiences {AUDIENCE_URL} --include-license"));
    test.expect_status(2).expect_hint("--token-format full").run();
}

#[test]
fn a_response_without_an_id_token_is_invalid() {
    let not_jwts = ["opaque", "a.b.c", "<html>", "eyJhbGciOiJub25lIn0", "two words", "ümlaut"];
    let ask = || id_token_test(&service_account(), &format!("--audiences {AUDIENCE_URL}")).expect_status(6);
    ask().expect_request(token_response(200, token_response_body(TOKEN))).expect_error("holds no id_token").run();
    ask().expect_request(token_response(200, "{}")).run();
    ask().expect_request(token_response(200, "<html>")).run();
    for word in not_jwts {
        ask().expect_request(token_response(200, token_endpoint_body(word))).run();
        metadata_test(&format!("--audiences {AUDIENCE_URL}"))
            .expect_request(metadata_identity_response(METADATA_QUERY, word))
            .expect_status(6)
            .run();
        id_token_test(&impersonated_service_account(authorized_user()), &format!("--audiences {AUDIENCE_URL}"))
            .expect_request(token_response(200, token_response_body(TOKEN)))
            .expect_request(iam_response(TARGET_SERVICE_ACCOUNT, "generateIdToken", 200, iam_body(word)))
            .expect_status(6)
            .run();
    }
    for body in ["{}", r#"{"token": null}"#, r#"{"token": 7}"#, "[]", "<html>"] {
        id_token_test(&impersonated_service_account(authorized_user()), &format!("--audiences {AUDIENCE_URL}"))
            .expect_request(token_response(200, token_response_body(TOKEN)))
            .expect_request(iam_response(TARGET_SERVICE_ACCOUNT, "generateIdToken", 200, body))
            .expect_status(6)
            .run();
    }
}

#[test]
fn a_refusal_names_the_principal_and_the_fix() {
    let refused = json!({"error": {"code": 403, "status": "PERMISSION_DENIED",
        "message": "Permission 'iam.serviceAccounts.getOpenIdToken' denied on resource"}});
    id_token_test(&impersonated_service_account(authorized_user()), &format!("--audiences {AUDIENCE_URL}"))
        .expect_request(token_response(200, token_response_body(TOKEN)))
        .expect_request(iam_response(TARGET_SERVICE_ACCOUNT, "generateIdToken", 403, refused.to_string()))
        .expect_status(5)
        .expect_error(TARGET_SERVICE_ACCOUNT)
        .run();
    metadata_test(&format!("--audiences {AUDIENCE_URL}"))
        .expect_request(metadata_response(
            &format!("instance/service-accounts/default/identity?{METADATA_QUERY}"),
            404,
            "",
        ))
        .expect_any_status(&[3, 5])
        .run();
}
