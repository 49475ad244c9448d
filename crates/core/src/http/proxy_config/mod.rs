//! Which proxy carries a request: gcloud's properties, else the variables curl reads, by the scheme of the URL.
//!
//! Loopback, link-local and metadata addresses are never reached through a proxy: a token for this machine would
//! leave it. `NO_PROXY` is read as curl reads it, with ports and networks on top.

mod no_proxy;

use std::fmt;
use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::http::proxy_config::no_proxy::NoProxyRule;
use crate::net::proxy::{Proxy, ProxyScheme};
use crate::net::url::{Scheme, Url};
use crate::text::secret::Secret;
use crate::world::env;
use crate::world::env::{Env, Variable};

/// gcloud's proxy properties, as they stand.
#[derive(Debug, Clone, Default)]
pub struct GcloudProxyProperties {
    /// `proxy/type`: `http`, `http_no_tunnel`, `socks4` or `socks5`.
    pub kind: Option<String>,
    /// `proxy/address`: a host name or an IP address.
    pub address: Option<String>,
    /// `proxy/port`: a number, as text.
    pub port: Option<String>,
    /// `proxy/username`, for a proxy with authentication.
    pub username: Option<String>,
    /// `proxy/password`, for a proxy with authentication.
    pub password: Option<Secret>,
    /// `proxy/rdns`: false looks names up here.
    pub rdns: Option<String>,
}

/// The proxy settings as they are written; they are parsed when a request needs them.
#[derive(Debug, Clone, Default)]
pub struct ProxyConfig {
    gcloud: Option<Proxy>,
    https: Option<ProxyUrl>,
    http: Option<ProxyUrl>,
    no_proxy: Vec<NoProxyRule>,
}

/// The URL of a proxy, which may hold a password.
#[derive(Clone)]
struct ProxyUrl {
    variable: &'static str,
    url: Zeroizing<String>,
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.variable)
    }
}

impl ProxyConfig {
    /// From gcloud's properties, which win, and the environment.
    ///
    /// # Errors
    /// When gcloud's properties are incomplete or make no sense, or a variable is not text.
    pub fn load(env: &Env, properties: &GcloudProxyProperties) -> Result<ProxyConfig> {
        let either =
            |upper: &'static str, lower: &'static str| first_set(env, &[lower, upper, "all_proxy", "ALL_PROXY"]);
        Ok(ProxyConfig {
            gcloud: gcloud_proxy(properties)?,
            https: either("HTTPS_PROXY", "https_proxy")?,
            // HTTP_PROXY in capitals may be the header `Proxy:` of a request that a web server serves by CGI.
            http: first_set(env, &["http_proxy", "all_proxy", "ALL_PROXY"])?,
            no_proxy: no_proxy::parse_list(&env.any_case(&env::NO_PROXY)?.unwrap_or_default()),
        })
    }

    /// The proxy that carries a request to `url`, if any does.
    ///
    /// # Errors
    /// `Usage`, naming the variable and never its value, when the proxy's URL cannot be understood.
    pub fn proxy_for(&self, url: &Url) -> Result<Option<Proxy>> {
        if is_never_proxied(url) || self.no_proxy.iter().any(|exception| exception.matches(url)) {
            return Ok(None);
        }
        if let Some(proxy) = &self.gcloud {
            return Ok(Some(proxy.clone()));
        }
        let proxy_url = match url.scheme {
            Scheme::Https => &self.https,
            Scheme::Http => &self.http,
        };
        proxy_url.as_ref().map(|setting| parse_proxy_url(setting.variable, &setting.url)).transpose()
    }
}

/// Whether the host is on this machine or this link: requests to these never use a proxy.
pub fn is_never_proxied(url: &Url) -> bool {
    let link_local = match url.ip_address() {
        Some(IpAddr::V4(address)) => address.is_link_local(),
        Some(IpAddr::V6(address)) => address.is_unicast_link_local(),
        None => url.host == "localhost" || url.host.ends_with(".localhost"),
    };
    link_local || url.is_loopback() || url.is_metadata_server()
}

/// The first of these variables that is set.
fn first_set(env: &Env, names: &[&'static str]) -> Result<Option<ProxyUrl>> {
    for name in names {
        if let Some(url) = env.text(&Variable { name, about: "" })? {
            return Ok(Some(ProxyUrl { variable: name, url: Zeroizing::new(url) }));
        }
    }
    Ok(None)
}

/// Reads a proxy's URL: `[scheme://][user[:password]@]host[:port][/]`.
fn parse_proxy_url(variable: &str, text: &str) -> Result<Proxy> {
    let usage_error = |what: &str| {
        Error::usage(format!("{variable} {what}"))
            .hint(format!("export {variable}=http://HOST:PORT, or unset {variable}"))
    };
    let (scheme, rest) = text.trim().split_once("://").unwrap_or(("http", text.trim()));
    let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (ProxyScheme::Http, 80),
        "https" => (ProxyScheme::Https, 443),
        "socks4" => (ProxyScheme::Socks4, 1080),
        "socks4a" => (ProxyScheme::Socks4a, 1080),
        "socks" | "socks5" => (ProxyScheme::Socks5, 1080),
        "socks5h" => (ProxyScheme::Socks5h, 1080),
        _ => {
            return Err(usage_error("has a scheme that is not http, https, socks4, socks4a, socks5 or socks5h"));
        }
    };
    let (user_info, host_port) = match rest.rsplit_once('@') {
        Some((user_info, host_port)) => (Some(user_info), host_port),
        None => (None, rest),
    };
    let host_port = host_port.strip_suffix('/').unwrap_or(host_port);
    if host_port.contains(['/', '?', '#']) {
        return Err(usage_error("has a path, which proxies do not have"));
    }
    let (url, port) = Url::parse_with_port(&format!("http://{host_port}/")).map_err(usage_error)?;
    Ok(Proxy {
        scheme,
        host: url.host,
        port: port.unwrap_or(default_port),
        user_info: user_info
            .map(|user_info| {
                parse_user_info(user_info).ok_or_else(|| usage_error("has a malformed user name or password"))
            })
            .transpose()?,
        origin: variable.to_owned(),
    })
}

/// User name and password, percent-decoded.
fn parse_user_info(text: &str) -> Option<(String, Secret)> {
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8().ok()?;
        (!text.chars().any(char::is_control)).then(|| text.into_owned())
    };
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    Some((decoded(user)?, Secret::new(decoded(password)?)))
}

/// gcloud's proxy: type, address and port, all or none.
fn gcloud_proxy(properties: &GcloudProxyProperties) -> Result<Option<Proxy>> {
    let malformed_error = |what: &str| {
        Error::new(ErrorKind::Malformed, format!("gcloud's proxy properties {what}"))
            .hint("gcloud config unset proxy/type, proxy/address and proxy/port, or set all three")
    };
    let (kind, address, port) = match (&properties.kind, &properties.address, &properties.port) {
        (None, None, None) => return Ok(None),
        (Some(kind), Some(address), Some(port)) => (kind, address, port),
        _ => return Err(malformed_error("are incomplete")),
    };
    let resolve_locally = properties.rdns.as_deref().is_some_and(|rdns| !env::is_true_text(rdns));
    let scheme = match (kind.as_str(), resolve_locally) {
        // Without a tunnel only plain http would differ, which gauth sends to this machine alone.
        ("http" | "http_no_tunnel", _) => ProxyScheme::Http,
        ("socks4", false) => ProxyScheme::Socks4a,
        ("socks4", true) => ProxyScheme::Socks4,
        ("socks5", false) => ProxyScheme::Socks5h,
        ("socks5", true) => ProxyScheme::Socks5,
        _ => {
            return Err(malformed_error("have a type that is not http, http_no_tunnel, socks4 or socks5"));
        }
    };
    let host = if address.contains(':') { format!("[{address}]") } else { address.clone() };
    let url = Url::parse(&format!("http://{host}:{port}/"))
        .map_err(|what| malformed_error(&format!("name an address that {what}")))?;
    let user_info =
        properties.username.clone().map(|user| (user, properties.password.clone().unwrap_or_else(|| Secret::new(""))));
    let origin = "gcloud's proxy/address".to_owned();
    Ok(Some(Proxy { scheme, host: url.host, port: url.port, user_info, origin }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;

    use super::*;

    fn env(variables: &[(&str, &str)]) -> Env {
        let pair = |(name, value): &(&str, &str)| (String::from(*name), OsString::from(*value));
        Env::Fixed(variables.iter().map(pair).collect::<BTreeMap<_, _>>())
    }

    fn chosen(variables: &[(&str, &str)], properties: &GcloudProxyProperties, url: &str) -> Option<String> {
        let proxies = ProxyConfig::load(&env(variables), properties).expect("settings");
        let proxy = proxies.proxy_for(&Url::parse(url).expect(url)).expect("proxy");
        proxy.map(|proxy| format!("{:?} {proxy} by {}", proxy.scheme, proxy.origin))
    }

    #[track_caller]
    fn check(variables: &[(&str, &str)], url: &str, proxy: Option<&str>) {
        assert_eq!(chosen(variables, &GcloudProxyProperties::default(), url).as_deref(), proxy, "{url}");
    }

    #[test]
    fn the_scheme_of_the_url_chooses_the_variable() {
        let url = "https://oauth2.googleapis.com/token";
        let plain = "http://a.example/";
        check(&[], url, None);
        check(&[("HTTPS_PROXY", "http://p:3128")], url, Some("Http p:3128 by HTTPS_PROXY"));
        check(&[("https_proxy", "p:3128")], url, Some("Http p:3128 by https_proxy"));
        check(&[("HTTPS_PROXY", "u"), ("https_proxy", "l")], url, Some("Http l:80 by https_proxy"));
        check(&[("HTTPS_PROXY", "http://p:3128")], plain, None);
        check(&[("http_proxy", "http://p:3128")], plain, Some("Http p:3128 by http_proxy"));
        check(&[("http_proxy", "http://p:3128")], url, None);
        check(&[("HTTP_PROXY", "http://p:3128")], plain, None);
        check(&[("ALL_PROXY", "socks5h://p")], url, Some("Socks5h p:1080 by ALL_PROXY"));
        check(&[("all_proxy", "socks4://p")], plain, Some("Socks4 p:1080 by all_proxy"));
        check(&[("HTTPS_PROXY", "")], url, None);
        check(&[("HTTPS_PROXY", "https://[::2]/")], url, Some("Https [::2]:443 by HTTPS_PROXY"));
    }

    #[test]
    fn this_machine_and_its_link_are_never_proxied() {
        let all = [("ALL_PROXY", "http://p:3128")];
        for host in [
            "http://127.0.0.1:8080/",
            "http://127.9.9.9/",
            "http://[::1]/",
            "http://localhost/",
            "http://a.localhost/",
            "http://169.254.169.254/latest",
            "http://169.254.1.1/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://metadata.google.internal/",
            "https://metadata.google.internal/",
        ] {
            check(&all, host, None);
        }
    }

    #[test]
    fn gclouds_properties_win_over_the_environment() {
        let mut properties = GcloudProxyProperties {
            kind: Some("socks5".to_owned()),
            address: Some("p.corp".to_owned()),
            port: Some("1081".to_owned()),
            ..GcloudProxyProperties::default()
        };
        let variables = [("HTTPS_PROXY", "http://env:1"), ("NO_PROXY", "b.example")];
        let by = |properties: &GcloudProxyProperties, url| chosen(&variables, properties, url);
        let url = "https://a.example/";
        assert_eq!(by(&properties, url).as_deref(), Some("Socks5h p.corp:1081 by gcloud's proxy/address"));
        assert_eq!(by(&properties, "https://b.example/"), None);
        properties.rdns = Some("false".to_owned());
        assert_eq!(by(&properties, url).as_deref(), Some("Socks5 p.corp:1081 by gcloud's proxy/address"));
        properties.kind = Some("http_no_tunnel".to_owned());
        assert_eq!(by(&properties, url).as_deref(), Some("Http p.corp:1081 by gcloud's proxy/address"));
        for (kind, port) in
            [(Some("http"), None), (None, Some("1")), (Some("ftp"), Some("1")), (Some("http"), Some("0"))]
        {
            properties.kind = kind.map(str::to_owned);
            properties.port = port.map(str::to_owned);
            let error = ProxyConfig::load(&env(&[]), &properties).expect_err("incomplete");
            assert_eq!(error.kind(), ErrorKind::Malformed);
        }
    }

    #[test]
    fn a_proxys_login_is_decoded_and_kept_secret() {
        let proxy = parse_proxy_url("HTTPS_PROXY", "http://ada%40corp:p%3A%40ss@p:3128").expect("proxy");
        let (user, password) = proxy.user_info.as_ref().expect("login");
        assert_eq!(user, "ada@corp");
        assert!(password.constant_time_eq(&Secret::new("p:@ss")));
        assert!(!format!("{proxy:?} {proxy}").contains("p:@ss"));
    }

    #[test]
    fn a_bad_proxy_is_named_by_its_variable_and_never_shown() {
        for url in [
            "ftp://ada:hunter2hunter2@p:1",
            "http://ada:hunter2hunter2@",
            "http://ada:hunter2hunter2@p:0",
            "http://ada:hunter2hunter2@p:http",
            "http://ada:hunter2hunter2@p/path",
            "http://ada:hunter2hunter2@a b",
            "http://ada:hunter2hunter2%0d%0a@p",
            "http://ada:hunter2hunter2%ff@p",
        ] {
            let proxies = ProxyConfig::load(&env(&[("https_proxy", url)]), &GcloudProxyProperties::default());
            let target = Url::parse("https://a.example/").expect("url");
            let error = proxies.expect("settings").proxy_for(&target).expect_err(url);
            assert_eq!(error.kind(), ErrorKind::Usage);
            let shown = format!("{error} {:?} {error:?}", error.hint_text());
            assert!(shown.contains("https_proxy") && !shown.contains("hunter2"), "{shown}");
            assert!(!shown.contains("ada"), "{shown}");
        }
    }
}
