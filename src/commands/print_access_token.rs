//! `gauth print-access-token`, for short `gauth token`.

use std::ffi::OsString;

use clap::Args;

use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::flags::{CommonFlags, OutputFlags, TokenFlags, one_account};
use crate::output::status::ExitStatus;
use crate::output::token;
use gauth_core::config::{Config, Overrides};
use gauth_core::discovery::Discovery;
use gauth_core::error::{Error, Result};
use gauth_core::text::printable::quoted_argument;
use gauth_core::tokens::{SelfSignedRequest, SelfSignedTarget, TokenRequest};
use gauth_core::world::World;
use gauth_core::{config, discovery};

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "print-access-token",
    aliases: &["token"],
    about: "print an access token",
    examples: &[
        Example("TOKEN=$(gauth token)", "default credential"),
        Example("curl -H @<(gauth token --format header) URL", "hidden from ps"),
        Example("gauth token --credentials key.json --scopes pubsub", "a key file, one scope"),
        Example("gauth token --format json", "with expiry and account"),
    ],
    description: "\
Prints an OAuth 2.0 access token for Google APIs. gauth finds a credential as `gauth help sources` explains, returns \
its cached token if that is valid for long enough, and otherwise requests a new one. Standard output is the token \
and a newline, or nothing after a failure.\n\n\
A service account key can also sign a JWT that most Google APIs accept as an access token, without any request: with \
`--audience` for one service, or with `--self-signed` for scopes.\n\n\
Exit codes: 3 if no credential is found, 4 if the user must sign in first, 5 if the server refuses, 6 if it gives no \
usable response, 7 if the credential does not support what is requested. `gauth help exit-codes` lists all.",
    group: CommandGroup::Tokens,
    flags: PrintAccessTokenFlags::augment_args,
    run,
};

/// The command line of `gauth print-access-token`.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(super) struct PrintAccessTokenFlags {
    /// account to use, same as --account
    ///
    /// Uses the login of this account, as `--account` does.
    #[arg(value_name = "ACCOUNT")]
    positional_account: Option<OsString>,
    #[command(flatten)]
    token: TokenFlags,
    /// self-signed JWT for this API only
    ///
    /// Prints a token for this API only, such as `https://pubsub.googleapis.com/`. A service account key signs it as
    /// a JWT, without a request; a GDCH service account requests it and always needs this flag.
    #[arg(long, value_name = "URL", conflicts_with = "scopes")]
    audience: Option<OsString>,
    /// self-signed JWT with the scopes
    ///
    /// Prints a JWT that contains the scopes and that the service account key signs, without a request.
    #[arg(long)]
    self_signed: bool,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    common: CommonFlags,
}

fn run(args: ParsedArgs, world: &World) -> anyhow::Result<ExitStatus> {
    let flags: PrintAccessTokenFlags = args.flags()?;
    let format = flags.output.format.unwrap_or_default();
    let config = Config::resolve(&flags.overrides()?, world)?;
    let request = flags.request(&config)?;
    let broker = discovery::broker(&config, world);
    let search = Discovery { config: &config, broker: &broker, allow_network: true };
    let found = discovery::credential(&search)?;
    let mut token = broker.token(&*found.credential, &request)?;
    token.quota_project = config.quota_project.or(token.quota_project);
    token::print_token(&token, found.source.as_str(), format, world)?;
    // The process ends here and the system clears its memory. Clearing the credential first would take a thirtieth of the
    // time that a cached token takes.
    std::mem::forget((found, token));
    Ok(ExitStatus::SUCCESS)
}

impl PrintAccessTokenFlags {
    /// The settings of the shared flags and of the positional account.
    fn overrides(&self) -> Result<Overrides> {
        let mut overrides = self.common.overrides_with(&self.token);
        overrides.account = one_account(self.positional_account.as_ref(), overrides.account.as_ref())?;
        Ok(overrides)
    }

    /// The token to request: a self-signed JWT with `--audience` or `--self-signed`.
    fn request(&self, config: &Config) -> Result<TokenRequest> {
        let access_token_request = &config.access_token_request;
        let audience = self.audience.as_deref().map(|value| config::flag_text("--audience", value)).transpose()?;
        let target = match (audience, self.self_signed) {
            (None, false) => return Ok(TokenRequest::AccessToken(access_token_request.clone())),
            (Some(audience), _) if audience.chars().any(|c| c.is_whitespace() || c.is_control()) => {
                let shown = quoted_argument(&audience, "the value");
                let message = format!("--audience: {shown} contains a space or a control character");
                return Err(Error::usage(message).hint("--audience https://pubsub.googleapis.com/"));
            }
            (Some(audience), _) => SelfSignedTarget::Audience(audience),
            (None, true) => SelfSignedTarget::Scopes(access_token_request.scopes.clone()),
        };
        if access_token_request.subject.is_some() {
            return Err(Error::usage("--subject does not apply to a self-signed token")
                .hint("remove --subject, or remove --audience and --self-signed"));
        }
        Ok(TokenRequest::SelfSignedJwt(SelfSignedRequest { target, lifetime: access_token_request.lifetime }))
    }
}
