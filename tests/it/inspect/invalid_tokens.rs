//! Tokens that are not valid, and input that is not a token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{
    AUDIENCE, KEY_ID, VECTORS_OFFSET_SECONDS, claims, default_header, inspect_test, signed_jwt, test_vectors,
    valid_jwt, verify_test, verify_vector_test,
};
use crate::support::sample_credentials::with_fields;
use crate::support::{Home, NOW, Test};

#[test]
fn the_published_vectors_have_the_expected_exit_codes() {
    let vectors = test_vectors();
    let cases = vectors["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 15);
    for case in cases {
        let home = Home::new();
        home.clock.advance(VECTORS_OFFSET_SECONDS);
        let text = |name: &str| case[name].as_str().expect("text");
        let ok = case["ok"].as_bool().expect("a verdict");
        let audience = format!("--audience {}", text("audience"));
        let test = verify_vector_test(&home, &audience, text("jwt"));
        let ran = test.expect_status(if ok { 0 } else { 10 }).run();
        let first = if ok { "valid: signed by a key of " } else { "not valid: " };
        assert!(ran.stdout.starts_with(first), "{}: {}", text("name"), ran.stdout);
    }
}

fn base64url(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// A JWT with this header, these claims and an invalid signature.
fn fake_jwt(header: &str, claims: &str) -> String {
    format!("{}.{}.{}", base64url(header), base64url(claims), base64url("signature"))
}

#[test]
fn truncated_and_oversized_tokens_are_refused_with_or_without_verify() {
    let good = valid_jwt();
    let pieces: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = pieces.as_slice() else { panic!("{pieces:?}") };
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(80), "]".repeat(80));
    let three = "does not have three segments";
    let base64 = "has a segment that is not base64url";
    let object = "has a segment that is not a JSON object";
    let twice = "has a duplicate name";
    let long = "is longer than 16384 characters";
    for (token, words) in [
        (base64url("{}"), three),
        ((*header).to_owned(), three),
        (format!("{header}."), three),
        (format!("{header}.{claims}"), three),
        (format!("{good}."), three),
        (format!("{good}.{signature}"), three),
        (format!("{good}.."), three),
        (format!("{good}.{good}"), three),
        (vec!["e30"; 10_000 / 4].join("."), three),
        (".".repeat(9_999), three),
        (vec!["e30"; 10_000].join("."), long),
        (format!("{good}{}", "A".repeat(16_384)), long),
        (format!("{header}.{}.{signature}", "A".repeat(20_000)), long),
        ("..".to_owned(), object),
        ("a.b.c".to_owned(), base64),
        (format!("{header}..{signature}"), object),
        (format!(".{claims}.{signature}"), object),
        (format!("{header}.{claims}.!"), base64),
        (format!("{header}.{claims}.A"), base64),
        (format!("{header}.{claims}.AB"), base64),
        (format!("{header}.{claims}.{signature}+"), base64),
        (format!("{header}.{claims}.{signature}/"), base64),
        (format!("{header}.{claims}%2e.{signature}"), base64),
        (format!("{header}.!{claims}.{signature}"), base64),
        (format!("{header}.{}.{signature}", base64url("{\"a\":1}").replace('I', "=")), base64),
        (format!("{header}.{}.{signature}", base64url("[]")), object),
        (format!("{header}.{}.{signature}", base64url("null")), object),
        (format!("{header}.{}.{signature}", base64url("\"x\"")), object),
        (format!("{header}.{}.{signature}", base64url("{\"exp\":1")), object),
        (format!("{header}.{}.{signature}", base64url("{\"exp\":1}}")), object),
        (format!("{header}.{}.{signature}", base64url("{\"exp\":1,}")), object),
        (format!("{header}.{}.{signature}", base64url("{\"exp\":NaN}")), object),
        (format!("{header}.{}.{signature}", base64url("{\"exp\":1e400}")), object),
        (format!("{header}.{}.{signature}", base64url("{\"exp\":-1e400}")), object),
        (format!("{header}.{}.{signature}", base64url("{'exp':1}")), object),
        (format!("{header}.{}.{signature}", base64url(&deep)), object),
        (format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(b"{\"a\":\"\xff\"}")), object),
        (format!("{header}.{}.{signature}", base64url("{\"exp\":1,\"exp\":2}")), twice),
        (format!("{header}.{}.{signature}", base64url("{\"aud\":\"a\",\"\\u0061ud\":\"b\"}")), twice),
        (fake_jwt("{\"alg\":\"none\",\"alg\":\"RS256\"}", "{}"), twice),
        (fake_jwt("{\"alg\":\"RS256\"}", "{\"a\":{\"b\":1,\"b\":2}}"), twice),
        (fake_jwt("[]", "{}"), object),
        (fake_jwt("{", "{}"), object),
    ] {
        for test in [inspect_test("", &token), verify_test("--audience x", &token)] {
            // A dot is in other parts of the output too.
            let ran = test.expect_status(10).expect_stderr("").run();
            assert_eq!(ran.stdout.lines().count(), 1, "{token}: {}", ran.stdout);
            assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
        }
    }
}

#[test]
fn invalid_claims_are_found_without_fetching_keys() {
    let claim =
        |name: &str, value: Value| signed_jwt(&default_header(), &with_fields(claims(), &json!({ name: value })));
    let head =
        |name: &str, value: Value| signed_jwt(&with_fields(default_header(), &json!({ name: value })), &claims());
    for (token, words) in [
        (head("alg", json!("none")), "its algorithm is none, not RS256 or ES256"),
        (head("alg", json!("HS256")), "its algorithm is HS256"),
        (head("alg", json!("RS384")), "its algorithm is RS384"),
        (head("alg", json!("PS256")), "its algorithm is PS256"),
        (head("alg", json!("x\u{1b}[31m")), "its algorithm is x\\u{1b}[31m"),
        (head("alg", json!({})), "its algorithm (alg) is missing"),
        (head("alg", Value::Null), "its algorithm (alg) is missing"),
        (head("kid", Value::Null), "its key ID (kid) is missing"),
        (head("kid", json!([KEY_ID])), "its key ID (kid) is missing"),
        (head("crit", json!(["exp"])), "its header has crit, which gauth does not support"),
        (fake_jwt("{\"alg\":\"none\"}", "{}").replace(&base64url("signature"), ""), "its algorithm is none"),
        (claim("exp", json!("1767326645")), "its expiry (exp) is not a time"),
        (claim("exp", json!(1e300)), "its expiry (exp) is not a time"),
        (claim("exp", json!([])), "its expiry (exp) is not a time"),
        (claim("exp", Value::Null), "its expiry (exp) is missing"),
        (claim("exp", json!(NOW - 11)), "expired 11 s ago"),
        (claim("exp", json!(NOW + 86_401)), "its lifetime is 1 d, longer than a day"),
        (claim("iat", json!(NOW + 11)), "issued 11 s in the future"),
        (claim("iat", json!("now")), "its time of issue (iat) is not a time"),
        (claim("iat", Value::Null), "its time of issue (iat) is missing"),
        (claim("nbf", json!(NOW + 60)), "not valid for another 1 min"),
        (claim("iss", json!("https://evil.example")), "its issuer is https://evil.example"),
        (claim("iss", json!("ci@p.iam.gserviceaccount.com")), "its issuer is ci@p.iam"),
        (claim("iss", Value::Null), "its issuer (iss) is missing"),
        (claim("aud", Value::Null), "its audience (aud) is missing"),
        (claim("aud", json!([])), "its audience (aud) is missing"),
        (claim("aud", json!({ "a": AUDIENCE })), "its audience (aud) is not a string"),
        (claim("aud", json!([AUDIENCE, null])), "its audience (aud) is not a string"),
        (claim("aud", json!(["a", "b"])), "it is for a and b"),
    ] {
        let ran = verify_test(&format!("--audience {AUDIENCE}"), &token).expect_status(10).expect_stderr("").run();
        let first = ran.stdout.lines().next().expect("a line");
        assert!(first.contains(&format!("not valid: {words}")), "{words}: {}", ran.stdout);
        assert!(ran.stdout.contains("\nheader    "), "the rest is shown: {}", ran.stdout);
    }
}

#[test]
fn the_accepted_clock_skew_is_ten_seconds_by_default() {
    let token = signed_jwt(&default_header(), &with_fields(claims(), &json!({ "exp": NOW - 60, "iat": NOW - 600 })));
    let home = Home::new();
    for (skew, status) in [("", 10), ("--skew 59s", 10), ("--skew 1m", 0), ("--skew 0", 10)] {
        verify_vector_test(&home, skew, &token).expect_status(status).run();
    }
}

#[test]
fn an_invalid_token_is_reported_with_its_location() {
    for (input, words) in [
        ("", "standard input: is empty"),
        ("\n \n", "standard input: is empty"),
        ("hunter2 hunter3", "standard input: is not a token"),
        ("a.b.c\nd.e.f", "standard input: holds more than one token"),
        ("[\"a\"]", "standard input: is a JSON list"),
        ("{\"a\":1}", "standard input: is JSON without a field token"),
        ("{\"token\":\"a b\"}", "standard input: is not a token"),
        ("{\"token\":\"\"}", "standard input: token is empty"),
    ] {
        Test::new("inspect").stdin(input).expect_status(8).expect_error(words).expect_hint("| gauth inspect").run();
    }
    Test::new("inspect").stdin(b"\xff\xfe").expect_status(8).expect_error("is not UTF-8 text").run();
    Test::new("inspect").stdin("A".repeat(65 * 1024)).expect_status(8).expect_error("larger than 64 KiB").run();
    Test::new("inspect {home}/no").expect_status(8).expect_error("HOME/no: there is no such file").run();
}

#[test]
fn a_file_name_that_looks_like_a_token_is_refused() {
    let long = "QUJD".repeat(40);
    Test::new("inspect").arg(&long).secret(&long).expect_status(9).expect_error("FILE looks like a token").run();
    Test::new("inspect").arg("").expect_status(2).expect_error("FILE is empty").run();
}
