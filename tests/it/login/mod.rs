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
    Test::new(&format!("login --client-id-file {{home}}/client.json {args}"))
        .json("client.json", &client_json())
}

/// A JWT with these claims and an invalid signature.
fn unsigned_id_token(claims: &Value) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2lnbmVk", part(&json!({"alg": "ES256", "kid": "k"})), part(claims))
}
