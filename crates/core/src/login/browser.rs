//! Decides whether gauth can open a browser, and with which command.

use std::ffi::OsString;

use crate::error::Result;
use crate::world::env::Env;
use crate::world::{World, env};

/// How a URL can be opened.
#[derive(Debug, PartialEq, Eq)]
pub enum BrowserChoice {
    /// With the first of these commands that works, or with the system's default browser where there are none.
    Open(Vec<Vec<OsString>>),
    /// Not at all, for this reason.
    Unavailable(&'static str),
}

/// Stands for the URL in the commands of `BROWSER`.
const URL_PLACEHOLDER: &str = "%s";

/// Chooses how to open `url`. `may_launch` is false with `--no-launch-browser`.
///
/// # Errors
/// Usage, when `BROWSER` is not valid UTF-8.
pub fn choose(url: &str, may_launch: bool, world: &World) -> Result<BrowserChoice> {
    let env = &world.env;
    let is_set = |variable| env.os(variable).is_some();
    if !may_launch {
        return Ok(BrowserChoice::Unavailable("--no-launch-browser"));
    }
    if !world.terminal.may_prompt || is_set(&env::CI) {
        return Ok(BrowserChoice::Unavailable("CI is set"));
    }
    if is_set(&env::SSH_CONNECTION) || is_set(&env::SSH_CLIENT) || is_set(&env::SSH_TTY) {
        return Ok(BrowserChoice::Unavailable("this is an SSH session"));
    }
    if let Some(chosen) = env.text(&env::BROWSER)? {
        return Ok(BrowserChoice::Open(browser_commands(&chosen, url)));
    }
    match has_display(env) {
        true => Ok(BrowserChoice::Open(Vec::new())),
        false => Ok(BrowserChoice::Unavailable("there is no display")),
    }
}

/// The commands of `BROWSER`, which colons separate, split at spaces. The URL replaces `%s`, or else is the last argument.
fn browser_commands(value: &str, url: &str) -> Vec<Vec<OsString>> {
    let commands = value.split(':').filter(|command| !command.trim().is_empty());
    commands
        .map(|command| {
            let args: Vec<&str> = command.split_whitespace().collect();
            let mut expanded_args: Vec<OsString> =
                args.iter().map(|word| word.replace(URL_PLACEHOLDER, url).into()).collect();
            if !args.iter().any(|word| word.contains(URL_PLACEHOLDER)) {
                expanded_args.push(url.into());
            }
            expanded_args
        })
        .collect()
}

/// Whether a window can be shown. The Windows Subsystem for Linux opens the browser of Windows, with or without a display.
#[cfg(all(unix, not(target_os = "macos")))]
fn has_display(env: &Env) -> bool {
    [&env::DISPLAY, &env::WAYLAND_DISPLAY, &env::WSL_DISTRO_NAME].into_iter().any(|variable| env.os(variable).is_some())
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
fn has_display(_: &Env) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://a.example/?x=%25&y=1";

    fn chosen(variables: &[(&str, &str)], may_launch: bool) -> BrowserChoice {
        let mut world = crate::http::real_world();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
        world.env = Env::Fixed(variables.collect());
        world.terminal.may_prompt = world.env.os(&env::CI).is_none();
        choose(URL, may_launch, &world).expect("a choice")
    }

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn a_browser_is_opened_where_there_is_a_display() {
        let display = ("DISPLAY", ":0");
        assert_eq!(chosen(&[display], true), BrowserChoice::Open(Vec::new()));
        assert_eq!(chosen(&[("WSL_DISTRO_NAME", "Debian")], true), BrowserChoice::Open(Vec::new()));
        for (variables, may_launch) in [
            (&[display][..], false),
            (&[], true),
            (&[display, ("CI", "1"), ("BROWSER", "b")], true),
            (&[display, ("SSH_CONNECTION", "x"), ("BROWSER", "b")], true),
            (&[display, ("SSH_TTY", "/dev/pts/1")], true),
            (&[("BROWSER", "b")], false),
        ] {
            assert!(matches!(chosen(variables, may_launch), BrowserChoice::Unavailable(_)), "{variables:?}");
        }
    }

    #[test]
    fn the_variable_browser_has_precedence() {
        let commands = |list: &[&[&str]]| {
            let command = |args: &&[&str]| args.iter().map(OsString::from).collect();
            BrowserChoice::Open(list.iter().map(command).collect())
        };
        for (value, expected) in [
            ("b", &[&["b", URL][..]][..]),
            ("b --new-window", &[&["b", "--new-window", URL]]),
            ("b --to=%s -x", &[&["b", &format!("--to={URL}"), "-x"]]),
            ("a::b %s", &[&["a", URL], &["b", URL]]),
        ] {
            assert_eq!(chosen(&[("BROWSER", value)], true), commands(expected), "{value}");
        }
    }
}
