//! `gauth login`, as far as it needs no browser here: devices, other providers, and what is stored of them.

mod device;
mod issuer;
mod openid;
mod workforce;

use serde_json::{Value, json};

use crate::support::Test;
use crate::support::samples::{CLIENT_ID, CLIENT_SECRET};

/// A client file.
fn client() -> Value {
    json!({"installed": {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}})
}

/// `gauth login` and these words, with that client.
fn login(words: &str) -> Test {
    Test::new(&format!("login --client-id-file {{home}}/client.json {words}"))
        .json("client.json", &client())
}

/// A JWT with these claims, which nobody has signed.
fn id_token(claims: &Value) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2lnbmVk", part(&json!({"alg": "ES256", "kid": "k"})), part(claims))
}
