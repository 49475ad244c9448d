//! What holds for this run, as plain data: flag, `GAUTH_*`, Google's variable, profile in `config.toml`, default.

mod file;
mod layers;
mod overrides;
mod parse;
mod source;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::accounts::secrets::{SecretStore, StoreCommands};
use crate::config::layers::ConfigLayers;
use crate::credentials::EndpointOverrides;
use crate::credentials::external_account::workload::WorkloadIdentity;
use crate::error::Result;
use crate::net::url::Url;
use crate::tokens::AccessTokenRequest;
use crate::tokens::broker::CachePolicy;
use crate::world::terminal::Verbosity;
use crate::world::{World, env};

pub use crate::config::file::{file_location, profile_names};
pub use crate::config::overrides::Overrides;
pub use crate::config::parse::{endpoint_override, flag_text, parse_impersonation_chain};
pub use crate::config::source::Source;

/// The time limit for all requests of a run together.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A value and where it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value, parsed or as it was written.
    pub value: T,
    /// The flag, variable, property or file that set it, as errors name it.
    pub origin: String,
    /// Whether it was named for this run, by a flag, a variable or a profile that was chosen for it. Such a value
    /// takes precedence over Google's variables.
    pub explicit: bool,
}

impl<T> Sourced<T> {
    /// A value that was named for this run.
    pub fn explicit(value: T, origin: impl Into<String>) -> Sourced<T> {
        Sourced { value, origin: origin.into(), explicit: true }
    }

    /// What a function makes of the value; where it was set stays.
    pub fn map<U>(self, function: impl FnOnce(T) -> U) -> Sourced<U> {
        Sourced { value: function(self.value), origin: self.origin, explicit: self.explicit }
    }
}

/// The configuration of a run.
#[derive(Debug, Clone)]
pub struct Config {
    /// A credential file, or `-` for standard input.
    pub credentials: Option<Sourced<OsString>>,
    /// An account by its name.
    pub account: Option<Sourced<String>>,
    /// The only source that is searched.
    pub source: Option<Sourced<Source>>,
    /// The quota project, which takes precedence over the credential's.
    pub quota_project: Option<String>,
    /// The universe domain, which takes precedence over the credential's.
    pub universe_domain: Option<String>,
    /// Hosts besides Google's that may receive a credential's secrets.
    pub allowed_token_hosts: Vec<String>,
    /// Hosts besides Google's that may receive a token.
    pub allowed_hosts: Vec<String>,
    /// The token endpoint of `CLOUDSDK_AUTH_TOKEN_HOST`.
    pub token_host: Option<Url>,
    /// Other endpoints that gcloud's variables override.
    pub services: EndpointOverrides,
    /// The provider for Workload Identity Federation without a credential file.
    pub workload_identity: Option<Sourced<WorkloadIdentity>>,
    /// The service account to impersonate, which is the last, and its delegates.
    pub impersonation_chain: Option<Sourced<Vec<String>>>,
    /// The Credential Access Boundary of access tokens.
    pub downscoping: Option<Downscoping>,
    /// The name of the profile in use.
    pub profile: Option<String>,
    /// The file of the OAuth client to sign in with.
    pub client_id_file: Option<Sourced<PathBuf>>,
    /// Where the secrets of a new login are stored.
    pub secret_store: Option<SecretStore>,
    /// The programs of the `command` store.
    pub store_command: Option<StoreCommands>,
    /// Scopes, subject and lifetime of access tokens.
    pub access_token_request: AccessTokenRequest,
    /// How the token cache is used.
    pub cache_policy: CachePolicy,
    /// The time limit for all requests together.
    pub timeout: Duration,
    /// Root certificates in PEM, in place of the system's.
    pub ca_file: Option<Sourced<PathBuf>>,
}

/// A Credential Access Boundary as the flags give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Downscoping {
    /// Rules of the form `ROLE@BUCKET[/PREFIX]`.
    Rules(Vec<String>),
    /// A file with a boundary in JSON.
    File(PathBuf),
}

impl Config {
    /// Merges flags, variables and `config.toml`, and sets how much is printed on standard error.
    ///
    /// # Errors
    /// Usage for a flag or variable that is not valid, malformed for a broken `config.toml`.
    pub fn resolve(overrides: &Overrides, world: &World) -> Result<Config> {
        set_verbosity(overrides, world);
        world.folders.check_config_dir()?;
        let active = file::active_profile(overrides, world)?;
        let layers = ConfigLayers { flags: overrides, world, profile: &active };
        let profile = &active.profile;

        let min_ttl = layers.text("--min-ttl", &overrides.min_ttl, &[env::GAUTH_MIN_TTL], &profile.min_ttl)?;
        let timeout = layers.text("--timeout", &overrides.timeout, &[env::GAUTH_TIMEOUT], &profile.timeout)?;
        let source = layers.text(
            "--source",
            &overrides.source.map(|source| OsString::from(source.as_str())),
            &[env::GAUTH_SOURCE],
            &profile.source,
        )?;
        let quota_project = layers.text(
            "--quota-project",
            &overrides.quota_project,
            &[env::GAUTH_QUOTA_PROJECT, env::GOOGLE_CLOUD_QUOTA_PROJECT],
            &profile.quota_project,
        )?;
        let universe_domain = layers.text(
            "--universe-domain",
            &overrides.universe_domain,
            &[env::GAUTH_UNIVERSE_DOMAIN, env::GOOGLE_CLOUD_UNIVERSE_DOMAIN],
            &profile.universe_domain,
        )?;
        let no_cache = match world.env.os(&env::GAUTH_NO_CACHE) {
            Some(_) => world.env.is_true(&env::GAUTH_NO_CACHE),
            None => profile.no_cache == Some(true),
        };
        let min_ttl = min_ttl.map(|chosen| parse::parse_seconds(&chosen)).transpose()?;
        Ok(Config {
            credentials: layers.credentials(),
            account: layers.text("--account", &overrides.account, &[env::GAUTH_ACCOUNT], &profile.account)?,
            source: source.map(parse::parse_source).transpose()?,
            quota_project: quota_project.map(parse::parse_quota_project).transpose()?,
            universe_domain: universe_domain.map(parse::parse_universe_domain).transpose()?,
            allowed_token_hosts: layers.hosts(
                "--allow-token-host",
                &overrides.allow_token_host,
                &env::GAUTH_ALLOW_TOKEN_HOST,
                &profile.allowed_token_hosts,
            )?,
            allowed_hosts: layers.hosts(
                "--allow-host",
                &overrides.allow_host,
                &env::GAUTH_ALLOW_HOST,
                &profile.allowed_hosts,
            )?,
            token_host: endpoint_override(world, &env::CLOUDSDK_AUTH_TOKEN_HOST)?,
            services: parse::service_endpoints(world)?,
            workload_identity: layers.workload_identity()?,
            impersonation_chain: layers.impersonation_chain()?,
            downscoping: parse::downscoping(overrides)?,
            profile: active.name.clone(),
            client_id_file: layers.path("--client-id-file", &None, &env::GAUTH_CLIENT_ID_FILE, &profile.client_id_file),
            secret_store: match &profile.store {
                Some(name) => Some(SecretStore::parse(name, &format!("{}: store", active.location))?),
                None => None,
            },
            store_command: active.store_command.clone(),
            access_token_request: layers.access_token_request()?,
            cache_policy: CachePolicy { no_cache: overrides.no_cache || no_cache, refresh: overrides.refresh, min_ttl },
            timeout: match timeout {
                Some(chosen) => parse::parse_timeout(&chosen)?,
                None => DEFAULT_TIMEOUT,
            },
            ca_file: layers.path("--ca-file", &overrides.ca_file, &env::GAUTH_CA_FILE, &profile.ca_file),
        })
    }
}

/// How much is printed on standard error: `--quiet`, else the more verbose of `-v` and `GAUTH_LOG`.
fn set_verbosity(overrides: &Overrides, world: &World) {
    let log = world.env.os(&env::GAUTH_LOG).map(|value| value.to_string_lossy().into_owned());
    let from_variable = match log.as_deref() {
        Some("1" | "v" | "info") => 1,
        Some("2" | "vv" | "debug" | "trace") => 2,
        _ => 0,
    };
    world.terminal.set_verbosity(match (overrides.quiet, overrides.verbose.max(from_variable)) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Verbose,
        (false, _) => Verbosity::Trace,
    });
}
