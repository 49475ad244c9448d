//! Which client asks for the exchange, and how it proves that.

use std::path::PathBuf;

use super::flags::{self, How};
use super::hidden::Hidden;
use crate::error::{Error, Result};
use crate::google::sts::ClientAuth;
use crate::http::Identity;
use crate::secret::Secret;
use crate::settings;
use crate::world::World;

/// The client, its secret still where it is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Client {
    pub id: Option<String>,
    pub secret: Option<Hidden>,
    pub how: Proof,
    /// Shown in TLS.
    pub identity: Option<Identity>,
}

/// Where in a request the client says who it is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// Its name among the fields: it has no secret, or a certificate in place of one.
    #[default]
    Name,
    /// `Authorization: Basic`.
    Basic,
    /// Name and secret among the fields.
    Body,
}

impl Client {
    /// Reads the flags.
    ///
    /// # Errors
    /// Usage, where they do not go together.
    pub(super) fn of(flags: &flags::Client) -> Result<Client> {
        let id = flags.client_id.as_deref().map(|id| settings::text("--client-id", id));
        let id = id.transpose()?;
        if id.as_ref().is_some_and(|id| id.chars().any(char::is_control)) {
            return Err(Error::usage("--client-id has a control character").hint(EXAMPLE));
        }
        let secret = flags.client_secret.as_deref();
        let secret = secret.map(|secret| Hidden::named("--client-secret", secret)).transpose()?;
        let identity = identity(flags)?;
        let how = flags.client_auth.unwrap_or(match (&secret, &identity) {
            (Some(_), _) => How::Basic,
            (None, Some(_)) => How::Certificate,
            (None, None) => How::None,
        });
        if id.is_none() && (secret.is_some() || flags.client_auth.is_some_and(needs_a_name)) {
            let flag = if secret.is_some() { "--client-secret" } else { "--client-auth" };
            return Err(Error::usage(format!("{flag} is given without --client-id")).hint(EXAMPLE));
        }
        if how == How::Basic && id.as_ref().is_some_and(|id| id.contains(':')) {
            return Err(Error::usage("--client-id has a colon, which basic cannot carry")
                .hint("--client-auth body"));
        }
        let wrong = |message: &str, hint: &str| Err(Error::usage(message).hint(hint));
        match (how, &secret, &identity) {
            (How::Body, None, _) => {
                wrong("--client-auth body is given without --client-secret", EXAMPLE)
            }
            (How::None | How::Certificate, Some(_), _) => wrong(
                "--client-secret is given, but --client-auth has no use for it",
                "--client-auth basic or --client-auth body, or leave --client-secret away",
            ),
            (How::Certificate, _, None) => wrong(
                "--client-auth certificate is given without --client-certificate",
                "--client-certificate cert.pem --client-key key.pem",
            ),
            (How::None | How::Certificate, ..) => {
                Ok(Client { id, secret, how: Proof::Name, identity })
            }
            (How::Basic, ..) => Ok(Client { id, secret, how: Proof::Basic, identity }),
            (How::Body, ..) => Ok(Client { id, secret, how: Proof::Body, identity }),
        }
    }

    /// The secret, read; a client of HTTP Basic that has none has an empty one.
    ///
    /// # Errors
    /// When it is not where it should be.
    pub(super) fn secret(&self, world: &World) -> Result<Secret> {
        match &self.secret {
            Some(hidden) => hidden.read(world),
            None => Ok(Secret::new("")),
        }
    }

    /// As a request to Google, or to somebody else, carries it.
    pub(super) fn auth<'a>(&'a self, secret: &'a Secret, google: bool) -> Option<ClientAuth<'a>> {
        let id = self.id.as_deref()?;
        Some(match self.how {
            Proof::Name => ClientAuth::Id(id),
            Proof::Basic if !google => ClientAuth::EncodedBasic(id, secret),
            Proof::Basic => ClientAuth::Basic(id, secret),
            Proof::Body => ClientAuth::Body(id, secret),
        })
    }
}

const EXAMPLE: &str = "--client-id ID --client-secret @FILE";

/// A certificate may stand for the client without a name.
fn needs_a_name(how: How) -> bool {
    matches!(how, How::Basic | How::Body)
}

fn identity(flags: &flags::Client) -> Result<Option<Identity>> {
    let (Some(certificate), Some(key)) = (&flags.client_certificate, &flags.client_key) else {
        return Ok(None);
    };
    for (flag, path) in [("--client-certificate", certificate), ("--client-key", key)] {
        if path.is_empty() {
            return Err(Error::usage(format!("{flag} is empty")).hint(format!("{flag} FILE.pem")));
        }
    }
    Ok(Some(Identity {
        named_by: "--client-certificate, --client-key".to_owned(),
        certificate: PathBuf::from(certificate),
        key: PathBuf::from(key),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(id: &str, secret: &str, how: Option<How>, certificate: bool) -> Result<Client> {
        let given = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Into::into);
        Client::of(&flags::Client {
            client_id: given(id),
            client_secret: given(secret),
            client_auth: how,
            client_certificate: certificate.then(|| "c.pem".into()),
            client_key: certificate.then(|| "k.pem".into()),
        })
    }

    #[test]
    fn how_a_client_proves_itself_follows_from_what_it_has() {
        for (id, secret, how, certificate, proof) in [
            ("", "", None, false, Proof::Name),
            ("", "", Some(How::None), false, Proof::Name),
            ("c", "", None, false, Proof::Name),
            ("c", "@s", None, false, Proof::Basic),
            ("c", "@s", None, true, Proof::Basic),
            ("c", "", Some(How::Basic), false, Proof::Basic),
            ("c", "@s", Some(How::Body), false, Proof::Body),
            ("c:d", "@s", Some(How::Body), false, Proof::Body),
            ("c", "", None, true, Proof::Name),
            ("", "", None, true, Proof::Name),
            ("c", "", Some(How::Certificate), true, Proof::Name),
        ] {
            let client = client(id, secret, how, certificate).expect(id);
            assert_eq!(client.how, proof, "{id} {secret} {how:?} {certificate}");
            assert_eq!(client.identity.is_some(), certificate);
        }
    }

    #[test]
    fn flags_of_a_client_that_do_not_go_together_are_named() {
        for (id, secret, how, certificate, words) in [
            ("", "@s", None, false, "--client-secret is given without --client-id"),
            ("", "", Some(How::Basic), false, "--client-auth is given without --client-id"),
            ("", "", Some(How::Body), false, "--client-auth is given without --client-id"),
            ("c", "", Some(How::Body), false, "without --client-secret"),
            ("c", "@s", Some(How::None), false, "has no use for it"),
            ("c", "@s", Some(How::Certificate), true, "has no use for it"),
            ("c", "", Some(How::Certificate), false, "without --client-certificate"),
            ("c:d", "@s", None, false, "--client-id has a colon"),
            ("c\n", "@s", None, false, "--client-id has a control character"),
            ("c", "hunter2", None, false, "--client-secret is given as a value"),
        ] {
            let error = client(id, secret, how, certificate).expect_err(words);
            assert!(error.message().contains(words), "{error}");
        }
    }
}
