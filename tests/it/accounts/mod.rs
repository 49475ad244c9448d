//! Logins: listed, chosen, looked at, exported, ended. gauth's own and gcloud's.

mod credentials;
mod export;
mod list;
mod logout;
mod profiles;
mod show;
mod stores;

use std::rc::Rc;

use serde_json::{Value, json};

use crate::support::samples::{authorized_user, with};
use crate::support::{Exchange, Home, Test, token};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const STATE: &str = ".config/gauth/state.json";

/// Where gauth keeps the login of an account.
fn place(account: &str) -> String {
    format!(".config/gauth/accounts/{account}.json")
}

/// A login of this account.
fn login(account: &str) -> Value {
    with(authorized_user(), &json!({"account": account}))
}

/// A home with these logins of gauth's, the first of them active.
fn signed_in(logins: &[(&str, Value)]) -> Rc<Home> {
    let home = Home::new();
    for (account, login) in logins {
        home.write(&place(account), login.to_string());
    }
    if let Some((first, _)) = logins.first() {
        home.write(STATE, json!({"active": first}).to_string());
    }
    home
}

fn at(home: &Rc<Home>, words: &str) -> Test {
    Test::new(words).home(home)
}

fn state(home: &Home) -> Value {
    serde_json::from_str(&home.read(STATE)).expect("JSON")
}

/// The server no longer has the login.
fn ended() -> Exchange {
    token(
        400,
        r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#,
    )
}

/// gcloud is signed in with these; the first is its account.
#[cfg(feature = "gcloud-store")]
fn in_gcloud(home: &Home, rows: &[(&str, Value)]) {
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
