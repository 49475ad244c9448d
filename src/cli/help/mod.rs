//! The pages of help: the overview, each command's short and long page, and the topics.

pub mod flags;
mod topics;

use clap::builder::PossibleValuesParser;

use crate::cli;
use crate::cli::COMMANDS;
use crate::commands::{CommandGroup, CommandSpec, sandbox};
use crate::output::format;
use crate::output::page::{HelpPage, Page, Topic};
use gauth_core::error::{Error, Result};
use gauth_core::text::printable::quoted_argument;
use gauth_core::world::{World, env};

/// The topics of `gauth help`; each is defined beside what it describes.
pub const TOPICS: &[Topic] = &[
    topics::SOURCES_TOPIC,
    topics::ENVIRONMENT,
    format::FORMATS,
    topics::EXIT_CODES,
    topics::FILES,
    sandbox::FAULTS_TOPIC,
];

const GROUP_HEADINGS: &[(CommandGroup, &str)] = &[
    (CommandGroup::Tokens, "Tokens"),
    (CommandGroup::Use, "Use"),
    (CommandGroup::SignIn, "Sign in"),
    (CommandGroup::Look, "Look"),
    (CommandGroup::More, "More"),
];

const EXAMPLES: &[(&str, &str)] = &[
    ("TOKEN=$(gauth token)", "an access token from the default credential"),
    ("gauth curl -s URL", "curl with a token that ps does not show"),
    ("gauth sandbox -- gauth token", "try it with an offline fake of Google"),
];

/// Commands and topics, for completion.
pub fn topics() -> PossibleValuesParser {
    let commands = COMMANDS.iter().map(CommandSpec::short_name);
    commands.chain(TOPICS.iter().map(|topic| topic.name)).collect::<Vec<_>>().into()
}

/// The page of `gauth` without arguments.
pub fn overview(world: &World) -> String {
    let mut page = new_page(world);
    page.line("gauth: Google tokens for scripts");
    page.examples(EXAMPLES);
    let groups = GROUP_HEADINGS.iter().map(|(group, heading)| {
        let names = COMMANDS.iter().filter(|spec| spec.group == *group);
        (*heading, names.map(CommandSpec::short_name).collect::<Vec<_>>().join(" "))
    });
    let groups: Vec<(&str, String)> = groups.collect();
    page.table(&groups.iter().map(|(group, names)| (*group, &**names)).collect::<Vec<_>>());
    page.paragraphs("gauth COMMAND -h shows examples and flags, --help explains them");
    page.paragraphs(&topic_hint());
    page.finish()
}

/// The page of `gauth help ARGUMENT`: a command's long page, or a topic's.
///
/// # Errors
/// Usage, when the argument is neither a command nor a topic.
pub fn help_for(topic: Option<&str>, world: &World) -> Result<String> {
    let Some(topic) = topic.filter(|topic| *topic != "help") else { return Ok(overview(world)) };
    if let Some(spec) = cli::find_command(topic.as_ref()) {
        return Ok(long_page(spec, world));
    }
    if let Some(topic) = TOPICS.iter().find(|known| known.name == topic) {
        let mut page = new_page(world);
        page.paragraphs(topic.title);
        (topic.write)(&mut page);
        return Ok(page.finish());
    }
    let names = COMMANDS.iter().flat_map(CommandSpec::names);
    let hint = match cli::closest_name(topic, names.chain(TOPICS.iter().map(|topic| topic.name))) {
        Some(near) => format!("gauth help {near}"),
        None => format!("gauth lists the commands; the topics are {}", topic_names()),
    };
    Err(Error::usage(format!("there is no help for {}", quoted_argument(topic, "that topic"))).hint(hint))
}

/// The page of `-h`: examples and the command's own flags, one line each.
pub fn short_page(spec: &'static CommandSpec, world: &World) -> String {
    let mut page = page_head(spec, world);
    let flags = flags::sections(spec);
    let own = flags.iter().filter(|(heading, _)| !flags::SHARED_HEADINGS.contains(&&**heading));
    let own = own.flat_map(|(_, entries)| entries).filter(|entry| !entry.long_help_only);
    page.table(&own.map(|entry| (&*entry.term, &*entry.short)).collect::<Vec<_>>());
    page.paragraphs(&format!("shared flags and details: gauth {} --help", spec.short_name()));
    page.finish()
}

/// The page of `--help`: the description, and every flag in whole sentences.
pub fn long_page(spec: &'static CommandSpec, world: &World) -> String {
    let mut page = page_head(spec, world);
    page.paragraphs(spec.description);
    for (heading, entries) in flags::sections(spec) {
        page.section(&heading);
        entries.iter().for_each(|entry| page.entry(&entry.term, &entry.long));
    }
    page.paragraphs(&topic_hint());
    page.finish()
}

/// What both pages of a command begin with.
fn page_head(spec: &'static CommandSpec, world: &World) -> HelpPage {
    let mut page = new_page(world);
    let name = spec.short_name();
    page.paragraphs(&format!("gauth {name}: {}", spec.about));
    page.examples(&spec.examples.iter().map(|example| (example.0, example.1)).collect::<Vec<_>>());
    page.paragraphs(&format!("usage: gauth {name} {}", flags::usage(spec)));
    let others: Vec<&str> = spec.names().filter(|other| *other != name).collect();
    if !others.is_empty() {
        page.line(&format!("also:  gauth {}", others.join(", gauth ")));
    }
    page
}

/// An empty page, as wide as the terminal if the shell exports its width.
fn new_page(world: &World) -> HelpPage {
    let columns = world.env.text(&env::COLUMNS).ok().flatten().and_then(|text| text.parse().ok());
    let style = world.terminal.text_style(world.streams.stdout_is_terminal);
    HelpPage::new(columns.unwrap_or(80usize).clamp(40, 80), style)
}

fn topic_hint() -> String {
    format!("gauth help TOPIC explains {}", topic_names())
}

fn topic_names() -> String {
    TOPICS.iter().map(|topic| topic.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(columns: &str) -> World {
        let mut world = gauth_core::http::real_world();
        let columns = ("COLUMNS".to_owned(), std::ffi::OsString::from(columns));
        world.env = env::Env::Fixed([columns].into());
        world.streams.stdout_is_terminal = false;
        world.folders.gcloud = None;
        world
    }

    fn pages(world: &World) -> Vec<String> {
        let topics = TOPICS.iter().map(|topic| topic.name);
        let names = topics.chain(COMMANDS.iter().map(|spec| spec.name));
        let long = names.map(|name| help_for(Some(name), world).expect("a page"));
        let short = COMMANDS.iter().map(|spec| short_page(spec, world));
        long.chain(short).chain([overview(world)]).collect()
    }

    #[test]
    fn every_page_fits_into_80_columns() {
        for page in pages(&world("80")) {
            for line in page.lines() {
                assert!(line.chars().count() <= 80, "{line}\n\n{page}");
            }
        }
    }

    #[test]
    fn short_help_is_one_screen_with_one_line_per_flag() {
        // Behind gauth curl, -h is curl's.
        for spec in COMMANDS.iter().filter(|spec| spec.name != "curl") {
            let page = short_page(spec, &world("80"));
            assert!(page.lines().count() <= 24, "{page}");
            let own = flags::sections(spec).into_iter();
            let own = own.filter(|(heading, _)| !flags::SHARED_HEADINGS.contains(&&**heading));
            let own = own.flat_map(|(_, entries)| entries).filter(|entry| !entry.long_help_only);
            for entry in own {
                let starts = format!("  {} ", entry.term);
                let line = page.lines().find(|line| line.starts_with(&starts));
                assert!(line.is_some_and(|line| line.ends_with(&entry.short)), "{starts}\n{page}");
            }
        }
    }

    #[test]
    fn long_help_says_whole_sentences_and_names_every_value() {
        for spec in COMMANDS {
            assert!(spec.description.ends_with('.'), "{}", spec.name);
            for (_, entries) in flags::sections(spec) {
                for entry in entries {
                    let (term, text) = (&entry.term, &entry.long);
                    assert!(text.ends_with('.') && *text != entry.short, "{} {term}", spec.name);
                    for value in &entry.values {
                        assert!(text.contains(&format!("`{value}`")), "{term} {value}: {text}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_narrow_page_breaks_between_words() {
        // Examples, files and terms stay whole for the terminal to break.
        let whole = |line: &str| line.starts_with("  ") && !line.starts_with("      ");
        for page in pages(&world("40")) {
            for line in page.lines().filter(|line| !whole(line) && line.trim().contains(' ')) {
                assert!(line.chars().count() <= 40, "{line}\n\n{page}");
            }
        }
    }

    #[test]
    fn every_command_opens_with_two_to_four_examples() {
        for spec in COMMANDS {
            assert!((2..=4).contains(&spec.examples.len()), "{}", spec.name);
            for example in spec.examples {
                assert!(example.0.contains("gauth"), "{}", example.0);
            }
        }
    }

    #[test]
    fn a_word_without_help_leads_to_one_that_has() {
        let error = help_for(Some("tokn"), &world("80")).expect_err("no page");
        assert_eq!(error.hint_text(), Some("gauth help token"));
        let error = help_for(Some("formtas"), &world("80")).expect_err("no page");
        assert_eq!(error.hint_text(), Some("gauth help formats"));
    }
}
