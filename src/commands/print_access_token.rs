//! `gauth print-access-token`, for short `gauth token`.

use std::ffi::OsString;

use clap::Args;

use crate::commands::{Example, Group, Spec, Status, Words};
use crate::discover::{self, Search};
use crate::error::{Error, Result};
use crate::flags::{Effort, General, Output, Who, Wish};
use crate::settings::{self, Given, Settings};
use crate::token::{SelfSignedRequest, SelfSignedTarget, TokenRequest};
use crate::world::World;
use crate::{complete, output};

/// The command.
pub const SPEC: Spec = Spec {
    name: "print-access-token",
    aliases: &["token"],
    about: "an access token for the chosen credential",
    examples: &[
        Example("TOKEN=$(gauth token)", "with what this machine has"),
        Example("curl -H @<(gauth token --format header) URL", "out of sight of ps"),
        Example("gauth token --credentials key.json --scopes pubsub", "a file, a narrower scope"),
        Example("gauth token --format json", "with expiry and account"),
    ],
    more: "\
Finds a credential, takes its token from the cache if that lasts long enough, and asks Google for a new one \
otherwise. Standard output holds the token and a newline, or nothing.\n\n\
A service account can sign its own token without asking anybody: for one service with --audience, or with the \
scopes and --self-signed. Most Google APIs accept such a token.",
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
    #[command(flatten)]
    wish: Wish,
    /// For this URL alone: signed here, or GDCH's
    #[arg(long, value_name = "URL", conflicts_with = "scopes")]
    audience: Option<OsString>,
    /// A JWT signed here, with the scopes
    #[arg(long)]
    self_signed: bool,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    effort: Effort,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    general: General,
}

fn run(words: Words, world: &World) -> anyhow::Result<Status> {
    let flags: Flags = words.flags()?;
    let format = flags.output.format.unwrap_or_default();
    let settings = Settings::resolve(&flags.given()?, world)?;
    let request = flags.request(&settings)?;
    let broker = settings.broker(world);
    let search = Search { settings: &settings, broker: &broker, may_ask: true };
    let found = discover::credential(&search)?;
    let mut token = broker.token(&*found.credential, &request)?;
    token.quota_project = settings.quota_project.or(token.quota_project);
    output::token(&token, found.source, format, world)?;
    // The process ends, and the system wipes its memory: wiping the credential's text first would cost a thirtieth of
    // the time a cached token takes.
    std::mem::forget((found, token));
    Ok(Status::DONE)
}

impl Flags {
    /// The groups all commands share, with the positional account among them.
    fn given(&self) -> Result<Given> {
        let who = self.who.with_positional(self.positional.as_ref())?;
        Ok(Given {
            who,
            wish: self.wish.clone(),
            effort: self.effort.clone(),
            general: self.general.clone(),
            ..Given::default()
        })
    }

    /// What is wanted.
    fn request(&self, settings: &Settings) -> Result<TokenRequest> {
        let access = &settings.wish;
        let audience = self
            .audience
            .as_deref()
            .map(|value| settings::text("--audience", value))
            .transpose()?;
        let target = match (audience, self.self_signed) {
            (None, false) => return Ok(TokenRequest::Access(access.clone())),
            (Some(audience), _)
                if audience.chars().any(|c| c.is_whitespace() || c.is_control()) =>
            {
                return Err(Error::usage("--audience has spaces or control characters")
                    .hint("--audience https://pubsub.googleapis.com/"));
            }
            (Some(audience), _) => SelfSignedTarget::Audience(audience),
            (None, true) => SelfSignedTarget::Scopes(access.scopes.clone()),
        };
        if access.subject.is_some() {
            return Err(Error::usage("a self-signed token cannot act for a user (--subject)")
                .hint("leave --subject away, or --audience and --self-signed"));
        }
        Ok(TokenRequest::SelfSigned(SelfSignedRequest { target, lifetime: access.lifetime }))
    }
}
