//! Credentials to begin with. Their secrets are in the list that every run is searched for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A web page in place of a response in JSON.
pub(crate) const HTML_BODY: &str = "<!DOCTYPE html><html>GAUTH-TEST-JUNK-SECRET</html>";

pub(crate) const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The access token of most answers.
pub(crate) const TOKEN: &str = "ya29.token-of-the-first-answer";
/// Another one.
pub(crate) const SECOND_TOKEN: &str = "ya29.token-of-the-second-answer";
pub(crate) const CLIENT_ID: &str = "123456789012-exampleclientid.apps.googleusercontent.com";
pub(crate) const CLIENT_SECRET: &str = "planted-client-secret";
pub(crate) const REFRESH_TOKEN: &str = "1//0planted-refresh-token";
pub(crate) const ROTATED_REFRESH_TOKEN: &str = "1//0rotated-refresh-token";
pub(crate) const RAPT: &str = "planted-proof-of-reauthentication";
pub(crate) const SERVICE_ACCOUNT_EMAIL: &str = "example-sa@example-project.iam.gserviceaccount.com";

/// What must never be seen. Of the keys, a line from their middle.
pub(super) const PLANTED_SECRETS: &[&str] = &[
    TOKEN,
    SECOND_TOKEN,
    CLIENT_SECRET,
    REFRESH_TOKEN,
    ROTATED_REFRESH_TOKEN,
    RAPT,
    SUBJECT_TOKEN,
    "aDAeIosCihgH7BeRuX4CgIam9KFaqoVBMLYdy+3lQWKNPAIGH5Y+mkpYj8cZG0wO",
    "BG0wawIBAQQgsNIOY6IUMlpaxJus",
    "GAUTH-TEST-JUNK-SECRET",
];

/// A key file as Google's console hands it out.
pub(crate) fn service_account() -> Value {
    serde_json::from_str(include_str!("../../data/credentials/service_account.json")).expect("JSON")
}

/// Its key.
pub(crate) fn service_account_key_pem() -> String {
    service_account()["private_key"].as_str().expect("a key").to_owned()
}

/// A login as gcloud writes it for other programs.
pub(crate) fn authorized_user() -> Value {
    json!({
        "type": "authorized_user",
        "account": "ada@example.com",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN,
    })
}

/// A credential with some fields changed; `null` takes one away.
pub(crate) fn with_fields(mut credential: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().expect("fields") {
        match value {
            Value::Null => drop(credential.as_object_mut().expect("object").remove(name)),
            value => credential[name] = value.clone(),
        }
    }
    credential
}

/// What the token endpoint answers.
pub(crate) fn token_response_body(token: &str) -> String {
    json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}).to_string()
}

/// What an identity provider outside gives.
pub(crate) const SUBJECT_TOKEN: &str = "planted-subject-token.of-an-issuer.outside";
/// A provider of a workload identity pool.
pub(crate) const WORKLOAD_PROVIDER: &str = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/example-pool/providers/example-provider";
/// A provider of a workforce pool.
pub(crate) const WORKFORCE_PROVIDER: &str =
    "//iam.googleapis.com/locations/global/workforcePools/example-wf-pool/providers/example-wf-provider";
/// A service account that others act as.
pub(crate) const TARGET_SERVICE_ACCOUNT: &str = "target-sa@example-project.iam.gserviceaccount.com";
pub(crate) const IAM_SERVICE_ACCOUNTS_URL: &str = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts";

/// A federated identity whose subject token comes from here.
pub(crate) fn external_account(credential_source: Value) -> Value {
    json!({
        "type": "external_account",
        "audience": WORKLOAD_PROVIDER,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": credential_source,
    })
}

/// The one with a file, which [`Test::subject`](super::Test::subject) writes.
pub(crate) fn file_external_account() -> Value {
    external_account(json!({"file": "{home}/subject"}))
}

/// The one of a machine at AWS, or of a program with AWS's variables.
pub(crate) fn aws_external_account() -> Value {
    let aws = json!({
        "environment_id": "aws1",
        "region_url": "http://169.254.169.254/latest/meta-data/placement/availability-zone",
        "url": "http://169.254.169.254/latest/meta-data/iam/security-credentials",
        "regional_cred_verification_url":
            "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
        "imdsv2_session_token_url": "http://169.254.169.254/latest/api/token",
    });
    let kind = json!({"subject_token_type": "urn:ietf:params:aws:token-type:aws4_request"});
    with_fields(external_account(aws), &kind)
}

/// A person's subject token for a workforce pool.
pub(crate) fn workforce_external_account() -> Value {
    with_fields(file_external_account(), &json!({"audience": WORKFORCE_PROVIDER}))
}

/// A workforce login.
pub(crate) fn workforce_login() -> Value {
    json!({
        "type": "external_account_authorized_user",
        "audience": WORKFORCE_PROVIDER,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN,
        "token_url": "https://sts.googleapis.com/v1/oauthtoken",
        "token_info_url": "https://sts.googleapis.com/v1/introspect",
    })
}

/// A credential that acts as [`TARGET`].
pub(crate) fn impersonated_service_account(source: Value) -> Value {
    json!({
        "type": "impersonated_service_account",
        "service_account_impersonation_url": format!("{IAM_SERVICE_ACCOUNTS_URL}/{TARGET_SERVICE_ACCOUNT}:generateAccessToken"),
        "source_credentials": source,
    })
}

/// A service identity of Google Distributed Cloud.
pub(crate) fn gdch_service_account() -> Value {
    serde_json::from_str(include_str!("../../data/credentials/gdch_service_account.json")).expect("JSON")
}

/// What IAM answers.
pub(crate) fn iam_response_body(token: &str) -> String {
    json!({"accessToken": token, "expireTime": "2026-01-02T04:04:05Z"}).to_string()
}

/// What Google's STS answers.
pub(crate) fn sts_response_body(token: &str) -> String {
    let kind = "urn:ietf:params:oauth:token-type:access_token";
    json!({"access_token": token, "issued_token_type": kind, "token_type": "Bearer", "expires_in": 3599}).to_string()
}

/// A JWT with these claims and an invalid signature.
pub(crate) fn unsigned_jwt(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2lnbmVk", part(&json!({"alg": "RS256", "kid": "k"})), part(claims))
}
