//! The program: it builds the real `World`, passes the command line on and returns the exit code.

use std::process::ExitCode;

use gauth::cli;

#[expect(clippy::disallowed_methods, reason = "only main reads the command line")]
fn main() -> ExitCode {
    gauth_core::world::process_hardening::protect_memory();
    let args: Vec<_> = std::env::args_os().collect();
    let status = cli::run(&args, &gauth_core::http::real_world());
    ExitCode::from(status.0)
}
