//! `gauth login`: signs a user in and stores the login, from which tokens are minted later.

mod import;
mod provider;
mod sign_in;
mod store;

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, Command, ValueHint};

use gauth_core::accounts;
use gauth_core::discovery;

use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::flags::{GeneralFlags, NetworkFlags, ReportFlags, TokenHostFlags, one_account};
use crate::output::status::ExitStatus;
use gauth_core::config;
use gauth_core::config::{Config, Overrides};
use gauth_core::error::{Error, Result};
use gauth_core::login::LoginRequest;
use gauth_core::login::authorize::AuthorizationRequest;
use gauth_core::login::sign_in_lock;
use gauth_core::login::sign_in_lock::SignInLock;
use gauth_core::text::{duration, printable};
use gauth_core::tokens::broker::Broker;
use gauth_core::world::World;
use gauth_core::world::clock::Deadline;

use crate::commands::login::provider::{ProviderChoice, ProviderFlags};
use crate::commands::login::store::LoginResult;

/// The command.
pub const SPEC: CommandSpec = CommandSpec {
    name: "login",
    aliases: &[],
    about: "sign a person in, with a browser here or elsewhere",
    examples: &[
        Example("gauth login --client-id-file client.json", "opens the browser"),
        Example("gauth login --no-browser", "for a machine without one"),
        Example("gauth login --account ada@example.com", "sign in again"),
        Example("gauth login --credentials key.json", "keep a credential file as an account"),
    ],
    description: "\
A browser is opened where there is one, never over SSH or in CI; the address is printed in any case. The answer comes \
back to a port of 127.0.0.1 that only this login can use (PKCE, state), and is waited for as long as --wait says. With \
--no-browser the address the browser ended at is pasted instead, hidden while it is; unlike gcloud's flag of that name, \
this needs no second gauth on the machine of the browser.\n\n\
The login belongs to an OAuth client of your own: a file that --client-id-file, GAUTH_CLIENT_ID_FILE or client_id_file \
in config.toml names. A client of type \"Desktop app\" can come back to any port. One for the web, or one that is \
registered with a port or path of its own, is answered at exactly that address of this machine. Google's endpoints are \
used, or those of the client file if they are Google's or on this machine.\n\n\
Without --scopes, openid, email and cloud-platform are asked for. What was asked for and not granted is named. The \
login becomes the active account, or with --profile that profile's; who signed in before is still there, see gauth \
accounts. --update-adc writes gcloud's ADC file as well, which Google's libraries read, and keeps the old one beside \
it. With --credentials nobody is asked: any credential file becomes an account. Of several logins for one account at \
a time one opens a browser, and the others use what comes of it.\n\n\
With --device an address and a code are shown for the browser of any other device. Google does so for clients of type \
\"TVs and Limited Input devices\" and for few scopes, cloud-platform not among them: --no-browser has no such limits.\n\n\
--login-config signs in by way of a workforce pool, with an OAuth client of that organisation; gcloud's property \
auth/login_config_file does the same, and its auth/client_id and auth/client_secret are the client where no file is \
named. --issuer signs in at any other OpenID provider, with a client that is registered there. Its ID token is what \
gauth id-token prints then; with --workload-identity-provider, the full name of a provider of a workload or workforce \
pool, it is exchanged for access tokens of Google's.",
    group: CommandGroup::SignIn,
    flags: add_flags,
    run,
};

/// How long to wait for the user by default.
const DEFAULT_WAIT: Duration = Duration::from_secs(5 * 60);

#[derive(Debug, Default, Args)]
pub(super) struct LoginFlags {
    /// Whose login, as --account
    #[arg(value_name = "ACCOUNT")]
    positional: Option<OsString>,
    /// Whose login; others are refused
    #[arg(long, value_name = "EMAIL")]
    account: Option<OsString>,
    /// The OAuth client, as downloaded
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    client_id_file: Option<OsString>,
    /// Default: openid,email,cloud-platform
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

/// How the answer comes back.
#[derive(Debug, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "How")]
struct SignInMethodFlags {
    /// Print the URL and open nothing
    #[arg(long)]
    no_launch_browser: bool,
    /// Paste the answer; needs no second gauth
    #[arg(long, conflicts_with_all = ["no_launch_browser", "port"])]
    no_browser: bool,
    /// A code for the browser of another device
    #[arg(long, conflicts_with_all = ["no_launch_browser", "no_browser", "port", "redirect_uri"])]
    device: bool,
    /// How long the person may take; 5m
    #[arg(long, value_name = "DURATION")]
    wait: Option<OsString>,
    /// The port to come back to; a free one
    #[arg(long, value_name = "PORT", hide_short_help = true)]
    port: Option<u16>,
    /// The URL to come back to, as registered
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, hide_short_help = true)]
    redirect_uri: Option<OsString>,
}

/// What the server is asked for besides.
#[derive(Debug, Default, Args)]
#[group(skip)]
struct AuthorizationFlags {
    /// none, consent or select_account
    #[arg(long, value_name = "WORDS")]
    prompt: Option<OsString>,
    /// Only accounts of this organisation
    #[arg(long, value_name = "DOMAIN")]
    hd: Option<OsString>,
    /// With what was granted before
    #[arg(long, hide_short_help = true)]
    include_granted_scopes: bool,
    /// Another parameter of the question
    #[arg(long = "parameter", value_name = "NAME=VALUE", hide_short_help = true)]
    parameters: Vec<OsString>,
}

/// What becomes of the login.
#[derive(Debug, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Then")]
struct StorageFlags {
    /// Ask nobody, keep this credential file
    #[arg(long, value_name = "FILE", visible_aliases = ["key-file", "cred-file"], value_hint = ValueHint::FilePath, conflicts_with_all = ["client_id_file", "no_browser", "scopes"])]
    credentials: Option<OsString>,
    /// Write gcloud's ADC file too
    #[arg(long)]
    update_adc: bool,
    /// Its secrets: file, keyring or command
    #[arg(long, value_name = "STORE")]
    store: Option<OsString>,
    /// Keep the active account as it is
    #[arg(long)]
    no_activate: bool,
    /// The project that pays for the requests
    #[arg(long, value_name = "PROJECT")]
    quota_project: Option<OsString>,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    token_hosts: TokenHostFlags,
}

/// The flags that other commands have too are in the long help only.
fn add_flags(command: Command) -> Command {
    ["allow_token_host", "timeout", "ca_file"]
        .into_iter()
        .fold(LoginFlags::augment_args(command), |command, flag| {
            command.mut_arg(flag, |arg| arg.hide_short_help(true))
        })
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
    // The user is asked only if the login can be stored.
    accounts::check_storage(world)?;
    flags.secret_store(&settings, world)?;
    let result = match sign_in_lock::acquire(
        login_request.authorization.account.as_deref(),
        login_request.deadline,
        world,
    )? {
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
        Error::usage(format!("--wait {} {what}", printable::text(&text))).hint("--wait 15m")
    };
    match duration::parse(&text) {
        Ok(time) if time.is_zero() => Err(invalid("is not longer than zero")),
        Ok(time) => Ok(time.min(Duration::from_secs(24 * 3600))),
        Err(what) => Err(invalid(what)),
    }
}
