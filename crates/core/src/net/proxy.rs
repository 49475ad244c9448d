//! A proxy: what it is called, where it is, and how it is spoken to.

use std::fmt;

use crate::text::secret::Secret;

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyScheme {
    /// An HTTP proxy that opens tunnels with `CONNECT`.
    Http,
    /// The same inside TLS.
    Https,
    /// SOCKS 4: names are looked up here.
    Socks4,
    /// SOCKS 4a: the proxy looks names up.
    Socks4a,
    /// SOCKS 5: names are looked up here.
    Socks5,
    /// SOCKS 5: the proxy looks names up.
    Socks5h,
}

/// A proxy that carries requests, from a variable or gcloud's properties.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// How it is spoken to.
    pub scheme: ProxyScheme,
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// The port that was named, else the usual one of the scheme.
    pub port: u16,
    /// User name and password.
    pub user_info: Option<(String, Secret)>,
    /// The variable or property that named it, for errors.
    pub origin: String,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}
