//! The login at an OpenID provider: an `external_account` where the user names a workload or workforce pool, or else a
//! login that gives ID tokens only.

use serde_json::{Map, Value, json};

use crate::credentials::oidc_session::CREDENTIAL_TYPE;
use crate::error::{Error, Result};
use crate::jose::jwt;
use crate::login::discovery::ProviderMetadata;
use crate::login::user::SignedInUser;
use crate::login::{LoginRequest, NewLogin, json_object};
use crate::net::url::Url;
use crate::oauth::token::TokenResponse;
use crate::oauth::token_exchange;
use crate::text::{duration, printable};
use crate::world::World;

/// The parts of a login at a provider that are known before the sign-in.
#[derive(Debug, Clone)]
pub struct OpenIdLoginConfig {
    /// The issuer identifier of the provider.
    issuer: String,
    /// The revocation endpoint of the provider.
    revocation_endpoint: Option<Url>,
    /// The pool provider at Google that accepts the ID tokens.
    audience: Option<String>,
    /// The universe of that pool.
    universe_domain: String,
}

impl OpenIdLoginConfig {
    /// A login at the provider with this metadata. `audience` is the resource name of the pool provider.
    pub fn new(metadata: &ProviderMetadata, audience: Option<String>, universe: &str) -> OpenIdLoginConfig {
        OpenIdLoginConfig {
            issuer: metadata.issuer.clone(),
            revocation_endpoint: metadata.revocation_endpoint.clone(),
            audience,
            universe_domain: universe.to_owned(),
        }
    }

    /// The prefix of the account names: the pool, or the host of the provider.
    fn account_namespace(&self) -> String {
        let pool = self.audience.as_deref().and_then(|audience| {
            let separators = ["/workforcePools/", "/workloadIdentityPools/"];
            let after = separators.iter().find_map(|separator| audience.split_once(separator));
            after.and_then(|(_, rest)| rest.split('/').next())
        });
        match pool {
            Some(pool) => pool.to_owned(),
            None => Url::parse(&self.issuer).map_or_else(|_| self.issuer.clone(), |url| url.authority().to_owned()),
        }
    }

    /// The name of the user at the provider, from the name of an account.
    pub fn strip_namespace<'a>(&self, account: &'a str) -> &'a str {
        account.strip_prefix(&format!("{}/", self.account_namespace())).unwrap_or(account)
    }

    /// Builds the login. The account name has a prefix, because a Google Account may have the same e-mail address.
    ///
    /// # Errors
    /// `Refused`, when there is no ID token.
    pub fn build_login(
        &self,
        login_request: &LoginRequest,
        user: &SignedInUser,
        granted: &TokenResponse,
        world: &World,
    ) -> Result<NewLogin> {
        let provider_name = &login_request.provider.name;
        let Some(id_token) = &granted.id_token else {
            return Err(Error::refused(format!("{provider_name} gave no ID token"))
                .hint("keep openid in --scopes, and check that the client may use OpenID Connect"));
        };
        let account = format!("{}/{}", self.account_namespace(), user.account);
        if granted.refresh_token.is_none() {
            let expires_at = jwt::expiry(id_token).map(duration::rfc3339).unwrap_or_default();
            world.terminal.warn(&format!(
                "{provider_name} gave no refresh token: this login ends with its ID token, {expires_at}; --scopes openid,email,\
                 offline_access asks for one"
            ));
        }
        let mut session = Map::new();
        let mut put = |name: &str, value: Value| session.insert(name.to_owned(), value);
        put("issuer", json!(self.issuer));
        put("token_uri", json!(login_request.provider.token_endpoint.as_str()));
        put("client_id", json!(login_request.client.id));
        if let Some(secret) = &login_request.client.secret {
            put("client_secret", secret.to_json());
            put("client_auth", json!(login_request.provider.client_authentication.name()));
        }
        if let Some(token) = &granted.refresh_token {
            put("refresh_token", token.to_json());
        }
        put("id_token", id_token.to_json());
        if let Some(url) = &self.revocation_endpoint {
            put("revoke_url", json!(url.as_str()));
        }
        let mut login = match &self.audience {
            None => {
                session.insert("type".to_owned(), json!(CREDENTIAL_TYPE));
                session
            }
            Some(audience) => self.external_account_json(audience, session),
        };
        login.insert("account".to_owned(), json!(account));
        Ok(NewLogin { account, json: login })
    }

    /// An `external_account` whose subject token is the ID token of the provider.
    fn external_account_json(&self, audience: &str, session: Map<String, Value>) -> Map<String, Value> {
        let sts_url = format!("https://sts.{}/v1", self.universe_domain);
        json_object([
            ("type", json!("external_account")),
            ("audience", json!(audience)),
            ("subject_token_type", json!(token_exchange::expand_token_type("id_token"))),
            ("token_url", json!(format!("{sts_url}/token"))),
            ("token_info_url", json!(format!("{sts_url}/introspect"))),
            ("credential_source", json!({ "openid": session })),
            ("universe_domain", json!(self.universe_domain)),
        ])
    }
}

/// The scopes without `--scopes`: the identity of the user, and a refresh token where the provider supports it.
pub fn default_scopes(metadata: &ProviderMetadata) -> Vec<String> {
    let mut scopes = vec!["openid", "email"];
    if metadata.supports_offline_access() {
        scopes.push("offline_access");
    }
    scopes.into_iter().map(str::to_owned).collect()
}

/// Reads the scopes of `--scopes` for a provider. Unlike Google's scopes, short names are not expanded.
///
/// # Errors
/// Usage, for an invalid scope (RFC 6749, 3.3).
pub fn parse_scopes(requested: &[String]) -> Result<Vec<String>> {
    let mut scopes = vec!["openid".to_owned()];
    for scope in requested.iter().flat_map(|text| text.split([',', ' '])) {
        let is_valid = scope.bytes().all(|byte| byte > 0x20 && byte < 0x7f && byte != b'"' && byte != b'\\');
        if !is_valid {
            return Err(Error::usage(format!("--scopes {} is not a scope", printable::text(scope)))
                .hint("--scopes openid,email,offline_access"));
        }
        if !scope.is_empty() && !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    Ok(scopes)
}
