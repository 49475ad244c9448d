//! Which endpoints a credential file may send us to. A file never widens its own list.

use crate::error::{Error, Result};
use crate::printable;
use crate::url::{Scheme, Url};

/// Hosts that may receive assertions and refresh tokens.
const TOKEN_HOSTS: &[&str] = &[
    "oauth2.googleapis.com",
    "oauth2.mtls.googleapis.com",
    "accounts.google.com",
    "www.googleapis.com",
];

/// The universe everybody is in unless told otherwise.
pub const DEFAULT_UNIVERSE: &str = "googleapis.com";

/// Checks the token endpoint a credential names in `field` of `place`.
///
/// # Errors
/// Malformed for what is no URL; unsafe, naming the way out, for a host that is neither Google's, nor a
/// loopback address, nor allowed with `--allow-token-host`.
pub fn token_endpoint(text: &str, place: &str, field: &str, allowed: &[String]) -> Result<Url> {
    let url = Url::parse(text).map_err(|what| {
        Error::malformed(place, format!("{field} {what}"))
            .hint("download the credential again, or remove the field")
    })?;
    let known = TOKEN_HOSTS.contains(&url.host.as_str()) && url.port == 443;
    let permitted = allowed.iter().any(|host| host.eq_ignore_ascii_case(&url.host));
    if url.is_loopback() || (url.scheme == Scheme::Https && (known || permitted)) {
        return Ok(url);
    }
    let host = printable::text(url.authority());
    if url.scheme == Scheme::Http {
        let message = format!("{place}: {field} sends secrets to {host} without TLS");
        return Err(Error::not_safe(message).hint(format!("use https in {field}")));
    }
    Err(Error::not_safe(format!("{place}: {field} names {host}, which is not Google's"))
        .hint(format!("--allow-token-host {} if you trust it with this credential", url.host)))
}

/// Checks a base URL the user set in a variable or property: any https host, or a loopback address.
///
/// # Errors
/// Usage for what is no URL, unsafe for plain http to anywhere else.
pub fn chosen_endpoint(text: &str, origin: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|what| {
        Error::usage(format!("{origin} {what}"))
            .hint(format!("unset {origin}, or set an https URL"))
    })?;
    if url.scheme == Scheme::Http && !url.is_loopback() {
        let host = printable::text(url.authority());
        return Err(Error::not_safe(format!("{origin} sends secrets to {host} without TLS"))
            .hint(format!("use https in {origin}")));
    }
    Ok(url)
}

/// Checks a host as `--allow-token-host` and `--allow-host` take it: a name or an address, nothing else.
///
/// # Errors
/// Usage, naming the option or variable.
pub fn host(text: &str, origin: &str) -> Result<String> {
    match Url::parse(&format!("https://{text}/")) {
        Ok(url) if url.path_and_query() == "/" && url.port == 443 => Ok(url.host),
        _ => Err(Error::usage(format!("{origin}: {} is not a host", printable::text(text)))
            .hint("give a bare host name, as in sts.example.com")),
    }
}

/// Checks a universe domain: a host name with a dot.
///
/// # Errors
/// What is wrong, as the end of a sentence.
pub fn universe(text: &str) -> std::result::Result<(), &'static str> {
    match Url::parse(&format!("https://{text}/")) {
        Ok(url) if url.host == text && text.contains('.') && url.address().is_none() => Ok(()),
        _ => Err("is not a domain name in lower case"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn check(text: &str) -> std::result::Result<(), ErrorKind> {
        token_endpoint(text, "key.json", "token_uri", &["sts.example.com".to_owned()])
            .map(drop)
            .map_err(|error| error.kind())
    }

    #[test]
    fn googles_hosts_and_loopback_addresses_are_trusted() {
        for text in [
            "https://oauth2.googleapis.com/token",
            "https://accounts.google.com/o/oauth2/token",
            "https://www.googleapis.com/oauth2/v4/token",
            "https://oauth2.mtls.googleapis.com/token",
            "http://127.0.0.1:8080/token",
            "http://[::1]:8080/token",
            "https://sts.example.com/token",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (text, kind) in [
            ("https://evil.example/token", ErrorKind::Unsafe),
            ("https://oauth2.googleapis.com.evil.example/", ErrorKind::Unsafe),
            ("https://oauth2.googleapis.com:8443/token", ErrorKind::Unsafe),
            ("http://oauth2.googleapis.com/token", ErrorKind::Unsafe),
            ("http://sts.example.com/token", ErrorKind::Unsafe),
            ("http://localhost/token", ErrorKind::Unsafe),
            ("https://storage.googleapis.com/token", ErrorKind::Unsafe),
            ("https://169.254.169.254/", ErrorKind::Unsafe),
            ("http://169.254.169.254/", ErrorKind::Unsafe),
            ("https://oauth2.googleapis.com@evil.example/", ErrorKind::Malformed),
            ("ftp://oauth2.googleapis.com/", ErrorKind::Malformed),
            ("oauth2.googleapis.com/token", ErrorKind::Malformed),
        ] {
            assert_eq!(check(text), Err(kind), "{text}");
        }
    }

    #[test]
    fn a_universe_is_a_domain() {
        assert!(universe("googleapis.com").is_ok() && universe("u.example").is_ok());
        for bad in
            ["", "com", "U.example", "u.example/x", "u.example:1", "127.0.0.1", "a b.c", "a@b.c"]
        {
            assert!(universe(bad).is_err(), "{bad}");
        }
    }
}
