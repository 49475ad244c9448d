//! An account in gcloud's database, which is opened only when a new token is needed: the cache key holds the fingerprint
//! of the database file, not its content.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::credentials;
use crate::credentials::ParseOptions;
use crate::credentials::lazy::{LazyCredential, UnparsedCredential};
use crate::credentials::metadata_server::MetadataServerCredential;
use crate::error::{Error, ErrorKind, Result};
use crate::gcloud::accounts;
use crate::text::{json, printable};
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo};

/// How long to wait for gcloud to unlock its database, as gcloud itself waits.
const DATABASE_LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// An account in gcloud's database.
pub struct GcloudAccount {
    info: CredentialInfo,
    folder: PathBuf,
    name: String,
    universe: Option<String>,
    database_version: accounts::CredentialsDbFingerprint,
    parse_options: ParseOptions,
    /// Host and port of the metadata server, for accounts of the type `gce`.
    metadata_authority: String,
}

impl GcloudAccount {
    /// The account of this name; `None` where gcloud has no database.
    pub fn new(
        folder: PathBuf,
        name: String,
        universe: Option<String>,
        parse_options: ParseOptions,
        metadata_authority: String,
    ) -> Option<LazyCredential<GcloudAccount>> {
        let database_version = accounts::fingerprint(&folder)?;
        let info = CredentialInfo {
            credential_type: "gcloud".to_owned(),
            location: parse_options.location.clone(),
            account: Some(name.clone()),
            universe_domain: universe.clone(),
            ..CredentialInfo::default()
        };
        let account =
            GcloudAccount { info, folder, name, universe, database_version, parse_options, metadata_authority };
        Some(LazyCredential::new(account))
    }
}

impl LazyCredential<GcloudAccount> {
    /// Whether gcloud has a login for this account.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn exists(&self) -> Result<bool> {
        match self.load() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NoCredential => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl UnparsedCredential for GcloudAccount {
    fn info(&self) -> &CredentialInfo {
        &self.info
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("gcloud");
        hasher.add_text(self.database_version.as_str());
        hasher.add_text(&self.name);
        hasher.add_optional(self.universe.as_deref());
        self.parse_options.hash_cache_key(hasher);
        hasher.add_text(&self.metadata_authority);
    }

    fn load(&self) -> Result<Box<dyn Credential>> {
        let found = accounts::find(&self.folder, &self.name, self.universe.as_deref(), DATABASE_LOCK_TIMEOUT)?;
        let Some(row) = found else {
            let name = printable::text(&self.name);
            let message = format!("gcloud's account {name} has no login in {}", self.parse_options.location);
            return Err(Error::new(ErrorKind::NoCredential, message)
                .hint(format!("gcloud auth login {name}, or choose another with --account")));
        };
        if row.account.credential_type == "gce" {
            let universe = self.universe.clone();
            let account = Some(row.account.name.as_str());
            return Ok(Box::new(MetadataServerCredential::new(
                self.metadata_authority.clone(),
                account,
                None,
                universe,
            )));
        }
        let malformed = |what| self.parse_options.malformed(what).hint(&*self.parse_options.sign_in_hint);
        credentials::parse_object(json_with_rapt(&self.folder, &row).map_err(malformed)?, &self.parse_options)
    }
}

/// The JSON of an account of gcloud, with the RAPT that gcloud keeps in another database.
///
/// # Errors
/// When the database cannot be read, or does not have the account any more.
pub fn account_json(folder: &Path, name: &str, universe: &str, lock_timeout: Duration) -> Result<Map<String, Value>> {
    let location = printable::path(&folder.join("credentials.db"));
    let shown = printable::text(name);
    match accounts::find(folder, name, Some(universe), lock_timeout)? {
        Some(row) => json_with_rapt(folder, &row)
            .map_err(|what| Error::malformed(&location, format!("the login of {shown} {what}"))),
        None => {
            let message = format!("gcloud's account {shown} has no login in {location}");
            Err(Error::new(ErrorKind::NoCredential, message).hint(format!("gcloud auth login {shown}")))
        }
    }
}

fn json_with_rapt(
    folder: &Path,
    row: &accounts::StoredGcloudCredential,
) -> std::result::Result<Map<String, Value>, String> {
    let mut map = json::parse_secret_object(&row.json)?;
    if row.account.credential_type == "authorized_user"
        && let Some(rapt) = accounts::rapt(folder, &row.account.name)
    {
        map.insert("rapt_token".to_owned(), rapt.to_json());
    }
    Ok(map)
}
