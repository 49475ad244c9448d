//! Signing a person in (RFC 8252): an OAuth client, a question to an authorization server, an answer by way of a
//! browser, and a login that is stored.
//!
//! [`client`] is who asks, [`provider`] where, [`authorize`] how the question is put. The answer comes back to
//! [`loopback`], or by hand ([`paste`]), or to another device ([`device`]); [`person`] makes an account of it. Other
//! providers than Google describe themselves ([`discovery`]); [`workforce`] and [`openid`] say what becomes of those
//! who sign in there.

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
pub mod person;
pub mod provider;
mod qr;
pub mod redirect;
pub mod turn;
pub mod wait;
pub mod workforce;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::login::authorize::{AuthorizationRequest, AuthorizationSession};
use crate::login::client::OAuthClient;
use crate::login::provider::LoginProvider;
use crate::login::redirect::RedirectUri;
use crate::oauth::client_authentication::ClientCredentials;
use crate::oauth::code;
use crate::oauth::code::AuthorizationCodeGrant;
use crate::oauth::response;
use crate::oauth::token;
use crate::oauth::token::TokenResponse;
use crate::text::printable;
use crate::text::secret::Secret;
use crate::tokens::broker::Broker;
use crate::world::clock::Deadline;

/// Everything about one login, before anybody is asked.
pub struct LoginRequest {
    /// Where the person signs in.
    pub provider: LoginProvider,
    /// Which program asks.
    pub client: OAuthClient,
    /// What is asked for.
    pub authorization: AuthorizationRequest,
    /// Until when the person may take.
    pub deadline: Deadline,
    /// What becomes of it.
    pub kind: LoginKind,
}

/// Which kind of login is made.
#[derive(Debug, Clone)]
pub enum LoginKind {
    /// A user login at Google.
    User,
    /// A login by way of a workforce pool.
    Workforce(Box<workforce::WorkforceLoginConfig>),
    /// A login at somebody else's provider.
    OpenId(Box<openid::OpenIdLoginConfig>),
}

/// A login to be stored.
pub struct NewLogin {
    /// The name it is stored under.
    pub account: String,
    /// Google's own JSON, or ours.
    pub json: Map<String, Value>,
}

/// What the person's consent gave: a code, good once and for a moment.
pub struct AuthorizationResponse {
    /// The code.
    pub code: Secret,
    /// The URL the browser came back to, as the server knows it.
    pub redirect_uri: String,
}

/// Puts the code in for tokens (RFC 6749, 4.1.3; RFC 7636, 4.5). It is sent once.
///
/// # Errors
/// The server's refusal, or that there is no usable answer.
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
            Some("invalid_grant") => {
                error.hint("gauth login once more; a code is good once and for minutes only")
            }
            Some("redirect_uri_mismatch") => error.hint(format!(
                "register {} with the client, or name the one that is: --redirect-uri",
                printable::text(&authorization.redirect_uri)
            )),
            Some("invalid_client" | "unauthorized_client") => error.hint(format!(
                "check client_id and client_secret in {}, or download the client again",
                login_request.client.location
            )),
            _ => error.hint_if_none(|| "gauth login once more".to_owned()),
        }
    })
}

impl LoginRequest {
    /// The login that these tokens make, and whose it is.
    ///
    /// # Errors
    /// When nobody says who signed in, when it is not who was asked for, or when the login would not last.
    pub fn build_login(
        &self,
        granted: &TokenResponse,
        session: &AuthorizationSession,
        quota_project: Option<&str>,
        broker: &Broker<'_>,
    ) -> Result<NewLogin> {
        match &self.kind {
            LoginKind::User => {
                let user = person::identify_user(self, granted, session, broker)?;
                let login = person::authorized_user(self, &user, granted, quota_project)?;
                Ok(NewLogin { account: user.account, json: login })
            }
            LoginKind::Workforce(config) => {
                config.build_login(self, granted, quota_project, broker)
            }
            LoginKind::OpenId(target) => {
                let user = person::identify_user(self, granted, session, broker)?;
                target.build_login(self, &user, granted, quota_project, broker.world)
            }
        }
    }

    /// The client as it authenticates at the provider.
    pub fn client_credentials(&self) -> ClientCredentials<'_> {
        let OAuthClient { id, secret, .. } = &self.client;
        ClientCredentials::new(id, secret.as_ref(), self.provider.client_authentication)
    }

    /// The URL that the person visits.
    ///
    /// # Errors
    /// When it would be no URL.
    pub fn authorization_url(
        &self,
        redirect: &RedirectUri,
        session: &AuthorizationSession,
    ) -> Result<String> {
        authorize::authorization_url(self, &redirect.uri, session)
    }

    /// An error of the authorization server's, which came back in place of a code (RFC 6749, 4.1.2.1).
    pub fn authorization_error(&self, code: &str, description: Option<&str>) -> Error {
        let error = response::ServerError {
            code: printable::redacted(code),
            description: description.map(printable::redacted),
            ..response::ServerError::default()
        };
        let provider = &self.provider.name;
        match code {
            "access_denied" if description.is_none() => {
                Error::refused(format!("{provider} was told no: the consent was denied"))
                    .hint("gauth login once more, and allow it")
            }
            "access_denied" => Error::refused(format!("{provider} says {}", error.message())).hint(
                "gauth login once more, and allow it; or ask the administrator of the account",
            ),
            "interaction_required"
            | "login_required"
            | "consent_required"
            | "account_selection_required" => {
                Error::refused(format!("{provider} says {}", error.message()))
                    .hint("leave --prompt none away: the person has something to answer")
            }
            "invalid_scope" => Error::refused(format!("{provider} says {}", error.message()))
                .hint("check --scopes: one is misspelt, or not this client's to ask for"),
            _ => Error::refused(format!("{provider} says {}", error.message())).hint(format!(
                "check the client in {}, then gauth login once more",
                self.client.location
            )),
        }
    }
}
