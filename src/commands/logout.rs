//! `gauth logout`: revokes a login at the server that issued it, then removes it here.

use std::ffi::OsString;

use clap::Args;
use serde::Serialize;

use gauth_core::accounts;

use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::flags::{GeneralFlags, NetworkFlags, ReportFlags, ReportFormat, TokenHostFlags};
use crate::output::status::ExitStatus;
use gauth_core::config::{Config, Overrides, flag_text};
use gauth_core::discovery;
use gauth_core::discovery::logins::{LoginStore, StoredLogin};
use gauth_core::discovery::{Discovery, logins};
use gauth_core::error::{Error, ErrorKind, Result};
use gauth_core::text::printable;
use gauth_core::tokens::credential::{Revocation, credential_type_name};
use gauth_core::world::World;

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "logout",
    aliases: &[],
    about: "revoke a login at the server and delete it",
    examples: &[
        Example("gauth logout", "the active account"),
        Example("gauth logout ada@example.com", "this account"),
        Example("gauth logout --all --keep-remote", "delete all logins, without revoking them"),
    ],
    description: "\
Revokes a login at the server that issued it, so that no copy of it works any more, and then deletes the login and \
its cached tokens on this machine. If the server cannot be reached or refuses, gauth keeps the login and says so; \
`--keep-remote` deletes it without a request.\n\n\
Service account keys and federated identities cannot be revoked here: gauth only deletes its copy. For a login of \
gcloud, use `gcloud auth revoke`.\n\n\
Exit codes: 3 if there is no such login, 5 or 6 if the server does not revoke it, 7 for a login of gcloud.",
    group: CommandGroup::SignIn,
    flags: LogoutFlags::augment_args,
    run,
};

#[derive(Debug, Default, Args)]
pub(super) struct LogoutFlags {
    /// account; default: the active account
    ///
    /// Logs this account out. Default: the active account.
    #[arg(value_name = "ACCOUNT", conflicts_with = "all")]
    account: Option<OsString>,
    /// all logins of gauth
    ///
    /// Logs all accounts of gauth out.
    #[arg(long)]
    all: bool,
    /// delete without revoking
    ///
    /// Deletes the login on this machine and does not revoke it at the server.
    #[arg(long)]
    keep_remote: bool,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    token_hosts: TokenHostFlags,
    #[command(flatten)]
    report: ReportFlags,
    #[command(flatten)]
    general: GeneralFlags,
}

/// A login that was removed.
#[derive(Serialize)]
struct LogoutResult {
    account: String,
    /// Whether it was revoked at the server too.
    revoked: bool,
}

fn run(args: ParsedArgs, world: &World) -> anyhow::Result<ExitStatus> {
    let flags: LogoutFlags = args.flags()?;
    let settings = Config::resolve(&flags.overrides(), world)?;
    let broker = discovery::broker(&settings, world);
    let discovery = Discovery { config: &settings, broker: &broker, allow_network: false };
    let ended = match flags.all {
        true => logout_all(&discovery, flags.keep_remote)?,
        false => {
            let account = flags.account.as_deref().map(|name| flag_text("ACCOUNT", name)).transpose()?;
            vec![logout(find_login(account, &discovery)?, &discovery, flags.keep_remote)?]
        }
    };
    world.streams.write_result(render(&ended, flags.report.format.unwrap_or_default()).as_bytes())?;
    Ok(ExitStatus::SUCCESS)
}

impl LogoutFlags {
    fn overrides(&self) -> Overrides {
        Overrides {
            allow_token_host: self.token_hosts.allow_token_host.clone(),
            ..self.network.overrides(&self.general)
        }
    }
}

/// The stored login of the account, or of the active one.
fn find_login(account: Option<String>, discovery: &Discovery<'_>) -> Result<StoredLogin> {
    let name = match account {
        Some(name) => name,
        None => match logins::active_account(discovery)? {
            Some((name, _)) => name,
            None => {
                let error = Error::new(ErrorKind::NoCredential, "no account is active");
                return Err(error.hint("gauth logout ACCOUNT; gauth accounts lists them"));
            }
        },
    };
    let is_same_account = |login: &StoredLogin| login.account.eq_ignore_ascii_case(&name);
    if let Some(login) = logins::gauth_logins(discovery).into_iter().find(is_same_account) {
        return Ok(login);
    }
    let logins = logins::all(discovery);
    match logins.all.into_iter().find(is_same_account) {
        Some(login) if login.store == LoginStore::Gcloud => {
            let shown = printable::text(&login.account);
            Err(Error::unsupported(format!("{shown} is a login of gcloud's, which gauth only reads"))
                .hint(format!("gcloud auth revoke {shown}")))
        }
        _ => Err(logins.gcloud_error.unwrap_or_else(|| {
            discovery::no_login_error(&name, discovery.world()).hint("gauth accounts lists the logins there are")
        })),
    }
}

/// Revokes and removes a login.
///
/// # Errors
/// When the server does not revoke it, or it cannot be removed. The login is then kept.
fn logout(login: StoredLogin, discovery: &Discovery<'_>, keep_remote: bool) -> Result<LogoutResult> {
    let world = discovery.world();
    let shown = printable::text(&login.account);
    let mut revoked = false;
    accounts::forget(&login.account, &discovery.secret_stores(), world, || {
        if keep_remote {
            return Ok(());
        }
        let revocation = match &login.credential {
            Some(credential) => credential.revoke(&discovery::broker(discovery.config, world)),
            None => login.json_with_secrets(discovery).map(|_| Revocation::Unsupported),
        };
        let only_here = format!("gauth logout {shown} --keep-remote removes it here only");
        match revocation.map_err(|error| kept_error(&error, &shown, &only_here))? {
            Revocation::Revoked | Revocation::AlreadyRevoked => revoked = true,
            Revocation::Unsupported => world.terminal.warn(&format!(
                "{shown} is {}, which cannot be revoked: it is removed here only",
                credential_type_name(login.kind().unwrap_or("a login"))
            )),
        }
        Ok(())
    })?;
    // A copy of a login that is not revoked still needs the overlay file.
    if let (true, Ok(json)) = (revoked, &login.json) {
        accounts::remove_overlays(json, world);
    }
    Ok(LogoutResult { account: login.account, revoked })
}

/// The error for a login that is kept, because it was not revoked.
fn kept_error(error: &Error, shown: &str, only_here: &str) -> Error {
    let hint = match error.kind() {
        ErrorKind::NoAnswer => format!("try again later; {only_here}"),
        _ => only_here.to_owned(),
    };
    Error::new(error.kind(), format!("the login of {shown} is kept, {}", error.message())).hint(hint)
}

/// Revokes and removes all logins.
///
/// # Errors
/// The first error. The other logins are still processed.
fn logout_all(discovery: &Discovery<'_>, keep_remote: bool) -> Result<Vec<LogoutResult>> {
    let mut ended = Vec::new();
    let mut failed = None;
    for login in logins::gauth_logins(discovery) {
        match logout(login, discovery, keep_remote) {
            Ok(done) => ended.push(done),
            Err(error) if failed.is_none() => failed = Some(error),
            Err(error) => discovery.world().terminal.warn(error.message()),
        }
    }
    match failed {
        None => Ok(ended),
        Some(error) if ended.is_empty() => Err(error),
        // Standard output has results only when the whole command succeeds.
        Some(error) => {
            let done: Vec<String> = ended.iter().map(|done| printable::text(&done.account)).collect();
            let message = format!("{}; signed out of {}", error.message(), done.join(", "));
            Err(Error::new(error.kind(), message).hint(error.hint_text().unwrap_or_default()))
        }
    }
}

fn render(ended: &[LogoutResult], format: ReportFormat) -> String {
    match format {
        ReportFormat::Json => {
            format!("{}\n", serde_json::to_string_pretty(ended).unwrap_or_default())
        }
        ReportFormat::Text if ended.is_empty() => "no logins, nothing to do\n".to_owned(),
        ReportFormat::Text => {
            ended.iter().map(|done| format!("signed out of {}\n", printable::text(&done.account))).collect()
        }
    }
}
