//! `gauth inspect`: what is in a token, and whether it is good.

mod access;
mod bad;
mod keys;
mod report;

use std::rc::Rc;

use gauth::jwt;
use gauth::key::PrivateKey;
use serde_json::{Value, json};

use crate::support::{Exchange, Home, NOW, Test, get, samples};

const GOOGLE_KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";
const IAP_KEYS: &str = "https://www.gstatic.com/iap/verify/public_key-jwk";
const AUDIENCE: &str = "https://svc-abc-uc.a.run.app";
/// The name of the robot's key in the published set.
const KID: &str = "0123456789abcdef0123456789abcdef01234567";
/// The published vectors are of this many seconds after the usual time.
const LATER: i64 = 60;

fn vectors() -> Value {
    let all: Value = serde_json::from_str(include_str!("../../data/vectors.json")).expect("JSON");
    all["id_token_verify"].clone()
}

/// The published set of keys.
fn set() -> String {
    vectors()["jwks"].to_string()
}

/// Google's keys, which may be kept for an hour.
fn certs() -> Exchange {
    get(GOOGLE_KEYS, 200, set()).header("cache-control", "public, max-age=3600")
}

fn claims() -> Value {
    json!({ "iss": "https://accounts.google.com", "aud": AUDIENCE, "sub": "1", "iat": NOW, "exp": NOW + 3600 })
}

/// A token signed by the robot, under any header.
fn signed(header: &Value, claims: &Value) -> String {
    let key = PrivateKey::from_pem(&samples::pem()).expect("a key");
    jwt::sign_parts(&key, header, claims).expect("a token").expose().to_owned()
}

fn header() -> Value {
    json!({ "alg": "RS256", "kid": KID, "typ": "JWT" })
}

fn good() -> String {
    signed(&header(), &claims())
}

/// `gauth inspect` of a token on standard input.
fn inspect(words: &str, token: &str) -> Test {
    Test::new(&format!("inspect {words}")).input(format!("{token}\n")).secret(token)
}

/// The same with `--verify`.
fn verify(words: &str, token: &str) -> Test {
    inspect(&format!("--verify {words}"), token)
}

/// The same with the published set in a file, when the vectors were made.
fn verify_later(home: &Rc<Home>, words: &str, token: &str) -> Test {
    verify(&format!("--jwks {{home}}/keys {words}"), token).home(home).file("keys", set())
}
