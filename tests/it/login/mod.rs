//! `gauth login` without a browser on this machine: devices, other providers, and the logins that are stored.

mod device;
mod oidc_provider;
mod oidc_session;
mod workforce_config;

use serde_json::{Value, json};

use crate::support::Test;
use crate::support::sample_credentials::{CLIENT_ID, CLIENT_SECRET};

/// The content of an OAuth client file.
fn client_json() -> Value {
    json!({"installed": {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}})
}

/// `gauth login` with these arguments and that client.
fn login_test(args: &str) -> Test {
    Test::new(&format!("login --client-id-file {{home}}/client.json {args}")).json("client.json", &client_json())
}
