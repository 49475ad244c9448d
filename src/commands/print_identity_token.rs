//! `gauth print-identity-token`, for short `gauth id-token`.

use std::ffi::OsString;

use clap::Args;

use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::flags::{CommonFlags, OutputFlags, one_account};
use crate::output::status::ExitStatus;
use crate::output::token;
use gauth_core::config::{Config, Overrides};
use gauth_core::discovery::Discovery;
use gauth_core::error::{Error, Result};
use gauth_core::text::printable;
use gauth_core::tokens::credential::Credential;
use gauth_core::tokens::{IdTokenRequest, Token, TokenRequest};
use gauth_core::world::World;
use gauth_core::{config, discovery};

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "print-identity-token",
    aliases: &["id-token"],
    about: "print an OpenID Connect ID token",
    examples: &[
        Example("gauth id-token --audiences https://svc-abc.run.app", "for a Cloud Run service"),
        Example(
            "gauth id-token --audiences IAP-CLIENT-ID --impersonate-service-account A",
            "for IAP, as service account A",
        ),
        Example("gauth id-token --audiences URL | gauth inspect", "decode the token"),
    ],
    description: "\
Prints an ID token, with which a caller proves its identity to a service. The audience of Cloud Run and Cloud \
Functions is the URL of the service, the audience of Identity-Aware Proxy (IAP) is its OAuth client ID.\n\n\
Service accounts get ID tokens for any audience: with a key, from the metadata server, or by impersonation. A user \
login gets them for Google's own OAuth client only; with `--impersonate-service-account` it gets them for any \
audience.\n\n\
With several audiences gauth prints one token per line, and with `--format json` an array.\n\n\
Exit codes: 2 if the credential needs `--audiences`, 3 if no credential is found, 4 if the user must sign in first, \
5 if the server refuses, 7 if the credential cannot issue ID tokens.",
    group: CommandGroup::Tokens,
    flags: PrintIdentityTokenFlags::augment_args,
    run,
};

/// The command line of `gauth print-identity-token`.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(super) struct PrintIdentityTokenFlags {
    /// account to use, same as --account
    ///
    /// Uses the login of this account, as `--account` does.
    #[arg(value_name = "ACCOUNT")]
    positional_account: Option<OsString>,
    /// recipient: a URL or an OAuth client ID
    ///
    /// Requests a token for this audience: the URL of a service or an OAuth client ID. Separate several with commas.
    /// User logins need none.
    #[arg(long, value_name = "AUDIENCE,…", visible_alias = "audience", value_delimiter = ',')]
    audiences: Vec<OsString>,
    /// metadata server only: standard or full
    ///
    /// Chooses the claims of a token from the metadata server: `standard`, or `full` for claims about the virtual
    /// machine as well. Default: `standard`.
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    token_format: Option<MetadataTokenFormat>,
    /// with full: add licence codes of the image
    ///
    /// Adds the licence codes of the virtual machine's image to the claims. Requires `--token-format full`.
    #[arg(long)]
    include_license: bool,
    /// impersonation: add the e-mail address
    ///
    /// Adds the claims email and email_verified to the token of an impersonated service account. Default: `true`;
    /// `false` leaves them out.
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
    /// identity of the service account
    Standard,
    /// and of the virtual machine
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
        overrides.account = one_account(self.positional_account.as_ref(), overrides.account.as_ref())?;
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
        audiences.map(|audience| Ok(IdTokenRequest { audience: Some(audience?), ..request.clone() })).collect()
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
        return Err(Error::usage(format!("--audiences: \"{text}\" contains a space or a control character")).hint(hint));
    }
    match text.len() > 2048 {
        true => Err(Error::usage("--audiences is longer than 2048 characters").hint(hint)),
        false => Ok(text),
    }
}
