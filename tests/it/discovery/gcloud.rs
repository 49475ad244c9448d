//! gcloud's folder: configurations, properties, and the kinds of accounts in its store.

use serde_json::{Value, json};

use super::{assert_uses, login_json, token_endpoint_success, write_gcloud_configuration, write_gcloud_store};
use crate::support::sample_credentials::{
    RAPT, SECOND_TOKEN, SERVICE_ACCOUNT_EMAIL, TOKEN, service_account, token_response_body, with_fields,
};
use crate::support::{GCLOUD_FOLDER, Home, MockExchange, Test, iam_response, metadata_response, token_response};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

fn gcloud_test() -> Test {
    Test::new("token --format json --source gcloud")
}

/// Two configurations and two accounts.
fn two_configurations(home: &Home) {
    write_gcloud_configuration(home, "default", "[core]\naccount = ada@example.com\n");
    write_gcloud_configuration(home, "work", "[core]\naccount = bob@example.com\n");
    write_gcloud_store(home, &[(ADA, login_json("")), (BOB, login_json(""))]);
}

#[test]
fn the_active_configuration_names_the_account() {
    assert_uses(gcloud_test().setup(two_configurations).expect_request(token_endpoint_success()), "gcloud", Some(ADA));
    let file = gcloud_test().setup(two_configurations).file(&format!("{GCLOUD_FOLDER}/active_config"), "work");
    assert_uses(file.expect_request(token_endpoint_success()), "gcloud", Some(BOB));
    let variable = gcloud_test().setup(two_configurations).env("CLOUDSDK_ACTIVE_CONFIG_NAME", "work");
    assert_uses(variable.expect_request(token_endpoint_success()), "gcloud", Some(BOB));
    let account = gcloud_test().setup(two_configurations).env("CLOUDSDK_CORE_ACCOUNT", BOB);
    assert_uses(account.expect_request(token_endpoint_success()), "gcloud", Some(BOB));
}

#[test]
fn an_unset_account_means_no_gcloud_credential() {
    let none: &[fn(Test) -> Test] = &[
        |test| test.env("CLOUDSDK_CORE_ACCOUNT", ""),
        |test| test.env("CLOUDSDK_ACTIVE_CONFIG_NAME", "NONE"),
        |test| test.env("CLOUDSDK_ACTIVE_CONFIG_NAME", "nosuch"),
    ];
    for none in none {
        none(gcloud_test().setup(two_configurations))
            .expect_status(3)
            .expect_error("gcloud's account: no account is set")
            .run();
    }
    gcloud_test()
        .setup(|home| write_gcloud_configuration(home, "default", "[core]\naccount = ada@example.com\n"))
        .expect_status(3)
        .expect_error("ada@example.com is set, but no login is stored")
        .run();
    gcloud_test()
        .setup(two_configurations)
        .env("CLOUDSDK_CORE_ACCOUNT", "eve@example.com")
        .expect_status(3)
        .expect_error("gcloud's account eve@example.com has no login in HOME/.config/gcloud/credentials.db")
        .expect_hint("gcloud auth login eve@example.com")
        .run();
}

#[test]
fn a_credential_file_override_replaces_the_account() {
    let token_file = gcloud_test().setup(two_configurations).file("token", format!("{TOKEN}\n"));
    let token_file = token_file.env("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "{home}/nosuch");
    let token_file = token_file.setup(|home| {
        let path = home.path("token");
        let content = format!("[auth]\naccess_token_file = {}\n", path.display());
        write_gcloud_configuration(home, "default", &content);
    });
    assert_uses(token_file, "gcloud", None);
    let credential = gcloud_test().setup(two_configurations).json("key.json", &service_account());
    let credential = credential.env("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "{home}/key.json");
    assert_uses(credential.expect_request(token_endpoint_success()), "gcloud", Some(SERVICE_ACCOUNT_EMAIL));
    gcloud_test()
        .setup(two_configurations)
        .env("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "{home}/key.json")
        .file("key.json", "{}")
        .expect_status(8)
        .expect_error("HOME/key.json (CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE): type is missing")
        .run();
}

/// What is asked for when an account acts as another one.
fn impersonate(test: Test, account: &str) -> Test {
    let answer = json!({"accessToken": SECOND_TOKEN, "expireTime": "2026-01-02T04:04:05Z"});
    test.expect_request(token_endpoint_success()).expect_request(iam_response(
        account,
        "generateAccessToken",
        200,
        answer.to_string(),
    ))
}

const CI_SERVICE_ACCOUNT: &str = "ci@p.iam.gserviceaccount.com";

#[test]
fn impersonation_is_a_property_and_its_variable() {
    let variable =
        || gcloud_test().setup(two_configurations).env("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", CI_SERVICE_ACCOUNT);
    assert_uses(impersonate(variable(), CI_SERVICE_ACCOUNT), "gcloud", Some(CI_SERVICE_ACCOUNT));
    let property = || {
        let content = format!("[core]\naccount = {ADA}\n[auth]\nimpersonate_service_account = {CI_SERVICE_ACCOUNT}\n");
        gcloud_test().setup(two_configurations).file(&format!("{GCLOUD_FOLDER}/configurations/config_default"), content)
    };
    assert_uses(impersonate(property(), CI_SERVICE_ACCOUNT), "gcloud", Some(CI_SERVICE_ACCOUNT));
    // Each goes before the next: flag, gauth's variable, gcloud's variable, gcloud's property.
    let other = "other@p.iam.gserviceaccount.com";
    for (name, value) in
        [("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", other), ("GAUTH_IMPERSONATE_SERVICE_ACCOUNT", other)]
    {
        assert_uses(impersonate(property().env(name, value), other), "gcloud", Some(other));
    }
    let both = || variable().env("GAUTH_IMPERSONATE_SERVICE_ACCOUNT", other);
    assert_uses(impersonate(both(), other), "gcloud", Some(other));
    let third = "third@p.iam.gserviceaccount.com";
    let flag = both().arg("--impersonate-service-account").arg(third);
    assert_uses(impersonate(flag, third), "gcloud", Some(third));
    // An empty variable unsets what the file says.
    let empty = property().env("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", "");
    assert_uses(empty.expect_request(token_endpoint_success()), "gcloud", Some(ADA));
}

#[test]
fn an_empty_impersonation_target_is_refused() {
    for odd in ["ci", "a@b", "ci@p.iam.gserviceaccount.com,", "a b@c.d", ",", "ci@p.example/x"] {
        let content = format!("[core]\naccount = {ADA}\n[auth]\nimpersonate_service_account = {odd}\n");
        gcloud_test()
            .setup(two_configurations)
            .file(&format!("{GCLOUD_FOLDER}/configurations/config_default"), content)
            .expect_status(2)
            .expect_error("config_default")
            .expect_error("is not a service account")
            .run();
    }
}

fn single_account_store(kind: Value) -> impl Fn(&Home) {
    move |home| {
        write_gcloud_configuration(home, "default", "[core]\naccount = ada@example.com\n");
        write_gcloud_store(home, &[(ADA, kind.clone())]);
    }
}

#[test]
fn every_credential_type_of_the_store_is_used_or_refused() {
    let robot = with_fields(service_account(), &json!({"client_email": ADA}));
    assert_uses(
        gcloud_test().setup(single_account_store(robot)).expect_request(token_endpoint_success()),
        "gcloud",
        Some(ADA),
    );
    let machine = metadata_response("instance/service-accounts/ada@example.com/token", 200, token_response_body(TOKEN));
    assert_uses(
        gcloud_test().setup(single_account_store(json!({"type": "gce"}))).expect_request(machine),
        "gcloud",
        Some(ADA),
    );
    for (row, words) in [
        (json!({"type": "nosuch"}), "type is \"nosuch\", known are"),
        (json!({"type": "authorized_user"}), "client_id is missing"),
        (json!({"type": "external_account"}), "audience is missing"),
        (json!({"type": "external_account_authorized_user"}), "client_id is missing"),
        (json!({"type": "impersonated_service_account"}), "service_account_impersonation_url is missing"),
        (json!([]), "is JSON, but not an object"),
        (with_fields(login_json(""), &json!({"refresh_token": ""})), "refresh_token is empty"),
    ] {
        let test = gcloud_test().setup(single_account_store(row)).expect_status(8);
        test.expect_error("HOME/.config/gcloud/credentials.db: ").expect_error(words).run();
    }
}

#[test]
fn the_rapt_is_sent_with_the_refresh() {
    let ran = gcloud_test()
        .setup(single_account_store(login_json("")))
        .setup(|home| {
            home.write(&format!("{GCLOUD_FOLDER}/access_tokens.db"), "");
            let base = rusqlite::Connection::open(home.path(&format!("{GCLOUD_FOLDER}/access_tokens.db"))).expect("a database");
            base.execute_batch(&format!(
                "CREATE TABLE access_tokens (account_id TEXT PRIMARY KEY, access_token TEXT, token_expiry TIMESTAMP, rapt_token TEXT, id_token TEXT);
                 INSERT INTO access_tokens VALUES ('{ADA}', 'ya29.gclouds-own-token', '2026-01-02 04:00:00', '{RAPT}', NULL);"
            ))
            .expect("a row");
        })
        .expect_request(token_endpoint_success())
        .run();
    assert_eq!(ran.requests[0].form_field("rapt"), RAPT);
}

#[test]
fn a_login_that_has_ended_names_gclouds_command() {
    gcloud_test()
        .setup(single_account_store(login_json("")))
        .expect_request(token_response(400, r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#))
        .expect_status(4)
        .expect_stderr(
            "gauth: ada@example.com must sign in again, Google says invalid_grant: \"Token has been expired or revoked.\"\n\
             try: gcloud auth login ada@example.com\n",
        )
        .run();
}

#[test]
fn a_broken_store_is_named() {
    let database = format!("{GCLOUD_FOLDER}/credentials.db");
    for (content, words) in [("", "a table is missing"), ("junk", "is not a database")] {
        gcloud_test()
            .setup(|home| write_gcloud_configuration(home, "default", "[core]\naccount = ada@example.com\n"))
            .file(&database, content)
            .expect_status(8)
            .expect_error("HOME/.config/gcloud/credentials.db: ")
            .expect_error(words)
            .run();
    }
}

#[test]
fn a_cached_token_needs_no_database_to_be_opened() {
    let home = Home::new();
    gcloud_test().home(&home).setup(two_configurations).expect_request(token_endpoint_success()).run();
    // Readable or not, the file is the same one: nobody looks inside.
    let ran = gcloud_test().home(&home).run();
    assert_eq!((&ran.json()["cached"], &ran.json()["account"]), (&json!(true), &json!(ADA)));
}

#[test]
fn gclouds_account_properties_apply() {
    let elsewhere = "https://sts.corp.example/token";
    let answer: MockExchange = token_endpoint_success().at_url(elsewhere);
    let content = format!("[core]\naccount = {ADA}\n[auth]\ntoken_host = {elsewhere}\n");
    let test = gcloud_test()
        .setup(two_configurations)
        .file(&format!("{GCLOUD_FOLDER}/configurations/config_default"), content);
    assert_uses(test.expect_request(answer), "gcloud", Some(ADA));
    let signing = gcloud_test()
        .setup(single_account_store(with_fields(service_account(), &json!({"client_email": ADA}))))
        .env("CLOUDSDK_AUTH_SERVICE_ACCOUNT_USE_SELF_SIGNED_JWT", "true");
    let token = signing.run().json()["token"].as_str().expect("a token").to_owned();
    assert!(token.starts_with("eyJ"), "{token}");
}

#[test]
fn nothing_is_written_into_gclouds_folder() {
    let home = Home::new();
    gcloud_test().home(&home).setup(two_configurations).expect_request(token_endpoint_success()).run();
    Test::new("status").home(&home).run();
    let names = home.names(GCLOUD_FOLDER);
    assert_eq!(names, ["configurations", "credentials.db"]);
}
