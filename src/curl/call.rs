//! A command line of curl's, read as curl reads it; what gauth cannot vouch for is refused.

use std::ffi::{OsStr, OsString};

use crate::curl::destination::destination;
use crate::curl::options::{self, CurlOption, Meaning};
use crate::error::{Error, Result};
use crate::printable;
use crate::url::{Scheme, Url};

/// More groups than this are no command line that somebody means.
const MOST_GROUPS: usize = 100;

/// What curl is asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// What stands between one `--next` and the other.
    pub groups: Vec<Group>,
    /// Whether the headers of requests are printed (`-v`).
    pub verbose: bool,
    /// Whether an error of the server is one of curl's (`-f`).
    pub fails: bool,
    /// Whether standard input is sent.
    pub reads_input: bool,
}

/// URLs, and the options that hold for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Where its first word stands.
    pub start: usize,
    /// As written.
    pub urls: Vec<String>,
    /// Where they lead.
    pub hosts: Vec<Url>,
    /// The user's own headers.
    pub headers: Vec<String>,
    /// The method by name.
    pub method: Option<String>,
    /// The method by what is sent: `POST`, `PUT`, `HEAD`, `GET`.
    pub implied: Option<&'static str>,
    proxy: bool,
}

impl Group {
    /// Whether the user gives a header of this name.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|header| header_name(header).eq_ignore_ascii_case(name))
    }

    /// The method of its requests.
    pub fn method(&self) -> &str {
        self.method.as_deref().or(self.implied).unwrap_or("GET")
    }
}

impl Call {
    /// Where the requests go, one for each URL.
    pub fn hosts(&self) -> impl Iterator<Item = &Url> {
        self.groups.iter().flat_map(|group| &group.hosts)
    }

    /// Whether any of it goes without TLS.
    pub fn is_plain(&self) -> bool {
        self.hosts().any(|url| url.scheme == Scheme::Http)
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
pub fn read(words: &[OsString]) -> Result<Call> {
    let mut call = Call { groups: vec![Group::default()], ..Call::default() };
    let mut only_urls = false;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        let text = word.to_string_lossy();
        if only_urls || !text.starts_with('-') {
            call.url(word)?;
        } else if text == "--" {
            only_urls = true;
        } else if let Some(name) = text.strip_prefix("--") {
            let option = options::long(name).ok_or_else(|| unknown(name))?;
            let value = match option.takes_value {
                true => Some(value(words, &mut at, &text)?),
                false => None,
            };
            call.option(option, &text, value.as_deref(), at)?;
        } else {
            call.letters(&text[1..], words, &mut at)?;
        }
    }
    if call.groups.len() > MOST_GROUPS {
        let hint = "more than one gauth curl";
        return Err(Error::usage(format!("more than {MOST_GROUPS} times --next")).hint(hint));
    }
    call.groups.iter().try_for_each(check)?;
    Ok(call)
}

fn value(words: &[OsString], at: &mut usize, option: &str) -> Result<OsString> {
    let value = words.get(*at).cloned();
    *at += 1;
    value.ok_or_else(|| {
        let option = printable::text(option);
        Error::usage(format!("curl's {option} needs a value")).hint("curl --help all")
    })
}

impl Call {
    fn group(&mut self) -> Option<&mut Group> {
        self.groups.last_mut()
    }

    fn url(&mut self, word: &OsStr) -> Result<()> {
        let text = word.to_string_lossy();
        let host = destination(&text)?;
        if let Some(group) = self.group() {
            group.urls.push(text.into_owned());
            group.hosts.push(host);
        }
        Ok(())
    }

    /// Letters behind one dash; the first that takes a value has the rest for it, or the next word.
    fn letters(&mut self, letters: &str, words: &[OsString], at: &mut usize) -> Result<()> {
        if letters.matches('v').count() > 2 && letters.bytes().all(|byte| byte == b'v') {
            return Err(Error::not_safe("from -vvv on, curl prints the token in pieces")
                .hint("-v, where gauth hides it"));
        }
        for (index, letter) in letters.char_indices() {
            let shown = format!("-{letter}");
            let option = options::short(letter)
                .filter(|option| option.meaning != Meaning::Next || letters.len() == 1)
                .ok_or_else(|| unknown(&letters[index..]))?;
            if !option.takes_value {
                self.option(option, &shown, None, *at)?;
                continue;
            }
            let rest = &letters[index + letter.len_utf8()..];
            let value = match rest.is_empty() {
                true => value(words, at, &shown)?,
                false => OsString::from(rest),
            };
            return self.option(option, &shown, Some(&value), *at);
        }
        match letters.is_empty() {
            true => Err(unknown("")),
            false => Ok(()),
        }
    }

    /// `next` is where the word behind the option and its value stands.
    fn option(
        &mut self,
        option: CurlOption,
        name: &str,
        value: Option<&OsStr>,
        next: usize,
    ) -> Result<()> {
        let text = value.unwrap_or_default().to_string_lossy();
        match option.meaning {
            Meaning::Url => return self.url(value.unwrap_or_default()),
            Meaning::Next => self.groups.push(Group { start: next, ..Group::default() }),
            Meaning::Verbose => self.verbose = true,
            Meaning::Fail => self.fails = true,
            Meaning::Body => self.reads_input |= text.ends_with("@-") || text.ends_with("=<-"),
            Meaning::Upload => self.reads_input |= text == "-" || text == ".",
            _ => {}
        }
        if matches!(option.meaning, Meaning::Line | Meaning::Method | Meaning::Target)
            && text.chars().any(char::is_control)
        {
            return Err(Error::not_safe(format!(
                "{name} has a line end or another control character"
            ))
            .hint("look at the variable it came from"));
        }
        let Some(group) = self.group() else { return Ok(()) };
        match option.meaning {
            Meaning::Header => {
                check_header(&text)?;
                group.headers.push(text.into_owned());
            }
            Meaning::Method => group.method = Some(text.into_owned()),
            Meaning::Body => group.implied = group.implied.or(Some("POST")),
            Meaning::Upload => group.implied = Some("PUT"),
            Meaning::Head => group.implied = Some("HEAD"),
            Meaning::Get => group.implied = Some("GET"),
            Meaning::Target if !text.starts_with('/') && text != "*" => {
                return Err(Error::not_safe(format!("{name} names another place than the URL"))
                    .hint(format!("a path for {name}, as in {name} /path")));
            }
            Meaning::Proxy => {
                group.proxy = true;
                if text.contains('@') {
                    return Err(Error::not_safe(format!(
                        "{name} with a password is seen by all who can list processes"
                    ))
                    .hint("export https_proxy=http://USER:PASSWORD@HOST:PORT"));
                }
            }
            Meaning::Password if text.contains(':') => {
                return Err(Error::not_safe(format!(
                    "{name} with a password is seen by all who can list processes"
                ))
                .hint("export https_proxy=http://USER:PASSWORD@HOST:PORT"));
            }
            meaning => return refused(meaning, name),
        }
        Ok(())
    }
}

/// What is never done with a token.
fn refused(meaning: Meaning, name: &str) -> Result<()> {
    let (what, hint) = match meaning {
        Meaning::Config => (
            format!("{name} reads options that gauth does not see"),
            "write them on the command line, or curl -H @<(gauth token --format header) …",
        ),
        Meaning::Moved => (
            format!("{name} sends the token elsewhere than the URL says"),
            "name the place in the URL, with --allow-host if it is not Google's",
        ),
        Meaning::Unverified => (
            format!("{name} sends the token to whoever answers"),
            "--cacert FILE, the certificate that signed the server's",
        ),
        Meaning::Trusting => (
            format!("{name} hands the token to whomever a redirect names"),
            "-L, which follows without it",
        ),
        Meaning::Own => (
            format!("{name} makes an Authorization header, and gauth sends one"),
            "curl without gauth, or leave it away",
        ),
        Meaning::Recorded => {
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
fn check(group: &Group) -> Result<()> {
    let plain = group.hosts.iter().find(|url| url.scheme == Scheme::Http);
    match plain.filter(|_| group.proxy) {
        Some(url) => Err(Error::not_safe(format!(
            "{}://{} through a proxy shows the token to it",
            "http",
            url.authority()
        ))
        .hint("leave the proxy away for loopback addresses")),
        None => Ok(()),
    }
}

fn unknown(name: &str) -> Error {
    let short = name.split('=').next().unwrap_or_default();
    let shown = printable::text(short);
    if name.contains('=') && options::long(short).is_some_and(|option| option.takes_value) {
        return Error::usage(format!("--{shown}=… is not how curl takes a value"))
            .hint(format!("--{shown} VALUE, in two words"));
    }
    let hint = match options::completed(short) {
        Some(full) => format!("--{full}, spelled out"),
        None => "gauth curl --help for gauth's flags, curl --help all for curl's".to_owned(),
    };
    let dashes = if short.chars().count() > 1 { "--" } else { "-" };
    Error::not_safe(format!("gauth does not know what curl does with {dashes}{shown}")).hint(hint)
}
