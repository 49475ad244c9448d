//! The metadata of OpenID providers other than Google (OpenID Connect Discovery, 4).

use serde_json::Value;

use crate::error::{Error, Result};
use crate::login::provider::{GOOGLE_ISSUER, LoginProvider};
use crate::net::message::{HttpRequest, HttpResponse};
use crate::net::url::{Scheme, Url};
use crate::oauth::client_authentication::ClientAuthentication;
use crate::oauth::response;
use crate::text::json::JsonFields;
use crate::text::printable;
use crate::tokens::broker::Broker;

/// The path of the metadata below the issuer.
const WELL_KNOWN_PATH: &str = "/.well-known/openid-configuration";

/// The metadata of a provider (OpenID Connect Discovery, 3).
#[derive(Debug, Clone)]
pub struct ProviderMetadata {
    /// The issuer identifier, a URL.
    pub issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    device_authorization_endpoint: Option<Url>,
    userinfo_endpoint: Option<Url>,
    /// The revocation endpoint (RFC 7009).
    pub revocation_endpoint: Option<Url>,
    /// The authentication method for clients with a secret; `None` where gauth supports none of the provider's methods.
    client_authentication: Option<ClientAuthentication>,
    /// The scopes that the provider lists as supported.
    pub scopes_supported: Vec<String>,
    sends_issuer: bool,
}

/// Reads the value of `--issuer`.
///
/// # Errors
/// Usage for an invalid issuer, unsafe for plain http to another machine.
pub fn parse_issuer(text: &str) -> Result<Url> {
    let hint = "--issuer https://login.example.com, exactly as the provider spells its issuer";
    let shown = printable::text(text);
    let url = Url::parse(text).map_err(|what| Error::usage(format!("--issuer {shown} {what}")).hint(hint))?;
    if url.as_str().contains('?') {
        return Err(Error::usage(format!("--issuer {shown} has a query")).hint(hint));
    }
    if text.trim_end_matches('/') == GOOGLE_ISSUER {
        return Err(Error::usage("--issuer is for providers other than Google").hint("gauth login, without --issuer"));
    }
    match url.scheme == Scheme::Https || url.is_loopback() {
        true => Ok(url),
        false => {
            Err(Error::not_safe(format!("--issuer {shown} is not https")).hint("use the https address of the provider"))
        }
    }
}

/// Requests the metadata of a provider.
///
/// # Errors
/// `NoAnswer` for an invalid response, unsafe for the metadata of another issuer or with unsafe endpoints.
pub fn fetch(issuer_text: &str, broker: &Broker<'_>) -> Result<ProviderMetadata> {
    let issuer_url = parse_issuer(issuer_text)?;
    let metadata_url = format!("{}{WELL_KNOWN_PATH}", issuer_url.as_str().trim_end_matches('/'));
    let url = Url::parse(&metadata_url)
        .map_err(|what| Error::usage(format!("--issuer {}: {what}", printable::text(&metadata_url))))?;
    let response = broker.send(&HttpRequest::get(url.clone()))?;
    if response.status == 404 {
        return Err(response::status_error("the provider", &response, url.authority())
            .hint(format!("check --issuer: the metadata of a provider is at {}", printable::text(url.as_str()))));
    }
    parse(&response, issuer_text, &issuer_url)
}

/// Reads the metadata, which must be of the requested issuer (OpenID Connect Discovery, 4.3).
///
/// # Errors
/// As [`fetch`].
pub fn parse(response: &HttpResponse, issuer: &str, issuer_url: &Url) -> Result<ProviderMetadata> {
    let host = issuer_url.authority();
    if response.status != 200 {
        return Err(response::status_error("the provider", response, host).hint_if_none(|| "check --issuer".to_owned()));
    }
    let mut fields = JsonFields::new(response::json_object(response, host)?);
    let invalid = |what: String| {
        response::invalid_response(response, host, &format!("is not the metadata of a provider, {what}"))
    };
    let metadata_issuer = fields.required("issuer").map_err(invalid)?;
    if metadata_issuer != issuer {
        let shown = printable::text(&metadata_issuer);
        let error = Error::not_safe(format!(
            "{host}: the metadata is of the issuer {shown}, --issuer is {}",
            printable::text(issuer)
        ));
        // A difference in the last slash is a spelling mistake, any other difference is another provider.
        return Err(match metadata_issuer.trim_end_matches('/') == issuer.trim_end_matches('/') {
            true => error.hint(format!("--issuer {shown}")),
            false => error.hint("check --issuer: the metadata must be of the issuer it is published by"),
        });
    }
    let mut endpoint = |name: &str| -> Result<Option<Url>> {
        let Some(text) = fields.non_empty_text(name).map_err(invalid)? else {
            return Ok(None);
        };
        let url = Url::parse(&text).map_err(|what| invalid(format!("{name} {what}")))?;
        let is_safe = url.scheme == Scheme::Https || (url.is_loopback() && issuer_url.is_loopback());
        match is_safe {
            true => Ok(Some(url)),
            false => Err(Error::not_safe(format!(
                "{host}: {name} would send secrets to {} without TLS",
                printable::text(url.authority())
            ))
            .hint("tell the administrator of the provider")),
        }
    };
    let missing = |name: &str| invalid(format!("{name} is missing"));
    let authorization = endpoint("authorization_endpoint")?.ok_or_else(|| missing("authorization_endpoint"))?;
    let token = endpoint("token_endpoint")?.ok_or_else(|| missing("token_endpoint"))?;
    let device = endpoint("device_authorization_endpoint")?;
    let userinfo = endpoint("userinfo_endpoint")?;
    let revocation = endpoint("revocation_endpoint")?;
    let mut list = |name: &str| string_list(fields.value(name), name).map_err(invalid);
    let methods = list("token_endpoint_auth_methods_supported")?;
    let challenges = list("code_challenge_methods_supported")?;
    let scopes = list("scopes_supported")?.unwrap_or_default();
    if challenges.is_some_and(|methods| !methods.iter().any(|method| method == "S256")) {
        return Err(Error::not_safe(format!("{host} does not support PKCE with S256"))
            .hint("ask the administrator of the provider for PKCE, without which a code can be stolen"));
    }
    let sends_issuer = fields.boolean("authorization_response_iss_parameter_supported");
    Ok(ProviderMetadata {
        issuer: metadata_issuer,
        authorization_endpoint: authorization,
        token_endpoint: token,
        device_authorization_endpoint: device,
        userinfo_endpoint: userinfo,
        revocation_endpoint: revocation,
        client_authentication: choose_client_authentication(methods.as_deref()),
        scopes_supported: scopes,
        sends_issuer: sends_issuer.map_err(invalid)?.unwrap_or_default(),
    })
}

/// The method that clients authenticate with: `client_secret_basic` where the provider supports it.
fn choose_client_authentication(methods: Option<&[String]>) -> Option<ClientAuthentication> {
    // OpenID Connect Discovery, 3: `client_secret_basic` is the default.
    let Some(methods) = methods else { return Some(ClientAuthentication::ClientSecretBasic) };
    [ClientAuthentication::ClientSecretBasic, ClientAuthentication::ClientSecretPost]
        .into_iter()
        .find(|known| methods.iter().any(|method| method == known.name()))
}

/// Reads an optional list of strings.
fn string_list(value: Option<Value>, name: &str) -> std::result::Result<Option<Vec<String>>, String> {
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        _ => None,
    };
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => {
            let items: Option<Vec<String>> = items.into_iter().map(text).collect();
            items.map(Some).ok_or_else(|| format!("{name} is not a list of strings"))
        }
        Some(_) => Err(format!("{name} is not a list of strings")),
    }
}

impl ProviderMetadata {
    /// The authorization server, for a client with or without a secret.
    ///
    /// # Errors
    /// `Unsupported`, when the client has a secret and gauth supports none of the provider's authentication methods.
    pub fn login_provider(&self, has_secret: bool) -> Result<LoginProvider> {
        let client_authentication = match (self.client_authentication, has_secret) {
            (Some(auth), _) => auth,
            (None, false) => ClientAuthentication::ClientSecretPost,
            (None, true) => {
                return Err(Error::unsupported(format!(
                    "{} supports no client authentication method that gauth supports",
                    printable::text(&self.issuer)
                ))
                .hint("register a public client there, which has no secret"));
            }
        };
        Ok(LoginProvider {
            name: printable::text(self.token_endpoint.authority()),
            issuer: Some(self.issuer.clone()),
            sends_issuer: self.sends_issuer,
            authorization_endpoint: self.authorization_endpoint.clone(),
            token_endpoint: self.token_endpoint.clone(),
            device_authorization_endpoint: self.device_authorization_endpoint.clone(),
            userinfo_endpoint: self.userinfo_endpoint.clone(),
            client_authentication,
            extra_parameters: Vec::new(),
            is_google: false,
        })
    }

    /// Whether the provider issues refresh tokens for the scope `offline_access` (OpenID Connect Core, 11).
    pub(crate) fn supports_offline_access(&self) -> bool {
        self.scopes_supported.iter().any(|scope| scope == "offline_access")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use zeroize::Zeroizing;

    const IDP: &str = "https://idp.example/t";

    fn metadata(change: impl FnOnce(&mut Value)) -> Result<ProviderMetadata> {
        let mut value = json!({
            "issuer": IDP,
            "authorization_endpoint": "https://idp.example/t/auth",
            "token_endpoint": "https://login.elsewhere.example/token",
        });
        change(&mut value);
        let body = Zeroizing::new(value.to_string().into_bytes());
        let response = HttpResponse { status: 200, headers: Vec::new(), body };
        parse(&response, IDP, &Url::parse(IDP).expect("url"))
    }

    #[test]
    fn metadata_without_the_optional_fields_is_accepted() {
        let least = metadata(|_| {}).expect("the least");
        let provider = least.login_provider(true).expect("a provider");
        assert_eq!(provider.client_authentication, ClientAuthentication::ClientSecretBasic);
        assert_eq!((provider.issuer.as_deref(), provider.sends_issuer), (Some(IDP), false));
        assert_eq!((provider.device_authorization_endpoint, least.revocation_endpoint.clone()), (None, None));
        assert!(!least.supports_offline_access());
        let more = metadata(|value| {
            value["token_endpoint_auth_methods_supported"] = json!(["private_key_jwt", "client_secret_post"]);
            value["code_challenge_methods_supported"] = json!(["plain", "S256"]);
            value["scopes_supported"] = json!(["openid", "offline_access"]);
            value["device_authorization_endpoint"] = json!("https://idp.example/device");
            value["authorization_response_iss_parameter_supported"] = json!(true);
        });
        let more = more.expect("more");
        let provider = more.login_provider(true).expect("a provider");
        assert_eq!(
            (provider.client_authentication, provider.sends_issuer),
            (ClientAuthentication::ClientSecretPost, true)
        );
        assert!(provider.device_authorization_endpoint.is_some() && more.supports_offline_access());
    }

    #[test]
    fn invalid_metadata_is_refused_with_its_exit_code() {
        for (name, value, code, what) in [
            ("issuer", json!("https://other.example"), 9, "of the issuer https://other.example"),
            ("issuer", json!("https://idp.example/t/"), 9, "of the issuer"),
            ("issuer", Value::Null, 6, "issuer"),
            ("token_endpoint", Value::Null, 6, "token_endpoint is missing"),
            ("token_endpoint", json!("http://idp.example/token"), 9, "token_endpoint"),
            ("token_endpoint", json!("http://127.0.0.1/token"), 9, "token_endpoint"),
            ("token_endpoint", json!("/token"), 6, "token_endpoint"),
            ("token_endpoint", json!(5), 6, "token_endpoint"),
            ("authorization_endpoint", json!("javascript:x"), 6, "authorization_endpoint"),
            ("userinfo_endpoint", json!("http://idp.example/u"), 9, "userinfo_endpoint"),
            ("code_challenge_methods_supported", json!(["plain"]), 9, "S256"),
            ("code_challenge_methods_supported", json!("S256"), 6, "code_challenge_methods_supported"),
            ("scopes_supported", json!([5]), 6, "scopes_supported"),
            ("authorization_response_iss_parameter_supported", json!("yes"), 6, "iss_parameter"),
        ] {
            let error = metadata(|metadata| metadata[name] = value.clone()).expect_err(name);
            assert_eq!(error.kind().exit_code(), code, "{name} {value}: {error}");
            assert!(error.message().contains(what), "{name} {value}: {error}");
        }
        let slash = metadata(|value| value["issuer"] = json!("https://idp.example/t/"));
        let hint = slash.expect_err("a slash").hint_text().map(str::to_owned);
        assert_eq!(hint.as_deref(), Some("--issuer https://idp.example/t/"));
        let unsupported = metadata(|value| {
            value["token_endpoint_auth_methods_supported"] = json!(["private_key_jwt"]);
        });
        let unsupported = unsupported.expect("metadata");
        assert!(unsupported.login_provider(false).is_ok());
        assert_eq!(unsupported.login_provider(true).expect_err("a secret").kind().exit_code(), 7);
    }

    #[test]
    fn issuers_are_https_or_on_this_machine() {
        for good in ["https://idp.example", "https://idp.example/a/b", "http://127.0.0.1:9/oidc"] {
            assert!(parse_issuer(good).is_ok(), "{good}");
        }
        for (bad, code) in [
            ("idp.example", 2),
            ("https://idp.example/?x", 2),
            ("https://idp.example/#x", 2),
            ("http://idp.example", 9),
            ("http://localhost", 9),
            ("https://accounts.google.com", 2),
            ("https://accounts.google.com/", 2),
        ] {
            assert_eq!(parse_issuer(bad).expect_err(bad).kind().exit_code(), code, "{bad}");
        }
    }
}
