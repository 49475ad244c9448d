//! `gauth accounts`: who is signed in, gauth's logins and gcloud's; choosing one, looking at one, exporting one.

mod export;
mod list;
mod show;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use crate::accounts::State;
use crate::commands::{Example, Group, Spec, Status, Words};
use crate::complete;
use crate::discover::logins::{self, Login};
use crate::discover::{self, Search};
use crate::error::{Error, Result};
use crate::flags::{Effort, General, Network, Report, ReportFormat};
use crate::printable;
use crate::settings::{Given, Settings, text};
use crate::world::World;

/// The command.
pub const SPEC: Spec = Spec {
    name: "accounts",
    aliases: &[],
    about: "list, choose, look at and export logins",
    examples: &[
        Example("gauth accounts", "who is signed in: gauth's logins and gcloud's"),
        Example("gauth accounts use ada@example.com", "act as her from now on"),
        Example("gauth accounts show ada@example.com", "all there is, secrets hidden"),
        Example("gauth accounts show ada@example.com --export ada.json", "for other programs"),
    ],
    more: "\
Lists the logins of gauth and of gcloud with what is known of them here: ok, must sign in again where the server has \
refused the login, or broken where its file cannot be used. With --check each is asked for a token. A star marks the \
one that is used where nothing else is named.

accounts use makes one of gauth's logins the active one, or with --profile that of a profile. accounts show tells \
everything about one; --export writes it, secrets included, into a private file in the JSON that Google's libraries \
read, without the fields that --strip names. gcloud's store is read and never changed.",
    group: Group::SignIn,
    flags: Flags::augment_args,
    run,
};

#[derive(Debug, Default, Args)]
pub(super) struct Flags {
    /// list (if nothing is said), use or show
    #[arg(value_name = "ACTION", default_value = "list", hide_default_value = true)]
    action: Action,
    /// The account to use or show
    #[arg(value_name = "ACCOUNT", add = complete::accounts())]
    account: Option<OsString>,
    /// list: ask the servers for a token each
    #[arg(long)]
    check: bool,
    /// show: write the login into a private file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    export: Option<PathBuf>,
    /// show: leave these fields out of the file
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',', requires = "export")]
    strip: Vec<String>,
    /// show: in place of a file that is there
    #[arg(long, requires = "export")]
    force: bool,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    report: Report,
    #[command(flatten)]
    general: General,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Action {
    /// One line per login
    #[default]
    List,
    /// Make it the active one
    Use,
    /// All about one
    Show,
}

fn run(words: Words, world: &World) -> anyhow::Result<Status> {
    let flags: Flags = words.flags()?;
    let account = flags.account()?;
    let settings = Settings::resolve(&flags.given(), world)?;
    let broker = settings.broker(world);
    let search = Search { settings: &settings, broker: &broker, may_ask: false };
    let format = flags.report.format.unwrap_or_default();
    let text = match account {
        None => list::report(&search, flags.check, format)?,
        Some(account) => match (flags.action, &flags.export) {
            (Action::Use, _) => choose(&account, &flags, &search)?,
            (_, None) => show::report(found(&account, &search)?, &search, format)?,
            (_, Some(path)) => {
                let to = export::To { path, without: &flags.strip, replace: flags.force };
                export::write(&found(&account, &search)?, &to, &search, format)?
            }
        },
    };
    world.streams.result(text.as_bytes())?;
    Ok(Status::DONE)
}

impl Flags {
    fn given(&self) -> Given {
        // Asking means asking: a token that is cached tells nothing of its login.
        let effort = Effort { refresh: self.check, ..self.network.effort() };
        Given {
            effort,
            who: self.network.who(),
            general: self.general.clone(),
            new_profile: self.action == Action::Use,
            ..Given::default()
        }
    }

    /// The account of an action that has one.
    fn account(&self) -> Result<Option<String>> {
        let account =
            self.account.as_deref().map(|account| text("ACCOUNT", account)).transpose()?;
        let asked = |what: &str, action: &str| {
            Err(Error::usage(format!("{what} goes with gauth accounts {action}"))
                .hint("gauth accounts --help"))
        };
        match (self.action, account) {
            (Action::List, Some(_)) => Err(Error::usage("there is a word too many")
                .hint("gauth accounts show ACCOUNT, or gauth accounts alone")),
            (Action::Use | Action::Show, _) if self.check => asked("--check", "list"),
            (Action::List | Action::Use, _) if self.export.is_some() => asked("--export", "show"),
            (Action::List, None) => Ok(None),
            (_, Some(account)) => Ok(Some(account)),
            (action, None) => {
                let action = if action == Action::Use { "use" } else { "show" };
                Err(Error::usage("no account is named").hint(format!(
                    "gauth accounts {action} ada@example.com; gauth accounts lists them"
                )))
            }
        }
    }
}

/// The login of this account: gauth's, or else gcloud's.
fn found(account: &str, search: &Search<'_>) -> Result<Login> {
    let logins = logins::all(search);
    let same = |login: &Login| login.account.eq_ignore_ascii_case(account);
    match (logins.all.into_iter().find(same), logins.trouble) {
        (Some(login), _) => Ok(login),
        (None, Some(trouble)) => Err(trouble),
        (None, None) => Err(discover::no_login(account, search.world())),
    }
}

/// Makes a login the active one, or that of the profile in use.
fn choose(account: &str, flags: &Flags, search: &Search<'_>) -> Result<String> {
    let world = search.world();
    let profile = search.settings.profile.as_deref();
    let own = logins::own(search).into_iter().map(|login| login.account);
    // As its file spells it.
    let Some(account) = own.into_iter().find(|own| own.eq_ignore_ascii_case(account)) else {
        let shown = printable::text(&found(account, search)?.account);
        return Err(Error::unsupported(format!("{shown} is a login of gcloud's, not of gauth's"))
            .hint(format!("gcloud config set account {shown}")));
    };
    State::change(world, |state| match profile {
        None => state.active = Some(account.clone()),
        Some(profile) => drop(state.profiles.insert(profile.to_owned(), account.clone())),
    })?;
    if let Some(chosen) = Settings::resolve(&flags.given(), world)?.account
        && !chosen.value.eq_ignore_ascii_case(&account)
    {
        let other = printable::text(&chosen.value);
        world.terminal.warn(&format!("{} names {other}, which goes before it", chosen.origin));
    }
    Ok(match flags.report.format.unwrap_or_default() {
        ReportFormat::Text => match profile {
            Some(profile) => {
                format!(
                    "profile {} acts as {}\n",
                    printable::text(profile),
                    printable::text(&account)
                )
            }
            None => format!("gauth acts as {}\n", printable::text(&account)),
        },
        ReportFormat::Json => {
            format!("{}\n", serde_json::json!({ "account": account, "profile": profile }))
        }
    })
}

/// JSON for programs, and a newline.
fn pretty(value: &impl serde::Serialize) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap_or_default())
}
