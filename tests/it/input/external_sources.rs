//! What is outside of Google: URLs that give subject tokens, AWS's metadata server, and what the subject tokens say of
//! themselves.

use std::time::Duration;

use serde_json::{Value, json};

use super::credential_test;
use crate::support::sample_credentials::{
    HTML_BODY, SUBJECT_TOKEN, TOKEN, aws_external_account, external_account, file_external_account, sts_response_body,
    unsigned_jwt, with_fields, workforce_external_account,
};
use crate::support::{MockExchange, NOW, Test, get_response, put_response, sts_response};

const IDP_URL: &str = "https://idp.example/token";
const AVAILABILITY_ZONE_URL: &str = "http://169.254.169.254/latest/meta-data/placement/availability-zone";
const IMDS_SESSION_URL: &str = "http://169.254.169.254/latest/api/token";
const SECURITY_CREDENTIALS_URL: &str = "http://169.254.169.254/latest/meta-data/iam/security-credentials";

#[test]
fn a_subject_tokens_url_is_judged_like_a_file() {
    let json = json!({"type": "json", "subject_token_field_name": "value"});
    let text = || credential_test(&external_account(json!({ "url": IDP_URL })));
    let field = || credential_test(&external_account(json!({"url": IDP_URL, "format": json})));
    type MakeTest<'a> = &'a dyn Fn() -> Test;
    for (test, body, words) in [
        (&text as MakeTest<'_>, String::new(), "the response holds no token, it is empty"),
        (&text, " \r\n".to_owned(), "the response holds no token, it is empty"),
        (&text, "x".repeat(64 * 1024 + 1), "the response is larger than 64 KiB"),
        (&field, String::new(), "the response is empty"),
        (&field, SUBJECT_TOKEN.to_owned(), "the response is not valid JSON"),
        (&field, "[]".to_owned(), "the response is JSON, but not an object"),
        (&field, "{}".to_owned(), "the response has no field value"),
        (&field, json!({ "Value": SUBJECT_TOKEN }).to_string(), "the response has no field value"),
        (&field, "{\"value\":5}".to_owned(), "value is a number"),
        (&field, "{\"value\":\"\"}".to_owned(), "holds no token"),
        (&field, "{\"value\":\"a\",\"value\":\"b\"}".to_owned(), "has the key \"value\" twice"),
    ] {
        test()
            .expect_request(get_response(IDP_URL, 200, body))
            .expect_status(6)
            .expect_error("idp.example: ")
            .expect_error(words)
            .run();
    }
    text()
        .expect_request(get_response(IDP_URL, 200, b"\xff\xfe"))
        .expect_status(6)
        .expect_error("is not UTF-8 text")
        .run();
    for (status, body, exit, times, words) in [
        (400, "no", 5, 1, "status 400: \"no\""),
        (401, "{\"error\":\"x\",\"error_description\":\"y\"}", 5, 1, "x: \"y\""),
        (404, HTML_BODY, 5, 1, "status 404 and a web page"),
        (403, "", 5, 1, "status 403"),
        (201, SUBJECT_TOKEN, 6, 1, "status 201, not 200"),
        (500, "", 6, 3, "status 500"),
        (503, "", 6, 3, "status 503"),
        (302, "", 6, 1, "redirects to nowhere"),
    ] {
        let answer = get_response(IDP_URL, status, body);
        text()
            .expect_requests(times, &answer)
            .expect_status(exit)
            .expect_error("idp.example: ")
            .expect_error(words)
            .run();
    }
    text()
        .expect_request(get_response(IDP_URL, 403, ""))
        .expect_status(5)
        .expect_hint("check url and headers of credential_source in HOME/key.json")
        .run();
    let slow = get_response(IDP_URL, 200, "").with_latency(Duration::from_secs(60));
    let ran = text().expect_request(slow).expect_status(6).expect_error("idp.example: no answer in time").run();
    assert!(ran.requests[0].timeout <= Duration::from_secs(10), "{:?}", ran.requests[0].timeout);
}

/// Up to a step of the visit to AWS's metadata server.
fn aws_metadata_test(steps: usize) -> Test {
    [
        put_response(IMDS_SESSION_URL, 200, "planted-session"),
        get_response(AVAILABILITY_ZONE_URL, 200, "eu-west-1b"),
        get_response(SECURITY_CREDENTIALS_URL, 200, "role"),
    ]
    .into_iter()
    .take(steps)
    .fold(credential_test(&aws_external_account()), Test::expect_request)
}

#[test]
fn amazons_metadata_server_is_judged_step_by_step() {
    let says = "169.254.169.254: ";
    let run = |steps, answer: MockExchange| {
        aws_metadata_test(steps).expect_request(answer).expect_status(6).expect_error(says)
    };
    for session in ["", "two words", "<!DOCTYPE html>", "a\nb", "\u{fc}"] {
        run(0, put_response(IMDS_SESSION_URL, 200, session)).expect_error("is not a session token").run();
    }
    for zone in ["", "nowhere at all", "<html>", "../x", "EU-WEST-1A"] {
        run(1, get_response(AVAILABILITY_ZONE_URL, 200, zone))
            .expect_error("is not a zone of AWS")
            .expect_hint("set AWS_REGION")
            .run();
    }
    for role in ["", "two words", "<html>", "a/../b", "a?x", "a#x", "one\ntwo", "\u{fc}"] {
        let test =
            run(2, get_response(SECURITY_CREDENTIALS_URL, 200, role)).expect_error("this instance has no IAM role");
        test.expect_hint("attach an IAM role").run();
    }
    let keys = |body: Value| get_response(&format!("{SECURITY_CREDENTIALS_URL}/role"), 200, body.to_string());
    let secret = "GAUTH-TEST-JUNK-SECRET";
    for (body, words) in [
        (json!([]), "the response is JSON, but not an object"),
        (json!({}), "AccessKeyId is missing"),
        (json!({"Code": "AssumeRoleUnauthorizedAccess", "Message": "x"}), "AccessKeyId is missing"),
        (json!({"AccessKeyId": 5}), "AccessKeyId is a number"),
        (json!({"AccessKeyId": "AKID"}), "SecretAccessKey is missing"),
        (json!({"AccessKeyId": "AKID", "SecretAccessKey": ""}), "SecretAccessKey is empty"),
        (json!({"AccessKeyId": "AKID", "SecretAccessKey": [secret]}), "SecretAccessKey is a list"),
        (json!({"AccessKeyId": "AKID", "SecretAccessKey": secret, "Token": 5}), "Token is a number"),
        (json!({"AccessKeyId": "A K", "SecretAccessKey": secret}), "access key id is not one"),
        (json!({"AccessKeyId": "AKID", "SecretAccessKey": "two words"}), "secret access key has a space"),
        (json!({"AccessKeyId": "AKID", "SecretAccessKey": secret, "Token": "a\nb"}), "session token has a space"),
    ] {
        run(3, keys(body)).expect_error(words).run();
    }
    for steps in 0..4 {
        let at = |status, body: &str| match steps {
            0 => put_response(IMDS_SESSION_URL, status, body),
            1 => get_response(AVAILABILITY_ZONE_URL, status, body),
            2 => get_response(SECURITY_CREDENTIALS_URL, status, body),
            _ => get_response(&format!("{SECURITY_CREDENTIALS_URL}/role"), status, body),
        };
        for (status, body, exit, times, words) in [
            (403, "Forbidden", 5, 1, "status 403: \"Forbidden\""),
            (404, "<?xml version=\"1.0\"?><x/>", 5, 1, "status 404: \"<?xml"),
            (401, "", 5, 1, "status 401"),
            (500, "", 6, 4, "status 500"),
            (301, "", 6, 1, "redirects to nowhere"),
        ] {
            let answer = at(status, body);
            let test = aws_metadata_test(steps).expect_requests(times, &answer).expect_status(exit);
            test.expect_error(says).expect_error(words).run();
        }
        let test = aws_metadata_test(steps).expect_request(at(404, "")).expect_status(5);
        test.expect_hint("check that this instance has an IAM role").run();
    }
}

#[test]
fn a_missing_aws_setting_is_named_with_its_variable() {
    let none = |field: &str| {
        let mut credential = aws_external_account();
        credential["credential_source"][field] = Value::Null;
        credential_test(&credential).expect_status(8)
    };
    none("region_url").expect_error("there is no region of AWS").expect_hint("set AWS_REGION").run();
    none("url")
        .env("AWS_REGION", "eu-west-1")
        .expect_error("there is no key of AWS")
        .expect_hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        .run();
    for (name, value, words) in [
        ("AWS_REGION", "eu west", "AWS_REGION \"eu west\" is not a region"),
        ("AWS_REGION", "evil.example/x", "AWS_REGION \"evil.example/x\" is not a region"),
        ("AWS_DEFAULT_REGION", "EU", "AWS_DEFAULT_REGION \"EU\" is not a region"),
    ] {
        credential_test(&aws_external_account())
            .env(name, value)
            .expect_status(2)
            .expect_error(words)
            .expect_hint(name)
            .run();
    }
    for (id, key, session, words) in [
        ("A K", "planted-key-of-amazon", "", "access key id is not one"),
        ("AKIDEXAMPLE", "two words planted", "", "secret access key has a space"),
        ("AKIDEXAMPLE", "planted-key-of-amazon", "planted session", "session token has a space"),
    ] {
        credential_test(&aws_external_account())
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", id)
            .env("AWS_SECRET_ACCESS_KEY", key)
            .env("AWS_SESSION_TOKEN", session)
            .secret(key)
            .expect_status(2)
            .expect_error(words)
            .run();
    }
}

#[test]
fn an_expired_subject_token_is_sent_with_a_warning() {
    let over = unsigned_jwt(&json!({"exp": NOW - 60}));
    credential_test(&file_external_account())
        .file("subject", &over)
        .expect_request(sts_response(400, "{\"error\":\"invalid_grant\",\"error_description\":\"expired\"}"))
        .expect_status(5)
        .expect_warning("the subject token from HOME/subject expired 60 s ago, by this clock")
        .expect_hint("get a new subject token")
        .run();
    // This clock may be the wrong one: the server has the last word.
    credential_test(&file_external_account())
        .file("subject", &over)
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .expect_warning("expired 60 s ago, by this clock")
        .run();
    for claims in [json!({"exp": NOW + 60}), json!({}), json!({"exp": "soon"})] {
        credential_test(&file_external_account())
            .file("subject", unsigned_jwt(&claims))
            .expect_request(sts_response(200, sts_response_body(TOKEN)))
            .run();
    }
    let saml = with_fields(
        workforce_external_account(),
        &json!({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}),
    );
    credential_test(&saml)
        .file("subject", "PHNhbWw+")
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .run();
}
