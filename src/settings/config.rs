//! `config.toml`: read, and the profile of this run put over its defaults.

use serde::Deserialize;

use crate::accounts::State;
use crate::accounts::vault::Programs;
use crate::error::{Error, Result};
use crate::printable;
use crate::private_file::{self, Fault};
use crate::settings::{Given, text};
use crate::world::World;
use crate::world::env;

/// Largest configuration file, in bytes.
const LARGEST_CONFIG: usize = 1024 * 1024;

/// `config.toml`: the defaults at its top, and profiles that go before them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    profile: Option<String>,
    /// For all profiles: a login is read with the programs that it was put with.
    store_command: Option<Programs>,
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
    pub(super) client_id_file: Option<String>,
    pub(super) store: Option<String>,
}

impl Profile {
    /// This profile, with another's values where it has none.
    fn over(self, mut other: Profile) -> Profile {
        // Whoever names a credential means that one, and no other's part of it.
        if self.names_one() {
            other.credentials = None;
            other.account = None;
            other.workload_identity_provider = None;
        }
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
            client_id_file: self.client_id_file.or(other.client_id_file),
            store: self.store.or(other.store),
        }
    }

    fn names_one(&self) -> bool {
        self.credentials.is_some()
            || self.account.is_some()
            || self.workload_identity_provider.is_some()
    }
}

/// The profile of this run and whether it was named for it.
pub(super) struct Saved {
    pub(super) profile: Profile,
    pub(super) name: Option<String>,
    pub(super) named: bool,
    pub(super) place: String,
    pub(super) store_command: Option<Programs>,
}

/// Names of profiles, for completion: those of the file, and those that `gauth login` and `gauth accounts use` made.
/// What is broken has none.
pub fn profile_names(world: &World) -> Vec<String> {
    let config = read_config(world).map(|(config, _)| config).unwrap_or_default();
    let mut names: Vec<String> = config.profiles.into_keys().collect();
    names.extend(State::read(world).unwrap_or_default().profiles.into_keys());
    names.sort();
    names.dedup();
    names
}

/// The profile in use, over the defaults of the file.
///
/// # Errors
/// Malformed for a broken file, usage for a profile that is not there.
pub(super) fn saved(given: &Given, world: &World) -> Result<Saved> {
    let flag = given.general.profile.as_deref().map(|name| text("--profile", name)).transpose()?;
    let named = match flag {
        Some(name) => Some(name),
        None => world.env.text(&env::GAUTH_PROFILE)?,
    };
    let (mut config, place) = read_config(world)?;
    let name = named.clone().or(config.profile.take());
    let profile = match &name {
        None => Profile::default(),
        Some(name) => profile(name, &mut config, &place, given.new_profile, world)?,
    };
    if let Some(Err(what)) = config.store_command.as_ref().map(Programs::check) {
        return Err(Error::malformed(&place, what).hint("gauth help files shows an example"));
    }
    let store_command = config.store_command.take();
    let profile = profile.over(config.top);
    Ok(Saved { profile, name, named: named.is_some(), place, store_command })
}

/// A profile of the file, with the account that was chosen for it where the file names none; or one that is nothing
/// but that account.
fn profile(
    name: &str,
    config: &mut Config,
    place: &str,
    may_be_new: bool,
    world: &World,
) -> Result<Profile> {
    let written = config.profiles.remove(name);
    if written.as_ref().is_some_and(Profile::names_one) {
        return Ok(written.unwrap_or_default());
    }
    let mut state = State::read(world)?;
    let account = state.profiles.remove(name);
    if written.is_none() && account.is_none() && !may_be_new {
        let mut known: Vec<String> =
            config.profiles.keys().map(|name| printable::text(name)).collect();
        known.extend(state.profiles.keys().map(|name| printable::text(name)));
        known.sort();
        known.dedup();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let name = printable::text(name);
        return Err(Error::usage(format!("there is no profile {name} in {place}")).hint(format!(
            "add [profiles.{name}] there, gauth login --profile {name}, or name another: {known}"
        )));
    }
    Ok(Profile { account, ..written.unwrap_or_default() })
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
