//! Opening a URL in the user's browser. gauth starts the program and does not wait for its end; when it fails at once,
//! gauth starts the next.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::process::{Child, Command, Stdio};

use crate::text::printable;
use crate::world::exec::{EnvChange, build_command};
use crate::world::process_hardening;

/// A browser that was started, and those that would be next.
pub struct Browser {
    running: Option<(Child, String)>,
    candidates: VecDeque<Command>,
    last_error: Option<String>,
}

/// Opens `url` with the first of these commands that works, or with what the system has for that.
pub fn open_browser(url: &str, commands: &[Vec<OsString>], env_changes: &[EnvChange<'_>]) -> Browser {
    let user_commands = commands.iter().filter_map(|argv| {
        let (program, arguments) = argv.split_first()?;
        Some(build_command(program, arguments, env_changes))
    });
    let mut candidates: VecDeque<Command> = user_commands.collect();
    if commands.is_empty() {
        candidates.extend(open::commands(url).into_iter().map(|mut command| {
            for (name, value) in env_changes {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            command
        }));
    }
    let mut browser = Browser { running: None, candidates, last_error: None };
    browser.start_next();
    browser
}

impl Browser {
    /// Why no browser can be opened, once that is known; returned once.
    pub fn take_failure(&mut self) -> Option<String> {
        while let Some((child, name)) = &mut self.running {
            match child.try_wait() {
                Ok(Some(status)) if !status.success() => {
                    self.last_error = Some(format!("{name} failed ({status})"));
                    self.running = None;
                    self.start_next();
                }
                // It runs, or has handed the URL over.
                _ => return None,
            }
        }
        self.last_error.take()
    }

    fn start_next(&mut self) {
        while let Some(mut command) = self.candidates.pop_front() {
            let name = printable::os(command.get_program());
            // Its own group: Ctrl-C stops gauth, not the browser.
            in_own_process_group(&mut command).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            match process_hardening::with_inherited_core_limit(|| command.spawn()) {
                Ok(child) => {
                    self.running = Some((child, name));
                    return;
                }
                Err(error) => {
                    let what = crate::error::io_reason(&error);
                    self.last_error = Some(format!("{name} cannot be started, {what}"));
                }
            }
        }
        if self.last_error.is_none() {
            self.last_error = Some("there is no program that opens one".to_owned());
        }
    }
}

#[cfg(unix)]
fn in_own_process_group(command: &mut Command) -> &mut Command {
    std::os::unix::process::CommandExt::process_group(command, 0)
}

#[cfg(not(unix))]
fn in_own_process_group(command: &mut Command) -> &mut Command {
    build_command
}
