//! Where the browser comes back to: a port of this machine, at the address the client is registered with.

use crate::error::{Error, Result};
use crate::login::client::OAuthClient;
use crate::net::url::{Scheme, Url};

/// A redirect URI, and where to listen for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectUri {
    /// As it is sent, port and all.
    pub uri: String,
    /// Path, without a query.
    pub path: String,
    /// The name it is asked for by, as `Host` has it.
    pub host: String,
}

/// What is known before a port is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectTarget {
    /// `127.0.0.1`, `[::1]` or `localhost`, as it stands in the URI.
    host: String,
    /// `None`: any that is free.
    pub port: Option<u16>,
    /// From the path on, as it is registered.
    path_and_query: String,
    /// The whole, where it does not lead to this machine.
    remote_uri: Option<String>,
}

impl RedirectTarget {
    /// Chooses: what the user says, or what the client is registered with. `exact` says that the server compares
    /// even the name of the host, as Google does not for programs (RFC 8252, 7.3 and 8.3).
    ///
    /// # Errors
    /// Usage or malformed, naming flag or file, where nothing leads to this machine or two ports are named.
    pub fn choose(
        client: &OAuthClient,
        redirect_uri: Option<&str>,
        port: Option<u16>,
        match_host: bool,
    ) -> Result<RedirectTarget> {
        let target = match redirect_uri {
            Some(redirect_uri) => RedirectTarget::parse(redirect_uri).map_err(|what| {
                Error::usage(format!("--redirect-uri {what}"))
                    .hint("--redirect-uri http://127.0.0.1:8088/, as it is registered")
            })?,
            None => registered_target(client, match_host)?,
        };
        match (target.port, port) {
            (Some(uri_port), Some(port)) if uri_port != port => Err(Error::usage(format!(
                "--port {port} is not the port of the redirect URI, which is {uri_port}"
            ))
            .hint("leave --port away, or register another redirect URI")),
            (uri_port, port) => Ok(RedirectTarget { port: uri_port.or(port), ..target }),
        }
    }

    /// Reads a redirect URI.
    fn parse(text: &str) -> std::result::Result<RedirectTarget, String> {
        let url = Url::parse(text)?;
        let is_local = url.is_loopback() || url.host == "localhost";
        if !is_local || url.scheme != Scheme::Http {
            let (host, rest) = (url.host.clone(), String::new());
            return Ok(RedirectTarget {
                host,
                port: None,
                path_and_query: rest,
                remote_uri: Some(text.to_owned()),
            });
        }
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let has_port = authority.rsplit(']').next().is_some_and(|after| after.contains(':'));
        let host =
            if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
        Ok(RedirectTarget {
            host,
            port: has_port.then_some(url.port),
            path_and_query: rest.to_owned(),
            remote_uri: None,
        })
    }

    /// Whether it leads to this machine.
    pub fn is_local(&self) -> bool {
        self.remote_uri.is_none()
    }

    /// Whether both addresses of this machine have to be listened on: a name may lead to either.
    pub fn is_localhost(&self) -> bool {
        self.host == "localhost"
    }

    /// Whether it leads to the address `::1`.
    pub fn is_v6(&self) -> bool {
        self.host == "[::1]"
    }

    /// The redirect URI with this port.
    pub fn with_port(&self, port: u16) -> RedirectUri {
        if let Some(remote_uri) = &self.remote_uri {
            return RedirectUri {
                uri: remote_uri.clone(),
                path: String::new(),
                host: self.host.clone(),
            };
        }
        // Port 80 is not written by browsers, and may be in the registered URI.
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

/// What the client's file says.
fn registered_target(client: &OAuthClient, match_host: bool) -> Result<RedirectTarget> {
    let targets: Vec<RedirectTarget> =
        client.redirect_uris.iter().filter_map(|uri| RedirectTarget::parse(uri).ok()).collect();
    let is_local = |target: &&RedirectTarget| target.is_local();
    let is_bare = |target: &&RedirectTarget| {
        target.port.is_none() && matches!(&*target.path_and_query, "" | "/")
    };
    // One with a port or a path of its own was registered on purpose.
    if let Some(registered) =
        targets.iter().filter(is_local).find(|target| client.is_web || !is_bare(target))
    {
        return Ok(registered.clone());
    }
    if client.is_web {
        return Err(Error::malformed(
            &client.location,
            "web.redirect_uris has no http://localhost or http://127.0.0.1, so no browser can come back here",
        )
        .hint("make a client of type \"Desktop app\", or add http://localhost:8088/ to this one"));
    }
    let default = RedirectTarget {
        host: "127.0.0.1".to_owned(),
        port: None,
        path_and_query: "/".to_owned(),
        remote_uri: None,
    };
    Ok(match targets.iter().find(is_local) {
        Some(registered) if match_host => RedirectTarget {
            path_and_query: registered.path_and_query.clone(),
            host: registered.host.clone(),
            ..default
        },
        // The name may be somebody else's on the other stack; Google takes the address for it.
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
    fn a_browser_comes_back_to_what_is_registered() {
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
            (
                false,
                &["urn:ietf:wg:oauth:2.0:oob", "http://localhost"],
                false,
                "http://127.0.0.1:9/",
                "127.0.0.1:9",
            ),
        ] {
            let target =
                RedirectTarget::choose(&client(web, uris), None, None, exact).expect("a target");
            let redirect = target.with_port(target.port.unwrap_or(9));
            assert_eq!((&*redirect.uri, &*redirect.host), (uri, host), "{uris:?}");
            assert!(redirect.path.starts_with('/') && !redirect.path.contains('?'));
        }
    }

    #[test]
    fn a_redirect_uri_can_be_named() {
        let choose = |named: &str, port| {
            RedirectTarget::choose(&client(false, &[]), Some(named), port, false)
        };
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
