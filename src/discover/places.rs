//! The six places, one function each.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::accounts::{self, Origin};
use crate::credential::deferred::Deferred;
use crate::credential::gcloud::GcloudAccount;
use crate::credential::lazy::Lazy;
use crate::credential::metadata::Metadata;
use crate::credential::ready::Ready;
use crate::credential::{self, Credential, Setting};
use crate::discover::detect::{self, Guess};
use crate::discover::{Found, Looked, Place, Search, dress};
use crate::error::{Error, Result};
use crate::flags::Source;
use crate::gcloud;
use crate::gcloud::properties::Properties;
use crate::private_file::{self, Fault};
use crate::settings::{self, Chosen};
use crate::world::World;
use crate::world::env::{self, Variable};
use crate::{printable, trust};

/// The places, in order.
pub const PLACES: &[Place] = &[
    Place {
        number: 1,
        source: Source::Env,
        label: |_| "CLOUDSDK_AUTH_ACCESS_TOKEN and the like".to_owned(),
        look: ready_token,
    },
    Place {
        number: 2,
        source: Source::Env,
        label: |_| env::GAUTH_CREDENTIALS.name.to_owned(),
        look: gauth_variable,
    },
    Place {
        number: 2,
        source: Source::Env,
        label: |_| env::GOOGLE_APPLICATION_CREDENTIALS.name.to_owned(),
        look: google_variable,
    },
    Place {
        number: 3,
        source: Source::Login,
        label: |_| "gauth's active account".to_owned(),
        look: active_login,
    },
    Place { number: 4, source: Source::Adc, label: adc_label, look: adc_file },
    Place {
        number: 5,
        source: Source::Gcloud,
        label: |_| "gcloud's account".to_owned(),
        look: gcloud_account,
    },
    Place {
        number: 6,
        source: Source::Metadata,
        label: |_| "metadata server".to_owned(),
        look: metadata_server,
    },
];

/// Longest ready token file, in bytes.
const LARGEST_TOKEN_FILE: usize = 64 * 1024;

/// Turns a result into what was looked at: found or broken.
fn looked(source: &'static str, result: Result<Rc<dyn Credential>>) -> Looked {
    match result {
        Ok(credential) => Looked::Found(Found { credential, source }),
        Err(error) => Looked::Broken(error),
    }
}

fn ready_token(search: &Search<'_>) -> Looked {
    let env = &search.world().env;
    let in_variable = |variable: &Variable| {
        let value = Zeroizing::new(env.os(variable)?.into_encoded_bytes());
        Some(ready(&value, variable.name))
    };
    let in_file = |variable: &Variable| Some(token_file(&env.os(variable)?, variable.name));
    let found = in_variable(&env::CLOUDSDK_AUTH_ACCESS_TOKEN)
        .or_else(|| in_file(&env::CLOUDSDK_AUTH_ACCESS_TOKEN_FILE))
        .or_else(|| in_variable(&env::GOOGLE_OAUTH_ACCESS_TOKEN));
    match found {
        Some(found) => looked("env", found),
        None => Looked::Nothing("not set".to_owned()),
    }
}

fn ready(raw: &[u8], place: &str) -> Result<Rc<dyn Credential>> {
    Ready::new(raw, place).map(|ready| Rc::new(ready) as Rc<dyn Credential>)
}

fn token_file(path: &std::ffi::OsStr, origin: &str) -> Result<Rc<dyn Credential>> {
    let path = Path::new(path);
    let place = place(path, Some(origin));
    let bytes = private_file::read_named(path, LARGEST_TOKEN_FILE)
        .map_err(|fault| unreadable(&fault, path, &place, origin))?;
    ready(&bytes, &place)
}

/// An error about a file, or about what was put where its path belongs: that is not repeated.
fn unreadable(fault: &Fault, path: &Path, place: &str, origin: &str) -> Error {
    match crate::secret::looks_like_content(&path.to_string_lossy()) {
        true => Error::malformed(origin, "holds no path of a file that is there, and is not shown")
            .hint(format!("write it to a file and give the path of that in {origin}")),
        false => fault.at(path, place),
    }
}

/// JSON, base64 of JSON, or the path of a file.
fn gauth_variable(search: &Search<'_>) -> Looked {
    let variable = env::GAUTH_CREDENTIALS;
    let Some(value) = search.world().env.os(&variable) else {
        return Looked::Nothing("not set".to_owned());
    };
    looked("env", in_variable(search, &variable, value))
}

fn in_variable(
    search: &Search<'_>,
    variable: &Variable,
    value: OsString,
) -> Result<Rc<dyn Credential>> {
    let raw = Zeroizing::new(value.clone().into_encoded_bytes());
    let setting = || setting(search, variable.name.to_owned());
    if raw.trim_ascii_start().starts_with(b"{") {
        return credential::parse(&raw, &setting()).map(Rc::from);
    }
    let packed: Zeroizing<Vec<u8>> =
        Zeroizing::new(raw.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect());
    // "{" in base64 begins with "e"; a path may as well, but is then no base64 of an object.
    if let Ok(json) = STANDARD.decode(&*packed).map(Zeroizing::new)
        && json.trim_ascii_start().starts_with(b"{")
    {
        return credential::parse(&json, &setting()).map(Rc::from);
    }
    if crate::secret::looks_secret(&value.to_string_lossy()) {
        return Err(Error::malformed(
            variable.name,
            "holds a token or key where a credential belongs",
        )
        .hint("put the JSON of a credential there, or the path of its file"));
    }
    file(search, Path::new(&value), Some(variable.name))
}

fn google_variable(search: &Search<'_>) -> Looked {
    let variable = env::GOOGLE_APPLICATION_CREDENTIALS;
    match search.world().env.os(&variable) {
        None => Looked::Nothing("not set".to_owned()),
        Some(path) => looked("env", file(search, Path::new(&path), Some(variable.name))),
    }
}

fn active_login(search: &Search<'_>) -> Looked {
    let load = || -> Result<Option<Rc<dyn Credential>>> {
        let Some(name) = accounts::active(search.world())? else { return Ok(None) };
        let Some((path, bytes)) = accounts::load(&name, search.world())? else {
            let name = printable::text(&name);
            let message = format!("gauth's active account {name} has no stored login");
            return Err(Error::new(crate::ErrorKind::NoCredential, message)
                .hint(format!("gauth login --account {name}, or gauth accounts use ACCOUNT")));
        };
        Ok(Some(own_login(search, &name, path, bytes)))
    };
    match load() {
        Ok(None) => Looked::Nothing("none".to_owned()),
        Ok(Some(credential)) => Looked::Found(Found { credential, source: "login" }),
        Err(error) => Looked::Broken(error),
    }
}

/// A login of gauth's own store.
pub(super) fn own_login(
    search: &Search<'_>,
    name: &str,
    path: PathBuf,
    text: Zeroizing<Vec<u8>>,
) -> Rc<dyn Credential> {
    let mut setting = setting(search, printable::path(&path));
    setting.origin = Origin::Ours(path);
    setting.vaults = Some(search.settings.vaults.clone());
    setting.account = Some(name.to_owned());
    setting.login_hint = format!("gauth login --account {}", printable::text(name));
    Rc::new(Deferred::new(text, setting))
}

fn adc_label(world: &World) -> String {
    match &world.folders.gcloud {
        Some(folder) => {
            let path = gcloud::adc_path(folder);
            printable::home_path(&path, world.folders.home.as_deref()).into_owned()
        }
        None => "gcloud's ADC file".to_owned(),
    }
}

fn adc_file(search: &Search<'_>) -> Looked {
    let Some(folder) = &search.world().folders.gcloud else {
        return Looked::Nothing("there is no home folder".to_owned());
    };
    let path = gcloud::adc_path(folder);
    match std::fs::symlink_metadata(&path) {
        Err(error) if is_absent(&error) => Looked::Nothing("not there".to_owned()),
        _ => looked("adc", file(search, &path, None)),
    }
}

/// No such file, or no folder where one would be, or none that this user may enter.
fn is_absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}

fn gcloud_account(search: &Search<'_>) -> Looked {
    match in_gcloud(search) {
        Ok(Ok(credential)) => Looked::Found(Found { credential, source: "gcloud" }),
        Ok(Err(reason)) => Looked::Nothing(reason),
        Err(error) => Looked::Broken(error),
    }
}

fn properties(search: &Search<'_>) -> Properties {
    Properties::open(search.world().folders.gcloud.as_deref(), &search.world().env)
}

/// gcloud's own order: a token file, a credential file in place of the account, the account.
fn in_gcloud(search: &Search<'_>) -> Result<std::result::Result<Rc<dyn Credential>, String>> {
    let properties = properties(search);
    let found = in_properties(search, &properties)?;
    // The variable of this property holds for all places, and a flag goes before both.
    let target = properties.get("auth", "impersonate_service_account")?;
    match (found, target.filter(|_| search.settings.impersonate.is_none())) {
        (Ok(credential), Some(target)) if !target.value.trim().is_empty() => {
            let chosen = Chosen { value: target.value, origin: target.origin, named: false };
            let chain = settings::accounts_in_order(&chosen)?;
            dress::acting_as(credential, &chain.value, search.settings).map(Ok)
        }
        (found, _) => Ok(found),
    }
}

fn in_properties(
    search: &Search<'_>,
    properties: &Properties,
) -> Result<std::result::Result<Rc<dyn Credential>, String>> {
    let set = |section, name| -> Result<Option<gcloud::properties::Property>> {
        Ok(properties.get(section, name)?.filter(|property| !property.value.trim().is_empty()))
    };
    if let Some(path) = set("auth", "access_token_file")? {
        return token_file(path.value.as_ref(), &path.origin).map(Ok);
    }
    if let Some(path) = set("auth", "credential_file_override")? {
        return file(search, Path::new(&path.value), Some(&path.origin)).map(Ok);
    }
    let Some(account) = set("core", "account")? else {
        return Ok(Err("no account is set".to_owned()));
    };
    match gcloud_login_with(search, properties, &account.value, None)? {
        Some(login) => Ok(Ok(Rc::new(login))),
        None => {
            let name = printable::text(&account.value);
            Ok(Err(format!("{name} is set, but no login is stored")))
        }
    }
}

/// An account of gcloud's, by name; `None` when gcloud has stored nothing at all.
pub(super) fn gcloud_login(search: &Search<'_>, name: &str) -> Result<Option<Lazy<GcloudAccount>>> {
    gcloud_login_of(search, name, None)
}

/// The same in this universe.
pub(super) fn gcloud_login_of(
    search: &Search<'_>,
    name: &str,
    universe: Option<String>,
) -> Result<Option<Lazy<GcloudAccount>>> {
    gcloud_login_with(search, &properties(search), name, universe)
}

fn gcloud_login_with(
    search: &Search<'_>,
    properties: &Properties,
    name: &str,
    universe: Option<String>,
) -> Result<Option<Lazy<GcloudAccount>>> {
    let Some(folder) = search.world().folders.gcloud.clone() else { return Ok(None) };
    let mut setting = setting(search, printable::path(&folder.join("credentials.db")));
    setting.account = Some(name.to_owned());
    setting.login_hint = format!("gcloud auth login {}", printable::text(name));
    setting.self_signed =
        properties.is_on("auth", "service_account_use_self_signed_jwt")?.unwrap_or(false);
    if setting.token_host.is_none()
        && let Some(host) = properties.get("auth", "token_host")?
    {
        setting.token_host = Some(trust::chosen_endpoint(&host.value, "auth/token_host")?);
    }
    setting.quota_project = gcloud::quota_project(properties)?.map(|property| property.value);
    let universe = match universe.or_else(|| search.settings.universe_domain.clone()) {
        Some(universe) => Some(universe),
        None => gcloud::universe(properties)?.map(|property| property.value),
    };
    let metadata = detect::host(search.world())?;
    Ok(GcloudAccount::new(folder, name.to_owned(), universe, setting, metadata))
}

fn metadata_server(search: &Search<'_>) -> Looked {
    match detect::guess(search.world()) {
        Guess::No(reason) => return Looked::Nothing(reason),
        Guess::Unknown if !search.may_ask => {
            return Looked::Nothing("not asked (gauth status --check asks)".to_owned());
        }
        Guess::Unknown => {
            if let Err(reason) = detect::ping(search.broker) {
                return Looked::Nothing(reason);
            }
        }
        Guess::Yes(_) => {}
    }
    let world = search.world();
    let universe = search.settings.universe_domain.clone();
    looked(
        "metadata",
        detect::host(world).map(|host| {
            let metadata = Metadata::new(host, None, world.folders.boot_id(), universe);
            Rc::new(metadata) as Rc<dyn Credential>
        }),
    )
}

/// The file of `--credentials`, or standard input.
pub(super) fn named_file(
    search: &Search<'_>,
    named: &Chosen<OsString>,
) -> Result<Rc<dyn Credential>> {
    if named.value != "-" {
        let from_file = (named.origin != "--credentials").then_some(named.origin.as_str());
        return file(search, Path::new(&named.value), from_file);
    }
    let input = &search.world().streams;
    let bytes = input
        .read_input(accounts::LARGEST, Duration::from_secs(10))
        .map_err(|fault| fault.at(Path::new("-"), "standard input"))?;
    credential::parse(&bytes, &setting(search, "standard input".to_owned())).map(Rc::from)
}

fn file(search: &Search<'_>, path: &Path, origin: Option<&str>) -> Result<Rc<dyn Credential>> {
    let place = place(path, origin);
    let text = private_file::read_named(path, accounts::LARGEST)
        .map_err(|fault| unreadable(&fault, path, &place, origin.unwrap_or("--credentials")))?;
    Ok(Rc::new(Deferred::new(text, setting(search, place))))
}

/// A path, and the variable or property that led there.
fn place(path: &Path, origin: Option<&str>) -> String {
    let shown = printable::path(path);
    match origin {
        Some(origin) => format!("{shown} ({origin})"),
        None => shown,
    }
}

/// What decides how a credential found at `place` is understood.
pub fn setting(search: &Search<'_>, place: String) -> Setting {
    let settings = search.settings;
    Setting {
        token_host: settings.token_host.clone(),
        services: settings.services.clone(),
        surroundings: search.world().env.text(&env::AWS_ACCESS_KEY_ID).ok().flatten(),
        allowed_hosts: settings.allowed_token_hosts.clone(),
        universe_domain: settings.universe_domain.clone(),
        ..Setting::at(place)
    }
}
