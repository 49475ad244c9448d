//! Every field of the credential files: missing, null, empty, of each wrong type, of odd content.

use serde_json::{Value, json};

use super::{assert_malformed, credential_test};
use crate::support::sample_credentials::{TOKEN, authorized_user, service_account, token_response_body};
use crate::support::token_response;

const SERVICE_ACCOUNT_REQUIRED_FIELDS: &[&str] = &["client_email", "private_key"];
const SERVICE_ACCOUNT_OPTIONAL_FIELDS: &[&str] =
    &["private_key_id", "token_uri", "universe_domain", "project_id", "quota_project_id"];
const USER_REQUIRED_FIELDS: &[&str] = &["client_id", "client_secret", "refresh_token"];
const USER_OPTIONAL_FIELDS: &[&str] =
    &["token_uri", "universe_domain", "account", "quota_project_id", "rapt_token", "token", "expiry"];

fn credential_kinds() -> [(Value, &'static [&'static str], &'static [&'static str]); 2] {
    [
        (service_account(), SERVICE_ACCOUNT_REQUIRED_FIELDS, SERVICE_ACCOUNT_OPTIONAL_FIELDS),
        (authorized_user(), USER_REQUIRED_FIELDS, USER_OPTIONAL_FIELDS),
    ]
}

fn with_field(mut credential: Value, field: &str, value: Value) -> String {
    credential[field] = value;
    credential.to_string()
}

#[test]
fn a_needed_field_is_missing_null_or_empty() {
    for (good, needed, _) in credential_kinds() {
        for field in needed {
            let mut without = good.clone();
            without.as_object_mut().expect("object").remove(*field);
            assert_malformed(without.to_string(), &format!("{field} is missing"));
            assert_malformed(with_field(good.clone(), field, Value::Null), &format!("{field} is missing"));
            assert_malformed(with_field(good.clone(), field, json!("")), &format!("{field} is empty"));
        }
    }
}

#[test]
fn a_field_is_of_the_wrong_type() {
    for (good, needed, optional) in credential_kinds() {
        for field in needed.iter().chain(optional).chain(&["type"]) {
            for (value, words) in [
                (json!(5), "a number"),
                (json!(1.5e300), "a number"),
                (json!(true), "true or false"),
                (json!(["GAUTH-TEST-JUNK-SECRET"]), "a list"),
                (json!({"x": "GAUTH-TEST-JUNK-SECRET"}), "an object"),
            ] {
                let words = format!("{field} is {words} where a string is needed");
                assert_malformed(with_field(good.clone(), field, value), &words);
            }
        }
    }
}

#[test]
fn scopes_are_a_list_or_a_space_separated_string() {
    for (value, words) in [
        (json!(5), "scopes is a number where a list of strings is needed"),
        (json!({"a": 1}), "scopes is an object where a list of strings is needed"),
        (json!(false), "scopes is true or false where a list of strings is needed"),
        (json!(["openid", 5]), "an item of scopes is a number where a string is needed"),
        (json!([["openid"]]), "an item of scopes is a list where a string is needed"),
        (json!([null]), "an item of scopes is null where a string is needed"),
    ] {
        assert_malformed(with_field(authorized_user(), "scopes", value), words);
    }
}

#[test]
fn what_may_be_missing_may_also_be_null_or_empty() {
    for (good, _, optional) in credential_kinds() {
        for field in optional {
            for value in [Value::Null, json!("")] {
                // An expiry is a time or it is not there.
                if *field == "expiry" && value != Value::Null {
                    continue;
                }
                let mut credential = good.clone();
                credential[*field] = value;
                credential_test(&credential).expect_request(token_response(200, token_response_body(TOKEN))).run();
            }
        }
    }
}

#[test]
fn fields_with_invalid_values_are_refused() {
    let long = "x".repeat(70_000);
    let uri = format!("https://oauth2.googleapis.com/{}", "x".repeat(3000));
    let robot = service_account;
    let user = authorized_user;
    for (good, field, value, words) in [
        (robot(), "client_email", json!("a b@example.com"), "client_email has spaces"),
        (robot(), "client_email", json!("a@example.com\n"), "client_email has spaces"),
        (robot(), "client_email", json!("a@example.com\u{0}"), "client_email has spaces"),
        (robot(), "private_key", json!(long), "private_key is longer than 64 KiB"),
        (robot(), "token_uri", json!(uri), "token_uri is longer than 2048"),
        (user(), "token_uri", json!(uri), "token_uri is longer than 2048"),
        (user(), "client_id", json!("x\n"), "client_id has a control character"),
        (user(), "client_id", json!("x\u{85}y"), "client_id has a control character"),
        (user(), "client_secret", json!("planted\r\nclient"), "client_secret has a control character"),
        (user(), "client_secret", json!("\u{0}"), "client_secret has a control character"),
        (user(), "refresh_token", json!("1//0planted\n"), "refresh_token has a control character"),
        (user(), "refresh_token", json!("1//0\u{7f}planted"), "refresh_token has a control character"),
        (user(), "rapt_token", json!("a\tproof"), "rapt_token has a control character"),
        (user(), "expiry", json!("yesterday"), "expiry is not a time"),
        (user(), "expiry", json!("2026-13-02T03:04:05Z"), "expiry is not a time"),
        (user(), "expiry", json!(""), "expiry is not a time"),
        (user(), "expiry", json!("1767323045"), "expiry is not a time"),
        (robot(), "type", json!("Service_Account"), "type is \"Service_Account\", known are"),
        (robot(), "type", json!(""), "type is \"\", known are"),
        (robot(), "type", json!("x\u{1b}[31m\n"), "type is \"x\\u{1b}[31m\\n\", known are"),
        (robot(), "type", json!("x".repeat(1000)), "type is \"xxxx"),
        (robot(), "type", json!(long), "type is longer than 64 KiB"),
    ] {
        assert_malformed(with_field(good, field, value), words);
    }
}

#[test]
fn a_universe_is_a_domain() {
    for credential in [service_account(), authorized_user()] {
        for junk in [
            "com",
            "Googleapis.com",
            "https://googleapis.com",
            "googleapis.com/",
            "googleapis.com:443",
            "google apis.com",
            "googleapis.com\n",
            "user@googleapis.com",
            "127.0.0.1",
            "[::1]",
            "..",
            "g\u{f6}\u{f6}gle.com",
        ] {
            assert_malformed(with_field(credential.clone(), "universe_domain", json!(junk)), "universe_domain is not");
        }
    }
}

#[test]
fn a_type_of_googles_that_is_not_read_says_so() {
    credential_test(&json!({"type": "service_account_p12"}))
        .expect_status(7)
        .expect_error("HOME/key.json: keys in P12 files are not supported")
        .expect_hint("create a new key of the account, as JSON")
        .run();
}

#[test]
fn a_file_without_type_says_what_it_is() {
    let missing = json!({"client_id": "x", "client_secret": "planted-client-secret"});
    assert_malformed(missing.to_string(), "type is missing");
    assert_malformed("{}", "type is missing");
    assert_malformed(json!({"installed": "x"}).to_string(), "type is missing");
    let mut robot = service_account();
    robot.as_object_mut().expect("object").remove("type");
    assert_malformed(robot.to_string(), "type is missing");
    for client in [
        include_str!("../../data/credentials/client_secret_installed.json"),
        include_str!("../../data/credentials/client_secret_web.json"),
    ] {
        super::credential_file_test(client)
            .expect_status(8)
            .expect_error("HOME/key.json: this is an OAuth client")
            .expect_hint("gauth login --client-id-file HOME/key.json")
            .run();
    }
}
