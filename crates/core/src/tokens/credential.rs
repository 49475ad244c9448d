//! Something that can mint tokens, and what is known of it. The kinds are in `credentials/`, one file each.

use crate::error::{Error, Result};
use crate::net::message::ClientCertificate;
use crate::tokens::broker::Broker;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::{AccessTokenRequest, IdTokenRequest, SelfSignedRequest, Token, TokenRequest};
use crate::world::World;

/// Seconds a cached token must have left, as gcloud has it.
pub const DEFAULT_REFRESH_MARGIN_SECONDS: i64 = 300;

/// Something that can mint tokens. What a kind cannot do says so.
pub trait Credential {
    /// What is known of it without asking anybody.
    fn info(&self) -> &CredentialInfo;

    /// Adds everything that decides its tokens to a cache key.
    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher);

    /// Whether its tokens are kept.
    fn is_cacheable(&self) -> bool {
        true
    }

    /// Least life of a cached token, in seconds.
    fn refresh_margin(&self) -> i64 {
        DEFAULT_REFRESH_MARGIN_SECONDS
    }

    /// An access token.
    ///
    /// # Errors
    /// Why there is none.
    fn access_token(&self, request: &AccessTokenRequest, broker: &Broker<'_>) -> Result<Token>;

    /// Gets what it needs of another credential, before the broker takes the lock of this one's token: nobody
    /// may hold two of them.
    ///
    /// # Errors
    /// Why there is none.
    fn prepare(&self, _: &TokenRequest, _: &Broker<'_>) -> Result<()> {
        Ok(())
    }

    /// What servers are shown in its name (mutual TLS).
    ///
    /// # Errors
    /// When certificate and key cannot be used.
    fn client_certificate(&self, _: &World) -> Result<Option<ClientCertificate>> {
        Ok(None)
    }

    /// A JWT signed with its own key.
    ///
    /// # Errors
    /// Why there is none.
    fn self_signed_jwt(&self, _: &SelfSignedRequest, _: &Broker<'_>) -> Result<Token> {
        Err(self.info().unsupported_error("sign a token itself").hint(
            "use the key of a service account (--credentials KEY.json), \
             or leave --audience and --self-signed away",
        ))
    }

    /// An ID token (OpenID Connect Core 1.0, section 2).
    ///
    /// # Errors
    /// Why there is none.
    fn id_token(&self, _: &IdTokenRequest, _: &Broker<'_>) -> Result<Token> {
        Err(self.info().unsupported_error("give ID tokens").hint(
            "act as a service account, which can: --impersonate-service-account ci@my-project.iam.gserviceaccount.com",
        ))
    }

    /// What is known of it without asking a server; unlike `about`, this may open files.
    ///
    /// # Errors
    /// When it turns out to be unusable.
    fn load_info(&self) -> Result<CredentialInfo> {
        Ok(self.info().clone())
    }

    /// In what words its server refused this very login, as far as that is remembered: nobody is asked.
    fn last_rejection(&self, _: &World) -> Option<String> {
        None
    }

    /// Ends the login at its server. The caller holds the lock of the login.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    fn revoke(&self, _: &Broker<'_>) -> Result<Revocation> {
        Ok(Revocation::Unsupported)
    }

    /// What only a server can tell: account, project, universe.
    ///
    /// # Errors
    /// When the server does not answer.
    fn fetch_info(&self, _: &Broker<'_>) -> Result<CredentialInfo> {
        self.load_info()
    }
}

/// What came of ending a login at its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It is over.
    Revoked,
    /// It was over before.
    AlreadyRevoked,
    /// This kind can only be forgotten here.
    Unsupported,
}

impl Revocation {
    /// What the server's answer means: the login ended now, or was not known any more.
    pub fn from_newly_revoked(newly_revoked: bool) -> Revocation {
        if newly_revoked { Revocation::Revoked } else { Revocation::AlreadyRevoked }
    }
}

/// What is known of a credential.
#[derive(Debug, Clone, Default)]
pub struct CredentialInfo {
    /// Its `type` in Google's JSON, or what stands for it.
    pub credential_type: String,
    /// The file, variable or server it came from, for errors.
    pub location: String,
    /// Whose it is.
    pub account: Option<String>,
    /// The project it belongs to.
    pub project: Option<String>,
    /// The project that pays for requests made with it.
    pub quota_project: Option<String>,
    /// The universe its APIs are in.
    pub universe_domain: Option<String>,
    /// What it comes to its tokens by, where that is not itself: "ada@example.com, a user login".
    pub derived_from: Option<String>,
}

impl CredentialInfo {
    /// The account, or failing that the place, for sentences.
    pub fn display_name(&self) -> &str {
        self.account.as_deref().unwrap_or(&self.location)
    }

    /// Exit 7: the beginning of "KIND of NAME cannot WHAT".
    pub fn unsupported_error(&self, action: &str) -> Error {
        let type_name = credential_type_name(&self.credential_type);
        Error::unsupported(format!("{} is {type_name}, which cannot {action}", self.display_name()))
    }

    /// Exit 2: an ID token is for somebody.
    pub fn missing_audience_error(&self) -> Error {
        Error::usage(format!(
            "an ID token of {} is for somebody, and nobody is named",
            self.display_name()
        ))
        .hint("--audiences https://SERVICE-HASH-REGION.a.run.app, the URL of the service")
    }

    /// Refuses the wishes about ID tokens that only the metadata server and IAM can meet.
    ///
    /// # Errors
    /// Exit 7, naming the flag.
    pub fn check_id_token_options(&self, request: &IdTokenRequest) -> Result<()> {
        for (is_set, flag, supported_by) in [
            (
                request.full_format.is_some(),
                "--token-format",
                "the metadata server of Compute Engine",
            ),
            (
                request.include_licenses,
                "--include-license",
                "the metadata server of Compute Engine",
            ),
            (request.include_email.is_some(), "--include-email", "an impersonated service account"),
        ] {
            if is_set {
                let error = self.unsupported_error(&format!("obey {flag}"));
                return Err(error.hint(format!("leave {flag} away, it is for {supported_by}")));
            }
        }
        Ok(())
    }

    /// Stamps a token with what is known.
    pub fn annotate(&self, mut token: Token) -> Token {
        token.account = self.account.clone();
        token.universe_domain = self.universe_domain.clone();
        token.quota_project = self.quota_project.clone();
        token
    }
}

/// A kind as people say it.
pub fn credential_type_name(credential_type: &str) -> &str {
    match credential_type {
        "authorized_user" => "a user login",
        "service_account" => "a service account",
        "access_token" => "a ready token",
        "metadata" => "the metadata server's account",
        "external_account" => "a federated identity",
        "external_account_authorized_user" => "a workforce login",
        "impersonated_service_account" => "an impersonated service account",
        "gdch_service_account" => "a service account of Google Distributed Cloud",
        "openid_login" => "a login at another provider",
        other => other,
    }
}
