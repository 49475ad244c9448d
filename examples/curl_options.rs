//! Brings src/commands/curl/options.txt up to date with the installed curl: `cargo run --example curl_options`.
//!
//! New options are written as `unclassified`, and `gauth curl` refuses them until somebody reads curl's manual and
//! replaces the word.
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a tool for maintainers")]

use std::collections::BTreeMap;
use std::process::Command;

const OPTIONS_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/commands/curl/options.txt");

fn main() {
    let table = std::fs::read_to_string(OPTIONS_FILE).expect("options.txt can be read");
    let help = curl_help().expect("curl is installed");
    let updated = merge(&table, &help);
    std::fs::write(OPTIONS_FILE, &updated).expect("options.txt can be written");
    let new = updated.lines().filter(|line| line.ends_with("unclassified"));
    new.for_each(|line| println!("to classify: {line}"));
}

/// What `curl --help all` prints; `None` where there is no curl.
fn curl_help() -> Option<String> {
    let output = Command::new("curl").args(["--help", "all"]).output().ok()?;
    String::from_utf8(output.stdout).ok()
}

/// The table with the letters and values of `help`. The last column is never changed.
fn merge(table: &str, help: &str) -> String {
    let (comments, rows): (Vec<&str>, Vec<&str>) = table.lines().partition(|line| line.starts_with('#'));
    let mut options = BTreeMap::new();
    for row in rows {
        let columns: Vec<&str> = row.split_whitespace().collect();
        let [letter, name, value, effect] = columns[..] else { panic!("four columns: {row}") };
        options.insert(name, (letter, value, effect));
    }
    for (letter, name, value) in help.lines().filter_map(parse_help_line) {
        let effect = options.get(name).map_or("unclassified", |option| option.2);
        // --help takes its value only if there is one, and curl ends there in any case.
        let value = if effect == "info" { "-" } else { value };
        options.insert(name, (letter, value, effect));
    }
    let rows =
        options.iter().map(|(name, (letter, value, effect))| format!("{letter} {name:<28} {value:<5} {effect}\n"));
    comments.iter().map(|line| format!("{line}\n")).chain(rows).collect()
}

/// Letter, name and value of an option, as ` -d, --data <data>   HTTP POST data` shows them.
fn parse_help_line(line: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = line.split_once("--")?;
    let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let value = if rest.starts_with(['<', '[']) { "value" } else { "-" };
    Some((before.trim().strip_suffix(',').unwrap_or("--"), name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_knows_every_option_of_the_installed_curl() {
        let table = std::fs::read_to_string(OPTIONS_FILE).unwrap();
        let Some(help) = curl_help() else { return };
        assert!(help.lines().filter_map(parse_help_line).count() > 200, "{help}");
        assert_eq!(merge(&table, &help), table, "cargo run --example curl_options");
    }

    #[test]
    fn a_new_option_is_unclassified_and_a_known_one_keeps_its_effect() {
        let table = "# a comment\n-K config                       value config-file\n";
        let help = "Usage: curl\n -c, --config <file>  Read\n     --new <x>  New\n -n, --next2   Next";
        let merged = "# a comment\n\
            -c config                       value config-file\n\
            -- new                          value unclassified\n\
            -n next2                        -     unclassified\n";
        assert_eq!(merge(table, help), merged);
    }
}
