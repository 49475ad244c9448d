//! Where a person signs in: Google, or another provider, with its endpoints.

use crate::error::Result;
use crate::login::client::Client;
use crate::settings::{self, Settings};
use crate::trust::{Endpoint, Fence};
use crate::url::Url;
use crate::world::{World, env};

/// Google's page of consent.
pub const AUTHORIZATION: &str = "https://accounts.google.com/o/oauth2/v2/auth";
/// What Google calls itself in answers and ID tokens.
pub const ISSUER: &str = "https://accounts.google.com";
/// Google, where a person is told who says so.
const GOOGLE: &str = "Google";

/// How clients prove who they are at the token endpoint (RFC 6749, 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Among the fields.
    Body,
    /// In a header, as Google reads it.
    Basic,
    /// In a header, form-encoded first, as the standard has it.
    EncodedBasic,
}

/// An authorization server.
#[derive(Debug, Clone)]
pub struct Provider {
    /// What it is called in sentences.
    pub name: String,
    /// What it calls itself (RFC 9207; `iss` of ID tokens); `None`: it does not say.
    pub issuer: Option<String>,
    /// Whether its answers always say so.
    pub says_issuer: bool,
    /// Where people are asked.
    pub authorization: Url,
    /// Where codes and refresh tokens are put in.
    pub token: Url,
    /// Where codes for another device are made (RFC 8628).
    pub device: Option<Url>,
    /// Where access tokens tell whose they are (OpenID Connect).
    pub userinfo: Option<Url>,
    /// How clients prove who they are.
    pub auth: Auth,
    /// Parameters of its own.
    pub own: Vec<(String, String)>,
    /// Whether it is Google, or what stands in for it: with Google's own parameters and rules.
    pub google: bool,
}

impl Provider {
    /// Google, at the endpoints that variables chose, or else the client's file, which must be Google's.
    ///
    /// # Errors
    /// Malformed or unsafe, naming file and field.
    pub fn google(client: &Client, settings: &Settings, world: &World) -> Result<Provider> {
        let fence = Fence {
            place: &client.place,
            allowed: &settings.allowed_token_hosts,
            chosen: settings.universe_domain.as_deref(),
            claimed: None,
        };
        let endpoint =
            |chosen: &Option<Url>, field: &str, own: &Option<String>, usual: &str| match chosen {
                Some(chosen) => Ok(chosen.clone()),
                None => fence.endpoint(Endpoint::OAuth, field, own.as_deref().unwrap_or(usual)),
            };
        let token = endpoint(
            &settings.token_host,
            "token_uri",
            &client.token_uri,
            crate::google::token::ENDPOINT,
        )?;
        let usual = beside(&token, AUTHORIZATION);
        let moved = settings::moved(world, &env::CLOUDSDK_AUTH_AUTH_HOST)?;
        let authorization = endpoint(&moved, "auth_uri", &client.auth_uri, usual.as_str())?;
        Ok(Provider {
            name: GOOGLE.to_owned(),
            issuer: Some(ISSUER.to_owned()),
            says_issuer: false,
            authorization,
            device: Some(beside(&token, "https://oauth2.googleapis.com/device/code")),
            userinfo: Some(beside(&token, "https://openidconnect.googleapis.com/v1/userinfo")),
            token,
            auth: Auth::Body,
            own: Vec::new(),
            google: true,
        })
    }
}

/// One of Google's endpoints; on this machine, where the token endpoint is on this machine.
fn beside(token: &Url, usual: &str) -> Url {
    let usual = Url::parse(usual).unwrap_or_else(|_| token.clone());
    match token.is_loopback() {
        true => at_origin_of(token, &usual),
        false => usual,
    }
}

/// The same path at the origin of another URL.
fn at_origin_of(origin: &Url, url: &Url) -> Url {
    let whole = origin.as_str();
    let end = whole.len() - origin.path_and_query().len();
    Url::parse(&format!("{}{}", &whole[..end], url.path_and_query()))
        .unwrap_or_else(|_| url.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_endpoint_on_this_machine_has_its_siblings_there() {
        let url = |text: &str| Url::parse(text).expect("url");
        let usual = "https://oauth2.googleapis.com/device/code";
        let local = beside(&url("http://127.0.0.1:8080/x/token"), usual);
        assert_eq!(local.as_str(), "http://127.0.0.1:8080/device/code");
        assert_eq!(beside(&url("https://oauth2.googleapis.com/token"), usual).as_str(), usual);
        assert_eq!(beside(&url("https://sts.example/token"), usual).as_str(), usual);
    }
}
