//! Wrong command lines and how gauth answers them: the files in tests/data/command_lines. `UPDATE=1` writes the answers.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use crate::exchange::JWT;
use crate::support::Test;

#[track_caller]
fn check_file(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/command_lines");
    let path = folder.join(name);
    let written = std::fs::read_to_string(&path).unwrap();
    let actual: String = written.lines().filter_map(with_answer).collect();
    if std::env::var_os("UPDATE").is_some() {
        return std::fs::write(&path, &actual).unwrap();
    }
    let different = written.lines().zip(actual.lines()).find(|(written, actual)| written != actual);
    if let Some((written, actual)) = different {
        panic!("{name} says   {written}\ngauth answers {actual}\nUPDATE=1 cargo test command_lines");
    }
    assert_eq!(written, actual);
}

/// A line of the file: a command line with its answer, a comment or an empty line. `None` for an old answer.
fn with_answer(line: &str) -> Option<String> {
    let Some(args) = line.strip_prefix("$ gauth") else {
        return (line.is_empty() || line.starts_with('#')).then(|| format!("{line}\n"));
    };
    let test = Test::new(args).file("jwt", JWT).secret(JWT).stdin(JWT);
    let output = test.expect_any_status(&[2, 3, 7, 8, 9]).run();
    assert!(!output.stderr.contains("hunter2"), "a secret is repeated: {output:#?}");
    Some(format!("{line}\n{}exit code {}\n", output.stderr, output.status))
}

#[test]
fn a_wrong_command_is_explained() {
    check_file("gauth.txt");
}

#[test]
fn a_wrong_command_line_of_gauth_token_is_explained() {
    check_file("token.txt");
}

#[test]
fn a_wrong_command_line_of_gauth_exchange_is_explained() {
    check_file("exchange.txt");
}

#[test]
fn a_wrong_command_line_of_gauth_inspect_is_explained() {
    check_file("inspect.txt");
}

#[test]
fn a_wrong_command_line_of_gauth_curl_is_explained() {
    check_file("curl.txt");
}
