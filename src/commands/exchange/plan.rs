//! The flags of `gauth exchange`, checked. Nothing is read from files, variables or the network here.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::commands::exchange::client::ExchangeClient;
use crate::commands::exchange::custom_header::{HeaderFlag, HeaderFlagValue, parse_headers};
use crate::commands::exchange::flags::{ExchangeFlags, ExchangeParameterFlags};
use crate::commands::exchange::secret_ref::{SecretLocation, SecretRef};
use gauth_core::config;
use gauth_core::error::{Error, Result};
use gauth_core::net::endpoint_policy;
use gauth_core::net::url::{Scheme, Url};
use gauth_core::oauth::client_authentication::ClientAuthentication;
use gauth_core::oauth::token_exchange;
use gauth_core::oauth::token_exchange::{REFRESH_TOKEN_GRANT_TYPE, TOKEN_EXCHANGE_GRANT_TYPE, TOKEN_TYPE_ALIASES};
use gauth_core::text::{json, printable};

/// Google's limit for `options`, in bytes.
pub(super) const MAX_OPTIONS_BYTES: usize = 4 * 1024 * 1024;
/// Longest audience or resource, in bytes.
const MAX_IDENTIFIER_BYTES: usize = 2048;

/// A token exchange or refresh request, whose secrets are not read yet.
#[derive(Debug)]
pub(super) struct ExchangePlan {
    pub grant: ExchangeGrant,
    /// The token endpoint of `--endpoint`; `None` stands for Google's.
    pub endpoint: Option<Url>,
    pub resources: Vec<String>,
    pub audiences: Vec<String>,
    /// The scopes as the user wrote them.
    pub scopes: Vec<String>,
    pub requested_token_type: Option<String>,
    pub options: Option<StsOptions>,
    pub headers: Vec<HeaderFlag>,
    pub client: ExchangeClient,
}

/// The grant, with the location of its token.
#[derive(Debug)]
pub(super) enum ExchangeGrant {
    /// A subject token and perhaps an actor token (RFC 8693 section 2.1).
    TokenExchange {
        grant_type: String,
        subject: SubjectTokenRef,
        /// `None` when the token itself shows its type.
        subject_type: Option<String>,
        actor: Option<(SecretRef, String)>,
    },
    /// A refresh token (RFC 6749 section 6).
    RefreshToken(SecretRef),
}

/// Where the subject token comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SubjectTokenRef {
    Secret(SecretRef),
    Url(Url),
    /// An access token of the credential that gauth finds (`--subject-credentials`).
    Credential,
}

/// The parameter `options`, which only Google's token endpoint has.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StsOptions {
    Inline(String),
    File(PathBuf),
}

const SUBJECT_TOKEN_EXAMPLE: &str =
    "gauth exchange --subject-token @token.jwt --audience NAME, or --subject-credentials";

impl ExchangePlan {
    /// Checks the flags.
    ///
    /// # Errors
    /// `Usage` or `Unsafe` with the name of the flag.
    pub(super) fn from_flags(flags: &ExchangeFlags) -> Result<ExchangePlan> {
        let parameters = &flags.parameters;
        let plan = ExchangePlan {
            grant: parse_grant(flags)?,
            endpoint: parameters.endpoint.as_deref().map(parse_endpoint).transpose()?,
            resources: parse_list("--resource", &parameters.resource, check_resource)?,
            audiences: parse_list("--audience", &parameters.audience, check_audience)?,
            scopes: split_scopes(&parameters.scopes)?,
            requested_token_type: parse_token_type("--requested-token-type", &parameters.requested_token_type)?,
            options: parameters.options.as_deref().map(parse_options).transpose()?,
            headers: parse_headers(&parameters.header)?,
            client: ExchangeClient::from_flags(&flags.client)?,
        };
        plan.check_impersonation(flags)?;
        plan.check_stdin(flags)?;
        plan.check_client()?;
        Ok(plan)
    }

    /// Refuses a second flag that reads standard input.
    fn check_stdin(&self, flags: &ExchangeFlags) -> Result<()> {
        let mut readers: Vec<&str> = self
            .secret_refs()
            .filter(|secret_ref| secret_ref.location == SecretLocation::Stdin)
            .map(|secret_ref| secret_ref.flag)
            .collect();
        if flags.common.credential.credentials.as_deref() == Some(OsStr::new("-")) {
            readers.push("--credentials");
        }
        match readers.as_slice() {
            [one, other, ..] => Err(Error::usage(format!("{one} and {other} would both read standard input"))
                .hint(format!("{other} @FILE"))),
            _ => Ok(()),
        }
    }

    fn secret_refs(&self) -> impl Iterator<Item = &SecretRef> {
        let tokens = match &self.grant {
            ExchangeGrant::RefreshToken(token) => vec![token],
            ExchangeGrant::TokenExchange { subject, actor, .. } => {
                let actor = actor.as_ref().map(|(token, _)| token);
                match subject {
                    SubjectTokenRef::Secret(token) => [Some(token), actor].into_iter().flatten().collect(),
                    SubjectTokenRef::Url(_) | SubjectTokenRef::Credential => actor.into_iter().collect(),
                }
            }
        };
        let headers = self.headers.iter().filter_map(|header| match &header.value {
            HeaderFlagValue::Secret(secret_ref) => Some(secret_ref),
            HeaderFlagValue::Literal(_) => None,
        });
        tokens.into_iter().chain(&self.client.secret).chain(headers)
    }

    fn check_impersonation(&self, flags: &ExchangeFlags) -> Result<()> {
        if flags.parameters.lifetime.is_some() && flags.common.credential.impersonate_service_account.is_none() {
            return Err(Error::usage(
                "--lifetime applies only with --impersonate-service-account: the server decides how long an exchanged token is valid",
            )
            .hint("remove --lifetime, or add --impersonate-service-account EMAIL"));
        }
        let is_access_token = |kind: &String| kind == token_exchange::ACCESS_TOKEN_TYPE;
        match &self.requested_token_type {
            Some(kind) if flags.common.credential.impersonate_service_account.is_some() && !is_access_token(kind) => {
                Err(Error::usage(
                    "--impersonate-service-account needs an access token, and --requested-token-type names another type",
                )
                .hint("remove one of the two flags"))
            }
            _ => Ok(()),
        }
    }

    fn check_client(&self) -> Result<()> {
        let has_header = |name: &str| self.headers.iter().any(|header| header.name == name);
        if self.client.authentication == ClientAuthentication::ClientSecretBasic && has_header("authorization") {
            return Err(Error::usage("--header authorization and --client-auth basic set the same header")
                .hint("use --client-auth body, or remove the header"));
        }
        match &self.endpoint {
            Some(url) if url.scheme == Scheme::Http && self.client.certificate.is_some() => {
                Err(Error::usage("--client-certificate needs an https endpoint, and --endpoint is http")
                    .hint("--endpoint https://sts.example.com/token"))
            }
            _ => Ok(()),
        }
    }
}

fn parse_grant(flags: &ExchangeFlags) -> Result<ExchangeGrant> {
    let parameters = &flags.parameters;
    let requested_grant = parameters.grant_type.as_deref().map(|name| config::flag_text("--grant-type", name));
    let refresh = parameters.refresh_token.as_deref();
    let grant_type = match requested_grant.transpose()?.as_deref() {
        None if refresh.is_some() => REFRESH_TOKEN_GRANT_TYPE.to_owned(),
        None | Some("token-exchange") => TOKEN_EXCHANGE_GRANT_TYPE.to_owned(),
        Some(REFRESH_TOKEN_GRANT_TYPE) => REFRESH_TOKEN_GRANT_TYPE.to_owned(),
        Some(other) => parse_grant_type_uri(other)?,
    };
    let subjects = subject_token_refs(flags)?;
    if grant_type == REFRESH_TOKEN_GRANT_TYPE {
        let Some(token) = refresh else {
            return Err(Error::usage("--grant-type refresh_token needs --refresh-token")
                .hint("gauth exchange --refresh-token @FILE --client-id ID --client-secret @FILE"));
        };
        let token = SecretRef::parse("--refresh-token", token)?;
        let incompatible_flags =
            subjects.first().map(|(flag, _)| *flag).into_iter().chain(flag_not_allowed_with_refresh(parameters));
        return match incompatible_flags.into_iter().next() {
            None => Ok(ExchangeGrant::RefreshToken(token)),
            Some(other) => Err(Error::usage(format!("{other} and --refresh-token exclude each other"))
                .hint("remove one of the two flags")),
        };
    }
    if refresh.is_some() {
        return Err(Error::usage(
            "--refresh-token needs --grant-type refresh_token, and --grant-type names another grant",
        )
        .hint("remove --grant-type"));
    }
    let subject_type = parse_token_type("--subject-token-type", &parameters.subject_token_type)?;
    let actor_type = parse_token_type("--actor-token-type", &parameters.actor_token_type)?;
    let actor = parameters.actor_token.as_deref().map(|token| SecretRef::parse("--actor-token", token));
    let actor = match (actor.transpose()?, actor_type) {
        (None, None) => None,
        (Some(token), Some(kind)) => Some((token, kind)),
        (Some(_), None) => {
            return Err(
                Error::usage("--actor-token needs --actor-token-type").hint("--actor-token-type jwt, or another type")
            );
        }
        (None, Some(_)) => {
            return Err(Error::usage("--actor-token-type needs --actor-token").hint("--actor-token @FILE"));
        }
    };
    let mut subjects = subjects.into_iter();
    let subject = match (subjects.next(), subjects.next()) {
        (None, _) => {
            return Err(Error::usage("no flag names a subject token to exchange").hint(SUBJECT_TOKEN_EXAMPLE));
        }
        (Some((one, _)), Some((other, _))) => {
            return Err(
                Error::usage(format!("{one} and {other} exclude each other")).hint("remove one of the two flags")
            );
        }
        (Some((_, subject)), None) => subject,
    };
    Ok(ExchangeGrant::TokenExchange { grant_type, subject, subject_type, actor })
}

/// The first flag whose parameter a refresh request does not have.
fn flag_not_allowed_with_refresh(parameters: &ExchangeParameterFlags) -> Option<&'static str> {
    let flags = [
        ("--subject-token-type", parameters.subject_token_type.is_some()),
        ("--actor-token", parameters.actor_token.is_some()),
        ("--actor-token-type", parameters.actor_token_type.is_some()),
        ("--requested-token-type", parameters.requested_token_type.is_some()),
        ("--options", parameters.options.is_some()),
    ];
    flags.into_iter().find(|(_, is_set)| *is_set).map(|(flag, _)| flag)
}

/// The flags that name a subject token. A flag that chooses a credential needs `--subject-credentials`.
fn subject_token_refs(flags: &ExchangeFlags) -> Result<Vec<(&'static str, SubjectTokenRef)>> {
    let (parameters, credential) = (&flags.parameters, &flags.common.credential);
    let mut subjects = Vec::new();
    if let Some(token) = &parameters.subject_token {
        let secret_ref = SecretRef::parse("--subject-token", token)?;
        subjects.push((secret_ref.flag, SubjectTokenRef::Secret(secret_ref)));
    }
    if credential.workload_identity_provider.is_none() {
        if let Some(path) = credential.subject_token_file.as_ref().filter(|path| !path.is_empty()) {
            let (flag, location) = ("--subject-token-file", SecretLocation::File(PathBuf::from(path)));
            subjects.push((flag, SubjectTokenRef::Secret(SecretRef { flag, location })));
        }
        if let Some(name) = &credential.subject_token_env {
            let flag = "--subject-token-env";
            let location = SecretLocation::Variable(config::flag_text(flag, name)?);
            subjects.push((flag, SubjectTokenRef::Secret(SecretRef { flag, location })));
        }
        if let Some(url) = &credential.subject_token_url {
            subjects.push(("--subject-token-url", SubjectTokenRef::Url(parse_subject_token_url(url)?)));
        }
    }
    if parameters.subject_credentials {
        subjects.push(("--subject-credentials", SubjectTokenRef::Credential));
        return Ok(subjects);
    }
    let credential_flags = [
        ("--credentials", credential.credentials.is_some()),
        ("--account", credential.account.is_some()),
        ("--source", credential.source.is_some()),
        ("--workload-identity-provider", credential.workload_identity_provider.is_some()),
    ];
    match credential_flags.into_iter().find(|(_, is_set)| *is_set) {
        None => Ok(subjects),
        Some((flag, _)) => {
            Err(Error::usage(format!("{flag} chooses a credential, and without --subject-credentials none is used"))
                .hint("add --subject-credentials to exchange a token of that credential"))
        }
    }
}

fn parse_subject_token_url(url: &OsStr) -> Result<Url> {
    let flag = "--subject-token-url";
    let text = config::flag_text(flag, url)?;
    let url = Url::parse(&text).map_err(|reason| {
        Error::usage(format!("{flag} {reason}")).hint(format!("{flag} https://issuer.example/token"))
    })?;
    match url.scheme == Scheme::Https || url.allows_plain_http() {
        true => Ok(url),
        false => {
            let host = printable::text(url.authority());
            Err(Error::not_safe(format!("{flag} would receive a secret from {host} without TLS"))
                .hint(format!("use an https URL for {flag}")))
        }
    }
}

fn parse_endpoint(url: &OsStr) -> Result<Url> {
    let flag = "--endpoint";
    endpoint_policy::check_endpoint_override(&config::flag_text(flag, url)?, flag)
        .map_err(|error| error.hint(format!("{flag} https://sts.example.com/token")))
}

/// Reads an extension grant, an absolute URI (RFC 6749 section 4.5).
fn parse_grant_type_uri(text: &str) -> Result<String> {
    match is_absolute_uri(text) {
        true => Ok(text.to_owned()),
        false => Err(Error::usage(format!("--grant-type: \"{}\" is not a grant type", printable::text(text)))
            .hint("--grant-type token-exchange, refresh_token, or an absolute URI")),
    }
}

/// Reads a token type, a short name or an absolute URI.
fn parse_token_type(flag: &str, argument: &Option<OsString>) -> Result<Option<String>> {
    let Some(argument) = argument else { return Ok(None) };
    let text = config::flag_text(flag, argument)?;
    let full = token_exchange::expand_token_type(&text);
    match is_absolute_uri(full) {
        true => Ok(Some(full.to_owned())),
        false => {
            let known: Vec<&str> = TOKEN_TYPE_ALIASES.iter().map(|(short, _)| *short).collect();
            let shown = printable::text(&text);
            Err(Error::usage(format!("{flag}: \"{shown}\" is not a token type"))
                .hint(format!("{flag} {}, or an absolute URI", known.join(", "))))
        }
    }
}

/// Whether this is an absolute URI of visible ASCII (RFC 3986 section 4.3), with any scheme.
fn is_absolute_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let is_scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(is_scheme_byte)
        && !rest.is_empty()
        && rest.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && !b"#\"<>\\^`{|}".contains(&byte))
        && text.len() <= MAX_IDENTIFIER_BYTES
}

fn check_resource(text: &str) -> std::result::Result<(), &'static str> {
    match is_absolute_uri(text) {
        true => Ok(()),
        false => Err("is not an absolute URI without a fragment"),
    }
}

fn check_audience(text: &str) -> std::result::Result<(), &'static str> {
    match text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        true => Err("contains a space or a control character"),
        false if text.len() > MAX_IDENTIFIER_BYTES => Err("is longer than 2048 characters"),
        false => Ok(()),
    }
}

fn parse_list(
    flag: &str,
    arguments: &[OsString],
    check: fn(&str) -> std::result::Result<(), &'static str>,
) -> Result<Vec<String>> {
    let item = |value: &OsString| {
        let text = config::flag_text(flag, value)?;
        let example = format!("{flag} https://api.example.com/");
        match check(&text) {
            Ok(()) => Ok(text),
            Err(reason) => Err(Error::usage(format!("{flag}: \"{}\" {reason}", printable::text(&text))).hint(example)),
        }
    };
    arguments.iter().map(item).collect()
}

/// Splits the scopes at commas and spaces, and removes duplicates.
fn split_scopes(arguments: &[OsString]) -> Result<Vec<String>> {
    let mut scopes: Vec<String> = Vec::new();
    for value in arguments {
        for scope in config::flag_text("--scopes", value)?.split([',', ' ']) {
            if !scope.is_empty() && !scopes.iter().any(|known| known == scope) {
                scopes.push(scope.to_owned());
            }
        }
    }
    Ok(scopes)
}

fn parse_options(argument: &OsStr) -> Result<StsOptions> {
    let flag = "--options";
    let text = config::flag_text(flag, argument)?;
    let example = format!("{flag} '{{\"userProject\":\"my-project\"}}', or {flag} @FILE");
    match text.strip_prefix('@') {
        Some("") => Err(Error::usage(format!("{flag} @ has no file name")).hint(example)),
        Some(path) => Ok(StsOptions::File(PathBuf::from(path))),
        None => match json::parse_object(text.as_bytes()) {
            Ok(_) => Ok(StsOptions::Inline(text)),
            Err(reason) => Err(Error::usage(format!("{flag} {reason}")).hint(example)),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;
    use gauth_core::error::ErrorKind;

    fn plan(args: &str) -> Result<ExchangePlan> {
        let matches = ExchangeFlags::augment_args(Command::new("exchange").no_binary_name(true))
            .get_matches_from(args.split_whitespace());
        ExchangePlan::from_flags(&ExchangeFlags::from_arg_matches(&matches).expect(args))
    }

    #[test]
    fn the_grant_follows_from_the_token_flags() {
        for (args, expected) in [
            ("--subject-credentials", TOKEN_EXCHANGE_GRANT_TYPE),
            ("--subject-token @t --grant-type token-exchange", TOKEN_EXCHANGE_GRANT_TYPE),
            (&format!("--subject-token @t --grant-type {TOKEN_EXCHANGE_GRANT_TYPE}"), TOKEN_EXCHANGE_GRANT_TYPE),
            ("--subject-token @t --grant-type urn:example:g", "urn:example:g"),
            ("--refresh-token @t", REFRESH_TOKEN_GRANT_TYPE),
            ("--refresh-token @t --grant-type refresh_token", REFRESH_TOKEN_GRANT_TYPE),
        ] {
            let found = match plan(args).expect(args).grant {
                ExchangeGrant::TokenExchange { grant_type, .. } => grant_type,
                ExchangeGrant::RefreshToken(_) => REFRESH_TOKEN_GRANT_TYPE.to_owned(),
            };
            assert_eq!(found, expected, "{args}");
        }
    }

    #[test]
    fn a_workload_provider_takes_the_subject_token_flags() {
        let subject = |args: &str| match plan(args).expect(args).grant {
            ExchangeGrant::TokenExchange { subject, .. } => Some(subject),
            ExchangeGrant::RefreshToken(_) => None,
        };
        let secret_ref = |flag, location| Some(SubjectTokenRef::Secret(SecretRef { flag, location }));
        let file = secret_ref("--subject-token-file", SecretLocation::File("t".into()));
        assert_eq!(subject("--subject-token-file t"), file);
        let variable = secret_ref("--subject-token-env", SecretLocation::Variable("T".to_owned()));
        assert_eq!(subject("--subject-token-env T"), variable);
        let args = "--subject-credentials --workload-identity-provider p --subject-token-file t";
        assert_eq!(subject(args), Some(SubjectTokenRef::Credential));
    }

    #[test]
    fn token_types_are_short_names_or_full_uris() {
        let kind = |text: &str| parse_token_type("--requested-token-type", &Some(text.into()));
        for (short, long) in TOKEN_TYPE_ALIASES {
            assert_eq!(kind(short).expect(short).as_deref(), Some(*long));
            assert_eq!(kind(long).expect(long).as_deref(), Some(*long));
        }
        assert_eq!(kind("urn:x").expect("a URN").as_deref(), Some("urn:x"));
        assert_eq!(kind("bearer").expect_err("unknown").kind(), ErrorKind::Usage);
    }

    #[test]
    fn a_uri_has_a_scheme_and_no_fragment() {
        for good in ["https://a.example/", "urn:x:y", "api://client", "a+b-c.d:e", "x:/?q=%20"] {
            assert!(is_absolute_uri(good), "{good}");
        }
        for bad in ["", "a", ":a", "a:", "1a:b", "a b:c", "a:b c", "a:#", "a:\u{fc}", "/a:b", "a:<b>"] {
            assert!(!is_absolute_uri(bad), "{bad}");
        }
    }

    #[test]
    fn scopes_are_split_and_sent_unchanged() {
        let arguments = ["b a".into(), "c,a,https://x/".into()];
        assert_eq!(split_scopes(&arguments).expect("scopes"), ["b", "a", "c", "https://x/"]);
    }

    #[test]
    fn only_one_secret_is_read_from_standard_input() {
        for args in [
            "--subject-token - --client-id c --client-secret @s",
            "--refresh-token - --client-id c",
            "--subject-credentials --credentials -",
        ] {
            assert!(plan(args).is_ok(), "{args}");
        }
        let error = plan("--subject-token - --actor-token - --actor-token-type jwt").expect_err("two");
        assert_eq!(error.message(), "--subject-token and --actor-token would both read standard input");
    }
}
