//! What can go wrong, in one type: the kind (the exit code), what happened, and what to do about it.

use std::fmt;
use std::time::Duration;

use crate::text::printable;

/// The result of everything below the commands.
pub type Result<T> = std::result::Result<T, Error>;

/// One row of the table of exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// An unexpected error (1).
    Unexpected,
    /// The command line is wrong (2).
    Usage,
    /// No source has a credential (3).
    NoCredential,
    /// The user has to sign in first (4).
    LoginRequired,
    /// The server refused the request (5).
    Refused,
    /// No usable response: unreachable, TLS, time-out, malformed (6).
    NoAnswer,
    /// This credential cannot do that (7).
    Unsupported,
    /// A credential or configuration file is malformed (8).
    Malformed,
    /// Refused by gauth for safety (9).
    Unsafe,
    /// The inspected token is not valid (10).
    NotValid,
    /// The reader of standard output went away (141, without a message).
    BrokenPipe,
}

/// Every kind, with its name in failure notes and what the manual says of it.
pub const ERROR_KINDS: &[(ErrorKind, &str, &str)] = &[
    (ErrorKind::Unexpected, "unexpected", "an unexpected error"),
    (ErrorKind::Usage, "usage", "an invalid command line"),
    (ErrorKind::NoCredential, "no-credential", "no credential found"),
    (ErrorKind::LoginRequired, "login-required", "the user must sign in first"),
    (ErrorKind::Refused, "refused", "refused by the server"),
    (
        ErrorKind::NoAnswer,
        "no-answer",
        "no usable response: the server is unreachable, TLS fails, time is up, or the response is malformed",
    ),
    (ErrorKind::Unsupported, "unsupported", "the credential does not support what is requested"),
    (ErrorKind::Malformed, "malformed", "a credential or configuration file is malformed"),
    (ErrorKind::Unsafe, "unsafe", "refused by gauth for safety"),
    (ErrorKind::NotValid, "not-valid", "the inspected token is not valid"),
    (ErrorKind::BrokenPipe, "broken-pipe", "standard output is closed by its reader (broken pipe)"),
];

impl ErrorKind {
    /// The status the process ends with.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Unexpected => 1,
            ErrorKind::Usage => 2,
            ErrorKind::NoCredential => 3,
            ErrorKind::LoginRequired => 4,
            ErrorKind::Refused => 5,
            ErrorKind::NoAnswer => 6,
            ErrorKind::Unsupported => 7,
            ErrorKind::Malformed => 8,
            ErrorKind::Unsafe => 9,
            ErrorKind::NotValid => 10,
            ErrorKind::BrokenPipe => 141,
        }
    }

    /// The kind's name in a failure note.
    pub fn name(self) -> &'static str {
        ERROR_KINDS.iter().find(|(kind, ..)| *kind == self).map_or("unexpected", |(_, name, _)| name)
    }

    /// The kind with this name in a failure note.
    pub fn from_name(name: &str) -> Option<ErrorKind> {
        ERROR_KINDS.iter().find(|(_, known, _)| *known == name).map(|(kind, ..)| *kind)
    }
}

/// Whether the same request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retryable {
    /// Another attempt would not help.
    Never,
    /// Nothing reached the server: even a single-use request may be repeated.
    NothingSent,
    /// A transient failure: repeat what is safe to repeat.
    IfIdempotent,
}

/// An error for the user: what happened, and the command that mends it.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    retryable: Retryable,
    retry_after: Option<Duration>,
    status: Option<u16>,
}

impl Error {
    /// An error of this kind. `message` is lower case, names the thing at fault, and has no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            hint: None,
            retryable: Retryable::Never,
            retry_after: None,
            status: None,
        }
    }

    /// An internal error or a failure of the system: exit 1.
    pub fn unexpected(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unexpected, message)
    }

    /// An error in the command line or in a setting: exit 2.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Usage, message)
    }

    /// Exit 5: the server refused the request.
    pub fn refused(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Refused, message)
    }

    /// Exit 6: nothing usable came back.
    pub fn no_answer(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::NoAnswer, message)
    }

    /// The credential cannot do what the command needs: exit 7.
    pub fn unsupported(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unsupported, message)
    }

    /// Exit 8: `location` is the file or variable at fault.
    pub fn malformed(location: &str, problem: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Malformed, format!("{location}: {problem}"))
    }

    /// gauth refuses because a secret would be at risk: exit 9.
    pub fn not_safe(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unsafe, message)
    }

    /// Exit 4: `account` has to sign in again; `reason` is the end of the sentence.
    pub fn login_required(account: &str, reason: &str, command: &str) -> Error {
        Error::new(ErrorKind::LoginRequired, format!("{account} must sign in again, {reason}")).hint(command)
    }

    /// Adds the command that mends it (the second line, behind `try: `).
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a hint where there is none yet.
    pub fn hint_if_none(mut self, hint: impl FnOnce() -> String) -> Error {
        if self.hint.is_none() {
            self.hint = Some(hint());
        }
        self
    }

    /// Says whether the request may be repeated.
    pub fn with_retryable(mut self, retryable: Retryable) -> Error {
        self.retryable = retryable;
        self
    }

    /// Notes how long the server asked to wait.
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Error {
        self.retry_after = wait;
        self
    }

    /// Notes the HTTP status behind the error.
    pub fn with_status(mut self, status: u16) -> Error {
        self.status = Some(status);
        self
    }

    /// The row of the exit-code table.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The first line: what happened, without the hint.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether the request may be sent again.
    pub fn retryable(&self) -> Retryable {
        self.retryable
    }

    /// How long the server asked to wait before the next attempt.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The HTTP status behind the error, if there was a response.
    pub fn http_status(&self) -> Option<u16> {
        self.status
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// An error about a file that the operating system would not let us use.
pub fn io(action: &str, path: &std::path::Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Malformed, format!("{}: cannot be {action}, {}", printable::path(path), io_reason(error)))
}

/// The operating system's reason in lower case and without its number.
pub fn io_reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::from("unknown reason"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_that_leads_back_to_it() {
        for (kind, name, _) in ERROR_KINDS {
            assert_eq!(ErrorKind::from_name(name), Some(*kind));
            assert_eq!(kind.name(), *name);
        }
        assert_eq!(ErrorKind::from_name("no such kind"), None);
    }

    #[test]
    fn the_systems_reasons_lose_their_numbers() {
        let error = std::io::Error::from_raw_os_error(2);
        assert_eq!(io_reason(&error), "no such file or directory");
    }
}
