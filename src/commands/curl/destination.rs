//! Which hosts may receive which token.

use gauth_core::error::{Error, Result};
use gauth_core::net::endpoint_policy;
use gauth_core::net::endpoint_policy::DEFAULT_UNIVERSE;
use gauth_core::net::url::{Scheme, Url};
use gauth_core::text::printable;

/// The token that curl sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CurlTokenKind {
    /// An access token, for Google APIs.
    AccessToken,
    /// An ID token for this audience.
    IdToken(String),
}

/// Reads scheme, host and port of a URL. Accepts less than curl does, so that both read the same host.
///
/// # Errors
/// `Unsafe` for every URL but https to a plain host name and http to a loopback address.
pub(super) fn parse_destination(text: &str) -> Result<Url> {
    let shown = printable::text(text.split(['?', '#']).next().unwrap_or_default());
    let Some((scheme, rest)) = text.split_once("://") else {
        let error = Error::not_safe(format!(
            "the URL \"{shown}\" has no scheme, and curl would send the token over http, without TLS"
        ));
        return Err(error.hint(format!("https://{shown}")));
    };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if authority.contains('@') {
        return Err(Error::not_safe(
            "a URL contains a user name or a password before its host, and gauth sends a token",
        )
        .hint("remove the part of the URL before the @"));
    }
    if authority.contains(['{', '}']) || has_glob_brackets(authority) {
        return Err(Error::not_safe(format!("{shown}: curl expands {{}} and [] in the host name"))
            .hint("write one URL for each host; the path may contain {} and []"));
    }
    if rest.chars().any(|letter| letter.is_control()) {
        return Err(Error::not_safe(format!("the URL \"{shown}\" contains a control character"))
            .hint("check the variable that the URL comes from"));
    }
    let url = Url::parse(&format!("{scheme}://{authority}/"))
        .map_err(|reason| Error::not_safe(format!("the URL \"{shown}\" {reason}")).hint("https://HOST/PATH"))?;
    if url.scheme == Scheme::Http && !url.is_loopback() {
        let host = printable::text(url.authority());
        let hint = match url.host == "localhost" {
            true => format!("http://{}/", host.replacen("localhost", "127.0.0.1", 1)),
            false => format!("https://{}/", printable::text(&url.host)),
        };
        return Err(Error::not_safe(format!("http://{host} would receive the token without TLS")).hint(hint));
    }
    Ok(url)
}

/// Whether there are brackets besides those around an IPv6 address.
fn has_glob_brackets(authority: &str) -> bool {
    let inside = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match inside {
        Some((address, rest)) => !address.contains(':') || rest.contains(['[', ']']),
        None => authority.contains(['[', ']']),
    }
}

/// Chooses the token for these hosts: an ID token with `--audience` or `--id-token` and for services on Cloud Run and
/// Cloud Functions, otherwise an access token.
///
/// # Errors
/// `Unsafe` when an ID token for the host of one URL would also be sent to another host.
pub(super) fn choose_token_kind(hosts: &[&Url], audience: Option<String>, id_token: bool) -> Result<CurlTokenKind> {
    if let Some(audience) = audience {
        return Ok(CurlTokenKind::IdToken(audience));
    }
    let Some(first) = hosts.iter().find(|url| id_token || endpoint_policy::is_serverless_host(&url.host)) else {
        return Ok(CurlTokenKind::AccessToken);
    };
    match hosts.iter().find(|url| url.as_str() != first.as_str()) {
        None => Ok(CurlTokenKind::IdToken(first.as_str().trim_end_matches('/').to_owned())),
        Some(other) => Err(Error::not_safe(format!(
            "an ID token for {} cannot also be sent to {}",
            first.authority(),
            other.authority()
        ))
        .hint("run gauth curl once for each host")),
    }
}

/// Which hosts may receive the token of a credential.
#[derive(Debug, Clone, Copy)]
pub(super) struct DestinationPolicy<'a> {
    /// The hosts of `--allow-host`.
    pub(super) allowed: &'a [String],
    /// The universe domain of the credential, `googleapis.com` by default.
    pub(super) universe: Option<&'a str>,
    /// The account, for the error message.
    pub(super) account: Option<&'a str>,
}

impl DestinationPolicy<'_> {
    /// Checks that every host may receive this token.
    ///
    /// # Errors
    /// `Unsafe` with the host that may not.
    pub(super) fn check(&self, token_kind: &CurlTokenKind, hosts: &[&Url]) -> Result<()> {
        match token_kind {
            CurlTokenKind::AccessToken => hosts.iter().try_for_each(|url| self.check_access_token(url)),
            CurlTokenKind::IdToken(audience) => self.check_id_token(audience, hosts),
        }
    }

    fn allows(&self, url: &Url) -> bool {
        url.is_loopback() || self.allowed.iter().any(|host| host.eq_ignore_ascii_case(&url.host))
    }

    fn check_access_token(&self, url: &Url) -> Result<()> {
        let universe = self.universe.unwrap_or(DEFAULT_UNIVERSE);
        if self.allows(url) || endpoint_policy::may_receive_access_token(url, universe) {
            return Ok(());
        }
        let host = printable::text(url.authority());
        let owner = self.account.map_or_else(String::new, |account| format!(" of {}", printable::text(account)));
        let error = Error::not_safe(format!("{host} is not a Google API, the access token{owner} was not sent"));
        Err(error.hint(format!(
            "gauth curl --allow-host {} …, or --audience AUDIENCE to send an ID token",
            printable::text(&url.host)
        )))
    }

    /// An ID token goes to the host of its audience, or, where the audience names no host of these, to one host.
    fn check_id_token(&self, audience: &str, hosts: &[&Url]) -> Result<()> {
        let audience_url = Url::parse(audience).ok();
        let other_hosts: Vec<&&Url> = hosts
            .iter()
            .filter(|url| !self.allows(url) && audience_url.as_ref().is_none_or(|own| own.host != url.host))
            .collect();
        let Some((first, others)) = other_hosts.split_first() else { return Ok(()) };
        let other = match audience_url.as_ref().filter(|_| other_hosts.len() < hosts.len()) {
            Some(audience_url) => Some(audience_url),
            None => others.iter().map(|url| **url).find(|url| url.host != first.host),
        };
        match other {
            None => Ok(()),
            Some(other) => Err(Error::not_safe(format!(
                "{} and {} would receive the same ID token",
                printable::text(first.authority()),
                printable::text(other.authority())
            ))
            .hint(format!("run gauth curl once for each host, or use --allow-host {}", printable::text(&first.host)))),
        }
    }
}
