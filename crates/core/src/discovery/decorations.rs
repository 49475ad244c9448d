//! What goes around the credential that was found: the service account it acts as, and what its tokens are narrowed
//! to.

use std::path::Path;
use std::rc::Rc;

use crate::config::{Config, Downscoping};
use crate::credentials::access_boundary::AccessBoundary;
use crate::credentials::downscoped::DownscopedCredential;
use crate::credentials::impersonated::{
    IamEndpoint, ImpersonatedServiceAccount, ImpersonationConfig,
};
use crate::discovery::FoundCredential;
use crate::error::{Error, Result};
use crate::google::iam;
use crate::net::url::Url;
use crate::oauth::token;
use crate::text::printable;
use crate::tokens::credential::Credential;
use crate::world::private_file;

/// Largest file of an access boundary, in bytes.
const MAX_BOUNDARY_BYTES: usize = 64 * 1024;

/// What the flags put around a credential. It is read before a credential is looked for: a mistake in it is no
/// reason to look.
pub(super) struct Decorations<'a> {
    config: &'a Config,
    boundary: Option<AccessBoundary>,
}

impl<'a> Decorations<'a> {
    /// What these settings ask for.
    ///
    /// # Errors
    /// When what they name cannot be used.
    pub(super) fn from_config(config: &'a Config) -> Result<Decorations<'a>> {
        let boundary = config.downscoping.as_ref().map(load_boundary).transpose()?;
        Ok(Decorations { config, boundary })
    }

    /// The credential as the settings want it.
    ///
    /// # Errors
    /// When the names of service accounts do not make a URL.
    pub(super) fn apply(self, found: FoundCredential) -> Result<FoundCredential> {
        let FoundCredential { mut credential, source } = found;
        let config = self.config;
        if let Some(chain) = &config.impersonation_chain {
            credential = apply_impersonation(credential, &chain.value, config)?;
        }
        if let Some(boundary) = self.boundary {
            let (services, universe) = (config.services.clone(), config.universe_domain.clone());
            credential =
                Rc::new(DownscopedCredential::new(credential, boundary, services, universe));
        }
        Ok(FoundCredential { credential, source })
    }
}

/// A credential acting as the last of these service accounts, by way of the others.
///
/// # Errors
/// When their names do not make a URL.
pub fn apply_impersonation(
    credential: Rc<dyn Credential>,
    chain: &[String],
    config: &Config,
) -> Result<Rc<dyn Credential>> {
    let Some((target, delegates)) = chain.split_last() else { return Ok(credential) };
    let token_uri = match &config.token_host {
        Some(chosen) => chosen.clone(),
        None => Url::parse(token::ENDPOINT)
            .map_err(|what| Error::unexpected(format!("{} {what}", token::ENDPOINT)))?,
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
    private_file::read_user_file(path, MAX_BOUNDARY_BYTES).map_err(|error| {
        error.to_error(path, location).hint("a JSON file with accessBoundary.accessBoundaryRules")
    })
}
