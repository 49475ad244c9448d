//! Which credential is used: the six places, what goes before what, and what is said of each.

mod account;
mod detection;
#[cfg(feature = "gcloud-store")]
mod gcloud;
mod order;
mod profiles;
mod status;

use serde_json::{Value, json};

use crate::support::samples::{TOKEN, authorized_user, granted, with};
use crate::support::{ADC, Exchange, Home, Test, metadata, token};

/// A login of this account.
fn login(account: &str) -> Value {
    with(authorized_user(), &json!({"account": account}))
}

/// The token endpoint gives a token.
fn yes() -> Exchange {
    token(200, granted(TOKEN))
}

/// The metadata server gives one.
fn machine() -> Exchange {
    metadata("instance/service-accounts/default/token", 200, granted(TOKEN))
}

/// The test runs `gauth token --format json`, which uses a credential of this source and account.
#[track_caller]
fn uses(test: Test, source: &str, account: Option<&str>) {
    let json = test.run().json();
    assert_eq!((&json["source"], &json["account"]), (&json!(source), &json!(account)), "{json}");
}

/// A place where a credential may be, as it is made.
struct Made {
    /// As `--source` calls it.
    source: &'static str,
    /// Whose it is.
    account: Option<&'static str>,
    make: fn(Test) -> Test,
    /// What is asked when it is used.
    asked: Option<fn() -> Exchange>,
}

/// All places, in the documented order.
const PLACES: &[Made] = &[
    Made {
        source: "env",
        account: None,
        make: |test| test.env("CLOUDSDK_AUTH_ACCESS_TOKEN", TOKEN),
        asked: None,
    },
    Made {
        source: "env",
        account: None,
        make: |test| {
            test.env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "{home}/token").file("token", TOKEN)
        },
        asked: None,
    },
    Made {
        source: "env",
        account: None,
        make: |test| test.env("GOOGLE_OAUTH_ACCESS_TOKEN", TOKEN),
        asked: None,
    },
    Made {
        source: "env",
        account: Some("gauth-variable@example.com"),
        make: |test| test.env("GAUTH_CREDENTIALS", login("gauth-variable@example.com").to_string()),
        asked: Some(yes),
    },
    Made {
        source: "env",
        account: Some("google-variable@example.com"),
        make: |test| {
            test.env("GOOGLE_APPLICATION_CREDENTIALS", "{home}/google.json")
                .json("google.json", &login("google-variable@example.com"))
        },
        asked: Some(yes),
    },
    Made {
        source: "login",
        account: Some("own@example.com"),
        make: |test| {
            test.json(".config/gauth/state.json", &json!({"active": "own@example.com"}))
                .json(".config/gauth/accounts/own@example.com.json", &login("own@example.com"))
        },
        asked: Some(yes),
    },
    Made {
        source: "adc",
        account: Some("adc@example.com"),
        make: |test| test.json(ADC, &login("adc@example.com")),
        asked: Some(yes),
    },
    #[cfg(feature = "gcloud-store")]
    Made {
        source: "gcloud",
        account: Some("gcloud@example.com"),
        make: |test| {
            test.step(|home| {
                configuration(home, "default", "[core]\naccount = gcloud@example.com\n");
                store(home, &[("gcloud@example.com", login(""))]);
            })
        },
        asked: Some(yes),
    },
    Made {
        source: "metadata",
        account: None,
        make: |test| test.env("GCE_METADATA_HOST", "metadata.google.internal"),
        asked: Some(machine),
    },
];

/// One of gcloud's configurations.
fn configuration(home: &Home, name: &str, content: &str) {
    home.write(&format!(".config/gcloud/configurations/config_{name}"), content);
}

/// gcloud's accounts.
#[cfg(feature = "gcloud-store")]
fn store(home: &Home, rows: &[(&str, Value)]) {
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
