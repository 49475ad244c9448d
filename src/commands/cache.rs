//! `gauth cache`: look at cached tokens, or drop them. Values are never shown.

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::cache::{Cache, Entry};
use crate::commands::{Example, Group, Spec, Status, Words};
use crate::flags::{General, Report, ReportFormat};
use crate::settings::{Given, Settings};
use crate::world::World;
use crate::{duration, printable};

/// The command.
pub const SPEC: Spec = Spec {
    name: "cache",
    aliases: &[],
    about: "look at cached tokens, or drop them",
    examples: &[
        Example("gauth cache list", "whose tokens, and how long they last"),
        Example("gauth cache clear", "drop them all; the next call asks anew"),
    ],
    more: "\
The cache holds one private file per token in the folder tokens of gauth's own folder. The tokens themselves are \
never shown. Dropping them does no harm: the next call asks Google again.",
    group: Group::Look,
    flags: Flags::augment_args,
    run,
};

#[derive(Debug, Default, Args)]
pub(super) struct Flags {
    /// list (if nothing is said) or clear
    #[arg(value_name = "ACTION", default_value = "list", hide_default_value = true)]
    action: Action,
    #[command(flatten)]
    report: Report,
    #[command(flatten)]
    general: General,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Action {
    /// One line per token
    #[default]
    List,
    /// Drop them all
    Clear,
}

#[derive(Serialize)]
struct Row<'a> {
    account: Option<&'a str>,
    kind: &'a str,
    scopes: Option<&'a [String]>,
    expires_at: Option<String>,
    expires_in: Option<i64>,
    fingerprint: String,
    file: &'a str,
}

fn run(words: Words, world: &World) -> anyhow::Result<Status> {
    let flags: Flags = words.flags()?;
    Settings::resolve(&Given { general: flags.general.clone(), ..Given::default() }, world)?;
    let cache = Cache::new(world);
    let text = match (flags.action, flags.report.format.unwrap_or_default()) {
        (Action::Clear, format) => {
            let dropped = cache.clear()?;
            match format {
                ReportFormat::Text => format!("{}\n", counted(dropped)),
                ReportFormat::Json => format!("{{\"dropped\": {dropped}}}\n"),
            }
        }
        (Action::List, ReportFormat::Text) => table(&cache.list(), world.clock.unix()),
        (Action::List, ReportFormat::Json) => json(&cache.list(), world.clock.unix())?,
    };
    world.streams.result(text.as_bytes())?;
    Ok(Status::DONE)
}

fn counted(count: usize) -> String {
    match count {
        0 => "no tokens were cached".to_owned(),
        1 => "1 token dropped".to_owned(),
        _ => format!("{count} tokens dropped"),
    }
}

fn table(entries: &[(String, Entry)], now: i64) -> String {
    if entries.is_empty() {
        return "no tokens are cached\n".to_owned();
    }
    let name = |entry: &Entry| {
        entry.token.account.as_deref().map_or_else(|| "(unnamed)".to_owned(), printable::text)
    };
    let longest = |width: usize, text: &str| width.max(text.chars().count());
    let wide = entries.iter().fold(7, |width, (_, entry)| longest(width, &name(entry)));
    let kinds = entries.iter().fold(4, |width, (_, entry)| longest(width, &entry.token.kind));
    let mut text = format!("{:wide$}  {:kinds$}  STATE\n", "ACCOUNT", "KIND");
    for (_, entry) in entries {
        let state = match entry.token.left(now) {
            Some(0) => "expired".to_owned(),
            Some(left) => format!("{} left", duration::in_words(left)),
            None => "no end known".to_owned(),
        };
        let kind = &entry.token.kind;
        text.push_str(&format!("{:wide$}  {kind:kinds$}  {state}\n", name(entry)));
    }
    text
}

fn json(entries: &[(String, Entry)], now: i64) -> anyhow::Result<String> {
    let rows: Vec<Row<'_>> = entries
        .iter()
        .map(|(file, entry)| Row {
            account: entry.token.account.as_deref(),
            kind: &entry.token.kind,
            scopes: entry.token.scopes.as_deref(),
            expires_at: entry.token.expires_at.map(duration::rfc3339),
            expires_in: entry.token.left(now),
            fingerprint: entry.token.secret.fingerprint(),
            file,
        })
        .collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&rows)?))
}
