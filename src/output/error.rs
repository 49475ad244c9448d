//! Prints an error as two lines on standard error: what happened, and the command that mends it.

use crate::output::status::ExitStatus;
use gauth_core::error::ErrorKind;
use gauth_core::world::World;
use gauth_core::world::exec::SpawnError;

/// Prints an error and returns its exit code. A broken pipe is not reported.
pub fn print_error((kind, message, hint): (ErrorKind, String, Option<&str>), world: &World) -> u8 {
    if kind != ErrorKind::BrokenPipe {
        let paint = world.terminal.text_style(world.terminal.is_terminal);
        let hint = hint.unwrap_or("gauth -vv shows each decision and request");
        world.terminal.error(&format!("{} {message}\n{} {hint}", paint.failure("gauth:"), paint.warning("try:")));
    }
    kind.exit_code()
}

/// Prints the error of a program that could not be started, and returns the status that a shell returns (126 or 127).
pub fn report_not_started(failure: &SpawnError, world: &World) -> ExitStatus {
    print_error((failure.error.kind(), failure.error.message().to_owned(), failure.error.hint_text()), world);
    ExitStatus(failure.status)
}
