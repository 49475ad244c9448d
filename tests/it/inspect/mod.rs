//! `gauth inspect`: decodes and verifies tokens.

mod access_tokens;
mod invalid_tokens;
mod key_sets;
mod report;

use std::rc::Rc;

use gauth_core::jose::jwt;
use gauth_core::jose::key::PrivateKey;
use serde_json::{Value, json};

use crate::support::{Home, MockExchange, NOW, Test, get_response, sample_credentials};

const GOOGLE_KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";
const IAP_KEYS: &str = "https://www.gstatic.com/iap/verify/public_key-jwk";
const AUDIENCE: &str = "https://svc-abc-uc.a.run.app";
/// The ID of the service account's key in the published set.
const KEY_ID: &str = "0123456789abcdef0123456789abcdef01234567";
/// The time of the published vectors, in seconds after the time of the tests.
const VECTORS_OFFSET_SECONDS: i64 = 60;

fn test_vectors() -> Value {
    let all: Value = serde_json::from_str(include_str!("../../data/vectors.json")).expect("JSON");
    all["id_token_verify"].clone()
}

/// The published set of keys.
fn key_set() -> String {
    test_vectors()["jwks"].to_string()
}

/// The response with Google's keys, which may be cached for an hour.
fn google_keys_response() -> MockExchange {
    get_response(GOOGLE_KEYS, 200, key_set()).with_header("cache-control", "public, max-age=3600")
}

fn claims() -> Value {
    json!({ "iss": "https://accounts.google.com", "aud": AUDIENCE, "sub": "1", "iat": NOW, "exp": NOW + 3600 })
}

/// A token signed by the service account, with any header.
fn signed_jwt(header: &Value, claims: &Value) -> String {
    let key = PrivateKey::rsa_from_pem(&sample_credentials::service_account_key_pem()).expect("a key");
    jwt::sign_with_header(&key, header, claims).expect("a token").expose().to_owned()
}

fn default_header() -> Value {
    json!({ "alg": "RS256", "kid": KEY_ID, "typ": "JWT" })
}

fn valid_jwt() -> String {
    signed_jwt(&default_header(), &claims())
}

/// `gauth inspect` of a token on standard input.
fn inspect_test(args: &str, token: &str) -> Test {
    Test::new(&format!("inspect {args}")).stdin(format!("{token}\n")).secret(token)
}

/// `gauth inspect --verify` of a token on standard input.
fn verify_test(args: &str, token: &str) -> Test {
    inspect_test(&format!("--verify {args}"), token)
}

/// `gauth inspect --verify` with the published set in a file, at the time of the vectors.
fn verify_vector_test(home: &Rc<Home>, args: &str, token: &str) -> Test {
    verify_test(&format!("--jwks {{home}}/keys {args}"), token).home(home).file("keys", key_set())
}
