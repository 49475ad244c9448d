//! Client authentication at token, revocation and introspection endpoints (RFC 6749, 2.3): which methods there are, and
//! what each adds to a request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::net::message::{FormValue, HttpRequest};
use crate::text::secret::Secret;

/// The longest id or secret of an OAuth client, in bytes.
const MAX_CLIENT_FIELD_BYTES: usize = 2048;

/// How a client authenticates: the methods of RFC 6749, 2.3.1, OpenID Connect Core, 9 and RFC 8705, 2.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// Not at all: a public client only says its `client_id`, among the fields.
    #[default]
    None,
    /// `Authorization: Basic`, id and secret form-encoded first, as RFC 6749, 2.3.1 has it for everybody.
    ClientSecretBasic,
    /// The same without that encoding, as Google's STS reads it.
    ClientSecretBasicUnencoded,
    /// `client_id` and `client_secret` among the fields.
    ClientSecretPost,
    /// With the certificate of the TLS connection (RFC 8705, 2.1 and 2.2); `client_id` is among the fields.
    TlsClientAuth,
}

impl ClientAuthentication {
    /// As servers' metadata and registrations name it (RFC 8414, `token_endpoint_auth_methods_supported`).
    pub fn name(self) -> &'static str {
        match self {
            ClientAuthentication::None => "none",
            ClientAuthentication::ClientSecretBasic
            | ClientAuthentication::ClientSecretBasicUnencoded => "client_secret_basic",
            ClientAuthentication::ClientSecretPost => "client_secret_post",
            ClientAuthentication::TlsClientAuth => "tls_client_auth",
        }
    }
}

/// A client as it authenticates in one request.
#[derive(Debug, Clone, Copy)]
pub struct ClientCredentials<'a> {
    id: &'a str,
    secret: Option<&'a Secret>,
    authentication: ClientAuthentication,
}

impl<'a> ClientCredentials<'a> {
    /// A client with its secret, if it has one: without, it can only say its id.
    pub fn new(
        id: &'a str,
        secret: Option<&'a Secret>,
        authentication: ClientAuthentication,
    ) -> ClientCredentials<'a> {
        ClientCredentials { id, secret, authentication }
    }

    /// A client that only says its id.
    pub fn public(id: &'a str) -> ClientCredentials<'a> {
        ClientCredentials::new(id, None, ClientAuthentication::None)
    }

    /// A client of Google's STS, which reads `Authorization: Basic` in a way of its own.
    pub fn for_google_sts(id: &'a str, secret: &'a Secret) -> ClientCredentials<'a> {
        let authentication = ClientAuthentication::ClientSecretBasicUnencoded;
        ClientCredentials::new(id, Some(secret), authentication)
    }

    /// The client's part of a form.
    pub(super) fn form_fields(self) -> impl Iterator<Item = (&'static str, FormValue<'a>)> {
        let (id, secret) = match (self.authentication, self.secret) {
            (
                ClientAuthentication::ClientSecretBasic
                | ClientAuthentication::ClientSecretBasicUnencoded,
                Some(_),
            ) => (None, None),
            (ClientAuthentication::ClientSecretPost, Some(secret)) => (Some(self.id), Some(secret)),
            (ClientAuthentication::None | ClientAuthentication::TlsClientAuth, _) | (_, None) => {
                (Some(self.id), None)
            }
        };
        let id = id.map(|id| ("client_id", id.into()));
        id.into_iter().chain(secret.map(|secret| ("client_secret", secret.into())))
    }

    /// A request with the client's part of its head.
    pub(super) fn add_header(self, request: HttpRequest) -> HttpRequest {
        let Some(secret) = self.secret else { return request };
        match self.authentication {
            ClientAuthentication::ClientSecretBasicUnencoded => {
                request.secret_header("authorization", basic_authorization(self.id, secret))
            }
            ClientAuthentication::ClientSecretBasic => {
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let header = basic_authorization(&encoded(self.id), &secret.map(encoded));
                request.secret_header("authorization", header)
            }
            ClientAuthentication::None
            | ClientAuthentication::ClientSecretPost
            | ClientAuthentication::TlsClientAuth => request,
        }
    }
}

/// `Basic` and the pair in base64, the standard alphabet with padding (RFC 7617).
fn basic_authorization(id: &str, secret: &Secret) -> Secret {
    secret.map(|secret| {
        let pair = Zeroizing::new(format!("{id}:{secret}"));
        format!("Basic {}", STANDARD.encode(pair.as_bytes()))
    })
}

/// Whether a client's id and secret fit into a header together (RFC 7617, 2).
///
/// # Errors
/// What is wrong with them, naming the field.
pub fn check_client_credentials(id: &str, secret: &str) -> std::result::Result<(), String> {
    if id.contains(':') {
        return Err("client_id has a colon".to_owned());
    }
    for (name, text) in [("client_id", id), ("client_secret", secret)] {
        if text.chars().any(char::is_control) {
            return Err(format!("{name} has a control character"));
        }
        if text.len() > MAX_CLIENT_FIELD_BYTES {
            return Err(format!("{name} is longer than {MAX_CLIENT_FIELD_BYTES} bytes"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::message::HttpHeaderValue;
    use crate::net::url::Url;

    /// The fields and the header that a client adds.
    fn parts(
        client: ClientCredentials<'_>,
    ) -> (Vec<(&'static str, FormValue<'_>)>, Option<String>) {
        let url = Url::parse("https://as.example.com/token").expect("url");
        let request = client.add_header(HttpRequest::form(url, &[("a", "b")]));
        let header = request.headers.iter().find(|(name, _)| name == "authorization");
        let header = header.map(|(_, value)| match value {
            HttpHeaderValue::Secret(sent) => sent.expose().to_owned(),
            HttpHeaderValue::Plain(_) => "not secret".to_owned(),
        });
        (client.form_fields().collect(), header)
    }

    #[test]
    fn every_method_adds_its_part() {
        let secret = Secret::new("a+b c%:");
        let basic = |pair: &str| Some(format!("Basic {}", STANDARD.encode(pair)));
        let id = ("client_id", FormValue::from("c:d"));
        for (method, fields, header) in [
            (ClientAuthentication::None, vec![id], None),
            (ClientAuthentication::TlsClientAuth, vec![id], None),
            (
                ClientAuthentication::ClientSecretPost,
                vec![id, ("client_secret", "a+b c%:".into())],
                None,
            ),
            (ClientAuthentication::ClientSecretBasicUnencoded, vec![], basic("c:d:a+b c%:")),
            (ClientAuthentication::ClientSecretBasic, vec![], basic("c%3Ad:a%2Bb+c%25%3A")),
        ] {
            let client = ClientCredentials::new("c:d", Some(&secret), method);
            assert_eq!(parts(client), (fields, header), "{method:?}");
            let public = ClientCredentials::new("c:d", None, method);
            assert_eq!(parts(public), (vec![id], None), "{method:?} without a secret");
        }
    }

    #[test]
    fn basic_authorization_is_as_the_published_vectors_say() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/data/vectors.json"))
                .expect("vectors");
        for case in vectors["basic_auth"].as_array().expect("cases") {
            let text = |name: &str| case[name].as_str().expect("text");
            let secret = Secret::new(text("client_secret"));
            assert_eq!(basic_authorization(text("client_id"), &secret).expose(), text("header"));
        }
    }
}
