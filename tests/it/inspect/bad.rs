//! Tokens that are not valid, and input that is no token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{
    AUDIENCE, KID, LATER, claims, good, header, inspect, signed, vectors, verify, verify_later,
};
use crate::support::samples::with;
use crate::support::{Home, NOW, Test};

#[test]
fn the_published_verdicts_are_exit_codes() {
    let vectors = vectors();
    let cases = vectors["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 15);
    for case in cases {
        let home = Home::new();
        home.clock.advance(LATER);
        let text = |name: &str| case[name].as_str().expect("text");
        let ok = case["ok"].as_bool().expect("a verdict");
        let audience = format!("--audience {}", text("audience"));
        let test = verify_later(&home, &audience, text("jwt"));
        let ran = test.status(if ok { 0 } else { 10 }).run();
        let first = if ok { "valid: signed by a key of " } else { "not valid: " };
        assert!(ran.stdout.starts_with(first), "{}: {}", text("name"), ran.stdout);
    }
}

fn packed(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Header and claims as they are written here, with a signature that nobody made.
fn made(header: &str, claims: &str) -> String {
    format!("{}.{}.{}", packed(header), packed(claims), packed("signature"))
}

#[test]
fn what_is_torn_or_overgrown_is_no_jwt_with_or_without_a_look_at_its_signature() {
    let good = good();
    let pieces: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = pieces.as_slice() else { panic!("{pieces:?}") };
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(80), "]".repeat(80));
    let three = "does not have three segments";
    let base64 = "has a segment that is not base64url";
    let object = "has a segment that is not a JSON object";
    let twice = "says something twice";
    let long = "is longer than 16384 characters";
    for (token, words) in [
        (packed("{}"), three),
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
        (format!("{header}.{}.{signature}", packed("{\"a\":1}").replace('I', "=")), base64),
        (format!("{header}.{}.{signature}", packed("[]")), object),
        (format!("{header}.{}.{signature}", packed("null")), object),
        (format!("{header}.{}.{signature}", packed("\"x\"")), object),
        (format!("{header}.{}.{signature}", packed("{\"exp\":1")), object),
        (format!("{header}.{}.{signature}", packed("{\"exp\":1}}")), object),
        (format!("{header}.{}.{signature}", packed("{\"exp\":1,}")), object),
        (format!("{header}.{}.{signature}", packed("{\"exp\":NaN}")), object),
        (format!("{header}.{}.{signature}", packed("{\"exp\":1e400}")), object),
        (format!("{header}.{}.{signature}", packed("{\"exp\":-1e400}")), object),
        (format!("{header}.{}.{signature}", packed("{'exp':1}")), object),
        (format!("{header}.{}.{signature}", packed(&deep)), object),
        (format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(b"{\"a\":\"\xff\"}")), object),
        (format!("{header}.{}.{signature}", packed("{\"exp\":1,\"exp\":2}")), twice),
        (format!("{header}.{}.{signature}", packed("{\"aud\":\"a\",\"\\u0061ud\":\"b\"}")), twice),
        (made("{\"alg\":\"none\",\"alg\":\"RS256\"}", "{}"), twice),
        (made("{\"alg\":\"RS256\"}", "{\"a\":{\"b\":1,\"b\":2}}"), twice),
        (made("[]", "{}"), object),
        (made("{", "{}"), object),
    ] {
        for test in [inspect("", &token), verify("--audience x", &token)] {
            // The dot alone stands in other words too.
            let ran = test.status(10).stderr("").run();
            assert_eq!(ran.stdout.lines().count(), 1, "{token}: {}", ran.stdout);
            assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
        }
    }
}

#[test]
fn what_is_wrong_needs_no_key_to_be_found_out() {
    let claim =
        |name: &str, value: Value| signed(&header(), &with(claims(), &json!({ name: value })));
    let head =
        |name: &str, value: Value| signed(&with(header(), &json!({ name: value })), &claims());
    for (token, words) in [
        (head("alg", json!("none")), "its algorithm is none, not RS256 or ES256"),
        (head("alg", json!("HS256")), "its algorithm is HS256"),
        (head("alg", json!("RS384")), "its algorithm is RS384"),
        (head("alg", json!("PS256")), "its algorithm is PS256"),
        (head("alg", json!("x\u{1b}[31m")), "its algorithm is x\\u{1b}[31m"),
        (head("alg", json!({})), "it names no algorithm"),
        (head("alg", Value::Null), "it names no algorithm"),
        (head("kid", Value::Null), "it names no key"),
        (head("kid", json!([KID])), "it names no key"),
        (head("crit", json!(["exp"])), "its header has crit, which is not understood"),
        (
            made("{\"alg\":\"none\"}", "{}").replace(&packed("signature"), ""),
            "its algorithm is none",
        ),
        (claim("exp", json!("1767326645")), "its end (exp) is no time"),
        (claim("exp", json!(1e300)), "its end (exp) is no time"),
        (claim("exp", json!([])), "its end (exp) is no time"),
        (claim("exp", Value::Null), "it has no end (exp)"),
        (claim("exp", json!(NOW - 11)), "expired 11 s ago"),
        (claim("exp", json!(NOW + 86_401)), "it lives for 1 d, longer than a day"),
        (claim("iat", json!(NOW + 11)), "issued 11 s in the future"),
        (claim("iat", json!("now")), "its time of issue (iat) is no time"),
        (claim("iat", Value::Null), "it has no time of issue (iat)"),
        (claim("nbf", json!(NOW + 60)), "not to be used before 1 min from now"),
        (claim("iss", json!("https://evil.example")), "its issuer is https://evil.example"),
        (claim("iss", json!("ci@p.iam.gserviceaccount.com")), "its issuer is ci@p.iam"),
        (claim("iss", Value::Null), "it names no issuer"),
        (claim("aud", Value::Null), "it names no audience"),
        (claim("aud", json!([])), "it names no audience"),
        (claim("aud", json!({ "a": AUDIENCE })), "its audience (aud) is no text"),
        (claim("aud", json!([AUDIENCE, null])), "its audience (aud) is no text"),
        (claim("aud", json!(["a", "b"])), "it is for a and b"),
    ] {
        let ran = verify(&format!("--audience {AUDIENCE}"), &token).status(10).stderr("").run();
        let first = ran.stdout.lines().next().expect("a line");
        assert!(first.contains(&format!("not valid: {words}")), "{words}: {}", ran.stdout);
        assert!(ran.stdout.contains("\nheader    "), "the rest is shown: {}", ran.stdout);
    }
}

#[test]
fn the_skew_is_ten_seconds_or_what_is_asked_for() {
    let token = signed(&header(), &with(claims(), &json!({ "exp": NOW - 60, "iat": NOW - 600 })));
    let home = Home::new();
    for (skew, status) in [("", 10), ("--skew 59s", 10), ("--skew 1m", 0), ("--skew 0", 10)] {
        verify_later(&home, skew, &token).status(status).run();
    }
}

#[test]
fn what_is_no_token_is_said_with_its_place() {
    for (input, words) in [
        ("", "standard input: is empty"),
        ("\n \n", "standard input: is empty"),
        ("hunter2 hunter3", "standard input: is no token"),
        ("a.b.c\nd.e.f", "standard input: holds more than one token"),
        ("[\"a\"]", "standard input: holds a list"),
        ("{\"a\":1}", "standard input: is JSON without a field token"),
        ("{\"token\":\"a b\"}", "standard input: is no token"),
        ("{\"token\":\"\"}", "standard input: token is empty"),
    ] {
        Test::new("inspect").input(input).status(8).says(words).tries("| gauth inspect").run();
    }
    Test::new("inspect").input(b"\xff\xfe").status(8).says("is not UTF-8 text").run();
    Test::new("inspect").input("A".repeat(65 * 1024)).status(8).says("larger than 64 KiB").run();
    Test::new("inspect {home}/no").status(8).says("HOME/no: there is no such file").run();
}

#[test]
fn command_lines_that_make_no_sense() {
    for (words, status, says, tries) in [
        ("ya29.hunter2", 9, "looks like a secret", "standard input"),
        ("eyJhbGciOiJSUzI1NiJ9.e30.c2ln", 9, "looks like a secret", "standard input"),
        ("--audience x", 2, "--audience is for --verify", "--verify --audience"),
        ("--issuer x", 2, "--issuer is for --verify", "--verify --issuer"),
        ("--jwks x", 2, "--jwks is for --verify", "--verify --jwks"),
        ("--skew 5s", 2, "--skew is for --verify", "--verify --skew"),
        ("--verify --skew soon", 2, "--skew soon is not a duration", "--skew 10s"),
        ("--verify --skew 2h", 2, "longer than an hour", "--skew 10s"),
        ("--verify --skew=-5s", 2, "--skew -5s is negative", "--skew 10s"),
        ("--verify --audience=", 2, "--audience is empty", "--audience"),
        ("--verify --jwks=", 2, "--jwks is empty", "--jwks"),
        ("--verify --jwks ftp://a.example/", 2, "--jwks is neither https nor http", "--jwks https"),
        ("--verify --jwks http://a.example/", 9, "--jwks gets keys from a.example", "use https"),
        ("a b", 2, "a word too many", "inspect"),
        ("--format header", 2, "--format does not know", "text, json"),
    ] {
        let test = Test::new(&format!("inspect {words}")).input(good()).status(status);
        test.says(says).tries(tries).run();
    }
    let long = "QUJD".repeat(40);
    Test::new("inspect").word(&long).secret(&long).status(9).says("FILE looks like a token").run();
    Test::new("inspect").word("").status(2).says("FILE is empty").run();
}
