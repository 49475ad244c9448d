//! Workforce pools: the configuration, and the client that goes with it, before anybody is asked.

use serde_json::{Value, json};

use super::login;
use crate::support::Test;
use crate::support::samples::{CLIENT_SECRET, WORKFORCE, with};

fn config(change: &Value) -> Value {
    let config = json!({
        "type": "external_account_authorized_user_login_config",
        "audience": WORKFORCE,
        "auth_url": "https://auth.cloud.google/authorize",
        "token_url": "https://sts.googleapis.com/v1/oauthtoken",
        "token_info_url": "https://sts.googleapis.com/v1/introspect",
    });
    with(config, change)
}

#[test]
fn a_configuration_that_is_none_or_leads_astray_is_refused() {
    for (change, status, says) in [
        (json!({"type": "authorized_user"}), 8, "type is \"authorized_user\""),
        (json!({"audience": null}), 8, "audience"),
        (json!({"auth_url": "https://auth.evil.example/authorize"}), 9, "auth.evil.example"),
        (
            json!({"token_url": "https://evil.example/v1/oauthtoken"}),
            9,
            "token_url names evil.example",
        ),
        (json!({"token_info_url": "https://evil.example/"}), 9, "token_info_url"),
        (
            json!({"universe_domain": "u.example", "auth_url": "https://auth.cloud.u.example/a"}),
            9,
            "auth_url",
        ),
    ] {
        login("--login-config {home}/login.json")
            .json("login.json", &config(&change))
            .status(status)
            .says(says)
            .run();
    }
    login("--login-config {home}/none.json").status(8).says("HOME/none.json").run();
    login("--login-config {home}/login.json --device")
        .json("login.json", &config(&json!({})))
        .status(7)
        .says("no sign-in for devices")
        .run();
}

#[test]
fn the_file_and_the_client_may_be_gclouds() {
    let ini = |text: &str| format!("[auth]\n{text}\n");
    let folder = ".config/gcloud/configurations/config_default";
    let bad = json!({"auth_url": "https://auth.evil.example/"});
    // It is looked at, which is told by what is wrong with it.
    Test::new("login")
        .json("login.json", &config(&bad))
        .step(move |home| {
            let path = home.path("login.json").to_string_lossy().into_owned();
            home.write(folder, ini(&format!("login_config_file = {path}")));
        })
        .status(9)
        .says("auth.evil.example")
        .run();
    Test::new("login")
        .json("login.json", &config(&json!({})))
        .step(move |home| {
            let path = home.path("login.json").to_string_lossy().into_owned();
            home.write(folder, ini(&format!("login_config_file = {path}")));
        })
        .status(2)
        .says("a workforce login needs an OAuth client")
        .tries("gcloud iam oauth-clients create")
        .run();
    Test::new("login --login-config {home}/login.json --device")
        .json("login.json", &config(&json!({})))
        .env("CLOUDSDK_AUTH_CLIENT_ID", "a:b")
        .env("CLOUDSDK_AUTH_CLIENT_SECRET", CLIENT_SECRET)
        .status(8)
        .says("CLOUDSDK_AUTH_CLIENT_ID: client_id has a colon")
        .run();
    Test::new("login --login-config {home}/login.json --device")
        .json("login.json", &config(&json!({})))
        .env("CLOUDSDK_AUTH_CLIENT_ID", "workforce-client")
        .status(7)
        .says("sts.googleapis.com has no sign-in for devices")
        .run();
}
