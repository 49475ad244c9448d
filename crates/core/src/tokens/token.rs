//! Tokens as issuers give them and as the cache keeps them.

use crate::jose::jwt;
use crate::text::secret::Secret;

/// Seconds a cached token must have left to be used, as in gcloud, unless its issuer gives a new one only later.
pub const DEFAULT_REFRESH_MARGIN_SECONDS: i64 = 300;

/// A token and what is known about it.
#[derive(Debug, Clone)]
pub struct Token {
    /// The value that follows `Bearer` in an `Authorization` header (RFC 6750).
    pub secret: Secret,
    /// Its expiry in Unix seconds; `None` where the issuer gave none.
    pub expires_at: Option<i64>,
    /// Its scopes, where they are known.
    pub scopes: Option<Vec<String>>,
    /// The e-mail address or principal it belongs to.
    pub account: Option<String>,
    /// The type of the credential it was issued for.
    pub credential_type: String,
    /// The universe domain of its APIs.
    pub universe_domain: Option<String>,
    /// The project that is billed for requests made with it.
    pub quota_project: Option<String>,
    /// Whether it came from the cache.
    pub from_cache: bool,
    /// Whether it may be cached; a token of unknown lifetime may not.
    #[doc(hidden)]
    pub cacheable: bool,
    /// Seconds before its expiry from which a new one is requested.
    #[doc(hidden)]
    pub refresh_margin: i64,
}

impl Token {
    /// A token as its issuer gave it.
    #[doc(hidden)]
    pub fn new(secret: Secret, credential_type: &str, expires_at: Option<i64>) -> Token {
        Token {
            secret,
            expires_at,
            scopes: None,
            account: None,
            credential_type: credential_type.to_owned(),
            universe_domain: None,
            quota_project: None,
            from_cache: false,
            cacheable: expires_at.is_some(),
            refresh_margin: DEFAULT_REFRESH_MARGIN_SECONDS,
        }
    }

    /// An ID token, whose expiry is its claim `exp`.
    #[doc(hidden)]
    pub fn from_id_token(secret: Secret, credential_type: &str) -> Token {
        let expires_at = jwt::expiry(&secret);
        Token::new(secret, credential_type, expires_at)
    }

    /// Seconds until its expiry, never negative; `None` where that is not known.
    pub fn seconds_left(&self, now: i64) -> Option<i64> {
        self.expires_at.map(|expires_at| expires_at.saturating_sub(now).max(0))
    }

    /// Whether it has more than `margin` seconds left; a token without expiry always has.
    pub fn is_fresh(&self, now: i64, margin: i64) -> bool {
        self.seconds_left(now).is_none_or(|left| left > margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_of_a_token_match_the_published_vectors() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/data/vectors.json")).expect("vectors");
        let margin = vectors["token_state"]["refresh_threshold_seconds"].as_i64().expect("margin");
        for case in vectors["token_state"]["cases"].as_array().expect("cases") {
            let end = case["expiry_minus_now"].as_i64();
            let token = Token::new(Secret::new("t"), "test", end);
            let state = match (token.is_fresh(0, margin), token.is_fresh(0, 0)) {
                (true, _) => "fresh",
                (false, true) => "stale",
                (false, false) => "invalid",
            };
            assert_eq!(state, case["state"], "{case}");
        }
    }
}
