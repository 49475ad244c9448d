//! `gauth accounts show --export`: the login as Google's libraries read it, in a private file.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::{ADA, at, login, place, signed_in};
use crate::support::Home;
#[cfg(feature = "gcloud-store")]
use crate::support::Test;
use crate::support::samples::{
    self, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, ROBOT, service_account,
};

fn exported(home: &Home) -> Value {
    serde_json::from_str(&home.read("out.json")).expect("JSON")
}

#[test]
fn a_login_is_exported_as_to_json_writes_it() {
    let ours = json!({"signed_in_at": "x", "refresh_token_rotates": true, "scopes": ["openid"], "quota_project_id": "p"});
    let home = signed_in(&[(ADA, samples::with(login(ADA), &ours))]);
    at(&home, "accounts show ada@example.com --export {home}/out.json")
        .stdout("exported ada@example.com to HOME/out.json\n")
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
fn fields_can_be_left_out() {
    let home = signed_in(&[(ADA, login(ADA))]);
    let show =
        |words: &str| at(&home, &format!("accounts show {ADA} --export {{home}}/out.json {words}"));
    show("--strip token,scopes,account --strip expiry").run();
    assert_eq!(exported(&home).get("account"), None);
    show("--force --strip refreshtoken")
        .status(2)
        .says("no field refreshtoken")
        .tries("refresh_token")
        .run();
    let json = show("--force --format json").run().json();
    assert_eq!((&json["account"], exported(&home)["account"].as_str()), (&json!(ADA), Some(ADA)));
}

#[test]
fn nothing_is_overwritten_without_a_word() {
    let home = signed_in(&[(ADA, login(ADA))]);
    let show = |words: &str| at(&home, &format!("accounts show {ADA} --export {words}"));
    home.write("out.json", "mine");
    show("{home}/out.json").status(9).says("is there already").tries("--force").run();
    std::os::unix::fs::symlink("/nowhere/x", home.path("link")).expect("a link");
    show("{home}/link").status(9).says("is there already").run();
    show("-").status(9).says("would put a login on standard output").run();
    show("{home}").status(2).says("is a folder").run();
    show("{home}/none/out.json").status(1).says("cannot be written").run();
    assert_eq!(home.read("out.json"), "mine");
    // A link is replaced itself, and not what it leads to.
    show("{home}/link --force").run();
    assert!(home.path("link").symlink_metadata().expect("file").is_file());
}

#[test]
fn a_key_is_exported_whole() {
    let home = signed_in(&[(ROBOT, service_account())]);
    at(&home, &format!("accounts show {ROBOT} --export {{home}}/out.json")).run();
    assert_eq!(exported(&home), service_account());
    home.write(&place("junk"), "junk");
    at(&home, "accounts show junk --export {home}/other.json")
        .status(8)
        .says("is not valid JSON")
        .run();
}

#[cfg(feature = "gcloud-store")]
#[test]
fn gclouds_login_is_exported_with_its_newest_refresh_token() {
    let home = signed_in(&[]);
    super::in_gcloud(
        &home,
        &[(ADA, samples::with(login(""), &json!({"account": null, "revoke_uri": "https://x/"})))],
    );
    let answer = json!({"access_token": samples::TOKEN, "expires_in": 3599, "refresh_token": samples::ROTATED});
    at(&home, "token").google(crate::support::token(200, answer.to_string())).run();
    at(&home, "accounts show ada@example.com --export {home}/out.json").run();
    let exported = exported(&home);
    assert_eq!(
        (&exported["refresh_token"], exported.get("revoke_uri")),
        (&json!(samples::ROTATED), None)
    );
    // And is good for what reads credential files.
    let granted = crate::support::token(200, samples::granted(samples::SECOND));
    let ran = Test::new("token --credentials {home}/out.json").home(&home).google(granted).run();
    assert_eq!(ran.sent[0].field("refresh_token"), samples::ROTATED);
}
