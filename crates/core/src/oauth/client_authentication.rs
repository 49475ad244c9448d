//! Client authentication at token, revocation and introspection endpoints (RFC 6749, 2.3): the methods, and what each
//! of them adds to a request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::net::message::{FormValue, HttpRequest};
use crate::text::secret::Secret;

/// The maximum length of the id and of the secret of an OAuth client, in bytes.
const MAX_CLIENT_FIELD_BYTES: usize = 2048;

/// The client authentication methods of RFC 6749, 2.3.1, OpenID Connect Core, 9 and RFC 8705, 2.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// No authentication: a public client only sends its `client_id`, in the form.
    #[default]
    None,
    /// `Authorization: Basic` with the form-encoded id and secret, as RFC 6749, 2.3.1 requires.
    ClientSecretBasic,
    /// `Authorization: Basic` without form encoding, which is how Google's STS reads the header.
    ClientSecretBasicUnencoded,
    /// `client_id` and `client_secret` in the form.
    ClientSecretPost,
    /// The client certificate of the TLS connection (RFC 8705, 2.1 and 2.2); `client_id` is in the form.
    TlsClientAuth,
}

impl ClientAuthentication {
    /// The method as Google's STS implements it: without form encoding in `Authorization: Basic`.
    pub fn for_google_sts(self) -> ClientAuthentication {
        match self {
            ClientAuthentication::ClientSecretBasic => ClientAuthentication::ClientSecretBasicUnencoded,
            other => other,
        }
    }

    /// The name in server metadata and client registrations (RFC 8414, `token_endpoint_auth_methods_supported`).
    pub fn name(self) -> &'static str {
        match self {
            ClientAuthentication::None => "none",
            ClientAuthentication::ClientSecretBasic | ClientAuthentication::ClientSecretBasicUnencoded => {
                "client_secret_basic"
            }
            ClientAuthentication::ClientSecretPost => "client_secret_post",
            ClientAuthentication::TlsClientAuth => "tls_client_auth",
        }
    }
}

/// A client with the credentials and the method it authenticates with in one request.
#[derive(Debug, Clone, Copy)]
pub struct ClientCredentials<'a> {
    id: &'a str,
    secret: Option<&'a Secret>,
    authentication: ClientAuthentication,
}

impl<'a> ClientCredentials<'a> {
    /// A client and its secret. Without a secret, the two secret-based methods send the `client_id` only.
    pub fn new(id: &'a str, secret: Option<&'a Secret>, authentication: ClientAuthentication) -> ClientCredentials<'a> {
        ClientCredentials { id, secret, authentication }
    }

    /// A public client, which sends its id and does not authenticate.
    pub fn public(id: &'a str) -> ClientCredentials<'a> {
        ClientCredentials::new(id, None, ClientAuthentication::None)
    }

    /// A client that authenticates at Google's STS, which reads `Authorization: Basic` without form encoding.
    pub fn for_google_sts(id: &'a str, secret: &'a Secret) -> ClientCredentials<'a> {
        let authentication = ClientAuthentication::ClientSecretBasic.for_google_sts();
        ClientCredentials::new(id, Some(secret), authentication)
    }

    /// The form fields that the method adds.
    pub(super) fn form_fields(self) -> impl Iterator<Item = (&'static str, FormValue<'a>)> {
        let (id, secret) = match (self.authentication, self.secret) {
            (ClientAuthentication::ClientSecretBasic | ClientAuthentication::ClientSecretBasicUnencoded, Some(_)) => {
                (None, None)
            }
            (ClientAuthentication::ClientSecretPost, Some(secret)) => (Some(self.id), Some(secret)),
            (ClientAuthentication::None | ClientAuthentication::TlsClientAuth, _) | (_, None) => (Some(self.id), None),
        };
        let id = id.map(|id| ("client_id", id.into()));
        id.into_iter().chain(secret.map(|secret| ("client_secret", secret.into())))
    }

    /// The request with the header that the method adds.
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

/// The value of an `Authorization: Basic` header (RFC 7617): base64 in the standard alphabet, with padding.
fn basic_authorization(id: &str, secret: &Secret) -> Secret {
    secret.map(|secret| {
        let pair = Zeroizing::new(format!("{id}:{secret}"));
        format!("Basic {}", STANDARD.encode(pair.as_bytes()))
    })
}

/// Checks that a client's id and secret can be sent in an `Authorization: Basic` header (RFC 7617, 2).
///
/// # Errors
/// The end of a sentence, which names the field.
pub(crate) fn check_client_credentials(id: &str, secret: &str) -> std::result::Result<(), String> {
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

    /// The form fields and the header that a client adds.
    fn parts(client: ClientCredentials<'_>) -> (Vec<(&'static str, FormValue<'_>)>, Option<String>) {
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
    fn every_method_adds_its_fields_and_header() {
        let secret = Secret::new("a+b c%:");
        let basic = |pair: &str| Some(format!("Basic {}", STANDARD.encode(pair)));
        let id = ("client_id", FormValue::from("c:d"));
        for (method, fields, header) in [
            (ClientAuthentication::None, vec![id], None),
            (ClientAuthentication::TlsClientAuth, vec![id], None),
            (ClientAuthentication::ClientSecretPost, vec![id, ("client_secret", "a+b c%:".into())], None),
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
            serde_json::from_str(include_str!("../../../../tests/data/vectors.json")).expect("vectors");
        for case in vectors["basic_auth"].as_array().expect("cases") {
            let text = |name: &str| case[name].as_str().expect("text");
            let secret = Secret::new(text("client_secret"));
            assert_eq!(basic_authorization(text("client_id"), &secret).expose(), text("header"));
        }
    }
}
