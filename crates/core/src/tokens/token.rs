//! A token, and what is known about it.

use crate::jose::jwt;
use crate::text::secret::Secret;

/// A token and what is known about it.
#[derive(Debug, Clone)]
pub struct Token {
    /// The value that goes behind `Bearer`.
    pub secret: Secret,
    /// When it ends, in Unix seconds; `None` when nobody said.
    pub expires_at: Option<i64>,
    /// What it allows, as far as it is known.
    pub scopes: Option<Vec<String>>,
    /// Whose it is.
    pub account: Option<String>,
    /// The credential kind that made it.
    pub credential_type: String,
    /// The universe its APIs are in.
    pub universe_domain: Option<String>,
    /// The project that pays for requests made with it.
    pub quota_project: Option<String>,
    /// Whether it came from the cache.
    pub from_cache: bool,
    /// Whether it may be kept (a token of unknown life is not).
    pub cacheable: bool,
}

impl Token {
    /// A token fresh from its maker.
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
        }
    }

    /// An ID token, which says itself when it ends.
    pub fn from_id_token(secret: Secret, credential_type: &str) -> Token {
        let end = jwt::expiry(&secret);
        Token::new(secret, credential_type, end)
    }

    /// Seconds until it ends, never negative; `None` when nobody said.
    pub fn seconds_left(&self, now: i64) -> Option<i64> {
        self.expires_at.map(|end| end.saturating_sub(now).max(0))
    }

    /// Whether more than `margin` seconds are left.
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
            serde_json::from_str(include_str!("../../../../tests/data/vectors.json"))
                .expect("vectors");
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
