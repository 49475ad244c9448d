//! Which credential: what the user named, or the first of six places that has one.

pub mod detect;
mod dress;
pub mod logins;
mod places;

use std::rc::Rc;

use crate::accounts;
use crate::broker::Broker;
use crate::credential::external_account::{ci, provider, workload};
use crate::credential::metadata::Metadata;
use crate::credential::{self, About, Credential};
use crate::discover::dress::Dress;
pub use crate::discover::dress::acting_as;
use crate::error::{Error, ErrorKind, Result};
use crate::flags::Source;
use crate::printable;
use crate::settings::{Chosen, Settings, Workload};
use crate::world::World;

/// A credential and where it was found.
#[derive(Clone)]
pub struct Found {
    /// It.
    pub credential: Rc<dyn Credential>,
    /// The place, as `--source` and the JSON output name it.
    pub source: &'static str,
}

/// What one place had.
pub enum Looked {
    /// Nothing, and why.
    Nothing(String),
    /// A credential.
    Found(Found),
    /// Something that was meant to be one: an error, never a reason to look further.
    Broken(Error),
}

/// What is needed to look.
pub struct Search<'a> {
    /// What holds for this run.
    pub settings: &'a Settings,
    /// The outside, and those who ask servers.
    pub broker: &'a Broker<'a>,
    /// Whether a server may be asked; `status` looks without.
    pub may_ask: bool,
}

impl Search<'_> {
    /// The outside.
    pub fn world(&self) -> &World {
        self.broker.world
    }
}

/// One of the places, in the order in which they are looked at.
pub struct Place {
    /// Its number in the manual.
    pub number: u8,
    /// The group it belongs to.
    pub source: Source,
    /// What it is called.
    pub label: fn(&World) -> String,
    /// Looks.
    look: fn(&Search<'_>) -> Looked,
}

/// The places, in order.
pub use places::{PLACES, setting};

/// A line of `status`: a place, and what it had.
pub struct Row {
    /// The place.
    pub place: &'static Place,
    /// `None`: not looked at, because an earlier one had a credential and this one would have to be asked.
    pub looked: Option<Looked>,
}

/// The credential for this run, acting as whom the flags say and narrowed to what they say.
///
/// # Errors
/// `NoCredential` when there is none, or whatever is wrong with what was named.
pub fn credential(search: &Search<'_>) -> Result<Found> {
    let dress = Dress::of(search.settings)?;
    dress.around(bare(search)?)
}

/// The credential itself.
fn bare(search: &Search<'_>) -> Result<Found> {
    if let Some(found) = named(search)? {
        return Ok(found);
    }
    let mut reasons = Vec::new();
    for (index, place) in PLACES.iter().enumerate() {
        let looked = match within(search.settings, place) {
            true => (place.look)(search),
            false => Looked::Nothing("not looked at (--source)".to_owned()),
        };
        match looked {
            Looked::Found(found) => return Ok(noted(found, place, search)),
            Looked::Broken(error) => return Err(error),
            Looked::Nothing(reason) => {
                // A file with defaults speaks after the variables.
                if let Some(found) = default_of_file(search, index)? {
                    return Ok(found);
                }
                if within(search.settings, place) {
                    let label = (place.label)(search.world());
                    search.world().terminal.note(|| format!("{label}: {reason}"));
                    reasons.push(format!("{label}: {reason}"));
                }
            }
        }
    }
    Err(nothing_found(search, &reasons))
}

fn noted(found: Found, place: &Place, search: &Search<'_>) -> Found {
    search.world().terminal.note(|| {
        let about = found.credential.about();
        format!(
            "{} from {} is used",
            credential::kind_in_words(&about.kind),
            (place.label)(search.world())
        )
    });
    found
}

fn within(settings: &Settings, place: &Place) -> bool {
    settings.source.as_ref().is_none_or(|source| source.value == place.source)
}

/// What to do when there is no credential.
pub fn hint(world: &World) -> String {
    match ci::recognised(world) {
        Some(system) => format!(
            "--workload-identity-provider {}, with the token of {}",
            provider::FORM,
            system.name
        ),
        None => {
            "gauth login, or set GOOGLE_APPLICATION_CREDENTIALS to a credential file".to_owned()
        }
    }
}

fn nothing_found(search: &Search<'_>, reasons: &[String]) -> Error {
    match (&search.settings.source, reasons) {
        (Some(_), [.., reason]) => {
            Error::new(ErrorKind::NoCredential, format!("no credential found, {reason}"))
                .hint("leave --source away, or gauth status to see what there is")
        }
        _ => Error::new(
            ErrorKind::NoCredential,
            "no credential found in any of the 6 places that gauth status lists",
        )
        .hint(hint(search.world())),
    }
}

/// Every place and what it had; stops asking servers once something was found.
pub fn survey(search: &Search<'_>) -> Vec<Row> {
    let mut found = false;
    let mut rows = Vec::new();
    for place in PLACES {
        let skip = found && place.source == Source::Metadata;
        let looked = (!skip && within(search.settings, place)).then(|| read(place, search));
        found |= matches!(looked, Some(Looked::Found(_) | Looked::Broken(_)));
        rows.push(Row { place, looked });
    }
    rows
}

/// Looks, and reads what was found: a credential may turn out to be none.
fn read(place: &Place, search: &Search<'_>) -> Looked {
    match (place.look)(search) {
        Looked::Found(found) => match found.credential.describe() {
            Ok(_) => Looked::Found(found),
            Err(error) => Looked::Broken(error),
        },
        other => other,
    }
}

/// The credential a survey leads to, as the flags want it: what was named, or the first that was found. `None`:
/// there is none, or what comes first is broken.
///
/// # Errors
/// Whatever is wrong with what was named.
pub fn would_be_used(search: &Search<'_>, rows: &[Row]) -> Result<Option<Found>> {
    let dress = Dress::of(search.settings)?;
    let bare = would_be_found(search, rows)?;
    bare.map(|found| dress.around(found)).transpose()
}

fn would_be_found(search: &Search<'_>, rows: &[Row]) -> Result<Option<Found>> {
    if let Some(found) = named(search)? {
        return Ok(Some(found));
    }
    for (index, row) in rows.iter().enumerate() {
        match &row.looked {
            Some(Looked::Found(found)) => return Ok(Some(found.clone())),
            Some(Looked::Broken(_)) => return Ok(None),
            Some(Looked::Nothing(_)) | None => {
                if let Some(found) = default_of_file(search, index)? {
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
pub fn named(search: &Search<'_>) -> Result<Option<Found>> {
    let settings = search.settings;
    if let Some(workload) = settings.workload.as_ref().filter(|chosen| chosen.named) {
        let flagged = |origin: &str| origin.starts_with("--");
        let credentials = settings.credentials.as_ref().map(|chosen| chosen.origin.as_str());
        let account = settings.account.as_ref().map(|chosen| chosen.origin.as_str());
        match [credentials, account].into_iter().flatten().find(|origin| flagged(origin)) {
            None => return federated(search, workload).map(Some),
            Some(other) if flagged(&workload.origin) => {
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
    let credentials = settings.credentials.as_ref().filter(|chosen| chosen.named);
    let account = settings.account.as_ref().filter(|chosen| chosen.named);
    choose(search, credentials, account)
}

/// The defaults of `config.toml` come after Google's variables, which are the places 1 and 2.
fn default_of_file(search: &Search<'_>, index: usize) -> Result<Option<Found>> {
    let last_variable = PLACES.iter().rposition(|place| place.source == Source::Env);
    match last_variable == Some(index) {
        true => match &search.settings.workload {
            Some(workload) => federated(search, workload).map(Some),
            None => {
                let settings = search.settings;
                choose(search, settings.credentials.as_ref(), settings.account.as_ref())
            }
        },
        false => Ok(None),
    }
}

/// The identity a CI system gives to this job.
fn federated(search: &Search<'_>, workload: &Chosen<Workload>) -> Result<Found> {
    let chain = search.settings.impersonate.as_ref();
    let target = chain.and_then(|chain| chain.value.last().cloned());
    let setting = places::setting(search, workload.origin.clone());
    let credential = workload::credential(&workload.value, target, &setting, search.world())?;
    Ok(Found { credential: Rc::new(credential), source: "workload" })
}

fn choose(
    search: &Search<'_>,
    credentials: Option<&Chosen<std::ffi::OsString>>,
    account: Option<&Chosen<String>>,
) -> Result<Option<Found>> {
    match (credentials, account) {
        (None, None) => Ok(None),
        (None, Some(account)) => by_account(search, account).map(Some),
        (Some(file), account) => {
            let credential = places::named_file(search, file)?;
            if let Some(account) = account {
                must_match(&*credential, &account.value, &file.origin)?;
            }
            Ok(Some(Found { credential, source: "file" }))
        }
    }
}

fn must_match(credential: &dyn Credential, account: &str, origin: &str) -> Result<()> {
    match credential.describe()?.account {
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
fn by_account(search: &Search<'_>, account: &Chosen<String>) -> Result<Found> {
    let name = account.value.as_str();
    let wanted = |source| search.settings.source.as_ref().is_none_or(|only| only.value == source);
    if wanted(Source::Login)
        && let Some((path, bytes)) = accounts::load(name, search.world())?
    {
        let credential = places::own_login(search, name, path, bytes);
        return Ok(Found { credential, source: "login" });
    }
    if wanted(Source::Gcloud)
        && let Some(login) = places::gcloud_login(search, name)?
        && login.exists()?
    {
        return Ok(Found { credential: Rc::new(login), source: "gcloud" });
    }
    for (source, place) in [(Source::Env, "env"), (Source::Adc, "adc")] {
        for found in PLACES.iter().filter(|place| place.source == source && wanted(source)) {
            if let Looked::Found(found) = (found.look)(search)
                && owner(&found).is_some_and(|owner| owner.eq_ignore_ascii_case(name))
            {
                return Ok(Found { credential: found.credential, source: place });
            }
        }
    }
    if wanted(Source::Metadata) && is_on_google(search) {
        let world = search.world();
        let credential = Metadata::new(
            detect::host(world)?,
            Some(name),
            world.folders.boot_id(),
            search.settings.universe_domain.clone(),
        );
        return Ok(Found { credential: Rc::new(credential), source: "metadata" });
    }
    Err(no_login(name, search.world()))
}

/// An account that nobody has.
pub fn no_login(name: &str, world: &World) -> Error {
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

fn owner(found: &Found) -> Option<String> {
    found.credential.describe().ok()?.account
}

fn is_on_google(search: &Search<'_>) -> bool {
    match detect::guess(search.world()) {
        detect::Guess::Yes(_) => true,
        detect::Guess::No(_) => false,
        detect::Guess::Unknown => search.may_ask && detect::ping(search.broker).is_ok(),
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
pub fn one_line(about: &About) -> String {
    match &about.account {
        Some(account) => format!("{}, {}", printable::text(account), about.kind),
        None => about.kind.clone(),
    }
}
