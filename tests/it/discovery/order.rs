//! The order of the places, and that a broken one is never passed over.

use super::{PLACES, uses};
use crate::support::{ADC, Home, Test};

fn wanted() -> Test {
    Test::new("token --format json")
}

#[test]
fn an_earlier_place_goes_before_all_later_ones() {
    for first in 0..PLACES.len() {
        let mut test = PLACES[first..].iter().fold(wanted(), |test, place| (place.make)(test));
        let used = &PLACES[first];
        if let Some(asked) = used.asked {
            test = test.google(asked());
        }
        uses(test, used.source, used.account);
    }
}

#[test]
fn a_source_that_is_named_is_the_only_one() {
    for source in ["login", "adc", "gcloud", "metadata"] {
        let Some(used) = PLACES.iter().find(|place| place.source == source) else { continue };
        for named in [wanted().word("--source").word(source), wanted().env("GAUTH_SOURCE", source)]
        {
            // The variable of a token file is a property of gcloud's as well.
            let others = PLACES.iter().enumerate().filter(|(index, _)| *index != 1);
            let test = others.fold(named, |test, (_, place)| (place.make)(test));
            uses(test.google(used.asked.expect("asked")()), source, used.account);
        }
    }
}

#[test]
fn a_source_with_nothing_says_why() {
    for (source, words) in [
        ("env", "GOOGLE_APPLICATION_CREDENTIALS: not set"),
        ("login", "gauth's active account: none"),
        ("adc", "~/.config/gcloud/application_default_credentials.json: not there"),
        ("gcloud", "gcloud's account: no account is set"),
        ("metadata", "metadata server: NO_GCE_CHECK says there is none"),
    ] {
        wanted()
            .word("--source")
            .word(source)
            .env("NO_GCE_CHECK", "true")
            .status(3)
            .says("no credential found, ")
            .says(words)
            .tries("leave --source away")
            .run();
    }
}

/// How a place is broken, with the exit code and words of the error.
type Broken = (fn(Test) -> Test, u8, &'static str);

const BROKEN: &[Broken] = &[
    (|test| test.env("CLOUDSDK_AUTH_ACCESS_TOKEN", " "), 8, "CLOUDSDK_AUTH_ACCESS_TOKEN: holds no"),
    (|test| test.env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "{home}/x"), 8, "there is no such file"),
    (|test| test.env("GOOGLE_OAUTH_ACCESS_TOKEN", "a b"), 8, "GOOGLE_OAUTH_ACCESS_TOKEN: holds no"),
    (
        |test| test.env("GAUTH_CREDENTIALS", "{home}/x"),
        8,
        "HOME/x (GAUTH_CREDENTIALS): there is no",
    ),
    (|test| test.env("GOOGLE_APPLICATION_CREDENTIALS", "{home}/x"), 8, "there is no such file"),
    (|test| test.file(".config/gauth/state.json", "{\"active\":\"x\"}"), 3, "has no stored login"),
    (|test| test.file(".config/gauth/state.json", ""), 8, "state.json: is empty"),
    (|test| test.file(ADC, ""), 8, "application_default_credentials.json: is empty"),
    (|test| test.step(dangling), 8, "application_default_credentials.json: there is no such file"),
    (|test| test.env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "{home}"), 8, "is not a regular file"),
    (
        |test| test.env("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "{home}/x"),
        8,
        "there is no such file",
    ),
    (
        |test| test.env("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", "a@b"),
        2,
        "\"a@b\" is no service account",
    ),
    (
        |test| test.file(".config/gcloud/configurations/config_default", "[core"),
        8,
        "config_default: ",
    ),
];

fn dangling(home: &Home) {
    home.write(".config/gcloud/x", "");
    std::os::unix::fs::symlink(home.path("nosuch"), home.path(ADC)).expect("a link");
}

#[test]
fn what_is_set_and_broken_is_an_error() {
    for (breaks, status, words) in BROKEN {
        // The metadata server would do.
        let test = wanted().env("GCE_METADATA_HOST", "metadata.google.internal");
        breaks(test).status(*status).says(words).run();
    }
}

#[test]
fn nothing_anywhere_lists_the_reasons_with_v() {
    let ran = wanted()
        .word("-v")
        .env("NO_GCE_CHECK", "true")
        .status(3)
        .says("no credential found in any of the 6 places")
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
    wanted()
        .env("CLOUDSDK_CONFIG", "{home}/elsewhere")
        .json("elsewhere/application_default_credentials.json", &super::login("there@example.com"))
        .json(ADC, &super::login("here@example.com"))
        .google(super::yes())
        .run();
}

#[test]
fn a_home_that_is_a_file_is_no_reason_to_fail() {
    for home in ["", "{home}/file"] {
        let test = wanted()
            .env("HOME", home)
            .file("file", "")
            .env("GAUTH_CREDENTIALS", super::login("a@b").to_string());
        uses(test.google(super::yes()), "env", Some("a@b"));
        wanted().env("HOME", home).file("file", "").env("NO_GCE_CHECK", "1").status(3).run();
    }
}
