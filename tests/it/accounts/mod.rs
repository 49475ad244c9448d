//! Stored logins, of gauth and of gcloud: list, use, show, export, revoke.

mod export;
mod list;
mod login_credentials;
mod logout;
mod profiles;
mod secret_stores;
mod show_and_use;

use std::rc::Rc;

use serde_json::{Value, json};

use crate::support::sample_credentials::{authorized_user, with_fields};
use crate::support::{Home, MockExchange, Test, token_response};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const STATE_FILE: &str = ".config/gauth/state.json";

/// The file of an account in the account store.
fn login_file(account: &str) -> String {
    format!(".config/gauth/accounts/{account}.json")
}

/// A user login of this account.
fn login_json(account: &str) -> Value {
    with_fields(authorized_user(), &json!({"account": account}))
}

/// A home with these logins of gauth's, the first of which is active.
fn home_with_logins(logins: &[(&str, Value)]) -> Rc<Home> {
    let home = Home::new();
    for (account, login) in logins {
        home.write(&login_file(account), login.to_string());
    }
    if let Some((first, _)) = logins.first() {
        home.write(STATE_FILE, json!({"active": first}).to_string());
    }
    home
}

fn gauth_in(home: &Rc<Home>, args: &str) -> Test {
    Test::new(args).home(home)
}

fn state_json(home: &Home) -> Value {
    serde_json::from_str(&home.read(STATE_FILE)).expect("JSON")
}

/// The response to a refresh token that is no longer valid.
fn invalid_grant_response() -> MockExchange {
    token_response(400, r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#)
}

/// Signs in to gcloud with these accounts, the first of which is active.
#[cfg(feature = "gcloud-store")]
fn sign_in_to_gcloud(home: &Home, rows: &[(&str, Value)]) {
    let config = format!("[core]\naccount = {}\n", rows[0].0);
    home.write(".config/gcloud/configurations/config_default", config);
    home.write(".config/gcloud/credentials.db", "");
    let path = home.path(".config/gcloud/credentials.db");
    let base = rusqlite::Connection::open(path).expect("a database");
    let table = "CREATE TABLE \"credentials\" (account_id TEXT PRIMARY KEY, value BLOB)";
    base.execute_batch(table).expect("a table");
    for (account, json) in rows {
        let row = [(*account).to_owned(), json.to_string()];
        base.execute("INSERT INTO credentials VALUES (?1, ?2)", row).expect("a row");
    }
}
