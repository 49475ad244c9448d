//! Which hosts may get which token.

use gauth_core::error::{Error, Result};
use gauth_core::net::endpoint_policy;
use gauth_core::net::endpoint_policy::DEFAULT_UNIVERSE;
use gauth_core::net::url::{Scheme, Url};
use gauth_core::text::printable;

/// Which token a call is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CurlTokenKind {
    /// An access token.
    AccessToken,
    /// An ID token for this audience.
    IdToken(String),
}

/// Where a URL leads: its scheme, host and port. curl understands more than is taken here.
///
/// # Errors
/// Unsafe, for what is not https to a plain host name, or http to a loopback address.
pub fn parse_destination(text: &str) -> Result<Url> {
    let shown = printable::text(text.split(['?', '#']).next().unwrap_or_default());
    let Some((scheme, rest)) = text.split_once("://") else {
        let error = Error::not_safe(format!(
            "\"{shown}\" has no scheme, and curl would take http: the token would be sent without TLS"
        ));
        return Err(error.hint(format!("https://{shown}")));
    };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if authority.contains('@') {
        return Err(Error::not_safe("a URL has a user name or password, and gauth sends a token")
            .hint("leave away what stands before the @ in the URL"));
    }
    if authority.contains(['{', '}']) || has_glob_brackets(authority) {
        return Err(Error::not_safe(format!("{shown}: curl puts the name of the host together"))
            .hint("write each URL out; {…} and […] may stand in its path"));
    }
    if rest.chars().any(|letter| letter.is_control()) {
        return Err(Error::not_safe(format!("{shown}: has a control character"))
            .hint("look at the variable it came from"));
    }
    let url = Url::parse(&format!("{scheme}://{authority}/"))
        .map_err(|what| Error::not_safe(format!("{shown}: {what}")).hint("https://HOST/PATH"))?;
    if url.scheme == Scheme::Http && !url.is_loopback() {
        let host = printable::text(url.authority());
        let hint = match url.host == "localhost" {
            true => format!("http://{}/", host.replacen("localhost", "127.0.0.1", 1)),
            false => format!("https://{}/", printable::text(&url.host)),
        };
        return Err(
            Error::not_safe(format!("http://{host} would get the token without TLS")).hint(hint)
        );
    }
    Ok(url)
}

/// Whether brackets are more than those of an IPv6 address.
fn has_glob_brackets(authority: &str) -> bool {
    let inside = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match inside {
        Some((address, rest)) => !address.contains(':') || rest.contains(['[', ']']),
        None => authority.contains(['[', ']']),
    }
}

/// Which token these hosts want: an ID token where one is asked for, and where anybody can deploy a service.
///
/// # Errors
/// Unsafe, when one token would have to serve two audiences.
pub fn choose_token_kind(
    hosts: &[&Url],
    audience: Option<String>,
    id_token: bool,
) -> Result<CurlTokenKind> {
    if let Some(audience) = audience {
        return Ok(CurlTokenKind::IdToken(audience));
    }
    let Some(first) =
        hosts.iter().find(|url| id_token || endpoint_policy::is_serverless_host(&url.host))
    else {
        return Ok(CurlTokenKind::AccessToken);
    };
    match hosts.iter().find(|url| url.as_str() != first.as_str()) {
        None => Ok(CurlTokenKind::IdToken(first.as_str().trim_end_matches('/').to_owned())),
        Some(other) => Err(Error::not_safe(format!(
            "{} and {} are named, and an ID token is for one of them",
            first.authority(),
            other.authority()
        ))
        .hint("one gauth curl for each")),
    }
}

/// Who may get a token.
#[derive(Debug, Clone, Copy)]
pub struct DestinationPolicy<'a> {
    /// Hosts the user allowed (`--allow-host`).
    pub allowed: &'a [String],
    /// The universe of the credential.
    pub universe: Option<&'a str>,
    /// Whose token it is.
    pub account: Option<&'a str>,
}

impl DestinationPolicy<'_> {
    /// Checks where a token is about to be sent.
    ///
    /// # Errors
    /// Unsafe, naming the host and the way.
    pub fn check(&self, token_kind: &CurlTokenKind, hosts: &[&Url]) -> Result<()> {
        match token_kind {
            CurlTokenKind::AccessToken => {
                hosts.iter().try_for_each(|url| self.check_access_token(url))
            }
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
        let owner = self
            .account
            .map_or_else(String::new, |account| format!(" of {}", printable::text(account)));
        let error = Error::not_safe(format!(
            "{host} is not a Google API, the access token{owner} was not sent"
        ));
        Err(error.hint(format!(
            "gauth curl --allow-host {} …, or --audience for an ID token",
            printable::text(&url.host)
        )))
    }

    /// To the host of the audience, or to the one host of the call.
    fn check_id_token(&self, audience: &str, hosts: &[&Url]) -> Result<()> {
        let audience_url = Url::parse(audience).ok();
        let other_hosts: Vec<&&Url> = hosts
            .iter()
            .filter(|url| {
                !self.allows(url) && audience_url.as_ref().is_none_or(|own| own.host != url.host)
            })
            .collect();
        let Some((first, others)) = other_hosts.split_first() else { return Ok(()) };
        let other = match audience_url.as_ref().filter(|_| other_hosts.len() < hosts.len()) {
            Some(audience_url) => Some(audience_url),
            None => others.iter().map(|url| **url).find(|url| url.host != first.host),
        };
        match other {
            None => Ok(()),
            Some(other) => Err(Error::not_safe(format!(
                "{} and {} would get the same ID token",
                printable::text(first.authority()),
                printable::text(other.authority())
            ))
            .hint(format!(
                "one gauth curl for each, or --allow-host {}",
                printable::text(&first.host)
            ))),
        }
    }
}
