//! Where identities from outside Google come from: a runner's URL, and the metadata server of AWS.

use std::sync::atomic::Ordering;

use gauth_core::jose::jwt;
use gauth_sandbox::RunningSandbox;
use gauth_sandbox::external_identities::{AWS_ROLE, AWS_ZONE};
use gauth_sandbox::fixtures::WORKLOAD_PROVIDER;
use serde_json::Value;

use super::{HttpReply, NOW, bearer_authorization_header, send_to_sandbox, start_sandbox, text_field};

fn runner_token(sandbox: &RunningSandbox, target: &str) -> HttpReply {
    send_to_sandbox(
        sandbox,
        "GET",
        target,
        &bearer_authorization_header(sandbox.fixtures().external.runner_secret.expose()),
        "",
    )
}

fn token_audience(token: &str) -> Value {
    let parts = jwt::decode(token).unwrap();
    assert_eq!(parts.header["alg"], "ES256");
    assert_eq!((&parts.claims["iat"], &parts.claims["exp"]), (&NOW.into(), &(NOW + 86_400).into()));
    parts.claims["aud"].clone()
}

#[test]
fn a_runner_gets_tokens_for_the_audience_it_asks_for() {
    let (sandbox, _) = start_sandbox(&[]);
    let plain = String::from_utf8(runner_token(&sandbox, "/subject").body).unwrap();
    assert_eq!(token_audience(&plain), WORKLOAD_PROVIDER);
    let reply = runner_token(&sandbox, "/subject.json?audience=https%3A%2F%2Fx.example").json();
    assert_eq!(reply["value"], reply["access_token"]);
    assert_eq!(token_audience(text_field(&reply, "value")), "https://x.example");
    for headers in [String::new(), bearer_authorization_header("other"), "Authorization: x\r\n".to_owned()] {
        assert_eq!(send_to_sandbox(&sandbox, "GET", "/subject", &headers, "").status, 401);
    }
    assert_eq!(send_to_sandbox(&sandbox, "POST", "/subject", "", "").status, 405);
    assert_eq!(sandbox.request_count("subject"), 6);
}

const SECURITY_CREDENTIALS_PATH: &str = "/latest/meta-data/iam/security-credentials";

fn request_session(sandbox: &RunningSandbox, headers: &str) -> HttpReply {
    send_to_sandbox(sandbox, "PUT", "/latest/api/token", headers, "")
}

#[test]
fn the_keys_of_the_role_are_given_with_a_session_or_without() {
    let (sandbox, clock) = start_sandbox(&[]);
    let wanted = "X-aws-ec2-metadata-token-ttl-seconds: 300\r\n";
    let reply = request_session(&sandbox, wanted);
    assert_eq!(reply.status, 200);
    assert!(reply.head.contains("Ttl-Seconds: 300\r\n"), "{}", reply.head);
    let token = String::from_utf8(reply.body).unwrap();
    let second = format!("X-aws-ec2-metadata-token: {token}\r\n");
    let read = |path: &str, headers: &str| {
        let reply = send_to_sandbox(&sandbox, "GET", path, headers, "");
        assert_eq!(reply.status, 200, "{path}");
        String::from_utf8(reply.body).unwrap()
    };
    let aws = &sandbox.fixtures().external.aws_keys;
    for headers in ["", &second] {
        assert_eq!(read("/latest/meta-data/placement/availability-zone", headers), AWS_ZONE);
        assert_eq!(read(SECURITY_CREDENTIALS_PATH, headers), AWS_ROLE);
        assert_eq!(read(&format!("{SECURITY_CREDENTIALS_PATH}/"), headers), AWS_ROLE);
        let keys = read(&format!("{SECURITY_CREDENTIALS_PATH}/{AWS_ROLE}"), headers);
        let keys: Value = serde_json::from_str(&keys).unwrap();
        assert_eq!((text_field(&keys, "Code"), text_field(&keys, "Type")), ("Success", "AWS-HMAC"));
        assert_eq!(text_field(&keys, "AccessKeyId"), aws.access_key_id);
        assert_eq!(text_field(&keys, "SecretAccessKey"), aws.secret_access_key.expose());
        assert_eq!(text_field(&keys, "Token"), aws.session_token.as_ref().unwrap().expose());
        assert_eq!(text_field(&keys, "Expiration"), "2026-01-02T09:04:05Z");
    }
    clock.0.fetch_add(300, Ordering::Relaxed);
    assert_eq!(send_to_sandbox(&sandbox, "GET", SECURITY_CREDENTIALS_PATH, &second, "").status, 401);
}

#[test]
fn the_metadata_server_of_aws_refuses_in_text() {
    let (sandbox, _) = start_sandbox(&[]);
    let ttl = |value: &str| format!("X-aws-ec2-metadata-token-ttl-seconds: {value}\r\n");
    let proxied = format!("{}X-Forwarded-For: 10.0.0.1\r\n", ttl("300"));
    let other = "X-aws-ec2-metadata-token: other\r\n";
    for (reply, status) in [
        (request_session(&sandbox, ""), 400),
        (request_session(&sandbox, &ttl("0")), 400),
        (request_session(&sandbox, &ttl("21601")), 400),
        (request_session(&sandbox, &ttl("x")), 400),
        (request_session(&sandbox, &proxied), 403),
        (send_to_sandbox(&sandbox, "GET", "/latest/api/token", "", ""), 405),
        (send_to_sandbox(&sandbox, "GET", SECURITY_CREDENTIALS_PATH, other, ""), 401),
        (send_to_sandbox(&sandbox, "POST", SECURITY_CREDENTIALS_PATH, "", ""), 405),
        (send_to_sandbox(&sandbox, "GET", &format!("{SECURITY_CREDENTIALS_PATH}/other"), "", ""), 404),
        (send_to_sandbox(&sandbox, "GET", "/latest/meta-data/", "", ""), 404),
    ] {
        assert_eq!(reply.status, status);
        assert!(reply.head.contains("Content-Type: text/plain"), "{}", reply.head);
    }
}

#[test]
fn faults_cover_text_bodies_and_aws_field_names() {
    for (fault, target) in [("subject=missing", "/subject"), ("aws=missing", SECURITY_CREDENTIALS_PATH)] {
        let (sandbox, _) = start_sandbox(&[fault]);
        let reply = runner_token(&sandbox, target);
        assert_eq!((reply.status, reply.body.as_slice()), (200, &b""[..]), "{fault}");
    }
    let (bad, _) = start_sandbox(&["subject=bad-token"]);
    assert!(text_field(&runner_token(&bad, "/subject.json").json(), "value").contains(" words\r\n"));
    let path = format!("{SECURITY_CREDENTIALS_PATH}/{AWS_ROLE}");
    let (null, _) = start_sandbox(&["aws=null-token"]);
    let keys = send_to_sandbox(&null, "GET", &path, "", "").json();
    assert!(keys["SecretAccessKey"].is_null() && keys["AccessKeyId"].is_string(), "{keys}");
    let (past, _) = start_sandbox(&["aws=negative-expiry"]);
    let keys = send_to_sandbox(&past, "GET", &path, "", "").json();
    assert_eq!(text_field(&keys, "Expiration"), "2026-01-02T03:04:04Z");
    let (down, _) = start_sandbox(&["aws=503x1"]);
    let reply = send_to_sandbox(&down, "GET", SECURITY_CREDENTIALS_PATH, "", "");
    assert_eq!(reply.status, 503);
    assert!(reply.head.contains("Content-Type: text/plain"), "{}", reply.head);
}
