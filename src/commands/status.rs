//! `gauth status`: which credential would be used and why, and the state of its cached token.

use std::path::Path;

use clap::Args;
use serde::Serialize;

use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::flags::{CommonFlags, ReportFlags, ReportFormat, TokenFlags};
use crate::output::status::ExitStatus;
use gauth_core::config::{Config, Overrides, Source, Sourced};
use gauth_core::discovery::{Discovery, FoundCredential, Lookup, SourceReport, one_line_summary};
use gauth_core::gcloud::properties::GcloudProperties;
use gauth_core::net::endpoint_policy;
use gauth_core::text::{duration, printable};
use gauth_core::tokens::credential::{CredentialInfo, credential_type_name};
use gauth_core::tokens::{Token, TokenRequest};
use gauth_core::world::terminal::TextStyle;
use gauth_core::world::{World, env};
use gauth_core::{discovery, gcloud};

/// The specification of `gauth status`.
pub const SPEC: CommandSpec = CommandSpec {
    name: "status",
    aliases: &["whoami"],
    about: "show which credential is used, and why",
    examples: &[
        Example("gauth status", "each credential source and what it contains"),
        Example("gauth status --check", "request a token as well"),
        Example("gauth status --format json", "for programs"),
    ],
    description: "\
Shows which credential gauth uses, with its account, project, quota project and universe, and the state of its \
cached token. The table lists all credential sources in the order in which gauth tries them, and says why a source \
is skipped. gauth only reads files and variables; `--check` sends requests as well.\n\n\
Exit codes: 3 if no credential is found; the table is printed all the same.",
    group: CommandGroup::Look,
    flags: StatusFlags::augment_args,
    run,
};

#[derive(Debug, Default, Args)]
pub(super) struct StatusFlags {
    /// request a token
    ///
    /// Requests a token, and looks up the account at the server.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    token: TokenFlags,
    #[command(flatten)]
    report: ReportFlags,
    #[command(flatten)]
    common: CommonFlags,
}

/// What the command prints.
struct StatusReport {
    selected: Option<SelectedCredential>,
    /// Every step of the search for a credential, in its order.
    steps: Vec<SourceReport>,
    note: Option<String>,
}

/// The credential that would be used.
struct SelectedCredential {
    info: CredentialInfo,
    source: Source,
    /// The cached token, or with `--check` a token that was just requested.
    token: Option<Token>,
    project: Option<Sourced<String>>,
    quota_project: Option<Sourced<String>>,
    /// Whether the server refused this login when it was last used.
    is_rejected: bool,
}

fn run(args: ParsedArgs, world: &World) -> anyhow::Result<ExitStatus> {
    let flags: StatusFlags = args.flags()?;
    let config = Config::resolve(&flags.overrides(), world)?;
    let broker = discovery::broker(&config, world);
    let search = Discovery { config: &config, broker: &broker, allow_network: flags.check };
    let reports = discovery::report_all(&search);
    let selection = discovery::credential_from_reports(&search, &reports)?;
    let request = TokenRequest::AccessToken(config.access_token_request.clone());
    let selected = match &selection {
        None => None,
        Some(found) => {
            let token = match flags.check {
                true => Some(broker.token(&*found.credential, &request)?),
                false => broker.peek_cached_token(&*found.credential, &request),
            };
            let info = match flags.check {
                true => found.credential.fetch_info(&broker)?,
                false => found.credential.load_info()?,
            };
            let is_rejected = found.credential.last_rejection(world).is_some();
            Some(SelectedCredential { is_rejected, ..selected_credential(info, found.source, token, &config, world)? })
        }
    };
    let note = gcloud_account_note(&reports);
    let report = StatusReport { selected, steps: reports, note };
    let text = match flags.report.format.unwrap_or_default() {
        ReportFormat::Text => render_text(&report, world),
        ReportFormat::Json => render_json(&report, world)?,
    };
    world.streams.write_result(text.as_bytes())?;
    Ok(ExitStatus::SUCCESS)
}

impl StatusFlags {
    fn overrides(&self) -> Overrides {
        self.common.overrides_with(&self.token)
    }
}

fn selected_credential(
    info: CredentialInfo,
    source: Source,
    token: Option<Token>,
    config: &Config,
    world: &World,
) -> gauth_core::Result<SelectedCredential> {
    let in_credential = |value: &Option<String>| Some(Sourced::explicit(value.clone()?, "in the credential"));
    let quota_project = match &config.quota_project {
        Some(chosen) => Some(Sourced::explicit(chosen.clone(), "chosen")),
        None => in_credential(&info.quota_project),
    };
    let project = project(in_credential(&info.project), world)?;
    Ok(SelectedCredential { info, source, token, project, quota_project, is_rejected: false })
}

/// The project of a variable, else of the credential, else of gcloud's configuration.
fn project(in_credential: Option<Sourced<String>>, world: &World) -> gauth_core::Result<Option<Sourced<String>>> {
    for variable in [env::GOOGLE_CLOUD_PROJECT, env::GCLOUD_PROJECT] {
        if let Some(value) = world.env.text(&variable)? {
            return Ok(Some(Sourced::explicit(value, variable.name)));
        }
    }
    if in_credential.is_some() {
        return Ok(in_credential);
    }
    let properties = GcloudProperties::open(world.folders.gcloud.as_deref(), &world.env);
    // A broken gcloud configuration is a line of its own in the table.
    let Ok(Some(property)) = gcloud::project(&properties) else { return Ok(None) };
    let origin = match property.origin.starts_with("CLOUDSDK_") {
        true => property.origin,
        false => match properties.configuration() {
            Ok(configuration) => format!("gcloud configuration \"{}\"", configuration.name),
            Err(_) => "gcloud".to_owned(),
        },
    };
    Ok(Some(Sourced::explicit(property.value, origin)))
}

/// A note for users whose ADC file belongs to another account than the one gcloud uses.
fn gcloud_account_note(reports: &[SourceReport]) -> Option<String> {
    let account = |source| {
        let report = reports.iter().find(|report| report.source.source == Some(source))?;
        match &report.lookup {
            Lookup::Found(found) => found.credential.info().account.clone(),
            _ => None,
        }
    };
    match (account(Source::Adc), account(Source::Gcloud)) {
        (Some(adc), Some(gcloud)) if !adc.eq_ignore_ascii_case(&gcloud) => {
            Some(format!("gcloud itself acts as {}", printable::text(&gcloud)))
        }
        _ => None,
    }
}

fn render_text(report: &StatusReport, world: &World) -> String {
    let paint = world.terminal.text_style(world.streams.stdout_is_terminal);
    let mut text = String::new();
    match &report.selected {
        None => {
            let broken = report.steps.iter().any(|step| matches!(step.lookup, Lookup::Broken(_)));
            let why = if broken { "a credential is there but cannot be used" } else { "no credential found" };
            text.push_str(&format!("using    {}\n", paint.failure(&format!("nothing, {why}"))));
            if !broken {
                text.push_str(&format!(
                    "try      {}\n",
                    printable::wrap(&discovery::no_credential_hint(world), 9, world.terminal.width)
                ));
            }
        }
        Some(selected) => write_summary(&mut text, selected, paint, world),
    }
    text.push('\n');
    write_table(&mut text, report, paint, world);
    if let Some(note) = &report.note {
        text.push_str(&format!("\n{}\n", paint.warning(&format!("note: {note}"))));
    }
    text
}

fn write_summary(text: &mut String, selected: &SelectedCredential, paint: TextStyle, world: &World) {
    let (now, width) = (world.clock.unix_seconds(), world.terminal.width);
    let info = &selected.info;
    let kind = credential_type_name(&info.credential_type);
    let articles = ["a ", "an ", "the "];
    let kind = articles.iter().find_map(|article| kind.strip_prefix(article)).unwrap_or(kind);
    let home = world.folders.home.as_deref();
    let location = printable::home_path(Path::new(&info.location), home);
    let using = match &info.account {
        Some(account) => format!("{}, {kind}, from {location}", printable::text(account)),
        // A CI system's job is known by its system.
        None if selected.source == Source::Workload => format!("{kind} of {location}"),
        None => format!("an account without a name, {kind}, from {location}"),
    };
    text.push_str(&format!("using    {}\n", paint.success(&printable::wrap(&using, 9, width))));
    if let Some(through) = &info.derived_from {
        text.push_str(&format!("through  {}\n", printable::wrap(&printable::text(through), 9, width)));
    }
    let mut token = token_state(selected.token.as_ref(), now, &info.credential_type);
    if selected.is_rejected {
        token.push_str(&format!(", and {MUST_SIGN_IN}: the server has refused this login"));
    }
    text.push_str(&format!("token    {}\n", printable::wrap(&token, 9, width)));
    let project = match &selected.project {
        Some(project) => format!("{} ({})", printable::text(&project.value), project.origin),
        None => "not known".to_owned(),
    };
    let quota = match &selected.quota_project {
        Some(project) => {
            format!(", quota project {} ({})", printable::text(&project.value), project.origin)
        }
        None => String::new(),
    };
    text.push_str(&format!("project  {}\n", printable::wrap(&format!("{project}{quota}"), 9, width)));
    match info.universe_domain.as_deref() {
        None | Some(endpoint_policy::DEFAULT_UNIVERSE) => {}
        Some(other) => text.push_str(&format!("universe {}\n", printable::text(other))),
    }
}

fn token_state(token: Option<&Token>, now: i64, kind: &str) -> String {
    let Some(token) = token else {
        return match kind {
            "access_token" => "its expiry is not known".to_owned(),
            _ => "not cached, the next command requests one".to_owned(),
        };
    };
    let cached = if token.from_cache { "cached" } else { "new" };
    let state = match (token.seconds_left(now), token.expires_at) {
        (Some(0), Some(end)) => format!("cached, expired ({})", duration::rfc3339(end)),
        (Some(left), Some(end)) => {
            format!("{cached}, {} left (expires {})", duration::humanize(left), duration::rfc3339(end))
        }
        _ => "its expiry is not known".to_owned(),
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

fn write_table(text: &mut String, report: &StatusReport, paint: TextStyle, world: &World) {
    let width = world.terminal.width;
    let rows: Vec<(&SourceReport, String)> = report.rows().map(|row| (row, (row.source.label)(world))).collect();
    let longest = rows.iter().map(|(_, label)| label.chars().count()).max().unwrap_or(0);
    let wide = longest.min(if width < 100 { 39 } else { 47 }).min(width - 4);
    text.push_str(&paint.heading(&format!("   {:wide$}  found", "looked at")));
    text.push('\n');
    let mut last_number = None;
    for (row, label) in &rows {
        let is_used = report.is_used(row);
        let number = match row.source.number {
            Some(number) if Some(number) != last_number => number.to_string(),
            _ => " ".to_owned(),
        };
        last_number = row.source.number;
        let label = shorten(label, wide);
        let mut found = match &row.lookup {
            Lookup::Found(found) => describe_found(found, world),
            Lookup::Broken(error) => error.message().to_owned(),
            Lookup::NotSet(reason) => reason.clone(),
            Lookup::NotAsked => "not asked".to_owned(),
        };
        if is_used {
            found.push_str("   ← used");
        }
        // What does not fit beside its label goes below it.
        let fits = wide + 5 + found.chars().count() <= width;
        let found = if fits { found } else { printable::wrap(&found, 5, width) };
        let found = match &row.lookup {
            Lookup::Found(_) if is_used => paint.success(&found),
            Lookup::Found(_) => found,
            Lookup::Broken(_) => paint.failure(&found),
            Lookup::NotSet(_) | Lookup::NotAsked => paint.dim(&found),
        };
        match fits {
            true => text.push_str(&format!("{number}  {label:wide$}  {found}\n")),
            false => text.push_str(&format!("{number}  {label}\n     {found}\n")),
        }
    }
}

impl StatusReport {
    /// The steps that are listed.
    fn rows(&self) -> impl Iterator<Item = &SourceReport> {
        self.steps.iter().filter(|step| step.is_listed())
    }

    /// Whether this step's credential is the one that is used.
    fn is_used(&self, step: &SourceReport) -> bool {
        let decisive = discovery::decisive(&self.steps);
        matches!(step.lookup, Lookup::Found(_)) && decisive.is_some_and(|decisive| std::ptr::eq(decisive, step))
    }
}

/// How the report describes a login that its server has refused.
const MUST_SIGN_IN: &str = "must sign in again";

fn describe_found(found: &FoundCredential, world: &World) -> String {
    match found.credential.load_info() {
        Ok(info) if found.credential.last_rejection(world).is_some() => {
            format!("{}, {MUST_SIGN_IN}", one_line_summary(&info))
        }
        Ok(info) => one_line_summary(&info),
        Err(error) => error.message().to_owned(),
    }
}

/// Replaces the middle of a long path by an ellipsis.
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
struct StatusJson<'a> {
    using: Option<SelectedCredentialJson<'a>>,
    looked_at: Vec<SourceJson>,
    note: Option<&'a str>,
}

#[derive(Serialize)]
struct SelectedCredentialJson<'a> {
    account: Option<&'a str>,
    kind: &'a str,
    source: &'a str,
    place: &'a str,
    through: Option<&'a str>,
    project: Option<&'a str>,
    quota_project: Option<&'a str>,
    universe_domain: Option<&'a str>,
    token: Option<SelectedTokenJson<'a>>,
    must_sign_in_again: bool,
}

#[derive(Serialize)]
struct SelectedTokenJson<'a> {
    cached: bool,
    expires_at: Option<String>,
    expires_in: Option<i64>,
    scopes: Option<&'a [String]>,
}

#[derive(Serialize)]
struct SourceJson {
    /// `null` for a credential that is configured, which the manual's list does not number.
    number: Option<u8>,
    place: String,
    state: &'static str,
    detail: Option<String>,
    account: Option<String>,
    kind: Option<String>,
    used: bool,
}

fn render_json(report: &StatusReport, world: &World) -> anyhow::Result<String> {
    let now = world.clock.unix_seconds();
    let rows = report.rows().map(|row| {
        let info = match &row.lookup {
            Lookup::Found(found) => found.credential.load_info().ok(),
            _ => None,
        };
        let (state, detail) = match &row.lookup {
            Lookup::Found(_) => ("found", None),
            Lookup::NotSet(reason) => ("nothing", Some(reason.clone())),
            Lookup::Broken(error) => ("broken", Some(error.message().to_owned())),
            Lookup::NotAsked => ("not_asked", None),
        };
        SourceJson {
            number: row.source.number,
            place: (row.source.label)(world),
            state,
            detail,
            account: info.as_ref().and_then(|info| info.account.clone()),
            kind: info.map(|info| info.credential_type),
            used: report.is_used(row),
        }
    });
    let status = StatusJson {
        using: report.selected.as_ref().map(|selected| SelectedCredentialJson {
            account: selected.info.account.as_deref(),
            kind: &selected.info.credential_type,
            source: selected.source.as_str(),
            place: &selected.info.location,
            through: selected.info.derived_from.as_deref(),
            project: selected.project.as_ref().map(|project| project.value.as_str()),
            quota_project: selected.quota_project.as_ref().map(|project| project.value.as_str()),
            universe_domain: selected.info.universe_domain.as_deref(),
            token: selected.token.as_ref().map(|token| SelectedTokenJson {
                cached: token.from_cache,
                expires_at: token.expires_at.map(duration::rfc3339),
                expires_in: token.seconds_left(now),
                scopes: token.scopes.as_deref(),
            }),
            must_sign_in_again: selected.is_rejected,
        }),
        looked_at: rows.collect(),
        note: report.note.as_deref(),
    };
    Ok(format!("{}\n", serde_json::to_string_pretty(&status)?))
}
