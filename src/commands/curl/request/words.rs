//! Where gauth's words end and curl's begin.

use std::ffi::OsString;

use clap::{ArgAction, Command};

use crate::commands::curl::request::options;
use gauth_core::error::{Error, Result};

/// Puts `--` between gauth's flags and curl's words, unless it is there. The first word is the command's name.
/// Every flag of gauth's is long here: a single dash is curl's.
///
/// # Errors
/// Usage, when a flag of gauth's stands among curl's words.
pub fn separate_curl_args(command: &Command, args: &[OsString]) -> Result<Vec<OsString>> {
    let mut at = 1;
    while let Some(arg) = args.get(at) {
        if arg == "--" {
            return Ok(args.to_vec());
        }
        let text = arg.to_string_lossy();
        let Some(takes_value) =
            text.strip_prefix("--").and_then(|flag| flag_takes_value(command, flag))
        else {
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

/// Whether a flag of gauth's, named without its dashes, takes the next word; `None`: it is not gauth's.
fn flag_takes_value(command: &Command, flag: &str) -> Option<bool> {
    let name = flag.split('=').next().unwrap_or_default();
    let named = |arg: &&clap::Arg| {
        arg.get_long() == Some(name) || arg.get_all_aliases().unwrap_or_default().contains(&name)
    };
    let arg = command.get_arguments().find(named)?;
    Some(matches!(arg.get_action(), ArgAction::Set | ArgAction::Append))
}

/// What curl has as well is curl's there.
fn check_misplaced_flags(command: &Command, curl_args: &[OsString]) -> Result<()> {
    let mut args = curl_args.iter();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if text == "--" {
            return Ok(());
        }
        let Some(flag) = text.strip_prefix("--") else {
            // A value may look like a flag; that of a letter is its rest, or the next word.
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
                return Err(Error::usage(format!(
                    "--{name} is gauth's and stands among curl's words"
                ))
                .hint(format!("gauth curl --{name} … before the first word of curl's")));
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
        let joined = |words: Vec<OsString>| words.join(" ".as_ref()).to_string_lossy().into_owned();
        separate_curl_args(&cli::clap_command(spec), &args)
            .map(joined)
            .map_err(|error| error.message().to_owned())
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
                // Behind -- it is said when the words are read.
                true => assert!(split_line(line).is_ok(), "{line}"),
                false => {
                    let message = split_line(line).expect_err(line);
                    assert!(
                        message.ends_with("is gauth's and stands among curl's words"),
                        "{message}"
                    );
                }
            }
        }
    }
}
