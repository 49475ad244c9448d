//! What is asked for, and what comes back.

pub mod broker;
pub mod cache;
pub mod file;

use crate::jose::jwt;
use crate::text::secret::Secret;

/// The scope of everything in Google Cloud, and the default where a kind must name one.
pub const CLOUD_PLATFORM_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The longest token that is accepted, in characters.
pub const MAX_TOKEN_CHARS: usize = 16_384;

/// The scope that lets a token make others at IAM, and nothing else.
pub const IAM_SCOPE: &str = "https://www.googleapis.com/auth/iam";

/// What is wanted of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenRequest {
    /// An OAuth 2.0 access token (RFC 6749).
    AccessToken(AccessTokenRequest),
    /// A JWT signed with the credential's own key, used as a bearer token without asking Google (AIP-4111).
    SelfSignedJwt(SelfSignedRequest),
    /// An OpenID Connect ID token.
    IdToken(IdTokenRequest),
}

/// The details of an access token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessTokenRequest {
    /// Sorted and without repetitions; empty: the credential's own choice.
    pub scopes: Vec<String>,
    /// The user a service account acts for (domain-wide delegation).
    pub subject: Option<String>,
    /// Wanted life in seconds.
    pub lifetime: Option<u32>,
    /// The token is for getting another one from IAM: a kind that must name a scope names that one.
    pub for_iam: bool,
}

impl AccessTokenRequest {
    /// The scopes for a kind that must name some.
    pub fn scopes_or_default(&self) -> Vec<String> {
        match (self.scopes.is_empty(), self.for_iam) {
            (false, _) => self.scopes.clone(),
            (true, false) => vec![CLOUD_PLATFORM_SCOPE.to_owned()],
            (true, true) => vec![IAM_SCOPE.to_owned()],
        }
    }
}

/// The details of a self-signed JWT: an audience, or scopes, never both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfSignedRequest {
    /// What the token is for.
    pub target: SelfSignedTarget,
    /// Wanted life in seconds.
    pub lifetime: Option<u32>,
}

/// The details of an ID token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdTokenRequest {
    /// Whom it is for; `None`: whomever the credential's tokens are for anyway.
    pub audience: Option<String>,
    /// With claims about the machine (metadata server); `None`: nobody said.
    pub full_format: Option<bool>,
    /// With the licences of the machine's images (metadata server).
    pub include_licenses: bool,
    /// With the account's address (impersonation); `None`: nobody said.
    pub include_email: Option<bool>,
}

/// The claim that says what a self-signed JWT is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelfSignedTarget {
    /// `aud`: one service, as in `https://pubsub.googleapis.com/`.
    Audience(String),
    /// `scope`: sorted and without repetitions.
    Scopes(Vec<String>),
}

impl TokenRequest {
    /// The scopes that were asked for by name.
    pub fn scopes(&self) -> &[String] {
        match self {
            TokenRequest::AccessToken(access) => &access.scopes,
            TokenRequest::SelfSignedJwt(signed) => match &signed.target {
                SelfSignedTarget::Scopes(scopes) => scopes,
                SelfSignedTarget::Audience(_) => &[],
            },
            TokenRequest::IdToken(_) => &[],
        }
    }
}

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

/// Whether a value can be a bearer token: 1 to 16,384 visible ASCII characters.
pub fn is_well_formed(value: &str) -> bool {
    (1..=MAX_TOKEN_CHARS).contains(&value.len())
        && value.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

/// Scopes as the user wrote them, made whole: a word without `:` and `/` gets Google's prefix, but for
/// the three of OpenID Connect. Sorted and without repetitions.
pub fn expand_scopes<'a>(scope_lists: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut scopes: Vec<String> = scope_lists
        .into_iter()
        .flat_map(|text| text.split([',', ' ']))
        .filter(|word| !word.is_empty())
        .map(|word| match word {
            "openid" | "email" | "profile" => word.to_owned(),
            _ if word.contains([':', '/']) => word.to_owned(),
            _ => format!("https://www.googleapis.com/auth/{word}"),
        })
        .collect();
    scopes.sort();
    scopes.dedup();
    scopes
}

/// Whether two names are of the same scope: Google answers two of OpenID Connect's with names of its own.
pub fn is_same_scope(one: &str, other: &str) -> bool {
    let canonical = |scope| match scope {
        "email" => "https://www.googleapis.com/auth/userinfo.email".to_owned(),
        "profile" => "https://www.googleapis.com/auth/userinfo.profile".to_owned(),
        _ => String::from(scope),
    };
    canonical(one) == canonical(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_scopes_get_googles_prefix() {
        assert_eq!(
            expand_scopes([
                "openid,cloud-platform",
                "email https://mail.google.com/",
                "cloud-platform"
            ]),
            ["email", "https://mail.google.com/", CLOUD_PLATFORM_SCOPE, "openid"]
        );
    }

    #[test]
    fn googles_names_for_email_and_profile_are_the_same_scopes() {
        assert!(is_same_scope("https://www.googleapis.com/auth/userinfo.email", "email"));
        assert!(is_same_scope("openid", "openid") && !is_same_scope("openid", "email"));
    }

    #[test]
    fn a_token_is_visible_ascii_of_bounded_length() {
        assert!(is_well_formed("ya29.a-b_c~"));
        for bad in ["", "two words", "line\n", "ümlaut", "\u{7f}"] {
            assert!(!is_well_formed(bad), "{bad:?}");
        }
        assert!(is_well_formed(&"x".repeat(MAX_TOKEN_CHARS)));
        assert!(!is_well_formed(&"x".repeat(MAX_TOKEN_CHARS + 1)));
    }

    #[test]
    fn the_states_of_a_token_match_the_published_vectors() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/data/vectors.json")).expect("vectors");
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
