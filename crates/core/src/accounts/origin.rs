//! Where a login is stored, and its content including the secrets in another store.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::accounts::secrets::{ExternalSecret, SecretStores, external};
use crate::error::{Error, Result};
use crate::text::{json, printable};

/// Where a login is stored, which decides where its next refresh token is written.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A file of the account store.
    Own(PathBuf),
    /// A file of the account store whose secrets are in another store.
    OwnExternalSecret(Rc<ExternalSecret>),
    /// A file, variable or database that gauth does not write. Changes are stored in an overlay file.
    ReadOnly,
}

impl Origin {
    /// The file in the account store.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Origin::Own(path) => Some(path),
            Origin::OwnExternalSecret(secret) => Some(&secret.path),
            Origin::ReadOnly => None,
        }
    }
}

/// The login in a file of the account store, including the secrets in another store.
///
/// # Errors
/// When the file is not a login, or the store does not return it.
pub fn resolve_secrets(path: &Path, account: &str, bytes: &[u8], stores: &SecretStores) -> Result<Map<String, Value>> {
    let malformed = |what: String| Error::malformed(&printable::path(path), what);
    let file = json::parse_object(bytes).map_err(malformed)?;
    match external::named_store(&file).map_err(malformed)? {
        None => Ok(file),
        Some(store) => ExternalSecret::new(path.to_owned(), account, store, stores).load(&file),
    }
}
