//! The metadata server: the requests for each account, and which responses are accepted.

use serde_json::json;

use crate::support::sample_credentials::{TOKEN, token_response_body};
use crate::support::{MockExchange, Test, metadata_response};

const DEFAULT_TOKEN_PATH: &str = "instance/service-accounts/default/token";

fn metadata_test(args: &str) -> Test {
    Test::new(&format!("token {args}")).env("GCE_METADATA_HOST", "metadata.google.internal")
}

fn metadata_token_response(path: &str) -> MockExchange {
    metadata_response(path, 200, token_response_body(TOKEN))
}

#[test]
fn one_request_is_sent_with_the_metadata_flavor_header() {
    let ran = metadata_test("--format json").expect_request(metadata_token_response(DEFAULT_TOKEN_PATH)).run();
    let sent = &ran.requests[0];
    assert_eq!((sent.method, sent.is_proxied, sent.timeout.as_secs()), ("GET", false, 3));
    assert_eq!(sent.headers["metadata-flavor"], "Google");
    assert!(sent.headers["x-goog-api-client"].ends_with(" auth-request-type/at cred-type/mds"));
    let json = ran.json();
    assert_eq!((&json["kind"], &json["source"]), (&json!("metadata"), &json!("metadata")));
    assert_eq!(json["expires_in"], 3599);
}

#[test]
fn account_and_scopes_are_in_the_url() {
    for (words, path) in [
        ("--scopes openid,email", "instance/service-accounts/default/token?scopes=email%2Copenid".to_owned()),
        (
            "--scopes pubsub",
            "instance/service-accounts/default/token?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fpubsub"
                .to_owned(),
        ),
        (
            "--account sa@p.iam.gserviceaccount.com",
            "instance/service-accounts/sa@p.iam.gserviceaccount.com/token".to_owned(),
        ),
        ("--account ../../x@y", "instance/service-accounts/..%2F..%2Fx@y/token".to_owned()),
        ("--account a?b#c@d", "instance/service-accounts/a%3Fb%23c@d/token".to_owned()),
    ] {
        metadata_test(words).expect_request(metadata_token_response(&path)).run();
    }
}

#[test]
fn a_slow_server_has_the_time_a_variable_gives_it() {
    for (seconds, limit) in [("7", 7), ("0", 3), ("soon", 3), ("", 3), ("-1", 3)] {
        let ran = metadata_test("")
            .env("GCE_METADATA_TIMEOUT", seconds)
            .expect_request(metadata_token_response(DEFAULT_TOKEN_PATH))
            .run();
        assert_eq!(ran.requests[0].timeout.as_secs(), limit, "{seconds}");
    }
}

#[test]
fn transient_errors_are_retried() {
    metadata_test("")
        .expect_requests(4, &metadata_response(DEFAULT_TOKEN_PATH, 503, ""))
        .expect_request(metadata_token_response(DEFAULT_TOKEN_PATH))
        .run();
    metadata_test("")
        .expect_request(metadata_response(DEFAULT_TOKEN_PATH, 429, "").with_header("retry-after", "2"))
        .expect_request(metadata_token_response(DEFAULT_TOKEN_PATH))
        .run();
}

#[test]
fn a_named_universe_must_match_the_metadata_server() {
    let asked = |status, domain| metadata_response("universe/universe-domain", status, domain);
    let wanted = || metadata_test("--universe-domain universe.example");
    wanted()
        .expect_request(asked(200, "universe.example\n"))
        .expect_request(metadata_token_response(DEFAULT_TOKEN_PATH))
        .run();
    for (status, domain, found) in
        [(200, "other.example", "other.example"), (404, "", "googleapis.com"), (200, "", "googleapis.com")]
    {
        let test = wanted().expect_request(asked(status, domain)).expect_status(7);
        test.expect_error(&format!("this machine is in the universe {found}, not universe.example"))
            .expect_hint("remove --universe-domain")
            .run();
    }
}

#[test]
fn options_that_the_metadata_server_does_not_support_are_refused_before_anything_is_sent() {
    for (words, says) in [
        ("--subject ada@example.com", "cannot act for a user (--subject)"),
        ("--lifetime 10m", "cannot choose how long its tokens live (--lifetime)"),
        ("--self-signed", "cannot sign a token itself"),
    ] {
        metadata_test(words)
            .expect_status(7)
            .expect_error("the metadata server's account, which ")
            .expect_error(says)
            .run();
    }
}
