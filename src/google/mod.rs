//! Google's APIs: one file each. Requests are built and answers read by pure functions.

pub mod gdch;
pub mod iam;
pub mod metadata;
pub mod reauth;
pub mod tokeninfo;

use crate::text::secret::Secret;

/// What an `Authorization` header says of a token (RFC 6750, 2.1).
pub fn bearer_authorization(token: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", token.expose()))
}

/// The metrics header Google's libraries send: language, library, and what is asked with which kind.
/// Nothing else about the user or the machine is sent.
pub fn metrics_header(suffix: &str) -> String {
    let rust = env!("CARGO_PKG_RUST_VERSION");
    let version = env!("CARGO_PKG_VERSION");
    format!("gl-rust/{rust} auth/{version} {suffix}")
}
