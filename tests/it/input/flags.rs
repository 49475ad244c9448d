//! Argument values that are not text, secrets on the command line, and lifetimes by credential kind. The other wrong
//! command lines are in tests/data/command_lines.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::support::Test;
use crate::support::sample_credentials::{TOKEN, authorized_user, service_account, token_response_body};

#[test]
fn arguments_with_spaces_and_line_ends_are_refused() {
    for (flag, value, words) in [
        ("--subject", "ada @example.com", "is not an e-mail address"),
        ("--subject", "ada@example.com\nx", "--subject: the value is not an e-mail address"),
        ("--quota-project", "p\r\nX: y", "no header can carry"),
        ("--audience", "https://a.example /", "--audience: \"https://a.example /\" contains a space"),
        ("--scopes", " ", "--scopes: \" \" is not a list of scopes"),
        ("--scopes", "a\u{0}b", "--scopes: the value is not a list of scopes"),
        ("--lifetime", "\u{1b}[31m", "--lifetime: the value is not a duration"),
        ("--universe-domain", "a b.example", "is not a domain name"),
    ] {
        Test::new("token").arg(flag).arg(value).expect_status(2).expect_error(words).run();
    }
}

#[test]
fn a_non_utf8_argument_names_its_flag() {
    let odd = OsString::from_vec(vec![b'x', 0xff]);
    for flag in ["--account", "--scopes", "--subject", "--lifetime", "--min-ttl", "--timeout", "--quota-project"] {
        let test = Test::new("token").arg(flag).arg(&odd).expect_status(2);
        test.expect_error(&format!("the value of {flag} is not valid UTF-8")).expect_hint(flag).run();
    }
    for flag in ["--universe-domain", "--audience", "--profile", "--allow-token-host", "--allow-host"] {
        Test::new("token").arg(flag).arg(&odd).expect_status(2).expect_error(flag).run();
    }
    for flag in ["--source", "--format"] {
        Test::new("token").arg(flag).arg(&odd).expect_status(2).run();
    }
    Test::new("token").arg(&odd).expect_status(2).expect_error("not valid UTF-8").run();
    Test::new("").arg(&odd).expect_status(2).expect_error("there is no command \"x\u{fffd}\"").run();
    let flag = OsString::from_vec(b"--\xff\xfe".to_vec());
    Test::new("token").arg(&flag).expect_status(2).run();
    Test::new("").arg(&flag).expect_status(2).run();
}

#[test]
fn a_secret_on_the_command_line_is_refused_and_never_repeated() {
    for secret in [
        "ya29.GAUTH-TEST-JUNK-SECRET",
        "1//GAUTH-TEST-JUNK-SECRET",
        "eyJGAUTH-TEST-JUNK-SECRET",
        "-----BEGIN PRIVATE KEY-----GAUTH-TEST-JUNK-SECRET",
    ] {
        for words in [
            "token --account",
            "token --credentials",
            "token --scopes",
            "token --subject",
            "token --quota-project",
            "token --nosuch",
            "token",
            "status --account",
            "cache",
            "nosuch",
            "--quiet",
            "help",
            "",
        ] {
            let test = Test::new(words).arg(secret).expect_status(9);
            test.expect_error("looks like a secret").expect_hint("standard input").run();
        }
        for flag in ["--account", "--nosuch", "-x", "--format", "--credentials"] {
            let joined = format!("{flag}={secret}");
            Test::new("token").arg(joined).expect_status(9).expect_error("looks like a secret").run();
        }
    }
}

#[test]
fn a_refused_value_that_may_be_a_secret_is_not_repeated() {
    for words in [
        "token --source GAUTH-TEST-JUNK-SECRET",
        "token --format GAUTH-TEST-JUNK-SECRET",
        "token one GAUTH-TEST-JUNK-SECRET",
        "token --nosuch=GAUTH-TEST-JUNK-SECRET",
        "cache GAUTH-TEST-JUNK-SECRET",
        "status GAUTH-TEST-JUNK-SECRET",
    ] {
        Test::new(words).expect_status(2).run();
    }
}

#[test]
fn a_lifetime_out_of_the_credential_kinds_range_is_refused() {
    let with = |lifetime: &str, credential| {
        Test::new("token --credentials {home}/key.json --lifetime").arg(lifetime).json("key.json", &credential)
    };
    for lifetime in ["3601", "61m", "2h", "12h", "4000000000"] {
        with(lifetime, service_account()).expect_status(2).expect_error("--lifetime ").expect_hint("1s to 1h").run();
    }
    with("10m", authorized_user()).expect_status(7).expect_error("--lifetime").expect_hint("remove --lifetime").run();
    for lifetime in ["1", "3600", "60m", "PT1H", "1h"] {
        let answer = crate::support::token_response(200, token_response_body(TOKEN));
        with(lifetime, service_account()).expect_request(answer).run();
    }
}

#[test]
fn global_flags_may_stand_before_the_command() {
    Test::new("--credentials {home}/key.json --format header token")
        .json("key.json", &authorized_user())
        .expect_request(crate::support::token_response(200, token_response_body(TOKEN)))
        .expect_stdout(&format!("Authorization: Bearer {TOKEN}\n"))
        .run();
}

#[test]
fn help_and_version_read_nothing() {
    for words in
        ["", "--help", "help", "help sources", "help exit-codes", "token --help", "--version", "--quiet --help"]
    {
        Test::new(words).file(".config/gauth/config.toml", "broken = [").run();
    }
}
