//! Reads `config.toml`, and merges the profile of this run over its defaults.

use std::path::PathBuf;

use serde::Deserialize;

use crate::accounts::AccountSelection;
use crate::accounts::secrets::StoreCommands;
use crate::config::{Overrides, flag_text};
use crate::error::{Error, Result};
use crate::text::printable;
use crate::world::private_file::PrivateFileError;
use crate::world::{World, env, private_file};

/// Largest configuration file, in bytes.
const MAX_CONFIG_BYTES: usize = 1024 * 1024;

/// `config.toml`: defaults, and profiles that take precedence over them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    profile: Option<String>,
    /// Holds for all profiles: a login is read with the programs that stored it.
    store_command: Option<StoreCommands>,
    #[serde(default)]
    profiles: std::collections::BTreeMap<String, Profile>,
    #[serde(flatten)]
    defaults: Profile,
}

/// The keys of a profile: the names of flags, with `_` for `-`.
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
    /// This profile, with the defaults where it has no value.
    fn merged_over(self, mut defaults: Profile) -> Profile {
        // A profile that names a credential means exactly that one, without parts of another.
        if self.names_credential() {
            defaults.credentials = None;
            defaults.account = None;
            defaults.workload_identity_provider = None;
        }
        Profile {
            credentials: self.credentials.or(defaults.credentials),
            account: self.account.or(defaults.account),
            source: self.source.or(defaults.source),
            scopes: self.scopes.or(defaults.scopes),
            workload_identity_provider: self.workload_identity_provider.or(defaults.workload_identity_provider),
            impersonate_service_account: self.impersonate_service_account.or(defaults.impersonate_service_account),
            quota_project: self.quota_project.or(defaults.quota_project),
            universe_domain: self.universe_domain.or(defaults.universe_domain),
            min_ttl: self.min_ttl.or(defaults.min_ttl),
            no_cache: self.no_cache.or(defaults.no_cache),
            timeout: self.timeout.or(defaults.timeout),
            ca_file: self.ca_file.or(defaults.ca_file),
            allowed_hosts: self.allowed_hosts.or(defaults.allowed_hosts),
            allowed_token_hosts: self.allowed_token_hosts.or(defaults.allowed_token_hosts),
            client_id_file: self.client_id_file.or(defaults.client_id_file),
            store: self.store.or(defaults.store),
        }
    }

    fn names_credential(&self) -> bool {
        self.credentials.is_some() || self.account.is_some() || self.workload_identity_provider.is_some()
    }
}

/// The profile of this run, merged over the defaults.
pub(super) struct ActiveProfile {
    pub(super) profile: Profile,
    pub(super) name: Option<String>,
    /// Whether a flag or variable names the profile.
    pub(super) explicit: bool,
    /// The path of `config.toml`, for errors.
    pub(super) location: String,
    pub(super) store_command: Option<StoreCommands>,
}

/// Names of profiles, for completion: those of the file, and those that `gauth login` and `gauth accounts use` made.
/// A broken file has none.
pub fn profile_names(world: &World) -> Vec<String> {
    let config = read_config_file(world).map(|(config, _)| config).unwrap_or_default();
    let mut names: Vec<String> = config.profiles.into_keys().collect();
    names.extend(AccountSelection::read(world).unwrap_or_default().profiles.into_keys());
    names.sort();
    names.dedup();
    names
}

/// The profile in use, over the defaults of the file.
///
/// # Errors
/// Malformed for a broken file, usage for a profile that does not exist.
pub(super) fn active_profile(overrides: &Overrides, world: &World) -> Result<ActiveProfile> {
    let flag = overrides.profile.as_deref().map(|name| flag_text("--profile", name)).transpose()?;
    let explicit_name = match flag {
        Some(name) => Some(name),
        None => world.env.text(&env::GAUTH_PROFILE)?,
    };
    let (mut config, location) = read_config_file(world)?;
    let name = explicit_name.clone().or(config.profile.take());
    let profile = match &name {
        None => Profile::default(),
        Some(name) => read_profile(name, &mut config, &location, overrides.allow_new_profile, world)?,
    };
    if let Some(Err(what)) = config.store_command.as_ref().map(StoreCommands::check) {
        return Err(Error::malformed(&location, what).hint("gauth help files shows an example"));
    }
    let store_command = config.store_command.take();
    let profile = profile.merged_over(config.defaults);
    Ok(ActiveProfile { profile, name, explicit: explicit_name.is_some(), location, store_command })
}

/// A profile of the file, with the account that `gauth accounts use` chose for it where the file names no credential; or
/// a profile that is only such an account.
fn read_profile(
    name: &str,
    config: &mut ConfigFile,
    location: &str,
    allow_new: bool,
    world: &World,
) -> Result<Profile> {
    let from_file = config.profiles.remove(name);
    if from_file.as_ref().is_some_and(Profile::names_credential) {
        return Ok(from_file.unwrap_or_default());
    }
    let mut state = AccountSelection::read(world)?;
    let account = state.profiles.remove(name);
    if from_file.is_none() && account.is_none() && !allow_new {
        let mut known: Vec<String> = config.profiles.keys().map(|name| printable::text(name)).collect();
        known.extend(state.profiles.keys().map(|name| printable::text(name)));
        known.sort();
        known.dedup();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let quoted = printable::quoted_argument(name, "of that name");
        let name = printable::quoted_argument(name, "NAME").replace('"', "");
        return Err(Error::usage(format!("there is no profile {quoted} in {location}"))
            .hint(format!("add [profiles.{name}] there, gauth login --profile {name}, or name another: {known}")));
    }
    Ok(Profile { account, ..from_file.unwrap_or_default() })
}

fn path(world: &World) -> Option<PathBuf> {
    world.folders.gauth.as_ref().map(|folder| folder.join("config.toml"))
}

/// What errors call the configuration file: its path, where there is a folder for it.
pub fn file_location(world: &World) -> String {
    path(world).map_or_else(|| "config.toml".to_owned(), |path| printable::path(&path))
}

fn read_config_file(world: &World) -> Result<(ConfigFile, String)> {
    let location = file_location(world);
    let Some(path) = path(world) else { return Ok((ConfigFile::default(), location)) };
    let bytes = match private_file::read_user_file(&path, MAX_CONFIG_BYTES) {
        Ok(bytes) => bytes,
        Err(PrivateFileError::NotFound) => return Ok((ConfigFile::default(), location)),
        // A home that is a file, or that this user may not enter, holds no configuration.
        Err(PrivateFileError::Io(_)) if private_file::is_unreachable(&path) => {
            return Ok((ConfigFile::default(), location));
        }
        Err(error) => return Err(error.to_error(&path, &location)),
    };
    let malformed = |what: String| {
        Error::malformed(&location, what).hint(format!("correct {location}; gauth help files shows an example"))
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed("is not UTF-8 text".to_owned()))?;
    match toml::from_str(text) {
        Ok(config) => Ok((config, location)),
        Err(error) => {
            let line = error.span().map(|span| text[..span.start].lines().count().max(1));
            let what = printable::text(error.message());
            Err(malformed(match line {
                Some(line) => format!("line {line}: {what}"),
                None => what,
            }))
        }
    }
}
