//! `gauth print-identity-token`, for short `gauth id-token`.

use std::ffi::OsString;

use clap::Args;

use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::flags::{CommonFlags, OutputFlags, one_account};
use crate::output::status::ExitStatus;
use crate::output::token;
use gauth_core::config;
use gauth_core::config::{Config, Overrides};
use gauth_core::discovery;
use gauth_core::discovery::Discovery;
use gauth_core::error::{Error, Result};
use gauth_core::text::printable;
use gauth_core::tokens::credential::Credential;
use gauth_core::tokens::{IdTokenRequest, Token, TokenRequest};
use gauth_core::world::World;

/// The command.
pub const SPEC: CommandSpec = CommandSpec {
    name: "print-identity-token",
    aliases: &["id-token"],
    about: "an OpenID Connect ID token",
    examples: &[
        Example("gauth id-token --audiences https://svc-abc.run.app", "for Cloud Run"),
        Example(
            "gauth id-token --audiences IAP-CLIENT-ID --impersonate-service-account A",
            "as a person, for IAP",
        ),
        Example("gauth id-token --audiences URL | gauth inspect", "what is in it"),
    ],
    description: "\
Service accounts give ID tokens for any audience: with their key, on a machine of Google's, or impersonated. Google \
gives those of a user login to its own OAuth client only: with --impersonate-service-account a person gets one for any \
audience. Cloud Run and Cloud Functions want the URL of the service for an audience, IAP the ID of its OAuth client.\n\n\
With several audiences one token a line is printed; --format json then prints a list.",
    group: CommandGroup::Tokens,
    flags: PrintIdentityTokenFlags::augment_args,
    run,
};

/// The command line of `gauth print-identity-token`.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(super) struct PrintIdentityTokenFlags {
    /// A login, as --account
    #[arg(value_name = "ACCOUNT")]
    positional_account: Option<OsString>,
    /// Whom it is for: a URL or a client ID
    #[arg(long, value_name = "A,…", visible_alias = "audience", value_delimiter = ',')]
    audiences: Vec<OsString>,
    /// Of Compute Engine: standard or full
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    token_format: Option<MetadataTokenFormat>,
    /// Of Compute Engine, if full: with licences
    #[arg(long)]
    include_license: bool,
    /// Impersonated: with the account's address
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    include_email: Option<bool>,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    common: CommonFlags,
}

/// How much the metadata server tells of its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum MetadataTokenFormat {
    /// Who it is
    Standard,
    /// And on which machine
    Full,
}

fn run(args: ParsedArgs, world: &World) -> anyhow::Result<ExitStatus> {
    let flags: PrintIdentityTokenFlags = args.flags()?;
    let format = flags.output.format.unwrap_or_default();
    let requests = flags.requests()?;
    if requests.len() > 1 {
        token::check_allows_several(format)?;
    }
    let config = Config::resolve(&flags.overrides()?, world)?;
    let broker = discovery::broker(&config, world);
    let search = Discovery { config: &config, broker: &broker, allow_network: true };
    let found = discovery::credential(&search)?;
    let fetch_token = |request: IdTokenRequest| -> Result<Token> {
        let credential: &dyn Credential = &*found.credential;
        let mut token = broker.token(credential, &TokenRequest::IdToken(request))?;
        token.quota_project = config.quota_project.clone().or(token.quota_project);
        Ok(token)
    };
    let tokens: Vec<Token> = requests.into_iter().map(fetch_token).collect::<Result<_>>()?;
    token::print_id_tokens(&tokens, found.source.as_str(), format, world)?;
    Ok(ExitStatus::SUCCESS)
}

impl PrintIdentityTokenFlags {
    /// The settings of the shared flags and of the positional account.
    fn overrides(&self) -> Result<Overrides> {
        let mut overrides = self.common.overrides();
        overrides.account =
            one_account(self.positional_account.as_ref(), overrides.account.as_ref())?;
        Ok(overrides)
    }

    /// One request for each audience.
    fn requests(&self) -> Result<Vec<IdTokenRequest>> {
        let full = self.token_format.map(|format| format == MetadataTokenFormat::Full);
        if self.include_license && full != Some(true) {
            return Err(Error::usage("--include-license needs --token-format full")
                .hint("--token-format full --include-license"));
        }
        let request = IdTokenRequest {
            audience: None,
            full_format: full,
            include_licenses: self.include_license,
            include_email: self.include_email,
        };
        if self.audiences.is_empty() {
            return Ok(vec![request]);
        }
        let audiences = self.audiences.iter().map(|value| parse_audience(value));
        audiences
            .map(|audience| Ok(IdTokenRequest { audience: Some(audience?), ..request.clone() }))
            .collect()
    }
}

/// Reads an audience, such as a URL or a client ID.
///
/// # Errors
/// `Usage` when it is empty, too long, or contains spaces or control characters.
pub fn parse_audience(value: &std::ffi::OsStr) -> Result<String> {
    let text = config::flag_text("--audiences", value)?;
    let hint = "--audiences https://SERVICE-HASH-REGION.a.run.app";
    if text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        let text = printable::redacted(&text);
        return Err(Error::usage(format!(
            "--audiences: \"{text}\" contains a space or a control character"
        ))
        .hint(hint));
    }
    match text.len() > 2048 {
        true => Err(Error::usage("--audiences is longer than 2048 characters").hint(hint)),
        false => Ok(text),
    }
}
