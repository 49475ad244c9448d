//! Access tokens, which only Google can tell anything about.

use serde_json::json;

use super::inspect;
use crate::support::samples::TOKEN;
use crate::support::{Exchange, NOW, Test, nothing, post};

const TOKENINFO: &str = "https://oauth2.googleapis.com/tokeninfo";

fn tells() -> Exchange {
    let told = json!({
        "aud": "client", "azp": "client", "sub": "1", "scope": "openid https://www.googleapis.com/auth/userinfo.email",
        "exp": (NOW + 3599).to_string(), "expires_in": "3599", "email": "ada@example.com",
        "email_verified": "true", "access_type": "offline",
    });
    post(TOKENINFO, 200, told.to_string())
}

#[test]
fn tokeninfo_is_asked_by_post_and_its_texts_are_read_as_numbers() {
    let ran = inspect("", TOKEN)
        .google(tells())
        .stdout(
            "valid: an access token that Google knows

account   ada@example.com
subject   1
audience  client
scopes    https://www.googleapis.com/auth/userinfo.email openid
expires   in 59 min (2026-01-02T04:04:04Z)
access    offline
",
        )
        .run();
    let [sent] = ran.sent.as_slice() else { panic!("{ran:?}") };
    assert_eq!((sent.method, sent.url.as_str()), ("POST", TOKENINFO));
    assert_eq!(sent.fields(), [("access_token".to_owned(), TOKEN.to_owned())]);
    let told = inspect("--format json", TOKEN).google(tells()).run().json();
    assert_eq!((&told["kind"], &told["valid"]), (&json!("access_token"), &json!(true)));
    assert_eq!((&told["account"], &told["expires_in"]), (&json!("ada@example.com"), &json!(3599)));
}

#[test]
fn a_token_google_does_not_know_is_not_valid() {
    let refused = r#"{"error":"invalid_token","error_description":"Invalid Value"}"#;
    for status in [400, 401] {
        inspect("", TOKEN)
            .google(post(TOKENINFO, status, refused))
            .status(10)
            .stdout("not valid: Google says invalid_token: \"Invalid Value\"\n")
            .run();
    }
    let told = inspect("--format json", TOKEN)
        .google(post(TOKENINFO, 400, refused))
        .status(10)
        .run()
        .json();
    assert_eq!((&told["valid"], &told["account"]), (&json!(false), &json!(null)));
}

#[test]
fn its_audience_can_be_asked_for() {
    inspect("--verify --audience client", TOKEN).google(tells()).run();
    let ran = inspect("--verify --audience other", TOKEN).google(tells()).status(10).run();
    assert!(ran.stdout.starts_with("not valid: it is for client\n\naccount "), "{}", ran.stdout);
}

#[test]
fn what_tokeninfo_cannot_know_is_not_sent_there() {
    for (token, words, says) in [
        ("ya29.d.c0hunter2hunter2", "", "Security Token Service"),
        ("ya29.dr.c0hunter2hunter2", "--verify", "Security Token Service"),
        ("1//0hunter2hunter2", "", "a refresh token"),
        (TOKEN, "--verify --jwks https://a.example/", "no signature to check"),
        (TOKEN, "--verify --issuer a", "no issuer"),
    ] {
        inspect(words, token).status(7).says(says).run();
    }
}

#[test]
fn no_answer_is_no_verdict() {
    for (answer, status) in [
        (post(TOKENINFO, 200, "<html>"), 6),
        (post(TOKENINFO, 200, "{}"), 6),
        (post(TOKENINFO, 400, "{}"), 5),
        (post(TOKENINFO, 403, "no"), 5),
    ] {
        inspect("", TOKEN).google(answer).status(status).says("oauth2.googleapis.com").run();
    }
    for answer in [post(TOKENINFO, 503, ""), nothing(tells())] {
        inspect("", TOKEN).google_times(3, &answer).status(6).says("oauth2.googleapis.com").run();
    }
}

#[test]
fn tokeninfo_moves_with_the_token_endpoint() {
    let moved = tells().url("http://127.0.0.1:8080/x/tokeninfo");
    inspect("", TOKEN)
        .env("CLOUDSDK_AUTH_TOKEN_HOST", "http://127.0.0.1:8080/x/token")
        .google(moved)
        .run();
    Test::new("inspect")
        .input(TOKEN)
        .env("CLOUDSDK_AUTH_TOKEN_HOST", "http://a.example/token")
        .status(9)
        .says("CLOUDSDK_AUTH_TOKEN_HOST")
        .run();
}
