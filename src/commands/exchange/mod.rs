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

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "exchange",
    aliases: &[],
    about: "exchange a token (RFC 8693), or refresh one",
    examples: &[
        Example(
            "gauth exchange --subject-token @oidc.jwt --audience NAME",
            "exchange an OIDC token at a workload identity provider",
        ),
        Example(
            "gauth exchange --subject-credentials --options @boundary.json",
            "restrict an access token to an access boundary",
        ),
        Example("gauth exchange --refresh-token @login --client-id ID --client-secret @secret", "use a refresh token"),
    ],
    description: "\
Sends one token request to a token endpoint and prints the token in the response. By default this is an OAuth 2.0 \
Token Exchange (RFC 8693) at Google's Security Token Service, `https://sts.googleapis.com/v1/token`; `--endpoint` \
names any other server. The result is not cached.\n\n\
Secrets are never arguments. `--subject-token`, `--actor-token`, `--refresh-token` and `--client-secret` take `-` \
for standard input, `@FILE` for a file or `env:NAME` for an environment variable; only one of them can be `-`.\n\n\
Token types are abbreviated or full: `jwt` stands for `urn:ietf:params:oauth:token-type:jwt`. gauth recognises the \
type of a JWT and of Google's access tokens. At Google's endpoint, `--requested-token-type` is `access_token` by \
default, and `--scopes` is cloud-platform unless the subject token is an access token. Other servers receive only \
the parameters that are given.\n\n\
A client authenticates with HTTP Basic if `--client-secret` is given; `--client-auth` selects another method. \
Google's endpoint requires a client for workforce logins only.\n\n\
With `--impersonate-service-account`, gauth uses the exchanged token to get an access token of that service account. \
With `--refresh-token` it sends a refresh request (RFC 6749, section 6) instead, at Google to \
`https://sts.googleapis.com/v1/oauthtoken`. The server may replace the refresh token: `--format json` prints the new \
one, other formats print a warning.\n\n\
`--format json` adds `issued_token_type` and, if the server sent one, `refresh_token`. Tokens whose `token_type` is \
not Bearer can be printed as `text` or `json` only.\n\n\
Exit codes: 2 if parameters are missing or contradict each other, 5 if the server refuses, 6 if it gives no usable \
response, 9 if gauth does not send a secret to this endpoint.",
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
        world.terminal.warn("the server issued a new refresh token, which only --format json prints");
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
    let TokenResponse { access_token, expires_at, scopes, refresh_token, token_type, issued_token_type, .. } =
        result.token_response;
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
        return Err(Error::unsupported(message)
            .hint("use --requested-token-type access_token, or remove --impersonate-service-account"));
    }
    let info = CredentialInfo {
        credential_type: EXCHANGE_KIND.to_owned(),
        location: "the exchanged token".to_owned(),
        universe_domain: source.universe_domain,
        ..CredentialInfo::default()
    };
    let source: Rc<dyn Credential> = Rc::new(StaticToken::from_token(source.secret, info));
    // gauth exchange always sends its requests, so the cache is not used.
    let token =
        discovery::apply_impersonation(source, chain, config)?.access_token(&config.access_token_request, broker)?;
    let issued = IssuedTokenDetails { issued_token_type: Some(ACCESS_TOKEN_TYPE.to_owned()), ..issued };
    Ok((token, issued))
}
