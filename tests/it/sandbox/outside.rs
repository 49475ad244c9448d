//! Where identities from outside Google come from: a runner's URL, and the metadata server of AWS.

use std::sync::atomic::Ordering;

use gauth::jwt;
use gauth::server::sandbox::Running;
use gauth::server::sandbox::cast::WORKLOAD_PROVIDER;
use gauth::server::sandbox::outside::{AWS_ROLE, AWS_ZONE};
use serde_json::Value;

use super::{NOW, Reply, ask, bearer, sandbox, text};

fn subject(sandbox: &Running, target: &str) -> Reply {
    ask(sandbox, "GET", target, &bearer(sandbox.cast().outside.runner_secret.expose()), "")
}

fn audience(token: &str) -> Value {
    let parts = jwt::parts(token).unwrap();
    assert_eq!(parts.header["alg"], "ES256");
    assert_eq!((&parts.claims["iat"], &parts.claims["exp"]), (&NOW.into(), &(NOW + 86_400).into()));
    parts.claims["aud"].clone()
}

#[test]
fn a_runner_gets_tokens_for_the_audience_it_asks_for() {
    let (sandbox, _) = sandbox(&[]);
    let plain = String::from_utf8(subject(&sandbox, "/subject").body).unwrap();
    assert_eq!(audience(&plain), WORKLOAD_PROVIDER);
    let reply = subject(&sandbox, "/subject.json?audience=https%3A%2F%2Fx.example").json();
    assert_eq!(reply["value"], reply["access_token"]);
    assert_eq!(audience(text(&reply, "value")), "https://x.example");
    for headers in [String::new(), bearer("other"), "Authorization: x\r\n".to_owned()] {
        assert_eq!(ask(&sandbox, "GET", "/subject", &headers, "").status, 401);
    }
    assert_eq!(ask(&sandbox, "POST", "/subject", "", "").status, 405);
    assert_eq!(sandbox.count("subject"), 6);
}

const CREDENTIALS: &str = "/latest/meta-data/iam/security-credentials";

fn session(sandbox: &Running, headers: &str) -> Reply {
    ask(sandbox, "PUT", "/latest/api/token", headers, "")
}

#[test]
fn the_keys_of_the_role_are_given_with_a_session_or_without() {
    let (sandbox, clock) = sandbox(&[]);
    let wanted = "X-aws-ec2-metadata-token-ttl-seconds: 300\r\n";
    let reply = session(&sandbox, wanted);
    assert_eq!(reply.status, 200);
    assert!(reply.head.contains("Ttl-Seconds: 300\r\n"), "{}", reply.head);
    let token = String::from_utf8(reply.body).unwrap();
    let second = format!("X-aws-ec2-metadata-token: {token}\r\n");
    let read = |path: &str, headers: &str| {
        let reply = ask(&sandbox, "GET", path, headers, "");
        assert_eq!(reply.status, 200, "{path}");
        String::from_utf8(reply.body).unwrap()
    };
    let aws = &sandbox.cast().outside.aws;
    for headers in ["", &second] {
        assert_eq!(read("/latest/meta-data/placement/availability-zone", headers), AWS_ZONE);
        assert_eq!(read(CREDENTIALS, headers), AWS_ROLE);
        assert_eq!(read(&format!("{CREDENTIALS}/"), headers), AWS_ROLE);
        let keys = read(&format!("{CREDENTIALS}/{AWS_ROLE}"), headers);
        let keys: Value = serde_json::from_str(&keys).unwrap();
        assert_eq!((text(&keys, "Code"), text(&keys, "Type")), ("Success", "AWS-HMAC"));
        assert_eq!(text(&keys, "AccessKeyId"), aws.access_key_id);
        assert_eq!(text(&keys, "SecretAccessKey"), aws.secret_access_key.expose());
        assert_eq!(text(&keys, "Token"), aws.session_token.as_ref().unwrap().expose());
        assert_eq!(text(&keys, "Expiration"), "2026-01-02T09:04:05Z");
    }
    clock.0.fetch_add(300, Ordering::Relaxed);
    assert_eq!(ask(&sandbox, "GET", CREDENTIALS, &second, "").status, 401);
}

#[test]
fn the_metadata_server_of_aws_refuses_in_text() {
    let (sandbox, _) = sandbox(&[]);
    let ttl = |value: &str| format!("X-aws-ec2-metadata-token-ttl-seconds: {value}\r\n");
    let proxied = format!("{}X-Forwarded-For: 10.0.0.1\r\n", ttl("300"));
    let other = "X-aws-ec2-metadata-token: other\r\n";
    for (reply, status) in [
        (session(&sandbox, ""), 400),
        (session(&sandbox, &ttl("0")), 400),
        (session(&sandbox, &ttl("21601")), 400),
        (session(&sandbox, &ttl("x")), 400),
        (session(&sandbox, &proxied), 403),
        (ask(&sandbox, "GET", "/latest/api/token", "", ""), 405),
        (ask(&sandbox, "GET", CREDENTIALS, other, ""), 401),
        (ask(&sandbox, "POST", CREDENTIALS, "", ""), 405),
        (ask(&sandbox, "GET", &format!("{CREDENTIALS}/other"), "", ""), 404),
        (ask(&sandbox, "GET", "/latest/meta-data/", "", ""), 404),
    ] {
        assert_eq!(reply.status, status);
        assert!(reply.head.contains("Content-Type: text/plain"), "{}", reply.head);
    }
}

#[test]
fn faults_know_bodies_of_text_and_amazons_names() {
    for (fault, target) in [("subject=missing", "/subject"), ("aws=missing", CREDENTIALS)] {
        let (sandbox, _) = sandbox(&[fault]);
        let reply = subject(&sandbox, target);
        assert_eq!((reply.status, reply.body.as_slice()), (200, &b""[..]), "{fault}");
    }
    let (bad, _) = sandbox(&["subject=bad-token"]);
    assert!(text(&subject(&bad, "/subject.json").json(), "value").contains(" words\r\n"));
    let path = format!("{CREDENTIALS}/{AWS_ROLE}");
    let (null, _) = sandbox(&["aws=null-token"]);
    let keys = ask(&null, "GET", &path, "", "").json();
    assert!(keys["SecretAccessKey"].is_null() && keys["AccessKeyId"].is_string(), "{keys}");
    let (past, _) = sandbox(&["aws=negative-expiry"]);
    let keys = ask(&past, "GET", &path, "", "").json();
    assert_eq!(text(&keys, "Expiration"), "2026-01-02T03:04:04Z");
    let (down, _) = sandbox(&["aws=503x1"]);
    let reply = ask(&down, "GET", CREDENTIALS, "", "");
    assert_eq!(reply.status, 503);
    assert!(reply.head.contains("Content-Type: text/plain"), "{}", reply.head);
}
