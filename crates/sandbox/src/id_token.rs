//! The claims that all ID tokens of the sandbox have in common.

use serde_json::{Value, json};

/// How long ID tokens are valid, in seconds.
pub(crate) const ID_TOKEN_LIFETIME_SECONDS: i64 = 3600;

/// The required claims of an ID token (OpenID Connect Core, 2), issued `now` with this lifetime.
pub(crate) fn id_token_claims(issuer: &str, subject: &str, audience: &str, now: i64, lifetime_seconds: i64) -> Value {
    json!({
        "iss": issuer,
        "sub": subject,
        "aud": audience,
        "iat": now,
        "exp": now + lifetime_seconds,
    })
}
