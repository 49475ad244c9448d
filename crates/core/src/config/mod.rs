//! What holds for this run: flag, `GAUTH_*`, Google's variable, profile in `config.toml`, default.

mod file;
mod overrides;
mod source;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use crate::accounts::secrets::{SecretStore, SecretStores};
use crate::config::file::ActiveProfile;
use crate::credentials::EndpointOverrides;
use crate::credentials::external_account::provider;
use crate::credentials::external_account::workload::{SubjectTokenLocation, WorkloadIdentity};
use crate::credentials::impersonated;
use crate::error::{Error, Result};
use crate::gcloud::properties::GcloudProperties;
use crate::http::client;
use crate::http::client::{HttpClient, NetworkConfig};
use crate::net::endpoint_policy;
use crate::net::url::Url;
use crate::text::scopes::expand_scopes;
use crate::text::{duration, printable};
use crate::tokens::AccessTokenRequest;
use crate::tokens::broker::{Broker, CachePolicy};
use crate::world::World;
use crate::world::env;
use crate::world::env::Variable;
use crate::world::terminal::Verbosity;

pub use crate::config::file::profile_names;
pub use crate::config::overrides::Overrides;
pub use crate::config::source::Source;

/// Time for all requests of a run together.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A value and who chose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// The flag, variable or file.
    pub origin: String,
    /// Whether it was named for this run, and so goes before any variable of Google's.
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

/// What holds for this run.
pub struct Config {
    /// A credential file, or `-`.
    pub credentials: Option<Sourced<OsString>>,
    /// An account.
    pub account: Option<Sourced<String>>,
    /// The only place to look.
    pub source: Option<Sourced<Source>>,
    /// The project that pays, over the credential's own.
    pub quota_project: Option<String>,
    /// The universe, over the credential's own.
    pub universe_domain: Option<String>,
    /// Hosts besides Google's that may receive a credential's secrets.
    pub allowed_token_hosts: Vec<String>,
    /// Hosts besides Google's that may receive a token.
    pub allowed_hosts: Vec<String>,
    /// The token endpoint of `CLOUDSDK_AUTH_TOKEN_HOST`.
    pub token_host: Option<Url>,
    /// Other services of Google's that variables moved.
    pub services: EndpointOverrides,
    /// A provider to federate with, in place of a credential.
    pub workload_identity: Option<Sourced<WorkloadIdentity>>,
    /// The service account to act as, and before it those in between.
    pub impersonation_chain: Option<Sourced<Vec<String>>>,
    /// What the token is to be narrowed to.
    pub downscoping: Option<Downscoping>,
    /// The profile in use, by its name.
    pub profile: Option<String>,
    /// The OAuth client to sign in with.
    pub client_id_file: Option<Sourced<PathBuf>>,
    /// Where the secrets of a new login go.
    pub secret_store: Option<SecretStore>,
    /// The way to stores.
    pub secret_stores: SecretStores,
    /// What is asked for.
    pub access_token_request: AccessTokenRequest,
    policy: CachePolicy,
    timeout: Duration,
    ca_file: Option<Sourced<PathBuf>>,
}

/// What a token is narrowed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Downscoping {
    /// To these rules, `ROLE@BUCKET[/PREFIX]` each.
    Rules(Vec<String>),
    /// To the boundary in this file.
    File(PathBuf),
}

impl Config {
    /// Puts flags, variables and files together, and sets how much is said.
    ///
    /// # Errors
    /// Usage for a flag or variable that makes no sense, malformed for a broken `config.toml`.
    pub fn resolve(overrides: &Overrides, world: &World) -> Result<Config> {
        set_log_level(overrides, world);
        world.folders.check_config_dir()?;
        let active_profile = file::active_profile(overrides, world)?;
        let layers = ConfigLayers { world, active_profile: &active_profile };
        let profile = &active_profile.profile;

        let min_ttl = layers
            .text("--min-ttl", &overrides.min_ttl, &[env::GAUTH_MIN_TTL], &profile.min_ttl)?
            .map(|chosen| parse_seconds(&chosen))
            .transpose()?;
        let timeout = layers.text(
            "--timeout",
            &overrides.timeout,
            &[env::GAUTH_TIMEOUT],
            &profile.timeout,
        )?;
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
        let ca_file =
            layers.path("--ca-file", &overrides.ca_file, &env::GAUTH_CA_FILE, &profile.ca_file);
        Ok(Config {
            credentials: layers.credentials(&overrides.credentials),
            account: layers.text(
                "--account",
                &overrides.account,
                &[env::GAUTH_ACCOUNT],
                &profile.account,
            )?,
            source: source.map(parse_source).transpose()?,
            quota_project: quota_project.map(check_header_value).transpose()?,
            universe_domain: universe_domain.map(parse_universe_domain).transpose()?,
            allowed_token_hosts: layers.hosts(
                "--allow-token-host",
                &overrides.allow_token_host,
                &env::GAUTH_ALLOW_TOKEN_HOST,
                profile.allowed_token_hosts.as_deref(),
            )?,
            allowed_hosts: layers.hosts(
                "--allow-host",
                &overrides.allow_host,
                &env::GAUTH_ALLOW_HOST,
                profile.allowed_hosts.as_deref(),
            )?,
            token_host: endpoint_override(world, &env::CLOUDSDK_AUTH_TOKEN_HOST)?,
            services: service_endpoints(world)?,
            workload_identity: layers.workload_identity(overrides)?,
            impersonation_chain: layers.impersonation_chain(overrides)?,
            downscoping: downscoping(overrides)?,
            secret_store: match &profile.store {
                Some(name) => {
                    Some(SecretStore::parse(name, &format!("{}: store", active_profile.location))?)
                }
                None => None,
            },
            secret_stores: SecretStores::new(
                active_profile.store_command.clone(),
                &active_profile.location,
                world,
            ),
            profile: active_profile.name.clone(),
            client_id_file: layers.path(
                "--client-id-file",
                &None,
                &env::GAUTH_CLIENT_ID_FILE,
                &profile.client_id_file,
            ),
            access_token_request: layers.access_token_request(overrides)?,
            policy: CachePolicy {
                no_cache: overrides.no_cache
                    || world.env.is_true(&env::GAUTH_NO_CACHE)
                    || (world.env.os(&env::GAUTH_NO_CACHE).is_none()
                        && profile.no_cache == Some(true)),
                refresh: overrides.refresh,
                min_ttl,
            },
            timeout: timeout
                .map(|chosen| parse_timeout(&chosen))
                .transpose()?
                .unwrap_or(DEFAULT_TIMEOUT),
            ca_file,
        })
    }

    /// A broker with the budget and network of this run.
    pub fn broker<'w>(&self, world: &'w World) -> Broker<'w> {
        let properties = GcloudProperties::open(world.folders.gcloud.as_deref(), &world.env);
        let network = NetworkConfig {
            ca_file: self.ca_file.as_ref().map(|file| (file.origin.clone(), file.value.clone())),
            gcloud_property: Box::new(move |section, name| {
                properties.get(section, name).ok().flatten().map(|property| property.value)
            }),
            metadata_attempt_timeout: metadata_attempt_timeout(world),
        };
        Broker::new(world, self.policy, HttpClient::new(network), self.timeout)
    }
}

/// `GCE_METADATA_TIMEOUT` in seconds; what is no number is not obeyed, as in Google's libraries.
fn metadata_attempt_timeout(world: &World) -> Duration {
    let text = world.env.text(&env::GCE_METADATA_TIMEOUT).ok().flatten();
    let seconds = text.and_then(|text| text.trim().parse().ok()).filter(|seconds| *seconds > 0);
    seconds.map_or(client::METADATA_ATTEMPT_TIMEOUT, Duration::from_secs)
}

fn set_log_level(general: &Overrides, world: &World) {
    let env_level = world.env.os(&env::GAUTH_LOG).map(|value| value.to_string_lossy().into_owned());
    let env_level = match env_level.as_deref() {
        Some("1" | "v" | "info") => 1,
        Some("2" | "vv" | "debug" | "trace") => 2,
        _ => 0,
    };
    world.terminal.set_verbosity(match (general.quiet, general.verbose.max(env_level)) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Verbose,
        (false, _) => Verbosity::Trace,
    });
}

/// Looks for a value in the order of precedence.
struct ConfigLayers<'a> {
    world: &'a World,
    active_profile: &'a ActiveProfile,
}

impl ConfigLayers<'_> {
    fn text(
        &self,
        flag: &str,
        flag_value: &Option<OsString>,
        variables: &[Variable],
        profile_value: &Option<String>,
    ) -> Result<Option<Sourced<String>>> {
        if let Some(value) = flag_value {
            let value = flag_text(flag, value)?;
            return Ok(Some(Sourced { value, origin: flag.to_owned(), explicit: true }));
        }
        for variable in variables {
            if let Some(value) = self.world.env.text(variable)? {
                return Ok(Some(Sourced {
                    value,
                    origin: variable.name.to_owned(),
                    explicit: true,
                }));
            }
        }
        Ok(self.profile_default(profile_value))
    }

    fn profile_default<T: Clone>(&self, value: &Option<T>) -> Option<Sourced<T>> {
        let value = value.clone()?;
        Some(Sourced {
            value,
            origin: self.active_profile.location.clone(),
            explicit: self.active_profile.explicit,
        })
    }

    fn path(
        &self,
        flag: &str,
        flag_value: &Option<OsString>,
        variable: &Variable,
        profile_value: &Option<String>,
    ) -> Option<Sourced<PathBuf>> {
        let sourced_path = |value: OsString, origin: &str| {
            Some(Sourced { value: PathBuf::from(value), origin: origin.to_owned(), explicit: true })
        };
        match (flag_value, self.world.env.os(variable)) {
            (Some(value), _) => sourced_path(value.clone(), flag),
            (None, Some(value)) => sourced_path(value, variable.name),
            (None, None) => self.profile_default(profile_value).map(|chosen| Sourced {
                value: PathBuf::from(chosen.value),
                origin: chosen.origin,
                explicit: chosen.explicit,
            }),
        }
    }

    /// `GAUTH_CREDENTIALS` is not here: it is one of the places where a credential is looked for.
    fn credentials(&self, flag_value: &Option<OsString>) -> Option<Sourced<OsString>> {
        match flag_value {
            Some(value) => Some(Sourced {
                value: value.clone(),
                origin: "--credentials".to_owned(),
                explicit: true,
            }),
            None => self.profile_default(&self.active_profile.profile.credentials).map(|chosen| {
                Sourced {
                    value: OsString::from(chosen.value),
                    origin: chosen.origin,
                    explicit: chosen.explicit,
                }
            }),
        }
    }

    fn hosts(
        &self,
        flag: &str,
        flag_values: &[OsString],
        variable: &Variable,
        profile_hosts: Option<&[String]>,
    ) -> Result<Vec<String>> {
        let mut hosts = Vec::new();
        for value in flag_values {
            hosts.push(endpoint_policy::check_host(&flag_text(flag, value)?, flag)?);
        }
        if let Some(list) = self.world.env.text(variable)? {
            for value in list.split([',', ' ']).filter(|value| !value.is_empty()) {
                hosts.push(endpoint_policy::check_host(value, variable.name)?);
            }
        }
        for value in profile_hosts.unwrap_or_default() {
            hosts.push(endpoint_policy::check_host(value, &self.active_profile.location)?);
        }
        Ok(hosts)
    }

    fn access_token_request(&self, flags: &Overrides) -> Result<AccessTokenRequest> {
        let mut scope_lists = Vec::new();
        for value in &flags.scopes {
            scope_lists.push(flag_text("--scopes", value)?);
        }
        let mut origin = "--scopes".to_owned();
        if scope_lists.is_empty() {
            if let Some(value) = self.world.env.text(&env::GAUTH_SCOPES)? {
                origin = env::GAUTH_SCOPES.name.to_owned();
                scope_lists.push(value);
            } else if let Some(list) = &self.active_profile.profile.scopes {
                origin = self.active_profile.location.clone();
                scope_lists.clone_from(list);
            }
        }
        let scopes = expand_scopes(scope_lists.iter().map(String::as_str));
        let visible = |scope: &String| scope.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if (scopes.is_empty() && !scope_lists.is_empty()) || !scopes.iter().all(visible) {
            return Err(Error::usage(format!("{origin} holds no scope that could be asked for"))
                .hint("--scopes cloud-platform, or a URL as Google's documentation gives it"));
        }
        let subject =
            flags.subject.as_deref().map(|value| flag_text("--subject", value)).transpose()?;
        if let Some(subject) = &subject
            && (!subject.contains('@')
                || subject.chars().any(|c| c.is_whitespace() || c.is_control()))
        {
            let subject = printable::text(subject);
            return Err(Error::usage(format!("--subject {subject} is not an e-mail address"))
                .hint("--subject ada@example.com"));
        }
        let lifetime =
            flags.lifetime.as_deref().map(|value| flag_text("--lifetime", value)).transpose()?;
        let lifetime = lifetime
            .map(|value| {
                parse_seconds(&Sourced { value, origin: "--lifetime".to_owned(), explicit: true })
            })
            .transpose()?
            .map(|seconds| {
                u32::try_from(seconds).ok().filter(|seconds| *seconds > 0).ok_or_else(|| {
                    Error::usage(format!("--lifetime {seconds}s is out of range"))
                        .hint("give 1s to 12h; most credentials allow 1h")
                })
            })
            .transpose()?;
        Ok(AccessTokenRequest { scopes, subject, lifetime, for_iam: false })
    }

    fn workload_identity(&self, flags: &Overrides) -> Result<Option<Sourced<WorkloadIdentity>>> {
        let flag = "--workload-identity-provider";
        let subject_token = subject_token_location(flags)?;
        let chosen = self.text(
            flag,
            &flags.workload_identity_provider,
            &[env::GAUTH_WORKLOAD_IDENTITY_PROVIDER],
            &self.active_profile.profile.workload_identity_provider,
        )?;
        let Some(chosen) = chosen else {
            return match subject_token {
                SubjectTokenLocation::CiSystem => Ok(None),
                _ => Err(Error::usage("a token for a provider is named, but no provider")
                    .hint(format!("{flag} {}", provider::PROVIDER_NAME_FORMAT))),
            };
        };
        let audience = provider::audience_of_provider(&chosen.value)
            .map_err(|(what, hint)| Error::usage(format!("{} {what}", chosen.origin)).hint(hint))?;
        let value = WorkloadIdentity { audience, subject_token };
        Ok(Some(Sourced { value, origin: chosen.origin, explicit: chosen.explicit }))
    }

    fn impersonation_chain(&self, flags: &Overrides) -> Result<Option<Sourced<Vec<String>>>> {
        let chosen = self.text(
            "--impersonate-service-account",
            &flags.impersonate_service_account,
            &[
                env::GAUTH_IMPERSONATE_SERVICE_ACCOUNT,
                env::CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT,
            ],
            &self.active_profile.profile.impersonate_service_account,
        )?;
        chosen.map(|chosen| parse_impersonation_chain(&chosen)).transpose()
    }
}

/// A chain of service accounts, separated by commas.
///
/// # Errors
/// Usage, naming who asked for it.
pub fn parse_impersonation_chain(chosen: &Sourced<String>) -> Result<Sourced<Vec<String>>> {
    let list: Vec<String> = chosen.value.split(',').map(|name| name.trim().to_owned()).collect();
    if let Some(invalid) = list.iter().find(|name| !impersonated::is_service_account_name(name)) {
        let invalid = printable::redacted(invalid);
        return Err(Error::usage(format!(
            "{}: \"{invalid}\" is no service account",
            chosen.origin
        ))
        .hint("name it by its e-mail address, as in ci@my-project.iam.gserviceaccount.com"));
    }
    Ok(Sourced { value: list, origin: chosen.origin.clone(), explicit: chosen.explicit })
}

fn subject_token_location(flags: &Overrides) -> Result<SubjectTokenLocation> {
    if let Some(file) = &flags.subject_token_file {
        return Ok(SubjectTokenLocation::File(PathBuf::from(file)));
    }
    if let Some(name) = &flags.subject_token_env {
        return flag_text("--subject-token-env", name).map(SubjectTokenLocation::Variable);
    }
    match &flags.subject_token_url {
        Some(url) => flag_text("--subject-token-url", url).map(SubjectTokenLocation::Url),
        None => Ok(SubjectTokenLocation::CiSystem),
    }
}

fn downscoping(flags: &Overrides) -> Result<Option<Downscoping>> {
    if let Some(file) = &flags.access_boundary {
        return Ok(Some(Downscoping::File(PathBuf::from(file))));
    }
    let rules: Vec<String> =
        flags.downscope.iter().map(|rule| flag_text("--downscope", rule)).collect::<Result<_>>()?;
    Ok((!rules.is_empty()).then_some(Downscoping::Rules(rules)))
}

/// Services that gcloud's variables moved.
fn service_endpoints(world: &World) -> Result<EndpointOverrides> {
    Ok(EndpointOverrides {
        sts: endpoint_override(world, &env::CLOUDSDK_API_ENDPOINT_OVERRIDES_STS)?,
        iam_credentials: endpoint_override(
            world,
            &env::CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS,
        )?,
        introspection_endpoint: endpoint_override(
            world,
            &env::CLOUDSDK_AUTH_TOKEN_INTROSPECTION_ENDPOINT,
        )?,
    })
}

/// An endpoint that a variable of gcloud's moved, such as `CLOUDSDK_AUTH_TOKEN_HOST`.
///
/// # Errors
/// Usage or unsafe, naming the variable.
pub fn endpoint_override(world: &World, variable: &Variable) -> Result<Option<Url>> {
    let value = world.env.text(variable)?;
    value.map(|text| endpoint_policy::check_endpoint_override(&text, variable.name)).transpose()
}

/// A flag's value as text.
///
/// # Errors
/// Usage, when it is not UTF-8 or is empty.
pub fn flag_text(flag: &str, value: &OsStr) -> Result<String> {
    match value.to_str() {
        Some("") => Err(Error::usage(format!("{flag} is empty"))
            .hint(format!("give {flag} a value, or leave it away"))),
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::usage(format!("the value of {flag} is not valid UTF-8"))
            .hint(format!("give {flag} as text"))),
    }
}

fn parse_source(chosen: Sourced<String>) -> Result<Sourced<Source>> {
    let found = Source::parse(&chosen.value);
    match found {
        Some(value) => Ok(Sourced { value, origin: chosen.origin, explicit: chosen.explicit }),
        None => {
            let value = printable::text(&chosen.value);
            Err(Error::usage(format!("{}: there is no source {value}", chosen.origin))
                .hint("name one of env, login, adc, gcloud, metadata"))
        }
    }
}

fn parse_universe_domain(chosen: Sourced<String>) -> Result<String> {
    endpoint_policy::check_universe_domain(&chosen.value).map(|()| chosen.value).map_err(|what| {
        Error::usage(format!("{} {what}", chosen.origin)).hint(format!(
            "give {} a domain such as {}",
            chosen.origin,
            endpoint_policy::DEFAULT_UNIVERSE
        ))
    })
}

/// A value that will stand in a header: visible ASCII.
fn check_header_value(chosen: Sourced<String>) -> Result<String> {
    match chosen.value.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        true => Ok(chosen.value),
        false => Err(Error::usage(format!("{} has characters no header can carry", chosen.origin))
            .hint("give the ID of a project, as in my-project-123")),
    }
}

fn parse_seconds(chosen: &Sourced<String>) -> Result<i64> {
    let span = parse_duration(chosen)?;
    i64::try_from(span.as_secs()).map_err(|_| {
        Error::usage(format!("{} is too long", chosen.origin)).hint("give at most 12h")
    })
}

fn parse_timeout(chosen: &Sourced<String>) -> Result<Duration> {
    let span = parse_duration(chosen)?;
    match span.is_zero() {
        false => Ok(span.min(Duration::from_secs(24 * 3600))),
        true => Err(Error::usage(format!("{} leaves no time at all", chosen.origin))
            .hint("give at least 1s; the default is 30s")),
    }
}

fn parse_duration(chosen: &Sourced<String>) -> Result<Duration> {
    duration::parse(&chosen.value).map_err(|what| {
        let value = printable::text(&chosen.value);
        Error::usage(format!("{} {value} {what}", chosen.origin))
            .hint(format!("{} 10m", chosen.origin))
    })
}
