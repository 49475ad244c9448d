//! Service accounts: the assertion that is sent, and tokens signed without asking anybody.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gauth::jwt;
use gauth::key::PrivateKey;
use serde_json::{Map, Value, json};

use super::with;
use crate::support::samples::{self, ROBOT, TOKEN, granted, pem, service_account};
use crate::support::{NOW, token};

const CLOUD: &str = "https://www.googleapis.com/auth/cloud-platform";
const KEY_ID: &str = "0123456789abcdef0123456789abcdef01234567";

/// Header and claims of a JWT that the sample key signed.
#[track_caller]
fn opened(token: &str) -> (Map<String, Value>, Map<String, Value>) {
    let parts = jwt::parts(token).expect("a JWT");
    let key = PrivateKey::from_pem(&pem()).expect("the key");
    assert!(key.public().verifies(parts.message, &parts.signature), "the signature");
    assert!(token.split('.').all(|part| URL_SAFE_NO_PAD.decode(part).is_ok()));
    (parts.header, parts.claims)
}

/// What the command line makes of the claims that every assertion has.
#[track_caller]
fn asserts(words: &str, changes: &Value) {
    let ran = with(&service_account(), words).google(token(200, granted(TOKEN))).run();
    let sent = &ran.sent[0];
    assert_eq!(sent.field("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert_eq!(sent.form.len(), 2, "{sent:#?}");
    assert!(sent.headers["x-goog-api-client"].ends_with(" auth-request-type/at cred-type/sa"));
    let (header, claims) = opened(sent.field("assertion"));
    assert_eq!(Value::from(header), json!({"alg": "RS256", "typ": "JWT", "kid": KEY_ID}));
    let usual = json!({
        "iss": ROBOT,
        "scope": CLOUD,
        "aud": "https://oauth2.googleapis.com/token",
        "iat": NOW - 10,
        "exp": NOW + 3590,
    });
    assert_eq!(Value::from(claims), samples::with(usual, changes));
}

#[test]
fn an_assertion_says_who_what_for_and_how_long() {
    asserts("", &json!({}));
    asserts("--subject ada@example.com", &json!({"sub": "ada@example.com"}));
    asserts("--lifetime 600", &json!({"exp": NOW + 600}));
    asserts("--lifetime 10m", &json!({"exp": NOW + 600}));
    asserts("--lifetime 1h", &json!({"exp": NOW + 3590}));
    asserts("--lifetime 1", &json!({"exp": NOW + 1}));
}

#[test]
fn scopes_are_made_whole_sorted_and_told_once() {
    let google = "https://www.googleapis.com/auth";
    for (words, scope) in [
        ("--scopes pubsub", format!("{google}/pubsub")),
        ("--scopes openid,email,profile", "email openid profile".to_owned()),
        ("--scopes pubsub --scopes bigquery", format!("{google}/bigquery {google}/pubsub")),
        ("--scopes pubsub,pubsub", format!("{google}/pubsub")),
        ("--scopes userinfo.email", format!("{google}/userinfo.email")),
        ("--scopes https://mail.google.com/", "https://mail.google.com/".to_owned()),
        ("--scopes urn:x", "urn:x".to_owned()),
    ] {
        asserts(words, &json!({"scope": scope}));
    }
    let both =
        with(&service_account(), "--scopes").word("b a,c").google(token(200, granted(TOKEN)));
    let (_, claims) = opened(both.run().sent[0].field("assertion"));
    assert_eq!(claims["scope"], format!("{google}/a {google}/b {google}/c"));
}

#[test]
fn the_audience_is_where_the_assertion_goes() {
    let uri = "https://accounts.google.com/o/oauth2/token";
    let robot =
        samples::with(service_account(), &json!({"token_uri": uri, "private_key_id": null}));
    let ran = with(&robot, "").google(token(200, granted(TOKEN)).url(uri)).run();
    let (header, claims) = opened(ran.sent[0].field("assertion"));
    assert_eq!(claims["aud"], uri);
    assert!(!header.contains_key("kid"));
}

#[test]
fn the_answer_is_told_whole() {
    let body =
        json!({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer", "scope": "b a"});
    let ran = with(&service_account(), "--format json").google(token(200, body.to_string())).run();
    let expected = json!({
        "token": TOKEN, "token_type": "Bearer", "expires_at": "2026-01-02T04:04:04Z", "expires_in": 3599,
        "scopes": ["a", "b"], "account": ROBOT, "kind": "service_account", "source": "file",
        "quota_project": null, "universe_domain": "googleapis.com", "cached": false,
    });
    assert_eq!(ran.json(), expected);
    let ran = with(&service_account(), "--format json").google(token(200, granted(TOKEN))).run();
    assert_eq!(ran.json()["scopes"], json!([CLOUD]));
}

/// What the command line makes of a token signed here.
#[track_caller]
fn signs(credential: &Value, words: &str, expected: &Value) {
    let ran = with(credential, words).run();
    let (header, claims) = opened(ran.stdout.trim_end());
    assert_eq!(header["kid"], KEY_ID);
    assert_eq!(&Value::from(claims), expected);
}

#[test]
fn a_token_signed_here_has_an_audience_or_scopes() {
    let robot = service_account();
    let claims = json!({"iss": ROBOT, "sub": ROBOT, "iat": NOW - 10, "exp": NOW + 3590});
    let with = |changes: &Value| samples::with(claims.clone(), changes);
    let audience = "https://pubsub.googleapis.com/";
    signs(&robot, &format!("--audience {audience}"), &with(&json!({"aud": audience})));
    signs(
        &robot,
        &format!("--audience {audience} --self-signed"),
        &with(&json!({"aud": audience})),
    );
    signs(&robot, "--self-signed", &with(&json!({"scope": CLOUD})));
    signs(&robot, "--self-signed --scopes email", &with(&json!({"scope": "email"})));
    let short = json!({"scope": CLOUD, "exp": NOW + 60});
    signs(&robot, "--self-signed --lifetime 1m", &with(&short));
}

#[test]
fn a_token_signed_here_says_what_it_is() {
    let ran = with(&service_account(), "--self-signed --format json").run();
    let json = ran.json();
    assert_eq!(json["expires_in"], 3590);
    assert_eq!(json["scopes"], json!([CLOUD]));
    let audience = "--audience https://pubsub.googleapis.com/ --format json";
    assert_eq!(with(&service_account(), audience).run().json()["scopes"], Value::Null);
}

#[test]
fn a_key_of_another_universe_signs_its_own_tokens() {
    let elsewhere = json!({"universe_domain": "universe.example", "token_uri": null});
    let robot = samples::with(service_account(), &elsewhere);
    let claims = json!({"iss": ROBOT, "sub": ROBOT, "iat": NOW - 10, "exp": NOW + 3590});
    signs(&robot, "", &samples::with(claims.clone(), &json!({"scope": CLOUD})));
    signs(&robot, "--scopes email", &samples::with(claims, &json!({"scope": "email"})));
    let ran = with(&robot, "--format json").run();
    assert_eq!(ran.json()["universe_domain"], "universe.example");
    let flag = with(
        &samples::with(service_account(), &json!({"universe_domain": null})),
        "--universe-domain u.example",
    );
    assert!(flag.run().stdout.starts_with("eyJ"));
}

#[test]
fn a_refused_delegation_says_where_it_is_granted() {
    with(&service_account(), "--subject ada@example.com")
        .google(token(401, r#"{"error":"unauthorized_client","error_description":"Client is unauthorized to retrieve access tokens using this method"}"#))
        .status(5)
        .says("oauth2.googleapis.com: Google says unauthorized_client: \"Client is unauthorized")
        .tries("domain-wide delegation in the admin console")
        .run();
}
