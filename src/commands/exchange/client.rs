//! Which client asks for the exchange, and how it proves that.

use std::path::PathBuf;

use crate::commands::exchange::flags;
use crate::commands::exchange::flags::ClientAuthArg;
use crate::commands::exchange::hidden::SecretRef;
use crate::config;
use crate::error::{Error, Result};
use crate::net::message::ClientCertificate;
use crate::oauth::token_exchange::ClientAuthentication;
use crate::text::secret::Secret;
use crate::world::World;

/// The client, its secret still where it is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct ExchangeClient {
    pub id: Option<String>,
    pub secret: Option<SecretRef>,
    pub auth_scheme: ClientAuthScheme,
    /// Shown in TLS.
    pub certificate: Option<ClientCertificate>,
}

/// Where in a request the client says who it is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientAuthScheme {
    /// Its name among the fields: it has no secret, or a certificate in place of one.
    #[default]
    ClientIdOnly,
    /// `Authorization: Basic`.
    ClientSecretBasic,
    /// Name and secret among the fields.
    ClientSecretPost,
}

impl ExchangeClient {
    /// Reads the flags.
    ///
    /// # Errors
    /// Usage, where they do not go together.
    pub(super) fn from_flags(flags: &flags::ClientFlags) -> Result<ExchangeClient> {
        let id = flags.client_id.as_deref().map(|id| config::flag_text("--client-id", id));
        let id = id.transpose()?;
        if id.as_ref().is_some_and(|id| id.chars().any(char::is_control)) {
            return Err(
                Error::usage("--client-id has a control character").hint(CLIENT_FLAGS_EXAMPLE)
            );
        }
        let secret = flags.client_secret.as_deref();
        let secret =
            secret.map(|secret| SecretRef::parse("--client-secret", secret)).transpose()?;
        let certificate = client_certificate(flags)?;
        let method = flags.client_auth.unwrap_or(match (&secret, &certificate) {
            (Some(_), _) => ClientAuthArg::Basic,
            (None, Some(_)) => ClientAuthArg::Certificate,
            (None, None) => ClientAuthArg::None,
        });
        if id.is_none() && (secret.is_some() || flags.client_auth.is_some_and(requires_client_id)) {
            let flag = if secret.is_some() { "--client-secret" } else { "--client-auth" };
            return Err(Error::usage(format!("{flag} is given without --client-id"))
                .hint(CLIENT_FLAGS_EXAMPLE));
        }
        if method == ClientAuthArg::Basic && id.as_ref().is_some_and(|id| id.contains(':')) {
            return Err(Error::usage("--client-id has a colon, which basic cannot carry")
                .hint("--client-auth body"));
        }
        let wrong = |message: &str, hint: &str| Err(Error::usage(message).hint(hint));
        match (method, &secret, &certificate) {
            (ClientAuthArg::Body, None, _) => {
                wrong("--client-auth body is given without --client-secret", CLIENT_FLAGS_EXAMPLE)
            }
            (ClientAuthArg::None | ClientAuthArg::Certificate, Some(_), _) => wrong(
                "--client-secret is given, but --client-auth has no use for it",
                "--client-auth basic or --client-auth body, or leave --client-secret away",
            ),
            (ClientAuthArg::Certificate, _, None) => wrong(
                "--client-auth certificate is given without --client-certificate",
                "--client-certificate cert.pem --client-key key.pem",
            ),
            (ClientAuthArg::None | ClientAuthArg::Certificate, ..) => Ok(ExchangeClient {
                id,
                secret,
                auth_scheme: ClientAuthScheme::ClientIdOnly,
                certificate,
            }),
            (ClientAuthArg::Basic, ..) => Ok(ExchangeClient {
                id,
                secret,
                auth_scheme: ClientAuthScheme::ClientSecretBasic,
                certificate,
            }),
            (ClientAuthArg::Body, ..) => Ok(ExchangeClient {
                id,
                secret,
                auth_scheme: ClientAuthScheme::ClientSecretPost,
                certificate,
            }),
        }
    }

    /// The secret, read; a client of HTTP Basic that has none has an empty one.
    ///
    /// # Errors
    /// When it is not where it should be.
    pub(super) fn read_secret(&self, world: &World) -> Result<Secret> {
        match &self.secret {
            Some(secret_ref) => secret_ref.read(world),
            None => Ok(Secret::new("")),
        }
    }

    /// As a request to Google, or to somebody else, carries it.
    pub(super) fn authentication<'a>(
        &'a self,
        secret: &'a Secret,
        is_google: bool,
    ) -> Option<ClientAuthentication<'a>> {
        let id = self.id.as_deref()?;
        Some(match self.auth_scheme {
            ClientAuthScheme::ClientIdOnly => ClientAuthentication::ClientIdOnly(id),
            ClientAuthScheme::ClientSecretBasic if !is_google => {
                ClientAuthentication::ClientSecretBasic(id, secret)
            }
            ClientAuthScheme::ClientSecretBasic => {
                ClientAuthentication::ClientSecretBasicUnencoded(id, secret)
            }
            ClientAuthScheme::ClientSecretPost => {
                ClientAuthentication::ClientSecretPost(id, secret)
            }
        })
    }
}

const CLIENT_FLAGS_EXAMPLE: &str = "--client-id ID --client-secret @FILE";

/// A certificate may stand for the client without a name.
fn requires_client_id(method: ClientAuthArg) -> bool {
    matches!(method, ClientAuthArg::Basic | ClientAuthArg::Body)
}

fn client_certificate(flags: &flags::ClientFlags) -> Result<Option<ClientCertificate>> {
    let (Some(certificate), Some(key)) = (&flags.client_certificate, &flags.client_key) else {
        return Ok(None);
    };
    for (flag, path) in [("--client-certificate", certificate), ("--client-key", key)] {
        if path.is_empty() {
            return Err(Error::usage(format!("{flag} is empty")).hint(format!("{flag} FILE.pem")));
        }
    }
    Ok(Some(ClientCertificate {
        origin: "--client-certificate, --client-key".to_owned(),
        certificate_path: PathBuf::from(certificate),
        key_path: PathBuf::from(key),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(
        id: &str,
        secret: &str,
        method: Option<ClientAuthArg>,
        certificate: bool,
    ) -> Result<ExchangeClient> {
        let given = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Into::into);
        ExchangeClient::from_flags(&flags::ClientFlags {
            client_id: given(id),
            client_secret: given(secret),
            client_auth: method,
            client_certificate: certificate.then(|| "c.pem".into()),
            client_key: certificate.then(|| "k.pem".into()),
        })
    }

    #[test]
    fn the_client_authentication_scheme_follows_from_the_flags() {
        for (id, secret, method, certificate, expected) in [
            ("", "", None, false, ClientAuthScheme::ClientIdOnly),
            ("", "", Some(ClientAuthArg::None), false, ClientAuthScheme::ClientIdOnly),
            ("c", "", None, false, ClientAuthScheme::ClientIdOnly),
            ("c", "@s", None, false, ClientAuthScheme::ClientSecretBasic),
            ("c", "@s", None, true, ClientAuthScheme::ClientSecretBasic),
            ("c", "", Some(ClientAuthArg::Basic), false, ClientAuthScheme::ClientSecretBasic),
            ("c", "@s", Some(ClientAuthArg::Body), false, ClientAuthScheme::ClientSecretPost),
            ("c:d", "@s", Some(ClientAuthArg::Body), false, ClientAuthScheme::ClientSecretPost),
            ("c", "", None, true, ClientAuthScheme::ClientIdOnly),
            ("", "", None, true, ClientAuthScheme::ClientIdOnly),
            ("c", "", Some(ClientAuthArg::Certificate), true, ClientAuthScheme::ClientIdOnly),
        ] {
            let client = client(id, secret, method, certificate).expect(id);
            assert_eq!(client.auth_scheme, expected, "{id} {secret} {method:?} {certificate}");
            assert_eq!(client.certificate.is_some(), certificate);
        }
    }

    #[test]
    fn conflicting_client_flags_are_named_in_the_error() {
        for (id, secret, method, certificate, message) in [
            ("", "@s", None, false, "--client-secret is given without --client-id"),
            (
                "",
                "",
                Some(ClientAuthArg::Basic),
                false,
                "--client-auth is given without --client-id",
            ),
            (
                "",
                "",
                Some(ClientAuthArg::Body),
                false,
                "--client-auth is given without --client-id",
            ),
            ("c", "", Some(ClientAuthArg::Body), false, "without --client-secret"),
            ("c", "@s", Some(ClientAuthArg::None), false, "has no use for it"),
            ("c", "@s", Some(ClientAuthArg::Certificate), true, "has no use for it"),
            ("c", "", Some(ClientAuthArg::Certificate), false, "without --client-certificate"),
            ("c:d", "@s", None, false, "--client-id has a colon"),
            ("c\n", "@s", None, false, "--client-id has a control character"),
            ("c", "hunter2", None, false, "--client-secret is given as a value"),
        ] {
            let error = client(id, secret, method, certificate).expect_err(message);
            assert!(error.message().contains(message), "{error}");
        }
    }
}
