//! Reads curl's arguments as curl does, and refuses those that would send the token elsewhere or show it.

use std::ffi::{OsStr, OsString};

use crate::commands::curl::destination::parse_destination;
use crate::commands::curl::options;
use crate::commands::curl::options::{CurlOption, OptionEffect};
use gauth_core::error::{Error, Result};
use gauth_core::net::url::{Scheme, Url};
use gauth_core::text::printable;

/// The most groups that `--next` may separate. Each takes a pipe.
const MAX_GROUPS: usize = 100;

/// A command line of curl.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CurlInvocation {
    /// The requests, separated by `--next`.
    pub(super) groups: Vec<RequestGroup>,
    /// Whether curl prints the request headers (`-v`).
    pub(super) verbose: bool,
    /// Whether curl fails when the server answers with an error (`-f`).
    pub(super) fails_on_http_error: bool,
    /// Whether curl sends its standard input.
    pub(super) reads_stdin: bool,
}

/// URLs and the options that apply to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RequestGroup {
    /// Index of its first argument.
    pub(super) first_arg: usize,
    /// The URLs as the user wrote them.
    pub(super) urls: Vec<String>,
    /// Scheme, host and port of each URL.
    pub(super) destinations: Vec<Url>,
    /// The headers that the user adds with `-H`.
    pub(super) headers: Vec<String>,
    /// The method of `-X`.
    pub(super) method: Option<String>,
    /// The method that another option implies, as `-d` does `POST`.
    pub(super) implied_method: Option<&'static str>,
    uses_proxy: bool,
}

impl RequestGroup {
    /// Whether the user adds or removes a header of this name with `-H`.
    pub(super) fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|header| header_name(header).eq_ignore_ascii_case(name))
    }

    /// The request method, `GET` by default.
    pub(super) fn method(&self) -> &str {
        self.method.as_deref().or(self.implied_method).unwrap_or("GET")
    }
}

impl CurlInvocation {
    /// Scheme, host and port of all URLs.
    pub(super) fn destinations(&self) -> impl Iterator<Item = &Url> {
        self.groups.iter().flat_map(|group| &group.destinations)
    }

    /// Whether any URL has the scheme `http`.
    pub(super) fn uses_plain_http(&self) -> bool {
        self.destinations().any(|url| url.scheme == Scheme::Http)
    }
}

/// The name in `Name: value`, `Name;` or `Name:`.
fn header_name(header: &str) -> &str {
    header.split([':', ';']).next().unwrap_or_default().trim()
}

/// Reads curl's arguments.
///
/// # Errors
/// `Unsafe` for options and URLs with which the token could reach another host or be shown, and for options that gauth
/// does not know; `Usage` for arguments that curl does not accept either.
pub(super) fn parse_args(args: &[OsString]) -> Result<CurlInvocation> {
    let mut invocation = CurlInvocation { groups: vec![RequestGroup::default()], ..CurlInvocation::default() };
    let mut only_urls = false;
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        at += 1;
        let text = arg.to_string_lossy();
        if only_urls || !text.starts_with('-') {
            invocation.add_url(arg)?;
        } else if text == "--" {
            only_urls = true;
        } else if let Some(name) = text.strip_prefix("--") {
            let option = options::by_long_name(name).ok_or_else(|| unknown_option(name))?;
            let value = match option.takes_value {
                true => Some(next_value(args, &mut at, &text)?),
                false => None,
            };
            invocation.apply_option(option, &text, value.as_deref(), at)?;
        } else {
            invocation.parse_short_options(&text[1..], args, &mut at)?;
        }
    }
    if invocation.groups.len() > MAX_GROUPS {
        return Err(Error::usage(format!("curl's --next occurs {MAX_GROUPS} times or more"))
            .hint("divide the requests between several runs of gauth curl"));
    }
    invocation.groups.iter().try_for_each(check_proxy)?;
    Ok(invocation)
}

fn next_value(args: &[OsString], at: &mut usize, option: &str) -> Result<OsString> {
    let value = args.get(*at).cloned();
    *at += 1;
    value.ok_or_else(|| {
        let option = printable::text(option);
        Error::usage(format!("curl's {option} needs a value"))
            .hint("curl --help all lists the options and their values")
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

    /// Reads the letters after one dash. The first letter that takes a value takes the remaining text, or else the next
    /// argument.
    fn parse_short_options(&mut self, letters: &str, args: &[OsString], at: &mut usize) -> Result<()> {
        if letters.matches('v').count() > 2 && letters.bytes().all(|byte| byte == b'v') {
            return Err(Error::not_safe(format!("curl's -{letters} prints the token in pieces"))
                .hint("use -v, whose output gauth filters"));
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

    /// Applies an option to the current group. `next_arg` is the index of the argument after the option and its value.
    fn apply_option(&mut self, option: CurlOption, name: &str, value: Option<&OsStr>, next_arg: usize) -> Result<()> {
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
        if matches!(option.effect, OptionEffect::HeaderText | OptionEffect::Method | OptionEffect::RequestTarget)
            && text.chars().any(char::is_control)
        {
            return Err(Error::not_safe(format!(
                "the value of curl's {name} contains a line end or another control character"
            ))
            .hint(format!("check the variable that the value of {name} comes from")));
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
                return Err(Error::not_safe(format!(
                    "curl's {name} \"{}\" can name another host than the URL",
                    printable::text(&text)
                ))
                .hint(format!("give a path, as in {name} /PATH")));
            }
            OptionEffect::Proxy if !text.contains('@') => group.uses_proxy = true,
            OptionEffect::ProxyUser if !text.contains(':') => {}
            OptionEffect::Proxy | OptionEffect::ProxyUser => {
                return Err(Error::not_safe(format!(
                    "the value of curl's {name} contains a password, which every list of processes shows"
                ))
                .hint("export https_proxy=http://USER:PASSWORD@HOST:PORT"));
            }
            effect => return refuse_unsafe(effect, name),
        }
        Ok(())
    }
}

/// Refuses the options that are not safe with any value.
fn refuse_unsafe(effect: OptionEffect, name: &str) -> Result<()> {
    let (message, hint) = match effect {
        OptionEffect::ConfigFile => (
            format!("curl's {name} reads options from a file, which gauth does not check"),
            "write the options on the command line, or run curl -H @<(gauth token --format header) …",
        ),
        OptionEffect::OtherHost => (
            format!("curl's {name} connects to another host than the one in the URL"),
            "write that host in the URL, with --allow-host HOST if it is not a Google API",
        ),
        OptionEffect::UnverifiedTls => (
            format!("with {name}, curl does not verify the server's certificate"),
            "use --cacert FILE with the certificate of the server's CA",
        ),
        OptionEffect::TokenOnRedirect => (
            format!("curl's {name} sends the token to every host that a redirect names"),
            "use -L, which follows redirects to other hosts without the token",
        ),
        OptionEffect::AuthorizationHeader => (
            format!("curl's {name} sets the Authorization header, and so does gauth"),
            "remove the option, or run curl without gauth",
        ),
        OptionEffect::TokenInFile => {
            (format!("curl's {name} writes the token to a file"), "use -v 2> FILE, which gauth filters")
        }
        _ => return Ok(()),
    };
    Err(Error::not_safe(message).hint(hint))
}

/// Accepts a header that changes neither the authorization nor the host.
fn check_header(header: &str) -> Result<()> {
    let name = header_name(header);
    if header.starts_with('@') {
        return Err(Error::not_safe(format!(
            "curl's -H {} reads headers from a file, which gauth does not check",
            printable::text(header)
        ))
        .hint("write the headers on the command line, as in -H 'NAME: VALUE'"));
    }
    if header.chars().any(|letter| letter.is_control() && letter != '\t') {
        return Err(Error::not_safe(format!(
            "curl's -H {} contains a line end or another control character",
            printable::text(name)
        ))
        .hint("write one -H for each header"));
    }
    if name.eq_ignore_ascii_case("authorization") {
        return Err(Error::not_safe(format!("curl's -H sets the {} header, and so does gauth", printable::text(name)))
            .hint("remove the header, or run curl without gauth: curl -H @FILE reads it from a file"));
    }
    // A server chooses the service by this header, not by the host of the URL.
    if name.eq_ignore_ascii_case("host") || header.starts_with(':') {
        return Err(Error::not_safe(format!(
            "curl's -H \"{}\" can name another host than the URL",
            printable::text(header)
        ))
        .hint("write that host in the URL, with --allow-host HOST if it is not a Google API"));
    }
    Ok(())
}

/// Refuses http URLs through a proxy, which would see the token.
fn check_proxy(group: &RequestGroup) -> Result<()> {
    let plain_http_url = group.destinations.iter().find(|url| url.scheme == Scheme::Http);
    match plain_http_url.filter(|_| group.uses_proxy) {
        Some(url) => Err(Error::not_safe(format!("the proxy would see the token sent to http://{}", url.authority()))
            .hint("remove the proxy option: a loopback address needs no proxy")),
        None => Ok(()),
    }
}

fn unknown_option(name: &str) -> Error {
    let short = name.split('=').next().unwrap_or_default();
    let shown = printable::text(short);
    if name.contains('=') && options::by_long_name(short).is_some_and(|option| option.takes_value) {
        return Error::usage(format!("curl takes the value of --{shown} without an equals sign"))
            .hint(format!("write --{shown} VALUE, with a space"));
    }
    let hint = match options::expand_abbreviation(short) {
        Some(full) => format!("write the whole name, --{full}"),
        None => "gauth curl --help lists gauth's flags, curl --help all lists curl's".to_owned(),
    };
    let dashes = if short.chars().count() > 1 { "--" } else { "-" };
    Error::not_safe(format!("the curl option {dashes}{shown} is unknown to gauth")).hint(hint)
}
