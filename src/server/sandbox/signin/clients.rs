//! The programs that may ask people to sign in, and where they may get the answer.

use crate::secret::Secret;
use crate::server::sandbox::State;
use crate::server::sandbox::cast::{
    CLIENT_ID, CONFIDENTIAL_CLIENT_ID, DEVICE_CLIENT_ID, PUBLIC_CLIENT_ID, WEB_CLIENT_ID,
    WEB_REDIRECT_URI,
};
use crate::server::sandbox::guest::Guest;
use crate::server::sandbox::ledger::Door;
use crate::url::{Scheme, Url};

/// Where answers may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Redirects {
    /// To any port and path of this machine (RFC 8252, 7.3).
    Loopback,
    /// To this address only.
    Exactly(&'static str),
    /// Nowhere: it has no browser.
    Nowhere,
}

/// An OAuth client.
pub(in crate::server::sandbox) struct Client<'a> {
    /// A public one has none.
    pub(in crate::server::sandbox) secret: Option<&'a Secret>,
    redirects: Redirects,
    /// Whether it may use the device flow.
    pub(super) is_device: bool,
}

impl Client<'_> {
    /// Whether an answer may go there.
    pub(super) fn may_redirect_to(&self, uri: &str) -> bool {
        match self.redirects {
            Redirects::Loopback => is_loopback(uri),
            Redirects::Exactly(registered) => uri == registered,
            Redirects::Nowhere => false,
        }
    }
}

/// The client of this name that a door knows. Google's two doors know the same ones.
pub(in crate::server::sandbox) fn find<'a>(
    state: &'a State,
    door: Door,
    id: &str,
) -> Option<Client<'a>> {
    let cast = &state.cast;
    let client = |secret, redirects, is_device| Some(Client { secret, redirects, is_device });
    match (door, id) {
        (Door::Outside, PUBLIC_CLIENT_ID) => client(None, Redirects::Loopback, true),
        (Door::Outside, CONFIDENTIAL_CLIENT_ID) => {
            client(Some(&cast.outside.client_secret), Redirects::Loopback, true)
        }
        (Door::Outside, _) => None,
        (_, CLIENT_ID) => client(Some(&cast.client_secret), Redirects::Loopback, false),
        (_, WEB_CLIENT_ID) => {
            client(Some(&cast.web_client_secret), Redirects::Exactly(WEB_REDIRECT_URI), false)
        }
        (_, DEVICE_CLIENT_ID) => client(Some(&cast.device_client_secret), Redirects::Nowhere, true),
        (_, id) => {
            let secret = state.guests.iter().find_map(|guest| match guest {
                Guest::User { client_id, client_secret, .. }
                | Guest::WorkforceUser { client_id, client_secret, .. }
                    if client_id == id =>
                {
                    Some(client_secret)
                }
                _ => None,
            })?;
            client(Some(secret), Redirects::Loopback, false)
        }
    }
}

fn is_loopback(uri: &str) -> bool {
    let Ok(url) = Url::parse(uri) else { return false };
    let here = ["127.0.0.1", "::1", "localhost"].contains(&url.host.as_str());
    url.scheme == Scheme::Http && here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_to_this_machine_only() {
        for uri in [
            "http://127.0.0.1:1234/",
            "http://127.0.0.1:1234/a/b?c=d",
            "http://localhost",
            "http://[::1]:9/",
        ] {
            assert!(is_loopback(uri), "{uri}");
        }
        for uri in [
            "https://127.0.0.1/",
            "http://127.0.0.1.example/",
            "http://localhost.example/",
            "http://127.0.0.2/",
            "http://a@127.0.0.1/",
            "http://127.0.0.1/#x",
            "urn:ietf:wg:oauth:2.0:oob",
            "",
        ] {
            assert!(!is_loopback(uri), "{uri}");
        }
    }
}
