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

use crate::broker::Broker;
use crate::error::{Error, Result};
use crate::google::answer;
use crate::google::code::{self, CodeGrant};
use crate::google::sts::ClientAuth;
use crate::google::token::{self, Granted};
use crate::login::authorize::{Challenge, Wish};
use crate::login::client::Client;
use crate::login::provider::{Auth, Provider};
use crate::login::redirect::Redirect;
use crate::printable;
use crate::secret::Secret;
use crate::world::clock::Deadline;

/// Everything about one login, before anybody is asked.
pub struct Plan {
    /// Where the person signs in.
    pub provider: Provider,
    /// Which program asks.
    pub client: Client,
    /// What is asked for.
    pub wish: Wish,
    /// Until when the person may take.
    pub until: Deadline,
    /// What becomes of it.
    pub makes: Makes,
}

/// Which kind of login is made.
#[derive(Debug, Clone)]
pub enum Makes {
    /// A user login at Google.
    User,
    /// A login by way of a workforce pool.
    Workforce(Box<workforce::Config>),
    /// A login at somebody else's provider.
    OpenId(Box<openid::Target>),
}

/// A login to be stored.
pub struct Made {
    /// The name it is stored under.
    pub account: String,
    /// Google's own JSON, or ours.
    pub login: Map<String, Value>,
}

/// What the person's consent gave: a code, good once and for a moment.
pub struct Consent {
    /// The code.
    pub code: Secret,
    /// The URL the browser came back to, as the server knows it.
    pub redirect_uri: String,
}

/// Puts the code in for tokens (RFC 6749, 4.1.3; RFC 7636, 4.5). It is sent once.
///
/// # Errors
/// The server's refusal, or that there is no usable answer.
pub fn exchange(
    plan: &Plan,
    consent: &Consent,
    challenge: &Challenge,
    broker: &Broker<'_>,
) -> Result<Granted> {
    let endpoint = &plan.provider.token;
    let grant = CodeGrant {
        code: &consent.code,
        redirect_uri: &consent.redirect_uri,
        verifier: &challenge.verifier,
        client: plan.client_auth(),
    };
    let now = broker.now();
    let response = broker.send(&code::grant(endpoint, &grant))?;
    token::read(&response, endpoint.authority(), now).map_err(|error| {
        match answer::server_error(&response).as_ref().map(|said| said.code.as_str()) {
            Some("invalid_grant") => {
                error.hint("gauth login once more; a code is good once and for minutes only")
            }
            Some("redirect_uri_mismatch") => error.hint(format!(
                "register {} with the client, or name the one that is: --redirect-uri",
                printable::text(&consent.redirect_uri)
            )),
            Some("invalid_client" | "unauthorized_client") => error.hint(format!(
                "check client_id and client_secret in {}, or download the client again",
                plan.client.place
            )),
            _ => error.hint_if_none(|| "gauth login once more".to_owned()),
        }
    })
}

impl Plan {
    /// The login that these tokens make, and whose it is.
    ///
    /// # Errors
    /// When nobody says who signed in, when it is not who was asked for, or when the login would not last.
    pub fn login(
        &self,
        granted: &Granted,
        challenge: &Challenge,
        quota_project: Option<&str>,
        broker: &Broker<'_>,
    ) -> Result<Made> {
        match &self.makes {
            Makes::User => {
                let person = person::of(self, granted, challenge, broker)?;
                let login = person::authorized_user(self, &person, granted, quota_project)?;
                Ok(Made { account: person.account, login })
            }
            Makes::Workforce(config) => config.login(self, granted, quota_project, broker),
            Makes::OpenId(target) => {
                let person = person::of(self, granted, challenge, broker)?;
                target.login(self, &person, granted, quota_project, broker.world)
            }
        }
    }

    /// How the client proves who it is.
    pub fn client_auth(&self) -> ClientAuth<'_> {
        let Client { id, secret, .. } = &self.client;
        match (secret, self.provider.auth) {
            (None, _) => ClientAuth::Id(id),
            (Some(secret), Auth::Body) => ClientAuth::Body(id, secret),
            (Some(secret), Auth::Basic) => ClientAuth::Basic(id, secret),
            (Some(secret), Auth::EncodedBasic) => ClientAuth::EncodedBasic(id, secret),
        }
    }

    /// The URL that the person visits.
    ///
    /// # Errors
    /// When it would be no URL.
    pub fn question(&self, redirect: &Redirect, challenge: &Challenge) -> Result<String> {
        authorize::url(self, &redirect.uri, challenge)
    }

    /// An error of the authorization server's, which came back in place of a code (RFC 6749, 4.1.2.1).
    pub fn denied(&self, code: &str, description: Option<&str>) -> Error {
        let said = answer::ServerError {
            code: printable::said(code),
            description: description.map(printable::said),
            ..answer::ServerError::default()
        };
        let who = &self.provider.name;
        match code {
            "access_denied" if description.is_none() => {
                Error::refused(format!("{who} was told no: the consent was denied"))
                    .hint("gauth login once more, and allow it")
            }
            "access_denied" => Error::refused(format!("{who} says {}", said.words())).hint(
                "gauth login once more, and allow it; or ask the administrator of the account",
            ),
            "interaction_required"
            | "login_required"
            | "consent_required"
            | "account_selection_required" => {
                Error::refused(format!("{who} says {}", said.words()))
                    .hint("leave --prompt none away: the person has something to answer")
            }
            "invalid_scope" => Error::refused(format!("{who} says {}", said.words()))
                .hint("check --scopes: one is misspelt, or not this client's to ask for"),
            _ => Error::refused(format!("{who} says {}", said.words())).hint(format!(
                "check the client in {}, then gauth login once more",
                self.client.place
            )),
        }
    }
}
