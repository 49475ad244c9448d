//! The pages people read: overview, commands, topics. Examples come first; tables come from the code.

pub mod flags;

use clap::builder::PossibleValuesParser;

use crate::cli;
use crate::cli::COMMANDS;
use crate::commands::{CommandGroup, CommandSpec, Example};
use crate::output::page::HelpPage;
use gauth_core::credentials::external_account::ci::CI_SYSTEMS;
use gauth_core::discovery::SOURCES;
use gauth_core::error::{ERROR_KINDS, Error, Result};
use gauth_core::text::printable;
use gauth_core::world::World;
use gauth_core::world::env;
use gauth_core::world::env::VARIABLES;
use gauth_core::world::terminal::TextStyle;
use gauth_sandbox::ROUTES;
use gauth_sandbox::faults::FAULTS;

/// A topic: its name, and what writes its page.
type Topic = (&'static str, fn(&mut HelpPage, &World));

const TOPICS: &[Topic] = &[
    ("sources", sources),
    ("environment", environment),
    ("formats", formats),
    ("exit-codes", exit_codes),
    ("files", files),
    ("faults", faults),
];

const GROUP_HEADINGS: &[(CommandGroup, &str)] = &[
    (CommandGroup::Tokens, "Tokens"),
    (CommandGroup::Use, "Use"),
    (CommandGroup::SignIn, "Sign in"),
    (CommandGroup::Look, "Look"),
    (CommandGroup::More, "More"),
];

const EXAMPLES: &[Example] = &[
    Example("TOKEN=$(gauth token)", "with what this machine has"),
    Example("gauth curl -s URL", "curl, with it out of sight of ps"),
    Example("gauth sandbox -- gauth token", "a fake Google, to try it"),
];

/// Commands and topics, for completion.
pub fn topics() -> PossibleValuesParser {
    let commands = COMMANDS.iter().map(CommandSpec::short_name);
    commands.chain(TOPICS.iter().map(|(name, _)| *name)).collect::<Vec<_>>().into()
}

/// `gauth` alone.
pub fn overview(world: &World) -> String {
    let paint = world.terminal.text_style(world.streams.stdout_is_terminal);
    let mut page = HelpPage::new(width(world));
    page.line("gauth: Google tokens for scripts");
    page.line("");
    examples(&mut page, EXAMPLES, paint);
    page.line("");
    for (group, heading) in GROUP_HEADINGS {
        // The short name is the one to learn.
        let names =
            COMMANDS.iter().filter(|spec| spec.group == *group).map(CommandSpec::short_name);
        let names: Vec<&str> = names.collect();
        if !names.is_empty() {
            let heading = paint.heading(&format!("{heading:9}"));
            page.line(&format!("{heading} {}", names.join("  ")));
        }
    }
    page.line("");
    page.paragraph("gauth COMMAND --help shows examples and flags");
    page.paragraph(&format!("gauth help {} explains a topic", topic_names()));
    page.finish()
}

/// `gauth help WORD`: a command's page or a topic's.
///
/// # Errors
/// Usage, when there is neither.
pub fn help_for(topic: Option<&str>, world: &World) -> Result<String> {
    let Some(topic) = topic.filter(|topic| *topic != "help") else { return Ok(overview(world)) };
    if let Some(spec) = cli::find_command(topic.as_ref()) {
        return Ok(command_page(spec, world));
    }
    if let Some((_, write)) = TOPICS.iter().find(|(name, _)| *name == topic) {
        let mut page = HelpPage::new(width(world));
        write(&mut page, world);
        return Ok(page.finish());
    }
    let names =
        COMMANDS.iter().flat_map(CommandSpec::names).chain(TOPICS.iter().map(|(name, _)| *name));
    let hint = match cli::closest_name(topic, names) {
        Some(near) => format!("gauth help {near}"),
        None => format!("gauth help {}, or a command", topic_names()),
    };
    Err(Error::usage(format!("there is no help for {}", printable::text(topic))).hint(hint))
}

/// A command's page: what it is, examples, flags.
pub fn command_page(spec: &'static CommandSpec, world: &World) -> String {
    let paint = world.terminal.text_style(world.streams.stdout_is_terminal);
    let mut page = HelpPage::new(width(world));
    let name = spec.short_name();
    page.paragraph(&format!("gauth {name}: {}", spec.about));
    page.line("");
    examples(&mut page, spec.examples, paint);
    page.line("");
    page.paragraph(&format!("usage: gauth {name} {}", flags::usage(spec)));
    let others: Vec<&str> = spec.names().filter(|other| *other != name).collect();
    if !others.is_empty() {
        page.line(&format!("also:  gauth {}", others.join(", gauth ")));
    }
    let mut sections = flags::sections(spec);
    let all: usize = sections.iter().map(|(_, entries)| entries.len()).sum();
    for (_, entries) in &mut sections {
        entries.retain(|entry| !entry.manual_only);
    }
    sections.retain(|(_, entries)| !entries.is_empty());
    let shown: usize = sections.iter().map(|(_, entries)| entries.len()).sum();
    // One table, so that the columns of all sections stand in line.
    let terms = sections.iter().flat_map(|(_, entries)| entries);
    let wide = terms.map(|entry| entry.term.chars().count()).max().unwrap_or(0);
    for (heading, entries) in sections {
        page.line("");
        page.line(&paint.heading(&heading));
        let rows: Vec<(String, String)> = entries
            .into_iter()
            .map(|entry| (format!("{:wide$}", entry.term), entry.about))
            .collect();
        page.table(&rows);
    }
    if shown < all {
        page.line("");
        page.paragraph(&format!(
            "{} more flags are in the manual: man gauth-{}",
            all - shown,
            spec.name
        ));
    }
    page.finish()
}

/// Examples and what they give, beside them if that fits for all.
fn examples(page: &mut HelpPage, examples: &[Example], paint: TextStyle) {
    let length = |text: &str| text.chars().count();
    let wide = examples.iter().map(|example| length(example.0)).max().unwrap_or(0);
    let fits = examples.iter().all(|example| 2 + wide + 2 + length(example.1) <= page.width());
    for Example(line, explanation) in examples {
        match (explanation.is_empty(), fits) {
            (true, _) => page.line(&format!("  {line}")),
            (false, true) => page.line(&format!("  {line:wide$}  {}", paint.dim(explanation))),
            (false, false) => {
                page.line(&format!("  {line}"));
                page.line(&format!("      {}", paint.dim(explanation)));
            }
        }
    }
}

/// The terminal's, as far as the shell says it.
fn width(world: &World) -> usize {
    let columns = world.env.text(&env::COLUMNS).ok().flatten().and_then(|text| text.parse().ok());
    columns.unwrap_or(80usize).clamp(40, 80)
}

fn topic_names() -> String {
    TOPICS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join("|")
}

fn sources(page: &mut HelpPage, world: &World) {
    page.paragraph(
        "Which credential: what --credentials, --account, --workload-identity-provider or --profile \
         names, or else the first \
         of these that has one. A place that is set and unusable is an error; nothing later is \
         tried.",
    );
    page.line("");
    let mut last = 0;
    for source in SOURCES {
        let Some(number) = source.number else { continue };
        let shown = if number == last { " ".to_owned() } else { number.to_string() };
        last = number;
        page.line(&format!("  {shown}  {}", (source.label)(world)));
    }
    page.line("");
    page.paragraph(
        "What is read: every credential of Google's. Keys of service accounts, user logins (gcloud's \
         ADC file, the token.json of Google's quickstarts), external accounts (workload and workforce \
         identity federation: file, URL, AWS, program, certificate), workforce logins, impersonated \
         service accounts, service accounts of Google Distributed Cloud, gcloud's own accounts, ready \
         tokens, and the metadata server.",
    );
    page.line("");
    page.paragraph(
        "Around any of them go --impersonate-service-account and --downscope. In CI no file is \
         needed: --workload-identity-provider takes the job's own token.",
    );
    page.line("");
    let systems: Vec<&str> = CI_SYSTEMS.iter().map(|system| system.name).collect();
    page.paragraph(&format!(
        "Without any of them, --workload-identity-provider federates with the token that a job is \
         given by {}; another token is named with --subject-token-file, --subject-token-env or \
         --subject-token-url.",
        systems.join(", ")
    ));
    page.line("");
    page.paragraph("gauth status shows what each place has on this machine, and which is used.");
}

fn environment(page: &mut HelpPage, _: &World) {
    page.paragraph(
        "Variables gauth reads. A flag goes before GAUTH_*, that before Google's own, that before \
         config.toml. An empty variable is unset.",
    );
    page.line("");
    page.table(&rows(VARIABLES.iter().map(|variable| (variable.name, variable.about))));
}

fn formats(page: &mut HelpPage, _: &World) {
    page.line("Formats of a token (--format)");
    page.line("");
    page.table(&rows(FORMATS.iter().copied()));
    page.line("");
    page.line("  curl -H @<(gauth token --format header) URL");
    page.line("  gauth token --format curl-config | curl -K - URL");
}

fn exit_codes(page: &mut HelpPage, _: &World) {
    page.line("Exit codes");
    page.line("");
    let codes = ERROR_KINDS.iter().map(|(kind, _, about)| (kind.exit_code().to_string(), *about));
    let all = [("0".to_owned(), "done")].into_iter().chain(codes);
    let signal = [("128+n".to_owned(), "ended by signal n")];
    let rows: Vec<(String, String)> =
        all.chain(signal).map(|(code, about)| (format!("{code:>5}"), about.to_owned())).collect();
    page.table(&rows);
    page.line("");
    page.paragraph("sandbox returns the status of the command it runs.");
}

fn files(page: &mut HelpPage, _: &World) {
    page.paragraph(FILES_INTRODUCTION);
    page.line("");
    page.table(&rows(FILES.iter().copied()));
    page.line("");
    page.line("config.toml, with every key there is:");
    page.line("");
    for line in CONFIG_EXAMPLE.lines() {
        page.line(&format!("  {line}"));
    }
}

fn faults(page: &mut HelpPage, _: &World) {
    page.paragraph(FAULTS_INTRODUCTION);
    page.line("");
    let routes: Vec<&str> = ROUTES.iter().map(|route| route.name).collect();
    page.paragraph(&format!("Routes: {}", routes.join(", ")));
    page.line("");
    page.table(&rows(FAULTS.iter().map(|fault| (fault.name, fault.description))));
}

fn rows<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    pairs.map(|(term, about)| (term.to_owned(), about.to_owned())).collect()
}

/// The formats and what they are; also in the manual.
pub const FORMATS: &[(&str, &str)] = &[
    ("text", "the token and a newline"),
    (
        "json",
        "one object: token, token_type, expires_at, expires_in, scopes, account, kind, source, \
         quota_project, universe_domain, cached; what is not known is null",
    ),
    ("header", "Authorization: Bearer TOKEN"),
    ("env", "CLOUDSDK_AUTH_ACCESS_TOKEN=TOKEN and GOOGLE_OAUTH_ACCESS_TOKEN=TOKEN, one a line"),
    ("curl-config", "header = \"Authorization: Bearer TOKEN\""),
];

/// Opens the list of faults; also in the manual.
pub const FAULTS_INTRODUCTION: &str = "\
    What gauth sandbox --fault ROUTE=WHAT can be asked for: a status from 200 to 599, such as 503 \
    or 503+retry-after:2, or a name of this list. With xN behind it, it holds for the first N \
    requests.";

/// Where the files are; also in the manual.
pub const FILES_INTRODUCTION: &str = "\
    Files, in the folder GAUTH_CONFIG_DIR, or gauth in the system's configuration folder \
    (~/.config/gauth).";

/// The files and what they hold; also in the manual.
pub const FILES: &[(&str, &str)] = &[
    ("config.toml", "settings and profiles, written by people, no secrets"),
    (
        "state.json",
        "the active account, and those of profiles, as login and accounts use leave them",
    ),
    (
        "accounts/",
        "one login each, in Google's own JSON; without its secrets where another store has them",
    ),
    ("accounts/shadow/", "refresh tokens that a server changed, for logins gauth may not write to"),
    ("tokens/", "one cached token each; may be removed at any time"),
    ("locks/", "empty files that processes lock while they ask for a token"),
];

/// A settings file with every key; also in the manual.
pub const CONFIG_EXAMPLE: &str = "\
profile = \"work\"                # without --profile and GAUTH_PROFILE
timeout = \"10s\"
store = \"command\"               # for new logins; or file, keyring

[store_command]                 # for all profiles
get = [\"pass\", \"show\", \"gauth/{account}\"]
put = [\"pass\", \"insert\", \"--multiline\", \"--force\", \"gauth/{account}\"]
erase = [\"pass\", \"rm\", \"--force\", \"gauth/{account}\"]

[profiles.work]
account = \"ada@example.com\"     # or: credentials = \"/home/ada/key.json\"
source = \"gcloud\"
scopes = [\"cloud-platform\"]
impersonate_service_account = \"ci@my-project.iam.gserviceaccount.com\"
quota_project = \"my-project\"
client_id_file = \"/home/ada/client_secret.json\"  # to sign in with
universe_domain = \"googleapis.com\"
min_ttl = \"10m\"
no_cache = false
ca_file = \"/etc/ssl/corporate.pem\"
allowed_hosts = [\"api.example.com\"]
allowed_token_hosts = [\"sts.example.com\"]

[profiles.ci]                   # in CI, without a key
workload_identity_provider = \"projects/1/…/providers/q\"
";

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
        let topics = TOPICS.iter().map(|(name, _)| *name);
        let names: Vec<&str> = topics.chain(COMMANDS.iter().map(|spec| spec.name)).collect();
        let pages = names.iter().map(|name| help_for(Some(name), world).expect("a page"));
        pages.chain([overview(world)]).collect()
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
    fn every_flag_is_one_line_at_80_columns() {
        for spec in COMMANDS {
            let page = command_page(spec, &world("80"));
            let entries = flags::sections(spec).into_iter().flat_map(|(_, entries)| entries);
            for entry in entries.filter(|entry| !entry.manual_only) {
                let starts = format!("  {} ", entry.term);
                let line = page.lines().find(|line| line.starts_with(&starts));
                let line = line.unwrap_or_else(|| panic!("{starts} is missing\n{page}"));
                assert!(line.ends_with(&entry.about), "{line}\n{}", entry.about);
            }
        }
    }

    #[test]
    fn a_narrow_page_breaks_between_words() {
        // Examples, configuration and names are left whole for the terminal to break.
        let whole = |line: &str| line.starts_with("  ") && !line.starts_with("      ");
        for page in pages(&world("40")) {
            for line in page.lines().filter(|line| !whole(line) && line.contains("  ")) {
                assert!(line.chars().count() <= 52, "{line}\n\n{page}");
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
