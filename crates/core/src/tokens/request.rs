//! What is asked of a credential.

use crate::text::scopes::{CLOUD_PLATFORM_SCOPE, IAM_SCOPE};

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
