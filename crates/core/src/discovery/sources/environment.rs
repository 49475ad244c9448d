//! The steps for environment variables, and how a credential file is read.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::config::Source;
use crate::credentials::ParseOptions;
use crate::credentials::static_token::StaticToken;
use crate::credentials::unparsed::DeferredFile;
use crate::discovery::{Discovery, Lookup};
use crate::error::{Error, Result};
use crate::text::{printable, secret};
use crate::tokens::credential::Credential;
use crate::world::env::Variable;
use crate::world::private_file::PrivateFileError;
use crate::world::{env, private_file};
use crate::{accounts, credentials};

/// Largest file that holds a static access token, in bytes.
const MAX_TOKEN_FILE_BYTES: usize = 64 * 1024;

/// The variables that hold a static access token, or name a file with one.
pub(super) fn access_token_variables(search: &Discovery<'_>) -> Result<Lookup> {
    let env = &search.world().env;
    let from_variable = |variable: &Variable| {
        let value = Zeroizing::new(env.os(variable)?.into_encoded_bytes());
        Some(static_token(&value, variable.name))
    };
    let from_file = |variable: &Variable| Some(static_token_file(&env.os(variable)?, variable.name));
    let token = from_variable(&env::CLOUDSDK_AUTH_ACCESS_TOKEN)
        .or_else(|| from_file(&env::CLOUDSDK_AUTH_ACCESS_TOKEN_FILE))
        .or_else(|| from_variable(&env::GOOGLE_OAUTH_ACCESS_TOKEN));
    lookup_in_environment(token)
}

/// `GAUTH_CREDENTIALS`: JSON, base64 of JSON, or the path of a file.
pub(super) fn gauth_credentials_variable(search: &Discovery<'_>) -> Result<Lookup> {
    let variable = env::GAUTH_CREDENTIALS;
    let value = search.world().env.os(&variable);
    lookup_in_environment(value.map(|value| credential_in_variable(search, &variable, value)))
}

/// `GOOGLE_APPLICATION_CREDENTIALS`: the path of a file.
pub(super) fn application_credentials_variable(search: &Discovery<'_>) -> Result<Lookup> {
    let variable = env::GOOGLE_APPLICATION_CREDENTIALS;
    let path = search.world().env.os(&variable);
    lookup_in_environment(path.map(|path| credential_file(search, Path::new(&path), Some(variable.name))))
}

fn lookup_in_environment(credential: Option<Result<Rc<dyn Credential>>>) -> Result<Lookup> {
    match credential {
        None => Ok(Lookup::NotSet("not set".to_owned())),
        Some(credential) => Ok(Lookup::found(Source::Env, credential?)),
    }
}

fn static_token(raw: &[u8], location: &str) -> Result<Rc<dyn Credential>> {
    StaticToken::new(raw, location).map(|token| Rc::new(token) as Rc<dyn Credential>)
}

/// A static access token in a file, which the variable or property `origin` names.
pub(super) fn static_token_file(path: &OsStr, origin: &str) -> Result<Rc<dyn Credential>> {
    let path = Path::new(path);
    let location = describe_location(path, Some(origin));
    let bytes = private_file::read_user_file(path, MAX_TOKEN_FILE_BYTES)
        .map_err(|error| file_error(&error, path, &location, origin))?;
    static_token(&bytes, &location)
}

fn credential_in_variable(search: &Discovery<'_>, variable: &Variable, value: OsString) -> Result<Rc<dyn Credential>> {
    let raw = Zeroizing::new(value.clone().into_encoded_bytes());
    let parse = |json: &[u8]| credentials::parse(json, &parse_options(search, variable.name.to_owned())).map(Rc::from);
    if raw.trim_ascii_start().starts_with(b"{") {
        return parse(&raw);
    }
    let base64_text: Zeroizing<Vec<u8>> =
        Zeroizing::new(raw.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect());
    // "{" in base64 begins with "e"; a path may as well, but is then no base64 of an object.
    if let Ok(json) = STANDARD.decode(&*base64_text).map(Zeroizing::new)
        && json.trim_ascii_start().starts_with(b"{")
    {
        return parse(&json);
    }
    if secret::looks_like_secret(&value.to_string_lossy()) {
        return Err(Error::malformed(variable.name, "holds a token or key where a credential belongs")
            .hint("put the JSON of a credential there, or the path of its file"));
    }
    credential_file(search, Path::new(&value), Some(variable.name))
}

/// The credential in a file, which the variable, property or file `origin` names; without one, `--credentials` does.
pub(super) fn credential_file(search: &Discovery<'_>, path: &Path, origin: Option<&str>) -> Result<Rc<dyn Credential>> {
    let location = describe_location(path, origin);
    let text = private_file::read_user_file(path, accounts::MAX_CREDENTIAL_FILE_BYTES)
        .map_err(|error| file_error(&error, path, &location, origin.unwrap_or("--credentials")))?;
    Ok(Rc::new(DeferredFile::new(text, parse_options(search, location))))
}

/// A path, and the variable or property that names it.
fn describe_location(path: &Path, origin: Option<&str>) -> String {
    let path = printable::path(path);
    match origin {
        Some(origin) => format!("{path} ({origin})"),
        None => path,
    }
}

/// The error about a file that cannot be read. A secret that stands where a path belongs is not repeated.
fn file_error(error: &PrivateFileError, path: &Path, location: &str, origin: &str) -> Error {
    match secret::looks_like_file_content(&path.to_string_lossy()) {
        true => {
            Error::malformed(origin, "does not hold the path of a file; its value may be a secret and is not shown")
                .hint(format!("write the value to a file and set {origin} to the path of that file"))
        }
        false => error.to_error(path, location),
    }
}

/// How a credential found at `location` is parsed in this run.
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
