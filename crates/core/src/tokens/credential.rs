//! A credential gets tokens, and a session is what it works with while it does. The kinds of credentials are in
//! `credentials/`, one file each. The two traits name each other, so they share a file.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::net::message::{ClientCertificate, HttpRequest, HttpResponse};
use crate::tokens::cache::{CacheKeyHasher, Lock};
use crate::tokens::{AccessTokenRequest, IdTokenRequest, SelfSignedRequest, Token, TokenRequest};
use crate::world::World;
use crate::world::clock::Deadline;

/// Something that can get tokens.
///
/// Three methods every kind has. The others are for what only some kinds can do; without one, a kind refuses or knows
/// nothing. A credential that wraps another one decides on each of them: the lint `clippy::missing_trait_methods` is
/// an error there.
pub trait Credential {
    /// What is known without opening a file or asking a server.
    fn info(&self) -> &CredentialInfo;

    /// Adds everything that decides its tokens to a cache key.
    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher);

    /// An OAuth 2.0 access token (RFC 6749).
    ///
    /// # Errors
    /// When the server refuses or does not answer, or this kind cannot meet the request.
    fn access_token(&self, request: &AccessTokenRequest, session: &dyn Session) -> Result<Token>;

    /// An ID token (OpenID Connect Core 1.0, section 2).
    ///
    /// # Errors
    /// As [`Credential::access_token`].
    fn id_token(&self, _: &IdTokenRequest, _: &dyn Session) -> Result<Token> {
        Err(self.info().unsupported_error("give ID tokens").hint(
            "impersonate a service account, which can: --impersonate-service-account ci@my-project.iam.gserviceaccount.com",
        ))
    }

    /// A JWT signed with the credential's own key (AIP-4111).
    ///
    /// # Errors
    /// As [`Credential::access_token`].
    fn self_signed_jwt(&self, _: &SelfSignedRequest, _: &dyn Session) -> Result<Token> {
        Err(self.info().signing_unsupported_error())
    }

    /// Whether its tokens may be cached.
    fn is_cacheable(&self) -> bool {
        true
    }

    /// Gets what it needs of another credential, before the broker locks the cache entry of this one's token: no
    /// process holds two of these locks.
    ///
    /// # Errors
    /// As [`Credential::access_token`].
    fn prepare(&self, _: &TokenRequest, _: &dyn Session) -> Result<()> {
        Ok(())
    }

    /// The client certificate that its tokens are bound to (mutual TLS, RFC 8705).
    ///
    /// # Errors
    /// When certificate and key cannot be used.
    fn client_certificate(&self, _: &World) -> Result<Option<ClientCertificate>> {
        Ok(None)
    }

    /// What is known without asking a server; unlike [`Credential::info`], this may open files.
    ///
    /// # Errors
    /// When a file is malformed.
    fn load_info(&self) -> Result<CredentialInfo> {
        Ok(self.info().clone())
    }

    /// What is known with the help of a server: account, project, universe.
    ///
    /// # Errors
    /// When the server does not answer.
    fn fetch_info(&self, _: &dyn Session) -> Result<CredentialInfo> {
        self.load_info()
    }

    /// The reason its server gave when it last refused this login, where that is remembered. No request is sent.
    fn last_rejection(&self, _: &World) -> Option<String> {
        None
    }

    /// Revokes the login at its server (RFC 7009). The caller holds the lock of the login.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    fn revoke(&self, _: &dyn Session) -> Result<Revocation> {
        Ok(Revocation::Unsupported)
    }
}

/// What a credential works with while it gets one token: HTTP within a time budget, tokens of other credentials, and
/// the user, where one can be asked.
pub trait Session {
    /// The doors to everything outside the process.
    fn world(&self) -> &World;

    /// Sends a request within what is left of the budget, with the retries its policy allows.
    ///
    /// # Errors
    /// `NoAnswer`, naming the host.
    fn send(&self, request: &HttpRequest) -> Result<HttpResponse>;

    /// Sends a request that may take no longer than `timeout`.
    ///
    /// # Errors
    /// `NoAnswer`, naming the host.
    fn send_with_timeout(&self, request: &HttpRequest, timeout: Duration) -> Result<HttpResponse>;

    /// A token of another credential, cached or new.
    ///
    /// # Errors
    /// Those of that credential.
    fn token(&self, credential: &dyn Credential, request: &TokenRequest) -> Result<Token>;

    /// An access token of another credential that IAM and the STS accept.
    ///
    /// # Errors
    /// Those of that credential.
    fn source_token(&self, credential: &dyn Credential) -> Result<Token>;

    /// Whether a token that exists already can be used: it has more than `min_seconds` left, or what the user's
    /// `--min-ttl` asks for, and no new one was requested.
    fn is_sufficient(&self, token: &Token, min_seconds: i64) -> bool;

    /// The moment by which everything must be done.
    fn deadline(&self) -> Deadline;

    /// Adds time to the budget that was spent on something with a limit of its own.
    fn extend_deadline(&self, elapsed: Duration);

    /// Whether gauth can prompt the user now.
    fn can_prompt(&self) -> bool;

    /// Marks for processes that wait for the same token that the user is prompted, until the lock is dropped: at a
    /// terminal they wait for the whole prompt.
    fn mark_prompting(&self) -> Option<Lock>;

    /// The time now, in Unix seconds.
    fn now(&self) -> i64 {
        self.world().clock.unix_seconds()
    }
}

impl dyn Session + '_ {
    /// Does what has a limit of its own, such as running a program: its time is not taken from the budget.
    pub fn pause_deadline<T>(&self, work: impl FnOnce() -> T) -> T {
        let started = self.world().clock.elapsed();
        let result = work();
        self.extend_deadline(self.world().clock.elapsed().saturating_sub(started));
        result
    }
}

/// What the server did with a login that was to be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It revoked the login now.
    Revoked,
    /// The login was not valid any more.
    AlreadyRevoked,
    /// Logins of this kind cannot be revoked, only forgotten.
    Unsupported,
}

/// What is known of a credential: for errors, `status` and the details of its tokens.
#[derive(Debug, Clone, Default)]
pub struct CredentialInfo {
    /// Its `type` in Google's JSON; gauth's own name where it has none, such as `metadata`.
    pub credential_type: String,
    /// The file, variable or server it came from, for errors.
    pub location: String,
    /// The e-mail address or principal it belongs to.
    pub account: Option<String>,
    /// The project it belongs to.
    pub project: Option<String>,
    /// The project that is billed for requests made with it.
    pub quota_project: Option<String>,
    /// The universe domain of its APIs.
    pub universe_domain: Option<String>,
    /// What its tokens are made from, where that is another credential: "ada@example.com, a user login".
    pub derived_from: Option<String>,
}

impl CredentialInfo {
    /// The account, or the location where no account is known, for messages.
    pub fn display_name(&self) -> &str {
        self.account.as_deref().unwrap_or(&self.location)
    }

    /// An error of exit code 7: "NAME is KIND, which cannot ACTION".
    pub fn unsupported_error(&self, action: &str) -> Error {
        let type_name = credential_type_name(&self.credential_type);
        Error::unsupported(format!("{} is {type_name}, which cannot {action}", self.display_name()))
    }

    /// An error of exit code 7 for kinds without a key of their own.
    pub fn signing_unsupported_error(&self) -> Error {
        self.unsupported_error("sign a token itself").hint(
            "use the key of a service account (--credentials KEY.json), \
             or remove --audience and --self-signed",
        )
    }

    /// An error of exit code 2 for kinds whose ID tokens need an audience.
    pub fn missing_audience_error(&self) -> Error {
        Error::usage(format!("an ID token of {} needs an audience, and none is named", self.display_name()))
            .hint("--audiences https://SERVICE-HASH-REGION.a.run.app, the URL of the service")
    }

    /// Refuses the options of ID tokens that only the metadata server or IAM supports.
    ///
    /// # Errors
    /// `Unsupported`, naming the flag.
    pub fn check_id_token_options(&self, request: &IdTokenRequest) -> Result<()> {
        for (is_set, flag, supported_by) in [
            (request.full_format.is_some(), "--token-format", "the metadata server of Compute Engine"),
            (request.include_licenses, "--include-license", "the metadata server of Compute Engine"),
            (request.include_email.is_some(), "--include-email", "an impersonated service account"),
        ] {
            if is_set {
                let error = self.unsupported_error(&format!("use {flag}"));
                return Err(error.hint(format!("remove {flag}, which only {supported_by} supports")));
            }
        }
        Ok(())
    }

    /// Copies account, universe and quota project to a token.
    pub fn annotate(&self, mut token: Token) -> Token {
        token.account = self.account.clone();
        token.universe_domain = self.universe_domain.clone();
        token.quota_project = self.quota_project.clone();
        token
    }
}

/// The name of a credential type, with its article; a type without an entry here is shown as it is.
pub fn credential_type_name(credential_type: &str) -> &str {
    match credential_type {
        "authorized_user" => "a user login",
        "service_account" => "a service account",
        "access_token" => "a static access token",
        "metadata" => "the metadata server's account",
        "external_account" => "a federated identity",
        "external_account_authorized_user" => "a workforce login",
        "impersonated_service_account" => "an impersonated service account",
        "gdch_service_account" => "a service account of Google Distributed Cloud",
        "openid_login" => "a login at another provider",
        other => other,
    }
}
