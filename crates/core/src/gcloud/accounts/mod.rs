//! gcloud's accounts in `credentials.db`, and their reauthentication proof tokens in `access_tokens.db`.
//!
//! The key of a row is the account, or `account#universe` outside of googleapis.com; its value is a credential in JSON.

#[cfg(all(test, feature = "gcloud-store"))]
mod tests;

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::gcloud::{Query, store};
use crate::text::printable;
use crate::text::secret::Secret;
use crate::world::files;

/// The universe of keys that name none.
const DEFAULT_UNIVERSE: &str = "googleapis.com";

/// How long to wait for a locked `access_tokens.db`. Without the RAPT gauth can still ask the user to reauthenticate.
const RAPT_LOCK_TIMEOUT: Duration = Duration::from_millis(50);

/// Identifies the state of `credentials.db` without opening it: while it is the same, tokens cached under it are of the
/// current credential. It has the modification time and not the change time, because every run of gcloud sets the mode.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CredentialsDbFingerprint(String);

impl CredentialsDbFingerprint {
    /// The fingerprint as text, for a cache key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An account in `credentials.db`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcloudAccountEntry {
    /// The name, usually an e-mail address.
    pub name: String,
    /// The universe domain of the account.
    pub universe_domain: String,
    /// The `type` of its credential, or `unknown`.
    pub credential_type: String,
}

/// A credential from `credentials.db`.
#[derive(Debug, Clone)]
pub struct StoredGcloudCredential {
    /// The account, as gcloud spells it.
    pub account: GcloudAccountEntry,
    /// The credential's JSON, as gcloud stored it.
    pub json: Secret,
}

/// The fingerprint of the database in gcloud's folder; `None` where there is no database.
pub fn fingerprint(folder: &Path) -> Option<CredentialsDbFingerprint> {
    let db_fingerprint = file_fingerprint(&folder.join("credentials.db"))?;
    // gcloud uses no write-ahead log, but other programs that copy or convert the database may add one.
    let wal_fingerprint = file_fingerprint(&folder.join("credentials.db-wal")).unwrap_or_default();
    Some(CredentialsDbFingerprint(format!("{db_fingerprint}/{wal_fingerprint}")))
}

/// All accounts, in the order in which they were added; empty where there is no database.
///
/// # Errors
/// Exit 8 when the database cannot be read, exit 7 when this gauth is built without support for it.
pub fn list(folder: &Path, lock_timeout: Duration) -> Result<Vec<GcloudAccountEntry>> {
    let Some(query) = store::open(&folder.join("credentials.db"), lock_timeout)? else {
        return Ok(Vec::new());
    };
    let mut accounts = Vec::new();
    for key in query("SELECT account_id FROM credentials ORDER BY rowid", None)? {
        if let Some(json) = credential_json(&query, &key)? {
            accounts.push(parse_account(&key, &json));
        }
    }
    Ok(accounts)
}

/// The stored credential of an account in a universe, by default googleapis.com. An exact match of the name has
/// precedence over a match that ignores case.
///
/// # Errors
/// Those of [`list`], and exit 3 when the account exists in other universes only.
pub fn find(
    folder: &Path,
    name: &str,
    universe: Option<&str>,
    lock_timeout: Duration,
) -> Result<Option<StoredGcloudCredential>> {
    let Some(query) = store::open(&folder.join("credentials.db"), lock_timeout)? else {
        return Ok(None);
    };
    let requested = universe.unwrap_or(DEFAULT_UNIVERSE);
    let mut other_universes = Vec::new();
    for key in matching_keys(query("SELECT account_id FROM credentials ORDER BY rowid", None)?, name) {
        let Some(json) = credential_json(&query, &key)? else { continue };
        let account = parse_account(&key, &json);
        if account.universe_domain == requested {
            return Ok(Some(StoredGcloudCredential { account, json: Secret::new(json.as_str()) }));
        }
        other_universes.push(account.universe_domain);
    }
    match other_universes.first() {
        None => Ok(None),
        Some(first) => Err(Error::new(
            ErrorKind::NoCredential,
            format!(
                "gcloud's account {} is in the universe {}, not in {}",
                printable::text(name),
                printable::text(&other_universes.join(", ")),
                printable::text(requested)
            ),
        )
        .hint(format!("gcloud config set core/universe_domain {}", printable::text(first)))),
    }
}

/// The reauthentication proof token that gcloud has stored for this account, unless the database is locked.
pub fn rapt(folder: &Path, name: &str) -> Option<Secret> {
    let query = store::open(&folder.join("access_tokens.db"), RAPT_LOCK_TIMEOUT).ok()??;
    let sql = "SELECT rapt_token FROM access_tokens WHERE account_id = ?1";
    let token = query(sql, Some(name)).ok()?.pop()?;
    (!token.is_empty()).then(|| Secret::new(token))
}

/// The keys of this account: those with the exact name, or else those that match without regard to case, if they are of
/// one account.
fn matching_keys(keys: Vec<String>, name: &str) -> Vec<String> {
    let exact: Vec<_> = keys.iter().filter(|key| split_key(key).0 == name).cloned().collect();
    if !exact.is_empty() {
        return exact;
    }
    let lower = name.to_lowercase();
    let case_insensitive_matches: Vec<_> =
        keys.into_iter().filter(|key| split_key(key).0.to_lowercase() == lower).collect();
    let is_one_account = case_insensitive_matches.windows(2).all(|pair| split_key(&pair[0]).0 == split_key(&pair[1]).0);
    if is_one_account { case_insensitive_matches } else { Vec::new() }
}

/// The JSON under a key. Only that of the requested account is made a [`Secret`].
fn credential_json(query: &Query, key: &str) -> Result<Option<Zeroizing<String>>> {
    let values = query("SELECT value FROM credentials WHERE account_id = ?1", Some(key))?;
    Ok(values.into_iter().next().map(Zeroizing::new))
}

/// An account from its key and its JSON. Older versions of gcloud wrote keys without a universe, even where the JSON
/// names one.
fn parse_account(key: &str, json: &str) -> GcloudAccountEntry {
    #[derive(Default, Deserialize)]
    struct GcloudCredentialHead {
        #[serde(rename = "type")]
        credential_type: Option<String>,
        universe_domain: Option<String>,
    }
    let head: GcloudCredentialHead = serde_json::from_str(json).unwrap_or_default();
    let (name, universe) = split_key(key);
    let universe = universe.map(str::to_owned).or(head.universe_domain);
    GcloudAccountEntry {
        name: name.to_owned(),
        universe_domain: universe
            .filter(|universe| !universe.is_empty())
            .unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned()),
        credential_type: head.credential_type.unwrap_or_else(|| "unknown".to_owned()),
    }
}

/// The account and the universe of a key. gcloud ignores the part after a second `#`.
fn split_key(key: &str) -> (&str, Option<&str>) {
    let mut parts = key.split('#');
    (parts.next().unwrap_or_default(), parts.next())
}

/// Identifies the state of a file.
fn file_fingerprint(path: &Path) -> Option<String> {
    let metadata = files::metadata(path).ok()?;
    let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    #[cfg(unix)]
    let file_id = {
        use std::os::unix::fs::MetadataExt;
        format!("{}.{}", metadata.dev(), metadata.ino())
    };
    #[cfg(not(unix))]
    let file_id = printable::path(path);
    Some(format!("{file_id}.{}.{}", metadata.len(), changed.as_nanos()))
}
