//! Where keys come from, how long they are kept, and what is no set of keys.

use std::time::Duration;

use gauth::jwt;
use gauth::key::PrivateKey;
use serde_json::{Value, json};

use super::{
    AUDIENCE, GOOGLE_KEYS, IAP_KEYS, KID, certs, claims, good, header, set, signed, vectors, verify,
};
use crate::support::samples::{self, with};
use crate::support::{Home, TOKENS, get, modes, nothing};

#[test]
fn keys_are_kept_for_as_long_as_their_server_says() {
    let home = Home::new();
    verify("", &good()).home(&home).google(certs()).run();
    // No request.
    verify("", &good()).home(&home).run();
    home.clock.advance(3590);
    verify("--skew 1h", &good()).home(&home).run();
    home.clock.advance(20);
    verify("--skew 1h", &good()).home(&home).google(certs()).run();
    let mut found = Vec::new();
    modes(&home.path(".config"), &mut found);
    assert!(found.iter().all(|(_, mode)| mode & 0o077 == 0), "{found:?}");
    assert_eq!(home.names(TOKENS).len(), 1);
}

#[test]
fn a_server_that_says_nothing_is_asked_again_after_a_minute() {
    let home = Home::new();
    let silent = || get(GOOGLE_KEYS, 200, set());
    verify("", &good()).home(&home).google(silent()).run();
    home.clock.advance(55);
    verify("", &good()).home(&home).run();
    home.clock.advance(10);
    verify("", &good()).home(&home).google(silent()).run();
}

#[test]
fn nothing_is_kept_for_more_than_a_day() {
    let home = Home::new();
    let eager = || certs().without_headers().header("cache-control", "max-age=99999999");
    verify("", &good()).home(&home).google(eager()).run();
    home.clock.advance(24 * 3600 + 1);
    // Over by now, whatever its key; another one is not.
    let late =
        with(claims(), &json!({ "iat": 1_767_323_045 + 86_000, "exp": 1_767_323_045 + 90_000 }));
    verify("", &signed(&header(), &late)).home(&home).google(eager()).run();
}

#[test]
fn a_key_that_is_not_among_the_kept_ones_is_asked_for_once() {
    let home = Home::new();
    let none =
        json!({ "keys": [with(vectors()["jwks"]["keys"][0].clone(), &json!({ "kid": "old" }))] });
    let old = certs().url(GOOGLE_KEYS);
    let before = get(GOOGLE_KEYS, 200, none.to_string()).header("cache-control", "max-age=3600");
    let ran = verify("", &good()).home(&home).google(before).status(10).run();
    assert!(
        ran.stdout.starts_with("not valid: its issuer has no key 01234567\n"),
        "{}",
        ran.stdout
    );
    // The key has been published since.
    verify("", &good()).home(&home).google(old).run();
    verify("", &good()).home(&home).run();
    // A name that nobody has costs one request, and a bad signature none.
    let nobodys = signed(&with(header(), &json!({ "kid": "nobody" })), &claims());
    verify("", &nobodys).home(&home).google(certs()).status(10).run();
    let good = good();
    let (message, _) = good.rsplit_once('.').expect("a signature");
    verify("", &format!("{message}.AAAA")).home(&home).status(10).run();
}

#[test]
fn without_the_cache_nothing_is_read_or_written() {
    let home = Home::new();
    for _ in 0..2 {
        verify("--no-cache", &good()).home(&home).google(certs()).run();
    }
    assert!(home.names(TOKENS).is_empty());
    verify("", &good()).home(&home).google(certs()).run();
    verify("--no-cache", &good()).home(&home).google(certs()).run();
}

#[test]
fn damaged_keys_are_fetched_again() {
    let home = Home::new();
    verify("", &good()).home(&home).google(certs()).run();
    let name = format!("{TOKENS}/{}", home.names(TOKENS)[0]);
    for damage in ["", "gauth1 ", &home.read(&name).replace("RSA", "RSB")] {
        home.write(&name, damage);
        verify("", &good()).home(&home).google(certs()).run();
    }
    // Others may write to it.
    home.write_with_mode(&name, home.read(&name), 0o666);
    verify("", &good()).home(&home).google(certs()).run();
}

#[test]
fn no_keys_say_nothing_about_the_token() {
    let google = |status, body: &str| get(GOOGLE_KEYS, status, body);
    let key = vectors()["jwks"]["keys"][0].clone();
    let one = |change: Value| json!({ "keys": [with(key.clone(), &change)] }).to_string();
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
        (
            google(302, "").header("location", "https://evil.example/"),
            6,
            "redirects to evil.example",
        ),
        (google(200, &set()).takes(Duration::from_secs(40)), 6, "no answer in time"),
    ] {
        let home = Home::new();
        let test = verify("--timeout 5s", &good()).home(&home).google(answer);
        let ran = test.status(status).says(says).run();
        assert_eq!(ran.stdout, "");
        assert!(home.names(TOKENS).is_empty(), "{says}");
    }
    for answer in [google(503, ""), nothing(google(200, ""))] {
        verify("", &good()).google_times(3, &answer).status(6).says("www.googleapis.com").run();
    }
}

#[test]
fn a_key_that_cannot_be_one_verifies_nothing() {
    let key = vectors()["jwks"]["keys"][0].clone();
    for change in [json!({ "n": "AAAA" }), json!({ "e": "!" }), json!({ "n": null })] {
        let set = json!({ "keys": [with(key.clone(), &change)] }).to_string();
        let ran = verify("", &good()).google(get(GOOGLE_KEYS, 200, set)).status(10).run();
        assert!(
            ran.stdout.starts_with("not valid: its issuer has no key 01234567"),
            "{}",
            ran.stdout
        );
    }
}

#[test]
fn each_issuer_has_its_own_keys() {
    let key = PrivateKey::any_from_pem(include_str!("../../data/keys/ec.pem")).expect("a key");
    let (x, y) = key.public().parts();
    let text = |bytes: Vec<u8>| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    };
    let published =
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "k", "x": text(x), "y": text(y) }]});
    let of = |issuer: &str| with(claims(), &json!({ "iss": issuer }));
    let iap = jwt::sign(&key, Some("k"), &of("https://cloud.google.com/iap")).expect("a token");
    let ran = verify("", iap.expose()).google(get(IAP_KEYS, 200, published.to_string())).run();
    assert!(
        ran.stdout.starts_with("valid: signed by Identity-Aware Proxy (ES256, key k)"),
        "{}",
        ran.stdout
    );
    // IAP's key does not sign for Google.
    let forged = jwt::sign(&key, Some("k"), &claims()).expect("a token");
    verify("", forged.expose()).google(certs()).status(10).run();

    let robot = signed(&header(), &of(samples::ROBOT));
    let url = "https://www.googleapis.com/service_accounts/v1/metadata/jwk";
    let url = format!("{url}/{}", samples::ROBOT);
    let ran = verify("", &robot).status(10).run();
    assert!(ran.stdout.starts_with("not valid: its issuer is example-sa@"), "{}", ran.stdout);
    let words = format!("--issuer {}", samples::ROBOT);
    let ran = verify(&words, &robot).google(get(&url, 200, set())).run();
    assert!(ran.stdout.starts_with("valid: signed by example-sa@"), "{}", ran.stdout);
    // Who is named is believed instead of Google, not besides.
    verify(&words, &good()).status(10).run();

    let stranger = signed(&header(), &of("https://idp.example"));
    let words = "--issuer https://idp.example";
    verify(words, &stranger)
        .status(2)
        .says("where https://idp.example publishes")
        .tries("--jwks")
        .run();
    let words = format!("{words} --jwks https://idp.example/keys --audience {AUDIENCE}");
    let ran = verify(&words, &stranger).google(get("https://idp.example/keys", 200, set())).run();
    assert!(
        ran.stdout.starts_with("valid: signed by a key of idp.example (RS256"),
        "{}",
        ran.stdout
    );
}

#[test]
fn keys_in_a_file_are_read_as_strictly() {
    for (content, says) in [
        ("", "is empty"),
        ("<html>", "is not valid JSON"),
        ("{\"keys\":[]}", "has no key"),
        ("-----BEGIN PUBLIC KEY-----", "is not valid JSON"),
    ] {
        verify("--jwks {home}/keys", &good())
            .file("keys", content)
            .status(8)
            .says(&format!("HOME/keys: {says}").replace("HOME/", ""))
            .tries("a set of keys")
            .run();
    }
    verify("--jwks {home}/no", &good()).status(8).says("there is no such file").run();
    verify("--jwks {home}", &good()).status(8).says("is not a regular file").run();
    let huge = " ".repeat(1024 * 1024 + 1);
    verify("--jwks {home}/keys", &good())
        .file("keys", huge)
        .status(8)
        .says("larger than 1024")
        .run();
    let ran = verify("--jwks {home}/keys", &good()).file("keys", set()).run();
    assert!(ran.stdout.starts_with("valid: signed by a key of HOME/keys (RS256"), "{}", ran.stdout);
    assert!(!KID.is_empty() && ran.sent.is_empty());
}
