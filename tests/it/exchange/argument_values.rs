//! Argument values that a line of tests/data/command_lines cannot hold: too long, with spaces, or not UTF-8.

use super::exchange_test;
use crate::support::Test;

/// The flags that every token exchange needs.
const VALID_ARGS: &str = "--subject-token @{home}/jwt --audience a";

#[test]
fn long_and_odd_values_are_refused() {
    for (flag, value, message) in [
        ("--audience", "a b".to_owned(), "contains a space"),
        ("--audience", "a\nb".to_owned(), "control character"),
        ("--audience", "a".repeat(2049), "longer than 2048"),
        ("--resource", "https://a.example/ b".to_owned(), "not an absolute URI"),
        ("--resource", format!("urn:{}", "a".repeat(2049)), "not an absolute URI"),
        ("--endpoint", format!("https://a.example/{}", "a".repeat(2048)), "longer than 2048"),
        ("--client-id", "a\tb".to_owned(), "control character"),
        ("--header", "X-A: a\nX-B: b".to_owned(), "control or non-ASCII character"),
        ("--options", format!("{{\"a\":{}1{}}}", "[".repeat(99), "]".repeat(99)), "nested deeper"),
    ] {
        exchange_test(VALID_ARGS).arg(flag).arg(&value).expect_status(2).expect_error(flag).expect_error(message).run();
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(4 * 1024 * 1024));
    let test = exchange_test(&format!("{VALID_ARGS} --options @{{home}}/large")).file("large", large);
    test.expect_status(8).expect_error("HOME/large (--options): is larger than 4096 KiB").run();
    for flag in ["--audience", "--header", "--options", "--endpoint", "--client-id"] {
        exchange_test(VALID_ARGS)
            .arg(flag)
            .arg(non_utf8_string())
            .expect_status(2)
            .expect_error(flag)
            .expect_error("not valid UTF-8")
            .run();
    }
    let subject = Test::new("exchange --subject-token").arg(non_utf8_string());
    subject.expect_status(2).expect_error("the value of --subject-token is not valid UTF-8").run();
}

fn non_utf8_string() -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(b"@\xff".to_vec())
}
