//! `gauth exchange`: what is sent, what is printed, and what is refused.

mod against_sandbox;
mod argument_values;
mod client_authentication;
mod request_parameters;
mod responses;
mod subject_tokens;

use serde_json::json;

use crate::support::sample_credentials::{CLOUD_PLATFORM, TOKEN};
use crate::support::{MockExchange, Test, sts_response};

/// A subject token that is a JWT by its looks; it ended long ago by nobody's word.
pub(crate) const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwbGFudGVkLXN1YmplY3QifQ.c2lnbmF0dXJl";
const AUDIENCE: &str = "//iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/p/providers/q";
const TOKEN_EXCHANGE_GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
/// A server that is not Google's.
const OTHER_TOKEN_ENDPOINT: &str = "https://as.example.com/token";

/// An exchange with these words behind it.
fn exchange_test(args: &str) -> Test {
    Test::new(&format!("exchange {args}")).secret(JWT).file("jwt", JWT)
}

/// What an exchange gives.
fn sts_token_response() -> String {
    let answer = json!({
        "access_token": TOKEN, "issued_token_type": ACCESS_TOKEN_TYPE, "token_type": "Bearer", "expires_in": 3599,
    });
    answer.to_string()
}

/// Google's STS, which gives a token.
fn google_sts_success() -> MockExchange {
    sts_response(200, sts_token_response())
}

/// Another server, which gives a token.
fn other_sts_success() -> MockExchange {
    google_sts_success().at_url(OTHER_TOKEN_ENDPOINT)
}
