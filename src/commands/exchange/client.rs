//! Which client asks for the exchange, and how it proves that.

use std::path::PathBuf;

use crate::commands::exchange::flags;
use crate::commands::exchange::hidden::SecretRef;
use gauth_core::config;
use gauth_core::error::{Error, Result};
use gauth_core::net::message::ClientCertificate;
use gauth_core::oauth::client_authentication::{ClientAuthentication, ClientCredentials};
use gauth_core::text::secret::Secret;
use gauth_core::world::World;

/// The client, its secret still where it is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct ExchangeClient {
    pub id: Option<String>,
    pub secret: Option<SecretRef>,
    pub authentication: ClientAuthentication,
    /// Shown in TLS.
    pub certificate: Option<ClientCertificate>,
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
        let authentication = flags.client_auth.unwrap_or(match (&secret, &certificate) {
            (Some(_), _) => ClientAuthentication::ClientSecretBasic,
            (None, Some(_)) => ClientAuthentication::TlsClientAuth,
            (None, None) => ClientAuthentication::None,
        });
        if id.is_none() && (secret.is_some() || flags.client_auth.is_some_and(requires_client_id)) {
            let flag = if secret.is_some() { "--client-secret" } else { "--client-auth" };
            return Err(Error::usage(format!("{flag} is given without --client-id"))
                .hint(CLIENT_FLAGS_EXAMPLE));
        }
        if authentication == ClientAuthentication::ClientSecretBasic
            && id.as_ref().is_some_and(|id| id.contains(':'))
        {
            return Err(Error::usage("--client-id has a colon, which basic cannot carry")
                .hint("--client-auth body"));
        }
        let wrong = |message: &str, hint: &str| Err(Error::usage(message).hint(hint));
        match (authentication, &secret, &certificate) {
            (ClientAuthentication::ClientSecretPost, None, _) => {
                wrong("--client-auth body is given without --client-secret", CLIENT_FLAGS_EXAMPLE)
            }
            (ClientAuthentication::None | ClientAuthentication::TlsClientAuth, Some(_), _) => {
                wrong(
                    "--client-secret is given, but --client-auth has no use for it",
                    "--client-auth basic or --client-auth body, or leave --client-secret away",
                )
            }
            (ClientAuthentication::TlsClientAuth, _, None) => wrong(
                "--client-auth certificate is given without --client-certificate",
                "--client-certificate cert.pem --client-key key.pem",
            ),
            _ => Ok(ExchangeClient { id, secret, authentication, certificate }),
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
    pub(super) fn credentials<'a>(
        &'a self,
        secret: &'a Secret,
        is_google: bool,
    ) -> Option<ClientCredentials<'a>> {
        let authentication = match self.authentication {
            ClientAuthentication::ClientSecretBasic if is_google => {
                ClientAuthentication::ClientSecretBasicUnencoded
            }
            other => other,
        };
        self.id.as_deref().map(|id| ClientCredentials::new(id, Some(secret), authentication))
    }
}

const CLIENT_FLAGS_EXAMPLE: &str = "--client-id ID --client-secret @FILE";

/// A certificate may stand for the client without a name.
fn requires_client_id(method: ClientAuthentication) -> bool {
    matches!(
        method,
        ClientAuthentication::ClientSecretBasic | ClientAuthentication::ClientSecretPost
    )
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
        method: Option<ClientAuthentication>,
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
    fn the_client_authentication_method_follows_from_the_flags() {
        for (id, secret, method, certificate, expected) in [
            ("", "", None, false, ClientAuthentication::None),
            ("", "", Some(ClientAuthentication::None), false, ClientAuthentication::None),
            ("c", "", None, false, ClientAuthentication::None),
            ("c", "@s", None, false, ClientAuthentication::ClientSecretBasic),
            ("c", "@s", None, true, ClientAuthentication::ClientSecretBasic),
            (
                "c",
                "",
                Some(ClientAuthentication::ClientSecretBasic),
                false,
                ClientAuthentication::ClientSecretBasic,
            ),
            (
                "c",
                "@s",
                Some(ClientAuthentication::ClientSecretPost),
                false,
                ClientAuthentication::ClientSecretPost,
            ),
            (
                "c:d",
                "@s",
                Some(ClientAuthentication::ClientSecretPost),
                false,
                ClientAuthentication::ClientSecretPost,
            ),
            ("c", "", None, true, ClientAuthentication::TlsClientAuth),
            ("", "", None, true, ClientAuthentication::TlsClientAuth),
            (
                "c",
                "",
                Some(ClientAuthentication::TlsClientAuth),
                true,
                ClientAuthentication::TlsClientAuth,
            ),
        ] {
            let client = client(id, secret, method, certificate).expect(id);
            assert_eq!(client.authentication, expected, "{id} {secret} {method:?} {certificate}");
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
                Some(ClientAuthentication::ClientSecretBasic),
                false,
                "--client-auth is given without --client-id",
            ),
            (
                "",
                "",
                Some(ClientAuthentication::ClientSecretPost),
                false,
                "--client-auth is given without --client-id",
            ),
            (
                "c",
                "",
                Some(ClientAuthentication::ClientSecretPost),
                false,
                "without --client-secret",
            ),
            ("c", "@s", Some(ClientAuthentication::None), false, "has no use for it"),
            ("c", "@s", Some(ClientAuthentication::TlsClientAuth), true, "has no use for it"),
            (
                "c",
                "",
                Some(ClientAuthentication::TlsClientAuth),
                false,
                "without --client-certificate",
            ),
            ("c:d", "@s", None, false, "--client-id has a colon"),
            ("c\n", "@s", None, false, "--client-id has a control character"),
            ("c", "hunter2", None, false, "--client-secret is given as a value"),
        ] {
            let error = client(id, secret, method, certificate).expect_err(message);
            assert!(error.message().contains(message), "{error}");
        }
    }
}
