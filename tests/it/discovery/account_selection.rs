//! Where an account that is named is searched.

use serde_json::json;

use super::{SOURCES, assert_uses, login_json, metadata_server_success, token_endpoint_success};
use crate::support::sample_credentials::{SERVICE_ACCOUNT_EMAIL, service_account};
use crate::support::{ADC_FILE, Test, metadata_response};

const ADA: &str = "ada@example.com";

fn account_test(account: &str) -> Test {
    Test::new("token --format json --account").arg(account)
}

fn with_own_login(test: Test) -> Test {
    test.json(".config/gauth/accounts/ada@example.com.json", &login_json(ADA))
}

#[cfg(feature = "gcloud-store")]
fn with_gcloud_login(test: Test) -> Test {
    test.setup(|home| super::write_gcloud_store(home, &[(ADA, login_json(""))]))
}

fn with_credentials_variable(test: Test) -> Test {
    test.env("GAUTH_CREDENTIALS", login_json(ADA).to_string())
}

fn with_adc_file(test: Test) -> Test {
    test.json(ADC_FILE, &login_json(ADA))
}

#[test]
fn own_logins_precede_files_and_files_precede_the_metadata_server() {
    #[cfg(feature = "gcloud-store")]
    assert_uses(
        with_adc_file(with_credentials_variable(with_gcloud_login(with_own_login(account_test(ADA)))))
            .expect_request(token_endpoint_success()),
        "login",
        Some(ADA),
    );
    #[cfg(feature = "gcloud-store")]
    assert_uses(
        with_adc_file(with_credentials_variable(with_gcloud_login(account_test(ADA))))
            .expect_request(token_endpoint_success()),
        "gcloud",
        Some(ADA),
    );
    assert_uses(
        with_adc_file(with_credentials_variable(account_test(ADA))).expect_request(token_endpoint_success()),
        "env",
        Some(ADA),
    );
    assert_uses(with_adc_file(account_test(ADA)).expect_request(token_endpoint_success()), "adc", Some(ADA));
    let path = "instance/service-accounts/ada@example.com/token";
    let test = account_test(ADA).env("GCE_METADATA_HOST", "metadata.google.internal");
    let answer = metadata_response(
        path,
        200,
        crate::support::sample_credentials::token_response_body(crate::support::sample_credentials::TOKEN),
    );
    assert_uses(test.expect_request(answer), "metadata", Some(ADA));
}

#[test]
fn account_flag_precedes_every_source() {
    let test = SOURCES.iter().fold(account_test(ADA), |test, source| (source.setup)(test));
    assert_uses(with_own_login(test).expect_request(token_endpoint_success()), "login", Some(ADA));
}

#[test]
fn an_account_can_be_named_by_flag_variable_or_profile() {
    assert_uses(
        with_own_login(Test::new("token ada@example.com --format json")).expect_request(token_endpoint_success()),
        "login",
        Some(ADA),
    );
    assert_uses(
        with_own_login(account_test("Ada@Example.COM")).expect_request(token_endpoint_success()),
        "login",
        Some(ADA),
    );
    let same = "token ada@example.com --account ada@example.com --format json";
    assert_uses(with_own_login(Test::new(same)).expect_request(token_endpoint_success()), "login", Some(ADA));
    let variable = Test::new("token --format json").env("GAUTH_ACCOUNT", ADA);
    assert_uses(with_own_login(variable).expect_request(token_endpoint_success()), "login", Some(ADA));
    let both = account_test(ADA).env("GAUTH_ACCOUNT", "bob@example.com");
    assert_uses(with_own_login(both).expect_request(token_endpoint_success()), "login", Some(ADA));
}

#[test]
fn an_account_and_a_file_must_agree() {
    let file = |account: &str| account_test(account).arg("--credentials").arg("{home}/key.json");
    let key = |account: &str| file(account).json("key.json", &service_account());
    assert_uses(
        key(SERVICE_ACCOUNT_EMAIL).expect_request(token_endpoint_success()),
        "file",
        Some(SERVICE_ACCOUNT_EMAIL),
    );
    assert_uses(
        key(&SERVICE_ACCOUNT_EMAIL.to_uppercase()).expect_request(token_endpoint_success()),
        "file",
        Some(SERVICE_ACCOUNT_EMAIL),
    );
    key(ADA)
        .expect_status(2)
        .expect_error("is a credential of example-sa@example-project")
        .expect_error("--account asks for ada@example.com")
        .run();
}

#[test]
fn an_unknown_account_is_reported_with_the_known_ones() {
    let unknown = account_test("bob@example.com").env("NO_GCE_CHECK", "true").expect_status(3);
    unknown
        .expect_error("neither gauth nor gcloud has a login for bob@example.com")
        .expect_hint("gauth login --account bob@example.com")
        .run();
    let others = with_own_login(account_test("bob@example.com")).env("NO_GCE_CHECK", "true").expect_status(3);
    others
        .expect_error("neither gauth nor gcloud has a login for bob@example.com")
        .expect_hint("gauth login --account bob@example.com, or use one of ada@example.com")
        .run();
    let other_file =
        with_adc_file(with_credentials_variable(account_test("bob@example.com"))).env("NO_GCE_CHECK", "true");
    other_file.expect_status(3).expect_error("neither gauth nor gcloud has a login for bob@example.com").run();
    let odd = account_test("../../etc/passwd").env("NO_GCE_CHECK", "true").expect_status(3);
    odd.expect_error("neither gauth nor gcloud has a login for ../../etc/passwd").run();
}

#[test]
fn a_metadata_server_without_the_account_is_reported() {
    account_test("bob@example.com")
        .env("GCE_METADATA_HOST", "metadata.google.internal")
        .expect_request(metadata_response("instance/service-accounts/bob@example.com/token", 404, ""))
        .expect_status(3)
        .expect_error("neither gauth nor gcloud has a login for bob@example.com")
        .expect_error("metadata.google.internal has no such account")
        .run();
}

#[test]
fn a_source_narrows_where_an_account_is_looked_for() {
    let adc = with_own_login(with_adc_file(account_test(ADA))).arg("--source").arg("adc");
    assert_uses(adc.expect_request(token_endpoint_success()), "adc", Some(ADA));
    let none = with_own_login(account_test(ADA)).arg("--source").arg("adc").expect_status(3);
    none.expect_error("neither gauth nor gcloud has a login for ada@example.com").run();
}

#[test]
fn the_active_account_is_the_one_in_the_state() {
    let state = json!({"active": "ada@example.com", "later": {"x": 1}});
    let test = with_own_login(Test::new("token --format json")).json(".config/gauth/state.json", &state);
    assert_uses(test.expect_request(token_endpoint_success()), "login", Some(ADA));
    // A login that is not active is not used.
    let test = with_own_login(Test::new("token --format json")).env("GCE_METADATA_HOST", "metadata.google.internal");
    assert_uses(test.expect_request(metadata_server_success()), "metadata", None);
}
