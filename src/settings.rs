//! What holds for this run: flag, `GAUTH_*`, Google's variable, profile in `config.toml`, default.

mod config;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use crate::accounts::vault::{Store, Vaults};
use crate::broker::{Broker, Policy};
use crate::call::{self, Caller, Network};
use crate::credential::Services;
use crate::credential::external_account::provider;
use crate::credential::impersonated;
use crate::error::{Error, Result};
use crate::flags::{Effort, General, Source, Who, Wish};
use crate::gcloud::properties::Properties;
use crate::settings::config::Saved;
use crate::token::{AccessRequest, scopes};
use crate::url::Url;
use crate::world::World;
use crate::world::env::{self, Variable};
use crate::world::terminal::Level;
use crate::{duration, printable, trust};

pub use config::profile_names;

/// Time for all requests of a run together.
const BUDGET: Duration = Duration::from_secs(30);

/// A value and who chose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen<T> {
    /// The value.
    pub value: T,
    /// The flag, variable or file.
    pub origin: String,
    /// Whether it was named for this run, and so goes before any variable of Google's.
    pub named: bool,
}

/// What holds for this run.
pub struct Settings {
    /// A credential file, or `-`.
    pub credentials: Option<Chosen<OsString>>,
    /// An account.
    pub account: Option<Chosen<String>>,
    /// The only place to look.
    pub source: Option<Chosen<Source>>,
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
    pub services: Services,
    /// A provider to federate with, in place of a credential.
    pub workload: Option<Chosen<Workload>>,
    /// The service account to act as, and before it those in between.
    pub impersonate: Option<Chosen<Vec<String>>>,
    /// What the token is to be narrowed to.
    pub narrow: Option<Narrow>,
    /// The profile in use, by its name.
    pub profile: Option<String>,
    /// The OAuth client to sign in with.
    pub client_id_file: Option<Chosen<PathBuf>>,
    /// Where the secrets of a new login go.
    pub store: Option<Store>,
    /// The way to stores.
    pub vaults: Vaults,
    /// What is asked for.
    pub wish: AccessRequest,
    policy: Policy,
    budget: Duration,
    ca_file: Option<Chosen<PathBuf>>,
}

/// Federation without a credential file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// The provider, as an STS takes it.
    pub audience: String,
    /// Where the token for it comes from.
    pub subject: Subject,
}

/// Where a token for a provider comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Subject {
    /// From the CI system this runs in.
    #[default]
    Found,
    /// From a file.
    File(PathBuf),
    /// From a variable.
    Variable(String),
    /// From a URL.
    Url(String),
}

/// What a token is narrowed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Narrow {
    /// To these rules, `ROLE@BUCKET[/PREFIX]` each.
    Rules(Vec<String>),
    /// To the boundary in this file.
    File(PathBuf),
}

/// The groups of flags a command has; those it does not have are at their defaults.
#[derive(Debug, Default)]
pub struct Given {
    /// Which credential.
    pub who: Who,
    /// What for.
    pub wish: Wish,
    /// With what effort.
    pub effort: Effort,
    /// What holds for every command.
    pub general: General,
    /// Whether the profile may be one that nobody has made yet: this command does.
    pub new_profile: bool,
}

impl Settings {
    /// Puts flags, variables and files together, and sets how much is said.
    ///
    /// # Errors
    /// Usage for a flag or variable that makes no sense, malformed for a broken `config.toml`.
    pub fn resolve(given: &Given, world: &World) -> Result<Settings> {
        set_level(&given.general, world);
        world.folders.check()?;
        let saved = config::saved(given, world)?;
        let pick = Pick { world, saved: &saved };
        let profile = &saved.profile;
        let who = &given.who;
        let min_ttl = pick
            .text("--min-ttl", &given.effort.min_ttl, &[env::GAUTH_MIN_TTL], &profile.min_ttl)?
            .map(|chosen| seconds(&chosen))
            .transpose()?;
        let timeout =
            pick.text("--timeout", &given.effort.timeout, &[env::GAUTH_TIMEOUT], &profile.timeout)?;
        let source = pick.text(
            "--source",
            &who.source.map(|source| OsString::from(source_name(source))),
            &[env::GAUTH_SOURCE],
            &profile.source,
        )?;
        let quota_project = pick.text(
            "--quota-project",
            &who.quota_project,
            &[env::GAUTH_QUOTA_PROJECT, env::GOOGLE_CLOUD_QUOTA_PROJECT],
            &profile.quota_project,
        )?;
        let universe_domain = pick.text(
            "--universe-domain",
            &who.universe_domain,
            &[env::GAUTH_UNIVERSE_DOMAIN, env::GOOGLE_CLOUD_UNIVERSE_DOMAIN],
            &profile.universe_domain,
        )?;
        let ca_file =
            pick.path("--ca-file", &given.effort.ca_file, &env::GAUTH_CA_FILE, &profile.ca_file);
        Ok(Settings {
            credentials: pick.credentials(&who.credentials),
            account: pick.text(
                "--account",
                &who.account,
                &[env::GAUTH_ACCOUNT],
                &profile.account,
            )?,
            source: source.map(read_source).transpose()?,
            quota_project: quota_project.map(header_value).transpose()?,
            universe_domain: universe_domain.map(read_universe).transpose()?,
            allowed_token_hosts: pick.hosts(
                "--allow-token-host",
                &who.allow_token_host,
                &env::GAUTH_ALLOW_TOKEN_HOST,
                profile.allowed_token_hosts.as_deref(),
            )?,
            allowed_hosts: pick.hosts(
                "--allow-host",
                &who.allow_host,
                &env::GAUTH_ALLOW_HOST,
                profile.allowed_hosts.as_deref(),
            )?,
            token_host: moved(world, &env::CLOUDSDK_AUTH_TOKEN_HOST)?,
            services: services(world)?,
            workload: pick.workload(who)?,
            impersonate: pick.impersonate(who)?,
            narrow: narrow(&given.wish)?,
            store: match &profile.store {
                Some(name) => Some(Store::named(name, &format!("{}: store", saved.place))?),
                None => None,
            },
            vaults: Vaults::new(saved.store_command.clone(), &saved.place, world),
            profile: saved.name.clone(),
            client_id_file: pick.path(
                "--client-id-file",
                &None,
                &env::GAUTH_CLIENT_ID_FILE,
                &profile.client_id_file,
            ),
            wish: pick.wish(&given.wish)?,
            policy: Policy {
                no_cache: given.effort.no_cache
                    || world.env.says_yes(&env::GAUTH_NO_CACHE)
                    || (world.env.os(&env::GAUTH_NO_CACHE).is_none()
                        && profile.no_cache == Some(true)),
                refresh: given.effort.refresh,
                min_ttl,
            },
            budget: timeout.map(|chosen| budget(&chosen)).transpose()?.unwrap_or(BUDGET),
            ca_file,
        })
    }

    /// A broker with the budget and network of this run.
    pub fn broker<'w>(&self, world: &'w World) -> Broker<'w> {
        let properties = Properties::open(world.folders.gcloud.as_deref(), &world.env);
        let network = Network {
            ca_file: self.ca_file.as_ref().map(|file| (file.origin.clone(), file.value.clone())),
            gcloud: Box::new(move |section, name| {
                properties.get(section, name).ok().flatten().map(|property| property.value)
            }),
            metadata_attempt: metadata_attempt(world),
        };
        Broker::new(world, self.policy, Caller::new(network), self.budget)
    }
}

/// `GCE_METADATA_TIMEOUT` in seconds; what is no number is not obeyed, as in Google's libraries.
fn metadata_attempt(world: &World) -> Duration {
    let text = world.env.text(&env::GCE_METADATA_TIMEOUT).ok().flatten();
    let seconds = text.and_then(|text| text.trim().parse().ok()).filter(|seconds| *seconds > 0);
    seconds.map_or(call::METADATA_ATTEMPT, Duration::from_secs)
}

fn set_level(general: &General, world: &World) {
    let logged = world.env.os(&env::GAUTH_LOG).map(|value| value.to_string_lossy().into_owned());
    let logged = match logged.as_deref() {
        Some("1" | "v" | "info") => 1,
        Some("2" | "vv" | "debug" | "trace") => 2,
        _ => 0,
    };
    world.terminal.set_level(match (general.quiet, general.verbose.max(logged)) {
        (true, _) => Level::Quiet,
        (false, 0) => Level::Usual,
        (false, 1) => Level::Verbose,
        (false, _) => Level::Trace,
    });
}

/// Looks for a value in the order of precedence.
struct Pick<'a> {
    world: &'a World,
    saved: &'a Saved,
}

impl Pick<'_> {
    fn text(
        &self,
        flag: &str,
        given: &Option<OsString>,
        variables: &[Variable],
        profile: &Option<String>,
    ) -> Result<Option<Chosen<String>>> {
        if let Some(value) = given {
            let value = text(flag, value)?;
            return Ok(Some(Chosen { value, origin: flag.to_owned(), named: true }));
        }
        for variable in variables {
            if let Some(value) = self.world.env.text(variable)? {
                return Ok(Some(Chosen { value, origin: variable.name.to_owned(), named: true }));
            }
        }
        Ok(self.profile(profile))
    }

    fn profile<T: Clone>(&self, value: &Option<T>) -> Option<Chosen<T>> {
        let value = value.clone()?;
        Some(Chosen { value, origin: self.saved.place.clone(), named: self.saved.named })
    }

    fn path(
        &self,
        flag: &str,
        given: &Option<OsString>,
        variable: &Variable,
        profile: &Option<String>,
    ) -> Option<Chosen<PathBuf>> {
        let found = |value: OsString, origin: &str| {
            Some(Chosen { value: PathBuf::from(value), origin: origin.to_owned(), named: true })
        };
        match (given, self.world.env.os(variable)) {
            (Some(value), _) => found(value.clone(), flag),
            (None, Some(value)) => found(value, variable.name),
            (None, None) => self.profile(profile).map(|chosen| Chosen {
                value: PathBuf::from(chosen.value),
                origin: chosen.origin,
                named: chosen.named,
            }),
        }
    }

    /// `GAUTH_CREDENTIALS` is not here: it is one of the places where a credential is looked for.
    fn credentials(&self, given: &Option<OsString>) -> Option<Chosen<OsString>> {
        match given {
            Some(value) => Some(Chosen {
                value: value.clone(),
                origin: "--credentials".to_owned(),
                named: true,
            }),
            None => self.profile(&self.saved.profile.credentials).map(|chosen| Chosen {
                value: OsString::from(chosen.value),
                origin: chosen.origin,
                named: chosen.named,
            }),
        }
    }

    fn hosts(
        &self,
        flag: &str,
        given: &[OsString],
        variable: &Variable,
        profile: Option<&[String]>,
    ) -> Result<Vec<String>> {
        let mut hosts = Vec::new();
        for value in given {
            hosts.push(trust::host(&text(flag, value)?, flag)?);
        }
        if let Some(list) = self.world.env.text(variable)? {
            for value in list.split([',', ' ']).filter(|value| !value.is_empty()) {
                hosts.push(trust::host(value, variable.name)?);
            }
        }
        for value in profile.unwrap_or_default() {
            hosts.push(trust::host(value, &self.saved.place)?);
        }
        Ok(hosts)
    }

    fn wish(&self, wish: &Wish) -> Result<AccessRequest> {
        let mut written = Vec::new();
        for value in &wish.scopes {
            written.push(text("--scopes", value)?);
        }
        let mut origin = "--scopes".to_owned();
        if written.is_empty() {
            if let Some(value) = self.world.env.text(&env::GAUTH_SCOPES)? {
                origin = env::GAUTH_SCOPES.name.to_owned();
                written.push(value);
            } else if let Some(list) = &self.saved.profile.scopes {
                origin = self.saved.place.clone();
                written.clone_from(list);
            }
        }
        let wanted = scopes(written.iter().map(String::as_str));
        let visible = |scope: &String| scope.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if (wanted.is_empty() && !written.is_empty()) || !wanted.iter().all(visible) {
            return Err(Error::usage(format!("{origin} holds no scope that could be asked for"))
                .hint("--scopes cloud-platform, or a URL as Google's documentation gives it"));
        }
        let subject = wish.subject.as_deref().map(|value| text("--subject", value)).transpose()?;
        if let Some(subject) = &subject
            && (!subject.contains('@')
                || subject.chars().any(|c| c.is_whitespace() || c.is_control()))
        {
            let subject = printable::text(subject);
            return Err(Error::usage(format!("--subject {subject} is not an e-mail address"))
                .hint("--subject ada@example.com"));
        }
        let lifetime =
            wish.lifetime.as_deref().map(|value| text("--lifetime", value)).transpose()?;
        let lifetime = lifetime
            .map(|value| seconds(&Chosen { value, origin: "--lifetime".to_owned(), named: true }))
            .transpose()?
            .map(|seconds| {
                u32::try_from(seconds).ok().filter(|seconds| *seconds > 0).ok_or_else(|| {
                    Error::usage(format!("--lifetime {seconds}s is out of range"))
                        .hint("give 1s to 12h; most credentials allow 1h")
                })
            })
            .transpose()?;
        Ok(AccessRequest { scopes: wanted, subject, lifetime, for_iam: false })
    }

    fn workload(&self, who: &Who) -> Result<Option<Chosen<Workload>>> {
        let flag = "--workload-identity-provider";
        let subject = subject(who)?;
        let chosen = self.text(
            flag,
            &who.workload_identity_provider,
            &[env::GAUTH_WORKLOAD_IDENTITY_PROVIDER],
            &self.saved.profile.workload_identity_provider,
        )?;
        let Some(chosen) = chosen else {
            return match subject {
                Subject::Found => Ok(None),
                _ => Err(Error::usage("a token for a provider is named, but no provider")
                    .hint(format!("{flag} {}", provider::FORM))),
            };
        };
        let audience = provider::audience(&chosen.value)
            .map_err(|(what, hint)| Error::usage(format!("{} {what}", chosen.origin)).hint(hint))?;
        let value = Workload { audience, subject };
        Ok(Some(Chosen { value, origin: chosen.origin, named: chosen.named }))
    }

    fn impersonate(&self, who: &Who) -> Result<Option<Chosen<Vec<String>>>> {
        let chosen = self.text(
            "--impersonate-service-account",
            &who.impersonate_service_account,
            &[
                env::GAUTH_IMPERSONATE_SERVICE_ACCOUNT,
                env::CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT,
            ],
            &self.saved.profile.impersonate_service_account,
        )?;
        chosen.map(|chosen| accounts_in_order(&chosen)).transpose()
    }
}

/// A chain of service accounts, separated by commas.
///
/// # Errors
/// Usage, naming who asked for it.
pub fn accounts_in_order(chosen: &Chosen<String>) -> Result<Chosen<Vec<String>>> {
    let list: Vec<String> = chosen.value.split(',').map(|name| name.trim().to_owned()).collect();
    if let Some(odd) = list.iter().find(|name| !impersonated::is_account(name)) {
        let odd = printable::said(odd);
        return Err(Error::usage(format!("{}: \"{odd}\" is no service account", chosen.origin))
            .hint("name it by its e-mail address, as in ci@my-project.iam.gserviceaccount.com"));
    }
    Ok(Chosen { value: list, origin: chosen.origin.clone(), named: chosen.named })
}

fn subject(who: &Who) -> Result<Subject> {
    if let Some(file) = &who.subject_token_file {
        return Ok(Subject::File(PathBuf::from(file)));
    }
    if let Some(name) = &who.subject_token_env {
        return text("--subject-token-env", name).map(Subject::Variable);
    }
    match &who.subject_token_url {
        Some(url) => text("--subject-token-url", url).map(Subject::Url),
        None => Ok(Subject::Found),
    }
}

fn narrow(wish: &Wish) -> Result<Option<Narrow>> {
    if let Some(file) = &wish.access_boundary {
        return Ok(Some(Narrow::File(PathBuf::from(file))));
    }
    let rules: Vec<String> =
        wish.downscope.iter().map(|rule| text("--downscope", rule)).collect::<Result<_>>()?;
    Ok((!rules.is_empty()).then_some(Narrow::Rules(rules)))
}

/// Services that gcloud's variables moved.
fn services(world: &World) -> Result<Services> {
    Ok(Services {
        sts: moved(world, &env::CLOUDSDK_API_ENDPOINT_OVERRIDES_STS)?,
        iam_credentials: moved(world, &env::CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS)?,
        introspection: moved(world, &env::CLOUDSDK_AUTH_TOKEN_INTROSPECTION_ENDPOINT)?,
    })
}

/// An endpoint that a variable of gcloud's moved, such as `CLOUDSDK_AUTH_TOKEN_HOST`.
///
/// # Errors
/// Usage or unsafe, naming the variable.
pub fn moved(world: &World, variable: &Variable) -> Result<Option<Url>> {
    let value = world.env.text(variable)?;
    value.map(|text| trust::chosen_endpoint(&text, variable.name)).transpose()
}

/// A flag's value as text.
///
/// # Errors
/// Usage, when it is not UTF-8 or is empty.
pub fn text(flag: &str, value: &OsStr) -> Result<String> {
    match value.to_str() {
        Some("") => Err(Error::usage(format!("{flag} is empty"))
            .hint(format!("give {flag} a value, or leave it away"))),
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::usage(format!("the value of {flag} is not valid UTF-8"))
            .hint(format!("give {flag} as text"))),
    }
}

fn source_name(source: Source) -> &'static str {
    match source {
        Source::Env => "env",
        Source::Login => "login",
        Source::Adc => "adc",
        Source::Gcloud => "gcloud",
        Source::Metadata => "metadata",
    }
}

fn read_source(chosen: Chosen<String>) -> Result<Chosen<Source>> {
    let all = [Source::Env, Source::Login, Source::Adc, Source::Gcloud, Source::Metadata];
    let found = all.into_iter().find(|source| source_name(*source) == chosen.value);
    match found {
        Some(value) => Ok(Chosen { value, origin: chosen.origin, named: chosen.named }),
        None => {
            let value = printable::text(&chosen.value);
            Err(Error::usage(format!("{}: there is no source {value}", chosen.origin))
                .hint("name one of env, login, adc, gcloud, metadata"))
        }
    }
}

fn read_universe(chosen: Chosen<String>) -> Result<String> {
    trust::universe(&chosen.value).map(|()| chosen.value).map_err(|what| {
        Error::usage(format!("{} {what}", chosen.origin)).hint(format!(
            "give {} a domain such as {}",
            chosen.origin,
            trust::DEFAULT_UNIVERSE
        ))
    })
}

/// A value that will stand in a header: visible ASCII.
fn header_value(chosen: Chosen<String>) -> Result<String> {
    match chosen.value.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        true => Ok(chosen.value),
        false => Err(Error::usage(format!("{} has characters no header can carry", chosen.origin))
            .hint("give the ID of a project, as in my-project-123")),
    }
}

fn seconds(chosen: &Chosen<String>) -> Result<i64> {
    let span = read_duration(chosen)?;
    i64::try_from(span.as_secs()).map_err(|_| {
        Error::usage(format!("{} is too long", chosen.origin)).hint("give at most 12h")
    })
}

fn budget(chosen: &Chosen<String>) -> Result<Duration> {
    let span = read_duration(chosen)?;
    match span.is_zero() {
        false => Ok(span.min(Duration::from_secs(24 * 3600))),
        true => Err(Error::usage(format!("{} leaves no time at all", chosen.origin))
            .hint("give at least 1s; the default is 30s")),
    }
}

fn read_duration(chosen: &Chosen<String>) -> Result<Duration> {
    duration::parse(&chosen.value).map_err(|what| {
        let value = printable::text(&chosen.value);
        Error::usage(format!("{} {value} {what}", chosen.origin))
            .hint(format!("{} 10m", chosen.origin))
    })
}
