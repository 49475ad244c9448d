//! curl's options as gauth knows them: which take a value, and which decide where the token goes or who sees it.
//!
//! The table is that of curl 8.17, with what older ones have besides. What is not in it is not understood, and so
//! not vouched for.

/// What an option means for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing.
    Plain,
    /// Names a URL.
    Url,
    /// Begins another group of options and URLs.
    Next,
    /// Adds a header.
    Header,
    /// Stands in the head of the request as it is.
    Line,
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
    Target,
    /// Goes through a proxy.
    Proxy,
    /// The name of a proxy's user, perhaps with the password.
    Password,
    /// Reads more options.
    Config,
    /// Connects elsewhere than the URL says.
    Moved,
    /// Does not check who is there.
    Unverified,
    /// Hands the token on to whomever a redirect names.
    Trusting,
    /// Makes an `Authorization` of its own.
    Own,
    /// Writes the token to a file.
    Recorded,
    /// Prints the headers of the request.
    Verbose,
    /// An error of the server is one of curl's.
    Fail,
    /// Prints something about curl and ends.
    Information,
}

use Meaning::{
    Body, Config, Fail, Get, Head, Header, Information, Line, Method, Moved, Next, Own, Password,
    Plain, Proxy, Recorded, Target, Trusting, Unverified, Upload, Url, Verbose,
};

/// Name, letter or a space, whether a value follows, what it means.
type Row = (&'static str, char, bool, Meaning);

/// An option of curl's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurlOption {
    /// Whether the next word is its value.
    pub takes_value: bool,
    /// What it means for a token.
    pub meaning: Meaning,
}

impl CurlOption {
    fn of(row: &Row) -> CurlOption {
        CurlOption { takes_value: row.2, meaning: row.3 }
    }
}

/// The option of this long name, as it is spelled out. Taken back with `no-`, it means nothing.
pub fn long(name: &str) -> Option<CurlOption> {
    let find = |name: &str| OPTIONS.iter().find(|row| row.0 == name).map(CurlOption::of);
    if let Some(option) = find(name) {
        return Some(option);
    }
    let switch = match name.strip_prefix("no-") {
        Some(positive) if positive.starts_with("no-") => return None,
        Some(positive) => find(positive)?,
        None => find(&format!("no-{name}"))?,
    };
    let can_be_taken_back = !switch.takes_value && !matches!(switch.meaning, Next | Information);
    can_be_taken_back.then_some(CurlOption { takes_value: false, meaning: Plain })
}

/// The option of this letter.
pub fn short(letter: char) -> Option<CurlOption> {
    OPTIONS.iter().find(|row| row.1 == letter && letter != ' ').map(CurlOption::of)
}

/// The long name that was meant by one that is cut short.
pub fn completed(name: &str) -> Option<&'static str> {
    let mut fits = OPTIONS.iter().map(|row| row.0).filter(|full| full.starts_with(name));
    fits.next().filter(|_| name.len() > 2 && fits.next().is_none())
}

const OPTIONS: &[Row] = &[
    ("abstract-unix-socket", ' ', true, Moved),
    ("alt-svc", ' ', true, Plain),
    ("anyauth", ' ', false, Own),
    ("append", 'a', false, Plain),
    ("aws-sigv4", ' ', true, Own),
    ("basic", ' ', false, Own),
    ("ca-native", ' ', false, Plain),
    ("cacert", ' ', true, Plain),
    ("capath", ' ', true, Plain),
    ("cert", 'E', true, Plain),
    ("cert-status", ' ', false, Plain),
    ("cert-type", ' ', true, Plain),
    ("ciphers", ' ', true, Plain),
    ("compressed", ' ', false, Plain),
    ("compressed-ssh", ' ', false, Plain),
    ("config", 'K', true, Config),
    ("connect-timeout", ' ', true, Plain),
    ("connect-to", ' ', true, Moved),
    ("continue-at", 'C', true, Plain),
    ("cookie", 'b', true, Line),
    ("cookie-jar", 'c', true, Plain),
    ("create-dirs", ' ', false, Plain),
    ("create-file-mode", ' ', true, Plain),
    ("crlf", ' ', false, Plain),
    ("crlfile", ' ', true, Plain),
    ("curves", ' ', true, Plain),
    ("data", 'd', true, Body),
    ("data-ascii", ' ', true, Body),
    ("data-binary", ' ', true, Body),
    ("data-raw", ' ', true, Body),
    ("data-urlencode", ' ', true, Body),
    ("delegation", ' ', true, Plain),
    ("digest", ' ', false, Own),
    ("disable", 'q', false, Plain),
    ("disable-eprt", ' ', false, Plain),
    ("disable-epsv", ' ', false, Plain),
    ("disallow-username-in-url", ' ', false, Plain),
    ("dns-interface", ' ', true, Plain),
    ("dns-ipv4-addr", ' ', true, Plain),
    ("dns-ipv6-addr", ' ', true, Plain),
    ("dns-servers", ' ', true, Plain),
    ("doh-cert-status", ' ', false, Plain),
    ("doh-insecure", ' ', false, Plain),
    ("doh-url", ' ', true, Plain),
    ("dump-ca-embed", ' ', false, Plain),
    ("dump-header", 'D', true, Plain),
    ("ech", ' ', true, Plain),
    ("egd-file", ' ', true, Plain),
    ("engine", ' ', true, Plain),
    ("etag-compare", ' ', true, Plain),
    ("etag-save", ' ', true, Plain),
    ("expect100-timeout", ' ', true, Plain),
    ("fail", 'f', false, Fail),
    ("fail-early", ' ', false, Plain),
    ("fail-with-body", ' ', false, Fail),
    ("false-start", ' ', false, Plain),
    ("follow", ' ', false, Plain),
    ("form", 'F', true, Body),
    ("form-escape", ' ', false, Plain),
    ("form-string", ' ', true, Body),
    ("ftp-account", ' ', true, Plain),
    ("ftp-alternative-to-user", ' ', true, Plain),
    ("ftp-create-dirs", ' ', false, Plain),
    ("ftp-method", ' ', true, Plain),
    ("ftp-pasv", ' ', false, Plain),
    ("ftp-port", 'P', true, Plain),
    ("ftp-pret", ' ', false, Plain),
    ("ftp-skip-pasv-ip", ' ', false, Plain),
    ("ftp-ssl-ccc", ' ', false, Plain),
    ("ftp-ssl-ccc-mode", ' ', true, Plain),
    ("ftp-ssl-control", ' ', false, Plain),
    ("get", 'G', false, Get),
    ("globoff", 'g', false, Plain),
    ("happy-eyeballs-timeout-ms", ' ', true, Plain),
    ("haproxy-clientip", ' ', true, Plain),
    ("haproxy-protocol", ' ', false, Plain),
    ("head", 'I', false, Head),
    ("header", 'H', true, Header),
    ("help", 'h', false, Information),
    ("hostpubmd5", ' ', true, Plain),
    ("hostpubsha256", ' ', true, Plain),
    ("hsts", ' ', true, Plain),
    ("http0.9", ' ', false, Plain),
    ("http1.0", '0', false, Plain),
    ("http1.1", ' ', false, Plain),
    ("http2", ' ', false, Plain),
    ("http2-prior-knowledge", ' ', false, Plain),
    ("http3", ' ', false, Plain),
    ("http3-only", ' ', false, Plain),
    ("ignore-content-length", ' ', false, Plain),
    ("include", 'i', false, Plain),
    ("insecure", 'k', false, Unverified),
    ("interface", ' ', true, Plain),
    ("ip-tos", ' ', true, Plain),
    ("ipfs-gateway", ' ', true, Plain),
    ("ipv4", '4', false, Plain),
    ("ipv6", '6', false, Plain),
    ("json", ' ', true, Body),
    ("junk-session-cookies", 'j', false, Plain),
    ("keepalive-cnt", ' ', true, Plain),
    ("keepalive-time", ' ', true, Plain),
    ("key", ' ', true, Plain),
    ("key-type", ' ', true, Plain),
    ("knownhosts", ' ', true, Plain),
    ("krb", ' ', true, Plain),
    ("libcurl", ' ', true, Recorded),
    ("limit-rate", ' ', true, Plain),
    ("list-only", 'l', false, Plain),
    ("local-port", ' ', true, Plain),
    ("location", 'L', false, Plain),
    ("location-trusted", ' ', false, Trusting),
    ("login-options", ' ', true, Plain),
    ("mail-auth", ' ', true, Plain),
    ("mail-from", ' ', true, Plain),
    ("mail-rcpt", ' ', true, Plain),
    ("mail-rcpt-allowfails", ' ', false, Plain),
    ("manual", 'M', false, Information),
    ("max-filesize", ' ', true, Plain),
    ("max-redirs", ' ', true, Plain),
    ("max-time", 'm', true, Plain),
    ("metalink", ' ', false, Plain),
    ("mptcp", ' ', false, Plain),
    ("negotiate", ' ', false, Own),
    ("netrc", 'n', false, Own),
    ("netrc-file", ' ', true, Own),
    ("netrc-optional", ' ', false, Own),
    ("next", ':', false, Next),
    ("no-alpn", ' ', false, Plain),
    ("no-buffer", 'N', false, Plain),
    ("no-clobber", ' ', false, Plain),
    ("no-keepalive", ' ', false, Plain),
    ("no-npn", ' ', false, Plain),
    ("no-progress-meter", ' ', false, Plain),
    ("no-sessionid", ' ', false, Plain),
    ("noproxy", ' ', true, Plain),
    ("ntlm", ' ', false, Own),
    ("ntlm-wb", ' ', false, Own),
    ("oauth2-bearer", ' ', true, Own),
    ("out-null", ' ', false, Plain),
    ("output", 'o', true, Plain),
    ("output-dir", ' ', true, Plain),
    ("parallel", 'Z', false, Plain),
    ("parallel-immediate", ' ', false, Plain),
    ("parallel-max", ' ', true, Plain),
    ("parallel-max-host", ' ', true, Plain),
    ("pass", ' ', true, Plain),
    ("path-as-is", ' ', false, Plain),
    ("pinnedpubkey", ' ', true, Plain),
    ("post301", ' ', false, Plain),
    ("post302", ' ', false, Plain),
    ("post303", ' ', false, Plain),
    ("preproxy", ' ', true, Proxy),
    ("progress-bar", '#', false, Plain),
    ("proto", ' ', true, Plain),
    ("proto-default", ' ', true, Plain),
    ("proto-redir", ' ', true, Plain),
    ("proxy", 'x', true, Proxy),
    ("proxy-anyauth", ' ', false, Plain),
    ("proxy-basic", ' ', false, Plain),
    ("proxy-ca-native", ' ', false, Plain),
    ("proxy-cacert", ' ', true, Plain),
    ("proxy-capath", ' ', true, Plain),
    ("proxy-cert", ' ', true, Plain),
    ("proxy-cert-type", ' ', true, Plain),
    ("proxy-ciphers", ' ', true, Plain),
    ("proxy-crlfile", ' ', true, Plain),
    ("proxy-digest", ' ', false, Plain),
    ("proxy-header", ' ', true, Plain),
    ("proxy-http2", ' ', false, Plain),
    ("proxy-insecure", ' ', false, Unverified),
    ("proxy-key", ' ', true, Plain),
    ("proxy-key-type", ' ', true, Plain),
    ("proxy-negotiate", ' ', false, Plain),
    ("proxy-ntlm", ' ', false, Plain),
    ("proxy-pass", ' ', true, Plain),
    ("proxy-pinnedpubkey", ' ', true, Plain),
    ("proxy-service-name", ' ', true, Plain),
    ("proxy-ssl-allow-beast", ' ', false, Plain),
    ("proxy-ssl-auto-client-cert", ' ', false, Plain),
    ("proxy-tls13-ciphers", ' ', true, Plain),
    ("proxy-tlsauthtype", ' ', true, Plain),
    ("proxy-tlspassword", ' ', true, Plain),
    ("proxy-tlsuser", ' ', true, Plain),
    ("proxy-tlsv1", ' ', false, Plain),
    ("proxy-user", 'U', true, Password),
    ("proxy1.0", ' ', true, Proxy),
    ("proxytunnel", 'p', false, Plain),
    ("pubkey", ' ', true, Plain),
    ("quote", 'Q', true, Plain),
    ("random-file", ' ', true, Plain),
    ("range", 'r', true, Line),
    ("rate", ' ', true, Plain),
    ("raw", ' ', false, Plain),
    ("referer", 'e', true, Line),
    ("remote-header-name", 'J', false, Plain),
    ("remote-name", 'O', false, Plain),
    ("remote-name-all", ' ', false, Plain),
    ("remote-time", 'R', false, Plain),
    ("remove-on-error", ' ', false, Plain),
    ("request", 'X', true, Method),
    ("request-target", ' ', true, Target),
    ("resolve", ' ', true, Moved),
    ("retry", ' ', true, Plain),
    ("retry-all-errors", ' ', false, Plain),
    ("retry-connrefused", ' ', false, Plain),
    ("retry-delay", ' ', true, Plain),
    ("retry-max-time", ' ', true, Plain),
    ("sasl-authzid", ' ', true, Plain),
    ("sasl-ir", ' ', false, Plain),
    ("service-name", ' ', true, Plain),
    ("show-error", 'S', false, Plain),
    ("show-headers", ' ', false, Plain),
    ("sigalgs", ' ', true, Plain),
    ("silent", 's', false, Plain),
    ("skip-existing", ' ', false, Plain),
    ("socks4", ' ', true, Proxy),
    ("socks4a", ' ', true, Proxy),
    ("socks5", ' ', true, Proxy),
    ("socks5-basic", ' ', false, Plain),
    ("socks5-gssapi", ' ', false, Plain),
    ("socks5-gssapi-nec", ' ', false, Plain),
    ("socks5-gssapi-service", ' ', true, Plain),
    ("socks5-hostname", ' ', true, Proxy),
    ("speed-limit", 'Y', true, Plain),
    ("speed-time", 'y', true, Plain),
    ("ssl", ' ', false, Plain),
    ("ssl-allow-beast", ' ', false, Plain),
    ("ssl-auto-client-cert", ' ', false, Plain),
    ("ssl-no-revoke", ' ', false, Plain),
    ("ssl-reqd", ' ', false, Plain),
    ("ssl-revoke-best-effort", ' ', false, Plain),
    ("ssl-sessions", ' ', true, Plain),
    ("sslv2", '2', false, Plain),
    ("sslv3", '3', false, Plain),
    ("stderr", ' ', true, Recorded),
    ("styled-output", ' ', false, Plain),
    ("suppress-connect-headers", ' ', false, Plain),
    ("tcp-fastopen", ' ', false, Plain),
    ("tcp-nodelay", ' ', false, Plain),
    ("telnet-option", 't', true, Plain),
    ("tftp-blksize", ' ', true, Plain),
    ("tftp-no-options", ' ', false, Plain),
    ("time-cond", 'z', true, Plain),
    ("tls-earlydata", ' ', false, Plain),
    ("tls-max", ' ', true, Plain),
    ("tls13-ciphers", ' ', true, Plain),
    ("tlsauthtype", ' ', true, Plain),
    ("tlspassword", ' ', true, Plain),
    ("tlsuser", ' ', true, Plain),
    ("tlsv1", '1', false, Plain),
    ("tlsv1.0", ' ', false, Plain),
    ("tlsv1.1", ' ', false, Plain),
    ("tlsv1.2", ' ', false, Plain),
    ("tlsv1.3", ' ', false, Plain),
    ("tr-encoding", ' ', false, Plain),
    ("trace", ' ', true, Recorded),
    ("trace-ascii", ' ', true, Recorded),
    ("trace-config", ' ', true, Plain),
    ("trace-ids", ' ', false, Plain),
    ("trace-time", ' ', false, Plain),
    ("unix-socket", ' ', true, Moved),
    ("upload-file", 'T', true, Upload),
    ("upload-flags", ' ', true, Plain),
    ("url", ' ', true, Url),
    ("url-query", ' ', true, Plain),
    ("use-ascii", 'B', false, Plain),
    ("user", 'u', true, Own),
    ("user-agent", 'A', true, Line),
    ("variable", ' ', true, Plain),
    ("verbose", 'v', false, Verbose),
    ("version", 'V', false, Information),
    ("vlan-priority", ' ', true, Plain),
    ("write-out", 'w', true, Plain),
    ("xattr", ' ', false, Plain),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_and_no_letter_is_there_twice() {
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
    fn a_switch_can_be_taken_back() {
        let plain = Some(CurlOption { takes_value: false, meaning: Plain });
        for name in ["no-insecure", "no-buffer", "buffer", "no-location-trusted", "alpn"] {
            assert_eq!(long(name), plain, "{name}");
        }
        for name in ["no-header", "no-next", "no-no-buffer", "no-proxy", "insecur", "", "Insecure"]
        {
            assert_eq!(long(name), None, "{name}");
        }
        assert_eq!(long("no-keepalive-time"), None);
        assert_eq!((short(' '), short('k').map(|o| o.meaning)), (None, Some(Unverified)));
        assert_eq!(
            (completed("insec"), completed("da"), completed("nosuch")),
            (Some("insecure"), None, None)
        );
    }

    /// What the help of a curl says of an option: letter, name, and whether a value follows.
    fn from_help(line: &str) -> Option<(char, &str, bool)> {
        let (before, rest) = line.split_once("--")?;
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let letter = before.trim_start().strip_prefix('-').and_then(|rest| rest.chars().next());
        Some((letter.unwrap_or(' '), name, rest.starts_with(['<', '['])))
    }

    /// Options that came after the oldest curl this test is likely to meet.
    fn is_known_to(help: &str, name: &str) -> bool {
        help.lines().filter_map(from_help).any(|(_, known, _)| known == name)
    }

    /// What curl 7.88 does not have yet, and what 8.17 no longer has under this name.
    const CAME_LATER_OR_WENT: &[&str] = &[
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
    fn the_table_is_that_of_the_installed_curl() {
        let Ok(output) = std::process::Command::new("curl").args(["--help", "all"]).output() else {
            return;
        };
        let help = String::from_utf8_lossy(&output.stdout);
        let mut seen = 0;
        for (letter, name, takes_value) in help.lines().filter_map(from_help) {
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
        let unknown = OPTIONS.iter().map(|row| row.0).filter(|name| !is_known_to(&help, name));
        let unknown: Vec<&str> =
            unknown.filter(|name| !CAME_LATER_OR_WENT.contains(name)).collect();
        assert!(unknown.is_empty(), "curl does not know {unknown:?}");
    }
}
