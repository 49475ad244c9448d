//! Profiles that `gauth accounts use` and `gauth login` make, beside those of `config.toml`.

use serde_json::json;

use super::{ADA, BOB, STATE, at, login, signed_in, state};
use crate::support::samples::{TOKEN, granted, service_account};
use crate::support::token;

const CONFIG: &str = ".config/gauth/config.toml";

#[test]
fn a_profile_is_made_by_choosing_an_account_for_it() {
    let home = signed_in(&[(ADA, login(ADA)), (BOB, login(BOB))]);
    let who = |words: &str| {
        let ran = at(&home, &format!("token --format json --refresh {words}"));
        ran.google(token(200, granted(TOKEN))).run().json()["account"].clone()
    };
    at(&home, "token --profile work")
        .status(2)
        .says("there is no profile work in")
        .tries("gauth login --profile work")
        .run();
    at(&home, "accounts use bob@example.com --profile work")
        .stdout("profile work acts as bob@example.com\n")
        .run();
    assert_eq!(state(&home), json!({"active": ADA, "profiles": {"work": BOB}}));
    assert_eq!((who(""), who("--profile work")), (json!(ADA), json!(BOB)));
    let named = at(&home, "token --format json").env("GAUTH_PROFILE", "work");
    assert_eq!(named.run().json()["account"], BOB);
    let rows = at(&home, "accounts --format json --profile work").run().json();
    assert_eq!((&rows[1]["profiles"], &rows[1]["active"]), (&json!(["work"]), &json!(true)));
    at(&home, "token --profile other").status(2).tries("or name another: work").run();
}

#[test]
fn what_config_says_of_a_profile_goes_first() {
    let home = signed_in(&[(ADA, login(ADA)), (BOB, login(BOB))]);
    home.write(CONFIG, "[profiles.work]\naccount = \"ada@example.com\"\n[profiles.half]\nquota_project = \"payer\"\n");
    at(&home, "accounts use bob@example.com --profile work")
        .warns("config.toml names ada@example.com, which goes before it")
        .run();
    at(&home, "accounts use bob@example.com --profile half").run();
    let json = |profile: &str| {
        let words = format!("token --format json --refresh --profile {profile}");
        at(&home, &words).google(token(200, granted(TOKEN))).run().json()
    };
    assert_eq!(json("work")["account"], ADA);
    let half = json("half");
    assert_eq!((&half["account"], &half["quota_project"]), (&json!(BOB), &json!("payer")));
    // Also where the file makes it the usual one.
    home.write(CONFIG, "profile = \"half\"\n[profiles.half]\n");
    assert_eq!(at(&home, "token --format json").run().json()["account"], BOB);
}

#[test]
fn a_profile_with_an_account_took_the_file_at_the_top_along() {
    let home = signed_in(&[(ADA, login(ADA)), (BOB, login(BOB))]);
    home.write("key.json", service_account().to_string());
    let config = format!(
        "credentials = \"{}\"\n[profiles.work]\naccount = \"{BOB}\"\n",
        home.path("key.json").display()
    );
    home.write(CONFIG, config);
    let ran = at(&home, "token --format json --profile work").google(token(200, granted(TOKEN)));
    assert_eq!(ran.run().json()["account"], BOB);
    home.write(STATE, json!({"profiles": {"work": ADA, "new": ADA}}).to_string());
    let ran = at(&home, "token --format json --profile new").google(token(200, granted(TOKEN)));
    assert_eq!(ran.run().json()["account"], ADA);
}

#[test]
fn a_broken_state_is_said_where_a_profile_may_be_in_it() {
    let home = signed_in(&[(ADA, login(ADA))]);
    home.write(STATE, "junk");
    at(&home, "token --profile work").status(8).says("state.json: is not valid JSON").run();
    home.write(CONFIG, "[profiles.work]\naccount = \"ada@example.com\"\n");
    at(&home, "token --profile work").google(token(200, granted(TOKEN))).run();
}
