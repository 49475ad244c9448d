//! What `gauth status` says: the truth, without asking anybody.

use serde_json::json;

use super::{PLACES, login, machine, yes};
use crate::support::samples::{ROBOT, service_account, with};
use crate::support::{ADC, Home, Test, metadata, ping};

/// On a terminal where nothing has to be wrapped.
fn wide(words: &str) -> Test {
    Test::new(words).env("COLUMNS", "200")
}

#[test]
fn every_place_is_marked_where_it_is_used() {
    for (first, used) in PLACES.iter().enumerate() {
        let made =
            |words| PLACES[first..].iter().fold(wide(words), |test, place| (place.make)(test));
        let text = made("status").run().stdout;
        let marked: Vec<&str> = text.lines().filter(|line| line.contains("← used")).collect();
        assert_eq!(marked.len(), 1, "{text}");
        if let Some(account) = used.account {
            assert!(text.starts_with(&format!("using    {account}, user login, from ")), "{text}");
            assert!(marked[0].contains(account), "{text}");
        }
        let json = made("status --format json").run().json();
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
    let adc = with(login("ada@example.com"), &json!({"quota_project_id": "payer"}));
    home.write(ADC, adc.to_string());
    super::configuration(&home, "default", "[core]\nproject = my-project\n");
    Test::new("token").home(&home).google(yes()).run();
    home.clock.advance(600);
    Test::new("status")
        .home(&home)
        .env("NO_GCE_CHECK", "true")
        .stdout(
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
        .stdout(
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
    assert_eq!(
        (&json["using"], json["looked_at"].as_array().map(Vec::len)),
        (&json!(null), Some(7))
    );
}

#[test]
fn something_broken_is_shown_and_not_passed_over() {
    let test = |words| {
        wide(words)
            .env("GOOGLE_APPLICATION_CREDENTIALS", "{home}/nosuch.json")
            .json(ADC, &login("ada@example.com"))
    };
    let text = test("status").run().stdout;
    assert!(
        text.starts_with("using    nothing, a credential is there but cannot be used\n"),
        "{text}"
    );
    assert!(
        text.contains("nosuch.json (GOOGLE_APPLICATION_CREDENTIALS): there is no such file"),
        "{text}"
    );
    assert!(!text.contains("← used"), "{text}");
    let json = test("status --format json").run().json();
    assert_eq!(json["using"], json!(null));
    assert_eq!(json["looked_at"][2]["state"], "broken");
}

#[cfg(feature = "gcloud-store")]
#[test]
fn two_people_are_worth_a_line() {
    let test = |words| {
        Test::new(words).json(ADC, &login("ada@example.com")).step(|home| {
            super::configuration(home, "default", "[core]\naccount = bob@example.com\n");
            super::store(home, &[("bob@example.com", login(""))]);
        })
    };
    let text = test("status").run().stdout;
    assert!(text.ends_with("\nnote: gcloud itself acts as bob@example.com\n"), "{text}");
    let json = test("status --format json").run().json();
    assert_eq!(json["note"], "gcloud itself acts as bob@example.com");
}

#[test]
fn what_was_named_is_used_whatever_lies_about() {
    let test = wide("status --credentials {home}/key.json");
    let text = test.json("key.json", &service_account()).json(ADC, &login("a@b")).run().stdout;
    let first = format!("using    {ROBOT}, service account, from ~/key.json\n");
    assert!(text.starts_with(&first), "{text}");
    assert!(text.contains("project  example-project (in the credential)\n"), "{text}");
    assert!(!text.contains("← used"), "{text}");
    Test::new("status --credentials {home}/nosuch.json").status(8).says("no such file").run();
    Test::new("status --account x@y")
        .env("NO_GCE_CHECK", "1")
        .status(3)
        .says("x@y is no login")
        .run();
}

#[test]
fn another_universe_is_said() {
    let robot =
        with(service_account(), &json!({"universe_domain": "universe.example", "token_uri": null}));
    let text =
        Test::new("status --credentials {home}/key.json").json("key.json", &robot).run().stdout;
    assert!(text.contains("\nuniverse universe.example\n"), "{text}");
}

#[test]
fn with_check_the_servers_are_asked() {
    let text =
        Test::new("status --check").json(ADC, &login("ada@example.com")).google(yes()).run().stdout;
    assert!(text.contains("token    new, 59 min left (expires 2026-01-02T04:04:04Z)\n"), "{text}");
    let text = wide("status --check")
        .google(ping())
        .google(machine())
        .google(metadata(
            "instance/service-accounts/default/email",
            200,
            "sa@p.iam.gserviceaccount.com\n",
        ))
        .google(metadata("project/project-id", 200, "p"))
        .google(metadata("universe/universe-domain", 404, ""))
        .run()
        .stdout;
    let first = "using    sa@p.iam.gserviceaccount.com, metadata server's account, from the metadata server";
    assert!(text.starts_with(first), "{text}");
    assert!(text.contains("project  p (in the credential)\n"), "{text}");
    assert!(text.contains("  metadata   ← used\n"), "{text}");
    // Whose a login without a name is, Google tells.
    let text = Test::new("status --check")
        .json(ADC, &with(login(""), &json!({"account": null})))
        .google_times(2, &yes())
        .google(
            crate::support::token(200, r#"{"exp":"1767326645","email":"ada@example.com"}"#)
                .url("https://oauth2.googleapis.com/tokeninfo"),
        )
        .run()
        .stdout;
    assert!(text.starts_with("using    ada@example.com, user login, from"), "{text}");
    let refused = crate::support::token(400, r#"{"error":"invalid_grant"}"#);
    let test = Test::new("status --check").json(ADC, &login("ada@example.com")).google(refused);
    test.status(4).says("ada@example.com must sign in again").run();
}

#[test]
fn odd_names_are_made_printable() {
    let odd = login("a\u{1b}[31m\u{202e}b@example.com");
    let text = Test::new("status").json(ADC, &odd).run().stdout;
    assert!(text.contains("a\\u{1b}[31m\\u{202e}b@example.com"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
}
