//! What goes around the credential that was found: the service account it acts as, and what its tokens are narrowed
//! to.

use std::path::Path;
use std::rc::Rc;

use crate::boundary::Boundary;
use crate::credential::Credential;
use crate::credential::downscoped::Downscoped;
use crate::credential::impersonated::{Impersonated, Role, Server};
use crate::discover::Found;
use crate::error::{Error, Result};
use crate::google::iam;
use crate::google::token;
use crate::settings::{Narrow, Settings};
use crate::url::Url;
use crate::{printable, private_file};

/// Largest file of an access boundary, in bytes.
const LARGEST: usize = 64 * 1024;

/// What the flags put around a credential. It is read before a credential is looked for: a mistake in it is no
/// reason to look.
pub(super) struct Dress<'a> {
    settings: &'a Settings,
    boundary: Option<Boundary>,
}

impl<'a> Dress<'a> {
    /// What these settings ask for.
    ///
    /// # Errors
    /// When what they name cannot be used.
    pub(super) fn of(settings: &'a Settings) -> Result<Dress<'a>> {
        let boundary = settings.narrow.as_ref().map(boundary).transpose()?;
        Ok(Dress { settings, boundary })
    }

    /// The credential as the settings want it.
    ///
    /// # Errors
    /// When the names of service accounts do not make a URL.
    pub(super) fn around(self, found: Found) -> Result<Found> {
        let Found { mut credential, source } = found;
        let settings = self.settings;
        if let Some(chain) = &settings.impersonate {
            credential = acting_as(credential, &chain.value, settings)?;
        }
        if let Some(boundary) = self.boundary {
            let (services, universe) =
                (settings.services.clone(), settings.universe_domain.clone());
            credential = Rc::new(Downscoped::new(credential, boundary, services, universe));
        }
        Ok(Found { credential, source })
    }
}

/// A credential acting as the last of these service accounts, by way of the others.
///
/// # Errors
/// When their names do not make a URL.
pub fn acting_as(
    credential: Rc<dyn Credential>,
    chain: &[String],
    settings: &Settings,
) -> Result<Rc<dyn Credential>> {
    let Some((target, delegates)) = chain.split_last() else { return Ok(credential) };
    let token_uri = match &settings.token_host {
        Some(chosen) => chosen.clone(),
        None => Url::parse(token::ENDPOINT)
            .map_err(|what| Error::unexpected(format!("{} {what}", token::ENDPOINT)))?,
    };
    let server = Server::Universe(settings.services.clone(), settings.universe_domain.clone());
    let role = Role {
        account: target.clone(),
        server,
        delegates: delegates.iter().map(|account| iam::delegate(account)).collect(),
        scopes: Vec::new(),
        lifetime: None,
        token_uri,
    };
    Ok(Rc::new(Impersonated::new(credential, role)))
}

fn boundary(narrow: &Narrow) -> Result<Boundary> {
    match narrow {
        Narrow::Rules(rules) => Boundary::of_flags(rules),
        Narrow::File(path) => {
            let place = format!("{} (--access-boundary)", printable::path(path));
            let bytes = read(path, &place)?;
            Boundary::parse(&bytes, &place)
        }
    }
}

fn read(path: &Path, place: &str) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    private_file::read_named(path, LARGEST).map_err(|fault| {
        fault.at(path, place).hint("a JSON file with accessBoundary.accessBoundaryRules")
    })
}
