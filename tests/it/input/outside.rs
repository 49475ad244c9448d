//! What is outside of Google: URLs that give subject tokens, AWS's metadata server, and what the subject tokens say of
//! themselves.

use std::time::Duration;

use serde_json::{Value, json};

use super::with_credential;
use crate::support::samples::{
    SUBJECT, TOKEN, exchanged, external_account, of_aws, of_file, with, workforce,
};
use crate::support::{Exchange, NOW, Test, get, put, sts};

const HTML: &str = "<!DOCTYPE html><html>GAUTH-TEST-JUNK-SECRET</html>";
const IDP: &str = "https://idp.example/token";
const ZONE: &str = "http://169.254.169.254/latest/meta-data/placement/availability-zone";
const SESSION: &str = "http://169.254.169.254/latest/api/token";
const ROLES: &str = "http://169.254.169.254/latest/meta-data/iam/security-credentials";

#[test]
fn a_subject_tokens_url_is_judged_like_a_file() {
    let json = json!({"type": "json", "subject_token_field_name": "value"});
    let text = || with_credential(&external_account(json!({ "url": IDP })));
    let field = || with_credential(&external_account(json!({"url": IDP, "format": json})));
    type Make<'a> = &'a dyn Fn() -> Test;
    for (test, body, words) in [
        (&text as Make<'_>, String::new(), "the answer holds no token, it is empty"),
        (&text, " \r\n".to_owned(), "the answer holds no token, it is empty"),
        (&text, "x".repeat(64 * 1024 + 1), "the answer is larger than 64 KiB"),
        (&field, String::new(), "the answer is empty"),
        (&field, SUBJECT.to_owned(), "the answer is not valid JSON"),
        (&field, "[]".to_owned(), "the answer is JSON, but not an object"),
        (&field, "{}".to_owned(), "the answer has no field value"),
        (&field, json!({ "Value": SUBJECT }).to_string(), "the answer has no field value"),
        (&field, "{\"value\":5}".to_owned(), "value is a number"),
        (&field, "{\"value\":\"\"}".to_owned(), "holds no token"),
        (&field, "{\"value\":\"a\",\"value\":\"b\"}".to_owned(), "has the key \"value\" twice"),
    ] {
        test().google(get(IDP, 200, body)).status(6).says("idp.example: ").says(words).run();
    }
    text().google(get(IDP, 200, b"\xff\xfe")).status(6).says("is not UTF-8 text").run();
    for (status, body, exit, times, words) in [
        (400, "no", 5, 1, "status 400: \"no\""),
        (401, "{\"error\":\"x\",\"error_description\":\"y\"}", 5, 1, "x: \"y\""),
        (404, HTML, 5, 1, "status 404 and a web page"),
        (403, "", 5, 1, "status 403"),
        (201, SUBJECT, 6, 1, "status 201 where 200 is due"),
        (500, "", 6, 3, "status 500"),
        (503, "", 6, 3, "status 503"),
        (302, "", 6, 1, "redirects to nowhere"),
    ] {
        let answer = get(IDP, status, body);
        text().google_times(times, &answer).status(exit).says("idp.example: ").says(words).run();
    }
    text()
        .google(get(IDP, 403, ""))
        .status(5)
        .tries("check url and headers of credential_source in HOME/key.json")
        .run();
    let slow = get(IDP, 200, "").takes(Duration::from_secs(60));
    let ran = text().google(slow).status(6).says("idp.example: no answer in time").run();
    assert!(ran.sent[0].limit <= Duration::from_secs(10), "{:?}", ran.sent[0].limit);
}

/// Up to a step of the visit to AWS's metadata server.
fn visit(steps: usize) -> Test {
    [put(SESSION, 200, "planted-session"), get(ZONE, 200, "eu-west-1b"), get(ROLES, 200, "role")]
        .into_iter()
        .take(steps)
        .fold(with_credential(&of_aws()), Test::google)
}

#[test]
fn amazons_metadata_server_is_judged_step_by_step() {
    let says = "169.254.169.254: ";
    let run = |steps, answer: Exchange| visit(steps).google(answer).status(6).says(says);
    for session in ["", "two words", "<!DOCTYPE html>", "a\nb", "\u{fc}"] {
        run(0, put(SESSION, 200, session)).says("is no session token").run();
    }
    for zone in ["", "nowhere at all", "<html>", "../x", "EU-WEST-1A"] {
        run(1, get(ZONE, 200, zone)).says("is no zone of AWS").tries("set AWS_REGION").run();
    }
    for role in ["", "two words", "<html>", "a/../b", "a?x", "a#x", "one\ntwo", "\u{fc}"] {
        let test = run(2, get(ROLES, 200, role)).says("there is no role");
        test.tries("attach an IAM role").run();
    }
    let keys = |body: Value| get(&format!("{ROLES}/role"), 200, body.to_string());
    let secret = "GAUTH-TEST-JUNK-SECRET";
    for (body, words) in [
        (json!([]), "the answer is JSON, but not an object"),
        (json!({}), "AccessKeyId is missing"),
        (json!({"Code": "AssumeRoleUnauthorizedAccess", "Message": "x"}), "AccessKeyId is missing"),
        (json!({"AccessKeyId": 5}), "AccessKeyId is a number"),
        (json!({"AccessKeyId": "AKID"}), "SecretAccessKey is missing"),
        (json!({"AccessKeyId": "AKID", "SecretAccessKey": ""}), "SecretAccessKey is empty"),
        (json!({"AccessKeyId": "AKID", "SecretAccessKey": [secret]}), "SecretAccessKey is a list"),
        (
            json!({"AccessKeyId": "AKID", "SecretAccessKey": secret, "Token": 5}),
            "Token is a number",
        ),
        (json!({"AccessKeyId": "A K", "SecretAccessKey": secret}), "access key id is not one"),
        (
            json!({"AccessKeyId": "AKID", "SecretAccessKey": "two words"}),
            "secret access key has a space",
        ),
        (
            json!({"AccessKeyId": "AKID", "SecretAccessKey": secret, "Token": "a\nb"}),
            "session token has a space",
        ),
    ] {
        run(3, keys(body)).says(words).run();
    }
    for steps in 0..4 {
        let at = |status, body: &str| match steps {
            0 => put(SESSION, status, body),
            1 => get(ZONE, status, body),
            2 => get(ROLES, status, body),
            _ => get(&format!("{ROLES}/role"), status, body),
        };
        for (status, body, exit, times, words) in [
            (403, "Forbidden", 5, 1, "status 403: \"Forbidden\""),
            (404, "<?xml version=\"1.0\"?><x/>", 5, 1, "status 404: \"<?xml"),
            (401, "", 5, 1, "status 401"),
            (500, "", 6, 4, "status 500"),
            (301, "", 6, 1, "redirects to nowhere"),
        ] {
            let answer = at(status, body);
            let test = visit(steps).google_times(times, &answer).status(exit);
            test.says(says).says(words).run();
        }
        let test = visit(steps).google(at(404, "")).status(5);
        test.tries("check that this instance has an IAM role").run();
    }
}

#[test]
fn what_is_missing_of_amazons_is_named_with_its_variable() {
    let none = |field: &str| {
        let mut credential = of_aws();
        credential["credential_source"][field] = Value::Null;
        with_credential(&credential).status(8)
    };
    none("region_url").says("there is no region of AWS").tries("set AWS_REGION").run();
    none("url")
        .env("AWS_REGION", "eu-west-1")
        .says("there is no key of AWS")
        .tries("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        .run();
    for (name, value, words) in [
        ("AWS_REGION", "eu west", "AWS_REGION \"eu west\" is not a region"),
        ("AWS_REGION", "evil.example/x", "AWS_REGION \"evil.example/x\" is not a region"),
        ("AWS_DEFAULT_REGION", "EU", "AWS_DEFAULT_REGION \"EU\" is not a region"),
    ] {
        with_credential(&of_aws()).env(name, value).status(2).says(words).tries(name).run();
    }
    for (id, key, session, words) in [
        ("A K", "planted-key-of-amazon", "", "access key id is not one"),
        ("AKIDEXAMPLE", "two words planted", "", "secret access key has a space"),
        ("AKIDEXAMPLE", "planted-key-of-amazon", "planted session", "session token has a space"),
    ] {
        with_credential(&of_aws())
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", id)
            .env("AWS_SECRET_ACCESS_KEY", key)
            .env("AWS_SESSION_TOKEN", session)
            .secret(key)
            .status(2)
            .says(words)
            .run();
    }
}

/// A subject token with claims, signed by nobody.
fn jwt(claims: &Value) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    let part = |value: &Value| BASE64.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({"alg": "RS256", "kid": "k"})), part(claims))
}

#[test]
fn a_subject_token_that_is_over_is_warned_about_and_sent() {
    let over = jwt(&json!({"exp": NOW - 60}));
    with_credential(&of_file())
        .file("subject", &over)
        .google(sts(400, "{\"error\":\"invalid_grant\",\"error_description\":\"expired\"}"))
        .status(5)
        .warns("the subject token from HOME/subject expired 60 s ago, by this clock")
        .tries("get a new subject token")
        .run();
    // This clock may be the wrong one: the server has the last word.
    with_credential(&of_file())
        .file("subject", &over)
        .google(sts(200, exchanged(TOKEN)))
        .warns("expired 60 s ago, by this clock")
        .run();
    for claims in [json!({"exp": NOW + 60}), json!({}), json!({"exp": "soon"})] {
        with_credential(&of_file())
            .file("subject", jwt(&claims))
            .google(sts(200, exchanged(TOKEN)))
            .run();
    }
    let saml =
        with(workforce(), &json!({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}));
    with_credential(&saml).file("subject", "PHNhbWw+").google(sts(200, exchanged(TOKEN))).run();
}
