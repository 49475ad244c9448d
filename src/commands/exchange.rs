//! `gauth exchange`: one token for another (RFC 8693), with every parameter, and the refresh grant.

mod client;
mod flags;
mod header;
mod hidden;
mod plan;
mod send;

use std::rc::Rc;

use crate::broker::Broker;
use crate::commands::{Example, Group, Spec, Status, Words};
use crate::credential::ready::Ready;
use crate::credential::{About, Credential, impersonated};
use crate::discover;
use crate::error::{Error, Result};
use crate::flags::Format;
use crate::google::sts::ACCESS_TOKEN;
use crate::google::token::Granted;
use crate::output::{self, Issued};
use crate::settings::{Chosen, Settings};
use crate::token::Token;
use crate::world::World;

pub(super) use flags::Flags;
use plan::Plan;
use send::Exchanged;

/// What an exchange is called in the output, as kind and as source.
const KIND: &str = "exchange";

/// The command.
pub const SPEC: Spec = Spec {
    name: "exchange",
    aliases: &[],
    about: "one token for another (RFC 8693), or refresh one",
    examples: &[
        Example(
            "gauth exchange --subject-token @oidc.jwt --audience NAME",
            "a provider's token for Google's",
        ),
        Example(
            "gauth exchange --subject-credentials --options @boundary.json",
            "a narrower one of your own",
        ),
        Example(
            "gauth exchange --refresh-token @login --client-id ID --client-secret @secret",
            "a refresh token for an access token",
        ),
    ],
    more: "\
Sends one request to a token endpoint and prints the token it gives. The endpoint is Google's, \
https://sts.googleapis.com/v1/token, or the one of --universe-domain; with --endpoint it is any other one that \
speaks RFC 8693. Nothing is kept: every call is an exchange.\n\n\
A secret is never a word of the command line. --subject-token, --actor-token, --refresh-token and --client-secret \
take - for standard input, @FILE, or env:NAME for a variable, and so does --header behind the name, but for -. One of \
them may be -. --subject-token-file, --subject-token-env and --subject-token-url name the subject token as well; with \
--workload-identity-provider they name the token for that. --subject-credentials takes an access token of the \
credential that gauth token would use, from the cache if it is there; the flags under \"Which credential\" choose it.\n\n\
Types of tokens are given by their last word, as in jwt, id_token or saml2, or as a whole URN. The type of a \
subject token need not be said of a JWT or of an access token of Google's. At Google's endpoint an access token is asked for \
unless --requested-token-type says otherwise, and the scope cloud-platform unless --scopes does (none for an access token, \
which keeps its own); a short scope gets Google's prefix there. Any other server gets what is written, and nothing else.\n\n\
A client with --client-secret proves itself with HTTP Basic, or with --client-auth body among the fields; without one \
it only says its name. --client-certificate is shown to an endpoint that asks for one, such as \
https://sts.mtls.googleapis.com/v1/token. Google's endpoint wants no client but for workforce logins.\n\n\
With --impersonate-service-account the token that was exchanged is used to get one of that service account, with \
--scopes and --lifetime. A variable or setting of that name is about the credential of --subject-credentials.\n\n\
With --refresh-token alone, the refresh grant is sent, at Google's to /v1/oauthtoken. A server may answer with a new \
refresh token and void the old one: --format json prints it, the other formats warn.\n\n\
--format json adds issued_token_type and, where the server sent one, refresh_token. A token whose token_type is not \
Bearer, such as N_A, is printed as text or json only.",
    group: Group::Tokens,
    flags: <Flags as clap::Args>::augment_args,
    run,
};

fn run(words: Words, world: &World) -> anyhow::Result<Status> {
    let flags: Flags = words.flags()?;
    let plan = Plan::of(&flags)?;
    let format = flags.output.format.unwrap_or_default();
    let mut settings = Settings::resolve(&flags.given(), world)?;
    // The flag is about what is exchanged; a variable is about the credential that may be exchanged.
    let chain = settings.impersonate.take_if(|chain| chain.origin.starts_with("--"));
    if chain.is_some() {
        // Known before a token that can be used once is used.
        impersonated::life(settings.wish.lifetime)?;
    }
    let broker = settings.broker(world);
    let exchanged = send::carry_out(&plan, &settings, chain.is_some(), &broker)?;
    let has_new_login = exchanged.has_new_login;
    let printed = print(exchanged, chain, &settings, &broker, format);
    // One that is not printed is lost, and the one that was sent may be void.
    if has_new_login && (format != Format::Json || printed.is_err()) {
        world.terminal.warn(
            "the server gave a new refresh token, which is not printed; only --format json prints it",
        );
    }
    printed?;
    Ok(Status::DONE)
}

fn print(
    exchanged: Exchanged,
    chain: Option<Chosen<Vec<String>>>,
    settings: &Settings,
    broker: &Broker<'_>,
    format: Format,
) -> Result<()> {
    let (mut token, issued) = match chain {
        None => plain(exchanged),
        Some(chain) => acting_as(exchanged, &chain.value, settings, broker)?,
    };
    token.quota_project = settings.quota_project.clone().or(token.quota_project);
    output::issued(&broker.lasting(token)?, &issued, format, broker.world)
}

fn plain(exchanged: Exchanged) -> (Token, Issued) {
    let Granted {
        access_token,
        expires_at,
        scopes,
        refresh_token,
        token_type,
        issued_token_type,
        ..
    } = exchanged.granted;
    let mut token = Token::new(access_token, KIND, expires_at);
    token.scopes = scopes;
    token.universe_domain = exchanged.universe;
    (token, Issued { token_type, issued_token_type, refresh_token })
}

/// A token of the last of these service accounts, got with the one that was exchanged.
fn acting_as(
    exchanged: Exchanged,
    chain: &[String],
    settings: &Settings,
    broker: &Broker<'_>,
) -> Result<(Token, Issued)> {
    let (source, issued) = plain(exchanged);
    if !issued.token_type.eq_ignore_ascii_case("bearer") {
        let message = format!(
            "the exchange gave a token of type {}, which cannot impersonate a service account",
            issued.token_type
        );
        return Err(Error::unsupported(message).hint(
            "--requested-token-type access_token, or leave --impersonate-service-account away",
        ));
    }
    let about = About {
        kind: KIND.to_owned(),
        place: "the exchanged token".to_owned(),
        universe_domain: source.universe_domain,
        ..About::default()
    };
    let source: Rc<dyn Credential> = Rc::new(Ready::known(source.secret, about));
    // Not by way of the cache: what is explicit is done.
    let token =
        discover::acting_as(source, chain, settings)?.access_token(&settings.wish, broker)?;
    let issued = Issued { issued_token_type: Some(ACCESS_TOKEN.to_owned()), ..issued };
    Ok((token, issued))
}
