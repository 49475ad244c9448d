//! Which credential is used: the sources, their order, and the reports about them.

mod account_selection;
#[cfg(feature = "gcloud-store")]
mod gcloud;
mod metadata_detection;
mod precedence;
mod profiles;
mod status;

use serde_json::{Value, json};

use crate::support::sample_credentials::{TOKEN, authorized_user, token_response_body, with_fields};
use crate::support::{ADC_FILE, Home, MockExchange, Test, metadata_response, token_response};

/// The JSON of a user login of this account.
fn login_json(account: &str) -> Value {
    with_fields(authorized_user(), &json!({"account": account}))
}

/// A successful response of the token endpoint.
fn token_endpoint_success() -> MockExchange {
    token_response(200, token_response_body(TOKEN))
}

/// A successful response of the metadata server.
fn metadata_server_success() -> MockExchange {
    metadata_response("instance/service-accounts/default/token", 200, token_response_body(TOKEN))
}

/// The test runs `gauth token --format json`, which uses a credential of this source and account.
#[track_caller]
fn assert_uses(test: Test, source: &str, account: Option<&str>) {
    let json = test.run().json();
    assert_eq!((&json["source"], &json["account"]), (&json!(source), &json!(account)), "{json}");
}

/// A source of credentials, and how a test sets it up.
struct SourceFixture {
    /// The name that `--source` takes.
    source: &'static str,
    /// The account of its credential.
    account: Option<&'static str>,
    setup: fn(Test) -> Test,
    /// The request that is sent when it is used.
    request: Option<fn() -> MockExchange>,
}

/// All sources, in the documented order.
const SOURCES: &[SourceFixture] = &[
    SourceFixture {
        source: "env",
        account: None,
        setup: |test| test.env("CLOUDSDK_AUTH_ACCESS_TOKEN", TOKEN),
        request: None,
    },
    SourceFixture {
        source: "env",
        account: None,
        setup: |test| test.env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "{home}/token").file("token", TOKEN),
        request: None,
    },
    SourceFixture {
        source: "env",
        account: None,
        setup: |test| test.env("GOOGLE_OAUTH_ACCESS_TOKEN", TOKEN),
        request: None,
    },
    SourceFixture {
        source: "env",
        account: Some("gauth-variable@example.com"),
        setup: |test| test.env("GAUTH_CREDENTIALS", login_json("gauth-variable@example.com").to_string()),
        request: Some(token_endpoint_success),
    },
    SourceFixture {
        source: "env",
        account: Some("google-variable@example.com"),
        setup: |test| {
            test.env("GOOGLE_APPLICATION_CREDENTIALS", "{home}/google.json")
                .json("google.json", &login_json("google-variable@example.com"))
        },
        request: Some(token_endpoint_success),
    },
    SourceFixture {
        source: "login",
        account: Some("own@example.com"),
        setup: |test| {
            test.json(".config/gauth/state.json", &json!({"active": "own@example.com"}))
                .json(".config/gauth/accounts/own@example.com.json", &login_json("own@example.com"))
        },
        request: Some(token_endpoint_success),
    },
    SourceFixture {
        source: "adc",
        account: Some("adc@example.com"),
        setup: |test| test.json(ADC_FILE, &login_json("adc@example.com")),
        request: Some(token_endpoint_success),
    },
    #[cfg(feature = "gcloud-store")]
    SourceFixture {
        source: "gcloud",
        account: Some("gcloud@example.com"),
        setup: |test| {
            test.setup(|home| {
                write_gcloud_configuration(home, "default", "[core]\naccount = gcloud@example.com\n");
                write_gcloud_store(home, &[("gcloud@example.com", login_json(""))]);
            })
        },
        request: Some(token_endpoint_success),
    },
    SourceFixture {
        source: "metadata",
        account: None,
        setup: |test| test.env("GCE_METADATA_HOST", "metadata.google.internal"),
        request: Some(metadata_server_success),
    },
];

/// One of gcloud's configurations.
pub(crate) fn write_gcloud_configuration(home: &Home, name: &str, content: &str) {
    home.write(&format!(".config/gcloud/configurations/config_{name}"), content);
}

/// gcloud's accounts.
#[cfg(feature = "gcloud-store")]
pub(crate) fn write_gcloud_store(home: &Home, rows: &[(&str, Value)]) {
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
