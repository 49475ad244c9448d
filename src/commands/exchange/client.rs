//! The OAuth client of an exchange and how it authenticates (RFC 6749 section 2.3).

use std::path::PathBuf;

use crate::commands::exchange::flags;
use crate::commands::exchange::secret_ref::SecretRef;
use gauth_core::config;
use gauth_core::error::{Error, Result};
use gauth_core::net::message::ClientCertificate;
use gauth_core::oauth::client_authentication::{ClientAuthentication, ClientCredentials};
use gauth_core::text::secret::Secret;
use gauth_core::world::World;

/// The OAuth client, whose secret is not read yet.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct ExchangeClient {
    pub id: Option<String>,
    pub secret: Option<SecretRef>,
    pub authentication: ClientAuthentication,
    /// The certificate for mutual TLS (RFC 8705).
    pub certificate: Option<ClientCertificate>,
}

impl ExchangeClient {
    /// Reads the client flags.
    ///
    /// # Errors
    /// `Usage` for flags that contradict each other or miss another flag.
    pub(super) fn from_flags(flags: &flags::ClientFlags) -> Result<ExchangeClient> {
        let id = flags.client_id.as_deref().map(|id| config::flag_text("--client-id", id));
        let id = id.transpose()?;
        if id.as_ref().is_some_and(|id| id.chars().any(char::is_control)) {
            return Err(Error::usage("--client-id contains a control character").hint(CLIENT_FLAGS_EXAMPLE));
        }
        let secret = flags.client_secret.as_deref();
        let secret = secret.map(|secret| SecretRef::parse("--client-secret", secret)).transpose()?;
        let certificate = client_certificate(flags)?;
        let authentication = flags.client_auth.unwrap_or(match (&secret, &certificate) {
            (Some(_), _) => ClientAuthentication::ClientSecretBasic,
            (None, Some(_)) => ClientAuthentication::TlsClientAuth,
            (None, None) => ClientAuthentication::None,
        });
        if id.is_none() && (secret.is_some() || flags.client_auth.is_some_and(requires_client_id)) {
            let flag = if secret.is_some() { "--client-secret" } else { "--client-auth" };
            return Err(Error::usage(format!("{flag} needs --client-id")).hint(CLIENT_FLAGS_EXAMPLE));
        }
        if authentication == ClientAuthentication::ClientSecretBasic && id.as_ref().is_some_and(|id| id.contains(':')) {
            return Err(Error::usage("--client-id contains a colon, which HTTP Basic does not allow")
                .hint("use --client-auth body"));
        }
        let usage = |message: &str, hint: &str| Err(Error::usage(message).hint(hint));
        match (authentication, &secret, &certificate) {
            (ClientAuthentication::ClientSecretPost, None, _) => {
                usage("--client-auth body needs --client-secret", CLIENT_FLAGS_EXAMPLE)
            }
            (ClientAuthentication::None | ClientAuthentication::TlsClientAuth, Some(_), _) => usage(
                "--client-auth none and --client-auth certificate do not use --client-secret",
                "use --client-auth basic or body, or remove --client-secret",
            ),
            (ClientAuthentication::TlsClientAuth, _, None) => usage(
                "--client-auth certificate needs --client-certificate",
                "--client-certificate cert.pem --client-key key.pem",
            ),
            _ => Ok(ExchangeClient { id, secret, authentication, certificate }),
        }
    }

    /// Reads the client secret, which is empty where no flag names one.
    ///
    /// # Errors
    /// When it is missing or malformed.
    pub(super) fn read_secret(&self, world: &World) -> Result<Secret> {
        match &self.secret {
            Some(secret_ref) => secret_ref.read(world),
            None => Ok(Secret::new("")),
        }
    }

    /// The client for a request. Google's token endpoint does not decode the form encoding of HTTP Basic.
    pub(super) fn credentials<'a>(&'a self, secret: &'a Secret, is_google: bool) -> Option<ClientCredentials<'a>> {
        let authentication = match is_google {
            true => self.authentication.for_google_sts(),
            false => self.authentication,
        };
        self.id.as_deref().map(|id| ClientCredentials::new(id, Some(secret), authentication))
    }
}

const CLIENT_FLAGS_EXAMPLE: &str = "--client-id ID --client-secret @FILE";

/// Whether this method needs a client ID. With a certificate the client may have none.
fn requires_client_id(method: ClientAuthentication) -> bool {
    matches!(method, ClientAuthentication::ClientSecretBasic | ClientAuthentication::ClientSecretPost)
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
        let optional = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Into::into);
        ExchangeClient::from_flags(&flags::ClientFlags {
            client_id: optional(id),
            client_secret: optional(secret),
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
            ("c", "", Some(ClientAuthentication::ClientSecretBasic), false, ClientAuthentication::ClientSecretBasic),
            ("c", "@s", Some(ClientAuthentication::ClientSecretPost), false, ClientAuthentication::ClientSecretPost),
            ("c:d", "@s", Some(ClientAuthentication::ClientSecretPost), false, ClientAuthentication::ClientSecretPost),
            ("c", "", None, true, ClientAuthentication::TlsClientAuth),
            ("", "", None, true, ClientAuthentication::TlsClientAuth),
            ("c", "", Some(ClientAuthentication::TlsClientAuth), true, ClientAuthentication::TlsClientAuth),
        ] {
            let client = client(id, secret, method, certificate).expect(id);
            assert_eq!(client.authentication, expected, "{id} {secret} {method:?} {certificate}");
            assert_eq!(client.certificate.is_some(), certificate);
        }
    }

    #[test]
    fn conflicting_client_flags_are_named_in_the_error() {
        for (id, secret, method, certificate, message) in [
            ("", "@s", None, false, "--client-secret needs --client-id"),
            ("", "", Some(ClientAuthentication::ClientSecretBasic), false, "--client-auth needs --client-id"),
            ("", "", Some(ClientAuthentication::ClientSecretPost), false, "--client-auth needs --client-id"),
            ("c", "", Some(ClientAuthentication::ClientSecretPost), false, "needs --client-secret"),
            ("c", "@s", Some(ClientAuthentication::None), false, "do not use --client-secret"),
            ("c", "@s", Some(ClientAuthentication::TlsClientAuth), true, "do not use --client-secret"),
            ("c", "", Some(ClientAuthentication::TlsClientAuth), false, "needs --client-certificate"),
            ("c:d", "@s", None, false, "--client-id contains a colon"),
            ("c\n", "@s", None, false, "--client-id contains a control character"),
            ("c", "hunter2", None, false, "--client-secret takes the location of a secret"),
        ] {
            let error = client(id, secret, method, certificate).expect_err(message);
            assert!(error.message().contains(message), "{error}");
        }
    }
}
