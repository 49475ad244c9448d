//! A secret that a flag names instead of giving it: where it is, and how it is read from there.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::secret::{self, Secret};
use crate::world::World;
use crate::{printable, private_file, settings};

/// Longest secret, in bytes: a subject token of AWS or with certificates is long.
const LONGEST: usize = 64 * 1024;

/// How long standard input may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// On standard input.
    Input,
    /// In a file.
    File(PathBuf),
    /// In a variable.
    Variable(String),
}

/// A secret, and the flag that says where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hidden {
    pub flag: &'static str,
    pub place: Place,
}

impl Hidden {
    /// Reads `-`, `@FILE` or `env:NAME`.
    ///
    /// # Errors
    /// Unsafe or usage for anything else, which may be the secret itself and is not repeated.
    pub(super) fn named(flag: &'static str, value: &OsStr) -> Result<Hidden> {
        let text = settings::text(flag, value)?;
        if let Some(place) = place(flag, &text)? {
            return Ok(Hidden { flag, place });
        }
        let (message, hint) = match text == "@-" {
            true => (format!("{flag} @- is no file"), format!("{flag} - for standard input")),
            false => (
                format!("{flag} is given as a value, which others can read (ps), not as a place"),
                format!("{flag} @FILE, {flag} env:NAME, or {flag} - for standard input"),
            ),
        };
        let bare = text.trim_start_matches('@').trim_start_matches("env:");
        Err(match secret::looks_secret(bare) {
            true => Error::not_safe(message).hint(hint),
            false => Error::usage(message).hint(hint),
        })
    }

    /// The secret.
    ///
    /// # Errors
    /// Malformed or usage, naming the place and the flag: it is not there, or is no single line of text.
    pub(super) fn read(&self, world: &World) -> Result<Secret> {
        let flag = self.flag;
        let named = format!("{} ({flag})", self.name());
        let hint = || format!("put the secret alone there, or name another place with {flag}");
        let secret = match &self.place {
            Place::Variable(name) => world.env.secret(name)?.ok_or_else(|| {
                let shown = printable::text(name);
                Error::usage(format!("the variable {shown} ({flag}) is not set, or empty"))
                    .hint(format!("export {shown}, or name another place with {flag}"))
            })?,
            Place::Input => text(
                &world
                    .streams
                    .read_input(LONGEST, PATIENCE)
                    .map_err(|fault| fault.at(Path::new("-"), &named).hint(hint()))?,
            )
            .map_err(|what| Error::malformed(&named, what).hint(hint()))?,
            Place::File(path) => text(
                &private_file::read_named(path, LONGEST)
                    .map_err(|fault| fault.at(path, &named).hint(hint()))?,
            )
            .map_err(|what| Error::malformed(&named, what).hint(hint()))?,
        };
        if secret.len() > LONGEST {
            return Err(Error::malformed(&named, "is larger than 64 KiB").hint(hint()));
        }
        match secret.is_one_line() {
            true => Ok(secret),
            false => Err(Error::malformed(&named, "is more than one line of text").hint(hint())),
        }
    }

    /// The place in words.
    pub(super) fn name(&self) -> String {
        match &self.place {
            Place::Input => "standard input".to_owned(),
            Place::File(path) => printable::path(path),
            Place::Variable(name) => printable::text(name),
        }
    }
}

/// The place a value names; `None` when it names none.
fn place(flag: &str, text: &str) -> Result<Option<Place>> {
    let example = || format!("{flag} @FILE, {flag} env:NAME, or {flag} - for standard input");
    let empty = |what| Err(Error::usage(format!("{flag} names no {what}")).hint(example()));
    match (text.strip_prefix('@'), text.strip_prefix("env:")) {
        _ if text == "-" => Ok(Some(Place::Input)),
        (Some(""), _) => empty("file"),
        (_, Some("")) => empty("variable"),
        (Some("-"), _) => Ok(None),
        (Some(path), _) if !secret::looks_like_content(path) => {
            Ok(Some(Place::File(PathBuf::from(path))))
        }
        (_, Some(name)) if !secret::looks_like_content(name) => {
            Ok(Some(Place::Variable(name.to_owned())))
        }
        _ => Ok(None),
    }
}

/// The text of a file or stream, without the white space around it.
fn text(bytes: &[u8]) -> std::result::Result<Secret, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8 text")?;
    match text.trim() {
        "" => Err("is empty"),
        text => Ok(Secret::new(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_secret_is_named_by_its_place() {
        for (text, place) in [
            ("-", Place::Input),
            ("@token.txt", Place::File("token.txt".into())),
            ("@/run/my token", Place::File("/run/my token".into())),
            ("@env:X", Place::File("env:X".into())),
            ("env:TOKEN", Place::Variable("TOKEN".to_owned())),
        ] {
            let hidden = Hidden::named("--subject-token", text.as_ref()).expect(text);
            assert_eq!(hidden.place, place, "{text}");
        }
    }

    #[test]
    fn a_value_in_place_of_a_place_is_refused_and_not_repeated() {
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
            let error = Hidden::named("--actor-token", text.as_ref()).expect_err(text);
            assert_eq!(error.kind(), kind, "{text}");
            let said = format!("{error} {}", error.hint_text().expect("hint"));
            assert!(said.contains("--actor-token") && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_text_is_trimmed_and_neither_empty_nor_binary() {
        assert!(text(b" token\r\n").expect("text").same_as(&Secret::new("token")));
        assert!(text(b" \n").is_err() && text(b"").is_err() && text(b"\xff\xfe").is_err());
    }
}
