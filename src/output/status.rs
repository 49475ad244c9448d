//! The exit status of the process.

use gauth_core::error::ErrorKind;

/// What the process ends with when a command succeeds: 0, the status of the child it ran, or what it found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus(pub u8);

impl ExitStatus {
    /// Done.
    pub const SUCCESS: ExitStatus = ExitStatus(0);

    /// The status that stands for this kind, of a command that did its work and says so in its result.
    pub fn from_kind(kind: ErrorKind) -> ExitStatus {
        ExitStatus(kind.exit_code())
    }
}
