//! `gauth print-identity-token`, for short `gauth id-token`.

use std::ffi::OsString;

use clap::Args;

use crate::commands::{Example, Group, Spec, Status, Words};
use crate::credential::Credential;
use crate::discover::{self, Search};
use crate::error::{Error, Result};
use crate::flags::{Effort, General, Output, Who};
use crate::settings::{self, Given, Settings};
use crate::token::{IdentityRequest, Token, TokenRequest};
use crate::world::World;
use crate::{complete, output, printable};

/// The command.
pub const SPEC: Spec = Spec {
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
    more: "\
Service accounts give ID tokens for any audience: with their key, on a machine of Google's, or impersonated. Google \
gives those of a user login to its own OAuth client only: with --impersonate-service-account a person gets one for any \
audience. Cloud Run and Cloud Functions want the URL of the service for an audience, IAP the ID of its OAuth client.\n\n\
With several audiences one token a line is printed; --format json then prints a list.",
    group: Group::Tokens,
    flags: Flags::augment_args,
    run,
};

/// What is written on the command line.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(super) struct Flags {
    /// A login, as --account
    #[arg(value_name = "ACCOUNT", add = complete::accounts())]
    positional: Option<OsString>,
    /// Whom it is for: a URL or a client ID
    #[arg(long, value_name = "A,…", visible_alias = "audience", value_delimiter = ',')]
    audiences: Vec<OsString>,
    /// Of Compute Engine: standard or full
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    token_format: Option<TokenFormat>,
    /// Of Compute Engine, if full: with licences
    #[arg(long)]
    include_license: bool,
    /// Impersonated: with the account's address
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    include_email: Option<bool>,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    effort: Effort,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    general: General,
}

/// How much the metadata server tells of its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum TokenFormat {
    /// Who it is
    Standard,
    /// And on which machine
    Full,
}

fn run(words: Words, world: &World) -> anyhow::Result<Status> {
    let flags: Flags = words.flags()?;
    let format = flags.output.format.unwrap_or_default();
    let requests = flags.requests()?;
    if requests.len() > 1 {
        output::check_several(format)?;
    }
    let settings = Settings::resolve(&flags.given()?, world)?;
    let broker = settings.broker(world);
    let search = Search { settings: &settings, broker: &broker, may_ask: true };
    let found = discover::credential(&search)?;
    let ask = |request: IdentityRequest| -> Result<Token> {
        let credential: &dyn Credential = &*found.credential;
        let mut token = broker.token(credential, &TokenRequest::Identity(request))?;
        token.quota_project = settings.quota_project.clone().or(token.quota_project);
        Ok(token)
    };
    let tokens: Vec<Token> = requests.into_iter().map(ask).collect::<Result<_>>()?;
    output::identities(&tokens, found.source, format, world)?;
    Ok(Status::DONE)
}

impl Flags {
    /// The groups all commands share, with the positional account among them.
    fn given(&self) -> Result<Given> {
        Ok(Given {
            who: self.who.with_positional(self.positional.as_ref())?,
            effort: self.effort.clone(),
            general: self.general.clone(),
            ..Given::default()
        })
    }

    /// One request for each audience.
    fn requests(&self) -> Result<Vec<IdentityRequest>> {
        let full = self.token_format.map(|format| format == TokenFormat::Full);
        if self.include_license && full != Some(true) {
            return Err(Error::usage("--include-license asks for what only a full token has")
                .hint("--token-format full --include-license"));
        }
        let request = IdentityRequest {
            audience: None,
            full,
            licenses: self.include_license,
            email: self.include_email,
        };
        if self.audiences.is_empty() {
            return Ok(vec![request]);
        }
        let audiences = self.audiences.iter().map(|value| audience(value));
        audiences
            .map(|audience| Ok(IdentityRequest { audience: Some(audience?), ..request.clone() }))
            .collect()
    }
}

/// An audience: a URL, a client ID, or anything else that is visible.
///
/// # Errors
/// Usage, when it is empty, too long, or has what no claim should have.
pub fn audience(value: &std::ffi::OsStr) -> Result<String> {
    let text = settings::text("--audiences", value)?;
    let hint = "--audiences https://SERVICE-HASH-REGION.a.run.app";
    if text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        let text = printable::said(&text);
        return Err(Error::usage(format!(
            "--audiences: \"{text}\" has spaces or control characters"
        ))
        .hint(hint));
    }
    match text.len() > 2048 {
        true => Err(Error::usage("--audiences is longer than 2048 characters").hint(hint)),
        false => Ok(text),
    }
}
