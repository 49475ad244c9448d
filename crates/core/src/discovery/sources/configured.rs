//! The steps for what the user configured: a workload identity provider, a credential file, or an account.

use std::ffi::OsString;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use crate::config::{Source, Sourced};
use crate::credentials::external_account::workload;
use crate::credentials::external_account::workload::WorkloadIdentity;
use crate::discovery::sources::environment::{credential_file, parse_options};
use crate::discovery::sources::{AccountLookup, CredentialSource, SOURCES};
use crate::discovery::{Discovery, FoundCredential, Lookup, no_login_error};
use crate::error::{Error, Result};
use crate::text::printable;
use crate::tokens::credential::Credential;
use crate::{accounts, credentials};

/// How long a credential on standard input may take to arrive.
const STDIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The order in which an account is looked up: stores know it by its name, a credential has to be read for it, and a
/// request to a server is needed.
const ACCOUNT_LOOKUP_ORDER: [fn(&AccountLookup) -> bool; 3] = [
    |lookup| matches!(lookup, AccountLookup::Store(_)),
    |lookup| matches!(lookup, AccountLookup::OneCredential),
    |lookup| matches!(lookup, AccountLookup::Server(_)),
];

/// What a flag, a variable of gauth's or a profile chosen for this run names.
pub(super) fn named_credential(search: &Discovery<'_>) -> Result<Lookup> {
    let config = search.config;
    let provider = explicit(&config.workload_identity);
    let file = explicit(&config.credentials);
    let account = explicit(&config.account);
    match provider {
        Some(provider) if provider_is_used(provider, file, account)? => federated_identity(search, provider),
        _ => file_or_account(search, file, account),
    }
}

/// What `config.toml` names where no profile was chosen for this run: it comes after all variables.
pub(super) fn default_credential(search: &Discovery<'_>) -> Result<Lookup> {
    let config = search.config;
    match &config.workload_identity {
        Some(provider) => federated_identity(search, provider),
        None => file_or_account(search, config.credentials.as_ref(), config.account.as_ref()),
    }
}

fn explicit<T>(chosen: &Option<Sourced<T>>) -> Option<&Sourced<T>> {
    chosen.as_ref().filter(|chosen| chosen.explicit)
}

/// Whether a provider goes before a file and an account that are named too: a flag goes before a variable, and two
/// flags contradict each other.
fn provider_is_used(
    provider: &Sourced<WorkloadIdentity>,
    file: Option<&Sourced<OsString>>,
    account: Option<&Sourced<String>>,
) -> Result<bool> {
    let is_flag = |origin: &&str| origin.starts_with("--");
    let origins = [file.map(|file| &*file.origin), account.map(|account| &*account.origin)];
    match origins.into_iter().flatten().find(is_flag) {
        None => Ok(true),
        Some(flag) if is_flag(&&*provider.origin) => {
            Err(Error::usage(format!("{} and {flag} exclude each other", provider.origin)).hint("omit one of the two"))
        }
        Some(_) => Ok(false),
    }
}

/// Workload Identity Federation with the token of the CI system, or with one that flags name.
fn federated_identity(search: &Discovery<'_>, provider: &Sourced<WorkloadIdentity>) -> Result<Lookup> {
    let chain = search.config.impersonation_chain.as_ref();
    let target = chain.and_then(|chain| chain.value.last().cloned());
    let options = parse_options(search, provider.origin.clone());
    let credential = workload::external_account(&provider.value, target, &options, search.world())?;
    Ok(Lookup::found(Source::Workload, Rc::new(credential)))
}

fn file_or_account(
    search: &Discovery<'_>,
    file: Option<&Sourced<OsString>>,
    account: Option<&Sourced<String>>,
) -> Result<Lookup> {
    match (file, account) {
        (None, None) => Ok(Lookup::NotSet("not set".to_owned())),
        (None, Some(account)) => find_account(search, &account.value).map(Lookup::Found),
        (Some(file), account) => {
            let credential = named_file(search, file)?;
            if let Some(account) = account {
                check_account_matches(&*credential, &account.value, &file.origin)?;
            }
            Ok(Lookup::found(Source::File, credential))
        }
    }
}

/// A credential file, or standard input for `-`.
fn named_file(search: &Discovery<'_>, file: &Sourced<OsString>) -> Result<Rc<dyn Credential>> {
    if file.value != "-" {
        let origin = (file.origin != "--credentials").then_some(file.origin.as_str());
        return credential_file(search, Path::new(&file.value), origin);
    }
    let streams = &search.world().streams;
    let bytes = streams
        .read_stdin(accounts::MAX_CREDENTIAL_FILE_BYTES, STDIN_TIMEOUT)
        .map_err(|error| error.to_error(Path::new("-"), "standard input"))?;
    credentials::parse(&bytes, &parse_options(search, "standard input".to_owned())).map(Rc::from)
}

fn check_account_matches(credential: &dyn Credential, account: &str, origin: &str) -> Result<()> {
    match credential.load_info()?.account {
        Some(owner) if !owner.eq_ignore_ascii_case(account) => Err(Error::usage(format!(
            "{origin} is a credential of {}, --account asks for {}",
            printable::text(&owner),
            printable::text(account)
        ))
        .hint("omit one of the two")),
        _ => Ok(()),
    }
}

/// The credential of an account: of a store of logins, else a credential of the machine that is this account's,
/// else of the metadata server.
fn find_account(search: &Discovery<'_>, name: &str) -> Result<FoundCredential> {
    for is_next in ACCOUNT_LOOKUP_ORDER {
        for step in SOURCES.iter().filter(|step| is_next(&step.by_account) && search.allows(step)) {
            if let Some(found) = find_account_in(step, search, name)? {
                return Ok(found);
            }
        }
    }
    Err(no_login_error(name, search.world()))
}

fn find_account_in(step: &CredentialSource, search: &Discovery<'_>, name: &str) -> Result<Option<FoundCredential>> {
    match (&step.by_account, step.source) {
        (AccountLookup::Store(find) | AccountLookup::Server(find), Some(source)) => {
            let credential = find(search, name)?;
            Ok(credential.map(|credential| FoundCredential { credential, source }))
        }
        // One that is broken is not known to be this account's.
        (AccountLookup::OneCredential, _) => match (step.probe)(search) {
            Ok(Lookup::Found(found)) if found.belongs_to(name) => Ok(Some(found)),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}
