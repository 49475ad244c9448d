//! An account stored by gcloud. Its database is opened when a token has to be minted, not for a cached one:
//! the cache key holds the database file's identity instead of its content.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::cache::KeyDigest;
use crate::credential::lazy::{Closed, Lazy};
use crate::credential::metadata::Metadata;
use crate::credential::{self, About, Credential, Setting};
use crate::error::{Error, ErrorKind, Result};
use crate::gcloud::accounts;
use crate::{json, printable};

/// How long gcloud may keep its database locked, as gcloud itself waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// An account of gcloud's.
pub struct GcloudAccount {
    about: About,
    folder: PathBuf,
    name: String,
    universe: Option<String>,
    stamp: accounts::Stamp,
    setting: Setting,
    /// Host of the metadata server, for accounts gcloud found there.
    metadata: String,
}

impl GcloudAccount {
    /// The account of this name; `None` when gcloud has no database.
    pub fn new(
        folder: PathBuf,
        name: String,
        universe: Option<String>,
        setting: Setting,
        metadata: String,
    ) -> Option<Lazy<GcloudAccount>> {
        let stamp = accounts::stamp(&folder)?;
        let about = About {
            kind: "gcloud".to_owned(),
            place: setting.place.clone(),
            account: Some(name.clone()),
            universe_domain: universe.clone(),
            ..About::default()
        };
        let account = GcloudAccount { about, folder, name, universe, stamp, setting, metadata };
        Some(Lazy::new(account))
    }
}

impl Lazy<GcloudAccount> {
    /// Whether gcloud has a login for this account.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn exists(&self) -> Result<bool> {
        match self.inner() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NoCredential => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Closed for GcloudAccount {
    fn about(&self) -> &About {
        &self.about
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field("gcloud");
        digest.field(self.stamp.as_str());
        digest.field(&self.name);
        digest.optional(self.universe.as_deref());
        self.setting.identify(digest);
        digest.field(&self.metadata);
    }

    fn open(&self) -> Result<Box<dyn Credential>> {
        let found = accounts::find(&self.folder, &self.name, self.universe.as_deref(), PATIENCE)?;
        let Some(row) = found else {
            let name = printable::text(&self.name);
            let message = format!("gcloud's account {name} has no login in {}", self.setting.place);
            return Err(Error::new(ErrorKind::NoCredential, message)
                .hint(format!("gcloud auth login {name}, or choose another with --account")));
        };
        if row.account.kind == "gce" {
            let universe = self.universe.clone();
            let account = Some(row.account.name.as_str());
            return Ok(Box::new(Metadata::new(self.metadata.clone(), account, None, universe)));
        }
        let malformed = |what| self.setting.malformed(what).hint(&*self.setting.login_hint);
        credential::read(completed(&self.folder, &row).map_err(malformed)?, &self.setting)
    }
}

/// The JSON of an account of gcloud's, with the proof of reauthentication that gcloud keeps in another database.
///
/// # Errors
/// When the database cannot be read, or does not have the account any more.
pub fn stored(
    folder: &Path,
    name: &str,
    universe: &str,
    patience: Duration,
) -> Result<Map<String, Value>> {
    let place = printable::path(&folder.join("credentials.db"));
    let shown = printable::text(name);
    match accounts::find(folder, name, Some(universe), patience)? {
        Some(row) => completed(folder, &row)
            .map_err(|what| Error::malformed(&place, format!("the login of {shown} {what}"))),
        None => {
            let message = format!("gcloud's account {shown} has no login in {place}");
            Err(Error::new(ErrorKind::NoCredential, message)
                .hint(format!("gcloud auth login {shown}")))
        }
    }
}

fn completed(
    folder: &Path,
    row: &accounts::Row,
) -> std::result::Result<Map<String, Value>, String> {
    let mut map = json::object(row.json.expose().as_bytes())?;
    if row.account.kind == "authorized_user"
        && let Some(rapt) = accounts::rapt(folder, &row.account.name)
    {
        map.insert("rapt_token".to_owned(), Value::from(rapt.expose()));
    }
    Ok(map)
}
