//! `gauth login --login-config`: the login configuration of a workforce pool, and the client.

use serde_json::{Value, json};

use super::login_test;
use crate::support::Test;
use crate::support::sample_credentials::{CLIENT_SECRET, WORKFORCE_PROVIDER, with_fields};

fn login_config_json(change: &Value) -> Value {
    let config = json!({
        "type": "external_account_authorized_user_login_config",
        "audience": WORKFORCE_PROVIDER,
        "auth_url": "https://auth.cloud.google/authorize",
        "token_url": "https://sts.googleapis.com/v1/oauthtoken",
        "token_info_url": "https://sts.googleapis.com/v1/introspect",
    });
    with_fields(config, change)
}

#[test]
fn an_invalid_or_unsafe_login_configuration_is_refused() {
    for (change, status, says) in [
        (json!({"type": "authorized_user"}), 8, "type is \"authorized_user\""),
        (json!({"audience": null}), 8, "audience"),
        (json!({"auth_url": "https://auth.evil.example/authorize"}), 9, "auth.evil.example"),
        (json!({"token_url": "https://evil.example/v1/oauthtoken"}), 9, "token_url names evil.example"),
        (json!({"token_info_url": "https://evil.example/"}), 9, "token_info_url"),
        (json!({"universe_domain": "u.example", "auth_url": "https://auth.cloud.u.example/a"}), 9, "auth_url"),
    ] {
        login_test("--login-config {home}/login.json")
            .json("login.json", &login_config_json(&change))
            .expect_status(status)
            .expect_error(says)
            .run();
    }
    login_test("--login-config {home}/none.json").expect_status(8).expect_error("HOME/none.json").run();
    login_test("--login-config {home}/login.json --device")
        .json("login.json", &login_config_json(&json!({})))
        .expect_status(7)
        .expect_error("does not support the sign-in of devices")
        .run();
}

#[test]
fn the_file_and_the_client_of_gclouds_properties_are_used() {
    let ini = |text: &str| format!("[auth]\n{text}\n");
    let folder = ".config/gcloud/configurations/config_default";
    let bad = json!({"auth_url": "https://auth.evil.example/"});
    // The error about the content shows that the file is read.
    Test::new("login")
        .json("login.json", &login_config_json(&bad))
        .setup(move |home| {
            let path = home.path("login.json").to_string_lossy().into_owned();
            home.write(folder, ini(&format!("login_config_file = {path}")));
        })
        .expect_status(9)
        .expect_error("auth.evil.example")
        .run();
    Test::new("login")
        .json("login.json", &login_config_json(&json!({})))
        .setup(move |home| {
            let path = home.path("login.json").to_string_lossy().into_owned();
            home.write(folder, ini(&format!("login_config_file = {path}")));
        })
        .expect_status(2)
        .expect_error("a workforce login needs an OAuth client")
        .expect_hint("gcloud iam oauth-clients create")
        .run();
    Test::new("login --login-config {home}/login.json --device")
        .json("login.json", &login_config_json(&json!({})))
        .env("CLOUDSDK_AUTH_CLIENT_ID", "a:b")
        .env("CLOUDSDK_AUTH_CLIENT_SECRET", CLIENT_SECRET)
        .expect_status(8)
        .expect_error("CLOUDSDK_AUTH_CLIENT_ID: client_id has a colon")
        .run();
    Test::new("login --login-config {home}/login.json --device")
        .json("login.json", &login_config_json(&json!({})))
        .env("CLOUDSDK_AUTH_CLIENT_ID", "workforce-client")
        .expect_status(7)
        .expect_error("sts.googleapis.com does not support the sign-in of devices")
        .run();
}
