//! Workforce logins, whose refresh tokens rotate; service identities of Google Distributed Cloud; client certificates.

use std::path::PathBuf;

use gauth::jwt;
use gauth::key::PrivateKey;
use serde_json::{Value, json};

use super::with;
use crate::support::samples::{
    self, REFRESH_TOKEN, ROTATED, SECOND, TARGET, TOKEN, exchanged, external_account, gdch,
    granted, lent, workforce_login,
};
use crate::support::{Exchange, Home, NOW, Test, iam, nothing, sts, token};

const OAUTHTOKEN: &str = "https://sts.googleapis.com/v1/oauthtoken";
const OWN: &str = ".config/gauth/accounts/ada@example.com.json";
const SHADOW: &str = ".config/gauth/accounts/shadow";

fn refreshed(access: &str) -> Exchange {
    token(200, granted(access)).url(OAUTHTOKEN)
}

fn rotating(access: &str, next: &str) -> Exchange {
    let body = json!({"access_token": access, "expires_in": 3599, "refresh_token": next});
    token(200, body.to_string()).url(OAUTHTOKEN)
}

fn stored(home: &Home, path: &str) -> Value {
    serde_json::from_str(&home.read(path)).expect("JSON")
}

#[test]
fn a_workforce_login_is_refreshed_by_a_client_in_a_header() {
    let short = json!({"client_id": "CID", "client_secret": "CS", "quota_project_id": "payer"});
    let login = samples::with(workforce_login(), &short);
    let ran = with(&login, "--format json").google(refreshed(TOKEN)).run();
    let sent = &ran.sent[0];
    assert_eq!((sent.method, sent.url.as_str()), ("POST", OAUTHTOKEN));
    assert_eq!(sent.header("authorization"), Some("Basic Q0lEOkNT"));
    assert_eq!(sent.fields().len(), 2);
    let expected = [("grant_type", "refresh_token"), ("refresh_token", REFRESH_TOKEN)];
    for (field, (name, value)) in sent.fields().iter().zip(expected) {
        assert_eq!((field.0.as_str(), field.1.as_str()), (name, value));
    }
    assert_eq!(sent.header("x-goog-api-client"), None);
    let told = ran.json();
    assert_eq!(told["kind"], "external_account_authorized_user");
    assert_eq!((&told["quota_project"], &told["token"]), (&json!("payer"), &json!(TOKEN)));
    let nowhere = samples::with(workforce_login(), &json!({"token_url": null}));
    with(&nowhere, "").google(refreshed(TOKEN)).run();
}

#[test]
fn the_next_refresh_token_of_a_workforce_login_is_stored_before_anything_is_printed() {
    let home = Home::new();
    home.write(OWN, workforce_login().to_string());
    let own = |words: &str| Test::new(&format!("token --account ada@example.com {words}"));
    own("")
        .home(&home)
        .google(rotating(TOKEN, ROTATED))
        .printing(|home| {
            assert_eq!(stored(home, OWN)["refresh_token"], ROTATED);
            Ok(())
        })
        .run();
    own("").home(&home).stdout(&format!("{TOKEN}\n")).run();
    let ran = own("--refresh").home(&home).google(refreshed(SECOND)).run();
    assert_eq!(ran.sent[0].field("refresh_token"), ROTATED);
    // A file that is not ours is left as it is.
    let home = Home::new();
    let file = |words: &str| with(&workforce_login(), words).home(&home);
    file("").google(rotating(TOKEN, ROTATED)).run();
    assert_eq!(stored(&home, "key.json"), workforce_login());
    let names = home.names(SHADOW);
    assert_eq!(stored(&home, &format!("{SHADOW}/{}", names[0]))["refresh_token"], ROTATED);
    let ran = file("--refresh").google(refreshed(SECOND)).run();
    assert_eq!(ran.sent[0].field("refresh_token"), ROTATED);
}

#[test]
fn a_workforce_login_is_not_spent_twice() {
    let slow = refreshed("").takes(std::time::Duration::from_secs(60));
    with(&workforce_login(), "").google(slow).status(6).run();
    with(&workforce_login(), "").google(token(503, "").url(OAUTHTOKEN)).status(6).run();
    with(&workforce_login(), "").google(nothing(refreshed(""))).google(refreshed(TOKEN)).run();
}

#[test]
fn a_token_saved_with_a_workforce_login_is_used_until_it_is_short() {
    let saved = |expiry: &str, refresh: Value| {
        let fields = json!({"token": SECOND, "expiry": expiry, "refresh_token": refresh});
        samples::with(workforce_login(), &fields)
    };
    let fresh = "2026-01-02T04:04:04Z";
    with(&saved(fresh, json!(REFRESH_TOKEN)), "").stdout(&format!("{SECOND}\n")).run();
    with(&saved(fresh, Value::Null), "").stdout(&format!("{SECOND}\n")).run();
    let over = "2026-01-02T03:04:04Z";
    with(&saved(over, json!(REFRESH_TOKEN)), "").google(refreshed(TOKEN)).run();
    with(&saved(over, Value::Null), "")
        .status(4)
        .says("HOME/key.json must sign in again, the saved token is over")
        .tries("--login-config FILE")
        .run();
}

#[test]
fn what_a_workforce_login_cannot_do_is_refused_before_anything_is_sent() {
    for (words, says) in [
        ("--scopes email", "cannot choose scopes (--scopes)"),
        ("--lifetime 10m", "cannot choose how long its tokens live (--lifetime)"),
        ("--subject bob@example.com", "cannot act for another user (--subject)"),
        ("--audience https://a.example", "cannot sign a token itself"),
    ] {
        let test = with(&workforce_login(), words).status(7);
        test.says("HOME/key.json is a workforce login, which ").says(says).run();
    }
}

#[test]
fn a_distributed_cloud_is_given_an_assertion_of_its_own_key() {
    let at = "https://service-identity.gdch.example/authenticate";
    let audience = "https://api.gdch.example";
    let home = Home::new();
    let run = |words: &str| {
        with(&gdch(), &format!("--audience {audience} --format json {words}")).home(&home)
    };
    let ran = run("").google(token(200, granted(TOKEN)).url(at)).run();
    let sent = &ran.sent[0];
    assert_eq!(sent.ca_file, Some(PathBuf::from("/etc/gauth/gdch-ca.pem")));
    assert_eq!(sent.header("content-type"), Some("application/json"));
    assert_eq!(sent.header("authorization"), None);
    let mut body = sent.json();
    let assertion = body["subject_token"].take();
    let expected = json!({
        "grant_type": "urn:ietf:params:oauth:token-type:token-exchange",
        "audience": audience,
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token": null,
        "subject_token_type": "urn:k8s:params:oauth:token-type:serviceaccount",
    });
    assert_eq!(body, expected);
    let parts = jwt::parts(assertion.as_str().expect("text")).expect("a JWT");
    let pem = gdch()["private_key"].as_str().expect("a key").to_owned();
    let key = PrivateKey::any_from_secret(&gauth::secret::Secret::new(pem)).expect("the key");
    assert!(key.public().verifies(parts.message, &parts.signature), "the signature");
    assert_eq!(parts.signature.len(), 64);
    let id = gdch()["private_key_id"].clone();
    assert_eq!(Value::from(parts.header), json!({"alg": "ES256", "typ": "JWT", "kid": id}));
    let identity = "system:serviceaccount:example-gdch-project:example-service-identity";
    let claims = json!({
        "iss": identity, "sub": identity, "aud": at, "iat": NOW - 10, "exp": NOW + 3590,
    });
    assert_eq!(Value::from(parts.claims), claims);
    let told = ran.json();
    assert_eq!(
        (&told["account"], &told["kind"]),
        (&json!(identity), &json!("gdch_service_account"))
    );
    // One token for each audience.
    assert_eq!(run("").run().json()["cached"], true);
    let other = with(&gdch(), "--audience https://other.gdch.example").home(&home);
    other.google(token(200, granted(SECOND)).url(at)).stdout(&format!("{SECOND}\n")).run();
}

/// A certificate for the client and its key, both in PEM.
fn certificate() -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let parameters = rcgen::CertificateParams::new(vec!["client.example".to_owned()]);
    let certificate = parameters.expect("a name").self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

/// `gauth token` of somebody with this certificate and key.
fn shown(pair: (&str, &str), words: &str) -> Test {
    let source = json!({"certificate": {"certificate_config_location": "{home}/config.json"}});
    let mtls = json!({
        "subject_token_type": "urn:ietf:params:oauth:token-type:mtls",
        "token_url": "https://sts.mtls.googleapis.com/v1/token",
    });
    let workload = json!({"cert_path": "{home}/client.pem", "key_path": "{home}/client.key"});
    with(&samples::with(external_account(source), &mtls), words)
        .json("config.json", &json!({"cert_configs": {"workload": workload}}))
        .file("client.pem", pair.0)
        .file("client.key", pair.1)
}

#[test]
fn a_certificate_is_shown_and_sent() {
    let (certificate, key) = certificate();
    let url = "https://sts.mtls.googleapis.com/v1/token";
    let ran = shown((&certificate, &key), "").google(sts(200, exchanged(TOKEN)).url(url)).run();
    let sent = &ran.sent[0];
    assert!(sent.identity.as_ref().is_some_and(|pair| pair.certificate.ends_with("client.pem")));
    let inside: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(sent.field("subject_token"), format!("[\"{inside}\"]"));
    let measured = sent.header("x-goog-api-client").expect("the header of Google's metrics");
    assert!(measured.contains(" source/x509 "), "{measured}");
    assert_eq!(sent.field("options"), "");
}

#[test]
fn a_certificate_was_not_shown_to_iam_by_an_account_that_a_flag_names() {
    let (certificate, key) = certificate();
    let url = "https://sts.mtls.googleapis.com/v1/token";
    let ran = shown((&certificate, &key), "--impersonate-service-account")
        .word(TARGET)
        .google(sts(200, exchanged(TOKEN)).url(url))
        .google(iam(TARGET, "generateAccessToken", 200, lent(SECOND)))
        .run();
    assert!(ran.sent.iter().all(|sent| sent.identity.is_some()), "{:#?}", ran.sent);
}

#[test]
fn a_certificate_with_the_key_of_another_is_not_shown() {
    let (one, other) = (certificate(), certificate());
    shown((&one.0, &other.1), "")
        .status(8)
        .says("client.key is not the key of the certificate HOME/client.pem")
        .run();
}
