//! Requests for tokens.

use crate::text::scopes::{CLOUD_PLATFORM_SCOPE, IAM_SCOPE};

/// A request for a token of one of three kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenRequest {
    /// For an OAuth 2.0 access token (RFC 6749).
    AccessToken(AccessTokenRequest),
    /// For a JWT signed with the credential's own key, used as a bearer token without a request to Google (AIP-4111).
    SelfSignedJwt(SelfSignedRequest),
    /// For an ID token (OpenID Connect Core 1.0).
    IdToken(IdTokenRequest),
}

/// A request for an access token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessTokenRequest {
    /// Sorted and without repetitions; empty: the credential's own scopes.
    pub scopes: Vec<String>,
    /// The user a service account acts for (domain-wide delegation).
    pub subject: Option<String>,
    /// The requested lifetime in seconds.
    pub lifetime: Option<u32>,
    /// Whether the token is for IAM only: a kind that must name a scope names the scope `iam`.
    pub for_iam: bool,
}

impl AccessTokenRequest {
    /// The scopes of the request, or the default one for kinds that must name a scope.
    pub fn scopes_or_default(&self) -> Vec<String> {
        match (self.scopes.is_empty(), self.for_iam) {
            (false, _) => self.scopes.clone(),
            (true, false) => vec![CLOUD_PLATFORM_SCOPE.to_owned()],
            (true, true) => vec![IAM_SCOPE.to_owned()],
        }
    }
}

/// A request for a self-signed JWT: with an audience or with scopes, never both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfSignedRequest {
    /// The claim `aud` or `scope`.
    pub target: SelfSignedTarget,
    /// The requested lifetime in seconds.
    pub lifetime: Option<u32>,
}

/// A request for an ID token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdTokenRequest {
    /// The claim `aud`; `None`: the only audience the credential can have.
    pub audience: Option<String>,
    /// `--token-format`: with claims about the machine (metadata server); `None` without the flag.
    pub full_format: Option<bool>,
    /// `--include-license`: with the licences of the machine's images (metadata server).
    pub include_licenses: bool,
    /// `--include-email`: with the claim `email` (impersonation); `None` without the flag.
    pub include_email: Option<bool>,
}

/// The claim of a self-signed JWT that limits its use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelfSignedTarget {
    /// `aud`: one service, as in `https://pubsub.googleapis.com/`.
    Audience(String),
    /// `scope`: sorted and without repetitions.
    Scopes(Vec<String>),
}

impl TokenRequest {
    /// The scopes the request names.
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
