//! curl's options: which take a value, and which decide where the token goes or who sees it.
//!
//! The options are in `options.txt`; `cargo run --example curl_options` adds those of the installed curl. An option that
//! is not in the file, or is not classified yet, is refused.

const OPTIONS: &str = include_str!("options.txt");

/// What an option means for the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OptionEffect {
    /// It changes neither who receives the token nor who sees it.
    Harmless,
    /// Its value is a URL.
    Url,
    /// It begins another group of options and URLs (`--next`).
    NextGroup,
    /// Its value is a request header.
    Header,
    /// Its value becomes part of a request header.
    HeaderText,
    /// It sends a body, with POST.
    Body,
    /// Its value is the method.
    Method,
    /// It makes curl send HEAD.
    Head,
    /// It sends GET, with the body as the query.
    Get,
    /// It makes curl send PUT.
    Upload,
    /// Its value replaces path and query in the request.
    RequestTarget,
    /// Its value is a proxy.
    Proxy,
    /// Its value is the user name for the proxy, perhaps with the password.
    ProxyUser,
    /// It reads options from a file.
    ConfigFile,
    /// It connects to another host than the one in the URL.
    OtherHost,
    /// It does not verify the server's certificate.
    UnverifiedTls,
    /// It sends the token to the hosts that redirects name.
    TokenOnRedirect,
    /// It sends an `Authorization` header of its own.
    AuthorizationHeader,
    /// It writes the token to a file.
    TokenInFile,
    /// It prints the request headers.
    Verbose,
    /// It makes curl fail when the server answers with an error.
    FailOnHttpError,
    /// It prints something about curl and ends.
    PrintInfo,
}

impl OptionEffect {
    /// Reads the last column of `options.txt`; `None` for an option that is not classified.
    fn parse(text: &str) -> Option<OptionEffect> {
        Some(match text {
            "harmless" => OptionEffect::Harmless,
            "url" => OptionEffect::Url,
            "next" => OptionEffect::NextGroup,
            "header" => OptionEffect::Header,
            "header-text" => OptionEffect::HeaderText,
            "body" => OptionEffect::Body,
            "method" => OptionEffect::Method,
            "head" => OptionEffect::Head,
            "get" => OptionEffect::Get,
            "upload" => OptionEffect::Upload,
            "request-target" => OptionEffect::RequestTarget,
            "proxy" => OptionEffect::Proxy,
            "proxy-user" => OptionEffect::ProxyUser,
            "config-file" => OptionEffect::ConfigFile,
            "other-host" => OptionEffect::OtherHost,
            "unverified-tls" => OptionEffect::UnverifiedTls,
            "token-on-redirect" => OptionEffect::TokenOnRedirect,
            "authorization" => OptionEffect::AuthorizationHeader,
            "token-in-file" => OptionEffect::TokenInFile,
            "verbose" => OptionEffect::Verbose,
            "fail" => OptionEffect::FailOnHttpError,
            "info" => OptionEffect::PrintInfo,
            _ => return None,
        })
    }
}

/// An option of curl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CurlOption {
    name: &'static str,
    letter: Option<char>,
    /// Whether a value follows.
    pub(super) takes_value: bool,
    /// What it means for the token.
    pub(super) effect: OptionEffect,
}

/// The classified options of `options.txt`.
fn options() -> impl Iterator<Item = CurlOption> {
    OPTIONS.lines().filter(|line| line.starts_with('-')).filter_map(|line| {
        let mut columns = line.split_whitespace();
        Some(CurlOption {
            letter: columns.next()?.chars().nth(1).filter(|letter| *letter != '-'),
            name: columns.next()?,
            takes_value: columns.next()? == "value",
            effect: OptionEffect::parse(columns.next()?)?,
        })
    })
}

/// The option of this whole long name. A switch that is negated with `no-` is harmless.
pub(super) fn by_long_name(name: &str) -> Option<CurlOption> {
    let find = |name: &str| options().find(|option| option.name == name);
    if let Some(option) = find(name) {
        return Some(option);
    }
    let switch = match name.strip_prefix("no-") {
        Some(positive) if positive.starts_with("no-") => return None,
        Some(positive) => find(positive)?,
        None => find(&format!("no-{name}"))?,
    };
    let is_negatable =
        !switch.takes_value && !matches!(switch.effect, OptionEffect::NextGroup | OptionEffect::PrintInfo);
    is_negatable.then_some(CurlOption { effect: OptionEffect::Harmless, ..switch })
}

/// The option of this letter.
pub(super) fn by_letter(letter: char) -> Option<CurlOption> {
    options().find(|option| option.letter == Some(letter))
}

/// The one long name that begins with these three or more letters.
pub(super) fn expand_abbreviation(start: &str) -> Option<&'static str> {
    let mut names = options().map(|option| option.name).filter(|name| name.starts_with(start));
    names.next().filter(|_| start.len() > 2 && names.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_understood_and_listed_once() {
        let is_classified = |line: &&str| !line.starts_with('#') && !line.ends_with("unclassified");
        let classified = OPTIONS.lines().filter(is_classified).count();
        let names: Vec<&str> = options().map(|option| option.name).collect();
        assert_eq!(names.len(), classified, "a line of options.txt has an unknown last column");
        assert!(names.is_sorted_by(|one, next| one < next));
        // What curl 8 calls --show-headers was --include.
        let mut letters: Vec<char> =
            options().filter(|option| option.name != "include").filter_map(|option| option.letter).collect();
        let count = letters.len();
        letters.sort_unstable();
        letters.dedup();
        assert_eq!(letters.len(), count);
    }

    #[test]
    fn a_switch_can_be_negated() {
        for name in ["no-insecure", "no-buffer", "buffer", "no-location-trusted", "alpn"] {
            let option = by_long_name(name).expect(name);
            assert_eq!((option.takes_value, option.effect), (false, OptionEffect::Harmless));
        }
        for name in ["no-header", "no-next", "no-no-buffer", "no-proxy", "insecur", "", "Insecure"] {
            assert_eq!(by_long_name(name), None, "{name}");
        }
        assert_eq!(by_long_name("no-keepalive-time"), None);
    }

    #[test]
    fn an_option_is_found_by_its_letter_or_the_start_of_its_name() {
        assert_eq!(by_letter('k').map(|option| option.effect), Some(OptionEffect::UnverifiedTls));
        assert_eq!((by_letter(' '), by_letter('-')), (None, None));
        let expanded = ["insec", "da", "nosuch"].map(expand_abbreviation);
        assert_eq!(expanded, [Some("insecure"), None, None]);
    }
}
