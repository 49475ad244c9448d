//! Credentials of the user's own that the sandbox lets in: the fake keys and logins that tests already have.

use std::path::Path;

use crate::accounts::LARGEST;
use crate::error::{Error, Result};
use crate::json::{self, Fields};
use crate::key::{PrivateKey, PublicKey};
use crate::printable;
use crate::private_file;
use crate::secret::Secret;

/// Who is let in.
#[derive(Debug, Clone)]
pub enum Guest {
    /// A service account, known by the public half of its key.
    ServiceAccount {
        /// Its name.
        email: String,
        /// The number of its key, where the file has one.
        key_id: Option<String>,
        /// The public half.
        key: PublicKey,
    },
    /// A person's login.
    User {
        /// The person, as far as the file says.
        account: Option<String>,
        /// The OAuth client of the login.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
        /// The login itself.
        refresh_token: Secret,
    },
    /// A login by way of a workforce pool.
    WorkforceUser {
        /// The OAuth client of the login.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
        /// The login itself.
        refresh_token: Secret,
    },
}

impl Guest {
    /// The credential in this file: a service account's key, a user login, or a login by way of a workforce pool.
    ///
    /// # Errors
    /// Malformed, naming file and field.
    pub fn read(path: &Path) -> Result<Guest> {
        let place = printable::path(path);
        let text =
            private_file::read_named(path, LARGEST).map_err(|fault| fault.at(path, &place))?;
        Guest::parse(&text).map_err(|what| {
            Error::malformed(&place, what)
                .hint("--admit takes the key of a service account, or a login")
        })
    }

    fn parse(text: &[u8]) -> std::result::Result<Guest, String> {
        let mut fields = Fields::new(json::object(text)?);
        match fields.text("type")?.as_deref() {
            Some("service_account") => {
                let pem = fields.needed_secret("private_key")?;
                let key = PrivateKey::from_pem(pem.expose())
                    .map_err(|what| format!("private_key {what}"))?;
                let key = key.public();
                let email = fields.needed("client_email")?;
                Ok(Guest::ServiceAccount { email, key_id: fields.text("private_key_id")?, key })
            }
            Some("authorized_user") | None => Ok(Guest::User {
                account: fields.text("account")?.filter(|account| !account.is_empty()),
                client_id: fields.needed("client_id")?,
                client_secret: fields.needed_secret("client_secret")?,
                refresh_token: fields.needed_secret("refresh_token")?,
            }),
            Some("external_account_authorized_user") => Ok(Guest::WorkforceUser {
                client_id: fields.needed("client_id")?,
                client_secret: fields.needed_secret("client_secret")?,
                refresh_token: fields.needed_secret("refresh_token")?,
            }),
            Some(other) => Err(format!("type {} is not let in", printable::text(other))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_logins_are_let_in_and_nothing_else() {
        let read = |text: &str| Guest::parse(text.as_bytes());
        let key = include_str!("../../../tests/data/credentials/service_account.json");
        assert!(matches!(read(key), Ok(Guest::ServiceAccount { .. })));
        let login = include_str!("../../../tests/data/credentials/authorized_user.json");
        assert!(matches!(read(login), Ok(Guest::User { account: None, .. })));
        let workforce =
            include_str!("../../../tests/data/credentials/external_account_authorized_user.json");
        assert!(matches!(read(workforce), Ok(Guest::WorkforceUser { .. })));
        assert!(read(r#"{"type":"external_account"}"#).expect_err("kind").contains("not let in"));
        assert!(read(r#"{"type":"service_account"}"#).expect_err("key").contains("private_key"));
    }
}
