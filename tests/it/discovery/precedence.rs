//! The order of the sources, and that a broken one is an error.

use super::{SOURCES, assert_uses};
use crate::support::{ADC_FILE, Home, Test};

fn order_test() -> Test {
    Test::new("token --format json")
}

#[test]
fn an_earlier_source_takes_precedence_over_all_later_ones() {
    for first in 0..SOURCES.len() {
        let mut test = SOURCES[first..].iter().fold(order_test(), |test, source| (source.setup)(test));
        let used = &SOURCES[first];
        if let Some(asked) = used.request {
            test = test.expect_request(asked());
        }
        assert_uses(test, used.source, used.account);
    }
}

#[test]
fn a_source_that_is_named_is_the_only_one() {
    for source in ["login", "adc", "gcloud", "metadata"] {
        let Some(used) = SOURCES.iter().find(|fixture| fixture.source == source) else { continue };
        for named in [order_test().arg("--source").arg(source), order_test().env("GAUTH_SOURCE", source)] {
            // The variable of a token file is a property of gcloud too.
            let others = SOURCES.iter().enumerate().filter(|(index, _)| *index != 1);
            let test = others.fold(named, |test, (_, source)| (source.setup)(test));
            assert_uses(test.expect_request(used.request.expect("asked")()), source, used.account);
        }
    }
}

#[test]
fn an_empty_named_source_says_why() {
    for (source, words) in [
        ("env", "GOOGLE_APPLICATION_CREDENTIALS: not set"),
        ("login", "gauth's active account: none"),
        ("adc", "~/.config/gcloud/application_default_credentials.json: not there"),
        ("gcloud", "gcloud's account: no account is set"),
        ("metadata", "metadata server: NO_GCE_CHECK says there is none"),
    ] {
        order_test()
            .arg("--source")
            .arg(source)
            .env("NO_GCE_CHECK", "true")
            .expect_status(3)
            .expect_error("no credential found, ")
            .expect_error(words)
            .expect_hint("remove --source")
            .run();
    }
}

/// How a source is broken, and the exit code and a part of the error.
type BrokenSource = (fn(Test) -> Test, u8, &'static str);

const BROKEN_SOURCES: &[BrokenSource] = &[
    (|test| test.env("CLOUDSDK_AUTH_ACCESS_TOKEN", " "), 8, "CLOUDSDK_AUTH_ACCESS_TOKEN: holds no"),
    (|test| test.env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "{home}/x"), 8, "there is no such file"),
    (|test| test.env("GOOGLE_OAUTH_ACCESS_TOKEN", "a b"), 8, "GOOGLE_OAUTH_ACCESS_TOKEN: holds no"),
    (|test| test.env("GAUTH_CREDENTIALS", "{home}/x"), 8, "HOME/x (GAUTH_CREDENTIALS): there is no"),
    (|test| test.env("GOOGLE_APPLICATION_CREDENTIALS", "{home}/x"), 8, "there is no such file"),
    (|test| test.file(".config/gauth/state.json", "{\"active\":\"x\"}"), 3, "has no stored login"),
    (|test| test.file(".config/gauth/state.json", ""), 8, "state.json: is empty"),
    (|test| test.file(ADC_FILE, ""), 8, "application_default_credentials.json: is empty"),
    (|test| test.setup(dangling_link), 8, "application_default_credentials.json: there is no such file"),
    (|test| test.env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "{home}"), 8, "is not a regular file"),
    (|test| test.env("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "{home}/x"), 8, "there is no such file"),
    (|test| test.env("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", "a@b"), 2, "\"a@b\" is not a service account"),
    (|test| test.file(".config/gcloud/configurations/config_default", "[core"), 8, "config_default: "),
];

fn dangling_link(home: &Home) {
    home.write(".config/gcloud/x", "");
    std::os::unix::fs::symlink(home.path("nosuch"), home.path(ADC_FILE)).expect("a link");
}

#[test]
fn a_broken_source_is_an_error() {
    for (breaks, status, words) in BROKEN_SOURCES {
        // The metadata server has a credential, which is not used.
        let test = order_test().env("GCE_METADATA_HOST", "metadata.google.internal");
        breaks(test).expect_status(*status).expect_error(words).run();
    }
}

#[test]
fn nothing_anywhere_lists_the_reasons_with_v() {
    let ran = order_test()
        .arg("-v")
        .env("NO_GCE_CHECK", "true")
        .expect_status(3)
        .expect_error("no credential found in any of the sources")
        .run();
    for reason in [
        "CLOUDSDK_AUTH_ACCESS_TOKEN and the like: not set",
        "GAUTH_CREDENTIALS: not set",
        "GOOGLE_APPLICATION_CREDENTIALS: not set",
        "gauth's active account: none",
        "~/.config/gcloud/application_default_credentials.json: not there",
        "gcloud's account: no account is set",
        "metadata server: NO_GCE_CHECK says there is none",
    ] {
        assert!(ran.stderr.contains(reason), "{reason}: {}", ran.stderr);
    }
}

#[test]
fn gclouds_folder_is_where_the_variable_says() {
    order_test()
        .env("CLOUDSDK_CONFIG", "{home}/elsewhere")
        .json("elsewhere/application_default_credentials.json", &super::login_json("there@example.com"))
        .json(ADC_FILE, &super::login_json("here@example.com"))
        .expect_request(super::token_endpoint_success())
        .run();
}

#[test]
fn a_home_that_is_a_file_is_no_reason_to_fail() {
    for home in ["", "{home}/file"] {
        let test = order_test()
            .env("HOME", home)
            .file("file", "")
            .env("GAUTH_CREDENTIALS", super::login_json("a@b").to_string());
        assert_uses(test.expect_request(super::token_endpoint_success()), "env", Some("a@b"));
        order_test().env("HOME", home).file("file", "").env("NO_GCE_CHECK", "1").expect_status(3).run();
    }
}
