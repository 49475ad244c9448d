//! `config.toml`: defaults come after Google's variables, a profile that was named before them.

use super::{login, uses, yes};
use crate::support::{ADC, Home, Test};

const CONFIG: &str = r#"
credentials = "HOME/default.json"

[profiles.work]
credentials = "HOME/work.json"

[profiles.own]
account = "own@example.com"
"#;

fn configured(words: &str) -> Test {
    Test::new(words)
        .step(|home: &Home| {
            let content = CONFIG.replace("HOME", &home.path("").to_string_lossy());
            home.write(".config/gauth/config.toml", content);
        })
        .json("default.json", &login("default@example.com"))
        .json("work.json", &login("work@example.com"))
        .json(".config/gauth/accounts/own@example.com.json", &login("own@example.com"))
        .json(ADC, &login("adc@example.com"))
}

fn google(test: Test) -> Test {
    test.env("GOOGLE_APPLICATION_CREDENTIALS", "{home}/google.json")
        .json("google.json", &login("google@example.com"))
}

#[test]
fn defaults_come_after_variables_and_before_what_lies_about() {
    let test = || configured("token --format json");
    uses(test().google(yes()), "file", Some("default@example.com"));
    uses(google(test()).google(yes()), "env", Some("google@example.com"));
}

#[test]
fn a_profile_that_is_named_goes_before_variables() {
    let work = || google(configured("token --format json --profile work"));
    uses(work().google(yes()), "file", Some("work@example.com"));
    let variable = google(configured("token --format json")).env("GAUTH_PROFILE", "work");
    uses(variable.google(yes()), "file", Some("work@example.com"));
    let flag = work().env("GAUTH_PROFILE", "own");
    uses(flag.google(yes()), "file", Some("work@example.com"));
    let own = google(configured("token --format json --credentials {home}/work.json"));
    uses(own.google(yes()), "file", Some("work@example.com"));
}

#[test]
fn settings_of_a_profile_hold_where_no_flag_or_variable_does() {
    let config =
        "[profiles.p]\nscopes = [\"openid\"]\nquota_project = \"payer\"\ntimeout = \"7s\"\n";
    let test = |words: &str| {
        let test =
            Test::new(&format!("token --format json --credentials {{home}}/key.json {words}"));
        test.file(".config/gauth/config.toml", config).json("key.json", &login("a@b")).google(yes())
    };
    let ran = test("--profile p").run();
    assert_eq!(ran.sent[0].field("scope"), "openid");
    assert_eq!(ran.sent[0].limit.as_secs(), 7);
    assert_eq!(ran.json()["quota_project"], "payer");
    let ran = test("--profile p --scopes email --quota-project mine --timeout 9s").run();
    assert_eq!(ran.sent[0].field("scope"), "email");
    assert_eq!(ran.sent[0].limit.as_secs(), 9);
    assert_eq!(ran.json()["quota_project"], "mine");
    let ran = test("--profile p").env("GAUTH_SCOPES", "profile").env("GAUTH_TIMEOUT", "8").run();
    assert_eq!(ran.sent[0].field("scope"), "profile");
    assert_eq!(ran.sent[0].limit.as_secs(), 8);
    let ran = test("").run();
    assert_eq!(ran.sent[0].field("scope"), "");
}

#[test]
fn a_profile_may_be_the_default_one() {
    let config = "profile = \"p\"\n[profiles.p]\nquota_project = \"payer\"\n";
    let test = Test::new("token --format json --credentials {home}/key.json");
    let test = test.file(".config/gauth/config.toml", config).json("key.json", &login("a@b"));
    assert_eq!(test.google(yes()).run().json()["quota_project"], "payer");
}

#[test]
fn every_word_of_a_config_is_understood() {
    let config = "account = \"a\"\nsource = \"adc\"\nscopes = [\"x\"]\nquota_project = \"p\"\n\
                  universe_domain = \"googleapis.com\"\nmin_ttl = \"1m\"\nno_cache = true\n\
                  timeout = \"5s\"\nca_file = \"x.pem\"\nallowed_hosts = [\"a.example\"]\n\
                  allowed_token_hosts = [\"b.example\"]\nclient_id_file = \"c.json\"\n\
                  store = \"keyring\"\n[store_command]\nget = [\"g\", \"{account}\"]\n\
                  put = [\"p\", \"{account}\"]\n[profiles.p]\ncredentials = \"x\"\n";
    Test::new("cache list").file(".config/gauth/config.toml", config).run();
}
