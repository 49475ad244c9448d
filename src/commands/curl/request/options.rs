//! curl's options as gauth knows them: which take a value, and which decide where the token goes or who sees it.
//!
//! The table is that of curl 8.17, with what older ones have besides. What is not in it is not understood, and so
//! not vouched for.

/// What an option means for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionEffect {
    /// Nothing.
    NoEffect,
    /// Names a URL.
    Url,
    /// Begins another group of options and URLs.
    NextGroup,
    /// Adds a header.
    Header,
    /// Stands in the head of the request as it is.
    HeaderText,
    /// Sends a body with POST.
    Body,
    /// Names the method.
    Method,
    /// HEAD.
    Head,
    /// GET, with the body as a query.
    Get,
    /// PUT.
    Upload,
    /// Replaces path and query in the request.
    RequestTarget,
    /// Goes through a proxy.
    Proxy,
    /// The name of a proxy's user, perhaps with the password.
    ProxyUser,
    /// Reads more options.
    ConfigFile,
    /// Connects elsewhere than the URL says.
    OtherHost,
    /// Does not check who is there.
    UnverifiedTls,
    /// Hands the token on to whomever a redirect names.
    TokenOnRedirect,
    /// Makes an `Authorization` of its own.
    AuthorizationHeader,
    /// Writes the token to a file.
    TokenInFile,
    /// Prints the headers of the request.
    Verbose,
    /// An error of the server is one of curl's.
    FailOnHttpError,
    /// Prints something about curl and ends.
    PrintInfo,
}

use OptionEffect::{
    AuthorizationHeader, Body, ConfigFile, FailOnHttpError, Get, Head, Header, HeaderText, Method,
    NextGroup, NoEffect, OtherHost, PrintInfo, Proxy, ProxyUser, RequestTarget, TokenInFile,
    TokenOnRedirect, UnverifiedTls, Upload, Url, Verbose,
};

/// Name, letter or a space, whether a value follows, what it means.
type OptionRow = (&'static str, char, bool, OptionEffect);

/// An option of curl's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurlOption {
    /// Whether the next word is its value.
    pub takes_value: bool,
    /// What it means for a token.
    pub effect: OptionEffect,
}

impl CurlOption {
    fn from_row(row: &OptionRow) -> CurlOption {
        CurlOption { takes_value: row.2, effect: row.3 }
    }
}

/// The option of this long name, as it is spelled out. Taken back with `no-`, it means nothing.
pub fn by_long_name(name: &str) -> Option<CurlOption> {
    let find = |name: &str| OPTIONS.iter().find(|row| row.0 == name).map(CurlOption::from_row);
    if let Some(option) = find(name) {
        return Some(option);
    }
    let switch = match name.strip_prefix("no-") {
        Some(positive) if positive.starts_with("no-") => return None,
        Some(positive) => find(positive)?,
        None => find(&format!("no-{name}"))?,
    };
    let is_negatable = !switch.takes_value && !matches!(switch.effect, NextGroup | PrintInfo);
    is_negatable.then_some(CurlOption { takes_value: false, effect: NoEffect })
}

/// The option of this letter.
pub fn by_letter(letter: char) -> Option<CurlOption> {
    OPTIONS.iter().find(|row| row.1 == letter && letter != ' ').map(CurlOption::from_row)
}

/// The long name that was meant by one that is cut short.
pub fn expand_abbreviation(name: &str) -> Option<&'static str> {
    let mut fits = OPTIONS.iter().map(|row| row.0).filter(|full| full.starts_with(name));
    fits.next().filter(|_| name.len() > 2 && fits.next().is_none())
}

const OPTIONS: &[OptionRow] = &[
    ("abstract-unix-socket", ' ', true, OtherHost),
    ("alt-svc", ' ', true, NoEffect),
    ("anyauth", ' ', false, AuthorizationHeader),
    ("append", 'a', false, NoEffect),
    ("aws-sigv4", ' ', true, AuthorizationHeader),
    ("basic", ' ', false, AuthorizationHeader),
    ("ca-native", ' ', false, NoEffect),
    ("cacert", ' ', true, NoEffect),
    ("capath", ' ', true, NoEffect),
    ("cert", 'E', true, NoEffect),
    ("cert-status", ' ', false, NoEffect),
    ("cert-type", ' ', true, NoEffect),
    ("ciphers", ' ', true, NoEffect),
    ("compressed", ' ', false, NoEffect),
    ("compressed-ssh", ' ', false, NoEffect),
    ("config", 'K', true, ConfigFile),
    ("connect-timeout", ' ', true, NoEffect),
    ("connect-to", ' ', true, OtherHost),
    ("continue-at", 'C', true, NoEffect),
    ("cookie", 'b', true, HeaderText),
    ("cookie-jar", 'c', true, NoEffect),
    ("create-dirs", ' ', false, NoEffect),
    ("create-file-mode", ' ', true, NoEffect),
    ("crlf", ' ', false, NoEffect),
    ("crlfile", ' ', true, NoEffect),
    ("curves", ' ', true, NoEffect),
    ("data", 'd', true, Body),
    ("data-ascii", ' ', true, Body),
    ("data-binary", ' ', true, Body),
    ("data-raw", ' ', true, Body),
    ("data-urlencode", ' ', true, Body),
    ("delegation", ' ', true, NoEffect),
    ("digest", ' ', false, AuthorizationHeader),
    ("disable", 'q', false, NoEffect),
    ("disable-eprt", ' ', false, NoEffect),
    ("disable-epsv", ' ', false, NoEffect),
    ("disallow-username-in-url", ' ', false, NoEffect),
    ("dns-interface", ' ', true, NoEffect),
    ("dns-ipv4-addr", ' ', true, NoEffect),
    ("dns-ipv6-addr", ' ', true, NoEffect),
    ("dns-servers", ' ', true, NoEffect),
    ("doh-cert-status", ' ', false, NoEffect),
    ("doh-insecure", ' ', false, NoEffect),
    ("doh-url", ' ', true, NoEffect),
    ("dump-ca-embed", ' ', false, NoEffect),
    ("dump-header", 'D', true, NoEffect),
    ("ech", ' ', true, NoEffect),
    ("egd-file", ' ', true, NoEffect),
    ("engine", ' ', true, NoEffect),
    ("etag-compare", ' ', true, NoEffect),
    ("etag-save", ' ', true, NoEffect),
    ("expect100-timeout", ' ', true, NoEffect),
    ("fail", 'f', false, FailOnHttpError),
    ("fail-early", ' ', false, NoEffect),
    ("fail-with-body", ' ', false, FailOnHttpError),
    ("false-start", ' ', false, NoEffect),
    ("follow", ' ', false, NoEffect),
    ("form", 'F', true, Body),
    ("form-escape", ' ', false, NoEffect),
    ("form-string", ' ', true, Body),
    ("ftp-account", ' ', true, NoEffect),
    ("ftp-alternative-to-user", ' ', true, NoEffect),
    ("ftp-create-dirs", ' ', false, NoEffect),
    ("ftp-method", ' ', true, NoEffect),
    ("ftp-pasv", ' ', false, NoEffect),
    ("ftp-port", 'P', true, NoEffect),
    ("ftp-pret", ' ', false, NoEffect),
    ("ftp-skip-pasv-ip", ' ', false, NoEffect),
    ("ftp-ssl-ccc", ' ', false, NoEffect),
    ("ftp-ssl-ccc-mode", ' ', true, NoEffect),
    ("ftp-ssl-control", ' ', false, NoEffect),
    ("get", 'G', false, Get),
    ("globoff", 'g', false, NoEffect),
    ("happy-eyeballs-timeout-ms", ' ', true, NoEffect),
    ("haproxy-clientip", ' ', true, NoEffect),
    ("haproxy-protocol", ' ', false, NoEffect),
    ("head", 'I', false, Head),
    ("header", 'H', true, Header),
    ("help", 'h', false, PrintInfo),
    ("hostpubmd5", ' ', true, NoEffect),
    ("hostpubsha256", ' ', true, NoEffect),
    ("hsts", ' ', true, NoEffect),
    ("http0.9", ' ', false, NoEffect),
    ("http1.0", '0', false, NoEffect),
    ("http1.1", ' ', false, NoEffect),
    ("http2", ' ', false, NoEffect),
    ("http2-prior-knowledge", ' ', false, NoEffect),
    ("http3", ' ', false, NoEffect),
    ("http3-only", ' ', false, NoEffect),
    ("ignore-content-length", ' ', false, NoEffect),
    ("include", 'i', false, NoEffect),
    ("insecure", 'k', false, UnverifiedTls),
    ("interface", ' ', true, NoEffect),
    ("ip-tos", ' ', true, NoEffect),
    ("ipfs-gateway", ' ', true, NoEffect),
    ("ipv4", '4', false, NoEffect),
    ("ipv6", '6', false, NoEffect),
    ("json", ' ', true, Body),
    ("junk-session-cookies", 'j', false, NoEffect),
    ("keepalive-cnt", ' ', true, NoEffect),
    ("keepalive-time", ' ', true, NoEffect),
    ("key", ' ', true, NoEffect),
    ("key-type", ' ', true, NoEffect),
    ("knownhosts", ' ', true, NoEffect),
    ("krb", ' ', true, NoEffect),
    ("libcurl", ' ', true, TokenInFile),
    ("limit-rate", ' ', true, NoEffect),
    ("list-only", 'l', false, NoEffect),
    ("local-port", ' ', true, NoEffect),
    ("location", 'L', false, NoEffect),
    ("location-trusted", ' ', false, TokenOnRedirect),
    ("login-options", ' ', true, NoEffect),
    ("mail-auth", ' ', true, NoEffect),
    ("mail-from", ' ', true, NoEffect),
    ("mail-rcpt", ' ', true, NoEffect),
    ("mail-rcpt-allowfails", ' ', false, NoEffect),
    ("manual", 'M', false, PrintInfo),
    ("max-filesize", ' ', true, NoEffect),
    ("max-redirs", ' ', true, NoEffect),
    ("max-time", 'm', true, NoEffect),
    ("metalink", ' ', false, NoEffect),
    ("mptcp", ' ', false, NoEffect),
    ("negotiate", ' ', false, AuthorizationHeader),
    ("netrc", 'n', false, AuthorizationHeader),
    ("netrc-file", ' ', true, AuthorizationHeader),
    ("netrc-optional", ' ', false, AuthorizationHeader),
    ("next", ':', false, NextGroup),
    ("no-alpn", ' ', false, NoEffect),
    ("no-buffer", 'N', false, NoEffect),
    ("no-clobber", ' ', false, NoEffect),
    ("no-keepalive", ' ', false, NoEffect),
    ("no-npn", ' ', false, NoEffect),
    ("no-progress-meter", ' ', false, NoEffect),
    ("no-sessionid", ' ', false, NoEffect),
    ("noproxy", ' ', true, NoEffect),
    ("ntlm", ' ', false, AuthorizationHeader),
    ("ntlm-wb", ' ', false, AuthorizationHeader),
    ("oauth2-bearer", ' ', true, AuthorizationHeader),
    ("out-null", ' ', false, NoEffect),
    ("output", 'o', true, NoEffect),
    ("output-dir", ' ', true, NoEffect),
    ("parallel", 'Z', false, NoEffect),
    ("parallel-immediate", ' ', false, NoEffect),
    ("parallel-max", ' ', true, NoEffect),
    ("parallel-max-host", ' ', true, NoEffect),
    ("pass", ' ', true, NoEffect),
    ("path-as-is", ' ', false, NoEffect),
    ("pinnedpubkey", ' ', true, NoEffect),
    ("post301", ' ', false, NoEffect),
    ("post302", ' ', false, NoEffect),
    ("post303", ' ', false, NoEffect),
    ("preproxy", ' ', true, Proxy),
    ("progress-bar", '#', false, NoEffect),
    ("proto", ' ', true, NoEffect),
    ("proto-default", ' ', true, NoEffect),
    ("proto-redir", ' ', true, NoEffect),
    ("proxy", 'x', true, Proxy),
    ("proxy-anyauth", ' ', false, NoEffect),
    ("proxy-basic", ' ', false, NoEffect),
    ("proxy-ca-native", ' ', false, NoEffect),
    ("proxy-cacert", ' ', true, NoEffect),
    ("proxy-capath", ' ', true, NoEffect),
    ("proxy-cert", ' ', true, NoEffect),
    ("proxy-cert-type", ' ', true, NoEffect),
    ("proxy-ciphers", ' ', true, NoEffect),
    ("proxy-crlfile", ' ', true, NoEffect),
    ("proxy-digest", ' ', false, NoEffect),
    ("proxy-header", ' ', true, NoEffect),
    ("proxy-http2", ' ', false, NoEffect),
    ("proxy-insecure", ' ', false, UnverifiedTls),
    ("proxy-key", ' ', true, NoEffect),
    ("proxy-key-type", ' ', true, NoEffect),
    ("proxy-negotiate", ' ', false, NoEffect),
    ("proxy-ntlm", ' ', false, NoEffect),
    ("proxy-pass", ' ', true, NoEffect),
    ("proxy-pinnedpubkey", ' ', true, NoEffect),
    ("proxy-service-name", ' ', true, NoEffect),
    ("proxy-ssl-allow-beast", ' ', false, NoEffect),
    ("proxy-ssl-auto-client-cert", ' ', false, NoEffect),
    ("proxy-tls13-ciphers", ' ', true, NoEffect),
    ("proxy-tlsauthtype", ' ', true, NoEffect),
    ("proxy-tlspassword", ' ', true, NoEffect),
    ("proxy-tlsuser", ' ', true, NoEffect),
    ("proxy-tlsv1", ' ', false, NoEffect),
    ("proxy-user", 'U', true, ProxyUser),
    ("proxy1.0", ' ', true, Proxy),
    ("proxytunnel", 'p', false, NoEffect),
    ("pubkey", ' ', true, NoEffect),
    ("quote", 'Q', true, NoEffect),
    ("random-file", ' ', true, NoEffect),
    ("range", 'r', true, HeaderText),
    ("rate", ' ', true, NoEffect),
    ("raw", ' ', false, NoEffect),
    ("referer", 'e', true, HeaderText),
    ("remote-header-name", 'J', false, NoEffect),
    ("remote-name", 'O', false, NoEffect),
    ("remote-name-all", ' ', false, NoEffect),
    ("remote-time", 'R', false, NoEffect),
    ("remove-on-error", ' ', false, NoEffect),
    ("request", 'X', true, Method),
    ("request-target", ' ', true, RequestTarget),
    ("resolve", ' ', true, OtherHost),
    ("retry", ' ', true, NoEffect),
    ("retry-all-errors", ' ', false, NoEffect),
    ("retry-connrefused", ' ', false, NoEffect),
    ("retry-delay", ' ', true, NoEffect),
    ("retry-max-time", ' ', true, NoEffect),
    ("sasl-authzid", ' ', true, NoEffect),
    ("sasl-ir", ' ', false, NoEffect),
    ("service-name", ' ', true, NoEffect),
    ("show-error", 'S', false, NoEffect),
    ("show-headers", ' ', false, NoEffect),
    ("sigalgs", ' ', true, NoEffect),
    ("silent", 's', false, NoEffect),
    ("skip-existing", ' ', false, NoEffect),
    ("socks4", ' ', true, Proxy),
    ("socks4a", ' ', true, Proxy),
    ("socks5", ' ', true, Proxy),
    ("socks5-basic", ' ', false, NoEffect),
    ("socks5-gssapi", ' ', false, NoEffect),
    ("socks5-gssapi-nec", ' ', false, NoEffect),
    ("socks5-gssapi-service", ' ', true, NoEffect),
    ("socks5-hostname", ' ', true, Proxy),
    ("speed-limit", 'Y', true, NoEffect),
    ("speed-time", 'y', true, NoEffect),
    ("ssl", ' ', false, NoEffect),
    ("ssl-allow-beast", ' ', false, NoEffect),
    ("ssl-auto-client-cert", ' ', false, NoEffect),
    ("ssl-no-revoke", ' ', false, NoEffect),
    ("ssl-reqd", ' ', false, NoEffect),
    ("ssl-revoke-best-effort", ' ', false, NoEffect),
    ("ssl-sessions", ' ', true, NoEffect),
    ("sslv2", '2', false, NoEffect),
    ("sslv3", '3', false, NoEffect),
    ("stderr", ' ', true, TokenInFile),
    ("styled-output", ' ', false, NoEffect),
    ("suppress-connect-headers", ' ', false, NoEffect),
    ("tcp-fastopen", ' ', false, NoEffect),
    ("tcp-nodelay", ' ', false, NoEffect),
    ("telnet-option", 't', true, NoEffect),
    ("tftp-blksize", ' ', true, NoEffect),
    ("tftp-no-options", ' ', false, NoEffect),
    ("time-cond", 'z', true, NoEffect),
    ("tls-earlydata", ' ', false, NoEffect),
    ("tls-max", ' ', true, NoEffect),
    ("tls13-ciphers", ' ', true, NoEffect),
    ("tlsauthtype", ' ', true, NoEffect),
    ("tlspassword", ' ', true, NoEffect),
    ("tlsuser", ' ', true, NoEffect),
    ("tlsv1", '1', false, NoEffect),
    ("tlsv1.0", ' ', false, NoEffect),
    ("tlsv1.1", ' ', false, NoEffect),
    ("tlsv1.2", ' ', false, NoEffect),
    ("tlsv1.3", ' ', false, NoEffect),
    ("tr-encoding", ' ', false, NoEffect),
    ("trace", ' ', true, TokenInFile),
    ("trace-ascii", ' ', true, TokenInFile),
    ("trace-config", ' ', true, NoEffect),
    ("trace-ids", ' ', false, NoEffect),
    ("trace-time", ' ', false, NoEffect),
    ("unix-socket", ' ', true, OtherHost),
    ("upload-file", 'T', true, Upload),
    ("upload-flags", ' ', true, NoEffect),
    ("url", ' ', true, Url),
    ("url-query", ' ', true, NoEffect),
    ("use-ascii", 'B', false, NoEffect),
    ("user", 'u', true, AuthorizationHeader),
    ("user-agent", 'A', true, HeaderText),
    ("variable", ' ', true, NoEffect),
    ("verbose", 'v', false, Verbose),
    ("version", 'V', false, PrintInfo),
    ("vlan-priority", ' ', true, NoEffect),
    ("write-out", 'w', true, NoEffect),
    ("xattr", ' ', false, NoEffect),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_letters_are_unique_and_sorted() {
        let mut names: Vec<&str> = OPTIONS.iter().map(|row| row.0).collect();
        names.dedup();
        assert!(names.len() == OPTIONS.len() && names.is_sorted());
        let mut letters: Vec<char> =
            OPTIONS.iter().map(|row| row.1).filter(|c| *c != ' ').collect();
        let count = letters.len();
        letters.sort_unstable();
        letters.dedup();
        assert_eq!(letters.len(), count);
    }

    #[test]
    fn a_switch_can_be_negated() {
        let plain = Some(CurlOption { takes_value: false, effect: NoEffect });
        for name in ["no-insecure", "no-buffer", "buffer", "no-location-trusted", "alpn"] {
            assert_eq!(by_long_name(name), plain, "{name}");
        }
        for name in ["no-header", "no-next", "no-no-buffer", "no-proxy", "insecur", "", "Insecure"]
        {
            assert_eq!(by_long_name(name), None, "{name}");
        }
        assert_eq!(by_long_name("no-keepalive-time"), None);
        assert_eq!((by_letter(' '), by_letter('k').map(|o| o.effect)), (None, Some(UnverifiedTls)));
        assert_eq!(
            (
                expand_abbreviation("insec"),
                expand_abbreviation("da"),
                expand_abbreviation("nosuch")
            ),
            (Some("insecure"), None, None)
        );
    }

    /// What the help of a curl says of an option: letter, name, and whether a value follows.
    fn parse_help_line(line: &str) -> Option<(char, &str, bool)> {
        let (before, rest) = line.split_once("--")?;
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let letter = before.trim_start().strip_prefix('-').and_then(|rest| rest.chars().next());
        Some((letter.unwrap_or(' '), name, rest.starts_with(['<', '['])))
    }

    /// Options that came after the oldest curl this test is likely to meet.
    fn is_in_help(help: &str, name: &str) -> bool {
        help.lines().filter_map(parse_help_line).any(|(_, known, _)| known == name)
    }

    /// What curl 7.88 does not have yet, and what 8.17 no longer has under this name.
    const NOT_IN_EVERY_VERSION: &[&str] = &[
        "ca-native",
        "dump-ca-embed",
        "ech",
        "follow",
        "haproxy-clientip",
        "http3-only",
        "include",
        "ip-tos",
        "ipfs-gateway",
        "keepalive-cnt",
        "knownhosts",
        "mptcp",
        "out-null",
        "parallel-max-host",
        "proxy-ca-native",
        "proxy-http2",
        "show-headers",
        "sigalgs",
        "skip-existing",
        "ssl-sessions",
        "tls-earlydata",
        "trace-config",
        "trace-ids",
        "upload-flags",
        "variable",
        "vlan-priority",
    ];

    #[test]
    #[expect(clippy::disallowed_methods, reason = "asks the curl of this machine")]
    fn the_table_matches_the_installed_curl() {
        let Ok(output) = std::process::Command::new("curl").args(["--help", "all"]).output() else {
            return;
        };
        let help = String::from_utf8_lossy(&output.stdout);
        let mut seen = 0;
        for (letter, name, takes_value) in help.lines().filter_map(parse_help_line) {
            let row = OPTIONS.iter().find(|row| row.0 == name);
            let row = row.unwrap_or_else(|| panic!("--{name} is not in the table"));
            // --help takes its value only if there is one; curl ends there in any case.
            assert!(row.2 == takes_value || name == "help", "--{name} and its value");
            // The letter of --include went to --show-headers.
            assert!(
                row.1 == letter || ["include", "show-headers"].contains(&name),
                "--{name} and its letter"
            );
            seen += 1;
        }
        assert!(seen > 200, "{seen} options in the help of curl");
        let unknown = OPTIONS.iter().map(|row| row.0).filter(|name| !is_in_help(&help, name));
        let unknown: Vec<&str> =
            unknown.filter(|name| !NOT_IN_EVERY_VERSION.contains(name)).collect();
        assert!(unknown.is_empty(), "curl does not know {unknown:?}");
    }
}
