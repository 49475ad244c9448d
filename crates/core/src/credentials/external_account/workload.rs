//! Federation without a credential file: the identity provider of a flag, and the token a CI system gives its job.

use std::path::PathBuf;

use crate::credentials::ParseOptions;
use crate::credentials::external_account::format::SubjectTokenFormat;
use crate::credentials::external_account::given_token::{HashedFileSource, VariableSource};
use crate::credentials::external_account::url::UrlSource;
use crate::credentials::external_account::{
    CREDENTIAL_TYPE, ExternalAccount, ExternalAccountConfig, SubjectTokenRequest, SubjectTokenSource, ci,
};
use crate::error::Result;
use crate::net::endpoint_policy::{DEFAULT_UNIVERSE, EndpointKind};
use crate::net::message::HttpMethod;
use crate::net::url::Url;
use crate::oauth::token_exchange;
use crate::text::secret::Secret;
use crate::tokens::credential::{CredentialInfo, Session};
use crate::world::World;

/// The identity provider and the source of the subject token, from flags or variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadIdentity {
    /// The provider, as the audience of the exchange.
    pub audience: String,
    /// The source of the subject token.
    pub subject_token: SubjectTokenLocation,
}

/// The source of a subject token that flags and variables can name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SubjectTokenLocation {
    /// The CI system this process runs in.
    #[default]
    CiSystem,
    /// The file of `--subject-token-file`.
    File(PathBuf),
    /// The variable of `--subject-token-env`.
    Variable(String),
    /// The URL of `--subject-token-url`.
    Url(String),
}

/// The federated identity of this job. `impersonated_email`: the service account that it impersonates.
///
/// # Errors
/// When the subject token is not found.
pub fn external_account(
    workload: &WorkloadIdentity,
    impersonated_email: Option<String>,
    parse_options: &ParseOptions,
    world: &World,
) -> Result<ExternalAccount> {
    let subject_token_source = subject_token_source(&workload.subject_token, &workload.audience, parse_options, world)?;
    let universe = parse_options.universe_domain.clone().unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned());
    let token_url = parse_options.endpoint_overrides.token_exchange_url(&universe)?;
    let info = CredentialInfo {
        credential_type: CREDENTIAL_TYPE.to_owned(),
        location: subject_token_source.location(),
        universe_domain: Some(universe),
        ..CredentialInfo::default()
    };
    let request = SubjectTokenRequest {
        location: parse_options.location.clone(),
        audience: workload.audience.clone(),
        subject_token_type: token_exchange::expand_token_type("jwt").to_owned(),
        impersonated_email,
    };
    let config = ExternalAccountConfig {
        subject_token_request: request,
        subject_token_source,
        token_url,
        token_info_url: parse_options.endpoint_overrides.introspection_endpoint.clone(),
        oauth_client: None,
        workforce_pool_user_project: None,
        scopes: Vec::new(),
        lifetime: None,
        aws_access_key_id: None,
    };
    Ok(ExternalAccount::new(info, config))
}

/// The source that `token_origin` names.
fn subject_token_source(
    token_origin: &SubjectTokenLocation,
    audience: &str,
    parse_options: &ParseOptions,
    world: &World,
) -> Result<Box<dyn SubjectTokenSource>> {
    match token_origin {
        SubjectTokenLocation::CiSystem => ci::find_token_source(audience, parse_options, world),
        SubjectTokenLocation::File(path) => {
            Ok(Box::new(HashedFileSource::open(path.clone(), &parse_options.location)?))
        }
        SubjectTokenLocation::Variable(name) => Ok(Box::new(VariableSource::from_environment(name, world)?)),
        SubjectTokenLocation::Url(url) => {
            let url = parse_options.checked_endpoint(EndpointKind::SubjectToken, "--subject-token-url", url, None)?;
            Ok(Box::new(url_source(url)))
        }
    }
}

/// A source of a URL that needs no headers.
fn url_source(url: Url) -> UrlSource {
    UrlSource {
        url,
        method: HttpMethod::Get,
        headers: Vec::new(),
        format: SubjectTokenFormat::Text,
        failure_hint: "check --subject-token-url: its response must be the token and nothing else".to_owned(),
    }
}

/// Fetches a subject token from a URL the user named, for `gauth exchange`.
///
/// # Errors
/// When there is no answer, or no token in it.
pub fn fetch_subject_token(url: &Url, session: &dyn Session) -> Result<Secret> {
    let request = SubjectTokenRequest {
        location: "--subject-token-url".to_owned(),
        audience: String::new(),
        subject_token_type: String::new(),
        impersonated_email: None,
    };
    url_source(url.clone()).subject_token(&request, session)
}
