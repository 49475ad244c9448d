//! `gauth status`: which credential would be used and why, and the state of its cached token.

use std::path::Path;

use clap::Args;
use serde::Serialize;

use crate::commands::{Example, Group, Spec, Status, Words};
use crate::credential::{About, kind_in_words};
use crate::discover::{self, Found, Looked, Row, Search, one_line};
use crate::flags::{Effort, General, Report, ReportFormat, Who, Wish};
use crate::gcloud::properties::Properties;
use crate::settings::{Given, Settings};
use crate::token::{Token, TokenRequest};
use crate::world::World;
use crate::world::env;
use crate::world::terminal::Paint;
use crate::{duration, gcloud, printable, trust};

/// The command.
pub const SPEC: Spec = Spec {
    name: "status",
    aliases: &["whoami"],
    about: "which credential would be used, and why",
    examples: &[
        Example("gauth status", "every place that is looked at, and what it has"),
        Example("gauth status --check", "ask for a token too"),
        Example("gauth status --format json", "for programs"),
    ],
    more: "\
Shows what would be used, for which account, project, quota project and universe, the state of its cached token, \
and every place in the order in which they are looked at, with the reason where one is skipped. It reads files and \
variables only; with --check it asks the servers.",
    group: Group::Look,
    flags: Flags::augment_args,
    run,
};

#[derive(Debug, Default, Args)]
pub(super) struct Flags {
    /// Ask servers: for a token, the account
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    wish: Wish,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    effort: Effort,
    #[command(flatten)]
    report: Report,
    #[command(flatten)]
    general: General,
}

/// What the report says.
struct Picture {
    used: Option<Used>,
    rows: Vec<Row>,
    note: Option<String>,
}

/// The credential that would be used.
struct Used {
    about: About,
    source: &'static str,
    token: Option<Token>,
    project: Option<(String, String)>,
    quota_project: Option<(String, String)>,
    /// Whether its server has refused the login, as far as is remembered.
    refused: bool,
}

fn run(words: Words, world: &World) -> anyhow::Result<Status> {
    let flags: Flags = words.flags()?;
    let settings = Settings::resolve(&flags.given(), world)?;
    let broker = settings.broker(world);
    let search = Search { settings: &settings, broker: &broker, may_ask: flags.check };
    let rows = discover::survey(&search);
    let chosen = discover::would_be_used(&search, &rows)?;
    let request = TokenRequest::Access(settings.wish.clone());
    let used = match &chosen {
        None => None,
        Some(found) => {
            let token = match flags.check {
                true => Some(broker.token(&*found.credential, &request)?),
                false => broker.peek(&*found.credential, &request),
            };
            let about = match flags.check {
                true => found.credential.ask_about(&broker)?,
                false => found.credential.describe()?,
            };
            let refused = found.credential.refusal(world).is_some();
            Some(Used { refused, ..used(about, found.source, token, &settings, world)? })
        }
    };
    let note = two_people(&rows);
    let picture = Picture { used, rows, note };
    let text = match flags.report.format.unwrap_or_default() {
        ReportFormat::Text => text(&picture, world),
        ReportFormat::Json => json(&picture, world)?,
    };
    world.streams.result(text.as_bytes())?;
    Ok(Status::DONE)
}

impl Flags {
    fn given(&self) -> Given {
        Given {
            who: self.who.clone(),
            wish: self.wish.clone(),
            effort: self.effort.clone(),
            general: self.general.clone(),
            ..Given::default()
        }
    }
}

fn used(
    about: About,
    source: &'static str,
    token: Option<Token>,
    settings: &Settings,
    world: &World,
) -> crate::Result<Used> {
    let in_file = "in the credential".to_owned();
    let quota_project = match (&settings.quota_project, &about.quota_project) {
        (Some(chosen), _) => Some((chosen.clone(), "chosen".to_owned())),
        (None, Some(own)) => Some((own.clone(), in_file.clone())),
        (None, None) => None,
    };
    let own = about.project.clone().map(|own| (own, in_file));
    let project = project(own, world)?;
    Ok(Used { about, source, token, project, quota_project, refused: false })
}

/// The project and who says so: variable, credential, gcloud's configuration.
fn project(
    own: Option<(String, String)>,
    world: &World,
) -> crate::Result<Option<(String, String)>> {
    for variable in [env::GOOGLE_CLOUD_PROJECT, env::GCLOUD_PROJECT] {
        if let Some(value) = world.env.text(&variable)? {
            return Ok(Some((value, variable.name.to_owned())));
        }
    }
    if own.is_some() {
        return Ok(own);
    }
    let properties = Properties::open(world.folders.gcloud.as_deref(), &world.env);
    // A broken gcloud configuration is a line of its own in the table.
    let Ok(Some(property)) = gcloud::project(&properties) else { return Ok(None) };
    let origin = match property.origin.starts_with("CLOUDSDK_") {
        true => property.origin,
        false => match properties.configuration() {
            Ok(configuration) => format!("gcloud configuration \"{}\"", configuration.name),
            Err(_) => "gcloud".to_owned(),
        },
    };
    Ok(Some((property.value, origin)))
}

/// gcloud may act as somebody else than the ADC file says: worth a line.
fn two_people(rows: &[Row]) -> Option<String> {
    let account = |wanted: u8| {
        rows.iter().filter(|row| row.place.number == wanted).find_map(|row| match &row.looked {
            Some(Looked::Found(found)) => found.credential.about().account.clone(),
            _ => None,
        })
    };
    match (account(4), account(5)) {
        (Some(adc), Some(gcloud)) if !adc.eq_ignore_ascii_case(&gcloud) => {
            Some(format!("gcloud itself acts as {}", printable::text(&gcloud)))
        }
        _ => None,
    }
}

fn text(picture: &Picture, world: &World) -> String {
    let paint = world.terminal.paint(world.streams.out_is_terminal);
    let mut text = String::new();
    match &picture.used {
        None => {
            let broken =
                picture.rows.iter().any(|row| matches!(row.looked, Some(Looked::Broken(_))));
            let why = if broken {
                "a credential is there but cannot be used"
            } else {
                "no credential found"
            };
            text.push_str(&format!("using    {}\n", paint.wrong(&format!("nothing, {why}"))));
            if !broken {
                text.push_str(&format!(
                    "try      {}\n",
                    printable::wrapped(&discover::hint(world), 9, world.terminal.width)
                ));
            }
        }
        Some(used) => summary(&mut text, used, paint, world),
    }
    text.push('\n');
    table(&mut text, picture, paint, world);
    if let Some(note) = &picture.note {
        text.push_str(&format!("\n{}\n", paint.notable(&format!("note: {note}"))));
    }
    text
}

fn summary(text: &mut String, used: &Used, paint: Paint, world: &World) {
    let (now, width) = (world.clock.unix(), world.terminal.width);
    let about = &used.about;
    let kind = kind_in_words(&about.kind);
    let articles = ["a ", "an ", "the "];
    let kind = articles.iter().find_map(|article| kind.strip_prefix(article)).unwrap_or(kind);
    let home = world.folders.home.as_deref();
    let place = printable::home_path(Path::new(&about.place), home);
    let using = match &about.account {
        Some(who) => format!("{}, {kind}, from {place}", printable::text(who)),
        // A CI system's job is known by its system.
        None if used.source == "workload" => format!("{kind} of {place}"),
        None => format!("an account without a name, {kind}, from {place}"),
    };
    text.push_str(&format!("using    {}\n", paint.good(&printable::wrapped(&using, 9, width))));
    if let Some(through) = &about.through {
        text.push_str(&format!(
            "through  {}\n",
            printable::wrapped(&printable::text(through), 9, width)
        ));
    }
    let mut token = token_state(used.token.as_ref(), now, &about.kind);
    if used.refused {
        token.push_str(&format!(", and {SIGN_IN}: the server has refused this login"));
    }
    text.push_str(&format!("token    {}\n", printable::wrapped(&token, 9, width)));
    let project = match &used.project {
        Some((project, origin)) => format!("{} ({origin})", printable::text(project)),
        None => "not known".to_owned(),
    };
    let quota = match &used.quota_project {
        Some((project, origin)) => {
            format!(", quota project {} ({origin})", printable::text(project))
        }
        None => String::new(),
    };
    text.push_str(&format!(
        "project  {}\n",
        printable::wrapped(&format!("{project}{quota}"), 9, width)
    ));
    match about.universe_domain.as_deref() {
        None | Some(trust::DEFAULT_UNIVERSE) => {}
        Some(other) => text.push_str(&format!("universe {}\n", printable::text(other))),
    }
}

fn token_state(token: Option<&Token>, now: i64, kind: &str) -> String {
    let Some(token) = token else {
        return match kind {
            "access_token" => "ready, its end is not known".to_owned(),
            _ => "not cached, the next call asks for one".to_owned(),
        };
    };
    let cached = if token.cached { "cached" } else { "new" };
    let state = match (token.left(now), token.expires_at) {
        (Some(0), Some(end)) => format!("cached, expired ({})", duration::rfc3339(end)),
        (Some(left), Some(end)) => {
            format!(
                "{cached}, {} left (expires {})",
                duration::in_words(left),
                duration::rfc3339(end)
            )
        }
        _ => "ready, its end is not known".to_owned(),
    };
    match &token.scopes {
        Some(scopes) => {
            let short = |scope: &String| {
                let scope = scope.strip_prefix("https://www.googleapis.com/auth/").unwrap_or(scope);
                printable::text(scope)
            };
            format!("{state}, scopes {}", scopes.iter().map(short).collect::<Vec<_>>().join(" "))
        }
        None => state,
    }
}

fn table(text: &mut String, picture: &Picture, paint: Paint, world: &World) {
    let width = world.terminal.width;
    let labels: Vec<String> = picture.rows.iter().map(|row| (row.place.label)(world)).collect();
    let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let wide = longest.min(if width < 100 { 39 } else { 47 }).min(width - 4);
    text.push_str(&paint.heading(&format!("   {:wide$}  found", "looked at")));
    text.push('\n');
    let used_row = used_row(picture);
    let mut last = 0;
    for (index, row) in picture.rows.iter().enumerate() {
        let used = Some(index) == used_row;
        let repeated = row.place.number == last;
        last = row.place.number;
        let number = if repeated { " ".to_owned() } else { last.to_string() };
        let label = shorten(&labels[index], wide);
        let mut found = match &row.looked {
            Some(Looked::Found(found)) => says(found, world),
            Some(Looked::Broken(error)) => error.message().to_owned(),
            Some(Looked::Nothing(reason)) => reason.clone(),
            None => "not asked".to_owned(),
        };
        if used {
            found.push_str("   ← used");
        }
        // What does not fit beside its label goes below it.
        let fits = wide + 5 + found.chars().count() <= width;
        let found = if fits { found } else { printable::wrapped(&found, 5, width) };
        let found = match &row.looked {
            Some(Looked::Found(_)) if used => paint.good(&found),
            Some(Looked::Found(_)) => found,
            Some(Looked::Broken(_)) => paint.wrong(&found),
            Some(Looked::Nothing(_)) | None => paint.dim(&found),
        };
        match fits {
            true => text.push_str(&format!("{number}  {label:wide$}  {found}\n")),
            false => text.push_str(&format!("{number}  {label}\n     {found}\n")),
        }
    }
}

/// The row that is used; none when the command line named something else.
fn used_row(picture: &Picture) -> Option<usize> {
    let used = picture.used.as_ref()?;
    picture.rows.iter().position(|row| match &row.looked {
        Some(Looked::Found(found)) => {
            found.source == used.source && found.credential.about().place == used.about.place
        }
        _ => false,
    })
}

/// What is known of a login whose server has refused it.
const SIGN_IN: &str = "must sign in again";

fn says(found: &Found, world: &World) -> String {
    match found.credential.describe() {
        Ok(about) if found.credential.refusal(world).is_some() => {
            format!("{}, {SIGN_IN}", one_line(&about))
        }
        Ok(about) => one_line(&about),
        Err(error) => error.message().to_owned(),
    }
}

/// Cuts a long path in its middle.
fn shorten(label: &str, width: usize) -> String {
    let letters: Vec<char> = label.chars().collect();
    if letters.len() <= width {
        return label.to_owned();
    }
    let tail = 8;
    let head: String = letters[..width - tail - 1].iter().collect();
    let tail: String = letters[letters.len() - tail..].iter().collect();
    format!("{head}…{tail}")
}

#[derive(Serialize)]
struct JsonReport<'a> {
    using: Option<JsonUsed<'a>>,
    looked_at: Vec<JsonRow>,
    note: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonUsed<'a> {
    account: Option<&'a str>,
    kind: &'a str,
    source: &'a str,
    place: &'a str,
    through: Option<&'a str>,
    project: Option<&'a str>,
    quota_project: Option<&'a str>,
    universe_domain: Option<&'a str>,
    token: Option<JsonToken<'a>>,
    must_sign_in_again: bool,
}

#[derive(Serialize)]
struct JsonToken<'a> {
    cached: bool,
    expires_at: Option<String>,
    expires_in: Option<i64>,
    scopes: Option<&'a [String]>,
}

#[derive(Serialize)]
struct JsonRow {
    number: u8,
    place: String,
    state: &'static str,
    detail: Option<String>,
    account: Option<String>,
    kind: Option<String>,
    used: bool,
}

fn json(picture: &Picture, world: &World) -> anyhow::Result<String> {
    let now = world.clock.unix();
    let used_row = used_row(picture);
    let rows = picture.rows.iter().enumerate().map(|(index, row)| {
        let about = match &row.looked {
            Some(Looked::Found(found)) => found.credential.describe().ok(),
            _ => None,
        };
        let (state, detail) = match &row.looked {
            Some(Looked::Found(_)) => ("found", None),
            Some(Looked::Nothing(reason)) => ("nothing", Some(reason.clone())),
            Some(Looked::Broken(error)) => ("broken", Some(error.message().to_owned())),
            None => ("not_asked", None),
        };
        JsonRow {
            number: row.place.number,
            place: (row.place.label)(world),
            state,
            detail,
            account: about.as_ref().and_then(|about| about.account.clone()),
            kind: about.map(|about| about.kind),
            used: Some(index) == used_row,
        }
    });
    let report = JsonReport {
        using: picture.used.as_ref().map(|used| JsonUsed {
            account: used.about.account.as_deref(),
            kind: &used.about.kind,
            source: used.source,
            place: &used.about.place,
            through: used.about.through.as_deref(),
            project: used.project.as_ref().map(|(project, _)| project.as_str()),
            quota_project: used.quota_project.as_ref().map(|(project, _)| project.as_str()),
            universe_domain: used.about.universe_domain.as_deref(),
            token: used.token.as_ref().map(|token| JsonToken {
                cached: token.cached,
                expires_at: token.expires_at.map(duration::rfc3339),
                expires_in: token.left(now),
                scopes: token.scopes.as_deref(),
            }),
            must_sign_in_again: used.refused,
        }),
        looked_at: rows.collect(),
        note: picture.note.as_deref(),
    };
    Ok(format!("{}\n", serde_json::to_string_pretty(&report)?))
}
