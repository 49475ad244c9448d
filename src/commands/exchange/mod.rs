//! `gauth exchange`: OAuth 2.0 token exchange (RFC 8693) with every parameter, and refresh requests.

mod client;
mod custom_header;
mod flags;
mod plan;
mod secret_ref;
mod send;

use std::rc::Rc;

use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::output::format::OutputFormat;
use crate::output::status::ExitStatus;
use crate::output::token;
use crate::output::token::IssuedTokenDetails;
use gauth_core::config::{Config, Sourced};
use gauth_core::credentials::impersonated;
use gauth_core::credentials::static_token::StaticToken;
use gauth_core::discovery;
use gauth_core::error::{Error, Result};
use gauth_core::oauth::token::TokenResponse;
use gauth_core::oauth::token_exchange::ACCESS_TOKEN_TYPE;
use gauth_core::tokens::Token;
use gauth_core::tokens::broker::Broker;
use gauth_core::tokens::credential::{Credential, CredentialInfo};
use gauth_core::world::World;

pub(super) use crate::commands::exchange::flags::ExchangeFlags;
use crate::commands::exchange::plan::ExchangePlan;
use crate::commands::exchange::send::ExchangeResult;

/// The value of `kind` and `source` in the output.
const EXCHANGE_KIND: &str = "exchange";

/// The command.
pub const SPEC: CommandSpec = CommandSpec {
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
    description: "\
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
    group: CommandGroup::Tokens,
    flags: <ExchangeFlags as clap::Args>::augment_args,
    run,
};

fn run(args: ParsedArgs, world: &World) -> anyhow::Result<ExitStatus> {
    let flags: ExchangeFlags = args.flags()?;
    let plan = ExchangePlan::from_flags(&flags)?;
    let format = flags.output.format.unwrap_or_default();
    let mut config = Config::resolve(&flags.overrides(), world)?;
    // The flag applies to the exchanged token; a variable or setting applies to the credential of --subject-credentials.
    let chain = config.impersonation_chain.take_if(|chain| chain.origin.starts_with("--"));
    if chain.is_some() {
        // Checked before the request, which may use up a token that is valid once.
        impersonated::check_lifetime(config.access_token_request.lifetime)?;
    }
    let broker = discovery::broker(&config, world);
    let result = send::execute(&plan, &config, chain.is_some(), &broker)?;
    let has_new_refresh_token = result.has_new_refresh_token;
    let printed = print(result, chain, &config, &broker, format);
    // A new refresh token that is not printed is lost, and the server may have revoked the old one.
    if has_new_refresh_token && (format != OutputFormat::Json || printed.is_err()) {
        world
            .terminal
            .warn("the server issued a new refresh token, which only --format json prints");
    }
    printed?;
    Ok(ExitStatus::SUCCESS)
}

fn print(
    result: ExchangeResult,
    chain: Option<Sourced<Vec<String>>>,
    config: &Config,
    broker: &Broker<'_>,
    format: OutputFormat,
) -> Result<()> {
    let (mut token, issued) = match chain {
        None => token_from_response(result),
        Some(chain) => impersonated_token(result, &chain.value, config, broker)?,
    };
    token.quota_project = config.quota_project.clone().or(token.quota_project);
    token::print_issued_token(&broker.require_min_ttl(token)?, &issued, format, broker.world)
}

fn token_from_response(result: ExchangeResult) -> (Token, IssuedTokenDetails) {
    let TokenResponse {
        access_token,
        expires_at,
        scopes,
        refresh_token,
        token_type,
        issued_token_type,
        ..
    } = result.token_response;
    let mut token = Token::new(access_token, EXCHANGE_KIND, expires_at);
    token.scopes = scopes;
    token.universe_domain = result.universe_domain;
    (token, IssuedTokenDetails { token_type, issued_token_type, refresh_token })
}

/// An access token of the last service account in `chain`, requested with the exchanged token.
fn impersonated_token(
    result: ExchangeResult,
    chain: &[String],
    config: &Config,
    broker: &Broker<'_>,
) -> Result<(Token, IssuedTokenDetails)> {
    let (source, issued) = token_from_response(result);
    if !issued.token_type.eq_ignore_ascii_case("bearer") {
        let message = format!(
            "the server issued a token of type {}, which cannot impersonate a service account",
            issued.token_type
        );
        return Err(Error::unsupported(message).hint(
            "use --requested-token-type access_token, or remove --impersonate-service-account",
        ));
    }
    let info = CredentialInfo {
        credential_type: EXCHANGE_KIND.to_owned(),
        location: "the exchanged token".to_owned(),
        universe_domain: source.universe_domain,
        ..CredentialInfo::default()
    };
    let source: Rc<dyn Credential> = Rc::new(StaticToken::from_token(source.secret, info));
    // gauth exchange always sends its requests, so the cache is not used.
    let token = discovery::apply_impersonation(source, chain, config)?
        .access_token(&config.access_token_request, broker)?;
    let issued =
        IssuedTokenDetails { issued_token_type: Some(ACCESS_TOKEN_TYPE.to_owned()), ..issued };
    Ok((token, issued))
}
