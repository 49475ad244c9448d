//! The command line: flags that do not exist, values that make no sense, secrets where others can read them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::support::Test;
use crate::support::sample_credentials::{
    TOKEN, authorized_user, service_account, token_response_body,
};

/// Words, exit code, and words of both lines.
const INVALID_COMMAND_LINES: &[(&str, u8, &str, &str)] = &[
    ("nosuch", 2, "there is no command nosuch", "gauth --help"),
    ("tokne", 2, "there is no command tokne", "gauth token"),
    ("--nosuch", 2, "there is no flag --nosuch", "gauth --help"),
    ("-x token", 2, "there is no flag -x", "gauth --help"),
    ("--quiet", 2, "no command is named", "gauth --help"),
    ("--quiet nosuch", 2, "there is no command nosuch", "gauth --help"),
    ("-", 2, "there is no command -", "gauth"),
    ("--", 2, "no command is named", "gauth"),
    ("token --nosuch", 2, "there is no flag --nosuch", "gauth token --help"),
    ("token --acount x@example.com", 2, "there is no flag --acount", "--account"),
    ("token -x", 2, "there is no flag -x", "--help"),
    ("token one two", 2, "there is a word too many", "--help"),
    ("token ada@example.com --account bob@example.com", 2, "ACCOUNT and --account", "leave one"),
    ("token --account", 2, "--account needs a value", "--help"),
    ("token --account=", 2, "--account is empty", "--account"),
    ("token --account a --account b", 2, "--account", "leave one"),
    ("token --credentials", 2, "--credentials needs a value", "--help"),
    (
        "token --source nowhere",
        2,
        "--source does not know that value",
        "env, login, adc, gcloud, metadata",
    ),
    ("token --source=", 2, "--source needs a value", "env"),
    ("token --source ENV", 2, "--source does not know that value", "env"),
    (
        "token --format xml",
        2,
        "--format does not know that value",
        "text, json, header, env, curl-config",
    ),
    ("token --format=", 2, "--format needs a value", "text"),
    ("token --format TEXT", 2, "--format does not know that value", "text"),
    ("token --format value(account)", 2, "--format does not know that value", "text"),
    ("token --scopes=", 2, "--scopes is empty", "--scopes"),
    ("token --scopes ,", 2, "--scopes holds no scope", "cloud-platform"),
    ("token --scopes \u{fc}mlaut", 2, "--scopes holds no scope", "cloud-platform"),
    ("token --subject=", 2, "--subject is empty", "--subject"),
    ("token --subject ada", 2, "--subject ada is not an e-mail address", "ada@example.com"),
    ("token --lifetime=", 2, "--lifetime is empty", "--lifetime"),
    ("token --lifetime 0", 2, "--lifetime 0s is out of range", "1s to 12h"),
    ("token --lifetime 500ms", 2, "--lifetime 0s is out of range", "1s to 12h"),
    ("token --lifetime soon", 2, "--lifetime soon is not a duration", "--lifetime 10m"),
    ("token --lifetime 1e3", 2, "--lifetime 1e3 is not a duration", "--lifetime 10m"),
    ("token --lifetime=-5s", 2, "--lifetime -5s is negative", "--lifetime 10m"),
    ("token --lifetime 1.5", 2, "--lifetime 1.5 is not a duration", "--lifetime 10m"),
    ("token --lifetime 99999999999", 2, "--lifetime 99999999999s is out of range", "1s to 12h"),
    ("token --lifetime 99999999999999999999", 2, "is too long", "--lifetime 10m"),
    ("token --lifetime 18446744073709551615", 2, "--lifetime is too long", "12h"),
    ("token --min-ttl=", 2, "--min-ttl is empty", "--min-ttl"),
    ("token --min-ttl soon", 2, "--min-ttl soon is not a duration", "--min-ttl 10m"),
    ("token --min-ttl=-1", 2, "--min-ttl -1 is not a duration", "--min-ttl 10m"),
    ("token --timeout=", 2, "--timeout is empty", "--timeout"),
    ("token --timeout 0", 2, "--timeout leaves no time at all", "at least 1s"),
    ("token --timeout soon", 2, "--timeout soon is not a duration", "--timeout 10m"),
    ("token --timeout 18446744073709551616", 2, "is too long", "--timeout 10m"),
    ("token --quota-project=", 2, "--quota-project is empty", "--quota-project"),
    (
        "token --quota-project p\u{fc}",
        2,
        "--quota-project has characters no header can carry",
        "project",
    ),
    ("token --universe-domain=", 2, "--universe-domain is empty", "--universe-domain"),
    ("token --universe-domain com", 2, "--universe-domain is not a domain name", "googleapis.com"),
    ("token --audience=", 2, "--audience is empty", "--audience"),
    (
        "token --audience https://a.example --scopes x",
        2,
        "do not go together",
        "leave one of the two",
    ),
    (
        "token --audience https://a.example --subject a@b",
        2,
        "cannot act for a user",
        "leave --subject away",
    ),
    ("token --self-signed --subject a@b", 2, "cannot act for a user", "leave --subject away"),
    ("token --no-cache --refresh", 2, "--no-cache and --refresh do not go together", "leave one"),
    ("token --quiet --verbose", 2, "do not go together", "leave one"),
    ("token --no-cache=yes", 2, "--no-cache", "--help"),
    ("token --profile=", 2, "--profile is empty", "--profile"),
    (
        "token --profile nosuch",
        2,
        "there is no profile nosuch in HOME/.config/gauth/config.toml",
        "[profiles.nosuch]",
    ),
    ("status --format xml", 2, "--format does not know that value", "text, json"),
    ("status one", 2, "there is a word too many", "--help"),
    ("cache destroy", 2, "there is no such action", "list, clear"),
    ("cache list more", 2, "there is a word too many", "--help"),
    ("cache list --account a", 2, "there is no flag --account", "gauth cache --help"),
    ("help nosuch", 2, "nosuch", "gauth"),
    ("completions nosuch", 2, "there is no such shell", "bash"),
];

#[test]
fn a_wrong_command_line_is_explained() {
    for (words, status, says, tries) in INVALID_COMMAND_LINES {
        Test::new(words).expect_status(*status).expect_error(says).expect_hint(tries).run();
    }
}

#[test]
fn arguments_with_spaces_and_line_ends_are_refused() {
    for (flag, value, words) in [
        ("--subject", "ada @example.com", "is not an e-mail address"),
        ("--subject", "ada@example.com\nx", "ada@example.com\\nx is not an e-mail address"),
        ("--quota-project", "p\r\nX: y", "no header can carry"),
        ("--audience", "https://a.example /", "--audience has spaces"),
        ("--scopes", " ", "--scopes holds no scope"),
        ("--scopes", "a\u{0}b", "--scopes holds no scope"),
        ("--lifetime", "\u{1b}[31m", "--lifetime \\u{1b}[31m is not a duration"),
        ("--universe-domain", "a b.example", "is not a domain name"),
    ] {
        Test::new("token").arg(flag).arg(value).expect_status(2).expect_error(words).run();
    }
}

#[test]
fn a_non_utf8_argument_names_its_flag() {
    let odd = OsString::from_vec(vec![b'x', 0xff]);
    for flag in [
        "--account",
        "--scopes",
        "--subject",
        "--lifetime",
        "--min-ttl",
        "--timeout",
        "--quota-project",
    ] {
        let test = Test::new("token").arg(flag).arg(&odd).expect_status(2);
        test.expect_error(&format!("the value of {flag} is not valid UTF-8"))
            .expect_hint(flag)
            .run();
    }
    for flag in
        ["--universe-domain", "--audience", "--profile", "--allow-token-host", "--allow-host"]
    {
        Test::new("token").arg(flag).arg(&odd).expect_status(2).expect_error(flag).run();
    }
    for flag in ["--source", "--format"] {
        Test::new("token").arg(flag).arg(&odd).expect_status(2).run();
    }
    Test::new("token").arg(&odd).expect_status(2).expect_error("not valid UTF-8").run();
    Test::new("").arg(&odd).expect_status(2).expect_error("there is no command x\u{fffd}").run();
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
            Test::new("token")
                .arg(joined)
                .expect_status(9)
                .expect_error("looks like a secret")
                .run();
        }
    }
}

#[test]
fn a_value_that_is_refused_is_not_repeated() {
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
        Test::new("token --credentials {home}/key.json --lifetime")
            .arg(lifetime)
            .json("key.json", &credential)
    };
    for lifetime in ["3601", "61m", "2h", "12h", "4000000000"] {
        with(lifetime, service_account())
            .expect_status(2)
            .expect_error("--lifetime ")
            .expect_hint("1s to 1h")
            .run();
    }
    with("10m", authorized_user())
        .expect_status(7)
        .expect_error("--lifetime")
        .expect_hint("leave --lifetime away")
        .run();
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
    for words in [
        "",
        "--help",
        "help",
        "help sources",
        "help exit-codes",
        "token --help",
        "--version",
        "--quiet --help",
    ] {
        Test::new(words).file(".config/gauth/config.toml", "broken = [").run();
    }
}
