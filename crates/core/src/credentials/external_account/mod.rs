//! Federated identities: a subject token of another identity provider, exchanged at Google's STS (RFC 8693).
//!
//! The subject token is fetched for every exchange and never stored. One file per source it can come from.

mod aws;
mod certificate;
pub mod ci;
pub mod executable;
mod file;
pub mod format;
mod given_token;
mod openid;
pub mod provider;
mod url;
pub mod workload;
pub mod x509;

use std::cell::OnceCell;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::credentials::external_account::provider::AudienceKind;
use crate::credentials::impersonated::{IamEndpoint, ImpersonatedServiceAccount, ImpersonationConfig};
use crate::credentials::{BROKEN_CREDENTIAL_HINT, ParseOptions, impersonated};
use crate::error::Result;
use crate::google::iam::{MAX_LIFETIME_SECONDS, MIN_LIFETIME_SECONDS, TargetServiceAccount};
use crate::jose::jwt;
use crate::net::endpoint_policy::EndpointKind;
use crate::net::message::ClientCertificate;
use crate::net::url::Url;
use crate::oauth::client_authentication::{ClientCredentials, check_client_credentials};
use crate::oauth::metrics::metrics_header;
use crate::oauth::token_exchange::{ACCESS_TOKEN_TYPE, TokenExchangeRequest};
use crate::oauth::{token, token_exchange};
use crate::text::json::JsonFields;
use crate::text::secret::Secret;
use crate::text::visible_ascii::check_visible_ascii;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo, Revocation, Session};
use crate::tokens::{AccessTokenRequest, Token};
use crate::world::World;

/// Its `type`, also where it is made from flags.
pub const CREDENTIAL_TYPE: &str = "external_account";

/// A source of subject tokens.
pub trait SubjectTokenSource {
    /// Its name in Google's metrics: `file`, `url`, `aws`, `executable`, `x509`, `programmatic`.
    fn metrics_name(&self) -> &'static str;

    /// Its name in errors: "the file /run/token".
    fn location(&self) -> String;

    /// Adds everything that decides the identity of its tokens to a cache key.
    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher);

    /// Fetches a subject token.
    ///
    /// # Errors
    /// When the source cannot be read, or has no token.
    fn subject_token(&self, request: &SubjectTokenRequest, session: &dyn Session) -> Result<Secret>;

    /// The reason its server gave when it last refused the login of this source, where that is remembered.
    fn last_rejection(&self, _: &World) -> Option<String> {
        None
    }

    /// Revokes the login of this source at its server.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    fn revoke(&self, _: &dyn Session) -> Result<Revocation> {
        Ok(Revocation::Unsupported)
    }

    /// The client certificate for the STS (mutual TLS, RFC 8705).
    ///
    /// # Errors
    /// When certificate and key cannot be used.
    fn client_certificate(&self, _: &World) -> Result<Option<ClientCertificate>> {
        Ok(None)
    }

    /// The SHA-256 fingerprint of that certificate, where Google requires tokens bound to it.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    fn bound_certificate_fingerprint(&self, _: &World) -> Result<Option<String>> {
        Ok(None)
    }
}

/// What a source of subject tokens may need to know of the exchange.
#[derive(Debug, Clone)]
pub struct SubjectTokenRequest {
    /// The file or variable the credential came from, for errors.
    pub location: String,
    /// The identity provider's resource name, the audience of the exchange.
    pub audience: String,
    /// The type of the subject token (RFC 8693, section 3).
    pub subject_token_type: String,
    /// The service account that is impersonated with the exchanged token.
    pub impersonated_email: Option<String>,
}

/// What a federated identity is configured with.
pub struct ExternalAccountConfig {
    /// What the source needs to know of the exchange.
    pub subject_token_request: SubjectTokenRequest,
    /// The source of its subject tokens.
    pub subject_token_source: Box<dyn SubjectTokenSource>,
    /// The STS's token exchange endpoint.
    pub token_url: Url,
    /// The token introspection endpoint (RFC 7662).
    pub token_info_url: Option<Url>,
    /// An OAuth client and its secret.
    pub oauth_client: Option<(String, Secret)>,
    /// The project that is billed for the exchange (workforce pools).
    pub workforce_pool_user_project: Option<String>,
    /// Scopes of requests that name none.
    pub scopes: Vec<String>,
    /// The lifetime of the impersonated tokens in the file, in seconds, for Google's metrics.
    pub lifetime: Option<u32>,
    /// `AWS_ACCESS_KEY_ID`, which decides the identity of AWS sources.
    pub aws_access_key_id: Option<String>,
}

/// A credential of type `external_account` (AIP-4117).
pub struct ExternalAccount {
    info: CredentialInfo,
    config: ExternalAccountConfig,
    principal: OnceCell<String>,
}

impl ExternalAccount {
    /// The identity of this configuration.
    pub fn new(info: CredentialInfo, config: ExternalAccountConfig) -> ExternalAccount {
        let provider = config.subject_token_request.audience.trim_start_matches("//iam.googleapis.com/");
        let derived_from = format!("the token from {}, for {provider}", config.subject_token_source.location());
        let info = CredentialInfo { derived_from: Some(derived_from), ..info };
        ExternalAccount { info, config, principal: OnceCell::new() }
    }

    fn client_credentials(&self) -> Option<ClientCredentials<'_>> {
        let client = self.config.oauth_client.as_ref();
        client.map(|(id, secret)| ClientCredentials::for_google_sts(id, secret))
    }

    /// The source, issuer and audience of a subject token, to compare with the provider's settings.
    fn describe_subject_token(&self, subject_token: &Secret) -> String {
        let location = self.config.subject_token_source.location();
        match jwt::issuer_and_audiences(subject_token) {
            Some(address) => format!("{location} ({address})"),
            None => location,
        }
    }
}

/// Warns that the STS will refuse a subject token because it is expired. `location` is its source.
pub fn warn_if_expired(subject_token: &Secret, location: &str, session: &dyn Session) {
    let Some(expires_at) = jwt::expiry(subject_token) else { return };
    let expired_seconds = session.now() - expires_at;
    if expired_seconds > 0 {
        session
            .world()
            .terminal
            .warn(&format!("the subject token from {location} expired {expired_seconds} s ago, by this clock"));
    }
}

impl Credential for ExternalAccount {
    fn info(&self) -> &CredentialInfo {
        &self.info
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        let config = &self.config;
        hasher.add_text(CREDENTIAL_TYPE);
        hasher.add_text(&config.subject_token_request.audience);
        hasher.add_text(&config.subject_token_request.subject_token_type);
        hasher.add_text(config.token_url.as_str());
        config.subject_token_source.hash_cache_key(hasher);
        hasher.add_optional(config.oauth_client.as_ref().map(|(id, _)| id.as_str()));
        hasher.add_optional(config.workforce_pool_user_project.as_deref());
        hasher.add_optional(config.aws_access_key_id.as_deref());
        config.scopes.iter().for_each(|scope| hasher.add_text(scope));
    }

    fn last_rejection(&self, world: &World) -> Option<String> {
        self.config.subject_token_source.last_rejection(world)
    }

    fn revoke(&self, session: &dyn Session) -> Result<Revocation> {
        self.config.subject_token_source.revoke(session)
    }

    fn access_token(&self, request: &AccessTokenRequest, session: &dyn Session) -> Result<Token> {
        self.check_supported(request)?;
        let config = &self.config;
        let scopes = match request.scopes.is_empty() && !request.for_iam && !config.scopes.is_empty() {
            true => config.scopes.clone(),
            false => request.scopes_or_default(),
        };
        let client_certificate = config.subject_token_source.client_certificate(session.world())?;
        let subject_token = config.subject_token_source.subject_token(&config.subject_token_request, session)?;
        session.world().mask_in_ci_log(&subject_token);
        warn_if_expired(&subject_token, &config.subject_token_source.location(), session);
        let options = self.exchange_options(session.world())?;
        let exchange_request = TokenExchangeRequest {
            audiences: std::slice::from_ref(&config.subject_token_request.audience),
            scopes: &scopes,
            requested_token_type: Some(ACCESS_TOKEN_TYPE),
            subject_token: Some((&subject_token, &config.subject_token_request.subject_token_type)),
            options: options.as_deref(),
            client: self.client_credentials(),
            ..TokenExchangeRequest::default()
        };
        let metrics_suffix = format!(
            "google-byoid-sdk source/{} sa-impersonation/{} config-lifetime/{}",
            config.subject_token_source.metrics_name(),
            config.subject_token_request.impersonated_email.is_some(),
            config.lifetime.is_some(),
        );
        let mut http_request = token_exchange::token_exchange_request(&config.token_url, &exchange_request)
            .header("x-goog-api-client", metrics_header(&metrics_suffix));
        http_request.client_certificate = client_certificate;
        let now = session.now();
        let response = session.send(&http_request)?;
        let granted = token::read_bearer_response(&response, config.token_url.authority(), now).map_err(|error| {
            token_exchange::add_token_exchange_hint(error, &response, &self.describe_subject_token(&subject_token))
        })?;
        if granted.expires_at.is_none() {
            let host = config.token_url.authority();
            session.world().terminal.warn(&format!("{host} gives no expiry for its token, so it is not cached"));
        }
        let mut token = Token::new(granted.access_token, CREDENTIAL_TYPE, granted.expires_at);
        token.scopes = Some(granted.scopes.unwrap_or(scopes));
        let token = self.info.annotate(token);
        Ok(token)
    }

    fn client_certificate(&self, world: &World) -> Result<Option<ClientCertificate>> {
        self.config.subject_token_source.client_certificate(world)
    }

    fn fetch_info(&self, session: &dyn Session) -> Result<CredentialInfo> {
        let mut info = self.info.clone();
        let Some(url) = &self.config.token_info_url else { return Ok(info) };
        if self.principal.get().is_none() {
            let token = session.source_token(self)?;
            let http_request = token_exchange::introspection_request(url, &token.secret, self.client_credentials());
            // Google answers its own clients only: without an answer the account stays unknown.
            let principal = session
                .send(&http_request)
                .and_then(|response| token_exchange::read_introspected_username(&response, url.authority()));
            if let Ok(Some(name)) = principal {
                let _ = self.principal.set(name);
            }
        }
        info.account = self.principal.get().cloned();
        Ok(info)
    }
}

impl ExternalAccount {
    /// The JSON of the field `options`, Google's extension of the exchange.
    fn exchange_options(&self, world: &World) -> Result<Option<String>> {
        let config = &self.config;
        let mut options = Map::new();
        // An OAuth client has a project of its own, which is billed.
        if let Some(project) = config.workforce_pool_user_project.as_ref().filter(|_| config.oauth_client.is_none()) {
            options.insert("userProject".to_owned(), Value::from(project.as_str()));
        }
        if let Some(fingerprint) = config.subject_token_source.bound_certificate_fingerprint(world)? {
            options.insert("bindCertFingerprint".to_owned(), Value::from(fingerprint));
        }
        Ok((!options.is_empty()).then(|| Value::Object(options).to_string()))
    }

    fn check_supported(&self, request: &AccessTokenRequest) -> Result<()> {
        let hint = "name a service account with --impersonate-service-account";
        if request.subject.is_some() {
            return Err(self.info.unsupported_error("act for another user (--subject)").hint(hint));
        }
        if request.lifetime.is_some() {
            return Err(self.info.unsupported_error("choose how long its tokens live (--lifetime)").hint(hint));
        }
        Ok(())
    }
}

/// Reads the fields of an `external_account` file.
///
/// # Errors
/// `Malformed` or `Unsafe`, naming the field.
pub fn parse(mut fields: JsonFields, parse_options: &ParseOptions) -> Result<Box<dyn Credential>> {
    let malformed = |what: String| parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT);
    let audience = fields.required("audience").map_err(malformed)?;
    let audience_kind = AudienceKind::parse(&audience).map_err(|what| malformed(format!("audience {what}")))?;
    let subject_token_type = fields.required("subject_token_type").map_err(malformed)?;
    check_visible_ascii(&subject_token_type).map_err(|what| malformed(format!("subject_token_type {what}")))?;
    let own_universe = fields.non_empty_text("universe_domain").map_err(malformed)?;
    let universe = parse_options.resolve_universe_domain(own_universe.clone())?;
    let claimed_universe = own_universe.as_deref();
    let token_url = fields.non_empty_text("token_url").map_err(malformed)?;
    let token_url = token_url.unwrap_or_else(|| format!("https://sts.{universe}/v1/token"));
    let token_url = parse_options.checked_endpoint(EndpointKind::Sts, "token_url", &token_url, claimed_universe)?;
    let token_info_url = fields.non_empty_text("token_info_url").map_err(malformed)?;
    let token_info_url = parse_options.introspection_endpoint(token_info_url, claimed_universe)?;
    let workforce_pool_user_project = fields.non_empty_text("workforce_pool_user_project").map_err(malformed)?;
    if workforce_pool_user_project.is_some() && audience_kind != AudienceKind::Workforce {
        let what = "workforce_pool_user_project is set, but audience names no workforce pool";
        return Err(malformed(what.to_owned()));
    }
    if let Some(user_project) = &workforce_pool_user_project {
        let what = check_visible_ascii(user_project);
        what.map_err(|what| malformed(format!("workforce_pool_user_project {what}")))?;
    }
    let oauth_client = parse_oauth_client(&mut fields).map_err(malformed)?;
    let scopes = impersonated::parse_scopes(&mut fields).map_err(malformed)?;
    let (target, lifetime) = parse_impersonation(&mut fields, parse_options, claimed_universe)?;
    let info = CredentialInfo {
        credential_type: CREDENTIAL_TYPE.to_owned(),
        location: parse_options.location.clone(),
        account: parse_options.account.clone(),
        quota_project: parse_options.read_quota_project(&mut fields)?,
        universe_domain: Some(universe),
        ..CredentialInfo::default()
    };
    let subject_token_request = SubjectTokenRequest {
        location: parse_options.location.clone(),
        audience,
        subject_token_type,
        impersonated_email: target.as_ref().map(|target| target.account.clone()),
    };
    let subject_token_source = parse_source(&mut fields, &subject_token_request, parse_options)?;
    let aws_access_key_id = parse_options.aws_access_key_id.clone();
    let config = ExternalAccountConfig {
        subject_token_request,
        subject_token_source,
        token_url,
        token_info_url,
        oauth_client,
        workforce_pool_user_project,
        scopes: scopes.clone(),
        lifetime,
        aws_access_key_id,
    };
    let Some(target) = target else { return Ok(Box::new(ExternalAccount::new(info, config))) };
    // The quota project of the file is that of the service account.
    let identity_info = CredentialInfo { account: None, quota_project: None, ..info.clone() };
    let external_account = ExternalAccount::new(identity_info, config);
    let impersonation = ImpersonationConfig {
        account: target.account.clone(),
        iam_endpoint: IamEndpoint::Url(target),
        delegates: Vec::new(),
        scopes,
        lifetime,
        token_uri: parse_options.token_endpoint(None)?,
    };
    Ok(Box::new(ImpersonatedServiceAccount::from_file(Rc::new(external_account), impersonation, info)))
}

/// The OAuth client; one without a secret has an empty one.
fn parse_oauth_client(fields: &mut JsonFields) -> std::result::Result<Option<(String, Secret)>, String> {
    let id = fields.non_empty_text("client_id")?;
    let secret = fields.text("client_secret")?.unwrap_or_default();
    check_client_credentials(id.as_deref().unwrap_or_default(), &secret)?;
    Ok(id.map(|id| (id, Secret::new(secret))))
}

/// The service account that is impersonated, and the lifetime of its tokens in seconds.
fn parse_impersonation(
    fields: &mut JsonFields,
    parse_options: &ParseOptions,
    claimed_universe: Option<&str>,
) -> Result<(Option<TargetServiceAccount>, Option<u32>)> {
    let malformed = |what: String| parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT);
    let field = "service_account_impersonation_url";
    let url = fields.non_empty_text(field).map_err(malformed)?;
    let options = fields.object("service_account_impersonation").map_err(malformed)?;
    let lifetime = match options {
        None => None,
        Some(mut options) => options
            .number("token_lifetime_seconds", MIN_LIFETIME_SECONDS..=MAX_LIFETIME_SECONDS)
            .map_err(|what| malformed(format!("service_account_impersonation.{what}")))?,
    };
    let target = url
        .map(|url| impersonated::parse_impersonation_url(&url, field, parse_options, claimed_universe))
        .transpose()?;
    Ok((target, lifetime))
}

type ParseSubjectTokenSource =
    fn(JsonFields, &SubjectTokenRequest, &ParseOptions) -> Result<Box<dyn SubjectTokenSource>>;

/// The sources, each by the field that only it has.
const SOURCE_PARSERS: &[(&str, ParseSubjectTokenSource)] = &[
    ("environment_id", aws::parse),
    ("file", file::parse),
    ("executable", executable::parse),
    ("certificate", certificate::parse),
    ("url", url::parse),
    ("openid", openid::parse),
];

fn parse_source(
    fields: &mut JsonFields,
    request: &SubjectTokenRequest,
    parse_options: &ParseOptions,
) -> Result<Box<dyn SubjectTokenSource>> {
    let malformed = |what: String| parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT);
    let source = fields.object("credential_source").map_err(malformed)?;
    let source = source.ok_or_else(|| malformed("credential_source is missing".to_owned()))?;
    let mut found: Vec<_> = SOURCE_PARSERS.iter().filter(|(field, _)| source.has(field)).collect();
    // AWS has a url as well.
    if found.first().is_some_and(|(field, _)| *field == "environment_id") {
        found.retain(|(field, _)| *field != "url");
    }
    match found.as_slice() {
        [(field, _)] if request.subject_token_type == aws::SUBJECT_TOKEN_TYPE && *field != "environment_id" => {
            let what = format!("subject_token_type is {}, which goes with", aws::SUBJECT_TOKEN_TYPE);
            Err(malformed(format!("{what} environment_id, not with {field} of credential_source")))
        }
        [(_, parse)] => parse(source, request, parse_options),
        [] => {
            let known: Vec<_> = SOURCE_PARSERS.iter().map(|(field, _)| *field).collect();
            Err(malformed(format!("credential_source has none of {}", known.join(", "))))
        }
        [(one, _), (other, _), ..] => Err(malformed(format!("credential_source has both {one} and {other}"))),
    }
}

/// The content of a source as JSON text, for its cache key.
fn source_json(source: &JsonFields) -> zeroize::Zeroizing<String> {
    zeroize::Zeroizing::new(Value::Object(source.remaining().clone()).to_string())
}
