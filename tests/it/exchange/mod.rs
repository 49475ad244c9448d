//! `gauth exchange`: what is sent, what is printed, and what is refused.

mod answers;
mod client;
mod command_line;
mod sandbox;
mod subject;
mod wire;

use serde_json::json;

use crate::support::samples::TOKEN;
use crate::support::{Exchange, Test, sts};

/// A subject token that is a JWT by its looks; it ended long ago by nobody's word.
pub(crate) const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwbGFudGVkLXN1YmplY3QifQ.c2lnbmF0dXJl";
const AUDIENCE: &str =
    "//iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/p/providers/q";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
/// A server that is not Google's.
const OTHER: &str = "https://as.example.com/token";

/// An exchange with these words behind it.
fn exchange(words: &str) -> Test {
    Test::new(&format!("exchange {words}")).secret(JWT).file("jwt", JWT)
}

/// What an exchange gives.
fn issued() -> String {
    let answer = json!({
        "access_token": TOKEN, "issued_token_type": ACCESS, "token_type": "Bearer", "expires_in": 3599,
    });
    answer.to_string()
}

/// Google's STS, which gives a token.
fn gives() -> Exchange {
    sts(200, issued())
}

/// Another server, which gives a token.
fn other_gives() -> Exchange {
    gives().url(OTHER)
}
