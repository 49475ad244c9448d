//! Which credential: what the user named, or the first of six places that has one.

mod decorations;
pub mod logins;
pub mod metadata_detection;
mod sources;

use std::rc::Rc;

use crate::accounts;
use crate::config::{Config, SourceName, Sourced};
use crate::credentials::external_account::workload::WorkloadIdentity;
use crate::credentials::external_account::{ci, provider, workload};
use crate::credentials::metadata_server::MetadataServerCredential;
use crate::discovery::decorations::Decorations;
pub use crate::discovery::decorations::apply_impersonation;
use crate::error::{Error, ErrorKind, Result};
use crate::text::printable;
use crate::tokens::broker::Broker;
use crate::tokens::credential::{Credential, CredentialInfo, credential_type_name};
use crate::world::World;

/// A credential and where it was found.
#[derive(Clone)]
pub struct FoundCredential {
    /// It.
    pub credential: Rc<dyn Credential>,
    /// The place, as `--source` and the JSON output name it.
    pub source: &'static str,
}

/// What one place had.
pub enum Lookup {
    /// Nothing, and why.
    NotFound(String),
    /// A credential.
    Found(FoundCredential),
    /// Something that was meant to be one: an error, never a reason to look further.
    Broken(Error),
}

/// What is needed to look.
pub struct Discovery<'a> {
    /// What holds for this run.
    pub config: &'a Config,
    /// The outside, and those who ask servers.
    pub broker: &'a Broker<'a>,
    /// Whether a server may be asked; `status` looks without.
    pub allow_network: bool,
}

impl Discovery<'_> {
    /// The outside.
    pub fn world(&self) -> &World {
        self.broker.world
    }
}

/// One of the places, in the order in which they are looked at.
pub struct CredentialSource {
    /// Its number in the manual.
    pub number: u8,
    /// The group it belongs to.
    pub group: SourceName,
    /// What it is called.
    pub label: fn(&World) -> String,
    /// Looks.
    probe: fn(&Discovery<'_>) -> Lookup,
}

/// The places, in order.
pub use crate::discovery::sources::{SOURCES, parse_options};

/// A line of `status`: a place, and what it had.
pub struct SourceReport {
    /// The place.
    pub source: &'static CredentialSource,
    /// `None`: not looked at, because an earlier one had a credential and this one would have to be asked.
    pub lookup: Option<Lookup>,
}

/// The credential for this run, acting as whom the flags say and narrowed to what they say.
///
/// # Errors
/// `NoCredential` when there is none, or whatever is wrong with what was named.
pub fn credential(search: &Discovery<'_>) -> Result<FoundCredential> {
    let decorations = Decorations::from_config(search.config)?;
    decorations.apply(undecorated_credential(search)?)
}

/// The credential itself.
fn undecorated_credential(search: &Discovery<'_>) -> Result<FoundCredential> {
    if let Some(found) = explicit_credential(search)? {
        return Ok(found);
    }
    let mut reasons = Vec::new();
    for (index, source) in SOURCES.iter().enumerate() {
        let lookup = match is_selected(search.config, source) {
            true => (source.probe)(search),
            false => Lookup::NotFound("not looked at (--source)".to_owned()),
        };
        match lookup {
            Lookup::Found(found) => return Ok(log_used(found, source, search)),
            Lookup::Broken(error) => return Err(error),
            Lookup::NotFound(reason) => {
                // A file with defaults speaks after the variables.
                if let Some(found) = config_file_default(search, index)? {
                    return Ok(found);
                }
                if is_selected(search.config, source) {
                    let label = (source.label)(search.world());
                    search.world().terminal.note(|| format!("{label}: {reason}"));
                    reasons.push(format!("{label}: {reason}"));
                }
            }
        }
    }
    Err(no_credential_error(search, &reasons))
}

fn log_used(
    found: FoundCredential,
    source: &CredentialSource,
    search: &Discovery<'_>,
) -> FoundCredential {
    search.world().terminal.note(|| {
        let info = found.credential.info();
        format!(
            "{} from {} is used",
            credential_type_name(&info.credential_type),
            (source.label)(search.world())
        )
    });
    found
}

fn is_selected(config: &Config, source: &CredentialSource) -> bool {
    config.source.as_ref().is_none_or(|chosen| chosen.value == source.group)
}

/// What to do when there is no credential.
pub fn no_credential_hint(world: &World) -> String {
    match ci::detect_ci_system(world) {
        Some(system) => format!(
            "--workload-identity-provider {}, with the token of {}",
            provider::PROVIDER_NAME_FORMAT,
            system.name
        ),
        None => {
            "gauth login, or set GOOGLE_APPLICATION_CREDENTIALS to a credential file".to_owned()
        }
    }
}

fn no_credential_error(search: &Discovery<'_>, reasons: &[String]) -> Error {
    match (&search.config.source, reasons) {
        (Some(_), [.., reason]) => {
            Error::new(ErrorKind::NoCredential, format!("no credential found, {reason}"))
                .hint("leave --source away, or gauth status to see what there is")
        }
        _ => Error::new(
            ErrorKind::NoCredential,
            "no credential found in any of the 6 places that gauth status lists",
        )
        .hint(no_credential_hint(search.world())),
    }
}

/// Every place and what it had; stops asking servers once something was found.
pub fn probe_all(search: &Discovery<'_>) -> Vec<SourceReport> {
    let mut found = false;
    let mut rows = Vec::new();
    for source in SOURCES {
        let skip = found && source.group == SourceName::Metadata;
        let lookup =
            (!skip && is_selected(search.config, source)).then(|| probe_and_load(source, search));
        found |= matches!(lookup, Some(Lookup::Found(_) | Lookup::Broken(_)));
        rows.push(SourceReport { source, lookup });
    }
    rows
}

/// Looks, and reads what was found: a credential may turn out to be none.
fn probe_and_load(source: &CredentialSource, search: &Discovery<'_>) -> Lookup {
    match (source.probe)(search) {
        Lookup::Found(found) => match found.credential.load_info() {
            Ok(_) => Lookup::Found(found),
            Err(error) => Lookup::Broken(error),
        },
        other => other,
    }
}

/// The credential a survey leads to, as the flags want it: what was named, or the first that was found. `None`:
/// there is none, or what comes first is broken.
///
/// # Errors
/// Whatever is wrong with what was named.
pub fn credential_from_reports(
    search: &Discovery<'_>,
    reports: &[SourceReport],
) -> Result<Option<FoundCredential>> {
    let decorations = Decorations::from_config(search.config)?;
    let undecorated = undecorated_from_reports(search, reports)?;
    undecorated.map(|found| decorations.apply(found)).transpose()
}

fn undecorated_from_reports(
    search: &Discovery<'_>,
    reports: &[SourceReport],
) -> Result<Option<FoundCredential>> {
    if let Some(found) = explicit_credential(search)? {
        return Ok(Some(found));
    }
    for (index, report) in reports.iter().enumerate() {
        match &report.lookup {
            Some(Lookup::Found(found)) => return Ok(Some(found.clone())),
            Some(Lookup::Broken(_)) => return Ok(None),
            Some(Lookup::NotFound(_)) | None => {
                if let Some(found) = config_file_default(search, index)? {
                    return Ok(Some(found));
                }
            }
        }
    }
    Ok(None)
}

/// What was named for this run: a provider, a file, an account, or a profile with one of them.
///
/// # Errors
/// Whatever is wrong with it.
pub fn explicit_credential(search: &Discovery<'_>) -> Result<Option<FoundCredential>> {
    let config = search.config;
    if let Some(workload) = config.workload_identity.as_ref().filter(|chosen| chosen.explicit) {
        let is_flag = |origin: &str| origin.starts_with("--");
        let credentials = config.credentials.as_ref().map(|chosen| chosen.origin.as_str());
        let account = config.account.as_ref().map(|chosen| chosen.origin.as_str());
        match [credentials, account].into_iter().flatten().find(|origin| is_flag(origin)) {
            None => return federated_credential(search, workload).map(Some),
            Some(other) if is_flag(&workload.origin) => {
                return Err(Error::usage(format!(
                    "{} and {other} do not go together",
                    workload.origin
                ))
                .hint("leave one of the two away"));
            }
            // A flag goes before a variable.
            Some(_) => {}
        }
    }
    let credentials = config.credentials.as_ref().filter(|chosen| chosen.explicit);
    let account = config.account.as_ref().filter(|chosen| chosen.explicit);
    credential_from_file_or_account(search, credentials, account)
}

/// The defaults of `config.toml` come after Google's variables, which are the places 1 and 2.
fn config_file_default(search: &Discovery<'_>, index: usize) -> Result<Option<FoundCredential>> {
    let last_variable = SOURCES.iter().rposition(|source| source.group == SourceName::Env);
    match last_variable == Some(index) {
        true => match &search.config.workload_identity {
            Some(workload) => federated_credential(search, workload).map(Some),
            None => {
                let config = search.config;
                credential_from_file_or_account(
                    search,
                    config.credentials.as_ref(),
                    config.account.as_ref(),
                )
            }
        },
        false => Ok(None),
    }
}

/// The identity a CI system gives to this job.
fn federated_credential(
    search: &Discovery<'_>,
    workload: &Sourced<WorkloadIdentity>,
) -> Result<FoundCredential> {
    let chain = search.config.impersonation_chain.as_ref();
    let target = chain.and_then(|chain| chain.value.last().cloned());
    let options = sources::parse_options(search, workload.origin.clone());
    let credential = workload::external_account(&workload.value, target, &options, search.world())?;
    Ok(FoundCredential { credential: Rc::new(credential), source: "workload" })
}

fn credential_from_file_or_account(
    search: &Discovery<'_>,
    credentials: Option<&Sourced<std::ffi::OsString>>,
    account: Option<&Sourced<String>>,
) -> Result<Option<FoundCredential>> {
    match (credentials, account) {
        (None, None) => Ok(None),
        (None, Some(account)) => find_by_account(search, account).map(Some),
        (Some(file), account) => {
            let credential = sources::explicit_credential_file(search, file)?;
            if let Some(account) = account {
                check_account_matches(&*credential, &account.value, &file.origin)?;
            }
            Ok(Some(FoundCredential { credential, source: "file" }))
        }
    }
}

fn check_account_matches(credential: &dyn Credential, account: &str, origin: &str) -> Result<()> {
    match credential.load_info()?.account {
        Some(found) if !found.eq_ignore_ascii_case(account) => Err(Error::usage(format!(
            "{origin} is a credential of {}, --account asks for {}",
            printable::text(&found),
            printable::text(account)
        ))
        .hint("leave one of the two away")),
        _ => Ok(()),
    }
}

/// A login of gauth, else of gcloud, else the credential file if its e-mail matches, else of the metadata
/// server: it comes last because it is the only one that has to be asked.
fn find_by_account(search: &Discovery<'_>, account: &Sourced<String>) -> Result<FoundCredential> {
    let name = account.value.as_str();
    let is_allowed = |source| search.config.source.as_ref().is_none_or(|only| only.value == source);
    if is_allowed(SourceName::Login)
        && let Some((path, bytes)) = accounts::load(name, search.world())?
    {
        let credential = sources::gauth_login(search, name, path, bytes);
        return Ok(FoundCredential { credential, source: "login" });
    }
    if is_allowed(SourceName::Gcloud)
        && let Some(login) = sources::gcloud_login(search, name)?
        && login.exists()?
    {
        return Ok(FoundCredential { credential: Rc::new(login), source: "gcloud" });
    }
    for (source, label) in [(SourceName::Env, "env"), (SourceName::Adc, "adc")] {
        for candidate in
            SOURCES.iter().filter(|candidate| candidate.group == source && is_allowed(source))
        {
            if let Lookup::Found(found) = (candidate.probe)(search)
                && account_of(&found).is_some_and(|owner| owner.eq_ignore_ascii_case(name))
            {
                return Ok(FoundCredential { credential: found.credential, source: label });
            }
        }
    }
    if is_allowed(SourceName::Metadata) && has_metadata_server(search) {
        let world = search.world();
        let credential = MetadataServerCredential::new(
            metadata_detection::host(world)?,
            Some(name),
            world.folders.boot_id(),
            search.config.universe_domain.clone(),
        );
        return Ok(FoundCredential { credential: Rc::new(credential), source: "metadata" });
    }
    Err(no_login_error(name, search.world()))
}

/// An account that nobody has.
pub fn no_login_error(name: &str, world: &World) -> Error {
    let known = account_names(world);
    let name = printable::text(name);
    let error =
        Error::new(ErrorKind::NoCredential, format!("{name} is no login of gauth or gcloud"));
    match known.is_empty() {
        true => error.hint(format!("gauth login --account {name}")),
        false => {
            let known = printable::text(&known.join(", "));
            error.hint(format!("gauth login --account {name}, or use one of {known}"))
        }
    }
}

fn account_of(found: &FoundCredential) -> Option<String> {
    found.credential.load_info().ok()?.account
}

fn has_metadata_server(search: &Discovery<'_>) -> bool {
    match metadata_detection::infer_presence(search.world()) {
        metadata_detection::MetadataPresence::Present(_) => true,
        metadata_detection::MetadataPresence::Absent(_) => false,
        metadata_detection::MetadataPresence::Unknown => {
            search.allow_network && metadata_detection::ping(search.broker).is_ok()
        }
    }
}

/// The accounts of gauth and gcloud.
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

/// How a credential is called in one line: `ada@example.com, authorized_user`.
pub fn one_line_summary(info: &CredentialInfo) -> String {
    match &info.account {
        Some(account) => format!("{}, {}", printable::text(account), info.credential_type),
        None => info.credential_type.clone(),
    }
}
