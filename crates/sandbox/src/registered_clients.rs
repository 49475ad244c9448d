//! The registered OAuth clients, and their redirect URIs.

use crate::admitted::AdmittedCredential;
use crate::fixtures::{
    CLIENT_ID, CONFIDENTIAL_CLIENT_ID, DEVICE_CLIENT_ID, PUBLIC_CLIENT_ID, WEB_CLIENT_ID, WEB_REDIRECT_URI,
};
use crate::state::SandboxState;
use crate::token_store::Issuer;
use gauth_core::net::url::{Scheme, Url};
use gauth_core::text::secret::Secret;

/// The redirect URIs that a client may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AllowedRedirects {
    /// Any port and path on loopback (RFC 8252, 7.3).
    AnyLoopback,
    /// Only exactly this URI.
    Exact(&'static str),
    /// None, because the client has no browser.
    Unsupported,
}

/// A registered OAuth client.
pub(crate) struct RegisteredClient<'a> {
    /// The client secret; a public client has none.
    pub(crate) secret: Option<&'a Secret>,
    allowed_redirects: AllowedRedirects,
    /// Whether the client may use the device authorization grant.
    pub(crate) can_use_device_flow: bool,
}

impl RegisteredClient<'_> {
    /// Whether the client may use this redirect URI.
    pub(crate) fn can_redirect_to(&self, uri: &str) -> bool {
        match self.allowed_redirects {
            AllowedRedirects::AnyLoopback => is_loopback_redirect(uri),
            AllowedRedirects::Exact(registered) => uri == registered,
            AllowedRedirects::Unsupported => false,
        }
    }
}

/// Finds a client of this issuer. Google and the workforce pool have the same clients.
pub(crate) fn find_client<'a>(state: &'a SandboxState, issuer: Issuer, id: &str) -> Option<RegisteredClient<'a>> {
    let fixtures = &state.fixtures;
    let client = |secret, allowed_redirects, can_use_device_flow| {
        Some(RegisteredClient { secret, allowed_redirects, can_use_device_flow })
    };
    match (issuer, id) {
        (Issuer::External, PUBLIC_CLIENT_ID) => client(None, AllowedRedirects::AnyLoopback, true),
        (Issuer::External, CONFIDENTIAL_CLIENT_ID) => {
            client(Some(&fixtures.external.client_secret), AllowedRedirects::AnyLoopback, true)
        }
        (Issuer::External, _) => None,
        (_, CLIENT_ID) => client(Some(&fixtures.client_secret), AllowedRedirects::AnyLoopback, false),
        (_, WEB_CLIENT_ID) => {
            client(Some(&fixtures.web_client_secret), AllowedRedirects::Exact(WEB_REDIRECT_URI), false)
        }
        (_, DEVICE_CLIENT_ID) => client(Some(&fixtures.device_client_secret), AllowedRedirects::Unsupported, true),
        (_, id) => {
            let secret = state.admitted.iter().find_map(|credential| match credential {
                AdmittedCredential::User { client_id, client_secret, .. }
                | AdmittedCredential::WorkforceUser { client_id, client_secret, .. }
                    if client_id == id =>
                {
                    Some(client_secret)
                }
                _ => None,
            })?;
            client(Some(secret), AllowedRedirects::AnyLoopback, false)
        }
    }
}

fn is_loopback_redirect(uri: &str) -> bool {
    let Ok(url) = Url::parse(uri) else { return false };
    let is_local_host = ["127.0.0.1", "::1", "localhost"].contains(&url.host.as_str());
    url.scheme == Scheme::Http && is_local_host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_redirect_uris_are_allowed() {
        for uri in ["http://127.0.0.1:1234/", "http://127.0.0.1:1234/a/b?c=d", "http://localhost", "http://[::1]:9/"] {
            assert!(is_loopback_redirect(uri), "{uri}");
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
            assert!(!is_loopback_redirect(uri), "{uri}");
        }
    }
}
