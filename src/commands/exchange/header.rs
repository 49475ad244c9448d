//! Headers of the user's own: `Name: value`, `Name: @FILE`, `Name: env:NAME`.

use std::ffi::OsStr;

use super::hidden::Hidden;
use crate::error::{Error, Result};
use crate::http::{self, HttpRequest};
use crate::world::World;
use crate::{printable, secret, settings};

const FLAG: &str = "--header";
const EXAMPLE: &str = "--header 'X-Tenant: blue', or --header 'Authorization: @FILE'";

/// What is in such a header may not be shown on the command line.
const SECRET_NAMES: &[&str] = &["authorization", "cookie", "token", "secret", "password", "key"];

/// A header, its value given or named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// In lower case.
    pub name: String,
    pub value: Value,
}

/// The value of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Plain(String),
    Hidden(Hidden),
}

impl Header {
    /// Reads one.
    ///
    /// # Errors
    /// Usage for what is no header or may not be chosen, unsafe for a secret.
    pub(super) fn parse(written: &OsStr) -> Result<Header> {
        let text = settings::text(FLAG, written)?;
        let Some((name, value)) = text.split_once(':') else {
            return Err(
                Error::usage(format!("{FLAG} has no colon between name and value")).hint(EXAMPLE)
            );
        };
        let wrong = |what: String| Error::usage(format!("{FLAG}: {what}")).hint(EXAMPLE);
        http::check_chosen_header(name).map_err(|what| wrong(printable::said(&what)))?;
        let name = name.to_ascii_lowercase();
        let value = value.trim_matches([' ', '\t']);
        if value.starts_with('@') || value.starts_with("env:") {
            let value = Value::Hidden(Hidden::named(FLAG, value.as_ref())?);
            return Ok(Header { name, value });
        }
        if secret::looks_secret(value) || SECRET_NAMES.iter().any(|word| name.contains(word)) {
            let message =
                format!("{FLAG}: the value of {name} may be a secret; others can read it (ps)");
            return Err(Error::not_safe(message)
                .hint(format!("{FLAG} '{name}: @FILE', or {FLAG} '{name}: env:NAME'")));
        }
        if value == "-" {
            let message = format!("{FLAG}: standard input is for one secret, not for headers");
            return Err(Error::usage(message).hint(EXAMPLE));
        }
        match value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            true => Ok(Header { name, value: Value::Plain(value.to_owned()) }),
            false => Err(wrong(format!("{name} has a control character or is not ASCII"))),
        }
    }

    /// Adds it to a request, in place of one of the same name.
    ///
    /// # Errors
    /// When its value cannot be read.
    pub(super) fn put_on(&self, mut request: HttpRequest, world: &World) -> Result<HttpRequest> {
        request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(&self.name));
        Ok(match &self.value {
            Value::Plain(value) => request.header(self.name.clone(), value.clone()),
            Value::Hidden(hidden) => request.secret_header(self.name.clone(), hidden.read(world)?),
        })
    }
}

/// Reads all of them.
///
/// # Errors
/// As [`Header::parse`], and for one that is there twice.
pub(super) fn headers(written: &[std::ffi::OsString]) -> Result<Vec<Header>> {
    let mut headers: Vec<Header> = Vec::new();
    for header in written {
        let header = Header::parse(header)?;
        if headers.iter().any(|known| known.name == header.name) {
            return Err(Error::usage(format!("{FLAG} {} is given twice", header.name))
                .hint("leave one of them away"));
        }
        headers.push(header);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::exchange::hidden::Place;
    use crate::error::ErrorKind;

    #[test]
    fn a_header_has_a_name_and_a_value_or_its_place() {
        let plain = |name: &str, value: &str| Header {
            name: name.to_owned(),
            value: Value::Plain(value.to_owned()),
        };
        let parse = |text: &str| Header::parse(text.as_ref()).expect(text);
        assert_eq!(parse("X-Tenant: blue"), plain("x-tenant", "blue"));
        assert_eq!(parse("X-Tenant:a:b "), plain("x-tenant", "a:b"));
        assert_eq!(
            parse("Content-Type: application/json"),
            plain("content-type", "application/json")
        );
        assert_eq!(parse("X-Empty:"), plain("x-empty", ""));
        for (text, place) in [
            ("Authorization: @auth.txt", Place::File("auth.txt".into())),
            ("Authorization:env:AUTH", Place::Variable("AUTH".to_owned())),
        ] {
            let hidden = Value::Hidden(Hidden { flag: FLAG, place });
            assert_eq!(parse(text), Header { name: "authorization".to_owned(), value: hidden });
        }
    }

    #[test]
    fn what_is_no_header_or_holds_a_secret_is_refused() {
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
            let error = Header::parse(text.as_ref()).expect_err(text);
            assert_eq!(error.kind(), kind, "{text}: {error}");
            assert!(error.message().contains("--header") && !error.message().contains("hunter2"));
        }
        let twice = ["X-A: 1".into(), "x-a: 2".into()];
        assert!(headers(&twice).expect_err("twice").message().contains("x-a is given twice"));
    }
}
