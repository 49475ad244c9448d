//! The cache: one request for many runs, never in the way, never telling.

mod command;
mod damage;
mod failure;
mod hits;

use std::rc::Rc;

use serde_json::json;

use crate::support::samples::{authorized_user, service_account};
use crate::support::{Exchange, Home, Test, token};

/// `gauth token` for a login in a file.
fn user(home: &Rc<Home>, words: &str) -> Test {
    let test = Test::new(&format!("token --credentials {{home}}/user.json {words}"));
    test.home(home).json("user.json", &authorized_user())
}

/// `gauth token` for a service account's key.
fn robot(home: &Rc<Home>, words: &str) -> Test {
    let test = Test::new(&format!("token --credentials {{home}}/robot.json {words}"));
    test.home(home).json("robot.json", &service_account())
}

/// A token of this life.
fn gives(access: &str, seconds: i64) -> Exchange {
    token(200, json!({"access_token": access, "expires_in": seconds}).to_string())
}

/// What a test expects on standard output.
fn line(access: &str) -> String {
    format!("{access}\n")
}
