//! Credentials of the user's own that the sandbox lets in: the fake keys and logins that tests already have.

use std::path::Path;

use gauth_core::accounts::MAX_CREDENTIAL_FILE_BYTES;
use gauth_core::error::{Error, Result};
use gauth_core::jose::key::{PrivateKey, PublicKey};
use gauth_core::text::json;
use gauth_core::text::json::JsonFields;
use gauth_core::text::printable;
use gauth_core::text::secret::Secret;
use gauth_core::world::private_file;

/// Who is let in.
#[derive(Debug, Clone)]
pub enum AdmittedCredential {
    /// A service account, known by the public half of its key.
    ServiceAccount {
        /// Its name.
        email: String,
        /// The number of its key, where the file has one.
        key_id: Option<String>,
        /// The public half.
        public_key: PublicKey,
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

impl AdmittedCredential {
    /// The credential in this file: a service account's key, a user login, or a login by way of a workforce pool.
    ///
    /// # Errors
    /// Malformed, naming file and field.
    pub fn read(path: &Path) -> Result<AdmittedCredential> {
        let location = printable::path(path);
        let text = private_file::read_user_file(path, MAX_CREDENTIAL_FILE_BYTES)
            .map_err(|fault| fault.to_error(path, &location))?;
        AdmittedCredential::parse(&text).map_err(|what| {
            Error::malformed(&location, what)
                .hint("--admit takes the key of a service account, or a login")
        })
    }

    fn parse(text: &[u8]) -> std::result::Result<AdmittedCredential, String> {
        let mut fields = JsonFields::new(json::parse_object(text)?);
        match fields.text("type")?.as_deref() {
            Some("service_account") => {
                let pem = fields.required_secret("private_key")?;
                let key = PrivateKey::rsa_from_pem(pem.expose())
                    .map_err(|what| format!("private_key {what}"))?;
                let public_key = key.public_key();
                let email = fields.required("client_email")?;
                Ok(AdmittedCredential::ServiceAccount {
                    email,
                    key_id: fields.text("private_key_id")?,
                    public_key,
                })
            }
            Some("authorized_user") | None => Ok(AdmittedCredential::User {
                account: fields.text("account")?.filter(|account| !account.is_empty()),
                client_id: fields.required("client_id")?,
                client_secret: fields.required_secret("client_secret")?,
                refresh_token: fields.required_secret("refresh_token")?,
            }),
            Some("external_account_authorized_user") => Ok(AdmittedCredential::WorkforceUser {
                client_id: fields.required("client_id")?,
                client_secret: fields.required_secret("client_secret")?,
                refresh_token: fields.required_secret("refresh_token")?,
            }),
            Some(other) => Err(format!("type {} is not let in", printable::text(other))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_credential_types_are_admitted() {
        let read = |text: &str| AdmittedCredential::parse(text.as_bytes());
        let key = include_str!("../../../tests/data/credentials/service_account.json");
        assert!(matches!(read(key), Ok(AdmittedCredential::ServiceAccount { .. })));
        let login = include_str!("../../../tests/data/credentials/authorized_user.json");
        assert!(matches!(read(login), Ok(AdmittedCredential::User { account: None, .. })));
        let workforce =
            include_str!("../../../tests/data/credentials/external_account_authorized_user.json");
        assert!(matches!(read(workforce), Ok(AdmittedCredential::WorkforceUser { .. })));
        assert!(read(r#"{"type":"external_account"}"#).expect_err("kind").contains("not let in"));
        assert!(read(r#"{"type":"service_account"}"#).expect_err("key").contains("private_key"));
    }
}
