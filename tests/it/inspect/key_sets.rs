//! Key sets: their sources, how long they are cached, and invalid ones.

use std::time::Duration;

use gauth_core::jose::jwt;
use gauth_core::jose::key::PrivateKey;
use serde_json::{Value, json};

use super::{
    AUDIENCE, GOOGLE_KEYS, IAP_KEYS, KEY_ID, claims, default_header, google_keys_response, key_set, signed_jwt,
    test_vectors, valid_jwt, verify_test,
};
use crate::support::sample_credentials::{self, with_fields};
use crate::support::{Home, TOKEN_CACHE_FOLDER, collect_modes, get_response, without_response};

#[test]
fn keys_are_cached_for_the_time_in_cache_control() {
    let home = Home::new();
    verify_test("", &valid_jwt()).home(&home).expect_request(google_keys_response()).run();
    // The second call sends no request.
    verify_test("", &valid_jwt()).home(&home).run();
    home.clock.advance(3590);
    verify_test("--skew 1h", &valid_jwt()).home(&home).run();
    home.clock.advance(20);
    verify_test("--skew 1h", &valid_jwt()).home(&home).expect_request(google_keys_response()).run();
    let mut found = Vec::new();
    collect_modes(&home.path(".config"), &mut found);
    assert!(found.iter().all(|(_, mode)| mode & 0o077 == 0), "{found:?}");
    assert_eq!(home.names(TOKEN_CACHE_FOLDER).len(), 1);
}

#[test]
fn keys_without_cache_control_are_fetched_again_after_a_minute() {
    let home = Home::new();
    let silent = || get_response(GOOGLE_KEYS, 200, key_set());
    verify_test("", &valid_jwt()).home(&home).expect_request(silent()).run();
    home.clock.advance(55);
    verify_test("", &valid_jwt()).home(&home).run();
    home.clock.advance(10);
    verify_test("", &valid_jwt()).home(&home).expect_request(silent()).run();
}

#[test]
fn keys_are_cached_for_at_most_a_day() {
    let home = Home::new();
    let eager = || google_keys_response().without_headers().with_header("cache-control", "max-age=99999999");
    verify_test("", &valid_jwt()).home(&home).expect_request(eager()).run();
    home.clock.advance(24 * 3600 + 1);
    // The first token has expired by now; the second one has not.
    let late = with_fields(claims(), &json!({ "iat": 1_767_323_045 + 86_000, "exp": 1_767_323_045 + 90_000 }));
    verify_test("", &signed_jwt(&default_header(), &late)).home(&home).expect_request(eager()).run();
}

#[test]
fn a_key_that_is_not_cached_is_requested_once() {
    let home = Home::new();
    let none = json!({ "keys": [with_fields(test_vectors()["jwks"]["keys"][0].clone(), &json!({ "kid": "old" }))] });
    let old = google_keys_response().at_url(GOOGLE_KEYS);
    let before = get_response(GOOGLE_KEYS, 200, none.to_string()).with_header("cache-control", "max-age=3600");
    let ran = verify_test("", &valid_jwt()).home(&home).expect_request(before).expect_status(10).run();
    assert!(ran.stdout.starts_with("not valid: its issuer has no key 01234567\n"), "{}", ran.stdout);
    // The key was published after the set was cached.
    verify_test("", &valid_jwt()).home(&home).expect_request(old).run();
    verify_test("", &valid_jwt()).home(&home).run();
    // An unknown key ID causes one request, and an invalid signature none.
    let nobodys = signed_jwt(&with_fields(default_header(), &json!({ "kid": "nobody" })), &claims());
    verify_test("", &nobodys).home(&home).expect_request(google_keys_response()).expect_status(10).run();
    let good = valid_jwt();
    let (message, _) = good.rsplit_once('.').expect("a signature");
    verify_test("", &format!("{message}.AAAA")).home(&home).expect_status(10).run();
}

#[test]
fn without_the_cache_nothing_is_read_or_written() {
    let home = Home::new();
    for _ in 0..2 {
        verify_test("--no-cache", &valid_jwt()).home(&home).expect_request(google_keys_response()).run();
    }
    assert!(home.names(TOKEN_CACHE_FOLDER).is_empty());
    verify_test("", &valid_jwt()).home(&home).expect_request(google_keys_response()).run();
    verify_test("--no-cache", &valid_jwt()).home(&home).expect_request(google_keys_response()).run();
}

#[test]
fn damaged_keys_are_fetched_again() {
    let home = Home::new();
    verify_test("", &valid_jwt()).home(&home).expect_request(google_keys_response()).run();
    let name = format!("{TOKEN_CACHE_FOLDER}/{}", home.names(TOKEN_CACHE_FOLDER)[0]);
    for damage in ["", "gauth2\n", &home.read(&name).replace("RSA", "RSB")] {
        home.write(&name, damage);
        verify_test("", &valid_jwt()).home(&home).expect_request(google_keys_response()).run();
    }
    // Other users can write to the file.
    home.write_with_mode(&name, home.read(&name), 0o666);
    verify_test("", &valid_jwt()).home(&home).expect_request(google_keys_response()).run();
}

#[test]
fn without_keys_there_is_no_verdict() {
    let google = |status, body: &str| get_response(GOOGLE_KEYS, status, body);
    let key = test_vectors()["jwks"]["keys"][0].clone();
    let one = |change: Value| json!({ "keys": [with_fields(key.clone(), &change)] }).to_string();
    for (answer, status, says) in [
        (google(200, "<html>log in</html>"), 6, "is not valid JSON"),
        (google(200, ""), 6, "is empty"),
        (google(200, "{}"), 6, "no list \"keys\""),
        (google(200, "{\"keys\":[]}"), 6, "has no key"),
        (google(200, "{\"keys\":{}}"), 6, "no list \"keys\""),
        (google(200, "{\"keys\":[],\"keys\":[]}"), 6, "twice"),
        (google(200, "{\"keys\":["), 6, "ends in the middle"),
        (google(200, "[]"), 6, "not an object"),
        (google(200, &"[".repeat(100_000)), 6, "nested deeper"),
        (google(200, &one(json!({ "kty": "oct" }))), 6, "has no key"),
        (google(200, &one(json!({ "kid": null }))), 6, "has no key"),
        (google(200, &one(json!({ "use": "enc" }))), 6, "has no key"),
        (google(204, ""), 6, "www.googleapis.com"),
        (google(404, "not found"), 5, "www.googleapis.com"),
        (google(403, "{}"), 5, "www.googleapis.com"),
        (google(302, "").with_header("location", "https://evil.example/"), 6, "redirects to evil.example"),
        (google(200, &key_set()).with_latency(Duration::from_secs(40)), 6, "no answer in time"),
    ] {
        let home = Home::new();
        let test = verify_test("--timeout 5s", &valid_jwt()).home(&home).expect_request(answer);
        let ran = test.expect_status(status).expect_error(says).run();
        assert_eq!(ran.stdout, "");
        assert!(home.names(TOKEN_CACHE_FOLDER).is_empty(), "{says}");
    }
    for answer in [google(503, ""), without_response(google(200, ""))] {
        verify_test("", &valid_jwt())
            .expect_requests(3, &answer)
            .expect_status(6)
            .expect_error("www.googleapis.com")
            .run();
    }
}

#[test]
fn an_invalid_key_verifies_no_token() {
    let key = test_vectors()["jwks"]["keys"][0].clone();
    for change in [json!({ "n": "AAAA" }), json!({ "e": "!" }), json!({ "n": null })] {
        let set = json!({ "keys": [with_fields(key.clone(), &change)] }).to_string();
        let ran =
            verify_test("", &valid_jwt()).expect_request(get_response(GOOGLE_KEYS, 200, set)).expect_status(10).run();
        assert!(ran.stdout.starts_with("not valid: its issuer has no key 01234567"), "{}", ran.stdout);
    }
}

#[test]
fn each_issuer_has_its_own_keys() {
    let key = PrivateKey::any_from_pem(include_str!("../../data/keys/ec.pem")).expect("a key");
    let (x, y) = key.public_key().jwk_parameters();
    let text = |bytes: Vec<u8>| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    };
    let published = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "k", "x": text(x), "y": text(y) }]});
    let of = |issuer: &str| with_fields(claims(), &json!({ "iss": issuer }));
    let iap = jwt::sign(&key, Some("k"), &of("https://cloud.google.com/iap")).expect("a token");
    let ran = verify_test("", iap.expose()).expect_request(get_response(IAP_KEYS, 200, published.to_string())).run();
    assert!(ran.stdout.starts_with("valid: signed by Identity-Aware Proxy (ES256, key k)"), "{}", ran.stdout);
    // IAP's key is not a key of Google's ID tokens.
    let forged = jwt::sign(&key, Some("k"), &claims()).expect("a token");
    verify_test("", forged.expose()).expect_request(google_keys_response()).expect_status(10).run();

    let robot = signed_jwt(&default_header(), &of(sample_credentials::SERVICE_ACCOUNT_EMAIL));
    let url = "https://www.googleapis.com/service_accounts/v1/metadata/jwk";
    let url = format!("{url}/{}", sample_credentials::SERVICE_ACCOUNT_EMAIL);
    let ran = verify_test("", &robot).expect_status(10).run();
    assert!(ran.stdout.starts_with("not valid: its issuer is example-sa@"), "{}", ran.stdout);
    let words = format!("--issuer {}", sample_credentials::SERVICE_ACCOUNT_EMAIL);
    let ran = verify_test(&words, &robot).expect_request(get_response(&url, 200, key_set())).run();
    assert!(ran.stdout.starts_with("valid: signed by example-sa@"), "{}", ran.stdout);
    // The issuer of the flag is accepted instead of Google, not in addition.
    verify_test(&words, &valid_jwt()).expect_status(10).run();

    let stranger = signed_jwt(&default_header(), &of("https://idp.example"));
    let words = "--issuer https://idp.example";
    verify_test(words, &stranger)
        .expect_status(2)
        .expect_error("where \"https://idp.example\" publishes")
        .expect_hint("--jwks")
        .run();
    let words = format!("{words} --jwks https://idp.example/keys --audience {AUDIENCE}");
    let ran =
        verify_test(&words, &stranger).expect_request(get_response("https://idp.example/keys", 200, key_set())).run();
    assert!(ran.stdout.starts_with("valid: signed by a key of idp.example (RS256"), "{}", ran.stdout);
}

#[test]
fn key_sets_in_files_are_checked_in_the_same_way() {
    for (content, says) in [
        ("", "is empty"),
        ("<html>", "is not valid JSON"),
        ("{\"keys\":[]}", "has no key"),
        ("-----BEGIN PUBLIC KEY-----", "is not valid JSON"),
    ] {
        verify_test("--jwks {home}/keys", &valid_jwt())
            .file("keys", content)
            .expect_status(8)
            .expect_error(&format!("HOME/keys: {says}").replace("HOME/", ""))
            .expect_hint("a JSON Web Key Set")
            .run();
    }
    verify_test("--jwks {home}/no", &valid_jwt()).expect_status(8).expect_error("there is no such file").run();
    verify_test("--jwks {home}", &valid_jwt()).expect_status(8).expect_error("is not a regular file").run();
    let huge = " ".repeat(1024 * 1024 + 1);
    verify_test("--jwks {home}/keys", &valid_jwt())
        .file("keys", huge)
        .expect_status(8)
        .expect_error("larger than 1024")
        .run();
    let ran = verify_test("--jwks {home}/keys", &valid_jwt()).file("keys", key_set()).run();
    assert!(ran.stdout.starts_with("valid: signed by a key of HOME/keys (RS256"), "{}", ran.stdout);
    assert!(!KEY_ID.is_empty() && ran.requests.is_empty());
}
