//! Refresh tokens that change: stored before anything is printed, used by the next run, never lost.

use std::os::unix::fs::PermissionsExt;
use std::rc::Rc;

use serde_json::{Value, json};

use super::with;
use crate::support::samples::{
    self, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, ROTATED, SECOND, TOKEN, authorized_user, granted,
};
use crate::support::{Exchange, Home, Test, nothing, token};

const OWN: &str = ".config/gauth/accounts/ada@example.com.json";
const SHADOW: &str = ".config/gauth/accounts/shadow";

/// An answer with the next refresh token.
fn rotating(access: &str, next: &str) -> Exchange {
    let body = json!({"access_token": access, "expires_in": 3599, "refresh_token": next});
    token(200, body.to_string())
}

fn own(home: &Rc<Home>, words: &str) -> Test {
    Test::new(&format!("token --account ada@example.com {words}")).home(home)
}

fn stored(home: &Home, path: &str) -> Value {
    serde_json::from_str(&home.read(path)).expect("JSON")
}

/// The only file in the shadow folder.
fn shadow(home: &Home) -> String {
    let names = home.names(SHADOW);
    assert_eq!(names.len(), 1, "{names:?}");
    format!("{SHADOW}/{}", names[0])
}

#[test]
fn our_own_login_gets_the_new_refresh_token_and_keeps_the_rest() {
    let home = Home::new();
    let login =
        samples::with(authorized_user(), &json!({"later": {"x": [1]}, "quota_project_id": "p"}));
    home.write(OWN, login.to_string());
    own(&home, "").google(rotating(TOKEN, ROTATED)).run();
    let expected =
        samples::with(login, &json!({"refresh_token": ROTATED, "refresh_token_rotates": true}));
    assert_eq!(stored(&home, OWN), expected);
    let mode = std::fs::metadata(home.path(OWN)).expect("file").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert_eq!(home.names(".config/gauth/accounts"), ["ada@example.com.json"]);
    // The token is still good, whatever its login looks like now.
    own(&home, "").run();
    let ran = own(&home, "--refresh").google(token(200, granted(SECOND))).run();
    assert_eq!(ran.sent[0].field("refresh_token"), ROTATED);
}

#[test]
fn a_login_that_is_not_ours_is_left_alone() {
    let home = Home::new();
    let before = authorized_user().to_string();
    let run = |words: &str| with(&authorized_user(), words).home(&home);
    run("").google(rotating(TOKEN, ROTATED)).run();
    assert_eq!(home.read("key.json"), before);
    assert_eq!(stored(&home, &shadow(&home))["refresh_token"], ROTATED);
    let third = "1//0third-refresh-token";
    let ran = run("--refresh").google(rotating(SECOND, third)).secret(third).run();
    assert_eq!(ran.sent[0].field("refresh_token"), ROTATED);
    assert_eq!(stored(&home, &shadow(&home))["refresh_token"], third);
    assert_eq!(home.read("key.json"), before);
}

#[test]
fn a_login_made_anew_forgets_the_old_ones_successor() {
    let home = Home::new();
    with(&authorized_user(), "").home(&home).google(rotating(TOKEN, ROTATED)).run();
    let anew = samples::with(authorized_user(), &json!({"refresh_token": "1//0a-login-made-anew"}));
    let ran = with(&anew, "").home(&home).google(token(200, granted(SECOND))).run();
    assert_eq!(ran.sent[0].field("refresh_token"), "1//0a-login-made-anew");
}

#[test]
fn the_same_refresh_token_again_is_no_news() {
    let home = Home::new();
    with(&authorized_user(), "").home(&home).google(rotating(TOKEN, REFRESH_TOKEN)).run();
    assert!(home.names(SHADOW).is_empty());
}

#[test]
fn the_new_refresh_token_is_stored_before_the_token_is_printed() {
    let home = Home::new();
    home.write(OWN, authorized_user().to_string());
    own(&home, "")
        .google(rotating(TOKEN, ROTATED))
        .printing(|home| {
            assert_eq!(stored(home, OWN)["refresh_token"], ROTATED);
            Ok(())
        })
        .run();
}

#[test]
fn a_store_that_cannot_be_written_is_warned_about() {
    with(&authorized_user(), "")
        .step(|home| home.write(".config/gauth/accounts", "in the way"))
        .google(rotating(TOKEN, ROTATED))
        .warns("the new refresh token of ada@example.com cannot be stored")
        .stdout(&format!("{TOKEN}\n"))
        .run();
}

#[test]
fn a_rotating_login_without_room_is_not_spent() {
    let home = Home::new();
    with(&authorized_user(), "").home(&home).google(rotating(TOKEN, ROTATED)).run();
    // The folder is there and holds the newer token, but nothing can be made in it.
    let mode = |mode| {
        std::fs::set_permissions(home.path(SHADOW), PermissionsExt::from_mode(mode)).expect("mode")
    };
    mode(0o577);
    with(&authorized_user(), "--refresh")
        .home(&home)
        .status(1)
        .says("the next refresh token of ada@example.com could not be stored")
        .tries("GAUTH_CONFIG_DIR")
        .run();
    mode(0o700);
}

#[test]
fn the_store_changed_meanwhile_and_the_newer_token_is_tried_once() {
    let home = Home::new();
    home.write(OWN, authorized_user().to_string());
    let newer = samples::with(authorized_user(), &json!({"refresh_token": ROTATED}));
    let meanwhile = move |home: &Home| home.write(OWN, newer.to_string());
    let refused = token(400, r#"{"error":"invalid_grant"}"#);
    let ran = own(&home, "")
        .google(refused.clone().during(meanwhile))
        .google(token(200, granted(TOKEN)))
        .run();
    assert_eq!(ran.sent[0].field("refresh_token"), REFRESH_TOKEN);
    assert_eq!(ran.sent[1].field("refresh_token"), ROTATED);
    assert_eq!(ran.sent[1].field("client_secret"), CLIENT_SECRET);
    assert_eq!(ran.sent[1].field("client_id"), CLIENT_ID);
    // Refused again, it is not tried a third time, and nothing is deleted.
    own(&home, "--refresh").google(refused).status(4).run();
    assert_eq!(stored(&home, OWN)["refresh_token"], ROTATED);
}

#[test]
fn a_rotating_login_is_not_asked_twice_when_it_may_have_been_heard() {
    let home = Home::new();
    with(&authorized_user(), "").home(&home).google(rotating(TOKEN, ROTATED)).run();
    let run = || with(&authorized_user(), "--refresh").home(&home);
    let slow = token(200, "").takes(std::time::Duration::from_secs(60));
    run().google(slow).status(6).run();
    home.clock.advance(10);
    run().google(token(503, "")).status(6).run();
    home.clock.advance(10);
    run().google(nothing(token(200, ""))).google(token(200, granted(SECOND))).run();
}

#[test]
fn a_damaged_shadow_is_passed_over() {
    for damage in ["", "junk", "{}", "{\"refresh_token\":5}", "{\"refresh_token\":\"\"}", "[]"] {
        let home = Home::new();
        with(&authorized_user(), "").home(&home).google(rotating(TOKEN, ROTATED)).run();
        home.write(&shadow(&home), damage);
        let ran = with(&authorized_user(), "--refresh")
            .home(&home)
            .google(token(200, granted(SECOND)))
            .run();
        assert_eq!(ran.sent[0].field("refresh_token"), REFRESH_TOKEN, "{damage}");
    }
}

#[test]
fn without_a_home_a_rotated_token_is_warned_about() {
    with(&authorized_user(), "")
        .env("HOME", "")
        .google(rotating(TOKEN, ROTATED))
        .warns("the new refresh token of ada@example.com cannot be stored, there is no home folder")
        .run();
}

#[test]
fn a_login_made_while_the_old_one_was_refreshed_was_overwritten_by_its_successor() {
    let home = Home::new();
    home.write(OWN, authorized_user().to_string());
    let anew = samples::with(authorized_user(), &json!({"refresh_token": "1//0a-login-made-anew"}));
    let there = anew.clone();
    let meanwhile = move |home: &Home| home.write(OWN, there.to_string());
    own(&home, "").google(rotating(TOKEN, ROTATED).during(meanwhile)).run();
    assert_eq!(stored(&home, OWN), anew);
}

#[test]
fn a_login_forgotten_while_it_was_refreshed_came_back_as_half_a_file() {
    let home = Home::new();
    home.write(OWN, authorized_user().to_string());
    let remove = |home: &Home| std::fs::remove_file(home.path(OWN)).expect("a file");
    own(&home, "").google(rotating(TOKEN, ROTATED).during(remove)).run();
    assert!(home.names(".config/gauth/accounts").is_empty());
}

#[test]
fn a_login_damaged_while_it_was_refreshed_became_half_a_file() {
    for rotates in [true, false] {
        let home = Home::new();
        let login = samples::with(authorized_user(), &json!({"refresh_token_rotates": rotates}));
        home.write(OWN, login.to_string());
        let damage = |home: &Home| home.write(OWN, "{");
        let test = own(&home, "").google(rotating(TOKEN, ROTATED).during(damage));
        if rotates {
            // It was read just before.
            test.run();
            let next = json!({"refresh_token": ROTATED});
            assert_eq!(stored(&home, OWN), samples::with(login, &next));
        } else {
            test.warns("cannot be stored, its file is damaged").run();
            assert_eq!(home.read(OWN), "{");
        }
    }
}

/// A refresh token that is refused, and what has become of the login by then.
fn refused_while(meanwhile: impl Fn(&Home) + 'static) -> Test {
    let home = Home::new();
    home.write(OWN, authorized_user().to_string());
    own(&home, "").google(token(400, r#"{"error":"invalid_grant"}"#).during(meanwhile))
}

#[test]
fn a_login_that_is_gone_or_another_clients_by_now_is_not_used() {
    let remove = |home: &Home| std::fs::remove_file(home.path(OWN)).expect("a file");
    let test = refused_while(remove).status(4);
    test.says("ada@example.com must sign in again, another gauth has signed out meanwhile")
        .tries("gauth login --account ada@example.com")
        .run();
    let other = json!({"client_id": "another-client", "refresh_token": ROTATED});
    let other = samples::with(authorized_user(), &other);
    let test = refused_while(move |home| home.write(OWN, other.to_string())).status(6);
    test.says("ada@example.com was signed in anew while its old login was being used").run();
}

#[test]
fn what_writers_that_died_have_left_among_the_logins_stayed_for_ever() {
    let home = Home::new();
    home.write(OWN, authorized_user().to_string());
    let left = ".config/gauth/accounts/.ada@example.com.json.1-ab.tmp";
    home.write(left, "x");
    home.write(".config/gauth/accounts/.young.json.1-ab.tmp", "x");
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_767_323_045 - 4000);
    std::fs::File::open(home.path(left)).expect("a file").set_modified(old).expect("a time");
    own(&home, "").google(rotating(TOKEN, ROTATED)).run();
    let names = home.names(".config/gauth/accounts");
    assert_eq!(names, [".young.json.1-ab.tmp", "ada@example.com.json"]);
}

#[test]
fn a_draft_that_was_swept_away_took_the_new_refresh_token_along() {
    let home = Home::new();
    let login = samples::with(authorized_user(), &json!({"refresh_token_rotates": true}));
    home.write(OWN, login.to_string());
    let sweep = |home: &Home| {
        let folder = ".config/gauth/accounts";
        let drafts: Vec<String> =
            home.names(folder).into_iter().filter(|name| name.ends_with(".tmp")).collect();
        assert_eq!(drafts.len(), 1);
        std::fs::remove_file(home.path(folder).join(&drafts[0])).expect("a file");
    };
    own(&home, "").google(rotating(TOKEN, ROTATED).during(sweep)).run();
    assert_eq!(stored(&home, OWN)["refresh_token"], ROTATED);
}

#[test]
fn a_server_of_somebody_elses_may_rotate_and_is_asked_once() {
    let there = "https://tokens.example/token";
    let user = samples::with(authorized_user(), &json!({"token_uri": there}));
    let test = with(&user, "--allow-token-host tokens.example");
    test.google(token(503, "").url(there)).status(6).run();
}

#[test]
fn a_copied_login_and_its_original_share_what_changes() {
    let home = Home::new();
    let copy = samples::with(authorized_user(), &json!({"refresh_token_shared": true}));
    home.write(OWN, copy.to_string());
    own(&home, "").google(rotating(TOKEN, ROTATED)).run();
    assert_eq!(stored(&home, OWN), copy);
    let third = "1//0third-refresh-token";
    let test = with(&authorized_user(), "--refresh").home(&home).secret(third);
    let ran = test.google(rotating(SECOND, third)).run();
    assert_eq!(ran.sent[0].field("refresh_token"), ROTATED);
    let ran = own(&home, "--refresh").google(token(200, granted(TOKEN))).run();
    assert_eq!(ran.sent[0].field("refresh_token"), third);
}
