//! Federation without a credential file: a provider named by a flag, and the token a CI system has for its job.

use std::path::PathBuf;

use crate::config::{SubjectTokenLocation, WorkloadIdentity};
use crate::credentials::ParseOptions;
use crate::credentials::external_account::file::FileSource;
use crate::credentials::external_account::format::SubjectTokenFormat;
use crate::credentials::external_account::url::UrlSource;
use crate::credentials::external_account::{
    CREDENTIAL_TYPE, ExternalAccount, ExternalAccountConfig, SubjectTokenRequest,
    SubjectTokenSource, ci,
};
use crate::error::{Error, Result};
use crate::net::endpoint_policy::{DEFAULT_UNIVERSE, EndpointKind};
use crate::net::message::HttpMethod;
use crate::net::url::Url;
use crate::oauth::token_exchange;
use crate::text::secret::Secret;
use crate::tokens::broker::Broker;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::CredentialInfo;
use crate::world::World;

/// The federated identity of this job. `impersonated`: the service account that will be acted as.
///
/// # Errors
/// When the token is nowhere to be found, or is named wrongly.
pub fn external_account(
    workload: &WorkloadIdentity,
    impersonated_email: Option<String>,
    parse_options: &ParseOptions,
    world: &World,
) -> Result<ExternalAccount> {
    let subject_token_source =
        subject_token_source(&workload.subject_token, &workload.audience, parse_options, world)?;
    let universe =
        parse_options.universe_domain.clone().unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned());
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

/// Where the token for a provider comes from.
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
        SubjectTokenLocation::Variable(name) => {
            Ok(Box::new(VariableSource::from_environment(name, world)?))
        }
        SubjectTokenLocation::Url(url) => {
            let url = parse_options.checked_endpoint(
                EndpointKind::SubjectToken,
                "--subject-token-url",
                url,
                None,
            )?;
            Ok(Box::new(url_source(url)))
        }
    }
}

/// A URL that gives the token to whoever asks.
fn url_source(url: Url) -> UrlSource {
    UrlSource {
        url,
        method: HttpMethod::Get,
        headers: Vec::new(),
        format: SubjectTokenFormat::Text,
        failure_hint: "check --subject-token-url: it has to answer with the token alone".to_owned(),
    }
}

/// The token that a URL of the user's choice gives, for an exchange.
///
/// # Errors
/// When it gives none.
pub fn fetch_subject_token(url: &Url, broker: &Broker<'_>) -> Result<Secret> {
    let request = SubjectTokenRequest {
        location: "--subject-token-url".to_owned(),
        audience: String::new(),
        subject_token_type: String::new(),
        impersonated_email: None,
    };
    url_source(url.clone()).subject_token(&request, broker)
}

/// A token in a file that the user named. Its content decides whose tokens are found in the cache: the next job
/// on the same machine may have another one at the same path.
pub(super) struct HashedFileSource {
    file: FileSource,
    token: Secret,
}

impl HashedFileSource {
    /// The token in this file; `place` is what named it.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn open(path: PathBuf, location: &str) -> Result<HashedFileSource> {
        let file = FileSource::plain_text(path);
        let token = file.read_token(location)?;
        Ok(HashedFileSource { file, token })
    }
}

impl SubjectTokenSource for HashedFileSource {
    fn metrics_name(&self) -> &'static str {
        "file"
    }

    fn location(&self) -> String {
        self.file.location()
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        self.file.hash_cache_key(hasher);
        hasher.add_secret(&self.token);
    }

    fn subject_token(&self, request: &SubjectTokenRequest, broker: &Broker<'_>) -> Result<Secret> {
        self.file.subject_token(request, broker)
    }
}

/// A token in a variable. It is the credential, and so decides whose tokens are found in the cache.
pub(super) struct VariableSource {
    name: String,
    token: Secret,
}

impl VariableSource {
    /// This token, from the variable of this name.
    pub(super) fn new(name: &str, token: Secret) -> VariableSource {
        VariableSource { name: name.to_owned(), token }
    }

    /// The token in the variable of this name.
    ///
    /// # Errors
    /// Usage, when there is none or it is empty.
    pub(super) fn from_environment(name: &str, world: &World) -> Result<VariableSource> {
        match world.env.secret(name)? {
            Some(token) => Ok(VariableSource::new(name, token)),
            None => {
                let name = crate::text::printable::text(name);
                Err(Error::usage(format!("the variable {name} holds no token"))
                    .hint(format!("export {name}, or name another with --subject-token-env")))
            }
        }
    }
}

impl SubjectTokenSource for VariableSource {
    fn metrics_name(&self) -> &'static str {
        "programmatic"
    }

    fn location(&self) -> String {
        crate::text::printable::text(&self.name)
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("variable");
        hasher.add_secret(&self.token);
    }

    fn subject_token(&self, _: &SubjectTokenRequest, _: &Broker<'_>) -> Result<Secret> {
        Ok(self.token.clone())
    }
}
