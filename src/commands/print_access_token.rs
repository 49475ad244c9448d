//! `gauth print-access-token`, for short `gauth token`.

use std::ffi::OsString;

use clap::Args;

use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::flags::{CommonFlags, OutputFlags, TokenFlags, one_account};
use crate::output::status::ExitStatus;
use crate::output::token;
use gauth_core::config;
use gauth_core::config::{Config, Overrides};
use gauth_core::discovery;
use gauth_core::discovery::Discovery;
use gauth_core::error::{Error, Result};
use gauth_core::tokens::{SelfSignedRequest, SelfSignedTarget, TokenRequest};
use gauth_core::world::World;

/// The command.
pub const SPEC: CommandSpec = CommandSpec {
    name: "print-access-token",
    aliases: &["token"],
    about: "an access token for the chosen credential",
    examples: &[
        Example("TOKEN=$(gauth token)", "with what this machine has"),
        Example("curl -H @<(gauth token --format header) URL", "out of sight of ps"),
        Example("gauth token --credentials key.json --scopes pubsub", "a file, a narrower scope"),
        Example("gauth token --format json", "with expiry and account"),
    ],
    description: "\
Finds a credential, takes its token from the cache if that lasts long enough, and asks Google for a new one \
otherwise. Standard output holds the token and a newline, or nothing.\n\n\
A service account can sign its own token without asking anybody: for one service with --audience, or with the \
scopes and --self-signed. Most Google APIs accept such a token.",
    group: CommandGroup::Tokens,
    flags: PrintAccessTokenFlags::augment_args,
    run,
};

/// The command line of `gauth print-access-token`.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(super) struct PrintAccessTokenFlags {
    /// A login, as --account
    #[arg(value_name = "ACCOUNT")]
    positional_account: Option<OsString>,
    #[command(flatten)]
    token: TokenFlags,
    /// For this URL alone: signed here, or GDCH's
    #[arg(long, value_name = "URL", conflicts_with = "scopes")]
    audience: Option<OsString>,
    /// A JWT signed here, with the scopes
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
        overrides.account =
            one_account(self.positional_account.as_ref(), overrides.account.as_ref())?;
        Ok(overrides)
    }

    /// The token to request: a self-signed JWT with `--audience` or `--self-signed`.
    fn request(&self, config: &Config) -> Result<TokenRequest> {
        let access_token_request = &config.access_token_request;
        let audience = self
            .audience
            .as_deref()
            .map(|value| config::flag_text("--audience", value))
            .transpose()?;
        let target = match (audience, self.self_signed) {
            (None, false) => return Ok(TokenRequest::AccessToken(access_token_request.clone())),
            (Some(audience), _)
                if audience.chars().any(|c| c.is_whitespace() || c.is_control()) =>
            {
                return Err(Error::usage("--audience contains a space or a control character")
                    .hint("--audience https://pubsub.googleapis.com/"));
            }
            (Some(audience), _) => SelfSignedTarget::Audience(audience),
            (None, true) => SelfSignedTarget::Scopes(access_token_request.scopes.clone()),
        };
        if access_token_request.subject.is_some() {
            return Err(Error::usage("--subject does not apply to a self-signed token")
                .hint("remove --subject, or remove --audience and --self-signed"));
        }
        Ok(TokenRequest::SelfSignedJwt(SelfSignedRequest {
            target,
            lifetime: access_token_request.lifetime,
        }))
    }
}
