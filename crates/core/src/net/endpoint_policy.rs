//! Which endpoints a credential file may send us to. A file never widens its own list.

use crate::error::{Error, Result};
use crate::net::url::{Scheme, Url};
use crate::text::printable;

/// What an endpoint is for, and so who may be behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointKind {
    /// Gets assertions and refresh tokens.
    OAuthToken,
    /// The Security Token Service, which receives subject tokens.
    Sts,
    /// Gets access tokens, to make others of them (IAM Service Account Credentials).
    IamCredentials,
    /// Gives keys of AWS to its own machines.
    AwsMetadata,
    /// AWS's STS, which a signed request is made for.
    AwsSts,
    /// Gives subject tokens: any host may.
    SubjectToken,
    /// Proves itself with a certificate that the credential names (GDCH).
    CustomCa,
}

/// Hosts that get assertions and refresh tokens.
const OAUTH_HOSTS: &[&str] =
    &["oauth2.googleapis.com", "oauth2.mtls.googleapis.com", "accounts.google.com", "www.googleapis.com"];

/// Google's STS below a universe's domain: global, mutual TLS, by region, by private endpoint. `*` is any part of
/// one label.
const STS_HOST_PATTERNS: &[&str] = &[
    "sts",
    "sts.mtls",
    "sts.*",
    "sts.*.mtls",
    "sts.*.rep",
    "sts.*.rep.mtls",
    "*.sts",
    "*.sts.mtls",
    "*-sts",
    "*-sts.mtls",
    "sts-*.p",
    "sts-*.p.mtls",
];

/// The same for IAM Service Account Credentials.
const IAM_CREDENTIALS_HOST_PATTERNS: &[&str] = &[
    "iamcredentials",
    "iamcredentials.*",
    "iamcredentials.*.rep",
    "*.iamcredentials",
    "*-iamcredentials",
    "iamcredentials-*.p",
];

/// Cloud Storage: the label before these names is a user's bucket, perhaps one called `sts`.
const STORAGE_HOST_LABELS: &[&str] = &["storage", "commondatastorage"];

/// AWS's STS: global, by region, for federal standards, and in China.
const AWS_STS_HOST_PATTERNS: &[&str] = &[
    "sts.amazonaws.com",
    "sts.*.amazonaws.com",
    "sts-fips.*.amazonaws.com",
    "sts.*.api.aws",
    "sts.*.amazonaws.com.cn",
];

/// The address of AWS's metadata server, and the other one.
const AWS_METADATA_ADDRESSES: &[&str] = &["169.254.169.254", "fd00:ec2::254"];

/// The universe of a credential that names none.
pub const DEFAULT_UNIVERSE: &str = "googleapis.com";

/// What decides whether an endpoint in a credential is acceptable.
#[derive(Debug, Clone, Copy)]
pub struct EndpointPolicy<'a> {
    /// The file or variable that names it, for errors.
    pub location: &'a str,
    /// Hosts the user allowed (`--allow-token-host`).
    pub allowed_hosts: &'a [String],
    /// The universe the user chose.
    pub trusted_universe: Option<&'a str>,
    /// The universe the credential claims to be of; it is shown in a hint and not trusted.
    pub claimed_universe: Option<&'a str>,
}

impl EndpointPolicy<'_> {
    /// Checks the endpoint a credential names in `field`.
    ///
    /// # Errors
    /// Malformed for what is no URL; unsafe, naming the way out, for a host that is neither the right one, nor a
    /// loopback address, nor allowed.
    pub fn check_endpoint(&self, kind: EndpointKind, field: &str, text: &str) -> Result<Url> {
        let location = self.location;
        let url = Url::parse(text).map_err(|what| {
            Error::malformed(location, format!("{field} {what}"))
                .hint("download or make the credential again, or mend the field")
        })?;
        if url.is_loopback() || self.is_allowed(kind, &url) {
            return Ok(url);
        }
        let host = printable::text(url.authority());
        if kind == EndpointKind::AwsMetadata {
            let message = format!("{location}: {field} names {host}, which is not AWS's");
            return Err(Error::not_safe(message).hint(format!(
                "AWS's metadata server is http://{} and http://[{}]",
                AWS_METADATA_ADDRESSES[0], AWS_METADATA_ADDRESSES[1]
            )));
        }
        if url.scheme == Scheme::Http {
            let message = format!("{location}: {field} sends secrets to {host} without TLS");
            return Err(Error::not_safe(message).hint(format!("use https in {field}")));
        }
        let owner = match kind {
            EndpointKind::AwsSts => "AWS's",
            _ => "Google's",
        };
        let error = Error::not_safe(format!("{location}: {field} names {host}, which is not {owner}"));
        let claimed = self.claimed_universe.filter(|domain| is_universe_host(kind, &url, domain));
        Err(match claimed {
            Some(domain) => error.hint(format!("--universe-domain {domain} if you trust that universe")),
            None => error.hint(format!("--allow-token-host {} if you trust it with this credential", url.host)),
        })
    }

    fn is_allowed(&self, kind: EndpointKind, url: &Url) -> bool {
        let host = url.host.as_str();
        match (kind, url.scheme) {
            (EndpointKind::AwsMetadata, _) => AWS_METADATA_ADDRESSES.contains(&host),
            (EndpointKind::SubjectToken, Scheme::Http) => url.allows_plain_http(),
            (EndpointKind::SubjectToken | EndpointKind::CustomCa, Scheme::Https) => true,
            (_, Scheme::Http) => false,
            (_, Scheme::Https) => {
                self.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
                    || is_universe_host(kind, url, DEFAULT_UNIVERSE)
                    || self.trusted_universe.is_some_and(|domain| is_universe_host(kind, url, domain))
            }
        }
    }
}

/// Whether this is the service's host in a universe.
fn is_universe_host(kind: EndpointKind, url: &Url, domain: &str) -> bool {
    let host = url.host.as_str();
    let subdomain = host.strip_suffix(domain).and_then(|host| host.strip_suffix('.'));
    let matches_any = |patterns: &[&str], host: &str| {
        patterns.iter().any(|pattern| matches_pattern(pattern, host))
            && !host.split('.').any(|label| STORAGE_HOST_LABELS.iter().any(|own| label.starts_with(own)))
    };
    let known = match kind {
        EndpointKind::OAuthToken => OAUTH_HOSTS.contains(&host),
        EndpointKind::Sts => subdomain.is_some_and(|host| matches_any(STS_HOST_PATTERNS, host)),
        EndpointKind::IamCredentials => subdomain.is_some_and(|host| matches_any(IAM_CREDENTIALS_HOST_PATTERNS, host)),
        EndpointKind::AwsSts => matches_any(AWS_STS_HOST_PATTERNS, host),
        EndpointKind::AwsMetadata | EndpointKind::SubjectToken | EndpointKind::CustomCa => false,
    };
    known && url.scheme == Scheme::Https && url.port == 443
}

/// Whether a name fits a pattern label by label.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    let (pattern_labels, labels) = (pattern.split('.'), name.split('.'));
    pattern_labels.clone().count() == labels.clone().count()
        && pattern_labels.zip(labels).all(|(wanted, label)| match wanted.split_once('*') {
            None => wanted == label,
            Some((before, after)) => {
                label.len() > before.len() + after.len() && label.starts_with(before) && label.ends_with(after)
            }
        })
}

/// Whether this is one of Google's own token endpoints.
pub fn is_google_token_endpoint(token_endpoint: &Url) -> bool {
    is_universe_host(EndpointKind::OAuthToken, token_endpoint, DEFAULT_UNIVERSE)
}

/// Hosts besides `*.googleapis.com` that take access tokens; a dot in front: and all below.
const API_HOSTS: &[&str] = &[
    ".pkg.dev",
    "gcr.io",
    ".gcr.io",
    ".googlesource.com",
    "source.developers.google.com",
    ".gke.goog",
    "accounts.google.com",
];

/// Whether an access token may go there: a Google API, or one of a universe.
pub fn may_receive_access_token(url: &Url, universe: &str) -> bool {
    let is_below = |domain: &str| {
        let host = url.host.strip_suffix(domain).and_then(|host| host.strip_suffix('.'));
        host.is_some_and(|host| !host.is_empty())
    };
    let known = is_below(DEFAULT_UNIVERSE)
        || is_below(universe)
        || API_HOSTS.iter().any(|api| match api.strip_prefix('.') {
            Some(domain) => is_below(domain),
            None => url.host == *api,
        });
    known && url.scheme == Scheme::Https && url.port == 443 && !is_serverless_host(&url.host)
}

/// Whether any user can have a service at such a host: it gets ID tokens, never an access token.
pub fn is_serverless_host(host: &str) -> bool {
    ["run.app", "cloudfunctions.net"]
        .iter()
        .any(|domain| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// Checks a base URL the user set in a variable or property: any https host, or a loopback address.
///
/// # Errors
/// Usage for what is no URL, unsafe for plain http to anywhere else.
pub fn check_endpoint_override(text: &str, origin: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|what| {
        Error::usage(format!("{origin} {what}")).hint(format!("unset {origin}, or set an https URL"))
    })?;
    if url.scheme == Scheme::Http && !url.is_loopback() {
        let host = printable::text(url.authority());
        return Err(Error::not_safe(format!("{origin} sends secrets to {host} without TLS"))
            .hint(format!("use https in {origin}")));
    }
    Ok(url)
}

/// Checks a host as `--allow-token-host` and `--allow-host` take it: a name or an address, nothing else.
///
/// # Errors
/// Usage, naming the option or variable.
pub fn check_host(text: &str, origin: &str) -> Result<String> {
    match Url::parse(&format!("https://{text}/")) {
        Ok(url) if url.path_and_query() == "/" && url.port == 443 => Ok(url.host),
        _ => Err(Error::usage(format!("{origin}: {} is not a host", printable::quoted_argument(text, "the value")))
            .hint("give a bare host name, as in sts.example.com")),
    }
}

/// Checks a universe domain: a host name with a dot.
///
/// # Errors
/// What is wrong, as the end of a sentence.
pub fn check_universe_domain(text: &str) -> std::result::Result<(), &'static str> {
    match Url::parse(&format!("https://{text}/")) {
        Ok(url) if url.host == text && text.contains('.') && url.ip_address().is_none() => Ok(()),
        _ => Err("is not a domain name in lower case"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn check_as(kind: EndpointKind, text: &str) -> std::result::Result<(), ErrorKind> {
        let allowed = ["sts.example.com".to_owned()];
        let policy = EndpointPolicy {
            location: "key.json",
            allowed_hosts: &allowed,
            trusted_universe: None,
            claimed_universe: None,
        };
        policy.check_endpoint(kind, "token_uri", text).map(drop).map_err(|error| error.kind())
    }

    fn check(text: &str) -> std::result::Result<(), ErrorKind> {
        check_as(EndpointKind::OAuthToken, text)
    }

    #[test]
    fn googles_hosts_and_loopback_addresses_are_trusted() {
        for text in [
            "https://oauth2.googleapis.com/token",
            "https://accounts.google.com/o/oauth2/token",
            "https://www.googleapis.com/oauth2/v4/token",
            "https://oauth2.mtls.googleapis.com/token",
            "http://127.0.0.1:8080/token",
            "http://[::1]:8080/token",
            "https://sts.example.com/token",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (text, kind) in [
            ("https://evil.example/token", ErrorKind::Unsafe),
            ("https://oauth2.googleapis.com.evil.example/", ErrorKind::Unsafe),
            ("https://oauth2.googleapis.com:8443/token", ErrorKind::Unsafe),
            ("http://oauth2.googleapis.com/token", ErrorKind::Unsafe),
            ("http://sts.example.com/token", ErrorKind::Unsafe),
            ("http://localhost/token", ErrorKind::Unsafe),
            ("https://storage.googleapis.com/token", ErrorKind::Unsafe),
            ("https://169.254.169.254/", ErrorKind::Unsafe),
            ("http://169.254.169.254/", ErrorKind::Unsafe),
            ("https://oauth2.googleapis.com@evil.example/", ErrorKind::Malformed),
            ("ftp://oauth2.googleapis.com/", ErrorKind::Malformed),
            ("oauth2.googleapis.com/token", ErrorKind::Malformed),
        ] {
            assert_eq!(check(text), Err(kind), "{text}");
        }
    }

    #[test]
    fn a_universe_counts_when_the_user_chose_it() {
        let sts = "https://sts.u.example/v1/token";
        let policy = |chosen| EndpointPolicy {
            location: "key.json",
            allowed_hosts: &[],
            trusted_universe: chosen,
            claimed_universe: Some("u.example"),
        };
        assert!(policy(Some("u.example")).check_endpoint(EndpointKind::Sts, "token_url", sts).is_ok());
        let error = policy(None).check_endpoint(EndpointKind::Sts, "token_url", sts).expect_err("unconfirmed");
        assert_eq!(error.hint_text(), Some("--universe-domain u.example if you trust that universe"));
    }

    #[test]
    fn a_star_stands_for_a_part_of_one_label() {
        assert!(matches_pattern("sts.*.rep", "sts.us-east1.rep") && matches_pattern("*-sts", "us-east1-sts"));
        assert!(!matches_pattern("sts.*.rep", "sts.a.b.rep") && !matches_pattern("*-sts", "-sts"));
        assert!(
            !matches_pattern("sts.*", "sts.")
                && !matches_pattern("sts", "stsx")
                && !matches_pattern("sts-*.p", "sts-.p")
        );
    }

    #[test]
    fn a_universe_is_a_domain() {
        assert!(check_universe_domain("googleapis.com").is_ok() && check_universe_domain("u.example").is_ok());
        for bad in ["", "com", "U.example", "u.example/x", "u.example:1", "127.0.0.1", "a b.c", "a@b.c"] {
            assert!(check_universe_domain(bad).is_err(), "{bad}");
        }
    }
}
