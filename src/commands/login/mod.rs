//! `gauth login`: signs a user in and stores the login, from which tokens are minted later.

mod import;
mod provider;
mod sign_in;
mod store;

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, ValueHint};

use gauth_core::{accounts, discovery};

use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::flags::{GeneralFlags, NetworkFlags, ReportFlags, TokenHostFlags, one_account};
use crate::output::status::ExitStatus;
use gauth_core::config;
use gauth_core::config::{Config, Overrides};
use gauth_core::error::{Error, Result};
use gauth_core::login::authorize::AuthorizationRequest;
use gauth_core::login::sign_in_lock::SignInLock;
use gauth_core::login::{LoginRequest, sign_in_lock};
use gauth_core::text::{duration, printable};
use gauth_core::tokens::broker::Broker;
use gauth_core::world::World;
use gauth_core::world::clock::Deadline;

use crate::commands::login::provider::{ProviderChoice, ProviderFlags};
use crate::commands::login::store::LoginResult;

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "login",
    aliases: &[],
    about: "sign in with a browser, here or on another device",
    examples: &[
        Example("gauth login --client-id-file client.json", "open the browser"),
        Example("gauth login --no-browser", "on a machine without a browser"),
        Example("gauth login --account ada@example.com", "sign in to this account again"),
        Example("gauth login --credentials key.json", "store a key file as an account"),
    ],
    description: "\
Signs a user in and stores the login, which becomes the active account. gauth prints the authorization URL and opens \
it in a browser, except over SSH and in CI. The browser returns the authorization code to a port of 127.0.0.1; PKCE \
and the state parameter protect it.\n\n\
On a machine without a browser, `--no-browser` lets the user open the URL anywhere and paste the address at which \
the browser ends; unlike gcloud's flag of this name, it needs no second gauth. `--device` shows a URL and a code for \
any other device; Google allows this only for OAuth clients of the type \"TVs and Limited Input devices\" and for \
few scopes, which do not include cloud-platform.\n\n\
A login needs an OAuth client of your own. Create one of the type \"Desktop app\" at \
https://console.cloud.google.com/apis/credentials, download its JSON file, and name it with `--client-id-file`. A \
web client, or a client with a fixed redirect URI on this machine, works as well.\n\n\
`--login-config` signs in through a workforce identity pool, with an OAuth client of its organisation. `--issuer` \
signs in at any other OpenID provider, with a client that is registered there; `gauth id-token` then prints the \
provider's ID token, and with `--workload-identity-provider` gauth exchanges it for Google access tokens.\n\n\
gauth prints a warning that names the scopes that were not granted. Other logins are kept: see `gauth accounts`. \
Several logins for the same account at one time open only one browser.\n\n\
Exit codes: 2 if there is no OAuth client, 4 if another account signs in, 5 if the user or the server refuses, 6 if the \
user does not sign in in time, 8 if the client file is malformed.",
    group: CommandGroup::SignIn,
    flags: LoginFlags::augment_args,
    run,
};

/// The default time limit for signing in.
const DEFAULT_WAIT: Duration = Duration::from_secs(5 * 60);

#[derive(Debug, Default, Args)]
pub(super) struct LoginFlags {
    /// account to sign in to, same as --account
    ///
    /// Signs in to this account, as `--account` does.
    #[arg(value_name = "ACCOUNT")]
    positional: Option<OsString>,
    /// account to sign in to
    ///
    /// Signs in to this account and refuses any other. Default: any account.
    #[arg(long, value_name = "EMAIL")]
    account: Option<OsString>,
    /// OAuth client file (JSON)
    ///
    /// Uses the OAuth client in this JSON file, as downloaded from the Google Cloud console. GAUTH_CLIENT_ID_FILE and
    /// `client_id_file` in config.toml set the same.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    client_id_file: Option<OsString>,
    /// scopes; default openid,email,cloud-platform
    ///
    /// Requests these scopes, separated by commas or spaces. Default: openid, email and cloud-platform.
    #[arg(long, value_name = "SCOPE,…")]
    scopes: Vec<OsString>,
    #[command(flatten)]
    authorization: AuthorizationFlags,
    #[command(flatten)]
    method: SignInMethodFlags,
    #[command(flatten)]
    provider: ProviderFlags,
    #[command(flatten)]
    storage: StorageFlags,
    #[command(flatten)]
    report: ReportFlags,
    #[command(flatten)]
    general: GeneralFlags,
}

/// Flags about the way to sign in.
#[derive(Debug, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "How to sign in")]
struct SignInMethodFlags {
    /// print the URL, open no browser
    ///
    /// Prints the authorization URL and opens no browser. The browser must run on this machine.
    #[arg(long)]
    no_launch_browser: bool,
    /// sign in elsewhere, paste the final address
    ///
    /// Prints the authorization URL, to be opened on any machine, and asks for the address at which the browser ends.
    /// The input is hidden.
    #[arg(long, conflicts_with_all = ["no_launch_browser", "port"])]
    no_browser: bool,
    /// show a code to enter on another device
    ///
    /// Shows a URL and a code to enter in a browser on any other device (RFC 8628).
    #[arg(long, conflicts_with_all = ["no_launch_browser", "no_browser", "port", "redirect_uri"])]
    device: bool,
    /// time limit for signing in
    ///
    /// Waits this long for the user to sign in. Default: 5m.
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    wait: Option<OsString>,
    /// loopback port of the redirect URI
    ///
    /// Receives the authorization code on this port of 127.0.0.1. Default: a free port.
    #[arg(long, value_name = "PORT", hide_short_help = true)]
    port: Option<u16>,
    /// redirect URI of the client
    ///
    /// Uses this redirect URI, which must lead to this machine and be registered for the OAuth client. Default: the
    /// one in the client file.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, hide_short_help = true)]
    redirect_uri: Option<OsString>,
}

/// Flags about further parameters of the authorization request.
#[derive(Debug, Default, Args)]
#[group(skip)]
struct AuthorizationFlags {
    /// none, consent or select_account
    ///
    /// Sends the parameter prompt: `none` (show no page), `consent` (ask for consent again) or `select_account` (let
    /// the user choose an account). Several values are separated by spaces.
    #[arg(long, hide_short_help = true, value_name = "VALUES")]
    prompt: Option<OsString>,
    /// Google Workspace domain of the account
    ///
    /// Signs in to an account of this Google Workspace domain only.
    #[arg(long, hide_short_help = true, value_name = "DOMAIN")]
    hd: Option<OsString>,
    /// add the scopes granted before
    ///
    /// Requests a token that also has the scopes that the user granted this client before.
    #[arg(long, hide_short_help = true)]
    include_granted_scopes: bool,
    /// additional authorization parameter
    ///
    /// Adds this parameter to the authorization request, as in `login_hint=ada@example.com`.
    #[arg(long = "parameter", value_name = "NAME=VALUE", hide_short_help = true)]
    parameters: Vec<OsString>,
}

/// Flags about storing the login.
#[derive(Debug, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "What to store")]
struct StorageFlags {
    /// store this credential file
    ///
    /// Stores this credential file (JSON) as an account, without a browser. Every kind of Google credential is
    /// accepted.
    #[arg(long, value_name = "FILE", visible_aliases = ["key-file", "cred-file"], value_hint = ValueHint::FilePath, conflicts_with_all = ["client_id_file", "no_browser", "scopes"])]
    credentials: Option<OsString>,
    /// write gcloud's ADC file as well
    ///
    /// Writes gcloud's application default credentials file as well, which Google's libraries read. The previous file
    /// is kept beside it.
    #[arg(long)]
    update_adc: bool,
    /// store secrets in: file, keyring or command
    ///
    /// Stores the secrets of the login here: `file` (a private file), `keyring` (the keyring of the system, if gauth
    /// is built with that feature) or `command` (the programs under `store_command` in config.toml). Default: `store`
    /// in config.toml, or `file`.
    #[arg(long, hide_short_help = true, value_name = "STORE")]
    store: Option<OsString>,
    /// do not make it the active account
    ///
    /// Keeps the active account as it is.
    #[arg(long, hide_short_help = true)]
    no_activate: bool,
    /// project charged for the requests
    ///
    /// Stores this quota project with the login: it is charged for API requests.
    #[arg(long, hide_short_help = true, value_name = "PROJECT")]
    quota_project: Option<OsString>,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    token_hosts: TokenHostFlags,
}

fn run(args: ParsedArgs, world: &World) -> anyhow::Result<ExitStatus> {
    let flags: LoginFlags = args.flags()?;
    let settings = Config::resolve(&flags.overrides()?, world)?;
    let broker = discovery::broker(&settings, world);
    if let Some(file) = &flags.storage.credentials {
        let result = flags.import_credential(file, &settings, world)?;
        flags.report(&result, world)?;
        return Ok(ExitStatus::SUCCESS);
    }
    let login_request = flags.login_request(&settings, &broker)?;
    // The sign-in begins only if the login can be stored.
    accounts::check_storage(world)?;
    flags.secret_store(&settings, world)?;
    let result =
        match sign_in_lock::acquire(login_request.authorization.account.as_deref(), login_request.deadline, world)? {
            SignInLock::SignedInElsewhere(account) => LoginResult { account, scopes: None },
            SignInLock::Acquired(_lock) => flags.sign_in(&login_request, &broker, &settings)?,
        };
    flags.report(&result, world)?;
    Ok(ExitStatus::SUCCESS)
}

impl LoginFlags {
    /// The flags that override the configuration.
    fn overrides(&self) -> Result<Overrides> {
        Ok(Overrides {
            account: one_account(self.positional.as_ref(), self.account.as_ref())?,
            quota_project: self.storage.quota_project.clone(),
            workload_identity_provider: self.provider.workload_identity_provider.clone(),
            scopes: self.scopes.clone(),
            allow_new_profile: true,
            allow_token_host: self.storage.token_hosts.allow_token_host.clone(),
            ..self.storage.network.overrides(&self.general)
        })
    }

    /// The login request, from flags and configuration.
    fn login_request(&self, settings: &Config, broker: &Broker<'_>) -> Result<LoginRequest> {
        let wait = self.method.wait.as_deref().map(parse_wait).transpose()?.unwrap_or(DEFAULT_WAIT);
        let file = self.client_id_file.as_ref();
        let ProviderChoice { provider, client, kind, scopes, prompt, account } =
            self.provider.resolve(file, &self.scopes, settings, broker)?;
        let text = |flag: &str, value: &Option<OsString>| {
            value.as_deref().map(|value| config::flag_text(flag, value)).transpose()
        };
        let mut authorization = AuthorizationRequest {
            scopes,
            account,
            prompt: text("--prompt", &self.authorization.prompt)?.or(prompt.map(str::to_owned)),
            hosted_domain: text("--hd", &self.authorization.hd)?,
            include_granted_scopes: self.authorization.include_granted_scopes,
            extra_parameters: Vec::new(),
        };
        for parameter in &self.authorization.parameters {
            authorization.add_parameter(&config::flag_text("--parameter", parameter)?)?;
        }
        let deadline = Deadline::after(&*broker.world.clock, wait);
        Ok(LoginRequest { provider, client, authorization, deadline, kind })
    }
}

fn parse_wait(value: &std::ffi::OsStr) -> Result<Duration> {
    let text = config::flag_text("--wait", value)?;
    let invalid = |what: &str| {
        let shown = printable::quoted_argument(&text, "the value");
        Error::usage(format!("--wait: {shown} {what}")).hint("--wait 15m")
    };
    match duration::parse(&text) {
        Ok(time) if time.is_zero() => Err(invalid("is not longer than zero")),
        Ok(time) => Ok(time.min(Duration::from_secs(24 * 3600))),
        Err(what) => Err(invalid(what)),
    }
}
