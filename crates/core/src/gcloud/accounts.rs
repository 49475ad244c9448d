//! The accounts gcloud is logged in with: `credentials.db`, and one column of `access_tokens.db`.
//!
//! A row's key is the account, or `account#universe` outside of googleapis.com; its value is a credential in
//! JSON. What the JSON means is the business of `credential`.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::gcloud::store::GcloudDatabase;
use crate::text::printable;
use crate::text::secret::Secret;

/// The universe of keys without one.
const DEFAULT_UNIVERSE: &str = "googleapis.com";

/// A `rapt` spares a person a question; it is not worth a wait for whoever has the database.
const RAPT_LOCK_TIMEOUT: Duration = Duration::from_millis(50);

/// Which state of `credentials.db` this is, learnt without opening it: a token kept under this stamp is still
/// of the credential it was made from. Change times are left out, since every run of gcloud sets the mode anew.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CredentialsDbFingerprint(String);

impl CredentialsDbFingerprint {
    /// The stamp as text, for a cache key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An account in gcloud's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcloudAccountEntry {
    /// Its name, mostly an e-mail address.
    pub name: String,
    /// Its universe domain.
    pub universe_domain: String,
    /// The `type` in its JSON, or `unknown`.
    pub credential_type: String,
}

/// A stored credential.
#[derive(Debug, Clone)]
pub struct StoredGcloudCredential {
    /// Whose it is, as gcloud spells it.
    pub account: GcloudAccountEntry,
    /// The credential, as gcloud stored it.
    pub json: Secret,
}

/// The state of the accounts in gcloud's folder. `None`: there is no database.
pub fn fingerprint(folder: &Path) -> Option<CredentialsDbFingerprint> {
    let db_fingerprint = file_fingerprint(&folder.join("credentials.db"))?;
    // gcloud has no write-ahead log, but whoever copies or converts the file may give it one.
    let wal_fingerprint = file_fingerprint(&folder.join("credentials.db-wal")).unwrap_or_default();
    Some(CredentialsDbFingerprint(format!("{db_fingerprint}/{wal_fingerprint}")))
}

/// All accounts, in the order in which they were added. No database is no account.
///
/// # Errors
/// When the database is there and cannot be read (exit 8), or when this gauth cannot read databases (exit 7).
pub fn list(folder: &Path, lock_timeout: Duration) -> Result<Vec<GcloudAccountEntry>> {
    let Some(store) = GcloudDatabase::open(&folder.join("credentials.db"), lock_timeout)? else {
        return Ok(Vec::new());
    };
    let mut accounts = Vec::new();
    for key in store.query_strings("SELECT account_id FROM credentials ORDER BY rowid", None)? {
        if let Some(json) = credential_json(&store, &key)? {
            accounts.push(parse_account(&key, &json));
        }
    }
    Ok(accounts)
}

/// The stored credential of an account in a universe, googleapis.com if none is given. Names are compared as
/// they are, then without regard to case.
///
/// # Errors
/// Those of [`list`], and exit 3 when the account is there, but in other universes only.
pub fn find(
    folder: &Path,
    name: &str,
    universe: Option<&str>,
    lock_timeout: Duration,
) -> Result<Option<StoredGcloudCredential>> {
    let Some(store) = GcloudDatabase::open(&folder.join("credentials.db"), lock_timeout)? else {
        return Ok(None);
    };
    let wanted = universe.unwrap_or(DEFAULT_UNIVERSE);
    let mut other_universes = Vec::new();
    for key in matching_keys(
        store.query_strings("SELECT account_id FROM credentials ORDER BY rowid", None)?,
        name,
    ) {
        let Some(json) = credential_json(&store, &key)? else { continue };
        let account = parse_account(&key, &json);
        if account.universe_domain == wanted {
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
                printable::text(wanted)
            ),
        )
        .hint(format!("gcloud config set core/universe_domain {}", printable::text(first)))),
    }
}

/// The proof of a recent reauthentication that gcloud keeps for this account, if it can be had at once.
pub fn rapt(folder: &Path, name: &str) -> Option<Secret> {
    let store =
        GcloudDatabase::open(&folder.join("access_tokens.db"), RAPT_LOCK_TIMEOUT).ok()??;
    let sql = "SELECT rapt_token FROM access_tokens WHERE account_id = ?1";
    let token = store.query_strings(sql, Some(name)).ok()?.pop()?;
    (!token.is_empty()).then(|| Secret::new(token))
}

/// The keys of this account, by its exact name or else by its name in another case, if that is one account.
fn matching_keys(keys: Vec<String>, name: &str) -> Vec<String> {
    let exact: Vec<_> = keys.iter().filter(|key| split_key(key).0 == name).cloned().collect();
    if !exact.is_empty() {
        return exact;
    }
    let lower = name.to_lowercase();
    let case_insensitive_matches: Vec<_> =
        keys.into_iter().filter(|key| split_key(key).0.to_lowercase() == lower).collect();
    let is_one_account = case_insensitive_matches
        .windows(2)
        .all(|pair| split_key(&pair[0]).0 == split_key(&pair[1]).0);
    if is_one_account { case_insensitive_matches } else { Vec::new() }
}

/// The JSON under a key. It becomes a `Secret` when its account is the one asked for.
fn credential_json(store: &GcloudDatabase, key: &str) -> Result<Option<Zeroizing<String>>> {
    let values =
        store.query_strings("SELECT value FROM credentials WHERE account_id = ?1", Some(key))?;
    Ok(values.into_iter().next().map(Zeroizing::new))
}

/// What key and JSON say of an account. Stores from before universes have keys without one, also for accounts
/// whose JSON names another.
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

/// Account and universe of a key; gcloud drops what follows a second `#`.
fn split_key(key: &str) -> (&str, Option<&str>) {
    let mut parts = key.split('#');
    (parts.next().unwrap_or_default(), parts.next())
}

/// What tells one state of a file from another.
fn file_fingerprint(path: &Path) -> Option<String> {
    let metadata = std::fs::metadata(path).ok()?;
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

#[cfg(all(test, feature = "gcloud-store"))]
#[path = "accounts_tests.rs"]
mod tests;
