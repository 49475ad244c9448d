//! The six places, one function each.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::accounts;
use crate::accounts::Origin;
use crate::config;
use crate::config::SourceName;
use crate::config::Sourced;
use crate::credentials;
use crate::credentials::ParseOptions;
use crate::credentials::gcloud_account::GcloudAccount;
use crate::credentials::lazy::LazyCredential;
use crate::credentials::metadata_server::MetadataServerCredential;
use crate::credentials::static_token::StaticToken;
use crate::credentials::unparsed::DeferredFile;
use crate::discovery::metadata_detection;
use crate::discovery::metadata_detection::MetadataPresence;
use crate::discovery::{CredentialSource, Discovery, FoundCredential, Lookup, decorations};
use crate::error::{Error, Result};
use crate::gcloud;
use crate::gcloud::properties::GcloudProperties;
use crate::net::endpoint_policy;
use crate::text::printable;
use crate::tokens::credential::Credential;
use crate::world::World;
use crate::world::env;
use crate::world::env::Variable;
use crate::world::private_file;
use crate::world::private_file::PrivateFileError;

/// The places, in order.
pub const SOURCES: &[CredentialSource] = &[
    CredentialSource {
        number: 1,
        group: SourceName::Env,
        label: |_| "CLOUDSDK_AUTH_ACCESS_TOKEN and the like".to_owned(),
        probe: access_token_variables,
    },
    CredentialSource {
        number: 2,
        group: SourceName::Env,
        label: |_| env::GAUTH_CREDENTIALS.name.to_owned(),
        probe: gauth_credentials_variable,
    },
    CredentialSource {
        number: 2,
        group: SourceName::Env,
        label: |_| env::GOOGLE_APPLICATION_CREDENTIALS.name.to_owned(),
        probe: application_credentials_variable,
    },
    CredentialSource {
        number: 3,
        group: SourceName::Login,
        label: |_| "gauth's active account".to_owned(),
        probe: active_gauth_login,
    },
    CredentialSource { number: 4, group: SourceName::Adc, label: adc_label, probe: adc_file },
    CredentialSource {
        number: 5,
        group: SourceName::Gcloud,
        label: |_| "gcloud's account".to_owned(),
        probe: gcloud_account,
    },
    CredentialSource {
        number: 6,
        group: SourceName::Metadata,
        label: |_| "metadata server".to_owned(),
        probe: metadata_server,
    },
];

/// Longest ready token file, in bytes.
const MAX_TOKEN_FILE_BYTES: usize = 64 * 1024;

/// Turns a result into what was looked at: found or broken.
fn lookup_from(source: &'static str, result: Result<Rc<dyn Credential>>) -> Lookup {
    match result {
        Ok(credential) => Lookup::Found(FoundCredential { credential, source }),
        Err(error) => Lookup::Broken(error),
    }
}

fn access_token_variables(search: &Discovery<'_>) -> Lookup {
    let env = &search.world().env;
    let from_variable = |variable: &Variable| {
        let value = Zeroizing::new(env.os(variable)?.into_encoded_bytes());
        Some(static_token(&value, variable.name))
    };
    let from_file =
        |variable: &Variable| Some(static_token_file(&env.os(variable)?, variable.name));
    let found = from_variable(&env::CLOUDSDK_AUTH_ACCESS_TOKEN)
        .or_else(|| from_file(&env::CLOUDSDK_AUTH_ACCESS_TOKEN_FILE))
        .or_else(|| from_variable(&env::GOOGLE_OAUTH_ACCESS_TOKEN));
    match found {
        Some(found) => lookup_from("env", found),
        None => Lookup::NotFound("not set".to_owned()),
    }
}

fn static_token(raw: &[u8], location: &str) -> Result<Rc<dyn Credential>> {
    StaticToken::new(raw, location).map(|token| Rc::new(token) as Rc<dyn Credential>)
}

fn static_token_file(path: &std::ffi::OsStr, origin: &str) -> Result<Rc<dyn Credential>> {
    let path = Path::new(path);
    let location = describe_location(path, Some(origin));
    let bytes = private_file::read_user_file(path, MAX_TOKEN_FILE_BYTES)
        .map_err(|error| file_error(&error, path, &location, origin))?;
    static_token(&bytes, &location)
}

/// An error about a file, or about what was put where its path belongs: that is not repeated.
fn file_error(error: &PrivateFileError, path: &Path, location: &str, origin: &str) -> Error {
    match crate::text::secret::looks_like_file_content(&path.to_string_lossy()) {
        true => Error::malformed(origin, "holds no path of a file that is there, and is not shown")
            .hint(format!("write it to a file and give the path of that in {origin}")),
        false => error.to_error(path, location),
    }
}

/// JSON, base64 of JSON, or the path of a file.
fn gauth_credentials_variable(search: &Discovery<'_>) -> Lookup {
    let variable = env::GAUTH_CREDENTIALS;
    let Some(value) = search.world().env.os(&variable) else {
        return Lookup::NotFound("not set".to_owned());
    };
    lookup_from("env", parse_credential_variable(search, &variable, value))
}

fn parse_credential_variable(
    search: &Discovery<'_>,
    variable: &Variable,
    value: OsString,
) -> Result<Rc<dyn Credential>> {
    let raw = Zeroizing::new(value.clone().into_encoded_bytes());
    let options = || parse_options(search, variable.name.to_owned());
    if raw.trim_ascii_start().starts_with(b"{") {
        return credentials::parse(&raw, &options()).map(Rc::from);
    }
    let base64_text: Zeroizing<Vec<u8>> =
        Zeroizing::new(raw.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect());
    // "{" in base64 begins with "e"; a path may as well, but is then no base64 of an object.
    if let Ok(json) = STANDARD.decode(&*base64_text).map(Zeroizing::new)
        && json.trim_ascii_start().starts_with(b"{")
    {
        return credentials::parse(&json, &options()).map(Rc::from);
    }
    if crate::text::secret::looks_like_secret(&value.to_string_lossy()) {
        return Err(Error::malformed(
            variable.name,
            "holds a token or key where a credential belongs",
        )
        .hint("put the JSON of a credential there, or the path of its file"));
    }
    credential_file(search, Path::new(&value), Some(variable.name))
}

fn application_credentials_variable(search: &Discovery<'_>) -> Lookup {
    let variable = env::GOOGLE_APPLICATION_CREDENTIALS;
    match search.world().env.os(&variable) {
        None => Lookup::NotFound("not set".to_owned()),
        Some(path) => {
            lookup_from("env", credential_file(search, Path::new(&path), Some(variable.name)))
        }
    }
}

fn active_gauth_login(search: &Discovery<'_>) -> Lookup {
    let load = || -> Result<Option<Rc<dyn Credential>>> {
        let Some(name) = accounts::active_account(search.world())? else { return Ok(None) };
        let Some((path, bytes)) = accounts::load(&name, search.world())? else {
            let name = printable::text(&name);
            let message = format!("gauth's active account {name} has no stored login");
            return Err(Error::new(crate::ErrorKind::NoCredential, message)
                .hint(format!("gauth login --account {name}, or gauth accounts use ACCOUNT")));
        };
        Ok(Some(gauth_login(search, &name, path, bytes)))
    };
    match load() {
        Ok(None) => Lookup::NotFound("none".to_owned()),
        Ok(Some(credential)) => Lookup::Found(FoundCredential { credential, source: "login" }),
        Err(error) => Lookup::Broken(error),
    }
}

/// A login of gauth's own store.
pub(super) fn gauth_login(
    search: &Discovery<'_>,
    name: &str,
    path: PathBuf,
    text: Zeroizing<Vec<u8>>,
) -> Rc<dyn Credential> {
    let mut options = parse_options(search, printable::path(&path));
    options.origin = Origin::Own(path);
    options.secret_stores = Some(search.config.secret_stores.clone());
    options.account = Some(name.to_owned());
    options.sign_in_hint = format!("gauth login --account {}", printable::text(name));
    Rc::new(DeferredFile::new(text, options))
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

fn adc_file(search: &Discovery<'_>) -> Lookup {
    let Some(folder) = &search.world().folders.gcloud else {
        return Lookup::NotFound("there is no home folder".to_owned());
    };
    let path = gcloud::adc_path(folder);
    match std::fs::symlink_metadata(&path) {
        Err(error) if is_absent(&error) => Lookup::NotFound("not there".to_owned()),
        _ => lookup_from("adc", credential_file(search, &path, None)),
    }
}

/// No such file, or no folder where one would be, or none that this user may enter.
fn is_absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}

fn gcloud_account(search: &Discovery<'_>) -> Lookup {
    match find_gcloud_credential(search) {
        Ok(Ok(credential)) => Lookup::Found(FoundCredential { credential, source: "gcloud" }),
        Ok(Err(reason)) => Lookup::NotFound(reason),
        Err(error) => Lookup::Broken(error),
    }
}

fn gcloud_properties(search: &Discovery<'_>) -> GcloudProperties {
    GcloudProperties::open(search.world().folders.gcloud.as_deref(), &search.world().env)
}

/// gcloud's own order: a token file, a credential file in place of the account, the account.
fn find_gcloud_credential(
    search: &Discovery<'_>,
) -> Result<std::result::Result<Rc<dyn Credential>, String>> {
    let properties = gcloud_properties(search);
    let found = credential_from_properties(search, &properties)?;
    // The variable of this property holds for all places, and a flag goes before both.
    let target = properties.get("auth", "impersonate_service_account")?;
    match (found, target.filter(|_| search.config.impersonation_chain.is_none())) {
        (Ok(credential), Some(target)) if !target.value.trim().is_empty() => {
            let chosen = Sourced { value: target.value, origin: target.origin, explicit: false };
            let chain = config::parse_impersonation_chain(&chosen)?;
            decorations::apply_impersonation(credential, &chain.value, search.config).map(Ok)
        }
        (found, _) => Ok(found),
    }
}

fn credential_from_properties(
    search: &Discovery<'_>,
    properties: &GcloudProperties,
) -> Result<std::result::Result<Rc<dyn Credential>, String>> {
    let non_empty = |section, name| -> Result<Option<gcloud::properties::GcloudProperty>> {
        Ok(properties.get(section, name)?.filter(|property| !property.value.trim().is_empty()))
    };
    if let Some(path) = non_empty("auth", "access_token_file")? {
        return static_token_file(path.value.as_ref(), &path.origin).map(Ok);
    }
    if let Some(path) = non_empty("auth", "credential_file_override")? {
        return credential_file(search, Path::new(&path.value), Some(&path.origin)).map(Ok);
    }
    let Some(account) = non_empty("core", "account")? else {
        return Ok(Err("no account is set".to_owned()));
    };
    match gcloud_login_with_properties(search, properties, &account.value, None)? {
        Some(login) => Ok(Ok(Rc::new(login))),
        None => {
            let name = printable::text(&account.value);
            Ok(Err(format!("{name} is set, but no login is stored")))
        }
    }
}

/// An account of gcloud's, by name; `None` when gcloud has stored nothing at all.
pub(super) fn gcloud_login(
    search: &Discovery<'_>,
    name: &str,
) -> Result<Option<LazyCredential<GcloudAccount>>> {
    gcloud_login_in_universe(search, name, None)
}

/// The same in this universe.
pub(super) fn gcloud_login_in_universe(
    search: &Discovery<'_>,
    name: &str,
    universe: Option<String>,
) -> Result<Option<LazyCredential<GcloudAccount>>> {
    gcloud_login_with_properties(search, &gcloud_properties(search), name, universe)
}

fn gcloud_login_with_properties(
    search: &Discovery<'_>,
    properties: &GcloudProperties,
    name: &str,
    universe: Option<String>,
) -> Result<Option<LazyCredential<GcloudAccount>>> {
    let Some(folder) = search.world().folders.gcloud.clone() else { return Ok(None) };
    let mut options = parse_options(search, printable::path(&folder.join("credentials.db")));
    options.account = Some(name.to_owned());
    options.sign_in_hint = format!("gcloud auth login {}", printable::text(name));
    options.use_self_signed_jwt =
        properties.get_bool("auth", "service_account_use_self_signed_jwt")?.unwrap_or(false);
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
    let metadata = metadata_detection::host(search.world())?;
    Ok(GcloudAccount::new(folder, name.to_owned(), universe, options, metadata))
}

fn metadata_server(search: &Discovery<'_>) -> Lookup {
    match metadata_detection::infer_presence(search.world()) {
        MetadataPresence::Absent(reason) => return Lookup::NotFound(reason),
        MetadataPresence::Unknown if !search.allow_network => {
            return Lookup::NotFound("not asked (gauth status --check asks)".to_owned());
        }
        MetadataPresence::Unknown => {
            if let Err(reason) = metadata_detection::ping(search.broker) {
                return Lookup::NotFound(reason);
            }
        }
        MetadataPresence::Present(_) => {}
    }
    let world = search.world();
    let universe = search.config.universe_domain.clone();
    lookup_from(
        "metadata",
        metadata_detection::host(world).map(|host| {
            let metadata =
                MetadataServerCredential::new(host, None, world.folders.boot_id(), universe);
            Rc::new(metadata) as Rc<dyn Credential>
        }),
    )
}

/// The file of `--credentials`, or standard input.
pub(super) fn explicit_credential_file(
    search: &Discovery<'_>,
    file: &Sourced<OsString>,
) -> Result<Rc<dyn Credential>> {
    if file.value != "-" {
        let origin = (file.origin != "--credentials").then_some(file.origin.as_str());
        return credential_file(search, Path::new(&file.value), origin);
    }
    let input = &search.world().streams;
    let bytes = input
        .read_stdin(accounts::MAX_CREDENTIAL_FILE_BYTES, Duration::from_secs(10))
        .map_err(|error| error.to_error(Path::new("-"), "standard input"))?;
    credentials::parse(&bytes, &parse_options(search, "standard input".to_owned())).map(Rc::from)
}

fn credential_file(
    search: &Discovery<'_>,
    path: &Path,
    origin: Option<&str>,
) -> Result<Rc<dyn Credential>> {
    let location = describe_location(path, origin);
    let text = private_file::read_user_file(path, accounts::MAX_CREDENTIAL_FILE_BYTES)
        .map_err(|error| file_error(&error, path, &location, origin.unwrap_or("--credentials")))?;
    Ok(Rc::new(DeferredFile::new(text, parse_options(search, location))))
}

/// A path, and the variable or property that led there.
fn describe_location(path: &Path, origin: Option<&str>) -> String {
    let shown = printable::path(path);
    match origin {
        Some(origin) => format!("{shown} ({origin})"),
        None => shown,
    }
}

/// What decides how a credential found at `place` is understood.
pub fn parse_options(search: &Discovery<'_>, location: String) -> ParseOptions {
    let config = search.config;
    ParseOptions {
        token_endpoint_override: config.token_host.clone(),
        endpoint_overrides: config.services.clone(),
        aws_access_key_id: search.world().env.text(&env::AWS_ACCESS_KEY_ID).ok().flatten(),
        allowed_hosts: config.allowed_token_hosts.clone(),
        universe_domain: config.universe_domain.clone(),
        ..ParseOptions::new(location)
    }
}
