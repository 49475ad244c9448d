//! When a cached token is used, and what tells one token from another.

use serde_json::{Value, json};

use super::{gives, line, robot, user};
use crate::support::samples::{self, SECOND, TOKEN, authorized_user, granted, service_account};
use crate::support::{Home, Test, metadata, modes, token};

#[test]
fn a_second_run_asks_nobody() {
    let home = Home::new();
    robot(&home, "").google(gives(TOKEN, 3599)).stdout(&line(TOKEN)).run();
    robot(&home, "").stdout(&line(TOKEN)).run();
    home.clock.advance(3298);
    let ran = robot(&home, "--format json").run();
    assert_eq!((&ran.json()["cached"], &ran.json()["expires_in"]), (&json!(true), &json!(301)));
    // Five minutes are kept in reserve, as gcloud does.
    home.clock.advance(1);
    robot(&home, "").google(gives(SECOND, 3599)).stdout(&line(SECOND)).run();
    robot(&home, "").stdout(&line(SECOND)).run();
}

#[test]
fn a_cached_token_tells_what_a_new_one_tells() {
    let home = Home::new();
    let new = robot(&home, "--format json").google(gives(TOKEN, 3599)).run().json();
    let cached = robot(&home, "--format json").run().json();
    assert_eq!(samples::with(new, &json!({"cached": true})), cached);
    let payer = samples::with(authorized_user(), &json!({"quota_project_id": "payer"}));
    let run = || {
        Test::new("token --credentials {home}/key.json --format json")
            .home(&home)
            .json("key.json", &payer)
    };
    let new = run().google(gives(TOKEN, 3599)).run().json();
    assert_eq!(new["quota_project"], "payer");
    assert_eq!(samples::with(new, &json!({"cached": true})), run().run().json());
}

#[test]
fn tokens_signed_here_are_kept_too() {
    let home = Home::new();
    let first = robot(&home, "--self-signed").run().stdout;
    home.clock.advance(60);
    assert_eq!(robot(&home, "--self-signed").run().stdout, first);
    assert_ne!(robot(&home, "--self-signed --refresh").run().stdout, first);
}

/// After a first run, a run that differs in this asks again.
#[track_caller]
fn differs(words: &str, credential: &Value, variables: &[(&str, &str)], url: &str) {
    let home = Home::new();
    robot(&home, "").google(gives(TOKEN, 3599)).run();
    let test = Test::new(&format!("token --credentials {{home}}/robot.json {words}"));
    let test = test.home(&home).json("robot.json", credential);
    let test = variables.iter().fold(test, |test, (name, value)| test.env(name, value));
    match url {
        "" => assert_ne!(test.run().stdout, line(TOKEN)),
        url => drop(test.google(gives(SECOND, 3599).url(url)).stdout(&line(SECOND)).run()),
    }
    robot(&home, "").stdout(&line(TOKEN)).run();
}

#[test]
fn everything_that_decides_a_token_is_in_its_name() {
    const GOOGLE: &str = "https://oauth2.googleapis.com/token";
    let good = service_account();
    let with = |fields: Value| samples::with(service_account(), &fields);
    for words in [
        "--scopes openid",
        "--subject ada@example.com",
        "--subject bob@example.com",
        "--lifetime 1h",
        "--lifetime 10m",
    ] {
        differs(words, &good, &[], GOOGLE);
    }
    for words in ["--self-signed", "--audience https://pubsub.googleapis.com/"] {
        differs(words, &good, &[], "");
    }
    differs("", &with(json!({"client_email": "other@p.iam.gserviceaccount.com"})), &[], GOOGLE);
    differs("", &with(json!({"private_key_id": "another"})), &[], GOOGLE);
    differs("", &with(json!({"private_key": format!("{}\n", samples::pem())})), &[], GOOGLE);
    differs("", &with(json!({"universe_domain": "universe.example"})), &[], "");
    let other = "https://www.googleapis.com/oauth2/v4/token";
    differs("", &with(json!({"token_uri": other})), &[], other);
    let chosen = "https://sts.corp.example/token";
    differs("", &good, &[("CLOUDSDK_AUTH_TOKEN_HOST", chosen)], chosen);
    differs("--universe-domain u.example", &with(json!({"universe_domain": null})), &[], "");
}

#[test]
fn what_does_not_decide_a_token_is_not_in_its_name() {
    let home = Home::new();
    robot(&home, "").google(gives(TOKEN, 3599)).run();
    for words in [
        "--quota-project p",
        "--timeout 5s",
        "--format header",
        "-q",
        "--account example-sa@example-project.iam.gserviceaccount.com",
    ] {
        assert!(robot(&home, words).run().stdout.contains(TOKEN), "{words}");
    }
    // The same text in another file is the same credential.
    Test::new("token --credentials {home}/moved.json")
        .home(&home)
        .json("moved.json", &service_account())
        .stdout(&line(TOKEN))
        .run();
}

#[test]
fn the_order_of_scopes_does_not_matter() {
    let home = Home::new();
    robot(&home, "--scopes a,b").google(gives(TOKEN, 3599)).run();
    for words in [
        "--scopes b,a",
        "--scopes b --scopes a",
        "--scopes a,b,a",
        "--scopes https://www.googleapis.com/auth/a,b",
    ] {
        robot(&home, words).stdout(&line(TOKEN)).run();
    }
}

#[test]
fn logins_are_told_apart() {
    for fields in [json!({"refresh_token": "1//0another-login"}), json!({"client_id": "another"})] {
        let home = Home::new();
        user(&home, "").google(gives(TOKEN, 3599)).run();
        let other = samples::with(authorized_user(), &fields);
        let test = Test::new("token").home(&home).env("GAUTH_CREDENTIALS", other.to_string());
        test.google(gives(SECOND, 3599)).stdout(&line(SECOND)).run();
    }
}

#[test]
fn a_life_that_is_not_known_is_not_kept() {
    for life in [json!(null), json!(0), json!(-5), json!("0")] {
        let home = Home::new();
        let body = json!({"access_token": TOKEN, "expires_in": life}).to_string();
        for _ in 0..2 {
            user(&home, "").google(token(200, &body)).stdout(&line(TOKEN)).run();
        }
    }
}

#[test]
fn nobody_is_believed_for_more_than_twelve_hours() {
    let home = Home::new();
    robot(&home, "").google(gives(TOKEN, 1_000_000)).run();
    assert_eq!(robot(&home, "--format json").run().json()["expires_in"], 12 * 3600);
    home.clock.advance(12 * 3600 - 301);
    robot(&home, "").stdout(&line(TOKEN)).run();
    home.clock.advance(1);
    robot(&home, "").google(gives(SECOND, 3599)).stdout(&line(SECOND)).run();
}

#[test]
fn the_machines_tokens_are_used_until_it_has_new_ones() {
    let home = Home::new();
    let path = "instance/service-accounts/default/token";
    let run =
        || Test::new("token").home(&home).env("GCE_METADATA_HOST", "metadata.google.internal");
    let gives = |access: &str, seconds: i64| {
        metadata(path, 200, json!({"access_token": access, "expires_in": seconds}).to_string())
    };
    run().google(gives(TOKEN, 3599)).run();
    home.clock.advance(3599 - 226);
    run().stdout(&line(TOKEN)).run();
    home.clock.advance(1);
    // The server still has the same one: it is used, and asked for once.
    run().google(gives(TOKEN, 225)).stdout(&line(TOKEN)).run();
    home.clock.advance(5);
    run().google(gives(SECOND, 3599)).stdout(&line(SECOND)).run();
    run().stdout(&line(SECOND)).run();
}

#[test]
fn another_start_of_the_machine_is_another_machine() {
    let home = Home::new();
    let boot = "root/proc/sys/kernel/random/boot_id";
    let run = || {
        let answer = metadata("instance/service-accounts/default/token", 200, granted(TOKEN));
        Test::new("token").home(&home).env("K_SERVICE", "x").google(answer)
    };
    home.write(boot, "one");
    run().run();
    home.write(boot, "two");
    run().run();
}

#[test]
fn who_started_before_a_token_was_written_takes_it_with_less_left() {
    let home = Home::new();
    let before = home.clock.millis();
    robot(&home, "").google(gives(TOKEN, 100)).run();
    // Alone it would be too short by now.
    robot(&home, "").started(before).stdout(&line(TOKEN)).run();
    robot(&home, "--refresh").started(before).stdout(&line(TOKEN)).run();
    let late = robot(&home, "--min-ttl 2m").started(before).google(gives(SECOND, 3599));
    late.stdout(&line(SECOND)).run();
}

#[test]
fn files_are_for_their_owner_only() {
    let home = Home::new();
    robot(&home, "").google(gives(TOKEN, 3599)).run();
    let mut found = Vec::new();
    modes(&home.path(".config"), &mut found);
    assert!(found.len() >= 5, "{found:?}");
    for (path, mode) in found {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{}", path.display());
    }
    let entry = std::fs::read_to_string(home.entry()).expect("text");
    assert!(!entry.contains("PRIVATE KEY") && entry.contains(TOKEN));
    assert!(home.names(".config/gauth/locks").iter().all(|name| {
        std::fs::metadata(home.path(".config/gauth/locks").join(name)).expect("lock").len() == 0
    }));
}
