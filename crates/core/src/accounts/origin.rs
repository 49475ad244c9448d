//! Where a login came from, and its whole content wherever its secrets are.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::accounts::secrets::external;
use crate::accounts::secrets::{ExternalSecret, SecretStores};
use crate::error::{Error, Result};
use crate::text::json;
use crate::text::printable;

/// Where a login came from, and so where its next refresh token goes.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A file of our own account store.
    Own(PathBuf),
    /// A file of our own account store that leaves its secrets to another store.
    OwnExternalSecret(Rc<ExternalSecret>),
    /// A file, variable or database that is not ours to write.
    ReadOnly,
}

impl Origin {
    /// The file of our own store.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Origin::Own(path) => Some(path),
            Origin::OwnExternalSecret(kept) => Some(&kept.path),
            Origin::ReadOnly => None,
        }
    }
}

/// The whole login of a file of ours, wherever its secrets are.
///
/// # Errors
/// When it is no login, or the store does not give it.
pub fn resolve_secrets(
    path: &Path,
    account: &str,
    bytes: &[u8],
    stores: &SecretStores,
) -> Result<Map<String, Value>> {
    let malformed = |what: String| Error::malformed(&printable::path(path), what);
    let file = json::parse_object(bytes).map_err(malformed)?;
    match external::named_store(&file).map_err(malformed)? {
        None => Ok(file),
        Some(store) => ExternalSecret::new(path.to_owned(), account, store, stores).load(&file),
    }
}
