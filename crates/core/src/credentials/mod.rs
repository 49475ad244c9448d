//! Credentials: one file per kind. A kind knows its own fields and which requests answer them. It does not
//! know files, caches or formats.

pub mod access_boundary;
pub mod authorized_user;
pub mod downscoped;
pub mod external_account;
pub mod external_account_authorized_user;
pub mod gcloud_account;
pub mod gdch_service_account;
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

/// What decides how a credential's JSON is understood, besides the JSON.
#[derive(Debug, Clone)]
pub struct ParseOptions {
    /// The file or variable, for errors.
    pub location: String,
    /// Where it came from, and so where a rotated refresh token goes.
    pub origin: Origin,
    /// The token endpoint chosen by variable or property, over the file's own.
    pub token_endpoint_override: Option<Url>,
    /// Other services of Google's at another place than usual.
    pub endpoint_overrides: EndpointOverrides,
    /// Hosts that may receive this credential's secrets besides Google's.
    pub allowed_hosts: Vec<String>,
    /// The universe chosen by flag or variable, over the file's own.
    pub universe_domain: Option<String>,
    /// Whether service accounts sign their own access tokens.
    pub use_self_signed_jwt: bool,
    /// What to do when a person has to sign in again.
    pub sign_in_hint: String,
    /// The project that pays, where the JSON itself names none.
    pub quota_project: Option<String>,
    /// The name it is stored under, where the JSON itself has none.
    pub account: Option<String>,
    /// What of the environment decides whose tokens these are: the keys of AWS's programs.
    pub aws_access_key_id: Option<String>,
    /// The way to the secrets that a file of ours leaves to another store.
    pub secret_stores: Option<SecretStores>,
}

/// Google's services at the places the user moved them to, as gcloud's variables can.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointOverrides {
    /// In place of `https://sts.googleapis.com/`.
    pub sts: Option<Url>,
    /// In place of `https://iamcredentials.googleapis.com/`.
    pub iam_credentials: Option<Url>,
    /// The whole URL that tells whose a federated token is.
    pub introspection_endpoint: Option<Url>,
}

impl EndpointOverrides {
    /// The root of IAM Service Account Credentials in a universe.
    pub fn iam_credentials_url(&self, universe_domain: &str) -> String {
        match &self.iam_credentials {
            Some(endpoint_override) => endpoint_override.as_str().to_owned(),
            None => format!("https://iamcredentials.{universe_domain}"),
        }
    }

    /// The exchange endpoint in a universe.
    ///
    /// # Errors
    /// Usage, when the universe makes no URL.
    pub fn token_exchange_url(&self, universe_domain: &str) -> Result<Url> {
        self.sts_url(universe_domain, "token")
    }

    /// Where refresh tokens of the STS's own are taken in a universe: those of workforce logins.
    ///
    /// # Errors
    /// Usage, when the universe makes no URL.
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
            Error::usage(format!(
                "the URL of the STS in {} {what}",
                crate::text::printable::text(universe_domain)
            ))
            .hint("check --universe-domain")
        })
    }
}

impl ParseOptions {
    /// The plainest setting for a credential found at `place`.
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

    /// The project that pays: the credential's, or that of where it was found. It will stand in a header.
    fn read_quota_project(&self, fields: &mut JsonFields) -> Result<Option<String>> {
        let malformed = |what: String| self.malformed(what).hint(BROKEN_CREDENTIAL_HINT);
        let field = "quota_project_id";
        let from_file = fields.text(field).map_err(malformed)?.filter(|own| !own.is_empty());
        if let Some(from_file) = &from_file {
            check_visible_ascii(from_file).map_err(|what| malformed(format!("{field} {what}")))?;
        }
        Ok(from_file.or_else(|| self.quota_project.clone()))
    }

    /// Adds what decides a token besides the credential's own content.
    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_optional(self.token_endpoint_override.as_ref().map(Url::as_str));
        hasher.add_optional(self.universe_domain.as_deref());
        hasher.add_text(if self.use_self_signed_jwt { "signs" } else { "asks" });
        for endpoint_override in
            [&self.endpoint_overrides.sts, &self.endpoint_overrides.iam_credentials]
        {
            hasher.add_optional(endpoint_override.as_ref().map(Url::as_str));
        }
        hasher.add_optional(self.aws_access_key_id.as_deref());
        // A host that was allowed once is not allowed for ever.
        for host in &self.allowed_hosts {
            hasher.add_text(host);
        }
    }

    /// An error about this credential's content.
    pub fn malformed(&self, what: impl std::fmt::Display) -> Error {
        Error::malformed(&self.location, what)
    }

    /// The token endpoint: chosen, or the credential's, or Google's.
    fn token_endpoint(&self, token_uri: Option<&str>) -> Result<Url> {
        if let Some(endpoint_override) = &self.token_endpoint_override {
            return Ok(endpoint_override.clone());
        }
        let text = token_uri.unwrap_or(crate::oauth::token::ENDPOINT);
        self.checked_endpoint(EndpointKind::OAuthToken, "token_uri", text, None)
    }

    /// An endpoint the credential names, checked, and moved to where the user wants that service to be.
    /// `claimed` is the universe the credential says it is of.
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
            // A loopback address is where somebody put it already.
            Some(endpoint_override) if !url.is_loopback() => url
                .with_base(endpoint_override)
                .map_err(|what| self.malformed(format!("{field} {what}"))),
            _ => Ok(url),
        }
    }

    /// Where it is said whose a token is: as the user wants it, or as the file has it.
    fn introspection_endpoint(
        &self,
        token_info_url: Option<String>,
        claimed_universe: Option<&str>,
    ) -> Result<Option<Url>> {
        let from_file = match token_info_url.filter(|url| !url.is_empty()) {
            Some(url) => Some(self.checked_endpoint(
                EndpointKind::Sts,
                "token_info_url",
                &url,
                claimed_universe,
            )?),
            None => None,
        };
        Ok(self.endpoint_overrides.introspection_endpoint.clone().or(from_file))
    }

    /// The universe: chosen, or the credential's, or the default.
    fn resolve_universe_domain(&self, from_file: Option<String>) -> Result<String> {
        if let Some(domain) = &from_file {
            endpoint_policy::check_universe_domain(domain).map_err(|what| {
                self.malformed(format!("universe_domain {what}")).hint(BROKEN_CREDENTIAL_HINT)
            })?;
        }
        match (&self.universe_domain, from_file) {
            (Some(chosen), Some(domain)) if *chosen != domain => Err(Error::unsupported(format!(
                "{}: this credential belongs to the universe {domain}, not {chosen}",
                self.location
            ))
            .hint("leave --universe-domain and GOOGLE_CLOUD_UNIVERSE_DOMAIN away")),
            (Some(chosen), _) => Ok(chosen.clone()),
            (None, Some(domain)) => Ok(domain),
            (None, None) => Ok(endpoint_policy::DEFAULT_UNIVERSE.to_owned()),
        }
    }
}

/// What makes another login where nobody says more than that there was one.
pub const DEFAULT_SIGN_IN_HINT: &str = "gauth login, or gcloud auth application-default login";

/// What to do about most broken credential files.
pub const BROKEN_CREDENTIAL_HINT: &str =
    "download or make the credential again; gauth help sources lists what is read";

type ParseCredential = fn(JsonFields, &ParseOptions) -> Result<Box<dyn Credential>>;

/// The kinds that come as JSON, by their `type`.
const PARSERS_BY_TYPE: &[(&str, ParseCredential)] = &[
    ("authorized_user", authorized_user::parse),
    ("service_account", service_account::parse),
    ("external_account", external_account::parse),
    ("external_account_authorized_user", external_account_authorized_user::parse),
    ("impersonated_service_account", impersonated::parse),
    ("gdch_service_account", gdch_service_account::parse),
    (oidc_session::CREDENTIAL_TYPE, oidc_login::parse),
];

/// Reads a credential from the text of its JSON.
///
/// # Errors
/// Malformed, naming place and field; unsafe, for an endpoint that is not Google's.
pub fn parse(bytes: &[u8], parse_options: &ParseOptions) -> Result<Box<dyn Credential>> {
    let map = json::parse_object(bytes)
        .map_err(|what| parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT))?;
    parse_object(map, parse_options)
}

/// Reads a credential from its JSON object.
///
/// # Errors
/// As [`parse`].
pub fn parse_object(
    map: Map<String, Value>,
    parse_options: &ParseOptions,
) -> Result<Box<dyn Credential>> {
    if map.contains_key(fields::STORE) && matches!(parse_options.origin, Origin::ReadOnly) {
        let what = "this is an account of gauth's whose secrets are in another store";
        return Err(parse_options
            .malformed(what)
            .hint("gauth token --account ACCOUNT, by its name"));
    }
    let mut fields = JsonFields::new(map);
    let credential_type = fields
        .text("type")
        .map_err(|what| parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT))?;
    let Some(credential_type) = credential_type else {
        return parse_untyped(fields, parse_options);
    };
    match PARSERS_BY_TYPE.iter().find(|(name, _)| *name == credential_type) {
        Some((_, parse)) => parse(fields, parse_options),
        None if credential_type == "service_account_p12" => Err(Error::unsupported(format!(
            "{}: keys in P12 files are not read",
            parse_options.location
        ))
        .hint("make a new key of the account, as JSON")),
        None if credential_type == external_account_authorized_user::LOGIN_CONFIG_TYPE => {
            let file = crate::text::printable::text(&parse_options.location);
            Err(parse_options
                .malformed("this is a login configuration, which can start a login but is none")
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

/// Files without `type`: what Google's quickstarts save, and OAuth clients taken for credentials.
fn parse_untyped(
    mut fields: JsonFields,
    parse_options: &ParseOptions,
) -> Result<Box<dyn Credential>> {
    for kind in ["installed", "web"] {
        if matches!(fields.value(kind), Some(Value::Object(_))) {
            let file = crate::text::printable::text(&parse_options.location);
            return Err(parse_options
                .malformed("this is an OAuth client, which can start a login but is none")
                .hint(format!("gauth login --client-id-file {file}")));
        }
    }
    match fields.has("refresh_token") {
        true => authorized_user::parse(fields, parse_options),
        false => Err(parse_options
            .malformed("type is missing, this is no credential")
            .hint(BROKEN_CREDENTIAL_HINT)),
    }
}
