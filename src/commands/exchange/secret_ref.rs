//! References to secrets: `-`, `@FILE` or `env:NAME` on the command line, so that no secret is an argument.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gauth_core::config;
use gauth_core::error::{Error, Result};
use gauth_core::text::secret::Secret;
use gauth_core::text::{printable, secret};
use gauth_core::world::{World, private_file};

/// The largest secret, in bytes. Subject tokens for AWS or with certificates are long.
const MAX_SECRET_BYTES: usize = 64 * 1024;

/// How long reading standard input may take.
const STDIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The location of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SecretLocation {
    /// Standard input, written as `-`.
    Stdin,
    /// A file, written as `@FILE`.
    File(PathBuf),
    /// An environment variable, `env:NAME`.
    Variable(String),
}

/// A flag that names the location of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecretRef {
    pub flag: &'static str,
    pub location: SecretLocation,
}

impl SecretRef {
    /// Reads `-`, `@FILE` or `env:NAME`.
    ///
    /// # Errors
    /// `Unsafe` or `Usage` for any other value. It may be the secret itself, so the message does not contain it.
    pub(super) fn parse(flag: &'static str, value: &OsStr) -> Result<SecretRef> {
        let text = config::flag_text(flag, value)?;
        if let Some(location) = parse_location(flag, &text)? {
            return Ok(SecretRef { flag, location });
        }
        let (message, hint) = match text == "@-" {
            true => (format!("{flag} @- names a file \"-\""), format!("use {flag} - for standard input")),
            false => (
                format!(
                    "{flag} takes the location of a secret, not the secret, which every list of processes would show"
                ),
                example(flag),
            ),
        };
        let unprefixed = text.trim_start_matches('@').trim_start_matches("env:");
        Err(match secret::looks_like_secret(unprefixed) {
            true => Error::not_safe(message).hint(hint),
            false => Error::usage(message).hint(hint),
        })
    }

    /// Reads the secret.
    ///
    /// # Errors
    /// `Malformed` or `Usage` with location and flag when it is missing or not one line of text.
    pub(super) fn read(&self, world: &World) -> Result<Secret> {
        let flag = self.flag;
        let label = format!("{} ({flag})", self.location_name());
        let hint = || format!("store only the secret there, or name another location with {flag}");
        let secret = match &self.location {
            SecretLocation::Variable(name) => world.env.secret(name)?.ok_or_else(|| {
                let shown = printable::text(name);
                Error::usage(format!("the variable {shown} ({flag}) is not set or empty"))
                    .hint(format!("export {shown}=…, or name another location with {flag}"))
            })?,
            SecretLocation::Stdin => secret_from_bytes(
                &world
                    .streams
                    .read_stdin(MAX_SECRET_BYTES, STDIN_TIMEOUT)
                    .map_err(|error| error.to_error(Path::new("-"), &label).hint(hint()))?,
            )
            .map_err(|reason| Error::malformed(&label, reason).hint(hint()))?,
            SecretLocation::File(path) => secret_from_bytes(
                &private_file::read_user_file(path, MAX_SECRET_BYTES)
                    .map_err(|error| error.to_error(path, &label).hint(hint()))?,
            )
            .map_err(|reason| Error::malformed(&label, reason).hint(hint()))?,
        };
        if secret.len() > MAX_SECRET_BYTES {
            return Err(Error::malformed(&label, "is larger than 64 KiB").hint(hint()));
        }
        match secret.is_one_line() {
            true => Ok(secret),
            false => Err(Error::malformed(&label, "is not one line of text").hint(hint())),
        }
    }

    /// The location for messages.
    pub(super) fn location_name(&self) -> String {
        match &self.location {
            SecretLocation::Stdin => "standard input".to_owned(),
            SecretLocation::File(path) => printable::path(path),
            SecretLocation::Variable(name) => printable::text(name),
        }
    }
}

fn example(flag: &str) -> String {
    format!("{flag} @FILE, {flag} env:NAME, or {flag} - for standard input")
}

/// Reads a location; `None` when the value has no prefix or looks like a secret.
fn parse_location(flag: &str, text: &str) -> Result<Option<SecretLocation>> {
    let empty = |what| Err(Error::usage(format!("{flag} names no {what}")).hint(example(flag)));
    match (text.strip_prefix('@'), text.strip_prefix("env:")) {
        _ if text == "-" => Ok(Some(SecretLocation::Stdin)),
        (Some(""), _) => empty("file"),
        (_, Some("")) => empty("variable"),
        (Some("-"), _) => Ok(None),
        (Some(path), _) if !secret::looks_like_file_content(path) => {
            Ok(Some(SecretLocation::File(PathBuf::from(path))))
        }
        (_, Some(name)) if !secret::looks_like_file_content(name) => {
            Ok(Some(SecretLocation::Variable(name.to_owned())))
        }
        _ => Ok(None),
    }
}

/// Decodes a secret and removes the white space around it.
fn secret_from_bytes(bytes: &[u8]) -> std::result::Result<Secret, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8 text")?;
    match text.trim() {
        "" => Err("is empty"),
        text => Ok(Secret::new(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauth_core::error::ErrorKind;

    #[test]
    fn a_secret_is_referenced_by_its_location() {
        for (text, location) in [
            ("-", SecretLocation::Stdin),
            ("@token.txt", SecretLocation::File("token.txt".into())),
            ("@/run/my token", SecretLocation::File("/run/my token".into())),
            ("@env:X", SecretLocation::File("env:X".into())),
            ("env:TOKEN", SecretLocation::Variable("TOKEN".to_owned())),
        ] {
            let secret_ref = SecretRef::parse("--subject-token", text.as_ref()).expect(text);
            assert_eq!(secret_ref.location, location, "{text}");
        }
    }

    #[test]
    fn a_secret_given_as_a_value_is_refused_and_not_repeated() {
        for (text, kind) in [
            ("hunter2", ErrorKind::Usage),
            ("", ErrorKind::Usage),
            ("@", ErrorKind::Usage),
            ("@-", ErrorKind::Usage),
            ("env:", ErrorKind::Usage),
            ("ENV:hunter2", ErrorKind::Usage),
            ("ya29.hunter2", ErrorKind::Unsafe),
            ("@ya29.hunter2", ErrorKind::Unsafe),
            ("env:eyJhunter2", ErrorKind::Unsafe),
            ("eyJhunter2", ErrorKind::Unsafe),
            ("-----BEGIN hunter2", ErrorKind::Unsafe),
        ] {
            let error = SecretRef::parse("--actor-token", text.as_ref()).expect_err(text);
            assert_eq!(error.kind(), kind, "{text}");
            let output = format!("{error} {}", error.hint_text().expect("hint"));
            assert!(output.contains("--actor-token") && !output.contains("hunter2"), "{output}");
        }
    }

    #[test]
    fn a_secret_is_trimmed_and_neither_empty_nor_binary() {
        assert!(secret_from_bytes(b" token\r\n").expect("text").constant_time_eq(&Secret::new("token")));
        assert!(
            secret_from_bytes(b" \n").is_err()
                && secret_from_bytes(b"").is_err()
                && secret_from_bytes(b"\xff\xfe").is_err()
        );
    }
}
