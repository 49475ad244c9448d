//! What the flags of an exchange ask for, checked and not yet carried out: nothing is read here.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::client::Client;
use super::flags::{Ask, Flags};
use super::header::{Header, Value, headers};
use super::hidden::{Hidden, Place};
use crate::error::{Error, Result};
use crate::google::sts::{self, REFRESH, TOKEN_EXCHANGE, TOKEN_TYPES};
use crate::url::{Scheme, Url};
use crate::{json, printable, settings, trust};

/// Largest options, in bytes, as Google says.
pub(super) const LARGEST_OPTIONS: usize = 4 * 1024 * 1024;
/// Longest audience or resource, in bytes.
const LONGEST_NAME: usize = 2048;

/// An exchange, or a refresh.
#[derive(Debug)]
pub(super) struct Plan {
    pub grant: Grant,
    /// `None`: Google's.
    pub endpoint: Option<Url>,
    pub resources: Vec<String>,
    pub audiences: Vec<String>,
    /// As they were written.
    pub scopes: Vec<String>,
    pub requested_token_type: Option<String>,
    pub options: Option<Options>,
    pub headers: Vec<Header>,
    pub client: Client,
}

/// What is handed in.
#[derive(Debug)]
pub(super) enum Grant {
    /// A subject token (RFC 8693).
    Exchange {
        grant_type: String,
        subject: Subject,
        /// `None`: what the token looks like.
        subject_type: Option<String>,
        actor: Option<(Hidden, String)>,
    },
    /// A refresh token (RFC 6749, 6).
    Refresh(Hidden),
}

/// Where the subject token comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Hidden(Hidden),
    Url(Url),
    /// From the credential that gauth would use.
    Credential,
}

/// Google's additions.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Options {
    Text(String),
    File(PathBuf),
}

const SUBJECT: &str =
    "gauth exchange --subject-token @token.jwt --audience NAME, or --subject-credentials";

impl Plan {
    /// Reads the flags.
    ///
    /// # Errors
    /// Usage or unsafe, naming the flag.
    pub(super) fn of(flags: &Flags) -> Result<Plan> {
        let ask = &flags.ask;
        let plan = Plan {
            grant: grant(flags)?,
            endpoint: ask.endpoint.as_deref().map(endpoint).transpose()?,
            resources: list("--resource", &ask.resource, resource)?,
            audiences: list("--audience", &ask.audience, audience)?,
            scopes: words(&ask.scopes)?,
            requested_token_type: token_type("--requested-token-type", &ask.requested_token_type)?,
            options: ask.options.as_deref().map(options).transpose()?,
            headers: headers(&ask.header)?,
            client: Client::of(&flags.client)?,
        };
        plan.check_impersonation(flags)?;
        plan.check_input(flags)?;
        plan.check_client()?;
        Ok(plan)
    }

    /// Standard input holds one secret.
    fn check_input(&self, flags: &Flags) -> Result<()> {
        let mut readers: Vec<&str> = self
            .hidden()
            .filter(|hidden| hidden.place == Place::Input)
            .map(|hidden| hidden.flag)
            .collect();
        if flags.who.credentials.as_deref() == Some(OsStr::new("-")) {
            readers.push("--credentials");
        }
        match readers.as_slice() {
            [one, other, ..] => {
                Err(Error::usage(format!("{one} and {other} both want standard input"))
                    .hint(format!("{other} @FILE")))
            }
            _ => Ok(()),
        }
    }

    fn hidden(&self) -> impl Iterator<Item = &Hidden> {
        let tokens = match &self.grant {
            Grant::Refresh(token) => vec![token],
            Grant::Exchange { subject, actor, .. } => {
                let actor = actor.as_ref().map(|(token, _)| token);
                match subject {
                    Subject::Hidden(token) => [Some(token), actor].into_iter().flatten().collect(),
                    Subject::Url(_) | Subject::Credential => actor.into_iter().collect(),
                }
            }
        };
        let headers = self.headers.iter().filter_map(|header| match &header.value {
            Value::Hidden(hidden) => Some(hidden),
            Value::Plain(_) => None,
        });
        tokens.into_iter().chain(&self.client.secret).chain(headers)
    }

    fn check_impersonation(&self, flags: &Flags) -> Result<()> {
        if flags.ask.lifetime.is_some() && flags.who.impersonate_service_account.is_none() {
            return Err(Error::usage(
                "--lifetime is given, but the server of an exchange decides that",
            )
            .hint("leave --lifetime away, or add --impersonate-service-account"));
        }
        let of_access = |kind: &String| kind == sts::ACCESS_TOKEN;
        match &self.requested_token_type {
            Some(kind) if flags.who.impersonate_service_account.is_some() && !of_access(kind) => {
                Err(Error::usage(
                    "--impersonate-service-account needs an access token, --requested-token-type asks for another",
                )
                .hint("leave one of the two away"))
            }
            _ => Ok(()),
        }
    }

    fn check_client(&self) -> Result<()> {
        let sets = |name: &str| self.headers.iter().any(|header| header.name == name);
        if self.client.how == super::client::Proof::Basic && sets("authorization") {
            return Err(Error::usage(
                "--header authorization and --client-auth basic are the same header",
            )
            .hint("--client-auth body, or leave one of the two away"));
        }
        match &self.endpoint {
            Some(url) if url.scheme == Scheme::Http && self.client.identity.is_some() => Err(
                Error::usage("--client-certificate is shown over https, and --endpoint is http")
                    .hint("--endpoint https://sts.example.com/token"),
            ),
            _ => Ok(()),
        }
    }
}

fn grant(flags: &Flags) -> Result<Grant> {
    let ask = &flags.ask;
    let written = ask.grant_type.as_deref().map(|name| settings::text("--grant-type", name));
    let refresh = ask.refresh_token.as_deref();
    let grant_type = match written.transpose()?.as_deref() {
        None if refresh.is_some() => REFRESH.to_owned(),
        None | Some("token-exchange") => TOKEN_EXCHANGE.to_owned(),
        Some(REFRESH) => REFRESH.to_owned(),
        Some(other) => grant_urn(other)?,
    };
    let subjects = subjects(flags)?;
    if grant_type == REFRESH {
        let Some(token) = refresh else {
            return Err(Error::usage(
                "--grant-type refresh_token is given without --refresh-token",
            )
            .hint("gauth exchange --refresh-token @FILE --client-id ID --client-secret @FILE"));
        };
        let token = Hidden::named("--refresh-token", token)?;
        let others = subjects.first().map(|(flag, _)| *flag).into_iter().chain(not_of_refresh(ask));
        return match others.into_iter().next() {
            None => Ok(Grant::Refresh(token)),
            Some(other) => {
                Err(Error::usage(format!("{other} and --refresh-token do not go together"))
                    .hint("leave one of the two away"))
            }
        };
    }
    if refresh.is_some() {
        return Err(Error::usage("--refresh-token is given, but --grant-type is another grant")
            .hint("--grant-type refresh_token, or leave --grant-type away"));
    }
    let subject_type = token_type("--subject-token-type", &ask.subject_token_type)?;
    let actor_type = token_type("--actor-token-type", &ask.actor_token_type)?;
    let actor = ask.actor_token.as_deref().map(|token| Hidden::named("--actor-token", token));
    let actor = match (actor.transpose()?, actor_type) {
        (None, None) => None,
        (Some(token), Some(kind)) => Some((token, kind)),
        (Some(_), None) => {
            return Err(Error::usage("--actor-token is given without --actor-token-type")
                .hint("--actor-token-type jwt, or id_token"));
        }
        (None, Some(_)) => {
            return Err(Error::usage("--actor-token-type is given without --actor-token")
                .hint("--actor-token @FILE"));
        }
    };
    let mut subjects = subjects.into_iter();
    let subject = match (subjects.next(), subjects.next()) {
        (None, _) => {
            return Err(Error::usage("there is no subject token to exchange").hint(SUBJECT));
        }
        (Some((one, _)), Some((other, _))) => {
            return Err(Error::usage(format!("{one} and {other} do not go together"))
                .hint("leave one of the two away"));
        }
        (Some((_, subject)), None) => subject,
    };
    Ok(Grant::Exchange { grant_type, subject, subject_type, actor })
}

/// What the refresh grant has no parameter for.
fn not_of_refresh(ask: &Ask) -> Option<&'static str> {
    let given = [
        ("--subject-token-type", ask.subject_token_type.is_some()),
        ("--actor-token", ask.actor_token.is_some()),
        ("--actor-token-type", ask.actor_token_type.is_some()),
        ("--requested-token-type", ask.requested_token_type.is_some()),
        ("--options", ask.options.is_some()),
    ];
    given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
}

/// Every flag that names a subject token; one that chooses a credential nobody asks is an error.
fn subjects(flags: &Flags) -> Result<Vec<(&'static str, Subject)>> {
    let (ask, who) = (&flags.ask, &flags.who);
    let mut found = Vec::new();
    if let Some(token) = &ask.subject_token {
        let hidden = Hidden::named("--subject-token", token)?;
        found.push((hidden.flag, Subject::Hidden(hidden)));
    }
    if who.workload_identity_provider.is_none() {
        if let Some(path) = who.subject_token_file.as_ref().filter(|path| !path.is_empty()) {
            let (flag, place) = ("--subject-token-file", Place::File(PathBuf::from(path)));
            found.push((flag, Subject::Hidden(Hidden { flag, place })));
        }
        if let Some(name) = &who.subject_token_env {
            let flag = "--subject-token-env";
            let place = Place::Variable(settings::text(flag, name)?);
            found.push((flag, Subject::Hidden(Hidden { flag, place })));
        }
        if let Some(url) = &who.subject_token_url {
            found.push(("--subject-token-url", Subject::Url(subject_url(url)?)));
        }
    }
    if ask.subject_credentials {
        found.push(("--subject-credentials", Subject::Credential));
        return Ok(found);
    }
    let choosing = [
        ("--credentials", who.credentials.is_some()),
        ("--account", who.account.is_some()),
        ("--source", who.source.is_some()),
        ("--workload-identity-provider", who.workload_identity_provider.is_some()),
    ];
    match choosing.into_iter().find(|(_, given)| *given) {
        None => Ok(found),
        Some((flag, _)) => Err(Error::usage(format!(
            "{flag} chooses a credential, which is not asked for a token"
        ))
        .hint("add --subject-credentials to exchange its token")),
    }
}

fn subject_url(url: &OsStr) -> Result<Url> {
    let flag = "--subject-token-url";
    let text = settings::text(flag, url)?;
    let url = Url::parse(&text).map_err(|what| {
        Error::usage(format!("{flag} {what}")).hint(format!("{flag} https://issuer.example/token"))
    })?;
    match url.scheme == Scheme::Https || url.may_be_plain() {
        true => Ok(url),
        false => {
            let host = printable::text(url.authority());
            Err(Error::not_safe(format!("{flag} gets a secret from {host} without TLS"))
                .hint(format!("use https in {flag}")))
        }
    }
}

fn endpoint(url: &OsStr) -> Result<Url> {
    let flag = "--endpoint";
    trust::chosen_endpoint(&settings::text(flag, url)?, flag)
        .map_err(|error| error.hint(format!("{flag} https://sts.example.com/token")))
}

/// A grant that is neither of the two: an absolute URI (RFC 6749, 4.5).
fn grant_urn(text: &str) -> Result<String> {
    match is_uri(text) {
        true => Ok(text.to_owned()),
        false => Err(Error::usage("--grant-type is none that is known, and no URI")
            .hint("--grant-type token-exchange, or refresh_token")),
    }
}

/// A token type by its short name or as a URI.
fn token_type(flag: &str, written: &Option<OsString>) -> Result<Option<String>> {
    let Some(written) = written else { return Ok(None) };
    let text = settings::text(flag, written)?;
    let full = sts::token_type(&text);
    match is_uri(full) {
        true => Ok(Some(full.to_owned())),
        false => {
            let known: Vec<&str> = TOKEN_TYPES.iter().map(|(short, _)| *short).collect();
            Err(Error::usage(format!("{flag} is no token type that is known, and no URI"))
                .hint(format!("name one of {}", known.join(", "))))
        }
    }
}

/// Whether this is an absolute URI of visible ASCII (RFC 3986, 4.3), whatever its scheme.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(letters)
        && !rest.is_empty()
        && rest
            .bytes()
            .all(|byte| (0x21..=0x7e).contains(&byte) && !b"#\"<>\\^`{|}".contains(&byte))
        && text.len() <= LONGEST_NAME
}

fn resource(text: &str) -> std::result::Result<(), &'static str> {
    match is_uri(text) {
        true => Ok(()),
        false => Err("is no absolute URI without a fragment"),
    }
}

fn audience(text: &str) -> std::result::Result<(), &'static str> {
    match text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        true => Err("has spaces or control characters"),
        false if text.len() > LONGEST_NAME => Err("is longer than 2048 characters"),
        false => Ok(()),
    }
}

fn list(
    flag: &str,
    written: &[OsString],
    check: fn(&str) -> std::result::Result<(), &'static str>,
) -> Result<Vec<String>> {
    let item = |value: &OsString| {
        let text = settings::text(flag, value)?;
        let example = format!("{flag} https://api.example.com/");
        match check(&text) {
            Ok(()) => Ok(text),
            Err(what) => Err(Error::usage(format!("{flag} {what}")).hint(example)),
        }
    };
    written.iter().map(item).collect()
}

/// The scopes, one by one, as they are written.
fn words(written: &[OsString]) -> Result<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    for value in written {
        for word in settings::text("--scopes", value)?.split([',', ' ']) {
            if !word.is_empty() && !words.iter().any(|known| known == word) {
                words.push(word.to_owned());
            }
        }
    }
    Ok(words)
}

fn options(written: &OsStr) -> Result<Options> {
    let flag = "--options";
    let text = settings::text(flag, written)?;
    let example = format!("{flag} '{{\"userProject\":\"my-project\"}}', or {flag} @FILE");
    match text.strip_prefix('@') {
        Some("") => Err(Error::usage(format!("{flag} names no file")).hint(example)),
        Some(path) => Ok(Options::File(PathBuf::from(path))),
        None => match json::object(text.as_bytes()) {
            Ok(_) => Ok(Options::Text(text)),
            Err(what) => Err(Error::usage(format!("{flag} {what}")).hint(example)),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;
    use crate::error::ErrorKind;

    fn plan(words: &str) -> Result<Plan> {
        let matches = Flags::augment_args(Command::new("exchange").no_binary_name(true))
            .get_matches_from(words.split_whitespace());
        Plan::of(&Flags::from_arg_matches(&matches).expect(words))
    }

    #[test]
    fn the_grant_follows_from_what_is_handed_in() {
        for (words, expected) in [
            ("--subject-credentials", TOKEN_EXCHANGE),
            ("--subject-token @t --grant-type token-exchange", TOKEN_EXCHANGE),
            (&format!("--subject-token @t --grant-type {TOKEN_EXCHANGE}"), TOKEN_EXCHANGE),
            ("--subject-token @t --grant-type urn:example:g", "urn:example:g"),
            ("--refresh-token @t", REFRESH),
            ("--refresh-token @t --grant-type refresh_token", REFRESH),
        ] {
            let found = match plan(words).expect(words).grant {
                Grant::Exchange { grant_type, .. } => grant_type,
                Grant::Refresh(_) => REFRESH.to_owned(),
            };
            assert_eq!(found, expected, "{words}");
        }
    }

    #[test]
    fn a_provider_takes_the_token_that_is_named_for_it() {
        let subject = |words: &str| match plan(words).expect(words).grant {
            Grant::Exchange { subject, .. } => Some(subject),
            Grant::Refresh(_) => None,
        };
        let hidden = |flag, place| Some(Subject::Hidden(Hidden { flag, place }));
        let file = hidden("--subject-token-file", Place::File("t".into()));
        assert_eq!(subject("--subject-token-file t"), file);
        let variable = hidden("--subject-token-env", Place::Variable("T".to_owned()));
        assert_eq!(subject("--subject-token-env T"), variable);
        let words = "--subject-credentials --workload-identity-provider p --subject-token-file t";
        assert_eq!(subject(words), Some(Subject::Credential));
    }

    #[test]
    fn token_types_are_short_or_whole() {
        let kind = |text: &str| token_type("--requested-token-type", &Some(text.into()));
        for (short, long) in TOKEN_TYPES {
            assert_eq!(kind(short).expect(short).as_deref(), Some(*long));
            assert_eq!(kind(long).expect(long).as_deref(), Some(*long));
        }
        assert_eq!(kind("urn:x").expect("a URN").as_deref(), Some("urn:x"));
        assert_eq!(kind("bearer").expect_err("unknown").kind(), ErrorKind::Usage);
    }

    #[test]
    fn a_uri_has_a_scheme_and_no_fragment() {
        for good in ["https://a.example/", "urn:x:y", "api://client", "a+b-c.d:e", "x:/?q=%20"] {
            assert!(is_uri(good), "{good}");
        }
        for bad in
            ["", "a", ":a", "a:", "1a:b", "a b:c", "a:b c", "a:#", "a:\u{fc}", "/a:b", "a:<b>"]
        {
            assert!(!is_uri(bad), "{bad}");
        }
    }

    #[test]
    fn scopes_are_taken_as_they_are_written() {
        let written = ["b a".into(), "c,a,https://x/".into()];
        assert_eq!(words(&written).expect("words"), ["b", "a", "c", "https://x/"]);
    }

    #[test]
    fn one_secret_is_on_standard_input_and_no_more() {
        for words in [
            "--subject-token - --client-id c --client-secret @s",
            "--refresh-token - --client-id c",
            "--subject-credentials --credentials -",
        ] {
            assert!(plan(words).is_ok(), "{words}");
        }
        let error =
            plan("--subject-token - --actor-token - --actor-token-type jwt").expect_err("two");
        assert_eq!(error.message(), "--subject-token and --actor-token both want standard input");
    }
}
