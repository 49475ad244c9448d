//! Opening a URL for a person: started, and left alone. What it does later is its own business, but one that ends with
//! an error at once makes room for the next.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::process::{Child, Command, Stdio};

use super::{Change, command};
use crate::printable;
use crate::world::guard;

/// A browser that was started, and those that would be next.
pub struct Browser {
    running: Option<(Child, String)>,
    next: VecDeque<Command>,
    last: Option<String>,
}

/// Opens `url` with the first of these commands that works, or with what the system has for that.
pub fn open(url: &str, commands: &[Vec<OsString>], changes: &[Change<'_>]) -> Browser {
    let own = commands.iter().filter_map(|words| {
        let (program, arguments) = words.split_first()?;
        Some(command(program, arguments, changes))
    });
    let mut next: VecDeque<Command> = own.collect();
    if commands.is_empty() {
        next.extend(open::commands(url).into_iter().map(|mut command| {
            for (name, value) in changes {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            command
        }));
    }
    let mut browser = Browser { running: None, next, last: None };
    browser.advance();
    browser
}

impl Browser {
    /// Why no browser can be opened, once that is known; said once.
    pub fn failed(&mut self) -> Option<String> {
        while let Some((child, name)) = &mut self.running {
            match child.try_wait() {
                Ok(Some(status)) if !status.success() => {
                    self.last = Some(format!("{name} failed ({status})"));
                    self.running = None;
                    self.advance();
                }
                // It runs, or has handed the URL over.
                _ => return None,
            }
        }
        self.last.take()
    }

    fn advance(&mut self) {
        while let Some(mut command) = self.next.pop_front() {
            let name = printable::os(command.get_program());
            // Its own group: Ctrl-C stops gauth, not the browser.
            apart(&mut command).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            match guard::for_a_child(|| command.spawn()) {
                Ok(child) => {
                    self.running = Some((child, name));
                    return;
                }
                Err(error) => {
                    let what = crate::error::io_reason(&error);
                    self.last = Some(format!("{name} cannot be started, {what}"));
                }
            }
        }
        if self.last.is_none() {
            self.last = Some("there is no program that opens one".to_owned());
        }
    }
}

#[cfg(unix)]
fn apart(command: &mut Command) -> &mut Command {
    std::os::unix::process::CommandExt::process_group(command, 0)
}

#[cfg(not(unix))]
fn apart(command: &mut Command) -> &mut Command {
    command
}
