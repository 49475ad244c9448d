//! `gauth logout`: ends a login at the server that gave it, and forgets it then.

use std::ffi::OsString;

use clap::Args;
use serde::Serialize;

use crate::accounts;
use crate::commands::{Example, Group, Spec, Status, Words};
use crate::complete;
use crate::credential::{Revocation, kind_in_words};
use crate::discover::logins::{self, Keeper, Login};
use crate::discover::{self, Search};
use crate::error::{Error, ErrorKind, Result};
use crate::flags::{General, Network, Report, ReportFormat};
use crate::printable;
use crate::settings::{Given, Settings, text};
use crate::world::World;

/// The command.
pub const SPEC: Spec = Spec {
    name: "logout",
    aliases: &[],
    about: "end a login at the server, then forget it",
    examples: &[
        Example("gauth logout", "the active account"),
        Example("gauth logout ada@example.com", "this one"),
        Example("gauth logout --all --keep-remote", "forget all here, tell nobody"),
    ],
    more: "\
The server that gave the login is told first, so that no copy of it is of any use; then the login, what was chosen of \
it and its cached tokens are removed here. A login that the server does not take back is kept, and said; with \
--keep-remote nobody is asked. Keys of service accounts and files of federated identities are only forgotten: they \
end where they were made. gcloud's logins are gcloud's to end: gcloud auth revoke.",
    group: Group::SignIn,
    flags: Flags::augment_args,
    run,
};

#[derive(Debug, Default, Args)]
pub(super) struct Flags {
    /// Whose login; the active account if none is named
    #[arg(value_name = "ACCOUNT", add = complete::accounts(), conflicts_with = "all")]
    account: Option<OsString>,
    /// All of gauth's logins
    #[arg(long)]
    all: bool,
    /// Forget here only, do not ask the server
    #[arg(long)]
    keep_remote: bool,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    report: Report,
    #[command(flatten)]
    general: General,
}

/// A login that is forgotten here.
#[derive(Serialize)]
struct Ended {
    account: String,
    /// Whether it ended at its server too.
    revoked: bool,
}

fn run(words: Words, world: &World) -> anyhow::Result<Status> {
    let flags: Flags = words.flags()?;
    let settings = Settings::resolve(&flags.given(), world)?;
    let broker = settings.broker(world);
    let search = Search { settings: &settings, broker: &broker, may_ask: false };
    let ended = match flags.all {
        true => end_all(&search, flags.keep_remote)?,
        false => {
            let account = flags.account.as_deref().map(|name| text("ACCOUNT", name)).transpose()?;
            vec![end(one(account, &search)?, &search, flags.keep_remote)?]
        }
    };
    world.streams.result(told(&ended, flags.report.format.unwrap_or_default()).as_bytes())?;
    Ok(Status::DONE)
}

impl Flags {
    fn given(&self) -> Given {
        Given {
            who: self.network.who(),
            effort: self.network.effort(),
            general: self.general.clone(),
            ..Given::default()
        }
    }
}

/// The login that is meant.
fn one(account: Option<String>, search: &Search<'_>) -> Result<Login> {
    let name = match account {
        Some(name) => name,
        None => match logins::active(search)? {
            Some((name, _)) => name,
            None => {
                let error = Error::new(ErrorKind::NoCredential, "no account is active");
                return Err(error.hint("gauth logout ACCOUNT; gauth accounts lists them"));
            }
        },
    };
    let same = |login: &Login| login.account.eq_ignore_ascii_case(&name);
    if let Some(login) = logins::own(search).into_iter().find(same) {
        return Ok(login);
    }
    let logins = logins::all(search);
    match logins.all.into_iter().find(same) {
        Some(login) if login.keeper == Keeper::Gcloud => {
            let shown = printable::text(&login.account);
            Err(Error::unsupported(format!(
                "{shown} is a login of gcloud's, which gauth only reads"
            ))
            .hint(format!("gcloud auth revoke {shown}")))
        }
        _ => Err(logins.trouble.unwrap_or_else(|| {
            discover::no_login(&name, search.world())
                .hint("gauth accounts lists the logins there are")
        })),
    }
}

/// Ends a login and forgets it.
///
/// # Errors
/// When the server does not take it back, or it cannot be forgotten: it is then kept.
fn end(login: Login, search: &Search<'_>, keep_remote: bool) -> Result<Ended> {
    let world = search.world();
    let shown = printable::text(&login.account);
    let mut revoked = false;
    accounts::forget(&login.account, &search.settings.vaults, world, || {
        if keep_remote {
            return Ok(());
        }
        let asked = match &login.credential {
            Some(credential) => credential.revoke(&search.settings.broker(world)),
            None => login.content(search).map(|_| Revocation::Impossible),
        };
        let only_here = format!("gauth logout {shown} --keep-remote forgets it here");
        match asked.map_err(|error| kept(&error, &shown, &only_here))? {
            Revocation::Done | Revocation::Before => revoked = true,
            Revocation::Impossible => world.terminal.warn(&format!(
                "{shown} is {}, which no server takes back: it is only forgotten here",
                kind_in_words(login.kind().unwrap_or("a login"))
            )),
        }
        Ok(())
    })?;
    // What a copy elsewhere needs stays, as long as that is good for anything.
    if let (true, Ok(json)) = (revoked, &login.json) {
        accounts::forget_shadows(json, world);
    }
    Ok(Ended { account: login.account, revoked })
}

/// A login that is kept, because it may still be good elsewhere.
fn kept(error: &Error, shown: &str, only_here: &str) -> Error {
    let hint = match error.kind() {
        ErrorKind::NoAnswer => format!("the same again later; {only_here}"),
        _ => only_here.to_owned(),
    };
    Error::new(error.kind(), format!("the login of {shown} is kept, {}", error.message()))
        .hint(hint)
}

/// Ends what can be ended.
///
/// # Errors
/// The first of those that could not.
fn end_all(search: &Search<'_>, keep_remote: bool) -> Result<Vec<Ended>> {
    let mut ended = Vec::new();
    let mut failed = None;
    for login in logins::own(search) {
        match end(login, search, keep_remote) {
            Ok(done) => ended.push(done),
            Err(error) if failed.is_none() => failed = Some(error),
            Err(error) => search.world().terminal.warn(error.message()),
        }
    }
    match failed {
        None => Ok(ended),
        Some(error) if ended.is_empty() => Err(error),
        // Standard output has results of what succeeded as a whole only.
        Some(error) => {
            let done: Vec<String> =
                ended.iter().map(|done| printable::text(&done.account)).collect();
            let message = format!("{}; signed out of {}", error.message(), done.join(", "));
            Err(Error::new(error.kind(), message).hint(error.hint_text().unwrap_or_default()))
        }
    }
}

fn told(ended: &[Ended], format: ReportFormat) -> String {
    match format {
        ReportFormat::Json => {
            format!("{}\n", serde_json::to_string_pretty(ended).unwrap_or_default())
        }
        ReportFormat::Text if ended.is_empty() => "no logins, nothing to do\n".to_owned(),
        ReportFormat::Text => ended
            .iter()
            .map(|done| format!("signed out of {}\n", printable::text(&done.account)))
            .collect(),
    }
}
