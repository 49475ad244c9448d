//! The values of flags, variables and `config.toml`, parsed; errors name where the value is set.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Downscoping, Overrides, Source, Sourced};
use crate::credentials::external_account::workload::SubjectTokenLocation;
use crate::credentials::{EndpointOverrides, impersonated};
use crate::error::{Error, Result};
use crate::net::endpoint_policy;
use crate::net::url::Url;
use crate::text::duration;
use crate::text::printable::quoted_argument;
use crate::text::scopes::expand_scopes;
use crate::world::env::Variable;
use crate::world::{World, env};

/// The longest `--timeout`; more is cut to it.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// A flag's value as text.
///
/// # Errors
/// Usage, when it is empty or not valid UTF-8.
pub fn flag_text(flag: &str, value: &OsStr) -> Result<String> {
    match value.to_str() {
        Some("") => Err(Error::usage(format!("{flag} is empty")).hint(format!("give {flag} a value, or remove it"))),
        Some(text) => Ok(text.to_owned()),
        None => {
            Err(Error::usage(format!("the value of {flag} is not valid UTF-8")).hint(format!("give {flag} as text")))
        }
    }
}

/// A chain of service accounts, separated by commas: the last is impersonated, the others are its delegates.
///
/// # Errors
/// Usage, when one of them is not the e-mail address or number of a service account.
pub fn parse_impersonation_chain(chosen: &Sourced<String>) -> Result<Sourced<Vec<String>>> {
    let chain: Vec<String> = chosen.value.split(',').map(|name| name.trim().to_owned()).collect();
    if let Some(invalid) = chain.iter().find(|name| !impersonated::is_service_account_name(name)) {
        let (origin, invalid) = (&chosen.origin, quoted_argument(invalid, "the value"));
        return Err(Error::usage(format!("{origin}: {invalid} is not a service account"))
            .hint("name it by its e-mail address, as in ci@my-project.iam.gserviceaccount.com"));
    }
    Ok(chosen.clone().map(|_| chain))
}

/// An endpoint that one of gcloud's variables overrides, such as `CLOUDSDK_AUTH_TOKEN_HOST`.
///
/// # Errors
/// Usage or unsafe, naming the variable.
pub fn endpoint_override(world: &World, variable: &Variable) -> Result<Option<Url>> {
    let value = world.env.text(variable)?;
    value.map(|text| endpoint_policy::check_endpoint_override(&text, variable.name)).transpose()
}

/// The service endpoints that gcloud's variables override.
pub(super) fn service_endpoints(world: &World) -> Result<EndpointOverrides> {
    Ok(EndpointOverrides {
        sts: endpoint_override(world, &env::CLOUDSDK_API_ENDPOINT_OVERRIDES_STS)?,
        iam_credentials: endpoint_override(world, &env::CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS)?,
        introspection_endpoint: endpoint_override(world, &env::CLOUDSDK_AUTH_TOKEN_INTROSPECTION_ENDPOINT)?,
    })
}

pub(super) fn subject_token_location(flags: &Overrides) -> Result<SubjectTokenLocation> {
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

pub(super) fn downscoping(flags: &Overrides) -> Result<Option<Downscoping>> {
    if let Some(file) = &flags.access_boundary {
        return Ok(Some(Downscoping::File(PathBuf::from(file))));
    }
    let rules: Vec<String> =
        flags.downscope.iter().map(|rule| flag_text("--downscope", rule)).collect::<Result<_>>()?;
    Ok((!rules.is_empty()).then_some(Downscoping::Rules(rules)))
}

/// Scopes as they were typed, separated by commas or spaces and perhaps short, as full URLs.
pub(super) fn parse_scopes(scope_lists: &Sourced<Vec<String>>) -> Result<Vec<String>> {
    let scopes = expand_scopes(scope_lists.value.iter().map(String::as_str));
    if scopes.is_empty() || !scopes.iter().all(|scope| is_visible_ascii(scope)) {
        let written = scope_lists.value.join(" ");
        let (origin, written) = (&scope_lists.origin, quoted_argument(&written, "the value"));
        return Err(Error::usage(format!("{origin}: {written} is not a list of scopes"))
            .hint("--scopes cloud-platform, or a URL as Google's documentation gives it"));
    }
    Ok(scopes)
}

/// `--subject`: the user of the domain that a service account acts for.
pub(super) fn parse_subject(subject: String) -> Result<String> {
    let is_blank = |c: char| c.is_whitespace() || c.is_control();
    if !subject.contains('@') || subject.chars().any(is_blank) {
        let subject = quoted_argument(&subject, "the value");
        return Err(
            Error::usage(format!("--subject: {subject} is not an e-mail address")).hint("--subject ada@example.com")
        );
    }
    Ok(subject)
}

/// The value of `--lifetime`, in seconds.
pub(super) fn parse_lifetime(written: String) -> Result<u32> {
    let seconds = parse_seconds(&Sourced::explicit(written, "--lifetime"))?;
    u32::try_from(seconds).ok().filter(|seconds| *seconds > 0).ok_or_else(|| {
        Error::usage(format!("--lifetime {seconds}s is out of range")).hint("give 1s to 12h; most credentials allow 1h")
    })
}

pub(super) fn parse_source(chosen: Sourced<String>) -> Result<Sourced<Source>> {
    match Source::parse(&chosen.value) {
        Some(source) => Ok(chosen.map(|_| source)),
        None => {
            let (origin, name) = (&chosen.origin, quoted_argument(&chosen.value, "of that name"));
            Err(Error::usage(format!("{origin}: there is no source {name}"))
                .hint("name one of env, login, adc, gcloud, metadata"))
        }
    }
}

pub(super) fn parse_universe_domain(chosen: Sourced<String>) -> Result<String> {
    let Sourced { value, origin, .. } = chosen;
    match endpoint_policy::check_universe_domain(&value) {
        Ok(()) => Ok(value),
        Err(what) => Err(Error::usage(format!("{origin}: {} {what}", quoted_argument(&value, "the value")))
            .hint(format!("give {origin} a domain such as {}", endpoint_policy::DEFAULT_UNIVERSE))),
    }
}

/// A project, which is sent in a header: visible ASCII.
pub(super) fn parse_quota_project(chosen: Sourced<String>) -> Result<String> {
    match is_visible_ascii(&chosen.value) {
        true => Ok(chosen.value),
        false => {
            let (origin, value) = (&chosen.origin, quoted_argument(&chosen.value, "the value"));
            Err(Error::usage(format!("{origin}: {value} has characters that no header can carry"))
                .hint("give the ID of a project, as in my-project-123"))
        }
    }
}

fn is_visible_ascii(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(super) fn parse_seconds(chosen: &Sourced<String>) -> Result<i64> {
    i64::try_from(parse_duration(chosen)?.as_secs())
        .map_err(|_| Error::usage(format!("{} is too long", chosen.origin)).hint("give at most 12h"))
}

pub(super) fn parse_timeout(chosen: &Sourced<String>) -> Result<Duration> {
    let timeout = parse_duration(chosen)?;
    match timeout.is_zero() {
        false => Ok(timeout.min(MAX_TIMEOUT)),
        true => Err(Error::usage(format!("{} leaves no time at all", chosen.origin))
            .hint("give at least 1s; the default is 30s")),
    }
}

fn parse_duration(chosen: &Sourced<String>) -> Result<Duration> {
    duration::parse(&chosen.value).map_err(|what| {
        let (origin, value) = (&chosen.origin, quoted_argument(&chosen.value, "the value"));
        Error::usage(format!("{origin}: {value} {what}")).hint(format!("give {origin} a duration such as 10m"))
    })
}
