//! `gauth inspect`: what is in a token, and with `--verify` whether it is good.

pub(crate) mod input;
mod keys;
mod report;

use std::ffi::OsString;

use clap::{Args, ValueHint};

use crate::broker::Broker;
use crate::commands::{Example, Group, Spec, Status, Words};
use crate::duration;
use crate::error::{Error, ErrorKind, Result};
use crate::flags::{Effort, General, Report, ReportFormat};
use crate::google::tokeninfo;
use crate::jwt::{self, Parts};
use crate::secret::Secret;
use crate::settings::{self, Given, Settings};
use crate::url::Url;
use crate::verify::{self, Demands, Fault};
use crate::world::World;
use report::{Content, Picture, Verdict};

/// How far other clocks may be off when nobody says, in seconds.
const SKEW: i64 = 10;

/// How far they may be off at most, in seconds.
const LARGEST_SKEW: i64 = 3600;

/// The command.
pub const SPEC: Spec = Spec {
    name: "inspect",
    aliases: &[],
    about: "what is in a token, and whether it is good",
    examples: &[
        Example("gauth id-token --audiences URL | gauth inspect", "decode a JWT"),
        Example(
            "gauth id-token --audiences URL | gauth inspect --verify --audience URL",
            "signature, issuer, audience and times",
        ),
        Example("gauth token | gauth inspect", "ask Google about an access token"),
    ],
    more: "\
The token comes from a file, from standard input, or at a terminal from a prompt that does not show it; never as a \
word of the command line. It may stand alone, behind Bearer or in a header, or in one of the formats of gauth token \
and gauth id-token.\n\n\
A JWT is decoded here, and nothing is asked of anybody. With --verify its signature (RS256, ES256), issuer, times and \
audience are checked. Believed are Google and Identity-Aware Proxy, or with --issuer those that are named: a service \
account by its address, which signs with its own key, or anybody with --jwks. Without --audience it is not checked \
whom the token is for, which makes it worthless as a proof: any other service that was given one could pass it on. \
Keys come from where their owner publishes them, and are kept as long as it says, a minute to a day; in gauth sandbox \
they are the sandbox's.\n\n\
An access token is sent to Google's tokeninfo, in the body of a POST. Tokens of the Security Token Service are not \
known there.\n\n\
The first line says what was found out. A token that is not valid is exit code 10, and the rest is shown all the same.",
    group: Group::Tokens,
    flags: Flags::augment_args,
    run,
};

/// What is written on the command line.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(super) struct Flags {
    /// Holds the token; - is standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<OsString>,
    /// Check signature, issuer and times too
    #[arg(long)]
    verify: bool,
    /// Whom it must be for, one of these
    #[arg(long, value_name = "A,…", value_delimiter = ',', requires = "verify")]
    audience: Vec<OsString>,
    /// Whom it must be from, not Google
    #[arg(long, value_name = "I,…", value_delimiter = ',', requires = "verify")]
    issuer: Vec<OsString>,
    /// The issuer's keys: a URL or a file
    #[arg(long, value_name = "URL", requires = "verify", value_hint = ValueHint::AnyPath)]
    jwks: Option<OsString>,
    /// How far clocks may be off; 10s
    #[arg(long, value_name = "DURATION", requires = "verify")]
    skew: Option<OsString>,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    report: Report,
    #[command(flatten)]
    general: General,
}

/// What there is of [`Effort`] where no token is minted.
#[derive(Debug, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Cache and network")]
struct Reach {
    /// Neither keep keys nor use kept ones
    #[arg(long)]
    no_cache: bool,
    /// Time for all requests together; 30s
    #[arg(long, value_name = "DURATION")]
    timeout: Option<OsString>,
    /// Certificates to trust, PEM
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    ca_file: Option<OsString>,
}

/// What a token is to be held against.
struct Wanted {
    audiences: Vec<String>,
    issuers: Vec<String>,
    jwks: Option<keys::Place>,
    skew: i64,
    now: i64,
}

fn run(words: Words, world: &World) -> anyhow::Result<Status> {
    let flags: Flags = words.flags()?;
    let wanted = flags.wanted(world.clock.unix())?;
    let settings = Settings::resolve(&flags.given(), world)?;
    let token = input::token(flags.file.as_deref(), world)?;
    let broker = settings.broker(world);
    let picture = match jwt::is_meant(&token) {
        true => {
            let checks = flags.verify.then_some(&wanted);
            of_jwt(&token, checks, &settings, &broker)?
        }
        false => of_access_token(&token, &wanted, &flags, &settings, &broker)?,
    };
    let text = match flags.report.format.unwrap_or_default() {
        ReportFormat::Text => report::text(&picture, world),
        ReportFormat::Json => report::json(&picture, world.clock.unix())?,
    };
    world.streams.result(text.as_bytes())?;
    Ok(match picture.verdict {
        Verdict::NotValid(_) => Status::of(ErrorKind::NotValid),
        Verdict::Valid(_) | Verdict::NotChecked => Status::DONE,
    })
}

impl Flags {
    fn given(&self) -> Given {
        let effort = Effort {
            no_cache: self.reach.no_cache,
            timeout: self.reach.timeout.clone(),
            ca_file: self.reach.ca_file.clone(),
            ..Effort::default()
        };
        Given { effort, general: self.general.clone(), ..Given::default() }
    }

    fn wanted(&self, now: i64) -> Result<Wanted> {
        let texts = |flag: &str, values: &[OsString]| -> Result<Vec<String>> {
            values.iter().map(|value| settings::text(flag, value)).collect()
        };
        let issuers = match self.issuer.as_slice() {
            [] => keys::usual_issuers(),
            named => texts("--issuer", named)?,
        };
        Ok(Wanted {
            audiences: texts("--audience", &self.audience)?,
            issuers,
            jwks: self.jwks.as_deref().map(keys::place).transpose()?,
            skew: self.skew.as_deref().map_or(Ok(SKEW), skew)?,
            now,
        })
    }
}

fn skew(value: &std::ffi::OsStr) -> Result<i64> {
    let text = settings::text("--skew", value)?;
    let odd = |what: &str| {
        let shown = crate::printable::said(&text);
        Error::usage(format!("--skew {shown} {what}")).hint("--skew 10s, at most 1h")
    };
    let span = duration::parse(&text).map_err(odd)?;
    let seconds = i64::try_from(span.as_secs()).ok().filter(|seconds| *seconds <= LARGEST_SKEW);
    seconds.ok_or_else(|| odd("is longer than an hour"))
}

/// A JWT, held against what is wanted of it, if anything is.
fn of_jwt(
    token: &Secret,
    wanted: Option<&Wanted>,
    settings: &Settings,
    broker: &Broker<'_>,
) -> Result<Picture> {
    let parts = match jwt::parts_of(token) {
        Ok(parts) => parts,
        Err(what) => {
            let verdict = Verdict::NotValid(format!("the token {what}"));
            return Ok(Picture { verdict, content: Content::Jwt(None) });
        }
    };
    let verdict = match wanted {
        None => Verdict::NotChecked,
        Some(wanted) => judged(&parts, wanted, settings, broker)?,
    };
    Ok(Picture { verdict, content: Content::Jwt(Some((parts.header, parts.claims))) })
}

/// What needs no key is checked first: a token that is over needs no request, and its key may be gone.
fn judged(
    parts: &Parts<'_>,
    wanted: &Wanted,
    settings: &Settings,
    broker: &Broker<'_>,
) -> Result<Verdict> {
    let Wanted { audiences, issuers, now, skew, .. } = wanted;
    let demands = Demands { issuers, audiences, now: *now, skew: *skew };
    let not_valid = |fault: Fault| Ok(Verdict::NotValid(fault.words()));
    if let Err(fault) = verify::claims(parts, &demands) {
        return not_valid(fault);
    }
    let issuer = parts.claims.get("iss").and_then(|issuer| issuer.as_str()).unwrap_or_default();
    let keys = keys::of(issuer, wanted.jwks.as_ref(), settings)?;
    if let Err(fault) = keys.check(parts, broker)? {
        return not_valid(fault);
    }
    let (algorithm, kid) = match verify::header(parts) {
        Ok(header) => header,
        Err(fault) => return not_valid(fault),
    };
    let signed = format!("signed by {} ({algorithm}, key {})", keys.whose, verify::short(kid));
    Ok(Verdict::Valid(match verify::meant_for(parts, audiences) {
        Some(audience) => format!("{signed}, for {audience}"),
        None => format!("{signed}; for whom was not checked (--audience)"),
    }))
}

/// An access token, which only Google can tell anything about.
fn of_access_token(
    token: &Secret,
    wanted: &Wanted,
    flags: &Flags,
    settings: &Settings,
    broker: &Broker<'_>,
) -> Result<Picture> {
    if tokeninfo::is_refresh_token(token) {
        return Err(Error::unsupported("this is a refresh token, which nobody can look into")
            .hint("gauth exchange --refresh-token @FILE, which gets an access token for it"));
    }
    if tokeninfo::is_federated(token) {
        let message =
            "this is a token of the Security Token Service, which tokeninfo does not know";
        return Err(Error::unsupported(message)
            .hint("gauth token --format json shows its expiry and account when it is made"));
    }
    if wanted.jwks.is_some() || !flags.issuer.is_empty() {
        let message = "this is an access token, which has no issuer and no signature to check";
        return Err(Error::unsupported(message).hint("leave --jwks and --issuer away"));
    }
    let url = match &settings.token_host {
        None => Url::parse(tokeninfo::URL),
        Some(moved) => tokeninfo::beside(moved),
    };
    let url = url.map_err(|what| Error::unexpected(format!("the address of tokeninfo {what}")))?;
    let response = broker.send(&tokeninfo::ask(&url, token))?;
    let host = crate::printable::text(url.authority());
    let info = match tokeninfo::read(&response, &host, wanted.now)? {
        Ok(info) => info,
        Err(said) => {
            let verdict = Verdict::NotValid(said);
            return Ok(Picture { verdict, content: Content::Access(None) });
        }
    };
    let given = info.audience.clone().unwrap_or_default();
    let verdict = if info.expires_at.is_some_and(|end| wanted.now > end.saturating_add(wanted.skew))
    {
        Verdict::NotValid("it has expired".to_owned())
    } else if wanted.audiences.is_empty() || wanted.audiences.contains(&given) {
        Verdict::Valid("an access token that Google knows".to_owned())
    } else {
        Verdict::NotValid(format!("it is for {}", crate::printable::text(&given)))
    };
    Ok(Picture { verdict, content: Content::Access(Some(info)) })
}
