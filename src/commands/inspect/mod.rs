//! `gauth inspect`: shows the claims of a token and, with `--verify`, validates it.

pub(crate) mod input;
mod keys;
mod report;

use std::ffi::OsString;

use clap::{Args, ValueHint};

use crate::commands::inspect::report::{InspectReport, TokenContent, Verdict};
use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::flags::{GeneralFlags, NetworkFlags, ReportFlags, ReportFormat};
use crate::output::status::ExitStatus;
use gauth_core::config::{Config, Overrides};
use gauth_core::error::{Error, ErrorKind, Result};
use gauth_core::google::tokeninfo;
use gauth_core::jose::jwt::UnverifiedJwt;
use gauth_core::jose::verify::{Validation, ValidationError};
use gauth_core::jose::{jwt, verify};
use gauth_core::net::url::Url;
use gauth_core::text::secret::Secret;
use gauth_core::text::{duration, printable};
use gauth_core::tokens::broker::Broker;
use gauth_core::world::World;
use gauth_core::{config, discovery};

/// The default of `--skew`, in seconds.
const DEFAULT_SKEW_SECONDS: i64 = 10;

/// The largest `--skew`, in seconds.
const MAX_SKEW_SECONDS: i64 = 3600;

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "inspect",
    aliases: &[],
    about: "show what a token contains, and verify it",
    examples: &[
        Example("gauth id-token --audiences URL | gauth inspect", "decode a JWT"),
        Example("gauth id-token --audiences URL | gauth inspect --verify --audience URL", "verify it as well"),
        Example("gauth token | gauth inspect", "look up an access token at Google"),
    ],
    description: "\
Reads a token from a file, from standard input, or at a terminal from a prompt that does not show it; a token is \
never an argument. The token may stand alone, in an Authorization header, or in any output format of `gauth token` \
and `gauth id-token`.\n\n\
A JWT is decoded without any request. `--verify` checks its signature (RS256 or ES256), issuer, times and audience. \
It accepts Google and Identity-Aware Proxy as issuers, or those that `--issuer` names. Always verify the audience: \
without `--audience`, a token that was issued to another service passes as well. gauth fetches the issuer's public \
keys and caches them for as long as the issuer allows, between a minute and a day.\n\n\
An access token is sent to Google's tokeninfo endpoint in the body of a POST request. The endpoint does not know \
tokens of the Security Token Service.\n\n\
The first line of the output is the result. Exit codes: 10 if the token is not valid, and the rest of the output is \
printed all the same; 6 if the keys or tokeninfo cannot be fetched.",
    group: CommandGroup::Tokens,
    flags: InspectFlags::augment_args,
    run,
};

/// The command line of `gauth inspect`.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(super) struct InspectFlags {
    /// file with the token, or - for standard input
    ///
    /// Reads the token from this file, or with `-` from standard input. Default: standard input, or a prompt at a
    /// terminal.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<OsString>,
    /// check signature, issuer, times and audience
    ///
    /// Verifies a JWT: its signature, issuer, times, and with `--audience` its audience.
    #[arg(long)]
    verify: bool,
    /// accepted audience
    ///
    /// Accepts a token for this audience, or for one of several that are separated by commas. Default: any audience.
    #[arg(long, value_name = "AUDIENCE,…", value_delimiter = ',')]
    audience: Vec<OsString>,
    /// accepted issuer, if not Google
    ///
    /// Accepts a token of this issuer only, or of one of several that are separated by commas. A service account is
    /// named by its e-mail address; the keys of other issuers come from `--jwks`. Default: Google and Identity-Aware
    /// Proxy.
    #[arg(long, value_name = "ISSUER,…", value_delimiter = ',')]
    issuer: Vec<OsString>,
    /// issuer's public keys: a URL or a file
    ///
    /// Verifies the signature with the keys of this JSON Web Key Set, a URL or a file. Default: the keys that the
    /// issuer publishes.
    #[arg(long, value_name = "URL", value_hint = ValueHint::AnyPath)]
    jwks: Option<OsString>,
    /// tolerated clock difference
    ///
    /// Tolerates this difference between the clocks of issuer and verifier. Default: 10s.
    #[arg(long, value_name = "DURATION")]
    skew: Option<OsString>,
    #[command(flatten)]
    keys: KeyCacheFlags,
    #[command(flatten)]
    report: ReportFlags,
    #[command(flatten)]
    general: GeneralFlags,
}

/// Flags about fetching and caching the public keys.
#[derive(Debug, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Cache and network")]
struct KeyCacheFlags {
    /// do not read or write cached keys
    ///
    /// Neither reads nor writes cached public keys.
    #[arg(long)]
    no_cache: bool,
    #[command(flatten)]
    network: NetworkFlags,
}

/// The requirements of `--verify`; `now` is in Unix seconds, `skew` in seconds.
struct VerifyOptions {
    audiences: Vec<String>,
    issuers: Vec<String>,
    jwks: Option<keys::JwksLocation>,
    skew: i64,
    now: i64,
}

fn run(args: ParsedArgs, world: &World) -> anyhow::Result<ExitStatus> {
    let flags: InspectFlags = args.flags()?;
    let verify_options = flags.verify_options(world.clock.unix_seconds())?;
    let config = Config::resolve(&flags.overrides(), world)?;
    let token = input::read_token(flags.file.as_deref(), world)?;
    let broker = discovery::broker(&config, world);
    let inspect_report = match jwt::looks_like_jwt(&token) {
        true => {
            let checks = flags.verify.then_some(&verify_options);
            inspect_jwt(&token, checks, &config, &broker)?
        }
        false => inspect_access_token(&token, &verify_options, &flags, &config, &broker)?,
    };
    let text = match flags.report.format.unwrap_or_default() {
        ReportFormat::Text => report::text(&inspect_report, world),
        ReportFormat::Json => report::json(&inspect_report, world.clock.unix_seconds())?,
    };
    world.streams.write_result(text.as_bytes())?;
    Ok(match inspect_report.verdict {
        Verdict::NotValid(_) => ExitStatus::from_kind(ErrorKind::NotValid),
        Verdict::Valid(_) | Verdict::NotChecked => ExitStatus::SUCCESS,
    })
}

impl InspectFlags {
    fn overrides(&self) -> Overrides {
        Overrides { no_cache: self.keys.no_cache, ..self.keys.network.overrides(&self.general) }
    }

    fn verify_options(&self, now: i64) -> Result<VerifyOptions> {
        let checks = [
            ("--audience", !self.audience.is_empty()),
            ("--issuer", !self.issuer.is_empty()),
            ("--jwks", self.jwks.is_some()),
            ("--skew", self.skew.is_some()),
        ];
        if let Some((flag, _)) = checks.iter().find(|(_, is_set)| *is_set && !self.verify) {
            return Err(Error::usage(format!("{flag} has an effect only with --verify"))
                .hint(format!("gauth inspect --verify {flag} …")));
        }
        let texts = |flag: &str, values: &[OsString]| -> Result<Vec<String>> {
            values.iter().map(|value| config::flag_text(flag, value)).collect()
        };
        let issuers = match self.issuer.as_slice() {
            [] => keys::default_issuers(),
            issuers => texts("--issuer", issuers)?,
        };
        Ok(VerifyOptions {
            audiences: texts("--audience", &self.audience)?,
            issuers,
            jwks: self.jwks.as_deref().map(keys::parse_location).transpose()?,
            skew: self.skew.as_deref().map_or(Ok(DEFAULT_SKEW_SECONDS), parse_skew)?,
            now,
        })
    }
}

fn parse_skew(value: &std::ffi::OsStr) -> Result<i64> {
    let text = config::flag_text("--skew", value)?;
    let usage_error = |reason: &str| {
        let shown = printable::redacted(&text);
        Error::usage(format!("--skew: \"{shown}\" {reason}")).hint("--skew 10s, at most 1h")
    };
    let span = duration::parse(&text).map_err(usage_error)?;
    let seconds = i64::try_from(span.as_secs()).ok().filter(|seconds| *seconds <= MAX_SKEW_SECONDS);
    seconds.ok_or_else(|| usage_error("is longer than an hour"))
}

/// Decodes a JWT and, with `verify_options`, validates it.
fn inspect_jwt(
    token: &Secret,
    verify_options: Option<&VerifyOptions>,
    config: &Config,
    broker: &Broker<'_>,
) -> Result<InspectReport> {
    let decoded = match jwt::decode_secret(token) {
        Ok(parts) => parts,
        Err(reason) => {
            let verdict = Verdict::NotValid(format!("the token {reason}"));
            return Ok(InspectReport { verdict, content: TokenContent::Jwt(None) });
        }
    };
    let verdict = match verify_options {
        None => Verdict::NotChecked,
        Some(verify_options) => verify_jwt(&decoded, verify_options, config, broker)?,
    };
    Ok(InspectReport { verdict, content: TokenContent::Jwt(Some((decoded.header, decoded.claims))) })
}

/// Validates claims and signature. The claims come first: they need no request, and the keys of an expired token may no
/// longer be published.
fn verify_jwt(
    jwt: &UnverifiedJwt<'_>,
    verify_options: &VerifyOptions,
    config: &Config,
    broker: &Broker<'_>,
) -> Result<Verdict> {
    let VerifyOptions { audiences, issuers, now, skew, .. } = verify_options;
    let validation = Validation { issuers, audiences, now: *now, skew: *skew };
    let not_valid = |error: ValidationError| Ok(Verdict::NotValid(error.message()));
    if let Err(error) = verify::check_claims(jwt, &validation) {
        return not_valid(error);
    }
    let issuer = jwt.claims.get("iss").and_then(|issuer| issuer.as_str()).unwrap_or_default();
    let keys = keys::for_issuer(issuer, verify_options.jwks.as_ref(), config)?;
    if let Err(error) = keys.verify_signature(jwt, broker)? {
        return not_valid(error);
    }
    let (algorithm, kid) = match verify::algorithm_and_key_id(jwt) {
        Ok(header) => header,
        Err(error) => return not_valid(error),
    };
    let signed = format!("signed by {} ({algorithm}, key {})", keys.signer, verify::short_key_id(kid));
    Ok(Verdict::Valid(match verify::matching_audience(jwt, audiences) {
        Some(audience) => format!("{signed}, for {audience}"),
        None => format!("{signed}; the audience was not checked (--audience)"),
    }))
}

/// Reads the properties of an access token from Google's tokeninfo endpoint.
fn inspect_access_token(
    token: &Secret,
    verify_options: &VerifyOptions,
    flags: &InspectFlags,
    config: &Config,
    broker: &Broker<'_>,
) -> Result<InspectReport> {
    if tokeninfo::is_refresh_token(token) {
        return Err(Error::unsupported("the input is a refresh token, which has no readable content")
            .hint("gauth exchange --refresh-token @FILE gets an access token with it"));
    }
    if tokeninfo::is_federated_token(token) {
        let message = "the input is a token of the Security Token Service, which tokeninfo does not know";
        return Err(
            Error::unsupported(message).hint("gauth token --format json shows expiry and account of a new token")
        );
    }
    if verify_options.jwks.is_some() || !flags.issuer.is_empty() {
        let message = "the input is an access token, and --jwks and --issuer apply to JWTs";
        return Err(Error::unsupported(message).hint("remove --jwks and --issuer"));
    }
    let url = match &config.token_host {
        None => Url::parse(tokeninfo::ENDPOINT),
        Some(endpoint_override) => endpoint_override.sibling("tokeninfo"),
    };
    let url = url.map_err(|reason| Error::unexpected(format!("the URL of tokeninfo {reason}")))?;
    let response = broker.send(&tokeninfo::token_info_request(&url, token))?;
    let host = printable::text(url.authority());
    let info = match tokeninfo::read_token_info(&response, &host, verify_options.now)? {
        Ok(info) => info,
        Err(reason) => {
            let verdict = Verdict::NotValid(reason);
            return Ok(InspectReport { verdict, content: TokenContent::AccessToken(None) });
        }
    };
    let token_audience = info.audience.clone().unwrap_or_default();
    let verdict = if info.expires_at.is_some_and(|end| verify_options.now > end.saturating_add(verify_options.skew)) {
        Verdict::NotValid("it has expired".to_owned())
    } else if verify_options.audiences.is_empty() || verify_options.audiences.contains(&token_audience) {
        Verdict::Valid("an access token of Google".to_owned())
    } else {
        Verdict::NotValid(format!("it is for {}", printable::text(&token_audience)))
    };
    Ok(InspectReport { verdict, content: TokenContent::AccessToken(Some(info)) })
}
