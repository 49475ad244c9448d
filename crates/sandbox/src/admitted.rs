//! Credentials of the caller that the sandbox accepts (`--admit`), such as the fake keys and logins of a test suite.

use std::path::Path;

use gauth_core::error::{Error, Result};
use gauth_core::jose::key::{PrivateKey, PublicKey};
use gauth_core::text::json::JsonFields;
use gauth_core::text::secret::Secret;
use gauth_core::text::{json, printable};
use gauth_core::world::private_file;

/// Credential files larger than this are refused.
const MAX_CREDENTIAL_FILE_BYTES: usize = 1024 * 1024;

/// A credential of the caller that the sandbox accepts.
#[derive(Debug, Clone)]
pub enum AdmittedCredential {
    /// A service account, whose assertions are verified with its public key.
    ServiceAccount {
        /// The service account's email address.
        email: String,
        /// The `private_key_id` of the key file, if it has one.
        key_id: Option<String>,
        /// The public half of the key in the file.
        public_key: PublicKey,
    },
    /// A user's OAuth login (`authorized_user`).
    User {
        /// The user's email address, if the file names it.
        account: Option<String>,
        /// The OAuth client that the login was made with.
        client_id: String,
        /// The OAuth client's secret.
        client_secret: Secret,
        /// The refresh token of the login.
        refresh_token: Secret,
    },
    /// A login through a workforce identity pool (`external_account_authorized_user`).
    WorkforceUser {
        /// The OAuth client that the login was made with.
        client_id: String,
        /// The OAuth client's secret.
        client_secret: Secret,
        /// The refresh token of the login.
        refresh_token: Secret,
    },
}

impl AdmittedCredential {
    /// Reads a credential file: a service account key, a user login, or a login through a workforce pool.
    ///
    /// # Errors
    /// A malformed file, with an error that names the file and the field.
    pub fn read(path: &Path) -> Result<AdmittedCredential> {
        let location = printable::path(path);
        let text = private_file::read_user_file(path, MAX_CREDENTIAL_FILE_BYTES)
            .map_err(|fault| fault.to_error(path, &location))?;
        AdmittedCredential::parse(&text).map_err(|what| {
            Error::malformed(&location, what).hint("--admit takes a service account key, or a user login")
        })
    }

    fn parse(text: &[u8]) -> std::result::Result<AdmittedCredential, String> {
        let mut fields = JsonFields::new(json::parse_object(text)?);
        match fields.text("type")?.as_deref() {
            Some("service_account") => {
                let pem = fields.required_secret("private_key")?;
                let key = PrivateKey::rsa_from_secret(&pem).map_err(|what| format!("private_key {what}"))?;
                let public_key = key.public_key();
                let email = fields.required("client_email")?;
                Ok(AdmittedCredential::ServiceAccount { email, key_id: fields.text("private_key_id")?, public_key })
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
            Some(other) => Err(format!("credentials of type {} cannot be admitted", printable::text(other))),
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
        let workforce = include_str!("../../../tests/data/credentials/external_account_authorized_user.json");
        assert!(matches!(read(workforce), Ok(AdmittedCredential::WorkforceUser { .. })));
        assert!(read(r#"{"type":"external_account"}"#).expect_err("kind").contains("cannot be admitted"));
        assert!(read(r#"{"type":"service_account"}"#).expect_err("key").contains("private_key"));
    }
}
