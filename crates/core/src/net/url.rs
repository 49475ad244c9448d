//! URLs, read once and strictly, so that what was checked is what is used.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The two schemes gauth speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `https`, which uses TLS.
    Https,
    /// In the clear: loopback and metadata addresses only.
    Http,
}

/// An absolute `http` or `https` URL without user information, fragment or any odd character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    text: String,
    /// The scheme, which decides whether TLS is used.
    pub scheme: Scheme,
    /// Lower case; an IPv6 address without its brackets.
    pub host: String,
    /// Named or the scheme's own.
    pub port: u16,
}

/// The longest URL that is read, in bytes.
const MAX_URL_BYTES: usize = 2048;

impl Url {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence that begins with the URL's origin: "has a user name".
    pub fn parse(text: &str) -> Result<Url, &'static str> {
        Url::parse_with_port(text).map(|(url, _)| url)
    }

    /// Reads a URL, and the port where the text names one: also one that is the scheme's own.
    ///
    /// # Errors
    /// As [`Url::parse`].
    pub fn parse_with_port(text: &str) -> Result<(Url, Option<u16>), &'static str> {
        if text.len() > MAX_URL_BYTES {
            return Err("is longer than 2048 characters");
        }
        if text.bytes().any(|byte| !(0x21..=0x7e).contains(&byte)) {
            return Err("has a space, a control character or a character outside ASCII");
        }
        if text.contains(['\\', '"', '<', '>', '^', '`', '{', '|', '}']) {
            return Err("has a character that URLs do not have");
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            Some(_) => return Err("is neither https nor http"),
            None => return Err("is not an absolute URL"),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if path.contains('#') {
            return Err("has a fragment");
        }
        if authority.contains('@') {
            return Err("has a user name");
        }
        let (host, named_port) = split_port(authority)?;
        let host = parse_host(host)?;
        let default_port = if scheme == Scheme::Https { 443 } else { 80 };
        let port = named_port.unwrap_or(default_port);
        let shown = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let port_shown = if port == default_port { String::new() } else { format!(":{port}") };
        let name = if scheme == Scheme::Https { "https" } else { "http" };
        let slash = if path.starts_with('/') { "" } else { "/" };
        let text = format!("{name}://{shown}{port_shown}{slash}{path}");
        Ok((Url { text, scheme, host, port }, named_port))
    }

    /// The whole URL, normalised.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host, with the port where it is not the scheme's own: what errors name.
    pub fn authority(&self) -> &str {
        let start = self.text.find("://").map_or(0, |at| at + 3);
        let rest = &self.text[start..];
        &rest[..rest.find('/').unwrap_or(rest.len())]
    }

    /// Path and query, beginning with `/`.
    pub fn path_and_query(&self) -> &str {
        let start = self.text.find("://").map_or(0, |at| at + 3);
        let rest = &self.text[start..];
        &rest[rest.find('/').unwrap_or(rest.len())..]
    }

    /// The scheme and the authority (RFC 6454, 6.2).
    pub fn origin(&self) -> &str {
        &self.text[..self.text.len() - self.path_and_query().len()]
    }

    /// The URL with another last path segment, and without the query.
    ///
    /// # Errors
    /// The end of a sentence about the result, as for [`Url::parse`].
    pub fn sibling(&self, name: &str) -> Result<Url, &'static str> {
        let url = self.without_query();
        Url::parse(&format!("{}/{name}", url.rsplit_once('/').map_or(url, |(folder, _)| folder)))
    }

    /// The URL without its query, which may hold what should not be shown.
    pub fn without_query(&self) -> &str {
        self.text.split('?').next().unwrap_or(&self.text)
    }

    /// The same path and query below another URL.
    ///
    /// # Errors
    /// What is wrong with the result, as for [`Url::parse`].
    pub fn with_base(&self, base: &Url) -> Result<Url, &'static str> {
        let base = base.without_query().trim_end_matches('/');
        Url::parse(&format!("{base}{}", self.path_and_query()))
    }

    /// The host as an address, where it is one.
    pub fn ip_address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether the host is a loopback address, written as an address.
    pub fn is_loopback(&self) -> bool {
        self.ip_address().is_some_and(|address| address.is_loopback())
    }

    /// Whether the host is a metadata server of Google's or AWS's.
    pub fn is_metadata_server(&self) -> bool {
        const GOOGLE: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
        const AWS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
        self.host == "metadata.google.internal"
            || matches!(self.ip_address(), Some(IpAddr::V4(GOOGLE)) | Some(IpAddr::V6(AWS)))
    }

    /// Whether plain http is acceptable here.
    pub fn allows_plain_http(&self) -> bool {
        self.is_loopback() || self.is_metadata_server()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let after_bracket = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority[after_bracket..].find(':') else {
        return Ok((authority, None));
    };
    let (host, port) = authority.split_at(after_bracket + colon);
    let digits = &port[1..];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("has a port that is not a number");
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err("has a port that does not exist"),
        Ok(port) => Ok((host, Some(port))),
    }
}

fn parse_host(host: &str) -> Result<String, &'static str> {
    if let Some(inside) = host.strip_prefix('[') {
        let inside = inside.strip_suffix(']').ok_or("has a broken IPv6 address")?;
        return match inside.parse::<Ipv6Addr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) => Err("has a broken IPv6 address"),
        };
    }
    let host = host.to_ascii_lowercase();
    if host.is_empty() {
        return Err("has no host");
    }
    if host.len() > 253 {
        return Err("has a host name that is too long");
    }
    let has_valid_chars =
        |label: &str| label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let well_formed = host.split('.').all(|label| {
        (1..=63).contains(&label.len()) && has_valid_chars(label) && !label.starts_with('-') && !label.ends_with('-')
    });
    if !well_formed {
        return Err("has a malformed host name");
    }
    // 0x7f.1, 017700000001 and 2130706433 are loopback to some resolvers and names to others.
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err("has a malformed IPv4 address");
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_urls_are_normalised() {
        for (text, whole, authority) in [
            ("https://A.example", "https://a.example/", "a.example"),
            ("HTTPS://a.example:443/x?y=1", "https://a.example/x?y=1", "a.example"),
            ("http://127.0.0.1:8080/t", "http://127.0.0.1:8080/t", "127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080/", "[::1]:8080"),
            ("https://a.example?x=1", "https://a.example/?x=1", "a.example"),
        ] {
            let url = Url::parse(text).expect(text);
            assert_eq!((url.as_str(), url.authority()), (whole, authority));
        }
    }

    #[test]
    fn a_sibling_has_another_last_path_segment() {
        for (text, sibling, origin) in [
            ("http://127.0.0.1:8080/token", "http://127.0.0.1:8080/revoke", "http://127.0.0.1:8080"),
            ("https://a.example/x/token?y=/z", "https://a.example/x/revoke", "https://a.example"),
            ("https://a.example", "https://a.example/revoke", "https://a.example"),
        ] {
            let url = Url::parse(text).expect(text);
            assert_eq!(url.sibling("revoke").expect(text).as_str(), sibling);
            assert_eq!(url.origin(), origin);
        }
    }

    #[test]
    fn hostile_urls_are_refused() {
        for text in [
            "",
            "a.example/token",
            "ftp://a.example/",
            "file:///etc/passwd",
            "https://",
            "https:///token",
            "https://user@a.example/",
            "https://user:pass@a.example/",
            "https://a.example\\@b.example/",
            "https://a.example/\r\nX: y",
            "https://a.example:0/",
            "https://a.example:65536/",
            "https://a.example:/",
            "https://a.example:+80/",
            "https://ä.example/",
            "https://a..example/",
            "https://.example/",
            "https://-a.example/",
            "https://a.example#@b.example/",
            "https://a b.example/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://127.0.0.1.1/",
            "http://[::1/",
            "http://[::ffff]x/",
            "https://a%2eexample/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
        assert!(Url::parse(&format!("https://a.example/{}", "x".repeat(3000))).is_err());
    }

    #[test]
    fn only_literal_addresses_are_loopback() {
        let plain = |text| Url::parse(text).expect(text).allows_plain_http();
        assert!(plain("http://127.0.0.1/") && plain("http://[::1]:1/") && plain("http://127.8.8.8/"));
        assert!(plain("http://169.254.169.254/") && plain("http://[fd00:ec2::254]/"));
        assert!(plain("http://metadata.google.internal/"));
        assert!(!plain("http://localhost/") && !plain("http://10.0.0.1/"));
        assert!(!plain("http://127.0.0.1.example.com/"));
    }
}
