//! `gauth accounts`: who is signed in, gauth's logins and gcloud's; choosing one, looking at one, exporting one.

mod export;
mod list;
mod show;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use gauth_core::accounts::AccountSelection;

use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::flags::{GeneralFlags, NetworkFlags, ReportFlags, ReportFormat, TokenHostFlags};
use crate::output::status::ExitStatus;
use gauth_core::config::{Config, Overrides, flag_text};
use gauth_core::discovery;
use gauth_core::discovery::logins::StoredLogin;
use gauth_core::discovery::{Discovery, logins};
use gauth_core::error::{Error, Result};
use gauth_core::text::printable;
use gauth_core::world::World;

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "accounts",
    aliases: &[],
    about: "list, select, show and export logins",
    examples: &[
        Example("gauth accounts", "the logins of gauth and gcloud"),
        Example("gauth accounts use ada@example.com", "make this the active account"),
        Example("gauth accounts show ada@example.com", "details, without secrets"),
        Example("gauth accounts show ada@example.com --export ada.json", "write a credential file"),
    ],
    description: "\
Lists the logins of gauth and of gcloud. A star marks the active account. The state is `ok`, `must sign in again` if \
the server has refused the login, or `broken` if its file is unusable; it is what gauth knows without a request. \
`--check` requests a token for each.\n\n\
`gauth accounts use` makes a login of gauth the active account, or with `--profile` the account of that profile. \
`gauth accounts show` prints the details of one login. With `--export` it writes the login, including its secrets, \
to a private file that Google's libraries can read. gcloud's logins are read and never changed.\n\n\
Exit codes: 3 if there is no such account, 8 if its file is malformed.",
    group: CommandGroup::SignIn,
    flags: AccountsFlags::augment_args,
    run,
};

#[derive(Debug, Default, Args)]
pub(super) struct AccountsFlags {
    /// list (default), use or show
    ///
    /// Selects what to do: `list` prints all logins, `use` makes one the active account, `show` prints the details of
    /// one. Default: `list`.
    #[arg(value_name = "ACTION", default_value = "list", hide_default_value = true)]
    action: AccountsAction,
    /// account for use and show
    ///
    /// Names the account for `use` and `show`.
    #[arg(value_name = "ACCOUNT")]
    account: Option<OsString>,
    /// list: request a token for each
    ///
    /// With `list`: requests a token for each login.
    #[arg(long)]
    check: bool,
    /// show: write a credential file
    ///
    /// With `show`: writes the login, including its secrets, to this file with mode 0600.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    export: Option<PathBuf>,
    /// show: omit these fields from the file
    ///
    /// With `show --export`: omits these fields from the file, as in `--strip quota_project_id`. Several are
    /// separated by commas.
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',', requires = "export")]
    strip: Vec<String>,
    /// show: overwrite an existing file
    ///
    /// With `show --export`: overwrites the file if it exists.
    #[arg(long, requires = "export")]
    force: bool,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    token_hosts: TokenHostFlags,
    #[command(flatten)]
    report: ReportFlags,
    #[command(flatten)]
    general: GeneralFlags,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum AccountsAction {
    /// print all logins
    #[default]
    List,
    /// make it the active account
    Use,
    /// print the details of one
    Show,
}

fn run(args: ParsedArgs, world: &World) -> anyhow::Result<ExitStatus> {
    let flags: AccountsFlags = args.flags()?;
    let account = flags.account()?;
    let settings = Config::resolve(&flags.overrides(), world)?;
    let broker = discovery::broker(&settings, world);
    let discovery = Discovery { config: &settings, broker: &broker, allow_network: false };
    let format = flags.report.format.unwrap_or_default();
    let text = match account {
        None => list::report(&discovery, flags.check, format)?,
        Some(account) => match (flags.action, &flags.export) {
            (AccountsAction::Use, _) => activate(&account, &flags, &discovery)?,
            (_, None) => show::report(find_login(&account, &discovery)?, &discovery, format)?,
            (_, Some(path)) => {
                let target = export::ExportTarget { path, omitted_fields: &flags.strip, replace: flags.force };
                export::write(&find_login(&account, &discovery)?, &target, &discovery, format)?
            }
        },
    };
    world.streams.write_result(text.as_bytes())?;
    Ok(ExitStatus::SUCCESS)
}

impl AccountsFlags {
    fn overrides(&self) -> Overrides {
        // A cached token does not show whether the login is still valid.
        Overrides {
            refresh: self.check,
            allow_new_profile: self.action == AccountsAction::Use,
            allow_token_host: self.token_hosts.allow_token_host.clone(),
            ..self.network.overrides(&self.general)
        }
    }

    /// The account argument, which the actions `use` and `show` require.
    fn account(&self) -> Result<Option<String>> {
        let account = self.account.as_deref().map(|account| flag_text("ACCOUNT", account)).transpose()?;
        let wrong_action = |flag: &str, action: &str| {
            Err(Error::usage(format!("{flag} is a flag of gauth accounts {action} only")).hint("gauth accounts --help"))
        };
        match (self.action, account) {
            (AccountsAction::List, Some(_)) => Err(Error::usage("gauth accounts list takes no ACCOUNT")
                .hint("gauth accounts show ACCOUNT, or gauth accounts alone")),
            (AccountsAction::Use | AccountsAction::Show, _) if self.check => wrong_action("--check", "list"),
            (AccountsAction::List | AccountsAction::Use, _) if self.export.is_some() => {
                wrong_action("--export", "show")
            }
            (AccountsAction::List, None) => Ok(None),
            (_, Some(account)) => Ok(Some(account)),
            (action, None) => {
                let action = if action == AccountsAction::Use { "use" } else { "show" };
                Err(Error::usage("no account is named")
                    .hint(format!("gauth accounts {action} ada@example.com; gauth accounts lists them")))
            }
        }
    }
}

/// The login of this account: gauth's, or else gcloud's.
fn find_login(account: &str, discovery: &Discovery<'_>) -> Result<StoredLogin> {
    let logins = logins::all(discovery);
    let is_same_account = |login: &StoredLogin| login.account.eq_ignore_ascii_case(account);
    match (logins.all.into_iter().find(is_same_account), logins.gcloud_error) {
        (Some(login), _) => Ok(login),
        (None, Some(error)) => Err(error),
        (None, None) => Err(discovery::no_login_error(account, discovery.world())),
    }
}

/// Makes a login the active one, or that of the profile in use.
fn activate(account: &str, flags: &AccountsFlags, discovery: &Discovery<'_>) -> Result<String> {
    let world = discovery.world();
    let profile = discovery.config.profile.as_deref();
    let own = logins::gauth_logins(discovery).into_iter().map(|login| login.account);
    // The account in the spelling of its login.
    let Some(account) = own.into_iter().find(|own| own.eq_ignore_ascii_case(account)) else {
        let shown = printable::text(&find_login(account, discovery)?.account);
        return Err(Error::unsupported(format!("{shown} is a login of gcloud's, not of gauth's"))
            .hint(format!("gcloud config set account {shown}")));
    };
    AccountSelection::update(world, |state| match profile {
        None => state.active = Some(account.clone()),
        Some(profile) => drop(state.profiles.insert(profile.to_owned(), account.clone())),
    })?;
    if let Some(effective_account) = Config::resolve(&flags.overrides(), world)?.account
        && !effective_account.value.eq_ignore_ascii_case(&account)
    {
        let other = printable::text(&effective_account.value);
        world.terminal.warn(&format!("{} is {other} and has precedence", effective_account.origin));
    }
    Ok(match flags.report.format.unwrap_or_default() {
        ReportFormat::Text => match profile {
            Some(profile) => {
                format!("profile {} acts as {}\n", printable::text(profile), printable::text(&account))
            }
            None => format!("gauth acts as {}\n", printable::text(&account)),
        },
        ReportFormat::Json => {
            format!("{}\n", serde_json::json!({ "account": account, "profile": profile }))
        }
    })
}

/// Formats JSON with indentation and a final newline.
fn to_pretty_json(value: &impl serde::Serialize) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap_or_default())
}
