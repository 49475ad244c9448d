//! Service accounts: the assertion that is sent, and self-signed JWTs, for which nothing is sent.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gauth_core::jose::jwt;
use gauth_core::jose::key::PrivateKey;
use serde_json::{Map, Value, json};

use super::token_test;
use crate::support::sample_credentials::{
    self, CLOUD_PLATFORM, SERVICE_ACCOUNT_EMAIL, TOKEN, service_account, service_account_key_pem, token_response_body,
};
use crate::support::{NOW, token_response};

const KEY_ID: &str = "0123456789abcdef0123456789abcdef01234567";

/// Header and claims of a JWT that the sample key signed.
#[track_caller]
fn decode_verified_jwt(token: &str) -> (Map<String, Value>, Map<String, Value>) {
    let parts = jwt::decode(token).expect("a JWT");
    let key = PrivateKey::rsa_from_pem(&service_account_key_pem()).expect("the key");
    assert!(key.public_key().verifies(parts.signing_input, &parts.signature), "the signature");
    assert!(token.split('.').all(|part| URL_SAFE_NO_PAD.decode(part).is_ok()));
    (parts.header, parts.claims)
}

/// Checks the claims of the assertion for these arguments; `changes` are those that differ from the usual ones.
#[track_caller]
fn assert_assertion(args: &str, changes: &Value) {
    let ran =
        token_test(&service_account(), args).expect_request(token_response(200, token_response_body(TOKEN))).run();
    let sent = &ran.requests[0];
    assert_eq!(sent.form_field("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert_eq!(sent.form.len(), 2, "{sent:#?}");
    assert!(sent.headers["x-goog-api-client"].ends_with(" auth-request-type/at cred-type/sa"));
    let (header, claims) = decode_verified_jwt(sent.form_field("assertion"));
    assert_eq!(Value::from(header), json!({"alg": "RS256", "typ": "JWT", "kid": KEY_ID}));
    let usual = json!({
        "iss": SERVICE_ACCOUNT_EMAIL,
        "scope": CLOUD_PLATFORM,
        "aud": "https://oauth2.googleapis.com/token",
        "iat": NOW - 10,
        "exp": NOW + 3590,
    });
    assert_eq!(Value::from(claims), sample_credentials::with_fields(usual, changes));
}

#[test]
fn an_assertion_has_issuer_scope_and_expiry() {
    assert_assertion("", &json!({}));
    assert_assertion("--subject ada@example.com", &json!({"sub": "ada@example.com"}));
    assert_assertion("--lifetime 600", &json!({"exp": NOW + 600}));
    assert_assertion("--lifetime 10m", &json!({"exp": NOW + 600}));
    assert_assertion("--lifetime 1h", &json!({"exp": NOW + 3590}));
    assert_assertion("--lifetime 1", &json!({"exp": NOW + 1}));
}

#[test]
fn scopes_are_expanded_sorted_and_deduplicated() {
    let google = "https://www.googleapis.com/auth";
    for (words, scope) in [
        ("--scopes pubsub", format!("{google}/pubsub")),
        ("--scopes openid,email,profile", "email openid profile".to_owned()),
        ("--scopes pubsub --scopes bigquery", format!("{google}/bigquery {google}/pubsub")),
        ("--scopes pubsub,pubsub", format!("{google}/pubsub")),
        ("--scopes userinfo.email", format!("{google}/userinfo.email")),
        ("--scopes https://mail.google.com/", "https://mail.google.com/".to_owned()),
        ("--scopes urn:x", "urn:x".to_owned()),
    ] {
        assert_assertion(words, &json!({"scope": scope}));
    }
    let both = token_test(&service_account(), "--scopes")
        .arg("b a,c")
        .expect_request(token_response(200, token_response_body(TOKEN)));
    let (_, claims) = decode_verified_jwt(both.run().requests[0].form_field("assertion"));
    assert_eq!(claims["scope"], format!("{google}/a {google}/b {google}/c"));
}

#[test]
fn the_audience_is_the_token_endpoint() {
    let uri = "https://accounts.google.com/o/oauth2/token";
    let robot = sample_credentials::with_fields(service_account(), &json!({"token_uri": uri, "private_key_id": null}));
    let ran = token_test(&robot, "").expect_request(token_response(200, token_response_body(TOKEN)).at_url(uri)).run();
    let (header, claims) = decode_verified_jwt(ran.requests[0].form_field("assertion"));
    assert_eq!(claims["aud"], uri);
    assert!(!header.contains_key("kid"));
}

#[test]
fn the_whole_token_response_is_printed() {
    let body = json!({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer", "scope": "b a"});
    let ran =
        token_test(&service_account(), "--format json").expect_request(token_response(200, body.to_string())).run();
    let expected = json!({
        "token": TOKEN, "token_type": "Bearer", "expires_at": "2026-01-02T04:04:04Z", "expires_in": 3599,
        "scopes": ["a", "b"], "account": SERVICE_ACCOUNT_EMAIL, "kind": "service_account", "source": "file",
        "quota_project": null, "universe_domain": "googleapis.com", "cached": false,
    });
    assert_eq!(ran.json(), expected);
    let ran = token_test(&service_account(), "--format json")
        .expect_request(token_response(200, token_response_body(TOKEN)))
        .run();
    assert_eq!(ran.json()["scopes"], json!([CLOUD_PLATFORM]));
}

/// Checks the claims of the self-signed JWT for these arguments.
#[track_caller]
fn assert_self_signed(credential: &Value, args: &str, expected: &Value) {
    let ran = token_test(credential, args).run();
    let (header, claims) = decode_verified_jwt(ran.stdout.trim_end());
    assert_eq!(header["kid"], KEY_ID);
    assert_eq!(&Value::from(claims), expected);
}

#[test]
fn a_self_signed_jwt_has_an_audience_or_scopes() {
    let robot = service_account();
    let claims =
        json!({"iss": SERVICE_ACCOUNT_EMAIL, "sub": SERVICE_ACCOUNT_EMAIL, "iat": NOW - 10, "exp": NOW + 3590});
    let with = |changes: &Value| sample_credentials::with_fields(claims.clone(), changes);
    let audience = "https://pubsub.googleapis.com/";
    assert_self_signed(&robot, &format!("--audience {audience}"), &with(&json!({"aud": audience})));
    assert_self_signed(&robot, &format!("--audience {audience} --self-signed"), &with(&json!({"aud": audience})));
    assert_self_signed(&robot, "--self-signed", &with(&json!({"scope": CLOUD_PLATFORM})));
    assert_self_signed(&robot, "--self-signed --scopes email", &with(&json!({"scope": "email"})));
    let short = json!({"scope": CLOUD_PLATFORM, "exp": NOW + 60});
    assert_self_signed(&robot, "--self-signed --lifetime 1m", &with(&short));
}

#[test]
fn a_self_signed_jwt_is_reported_as_such() {
    let ran = token_test(&service_account(), "--self-signed --format json").run();
    let json = ran.json();
    assert_eq!(json["expires_in"], 3590);
    assert_eq!(json["scopes"], json!([CLOUD_PLATFORM]));
    let audience = "--audience https://pubsub.googleapis.com/ --format json";
    assert_eq!(token_test(&service_account(), audience).run().json()["scopes"], Value::Null);
}

#[test]
fn a_key_of_another_universe_signs_its_own_tokens() {
    let elsewhere = json!({"universe_domain": "universe.example", "token_uri": null});
    let robot = sample_credentials::with_fields(service_account(), &elsewhere);
    let claims =
        json!({"iss": SERVICE_ACCOUNT_EMAIL, "sub": SERVICE_ACCOUNT_EMAIL, "iat": NOW - 10, "exp": NOW + 3590});
    assert_self_signed(&robot, "", &sample_credentials::with_fields(claims.clone(), &json!({"scope": CLOUD_PLATFORM})));
    assert_self_signed(&robot, "--scopes email", &sample_credentials::with_fields(claims, &json!({"scope": "email"})));
    let ran = token_test(&robot, "--format json").run();
    assert_eq!(ran.json()["universe_domain"], "universe.example");
    let flag = token_test(
        &sample_credentials::with_fields(service_account(), &json!({"universe_domain": null})),
        "--universe-domain u.example",
    );
    assert!(flag.run().stdout.starts_with("eyJ"));
}

#[test]
fn the_error_of_a_refused_delegation_says_where_it_is_granted() {
    token_test(&service_account(), "--subject ada@example.com")
        .expect_request(token_response(401, r#"{"error":"unauthorized_client","error_description":"Client is unauthorized to retrieve access tokens using this method"}"#))
        .expect_status(5)
        .expect_error("oauth2.googleapis.com: Google says unauthorized_client: \"Client is unauthorized")
        .expect_hint("domain-wide delegation in the admin console")
        .run();
}
