//! Profiles that `gauth accounts use` and `gauth login` create in `state.json`, besides those of `config.toml`.

use serde_json::json;

use super::{ADA, BOB, STATE_FILE, gauth_in, home_with_logins, login_json, state_json};
use crate::support::sample_credentials::{TOKEN, service_account, token_response_body};
use crate::support::token_response;

const CONFIG_FILE: &str = ".config/gauth/config.toml";

#[test]
fn choosing_an_account_for_a_new_profile_creates_it() {
    let home = home_with_logins(&[(ADA, login_json(ADA)), (BOB, login_json(BOB))]);
    let who = |words: &str| {
        let ran = gauth_in(&home, &format!("token --format json --refresh {words}"));
        ran.expect_request(token_response(200, token_response_body(TOKEN))).run().json()["account"].clone()
    };
    gauth_in(&home, "token --profile work")
        .expect_status(2)
        .expect_error("there is no profile \"work\" in")
        .expect_hint("gauth login --profile work")
        .run();
    gauth_in(&home, "accounts use bob@example.com --profile work")
        .expect_stdout("profile work acts as bob@example.com\n")
        .run();
    assert_eq!(state_json(&home), json!({"active": ADA, "profiles": {"work": BOB}}));
    assert_eq!((who(""), who("--profile work")), (json!(ADA), json!(BOB)));
    let named = gauth_in(&home, "token --format json").env("GAUTH_PROFILE", "work");
    assert_eq!(named.run().json()["account"], BOB);
    let rows = gauth_in(&home, "accounts --format json --profile work").run().json();
    assert_eq!((&rows[1]["profiles"], &rows[1]["active"]), (&json!(["work"]), &json!(true)));
    gauth_in(&home, "token --profile other").expect_status(2).expect_hint("or name another: work").run();
}

#[test]
fn config_toml_takes_precedence_over_the_profile_of_the_state() {
    let home = home_with_logins(&[(ADA, login_json(ADA)), (BOB, login_json(BOB))]);
    home.write(
        CONFIG_FILE,
        "[profiles.work]\naccount = \"ada@example.com\"\n[profiles.half]\nquota_project = \"payer\"\n",
    );
    gauth_in(&home, "accounts use bob@example.com --profile work")
        .expect_warning("config.toml is ada@example.com and has precedence")
        .run();
    gauth_in(&home, "accounts use bob@example.com --profile half").run();
    let json = |profile: &str| {
        let words = format!("token --format json --refresh --profile {profile}");
        gauth_in(&home, &words).expect_request(token_response(200, token_response_body(TOKEN))).run().json()
    };
    assert_eq!(json("work")["account"], ADA);
    let half = json("half");
    assert_eq!((&half["account"], &half["quota_project"]), (&json!(BOB), &json!("payer")));
    // The same holds where the file makes it the default profile.
    home.write(CONFIG_FILE, "profile = \"half\"\n[profiles.half]\n");
    assert_eq!(gauth_in(&home, "token --format json").run().json()["account"], BOB);
}

#[test]
fn a_profile_with_an_account_ignores_the_top_level_credential_file() {
    let home = home_with_logins(&[(ADA, login_json(ADA)), (BOB, login_json(BOB))]);
    home.write("key.json", service_account().to_string());
    let config =
        format!("credentials = \"{}\"\n[profiles.work]\naccount = \"{BOB}\"\n", home.path("key.json").display());
    home.write(CONFIG_FILE, config);
    let ran = gauth_in(&home, "token --format json --profile work")
        .expect_request(token_response(200, token_response_body(TOKEN)));
    assert_eq!(ran.run().json()["account"], BOB);
    home.write(STATE_FILE, json!({"profiles": {"work": ADA, "new": ADA}}).to_string());
    let ran = gauth_in(&home, "token --format json --profile new")
        .expect_request(token_response(200, token_response_body(TOKEN)));
    assert_eq!(ran.run().json()["account"], ADA);
}

#[test]
fn a_broken_state_file_is_reported_where_it_may_hold_the_profile() {
    let home = home_with_logins(&[(ADA, login_json(ADA))]);
    home.write(STATE_FILE, "junk");
    gauth_in(&home, "token --profile work").expect_status(8).expect_error("state.json: is not valid JSON").run();
    home.write(CONFIG_FILE, "[profiles.work]\naccount = \"ada@example.com\"\n");
    gauth_in(&home, "token --profile work").expect_request(token_response(200, token_response_body(TOKEN))).run();
}
