//! Workforce logins, whose refresh tokens rotate; service accounts of Google Distributed Cloud; client certificates.

use std::path::PathBuf;

use gauth_core::jose::jwt;
use gauth_core::jose::key::PrivateKey;
use serde_json::{Value, json};

use super::token_test;
use crate::support::sample_credentials::{
    self, REFRESH_TOKEN, ROTATED_REFRESH_TOKEN, SECOND_TOKEN, TARGET_SERVICE_ACCOUNT, TOKEN, external_account,
    gdch_service_account, iam_response_body, sts_response_body, token_response_body, workforce_login,
};
use crate::support::{
    Home, LOGIN_FILE, MockExchange, NOW, OVERLAY_FOLDER, Test, iam_response, sts_response, token_response,
    without_response,
};

const STS_OAUTH_TOKEN_ENDPOINT: &str = "https://sts.googleapis.com/v1/oauthtoken";

fn refresh_response(access: &str) -> MockExchange {
    token_response(200, token_response_body(access)).at_url(STS_OAUTH_TOKEN_ENDPOINT)
}

fn rotating_response(access: &str, next_refresh_token: &str) -> MockExchange {
    let body = json!({"access_token": access, "expires_in": 3599, "refresh_token": next_refresh_token});
    token_response(200, body.to_string()).at_url(STS_OAUTH_TOKEN_ENDPOINT)
}

#[test]
fn a_workforce_login_is_refreshed_by_a_client_in_a_header() {
    let short = json!({"client_id": "CID", "client_secret": "CS", "quota_project_id": "payer"});
    let login = sample_credentials::with_fields(workforce_login(), &short);
    let ran = token_test(&login, "--format json").expect_request(refresh_response(TOKEN)).run();
    let sent = &ran.requests[0];
    assert_eq!((sent.method, sent.url.as_str()), ("POST", STS_OAUTH_TOKEN_ENDPOINT));
    assert_eq!(sent.header("authorization"), Some("Basic Q0lEOkNT"));
    assert_eq!(sent.form_fields().len(), 2);
    let expected = [("grant_type", "refresh_token"), ("refresh_token", REFRESH_TOKEN)];
    for (field, (name, value)) in sent.form_fields().iter().zip(expected) {
        assert_eq!((field.0.as_str(), field.1.as_str()), (name, value));
    }
    assert_eq!(sent.header("x-goog-api-client"), None);
    let told = ran.json();
    assert_eq!(told["kind"], "external_account_authorized_user");
    assert_eq!((&told["quota_project"], &told["token"]), (&json!("payer"), &json!(TOKEN)));
    let nowhere = sample_credentials::with_fields(workforce_login(), &json!({"token_url": null}));
    token_test(&nowhere, "").expect_request(refresh_response(TOKEN)).run();
}

#[test]
fn the_next_refresh_token_of_a_workforce_login_is_stored_before_anything_is_printed() {
    let home = Home::new();
    home.write(LOGIN_FILE, workforce_login().to_string());
    let own = |words: &str| Test::new(&format!("token --account ada@example.com {words}"));
    own("")
        .home(&home)
        .expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN))
        .on_write(|home| {
            assert_eq!(home.read_json(LOGIN_FILE)["refresh_token"], ROTATED_REFRESH_TOKEN);
            Ok(())
        })
        .run();
    own("").home(&home).expect_stdout(&format!("{TOKEN}\n")).run();
    let ran = own("--refresh").home(&home).expect_request(refresh_response(SECOND_TOKEN)).run();
    assert_eq!(ran.requests[0].form_field("refresh_token"), ROTATED_REFRESH_TOKEN);
    // A file that is not gauth's own is not changed.
    let home = Home::new();
    let file = |words: &str| token_test(&workforce_login(), words).home(&home);
    file("").expect_request(rotating_response(TOKEN, ROTATED_REFRESH_TOKEN)).run();
    assert_eq!(home.read_json("key.json"), workforce_login());
    let names = home.names(OVERLAY_FOLDER);
    assert_eq!(home.read_json(&format!("{OVERLAY_FOLDER}/{}", names[0]))["refresh_token"], ROTATED_REFRESH_TOKEN);
    let ran = file("--refresh").expect_request(refresh_response(SECOND_TOKEN)).run();
    assert_eq!(ran.requests[0].form_field("refresh_token"), ROTATED_REFRESH_TOKEN);
}

#[test]
fn a_workforce_refresh_token_is_not_sent_twice() {
    let slow = refresh_response("").with_latency(std::time::Duration::from_secs(60));
    token_test(&workforce_login(), "").expect_request(slow).expect_status(6).run();
    token_test(&workforce_login(), "")
        .expect_request(token_response(503, "").at_url(STS_OAUTH_TOKEN_ENDPOINT))
        .expect_status(6)
        .run();
    token_test(&workforce_login(), "")
        .expect_request(without_response(refresh_response("")))
        .expect_request(refresh_response(TOKEN))
        .run();
}

#[test]
fn a_token_saved_with_a_workforce_login_is_used_until_its_refresh_margin() {
    let saved = |expiry: &str, refresh: Value| {
        let fields = json!({"token": SECOND_TOKEN, "expiry": expiry, "refresh_token": refresh});
        sample_credentials::with_fields(workforce_login(), &fields)
    };
    let fresh = "2026-01-02T04:04:04Z";
    token_test(&saved(fresh, json!(REFRESH_TOKEN)), "").expect_stdout(&format!("{SECOND_TOKEN}\n")).run();
    token_test(&saved(fresh, Value::Null), "").expect_stdout(&format!("{SECOND_TOKEN}\n")).run();
    let over = "2026-01-02T03:04:04Z";
    token_test(&saved(over, json!(REFRESH_TOKEN)), "").expect_request(refresh_response(TOKEN)).run();
    token_test(&saved(over, Value::Null), "")
        .expect_status(4)
        .expect_error("HOME/key.json must sign in again, the saved token is expired")
        .expect_hint("--login-config FILE")
        .run();
}

#[test]
fn options_that_a_workforce_login_does_not_support_are_refused_before_anything_is_sent() {
    for (words, says) in [
        ("--scopes email", "cannot choose scopes (--scopes)"),
        ("--lifetime 10m", "cannot choose how long its tokens live (--lifetime)"),
        ("--subject bob@example.com", "cannot act for another user (--subject)"),
        ("--audience https://a.example", "cannot sign a token itself"),
    ] {
        let test = token_test(&workforce_login(), words).expect_status(7);
        test.expect_error("HOME/key.json is a workforce login, which ").expect_error(says).run();
    }
}

#[test]
fn gdch_gets_an_assertion_signed_by_the_service_identity_key() {
    let at = "https://service-identity.gdch.example/authenticate";
    let audience = "https://api.gdch.example";
    let home = Home::new();
    let run = |words: &str| {
        token_test(&gdch_service_account(), &format!("--audience {audience} --format json {words}")).home(&home)
    };
    let ran = run("").expect_request(token_response(200, token_response_body(TOKEN)).at_url(at)).run();
    let sent = &ran.requests[0];
    assert_eq!(sent.ca_file, Some(PathBuf::from("/etc/gauth/gdch-ca.pem")));
    assert_eq!(sent.header("content-type"), Some("application/json"));
    assert_eq!(sent.header("authorization"), None);
    let mut body = sent.json();
    let assertion = body["subject_token"].take();
    let expected = json!({
        "grant_type": "urn:ietf:params:oauth:token-type:token-exchange",
        "audience": audience,
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token": null,
        "subject_token_type": "urn:k8s:params:oauth:token-type:serviceaccount",
    });
    assert_eq!(body, expected);
    let parts = jwt::decode(assertion.as_str().expect("text")).expect("a JWT");
    let pem = gdch_service_account()["private_key"].as_str().expect("a key").to_owned();
    let key = PrivateKey::any_from_secret(&gauth_core::text::secret::Secret::new(pem)).expect("the key");
    assert!(key.public_key().verifies(parts.signing_input, &parts.signature), "the signature");
    assert_eq!(parts.signature.len(), 64);
    let id = gdch_service_account()["private_key_id"].clone();
    assert_eq!(Value::from(parts.header), json!({"alg": "ES256", "typ": "JWT", "kid": id}));
    let identity = "system:serviceaccount:example-gdch-project:example-service-identity";
    let claims = json!({
        "iss": identity, "sub": identity, "aud": at, "iat": NOW - 10, "exp": NOW + 3590,
    });
    assert_eq!(Value::from(parts.claims), claims);
    let told = ran.json();
    assert_eq!((&told["account"], &told["kind"]), (&json!(identity), &json!("gdch_service_account")));
    // One token for each audience.
    assert_eq!(run("").run().json()["cached"], true);
    let other = token_test(&gdch_service_account(), "--audience https://other.gdch.example").home(&home);
    other
        .expect_request(token_response(200, token_response_body(SECOND_TOKEN)).at_url(at))
        .expect_stdout(&format!("{SECOND_TOKEN}\n"))
        .run();
}

/// A certificate for the client and its key, both in PEM.
fn make_client_certificate() -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let parameters = rcgen::CertificateParams::new(vec!["client.example".to_owned()]);
    let certificate = parameters.expect("a name").self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

/// `gauth token` with this client certificate and key.
fn client_certificate_test(pair: (&str, &str), args: &str) -> Test {
    let source = json!({"certificate": {"certificate_config_location": "{home}/config.json"}});
    let mtls = json!({
        "subject_token_type": "urn:ietf:params:oauth:token-type:mtls",
        "token_url": "https://sts.mtls.googleapis.com/v1/token",
    });
    let workload = json!({"cert_path": "{home}/client.pem", "key_path": "{home}/client.key"});
    token_test(&sample_credentials::with_fields(external_account(source), &mtls), args)
        .json("config.json", &json!({"cert_configs": {"workload": workload}}))
        .file("client.pem", pair.0)
        .file("client.key", pair.1)
}

#[test]
fn the_certificate_is_used_for_tls_and_sent_as_the_subject_token() {
    let (certificate, key) = make_client_certificate();
    let url = "https://sts.mtls.googleapis.com/v1/token";
    let ran = client_certificate_test((&certificate, &key), "")
        .expect_request(sts_response(200, sts_response_body(TOKEN)).at_url(url))
        .run();
    let sent = &ran.requests[0];
    assert!(sent.client_certificate.as_ref().is_some_and(|pair| pair.certificate_path.ends_with("client.pem")));
    let inside: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(sent.form_field("subject_token"), format!("[\"{inside}\"]"));
    let measured = sent.header("x-goog-api-client").expect("the header of Google's metrics");
    assert!(measured.contains(" source/x509 "), "{measured}");
    assert_eq!(sent.form_field("options"), "");
}

#[test]
fn the_certificate_is_used_for_iam_with_an_account_named_by_flag() {
    let (certificate, key) = make_client_certificate();
    let url = "https://sts.mtls.googleapis.com/v1/token";
    let ran = client_certificate_test((&certificate, &key), "--impersonate-service-account")
        .arg(TARGET_SERVICE_ACCOUNT)
        .expect_request(sts_response(200, sts_response_body(TOKEN)).at_url(url))
        .expect_request(iam_response(
            TARGET_SERVICE_ACCOUNT,
            "generateAccessToken",
            200,
            iam_response_body(SECOND_TOKEN),
        ))
        .run();
    assert!(ran.requests.iter().all(|sent| sent.client_certificate.is_some()), "{:#?}", ran.requests);
}

#[test]
fn a_certificate_with_the_key_of_another_is_not_used() {
    let (one, other) = (make_client_certificate(), make_client_certificate());
    client_certificate_test((&one.0, &other.1), "")
        .expect_status(8)
        .expect_error("client.key is not the key of the certificate HOME/client.pem")
        .run();
}
