//! When a cached token is used, and what is in its cache key.

use std::rc::Rc;

use serde_json::{Value, json};

use super::{output_line, service_account_test, token_with_lifetime, user_test};
use crate::support::sample_credentials::{
    self, SECOND_TOKEN, TOKEN, authorized_user, service_account, sts_response_body, token_response_body,
};
use crate::support::{Home, Test, collect_modes, metadata_response, sts_response, token_response};

#[test]
fn a_second_run_sends_no_request() {
    let home = Home::new();
    service_account_test(&home, "")
        .expect_request(token_with_lifetime(TOKEN, 3599))
        .expect_stdout(&output_line(TOKEN))
        .run();
    service_account_test(&home, "").expect_stdout(&output_line(TOKEN)).run();
    home.clock.advance(3298);
    let ran = service_account_test(&home, "--format json").run();
    assert_eq!((&ran.json()["cached"], &ran.json()["expires_in"]), (&json!(true), &json!(301)));
    // The refresh margin is five minutes, as in gcloud.
    home.clock.advance(1);
    service_account_test(&home, "")
        .expect_request(token_with_lifetime(SECOND_TOKEN, 3599))
        .expect_stdout(&output_line(SECOND_TOKEN))
        .run();
    service_account_test(&home, "").expect_stdout(&output_line(SECOND_TOKEN)).run();
}

#[test]
fn a_cached_token_prints_the_same_details_as_a_new_one() {
    let home = Home::new();
    let new =
        service_account_test(&home, "--format json").expect_request(token_with_lifetime(TOKEN, 3599)).run().json();
    let cached = service_account_test(&home, "--format json").run().json();
    assert_eq!(sample_credentials::with_fields(new, &json!({"cached": true})), cached);
    let payer = sample_credentials::with_fields(authorized_user(), &json!({"quota_project_id": "payer"}));
    let run = || Test::new("token --credentials {home}/key.json --format json").home(&home).json("key.json", &payer);
    let new = run().expect_request(token_with_lifetime(TOKEN, 3599)).run().json();
    assert_eq!(new["quota_project"], "payer");
    assert_eq!(sample_credentials::with_fields(new, &json!({"cached": true})), run().run().json());
}

#[test]
fn self_signed_jwts_are_cached_too() {
    let home = Home::new();
    let first = service_account_test(&home, "--self-signed").run().stdout;
    home.clock.advance(60);
    assert_eq!(service_account_test(&home, "--self-signed").run().stdout, first);
    assert_ne!(service_account_test(&home, "--self-signed --refresh").run().stdout, first);
}

/// Checks that a run with this difference does not find the cached token of the first one.
#[track_caller]
fn assert_separate_entry(args: &str, credential: &Value, variables: &[(&str, &str)], url: &str) {
    let home = Home::new();
    service_account_test(&home, "").expect_request(token_with_lifetime(TOKEN, 3599)).run();
    let test = Test::new(&format!("token --credentials {{home}}/robot.json {args}"));
    let test = test.home(&home).json("robot.json", credential);
    let test = variables.iter().fold(test, |test, (name, value)| test.env(name, value));
    match url {
        "" => assert_ne!(test.run().stdout, output_line(TOKEN)),
        url => drop(
            test.expect_request(token_with_lifetime(SECOND_TOKEN, 3599).at_url(url))
                .expect_stdout(&output_line(SECOND_TOKEN))
                .run(),
        ),
    }
    service_account_test(&home, "").expect_stdout(&output_line(TOKEN)).run();
}

#[test]
fn everything_that_determines_a_token_is_in_its_cache_key() {
    const TOKEN_ENDPOINT: &str = "https://oauth2.googleapis.com/token";
    let good = service_account();
    let with = |fields: Value| sample_credentials::with_fields(service_account(), &fields);
    for words in
        ["--scopes openid", "--subject ada@example.com", "--subject bob@example.com", "--lifetime 1h", "--lifetime 10m"]
    {
        assert_separate_entry(words, &good, &[], TOKEN_ENDPOINT);
    }
    for words in ["--self-signed", "--audience https://pubsub.googleapis.com/"] {
        assert_separate_entry(words, &good, &[], "");
    }
    assert_separate_entry("", &with(json!({"client_email": "other@p.iam.gserviceaccount.com"})), &[], TOKEN_ENDPOINT);
    assert_separate_entry("", &with(json!({"private_key_id": "another"})), &[], TOKEN_ENDPOINT);
    assert_separate_entry(
        "",
        &with(json!({"private_key": format!("{}\n", sample_credentials::service_account_key_pem())})),
        &[],
        TOKEN_ENDPOINT,
    );
    assert_separate_entry("", &with(json!({"universe_domain": "universe.example"})), &[], "");
    let other = "https://www.googleapis.com/oauth2/v4/token";
    assert_separate_entry("", &with(json!({"token_uri": other})), &[], other);
    let chosen = "https://sts.corp.example/token";
    assert_separate_entry("", &good, &[("CLOUDSDK_AUTH_TOKEN_HOST", chosen)], chosen);
    assert_separate_entry("--universe-domain u.example", &with(json!({"universe_domain": null})), &[], "");
}

#[test]
fn what_does_not_determine_a_token_is_not_in_its_cache_key() {
    let home = Home::new();
    service_account_test(&home, "").expect_request(token_with_lifetime(TOKEN, 3599)).run();
    for words in [
        "--quota-project p",
        "--timeout 5s",
        "--format header",
        "-q",
        "--account example-sa@example-project.iam.gserviceaccount.com",
    ] {
        assert!(service_account_test(&home, words).run().stdout.contains(TOKEN), "{words}");
    }
    // The same text in another file is the same credential.
    Test::new("token --credentials {home}/moved.json")
        .home(&home)
        .json("moved.json", &service_account())
        .expect_stdout(&output_line(TOKEN))
        .run();
}

#[test]
fn the_order_of_scopes_does_not_matter() {
    let home = Home::new();
    service_account_test(&home, "--scopes a,b").expect_request(token_with_lifetime(TOKEN, 3599)).run();
    for words in
        ["--scopes b,a", "--scopes b --scopes a", "--scopes a,b,a", "--scopes https://www.googleapis.com/auth/a,b"]
    {
        service_account_test(&home, words).expect_stdout(&output_line(TOKEN)).run();
    }
}

#[test]
fn tokens_of_different_logins_are_cached_separately() {
    for fields in [json!({"refresh_token": "1//0another-login"}), json!({"client_id": "another"})] {
        let home = Home::new();
        user_test(&home, "").expect_request(token_with_lifetime(TOKEN, 3599)).run();
        let other = sample_credentials::with_fields(authorized_user(), &fields);
        let test = Test::new("token").home(&home).env("GAUTH_CREDENTIALS", other.to_string());
        test.expect_request(token_with_lifetime(SECOND_TOKEN, 3599)).expect_stdout(&output_line(SECOND_TOKEN)).run();
    }
}

#[test]
fn a_token_without_expiry_is_not_cached() {
    for life in [json!(null), json!(0), json!(-5), json!("0")] {
        let home = Home::new();
        let body = json!({"access_token": TOKEN, "expires_in": life}).to_string();
        for _ in 0..2 {
            user_test(&home, "").expect_request(token_response(200, &body)).expect_stdout(&output_line(TOKEN)).run();
        }
    }
}

#[test]
fn a_token_is_cached_for_at_most_twelve_hours() {
    let home = Home::new();
    service_account_test(&home, "").expect_request(token_with_lifetime(TOKEN, 1_000_000)).run();
    assert_eq!(service_account_test(&home, "--format json").run().json()["expires_in"], 12 * 3600);
    home.clock.advance(12 * 3600 - 301);
    service_account_test(&home, "").expect_stdout(&output_line(TOKEN)).run();
    home.clock.advance(1);
    service_account_test(&home, "")
        .expect_request(token_with_lifetime(SECOND_TOKEN, 3599))
        .expect_stdout(&output_line(SECOND_TOKEN))
        .run();
}

/// Checks that a cached token of the metadata server is used until the server gives the next one.
#[track_caller]
fn assert_metadata_refresh_margin(home: &Rc<Home>, args: &str, account: &str) {
    let run = || Test::new(args).home(home).env("GCE_METADATA_HOST", "metadata.google.internal");
    let gives = |access: &str, seconds: i64| {
        metadata_response(
            &format!("instance/service-accounts/{account}/token"),
            200,
            json!({"access_token": access, "expires_in": seconds}).to_string(),
        )
    };
    run().expect_request(gives(TOKEN, 3599)).run();
    home.clock.advance(3599 - 226);
    run().expect_stdout(&output_line(TOKEN)).run();
    home.clock.advance(1);
    // The server still has the same token: it is requested once, and used.
    run().expect_request(gives(TOKEN, 225)).expect_stdout(&output_line(TOKEN)).run();
    home.clock.advance(5);
    run().expect_request(gives(SECOND_TOKEN, 3599)).expect_stdout(&output_line(SECOND_TOKEN)).run();
    run().expect_stdout(&output_line(SECOND_TOKEN)).run();
}

#[test]
fn metadata_server_tokens_are_used_until_the_server_renews_them() {
    assert_metadata_refresh_margin(&Home::new(), "token", "default");
}

#[cfg(feature = "gcloud-store")]
#[test]
fn tokens_of_gclouds_compute_engine_account_are_used_until_the_server_renews_them() {
    use crate::discovery::{write_gcloud_configuration, write_gcloud_store};
    const ACCOUNT: &str = "machine@developer.gserviceaccount.com";
    let home = Home::new();
    write_gcloud_configuration(&home, "default", &format!("[core]\naccount = {ACCOUNT}\n"));
    write_gcloud_store(&home, &[(ACCOUNT, json!({"type": "gce"}))]);
    assert_metadata_refresh_margin(&home, "token --source gcloud", ACCOUNT);
}

#[test]
fn downscoped_tokens_of_the_metadata_server_are_used_until_the_server_renews_their_source() {
    let home = Home::new();
    let run = || {
        Test::new("token --downscope objectViewer@b-1").home(&home).env("GCE_METADATA_HOST", "metadata.google.internal")
    };
    let path = "instance/service-accounts/default/token";
    run()
        .expect_request(metadata_response(path, 200, token_response_body(TOKEN)))
        .expect_request(sts_response(200, sts_response_body(SECOND_TOKEN)))
        .run();
    home.clock.advance(3599 - 226);
    run().expect_stdout(&output_line(SECOND_TOKEN)).run();
}

#[test]
fn a_reboot_invalidates_metadata_server_tokens() {
    let home = Home::new();
    let boot = "root/proc/sys/kernel/random/boot_id";
    let run = || {
        let answer = metadata_response("instance/service-accounts/default/token", 200, token_response_body(TOKEN));
        Test::new("token").home(&home).env("K_SERVICE", "x").expect_request(answer)
    };
    home.write(boot, "one");
    run().run();
    home.write(boot, "two");
    run().run();
}

#[test]
fn a_process_started_before_a_token_was_cached_accepts_a_shorter_remaining_lifetime() {
    let home = Home::new();
    let before = home.clock.millis();
    service_account_test(&home, "").expect_request(token_with_lifetime(TOKEN, 100)).run();
    // For a process that starts now, it has too little time left.
    service_account_test(&home, "").started(before).expect_stdout(&output_line(TOKEN)).run();
    service_account_test(&home, "--refresh").started(before).expect_stdout(&output_line(TOKEN)).run();
    let late = service_account_test(&home, "--min-ttl 2m")
        .started(before)
        .expect_request(token_with_lifetime(SECOND_TOKEN, 3599));
    late.expect_stdout(&output_line(SECOND_TOKEN)).run();
}

#[test]
fn files_are_for_their_owner_only() {
    let home = Home::new();
    service_account_test(&home, "").expect_request(token_with_lifetime(TOKEN, 3599)).run();
    let mut found = Vec::new();
    collect_modes(&home.path(".config"), &mut found);
    assert!(found.len() >= 5, "{found:?}");
    for (path, mode) in found {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{}", path.display());
    }
    let entry = std::fs::read_to_string(home.cache_entry()).expect("text");
    assert!(!entry.contains("PRIVATE KEY") && entry.contains(TOKEN));
    assert!(
        home.names(".config/gauth/locks")
            .iter()
            .all(|name| { std::fs::metadata(home.path(".config/gauth/locks").join(name)).expect("lock").len() == 0 })
    );
}
