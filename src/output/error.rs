//! How an error is printed: two lines on standard error, what happened and what mends it.

use crate::output::status::ExitStatus;
use gauth_core::error::ErrorKind;
use gauth_core::world::World;
use gauth_core::world::exec::SpawnError;

/// Two lines: what happened, and what mends it.
pub fn print_error((kind, message, hint): (ErrorKind, String, Option<&str>), world: &World) -> u8 {
    if kind != ErrorKind::BrokenPipe {
        let paint = world.terminal.text_style(world.terminal.is_terminal);
        let hint = hint.unwrap_or("gauth -vv shows what was decided and sent");
        world.terminal.error(&format!(
            "{} {message}\n{} {hint}",
            paint.failure("gauth:"),
            paint.warning("try:")
        ));
    }
    kind.exit_code()
}

/// The same of a program that was not started, with a shell's status.
pub fn report_not_started(failure: &SpawnError, world: &World) -> ExitStatus {
    print_error(
        (failure.error.kind(), failure.error.message().to_owned(), failure.error.hint_text()),
        world,
    );
    ExitStatus(failure.status)
}
