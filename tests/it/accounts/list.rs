//! `gauth accounts`: the stored logins and their state.

#[cfg(feature = "gcloud-store")]
use serde_json::Value;
use serde_json::json;

#[cfg(feature = "gcloud-store")]
use super::STATE_FILE;
use super::{ADA, BOB, gauth_in, home_with_logins, invalid_grant_response, login_file, login_json, state_json};
use crate::support::sample_credentials::{
    self, SERVICE_ACCOUNT_EMAIL, TOKEN, impersonated_service_account, service_account, token_response_body,
    workforce_login,
};
use crate::support::{Home, Test, token_response, without_response};

#[test]
fn without_logins_the_list_says_so() {
    Test::new("accounts").expect_stdout("no logins (gauth login makes one)\n").run();
    Test::new("accounts list --format json").expect_stdout("[]\n").run();
    Test::new("accounts").env("HOME", "").expect_stdout("no logins (gauth login makes one)\n").run();
}

#[test]
fn logins_are_listed_with_their_kind_and_the_active_one_marked() {
    let home = home_with_logins(&[
        (ADA, login_json(ADA)),
        (SERVICE_ACCOUNT_EMAIL, service_account()),
        ("wf", workforce_login()),
        ("acting", impersonated_service_account(login_json(ADA))),
    ]);
    gauth_in(&home, "accounts")
        .expect_stdout(
            "  ACCOUNT          KIND             FROM   STATE
  acting           impersonated     gauth  ok
* ada@example.com  user             gauth  ok
  example-sa@example-project.iam.gserviceaccount.com
                   service account  gauth  ok
  wf               workforce user   gauth  ok
",
        )
        .run();
    let rows = gauth_in(&home, "accounts --format json").run().json();
    assert_eq!(
        rows[1],
        json!({
            "account": ADA, "kind": "authorized_user", "from": "gauth", "active": true, "state": "ok",
            "detail": null, "scopes": null, "profiles": [], "universe_domain": "googleapis.com",
            "file": "HOME/.config/gauth/accounts/ada@example.com.json", "quota_project": null, "signed_in_at": null,
        })
    );
}

#[test]
fn scopes_are_shown_where_there_is_room() {
    let scopes = json!({"scopes": ["openid", "https://www.googleapis.com/auth/cloud-platform"]});
    let home = home_with_logins(&[(ADA, sample_credentials::with_fields(login_json(ADA), &scopes))]);
    gauth_in(&home, "accounts")
        .expect_stdout(
            "  ACCOUNT          KIND  FROM   SCOPES                  STATE
* ada@example.com  user  gauth  openid, cloud-platform  ok
",
        )
        .run();
    let narrow = gauth_in(&home, "accounts").env("COLUMNS", "50").run().stdout;
    assert!(narrow.contains("* ada@example.com  user  gauth  ok\n"), "{narrow}");
}

#[test]
fn a_broken_login_is_a_row_not_an_error() {
    let home = home_with_logins(&[(ADA, login_json(ADA))]);
    home.write(&login_file("junk"), "junk");
    home.write(&login_file("odd"), json!({"type": "odd"}).to_string());
    home.write_with_mode(&login_file("open"), login_json("open").to_string(), 0o644);
    home.write(&login_file("short"), json!({"type": "authorized_user"}).to_string());
    home.write(".config/gauth/accounts/.x.json.1-2.tmp", "{}");
    home.write(".config/gauth/accounts/notes.txt", "{}");
    let rows = gauth_in(&home, "accounts --format json").run().json();
    let told: Vec<(&str, &str)> = rows
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (row["account"].as_str().expect("name"), row["state"].as_str().expect("state")))
        .collect();
    let expected = [(ADA, "ok"), ("junk", "broken"), ("odd", "broken"), ("open", "broken"), ("short", "broken")];
    assert_eq!(told, expected);
    let text = gauth_in(&home, "accounts").run().stdout;
    for words in [
        "broken: is not valid JSON",
        "broken: type is \"odd\", known are",
        "broken: can be used by others",
        "broken: client_id is missing",
    ] {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_rejected_login_is_listed_as_such() {
    let home = home_with_logins(&[(ADA, login_json(ADA)), ("acting", impersonated_service_account(login_json("x@y")))]);
    gauth_in(&home, "token").expect_request(invalid_grant_response()).expect_status(4).run();
    let text = gauth_in(&home, "accounts").run().stdout;
    assert!(text.contains("* ada@example.com  user          gauth  must sign in again\n"), "{text}");
    // The other account has the same refresh token as its source.
    assert!(text.contains("  acting           impersonated  gauth  must sign in again\n"), "{text}");
    let row = gauth_in(&home, "accounts --format json").run().json()[1].clone();
    assert_eq!(row["state"], "must_sign_in_again");
    assert!(row["detail"].as_str().expect("words").contains("expired or revoked"), "{row}");
    let status = gauth_in(&home, "status").env("COLUMNS", "200").run().stdout;
    let line = "token    not cached, the next command requests one, and must sign in again: the server has refused this login\n";
    assert!(status.contains(line), "{status}");
    assert!(status.contains("ada@example.com, authorized_user, must sign in again   ← used\n"), "{status}");
    let status = gauth_in(&home, "status --format json").run().json();
    assert_eq!(status["using"]["must_sign_in_again"], true);
    // A refresh token that the server accepts again is usable again, and the rejection does not apply to another one.
    gauth_in(&home, "token --refresh").expect_request(token_response(200, token_response_body(TOKEN))).run();
    assert!(!gauth_in(&home, "accounts").run().stdout.contains("must"));
    gauth_in(&home, "token --refresh").expect_request(invalid_grant_response()).expect_status(4).run();
    home.write(
        &login_file(ADA),
        sample_credentials::with_fields(login_json(ADA), &json!({"refresh_token": "1//0another-one"})).to_string(),
    );
    assert_eq!(gauth_in(&home, "accounts --format json").run().json()[1]["state"], "ok");
}

#[test]
fn a_damaged_rejection_record_is_ignored() {
    let home = home_with_logins(&[(ADA, login_json(ADA))]);
    gauth_in(&home, "token").expect_request(invalid_grant_response()).expect_status(4).run();
    let names = home.names(crate::support::TOKEN_CACHE_FOLDER);
    let mark = names.iter().find(|name| name.ends_with(".refused")).expect("a mark");
    let mark = format!("{}/{mark}", crate::support::TOKEN_CACHE_FOLDER);
    assert!(!home.read(&mark).contains("1//0"));
    home.write(&mark, "junk");
    assert!(gauth_in(&home, "accounts").run().stdout.ends_with("gauth  ok\n"));
    gauth_in(&home, "cache clear").run();
    assert!(home.names(crate::support::TOKEN_CACHE_FOLDER).is_empty());
}

#[test]
fn with_check_every_server_gets_a_request() {
    let home = home_with_logins(&[
        (ADA, login_json(ADA)),
        (BOB, login_json(BOB)),
        ("eve@example.com", login_json("eve@example.com")),
    ]);
    // A cached token does not show whether the login is valid.
    gauth_in(&home, "token").expect_request(token_response(200, token_response_body(TOKEN))).run();
    let rows = gauth_in(&home, "accounts --check --format json")
        .expect_request(token_response(200, token_response_body(TOKEN)))
        .expect_request(invalid_grant_response())
        .expect_requests(3, &without_response(token_response(200, "")))
        .run()
        .json();
    assert_eq!([&rows[0]["state"], &rows[1]["state"], &rows[2]["state"]], ["ok", "must_sign_in_again", "no_token"]);
    let refused = token_response(403, r#"{"error":"access_denied","error_description":"Account restricted"}"#);
    let alone = home_with_logins(&[(ADA, login_json(ADA))]);
    let text = gauth_in(&alone, "accounts list --check").expect_request(refused).run().stdout;
    assert!(text.contains("no token: oauth2.googleapis.com: Google says access_denied"), "{text}");
}

#[test]
fn accounts_are_spelled_as_in_their_files() {
    let home = Home::new();
    let odd = format!("principal://iam.googleapis.com/{}/subject/x", "long/".repeat(40));
    let name = gauth_core::accounts::file_name(&odd);
    let spelled = json!({"account": odd});
    home.write(
        &format!(".config/gauth/accounts/{name}"),
        sample_credentials::with_fields(workforce_login(), &spelled).to_string(),
    );
    home.write(&login_file("ada@example.com"), login_json("Ada@Example.com").to_string());
    let rows = gauth_in(&home, "accounts --format json").run().json();
    assert_eq!((&rows[0]["account"], &rows[1]["account"]), (&json!("Ada@Example.com"), &json!(odd)));
    gauth_in(&home, "accounts use ADA@example.com").expect_stdout("gauth acts as Ada@Example.com\n").run();
    assert_eq!(state_json(&home), json!({"active": "Ada@Example.com"}));
    gauth_in(&home, "token").expect_request(token_response(200, token_response_body(TOKEN))).run();
}

#[cfg(feature = "gcloud-store")]
#[test]
fn gclouds_logins_are_listed_too() {
    let home = home_with_logins(&[(ADA, login_json(ADA))]);
    super::sign_in_to_gcloud(
        &home,
        &[
            (BOB, login_json("")),
            (
                &format!("{SERVICE_ACCOUNT_EMAIL}#universe.example"),
                sample_credentials::with_fields(service_account(), &json!({"universe_domain": "universe.example"})),
            ),
            ("machine@developer.gserviceaccount.com", json!({"type": "gce"})),
            ("broken@example.com", json!({"type": "authorized_user"})),
        ],
    );
    let text = gauth_in(&home, "accounts").run().stdout;
    let expected = "  ACCOUNT                                KIND             FROM    STATE
* ada@example.com                        user             gauth   ok
  bob@example.com                        user             gcloud  ok
  example-sa@example-project.iam.gserviceaccount.com
                                         service account  gcloud  ok
  machine@developer.gserviceaccount.com  machine          gcloud  ok
  broken@example.com                     user             gcloud
    broken: client_id is missing
";
    assert_eq!(text, expected);
    gauth_in(&home, "token --account bob@example.com").expect_request(invalid_grant_response()).expect_status(4).run();
    let rows = gauth_in(&home, "accounts --format json").run().json();
    assert_eq!(
        (&rows[1]["state"], &rows[2]["universe_domain"]),
        (&json!("must_sign_in_again"), &json!("universe.example"))
    );
    // Without an active account of gauth's, gcloud's account is active.
    home.write(STATE_FILE, "{}");
    let rows = gauth_in(&home, "accounts --format json").run().json();
    assert_eq!([&rows[0]["active"], &rows[1]["active"]], [&Value::Bool(false), &Value::Bool(true)]);
    home.write(".config/gcloud/credentials.db", "junk of some length, which is no database at all");
    let ran = gauth_in(&home, "accounts")
        .expect_warning("gcloud's logins are not listed, HOME/.config/gcloud/credentials.db: is not a database");
    assert!(ran.run().stdout.contains("ada@example.com"));
}

#[test]
fn invalid_arguments_are_refused() {
    for (words, says, tries) in [
        ("accounts list ada@example.com", "gauth accounts list takes no ACCOUNT", "gauth accounts show ACCOUNT"),
        ("accounts use", "no account is named", "gauth accounts use ada@example.com"),
        ("accounts show", "no account is named", "gauth accounts show ada@example.com"),
        ("accounts show x --check", "--check is a flag of gauth accounts list only", "--help"),
        ("accounts --export x", "--export is a flag of gauth accounts show only", "--help"),
        ("accounts show x --strip token", "--export is missing", "gauth accounts"),
        ("accounts delete x", "there is no action \"delete\"", "list, use, show"),
        (
            "accounts show nobody@example.com",
            "neither gauth nor gcloud has a login for nobody@example.com",
            "gauth login",
        ),
        (
            "accounts use nobody@example.com",
            "neither gauth nor gcloud has a login for nobody@example.com",
            "gauth login",
        ),
    ] {
        let status = if words.contains("nobody") { 3 } else { 2 };
        Test::new(words).expect_status(status).expect_error(says).expect_hint(tries).run();
    }
    gauth_in(&home_with_logins(&[(ADA, login_json(ADA))]), "accounts show eve@example.com")
        .expect_status(3)
        .expect_hint("or use one of ada@example.com")
        .run();
}
