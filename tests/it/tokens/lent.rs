//! Tokens that are made of other tokens: service accounts that somebody acts as, chains of them, narrowed tokens; and
//! how few requests they take.

use std::rc::Rc;

use serde_json::{Value, json};

use super::with;
use crate::support::samples::{
    self, IAM, SECOND, TARGET, TOKEN, authorized_user, exchanged, granted, impersonated, lent,
    of_file, service_account, workforce_login,
};
use crate::support::{Exchange, Home, NOW, Test, iam, metadata, sts, token};

const CLOUD: &str = "https://www.googleapis.com/auth/cloud-platform";
const DELEGATE: &str = "middle@example-project.iam.gserviceaccount.com";

fn yes() -> Exchange {
    token(200, granted(TOKEN))
}

fn lends() -> Exchange {
    iam(TARGET, "generateAccessToken", 200, lent(SECOND))
}

fn link(account: &str) -> String {
    format!("projects/-/serviceAccounts/{account}")
}

#[test]
fn a_user_acts_as_a_service_account_and_pays_for_it() {
    let payer = json!({"quota_project_id": "payer"});
    let chain = json!({"delegates": [link(DELEGATE)], "quota_project_id": "other"});
    let file = samples::with(impersonated(samples::with(authorized_user(), &payer)), &chain);
    let ran = with(&file, "--format json --scopes email --lifetime 10m")
        .google(yes())
        .google(lends())
        .run();
    // The source's own scopes will do.
    assert_eq!(ran.sent[0].field("scope"), "");
    let asked = &ran.sent[1];
    assert_eq!(
        asked.body,
        format!(r#"{{"delegates":["{}"],"scope":["email"],"lifetime":"600s"}}"#, link(DELEGATE))
    );
    assert_eq!(asked.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
    // The source's project pays for this request, the file's own for those made with the token.
    assert_eq!(asked.header("x-goog-user-project"), Some("payer"));
    let measured = asked.header("x-goog-api-client").expect("the header of Google's metrics");
    assert!(measured.ends_with(" auth-request-type/at cred-type/imp"), "{measured}");
    let expected = json!({
        "token": SECOND, "token_type": "Bearer", "expires_at": "2026-01-02T04:04:05Z", "expires_in": 3600,
        "scopes": ["email"], "account": TARGET, "kind": "impersonated_service_account", "source": "file",
        "quota_project": "other", "universe_domain": "googleapis.com", "cached": false,
    });
    assert_eq!(ran.json(), expected);
}

#[test]
fn a_key_that_acts_as_another_account_asks_for_the_one_scope_it_needs() {
    let file = samples::with(impersonated(service_account()), &json!({"scopes": "openid"}));
    let ran = with(&file, "").google(yes()).google(lends()).run();
    let assertion = ran.sent[0].field("assertion");
    let claims = gauth::jwt::parts(assertion).expect("a JWT").claims;
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/iam");
    let expected = json!({"delegates": null, "scope": ["openid"], "lifetime": "3600s"});
    assert_eq!(ran.sent[1].json(), expected);
}

#[test]
fn an_older_url_with_another_method_names_the_account_as_well() {
    let url = format!("{IAM}/{TARGET}:generateIdToken");
    let file = samples::with(
        impersonated(authorized_user()),
        &json!({ "service_account_impersonation_url": url }),
    );
    with(&file, "").google(yes()).google(lends()).run();
}

/// `gauth token` of a login, acting as these accounts.
fn acting(chain: &str) -> Test {
    with(&authorized_user(), "--format json --impersonate-service-account").word(chain)
}

#[test]
fn a_flag_names_the_account_and_those_in_between() {
    let ran = acting(TARGET).google(yes()).google(lends()).run();
    let usual = json!({"delegates": null, "scope": [CLOUD], "lifetime": "3600s"});
    assert_eq!(ran.sent[1].json(), usual);
    let told = ran.json();
    assert_eq!((&told["account"], &told["source"]), (&json!(TARGET), &json!("file")));
    let third = "third@example-project.iam.gserviceaccount.com";
    let ran = acting(&format!("{DELEGATE}, {third},{TARGET}")).google(yes()).google(lends()).run();
    assert_eq!(ran.sent[1].json()["delegates"], json!([link(DELEGATE), link(third)]));
    for (name, value) in [
        ("GAUTH_IMPERSONATE_SERVICE_ACCOUNT", TARGET),
        ("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", TARGET),
    ] {
        with(&authorized_user(), "").env(name, value).google(yes()).google(lends()).run();
    }
    let both = with(&authorized_user(), "")
        .env("GAUTH_IMPERSONATE_SERVICE_ACCOUNT", TARGET)
        .env("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", "nobody@p.iam.gserviceaccount.com");
    both.google(yes()).google(lends()).run();
    let config = format!("impersonate_service_account = \"{TARGET}\"\n");
    let config = with(&authorized_user(), "").file(".config/gauth/config.toml", config);
    config.google(yes()).google(lends()).run();
}

#[test]
fn accounts_that_are_none_are_refused() {
    let long = format!("{}@p.iam.gserviceaccount.com", "x".repeat(300));
    for odd in ["ci", "a@b", ",", "a@b.c,", "a b@c.d", "a@b.c/x", "a@b.c?x", "a\n@b.c", &long] {
        acting(odd).status(2).says("--impersonate-service-account").run();
    }
    // A number is one.
    let number = "100000000000000000001";
    let answer = iam(number, "generateAccessToken", 200, lent(SECOND));
    acting(number).google(yes()).google(answer).run();
}

#[test]
fn whoever_is_found_may_act_as_an_account() {
    let words = format!("token --impersonate-service-account {TARGET}");
    Test::new(&words)
        .env("GCE_METADATA_HOST", "metadata.google.internal")
        .google(metadata("instance/service-accounts/default/token", 200, granted(TOKEN)))
        .google(lends())
        .run();
    Test::new(&words).env("CLOUDSDK_AUTH_ACCESS_TOKEN", TOKEN).google(lends()).run();
    with(&workforce_login(), "--impersonate-service-account")
        .word(TARGET)
        .google(yes().url("https://sts.googleapis.com/v1/oauthtoken"))
        .google(lends())
        .run();
}

/// `gauth token` of a login in this home folder.
fn at(home: &Rc<Home>, words: &str) -> Test {
    with(&authorized_user(), words).home(home)
}

#[test]
fn a_chain_is_kept_link_by_link() {
    let home = Home::new();
    let target = format!("--impersonate-service-account {TARGET}");
    // The source was asked for before: one request.
    at(&home, "").google(yes()).run();
    at(&home, &target).google(lends()).run();
    // Both are at hand: none.
    at(&home, &target).stdout(&format!("{SECOND}\n")).run();
    at(&home, "").stdout(&format!("{TOKEN}\n")).run();
    // Another account, another life, other scopes, another way to it: the source is still at hand.
    let other = "other@example-project.iam.gserviceaccount.com";
    let answer = || iam(other, "generateAccessToken", 200, lent(SECOND));
    at(&home, &format!("--impersonate-service-account {other}")).google(answer()).run();
    at(&home, &format!("{target} --lifetime 10m")).google(lends()).run();
    at(&home, &format!("{target} --scopes email")).google(lends()).run();
    at(&home, &format!("--impersonate-service-account {DELEGATE},{TARGET}")).google(lends()).run();
    // A new token where the old one is refused: that may be the source's.
    at(&home, &format!("{target} --refresh")).google(yes()).google(lends()).run();
    // When the account's is over, so is the source's.
    home.clock.advance(3500);
    at(&home, &target).google(yes()).google(lends_later()).run();
    at(&home, &target).run();
}

fn lends_later() -> Exchange {
    let body = json!({"accessToken": SECOND, "expireTime": "2026-01-02T05:04:05Z"}).to_string();
    iam(TARGET, "generateAccessToken", 200, body)
}

#[test]
fn a_federated_account_takes_two_requests_then_one_then_none() {
    let home = Home::new();
    let url = format!("{IAM}/{TARGET}:generateAccessToken");
    let file = samples::with(of_file(), &json!({ "service_account_impersonation_url": url }));
    let run = |words: &str| with(&file, words).home(&home).subject();
    run("").google(sts(200, exchanged(TOKEN))).google(lends()).run();
    run("").stdout(&format!("{SECOND}\n")).run();
    run("--scopes email").google(lends()).run();
    run("--refresh").google(sts(200, exchanged(TOKEN))).google(lends()).run();
    run("--no-cache").google(sts(200, exchanged(TOKEN))).google(lends()).run();
    home.clock.advance(4000);
    run("").google(sts(200, exchanged(TOKEN))).google(lends_later()).run();
}

#[test]
fn a_token_for_iam_alone_is_printed_to_nobody() {
    let home = Home::new();
    let target = format!("--impersonate-service-account {TARGET}");
    let key = |words: &str| with(&service_account(), words).home(&home);
    key(&target).google(yes()).google(lends()).run();
    // What was good for IAM only is not what the account itself is asked for.
    let own = "ya29.token-for-everything";
    key("").google(token(200, granted(own))).stdout(&format!("{own}\n")).run();
    let ran = key(&format!("{target} --scopes email")).google(lends()).run();
    assert_eq!(ran.sent[0].header("authorization"), Some(&*format!("Bearer {own}")));
}

#[test]
fn an_account_acts_for_a_user_with_a_signature_of_iams() {
    let signed = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ0In0.c2lnbmVk";
    let signature = json!({"keyId": "k", "signedJwt": signed}).to_string();
    let ran = acting(TARGET)
        .word("--subject")
        .word("bob@example.com")
        .word("--scopes")
        .word("email")
        .google(yes())
        .google(iam(TARGET, "signJwt", 200, &signature))
        .google(token(200, granted(SECOND)))
        .run();
    let asked = ran.sent[1].json();
    assert_eq!(asked["delegates"], Value::Null);
    let claims: Value =
        serde_json::from_str(asked["payload"].as_str().expect("text")).expect("JSON");
    let expected = json!({
        "iss": TARGET, "sub": "bob@example.com", "scope": "email",
        "aud": "https://oauth2.googleapis.com/token", "iat": NOW - 10, "exp": NOW + 3590,
    });
    assert_eq!(claims, expected);
    assert_eq!(
        ran.sent[2].body,
        format!(
            "assertion={signed}&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
        )
    );
    assert_eq!(ran.json()["account"], TARGET);
    for (body, words) in [
        ("{}", "signedJwt is missing"),
        ("{\"signedJwt\":5}", "signedJwt is a number"),
        ("{\"signedJwt\":\"a b\"}", "signedJwt is no JWT"),
    ] {
        let test = acting(TARGET).word("--subject").word("bob@example.com").google(yes());
        test.google(iam(TARGET, "signJwt", 200, body)).status(6).says(words).run();
    }
    let test = acting(TARGET).word("--subject").word("bob@example.com").google(yes());
    test.google(iam(TARGET, "signJwt", 200, &signature))
        .google(token(401, r#"{"error":"unauthorized_client"}"#))
        .status(5)
        .says("oauth2.googleapis.com: Google says unauthorized_client")
        .tries("domain-wide delegation")
        .run();
    let test = acting(TARGET).word("--subject").word("bob@example.com").word("--lifetime");
    test.word("2h").google(yes()).status(2).says("--lifetime").tries("at most 1h").run();
}

const BOUNDARY: &str = r#"{"accessBoundary":{"accessBoundaryRules":[{"availablePermissions":["inRole:roles/storage.objectViewer"],"availableResource":"//storage.googleapis.com/projects/_/buckets/b-1"}]}}"#;
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

#[test]
fn a_narrowed_token_is_exchanged_for_a_wide_one() {
    let rule = "--downscope objectViewer@b-1";
    let file = |test: Test| test.file("boundary.json", format!("\n {BOUNDARY}\n"));
    for words in [rule, "--access-boundary {home}/boundary.json"] {
        let test = file(with(&authorized_user(), &format!("--format json {words}")));
        let ran = test.google(yes()).google(sts(200, exchanged(SECOND))).run();
        let sent = &ran.sent[1];
        let fields = sent.fields();
        let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let expected = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", ACCESS),
            ("subject_token", TOKEN),
            ("subject_token_type", ACCESS),
            ("options", BOUNDARY),
        ];
        assert_eq!(fields, expected);
        assert_eq!((sent.header("authorization"), sent.header("x-goog-api-client")), (None, None));
        assert_eq!(ran.json()["account"], "ada@example.com");
    }
    let home = Home::new();
    let narrow = |words: &str| at(&home, words);
    at(&home, "").google(yes()).run();
    narrow(rule).google(sts(200, exchanged(SECOND))).run();
    narrow(rule).stdout(&format!("{SECOND}\n")).run();
    at(&home, "").stdout(&format!("{TOKEN}\n")).run();
    narrow("--downscope objectViewer@b-2").google(sts(200, exchanged(SECOND))).run();
    narrow("--downscope objectViewer@b-1/x").google(sts(200, exchanged(SECOND))).run();
}

#[test]
fn a_narrowed_token_ends_no_later_than_the_wide_one() {
    for (answer, end) in [
        (json!({"access_token": SECOND}), "2026-01-02T04:04:04Z"),
        (json!({"access_token": SECOND, "expires_in": 7200}), "2026-01-02T04:04:04Z"),
        (json!({"access_token": SECOND, "expires_in": 60}), "2026-01-02T03:05:05Z"),
    ] {
        let ran = with(&authorized_user(), "--format json --downscope objectViewer@b-1")
            .google(yes())
            .google(sts(200, answer.to_string()))
            .run();
        assert_eq!(ran.json()["expires_at"], end);
    }
}

#[test]
fn an_account_that_is_acted_as_is_narrowed_last() {
    let ran = acting(TARGET)
        .word("--downscope")
        .word("objectViewer@b-1")
        .google(yes())
        .google(lends())
        .google(sts(200, exchanged("ya29.narrow-token")))
        .run();
    assert_eq!(ran.sent[2].field("subject_token"), SECOND);
    assert_eq!(ran.json()["account"], TARGET);
    let elsewhere = json!({"universe_domain": "u.example", "token_uri": null});
    let robot = samples::with(service_account(), &elsewhere);
    with(&robot, "--downscope objectViewer@b-1")
        .google(sts(200, exchanged(SECOND)).url("https://sts.u.example/v1/token"))
        .run();
    let url =
        format!("{}/{TARGET}:generateAccessToken", IAM.replace("googleapis.com", "u.example"));
    with(&robot, "--impersonate-service-account")
        .word(TARGET)
        .google(iam(TARGET, "generateAccessToken", 200, lent(SECOND)).url(&url))
        .run();
}
