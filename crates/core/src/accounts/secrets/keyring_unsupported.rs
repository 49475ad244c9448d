//! What stands in for the keyring in a gauth built without it.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Never gives anything.
///
/// # Errors
/// Exit 7, always.
pub(super) fn get(_: &str, _: Duration, _: bool) -> Result<Option<Zeroizing<Vec<u8>>>> {
    Err(unsupported_error())
}

/// Never keeps anything.
///
/// # Errors
/// Exit 7, always.
pub(super) fn put(_: &str, _: &[u8], _: Duration, _: bool) -> Result<()> {
    Err(unsupported_error())
}

/// Never had anything.
///
/// # Errors
/// Exit 7, always.
pub(super) fn erase(_: &str, _: Duration, _: bool) -> Result<()> {
    Err(unsupported_error())
}

/// Says so before anybody signs in.
///
/// # Errors
/// Exit 7, always.
pub(super) fn check() -> Result<()> {
    Err(unsupported_error())
}

fn unsupported_error() -> Error {
    match cfg!(target_os = "linux") {
        true => Error::unsupported("this gauth was built without the keyring").hint(
            "cargo install gauth-cli --features keyring; or --store command with a program such as secret-tool",
        ),
        false => Error::unsupported("gauth has no keyring on this system")
            .hint("--store command with a program that keeps secrets, or --store file"),
    }
}
