//! The authorization server of a sign-in and its endpoints: Google, or another provider.

use crate::config;
use crate::config::Config;
use crate::error::Result;
use crate::login::client::OAuthClient;
use crate::net::endpoint_policy::{EndpointKind, EndpointPolicy};
use crate::net::url::Url;
use crate::oauth::client_authentication::ClientAuthentication;
use crate::world::{World, env};

/// The URL of Google's authorization endpoint.
pub(crate) const AUTHORIZATION_ENDPOINT: &str = "https://accounts.google.com/o/oauth2/v2/auth";
/// The issuer identifier of Google's ID tokens.
pub const GOOGLE_ISSUER: &str = "https://accounts.google.com";
/// The name of Google in messages.
const GOOGLE_NAME: &str = "Google";

/// An authorization server with its endpoints and their properties.
#[derive(Debug, Clone)]
pub struct LoginProvider {
    /// The name of the server in messages.
    pub name: String,
    /// The issuer identifier (`iss` of ID tokens and of authorization responses, RFC 9207); `None` where it is not known.
    pub issuer: Option<String>,
    /// Whether every authorization response has the parameter `iss` (RFC 9207).
    pub sends_issuer: bool,
    /// The authorization endpoint (RFC 6749, 3.1).
    pub authorization_endpoint: Url,
    /// The token endpoint (RFC 6749, 3.2).
    pub token_endpoint: Url,
    /// The device authorization endpoint (RFC 8628, 3.1).
    pub device_authorization_endpoint: Option<Url>,
    /// The userinfo endpoint (OpenID Connect Core, 5.3).
    pub userinfo_endpoint: Option<Url>,
    /// The authentication method of clients at the token endpoint.
    pub client_authentication: ClientAuthentication,
    /// Additional parameters of the authorization request.
    pub extra_parameters: Vec<(String, String)>,
    /// Whether the server is Google, or a test server in its place, and needs Google's own parameters and rules.
    pub is_google: bool,
}

impl LoginProvider {
    /// Google, with the endpoints from variables, or else from the client file, where they must be Google's.
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
        let endpoint = |endpoint_override: &Option<Url>, field: &str, client_uri: &Option<String>, default: &str| {
            match endpoint_override {
                Some(endpoint_override) => Ok(endpoint_override.clone()),
                None => {
                    policy.check_endpoint(EndpointKind::OAuthToken, field, client_uri.as_deref().unwrap_or(default))
                }
            }
        };
        let token = endpoint(&settings.token_host, "token_uri", &client.token_uri, crate::oauth::token::ENDPOINT)?;
        let default_endpoint = sibling_endpoint(&token, AUTHORIZATION_ENDPOINT);
        let endpoint_override = config::endpoint_override(world, &env::CLOUDSDK_AUTH_AUTH_HOST)?;
        let authorization = endpoint(&endpoint_override, "auth_uri", &client.auth_uri, default_endpoint.as_str())?;
        Ok(LoginProvider {
            name: GOOGLE_NAME.to_owned(),
            issuer: Some(GOOGLE_ISSUER.to_owned()),
            sends_issuer: false,
            authorization_endpoint: authorization,
            device_authorization_endpoint: Some(sibling_endpoint(&token, "https://oauth2.googleapis.com/device/code")),
            userinfo_endpoint: Some(sibling_endpoint(&token, "https://openidconnect.googleapis.com/v1/userinfo")),
            token_endpoint: token,
            client_authentication: ClientAuthentication::ClientSecretPost,
            extra_parameters: Vec::new(),
            is_google: true,
        })
    }
}

/// One of Google's endpoints, or the same path on the server of the token endpoint where that is a loopback address.
fn sibling_endpoint(token: &Url, default: &str) -> Url {
    let default = Url::parse(default).unwrap_or_else(|_| token.clone());
    match token.is_loopback() {
        true => Url::parse(&format!("{}{}", token.origin(), default.path_and_query())).unwrap_or(default),
        false => default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_token_endpoint_has_the_other_endpoints_beside_it() {
        let url = |text: &str| Url::parse(text).expect("url");
        let usual = "https://oauth2.googleapis.com/device/code";
        let local = sibling_endpoint(&url("http://127.0.0.1:8080/x/token"), usual);
        assert_eq!(local.as_str(), "http://127.0.0.1:8080/device/code");
        assert_eq!(sibling_endpoint(&url("https://oauth2.googleapis.com/token"), usual).as_str(), usual);
        assert_eq!(sibling_endpoint(&url("https://sts.example/token"), usual).as_str(), usual);
    }
}
