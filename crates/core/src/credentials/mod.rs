//! Credentials: one file per kind. A kind knows its JSON fields, and the requests that get its tokens; it knows no cache
//! and no output format.
//!
//! The fields are read by [`JsonFields`] and not by derived structs: its errors name the field and the type that was
//! found, an empty field can count as absent, no content is repeated, and what was read is overwritten in memory.

pub mod access_boundary;
pub mod authorized_user;
pub mod downscoped;
pub mod external_account;
pub mod external_account_authorized_user;
pub mod gcloud_account;
mod gdch_service_account;
pub mod impersonated;
pub mod lazy;
mod login_refresh;
pub mod metadata_server;
mod oidc_login;
pub mod oidc_session;
mod reauth;
pub mod service_account;
pub mod source;
pub mod static_token;
pub mod unparsed;
#[cfg(test)]
mod wrapper_tests;

use serde_json::{Map, Value};

use crate::accounts::secrets::SecretStores;
use crate::accounts::{Origin, fields};
use crate::error::{Error, Result};
use crate::net::endpoint_policy;
use crate::net::endpoint_policy::{EndpointKind, EndpointPolicy};
use crate::net::url::Url;
use crate::text::json;
use crate::text::json::JsonFields;
use crate::text::visible_ascii::check_visible_ascii;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::Credential;

/// How a credential's JSON is parsed, apart from its content.
#[derive(Debug, Clone)]
pub struct ParseOptions {
    /// The file or variable it came from, for errors.
    pub location: String,
    /// Whose file it is, which decides where a rotated refresh token is stored.
    pub origin: Origin,
    /// The token endpoint set by a variable or property, used instead of the file's own.
    pub token_endpoint_override: Option<Url>,
    /// Endpoint overrides of Google's other services.
    pub endpoint_overrides: EndpointOverrides,
    /// Hosts that may receive this credential's secrets, besides Google's (`--allow-token-host`).
    pub allowed_hosts: Vec<String>,
    /// The universe domain set by a flag or variable, which the file's own must be.
    pub universe_domain: Option<String>,
    /// Whether service accounts sign their access tokens themselves (AIP-4111).
    pub use_self_signed_jwt: bool,
    /// The command that signs the user in again.
    pub sign_in_hint: String,
    /// The quota project, where the JSON names none.
    pub quota_project: Option<String>,
    /// The account it is stored under, where the JSON names none.
    pub account: Option<String>,
    /// `AWS_ACCESS_KEY_ID`, which decides the identity of AWS sources.
    pub aws_access_key_id: Option<String>,
    /// The stores that hold the secrets of gauth's own logins, where their files do not.
    pub secret_stores: Option<SecretStores>,
}

/// Endpoint overrides: URLs of Google's services that the user set, as gcloud's variables and properties can.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointOverrides {
    /// Replaces `https://sts.googleapis.com/`.
    pub sts: Option<Url>,
    /// Replaces `https://iamcredentials.googleapis.com/`.
    pub iam_credentials: Option<Url>,
    /// The token introspection endpoint (RFC 7662), as a whole URL.
    pub introspection_endpoint: Option<Url>,
}

impl EndpointOverrides {
    /// The base URL of the IAM Service Account Credentials API in a universe.
    pub fn iam_credentials_url(&self, universe_domain: &str) -> String {
        match &self.iam_credentials {
            Some(endpoint_override) => endpoint_override.as_str().to_owned(),
            None => format!("https://iamcredentials.{universe_domain}"),
        }
    }

    /// The STS's token exchange endpoint in a universe (RFC 8693).
    ///
    /// # Errors
    /// `Usage`, when the universe domain does not form a URL.
    pub fn token_exchange_url(&self, universe_domain: &str) -> Result<Url> {
        self.sts_url(universe_domain, "token")
    }

    /// The STS's endpoint for the refresh tokens of workforce logins in a universe.
    ///
    /// # Errors
    /// `Usage`, when the universe domain does not form a URL.
    pub fn refresh_url(&self, universe_domain: &str) -> Result<Url> {
        self.sts_url(universe_domain, "oauthtoken")
    }

    fn sts_url(&self, universe_domain: &str, path: &str) -> Result<Url> {
        let default_url = Url::parse(&format!("https://sts.{universe_domain}/v1/{path}"));
        let url = default_url.and_then(|default_url| match &self.sts {
            Some(endpoint_override) => default_url.with_base(endpoint_override),
            None => Ok(default_url),
        });
        url.map_err(|what| {
            Error::usage(format!("the URL of the STS in {} {what}", crate::text::printable::text(universe_domain)))
                .hint("check --universe-domain")
        })
    }
}

impl ParseOptions {
    /// The options for a credential found at `location` of which nothing else is known.
    pub fn new(location: impl Into<String>) -> ParseOptions {
        ParseOptions {
            location: location.into(),
            origin: Origin::ReadOnly,
            token_endpoint_override: None,
            endpoint_overrides: EndpointOverrides::default(),
            allowed_hosts: Vec::new(),
            universe_domain: None,
            use_self_signed_jwt: false,
            sign_in_hint: DEFAULT_SIGN_IN_HINT.to_owned(),
            quota_project: None,
            account: None,
            aws_access_key_id: None,
            secret_stores: None,
        }
    }

    /// The quota project: the file's, or that of the options. It must be fit for an HTTP header.
    fn read_quota_project(&self, fields: &mut JsonFields) -> Result<Option<String>> {
        let malformed = |what: String| self.malformed(what).hint(BROKEN_CREDENTIAL_HINT);
        let field = "quota_project_id";
        let from_file = fields.non_empty_text(field).map_err(malformed)?;
        if let Some(from_file) = &from_file {
            check_visible_ascii(from_file).map_err(|what| malformed(format!("{field} {what}")))?;
        }
        Ok(from_file.or_else(|| self.quota_project.clone()))
    }

    /// Adds the options that decide a token to its cache key.
    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_optional(self.token_endpoint_override.as_ref().map(Url::as_str));
        hasher.add_optional(self.universe_domain.as_deref());
        hasher.add_text(if self.use_self_signed_jwt { "signs" } else { "asks" });
        for endpoint_override in [&self.endpoint_overrides.sts, &self.endpoint_overrides.iam_credentials] {
            hasher.add_optional(endpoint_override.as_ref().map(Url::as_str));
        }
        hasher.add_optional(self.aws_access_key_id.as_deref());
        // A host that was allowed for one run is not allowed for the next.
        for host in &self.allowed_hosts {
            hasher.add_text(host);
        }
    }

    /// An error of exit code 8 about this credential's content.
    pub fn malformed(&self, what: impl std::fmt::Display) -> Error {
        Error::malformed(&self.location, what)
    }

    /// Makes the errors about the fields of an object in the credential; the prefix is its path, such as
    /// `credential_source.`.
    fn field_error<'a>(&'a self, field_prefix: &'a str) -> impl Fn(String) -> Error + Copy + 'a {
        move |what| self.malformed(format!("{field_prefix}{what}")).hint(BROKEN_CREDENTIAL_HINT)
    }

    /// The token endpoint: the override, the credential's, or Google's.
    fn token_endpoint(&self, token_uri: Option<&str>) -> Result<Url> {
        if let Some(endpoint_override) = &self.token_endpoint_override {
            return Ok(endpoint_override.clone());
        }
        let text = token_uri.unwrap_or(crate::oauth::token::ENDPOINT);
        self.checked_endpoint(EndpointKind::OAuthToken, "token_uri", text, None)
    }

    /// An endpoint that the credential names: checked, then replaced by the user's override, if there is one.
    /// `claimed_universe` is the universe domain in the credential's file.
    pub(crate) fn checked_endpoint(
        &self,
        kind: EndpointKind,
        field: &str,
        text: &str,
        claimed_universe: Option<&str>,
    ) -> Result<Url> {
        let policy = EndpointPolicy {
            location: &self.location,
            allowed_hosts: &self.allowed_hosts,
            trusted_universe: self.universe_domain.as_deref(),
            claimed_universe,
        };
        let url = policy.check_endpoint(kind, field, text)?;
        let endpoint_override = match kind {
            EndpointKind::Sts => &self.endpoint_overrides.sts,
            EndpointKind::IamCredentials => &self.endpoint_overrides.iam_credentials,
            _ => &None,
        };
        match endpoint_override {
            // A loopback address is an override already.
            Some(endpoint_override) if !url.is_loopback() => {
                url.with_base(endpoint_override).map_err(|what| self.malformed(format!("{field} {what}")))
            }
            _ => Ok(url),
        }
    }

    /// The token introspection endpoint: the override, or the file's.
    pub(crate) fn introspection_endpoint(
        &self,
        token_info_url: Option<String>,
        claimed_universe: Option<&str>,
    ) -> Result<Option<Url>> {
        let from_file = match token_info_url {
            Some(url) => Some(self.checked_endpoint(EndpointKind::Sts, "token_info_url", &url, claimed_universe)?),
            None => None,
        };
        Ok(self.endpoint_overrides.introspection_endpoint.clone().or(from_file))
    }

    /// The universe domain: the user's choice, the credential's, or the default.
    pub(crate) fn resolve_universe_domain(&self, from_file: Option<String>) -> Result<String> {
        if let Some(domain) = &from_file {
            endpoint_policy::check_universe_domain(domain)
                .map_err(|what| self.malformed(format!("universe_domain {what}")).hint(BROKEN_CREDENTIAL_HINT))?;
        }
        match (&self.universe_domain, from_file) {
            (Some(chosen), Some(domain)) if *chosen != domain => Err(Error::unsupported(format!(
                "{}: this credential belongs to the universe {domain}, not {chosen}",
                self.location
            ))
            .hint("remove --universe-domain and GOOGLE_CLOUD_UNIVERSE_DOMAIN")),
            (Some(chosen), _) => Ok(chosen.clone()),
            (None, Some(domain)) => Ok(domain),
            (None, None) => Ok(endpoint_policy::DEFAULT_UNIVERSE.to_owned()),
        }
    }
}

/// The hint to sign in again where nothing is known of the login.
pub const DEFAULT_SIGN_IN_HINT: &str = "gauth login, or gcloud auth application-default login";

/// The hint for most malformed credential files.
pub const BROKEN_CREDENTIAL_HINT: &str =
    "download or create the credential again; gauth help sources lists the supported kinds";

type ParseCredential = fn(JsonFields, &ParseOptions) -> Result<Box<dyn Credential>>;

/// The kinds of credential files, by their `type`.
const PARSERS_BY_TYPE: &[(&str, ParseCredential)] = &[
    ("authorized_user", authorized_user::parse),
    ("service_account", service_account::parse),
    ("external_account", external_account::parse),
    ("external_account_authorized_user", external_account_authorized_user::parse),
    ("impersonated_service_account", impersonated::parse),
    ("gdch_service_account", gdch_service_account::parse),
    (oidc_session::CREDENTIAL_TYPE, oidc_login::parse),
];

/// Parses a credential from its JSON text.
///
/// # Errors
/// `Malformed`, naming location and field; `Unsafe`, for an endpoint that is not Google's.
pub fn parse(bytes: &[u8], parse_options: &ParseOptions) -> Result<Box<dyn Credential>> {
    let map = json::parse_object(bytes).map_err(|what| parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT))?;
    parse_object(map, parse_options)
}

/// Parses a credential from its JSON object.
///
/// # Errors
/// As [`parse`].
pub fn parse_object(map: Map<String, Value>, parse_options: &ParseOptions) -> Result<Box<dyn Credential>> {
    if map.contains_key(fields::STORE) && matches!(parse_options.origin, Origin::ReadOnly) {
        let what = "this is an account of gauth, and its secrets are in another store";
        return Err(parse_options.malformed(what).hint("gauth token --account ACCOUNT"));
    }
    let mut fields = JsonFields::new(map);
    let credential_type =
        fields.text("type").map_err(|what| parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT))?;
    let Some(credential_type) = credential_type else {
        return parse_untyped(fields, parse_options);
    };
    match PARSERS_BY_TYPE.iter().find(|(name, _)| *name == credential_type) {
        Some((_, parse)) => parse(fields, parse_options),
        None if credential_type == "service_account_p12" => {
            Err(Error::unsupported(format!("{}: keys in P12 files are not supported", parse_options.location))
                .hint("create a new key of the account, as JSON"))
        }
        None if credential_type == external_account_authorized_user::LOGIN_CONFIG_TYPE => {
            let file = crate::text::printable::text(&parse_options.location);
            Err(parse_options
                .malformed("this is a login configuration, not a credential")
                .hint(format!("gauth login --login-config {file}")))
        }
        None => {
            let known: Vec<&str> = PARSERS_BY_TYPE.iter().map(|(name, _)| *name).collect();
            let kind = crate::text::printable::text(&credential_type);
            Err(parse_options
                .malformed(format!("type is \"{kind}\", known are {}", known.join(", ")))
                .hint(BROKEN_CREDENTIAL_HINT))
        }
    }
}

/// Files without `type`: the `token.json` of Google's quickstarts, and OAuth clients mistaken for credentials.
fn parse_untyped(mut fields: JsonFields, parse_options: &ParseOptions) -> Result<Box<dyn Credential>> {
    for kind in ["installed", "web"] {
        if matches!(fields.value(kind), Some(Value::Object(_))) {
            let file = crate::text::printable::text(&parse_options.location);
            return Err(parse_options
                .malformed("this is an OAuth client, not a credential")
                .hint(format!("gauth login --client-id-file {file}")));
        }
    }
    match fields.has("refresh_token") {
        true => authorized_user::parse(fields, parse_options),
        false => Err(parse_options.malformed("type is missing").hint(BROKEN_CREDENTIAL_HINT)),
    }
}
