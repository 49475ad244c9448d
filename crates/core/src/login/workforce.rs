//! The sign-in with a workforce pool (`auth.cloud.google`): the login configuration, a file from the administrator of the
//! pool, the OAuth client, and the login.

use std::path::Path;

use serde_json::json;

use crate::config::Config;
use crate::credentials::ParseOptions;
use crate::credentials::external_account::provider;
use crate::credentials::external_account::provider::AudienceKind as Named;
use crate::credentials::external_account_authorized_user::LOGIN_CONFIG_TYPE;
use crate::error::{Error, Result};
use crate::gcloud::properties::GcloudProperties;
use crate::login::client::OAuthClient;
use crate::login::provider::LoginProvider;
use crate::login::{LoginRequest, NewLogin, json_object};
use crate::net::endpoint_policy::EndpointKind;
use crate::net::url::{Scheme, Url};
use crate::oauth::client_authentication::{ClientAuthentication, check_client_credentials};
use crate::oauth::token::TokenResponse;
use crate::oauth::token_exchange;
use crate::text::json::JsonFields;
use crate::text::secret::Secret;
use crate::text::{json, printable};
use crate::tokens::broker::Broker;
use crate::world::private_file;

/// The domain of the sign-in page in the default universe.
const DEFAULT_WEB_DOMAIN: &str = "cloud.google";
/// The maximum size of a login configuration, in bytes.
const MAX_FILE_BYTES: usize = 64 * 1024;
const CREATE_CONFIG_HINT: &str = "gcloud iam workforce-pools create-login-config PROVIDER --output-file FILE";

/// A login configuration whose endpoints are checked.
#[derive(Debug, Clone)]
pub struct WorkforceLoginConfig {
    audience: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    introspection_endpoint: Url,
    universe_domain: String,
}

impl WorkforceLoginConfig {
    /// Reads a login configuration. `origin` is the flag, the variable or the file of gcloud's that names it. `config`
    /// decides which servers are trusted.
    ///
    /// # Errors
    /// Malformed or unsafe, naming file and field.
    pub fn read(path: &Path, origin: &str, config: &Config) -> Result<WorkforceLoginConfig> {
        let shown = printable::path(path);
        let location = match origin.starts_with("--") {
            true => shown,
            false => format!("{shown} ({origin})"),
        };
        let bytes =
            private_file::read_user_file(path, MAX_FILE_BYTES).map_err(|error| error.to_error(path, &location))?;
        let options = ParseOptions {
            universe_domain: config.universe_domain.clone(),
            allowed_hosts: config.allowed_token_hosts.clone(),
            endpoint_overrides: config.services.clone(),
            ..ParseOptions::new(location)
        };
        WorkforceLoginConfig::parse(&bytes, &options)
    }

    /// Reads the text of a configuration.
    ///
    /// # Errors
    /// As [`WorkforceLoginConfig::read`].
    pub fn parse(bytes: &[u8], options: &ParseOptions) -> Result<WorkforceLoginConfig> {
        let malformed = |what: String| options.malformed(what).hint(CREATE_CONFIG_HINT);
        let mut fields = JsonFields::new(json::parse_object(bytes).map_err(malformed)?);
        match fields.text("type").map_err(malformed)?.as_deref() {
            Some(LOGIN_CONFIG_TYPE) => {}
            Some("external_account_authorized_user") => {
                return Err(malformed("this is a login, not a login configuration".to_owned())
                    .hint(format!("gauth login --credentials {}", printable::text(&options.location))));
            }
            Some(other) => {
                let other = printable::text(other);
                return Err(malformed(format!("type is \"{other}\", not {LOGIN_CONFIG_TYPE}")));
            }
            None => return Err(malformed("type is missing".to_owned())),
        }
        let audience = fields.required("audience").map_err(malformed)?;
        let named = Named::parse(&audience).map_err(|what| malformed(format!("audience {what}")))?;
        if named != Named::Workforce || provider_name(&audience).is_none() {
            return Err(malformed("audience is not a provider of a workforce pool".to_owned()));
        }
        let mut text = |name: &str| fields.non_empty_text(name);
        let claimed_universe = text("universe_domain").map_err(malformed)?;
        let web_domain = text("universe_cloud_web_domain").map_err(malformed)?;
        let universe_domain = options.resolve_universe_domain(claimed_universe.clone())?;
        let claimed_universe = claimed_universe.as_deref();
        let web_domain =
            web_domain.filter(|_| options.universe_domain.is_some()).unwrap_or_else(|| DEFAULT_WEB_DOMAIN.to_owned());
        let auth_url = fields.required("auth_url").map_err(malformed)?;
        let token_url = fields.required("token_url").map_err(malformed)?;
        let token_info_url = fields.required("token_info_url").map_err(malformed)?;
        let introspection_endpoint = options.introspection_endpoint(Some(token_info_url), claimed_universe)?;
        Ok(WorkforceLoginConfig {
            audience,
            authorization_endpoint: check_auth_url(&auth_url, &web_domain, options)?,
            token_endpoint: options.checked_endpoint(EndpointKind::Sts, "token_url", &token_url, claimed_universe)?,
            introspection_endpoint: introspection_endpoint
                .ok_or_else(|| malformed("token_info_url is empty".to_owned()))?,
            universe_domain,
        })
    }

    /// The authorization server of the pool.
    pub fn login_provider(&self) -> LoginProvider {
        let name = provider_name(&self.audience).unwrap_or_default().to_owned();
        LoginProvider {
            name: self.token_endpoint.authority().to_owned(),
            issuer: None,
            sends_issuer: false,
            authorization_endpoint: self.authorization_endpoint.clone(),
            token_endpoint: self.token_endpoint.clone(),
            device_authorization_endpoint: None,
            userinfo_endpoint: None,
            client_authentication: ClientAuthentication::ClientSecretBasic.for_google_sts(),
            extra_parameters: vec![("provider_name".to_owned(), name)],
            is_google: false,
        }
    }

    /// Builds the login, under the user name from the introspection endpoint of the STS.
    ///
    /// # Errors
    /// When the STS does not identify the user, when another user signed in than the requested one, or when there is no
    /// refresh token.
    pub fn build_login(
        &self,
        login_request: &LoginRequest,
        granted: &TokenResponse,
        broker: &Broker<'_>,
    ) -> Result<NewLogin> {
        let introspection_request = token_exchange::introspection_request(
            &self.introspection_endpoint,
            &granted.access_token,
            Some(login_request.client_credentials()),
        );
        let host = self.introspection_endpoint.authority();
        let account = token_exchange::read_introspected_username(&broker.send(&introspection_request)?, host)?;
        let Some(account) = account else {
            return Err(Error::no_answer(format!("{host} does not say who signed in"))
                .hint("gauth login; gauth -vv login shows the exchange"));
        };
        let Some(refresh_token) = &granted.refresh_token else {
            return Err(Error::refused(format!(
                "{} gave no refresh token for {}",
                login_request.provider.name,
                printable::text(&account)
            ))
            .hint("check the session length of the workforce pool, then run gauth login again"));
        };
        let secret = login_request.client.secret.as_ref().map_or(json!(""), Secret::to_json);
        let json = json_object([
            ("type", json!("external_account_authorized_user")),
            ("account", json!(account)),
            ("audience", json!(self.audience)),
            ("client_id", json!(login_request.client.id)),
            ("client_secret", secret),
            ("refresh_token", refresh_token.to_json()),
            ("token_url", json!(self.token_endpoint.as_str())),
            ("token_info_url", json!(self.introspection_endpoint.as_str())),
            ("universe_domain", json!(self.universe_domain)),
        ]);
        let requested = login_request.authorization.account.as_deref();
        match requested.is_none_or(|requested| is_same_user(requested, &account)) {
            true => Ok(NewLogin { account, json }),
            false => Err(crate::login::user::wrong_user_error(&account, requested.unwrap_or_default())),
        }
    }
}

/// Whether the requested name is that of the principal: the whole name or its subject.
fn is_same_user(requested: &str, principal: &str) -> bool {
    requested.eq_ignore_ascii_case(principal)
        || principal.rsplit_once("/subject/").is_some_and(|(_, subject)| subject.eq_ignore_ascii_case(requested))
}

/// The resource name of the provider in an audience, without the name of the service.
fn provider_name(audience: &str) -> Option<&str> {
    let name = audience.strip_prefix("//iam.googleapis.com/")?;
    provider::audience_of_provider(name).ok().map(|_| name)
}

/// Checks the sign-in page: it is Google's in the chosen universe, an allowed host, or on a loopback address.
fn check_auth_url(text: &str, web_domain: &str, options: &ParseOptions) -> Result<Url> {
    let ParseOptions { location, allowed_hosts, .. } = options;
    let url = Url::parse(text)
        .map_err(|what| Error::malformed(location, format!("auth_url {what}")).hint(CREATE_CONFIG_HINT))?;
    let is_default_port = url.scheme == Scheme::Https && url.port == 443;
    let is_google = is_default_port && url.host.strip_prefix("auth.") == Some(web_domain);
    let is_allowed =
        url.scheme == Scheme::Https && allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(&url.host));
    if url.is_loopback() || is_google || is_allowed {
        return Ok(url);
    }
    let host = printable::text(url.authority());
    Err(Error::not_safe(format!("{location}: auth_url leads to {host}, which is not auth.{web_domain}"))
        .hint(format!("--allow-token-host {} if you trust it, --universe-domain for another universe's", url.host)))
}

/// The OAuth client of gcloud's properties `auth/client_id` and `auth/client_secret`, which gcloud uses too.
///
/// # Errors
/// Malformed or usage, naming variable or file.
pub fn gcloud_client(properties: &GcloudProperties) -> Result<Option<OAuthClient>> {
    let get = |name: &str| {
        let found = properties.get("auth", name)?;
        Ok::<_, Error>(found.filter(|property| !property.value.is_empty()))
    };
    let Some(id) = get("client_id")? else { return Ok(None) };
    let secret = get("client_secret")?.map(|property| property.value).unwrap_or_default();
    check_client_credentials(&id.value, &secret)
        .map_err(|what| Error::malformed(&id.origin, what).hint("gcloud config unset auth/client_id"))?;
    Ok(Some(OAuthClient {
        id: id.value,
        secret: Some(Secret::new(secret)),
        is_web: false,
        auth_uri: None,
        token_uri: None,
        redirect_uris: Vec::new(),
        location: id.origin,
    }))
}

/// The client with an empty secret where it has none: the STS requires the `Authorization` header.
pub fn with_secret_or_empty(client: OAuthClient) -> OAuthClient {
    let secret = client.secret.unwrap_or_else(|| Secret::new(String::new()));
    OAuthClient { secret: Some(secret), ..client }
}

/// The file in gcloud's property `auth/login_config_file`, and where the property is set.
///
/// # Errors
/// Malformed or usage, naming variable or file.
pub fn gcloud_login_config_file(properties: &GcloudProperties) -> Result<Option<(String, String)>> {
    let found = properties.get("auth", "login_config_file")?;
    let found = found.filter(|property| !property.value.is_empty());
    Ok(found.map(|property| (property.value, property.origin)))
}

/// The error for a workforce login without a client.
pub fn missing_client_error() -> Error {
    Error::usage(
        "a workforce login needs an OAuth client, and none of --client-id-file, GAUTH_CLIENT_ID_FILE, \
        CLOUDSDK_AUTH_CLIENT_ID with CLOUDSDK_AUTH_CLIENT_SECRET and gcloud's auth/client_id is set",
    )
    .hint(
        "gcloud iam oauth-clients create NAME --location global --client-type confidential-client \
         --allowed-grant-types authorization-code-grant,refresh-token-grant --allowed-scopes \
         https://www.googleapis.com/auth/cloud-platform --allowed-redirect-uris http://127.0.0.1\n     \
         put id and secret into a file: {\"installed\":{\"client_id\":\"…\",\"client_secret\":\"…\"}}\n     \
         gauth login --login-config FILE --client-id-file FILE",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const AUDIENCE: &str = "//iam.googleapis.com/locations/global/workforcePools/p/providers/q";

    fn parsed(
        universe: Option<&str>,
        change: impl FnOnce(&mut Value),
    ) -> std::result::Result<WorkforceLoginConfig, (u8, String)> {
        let mut value = json!({
            "type": LOGIN_CONFIG_TYPE,
            "audience": AUDIENCE,
            "auth_url": "https://auth.cloud.google/authorize",
            "token_url": "https://sts.googleapis.com/v1/oauthtoken",
            "token_info_url": "https://sts.googleapis.com/v1/introspect",
        });
        change(&mut value);
        let options = ParseOptions { universe_domain: universe.map(str::to_owned), ..ParseOptions::new("login.json") };
        WorkforceLoginConfig::parse(value.to_string().as_bytes(), &options)
            .map_err(|error| (error.kind().exit_code(), error.message().to_owned()))
    }

    #[test]
    fn the_provider_name_is_a_parameter_of_the_authorization_request() {
        let config = parsed(None, |_| {}).expect("a configuration");
        let provider = config.login_provider();
        let name = "locations/global/workforcePools/p/providers/q";
        assert_eq!(provider.extra_parameters, [("provider_name".to_owned(), name.to_owned())]);
        assert_eq!(
            (provider.client_authentication, provider.is_google),
            (ClientAuthentication::ClientSecretBasicUnencoded, false)
        );
        let local = parsed(None, |value| value["auth_url"] = json!("http://127.0.0.1:9/authorize"));
        assert!(local.is_ok());
    }

    #[test]
    fn another_universe_must_be_chosen_by_the_user() {
        let of_universe = |value: &mut Value| {
            value["universe_domain"] = json!("u.example");
            value["universe_cloud_web_domain"] = json!("cloud.u.example");
            value["auth_url"] = json!("https://auth.cloud.u.example/authorize");
            value["token_url"] = json!("https://sts.u.example/v1/oauthtoken");
            value["token_info_url"] = json!("https://sts.u.example/v1/introspect");
        };
        assert!(parsed(Some("u.example"), of_universe).is_ok());
        assert_eq!(parsed(None, of_universe).expect_err("not chosen").0, 9);
        assert_eq!(parsed(Some("v.example"), of_universe).expect_err("another").0, 7);
    }

    #[test]
    fn invalid_configurations_are_refused_with_their_exit_codes() {
        for (name, value, code, what) in [
            ("type", json!("authorized_user"), 8, "type is"),
            ("type", json!("external_account_authorized_user"), 8, "this is a login"),
            ("type", Value::Null, 8, "type is missing"),
            ("audience", json!("//iam.googleapis.com/locations/global/workforcePools/p"), 8, "audience"),
            (
                "audience",
                json!("//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q"),
                8,
                "audience",
            ),
            ("auth_url", Value::Null, 8, "auth_url"),
            ("auth_url", json!("https://auth.evil.example/authorize"), 9, "auth.evil.example"),
            ("auth_url", json!("https://auth.cloud.google.evil.example/"), 9, "auth_url"),
            ("auth_url", json!("http://auth.cloud.google/authorize"), 9, "auth_url"),
            ("auth_url", json!("https://auth.cloud.google:8443/authorize"), 9, "auth_url"),
            ("token_url", json!("https://sts.evil.example/v1/oauthtoken"), 9, "token_url"),
            ("token_info_url", json!("http://sts.googleapis.com/v1/introspect"), 9, "token_info_url"),
            ("token_url", json!(5), 8, "token_url"),
            ("universe_domain", json!("u.example"), 9, "token_url"),
        ] {
            let change = |config: &mut Value| {
                config[name] = value.clone();
                if name == "universe_domain" {
                    config["token_url"] = json!("https://sts.u.example/v1/oauthtoken");
                }
            };
            let (got, message) = parsed(None, change).expect_err(name);
            assert_eq!(got, code, "{name} {value}: {message}");
            assert!(message.contains(what) && message.contains("login.json"), "{message}");
        }
    }

    #[test]
    fn a_user_may_be_requested_by_principal_or_subject() {
        let principal = "principal://iam.googleapis.com/locations/global/workforcePools/p/subject/ada@x.example";
        assert!(is_same_user(principal, principal));
        assert!(is_same_user("Ada@x.example", principal));
        assert!(!is_same_user("x.example", principal) && !is_same_user("", principal));
    }
}
