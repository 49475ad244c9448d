//! The token cache: one private file per token, named by the digest of everything that decides the token. Nothing is
//! lost with it but time.
//!
//! A reader takes no lock. A writer holds one of 256 lock files while it asks the server, so that many processes send
//! one request. A failure is stored for two seconds, so that they share that too.

mod lock;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result, io_reason};
use crate::jose::jwks::MAX_PUBLIC_KEYS_SECONDS;
use crate::text::hex;
use crate::text::secret::Secret;
use crate::tokens::{DEFAULT_REFRESH_MARGIN_SECONDS, Token};
use crate::world::clock::Deadline;
use crate::world::private_file::{PrivateFileError, SweepAgeLimits, WriteDurability};
use crate::world::{World, files, private_file};

pub use crate::tokens::cache::lock::{Lock, lock, lock_prompt, mark_prompting};

/// Largest entry that is read, in bytes.
const MAX_ENTRY_BYTES: usize = 64 * 1024;
/// The first line of a cache file; a file with another one is not read.
pub const FORMAT_VERSION: &str = "gauth2";
/// An entry written later than this many milliseconds from now was written by a wrong clock.
const MAX_CLOCK_SKEW_MILLIS: i64 = 3_600_000;
/// Longest lifetime of a cached token, in seconds, whatever the server said.
const MAX_TOKEN_LIFETIME_SECONDS: i64 = 12 * 3600;
/// How long processes that were already waiting share a failure, in milliseconds.
const SHARED_FAILURE_MILLIS: i64 = 2000;
/// How old files in the folder may become: temporary files of killed writers an hour, others as long as they can be of use.
const SWEEP_LIMITS: SweepAgeLimits = SweepAgeLimits {
    temporary: Duration::from_secs(3600),
    other: Some(Duration::from_secs(MAX_PUBLIC_KEYS_SECONDS.unsigned_abs() + 3600)),
};

/// The name of an entry: a SHA-256 digest as 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheKey(String);

impl CacheKey {
    /// The key with this name; `None` for names that are not 64 hex digits.
    pub fn from_name(name: &str) -> Option<CacheKey> {
        is_key_name(name).then(|| CacheKey(name.to_owned()))
    }

    /// The name of its file.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Hashes what decides a token to its cache key.
pub struct CacheKeyHasher(Sha256);

impl CacheKeyHasher {
    /// A hasher whose keys are different from those for every other purpose.
    pub fn new(purpose: &str) -> CacheKeyHasher {
        let mut hasher = CacheKeyHasher(Sha256::new());
        hasher.add_text(purpose);
        hasher
    }

    /// Adds a value after its length, so that no two lists of values give the same key.
    pub fn add_text(&mut self, value: &str) {
        self.add_number(value.len() as u64);
        self.0.update(value.as_bytes());
    }

    /// Adds a number, in little-endian bytes.
    pub fn add_number(&mut self, value: u64) {
        self.0.update(value.to_le_bytes());
    }

    /// Adds a secret, as a text.
    pub fn add_secret(&mut self, value: &Secret) {
        self.add_text(value.expose());
    }

    /// Adds a value that may be absent; that is different from an empty one.
    pub fn add_optional(&mut self, value: Option<&str>) {
        self.add_text(if value.is_some() { "some" } else { "none" });
        self.add_text(value.unwrap_or_default());
    }

    /// The key of everything that was added.
    pub fn finish(self) -> CacheKey {
        CacheKey(hex::encode(&self.0.finalize()))
    }
}

/// An entry as it was read.
#[derive(Debug)]
pub struct CacheEntry {
    /// The token, with `from_cache` set.
    pub token: Token,
    /// The time it was written, in Unix milliseconds.
    pub written_at_millis: i64,
}

#[derive(Serialize, Deserialize)]
struct CacheEntryJson<'a> {
    written: i64,
    expires_at: i64,
    #[serde(borrow)]
    token: std::borrow::Cow<'a, str>,
    kind: String,
    account: Option<String>,
    scopes: Option<Vec<String>>,
    universe_domain: Option<String>,
    quota_project: Option<String>,
    /// `None`: the default one.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_margin: Option<i64>,
}

impl<'a> CacheEntryJson<'a> {
    fn new(token: &'a Token, expires_at: i64, written: i64) -> CacheEntryJson<'a> {
        CacheEntryJson {
            written,
            expires_at,
            token: token.secret.expose().into(),
            kind: token.credential_type.clone(),
            account: token.account.clone(),
            scopes: token.scopes.clone(),
            universe_domain: token.universe_domain.clone(),
            quota_project: token.quota_project.clone(),
            refresh_margin: Some(token.refresh_margin).filter(|margin| *margin != DEFAULT_REFRESH_MARGIN_SECONDS),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct CachedFailureJson {
    written: i64,
    kind: String,
    message: String,
    hint: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct CachedPublicKeysJson {
    written: i64,
    expires_at: i64,
    text: String,
}

/// The user's token cache, in gauth's folder.
pub struct Cache<'w> {
    world: &'w World,
}

impl<'w> Cache<'w> {
    /// The cache of the user this process runs for.
    pub fn new(world: &'w World) -> Cache<'w> {
        Cache { world }
    }

    fn path(&self, key: &CacheKey, suffix: &str) -> Option<PathBuf> {
        let folder = self.world.folders.gauth.as_ref()?;
        let mut path = folder.join("tokens");
        path.push(format!("{}{suffix}", key.0));
        Some(path)
    }

    /// The entry of a key. A damaged or unsafe file is a miss.
    pub fn get(&self, key: &CacheKey) -> Option<CacheEntry> {
        let path = self.path(key, "")?;
        let bytes = match private_file::read_private(&path, MAX_ENTRY_BYTES) {
            Ok(bytes) => bytes,
            Err(PrivateFileError::NotFound) => return None,
            Err(fault) => {
                self.world.terminal.note(|| format!("{}; ignored", fault.to_error(&path, "a cache entry")));
                return None;
            }
        };
        let entry = decode_entry(&bytes);
        if entry.is_none() {
            self.world.terminal.note(|| "a cache entry is damaged; ignored".to_owned());
        }
        let entry = entry?;
        if entry.written_at_millis > self.world.clock.unix_millis().saturating_add(MAX_CLOCK_SKEW_MILLIS) {
            self.world.terminal.note(|| "a cache entry is from the future; ignored".to_owned());
            return None;
        }
        Some(entry)
    }

    /// Stores a token whose expiry is known. A cache that cannot be written is no error.
    pub fn store(&self, key: &CacheKey, token: &Token) {
        let (Some(expires_at), true) = (token.expires_at, token.cacheable) else { return };
        let now = self.world.clock.unix_millis();
        let expires_at = expires_at.min(now.div_euclid(1000).saturating_add(MAX_TOKEN_LIFETIME_SECONDS));
        let stored = CacheEntryJson::new(token, expires_at, now);
        if let Err(error) = self.write(key, "", &encode(&stored)) {
            self.world.terminal.note(|| format!("the token is not cached, {}", io_reason(&error)));
        }
    }

    /// Removes an entry, if it exists and can be removed.
    pub fn remove(&self, key: &CacheKey) {
        if let Some(path) = self.path(key, "") {
            private_file::remove(&path);
        }
    }

    /// Stores a server's public keys as it sent them. A cache that cannot be written is no error.
    pub fn store_public_keys(&self, key: &CacheKey, text: &str, lifetime_seconds: i64) {
        let now = self.world.clock.unix_millis();
        let expires_at = now.div_euclid(1000).saturating_add(lifetime_seconds.min(MAX_PUBLIC_KEYS_SECONDS));
        let keys = CachedPublicKeysJson { written: now, expires_at, text: text.to_owned() };
        if let Err(error) = self.write(key, ".keys", &encode(&keys)) {
            self.world.terminal.note(|| format!("the keys are not cached, {}", io_reason(&error)));
        }
    }

    /// The public keys that were stored and are not expired.
    pub fn public_keys(&self, key: &CacheKey) -> Option<String> {
        let bytes = private_file::read_private(&self.path(key, ".keys")?, MAX_ENTRY_BYTES).ok()?;
        let keys: CachedPublicKeysJson = decode(&bytes)?;
        let now = self.world.clock.unix_millis();
        let is_plausible = keys.written <= now.saturating_add(MAX_CLOCK_SKEW_MILLIS);
        (is_plausible && keys.expires_at > now.div_euclid(1000)).then_some(keys.text)
    }

    fn write(&self, key: &CacheKey, suffix: &str, bytes: &[u8]) -> std::io::Result<()> {
        let folder = private_file::create_subfolder(self.world.folders.gauth.as_deref(), "tokens")?;
        private_file::remove_stale_files(&folder, self.world.clock.unix_seconds(), &SWEEP_LIMITS);
        let name = format!("{}{suffix}", key.0);
        private_file::write_atomic(&folder, &name, bytes, WriteDurability::Disposable, &*self.world.random)
    }

    /// Stores a failure for the processes that wait for the same token.
    pub fn store_failure(&self, key: &CacheKey, error: &Error) {
        // Where it cannot be stored, each of them sends its own request.
        drop(self.write(key, ".fail", &encode(&self.failure_record(error))));
    }

    fn failure_record(&self, error: &Error) -> CachedFailureJson {
        CachedFailureJson {
            written: self.world.clock.unix_millis(),
            kind: error.kind().name().to_owned(),
            message: crate::text::secret::redact(error.message()),
            hint: error.hint_text().map(crate::text::secret::redact),
        }
    }

    /// The failure of another process whose request was sent after this process started.
    pub fn recent_shared_failure(&self, key: &CacheKey) -> Option<Error> {
        let failure = self.recent_failure(key, SHARED_FAILURE_MILLIS)?;
        if failure.written <= self.world.started_at_millis {
            return None;
        }
        let error = Error::new(ErrorKind::from_name(&failure.kind)?, failure.message);
        Some(match failure.hint {
            Some(hint) => error.hint(hint),
            None => error,
        })
    }

    /// Stores that a server refused the login of this key.
    pub fn store_rejection(&self, key: &CacheKey, error: &Error) {
        drop(self.write(key, ".refused", &encode(&self.failure_record(error))));
    }

    /// Removes a stored refusal, if there is one.
    pub fn remove_rejection(&self, key: &CacheKey) {
        if let Some(path) = self.path(key, ".refused") {
            private_file::remove(&path);
        }
    }

    /// The reason a server gave when it refused the login of this key. It may be lost at any time.
    pub fn last_rejection(&self, key: &CacheKey) -> Option<String> {
        let bytes = private_file::read_private(&self.path(key, ".refused")?, MAX_ENTRY_BYTES).ok()?;
        decode(&bytes).map(|failure: CachedFailureJson| failure.message)
    }

    /// Whether a failure was stored within the last `max_age_millis`.
    pub fn failed_recently(&self, key: &CacheKey, max_age_millis: i64) -> bool {
        self.recent_failure(key, max_age_millis).is_some()
    }

    fn recent_failure(&self, key: &CacheKey, max_age_millis: i64) -> Option<CachedFailureJson> {
        let bytes = private_file::read_private(&self.path(key, ".fail")?, MAX_ENTRY_BYTES).ok()?;
        let failure: CachedFailureJson = decode(&bytes)?;
        let age_millis = self.world.clock.unix_millis().saturating_sub(failure.written);
        (0..=max_age_millis).contains(&age_millis).then_some(failure)
    }

    /// Takes the lock of this key, waiting until the deadline. `None` where this system or folder has no locks.
    ///
    /// # Errors
    /// `NoAnswer` at the deadline.
    pub fn lock(&self, key: &CacheKey, deadline: Deadline) -> Result<Option<Lock>> {
        lock(self.world, Cache::lock_name(key), deadline)
    }

    /// The name of the lock file of this key.
    pub fn lock_name(key: &CacheKey) -> &str {
        &key.0[..2]
    }

    /// Removes the tokens of an account.
    pub fn remove_account(&self, account: &str) {
        let belongs_to_account = |entry: &CacheEntry| {
            let owner = entry.token.account.as_deref();
            owner.is_some_and(|owner| owner.eq_ignore_ascii_case(account))
        };
        for (name, _) in self.list().into_iter().filter(|(_, entry)| belongs_to_account(entry)) {
            self.remove(&CacheKey(name));
        }
    }

    /// All entries, with the names of their files.
    pub fn list(&self) -> Vec<(String, CacheEntry)> {
        let Some(folder) = self.world.folders.gauth.as_ref().map(|folder| folder.join("tokens")) else {
            return Vec::new();
        };
        let names = files::file_names(&folder).into_iter().filter(|name| is_key_name(name));
        let entries = names.filter_map(|name| {
            let entry = self.get(&CacheKey(name.clone()))?;
            Some((name, entry))
        });
        entries.collect()
    }

    /// Removes every file of the cache; returns how many of them were tokens.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn clear(&self) -> Result<usize> {
        let Some(folder) = self.world.folders.gauth.as_ref().map(|folder| folder.join("tokens")) else {
            return Ok(0);
        };
        let mut count = 0;
        for name in files::file_names(&folder) {
            let path = folder.join(&name);
            let removed =
                private_file::try_remove(&path).map_err(|error| crate::error::io("removed", &path, &error))?;
            count += usize::from(removed && is_key_name(&name));
        }
        Ok(count)
    }
}

fn is_key_name(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The format's version on a line of its own, then JSON.
fn encode(content: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(format!("{FORMAT_VERSION}\n").into_bytes());
    bytes.extend_from_slice(&Zeroizing::new(serde_json::to_vec(content).unwrap_or_default()));
    bytes
}

/// `None` for another version, and for JSON that is cut off or has another form: files are replaced atomically, but a
/// crash of the system may leave one empty or partly zeroed.
fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let json = bytes.strip_prefix(FORMAT_VERSION.as_bytes())?.strip_prefix(b"\n")?;
    serde_json::from_slice(json).ok()
}

/// The entry in the bytes of a cache file; `None` for what is not one.
pub fn decode_entry(bytes: &[u8]) -> Option<CacheEntry> {
    let stored: CacheEntryJson<'_> = decode(bytes)?;
    if !crate::text::bearer_token::is_well_formed(&stored.token) {
        return None;
    }
    let mut token = Token::new(Secret::new(stored.token), &stored.kind, Some(stored.expires_at));
    token.account = stored.account;
    token.scopes = stored.scopes;
    token.universe_domain = stored.universe_domain;
    token.quota_project = stored.quota_project;
    token.refresh_margin = stored.refresh_margin.unwrap_or(DEFAULT_REFRESH_MARGIN_SECONDS);
    token.from_cache = true;
    Some(CacheEntry { token, written_at_millis: stored.written })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Zeroizing<Vec<u8>> {
        let token = Token::new(Secret::new("ya29.x"), "service_account", Some(2));
        encode(&CacheEntryJson::new(&token, 2, 1))
    }

    #[test]
    fn an_encoded_entry_is_decoded_unchanged() {
        let read = decode_entry(&entry()).expect("entry");
        assert_eq!(read.token.secret.expose(), "ya29.x");
        assert_eq!((read.written_at_millis, read.token.expires_at, read.token.from_cache), (1, Some(2), true));
    }

    #[test]
    fn every_cut_and_every_zeroed_rest_is_a_miss() {
        let good = entry();
        for length in 0..good.len() {
            assert!(decode_entry(&good[..length]).is_none(), "{length} bytes");
            let mut zeroed = good.clone();
            zeroed[length..].fill(0);
            assert!(decode_entry(&zeroed).is_none(), "zeros from byte {length} on");
        }
    }

    #[test]
    fn the_refresh_margin_survives_too() {
        for refresh_margin in [DEFAULT_REFRESH_MARGIN_SECONDS, 225] {
            let mut token = Token::new(Secret::new("ya29.x"), "metadata", Some(2));
            token.refresh_margin = refresh_margin;
            let bytes = encode(&CacheEntryJson::new(&token, 2, 1));
            assert_eq!(decode_entry(&bytes).expect("entry").token.refresh_margin, refresh_margin);
        }
    }

    #[test]
    fn keys_do_not_run_into_each_other() {
        let key = |fields: &[&str]| {
            let mut hasher = CacheKeyHasher::new("test");
            fields.iter().for_each(|field| hasher.add_text(field));
            hasher.finish()
        };
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["a", ""]), key(&["a"]));
        assert_eq!(key(&["a"]).as_str().len(), 64);
    }
}
