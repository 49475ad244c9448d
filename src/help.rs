//! The pages people read: overview, commands, topics. Examples come first; tables come from the code.

use std::fmt::Write;

use clap::builder::PossibleValuesParser;

use crate::commands::{COMMANDS, Group, Spec};
use crate::discover::PLACES;
use crate::error::{Error, KINDS, Result};
use crate::world::World;
use crate::world::env::{self, VARIABLES};
use crate::{cli, printable};

/// A topic: its name, and what writes its page.
type Topic = (&'static str, fn(&World) -> String);

const TOPICS: &[Topic] = &[
    ("sources", sources),
    ("environment", |_| environment()),
    ("formats", |_| FORMATS.to_owned()),
    ("exit-codes", |_| exit_codes()),
    ("files", |_| FILES.to_owned()),
];

const GROUPS: &[(Group, &str)] = &[
    (Group::Tokens, "Tokens"),
    (Group::Use, "Use"),
    (Group::SignIn, "Sign in"),
    (Group::Look, "Look"),
    (Group::More, "More"),
];

/// Commands and topics, for completion.
pub fn topics() -> PossibleValuesParser {
    let commands = COMMANDS.iter().map(|spec| spec.name);
    commands.chain(TOPICS.iter().map(|(name, _)| *name)).collect::<Vec<_>>().into()
}

/// `gauth` alone.
pub fn overview(world: &World) -> String {
    let paint = world.terminal.paint(world.streams.out_is_terminal);
    let mut page = "\
gauth: Google tokens for scripts

  TOKEN=$(gauth token)                               with what this machine has
  curl -H @<(gauth token --format header) URL        out of sight of ps
  gauth sandbox -- gauth token                       a fake Google, to try it

"
    .to_owned();
    for (group, heading) in GROUPS {
        // The short name is the one to learn.
        let names = COMMANDS.iter().filter(|spec| spec.group == *group);
        let names: Vec<&str> = names
            .map(|spec| {
                spec.aliases
                    .first()
                    .filter(|alias| alias.len() < spec.name.len())
                    .unwrap_or(&spec.name)
            })
            .copied()
            .collect();
        if !names.is_empty() {
            let heading = paint.heading(&format!("{heading:9}"));
            page.push_str(&format!("{heading} {}\n", names.join("  ")));
        }
    }
    let topics: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
    page.push_str(&format!(
        "\ngauth COMMAND --help shows examples and flags\ngauth help {} explains a topic\n",
        topics.join("|")
    ));
    page
}

/// `gauth help WORD`: a command's page or a topic's.
///
/// # Errors
/// Usage, when there is neither.
pub fn about(word: Option<&str>, world: &World) -> Result<String> {
    let Some(word) = word else { return Ok(overview(world)) };
    if let Some(spec) = cli::spec(word.as_ref()) {
        return Ok(command(spec, world));
    }
    match TOPICS.iter().find(|(name, _)| *name == word) {
        Some((_, write)) => Ok(write(world)),
        None => {
            let topics: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
            let word = printable::text(word);
            Err(Error::usage(format!("there is no help for {word}"))
                .hint(format!("gauth help {}, or a command", topics.join("|"))))
        }
    }
}

/// A command's page: what it is, examples, flags.
pub fn command(spec: &'static Spec, world: &World) -> String {
    let paint = world.terminal.paint(world.streams.out_is_terminal);
    let columns = world.env.text(&env::COLUMNS).ok().flatten().and_then(|text| text.parse().ok());
    let width = columns.unwrap_or(80usize).clamp(40, 100);
    let mut command = cli::command(spec)
        .bin_name(format!("gauth {}", spec.name))
        .term_width(width)
        .help_template("{usage-heading} {usage}\n\n{all-args}");
    let mut page = format!("gauth {}: {}\n\n", spec.name, spec.about);
    let wide = spec.examples.iter().map(|example| example.0.chars().count()).max().unwrap_or(0);
    for example in spec.examples {
        let line = match example.1 {
            "" => format!("  {}", example.0),
            says if wide + 4 + says.chars().count() <= width => {
                format!("  {:wide$}  {}", example.0, paint.dim(says))
            }
            says => format!("  {}\n      {}", example.0, paint.dim(says)),
        };
        page.push_str(line.trim_end());
        page.push('\n');
    }
    page.push('\n');
    if !spec.aliases.is_empty() {
        page.push_str(&format!("Also called {}\n", spec.aliases.join(", ")));
    }
    page.push_str(&command.render_help().to_string());
    page
}

fn sources(world: &World) -> String {
    let mut page = "\
Which credential: what --credentials, --account or --profile names, or else the first of these that has one.
A place that is set and unusable is an error; nothing later is tried.

"
    .to_owned();
    let mut last = 0;
    for place in PLACES {
        let number = if place.number == last { " ".to_owned() } else { place.number.to_string() };
        last = place.number;
        page.push_str(&format!("  {number}  {}\n", (place.label)(world)));
    }
    page.push_str(
        "
What is read: service account keys, user logins (gcloud's ADC file, the token.json of Google's quickstarts),
gcloud's own accounts, ready tokens, and the metadata server.

gauth status shows what each place has on this machine, and which is used.
",
    );
    page
}

fn environment() -> String {
    let wide = VARIABLES.iter().map(|variable| variable.name.len()).max().unwrap_or(0);
    let mut page =
        "Variables gauth reads. A flag goes before GAUTH_*, that before Google's own, that before config.toml.\n\
         An empty variable is unset.\n\n"
            .to_owned();
    for variable in VARIABLES {
        // Writing to a String cannot fail.
        _ = writeln!(page, "  {:wide$}  {}", variable.name, variable.about);
    }
    page
}

fn exit_codes() -> String {
    let mut page = "Exit codes.\n\n    0  done\n".to_owned();
    for (kind, _, about) in KINDS {
        _ = writeln!(page, "  {:3}  {about}", kind.exit_code());
    }
    page.push_str(
        "128+n  ended by signal n\n\nsandbox returns the status of the command it runs.\n",
    );
    page
}

const FORMATS: &str = "\
Formats of a token (--format).

  text         the token and a newline
  json         one object: token, token_type, expires_at, expires_in, scopes, account, kind, source,
               quota_project, universe_domain, cached; what is not known is null
  header       Authorization: Bearer TOKEN            curl -H @<(gauth token --format header) URL
  env          CLOUDSDK_AUTH_ACCESS_TOKEN=TOKEN and GOOGLE_OAUTH_ACCESS_TOKEN=TOKEN, one a line
  curl-config  header = \"Authorization: Bearer TOKEN\"  gauth token --format curl-config | curl -K - URL
";

/// Shown by `gauth help files` and in the manual.
pub const FILES: &str = "\
Files, in the folder GAUTH_CONFIG_DIR, or gauth in the system's configuration folder (~/.config/gauth).

  config.toml       settings and profiles, written by people, no secrets
  state.json        the active account
  accounts/         one login each, in Google's own JSON
  accounts/shadow/  refresh tokens that a server changed, for logins gauth may not write to
  tokens/           one cached token each; may be removed at any time
  locks/            empty files that processes lock while they ask for a token

config.toml, with every key there is:

  profile = \"work\"                # used when --profile and GAUTH_PROFILE are not given
  timeout = \"10s\"

  [profiles.work]
  account = \"ada@example.com\"     # or: credentials = \"/home/ada/key.json\"
  source = \"gcloud\"
  scopes = [\"cloud-platform\"]
  quota_project = \"my-project\"
  universe_domain = \"googleapis.com\"
  min_ttl = \"10m\"
  no_cache = false
  ca_file = \"/etc/ssl/corporate.pem\"
  allowed_hosts = [\"api.example.com\"]
  allowed_token_hosts = [\"sts.example.com\"]
";
