//! The sign-in of a user (RFC 8252): an OAuth client sends an authorization request to an authorization server, the
//! response comes back by way of a browser, and the tokens it is exchanged for are stored as a login.
//!
//! [`client`] is the OAuth client, [`provider`] the authorization server, [`authorize`] the authorization request. The
//! response comes back to [`loopback`], or the user pastes it ([`paste`]), or approves on another device ([`device`]).
//! [`user`] identifies the user and builds a login at Google, [`workforce`] one of a workforce pool and [`openid`] one
//! at any other OpenID provider, whose metadata [`discovery`] reads.

pub mod authorize;
pub mod browser;
pub mod callback;
pub mod client;
pub mod device;
pub mod discovery;
pub mod loopback;
pub mod openid;
pub mod page;
pub mod paste;
pub mod provider;
mod qr;
pub mod redirect;
pub mod sign_in_lock;
pub mod user;
pub mod wait;
pub mod workforce;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::login::authorize::{AuthorizationRequest, AuthorizationSession};
use crate::login::client::OAuthClient;
use crate::login::provider::LoginProvider;
use crate::login::redirect::RedirectUri;
use crate::oauth::client_authentication::ClientCredentials;
use crate::oauth::code::AuthorizationCodeGrant;
use crate::oauth::token::TokenResponse;
use crate::oauth::{code, response, token};
use crate::text::printable;
use crate::text::secret::Secret;
use crate::tokens::broker::Broker;
use crate::world::clock::Deadline;

/// Everything about one sign-in that is known before the user is asked.
pub struct LoginRequest {
    /// The authorization server to sign in at.
    pub provider: LoginProvider,
    /// The OAuth client that requests authorization.
    pub client: OAuthClient,
    /// The parameters of the authorization request.
    pub authorization: AuthorizationRequest,
    /// The end of the time that the user has.
    pub deadline: Deadline,
    /// The kind of login that is made.
    pub kind: LoginKind,
}

/// The kind of login that is made of the tokens.
#[derive(Debug, Clone)]
pub enum LoginKind {
    /// A login with a Google Account.
    User,
    /// A login of a workforce pool.
    Workforce(Box<workforce::WorkforceLoginConfig>),
    /// A login at another OpenID provider.
    OpenId(Box<openid::OpenIdLoginConfig>),
}

/// A new login, which is not stored yet.
pub struct NewLogin {
    /// The name of the account that it is stored under.
    pub account: String,
    /// The login as a credential file.
    pub json: Map<String, Value>,
}

/// A successful authorization response (RFC 6749, 4.1.2).
pub struct AuthorizationResponse {
    /// The authorization code, which is valid once and for a short time.
    pub code: Secret,
    /// The redirect URI of the authorization request.
    pub redirect_uri: String,
}

/// Exchanges an authorization code for tokens (RFC 6749, 4.1.3; RFC 7636, 4.5). The code is sent once.
///
/// # Errors
/// `Refused` with the server's error, or `NoAnswer`.
pub fn exchange_code(
    login_request: &LoginRequest,
    authorization: &AuthorizationResponse,
    session: &AuthorizationSession,
    broker: &Broker<'_>,
) -> Result<TokenResponse> {
    let endpoint = &login_request.provider.token_endpoint;
    let grant = AuthorizationCodeGrant {
        code: &authorization.code,
        redirect_uri: &authorization.redirect_uri,
        code_verifier: &session.code_verifier,
        client: login_request.client_credentials(),
    };
    let now = broker.now();
    let response = broker.send(&code::authorization_code_request(endpoint, &grant))?;
    token::read_bearer_response(&response, endpoint.authority(), now).map_err(|error| {
        match response::server_error(&response).as_ref().map(|error| error.code.as_str()) {
            Some("invalid_grant") => error.hint("gauth login, because a code is valid once and for a few minutes"),
            Some("redirect_uri_mismatch") => error.hint(format!(
                "register {} with the client, or pass a registered one with --redirect-uri",
                printable::text(&authorization.redirect_uri)
            )),
            Some("invalid_client" | "unauthorized_client") => error.hint(format!(
                "check client_id and client_secret in {}, or download the client again",
                login_request.client.location
            )),
            _ => error.hint_if_none(|| "gauth login".to_owned()),
        }
    })
}

/// A JSON object with these fields.
fn json_object<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl LoginRequest {
    /// Identifies the user and builds the login from the tokens.
    ///
    /// # Errors
    /// When the server does not identify the user, when another user signed in than the requested one, or when there is no
    /// refresh token.
    pub fn build_login(
        &self,
        granted: &TokenResponse,
        session: &AuthorizationSession,
        quota_project: Option<&str>,
        broker: &Broker<'_>,
    ) -> Result<NewLogin> {
        let mut login = match &self.kind {
            LoginKind::User => {
                let user = user::identify_user(self, granted, session, broker)?;
                let json = user::authorized_user(self, &user, granted)?;
                NewLogin { account: user.account, json }
            }
            LoginKind::Workforce(config) => config.build_login(self, granted, broker)?,
            LoginKind::OpenId(config) => {
                let user = user::identify_user(self, granted, session, broker)?;
                config.build_login(self, &user, granted, broker.world)?
            }
        };
        if let Some(project) = quota_project {
            login.json.insert("quota_project_id".to_owned(), Value::from(project));
        }
        Ok(login)
    }

    /// The client with its authentication method at the provider.
    pub(crate) fn client_credentials(&self) -> ClientCredentials<'_> {
        let OAuthClient { id, secret, .. } = &self.client;
        ClientCredentials::new(id, secret.as_ref(), self.provider.client_authentication)
    }

    /// The URL of the authorization request, which the user visits.
    ///
    /// # Errors
    /// Usage, when the URL is too long for a browser.
    pub fn authorization_url(&self, redirect: &RedirectUri, session: &AuthorizationSession) -> Result<String> {
        authorize::authorization_url(self, &redirect.uri, session)
    }

    /// The error for an authorization error response (RFC 6749, 4.1.2.1).
    pub fn authorization_error(&self, code: &str, description: Option<&str>) -> Error {
        let error = response::ServerError {
            code: printable::redacted(code),
            description: description.map(printable::redacted),
            ..response::ServerError::default()
        };
        let provider = &self.provider.name;
        match code {
            "access_denied" if description.is_none() => {
                Error::refused(format!("{provider}: consent was denied")).hint("gauth login, and allow the access")
            }
            "access_denied" => Error::refused(format!("{provider} says {}", error.message()))
                .hint("gauth login, and allow the access; or ask the administrator of the account"),
            "interaction_required" | "login_required" | "consent_required" | "account_selection_required" => {
                Error::refused(format!("{provider} says {}", error.message()))
                    .hint("remove --prompt none, because the user has to answer a question")
            }
            "invalid_scope" => Error::refused(format!("{provider} says {}", error.message()))
                .hint("check --scopes: a scope is misspelt, or this client may not request it"),
            _ => Error::refused(format!("{provider} says {}", error.message()))
                .hint(format!("check the client in {}, then run gauth login again", self.client.location)),
        }
    }
}
