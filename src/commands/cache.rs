//! `gauth cache`: lists the cached tokens without their values, or removes them.

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::flags::{GeneralFlags, ReportFlags, ReportFormat};
use crate::output::status::ExitStatus;
use gauth_core::config::Config;
use gauth_core::text::{duration, printable};
use gauth_core::tokens::cache::{Cache, CacheEntry};
use gauth_core::world::World;

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "cache",
    aliases: &[],
    about: "list or delete cached tokens",
    examples: &[
        Example("gauth cache list", "accounts, scopes and expiry of cached tokens"),
        Example("gauth cache clear", "delete all cached tokens"),
    ],
    description: "\
Lists or deletes the cached tokens. Each is a private file in the folder tokens of gauth's configuration folder \
(`gauth help files`). The list never shows the tokens. It is safe to delete them: the next command requests new \
ones.",
    group: CommandGroup::Look,
    flags: CacheCommandFlags::augment_args,
    run,
};

#[derive(Debug, Default, Args)]
pub(super) struct CacheCommandFlags {
    /// list (default) or clear
    ///
    /// Selects what to do: `list` prints one line per token, `clear` deletes all tokens. Default: `list`.
    #[arg(value_name = "ACTION", default_value = "list", hide_default_value = true)]
    action: CacheAction,
    #[command(flatten)]
    report: ReportFlags,
    #[command(flatten)]
    general: GeneralFlags,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum CacheAction {
    /// one line per token
    #[default]
    List,
    /// delete all tokens
    Clear,
}

#[derive(Serialize)]
struct CachedTokenJson<'a> {
    account: Option<&'a str>,
    kind: &'a str,
    scopes: Option<&'a [String]>,
    expires_at: Option<String>,
    expires_in: Option<i64>,
    fingerprint: String,
    file: &'a str,
}

fn run(args: ParsedArgs, world: &World) -> anyhow::Result<ExitStatus> {
    let flags: CacheCommandFlags = args.flags()?;
    Config::resolve(&flags.general.overrides(), world)?;
    let cache = Cache::new(world);
    let text = match (flags.action, flags.report.format.unwrap_or_default()) {
        (CacheAction::Clear, format) => {
            let removed = cache.clear()?;
            match format {
                ReportFormat::Text => format!("{}\n", removed_message(removed)),
                ReportFormat::Json => format!("{{\"dropped\": {removed}}}\n"),
            }
        }
        (CacheAction::List, ReportFormat::Text) => render_table(&cache.list(), world.clock.unix_seconds()),
        (CacheAction::List, ReportFormat::Json) => render_json(&cache.list(), world.clock.unix_seconds())?,
    };
    world.streams.write_result(text.as_bytes())?;
    Ok(ExitStatus::SUCCESS)
}

fn removed_message(count: usize) -> String {
    match count {
        0 => "no tokens were cached".to_owned(),
        1 => "1 token removed".to_owned(),
        _ => format!("{count} tokens removed"),
    }
}

fn render_table(entries: &[(String, CacheEntry)], now: i64) -> String {
    if entries.is_empty() {
        return "no tokens are cached\n".to_owned();
    }
    let name =
        |entry: &CacheEntry| entry.token.account.as_deref().map_or_else(|| "(unnamed)".to_owned(), printable::text);
    let wider = |width: usize, text: &str| width.max(text.chars().count());
    let account_width = entries.iter().fold(7, |width, (_, entry)| wider(width, &name(entry)));
    let kind_width = entries.iter().fold(4, |width, (_, entry)| wider(width, &entry.token.credential_type));
    let mut text = format!("{:account_width$}  {:kind_width$}  STATE\n", "ACCOUNT", "KIND");
    for (_, entry) in entries {
        let state = match entry.token.seconds_left(now) {
            Some(0) => "expired".to_owned(),
            Some(left) => format!("{} left", duration::humanize(left)),
            None => "expiry unknown".to_owned(),
        };
        let kind = &entry.token.credential_type;
        text.push_str(&format!("{:account_width$}  {kind:kind_width$}  {state}\n", name(entry)));
    }
    text
}

fn render_json(entries: &[(String, CacheEntry)], now: i64) -> anyhow::Result<String> {
    let rows: Vec<CachedTokenJson<'_>> = entries
        .iter()
        .map(|(file, entry)| CachedTokenJson {
            account: entry.token.account.as_deref(),
            kind: &entry.token.credential_type,
            scopes: entry.token.scopes.as_deref(),
            expires_at: entry.token.expires_at.map(duration::rfc3339),
            expires_in: entry.token.seconds_left(now),
            fingerprint: entry.token.secret.fingerprint(),
            file,
        })
        .collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&rows)?))
}
