//! `config.toml`: its defaults come after Google's variables, a profile that is chosen for the run before them.

use super::{assert_uses, login_json, token_endpoint_success};
use crate::support::{ADC_FILE, Home, Test};

const CONFIG_TOML: &str = r#"
credentials = "HOME/default.json"

[profiles.work]
credentials = "HOME/work.json"

[profiles.own]
account = "own@example.com"
"#;

fn test_with_config(args: &str) -> Test {
    Test::new(args)
        .setup(|home: &Home| {
            let content = CONFIG_TOML.replace("HOME", &home.path("").to_string_lossy());
            home.write(".config/gauth/config.toml", content);
        })
        .json("default.json", &login_json("default@example.com"))
        .json("work.json", &login_json("work@example.com"))
        .json(".config/gauth/accounts/own@example.com.json", &login_json("own@example.com"))
        .json(ADC_FILE, &login_json("adc@example.com"))
}

fn with_google_variables(test: Test) -> Test {
    test.env("GOOGLE_APPLICATION_CREDENTIALS", "{home}/google.json")
        .json("google.json", &login_json("google@example.com"))
}

#[test]
fn defaults_come_after_variables_and_before_detected_sources() {
    let test = || test_with_config("token --format json");
    assert_uses(test().expect_request(token_endpoint_success()), "file", Some("default@example.com"));
    assert_uses(
        with_google_variables(test()).expect_request(token_endpoint_success()),
        "env",
        Some("google@example.com"),
    );
}

#[test]
fn a_named_profile_takes_precedence_over_variables() {
    let work = || with_google_variables(test_with_config("token --format json --profile work"));
    assert_uses(work().expect_request(token_endpoint_success()), "file", Some("work@example.com"));
    let variable = with_google_variables(test_with_config("token --format json")).env("GAUTH_PROFILE", "work");
    assert_uses(variable.expect_request(token_endpoint_success()), "file", Some("work@example.com"));
    let flag = work().env("GAUTH_PROFILE", "own");
    assert_uses(flag.expect_request(token_endpoint_success()), "file", Some("work@example.com"));
    let own = with_google_variables(test_with_config("token --format json --credentials {home}/work.json"));
    assert_uses(own.expect_request(token_endpoint_success()), "file", Some("work@example.com"));
}

#[test]
fn profile_settings_apply_where_no_flag_or_variable_is_set() {
    let config = "[profiles.p]\nscopes = [\"openid\"]\nquota_project = \"payer\"\ntimeout = \"7s\"\n";
    let test = |words: &str| {
        let test = Test::new(&format!("token --format json --credentials {{home}}/key.json {words}"));
        test.file(".config/gauth/config.toml", config)
            .json("key.json", &login_json("a@b"))
            .expect_request(token_endpoint_success())
    };
    let ran = test("--profile p").run();
    assert_eq!(ran.requests[0].form_field("scope"), "openid");
    assert_eq!(ran.requests[0].timeout.as_secs(), 7);
    assert_eq!(ran.json()["quota_project"], "payer");
    let ran = test("--profile p --scopes email --quota-project mine --timeout 9s").run();
    assert_eq!(ran.requests[0].form_field("scope"), "email");
    assert_eq!(ran.requests[0].timeout.as_secs(), 9);
    assert_eq!(ran.json()["quota_project"], "mine");
    let ran = test("--profile p").env("GAUTH_SCOPES", "profile").env("GAUTH_TIMEOUT", "8").run();
    assert_eq!(ran.requests[0].form_field("scope"), "profile");
    assert_eq!(ran.requests[0].timeout.as_secs(), 8);
    let ran = test("").run();
    assert_eq!(ran.requests[0].form_field("scope"), "");
}

#[test]
fn a_profile_may_be_the_default_one() {
    let config = "profile = \"p\"\n[profiles.p]\nquota_project = \"payer\"\n";
    let test = Test::new("token --format json --credentials {home}/key.json");
    let test = test.file(".config/gauth/config.toml", config).json("key.json", &login_json("a@b"));
    assert_eq!(test.expect_request(token_endpoint_success()).run().json()["quota_project"], "payer");
}

#[test]
fn every_key_of_the_config_is_understood() {
    let config = "account = \"a\"\nsource = \"adc\"\nscopes = [\"x\"]\nquota_project = \"p\"\n\
                  universe_domain = \"googleapis.com\"\nmin_ttl = \"1m\"\nno_cache = true\n\
                  timeout = \"5s\"\nca_file = \"x.pem\"\nallowed_hosts = [\"a.example\"]\n\
                  allowed_token_hosts = [\"b.example\"]\nclient_id_file = \"c.json\"\n\
                  store = \"keyring\"\n[store_command]\nget = [\"g\", \"{account}\"]\n\
                  put = [\"p\", \"{account}\"]\n[profiles.p]\ncredentials = \"x\"\n";
    Test::new("cache list").file(".config/gauth/config.toml", config).run();
}
