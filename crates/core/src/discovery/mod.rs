//! Which credential: one ordered table of sources, and one walk over it for tokens and for `gauth status`.

mod broker;
mod decorations;
pub mod logins;
pub mod metadata_detection;
mod sources;
mod token_provider;

use std::rc::Rc;

use crate::accounts;
use crate::accounts::secrets::SecretStores;
use crate::config::{Config, Source};
use crate::credentials::external_account::{ci, provider};
use crate::discovery::decorations::Decorations;
use crate::error::{Error, ErrorKind, Result};
use crate::text::printable;
use crate::tokens::broker::Broker;
use crate::tokens::credential::{Credential, CredentialInfo, credential_type_name};
use crate::world::World;

pub use crate::discovery::broker::{broker, secret_stores};
pub use crate::discovery::decorations::{apply_impersonation, decorate};
pub use crate::discovery::sources::{CredentialSource, SOURCES, parse_options};
pub use crate::discovery::token_provider::TokenProvider;

/// A credential and where it was found.
#[derive(Clone)]
pub struct FoundCredential {
    /// What tokens are requested with.
    pub credential: Rc<dyn Credential>,
    /// Where it was found.
    pub source: Source,
}

impl FoundCredential {
    /// Whether the credential is of this account, as far as its content shows.
    fn belongs_to(&self, account: &str) -> bool {
        let owner = self.credential.load_info().ok().and_then(|info| info.account);
        owner.is_some_and(|owner| owner.eq_ignore_ascii_case(account))
    }
}

/// What a step of the search found.
pub enum Lookup {
    /// A credential, perhaps not parsed yet.
    Found(FoundCredential),
    /// No credential, and why, as the end of a sentence.
    NotSet(String),
    /// A credential that is set and unusable: an error, never a reason to search on.
    Broken(Error),
    /// `--source` excludes the step, or it would need a request after a credential is found.
    NotAsked,
}

impl Lookup {
    fn found(source: Source, credential: Rc<dyn Credential>) -> Lookup {
        Lookup::Found(FoundCredential { credential, source })
    }

    /// Whether the search ends here.
    fn is_decisive(&self) -> bool {
        matches!(self, Lookup::Found(_) | Lookup::Broken(_))
    }
}

/// What the search for a credential needs.
pub struct Discovery<'a> {
    /// The configuration of this run.
    pub config: &'a Config,
    /// Sends the requests that the search needs, and knows the world.
    pub broker: &'a Broker<'a>,
    /// Whether requests to the metadata server are allowed; `gauth status` sends none without `--check`.
    pub allow_network: bool,
}

impl Discovery<'_> {
    /// The world of this run.
    pub fn world(&self) -> &World {
        self.broker.world
    }

    /// The stores for the secrets of gauth's logins.
    pub fn secret_stores(&self) -> SecretStores {
        broker::secret_stores(self.config, self.world())
    }

    /// Whether `--source` leaves this step in the search.
    fn allows(&self, step: &CredentialSource) -> bool {
        match (&self.config.source, step.source) {
            (Some(only), Some(source)) => only.value == source,
            _ => true,
        }
    }
}

/// A step of the search and what it found.
pub struct SourceReport {
    /// The step, a row of [`SOURCES`].
    pub source: &'static CredentialSource,
    /// What the step found.
    pub lookup: Lookup,
}

impl SourceReport {
    /// Whether lists show it: the steps without a number only where they decide.
    pub fn is_listed(&self) -> bool {
        self.source.number.is_some() || self.lookup.is_decisive()
    }

    /// With the credential read, which a token from the cache does not need: it may turn out to be broken.
    fn load(mut self) -> SourceReport {
        if let Lookup::Found(found) = &self.lookup
            && let Err(error) = found.credential.load_info()
        {
            self.lookup = Lookup::Broken(error);
        }
        self
    }
}

/// Walks over the table of sources, one step at a time. The first credential that is found or broken decides; what
/// comes after it is of interest to reports only, and causes no request.
fn walk(search: &Discovery<'_>) -> impl Iterator<Item = SourceReport> {
    let mut is_decided = false;
    SOURCES.iter().map(move |source| {
        let asks_server = source.source == Some(Source::Metadata);
        let lookup = match search.allows(source) && !(is_decided && asks_server) {
            true => (source.probe)(search).unwrap_or_else(Lookup::Broken),
            false => Lookup::NotAsked,
        };
        is_decided |= lookup.is_decisive();
        SourceReport { source, lookup }
    })
}

/// The credential of this run, with the impersonation and downscoping of the configuration.
///
/// # Errors
/// `NoCredential` when there is none, or whatever makes the first one unusable.
pub fn credential(search: &Discovery<'_>) -> Result<FoundCredential> {
    // A mistake in them is reported before the search.
    let decorations = Decorations::from_config(search.config)?;
    let FoundCredential { credential, source } = first_credential(search)?;
    Ok(FoundCredential { credential: decorations.apply(credential)?, source })
}

fn first_credential(search: &Discovery<'_>) -> Result<FoundCredential> {
    let world = search.world();
    let mut last_reason = None;
    for SourceReport { source, lookup } in walk(search) {
        let label = || (source.label)(world);
        match lookup {
            Lookup::Found(found) => {
                world.terminal.note(|| {
                    let credential_type = &found.credential.info().credential_type;
                    format!("{}: {} is used", label(), credential_type_name(credential_type))
                });
                return Ok(found);
            }
            Lookup::Broken(error) => return Err(error),
            Lookup::NotSet(reason) => {
                world.terminal.note(|| format!("{}: {reason}", label()));
                if search.config.source.is_some() && source.source.is_some() {
                    last_reason = Some(format!("{}: {reason}", label()));
                }
            }
            Lookup::NotAsked => {}
        }
    }
    Err(no_credential_error(world, last_reason))
}

/// What every step of the search finds. Credentials are read, and no request is sent once one is found.
pub fn report_all(search: &Discovery<'_>) -> Vec<SourceReport> {
    walk(search).map(SourceReport::load).collect()
}

/// The report of the step that decides: its credential is used, or its error ends the search.
pub fn decisive(reports: &[SourceReport]) -> Option<&SourceReport> {
    reports.iter().find(|report| report.lookup.is_decisive())
}

/// The credential that these reports lead to, with the impersonation and downscoping of the configuration. `None`:
/// there is none, or the first one is broken.
///
/// # Errors
/// Whatever is wrong with a credential that is named by flag, variable, profile or `config.toml`.
pub fn credential_from_reports(search: &Discovery<'_>, reports: &[SourceReport]) -> Result<Option<FoundCredential>> {
    let decorations = Decorations::from_config(search.config)?;
    match decisive(reports).map(|report| (&report.lookup, report.source.number)) {
        Some((Lookup::Found(found), _)) => {
            let credential = decorations.apply(Rc::clone(&found.credential))?;
            Ok(Some(FoundCredential { credential, source: found.source }))
        }
        Some((Lookup::Broken(error), None)) => Err(error.clone()),
        _ => Ok(None),
    }
}

/// What to do when there is no credential.
pub fn no_credential_hint(world: &World) -> String {
    match ci::detect_ci_system(world) {
        Some(system) => format!(
            "--workload-identity-provider {}, with the token of {}",
            provider::PROVIDER_NAME_FORMAT,
            system.name
        ),
        None => "gauth login, or set GOOGLE_APPLICATION_CREDENTIALS to a credential file".to_owned(),
    }
}

/// The error of a search that found nothing; `reason` is that of the only source, where `--source` names one.
fn no_credential_error(world: &World, reason: Option<String>) -> Error {
    match reason {
        Some(reason) => Error::new(ErrorKind::NoCredential, format!("no credential found, {reason}"))
            .hint("remove --source, or run gauth status to see what each source has"),
        None => {
            Error::new(ErrorKind::NoCredential, "no credential found in any of the sources that gauth status lists")
                .hint(no_credential_hint(world))
        }
    }
}

/// The error about an account that neither gauth nor gcloud has.
pub fn no_login_error(name: &str, world: &World) -> Error {
    let known = account_names(world);
    let name = printable::text(name);
    let error = Error::new(ErrorKind::NoCredential, format!("neither gauth nor gcloud has a login for {name}"));
    match known.is_empty() {
        true => error.hint(format!("gauth login --account {name}")),
        false => {
            let known = printable::text(&known.join(", "));
            error.hint(format!("gauth login --account {name}, or use one of {known}"))
        }
    }
}

/// The accounts of gauth and gcloud, sorted, each once.
pub fn account_names(world: &World) -> Vec<String> {
    let mut names = accounts::list(world);
    if let Some(folder) = &world.folders.gcloud {
        let stored = crate::gcloud::accounts::list(folder, std::time::Duration::from_millis(200));
        names.extend(stored.unwrap_or_default().into_iter().map(|account| account.name));
    }
    names.sort();
    names.dedup();
    names
}

/// A credential in one line: `ada@example.com, authorized_user`.
pub fn one_line_summary(info: &CredentialInfo) -> String {
    match &info.account {
        Some(account) => format!("{}, {}", printable::text(account), info.credential_type),
        None => info.credential_type.clone(),
    }
}
