//! Separates gauth's flags from curl's arguments.

use std::ffi::OsString;

use clap::{ArgAction, Command};

use crate::commands::curl::options;
use gauth_core::error::{Error, Result};

/// Inserts `--` between gauth's flags and curl's arguments, unless it is there. `args` begins with the command's name.
/// gauth's flags of this command are all long, so an argument with one dash belongs to curl.
///
/// # Errors
/// `Usage` when one of gauth's flags follows an argument of curl.
pub(crate) fn separate_curl_args(command: &Command, args: &[OsString]) -> Result<Vec<OsString>> {
    let mut at = 1;
    while let Some(arg) = args.get(at) {
        if arg == "--" {
            return Ok(args.to_vec());
        }
        let text = arg.to_string_lossy();
        let Some(takes_value) = text.strip_prefix("--").and_then(|flag| flag_takes_value(command, flag)) else {
            break;
        };
        at += 1 + usize::from(takes_value && !text.contains('='));
    }
    let at = at.min(args.len());
    let (gauth_args, curl_args) = args.split_at(at);
    check_misplaced_flags(command, curl_args)?;
    let mut separated = gauth_args.to_vec();
    if !curl_args.is_empty() {
        separated.push("--".into());
        separated.extend_from_slice(curl_args);
    }
    Ok(separated)
}

/// Whether this flag of gauth, without its dashes, takes a value; `None` when gauth has no such flag.
fn flag_takes_value(command: &Command, flag: &str) -> Option<bool> {
    let name = flag.split('=').next().unwrap_or_default();
    let named =
        |arg: &&clap::Arg| arg.get_long() == Some(name) || arg.get_all_aliases().unwrap_or_default().contains(&name);
    let arg = command.get_arguments().find(named)?;
    Some(matches!(arg.get_action(), ArgAction::Set | ArgAction::Append))
}

/// Refuses gauth's flags among curl's arguments. A name that curl has too is curl's there.
fn check_misplaced_flags(command: &Command, curl_args: &[OsString]) -> Result<()> {
    let mut args = curl_args.iter();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if text == "--" {
            return Ok(());
        }
        let Some(flag) = text.strip_prefix("--") else {
            // The next argument may be the value of the last letter, and look like a flag.
            if last_letter_takes_next_arg(&text) {
                args.next();
            }
            continue;
        };
        match options::by_long_name(flag) {
            Some(option) if option.takes_value => drop(args.next()),
            Some(_) => {}
            None if flag_takes_value(command, flag).is_some() => {
                let name = flag.split('=').next().unwrap_or_default();
                return Err(Error::usage(format!("--{name} is a flag of gauth and follows an argument of curl"))
                    .hint(format!("gauth curl --{name} …, before the arguments of curl")));
            }
            None => {}
        }
    }
    Ok(())
}

fn last_letter_takes_next_arg(arg: &str) -> bool {
    let Some(letters) = arg.strip_prefix('-') else { return false };
    let valued = |letter: char| options::by_letter(letter).is_some_and(|option| option.takes_value);
    letters.find(valued).is_some_and(|at| letters[at..].chars().count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    fn split_line(line: &str) -> std::result::Result<String, String> {
        let spec = cli::find_command("curl".as_ref()).expect("the command");
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let join = |args: Vec<OsString>| args.join(" ".as_ref()).to_string_lossy().into_owned();
        separate_curl_args(&cli::clap_command(spec), &args).map(join).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn curl_args_begin_at_the_first_that_is_no_gauth_flag() {
        for (line, expected) in [
            ("curl URL", "curl -- URL"),
            ("curl -s URL", "curl -- -s URL"),
            ("curl -- -s URL", "curl -- -s URL"),
            ("curl --audience X -s URL", "curl --audience X -- -s URL"),
            ("curl --audience=X -s URL", "curl --audience=X -- -s URL"),
            ("curl --no-cache --fail URL", "curl --no-cache -- --fail URL"),
            ("curl --key-file F URL", "curl --key-file F -- URL"),
            ("curl --verbose --verbose URL", "curl --verbose --verbose -- URL"),
            ("curl URL --verbose", "curl -- URL --verbose"),
            ("curl -v URL", "curl -- -v URL"),
            ("curl -q URL", "curl -- -q URL"),
            ("curl -h", "curl -- -h"),
            ("curl --help", "curl --help"),
            ("curl --dry-run -X POST URL", "curl --dry-run -- -X POST URL"),
            ("curl --audience -s", "curl --audience -s"),
            ("curl --audience", "curl --audience"),
            ("curl URL -- --audience", "curl -- URL -- --audience"),
            ("curl -d --audience URL", "curl -- -d --audience URL"),
            ("curl -sd --audience URL", "curl -- -sd --audience URL"),
            ("curl --data --audience URL", "curl -- --data --audience URL"),
            ("curl --allow-host a.example -o x URL", "curl --allow-host a.example -- -o x URL"),
            ("curl --nosuch URL", "curl -- --nosuch URL"),
        ] {
            assert_eq!(split_line(line).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn a_gauth_flag_among_curl_args_is_an_error() {
        for line in [
            "curl -s --audience X URL",
            "curl URL --audience=X",
            "curl URL --dry-run",
            "curl -- URL --dry-run",
            "curl -dx --no-cache URL",
            "curl -d x --refresh URL",
            "curl --fail --id-token URL",
        ] {
            match line.starts_with("curl -- ") {
                // After -- the arguments are checked only when curl's options are read.
                true => assert!(split_line(line).is_ok(), "{line}"),
                false => {
                    let message = split_line(line).expect_err(line);
                    assert!(message.ends_with("is a flag of gauth and follows an argument of curl"), "{message}");
                }
            }
        }
    }
}
