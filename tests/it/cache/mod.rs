//! The cache: one request for many runs. It never makes a run fail, and never shows a token.

mod command;
mod damaged_files;
mod hits_and_keys;
mod stale_tokens_and_failures;

use std::rc::Rc;

use serde_json::json;

use crate::support::sample_credentials::{authorized_user, service_account};
use crate::support::{Home, MockExchange, Test, token_response};

/// `gauth token` for a login in a file.
fn user_test(home: &Rc<Home>, args: &str) -> Test {
    let test = Test::new(&format!("token --credentials {{home}}/user.json {args}"));
    test.home(home).json("user.json", &authorized_user())
}

/// `gauth token` for a service account's key.
fn service_account_test(home: &Rc<Home>, args: &str) -> Test {
    let test = Test::new(&format!("token --credentials {{home}}/robot.json {args}"));
    test.home(home).json("robot.json", &service_account())
}

/// A response with a token of this lifetime.
fn token_with_lifetime(access: &str, seconds: i64) -> MockExchange {
    token_response(200, json!({"access_token": access, "expires_in": seconds}).to_string())
}

/// What a test expects on standard output.
fn output_line(access: &str) -> String {
    format!("{access}\n")
}
