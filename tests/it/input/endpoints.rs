//! Where a credential file, or a variable, may send secrets; and other universes.

use serde_json::{Value, json};

use super::with_credential;
use crate::support::samples::{TOKEN, authorized_user, granted, service_account, with};
use crate::support::{Test, token};

/// Token endpoints that must not be given anything, with the exit code.
const HOSTILE: &[(&str, u8)] = &[
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
    for (uri, status) in HOSTILE {
        for credential in [service_account(), authorized_user()] {
            let test = with_credential(&with(credential, &json!({"token_uri": uri})));
            let test = test.status(*status).says("HOME/key.json: token_uri ");
            // A password in a URL is somebody's secret.
            test.secret("hunter2hunter2").run();
        }
    }
}

#[test]
fn the_way_out_names_the_host() {
    let credential = with(authorized_user(), &json!({"token_uri": "https://sts.corp.example/t"}));
    with_credential(&credential)
        .status(9)
        .says("token_uri names sts.corp.example, which is not Google's")
        .tries("--allow-token-host sts.corp.example")
        .run();
    let answer = || token(200, granted(TOKEN)).url("https://sts.corp.example/t");
    let flag = "token --credentials {home}/key.json --allow-token-host sts.corp.example";
    Test::new(flag).json("key.json", &credential).google(answer()).run();
    let hosts = "a.example, STS.corp.example";
    with_credential(&credential).env("GAUTH_ALLOW_TOKEN_HOST", hosts).google(answer()).run();
    let config = "allowed_token_hosts = [\"sts.corp.example\"]";
    with_credential(&credential).file(".config/gauth/config.toml", config).google(answer()).run();
    // A file never widens its own list, and what is allowed is allowed with TLS only.
    let own = with(credential.clone(), &json!({"allowed_token_hosts": ["sts.corp.example"]}));
    with_credential(&own).status(9).run();
    let plain = with(credential, &json!({"token_uri": "http://sts.corp.example/t"}));
    let plain = Test::new(flag).json("key.json", &plain).status(9).says("without TLS");
    plain.tries("use https in token_uri").run();
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
            with_credential(&with(credential, &json!({"token_uri": uri})))
                .google(token(200, granted(TOKEN)).url(uri))
                .run();
        }
    }
}

#[test]
fn the_endpoint_of_a_variable_is_judged_as_well() {
    let test =
        |host: &str| with_credential(&authorized_user()).env("CLOUDSDK_AUTH_TOKEN_HOST", host);
    for (host, status) in [
        ("http://sts.corp.example/token", 9),
        ("http://localhost/token", 9),
        ("sts.corp.example", 2),
        ("https://user@sts.corp.example/token", 2),
        ("https://sts.corp.example/\n", 2),
    ] {
        test(host).status(status).says("CLOUDSDK_AUTH_TOKEN_HOST").run();
    }
    let corporate = "https://sts.corp.example/token";
    test(corporate).google(token(200, granted(TOKEN)).url(corporate)).run();
}

#[test]
fn hosts_that_are_allowed_are_hosts() {
    for host in
        ["https://a.example", "a.example/x", "a.example:1", "*.a.example", "a b", "", "@", "a..b"]
    {
        let test = Test::new("token --credentials {home}/key.json --allow-token-host");
        let test = test.word(host).json("key.json", &authorized_user());
        test.status(2).says("--allow-token-host").run();
    }
}

fn elsewhere(credential: Value) -> Value {
    with(credential, &json!({"universe_domain": "universe.example", "token_uri": null}))
}

#[test]
fn a_login_cannot_be_refreshed_in_another_universe() {
    with_credential(&elsewhere(authorized_user()))
        .status(7)
        .says("ada@example.com is a user login, which cannot be refreshed in the universe universe.example")
        .tries("service account")
        .run();
}

#[test]
fn a_chosen_universe_and_the_files_must_agree() {
    for (name, value) in [
        ("GAUTH_UNIVERSE_DOMAIN", "other.example"),
        ("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "googleapis.com"),
    ] {
        with_credential(&elsewhere(service_account()))
            .env(name, value)
            .status(7)
            .says("belongs to the universe universe.example, not")
            .says(value)
            .tries("--universe-domain")
            .run();
    }
    for junk in ["com", "https://x.example", "X.example", "x.example:1", "a b.example"] {
        let test = with_credential(&service_account()).env("GAUTH_UNIVERSE_DOMAIN", junk);
        test.status(2).says("GAUTH_UNIVERSE_DOMAIN is not a domain name").run();
    }
}

#[test]
fn a_key_of_another_universe_acts_for_nobody() {
    Test::new("token --credentials {home}/key.json --subject ada@example.com")
        .json("key.json", &elsewhere(service_account()))
        .status(7)
        .says("act for a user (--subject) in the universe universe.example")
        .run();
}
