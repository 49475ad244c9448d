//! Where a person signs in: Google, or another provider, with its endpoints.

use crate::config;
use crate::config::Config;
use crate::error::Result;
use crate::login::client::OAuthClient;
use crate::net::endpoint_policy::{EndpointKind, EndpointPolicy};
use crate::net::url::Url;
use crate::oauth::client_authentication::ClientAuthentication;
use crate::world::{World, env};

/// Google's page of consent.
pub const AUTHORIZATION_ENDPOINT: &str = "https://accounts.google.com/o/oauth2/v2/auth";
/// What Google calls itself in answers and ID tokens.
pub const GOOGLE_ISSUER: &str = "https://accounts.google.com";
/// Google, where a person is told who says so.
const GOOGLE_NAME: &str = "Google";

/// An authorization server.
#[derive(Debug, Clone)]
pub struct LoginProvider {
    /// What it is called in sentences.
    pub name: String,
    /// What it calls itself (RFC 9207; `iss` of ID tokens); `None`: it does not say.
    pub issuer: Option<String>,
    /// Whether its answers always say so.
    pub sends_issuer: bool,
    /// Where people are asked.
    pub authorization_endpoint: Url,
    /// Where codes and refresh tokens are put in.
    pub token_endpoint: Url,
    /// Where codes for another device are made (RFC 8628).
    pub device_authorization_endpoint: Option<Url>,
    /// Where access tokens tell whose they are (OpenID Connect).
    pub userinfo_endpoint: Option<Url>,
    /// How clients authenticate at the token endpoint.
    pub client_authentication: ClientAuthentication,
    /// Parameters of its own.
    pub extra_parameters: Vec<(String, String)>,
    /// Whether it is Google, or what stands in for it: with Google's own parameters and rules.
    pub is_google: bool,
}

impl LoginProvider {
    /// Google, at the endpoints that variables chose, or else the client's file, which must be Google's.
    ///
    /// # Errors
    /// Malformed or unsafe, naming file and field.
    pub fn google(client: &OAuthClient, settings: &Config, world: &World) -> Result<LoginProvider> {
        let policy = EndpointPolicy {
            location: &client.location,
            allowed_hosts: &settings.allowed_token_hosts,
            trusted_universe: settings.universe_domain.as_deref(),
            claimed_universe: None,
        };
        let endpoint = |endpoint_override: &Option<Url>,
                        field: &str,
                        client_uri: &Option<String>,
                        default: &str| match endpoint_override {
            Some(endpoint_override) => Ok(endpoint_override.clone()),
            None => policy.check_endpoint(
                EndpointKind::OAuthToken,
                field,
                client_uri.as_deref().unwrap_or(default),
            ),
        };
        let token = endpoint(
            &settings.token_host,
            "token_uri",
            &client.token_uri,
            crate::oauth::token::ENDPOINT,
        )?;
        let default_endpoint = sibling_endpoint(&token, AUTHORIZATION_ENDPOINT);
        let endpoint_override = config::endpoint_override(world, &env::CLOUDSDK_AUTH_AUTH_HOST)?;
        let authorization =
            endpoint(&endpoint_override, "auth_uri", &client.auth_uri, default_endpoint.as_str())?;
        Ok(LoginProvider {
            name: GOOGLE_NAME.to_owned(),
            issuer: Some(GOOGLE_ISSUER.to_owned()),
            sends_issuer: false,
            authorization_endpoint: authorization,
            device_authorization_endpoint: Some(sibling_endpoint(
                &token,
                "https://oauth2.googleapis.com/device/code",
            )),
            userinfo_endpoint: Some(sibling_endpoint(
                &token,
                "https://openidconnect.googleapis.com/v1/userinfo",
            )),
            token_endpoint: token,
            client_authentication: ClientAuthentication::ClientSecretPost,
            extra_parameters: Vec::new(),
            is_google: true,
        })
    }
}

/// One of Google's endpoints; on this machine, where the token endpoint is on this machine.
fn sibling_endpoint(token: &Url, default: &str) -> Url {
    let default = Url::parse(default).unwrap_or_else(|_| token.clone());
    match token.is_loopback() {
        true => with_origin(token, &default),
        false => default,
    }
}

/// The same path at the origin of another URL.
fn with_origin(origin: &Url, url: &Url) -> Url {
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
        let local = sibling_endpoint(&url("http://127.0.0.1:8080/x/token"), usual);
        assert_eq!(local.as_str(), "http://127.0.0.1:8080/device/code");
        assert_eq!(
            sibling_endpoint(&url("https://oauth2.googleapis.com/token"), usual).as_str(),
            usual
        );
        assert_eq!(sibling_endpoint(&url("https://sts.example/token"), usual).as_str(), usual);
    }
}
