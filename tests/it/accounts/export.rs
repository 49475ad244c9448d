//! `gauth accounts show --export`: writes a private file that Google's libraries read.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::{ADA, gauth_in, home_with_logins, login_file, login_json};
use crate::support::Home;
#[cfg(feature = "gcloud-store")]
use crate::support::Test;
use crate::support::sample_credentials::{
    self, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, SERVICE_ACCOUNT_EMAIL, service_account,
};

fn exported_json(home: &Home) -> Value {
    serde_json::from_str(&home.read("out.json")).expect("JSON")
}

#[test]
fn a_login_is_exported_as_to_json_writes_it() {
    let ours =
        json!({"signed_in_at": "x", "refresh_token_rotates": true, "scopes": ["openid"], "quota_project_id": "p"});
    let home = home_with_logins(&[(ADA, sample_credentials::with_fields(login_json(ADA), &ours))]);
    gauth_in(&home, "accounts show ada@example.com --export {home}/out.json")
        .expect_stdout("exported ada@example.com to HOME/out.json\n")
        .run();
    let text = format!(
        r#"{{
  "refresh_token": "{REFRESH_TOKEN}",
  "token_uri": "https://oauth2.googleapis.com/token",
  "client_id": "{CLIENT_ID}",
  "client_secret": "{CLIENT_SECRET}",
  "scopes": [
    "openid"
  ],
  "universe_domain": "googleapis.com",
  "account": "ada@example.com",
  "quota_project_id": "p",
  "type": "authorized_user"
}}
"#
    );
    assert_eq!(home.read("out.json"), text);
    let mode = home.path("out.json").metadata().expect("file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn fields_can_be_omitted() {
    let home = home_with_logins(&[(ADA, login_json(ADA))]);
    let show = |words: &str| gauth_in(&home, &format!("accounts show {ADA} --export {{home}}/out.json {words}"));
    show("--strip token,scopes,account --strip expiry").run();
    assert_eq!(exported_json(&home).get("account"), None);
    show("--force --strip refreshtoken")
        .expect_status(2)
        .expect_error("no field refreshtoken")
        .expect_hint("refresh_token")
        .run();
    let json = show("--force --format json").run().json();
    assert_eq!((&json["account"], exported_json(&home)["account"].as_str()), (&json!(ADA), Some(ADA)));
}

#[test]
fn an_existing_file_is_not_overwritten_silently() {
    let home = home_with_logins(&[(ADA, login_json(ADA))]);
    let show = |words: &str| gauth_in(&home, &format!("accounts show {ADA} --export {words}"));
    home.write("out.json", "mine");
    show("{home}/out.json").expect_status(9).expect_error("exists already").expect_hint("--force").run();
    std::os::unix::fs::symlink("/nowhere/x", home.path("link")).expect("a link");
    show("{home}/link").expect_status(9).expect_error("exists already").run();
    show("-").expect_status(9).expect_error("would put a login on standard output").run();
    show("{home}").expect_status(2).expect_error("is a folder").run();
    show("{home}/none/out.json").expect_status(1).expect_error("cannot be written").run();
    assert_eq!(home.read("out.json"), "mine");
    // A link itself is replaced, and not its target.
    show("{home}/link --force").run();
    assert!(home.path("link").symlink_metadata().expect("file").is_file());
}

#[test]
fn a_service_account_key_is_exported_with_all_fields() {
    let home = home_with_logins(&[(SERVICE_ACCOUNT_EMAIL, service_account())]);
    gauth_in(&home, &format!("accounts show {SERVICE_ACCOUNT_EMAIL} --export {{home}}/out.json")).run();
    assert_eq!(exported_json(&home), service_account());
    home.write(&login_file("junk"), "junk");
    gauth_in(&home, "accounts show junk --export {home}/other.json")
        .expect_status(8)
        .expect_error("is not valid JSON")
        .run();
}

#[cfg(feature = "gcloud-store")]
#[test]
fn gclouds_login_is_exported_with_its_newest_refresh_token() {
    let home = home_with_logins(&[]);
    super::sign_in_to_gcloud(
        &home,
        &[(
            ADA,
            sample_credentials::with_fields(login_json(""), &json!({"account": null, "revoke_uri": "https://x/"})),
        )],
    );
    let answer = json!({"access_token": sample_credentials::TOKEN, "expires_in": 3599, "refresh_token": sample_credentials::ROTATED_REFRESH_TOKEN});
    gauth_in(&home, "token").expect_request(crate::support::token_response(200, answer.to_string())).run();
    gauth_in(&home, "accounts show ada@example.com --export {home}/out.json").run();
    let exported = exported_json(&home);
    assert_eq!(
        (&exported["refresh_token"], exported.get("revoke_uri")),
        (&json!(sample_credentials::ROTATED_REFRESH_TOKEN), None)
    );
    // The exported file is a valid credential file.
    let granted =
        crate::support::token_response(200, sample_credentials::token_response_body(sample_credentials::SECOND_TOKEN));
    let ran = Test::new("token --credentials {home}/out.json").home(&home).expect_request(granted).run();
    assert_eq!(ran.requests[0].form_field("refresh_token"), sample_credentials::ROTATED_REFRESH_TOKEN);
}
