//! The exit status of the process.

use gauth_core::error::ErrorKind;

/// The exit status of a command that ran: 0, the status of its child process, or its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus(pub u8);

impl ExitStatus {
    /// Exit status 0: the command did what it was run for.
    pub const SUCCESS: ExitStatus = ExitStatus(0);

    /// The exit code of this error kind, for a command whose printed result is negative, such as an invalid token.
    pub fn from_kind(kind: ErrorKind) -> ExitStatus {
        ExitStatus(kind.exit_code())
    }
}
