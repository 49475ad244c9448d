//! The report of `gauth status`, which sends no request without `--check`.

use serde_json::json;

use super::{SOURCES, login_json, metadata_server_success, token_endpoint_success};
use crate::support::sample_credentials::{SERVICE_ACCOUNT_EMAIL, service_account, with_fields};
use crate::support::{ADC_FILE, Home, Test, metadata_ping, metadata_response};

/// On a terminal so wide that nothing is wrapped.
fn status_on_wide_terminal(args: &str) -> Test {
    Test::new(args).env("COLUMNS", "200")
}

#[test]
fn every_source_is_marked_as_used_when_it_is() {
    for (first, used) in SOURCES.iter().enumerate() {
        let test =
            |args| SOURCES[first..].iter().fold(status_on_wide_terminal(args), |test, source| (source.setup)(test));
        let text = test("status").run().stdout;
        let marked: Vec<&str> = text.lines().filter(|line| line.contains("← used")).collect();
        assert_eq!(marked.len(), 1, "{text}");
        if let Some(account) = used.account {
            assert!(text.starts_with(&format!("using    {account}, user login, from ")), "{text}");
            assert!(marked[0].contains(account), "{text}");
        }
        let json = test("status --format json").run().json();
        assert_eq!(json["using"]["source"], used.source);
        assert_eq!(json["using"]["account"], json!(used.account));
        let rows = json["looked_at"].as_array().expect("rows");
        let marked: Vec<_> = rows.iter().filter(|row| row["used"] == true).collect();
        assert_eq!((marked.len(), &marked[0]["account"]), (1, &json!(used.account)), "{json:#}");
        assert_eq!(marked[0]["state"], "found");
    }
}

#[test]
fn a_cached_login_with_its_projects() {
    let home = Home::new();
    let adc = with_fields(login_json("ada@example.com"), &json!({"quota_project_id": "payer"}));
    home.write(ADC_FILE, adc.to_string());
    super::write_gcloud_configuration(&home, "default", "[core]\nproject = my-project\n");
    Test::new("token").home(&home).expect_request(token_endpoint_success()).run();
    home.clock.advance(600);
    Test::new("status")
        .home(&home)
        .env("NO_GCE_CHECK", "true")
        .expect_stdout(
            "using    ada@example.com, user login, from
         ~/.config/gcloud/application_default_credentials.json
token    cached, 49 min left (expires 2026-01-02T04:04:04Z)
project  my-project (gcloud configuration \"default\"), quota project payer (in
         the credential)

   looked at                                found
1  CLOUDSDK_AUTH_ACCESS_TOKEN and the like  not set
2  GAUTH_CREDENTIALS                        not set
   GOOGLE_APPLICATION_CREDENTIALS           not set
3  gauth's active account                   none
4  ~/.config/gcloud/application_d…als.json
     ada@example.com, authorized_user   ← used
5  gcloud's account                         no account is set
6  metadata server                          not asked
",
        )
        .run();
    let token = json!({"cached": true, "expires_at": "2026-01-02T04:04:04Z", "expires_in": 2999, "scopes": null});
    let json = Test::new("status --format json").home(&home).run().json();
    assert_eq!(json["using"]["token"], token);
    assert_eq!(json["using"]["project"], "my-project");
    assert_eq!(json["using"]["quota_project"], "payer");
    home.clock.advance(3600);
    let expired = Test::new("status").home(&home).run().stdout;
    assert!(expired.contains("token    cached, expired (2026-01-02T04:04:04Z)\n"), "{expired}");
}

#[test]
fn nothing_found() {
    Test::new("status")
        .env("NO_GCE_CHECK", "true")
        .expect_stdout(
            "using    nothing, no credential found
try      gauth login, or set GOOGLE_APPLICATION_CREDENTIALS to a credential file

   looked at                                found
1  CLOUDSDK_AUTH_ACCESS_TOKEN and the like  not set
2  GAUTH_CREDENTIALS                        not set
   GOOGLE_APPLICATION_CREDENTIALS           not set
3  gauth's active account                   none
4  ~/.config/gcloud/application_d…als.json  not there
5  gcloud's account                         no account is set
6  metadata server                          NO_GCE_CHECK says there is none
",
        )
        .run();
    let json = Test::new("status --format json").env("NO_GCE_CHECK", "true").run().json();
    assert_eq!((&json["using"], json["looked_at"].as_array().map(Vec::len)), (&json!(null), Some(7)));
}

#[test]
fn a_broken_source_is_shown_and_ends_the_search() {
    let test = |args| {
        status_on_wide_terminal(args)
            .env("GOOGLE_APPLICATION_CREDENTIALS", "{home}/nosuch.json")
            .json(ADC_FILE, &login_json("ada@example.com"))
    };
    let text = test("status").run().stdout;
    assert!(text.starts_with("using    nothing, a credential is there but cannot be used\n"), "{text}");
    assert!(text.contains("nosuch.json (GOOGLE_APPLICATION_CREDENTIALS): there is no such file"), "{text}");
    assert!(!text.contains("← used"), "{text}");
    let json = test("status --format json").run().json();
    assert_eq!(json["using"], json!(null));
    assert_eq!(json["looked_at"][2]["state"], "broken");
}

#[cfg(feature = "gcloud-store")]
#[test]
fn different_accounts_of_two_sources_are_pointed_out() {
    let test = |args| {
        Test::new(args).json(ADC_FILE, &login_json("ada@example.com")).setup(|home| {
            super::write_gcloud_configuration(home, "default", "[core]\naccount = bob@example.com\n");
            super::write_gcloud_store(home, &[("bob@example.com", login_json(""))]);
        })
    };
    let text = test("status").run().stdout;
    assert!(text.ends_with("\nnote: gcloud itself acts as bob@example.com\n"), "{text}");
    let json = test("status --format json").run().json();
    assert_eq!(json["note"], "gcloud itself acts as bob@example.com");
}

#[test]
fn a_named_credential_is_used_whatever_else_exists() {
    let test = status_on_wide_terminal("status --credentials {home}/key.json");
    let text = test.json("key.json", &service_account()).json(ADC_FILE, &login_json("a@b")).run().stdout;
    let first = format!("using    {SERVICE_ACCOUNT_EMAIL}, service account, from ~/key.json\n");
    assert!(text.starts_with(&first), "{text}");
    assert!(text.contains("project  example-project (in the credential)\n"), "{text}");
    let row = format!("   named by flag, variable or profile  {SERVICE_ACCOUNT_EMAIL}, service_account   ← used\n");
    assert!(without_padding(&text).contains(&without_padding(&row)), "{text}");
    assert_eq!(text.matches("← used").count(), 1, "{text}");
    Test::new("status --credentials {home}/nosuch.json").expect_status(8).expect_error("no such file").run();
    Test::new("status --account x@y")
        .env("NO_GCE_CHECK", "1")
        .expect_status(3)
        .expect_error("neither gauth nor gcloud has a login for x@y")
        .run();
}

/// A text with one space for each run of them.
fn without_padding(text: &str) -> String {
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_default_of_config_toml_is_a_row_in_its_place() {
    let test = |args| {
        Test::new(args)
            .setup(|home| {
                let path = home.path("default.json");
                let config = format!("credentials = \"{}\"\n", path.display());
                home.write(".config/gauth/config.toml", config);
            })
            .json("default.json", &login_json("default@example.com"))
            .json(ADC_FILE, &login_json("adc@example.com"))
    };
    let json = test("status --format json").run().json();
    let rows = json["looked_at"].as_array().expect("rows");
    let used = &rows[3];
    assert_eq!((rows.len(), &used["number"], &used["used"]), (8, &json!(null), &json!(true)));
    assert_eq!(used["account"], "default@example.com");
    assert_eq!(json["using"]["source"], "file");
    let variable = test("status --format json").env("GOOGLE_OAUTH_ACCESS_TOKEN", "ya29.a");
    let json = variable.run().json();
    assert_eq!((&json["using"]["source"], &json["looked_at"][0]["used"]), (&json!("env"), &json!(true)));
    let broken = test("status").file(".config/gauth/config.toml", "credentials = \"/nosuch.json\"");
    broken.expect_status(8).expect_error("/nosuch.json").run();
}

#[test]
fn another_universe_is_reported() {
    let key = with_fields(service_account(), &json!({"universe_domain": "universe.example", "token_uri": null}));
    let text = Test::new("status --credentials {home}/key.json").json("key.json", &key).run().stdout;
    assert!(text.contains("\nuniverse universe.example\n"), "{text}");
}

#[test]
fn check_contacts_the_servers() {
    let text = Test::new("status --check")
        .json(ADC_FILE, &login_json("ada@example.com"))
        .expect_request(token_endpoint_success())
        .run()
        .stdout;
    assert!(text.contains("token    new, 59 min left (expires 2026-01-02T04:04:04Z)\n"), "{text}");
    let text = status_on_wide_terminal("status --check")
        .expect_request(metadata_ping())
        .expect_request(metadata_server_success())
        .expect_request(metadata_response(
            "instance/service-accounts/default/email",
            200,
            "sa@p.iam.gserviceaccount.com\n",
        ))
        .expect_request(metadata_response("project/project-id", 200, "p"))
        .expect_request(metadata_response("universe/universe-domain", 404, ""))
        .run()
        .stdout;
    let first = "using    sa@p.iam.gserviceaccount.com, metadata server's account, from the metadata server";
    assert!(text.starts_with(first), "{text}");
    assert!(text.contains("project  p (in the credential)\n"), "{text}");
    assert!(text.contains("  metadata   ← used\n"), "{text}");
    // Google's tokeninfo endpoint names the account of a login without one.
    let text = Test::new("status --check")
        .json(ADC_FILE, &with_fields(login_json(""), &json!({"account": null})))
        .expect_requests(2, &token_endpoint_success())
        .expect_request(
            crate::support::token_response(200, r#"{"exp":"1767326645","email":"ada@example.com"}"#)
                .at_url("https://oauth2.googleapis.com/tokeninfo"),
        )
        .run()
        .stdout;
    assert!(text.starts_with("using    ada@example.com, user login, from"), "{text}");
    let refused = crate::support::token_response(400, r#"{"error":"invalid_grant"}"#);
    let test = Test::new("status --check").json(ADC_FILE, &login_json("ada@example.com")).expect_request(refused);
    test.expect_status(4).expect_error("ada@example.com must sign in again").run();
}

#[test]
fn control_characters_in_names_are_escaped() {
    let odd = login_json("a\u{1b}[31m\u{202e}b@example.com");
    let text = Test::new("status").json(ADC_FILE, &odd).run().stdout;
    assert!(text.contains("a\\u{1b}[31m\\u{202e}b@example.com"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
}
