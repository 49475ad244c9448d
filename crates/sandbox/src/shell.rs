//! Quoting for POSIX shells.

use std::ffi::OsString;

/// The value in single quotes, so that a shell takes it literally.
pub fn shell_quoted(value: &OsString) -> String {
    format!("'{}'", value.to_string_lossy().replace('\'', r"'\''"))
}
