//! `config.toml`: read, and the profile of this run put over its defaults.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::flags::General;
use crate::printable;
use crate::private_file::{self, Fault};
use crate::settings::text;
use crate::world::World;
use crate::world::env;

/// Largest configuration file, in bytes.
const LARGEST_CONFIG: usize = 1024 * 1024;

/// `config.toml`: the defaults at its top, and profiles that go before them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    profile: Option<String>,
    #[serde(default)]
    profiles: std::collections::BTreeMap<String, Profile>,
    #[serde(flatten)]
    top: Profile,
}

/// What a profile may say; the names of the flags with `_`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    pub(super) credentials: Option<String>,
    pub(super) account: Option<String>,
    pub(super) source: Option<String>,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) workload_identity_provider: Option<String>,
    pub(super) impersonate_service_account: Option<String>,
    pub(super) quota_project: Option<String>,
    pub(super) universe_domain: Option<String>,
    pub(super) min_ttl: Option<String>,
    pub(super) no_cache: Option<bool>,
    pub(super) timeout: Option<String>,
    pub(super) ca_file: Option<String>,
    pub(super) allowed_hosts: Option<Vec<String>>,
    pub(super) allowed_token_hosts: Option<Vec<String>>,
}

impl Profile {
    /// This profile, with another's values where it has none.
    fn over(self, other: Profile) -> Profile {
        Profile {
            credentials: self.credentials.or(other.credentials),
            account: self.account.or(other.account),
            source: self.source.or(other.source),
            scopes: self.scopes.or(other.scopes),
            workload_identity_provider: self
                .workload_identity_provider
                .or(other.workload_identity_provider),
            impersonate_service_account: self
                .impersonate_service_account
                .or(other.impersonate_service_account),
            quota_project: self.quota_project.or(other.quota_project),
            universe_domain: self.universe_domain.or(other.universe_domain),
            min_ttl: self.min_ttl.or(other.min_ttl),
            no_cache: self.no_cache.or(other.no_cache),
            timeout: self.timeout.or(other.timeout),
            ca_file: self.ca_file.or(other.ca_file),
            allowed_hosts: self.allowed_hosts.or(other.allowed_hosts),
            allowed_token_hosts: self.allowed_token_hosts.or(other.allowed_token_hosts),
        }
    }
}

/// The profile of this run and whether it was named for it.
pub(super) struct Saved {
    pub(super) profile: Profile,
    pub(super) named: bool,
    pub(super) place: String,
}

/// Names of profiles, for completion; a broken file has none.
pub fn profile_names(world: &World) -> Vec<String> {
    read_config(world).map(|(config, _)| config.profiles.into_keys().collect()).unwrap_or_default()
}

/// The profile in use, over the defaults of the file.
///
/// # Errors
/// Malformed for a broken file, usage for a profile that is not there.
pub(super) fn saved(general: &General, world: &World) -> Result<Saved> {
    let flag = general.profile.as_deref().map(|name| text("--profile", name)).transpose()?;
    let named = match flag {
        Some(name) => Some(name),
        None => world.env.text(&env::GAUTH_PROFILE)?,
    };
    let (mut config, place) = read_config(world)?;
    let name = named.clone().or(config.profile.take());
    let profile = match &name {
        None => Profile::default(),
        Some(name) => config.profiles.remove(name).ok_or_else(|| {
            let known: Vec<String> =
                config.profiles.keys().map(|name| printable::text(name)).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let name = printable::text(name);
            Error::usage(format!("there is no profile {name} in {place}"))
                .hint(format!("add [profiles.{name}] there, or name another: {known}"))
        })?,
    };
    Ok(Saved { profile: profile.over(config.top), named: named.is_some(), place })
}

fn read_config(world: &World) -> Result<(Config, String)> {
    let Some(path) = world.folders.gauth.as_ref().map(|folder| folder.join("config.toml")) else {
        return Ok((Config::default(), "config.toml".to_owned()));
    };
    let bytes = match private_file::read_named(&path, LARGEST_CONFIG) {
        Ok(bytes) => bytes,
        Err(Fault::Missing) => return Ok((Config::default(), printable::path(&path))),
        // There are no settings in a home that is a file, or that this user may not enter.
        Err(Fault::Io(_)) if private_file::is_out_of_reach(&path) => {
            return Ok((Config::default(), printable::path(&path)));
        }
        Err(fault) => return Err(fault.at(&path, &printable::path(&path))),
    };
    let place = printable::path(&path);
    let broken = |what: String| {
        Error::malformed(&place, what)
            .hint(format!("mend {place}; gauth help files shows an example"))
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| broken("is not UTF-8 text".to_owned()))?;
    match toml::from_str(text) {
        Ok(config) => Ok((config, place)),
        Err(error) => {
            let line = error.span().map(|span| text[..span.start].lines().count().max(1));
            let what = printable::text(error.message());
            Err(broken(match line {
                Some(line) => format!("line {line}: {what}"),
                None => what,
            }))
        }
    }
}
