//! gcloud's folder: configurations, properties, and the kinds of accounts in its store.

use serde_json::{Value, json};

use super::{configuration, login, store, uses, yes};
use crate::support::samples::{RAPT, ROBOT, SECOND, TOKEN, granted, service_account, with};
use crate::support::{Exchange, GCLOUD, Home, Test, iam, metadata, token};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

fn wanted() -> Test {
    Test::new("token --format json --source gcloud")
}

/// Two configurations and two accounts.
fn two(home: &Home) {
    configuration(home, "default", "[core]\naccount = ada@example.com\n");
    configuration(home, "work", "[core]\naccount = bob@example.com\n");
    store(home, &[(ADA, login("")), (BOB, login(""))]);
}

#[test]
fn the_active_configuration_names_the_account() {
    uses(wanted().step(two).google(yes()), "gcloud", Some(ADA));
    let file = wanted().step(two).file(&format!("{GCLOUD}/active_config"), "work");
    uses(file.google(yes()), "gcloud", Some(BOB));
    let variable = wanted().step(two).env("CLOUDSDK_ACTIVE_CONFIG_NAME", "work");
    uses(variable.google(yes()), "gcloud", Some(BOB));
    let account = wanted().step(two).env("CLOUDSDK_CORE_ACCOUNT", BOB);
    uses(account.google(yes()), "gcloud", Some(BOB));
}

#[test]
fn no_account_is_no_account() {
    let none: &[fn(Test) -> Test] = &[
        |test| test.env("CLOUDSDK_CORE_ACCOUNT", ""),
        |test| test.env("CLOUDSDK_ACTIVE_CONFIG_NAME", "NONE"),
        |test| test.env("CLOUDSDK_ACTIVE_CONFIG_NAME", "nosuch"),
    ];
    for none in none {
        none(wanted().step(two)).status(3).says("gcloud's account: no account is set").run();
    }
    wanted()
        .step(|home| configuration(home, "default", "[core]\naccount = ada@example.com\n"))
        .status(3)
        .says("ada@example.com is set, but no login is stored")
        .run();
    wanted()
        .step(two)
        .env("CLOUDSDK_CORE_ACCOUNT", "eve@example.com")
        .status(3)
        .says("gcloud's account eve@example.com has no login in HOME/.config/gcloud/credentials.db")
        .tries("gcloud auth login eve@example.com")
        .run();
}

#[test]
fn a_file_in_place_of_the_account() {
    let token_file = wanted().step(two).file("token", format!("{TOKEN}\n"));
    let token_file = token_file.env("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "{home}/nosuch");
    let token_file = token_file.step(|home| {
        let path = home.path("token");
        let content = format!("[auth]\naccess_token_file = {}\n", path.display());
        configuration(home, "default", &content);
    });
    uses(token_file, "gcloud", None);
    let credential = wanted().step(two).json("key.json", &service_account());
    let credential = credential.env("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "{home}/key.json");
    uses(credential.google(yes()), "gcloud", Some(ROBOT));
    wanted()
        .step(two)
        .env("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "{home}/key.json")
        .file("key.json", "{}")
        .status(8)
        .says("HOME/key.json (CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE): type is missing")
        .run();
}

/// What is asked for when an account acts as another one.
fn acting(test: Test, account: &str) -> Test {
    let answer = json!({"accessToken": SECOND, "expireTime": "2026-01-02T04:04:05Z"});
    test.google(yes()).google(iam(account, "generateAccessToken", 200, answer.to_string()))
}

const CI: &str = "ci@p.iam.gserviceaccount.com";

#[test]
fn impersonation_is_a_property_and_its_variable() {
    let variable = || wanted().step(two).env("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", CI);
    uses(acting(variable(), CI), "gcloud", Some(CI));
    let property = || {
        let content =
            format!("[core]\naccount = {ADA}\n[auth]\nimpersonate_service_account = {CI}\n");
        wanted().step(two).file(&format!("{GCLOUD}/configurations/config_default"), content)
    };
    uses(acting(property(), CI), "gcloud", Some(CI));
    // Each goes before the next: flag, gauth's variable, gcloud's variable, gcloud's property.
    let other = "other@p.iam.gserviceaccount.com";
    for (name, value) in [
        ("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", other),
        ("GAUTH_IMPERSONATE_SERVICE_ACCOUNT", other),
    ] {
        uses(acting(property().env(name, value), other), "gcloud", Some(other));
    }
    let both = || variable().env("GAUTH_IMPERSONATE_SERVICE_ACCOUNT", other);
    uses(acting(both(), other), "gcloud", Some(other));
    let third = "third@p.iam.gserviceaccount.com";
    let flag = both().word("--impersonate-service-account").word(third);
    uses(acting(flag, third), "gcloud", Some(third));
    // An empty variable unsets what the file says.
    let empty = property().env("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", "");
    uses(empty.google(yes()), "gcloud", Some(ADA));
}

#[test]
fn impersonation_of_nobody_in_particular_is_refused() {
    for odd in ["ci", "a@b", "ci@p.iam.gserviceaccount.com,", "a b@c.d", ",", "ci@p.example/x"] {
        let content =
            format!("[core]\naccount = {ADA}\n[auth]\nimpersonate_service_account = {odd}\n");
        wanted()
            .step(two)
            .file(&format!("{GCLOUD}/configurations/config_default"), content)
            .status(2)
            .says("config_default")
            .says("is no service account")
            .run();
    }
}

fn one(kind: Value) -> impl Fn(&Home) {
    move |home| {
        configuration(home, "default", "[core]\naccount = ada@example.com\n");
        store(home, &[(ADA, kind.clone())]);
    }
}

#[test]
fn every_kind_of_row_is_used_or_refused() {
    let robot = with(service_account(), &json!({"client_email": ADA}));
    uses(wanted().step(one(robot)).google(yes()), "gcloud", Some(ADA));
    let machine = metadata("instance/service-accounts/ada@example.com/token", 200, granted(TOKEN));
    uses(wanted().step(one(json!({"type": "gce"}))).google(machine), "gcloud", Some(ADA));
    for (row, words) in [
        (json!({"type": "nosuch"}), "type is \"nosuch\", known are"),
        (json!({"type": "authorized_user"}), "client_id is missing"),
        (json!({"type": "external_account"}), "audience is missing"),
        (json!({"type": "external_account_authorized_user"}), "client_id is missing"),
        (
            json!({"type": "impersonated_service_account"}),
            "service_account_impersonation_url is missing",
        ),
        (json!([]), "is JSON, but not an object"),
        (with(login(""), &json!({"refresh_token": ""})), "refresh_token is empty"),
    ] {
        let test = wanted().step(one(row)).status(8);
        test.says("HOME/.config/gcloud/credentials.db: ").says(words).run();
    }
}

#[test]
fn the_proof_of_reauthentication_is_sent_along() {
    let ran = wanted()
        .step(one(login("")))
        .step(|home| {
            home.write(&format!("{GCLOUD}/access_tokens.db"), "");
            let base = rusqlite::Connection::open(home.path(&format!("{GCLOUD}/access_tokens.db"))).expect("a database");
            base.execute_batch(&format!(
                "CREATE TABLE access_tokens (account_id TEXT PRIMARY KEY, access_token TEXT, token_expiry TIMESTAMP, rapt_token TEXT, id_token TEXT);
                 INSERT INTO access_tokens VALUES ('{ADA}', 'ya29.gclouds-own-token', '2026-01-02 04:00:00', '{RAPT}', NULL);"
            ))
            .expect("a row");
        })
        .google(yes())
        .run();
    assert_eq!(ran.sent[0].field("rapt"), RAPT);
}

#[test]
fn a_login_that_has_ended_names_gclouds_command() {
    wanted()
        .step(one(login("")))
        .google(token(400, r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#))
        .status(4)
        .stderr(
            "gauth: ada@example.com must sign in again, Google says invalid_grant: \"Token has been expired or revoked.\"\n\
             try: gcloud auth login ada@example.com\n",
        )
        .run();
}

#[test]
fn a_broken_store_is_named() {
    let database = format!("{GCLOUD}/credentials.db");
    for (content, words) in [("", "a table is missing"), ("junk", "is not a database")] {
        wanted()
            .step(|home| configuration(home, "default", "[core]\naccount = ada@example.com\n"))
            .file(&database, content)
            .status(8)
            .says("HOME/.config/gcloud/credentials.db: ")
            .says(words)
            .run();
    }
}

#[test]
fn a_cached_token_needs_no_database_to_be_opened() {
    let home = Home::new();
    wanted().home(&home).step(two).google(yes()).run();
    // Readable or not, the file is the same one: nobody looks inside.
    let ran = wanted().home(&home).run();
    assert_eq!((&ran.json()["cached"], &ran.json()["account"]), (&json!(true), &json!(ADA)));
}

#[test]
fn gclouds_settings_of_the_account_hold() {
    let elsewhere = "https://sts.corp.example/token";
    let answer: Exchange = yes().url(elsewhere);
    let content = format!("[core]\naccount = {ADA}\n[auth]\ntoken_host = {elsewhere}\n");
    let test = wanted().step(two).file(&format!("{GCLOUD}/configurations/config_default"), content);
    uses(test.google(answer), "gcloud", Some(ADA));
    let signing = wanted()
        .step(one(with(service_account(), &json!({"client_email": ADA}))))
        .env("CLOUDSDK_AUTH_SERVICE_ACCOUNT_USE_SELF_SIGNED_JWT", "true");
    let token = signing.run().json()["token"].as_str().expect("a token").to_owned();
    assert!(token.starts_with("eyJ"), "{token}");
}

#[test]
fn nothing_is_written_into_gclouds_folder() {
    let home = Home::new();
    wanted().home(&home).step(two).google(yes()).run();
    Test::new("status").home(&home).run();
    let names = home.names(GCLOUD);
    assert_eq!(names, ["configurations", "credentials.db"]);
}
