//! The report about a token, and the sources a token can be read from.

use serde_json::{Value, json};

use super::{
    AUDIENCE, KEY_ID, claims, default_header, google_keys_response, inspect_test, signed_jwt, valid_jwt, verify_test,
};
use crate::support::sample_credentials::with_fields;
use crate::support::{NOW, Test};

const DECODED_REPORT: &str = "
email     ci@proj.iam.gserviceaccount.com, verified
subject   113774264463038321964
issuer    https://accounts.google.com
audience  https://svc-abc-uc.a.run.app
issued    0 s ago (2026-01-02T03:04:05Z)
expires   in 1 h (2026-01-02T04:04:05Z)
azp       client
header    alg RS256, kid 0123456789abcdef0123456789abcdef01234567, typ JWT
";

fn full_jwt() -> String {
    let more = json!({ "email": "ci@proj.iam.gserviceaccount.com", "email_verified": true,
                       "azp": "client", "sub": "113774264463038321964" });
    signed_jwt(&default_header(), &with_fields(claims(), &more))
}

#[test]
fn a_jwt_is_decoded_without_any_request() {
    inspect_test("", &full_jwt())
        .expect_stdout(&format!("not verified: --verify checks signature, issuer and expiry\n{DECODED_REPORT}"))
        .run();
}

#[test]
fn a_valid_token_is_shown_with_issuer_and_audience() {
    verify_test(&format!("--audience {AUDIENCE}"), &full_jwt())
        .expect_request(google_keys_response())
        .expect_stdout(&format!(
            "valid: signed by Google (RS256, key 01234567), for https://svc-abc-uc.a.run.app\n{DECODED_REPORT}"
        ))
        .run();
}

#[test]
fn without_an_audience_the_report_says_that_none_was_checked() {
    let ran = verify_test("", &full_jwt()).expect_request(google_keys_response()).run();
    let first = "valid: signed by Google (RS256, key 01234567); the audience was not checked\n(--audience)\n";
    assert_eq!(ran.stdout, format!("{first}{DECODED_REPORT}"));
}

#[test]
fn an_invalid_token_is_shown_too() {
    verify_test("--audience https://other.example", &full_jwt())
        .expect_status(10)
        .expect_stdout(&format!("not valid: it is for https://svc-abc-uc.a.run.app\n{DECODED_REPORT}"))
        .expect_stderr("")
        .run();
}

#[test]
fn json_output_reports_the_same() {
    let (token, checked) = (full_jwt(), format!("--format json --audience {AUDIENCE}"));
    for (ran, valid, reason) in [
        (inspect_test("--format json", &token).run(), Value::Null, Value::Null),
        (verify_test(&checked, &token).expect_request(google_keys_response()).run(), json!(true), Value::Null),
        (
            verify_test("--format json --audience x", &token).expect_status(10).run(),
            json!(false),
            json!("it is for https://svc-abc-uc.a.run.app"),
        ),
    ] {
        let told = ran.json();
        assert_eq!((&told["valid"], &told["reason"]), (&valid, &reason));
        assert_eq!((&told["kind"], &told["header"]), (&json!("jwt"), &default_header()));
        assert_eq!(told["claims"]["email"], "ci@proj.iam.gserviceaccount.com");
        assert_eq!(told["issued_at"], "2026-01-02T03:04:05Z");
        assert_eq!(told["expires_at"], "2026-01-02T04:04:05Z");
        assert_eq!(told["expires_in"], 3600);
    }
}

#[test]
fn times_are_shown_as_text_or_as_the_raw_value() {
    let minute = 60;
    for (name, value, row) in [
        ("exp", json!(NOW - 120 * minute), "expired   2 h ago (2026-01-02T01:04:05Z)"),
        ("exp", json!(NOW + 57 * minute), "expires   in 57 min (2026-01-02T04:01:05Z)"),
        ("exp", json!("soon"), "expires   not a time: \"soon\""),
        ("exp", json!(1e300), "expires   not a time: 1e+300"),
        ("exp", json!(9_000_000_000_000_000i64), "expires   not a time: 9000000000000000"),
        ("exp", json!(-9_000_000_000_000_000i64), "expired   not a time: -9000000000000000"),
        ("exp", Value::Null, "expires   unknown, there is no exp claim"),
        ("iat", json!(NOW - 3 * minute), "issued    3 min ago (2026-01-02T03:01:05Z)"),
        ("iat", json!(NOW + 5 * minute), "issued    in 5 min (2026-01-02T03:09:05Z)"),
        ("nbf", json!(NOW), "not before  0 s ago (2026-01-02T03:04:05Z)"),
    ] {
        let token = signed_jwt(&default_header(), &with_fields(claims(), &json!({ name: value })));
        let ran = inspect_test("", &token).run();
        assert!(ran.stdout.lines().any(|line| line == row), "{row}\n{}", ran.stdout);
    }
}

#[test]
fn claims_of_any_type_are_shown_in_printable_characters() {
    let odd = json!({
        "email": "a\u{1b}[31m@b\u{202e}", "email_verified": "yes", "aud": ["x", "y"],
        "google": { "access_levels": ["l"] }, "na\nme": "v\u{9b}", "long": "x".repeat(2000),
    });
    let ran = inspect_test("", &signed_jwt(&default_header(), &with_fields(claims(), &odd))).run();
    for row in [
        "email           a\\u{1b}[31m@b\\u{202e}",
        "audience        x y",
        "email_verified  yes",
        "google          {\"access_levels\":[\"l\"]}",
        "na\\nme          v\\u{9b}",
    ] {
        assert!(ran.stdout.lines().any(|line| line == row), "{row}\n{}", ran.stdout);
    }
    let odd = |letter: char| letter.is_control() && letter != '\n';
    assert!(!ran.stdout.contains(odd) && !ran.stdout.contains('\u{202e}'), "{}", ran.stdout);
    assert!(!ran.stdout.contains(&"x".repeat(600)), "{}", ran.stdout);
}

#[test]
fn lines_are_wrapped_at_the_width_of_the_terminal() {
    let ran = verify_test(&format!("--audience {AUDIENCE}"), &full_jwt())
        .env("COLUMNS", "40")
        .expect_request(google_keys_response())
        .run();
    let long = |line: &&str| line.chars().count() > 40 && line.trim().contains("  ");
    let lines: Vec<&str> = ran.stdout.lines().filter(long).collect();
    // Only words that are longer than the line exceed the width.
    assert!(lines.iter().all(|line| line.split_whitespace().count() <= 2), "{lines:?}");
}

#[test]
fn the_token_is_read_from_files_and_streams_in_every_form() {
    let token = valid_jwt();
    for form in [
        format!("{token}\r\n"),
        format!("\n  Bearer {token}"),
        format!("Authorization: Bearer {token}\n"),
        format!("GAUTH_ID_TOKEN={token}\n"),
        format!("header = \"Authorization: Bearer {token}\"\n"),
        json!({ "token": token, "token_type": "Bearer" }).to_string(),
    ] {
        for (test, name) in [
            (Test::new("inspect"), "standard input"),
            (Test::new("inspect -"), "-"),
            (Test::new("inspect {home}/token").file("token", &form), "a file"),
        ] {
            let ran = test.stdin(&form).secret(&token).run();
            assert!(ran.stdout.contains(&format!("kid {KEY_ID}")), "{name}: {form}");
        }
    }
}
