//! The flag `--header`: `Name: value`, `Name: @FILE` or `Name: env:NAME`.

use std::ffi::OsStr;

use crate::commands::exchange::secret_ref::SecretRef;
use gauth_core::config;
use gauth_core::error::{Error, Result};
use gauth_core::net::message;
use gauth_core::net::message::HttpRequest;
use gauth_core::text::{printable, secret};
use gauth_core::world::World;

const FLAG: &str = "--header";
const HEADER_EXAMPLE: &str = "--header 'X-Tenant: blue', or --header 'Authorization: @FILE'";

/// A header whose name contains one of these may hold a secret, so its value may not be an argument.
const SECRET_HEADER_NAME_PARTS: &[&str] = &["authorization", "cookie", "token", "secret", "password", "key"];

/// A request header of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeaderFlag {
    /// The name in lower case.
    pub name: String,
    pub value: HeaderFlagValue,
}

/// The value of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HeaderFlagValue {
    Literal(String),
    Secret(SecretRef),
}

impl HeaderFlag {
    /// Reads one `--header`.
    ///
    /// # Errors
    /// `Usage` for a malformed header or one that gauth sets itself, `Unsafe` for a secret.
    pub(super) fn parse(argument: &OsStr) -> Result<HeaderFlag> {
        let text = config::flag_text(FLAG, argument)?;
        let Some((name, value)) = text.split_once(':') else {
            return Err(Error::usage(format!("{FLAG} has no colon between name and value")).hint(HEADER_EXAMPLE));
        };
        let usage_error = |reason: String| Error::usage(format!("{FLAG}: {reason}")).hint(HEADER_EXAMPLE);
        message::check_custom_header(name).map_err(|reason| usage_error(printable::redacted(&reason)))?;
        let name = name.to_ascii_lowercase();
        let value = value.trim_matches([' ', '\t']);
        if value.starts_with('@') || value.starts_with("env:") {
            let value = HeaderFlagValue::Secret(SecretRef::parse(FLAG, value.as_ref())?);
            return Ok(HeaderFlag { name, value });
        }
        if secret::looks_like_secret(value) || SECRET_HEADER_NAME_PARTS.iter().any(|part| name.contains(part)) {
            let message = format!("{FLAG}: the value of {name} may be a secret, which every list of processes shows");
            return Err(Error::not_safe(message).hint(format!("{FLAG} '{name}: @FILE', or {FLAG} '{name}: env:NAME'")));
        }
        if value == "-" {
            let message = format!("{FLAG}: a header value cannot be read from standard input");
            return Err(Error::usage(message).hint(HEADER_EXAMPLE));
        }
        match value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            true => Ok(HeaderFlag { name, value: HeaderFlagValue::Literal(value.to_owned()) }),
            false => Err(usage_error(format!("the value of {name} contains a control or non-ASCII character"))),
        }
    }

    /// Sets the header in a request.
    ///
    /// # Errors
    /// When its secret cannot be read.
    pub(super) fn apply_to(&self, mut request: HttpRequest, world: &World) -> Result<HttpRequest> {
        request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(&self.name));
        Ok(match &self.value {
            HeaderFlagValue::Literal(value) => request.header(self.name.clone(), value.clone()),
            HeaderFlagValue::Secret(secret_ref) => request.secret_header(self.name.clone(), secret_ref.read(world)?),
        })
    }
}

/// Reads every `--header`.
///
/// # Errors
/// As [`HeaderFlag::parse`], and `Usage` for a name that occurs twice.
pub(super) fn parse_headers(arguments: &[std::ffi::OsString]) -> Result<Vec<HeaderFlag>> {
    let mut headers: Vec<HeaderFlag> = Vec::new();
    for header in arguments {
        let header = HeaderFlag::parse(header)?;
        if headers.iter().any(|known| known.name == header.name) {
            return Err(
                Error::usage(format!("{FLAG} {} occurs twice", header.name)).hint("remove one of the two headers")
            );
        }
        headers.push(header);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::exchange::secret_ref::SecretLocation;
    use gauth_core::error::ErrorKind;

    #[test]
    fn a_header_has_a_name_and_a_literal_or_secret_value() {
        let literal = |name: &str, value: &str| HeaderFlag {
            name: name.to_owned(),
            value: HeaderFlagValue::Literal(value.to_owned()),
        };
        let parse = |text: &str| HeaderFlag::parse(text.as_ref()).expect(text);
        assert_eq!(parse("X-Tenant: blue"), literal("x-tenant", "blue"));
        assert_eq!(parse("X-Tenant:a:b "), literal("x-tenant", "a:b"));
        assert_eq!(parse("Content-Type: application/json"), literal("content-type", "application/json"));
        assert_eq!(parse("X-Empty:"), literal("x-empty", ""));
        for (text, location) in [
            ("Authorization: @auth.txt", SecretLocation::File("auth.txt".into())),
            ("Authorization:env:AUTH", SecretLocation::Variable("AUTH".to_owned())),
        ] {
            let value = HeaderFlagValue::Secret(SecretRef { flag: FLAG, location });
            assert_eq!(parse(text), HeaderFlag { name: "authorization".to_owned(), value });
        }
    }

    #[test]
    fn malformed_headers_and_literal_secrets_are_refused() {
        for (text, kind) in [
            ("", ErrorKind::Usage),
            ("X-Tenant", ErrorKind::Usage),
            (": x", ErrorKind::Usage),
            ("X Tenant: x", ErrorKind::Usage),
            ("X-T\u{fc}: x", ErrorKind::Usage),
            ("X-Tenant : x", ErrorKind::Usage),
            ("X-Tenant: \u{fc}", ErrorKind::Usage),
            ("X-Tenant: a\r\nX-Other: b", ErrorKind::Usage),
            ("X-Tenant: @", ErrorKind::Usage),
            ("X-Tenant: env:", ErrorKind::Usage),
            ("X-Tenant: -", ErrorKind::Usage),
            ("Host: evil.example", ErrorKind::Usage),
            ("content-length: 5", ErrorKind::Usage),
            ("Transfer-Encoding: chunked", ErrorKind::Usage),
            ("Connection: close", ErrorKind::Usage),
            ("Accept-Encoding: gzip", ErrorKind::Usage),
            ("Upgrade: h2c", ErrorKind::Usage),
            ("Authorization: Basic hunter2", ErrorKind::Unsafe),
            ("Cookie: hunter2", ErrorKind::Unsafe),
            ("X-Api-Key: hunter2", ErrorKind::Unsafe),
            ("X-Vault-Token: hunter2", ErrorKind::Unsafe),
            ("X-Tenant: Bearer ya29.hunter2", ErrorKind::Unsafe),
        ] {
            let error = HeaderFlag::parse(text.as_ref()).expect_err(text);
            assert_eq!(error.kind(), kind, "{text}: {error}");
            assert!(error.message().contains("--header") && !error.message().contains("hunter2"));
        }
        let twice = ["X-A: 1".into(), "x-a: 2".into()];
        assert!(parse_headers(&twice).expect_err("twice").message().contains("x-a occurs twice"));
    }
}
