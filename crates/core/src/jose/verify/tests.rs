//! The published verdicts, and tokens that are wrong in one way each.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::jose::jwt;
use crate::jose::key::PrivateKey;
use crate::text::secret::Secret;

/// The time of the vectors.
const NOW: i64 = 1_767_323_105;
const KID: &str = "0123456789abcdef0123456789abcdef01234567";
const EC_KID: &str = "89abcdef0123456789abcdef0123456789abcdef";
const AUDIENCE: &str = "https://svc-abc-uc.a.run.app";

fn vectors() -> Value {
    let vectors: Value = serde_json::from_str(include_str!("../../../../../tests/data/vectors.json")).expect("vectors");
    vectors["id_token_verify"].clone()
}

fn published_keys() -> Jwks {
    Jwks::parse(vectors()["jwks"].to_string().as_bytes()).expect("set")
}

/// As the command does it: without a key first.
fn verify_token(token: &str, keys: &Jwks, audiences: &[&str]) -> Result<(), String> {
    let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let issuers = ["https://accounts.google.com", "accounts.google.com", "https://cloud.google.com/iap"];
    let (issuers, audiences) = (list(&issuers), list(audiences));
    let validation = Validation { issuers: &issuers, audiences: &audiences, now: NOW, skew: 10 };
    let decoded = jwt::decode(token).map_err(|what| format!("the token {what}"))?;
    let checked = check_claims(&decoded, &validation).and_then(|()| check_signature(&decoded, keys));
    checked.map_err(|error| error.message())
}

#[test]
fn the_published_verdicts_are_reached_with_their_clock_and_skew() {
    let vectors = vectors();
    assert_eq!((vectors["now"].as_i64(), vectors["clock_skew_seconds"].as_i64()), (Some(NOW), Some(10)));
    let cases = vectors["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 15);
    for case in cases {
        let text = |name: &str| case[name].as_str().expect("text");
        let reached = verify_token(text("jwt"), &published_keys(), &[text("audience")]);
        assert_eq!(Some(reached.is_ok()), case["ok"].as_bool(), "{}: {reached:?}", text("name"));
    }
}

/// The service account's key, which is in the published set.
fn service_account_key() -> PrivateKey {
    let file: Value = serde_json::from_str(include_str!("../../../../../tests/data/credentials/service_account.json"))
        .expect("sample");
    PrivateKey::rsa_from_pem(file["private_key"].as_str().expect("pem")).expect("key")
}

fn sign_token(header: &Value, claims: &Value) -> Secret {
    jwt::sign_with_header(&service_account_key(), header, claims).expect("jwt")
}

fn valid_header() -> Value {
    json!({ "alg": "RS256", "typ": "JWT", "kid": KID })
}

fn valid_claims() -> Value {
    json!({ "iss": "https://accounts.google.com", "aud": AUDIENCE, "sub": "1",
            "iat": NOW - 60, "exp": NOW + 3540 })
}

/// `null` takes a field away.
fn with_field(mut object: Value, name: &str, value: &Value) -> Value {
    match value {
        Value::Null => drop(object.as_object_mut().expect("object").remove(name)),
        value => object[name] = value.clone(),
    }
    object
}

fn verify_with_claim(name: &str, value: &Value) -> Result<(), String> {
    let token = sign_token(&valid_header(), &with_field(valid_claims(), name, value));
    verify_token(token.expose(), &published_keys(), &[AUDIENCE])
}

#[test]
fn valid_tokens_are_accepted() {
    let token = sign_token(&valid_header(), &valid_claims());
    assert_eq!(verify_token(token.expose(), &published_keys(), &[AUDIENCE]), Ok(()));
    assert_eq!(verify_token(token.expose(), &published_keys(), &["x", AUDIENCE]), Ok(()));
    assert_eq!(verify_token(token.expose(), &published_keys(), &[]), Ok(()));
    for (name, value) in [
        ("aud", json!(["x", AUDIENCE])),
        ("exp", json!(NOW - 10)),
        ("exp", json!(NOW as f64 + 0.5)),
        ("iat", json!(NOW + 10)),
        ("nbf", json!(NOW + 10)),
        ("iss", json!("accounts.google.com")),
        ("exp", json!(NOW - 60 + MAX_LIFETIME_SECONDS)),
    ] {
        assert_eq!(verify_with_claim(name, &value), Ok(()), "{name} {value}");
    }
}

#[test]
fn every_invalid_claim_makes_a_token_invalid() {
    for (name, value, message) in [
        ("exp", Value::Null, "its expiry (exp) is missing"),
        ("exp", json!("1767326645"), "its expiry (exp) is not a time"),
        ("exp", json!("soon"), "is not a time"),
        ("exp", json!(true), "is not a time"),
        ("exp", json!([NOW + 60]), "is not a time"),
        ("exp", json!({}), "is not a time"),
        ("exp", json!(1e300), "is not a time"),
        ("exp", json!(-1e300), "is not a time"),
        ("exp", json!(u64::MAX), "is not a time"),
        ("exp", json!(i64::MAX), "is not a time"),
        ("exp", json!(i64::MIN), "is not a time"),
        ("exp", json!(0), "expired"),
        ("exp", json!(-1), "expired"),
        ("exp", json!(NOW - 11), "expired 11 s ago"),
        ("exp", json!(NOW - 7200), "expired 2 h ago"),
        ("exp", json!(NOW - 60 + MAX_LIFETIME_SECONDS + 1), "longer than a day"),
        ("iat", Value::Null, "its time of issue (iat) is missing"),
        ("iat", json!("1767323045"), "its time of issue (iat) is not a time"),
        ("iat", json!(1e300), "is not a time"),
        ("iat", json!(NOW + 11), "issued 11 s in the future"),
        ("iat", json!(NOW + 3600), "issued 1 h in the future"),
        ("iat", json!(0), "longer than a day"),
        ("nbf", json!(NOW + 11), "not valid for another 11 s"),
        ("nbf", json!("now"), "its start (nbf) is not a time"),
        ("iss", Value::Null, "its issuer (iss) is missing"),
        ("iss", json!(5), "is not a string"),
        ("iss", json!(["https://accounts.google.com"]), "is not a string"),
        ("iss", json!(""), "its issuer is "),
        ("iss", json!("https://accounts.google.com/"), "its issuer is"),
        ("iss", json!("HTTPS://accounts.google.com"), "its issuer is"),
        ("iss", json!("https://evil.example\u{1b}[2J"), "evil.example\\u{1b}"),
        ("iss", json!("https://securetoken.google.com/p"), "its issuer is"),
        ("aud", Value::Null, "its audience (aud) is missing"),
        ("aud", json!([]), "its audience (aud) is missing"),
        ("aud", json!(5), "is not a string"),
        ("aud", json!({}), "is not a string"),
        ("aud", json!([AUDIENCE, 5]), "is not a string"),
        ("aud", json!(""), "it is for "),
        ("aud", json!(format!("{AUDIENCE}/")), "it is for https://svc-abc-uc.a.run.app/"),
        ("aud", json!(AUDIENCE.to_uppercase()), "it is for"),
        ("aud", json!(["a", "b"]), "it is for a and b"),
    ] {
        let found = verify_with_claim(name, &value).expect_err(&format!("{name} {value}"));
        assert!(found.contains(message), "{name} {value}: {found}");
    }
}

#[test]
fn the_key_and_not_the_token_decides_the_algorithm() {
    for (name, value, message) in [
        ("alg", Value::Null, "its algorithm (alg) is missing"),
        ("alg", json!("none"), "its algorithm is none"),
        ("alg", json!("None"), "its algorithm is None"),
        ("alg", json!("HS256"), "its algorithm is HS256"),
        ("alg", json!("HS512"), "its algorithm is HS512"),
        ("alg", json!("RS512"), "its algorithm is RS512"),
        ("alg", json!("PS256"), "its algorithm is PS256"),
        ("alg", json!("ES384"), "its algorithm is ES384"),
        ("alg", json!("EdDSA"), "its algorithm is EdDSA"),
        ("alg", json!("rs256"), "its algorithm is rs256"),
        ("alg", json!(""), "its algorithm is "),
        ("alg", json!(5), "its algorithm (alg) is missing"),
        ("alg", json!("ES256"), "its algorithm is ES256, and key 01234567 is for another one"),
        ("kid", Value::Null, "its key ID (kid) is missing"),
        ("kid", json!(""), "its key ID (kid) is missing"),
        ("kid", json!(5), "its key ID (kid) is missing"),
        ("kid", json!("nope"), "its issuer has no key nope"),
        ("kid", json!(KID.to_uppercase()), "has no key 01234567"),
        ("kid", json!(EC_KID), "its algorithm is RS256, and key 89abcdef is for another one"),
        ("kid", json!("a\u{202e}b"), "has no key a\\u{202e}b"),
        ("crit", json!(["b64"]), "crit"),
        ("crit", json!([]), "crit"),
    ] {
        let token = sign_token(&with_field(valid_header(), name, &value), &valid_claims());
        let found = verify_token(token.expose(), &published_keys(), &[AUDIENCE]);
        let found = found.expect_err(&format!("{name} {value}"));
        assert!(found.contains(message), "{name} {value}: {found}");
    }
}

#[test]
fn a_token_with_one_changed_character_is_invalid() {
    let token = sign_token(&valid_header(), &valid_claims());
    let token = token.expose();
    for at in (0..token.len()).step_by(7) {
        let mut bytes = token.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).expect("text");
        assert!(verify_token(&changed, &published_keys(), &[AUDIENCE]).is_err(), "{at}");
    }
}

#[test]
fn signatures_of_other_lengths_and_keys_are_refused() {
    let token = sign_token(&valid_header(), &valid_claims());
    let message = token.expose().rsplit_once('.').expect("a signature").0.to_owned();
    let other = PrivateKey::generate_ec().expect("key").sign(message.as_bytes()).expect("signature");
    for signature in [vec![], vec![0], vec![0; 64], vec![0; 255], vec![0; 256], vec![0xff; 256], vec![1; 257], other] {
        let forged = format!("{message}.{}", URL_SAFE_NO_PAD.encode(&signature));
        let found = verify_token(&forged, &published_keys(), &[AUDIENCE]).expect_err("forged");
        assert_eq!(found, "its signature is not of key 01234567", "{} bytes", signature.len());
    }
}

#[test]
fn an_iap_assertion_is_verified_with_its_ec_key() {
    let key = PrivateKey::generate_ec().expect("key");
    let (x, y) = key.public_key().jwk_parameters();
    let set = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256", "use": "sig",
                                 "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) }]});
    let set = Jwks::parse(set.to_string().as_bytes()).expect("set");
    let claims = with_field(valid_claims(), "iss", &json!("https://cloud.google.com/iap"));
    let token = jwt::sign(&key, Some("k"), &claims).expect("jwt");
    assert_eq!(verify_token(token.expose(), &set, &[AUDIENCE]), Ok(()));
    let (message, signature) = token.expose().rsplit_once('.').expect("a signature");
    let bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    // R and S as they stand in certificates, and both as nought.
    let der = [&[0x30, 0x44, 0x02, 0x20], &bytes[..32], &[0x02, 0x20], &bytes[32..]].concat();
    for bad in [der, bytes[..63].to_vec(), vec![0; 64], [&bytes[32..], &bytes[..32]].concat()] {
        let forged = format!("{message}.{}", URL_SAFE_NO_PAD.encode(&bad));
        assert!(verify_token(&forged, &set, &[AUDIENCE]).is_err(), "{} bytes", bad.len());
    }
}
