//! Replaces the keyring in a gauth that is built without it: every function fails.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, Result};

pub(super) fn get(_: &str, _: Duration, _: bool) -> Result<Option<Zeroizing<Vec<u8>>>> {
    Err(unsupported_error())
}

pub(super) fn put(_: &str, _: &[u8], _: Duration, _: bool) -> Result<()> {
    Err(unsupported_error())
}

pub(super) fn erase(_: &str, _: Duration, _: bool) -> Result<()> {
    Err(unsupported_error())
}

pub(super) fn check() -> Result<()> {
    Err(unsupported_error())
}

fn unsupported_error() -> Error {
    match cfg!(target_os = "linux") {
        true => Error::unsupported("this gauth was built without the keyring")
            .hint("cargo install gauth-cli --features keyring; or --store command with a program such as secret-tool"),
        false => Error::unsupported("gauth has no keyring on this system")
            .hint("--store command with a program that keeps secrets, or --store file"),
    }
}
