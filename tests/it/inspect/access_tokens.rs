//! Access tokens, which Google's tokeninfo endpoint describes.

use serde_json::json;

use super::inspect_test;
use crate::support::sample_credentials::TOKEN;
use crate::support::{MockExchange, NOW, Test, post_response, without_response};

const TOKENINFO_ENDPOINT: &str = "https://oauth2.googleapis.com/tokeninfo";

fn tokeninfo_response() -> MockExchange {
    let told = json!({
        "aud": "client", "azp": "client", "sub": "1", "scope": "openid https://www.googleapis.com/auth/userinfo.email",
        "exp": (NOW + 3599).to_string(), "expires_in": "3599", "email": "ada@example.com",
        "email_verified": "true", "access_type": "offline",
    });
    post_response(TOKENINFO_ENDPOINT, 200, told.to_string())
}

#[test]
fn tokeninfo_is_requested_by_post_and_numbers_in_strings_are_read() {
    let ran = inspect_test("", TOKEN)
        .expect_request(tokeninfo_response())
        .expect_stdout(
            "valid: an access token of Google

account   ada@example.com
subject   1
audience  client
scopes    https://www.googleapis.com/auth/userinfo.email openid
expires   in 59 min (2026-01-02T04:04:04Z)
access    offline
",
        )
        .run();
    let [sent] = ran.requests.as_slice() else { panic!("{ran:?}") };
    assert_eq!((sent.method, sent.url.as_str()), ("POST", TOKENINFO_ENDPOINT));
    assert_eq!(sent.form_fields(), [("access_token".to_owned(), TOKEN.to_owned())]);
    let told = inspect_test("--format json", TOKEN).expect_request(tokeninfo_response()).run().json();
    assert_eq!((&told["kind"], &told["valid"]), (&json!("access_token"), &json!(true)));
    assert_eq!((&told["account"], &told["expires_in"]), (&json!("ada@example.com"), &json!(3599)));
}

#[test]
fn a_token_google_does_not_know_is_not_valid() {
    let refused = r#"{"error":"invalid_token","error_description":"Invalid Value"}"#;
    for status in [400, 401] {
        inspect_test("", TOKEN)
            .expect_request(post_response(TOKENINFO_ENDPOINT, status, refused))
            .expect_status(10)
            .expect_stdout("not valid: Google says invalid_token: \"Invalid Value\"\n")
            .run();
    }
    let told = inspect_test("--format json", TOKEN)
        .expect_request(post_response(TOKENINFO_ENDPOINT, 400, refused))
        .expect_status(10)
        .run()
        .json();
    assert_eq!((&told["valid"], &told["account"]), (&json!(false), &json!(null)));
}

#[test]
fn the_audience_of_an_access_token_can_be_checked() {
    inspect_test("--verify --audience client", TOKEN).expect_request(tokeninfo_response()).run();
    let ran =
        inspect_test("--verify --audience other", TOKEN).expect_request(tokeninfo_response()).expect_status(10).run();
    assert!(ran.stdout.starts_with("not valid: it is for client\n\naccount "), "{}", ran.stdout);
}

#[test]
fn tokens_that_tokeninfo_does_not_know_are_not_sent_there() {
    for (token, words, says) in [
        ("ya29.d.c0hunter2hunter2", "", "Security Token Service"),
        ("ya29.dr.c0hunter2hunter2", "--verify", "Security Token Service"),
        ("1//0hunter2hunter2", "", "a refresh token"),
        (TOKEN, "--verify --jwks https://a.example/", "apply to JWTs"),
        (TOKEN, "--verify --issuer a", "apply to JWTs"),
    ] {
        inspect_test(words, token).expect_status(7).expect_error(says).run();
    }
}

#[test]
fn without_a_response_there_is_no_verdict() {
    for (answer, status) in [
        (post_response(TOKENINFO_ENDPOINT, 200, "<html>"), 6),
        (post_response(TOKENINFO_ENDPOINT, 200, "{}"), 6),
        (post_response(TOKENINFO_ENDPOINT, 400, "{}"), 5),
        (post_response(TOKENINFO_ENDPOINT, 403, "no"), 5),
    ] {
        inspect_test("", TOKEN)
            .expect_request(answer)
            .expect_status(status)
            .expect_error("oauth2.googleapis.com")
            .run();
    }
    for answer in [post_response(TOKENINFO_ENDPOINT, 503, ""), without_response(tokeninfo_response())] {
        inspect_test("", TOKEN)
            .expect_requests(3, &answer)
            .expect_status(6)
            .expect_error("oauth2.googleapis.com")
            .run();
    }
}

#[test]
fn tokeninfo_follows_an_overridden_token_endpoint() {
    let moved = tokeninfo_response().at_url("http://127.0.0.1:8080/x/tokeninfo");
    inspect_test("", TOKEN)
        .env("CLOUDSDK_AUTH_TOKEN_HOST", "http://127.0.0.1:8080/x/token")
        .expect_request(moved)
        .run();
    Test::new("inspect")
        .stdin(TOKEN)
        .env("CLOUDSDK_AUTH_TOKEN_HOST", "http://a.example/token")
        .expect_status(9)
        .expect_error("CLOUDSDK_AUTH_TOKEN_HOST")
        .run();
}
