//! Random identifiers, codes and secrets.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use gauth_core::error::Result;
use gauth_core::http::server::http::ServerResponse;
use gauth_core::world::random::{Random, SystemRandom};

/// This many random bytes, encoded as base64url.
pub(crate) fn random_base64url(bytes: usize) -> Result<String> {
    let mut raw = vec![0; bytes];
    SystemRandom.fill(&mut raw)?;
    Ok(URL_SAFE_NO_PAD.encode(raw))
}

/// A random refresh token in the form of Google's.
///
/// # Errors
/// A response with status 500 when the operating system has no random numbers.
pub(crate) fn random_refresh_token() -> std::result::Result<String, ServerResponse> {
    match random_base64url(45) {
        Ok(random) => Ok(format!("1//{random}")),
        Err(_) => Err(ServerResponse::empty(500)),
    }
}
