//! The redirect URI: a loopback address with a port of this machine (RFC 8252, 7.3), as the client has it registered.

use crate::error::{Error, Result};
use crate::login::client::OAuthClient;
use crate::net::url::{Scheme, Url};

/// A redirect URI with its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectUri {
    /// The redirect URI as it is sent to the server.
    pub uri: String,
    /// The path without the query.
    pub path: String,
    /// The value of the `Host` header that the browser sends.
    pub host: String,
}

/// A redirect URI whose port may still be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectTarget {
    /// `127.0.0.1`, `[::1]` or `localhost`, as in the URI.
    host: String,
    /// The port; `None` for any free port.
    pub port: Option<u16>,
    /// The part from the path on, as it is registered.
    path_and_query: String,
    /// The whole URI, where it does not lead to this machine.
    remote_uri: Option<String>,
}

impl RedirectTarget {
    /// Chooses the redirect URI: that of the user, or else one that the client has registered. `match_host` is true for
    /// servers that compare the host too, which Google does not do for desktop clients (RFC 8252, 7.3 and 8.3).
    ///
    /// # Errors
    /// Usage or malformed, naming flag or file, where no redirect URI leads to this machine or the ports differ.
    pub fn choose(
        client: &OAuthClient,
        redirect_uri: Option<&str>,
        port: Option<u16>,
        match_host: bool,
    ) -> Result<RedirectTarget> {
        let target = match redirect_uri {
            Some(redirect_uri) => RedirectTarget::parse(redirect_uri).map_err(|what| {
                Error::usage(format!("--redirect-uri {what}"))
                    .hint("--redirect-uri http://127.0.0.1:8088/, exactly as it is registered")
            })?,
            None => registered_target(client, match_host)?,
        };
        match (target.port, port) {
            (Some(uri_port), Some(port)) if uri_port != port => {
                Err(Error::usage(format!("--port {port} is not the port of the redirect URI, which is {uri_port}"))
                    .hint("remove --port, or register another redirect URI"))
            }
            (uri_port, port) => Ok(RedirectTarget { port: uri_port.or(port), ..target }),
        }
    }

    /// Reads a redirect URI.
    fn parse(text: &str) -> std::result::Result<RedirectTarget, String> {
        let (url, port) = Url::parse_with_port(text)?;
        let is_local = url.is_loopback() || url.host == "localhost";
        if !is_local || url.scheme != Scheme::Http {
            let (host, rest) = (url.host.clone(), String::new());
            return Ok(RedirectTarget { host, port: None, path_and_query: rest, remote_uri: Some(text.to_owned()) });
        }
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
        Ok(RedirectTarget { host, port, path_and_query: rest[end..].to_owned(), remote_uri: None })
    }

    /// Whether the redirect URI leads to this machine.
    pub fn is_local(&self) -> bool {
        self.remote_uri.is_none()
    }

    /// Whether gauth has to listen on IPv4 and IPv6, because the name `localhost` may resolve to either.
    pub(crate) fn is_localhost(&self) -> bool {
        self.host == "localhost"
    }

    /// Whether the redirect URI has the address `::1`.
    pub(crate) fn is_v6(&self) -> bool {
        self.host == "[::1]"
    }

    /// The redirect URI with this port.
    pub fn with_port(&self, port: u16) -> RedirectUri {
        if let Some(remote_uri) = &self.remote_uri {
            return RedirectUri { uri: remote_uri.clone(), path: String::new(), host: self.host.clone() };
        }
        // Browsers leave port 80 out of `Host`, and the registered URI may have it.
        let host_port = if port == 80 { String::new() } else { format!(":{port}") };
        let uri_port = if self.port == Some(80) { String::from(":80") } else { host_port.clone() };
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        RedirectUri {
            uri: format!("http://{}{uri_port}{}", self.host, self.path_and_query),
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            host: format!("{}{host_port}", self.host),
        }
    }
}

/// The redirect URI that the client file has registered.
fn registered_target(client: &OAuthClient, match_host: bool) -> Result<RedirectTarget> {
    let targets: Vec<RedirectTarget> =
        client.redirect_uris.iter().filter_map(|uri| RedirectTarget::parse(uri).ok()).collect();
    let is_local = |target: &&RedirectTarget| target.is_local();
    let is_bare = |target: &&RedirectTarget| target.port.is_none() && matches!(&*target.path_and_query, "" | "/");
    // A URI with a port or a path is one that the server expects exactly.
    if let Some(registered) = targets.iter().filter(is_local).find(|target| client.is_web || !is_bare(target)) {
        return Ok(registered.clone());
    }
    if client.is_web {
        return Err(Error::malformed(
            &client.location,
            "web.redirect_uris has no http://localhost or http://127.0.0.1, so the browser cannot come back to this machine",
        )
        .hint("create a client of type \"Desktop app\", or add http://localhost:8088/ to this one"));
    }
    let default =
        RedirectTarget { host: "127.0.0.1".to_owned(), port: None, path_and_query: "/".to_owned(), remote_uri: None };
    Ok(match targets.iter().find(is_local) {
        Some(registered) if match_host => RedirectTarget {
            path_and_query: registered.path_and_query.clone(),
            host: registered.host.clone(),
            ..default
        },
        // On the name `localhost` another program could listen on IPv6. Google accepts the address in its place.
        _ => default,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(web: bool, uris: &[&str]) -> OAuthClient {
        let redirect_uris = uris.iter().map(|uri| (*uri).to_owned()).collect();
        OAuthClient {
            id: "c".to_owned(),
            secret: None,
            is_web: web,
            auth_uri: None,
            token_uri: None,
            redirect_uris,
            location: "client.json".to_owned(),
        }
    }

    #[test]
    fn the_registered_redirect_uri_is_used() {
        for (web, uris, exact, uri, host) in [
            (false, &[][..], false, "http://127.0.0.1:9/", "127.0.0.1:9"),
            (false, &["http://localhost"], false, "http://127.0.0.1:9/", "127.0.0.1:9"),
            (false, &["http://localhost"], true, "http://localhost:9", "localhost:9"),
            (false, &["http://localhost/"], true, "http://localhost:9/", "localhost:9"),
            (false, &["http://[::1]/"], true, "http://[::1]:9/", "[::1]:9"),
            (false, &["http://localhost/cb"], false, "http://localhost:9/cb", "localhost:9"),
            (false, &["http://127.0.0.1:7000"], false, "http://127.0.0.1:7000", "127.0.0.1:7000"),
            (true, &["http://localhost:8088/"], false, "http://localhost:8088/", "localhost:8088"),
            (
                true,
                &["https://a.example/", "http://localhost:80/x?y=1"],
                false,
                "http://localhost:80/x?y=1",
                "localhost",
            ),
            (true, &["http://localhost"], false, "http://localhost:9", "localhost:9"),
            (false, &["urn:ietf:wg:oauth:2.0:oob", "http://localhost"], false, "http://127.0.0.1:9/", "127.0.0.1:9"),
        ] {
            let target = RedirectTarget::choose(&client(web, uris), None, None, exact).expect("a target");
            let redirect = target.with_port(target.port.unwrap_or(9));
            assert_eq!((&*redirect.uri, &*redirect.host), (uri, host), "{uris:?}");
            assert!(redirect.path.starts_with('/') && !redirect.path.contains('?'));
        }
    }

    #[test]
    fn the_redirect_uri_can_be_chosen_with_a_flag() {
        let choose = |named: &str, port| RedirectTarget::choose(&client(false, &[]), Some(named), port, false);
        let named = choose("http://localhost:8088/cb", None).expect("a target");
        assert!(named.is_local() && named.is_localhost() && named.port == Some(8088));
        assert_eq!(choose("http://127.0.0.1/", Some(7)).expect("a target").port, Some(7));
        let away = choose("https://a.example/cb", None).expect("a target");
        assert!(!away.is_local());
        assert_eq!(away.with_port(1).uri, "https://a.example/cb");
        for (named, port, what) in [
            ("nonsense", None, "not an absolute URL"),
            ("http://127.0.0.1:8088/#x", None, "fragment"),
            ("http://localhost:8088/", Some(9), "--port 9"),
        ] {
            let error = choose(named, port).expect_err(named);
            assert!(error.message().contains(what), "{named}: {error}");
        }
        let web = RedirectTarget::choose(&client(true, &["https://a.example/"]), None, None, false);
        assert!(web.expect_err("nowhere to come back to").message().contains("client.json: web"));
    }
}
