//! Where a credential file, or a variable, may send secrets; and other universes.

use serde_json::{Value, json};

use super::credential_test;
use crate::support::sample_credentials::{TOKEN, authorized_user, service_account, token_response_body, with_fields};
use crate::support::{Test, token_response};

/// Token endpoints that must not be given anything, with the exit code.
const HOSTILE_ENDPOINTS: &[(&str, u8)] = &[
    ("https://evil.example/token", 9),
    ("https://oauth2.googleapis.com.evil.example/token", 9),
    ("https://evil-oauth2.googleapis.com/token", 9),
    ("https://oauth2-googleapis.com/token", 9),
    ("https://oauth2.googleapis.com.:443/token", 8),
    ("https://oauth2.googleapis.com:8443/token", 9),
    ("https://oauth2.googleapis.com:80/token", 9),
    ("https://googleapis.com/token", 9),
    ("https://storage.googleapis.com/token", 9),
    ("https://run.googleapis.com/token", 9),
    ("https://attacker.storage.googleapis.com/token", 9),
    ("https://attacker.oauth2.googleapis.com/token", 9),
    ("https://attacker.run.app/token", 9),
    ("https://sts.googleapis.com/v1/token", 9),
    ("https://oauth2.universe.example/token", 9),
    ("https://google.com/token", 9),
    ("https://mail.google.com/token", 9),
    ("https://localhost/token", 9),
    ("https://10.0.0.1/token", 9),
    ("https://169.254.169.254/token", 9),
    ("https://metadata.google.internal/token", 9),
    ("https://[2001:db8::1]/token", 9),
    ("https://[::ffff:127.0.0.1]/token", 9),
    ("https://xn--gogle-jua.com/token", 9),
    ("https://oauth2_googleapis_com/token", 9),
    ("http://oauth2.googleapis.com/token", 9),
    ("http://evil.example/token", 9),
    ("http://localhost:8080/token", 9),
    ("http://localhost.localdomain/token", 9),
    ("http://127.0.0.1.evil.example/token", 9),
    ("http://169.254.169.254/token", 9),
    ("http://metadata.google.internal/token", 9),
    ("http://0.0.0.0/token", 9),
    ("http://[::]/token", 9),
    ("http://192.168.0.1/token", 9),
    ("https://oauth2.googleapis.com@evil.example/token", 8),
    ("https://user:hunter2hunter2@oauth2.googleapis.com/token", 8),
    ("https://oauth2.googleapis.com:443@evil.example/token", 8),
    ("https://evil.example\\@oauth2.googleapis.com/token", 8),
    ("https://evil.example#@oauth2.googleapis.com/token", 8),
    ("https://oauth2.googleapis.com/token#x", 8),
    ("https://oauth2.googleapis.com/to ken", 8),
    (" https://oauth2.googleapis.com/token", 8),
    ("https://oauth2.googleapis.com/token\r\nHost: evil.example", 8),
    ("https://oauth2.googleapis.com/token\u{0}", 8),
    ("https://oauth2.googleapis.com\t.evil.example/token", 8),
    ("https://oauth2\u{3002}googleapis\u{3002}com/token", 8),
    ("https://\u{43e}auth2.googleapis.com/token", 8),
    ("https://oauth2%2egoogleapis.com/token", 8),
    ("https://oauth2.googleapis.com%00.evil.example/token", 8),
    ("https://oauth2..googleapis.com/token", 8),
    ("https://-oauth2.googleapis.com/token", 8),
    ("https://oauth2.googleapis.com:0/token", 8),
    ("https://oauth2.googleapis.com:65536/token", 8),
    ("https://oauth2.googleapis.com:443x/token", 8),
    ("https://oauth2.googleapis.com:/token", 8),
    ("https:///token", 8),
    ("https://", 8),
    ("https:oauth2.googleapis.com/token", 8),
    ("//oauth2.googleapis.com/token", 8),
    ("oauth2.googleapis.com/token", 8),
    ("/token", 8),
    ("ftp://oauth2.googleapis.com/token", 8),
    ("file:///etc/passwd", 8),
    ("javascript:alert(1)", 8),
    ("data:text/plain,x", 8),
    ("unix:///run/token.sock", 8),
    ("http://127.1/token", 8),
    ("http://2130706433/token", 8),
    ("http://0x7f000001/token", 8),
    ("http://017700000001/token", 8),
    ("http://127.0.0.1.1/token", 8),
    ("http://[::1/token", 8),
    ("http://[::1%25lo]/token", 8),
];

#[test]
fn a_hostile_endpoint_is_sent_nothing() {
    for (uri, status) in HOSTILE_ENDPOINTS {
        for credential in [service_account(), authorized_user()] {
            let test = credential_test(&with_fields(credential, &json!({"token_uri": uri})));
            let test = test.expect_status(*status).expect_error("HOME/key.json: token_uri ");
            // A password in a URL is somebody's secret.
            test.secret("hunter2hunter2").run();
        }
    }
}

#[test]
fn the_hint_names_the_host() {
    let credential = with_fields(authorized_user(), &json!({"token_uri": "https://sts.corp.example/t"}));
    credential_test(&credential)
        .expect_status(9)
        .expect_error("token_uri names sts.corp.example, which is not Google's")
        .expect_hint("--allow-token-host sts.corp.example")
        .run();
    let answer = || token_response(200, token_response_body(TOKEN)).at_url("https://sts.corp.example/t");
    let flag = "token --credentials {home}/key.json --allow-token-host sts.corp.example";
    Test::new(flag).json("key.json", &credential).expect_request(answer()).run();
    let hosts = "a.example, STS.corp.example";
    credential_test(&credential).env("GAUTH_ALLOW_TOKEN_HOST", hosts).expect_request(answer()).run();
    let config = "allowed_token_hosts = [\"sts.corp.example\"]";
    credential_test(&credential).file(".config/gauth/config.toml", config).expect_request(answer()).run();
    // A file never widens its own list, and what is allowed is allowed with TLS only.
    let own = with_fields(credential.clone(), &json!({"allowed_token_hosts": ["sts.corp.example"]}));
    credential_test(&own).expect_status(9).run();
    let plain = with_fields(credential, &json!({"token_uri": "http://sts.corp.example/t"}));
    let plain = Test::new(flag).json("key.json", &plain).expect_status(9).expect_error("without TLS");
    plain.expect_hint("use https in token_uri").run();
}

#[test]
fn googles_endpoints_and_loopback_addresses_are_asked() {
    for uri in [
        "https://oauth2.googleapis.com/token",
        "https://oauth2.mtls.googleapis.com/token",
        "https://accounts.google.com/o/oauth2/token",
        "https://www.googleapis.com/oauth2/v4/token",
        "http://127.0.0.1:8080/token",
        "http://[::1]:8080/token",
    ] {
        for credential in [service_account(), authorized_user()] {
            credential_test(&with_fields(credential, &json!({"token_uri": uri})))
                .expect_request(token_response(200, token_response_body(TOKEN)).at_url(uri))
                .run();
        }
    }
}

#[test]
fn the_endpoint_of_a_variable_is_judged_as_well() {
    let test = |host: &str| credential_test(&authorized_user()).env("CLOUDSDK_AUTH_TOKEN_HOST", host);
    for (host, status) in [
        ("http://sts.corp.example/token", 9),
        ("http://localhost/token", 9),
        ("sts.corp.example", 2),
        ("https://user@sts.corp.example/token", 2),
        ("https://sts.corp.example/\n", 2),
    ] {
        test(host).expect_status(status).expect_error("CLOUDSDK_AUTH_TOKEN_HOST").run();
    }
    let corporate = "https://sts.corp.example/token";
    test(corporate).expect_request(token_response(200, token_response_body(TOKEN)).at_url(corporate)).run();
}

#[test]
fn hosts_that_are_allowed_are_hosts() {
    for host in ["https://a.example", "a.example/x", "a.example:1", "*.a.example", "a b", "", "@", "a..b"] {
        let test = Test::new("token --credentials {home}/key.json --allow-token-host");
        let test = test.arg(host).json("key.json", &authorized_user());
        test.expect_status(2).expect_error("--allow-token-host").run();
    }
}

fn in_other_universe(credential: Value) -> Value {
    with_fields(credential, &json!({"universe_domain": "universe.example", "token_uri": null}))
}

#[test]
fn a_login_cannot_be_refreshed_in_another_universe() {
    credential_test(&in_other_universe(authorized_user()))
        .expect_status(7)
        .expect_error("ada@example.com is a user login, which cannot be refreshed in the universe universe.example")
        .expect_hint("service account")
        .run();
}

#[test]
fn a_chosen_universe_and_the_files_must_agree() {
    for (name, value) in
        [("GAUTH_UNIVERSE_DOMAIN", "other.example"), ("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "googleapis.com")]
    {
        credential_test(&in_other_universe(service_account()))
            .env(name, value)
            .expect_status(7)
            .expect_error("belongs to the universe universe.example, not")
            .expect_error(value)
            .expect_hint("--universe-domain")
            .run();
    }
    for junk in ["com", "https://x.example", "X.example", "x.example:1", "a b.example"] {
        let test = credential_test(&service_account()).env("GAUTH_UNIVERSE_DOMAIN", junk);
        test.expect_status(2).expect_error("is not a domain name in lower case").run();
    }
}

#[test]
fn domain_wide_delegation_is_refused_in_another_universe() {
    Test::new("token --credentials {home}/key.json --subject ada@example.com")
        .json("key.json", &in_other_universe(service_account()))
        .expect_status(7)
        .expect_error("act for a user (--subject) in the universe universe.example")
        .run();
}
