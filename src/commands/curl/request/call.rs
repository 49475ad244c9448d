//! A command line of curl's, read as curl reads it; what gauth cannot vouch for is refused.

use std::ffi::{OsStr, OsString};

use crate::commands::curl::request::destination::parse_destination;
use crate::commands::curl::request::options;
use crate::commands::curl::request::options::{CurlOption, OptionEffect};
use gauth_core::error::{Error, Result};
use gauth_core::net::url::{Scheme, Url};
use gauth_core::text::printable;

/// More groups than this are no command line that somebody means.
const MAX_GROUPS: usize = 100;

/// What curl is asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CurlInvocation {
    /// What stands between one `--next` and the other.
    pub groups: Vec<RequestGroup>,
    /// Whether the headers of requests are printed (`-v`).
    pub verbose: bool,
    /// Whether an error of the server is one of curl's (`-f`).
    pub fails_on_http_error: bool,
    /// Whether standard input is sent.
    pub reads_stdin: bool,
}

/// URLs, and the options that hold for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestGroup {
    /// Where its first word stands.
    pub first_arg: usize,
    /// As written.
    pub urls: Vec<String>,
    /// Where they lead.
    pub destinations: Vec<Url>,
    /// The user's own headers.
    pub headers: Vec<String>,
    /// The method by name.
    pub method: Option<String>,
    /// The method by what is sent: `POST`, `PUT`, `HEAD`, `GET`.
    pub implied_method: Option<&'static str>,
    uses_proxy: bool,
}

impl RequestGroup {
    /// Whether the user gives a header of this name.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|header| header_name(header).eq_ignore_ascii_case(name))
    }

    /// The method of its requests.
    pub fn method(&self) -> &str {
        self.method.as_deref().or(self.implied_method).unwrap_or("GET")
    }
}

impl CurlInvocation {
    /// Where the requests go, one for each URL.
    pub fn destinations(&self) -> impl Iterator<Item = &Url> {
        self.groups.iter().flat_map(|group| &group.destinations)
    }

    /// Whether any of it goes without TLS.
    pub fn uses_plain_http(&self) -> bool {
        self.destinations().any(|url| url.scheme == Scheme::Http)
    }
}

/// The name in a header, or in what takes one away.
fn header_name(header: &str) -> &str {
    header.split([':', ';']).next().unwrap_or_default().trim()
}

/// Reads curl's words.
///
/// # Errors
/// Unsafe, naming the way out, for what leads a token where it was not meant to go; usage for what curl would not
/// understand either.
pub fn parse_args(args: &[OsString]) -> Result<CurlInvocation> {
    let mut call =
        CurlInvocation { groups: vec![RequestGroup::default()], ..CurlInvocation::default() };
    let mut only_urls = false;
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        at += 1;
        let text = arg.to_string_lossy();
        if only_urls || !text.starts_with('-') {
            call.add_url(arg)?;
        } else if text == "--" {
            only_urls = true;
        } else if let Some(name) = text.strip_prefix("--") {
            let option = options::by_long_name(name).ok_or_else(|| unknown_option(name))?;
            let value = match option.takes_value {
                true => Some(next_value(args, &mut at, &text)?),
                false => None,
            };
            call.apply_option(option, &text, value.as_deref(), at)?;
        } else {
            call.parse_short_options(&text[1..], args, &mut at)?;
        }
    }
    if call.groups.len() > MAX_GROUPS {
        let hint = "more than one gauth curl";
        return Err(Error::usage(format!("more than {MAX_GROUPS} times --next")).hint(hint));
    }
    call.groups.iter().try_for_each(check_proxy)?;
    Ok(call)
}

fn next_value(args: &[OsString], at: &mut usize, option: &str) -> Result<OsString> {
    let value = args.get(*at).cloned();
    *at += 1;
    value.ok_or_else(|| {
        let option = printable::text(option);
        Error::usage(format!("curl's {option} needs a value")).hint("curl --help all")
    })
}

impl CurlInvocation {
    fn current_group(&mut self) -> Option<&mut RequestGroup> {
        self.groups.last_mut()
    }

    fn add_url(&mut self, arg: &OsStr) -> Result<()> {
        let text = arg.to_string_lossy();
        let host = parse_destination(&text)?;
        if let Some(group) = self.current_group() {
            group.urls.push(text.into_owned());
            group.destinations.push(host);
        }
        Ok(())
    }

    /// Letters behind one dash; the first that takes a value has the rest for it, or the next word.
    fn parse_short_options(
        &mut self,
        letters: &str,
        args: &[OsString],
        at: &mut usize,
    ) -> Result<()> {
        if letters.matches('v').count() > 2 && letters.bytes().all(|byte| byte == b'v') {
            return Err(Error::not_safe("from -vvv on, curl prints the token in pieces")
                .hint("-v, where gauth hides it"));
        }
        for (index, letter) in letters.char_indices() {
            let shown = format!("-{letter}");
            let option = options::by_letter(letter)
                .filter(|option| option.effect != OptionEffect::NextGroup || letters.len() == 1)
                .ok_or_else(|| unknown_option(&letters[index..]))?;
            if !option.takes_value {
                self.apply_option(option, &shown, None, *at)?;
                continue;
            }
            let rest = &letters[index + letter.len_utf8()..];
            let value = match rest.is_empty() {
                true => next_value(args, at, &shown)?,
                false => OsString::from(rest),
            };
            return self.apply_option(option, &shown, Some(&value), *at);
        }
        match letters.is_empty() {
            true => Err(unknown_option("")),
            false => Ok(()),
        }
    }

    /// `next` is where the word behind the option and its value stands.
    fn apply_option(
        &mut self,
        option: CurlOption,
        name: &str,
        value: Option<&OsStr>,
        next_arg: usize,
    ) -> Result<()> {
        let text = value.unwrap_or_default().to_string_lossy();
        match option.effect {
            OptionEffect::Url => return self.add_url(value.unwrap_or_default()),
            OptionEffect::NextGroup => {
                self.groups.push(RequestGroup { first_arg: next_arg, ..RequestGroup::default() })
            }
            OptionEffect::Verbose => self.verbose = true,
            OptionEffect::FailOnHttpError => self.fails_on_http_error = true,
            OptionEffect::Body => self.reads_stdin |= text.ends_with("@-") || text.ends_with("=<-"),
            OptionEffect::Upload => self.reads_stdin |= text == "-" || text == ".",
            _ => {}
        }
        if matches!(
            option.effect,
            OptionEffect::HeaderText | OptionEffect::Method | OptionEffect::RequestTarget
        ) && text.chars().any(char::is_control)
        {
            return Err(Error::not_safe(format!(
                "{name} has a line end or another control character"
            ))
            .hint("look at the variable it came from"));
        }
        let Some(group) = self.current_group() else { return Ok(()) };
        match option.effect {
            OptionEffect::Header => {
                check_header(&text)?;
                group.headers.push(text.into_owned());
            }
            OptionEffect::Method => group.method = Some(text.into_owned()),
            OptionEffect::Body => group.implied_method = group.implied_method.or(Some("POST")),
            OptionEffect::Upload => group.implied_method = Some("PUT"),
            OptionEffect::Head => group.implied_method = Some("HEAD"),
            OptionEffect::Get => group.implied_method = Some("GET"),
            OptionEffect::RequestTarget if !text.starts_with('/') && text != "*" => {
                return Err(Error::not_safe(format!("{name} names another place than the URL"))
                    .hint(format!("a path for {name}, as in {name} /path")));
            }
            OptionEffect::Proxy => {
                group.uses_proxy = true;
                if text.contains('@') {
                    return Err(Error::not_safe(format!(
                        "{name} with a password is seen by all who can list processes"
                    ))
                    .hint("export https_proxy=http://USER:PASSWORD@HOST:PORT"));
                }
            }
            OptionEffect::ProxyUser if text.contains(':') => {
                return Err(Error::not_safe(format!(
                    "{name} with a password is seen by all who can list processes"
                ))
                .hint("export https_proxy=http://USER:PASSWORD@HOST:PORT"));
            }
            effect => return refuse_unsafe(effect, name),
        }
        Ok(())
    }
}

/// What is never done with a token.
fn refuse_unsafe(effect: OptionEffect, name: &str) -> Result<()> {
    let (what, hint) = match effect {
        OptionEffect::ConfigFile => (
            format!("{name} reads options that gauth does not see"),
            "write them on the command line, or curl -H @<(gauth token --format header) …",
        ),
        OptionEffect::OtherHost => (
            format!("{name} sends the token elsewhere than the URL says"),
            "name the place in the URL, with --allow-host if it is not Google's",
        ),
        OptionEffect::UnverifiedTls => (
            format!("{name} sends the token to whoever answers"),
            "--cacert FILE, the certificate that signed the server's",
        ),
        OptionEffect::TokenOnRedirect => (
            format!("{name} hands the token to whomever a redirect names"),
            "-L, which follows without it",
        ),
        OptionEffect::AuthorizationHeader => (
            format!("{name} makes an Authorization header, and gauth sends one"),
            "curl without gauth, or leave it away",
        ),
        OptionEffect::TokenInFile => {
            (format!("{name} writes the token to a file"), "-v 2> FILE, where gauth hides it")
        }
        _ => return Ok(()),
    };
    Err(Error::not_safe(what).hint(hint))
}

/// A header that changes neither who asks nor who is asked.
fn check_header(header: &str) -> Result<()> {
    if header.starts_with('@') {
        return Err(Error::not_safe("-H @FILE reads headers that gauth does not see")
            .hint("write them on the command line, as in -H 'Name: value'"));
    }
    if header.chars().any(|letter| letter.is_control() && letter != '\t') {
        return Err(Error::not_safe("-H has a line end or another control character")
            .hint("one -H for each header"));
    }
    let name = header_name(header);
    if name.eq_ignore_ascii_case("authorization") {
        return Err(Error::not_safe("-H Authorization is given, and gauth sends one").hint(
            "leave one of the two away; curl alone takes a header from a file with -H @FILE",
        ));
    }
    // The name of the host decides which service answers, whatever the URL says.
    if name.eq_ignore_ascii_case("host") || header.starts_with(':') {
        return Err(Error::not_safe("-H Host names another place than the URL")
            .hint("name the place in the URL, with --allow-host if it is not Google's"));
    }
    Ok(())
}

/// A proxy sees what is sent without TLS.
fn check_proxy(group: &RequestGroup) -> Result<()> {
    let plain_http_url = group.destinations.iter().find(|url| url.scheme == Scheme::Http);
    match plain_http_url.filter(|_| group.uses_proxy) {
        Some(url) => Err(Error::not_safe(format!(
            "{}://{} through a proxy shows the token to it",
            "http",
            url.authority()
        ))
        .hint("leave the proxy away for loopback addresses")),
        None => Ok(()),
    }
}

fn unknown_option(name: &str) -> Error {
    let short = name.split('=').next().unwrap_or_default();
    let shown = printable::text(short);
    if name.contains('=') && options::by_long_name(short).is_some_and(|option| option.takes_value) {
        return Error::usage(format!("--{shown}=… is not how curl takes a value"))
            .hint(format!("--{shown} VALUE, in two words"));
    }
    let hint = match options::expand_abbreviation(short) {
        Some(full) => format!("--{full}, spelled out"),
        None => "gauth curl --help for gauth's flags, curl --help all for curl's".to_owned(),
    };
    let dashes = if short.chars().count() > 1 { "--" } else { "-" };
    Error::not_safe(format!("gauth does not know what curl does with {dashes}{shown}")).hint(hint)
}
