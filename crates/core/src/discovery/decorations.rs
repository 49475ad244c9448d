//! What wraps the credential that was found: impersonation of a service account, and a Credential Access Boundary.

use std::path::Path;
use std::rc::Rc;

use crate::config::{Config, Downscoping};
use crate::credentials::access_boundary::AccessBoundary;
use crate::credentials::downscoped::DownscopedCredential;
use crate::credentials::impersonated::{IamEndpoint, ImpersonatedServiceAccount, ImpersonationConfig};
use crate::error::{Error, Result};
use crate::google::iam;
use crate::net::url::Url;
use crate::oauth::token;
use crate::text::printable;
use crate::tokens::credential::Credential;
use crate::world::private_file;

/// Largest file of a Credential Access Boundary, in bytes.
const MAX_BOUNDARY_BYTES: usize = 64 * 1024;

/// The wrappers that the configuration asks for. They are read before the search for a credential, so that a mistake in
/// them is reported first.
pub(super) struct Decorations<'a> {
    config: &'a Config,
    boundary: Option<AccessBoundary>,
}

impl<'a> Decorations<'a> {
    /// Reads what the configuration names.
    ///
    /// # Errors
    /// When the access boundary cannot be read or is not valid.
    pub(super) fn from_config(config: &'a Config) -> Result<Decorations<'a>> {
        let boundary = config.downscoping.as_ref().map(load_boundary).transpose()?;
        Ok(Decorations { config, boundary })
    }

    /// Wraps a credential.
    ///
    /// # Errors
    /// As [`apply_impersonation`].
    pub(super) fn apply(self, mut credential: Rc<dyn Credential>) -> Result<Rc<dyn Credential>> {
        let config = self.config;
        if let Some(chain) = &config.impersonation_chain {
            credential = apply_impersonation(credential, &chain.value, config)?;
        }
        if let Some(boundary) = self.boundary {
            let (services, universe) = (config.services.clone(), config.universe_domain.clone());
            credential = Rc::new(DownscopedCredential::new(credential, boundary, services, universe));
        }
        Ok(credential)
    }
}

/// A credential with the impersonation and the access boundary of the configuration.
///
/// # Errors
/// When the access boundary cannot be read or is not valid, and as [`apply_impersonation`].
pub fn decorate(credential: Rc<dyn Credential>, config: &Config) -> Result<Rc<dyn Credential>> {
    Decorations::from_config(config)?.apply(credential)
}

/// A credential that impersonates the last of these service accounts, with the others as delegates.
///
/// # Errors
/// When the token endpoint is not a URL.
pub fn apply_impersonation(
    credential: Rc<dyn Credential>,
    chain: &[String],
    config: &Config,
) -> Result<Rc<dyn Credential>> {
    let Some((target, delegates)) = chain.split_last() else { return Ok(credential) };
    let token_uri = match &config.token_host {
        Some(chosen) => chosen.clone(),
        None => Url::parse(token::ENDPOINT).map_err(|what| Error::unexpected(format!("{} {what}", token::ENDPOINT)))?,
    };
    let endpoint = IamEndpoint::Universe(config.services.clone(), config.universe_domain.clone());
    let impersonation = ImpersonationConfig {
        account: target.clone(),
        iam_endpoint: endpoint,
        delegates: delegates.iter().map(|account| iam::delegate_resource_name(account)).collect(),
        scopes: Vec::new(),
        lifetime: None,
        token_uri,
    };
    Ok(Rc::new(ImpersonatedServiceAccount::new(credential, impersonation)))
}

fn load_boundary(downscoping: &Downscoping) -> Result<AccessBoundary> {
    match downscoping {
        Downscoping::Rules(rules) => AccessBoundary::from_flags(rules),
        Downscoping::File(path) => {
            let location = format!("{} (--access-boundary)", printable::path(path));
            let bytes = read_boundary_file(path, &location)?;
            AccessBoundary::parse(&bytes, &location)
        }
    }
}

fn read_boundary_file(path: &Path, location: &str) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    private_file::read_user_file(path, MAX_BOUNDARY_BYTES)
        .map_err(|error| error.to_error(path, location).hint("a JSON file with accessBoundary.accessBoundaryRules"))
}
