//! Impersonated service accounts: another credential gets their tokens from the IAM Service Account Credentials API.

use std::cell::OnceCell;
use std::rc::Rc;

use crate::credentials;
use crate::credentials::source::SourceCredential;
use crate::credentials::{BROKEN_CREDENTIAL_HINT, EndpointOverrides, ParseOptions, gdch_service_account};
use crate::error::{Error, Result};
use crate::google::iam;
use crate::google::iam::{DEFAULT_LIFETIME_SECONDS, MAX_LIFETIME_SECONDS, MIN_LIFETIME_SECONDS, TargetServiceAccount};
use crate::jose::jwt;
use crate::jose::jwt::{Claims, IAT_BACKDATE_SECONDS};
use crate::net::endpoint_policy::{DEFAULT_UNIVERSE, EndpointKind};
use crate::net::message::{ClientCertificate, HttpResponse};
use crate::net::url::Url;
use crate::oauth::token as oauth;
use crate::text::json::JsonFields;
use crate::text::printable;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo, Revocation, Session, credential_type_name};
use crate::tokens::{AccessTokenRequest, IdTokenRequest, SelfSignedRequest, Token, TokenRequest};
use crate::world::World;

/// Its `type`, also where it is made from flags.
pub const CREDENTIAL_TYPE: &str = "impersonated_service_account";

/// The service account to impersonate, and how.
pub struct ImpersonationConfig {
    /// The service account's e-mail address or number.
    pub account: String,
    /// The IAM endpoint for it.
    pub iam_endpoint: IamEndpoint,
    /// The accounts between source and target, in order, as `iam::delegate_resource_name` names them.
    pub delegates: Vec<String>,
    /// Scopes of requests that name none.
    pub scopes: Vec<String>,
    /// Lifetime in seconds of requests that name none.
    pub lifetime: Option<u32>,
    /// The token endpoint where a JWT signed by the service account is exchanged, for `--subject`.
    pub token_uri: Url,
}

/// The IAM endpoint for a service account.
pub enum IamEndpoint {
    /// The URL that a file names.
    Url(TargetServiceAccount),
    /// That of the source's universe, or of the universe domain the user chose.
    Universe(EndpointOverrides, Option<String>),
}

/// A service account whose tokens another credential gets.
pub struct ImpersonatedServiceAccount {
    source: SourceCredential,
    config: ImpersonationConfig,
    info: OnceCell<CredentialInfo>,
    /// The properties in its own file; without a file only the type is known.
    own_info: CredentialInfo,
}

impl ImpersonatedServiceAccount {
    /// `source` impersonating the service account of flags or settings.
    pub fn new(source: Rc<dyn Credential>, config: ImpersonationConfig) -> ImpersonatedServiceAccount {
        let own_info = CredentialInfo { credential_type: CREDENTIAL_TYPE.to_owned(), ..CredentialInfo::default() };
        ImpersonatedServiceAccount::from_file(source, config, own_info)
    }

    /// `source` impersonating the service account of a file with the properties `own_info`.
    pub(crate) fn from_file(
        source: Rc<dyn Credential>,
        config: ImpersonationConfig,
        own_info: CredentialInfo,
    ) -> ImpersonatedServiceAccount {
        ImpersonatedServiceAccount {
            source: SourceCredential::for_iam(source),
            config,
            info: OnceCell::new(),
            own_info,
        }
    }

    /// What is known, completed from what is known of the source.
    fn info_with_source(&self, source_info: &CredentialInfo) -> CredentialInfo {
        let own_info = self.own_info.clone();
        let source_type = credential_type_name(&source_info.credential_type);
        let mut derived_from = match &source_info.account {
            Some(account) => format!("{account}, {source_type}"),
            None => source_type.to_owned(),
        };
        if let Some(source_derived_from) = &source_info.derived_from {
            derived_from.push_str(&format!(", by {source_derived_from}"));
        }
        for delegate in &self.config.delegates {
            derived_from.push_str(&format!(", then {}", delegate.rsplit('/').next().unwrap_or(delegate)));
        }
        CredentialInfo {
            credential_type: own_info.credential_type,
            location: if own_info.location.is_empty() { source_info.location.clone() } else { own_info.location },
            account: Some(self.config.account.clone()),
            project: project_of_account(&self.config.account),
            quota_project: own_info.quota_project,
            universe_domain: own_info.universe_domain.or_else(|| source_info.universe_domain.clone()),
            derived_from: Some(derived_from),
        }
    }

    /// The service account at its endpoint. The source is loaded to know its universe.
    fn iam_target(&self) -> Result<TargetServiceAccount> {
        match &self.config.iam_endpoint {
            IamEndpoint::Url(target) => Ok(target.clone()),
            IamEndpoint::Universe(services, chosen_universe) => {
                let universe = self.source.universe_domain(chosen_universe.as_deref())?;
                Ok(TargetServiceAccount::new(&services.iam_credentials_url(&universe), &self.config.account))
            }
        }
    }

    /// The audience of an ID token, where IAM supports the options of the request.
    fn id_token_audience<'a>(&self, request: &'a IdTokenRequest) -> Result<&'a str> {
        let info = self.info();
        info.check_id_token_options(&IdTokenRequest { include_email: None, ..request.clone() })?;
        request.audience.as_deref().ok_or_else(|| info.missing_audience_error())
    }

    fn lifetime(&self, request: &AccessTokenRequest) -> Result<u32> {
        check_lifetime(request.lifetime.or(self.config.lifetime))
    }

    /// An access token by domain-wide delegation: IAM signs the JWT that a key of the account would sign.
    fn access_token_for_subject(
        &self,
        subject: &str,
        scopes: &[String],
        request: &AccessTokenRequest,
        session: &dyn Session,
    ) -> Result<Token> {
        let account = self.config.account.as_str();
        if let Some(universe) = self.load_info()?.universe_domain.as_deref()
            && universe != DEFAULT_UNIVERSE
        {
            let error = Error::unsupported(format!(
                "{account} cannot act for another user in the universe {universe} (--subject)"
            ));
            return Err(error.hint("remove --subject"));
        }
        let lifetime = match request.lifetime {
            None => jwt::MAX_ASSERTION_LIFETIME_SECONDS,
            Some(seconds) if i64::from(seconds) <= jwt::MAX_ASSERTION_LIFETIME_SECONDS => i64::from(seconds),
            Some(seconds) => {
                return Err(
                    Error::usage(format!("--lifetime {seconds}s is too long with --subject")).hint("give at most 1h")
                );
            }
        };
        let now = session.now();
        let iat = now - IAT_BACKDATE_SECONDS;
        let scope = scopes.join(" ");
        let claims = Claims {
            iss: account,
            sub: Some(subject),
            scope: Some(&scope),
            aud: Some(self.config.token_uri.as_str()),
            iat,
            exp: iat + lifetime,
            ..Claims::default()
        };
        let claims = serde_json::to_string(&claims)
            .map_err(|error| Error::unexpected(format!("the claims cannot be written, {error}")))?;
        let source_token = self.source.token(&TokenRequest::AccessToken(request.clone()), session)?;
        let mut http_request =
            iam::sign_jwt_request(&self.iam_target()?, &source_token, &self.config.delegates, &claims)?;
        http_request.client_certificate = self.source.credential().client_certificate(session.world())?;
        let response = session.send(&http_request)?;
        let assertion = iam::read_signed_jwt(&response, http_request.url.authority())
            .map_err(|error| self.explain_error(error, &response))?;
        let response = session.send(&oauth::jwt_bearer_request(&self.config.token_uri, &assertion))?;
        let granted = oauth::read_bearer_response(&response, self.config.token_uri.authority(), now)
            .map_err(|error| oauth::add_assertion_hint(error, &response, session.now(), account))?;
        Ok(Token::new(granted.access_token, &self.own_info.credential_type, granted.expires_at))
    }

    fn explain_error(&self, error: Error, response: &HttpResponse) -> Error {
        // The last one in the chain is the one that lacks the permission.
        iam::explain_refusal(error, response, self.source.credential().info().display_name(), &self.config.account)
    }
}

/// The methods about its login are those of its source; its tokens are IAM's.
#[deny(clippy::missing_trait_methods)]
impl Credential for ImpersonatedServiceAccount {
    fn info(&self) -> &CredentialInfo {
        self.info.get_or_init(|| self.info_with_source(self.source.credential().info()))
    }

    fn load_info(&self) -> Result<CredentialInfo> {
        Ok(self.info_with_source(&self.source.credential().load_info()?))
    }

    fn fetch_info(&self, _: &dyn Session) -> Result<CredentialInfo> {
        self.load_info()
    }

    fn last_rejection(&self, world: &World) -> Option<String> {
        self.source.credential().last_rejection(world)
    }

    fn revoke(&self, session: &dyn Session) -> Result<Revocation> {
        self.source.credential().revoke(session)
    }

    /// IAM's tokens are not bound to the certificate of the source.
    fn client_certificate(&self, _: &World) -> Result<Option<ClientCertificate>> {
        Ok(None)
    }

    /// Also where the source token is not: IAM gives a new one.
    fn is_cacheable(&self) -> bool {
        true
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text(CREDENTIAL_TYPE);
        self.source.credential().hash_cache_key(hasher);
        match &self.config.iam_endpoint {
            IamEndpoint::Url(target) => hasher.add_text(target.base_url()),
            IamEndpoint::Universe(services, chosen_universe) => {
                hasher.add_text(&self.config.account);
                hasher.add_optional(services.iam_credentials.as_ref().map(Url::as_str));
                hasher.add_optional(chosen_universe.as_deref());
            }
        }
        for list in [&self.config.delegates, &self.config.scopes] {
            hasher.add_number(list.len() as u64);
            list.iter().for_each(|item| hasher.add_text(item));
        }
        hasher.add_optional(self.config.lifetime.map(|seconds| seconds.to_string()).as_deref());
    }

    fn prepare(&self, request: &TokenRequest, session: &dyn Session) -> Result<()> {
        match request {
            TokenRequest::AccessToken(access) => {
                self.lifetime(access)?;
                self.source.prepare(request, session)
            }
            TokenRequest::IdToken(id_token) => {
                self.id_token_audience(id_token)?;
                self.source.prepare(request, session)
            }
            TokenRequest::SelfSignedJwt(_) => Ok(()),
        }
    }

    fn self_signed_jwt(&self, _: &SelfSignedRequest, _: &dyn Session) -> Result<Token> {
        Err(self.info().signing_unsupported_error())
    }

    fn id_token(&self, request: &IdTokenRequest, session: &dyn Session) -> Result<Token> {
        let info = self.info();
        let audience = self.id_token_audience(request)?;
        let source_token = self.source.token(&TokenRequest::IdToken(request.clone()), session)?;
        let include_email = request.include_email.unwrap_or(true);
        let mut http_request = iam::generate_id_token_request(
            &self.iam_target()?,
            &source_token,
            &self.config.delegates,
            audience,
            include_email,
        )?;
        http_request.client_certificate = self.source.credential().client_certificate(session.world())?;
        let response = session.send(&http_request)?;
        let token = iam::read_id_token(&response, http_request.url.authority())
            .map_err(|error| self.explain_error(error, &response))?;
        Ok(info.annotate(Token::from_id_token(token, &self.own_info.credential_type)))
    }

    fn access_token(&self, request: &AccessTokenRequest, session: &dyn Session) -> Result<Token> {
        let lifetime = self.lifetime(request)?;
        let scopes = match (request.scopes.is_empty(), self.config.scopes.is_empty()) {
            (false, _) => request.scopes.clone(),
            (true, false) if !request.for_iam => self.config.scopes.clone(),
            (true, _) => request.scopes_or_default(),
        };
        let mut token = match &request.subject {
            Some(subject) => self.access_token_for_subject(subject, &scopes, request, session)?,
            None => {
                let (config, token_request) = (&self.config, TokenRequest::AccessToken(request.clone()));
                let source_token = self.source.token(&token_request, session)?;
                let target = self.iam_target()?;
                let mut http_request =
                    iam::generate_access_token_request(&target, &source_token, &config.delegates, &scopes, lifetime)?;
                http_request.client_certificate = self.source.credential().client_certificate(session.world())?;
                let response = session.send(&http_request)?;
                let (token, end) = iam::read_access_token(&response, http_request.url.authority())
                    .map_err(|error| self.explain_error(error, &response))?;
                Token::new(token, &self.own_info.credential_type, end)
            }
        };
        token.scopes = Some(scopes);
        Ok(self.info().annotate(token))
    }
}

/// The lifetime of a service account's token, in seconds.
///
/// # Errors
/// `Usage`, when IAM gives none of that lifetime.
pub fn check_lifetime(lifetime: Option<u32>) -> Result<u32> {
    match lifetime.unwrap_or(DEFAULT_LIFETIME_SECONDS) {
        seconds @ MIN_LIFETIME_SECONDS..=MAX_LIFETIME_SECONDS => Ok(seconds),
        seconds => {
            Err(Error::usage(format!("--lifetime {seconds}s is out of range for an impersonated service account"))
                .hint("give 10m to 12h; above 1h a policy of the organisation must allow it"))
        }
    }
}

/// The project in the e-mail address of a service account.
fn project_of_account(account: &str) -> Option<String> {
    let domain = account.split_once('@')?.1;
    domain.strip_suffix(".iam.gserviceaccount.com").map(str::to_owned)
}

/// Reads the fields of an `impersonated_service_account` file.
///
/// # Errors
/// `Malformed` or `Unsafe`, naming the field.
pub fn parse(mut fields: JsonFields, parse_options: &ParseOptions) -> Result<Box<dyn Credential>> {
    let malformed = |what: String| parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT);
    let universe = fields.non_empty_text("universe_domain").map_err(malformed)?;
    let field = "service_account_impersonation_url";
    let url = fields.required(field).map_err(malformed)?;
    let target = parse_impersonation_url(&url, field, parse_options, universe.as_deref())?;
    let delegates = fields.string_list("delegates").map_err(malformed)?.unwrap_or_default();
    for delegate in &delegates {
        check_delegate_name(delegate).map_err(|what| malformed(format!("an item of delegates {what}")))?;
    }
    let scopes = parse_scopes(&mut fields).map_err(malformed)?;
    let quota_project = parse_options.read_quota_project(&mut fields)?;
    let source = parse_source_credential(&mut fields, parse_options)?;
    let universe_domain = match universe {
        Some(_) => Some(parse_options.resolve_universe_domain(universe)?),
        None => None,
    };
    let own_info = CredentialInfo {
        credential_type: CREDENTIAL_TYPE.to_owned(),
        location: parse_options.location.clone(),
        quota_project,
        universe_domain,
        ..CredentialInfo::default()
    };
    let token_uri = parse_options.token_endpoint(None)?;
    let account = target.account.clone();
    let iam_endpoint = IamEndpoint::Url(target);
    let config = ImpersonationConfig { account, iam_endpoint, delegates, scopes, lifetime: None, token_uri };
    Ok(Box::new(ImpersonatedServiceAccount::from_file(source, config, own_info)))
}

/// The service account in an impersonation URL of a credential.
///
/// # Errors
/// `Malformed` or `Unsafe`, naming the field.
pub(crate) fn parse_impersonation_url(
    url: &str,
    field: &str,
    parse_options: &ParseOptions,
    claimed_universe: Option<&str>,
) -> Result<TargetServiceAccount> {
    let url = parse_options.checked_endpoint(EndpointKind::IamCredentials, field, url, claimed_universe)?;
    TargetServiceAccount::from_url(&url).ok_or_else(|| {
        parse_options
            .malformed(format!("{field} does not end in serviceAccounts/EMAIL:generateAccessToken"))
            .hint(BROKEN_CREDENTIAL_HINT)
    })
}

/// The scopes of a file, expanded and sorted like those of a flag.
pub(crate) fn parse_scopes(fields: &mut JsonFields) -> std::result::Result<Vec<String>, String> {
    let written = fields.string_list("scopes")?.unwrap_or_default();
    let scopes = crate::text::scopes::expand_scopes(written.iter().map(String::as_str));
    match scopes.iter().all(|scope| scope.bytes().all(|byte| (0x21..=0x7e).contains(&byte))) {
        true => Ok(scopes),
        false => Err("scopes holds a character that no scope can have".to_owned()),
    }
}

fn check_delegate_name(delegate: &str) -> std::result::Result<(), String> {
    let account = delegate.strip_prefix("projects/-/serviceAccounts/");
    match account.is_some_and(is_service_account_name) {
        true => Ok(()),
        false => Err(format!("is {}, not projects/-/serviceAccounts/EMAIL", printable::redacted(delegate))),
    }
}

/// Whether this can name a service account: an e-mail address, or the account's number.
pub fn is_service_account_name(name: &str) -> bool {
    let is_name_character = |letter: char| letter.is_ascii_alphanumeric() || "@.-_:".contains(letter);
    let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name.split_once('@');
    let is_email =
        parts.is_some_and(|(user, domain)| !user.is_empty() && domain.contains('.') && !domain.contains('@'));
    name.len() <= 256 && name.chars().all(is_name_character) && (is_number || is_email)
}

/// The credential in `source_credentials`: any kind but this one, for which there are delegates.
fn parse_source_credential(fields: &mut JsonFields, parse_options: &ParseOptions) -> Result<Rc<dyn Credential>> {
    let malformed = |what: &str| parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT);
    let map = match fields.value("source_credentials") {
        Some(serde_json::Value::Object(map)) => map,
        Some(_) => return Err(malformed("source_credentials is not an object")),
        None => return Err(malformed("source_credentials is missing")),
    };
    if map.get("type").is_some_and(|kind| kind == CREDENTIAL_TYPE) {
        return Err(parse_options
            .malformed("source_credentials is itself an impersonated_service_account")
            .hint("name the accounts between source and target in delegates"));
    }
    if map.get("type").is_some_and(|kind| kind == gdch_service_account::CREDENTIAL_TYPE) {
        let what = "source_credentials is of Google Distributed Cloud, whose tokens IAM does not accept";
        return Err(Error::unsupported(format!("{}: {what}", parse_options.location))
            .hint("gauth token --audience https://SERVICE with the file of source_credentials alone"));
    }
    let source_options = ParseOptions {
        location: format!("{}: source_credentials", parse_options.location),
        quota_project: None,
        account: None,
        origin: crate::accounts::Origin::ReadOnly,
        ..parse_options.clone()
    };
    credentials::parse_object(map, &source_options).map(Rc::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_addresses_or_numbers() {
        for good in ["ci@p.iam.gserviceaccount.com", "100000000000000000001", "a.b@x.example.com"] {
            assert!(is_service_account_name(good), "{good}");
        }
        for bad in ["", "ci", "@p.example", "a@b", "a b@c.d", "a@b.c/d", "a@b@c.d", "ä@b.c", "a@b.c?x"] {
            assert!(!is_service_account_name(bad), "{bad}");
        }
    }

    #[test]
    fn the_project_is_in_the_name() {
        assert_eq!(project_of_account("ci@p.iam.gserviceaccount.com").as_deref(), Some("p"));
        assert_eq!(project_of_account("1-compute@developer.gserviceaccount.com"), None);
    }
}
