//! The steps for gcloud's folder: the file of Application Default Credentials, and gcloud's active account.

use std::path::Path;
use std::rc::Rc;

use crate::config::{Source, Sourced};
use crate::credentials::gcloud_account::GcloudAccount;
use crate::credentials::lazy::LazyCredential;
use crate::discovery::sources::environment::{credential_file, parse_options, static_token_file};
use crate::discovery::{Discovery, Lookup, decorations, metadata_detection};
use crate::error::Result;
use crate::gcloud::properties::GcloudProperties;
use crate::net::endpoint_policy;
use crate::text::printable;
use crate::tokens::credential::Credential;
use crate::world::{World, files};
use crate::{config, gcloud};

/// What `gauth status` calls the file of Application Default Credentials.
pub(super) fn adc_label(world: &World) -> String {
    match &world.folders.gcloud {
        Some(folder) => {
            let path = gcloud::adc_path(folder);
            printable::home_path(&path, world.folders.home.as_deref()).into_owned()
        }
        None => "gcloud's ADC file".to_owned(),
    }
}

/// The file that `gcloud auth application-default login` writes.
pub(super) fn adc_file(search: &Discovery<'_>) -> Result<Lookup> {
    let Some(folder) = &search.world().folders.gcloud else {
        return Ok(Lookup::NotSet("there is no home folder".to_owned()));
    };
    let path = gcloud::adc_path(folder);
    match files::symlink_metadata(&path) {
        Err(error) if is_absent(&error) => Ok(Lookup::NotSet("not there".to_owned())),
        _ => Ok(Lookup::found(Source::Adc, credential_file(search, &path, None)?)),
    }
}

/// No such file, or no folder where one would be, or none that this user may enter.
fn is_absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}

/// What gcloud itself would use: its active account, or the token or credential file of its properties.
pub(super) fn active_account(search: &Discovery<'_>) -> Result<Lookup> {
    let properties = open_properties(search);
    let lookup = credential_from_properties(search, &properties)?;
    // The variable of this property holds for all sources, and a flag takes precedence over both.
    let target = properties.get("auth", "impersonate_service_account")?;
    match (lookup, target.filter(|_| search.config.impersonation_chain.is_none())) {
        (Lookup::Found(found), Some(target)) if !target.value.trim().is_empty() => {
            let chain = Sourced { value: target.value, origin: target.origin, explicit: false };
            let chain = config::parse_impersonation_chain(&chain)?;
            let credential = decorations::apply_impersonation(found.credential, &chain.value, search.config)?;
            Ok(Lookup::found(found.source, credential))
        }
        (lookup, _) => Ok(lookup),
    }
}

/// gcloud's own order: a token file, a credential file in place of the account, the account.
fn credential_from_properties(search: &Discovery<'_>, properties: &GcloudProperties) -> Result<Lookup> {
    let non_empty = |section, name| -> Result<Option<gcloud::properties::GcloudProperty>> {
        Ok(properties.get(section, name)?.filter(|property| !property.value.trim().is_empty()))
    };
    let found = |credential| Ok(Lookup::found(Source::Gcloud, credential));
    if let Some(path) = non_empty("auth", "access_token_file")? {
        return found(static_token_file(path.value.as_ref(), &path.origin)?);
    }
    if let Some(path) = non_empty("auth", "credential_file_override")? {
        return found(credential_file(search, Path::new(&path.value), Some(&path.origin))?);
    }
    let Some(account) = non_empty("core", "account")? else {
        return Ok(Lookup::NotSet("no account is set".to_owned()));
    };
    match open_login(search, properties, &account.value, None)? {
        Some(login) => found(Rc::new(login)),
        None => {
            let name = printable::text(&account.value);
            Ok(Lookup::NotSet(format!("{name} is set, but no login is stored")))
        }
    }
}

/// The login of an account in gcloud's database.
pub(super) fn find_account(search: &Discovery<'_>, name: &str) -> Result<Option<Rc<dyn Credential>>> {
    match stored_login(search, name, None)? {
        Some(login) if login.exists()? => Ok(Some(Rc::new(login))),
        _ => Ok(None),
    }
}

/// The login of an account in gcloud's database, which may have it in several universes; without a universe, the one
/// of this run. `None` when gcloud has stored nothing at all.
pub(in crate::discovery) fn stored_login(
    search: &Discovery<'_>,
    name: &str,
    universe: Option<String>,
) -> Result<Option<LazyCredential<GcloudAccount>>> {
    open_login(search, &open_properties(search), name, universe)
}

fn open_properties(search: &Discovery<'_>) -> GcloudProperties {
    GcloudProperties::open(search.world().folders.gcloud.as_deref(), &search.world().env)
}

fn open_login(
    search: &Discovery<'_>,
    properties: &GcloudProperties,
    name: &str,
    universe: Option<String>,
) -> Result<Option<LazyCredential<GcloudAccount>>> {
    let Some(folder) = search.world().folders.gcloud.clone() else { return Ok(None) };
    let mut options = parse_options(search, printable::path(&folder.join("credentials.db")));
    options.account = Some(name.to_owned());
    options.sign_in_hint = format!("gcloud auth login {}", printable::text(name));
    options.use_self_signed_jwt = properties.get_bool("auth", "service_account_use_self_signed_jwt")?.unwrap_or(false);
    if options.token_endpoint_override.is_none()
        && let Some(host) = properties.get("auth", "token_host")?
    {
        options.token_endpoint_override =
            Some(endpoint_policy::check_endpoint_override(&host.value, "auth/token_host")?);
    }
    options.quota_project = gcloud::quota_project(properties)?.map(|property| property.value);
    let universe = match universe.or_else(|| search.config.universe_domain.clone()) {
        Some(universe) => Some(universe),
        None => gcloud::universe_domain(properties)?.map(|property| property.value),
    };
    let metadata_host = metadata_detection::host(search.world())?;
    Ok(GcloudAccount::new(folder, name.to_owned(), universe, options, metadata_host))
}
